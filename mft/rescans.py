"""Orders to scrub what is stored of a case once more, by the rules, terms and names of now.

What was sent is gone by then, so a rescan only tightens: it reads the scrubbed form of each version, and puts in its
place what today's rules leave of it. Nothing that was removed comes back. Files of engineers for the customer are left
alone: not a byte of those is ever altered. An order and its files are rows; the intake
process carries them out (`mft.intake.rescanning`), one file at a time, through every crash.
"""

from __future__ import annotations

import enum
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from mft.audit import customer_chain
from mft.catalog.model import CASES, RESCAN_FILES, RESCANS, UPLOADS
from mft.catalog.states import UploadState
from mft.holds import hold_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Row

    from mft.audit import AuditTrail
    from mft.catalog.database import Database

MOST_REASON = 1000


class RescanError(Exception):
    """An order that cannot be taken; says why, and what to do."""


class RescanUnknownError(RescanError):
    """There is no such case, or no such order."""


class FileState(enum.StrEnum):
    """What became of one file of an order; of a dry run, what would."""

    WAITING = "waiting"
    UNCHANGED = "unchanged"
    TIGHTENED = "tightened"
    """Something was found, and is gone."""
    QUARANTINED = "quarantined"
    """The rules of now do not let it through."""
    LEFT = "left"
    """It was left alone; `why` says why."""
    FAILED = "failed"
    """It could not be scrubbed; it is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RescannedFile:
    """One version in an order."""

    upload: str
    state: FileState
    removed: Mapping[str, int]
    """What was found anew, by rule and count."""
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescan:
    """One order. Times are POSIX seconds, UTC."""

    id: str
    case: str
    dry_run: bool
    ordered_by: str
    reason: str
    created_at: float
    finished_at: float | None
    files: tuple[RescannedFile, ...] = field(repr=False)

    @property
    def states(self) -> Mapping[str, int]:
        """How many files are in which state."""
        return dict(Counter(each.state.value for each in self.files))

    @property
    def removed(self) -> Mapping[str, int]:
        """What was found anew in all of them, by rule and count."""
        found: Counter[str] = Counter()
        for each in self.files:
            found.update(each.removed)
        return dict(sorted(found.items()))

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "id": self.id,
            "case": self.case,
            "dry_run": self.dry_run,
            "ordered_by": self.ordered_by,
            "reason": self.reason,
            "created_at": self.created_at,
            "finished_at": self.finished_at,
            "states": self.states,
            "removed": self.removed,
            "files": [
                {"upload": each.upload, "state": each.state.value, "removed": dict(each.removed), "why": each.why}
                for each in self.files
            ],
        }


class Rescans:
    """Takes orders, and says how far they have come."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Call *wake* when intake has something to do."""
        self._database = database
        self._trail = trail
        self._wake = wake
        self._clock = clock

    def order(self, number: str, *, by: str, reason: str = "", dry_run: bool = False) -> Rescan:
        """Have every stored version of a case's uploads scrubbed once more; one that is under way is gone on with.

        Raises:
            RescanUnknownError: nothing was ever received for a case of that number.
            RescanError: a legal hold stands on it, and what is replaced would be destroyed.
        """
        if len(reason) > MOST_REASON or not (reason.isprintable() or not reason):
            raise RescanError(f"a reason has at most {MOST_REASON} printable characters")
        with self._database.write() as connection:
            case = _case(connection, number)
            hold = hold_on(connection, number)
            if hold is not None and not dry_run:
                raise RescanError(
                    f"{number} is under a legal hold (hold {hold.id}, set by {hold.set_by}): a rescan destroys what it "
                    "replaces; a dry run shows what it would change"
                )
            open_one = connection.execute(
                select(RESCANS.c.id).where(
                    RESCANS.c.case_id == case.id, RESCANS.c.finished_at.is_(None), RESCANS.c.dry_run.is_(dry_run)
                )
            ).scalar()
            if open_one is not None:
                return _rescan(connection, str(open_one))
            rescan_id, now = secrets.token_hex(16), self._clock()
            stored = connection.execute(
                select(UPLOADS.c.id, UPLOADS.c.object_key)
                .where(UPLOADS.c.case_id == case.id, UPLOADS.c.state == UploadState.STORED)
                .where(UPLOADS.c.object_key.is_not(None), UPLOADS.c.zone != "download")
                .order_by(UPLOADS.c.created_at)
            ).all()
            connection.execute(
                insert(RESCANS).values(
                    id=rescan_id,
                    case_id=case.id,
                    dry_run=dry_run,
                    ordered_by=by,
                    reason=reason,
                    created_at=now,
                    finished_at=None if stored else now,
                )
            )
            if stored:
                rows = [
                    {
                        "rescan_id": rescan_id,
                        "upload_id": row.id,
                        "object_key": row.object_key,
                        "state": FileState.WAITING.value,
                        "attempts": 0,
                        "due_at": now,
                    }
                    for row in stored
                ]
                connection.execute(insert(RESCAN_FILES), rows)
            self._trail.append(
                connection,
                customer_chain(case.customer),
                "case.rescan_ordered",
                case=number,
                rescan=rescan_id,
                dry_run=dry_run or None,
                by=by,
                why=reason or None,
                files=len(stored),
            )
            found = _rescan(connection, rescan_id)
        self._wake()
        return found

    def find(self, rescan_id: str) -> Rescan:
        """Return one order.

        Raises:
            RescanUnknownError: there is none.
        """
        with self._database.read() as connection:
            return _rescan(connection, rescan_id)

    def of_case(self, number: str, *, limit: int = 20) -> tuple[Rescan, ...]:
        """Return the last orders for a case, the newest first.

        Raises:
            RescanUnknownError: nothing was ever received for a case of that number.
        """
        with self._database.read() as connection:
            case = _case(connection, number)
            wanted = select(RESCANS.c.id).where(RESCANS.c.case_id == case.id)
            ids = connection.execute(wanted.order_by(RESCANS.c.created_at.desc(), RESCANS.c.id).limit(limit)).scalars()
            return tuple(_rescan(connection, each) for each in list(ids))


def _case(connection: Connection, number: str) -> Row[Any]:
    row = connection.execute(select(CASES).where(CASES.c.number == number)).first()
    if row is None or number.startswith("~"):
        raise RescanUnknownError(f"nothing was received for a case {number!r}")
    return row


def _rescan(connection: Connection, rescan_id: str) -> Rescan:
    row = connection.execute(
        select(RESCANS, CASES.c.number).join(CASES, CASES.c.id == RESCANS.c.case_id).where(RESCANS.c.id == rescan_id)
    ).first()
    if row is None:
        raise RescanUnknownError("there is no such rescan")
    files = connection.execute(
        select(RESCAN_FILES).where(RESCAN_FILES.c.rescan_id == rescan_id).order_by(RESCAN_FILES.c.upload_id)
    )
    return Rescan(
        id=row.id,
        case=row.number,
        dry_run=row.dry_run,
        ordered_by=row.ordered_by,
        reason=row.reason,
        created_at=row.created_at,
        finished_at=row.finished_at,
        files=tuple(
            RescannedFile(
                upload=each.upload_id,
                state=FileState(each.state),
                removed=json.loads(each.removed or "{}"),
                why=each.why,
            )
            for each in files
        ),
    )
