"""Files that were not let through, and the two people who decide about each: to be released as it is, or destroyed.

Neither of them is its sender. A wish is recorded, and can be changed until enough are agreed; then a row says what is
to be done, and intake does it. Every step has its event.

    QuarantineError
    ├── NotQuarantinedError   it is not there, or no longer waits for a decision
    └── VoteRefusedError      this person may not decide about it; says why
"""

from __future__ import annotations

import enum
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.dialects.sqlite import insert as upsert

from mft.audit import customer_chain
from mft.catalog.model import CASES, RELEASE_VOTES, RELEASES, UPLOADS
from mft.catalog.states import UploadState

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Row, Select

    from mft.audit import AuditTrail
    from mft.catalog.database import Database

MOST_REASON = 1000


class QuarantineError(Exception):
    """Base of what can go wrong."""


class NotQuarantinedError(QuarantineError):
    """No such file waits for a decision."""


class VoteRefusedError(QuarantineError):
    """This person may not decide about it."""


class Verdict(enum.StrEnum):
    """What a releaser wants."""

    RELEASE = "release"
    DESTROY = "destroy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one of them wants, and why."""

    login: str
    wish: Verdict
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFile:
    """One file in quarantine. Times are POSIX seconds, UTC."""

    id: str
    case: str
    customer: str
    login: str
    size: int
    sha256: str | None
    region: str
    reason: str | None
    landed_at: float
    finished_at: float
    votes: tuple[Vote, ...]
    decided: Verdict | None
    """What they have agreed on; intake carries it out."""

    @property
    def place(self) -> tuple[float, str]:
        """Where it stands in the list."""
        return self.finished_at, self.id


class Quarantine:
    """Lists what is held, and takes votes."""

    def __init__(
        self, *, database: Database, trail: AuditTrail, approvals: int, wake: Callable[[], None] = lambda: None
    ) -> None:
        """Let *approvals* people decide; call *wake* when intake has something to do."""
        self._database = database
        self._trail = trail
        self._approvals = approvals
        self._wake = wake

    @property
    def approvals(self) -> int:
        """How many must agree."""
        return self._approvals

    def page(
        self, *, case: str | None = None, after: tuple[float, str] | None = None, limit: int = 100
    ) -> tuple[HeldFile, ...]:
        """Return up to *limit* held files that come after a place, the longest held first; those of one case or all."""
        statement = _held().order_by(UPLOADS.c.finished_at, UPLOADS.c.id).limit(limit)
        if case is not None:
            statement = statement.where(CASES.c.number == case)
        if after is not None:
            statement = statement.where(tuple_(UPLOADS.c.finished_at, UPLOADS.c.id) > after)
        with self._database.read() as connection:
            return tuple(_file(connection, row) for row in connection.execute(statement).all())

    def find(self, upload_id: str) -> HeldFile:
        """Return one.

        Raises:
            NotQuarantinedError: it is not there, or not any more.
        """
        with self._database.read() as connection:
            return self._find(connection, upload_id)

    def vote(self, upload_id: str, wish: Verdict, *, login: str, reason: str) -> HeldFile:
        """Record what *login*, who holds the releaser role and may enter the case, wants; decide if enough agree.

        Raises:
            NotQuarantinedError: it is not there, or is decided.
            VoteRefusedError: *login* sent it, or gave no reason.
        """
        if not reason.strip() or len(reason) > MOST_REASON:
            raise VoteRefusedError(f"say why, in at most {MOST_REASON} characters: it is kept in the audit")
        now = time.time()
        with self._database.write() as connection:
            held = self._find(connection, upload_id)
            if held.decided is not None:
                raise NotQuarantinedError(f"it is decided: {held.decided.value}; that is being carried out")
            if held.login == login:
                raise VoteRefusedError("who sent a file does not decide about it")
            vote = {"wish": wish.value, "reason": reason, "at": now}
            connection.execute(
                upsert(RELEASE_VOTES)
                .values(upload_id=upload_id, login=login, **vote)
                .on_conflict_do_update(index_elements=["upload_id", "login"], set_=vote)
            )
            chain = customer_chain(held.customer)
            details = {"upload": upload_id, "case": held.case}
            self._trail.append(
                connection, chain, "quarantine.voted", login=login, wish=wish.value, why=reason, **details
            )
            agreed = [each for each in _votes(connection, upload_id) if each.wish is wish]
            if len(agreed) >= self._approvals:
                voters = sorted(each.login for each in agreed)
                connection.execute(
                    insert(RELEASES).values(
                        upload_id=upload_id, wish=wish.value, voters=json.dumps(voters), reason=reason, decided_at=now
                    )
                )
                alone = True if self._approvals == 1 else None
                self._trail.append(
                    connection, chain, "quarantine.decided", wish=wish.value, voters=voters, alone=alone, **details
                )
            found = self._find(connection, upload_id)
        if found.decided is not None:
            self._wake()
        return found

    def _find(self, connection: Connection, upload_id: str) -> HeldFile:
        row = connection.execute(_held().where(UPLOADS.c.id == upload_id)).first()
        if row is None:
            raise NotQuarantinedError("no such file waits in quarantine")
        return _file(connection, row)


def forget_decision(connection: Connection, upload_id: str) -> None:
    """Take back a decision that could not be carried out: they may decide anew."""
    connection.execute(delete(RELEASES).where(RELEASES.c.upload_id == upload_id))
    connection.execute(delete(RELEASE_VOTES).where(RELEASE_VOTES.c.upload_id == upload_id))


def _held() -> Select[Any]:
    return (
        select(UPLOADS, CASES.c.number, CASES.c.customer, RELEASES.c.wish)
        .join(CASES, CASES.c.id == UPLOADS.c.case_id)
        .outerjoin(RELEASES, RELEASES.c.upload_id == UPLOADS.c.id)
        .where(UPLOADS.c.state == UploadState.QUARANTINED)
    )


def _votes(connection: Connection, upload_id: str) -> tuple[Vote, ...]:
    rows = connection.execute(
        select(RELEASE_VOTES).where(RELEASE_VOTES.c.upload_id == upload_id).order_by(RELEASE_VOTES.c.at)
    )
    return tuple(Vote(login=row.login, wish=Verdict(row.wish), reason=row.reason, at=row.at) for row in rows)


def _file(connection: Connection, row: Row[Any]) -> HeldFile:
    return HeldFile(
        id=row.id,
        case=row.number,
        customer=row.customer,
        login=row.login,
        size=row.size,
        sha256=row.sha256,
        region=row.region,
        reason=row.reason,
        landed_at=row.landed_at,
        finished_at=row.finished_at,
        votes=_votes(connection, row.id),
        decided=None if row.wish is None else Verdict(row.wish),
    )
