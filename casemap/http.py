"""The case system behind the documented HTTP contract, version 1 (`docs/integrate.md`)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode

from casemap.errors import (
    CaseMapError,
    CaseNotFoundError,
    CursorError,
    CustomerNotFoundError,
    InvalidRecordError,
    LookupAnswerError,
    LookupUnavailableError,
    PrincipalNotFoundError,
)
from casemap.exchange import Answer, Exchange, Exchanged, ExchangeSettings, nonsense, unavailable
from casemap.lookup import DEFAULT_LIMIT, Page, check_page, customer_asked, login_asked, number_asked
from casemap.model import Case, CaseState, Customer, Principal, parse_case, parse_customer, parse_principal
from casemap.signature import MIN_SECRET_BYTES, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from casemap.wire import load_answer, parse_case_page, parse_customer_page

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupSettings(ExchangeSettings):
    """Where the case system is (without `/v1`), how long we wait for it, and what requests are signed with."""

    secret: bytes = field(repr=False)
    """Shared with the case system; at least 16 bytes."""

    def __post_init__(self) -> None:
        """Refuse what cannot work or would not be safe.

        Raises:
            ValueError: with a reason that may be shown.
        """
        ExchangeSettings.__post_init__(self)
        if len(self.secret) < MIN_SECRET_BYTES:
            raise ValueError(f"secret must have at least {MIN_SECRET_BYTES} bytes")


class HttpLookup:
    """A `CaseLookup` over HTTP. Safe to use from many threads; make it after forking, and `close` it."""

    def __init__(
        self,
        settings: LookupSettings,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        observe: Callable[[Exchanged], None] | None = None,
    ) -> None:
        """Make the pool of connections; none is opened yet. *clock* is in Unix seconds.

        Raises:
            LookupSettingsError: a file of certificates cannot be used.
        """
        self._settings = settings  # not the secret itself: no `vars` or `repr` of ours shows it
        self._clock = clock
        self._exchange = Exchange(settings, monotonic=monotonic, observe=observe)

    def close(self) -> None:
        """Close all connections."""
        self._exchange.close()

    def principal(self, login: str) -> Principal:
        """Ask for a login (see `CaseLookup`)."""
        asked = login_asked(login)
        found = self._ask(f"/v1/principals/{quote(asked, safe='')}", PrincipalNotFoundError("no such login"))
        return _fitting(found, parse_principal, lambda principal: principal.login == asked)

    def case(self, number: str) -> Case:
        """Ask for a case (see `CaseLookup`)."""
        asked = number_asked(number)
        found = self._ask(f"/v1/cases/{quote(asked, safe='')}", CaseNotFoundError("no such case"))
        return _fitting(found, parse_case, lambda case: case.number == asked)

    def customer(self, customer: str) -> Customer:
        """Ask for a customer (see `CaseLookup`)."""
        asked = customer_asked(customer)
        found = self._ask(f"/v1/customers/{quote(asked, safe='')}", CustomerNotFoundError("no such customer"))
        return _fitting(found, parse_customer, lambda each: each.id == asked)

    def cases(
        self,
        customer: str | None,
        *,
        state: CaseState | None = CaseState.OPEN,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Case]:
        """Ask for a page of cases (see `CaseLookup`)."""
        check_page(cursor, limit)
        asked = None if customer is None else customer_asked(customer)
        query = {"customer": asked, "state": None if state is None else state.value, "cursor": cursor, "limit": limit}
        found = self._ask("/v1/cases", CustomerNotFoundError("no such customer"), query)
        page = _contract(lambda: parse_case_page(found, customer=asked, state=state, cursor=cursor))
        return _not_longer(page, limit)

    def customers(self, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Customer]:
        """Ask for a page of customers (see `CaseLookup`)."""
        check_page(cursor, limit)
        missing = LookupAnswerError("the case system does not know the list of customers")
        found = self._ask("/v1/customers", missing, {"cursor": cursor, "limit": limit})
        return _not_longer(_contract(lambda: parse_customer_page(found, cursor=cursor)), limit)

    def _ask(self, path: str, missing: CaseMapError, query: dict[str, str | int | None] | None = None) -> object:
        """Return the parsed answer to one question; raise *missing* if the case system knows of no such thing."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._exchange.prefix + path + (f"?{urlencode(given)}" if given else "")
        answer = self._exchange.get(target, self._headers(target))
        if answer.status == 200 and answer.is_json:
            return load_answer(answer.body)
        if answer.status == 404 and _code(answer) == "not_found":
            raise missing
        if answer.status == 400 and _code(answer) == "invalid_cursor" and "cursor" in given:
            raise CursorError("that is not a place in this list, or is not any more")
        raise _refusal(answer)

    def _headers(self, target: str) -> dict[str, str]:
        timestamp = int(self._clock())
        return {
            "Accept": "application/json",
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: sign(self._settings.secret, timestamp=timestamp, method="GET", target=target),
        }


def _fitting(found: object, parse: Callable[[object], T], fits: Callable[[T], bool]) -> T:
    """Return the record if it is the one that was asked for."""
    record = _contract(lambda: parse(found))
    if not fits(record):
        raise LookupAnswerError("the case system answered with another record than was asked for")
    return record


def _contract(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except InvalidRecordError as error:
        raise LookupAnswerError(f"the case system's answer breaks the contract: {error}") from error


def _not_longer(page: Page[T], limit: int) -> Page[T]:
    if len(page.items) > limit:
        raise LookupAnswerError(f"the page has {len(page.items)} items; {limit} were asked for")
    return page


def _code(answer: Answer) -> object:
    # A bare 404 may come from any proxy between us; only the contract's own problem document says "there is none".
    if not answer.is_json:
        return None
    problem = load_answer(answer.body)
    return problem.get("code") if isinstance(problem, dict) else None


def _refusal(answer: Answer) -> CaseMapError:
    if answer.status in {401, 403}:
        return LookupUnavailableError(
            f"the case system refuses our signature ({answer.status}); check secret and clock"
        )
    return unavailable(answer) or nonsense(answer)
