"""The registry's customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from casemap.lookup import DEFAULT_LIMIT, Page
from mft.catalog.model import REGISTRY_CASES, REGISTRY_CUSTOMERS
from mft.registry.entry import (
    CustomerEntry,
    changed_fields,
    checked_customer,
    customer_entry,
    likeness,
    merged,
    utc,
    written,
)
from mft.registry.errors import (
    CustomerExistsError,
    CustomerInUseError,
    EntryChangedError,
    NoSuchCustomerError,
)
from mft.registry.place import page_of
from mft.revocation import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from mft.registry.journal import Journal

_TABLE = REGISTRY_CUSTOMERS


class CustomerRegister:
    """The customers. *by* says who makes a change, for the audit."""

    def __init__(self, journal: Journal) -> None:
        """Write through *journal*."""
        self._journal = journal

    def get(self, customer: str) -> CustomerEntry:
        """Return the customer of that id.

        Raises:
            NoSuchCustomerError: there is none.
        """
        with self._journal.database.read() as connection:
            return found_customer(connection, customer)

    def list(self, *, after: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[CustomerEntry]:
        """Return up to *limit* customers whose ids come after *after*, by id.

        Raises:
            PlaceError: *after* cannot be an id.
        """
        with self._journal.database.read() as connection:
            return page_of(connection, select(_TABLE), _TABLE.c.id, customer_entry, after=after, limit=limit)

    def add(self, record: Mapping[str, object], *, by: str) -> CustomerEntry:
        """Add a customer: *record* is the lookup contract's, `id` and `name` at least.

        Raises:
            InvalidEntryError: it cannot be like that.
            CustomerExistsError: there is one whose id is, or looks like, that one.
        """
        customer, document = checked_customer(record, self._journal.regions)
        now = self._journal.clock()
        alike = _TABLE.c.likeness == likeness(customer.id)
        with self._journal.database.write() as connection:
            other = connection.execute(select(_TABLE.c.id).where(alike)).scalar()
            if other is not None:
                raise CustomerExistsError(f"there is a customer {other} already")
            connection.execute(
                insert(_TABLE).values(
                    id=customer.id,
                    likeness=likeness(customer.id),
                    document=written(document),
                    revision=1,
                    created_at=now,
                    updated_at=now,
                )
            )
            self._record(connection, "customer.added", customer.id, by=by)
        return CustomerEntry(customer=customer, record=document, revision=1, created=utc(now), updated=utc(now))

    def change(
        self, customer: str, changes: Mapping[str, object], *, by: str, revision: int | None = None
    ) -> CustomerEntry:
        """Change some fields of a customer (null takes one away); its id stays.

        Raises:
            NoSuchCustomerError: there is none.
            InvalidEntryError: it cannot become like that.
            EntryChangedError: it is not at *revision* any more.
        """
        now = self._journal.clock()
        with self._journal.database.write() as connection:
            old = found_customer(connection, customer)
            if revision is not None and revision != old.revision:
                raise EntryChangedError(f"the customer {customer} was changed meanwhile; read it again")
            merge = merged(old.record, changes, fixed=("id",))
            new, document = checked_customer(merge, self._journal.regions)
            changed = changed_fields(old.record, document)
            if not changed:
                return old
            values = {"document": written(document), "revision": old.revision + 1, "updated_at": now}
            connection.execute(update(_TABLE).where(_TABLE.c.id == new.id).values(**values))
            self._record(connection, "customer.changed", new.id, by=by, changed=changed, home=new.home_region)
        return CustomerEntry(
            customer=new, record=document, revision=old.revision + 1, created=old.created, updated=utc(now)
        )

    def remove(self, customer: str, *, by: str) -> None:
        """Remove a customer that has no case.

        Raises:
            NoSuchCustomerError: there is none.
            CustomerInUseError: it has cases, open or closed.
        """
        with self._journal.database.write() as connection:
            found = found_customer(connection, customer).customer
            owned = REGISTRY_CASES.c.customer == found.id
            if connection.execute(select(REGISTRY_CASES.c.number).where(owned).limit(1)).first() is not None:
                raise CustomerInUseError(f"the customer {found.id} has cases; what belongs to them must stay")
            connection.execute(delete(_TABLE).where(_TABLE.c.id == found.id))
            self._record(connection, "customer.removed", found.id, by=by)

    def _record(self, connection: Connection, event: str, customer: str, **details: object) -> None:
        self._journal.record(connection, event, (Subject.CUSTOMER, customer), customer=customer, id=customer, **details)


def found_customer(connection: Connection, customer: str) -> CustomerEntry:
    """Return the customer of that id.

    Raises:
        NoSuchCustomerError: there is none.
    """
    row = connection.execute(select(_TABLE).where(_TABLE.c.id == customer)).first()
    if row is None:
        raise NoSuchCustomerError(f"there is no customer {customer[:64]!r}")
    return customer_entry(row)
