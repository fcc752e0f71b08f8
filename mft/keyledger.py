"""Keys that were destroyed: rows of the catalog first, then lines in their region's ledger.

The row is written in the transaction that takes the key away, so that neither is without the other; the line is added
after it, again and again until it is there. What stands in the ledger is refused by the key agent from then on, and by
whoever restores a backup of the time before (`storage.keys.ledger`).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as insert_or_nothing

from mft.catalog.model import DESTROYED_KEYS
from storage.errors import KeyringError, StorageError
from storage.keys.ledger import DestroyedKey, DestroyedKeys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from mft.catalog.database import Database
    from mft.config.model import Config

log = logging.getLogger(__name__)
_PAGE = 1000


def note_destroyed(
    connection: Connection, region: str, name: str, *, why: str, kind: str = "scope", at: float | None = None
) -> None:
    """Write down, in the transaction that takes it away, that the key of a scope in *region* is gone.

    *why* goes into a file that is handed around: a destruction's id or a word, no name of a customer or file.
    """
    connection.execute(
        insert_or_nothing(DESTROYED_KEYS)
        .values(region=region, kind=kind, name=name, why=why, at=time.time() if at is None else at)
        .on_conflict_do_nothing()
    )


class KeyLedgers:
    """The ledgers of all regions, as files."""

    def __init__(self, database: Database, ledgers: Mapping[str, DestroyedKeys]) -> None:
        """Add to *ledgers* (by region) what *database* has."""
        self._database = database
        self._ledgers = ledgers
        self._done = 0
        self._guard = threading.Lock()

    @classmethod
    def of(cls, config: Config, database: Database) -> KeyLedgers:
        """Make those of a configuration."""
        return cls(
            database,
            {name: DestroyedKeys(region.keys.ledger, name) for name, region in config.regions.items()},
        )

    def write(self) -> bool:
        """Add to the ledgers what they do not have yet; say whether all of it is there now. Never raises."""
        with self._guard:
            try:
                self._write()
            except StorageError as error:
                log.error("keys.ledger_not_written", extra={"why": str(error)})  # noqa: TRY400 - its text says it
                return False
            return True

    def _write(self) -> None:
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    select(DESTROYED_KEYS)
                    .where(DESTROYED_KEYS.c.id > self._done)
                    .order_by(DESTROYED_KEYS.c.id)
                    .limit(_PAGE)
                ).all()
            if not rows:
                return
            for region in dict.fromkeys(row.region for row in rows):
                if region not in self._ledgers:
                    continue  # a region that the configuration no longer has
                self._ledgers[region].add(
                    DestroyedKey(kind=row.kind, name=row.name, why=row.why) for row in rows if row.region == region
                )
            self._done = rows[-1].id


def read_ledger(path: Path) -> tuple[dict[str, str], ...]:
    """Return the lines of a ledger file that was kept elsewhere, of whichever region.

    Raises:
        KeyringError: it is not there, is none, or was altered.
    """
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline() or b"{}")
        region = str(first["region"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeyringError(f"{path} is no ledger of destroyed keys") from error
    return DestroyedKeys(path, region).entries()
