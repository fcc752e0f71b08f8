"""Legal holds: of a held case nothing is destroyed, whatever rule, retention or request says, until it is released."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select, update

from casemap.errors import CaseMapError, CaseNotFoundError
from mft.audit import customer_chain
from mft.catalog.model import CASES, DESTRUCTIONS, LEGAL_HOLDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Select

    from casemap.lookup import CaseLookup
    from mft.audit import AuditTrail
    from mft.catalog.database import Database

MOST_REASON = 1000


class HoldError(Exception):
    """A hold that cannot be set or released; says why, and what to do."""


class NoSuchCaseError(HoldError):
    """There is no such case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold."""

    id: int
    case: str
    reason: str
    set_by: str
    set_at: dt.datetime
    released_by: str | None
    released_at: dt.datetime | None

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "id": self.id,
            "case": self.case,
            "reason": self.reason,
            "set_by": self.set_by,
            "set_at": self.set_at.isoformat(timespec="seconds"),
            "released_by": self.released_by,
            "released_at": None if self.released_at is None else self.released_at.isoformat(timespec="seconds"),
        }


def held_cases() -> Select[tuple[int]]:
    """Return the ids of the held cases as a subquery: whatever destroys leaves these out."""
    return (
        select(CASES.c.id)
        .join(LEGAL_HOLDS, LEGAL_HOLDS.c.number == CASES.c.number)
        .where(LEGAL_HOLDS.c.released_at.is_(None))
    )


def hold_on(connection: Connection, number: str) -> Row[Any] | None:
    """Return the hold that stands on a case, or None. Ask in the transaction that destroys."""
    return connection.execute(
        select(LEGAL_HOLDS)
        .where(LEGAL_HOLDS.c.number == number, LEGAL_HOLDS.c.released_at.is_(None))
        .order_by(LEGAL_HOLDS.c.id)
        .limit(1)
    ).first()


class Holds:
    """The holds of the catalog."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        lookup: CaseLookup,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Ask *lookup* about cases that have no folder yet; *clock* is in POSIX seconds."""
        self._database = database
        self._trail = trail
        self._lookup = lookup
        self._clock = clock

    def set(self, number: str, *, reason: str, by: str) -> Hold:
        """Hold a case. One that is held already keeps its hold.

        Raises:
            HoldError: there is no such case, it is destroyed already, or no reason is given.
        """
        if not reason.strip() or len(reason) > MOST_REASON or not reason.isprintable():
            raise HoldError(f"a hold has a reason, of at most {MOST_REASON} printable characters")
        customer = self._customer_of(number)
        with self._database.write() as connection:
            # Looked at again here: a destruction that began meanwhile is over for this case, in one transaction.
            self._refuse_destroyed(connection, number)
            row = hold_on(connection, number)
            if row is None:
                made = connection.execute(
                    insert(LEGAL_HOLDS).values(number=number, reason=reason, set_by=by, set_at=self._clock())
                )
                hold_id = int(made.inserted_primary_key[0])  # type: ignore[index]  # SQLAlchemy types it as optional
                self._trail.append(
                    connection, customer_chain(customer), "hold.set", case=number, hold=hold_id, by=by, why=reason
                )
                row = connection.execute(select(LEGAL_HOLDS).where(LEGAL_HOLDS.c.id == hold_id)).one()
        return _hold(row)

    def release(self, number: str, *, reason: str, by: str) -> Hold:
        """Release the hold on a case; what is due then goes at the next round.

        Raises:
            HoldError: there is none.
        """
        if not reason.strip() or len(reason) > MOST_REASON or not reason.isprintable():
            raise HoldError(f"a release has a reason, of at most {MOST_REASON} printable characters")
        with self._database.write() as connection:
            row = hold_on(connection, number)
            if row is None:
                raise HoldError(f"there is no hold on case {number!r}; `mft hold list` shows those that there are")
            connection.execute(
                update(LEGAL_HOLDS).where(LEGAL_HOLDS.c.id == row.id).values(released_by=by, released_at=self._clock())
            )
            customer = connection.execute(select(CASES.c.customer).where(CASES.c.number == number)).scalar()
            self._trail.append(
                connection, customer_chain(customer), "hold.released", case=number, hold=row.id, by=by, why=reason
            )
            row = connection.execute(select(LEGAL_HOLDS).where(LEGAL_HOLDS.c.id == row.id)).one()
        return _hold(row)

    def list(self, *, released: bool = False) -> tuple[Hold, ...]:
        """Return the holds that stand, the oldest first; with *released* also those that were."""
        statement = select(LEGAL_HOLDS).order_by(LEGAL_HOLDS.c.id)
        if not released:
            statement = statement.where(LEGAL_HOLDS.c.released_at.is_(None))
        with self._database.read() as connection:
            return tuple(_hold(row) for row in connection.execute(statement))

    def _customer_of(self, number: str) -> str:
        with self._database.read() as connection:
            customer: str | None = connection.execute(select(CASES.c.customer).where(CASES.c.number == number)).scalar()
            if customer is not None:
                return customer
            self._refuse_destroyed(connection, number)
        try:
            return self._lookup.case(number).customer
        except CaseNotFoundError:
            raise NoSuchCaseError(
                f"there is no case {number!r}: a hold on a mistyped number would hold nothing"
            ) from None
        except CaseMapError as error:
            raise HoldError(
                f"case {number!r} has no folder here, and the case system cannot be asked: {error}"
            ) from error

    @staticmethod
    def _refuse_destroyed(connection: Connection, number: str) -> None:
        if connection.execute(select(CASES.c.id).where(CASES.c.number == number)).first() is not None:
            return
        row = connection.execute(
            select(DESTRUCTIONS).where(DESTRUCTIONS.c.number == number).order_by(DESTRUCTIONS.c.begun_at.desc())
        ).first()
        if row is not None:
            when = dt.datetime.fromtimestamp(row.begun_at, dt.UTC).isoformat(timespec="seconds")
            raise HoldError(f"the files of case {number!r} were destroyed at {when} (destruction {row.id})")


def _hold(row: Row[Any]) -> Hold:
    return Hold(
        id=row.id,
        case=row.number,
        reason=row.reason,
        set_by=row.set_by,
        set_at=dt.datetime.fromtimestamp(row.set_at, dt.UTC),
        released_by=row.released_by,
        released_at=None if row.released_at is None else dt.datetime.fromtimestamp(row.released_at, dt.UTC),
    )
