"""Principals, customers and cases from a table that somebody wrote: no case system needed.

The table is what YAML or JSON gives: three lists of the contract's records, under `customers`, `principals`, `cases`.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from itertools import product
from typing import TYPE_CHECKING, TypeVar

from casemap.errors import (
    CaseNotFoundError,
    CursorError,
    CustomerNotFoundError,
    InvalidRecordError,
    PrincipalNotFoundError,
)
from casemap.lookup import DEFAULT_LIMIT, Page, check_page, customer_asked, login_asked, number_asked
from casemap.model import Case, CaseState, Customer, Principal, parse_case, parse_customer, parse_principal
from casemap.record import Record, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
_LISTS = frozenset({"customers", "principals", "cases"})


class StaticLookup:
    """A `CaseLookup` over a table in memory. It never changes: to change the table, make another."""

    def __init__(self, table: Mapping[str, object], *, at: str = "") -> None:
        """Check *table*, found at path *at*, as a whole.

        Raises:
            InvalidRecordError: something in it is wrong, unknown, there twice, or points nowhere; names the path.
        """
        root = Record(table, at)
        root.refuse_others(_LISTS)
        self._customers = _load(root, table, "customers", parse_customer, lambda customer: customer.id)
        self._principals = _load(root, table, "principals", parse_principal, lambda principal: principal.login)
        self._cases = _load(root, table, "cases", parse_case, lambda case: case.number)
        owners = [(f"principals[{n}]", each.customer) for n, each in enumerate(self._principals.values())]
        owners += [(f"cases[{n}]", each.customer) for n, each in enumerate(self._cases.values())]
        for where, owner in owners:
            if owner is not None and owner not in self._customers:
                raise InvalidRecordError(root.path(f"{where}.customer"), f"{owner!r} is not one of the customers")
        self._ids = sorted(self._customers)
        self._numbers: dict[tuple[str | None, CaseState | None], list[str]] = {}
        for number in sorted(self._cases):
            case = self._cases[number]
            for customer, state in product((None, case.customer), (None, case.state)):
                self._numbers.setdefault((customer, state), []).append(number)

    def principal(self, login: str) -> Principal:
        """Look a login up (see `CaseLookup`)."""
        found = self._principals.get(login_asked(login))
        if found is None:
            raise PrincipalNotFoundError("no such login")
        return found

    def case(self, number: str) -> Case:
        """Look a case up (see `CaseLookup`)."""
        found = self._cases.get(number_asked(number))
        if found is None:
            raise CaseNotFoundError("no such case")
        return found

    def customer(self, customer: str) -> Customer:
        """Look a customer up (see `CaseLookup`)."""
        found = self._customers.get(customer_asked(customer))
        if found is None:
            raise CustomerNotFoundError("no such customer")
        return found

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
        owner = None if customer is None else self.customer(customer).id
        return _page(self._numbers.get((owner, state), []), self._cases, cursor, limit)

    def customers(self, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Customer]:
        """Return a page of customers by id (see `CaseLookup`)."""
        check_page(cursor, limit)
        return _page(self._ids, self._customers, cursor, limit)


def _load(
    root: Record, table: Mapping[str, object], name: str, parse: Callable[..., T], key: Callable[[T], str]
) -> dict[str, T]:
    rows = table.get(name)
    if not isinstance(rows, (list, type(None))):
        raise InvalidRecordError(root.path(name), f"must be a list, is {kind_of(rows)}")
    loaded: dict[str, T] = {}
    alike: dict[str, int] = {}
    for index, row in enumerate(rows or ()):
        at = root.path(f"{name}[{index}]")
        record = parse(row, at=at, strict=True)
        # Two logins or numbers that a person, a mail system or a Windows share would take for one are a trap.
        form = unicodedata.normalize("NFKC", key(record)).casefold()
        if form in alike:
            raise InvalidRecordError(at, f"has the same name as {root.path(f'{name}[{alike[form]}]')}")
        alike[form] = index
        loaded[key(record)] = record
    return loaded


def _page(names: list[str], records: dict[str, T], cursor: str | None, limit: int) -> Page[T]:
    """Return what follows the record that *cursor* names."""
    if cursor is not None and cursor not in records:
        raise CursorError("that is not a place in this list")
    start = 0 if cursor is None else bisect_right(names, cursor)
    chosen = names[start : start + limit]
    more = start + limit < len(names)
    return Page(items=tuple(records[name] for name in chosen), next_cursor=chosen[-1] if more else None)
