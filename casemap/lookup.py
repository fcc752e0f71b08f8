"""What we ask of a case system, whichever it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from casemap.errors import (
    CaseNotFoundError,
    CursorError,
    CustomerNotFoundError,
    LookupAnswerError,
    PrincipalNotFoundError,
)
from casemap.identifier import check_case_number, check_customer_id, check_login
from casemap.model import CaseState, parse_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from casemap.identifier import CaseNumber, CustomerId, Login
    from casemap.model import Case, Customer, Principal

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

DEFAULT_LIMIT = 200
MAX_LIMIT = 1000
"""Most items on a page."""
MAX_CURSOR = 1024
"""Longest cursor, in characters (visible ASCII)."""
MAX_PAGES = 10_000
"""Where a list that never ends is taken for nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T_co]):
    """A part of a list."""

    items: tuple[T_co, ...]
    next_cursor: str | None = None
    """Where the next page begins; None: this was the last."""


class FolderPage(NamedTuple):
    """A part of such a list."""

    rows: Sequence[tuple[str, str, float, str]]
    """Of each case its number, its `casemap.names.folder_name`, when it was opened, and its `traits_of`.

    Times are POSIX seconds, 0 if nobody says. No two numbers of a list differ in letter case alone.
    """
    next_cursor: str | None


@runtime_checkable
class FolderLists(Protocol):
    """Optional: a lookup that lists the folders of open cases without making each `Case`."""

    def folders(self, customer: str | None, *, cursor: str | None = None) -> FolderPage | None:
        """Return a page of the folders of one customer's open cases, or of everybody's; None: it cannot do that.

        It is as fresh as `CaseLookup.cases`, and raises the same.
        """


class CaseLookup(Protocol):
    """Who a login is and which cases there are. Every method may block, and is safe to call from many threads.

    All raise `LookupUnavailableError` if there is no answer and `LookupAnswerError` if it is nonsense. Any text may be
    asked for: what cannot be a login or a number is not found.
    """

    def principal(self, login: str) -> Principal:
        """Return who *login* is, also if it is not active: the caller asks `Principal.is_current`.

        Raises:
            PrincipalNotFoundError: nobody.
        """

    def case(self, number: str) -> Case:
        """Return the case, open or not.

        Raises:
            CaseNotFoundError: there is none.
        """

    def customer(self, customer: str) -> Customer:
        """Return the customer.

        Raises:
            CustomerNotFoundError: there is none.
        """

    def cases(
        self,
        customer: str | None,
        *,
        state: CaseState | None = CaseState.OPEN,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Case]:
        """Return a page of one customer's cases, or with None of everybody's; *state* None: in any state.

        The order is the case system's; *limit* is 1 to `MAX_LIMIT`.

        Raises:
            CustomerNotFoundError: there is no such customer.
            CursorError: *cursor* is not one that this list gave out.
        """

    def customers(self, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Customer]:
        """Return a page of customers.

        Raises:
            CursorError: *cursor* is not one that this list gave out.
        """


def traits_of(case: Case) -> str:
    """Return what tells cases apart for whoever may enter them, besides number and state: equal texts, one answer."""
    traits = {
        "customer": case.customer,
        "kind": case.kind,
        "classification": case.classification,
        "clearance": case.clearance,
        "home_region": case.home_region,
        "regions": None if case.regions is None else sorted(case.regions),
    }
    return json.dumps({name: value for name, value in traits.items() if value is not None}, sort_keys=True)


def case_with_traits(number: str, traits: str) -> Case:
    """Return the open case of that number, of which no more is told than *traits* do."""
    return parse_case({"number": number, "state": CaseState.OPEN.value, **json.loads(traits)})


def every_case(
    lookup: CaseLookup, customer: str | None, *, state: CaseState | None = CaseState.OPEN, limit: int = MAX_LIMIT
) -> Iterator[Case]:
    """Yield every case of the list, page by page, each number once."""
    pages = _pages(lambda cursor: lookup.cases(customer, state=state, cursor=cursor, limit=limit))
    return _once(pages, lambda case: case.number)


def every_customer(lookup: CaseLookup, *, limit: int = MAX_LIMIT) -> Iterator[Customer]:
    """Yield every customer, page by page, each id once."""
    return _once(_pages(lambda cursor: lookup.customers(cursor=cursor, limit=limit)), lambda customer: customer.id)


def _pages(ask: Callable[[str | None], Page[T]]) -> Iterator[Page[T]]:
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = ask(cursor)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return
    raise LookupAnswerError(f"a list has more than {MAX_PAGES} pages")


def _once(pages: Iterator[Page[T]], name: Callable[[T], str]) -> Iterator[T]:
    # A record that moved while we were paging comes twice; that is no nonsense, two rows for it would be.
    seen: set[str] = set()
    for page in pages:
        for item in page.items:
            if name(item) not in seen:
                seen.add(name(item))
                yield item


def login_asked(login: str) -> Login:
    """Return *login* in its one form, or say that nobody has it."""
    try:
        return check_login(login)
    except ValueError as error:
        raise PrincipalNotFoundError("nobody can have that login") from error


def number_asked(number: str) -> CaseNumber:
    """Return *number* as a case number, or say that no case has it."""
    try:
        return check_case_number(number)
    except ValueError as error:
        raise CaseNotFoundError("no case can have that number") from error


def customer_asked(customer: str) -> CustomerId:
    """Return *customer* as an id, or say that no customer has it."""
    try:
        return check_customer_id(customer)
    except ValueError as error:
        raise CustomerNotFoundError("no customer can have that id") from error


def check_page(cursor: str | None, limit: int) -> None:
    """Refuse what cannot be a place in a list.

    Raises:
        CursorError: *cursor* is no visible ASCII or too long.
        ValueError: *limit* is out of range: the caller's mistake.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"a page has 1 to {MAX_LIMIT} items, not {limit}")
    if cursor is not None and not is_cursor(cursor):
        raise CursorError("that is not a place in this list")


def is_cursor(text: str) -> bool:
    """Say whether *text* has the form of a cursor."""
    return 0 < len(text) <= MAX_CURSOR and text.isascii() and text.isprintable() and " " not in text
