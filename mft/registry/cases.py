"""The registry's cases. A number is given once: cases are closed, never removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from casemap.lookup import DEFAULT_LIMIT, Page
from casemap.model import CaseState
from mft.catalog.model import REGISTRY_CASES
from mft.registry.customers import found_customer
from mft.registry.entry import (
    CaseEntry,
    Document,
    case_entry,
    changed_fields,
    checked_case,
    likeness,
    listed,
    merged,
    utc,
    written,
)
from mft.registry.errors import (
    CaseExistsError,
    EntryChangedError,
    InvalidEntryError,
    NoSuchCaseError,
)
from mft.registry.place import page_of
from mft.revocation import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from casemap.model import Case
    from mft.registry.journal import Journal

_TABLE = REGISTRY_CASES
_TIMES = ("opened", "closed")


class CaseRegister:
    """The cases. *by* says who makes a change, for the audit."""

    def __init__(self, journal: Journal) -> None:
        """Write through *journal*."""
        self._journal = journal

    def get(self, number: str) -> CaseEntry:
        """Return the case of that number.

        Raises:
            NoSuchCaseError: there is none.
        """
        with self._journal.database.read() as connection:
            return found_case(connection, number)

    def list(
        self,
        *,
        customer: str | None = None,
        state: CaseState | None = None,
        after: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[CaseEntry]:
        """Return up to *limit* cases whose numbers come after *after*, by number.

        Raises:
            PlaceError: *after* cannot be a number.
        """
        query = select(_TABLE)
        if customer is not None:
            query = query.where(_TABLE.c.customer == customer)
        if state is not None:
            query = query.where(_TABLE.c.state == state.value)
        with self._journal.database.read() as connection:
            return page_of(connection, query, _TABLE.c.number, case_entry, after=after, limit=limit)

    def open(self, record: Mapping[str, object], *, by: str) -> CaseEntry:
        """Open a case: *record* is the lookup contract's, `number` and `customer` at least; it opens now.

        Raises:
            InvalidEntryError: it cannot be like that.
            NoSuchCustomerError: nobody is its customer.
            CaseExistsError: there is one, open or closed, whose number is, or looks like, that one.
        """
        for field in ("state", *_TIMES):
            if record.get(field) not in {None, CaseState.OPEN.value}:
                raise InvalidEntryError(field, "is set when a case is opened or closed, not by whoever does it")
        now = self._journal.clock()
        filled = {**record, "state": CaseState.OPEN.value, "opened": utc(now), "closed": None}
        case, document = checked_case(filled, self._journal.regions)
        with self._journal.database.write() as connection:
            found_customer(connection, case.customer)
            alike = _TABLE.c.likeness == likeness(case.number)
            other = connection.execute(select(_TABLE.c.number).where(alike)).scalar()
            if other is not None:
                raise CaseExistsError(f"there is a case {other} already; a number is given once")
            connection.execute(
                insert(_TABLE).values(
                    number=case.number,
                    likeness=likeness(case.number),
                    customer=case.customer,
                    state=case.state.value,
                    document=written(document),
                    **listed(case),
                    revision=1,
                    created_at=now,
                    updated_at=now,
                )
            )
            self._record(connection, "case.opened", case, by=by)
        return CaseEntry(case=case, record=document, revision=1, created=utc(now), updated=utc(now))

    def change(self, number: str, changes: Mapping[str, object], *, by: str, revision: int | None = None) -> CaseEntry:
        """Change some fields of a case (null takes one away); number, customer and times stay; see also `close`.

        A changed `state` is a closing or reopening.

        Raises:
            NoSuchCaseError: there is none.
            InvalidEntryError: it cannot become like that.
            EntryChangedError: it is not at *revision* any more.
        """
        with self._journal.database.write() as connection:
            old = found_case(connection, number)
            if revision is not None and revision != old.revision:
                raise EntryChangedError(f"the case {number} was changed meanwhile; read it again")
            document = merged(old.record, changes, fixed=("number", "customer", *_TIMES))
            return self._write(connection, old, document, by=by, why=None)

    def close(self, number: str, *, by: str, why: str | None = None, revision: int | None = None) -> CaseEntry:
        """Close a case: its folders go, live sessions lose them. Closing what is closed changes nothing.

        Raises:
            NoSuchCaseError: there is none.
            EntryChangedError: it is not at *revision* any more.
        """
        return self._turn(number, CaseState.CLOSED, by=by, why=why, revision=revision)

    def reopen(self, number: str, *, by: str, why: str | None = None, revision: int | None = None) -> CaseEntry:
        """Open a closed case again; see `close`."""
        return self._turn(number, CaseState.OPEN, by=by, why=why, revision=revision)

    def _turn(self, number: str, state: CaseState, *, by: str, why: str | None, revision: int | None) -> CaseEntry:
        with self._journal.database.write() as connection:
            old = found_case(connection, number)
            if revision is not None and revision != old.revision:
                raise EntryChangedError(f"the case {number} was changed meanwhile; read it again")
            return self._write(connection, old, {**old.record, "state": state.value}, by=by, why=why)

    def _write(
        self, connection: Connection, old: CaseEntry, document: Document, *, by: str, why: str | None
    ) -> CaseEntry:
        now = self._journal.clock()
        if document.get("state") != old.record["state"]:
            closed = document.get("state") == CaseState.CLOSED.value
            document = {**document, "closed": utc(now) if closed else None}
        case, document = checked_case(document, self._journal.regions)
        changed = changed_fields(old.record, document)
        if not changed:
            return old
        connection.execute(
            update(_TABLE)
            .where(_TABLE.c.number == case.number)
            .values(
                state=case.state.value,
                document=written(document),
                **listed(case),
                revision=old.revision + 1,
                updated_at=now,
            )
        )
        event = "case.changed" if case.state is old.case.state else "case.reopened" if case.is_open else "case.closed"
        self._record(connection, event, case, by=by, why=why, changed=changed)
        return CaseEntry(case=case, record=document, revision=old.revision + 1, created=old.created, updated=utc(now))

    def _record(self, connection: Connection, event: str, case: Case, **details: object) -> None:
        # Titles are not told: they are people's words, and what is in the audit stays.
        self._journal.record(
            connection,
            event,
            (Subject.CASE, case.number),
            customer=case.customer,
            case=case.number,
            state=case.state.value,
            clearance=case.clearance,
            home=case.home_region,
            **details,
        )


def found_case(connection: Connection, number: str) -> CaseEntry:
    """Return the case of that number.

    Raises:
        NoSuchCaseError: there is none.
    """
    row = connection.execute(select(_TABLE).where(_TABLE.c.number == number)).first()
    if row is None:
        raise NoSuchCaseError(f"there is no case {number[:64]!r}")
    return case_entry(row)
