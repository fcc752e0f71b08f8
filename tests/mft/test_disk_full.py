"""A disk that fills up under one upload's life, wherever it does: what was acknowledged is whole, and all goes on.

The house stands on a small file system of its own, and a ballast leaves so many pages of it: landing, catalog, its
journal, stores and scratch share what is left, and each of their writes is once the first that finds no room.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from mft.audit import verify_trail
from protocols.errors import QuotaExceededError
from protocols.filesystem import WriteMode
from tests.core import running_core

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.core import Core

IN = "/cases/ACME-1/to-support"
PAGE = 4096
SIZE = 48 * 2**20
CONTENT = b"nothing that has to go: alpha beta gamma delta\n" * 450
"""Some 20 KiB, so that the log alone takes several pages."""


class Disk:
    """A file system in memory, of which as much is taken as is said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ballast = path / "ballast"

    def leave(self, pages: int) -> None:
        """Take all of it but so many pages."""
        self.free()
        state = os.statvfs(self.path)
        with self.ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(PAGE, (state.f_bavail - pages) * state.f_frsize))

    def free(self) -> None:
        """Take nothing."""
        self.ballast.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """Give a small file system."""
    path = tmp_path_factory.mktemp("small")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False)


@pytest.fixture
def house(disk: Disk, tmp_path: Path, nursery: object) -> Iterator[Core]:
    """Give an installation on it."""
    place = disk.path / tmp_path.name
    place.mkdir()
    try:
        with running_core(place, nursery, landing={"free_space": "0%"}) as core:  # type: ignore[arg-type]  # a Nursery
            yield core
    finally:
        disk.free()
        subprocess.run(["rm", "-rf", str(place)], check=True)


def check(house: Core, acknowledged: dict[str, bytes]) -> None:
    """Hold what was told to the sender against what is there."""
    ann = house.client("ann")
    for name, content in acknowledged.items():
        assert ann.get(f"{IN}/{name}") == content
    with house.database.read() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        states = dict(connection.execute(text("SELECT name, group_concat(state) FROM upload GROUP BY name")).fetchall())
    landed = {name for name, told in states.items() if {"landed", "stored", "scrubbing"} & set(told.split(","))}
    assert landed == set(acknowledged), "what was refused is not taken for whole"


def test_receiving(house: Core, disk: Disk) -> None:
    """Whichever write of an upload is the first without room: its sender is told, and sends it again later."""
    acknowledged: dict[str, bytes] = {"before": CONTENT}
    worker = house.uploads()
    ann = house.client("ann", uploads=worker)
    ann.put(f"{IN}/before", CONTENT)
    refused: list[str] = []
    told: list[str] = []
    pages = 0
    while len(acknowledged) < 4:
        name, content = f"n{pages}", CONTENT + str(pages).encode()
        disk.leave(pages)
        try:
            ann.put(f"{IN}/{name}", content)
        except QuotaExceededError as error:
            told.append(str(error))
            refused.append(name)
        else:
            acknowledged[name] = content
        disk.free()
        pages += 1 if pages < 16 else 4
        assert pages < 400
    worker.record_interruptions()  # as its housekeeper does
    assert "receiving" not in house.states()
    assert len(refused) > 10
    assert all("no room" in each for each in told)
    check(house, acknowledged)
    for name in refused:
        content = b"later, " + name.encode()
        ann.put(f"{IN}/{name}", content, WriteMode.REPLACE)
        acknowledged[name] = content
    check(house, acknowledged)
    house.work()
    with house.database.read() as connection:
        assert verify_trail(connection, lambda _statement, signature: bool(signature)).faults == ()


def test_storing(house: Core, disk: Disk) -> None:
    """Whichever write of intake is the first without room: the upload waits, and is stored once there is some."""
    ann = house.client("ann")
    ann.put(f"{IN}/warm", CONTENT)
    house.work()
    acknowledged = {}
    for pages in (*range(0, 14, 3), *range(15, 100, 17)):
        name, content = f"n{pages}", CONTENT + str(pages).encode()
        ann.put(f"{IN}/{name}", content)
        acknowledged[name] = content
        disk.leave(pages)
        with contextlib.suppress(Exception):  # as the worker loop does
            house.work()
        disk.free()
        states = {row.name: row.state for row in house.rows()}
        assert states[name] in {"landed", "scrubbing", "stored"}, pages
        house.intake._resting.clear()
        house.intake._adopt_at = 0.0
        house.work()
        states = {row.name: row.state for row in house.rows()}
        assert states[name] == "stored", pages
    check(house, acknowledged | {"warm": CONTENT})
