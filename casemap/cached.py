"""A `CaseLookup` that remembers another's answers, bounded in time, in size, and in how long an error may be hidden."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from casemap.breaker import Breaker
from casemap.errors import RecordNotFoundError
from casemap.lookup import (
    DEFAULT_LIMIT,
    FolderLists,
    FolderPage,
    Page,
    check_page,
    customer_asked,
    login_asked,
    number_asked,
)
from casemap.model import Case, CaseState, Customer, Principal
from casemap.shelf import Lifetimes, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemap.identifier import CaseNumber, CustomerId, Login
    from casemap.lookup import CaseLookup

_CaseList = tuple[str | None, CaseState | None, str | None, int]
_CustomerList = tuple[str | None, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """How long what the case system said is believed. Times in seconds."""

    ttl: float = 15.0
    negative_ttl: float = 5.0
    """For "there is no such login, case or customer"."""
    stale_if_error: float = 30.0
    """After *ttl*, and only while the case system does not answer at all; nonsense is never papered over."""
    revocation_bound: float = 60.0
    """Within this, a change that nobody announced takes effect, whatever happens."""
    capacity: int = 20_000
    """Records of each kind that are held."""
    breaker_failures: int = 5
    """So many calls in a row without an answer, and we stop asking for *breaker_rest*."""
    breaker_rest: float = 10.0
    wait: float = 15.0
    """How long a call waits for another that has asked the same."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ValueError: with a reason that may be shown.
        """
        if min(self.ttl, self.negative_ttl, self.stale_if_error) < 0 or min(self.breaker_rest, self.wait) <= 0:
            raise ValueError("times must not be negative; breaker_rest and wait must be above zero")
        if self.ttl + self.stale_if_error > self.revocation_bound or self.negative_ttl > self.revocation_bound:
            raise ValueError("ttl + stale_if_error, and negative_ttl, must not be longer than revocation_bound")
        if min(self.capacity, self.breaker_failures) < 1:
            raise ValueError("capacity and breaker_failures must be at least 1")


class CachedLookup:
    """Remembers what *inner* answers. Safe to use from many threads, who then ask once together."""

    def __init__(
        self, inner: CaseLookup, settings: CacheSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Wrap *inner*; *clock* is monotonic, in seconds."""
        self._inner = inner
        self._breaker = Breaker(failures=settings.breaker_failures, rest=settings.breaker_rest, clock=clock)
        lifetimes = Lifetimes(
            ttl=settings.ttl,
            negative_ttl=settings.negative_ttl,
            stale_if_error=settings.stale_if_error,
            wait=settings.wait,
        )
        capacity, breaker = settings.capacity, self._breaker
        self._principals: Shelf[Login, Principal] = Shelf(lifetimes, breaker=breaker, clock=clock, capacity=capacity)
        self._cases: Shelf[CaseNumber, Case] = Shelf(lifetimes, breaker=breaker, clock=clock, capacity=capacity)
        self._customers: Shelf[CustomerId, Customer] = Shelf(lifetimes, breaker=breaker, clock=clock, capacity=capacity)
        self._case_lists: Shelf[_CaseList, Page[Case]] = Shelf(
            lifetimes, breaker=breaker, clock=clock, capacity=capacity, weigh=_weigh
        )
        self._customer_lists: Shelf[_CustomerList, Page[Customer]] = Shelf(
            lifetimes, breaker=breaker, clock=clock, capacity=capacity, weigh=_weigh
        )

    def principal(self, login: str) -> Principal:
        """Return who *login* is (see `CaseLookup`)."""
        asked = login_asked(login)
        return self._principals.get(asked, lambda: self._inner.principal(asked))

    def case(self, number: str) -> Case:
        """Return the case (see `CaseLookup`)."""
        asked = number_asked(number)
        return self._cases.get(asked, lambda: self._inner.case(asked))

    def customer(self, customer: str) -> Customer:
        """Return the customer (see `CaseLookup`)."""
        asked = customer_asked(customer)
        return self._customers.get(asked, lambda: self._inner.customer(asked))

    def cases(
        self,
        customer: str | None,
        *,
        state: CaseState | None = CaseState.OPEN,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Case]:
        """Return a page of cases (see `CaseLookup`)."""
        check_page(cursor, limit)
        asked = None if customer is None else customer_asked(customer)
        return self._case_lists.get(
            (asked, state, cursor, limit),
            lambda: self._inner.cases(asked, state=state, cursor=cursor, limit=limit),
        )

    def customers(self, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Customer]:
        """Return a page of customers (see `CaseLookup`)."""
        check_page(cursor, limit)
        return self._customer_lists.get((cursor, limit), lambda: self._inner.customers(cursor=cursor, limit=limit))

    def folders(self, customer: str | None, *, cursor: str | None = None) -> FolderPage | None:
        """Return a page of folders (see `FolderLists`): asked for anew each time, and not remembered."""
        return self._inner.folders(customer, cursor=cursor) if isinstance(self._inner, FolderLists) else None

    def forget_principal(self, login: str) -> None:
        """Ask anew about *login* from now on."""
        with suppress(RecordNotFoundError):
            self._principals.forget(login_asked(login))

    def forget_case(self, number: str) -> None:
        """Ask anew about the case, and about every list of cases: it may have entered or left any."""
        with suppress(RecordNotFoundError):
            self._cases.forget(number_asked(number))
        self._case_lists.clear()

    def forget_customer(self, customer: str) -> None:
        """Ask anew about the customer, the list of customers and every list of cases."""
        with suppress(RecordNotFoundError):
            self._customers.forget(customer_asked(customer))
        self._customer_lists.clear()
        self._case_lists.clear()

    def forget_everything(self) -> None:
        """Ask anew about all."""
        for shelf in (self._principals, self._cases, self._customers, self._case_lists, self._customer_lists):
            shelf.clear()

    @property
    def is_cut_off(self) -> bool:
        """Whether the breaker is open: the case system did not answer several times in a row."""
        return self._breaker.is_open

    def tallies(self) -> dict[str, dict[str, int]]:
        """Return, for each kind of question, what the cache did: hits, negative_hits, misses, joined, stale."""
        return {
            "principal": asdict(self._principals.tally),
            "case": asdict(self._cases.tally),
            "customer": asdict(self._customers.tally),
            "cases": asdict(self._case_lists.tally),
            "customers": asdict(self._customer_lists.tally),
        }


def _weigh(page: Page[Case] | Page[Customer]) -> int:
    return 1 + len(page.items)
