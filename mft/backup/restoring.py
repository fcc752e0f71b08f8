"""A server made from a backup, in empty directories.

The catalog comes last, under its name only when all else is in place: a restore that was cut short has no catalog, and
begins anew. Objects and keyrings that are in place already are left there: they outlive a catalog.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from mft.audit import SYSTEM, AuditTrail
from mft.backup.destroyed import Gone, destroy_again, parse_destroyed
from mft.backup.document import check_file, check_signature, read_document, read_files
from mft.backup.errors import AlteredBackupError, TargetNotEmptyError
from mft.backup.wrappedkeys import put_keys
from mft.backup.writing import CATALOG, KEYS
from mft.catalog.database import Database
from mft.catalog.model import TOKENS
from mft.catalog.schema import upgrade
from mft.credentials import load_receipt_key
from mft.signers import head_signer
from storage.durable import sync_directory, write_file
from storage.errors import ObjectExistsError
from storage.keys.ledger import DestroyedKeys
from storage.landing.zone import make_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from mft.config.model import Config
    from storage.store import ObjectStore

MARK = "restoring"
"""A file below `data` that says which backup is being restored: until it is gone nothing may be served."""
_PIECE = 2**20
_OF_REGIONS = "regions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came of a restore."""

    name: str
    made_at: str
    objects: int
    """Files of objects that were put into stores."""
    ended: tuple[str, ...]
    """Cases that were destroyed after the backup, and are so again."""
    tokens: int
    """Tokens that are good again, whatever happened to them after the backup."""
    needs: tuple[str, ...]
    """Files that the configuration of then named and that no backup holds."""


class Restore:
    """Puts one backup in place."""

    def __init__(self, backup: Path, config: Config, stores: Mapping[str, ObjectStore]) -> None:
        """Restore the backup in the directory *backup* to where *config* says that things lie."""
        self._backup = backup
        self._config = config
        self._stores = stores
        self._document = read_document(backup)
        self._files = read_files(backup)

    @property
    def has_objects(self) -> bool:
        """Whether the backup holds what is stored."""
        return self._document.get("objects") is True

    def check(self, public_key: Ed25519PublicKey | None = None) -> None:
        """See that every file is what was written, by a server of *public_key*, or of the key in the backup itself.

        Raises:
            AlteredBackupError: something is not.
        """
        if public_key is None:
            public_key = load_receipt_key(self._backup / "credentials").public_key()
        check_signature(self._backup, public_key)
        for each in self._files.values():
            check_file(self._backup, each)
        for needed in (CATALOG, KEYS):
            if needed not in self._files:
                raise AlteredBackupError(f"{self._backup} has no {needed}")

    def check_target(self) -> None:
        """See that there is nothing where things would go; what regions hold may be there.

        Raises:
            TargetNotEmptyError: there is.
        """
        data, mark = self._config.data, self._config.data / MARK
        if mark.exists():
            if mark.read_text(encoding="utf-8").strip() == self._document.get("name"):
                return  # the same restore, cut short
            raise TargetNotEmptyError(f"{mark}: another backup was being restored; empty {data} first")
        if self._config.catalog.path.exists():
            raise TargetNotEmptyError(f"{self._config.catalog.path} is there: a restore never overwrites a catalog")
        kept = [self._config.regions[name] for name in self._config.regions]
        allowed = {region.store.path for region in kept} | {region.landing for region in kept}
        allowed |= {region.keyring.path for region in kept} | {region.keys.ledger for region in kept}
        for path in _files_below(data, allowed):
            raise TargetNotEmptyError(f"{path} is there: restore into an empty data directory, or move it away")

    def run(
        self, *, destroyed: Iterable[Path] = (), end_tokens: bool = False, by: str, clock: float | None = None
    ) -> Restored:
        """Put everything in place; *destroyed* are further ledgers and certificates of what was destroyed.

        Raises:
            AlteredBackupError, TargetNotEmptyError: as `check` and `check_target` say; call them first.
        """
        now = time.time() if clock is None else clock
        gone = [each for path in destroyed for each in parse_destroyed(path)]
        data = self._config.data
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(data / MARK, f"{self._document['name']}\n".encode(), replace=True)
        self._belongings()
        gone = self._ledgers(gone)
        objects = self._objects() + self._landing()
        ended, tokens = self._catalog(gone, end_tokens=end_tokens, by=by, now=now)
        (data / MARK).unlink()
        sync_directory(data)
        needs = self._document.get("needs")
        return Restored(
            name=str(self._document["name"]),
            made_at=str(self._document["made_at"]),
            objects=objects,
            ended=tuple(ended),
            tokens=tokens,
            needs=tuple(map(str, needs)) if isinstance(needs, list) else (),
        )

    def _belongings(self) -> None:
        config = self._config
        places = {"node": config.data / "node"}
        for path in self._files:
            if path.startswith("credentials/"):
                name = path.removeprefix("credentials/")
                home = config.sftp.host_keys if name.startswith("ssh_host_") else config.credentials
                places[path] = home / name
        for name, region in config.regions.items():
            places[f"regions/{name}/keyring"] = region.keyring.path
        for path, target in places.items():
            if path not in self._files or (path.endswith("/keyring") and target.exists()):
                continue
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_file(target, (self._backup / path).read_bytes(), replace=True)

    def _ledgers(self, gone: list[Gone]) -> list[Gone]:
        """Bring together what every ledger knows, and write it where the key agent looks; return all of it."""
        found = list(gone)
        for name, region in self._config.regions.items():
            if f"regions/{name}/destroyed-keys" in self._files:
                found += parse_destroyed(self._backup / f"regions/{name}/destroyed-keys")
            if region.keys.ledger.exists():
                found += parse_destroyed(region.keys.ledger)
        for name, region in self._config.regions.items():
            here = [each.entry() for each in found if each.region == name]
            if here:
                region.keys.ledger.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                DestroyedKeys(region.keys.ledger, name).add(here)
        return found

    def _objects(self) -> int:
        """Put bodies into every region that has a slot of them, then the slots."""
        count = 0
        for path in self._files:
            kind, _, rest = path.partition("/")
            region, _, slot = rest.partition("/")
            if kind != "objects" or not slot.startswith("slots/") or region not in self._stores:
                continue
            body = slot.replace("slots/", "bodies/", 1)
            if f"objects/{body}" not in self._files:
                continue
            for name, source in ((body, f"objects/{body}"), (slot, path)):
                with contextlib.suppress(ObjectExistsError):
                    self._stores[region].put(name, _pieces(self._backup / source))
                    count += 1
        return count

    def _landing(self) -> int:
        count = 0
        for each in self._config.regions.values():
            make_zone(each.landing)
        for path in self._files:
            kind, _, rest = path.partition("/")
            region, _, name = rest.partition("/")
            if kind != "landing" or region not in self._config.regions:
                continue
            target = self._config.regions[region].landing / name
            if not target.exists():
                _copy(self._backup / path, target)
                count += 1
        return count

    def _catalog(self, gone: list[Gone], *, end_tokens: bool, by: str, now: float) -> tuple[list[str], int]:
        path = self._config.catalog.path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        work = path.with_name(f".{path.name}.restoring")
        for left in path.parent.glob(f"{work.name}*"):
            left.unlink()
        _copy(self._backup / CATALOG, work)
        with contextlib.closing(sqlite3.connect(work)) as connection, (self._backup / KEYS).open() as lines:
            put_keys(connection, lines)
            connection.commit()
        upgrade(work)
        key = load_receipt_key(self._config.credentials)
        trail = AuditTrail(sign=head_signer(key), host="restore")
        database = Database(work)
        try:
            with database.write() as connection_:
                ended = destroy_again(connection_, trail, gone, by=by, now=now)
                live = TOKENS.c.revoked_at.is_(None) & (TOKENS.c.expires_at.is_(None) | (TOKENS.c.expires_at > now))
                tokens = int(connection_.execute(select(func.count()).where(live)).scalar_one())
                if end_tokens:
                    connection_.execute(update(TOKENS).where(live).values(revoked_at=now))
                trail.append(
                    connection_,
                    SYSTEM,
                    "installation.restored",
                    by=by,
                    name=self._document["name"],
                    made_at=self._document["made_at"],
                    ended=len(ended),
                    tokens=0 if end_tokens else tokens,
                )
            database.truncate_journal()
        finally:
            database.close()
        with contextlib.closing(sqlite3.connect(work)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        work.replace(path)
        sync_directory(path.parent)
        return ended, 0 if end_tokens else tokens


def configuration_of(backup: Path) -> bytes:
    """Return the configuration that a backup was made with."""
    return (backup / "config.yaml").read_bytes()


def elsewhere(config: Config, data: Path) -> Config:
    """Return *config* with everything that a restore writes below *data*: for a drill, which touches nothing else."""
    regions = {}
    for name, region in config.regions.items():
        base = data / _OF_REGIONS / name
        regions[name] = dataclasses.replace(
            region,
            landing=base / "landing",
            store=type(region.store)(path=base / "store"),
            keyring=dataclasses.replace(region.keyring, path=base / "keyring"),
            keys=dataclasses.replace(region.keys, ledger=base / "destroyed-keys"),
        )
    return dataclasses.replace(
        config,
        data=data,
        catalog=dataclasses.replace(config.catalog, path=data / "catalog.db"),
        sftp=dataclasses.replace(config.sftp, host_keys=data / "credentials"),
        https=dataclasses.replace(config.https, certificate=None, key=None),
        regions=regions,
    )


def _files_below(directory: Path, allowed: set[Path]) -> Iterator[Path]:
    """Yield what lies below a directory besides other directories, what is allowed, and a server's traces."""
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        if path in allowed:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files_below(path, allowed)
        else:
            yield path


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file, target.open("wb") as copy:
        os.fchmod(copy.fileno(), 0o600)
        shutil.copyfileobj(file, copy, _PIECE)
        copy.flush()
        os.fsync(copy.fileno())
