"""Making a backup beside the running server."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from mft.audit import SYSTEM, export_heads
from mft.backup.collected import Collected
from mft.backup.document import read_document, write_document
from mft.backup.errors import BackupError
from mft.backup.wrappedkeys import take_keys
from mft.catalog.model import BODIES, DESTROYED_KEYS, INSTALLATION, REPLICAS, UPLOADS
from mft.catalog.schema import HEAD
from mft.catalog.states import PARTIAL, UploadState
from storage.durable import sync_directory
from storage.errors import LandingNotFoundError, ObjectNotFoundError, StorageError
from storage.store import ObjectKey, body_name, slot_name

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.config.model import Config
    from storage.landing import LandingZone
    from storage.store import ObjectStore

CATALOG, KEYS, HEADS, CONFIGURATION = "catalog.db", "wrapped-keys.jsonl", "heads.jsonl", "config.yaml"
_PARTIAL = ".partial-"
_ROUNDS = 8
"""How often the catalog is copied anew for what was replaced or destroyed since: each time there is less left."""
_LANDED = [*PARTIAL, UploadState.LANDED, UploadState.SCRUBBING, UploadState.QUARANTINED]


class Made(NamedTuple):
    """A backup that was made."""

    path: Path
    files: int
    bytes: int
    """Of all its files."""
    linked: int
    """Bytes of them that the backup before holds too."""
    missing: tuple[str, ...]
    """Objects that the catalog names and no store gave; `mft verify` says why."""
    outrun: tuple[str, ...]
    """Those of them that were replaced, moved or destroyed while the backup was made: one that is made later has what
    stands in their place."""


def backups_in(directory: Path) -> list[Path]:
    """Return the backups of a directory, the oldest first; itself, where it is one."""
    if (directory / "backup.json").exists():
        return [directory]
    if not directory.is_dir():
        return []
    return sorted(each for each in directory.iterdir() if each.is_dir() and (each / "backup.json").exists())


class Backups:
    """Makes backups of one installation."""

    def __init__(
        self,
        *,
        config: Config,
        config_path: Path,
        database: Database,
        trail: AuditTrail,
        key: Ed25519PrivateKey,
        stores: Mapping[str, ObjectStore],
        zones: Mapping[str, LandingZone],
    ) -> None:
        """Back up what *config* names; sign with *key*."""
        self._config = config
        self._config_path = config_path
        self._database = database
        self._trail = trail
        self._key = key
        self._stores = stores
        self._zones = zones

    def make(self, directory: Path, *, objects: bool, regions: tuple[str, ...], by: str, now: dt.datetime) -> Made:
        """Make one more backup in *directory*, whole or not at all; with *objects* also what *regions* hold.

        Raises:
            BackupError: the directory is something else, or another installation's, or has no room.
            OSError: it cannot be written.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = self._newest(directory)
        name = now.strftime("%Y-%m-%dT%H%M%S.%fZ")
        work = directory / f"{_PARTIAL}{name}"
        with _alone_in(directory):
            for left in directory.glob(f"{_PARTIAL}*"):  # of a backup that was cut short
                shutil.rmtree(left)
            work.mkdir(mode=0o700)
            try:
                return self._make(work, before, objects=objects, regions=regions, by=by, now=now)
            except BaseException as error:
                shutil.rmtree(work, ignore_errors=True)  # it may be what has filled the disk
                if _is_full(error):
                    raise BackupError(f"no space left in {directory}: nothing of this backup was kept") from error
                raise

    def _make(
        self, work: Path, before: Path | None, *, objects: bool, regions: tuple[str, ...], by: str, now: dt.datetime
    ) -> Made:
        name, directory = work.name.removeprefix(_PARTIAL), work.parent
        writing = Collected(work, before)
        retired = self._retired()
        missing = self._contents(work, writing, regions if objects else ())
        self._belongings(writing)
        self._check_keys(retired)
        with self._database.read() as connection:
            installation = connection.execute(
                select(INSTALLATION.c.value).where(INSTALLATION.c.key == "id")
            ).scalar_one()
            writing.add_bytes(HEADS, export_heads(connection).encode())
        claims = {
            "name": name,
            "made_at": now.isoformat(timespec="milliseconds"),
            "installation": installation,
            "installation_name": self._config.installation,
            "schema": HEAD,
            "objects": objects,
            "regions": list(regions),
            "needs": sorted(_secrets(self._config)),
            "missing": sorted(missing),
        }
        write_document(work, claims, writing.files, self._key)
        target = directory / name
        work.rename(target)
        sync_directory(directory)
        made = Made(
            path=target,
            files=len(writing.files),
            bytes=sum(each.size for each in writing.files),
            linked=writing.linked,
            missing=tuple(sorted(missing)),
            outrun=tuple(sorted(each for each, there in missing.items() if not there)),
        )
        with self._database.write() as connection:
            facts = {"name": name, "objects": objects, "files": made.files, "bytes": made.bytes}
            self._trail.append(connection, SYSTEM, "backup.made", by=by, **facts)
        return made

    def _newest(self, directory: Path) -> Path | None:
        """Return the backup before this one.

        Raises:
            BackupError: the directory holds something else.
        """
        foreign = [each.name for each in directory.iterdir() if not each.name.startswith(_PARTIAL)]
        found = backups_in(directory)
        if directory in found or len(found) != len(foreign):
            raise BackupError(f"{directory} holds something else than backups: name a directory for backups alone")
        if not found:
            return None
        with self._database.read() as connection:
            own = connection.execute(select(INSTALLATION.c.value).where(INSTALLATION.c.key == "id")).scalar_one()
        if read_document(found[-1]).get("installation") != own:
            raise BackupError(f"{found[-1]} is of another installation: name a directory of its own")
        return found[-1]

    def _contents(self, work: Path, writing: Collected, regions: tuple[str, ...]) -> dict[str, bool]:
        """Copy the catalog and what it names in *regions*, again as long as something of that went away meanwhile.

        Returns:
            What was not there: whether the catalog still names it.
        """
        missing: dict[str, bool] = {}
        for _ in range(_ROUNDS):
            self._catalog(work, writing)
            # Logs first: what is stored meanwhile leaves its landing zone.
            wanted, missing = self._landing(work, writing, regions)
            objects, not_given = self._objects(work, writing, regions)
            writing.keep_only(("objects/", "landing/"), wanted | objects)
            missing |= not_given
            if all(missing.values()):
                break
        return missing

    def _catalog(self, work: Path, writing: Collected) -> None:
        """Copy the catalog as it is at one moment; its wrapped keys go into a file of their own."""
        path = work / CATALOG
        path.unlink(missing_ok=True)  # of the round before
        with (
            contextlib.closing(sqlite3.connect(self._config.catalog.path)) as source,
            contextlib.closing(sqlite3.connect(path)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            writing.add_bytes(KEYS, "".join(take_keys(copy)).encode())
        path.chmod(0o600)
        writing.add_written(CATALOG)

    def _objects(self, work: Path, writing: Collected, regions: tuple[str, ...]) -> tuple[set[str], dict[str, bool]]:
        """Copy the body of each object once, and its slot of each region; what is there from a round before stays.

        Returns:
            The names of all of these files; what was not there, and whether the catalog still names it.
        """
        with contextlib.closing(sqlite3.connect(work / CATALOG)) as copy:
            rows = copy.execute(
                f"SELECT r.object_key, r.region FROM {REPLICAS.name} r JOIN {BODIES.name} b ON b.key = r.object_key"  # noqa: S608
                " WHERE r.state = 'present' AND b.state = 'stored' ORDER BY r.object_key, r.region"
            ).fetchall()
        wanted: set[str] = set()
        missing: dict[str, bool] = {}
        for key, region in rows:
            if region not in regions or region not in self._stores:
                continue
            slot, body = slot_name(ObjectKey(key)), body_name(ObjectKey(key))
            wanted |= {f"objects/{region}/{slot}", f"objects/{body}"}
            try:
                if not writing.has(f"objects/{region}/{slot}"):
                    writing.add_object(f"objects/{region}/{slot}", self._stores[region].open(slot), linkable=False)
                if not writing.has(f"objects/{body}"):
                    writing.add_object(f"objects/{body}", self._stores[region].open(body), linkable=True)
            except ObjectNotFoundError:
                missing[f"{region}/{key}"] = self._is_named(key, region)  # lost, or gone since
            except StorageError as error:
                raise BackupError(f"the store of {region!r} does not give {key}: {error}") from error
        return wanted, missing

    def _is_named(self, key: str, region: str) -> bool:
        """Say whether the catalog still has that object there."""
        there = (REPLICAS.c.object_key == key, REPLICAS.c.region == region, REPLICAS.c.state == "present")
        with self._database.read() as connection:
            found = connection.execute(
                select(BODIES.c.key)
                .join(REPLICAS, REPLICAS.c.object_key == BODIES.c.key)
                .where(*there, BODIES.c.state == "stored")
            ).first()
        return found is not None

    def _landing(self, work: Path, writing: Collected, regions: tuple[str, ...]) -> tuple[set[str], dict[str, bool]]:
        """Copy the logs of what was received and not stored yet at the moment of the catalog's copy.

        Since then it may have been stored: its log is kept a while longer, and the catalog in the backup needs it.

        Returns:
            The names of all of these files; what was not there, and whether the catalog still names it.
        """
        states = ", ".join(f"'{state}'" for state in _LANDED)
        with contextlib.closing(sqlite3.connect(work / CATALOG)) as copy:
            rows = copy.execute(
                f"SELECT DISTINCT landing_id, region FROM {UPLOADS.name}"  # noqa: S608 - names of ours
                f" WHERE state IN ({states}) AND landing_gone_at IS NULL ORDER BY landing_id"
            ).fetchall()
        wanted: set[str] = set()
        missing: dict[str, bool] = {}
        for landing_id, region in rows:
            if region not in regions:
                continue
            name = f"landing/{region}/{landing_id}.landing"
            wanted.add(name)
            try:
                fd = self._zones[region].open_fd(landing_id)
            except LandingNotFoundError:
                if self._is_waiting(landing_id, region):
                    missing[f"{region}/landing/{landing_id}"] = True
                continue
            with os.fdopen(fd, "rb") as file:
                writing.add_log(name, file)
        return wanted, missing

    def _is_waiting(self, landing_id: str, region: str) -> bool:
        """Say whether something received still waits in that log, which ought to be there then."""
        waits = (UPLOADS.c.landing_id == landing_id, UPLOADS.c.region == region, UPLOADS.c.state == UploadState.LANDED)
        with self._database.read() as connection:
            return connection.execute(select(UPLOADS.c.id).where(*waits)).first() is not None

    def _retired(self) -> set[tuple[str, str]]:
        """Return regions and names of the regions' keys that were retired."""
        retired = select(DESTROYED_KEYS.c.region, DESTROYED_KEYS.c.name).where(DESTROYED_KEYS.c.kind == "key")
        with self._database.read() as connection:
            return {(row.region, row.name) for row in connection.execute(retired)}

    def _check_keys(self, before: set[tuple[str, str]]) -> None:
        """See that no region's key was retired since *before* was: what is in the backup may be wrapped under it.

        Raises:
            BackupError: one was; the keyrings in this backup do not have it.
        """
        if gone := self._retired() - before:
            region, name = min(gone)
            raise BackupError(f"the key {name} of {region!r} was retired while the backup was made: make it again")

    def _belongings(self, writing: Collected) -> None:
        """Copy what the server is known by, its configuration, and keyrings as they are: sealed."""
        config = self._config
        for directory in dict.fromkeys((config.credentials, config.sftp.host_keys)):
            for path in sorted(directory.glob("*")) if directory.is_dir() else ():
                if path.is_file() and (directory == config.credentials or path.name.startswith("ssh_host_")):
                    writing.add_file(f"credentials/{path.name}", path)
        writing.add_file(CONFIGURATION, self._config_path)
        if (config.data / "node").exists():
            writing.add_file("node", config.data / "node")
        for name, region in config.regions.items():
            for label, path in (("keyring", region.keyring.path), ("destroyed-keys", region.keys.ledger)):
                if path.exists():
                    writing.add_file(f"regions/{name}/{label}", path)


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other backups out of *directory* within the block.

    Raises:
        BackupError: one is being made there.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"another backup is being made in {directory}") from error
        yield
    finally:
        os.close(descriptor)


def _is_full(error: BaseException) -> bool:
    """Say whether it was for want of room."""
    if isinstance(error, sqlite3.DatabaseError):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def _secrets(value: object) -> Iterator[str]:
    """Yield the files that a configuration names and no backup holds: passphrases, secrets, certificates, terms."""
    if isinstance(value, Path):
        if value.is_file() and value.suffix != ".db":
            yield str(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.name not in {"ledger", "catalog"} and not (
                field.name == "path" and type(value).__name__ == "KeyringConfig"
            ):
                yield from _secrets(getattr(value, field.name))
    elif isinstance(value, dict):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from _secrets(each)
