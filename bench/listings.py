"""Long listings over SFTP against OpenSSH's server, pages in a full catalog, and what a login costs."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import clients
from bench.filling import CASES, CROWD, FILE, FILES, FULL, TITLE, FilledHouse, fill_case
from bench.house import CUSTOMER
from bench.processes import tree_seconds
from bench.rounds import Comparison, Sample
from bench.sshd import OpenSsh, PeerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.room import Room
    from mft.catalog.database import Database
    from mft.vfs.tree import Place

Report = dict[str, Any]
SESSIONS = 50
IDLE_SECONDS = 5.0
PAGES = 40
"""Pages that are timed in each catalog, each way."""
ENTRIES = 256
"""Of a page of entries."""
FEW, MANY = 10_000, 1_000_000
"""Files in the catalog while pages are timed."""


def measure_listings(room: Room, rounds: int, say: Callable[[str], None]) -> Report:
    """Measure; the peer lists a directory with as many files of the same names."""
    report: Report = {"absent": {}}
    with contextlib.ExitStack() as stack:
        say(f"filling a catalog with {CASES} cases and {FILES} files")
        house = FilledHouse(room.make("listing"), room.public_key)
        stack.callback(house.remove)
        stack.enter_context(house)
        peer: OpenSsh | None = None
        try:
            peer = stack.enter_context(OpenSsh(room))
        except PeerError as error:
            report["absent"]["openssh"] = str(error)
        rows = []
        for title, login, path, names in (
            ("a customer's cases", CROWD, "/", (f"CASE-{n:06} {TITLE.format(n)}" for n in range(CASES))),
            ("a case's files", CUSTOMER, f"/{FULL}/to-support", (FILE.format(n) for n in range(FILES))),
        ):
            comparison = Comparison(title=title, size=CASES)
            directory = room.make("names")
            for name in names:
                (directory / name).touch()
            for turn in range(rounds):
                say(f"{title}, round {turn + 1} of {rounds}")
                if peer is not None:
                    comparison.add("openssh", _listed(room, peer, peer.login, str(directory)))
                comparison.add("mft", _listed(room, house, login, path))
            shutil.rmtree(directory)
            rows.append(comparison.to_dict("openssh"))
        report["folders"] = rows
        say("logins")
        report["logins"] = _logins(room, house)
    say(f"pages in a catalog of {MANY} files")
    report["pages"] = measure_pages(room.path, MANY)
    return report


def _listed(room: Room, server: FilledHouse | OpenSsh, login: str, path: str) -> Sample:
    port = server.port("sftp") if isinstance(server, FilledHouse) else server.port
    setup = clients.sftp(port, login, room.key, "pwd\n", cipher=None)
    before = tree_seconds(server.pid)
    seconds = clients.sftp(port, login, room.key, f'ls -1f "{path}"\n', cipher=None)
    return Sample(seconds=seconds, setup=setup, processor=tree_seconds(server.pid) - before)


def _logins(room: Room, house: FilledHouse) -> Report:
    """Return processor seconds of the server for a session with one short listing, the way of the key and the token.

    From connecting to the record of its end; what the server does meanwhile whether anybody logs in or not, is off.
    """
    url = f"https://127.0.0.1:{house.port('https')}/files/{FULL}/"
    ways: dict[str, Callable[[], object]] = {
        "SFTP, key": lambda: clients.sftp(house.port("sftp"), CUSTOMER, room.key, f"ls -1 /{FULL}\n", cipher=None),
        "HTTPS, token": lambda: clients.curl("--user", f"{CUSTOMER}:{house.token}", "--output", "/dev/null", url),
    }
    report: Report = {}
    for name, once in ways.items():
        once()
        before = tree_seconds(house.pid)
        time.sleep(IDLE_SECONDS)
        idle = (tree_seconds(house.pid) - before) / IDLE_SECONDS
        before, begun = tree_seconds(house.pid), time.monotonic()
        for _ in range(SESSIONS):
            once()
        used = tree_seconds(house.pid) - before - idle * (time.monotonic() - begun)
        report[name] = used / SESSIONS
    return report


def measure_pages(where: Path, many: int, few: int = FEW) -> Report:
    """Time pages of one directory's listing in a catalog with *few* files, and in one with *many* more beside them.

    Pages of the two take turns, so that whatever else the machine does slows both alike.
    """
    with tempfile.TemporaryDirectory(dir=where) as directory, contextlib.ExitStack() as stack:
        small = _filled(Path(directory) / "few.db", [("FEW-1", few)])
        large = _filled(
            Path(directory) / "many.db", [("FEW-1", few), *((f"MANY-{number}", few) for number in range(many // few))]
        )
        times: dict[str, dict[Path, list[float]]] = {}
        for way in ("entries", "rows"):
            pages = {catalog: stack.enter_context(_pages(catalog, way)) for catalog in (small, large)}
            times[way] = {catalog: [] for catalog in pages}
            for _ in range(PAGES):
                for catalog, page in pages.items():
                    begun = time.process_time()
                    next(page)
                    times[way][catalog].append(time.process_time() - begun)
    found = {way: (statistics.median(each[small]), statistics.median(each[large])) for way, each in times.items()}
    return {
        "few": few,
        "many": few + many,
        **{
            way: {"few_seconds": before, "many_seconds": after, "ratio": after / before}
            for way, (before, after) in found.items()
        },
    }


def _filled(catalog: Path, cases: Sequence[tuple[str, int]]) -> Path:
    """Make a catalog of *cases*, each with so many files."""
    from mft.catalog.schema import upgrade  # noqa: PLC0415  only where our own server is measured

    upgrade(catalog)
    with contextlib.closing(sqlite3.connect(catalog)) as connection:
        for number, files in cases:
            fill_case(connection, number, CUSTOMER, "bench", files)
        connection.commit()
    return catalog


@contextlib.contextmanager
def _pages(catalog: Path, way: str) -> Iterator[Iterator[object]]:
    """Give whole pages of the first case's upload folder, again and again: `entries` as for HTTPS, `rows` for SFTP."""
    from mft.catalog.database import Database  # noqa: PLC0415  only where our own server is measured
    from mft.vfs.tree import Place  # noqa: PLC0415

    database = Database(catalog)
    with database.read() as connection:
        root = connection.exec_driver_sql("SELECT upload_root FROM case_record WHERE id = 1").scalar_one()
    place = Place(case_id=1, node_id=root, login=CUSTOMER, sender=True)
    try:
        yield _row_pages(database, place) if way == "rows" else _entry_pages(database, place)
    finally:
        database.close()


def _entry_pages(database: Database, place: Place) -> Iterator[object]:
    from mft.vfs.tree import list_leaves  # noqa: PLC0415

    while True:
        found = list_leaves(database, place)
        while len(page := list(islice(found, ENTRIES))) == ENTRIES:
            yield page


def _row_pages(database: Database, place: Place) -> Iterator[object]:
    from mft.vfs.tree import LONG_PAGE, list_rows  # noqa: PLC0415

    while True:
        yield from (page for page in list_rows(database, place) if len(page) == LONG_PAGE)
