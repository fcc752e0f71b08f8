"""What every case system must do, however it is asked: checks through a `CaseLookup`, for mappings of one's own too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casemap.errors import (
    CaseNotFoundError,
    CursorError,
    CustomerNotFoundError,
    LookupAnswerError,
    PrincipalNotFoundError,
    RecordNotFoundError,
)
from casemap.kit.check import FailedError, LeftOutError, expect, run
from casemap.model import CaseState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemap.kit.check import Check, Samples
    from casemap.lookup import CaseLookup, Page
    from casemap.model import Case

NOBODY = "nobody.of-this-name-9b1f"
NO_CASE = "NONE-9b1f-0"
NO_CUSTOMER = "none-9b1f"
MOST_PAGES = 5
"""So many pages of a list are looked at."""
_SMALL = 2


def check_lookup(lookup: CaseLookup, samples: Samples) -> Iterator[Check]:
    """Yield a line for each promise about records and lists."""
    looks = _Looks(lookup, samples)
    for name, advice, look in (
        ("principal: the sample login is found", _MAPPED, looks.principal),
        ("principal: an unknown login is not found", _UNKNOWN, looks.unknown_principal),
        ("customer: the sample customer is found", _MAPPED, looks.customer),
        ("customer: an unknown customer is not found", _UNKNOWN, looks.unknown_customer),
        ("case: the sample case is found", _MAPPED, looks.case),
        ("case: an unknown case is not found", _UNKNOWN, looks.unknown_case),
        ("case: another letter case of the number is another number", _SPELLING, looks.spelled_otherwise),
        ("case: its customer is there", "answer customers/{id} for the customer of every case", looks.owner),
        ("cases: the list of a customer holds its open cases alone", _LISTS, looks.open_cases),
        ("cases: closed ones can be listed", _LISTS, looks.closed_cases),
        ("cases: pages make the list, each case once", _PAGES, looks.pages),
        ("cases: a listed case is the one that is found", "answer lists and single cases alike", looks.same_case),
        ("cases: an unknown customer has no list", _UNKNOWN, looks.list_of_nobody),
        ("cases: everybody's can be listed", _LISTS, looks.everybodys),
        ("cases: a cursor that is none is refused", _CURSOR, looks.bad_cursor),
        ("customers: pages make the list, each customer once", _PAGES, looks.customers),
    ):
        yield run(name, advice, look)


_MAPPED = "answer 200 with the record of docs/integrate.md; its field is named above"
_UNKNOWN = "say that there is none: 404 with a problem document whose code is not_found; in a mapping, see `missing`"
_SPELLING = "compare names exactly: two spellings must not be two ways into one case"
_LISTS = "honour the parameters customer and state, and list nothing else"
_PAGES = "honour limit, give next_cursor while there is more, and keep the order while somebody pages"
_CURSOR = "answer a cursor that you do not know with 400 and the code invalid_cursor"


class _Looks:
    def __init__(self, lookup: CaseLookup, samples: Samples) -> None:
        self._lookup = lookup
        self._samples = samples

    def principal(self) -> str:
        if self._samples.login is None:
            raise LeftOutError("give a login that is there with --login")
        found = self._lookup.principal(self._samples.login)
        return f"{', '.join(sorted(role.value for role in found.roles))}; {len(found.public_keys)} public keys"

    def unknown_principal(self) -> None:
        _absent(lambda: self._lookup.principal(NOBODY), PrincipalNotFoundError)

    def customer(self) -> str:
        return self._lookup.customer(self._a_customer()).name

    def unknown_customer(self) -> None:
        _absent(lambda: self._lookup.customer(NO_CUSTOMER), CustomerNotFoundError)

    def case(self) -> str:
        found = self._lookup.case(self._a_case())
        return f"{found.state.value}, of {found.customer}"

    def unknown_case(self) -> None:
        _absent(lambda: self._lookup.case(NO_CASE), CaseNotFoundError)

    def spelled_otherwise(self) -> None:
        number = self._a_case()
        other = number.swapcase()
        if other == number:
            raise LeftOutError("the sample case's number has no letters")
        try:
            self._lookup.case(other)
        except (CaseNotFoundError, LookupAnswerError):
            return
        raise FailedError(f"{other} is found, which is {number} in another letter case")

    def owner(self) -> str:
        return self._lookup.customer(self._lookup.case(self._a_case()).customer).name

    def open_cases(self) -> str:
        return self._listed(self._a_customer(), CaseState.OPEN)

    def closed_cases(self) -> str:
        return self._listed(self._a_customer(), CaseState.CLOSED)

    def everybodys(self) -> str:
        return self._listed(None, None)

    def pages(self) -> str:
        customer = self._a_customer()
        return _paged(lambda cursor: self._lookup.cases(customer, state=None, cursor=cursor, limit=_SMALL), "number")

    def customers(self) -> str:
        return _paged(lambda cursor: self._lookup.customers(cursor=cursor, limit=_SMALL), "id")

    def same_case(self) -> str:
        page = self._lookup.cases(self._a_customer(), state=None, limit=_SMALL)
        if not page.items:
            raise LeftOutError("the sample customer has no case")
        listed = page.items[0]
        expect(self._lookup.case(listed.number) == listed, f"{listed.number} differs from what the list says of it")
        return listed.number

    def list_of_nobody(self) -> None:
        _absent(lambda: self._lookup.cases(NO_CUSTOMER), CustomerNotFoundError)

    def bad_cursor(self) -> None:
        customer = self._a_customer()
        try:
            self._lookup.cases(customer, cursor="no-place!9b1f", limit=_SMALL)
        except CursorError:
            return
        raise FailedError("it is answered with a page")

    def _listed(self, customer: str | None, state: CaseState | None) -> str:
        page = self._lookup.cases(customer, state=state, limit=200)
        return f"{len(page.items)}{' and more' if page.next_cursor else ''}"

    def _a_customer(self) -> str:
        if self._samples.customer is not None:
            return self._samples.customer
        found = next(iter(self._lookup.customers(limit=_SMALL).items), None)
        if found is None:
            raise LeftOutError("there is no customer; give one with --customer")
        return found.id

    def _a_case(self) -> str:
        if self._samples.case is not None:
            return self._samples.case
        page: Page[Case] = self._lookup.cases(None, state=None, limit=_SMALL)
        if not page.items:
            raise LeftOutError("there is no case; give one with --case")
        return page.items[0].number


def _absent(ask: Callable[[], object], kind: type[RecordNotFoundError]) -> None:
    try:
        ask()
    except kind:
        return
    raise FailedError("it is answered with a record")


def _paged(ask: Callable[[str | None], Page[object]], name: str) -> str:
    seen: set[str] = set()
    cursor: str | None = None
    for number in range(1, MOST_PAGES + 1):
        page = ask(cursor)
        names = [str(getattr(item, name)) for item in page.items]
        twice = sorted(seen & {*names})
        expect(not twice, f"{', '.join(twice[:3])} comes again on page {number}")
        seen |= {*names}
        cursor = page.next_cursor
        if cursor is None:
            return f"{len(seen)} on {number} pages"
    return f"{len(seen)} on the first {MOST_PAGES} pages"
