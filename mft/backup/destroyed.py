"""What was destroyed since a backup was made, played again on the catalog that it holds.

Told by the ledgers of destroyed keys, which lie outside of backups, and by certificates of destruction.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, update

from mft.backup.errors import BackupError
from mft.catalog.model import CASE_KEYS, CASES, LANDING_KEYS, UPLOADS
from mft.lifecycle.destruction import end_again
from storage.keys.ledger import DestroyedKey

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sqlalchemy import Connection

    from mft.audit import AuditTrail

_CASE, _LANDING = "case:", "landing:"
_MOST_BYTES = 2**28


class Gone(NamedTuple):
    """One key that was destroyed."""

    region: str
    kind: str
    """`scope` or `key`."""
    name: str
    why: str

    def entry(self) -> DestroyedKey:
        """Return it as a ledger has it."""
        return DestroyedKey(kind=self.kind, name=self.name, why=self.why)


def parse_destroyed(path: Path) -> list[Gone]:
    """Read a file of lines: of a ledger of destroyed keys, or certificates as `mft lifecycle certificate` gives them.

    Raises:
        BackupError: a line is neither.
        OSError: it cannot be read.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise BackupError(f"{path} is too large for a ledger")
    found: list[Gone] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            if told["kind"] == "destruction":
                why = f"destruction {told['id']}"
                keys = (*told["keys"], *told.get("pseudonyms", ()))
                found += [Gone(str(each["region"]), "scope", str(each["scope"]), why) for each in keys]
            else:
                found.append(Gone(str(told["region"]), str(told["kind"]), str(told["name"]), str(told["why"])))
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError(
                f"{path}:{number}: neither a line of a ledger of destroyed keys nor a certificate of destruction"
            ) from error
    return found


def destroy_again(
    connection: Connection, trail: AuditTrail, gone: Iterable[Gone], *, by: str, now: float | None = None
) -> list[str]:
    """Take away what *gone* says is gone, in the transaction of *connection*; return the numbers of cases that ended.

    A case ends where its key at home is gone. Where another region's is, that region's copies are.
    """
    now = time.time() if now is None else now
    ended: list[str] = []
    for each in gone:
        if each.name.startswith(_LANDING):
            _end_day(connection, each.region, each.name.removeprefix(_LANDING), now)
        if not each.name.startswith(_CASE):
            continue
        case = connection.execute(select(CASES).where(CASES.c.scope == each.name.removeprefix(_CASE))).first()
        if case is None:
            continue
        connection.execute(
            update(CASE_KEYS)
            .where(CASE_KEYS.c.case_id == case.id, CASE_KEYS.c.region == each.region, CASE_KEYS.c.wrapped.is_not(None))
            .values(wrapped=None, destroyed_at=now)
        )
        if case.home_region == each.region and end_again(connection, trail, case, why=each.why, by=by, now=now):
            ended.append(case.number)
    return ended


def _end_day(connection: Connection, region: str, day: str, now: float) -> None:
    connection.execute(
        update(LANDING_KEYS)
        .where(LANDING_KEYS.c.region == region, LANDING_KEYS.c.day == day, LANDING_KEYS.c.wrapped.is_not(None))
        .values(wrapped=None, destroyed_at=now)
    )
    connection.execute(
        update(UPLOADS).where(UPLOADS.c.region == region, UPLOADS.c.landing_day == day).values(landing_envelope="")
    )
