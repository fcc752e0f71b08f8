"""The registry as a case system: what the cache in front of every lookup asks."""

from __future__ import annotations

import contextlib
import functools
import json
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, literal_column, select

from casemap.errors import (
    CaseNotFoundError,
    CursorError,
    CustomerNotFoundError,
    LookupUnavailableError,
    PrincipalNotFoundError,
)
from casemap.lookup import (
    DEFAULT_LIMIT,
    FolderPage,
    Page,
    check_page,
    customer_asked,
    login_asked,
    number_asked,
)
from casemap.model import CaseState, parse_case
from mft.catalog.database import fetched, paged
from mft.catalog.errors import CatalogError
from mft.catalog.model import REGISTRY_CASES, REGISTRY_CUSTOMERS
from mft.registry.cases import found_case
from mft.registry.customers import found_customer
from mft.registry.entry import customer_entry
from mft.registry.errors import NoSuchCaseError, NoSuchCustomerError, PlaceError
from mft.registry.place import page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row

    from casemap.model import Case, Customer, Principal
    from mft.catalog.database import Database


FOLDERS = 512
"""Rows of a page of folders."""


class RegistryLookup:
    """A `CaseLookup` over the registry. It knows no logins: local accounts are asked before it."""

    def __init__(self, database: Database) -> None:
        """Read from *database*."""
        self._database = database

    def principal(self, login: str) -> Principal:
        """Find nobody (see `CaseLookup`): who logs in are the local accounts."""
        login_asked(login)
        raise PrincipalNotFoundError("the registry holds no logins; make a local account (mft user add)")

    def case(self, number: str) -> Case:
        """Return the case (see `CaseLookup`)."""
        asked = number_asked(number)
        try:
            with self._reading() as connection:
                return found_case(connection, asked).case
        except NoSuchCaseError as error:
            raise CaseNotFoundError("no such case") from error

    def customer(self, customer: str) -> Customer:
        """Return the customer (see `CaseLookup`)."""
        asked = customer_asked(customer)
        try:
            with self._reading() as connection:
                return found_customer(connection, asked).customer
        except NoSuchCustomerError as error:
            raise CustomerNotFoundError("no such customer") from error

    def cases(
        self,
        customer: str | None,
        *,
        state: CaseState | None = CaseState.OPEN,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Case]:
        """Return a page of cases by number (see `CaseLookup`)."""
        check_page(cursor, limit)
        query = select(REGISTRY_CASES.c.document, REGISTRY_CASES.c.number)
        if customer is not None:
            query = query.where(REGISTRY_CASES.c.customer == self.customer(customer).id)
        if state is not None:
            query = query.where(REGISTRY_CASES.c.state == state.value)
        column = REGISTRY_CASES.c.number
        with self._reading() as connection, _places():
            return page_of(connection, query, column, _listed, after=cursor, limit=limit)

    def folders(self, customer: str | None, *, cursor: str | None = None) -> FolderPage:
        """Return a page of folders (see `casemap.lookup.FolderLists`), made when the cases were written."""
        check_page(cursor, FOLDERS)
        bound: dict[str, object] = {"last": cursor or "", "size": FOLDERS + 1}
        if customer is not None:
            bound["customer"] = self.customer(customer).id if cursor is None else customer_asked(customer)
        with self._reading() as connection:
            rows = fetched(connection, _folders_text(of_one=customer is not None), bound)
        return FolderPage(rows[:FOLDERS], rows[FOLDERS - 1][0] if len(rows) > FOLDERS else None)

    def customers(self, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Customer]:
        """Return a page of customers by id (see `CaseLookup`)."""
        check_page(cursor, limit)
        query, column = select(REGISTRY_CUSTOMERS), REGISTRY_CUSTOMERS.c.id
        with self._reading() as connection, _places():
            return page_of(
                connection, query, column, lambda row: customer_entry(row).customer, after=cursor, limit=limit
            )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._database.read() as connection:
                yield connection
        except CatalogError as error:
            raise LookupUnavailableError("the catalog cannot be read now", retry_after=1.0) from error


@functools.cache
def _folders_text(*, of_one: bool) -> str:
    """Return the statement for a page of folders, of one customer's cases or of all."""
    table = REGISTRY_CASES.c
    wanted = (table.state == literal_column(f"'{CaseState.OPEN.value}'"), table.number > bindparam("last"))
    query = select(table.number, table.folder, table.opened_at, table.traits).where(*wanted)
    if of_one:
        query = query.where(table.customer == bindparam("customer"))
    return paged(query.order_by(table.number))


def _listed(row: Row[tuple[object, ...]]) -> Case:
    return parse_case(json.loads(str(row[0])))


@contextlib.contextmanager
def _places() -> Iterator[None]:
    try:
        yield
    except PlaceError as error:
        raise CursorError(str(error)) from error
