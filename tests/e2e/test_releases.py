"""Data directories that earlier releases wrote are opened, and everything in them goes on."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.house import running_house
from tests.releases.make import IN, PLAIN, SECRET, TORN, leave, pack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
ARCHIVES = sorted(Path(__file__).parents[1].joinpath("releases").glob("*/data.tar.gz"))


def check_release(directory: Path) -> None:
    """Every file, state, key and chain of the release is there, and work goes on where it stood."""
    with running_house(directory, landing={"partial_ttl": "36500d"}) as house:
        with house.client("eve") as client:
            assert set(client.listdir(IN)) >= {"renamed.txt", "logs"}
            with client.open(f"{IN}/renamed.txt", "rb") as file:
                assert file.read() == PLAIN
            with client.open(f"{IN}/logs/secret.log", "rb") as file:
                scrubbed = file.read()
        assert b"hunter2" not in scrubbed
        assert scrubbed.startswith(b"user ok\npassword=")
        assert house.curl("eve", f"/files{IN}/renamed.txt", region="us") == (200, PLAIN)
        assert house.curl("ann", "/files/ACME-1/from-support/answer.txt") == (200, b"try this\n")
        assert house.verify_audit().faults == ()
        path = house.directory / "torn.txt"
        path.write_bytes(TORN + b"and ended in a later one\n")
        done = house.sftp("ann", f"reput torn.txt {IN}/torn.txt", f"rename {IN}/waiting.part {IN}/waited.txt")
        assert done.returncode == 0, done.stderr
        path.write_bytes(SECRET)
        assert house.curl("ann", "/cases/ACME-1/again.log", "-T", str(path))[0] == 201
        house.until(house.settled)
        assert house.curl("eve", f"/files{IN}/torn.txt") == (200, TORN + b"and ended in a later one\n")
        assert house.curl("eve", f"/files{IN}/waited.txt") == (200, PLAIN)
        assert house.curl("eve", f"/files{IN}/again.log") == (200, scrubbed)
        assert house.query("SELECT state FROM upload WHERE name = 'broken.gz'") == [{"state": "quarantined"}]
        assert house.verify_audit().faults == ()


def unpack(content: bytes, directory: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        tar.extractall(directory, filter="data")
    for path in directory.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("archive", ARCHIVES, ids=[path.parent.name for path in ARCHIVES])
def test_release_is_opened(tmp_path: Path, archive: Path) -> None:
    """A data directory of that release works with this one."""
    unpack(archive.read_bytes(), tmp_path)
    check_release(tmp_path)


@pytest.mark.slow
def test_what_this_release_leaves_is_opened_elsewhere(tmp_path: Path) -> None:
    """A data directory that was packed, moved and unpacked goes on."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    leave(tmp_path / "old")
    content = pack(tmp_path / "old")
    unpack(content, tmp_path / "new")
    check_release(tmp_path / "new")
