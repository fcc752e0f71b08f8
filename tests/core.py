"""The core of a house in the test's own process: catalog, landing, stores and intake, without heads and workers.

Keys are held here and not by an agent, jobs run at once and not durably; scrub children come from a real nursery, a
process of its own. Everything else is what `mft serve` runs.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mft.casesystem import CaseSystem, running_case_system
from mft.catalog.model import EVENTS, NODES, UPLOADS
from mft.catalog.schema import upgrade
from mft.config import load_config
from mft.credentials.load import load_credentials
from mft.keychannel import make_channel
from mft.policy import Narrowing
from mft.scrubbing.nursery import Nursery
from mft.server.directories import make_directories
from mft.server.intake import make_intake
from mft.server.parts import Parts, reader_of
from mft.unfiled import Unfiled
from mft.upload.room import MemoryBudget
from mft.upload.service import Uploads, UploadSettings
from mft.vfs.filesystem import CaseFileSystem, Rooms
from mft.vfs.readahead import ReadAhead
from protocols.errors import FileSystemError
from protocols.filesystem import WriteMode
from protocols.path import parse_path
from protocols.session import Origin
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost
from storage.keys.service import LocalKeyService
from tests.casebook import REGIONS, records, write_configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mft.config.model import Config
    from mft.credentials.load import Credentials
    from mft.jobs import Jobs
    from mft.policy import Scope
    from protocols.filesystem import Entry, Receipt, WriteHandle

_SERVE_NURSERY = """
import signal, socket, sys, threading
from mft.scrubbing.nursery import serve_nursery
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
serve_nursery(socket.socket(fileno=int(sys.argv[1])), stopped.is_set)
"""


class ImmediateJobs:
    """The `Jobs` of a test: each runs as soon as it is started, once."""

    def __init__(self) -> None:
        self.kinds: dict[str, Callable[[str, str], None]] = {}
        self.started: list[str] = []

    def start(self, kind: str, job_id: str, *arguments: str) -> None:
        if job_id in self.started:
            return
        self.started.append(job_id)
        with contextlib.suppress(Exception):  # as a job engine does: it records the failure, and goes on
            self.kinds[kind](*arguments)

    def step(self, name: str, call: Callable[[], str]) -> str:
        return call()

    def live(self, kind: str) -> set[str]:
        return set()

    def forget(self, *, before: float) -> int:
        return 0

    def stop(self, *, patience: float) -> None:
        pass


@contextlib.contextmanager
def running_nursery() -> Iterator[Nursery]:
    """Keep a nursery in a process of its own."""
    here, there = make_channel()
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE_NURSERY, str(there.fileno())],
        pass_fds=(there.fileno(),),
        cwd=Path(__file__).parents[1],
    )
    there.close()
    try:
        yield Nursery(here)
    finally:
        process.terminate()
        process.wait(20)
        here.close()


class Core:
    """An installation without processes."""

    def __init__(self, directory: Path, system: CaseSystem, url: str, secret: bytes, overrides: dict[str, Any]) -> None:
        self.system = system
        path = write_configuration(directory, url, secret, {"lookup": {"ttl": 0, "negative_ttl": 0}, **overrides})
        self.config = load_config(path, {})
        self.data = self.config.data
        make_directories(self.config)
        if not self.config.catalog.path.exists():
            self.config.catalog.path.write_bytes(_empty_catalog())
        credentials = _load_credentials(self.config)
        self.keys = LocalKeyService(
            {Region(name): _open_keyring(directory / f"{name}.keyring", Region(name)) for name in REGIONS}
        )
        self.parts = Parts(self.config, credentials, self.keys)
        self.database = self.parts.database
        self.budget = MemoryBudget(self.config.limits.transfer_memory)
        self.read_ahead = ReadAhead(database=self.database, objects=self.parts.objects)
        self.jobs = ImmediateJobs()
        self.unfiled = Unfiled(
            database=self.database,
            trail=self.parts.trail,
            tree_of=self.parts.cases.trees.of,
            quotas=self.parts.quotas,
        )
        self._numbers = itertools.count(1)
        self._intake: Any = None

    def ask(self, lookup: Any) -> None:
        """Have *lookup* asked from now on."""
        self.parts.cases._lookup = self.parts.cases.lists._lookup = lookup

    def uploads(self, worker: str = "w0:1:a") -> Uploads:
        """Return the uploads of one more worker process."""
        config = self.config
        return Uploads(
            database=self.database,
            trail=self.parts.trail,
            keys=self.keys,
            zones=self.parts.zones,
            sign=self.parts.sign,
            budget=self.budget,
            landed=lambda: None,
            settings=UploadSettings(
                installation=config.installation,
                host=self.parts.node,
                worker=worker,
                resume_grace=config.landing.resume_grace,
                placeholder=config.landing.placeholder,
                free_space=config.landing.free_space,
                landing={name: region.landing for name, region in config.regions.items()},
                catalog=config.catalog.path.parent,
                upload_size=config.limits.upload_size,
                quotas=self.parts.quotas,
                unfiled_retention=config.unfiled.retention,
            ),
        )

    def client(
        self,
        login: str,
        region: str = "eu",
        *,
        uploads: Uploads | None = None,
        only: str | None = None,
        scopes: frozenset[Scope] | None = None,
    ) -> Client:
        """Return a session of *login*, who came in by *region*, for every case or for one."""
        number = next(self._numbers)
        rooms = Rooms(
            database=self.database,
            trail=self.parts.trail,
            cases=self.parts.cases,
            uploads=uploads or self.uploads(f"w{number}:1:a"),
            landed=self.parts.landed,
            objects=self.parts.objects,
            read_ahead=self.read_ahead,
            budget=self.budget,
            layout=self.parts.layout,
            unfiled=self.unfiled,
            drops=self.parts.drops,
        )
        origin = Origin(protocol="sftp", peer="192.0.2.1", region=region)
        reader = reader_of(self.parts.lookup.principal(login), origin, Narrowing(case=only, scopes=scopes))
        return Client(CaseFileSystem(rooms=rooms, reader=reader, session_id=f"s{number}", origin=origin))

    def attach(self, nursery: Nursery, jobs: Jobs | None = None) -> None:
        """Make the intake."""
        self._intake = make_intake(self.parts, nursery)
        self.jobs.kinds = dict(self._intake.kinds)
        self._intake.attach(jobs or self.jobs)

    @property
    def intake(self) -> Any:
        """The intake; `attach` comes first."""
        return self._intake

    def work(self) -> None:
        """Let intake do what there is to be done: scrub, store, then copy."""
        for _ in range(2):
            self._intake.start_due()
            self._intake.placing.review_flagged()

    def rows(self) -> list[Any]:
        """Return the uploads, the oldest first."""
        with self.database.read() as connection:
            return list(connection.execute(select(UPLOADS).order_by(UPLOADS.c.created_at)))

    def nodes(self) -> list[Any]:
        """Return the names in the trees of all cases."""
        with self.database.read() as connection:
            return list(connection.execute(select(NODES).order_by(NODES.c.id)))

    def states(self) -> list[str]:
        """Return the state of each upload, the oldest first."""
        return [row.state for row in self.rows()]

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the audit's events, of one kind or all, the oldest first."""
        with self.database.read() as connection:
            bodies = list(connection.execute(select(EVENTS.c.body).order_by(EVENTS.c.id)).scalars())
        found = [json.loads(body) for body in bodies]
        return [event for event in found if kind in {None, event["kind"]}]

    def close(self) -> None:
        """Let go of everything."""
        self.read_ahead.close()
        self.parts.lookup._inner.close()  # the cache has no end of its own: processes end with it
        for zone in self.parts.zones.values():
            zone.close()
        self.database.close()


class Client:
    """A session's filesystem, called with texts for paths."""

    def __init__(self, filesystem: CaseFileSystem) -> None:
        self.filesystem = filesystem

    def begin(self, path: str, mode: WriteMode = WriteMode.REPLACE, *, length: int | None = None) -> WriteHandle:
        return self.filesystem.open_write(parse_path(path), mode, length=length)

    def put(self, path: str, content: bytes, mode: WriteMode = WriteMode.REPLACE) -> Receipt:
        handle = self.begin(path, mode)
        try:
            handle.write(0, content)
            return handle.commit()
        except FileSystemError:
            handle.abort("refused")
            raise

    def cut(self, path: str, content: bytes) -> None:
        handle = self.begin(path)
        handle.write(0, content)
        handle.abort("the connection was lost")

    def resume(self, path: str, content: bytes) -> Receipt:
        """Send what is missing of *content*, from where `stat` says that it stands."""
        at = self.stat(path).size
        handle = self.begin(path, WriteMode.RESUME)
        handle.write(at, content[at:])
        return handle.commit()

    def get(self, path: str) -> bytes:
        handle = self.filesystem.open_read(parse_path(path))
        try:
            return handle.read(0, max(1, handle.entry.size * 2 + 1000))
        finally:
            handle.close()

    def names(self, path: str) -> list[str]:
        return [entry.name for entry in self.filesystem.scandir(parse_path(path))]

    def stat(self, path: str) -> Entry:
        return self.filesystem.stat(parse_path(path))

    def document(self, path: str) -> Any:
        return json.loads(self.get(path))

    def mkdir(self, path: str) -> None:
        self.filesystem.mkdir(parse_path(path))

    def rename(self, source: str, target: str, *, replace: bool = False) -> None:
        self.filesystem.rename(parse_path(source), parse_path(target), replace=replace)

    def remove(self, path: str, *, directory: bool = False) -> None:
        self.filesystem.remove(parse_path(path), directory=directory)


def _open_keyring(path: Path, region: Region) -> Keyring:
    if path.exists():
        return Keyring.load(path, "pass")
    return Keyring.create(path, region, "pass", cost=PassphraseCost(memory_kib=64, iterations=1, lanes=1))


_EMPTY: list[bytes] = []
_CREDENTIALS: dict[str, bytes] = {}


def _load_credentials(config: Config) -> Credentials:
    """Return the server's own keys: made once, because that takes a second, and copied to where each core looks."""
    directory = config.data / "credentials"
    if _CREDENTIALS and not directory.exists():
        directory.mkdir(mode=0o700)
        for name, content in _CREDENTIALS.items():
            (directory / name).write_bytes(content)
            (directory / name).chmod(0o600)
    loaded = load_credentials(config, now=dt.datetime.now(dt.UTC))
    _CREDENTIALS.update({path.name: path.read_bytes() for path in directory.iterdir()})
    return loaded


def _empty_catalog() -> bytes:
    """Return a catalog of this release without anything in it: to migrate one for every test takes too long."""
    if not _EMPTY:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "catalog.db"
            upgrade(path)
            _EMPTY.append(path.read_bytes())
    return _EMPTY[0]


@contextlib.contextmanager
def running_core(directory: Path, nursery: Nursery | None = None, **overrides: Any) -> Iterator[Core]:
    """Make a core in *directory*, over a case system of its own; with *nursery* it has an intake."""
    with running_case_system(CaseSystem(records())) as running:
        core = Core(directory, running.system, running.url, running.secret, overrides)
        if nursery is not None:
            core.attach(nursery)
        try:
            yield core
        finally:
            core.close()


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until *condition* holds; fail if it never does."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.05)
