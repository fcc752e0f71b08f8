"""The declarative adapter: a `CaseLookup` over whatever HTTP API a case system has."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypeVar

from casemap.declarative.credentials import AuthSettings, make_credentials
from casemap.declarative.dialect import LISTS, QUESTIONS, Dialect, Paging, Request
from casemap.declarative.question import Question
from casemap.declarative.record import RecordMap, found_record, is_true
from casemap.declarative.template import UnaskableError
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
from casemap.lookup import (
    DEFAULT_LIMIT,
    Page,
    check_page,
    customer_asked,
    is_cursor,
    login_asked,
    number_asked,
)
from casemap.model import Case, CaseState, Customer, Principal, parse_case, parse_customer, parse_principal
from casemap.wire import load_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from casemap.declarative.question import Ask

T = TypeVar("T", Principal, Case, Customer)
_KNOWN = {
    "principal": frozenset(each.name for each in fields(Principal)),
    "case": frozenset(each.name for each in fields(Case)),
    "customer": frozenset(each.name for each in fields(Customer)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclarativeSettings:
    """Where the case system is, who we are there, and how it is spoken to."""

    exchange: ExchangeSettings
    auth: AuthSettings = field(default_factory=AuthSettings)
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class _Told:
    """An answer, with those of the requests before it."""

    document: object
    before: Mapping[str, object]

    def joined(self, record: Mapping[str, object]) -> dict[str, object]:
        return {**record, **self.before}


class DeclarativeLookup:
    """A `CaseLookup` by templates and expressions. Safe to use from many threads; make it after forking; `close` it."""

    def __init__(
        self,
        settings: DeclarativeSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        observe: Callable[[Exchanged], None] | None = None,
    ) -> None:
        """Read the dialect and make the pool of connections; none is opened yet. *observe* is told of each exchange.

        Raises:
            LookupSettingsError: something in the dialect or the credentials cannot be.
        """
        dialect = settings.dialect
        self._questions: dict[str, Question] = {}
        self._maps: dict[str, RecordMap] = {}
        for kind in QUESTIONS:
            request = dialect.requests.get(kind, Request())
            if not request.path and kind == "all_cases":
                continue
            record = LISTS.get(kind, kind)
            own = dialect.requests.get(record, Request())
            if kind in LISTS:  # a list's items are the same records, unless it says otherwise
                request = _with_record(request, own)
            self._questions[kind] = Question(request, kind, f"requests.{kind}")
            self._maps[kind] = RecordMap(request, _KNOWN[record], f"requests.{kind}")
        self._headers = dict(dialect.headers)
        self._exchange = Exchange(settings.exchange, monotonic=monotonic, observe=observe)
        self._credentials, self._token_exchange = make_credentials(
            settings.auth, settings.exchange, lambda there: Exchange(there, monotonic=monotonic, observe=observe)
        )

    def close(self) -> None:
        """Close all connections."""
        self._exchange.close()
        if self._token_exchange is not None:
            self._token_exchange.close()

    def principal(self, login: str) -> Principal:
        """Ask for a login (see `CaseLookup`)."""
        asked = login_asked(login)
        missing = lambda: PrincipalNotFoundError("no such login")  # noqa: E731  made anew each time it is raised
        found = self._record("principal", {"login": asked}, missing, parse_principal)
        return _fitting(found, found.login, asked, missing)

    def case(self, number: str) -> Case:
        """Ask for a case (see `CaseLookup`)."""
        asked = number_asked(number)
        missing = lambda: CaseNotFoundError("no such case")  # noqa: E731  as above
        found = self._record("case", {"number": asked}, missing, parse_case)
        return _fitting(found, found.number, asked, missing)

    def customer(self, customer: str) -> Customer:
        """Ask for a customer (see `CaseLookup`)."""
        asked = customer_asked(customer)
        missing = lambda: CustomerNotFoundError("no such customer")  # noqa: E731  as above
        found = self._record("customer", {"customer": asked}, missing, parse_customer)
        return _fitting(found, found.id, asked, missing)

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
        kind = "all_cases" if customer is None and "all_cases" in self._questions else "cases"
        values: dict[str, str] = {} if customer is None else {"customer": customer_asked(customer)}
        if state is not None:
            values["state"] = self._questions[kind].states.get(state.value, state.value)
        page = self._list(kind, values, parse_case, name=lambda case: case.number, cursor=cursor, limit=limit)
        if customer is not None and cursor is None and not page.items:
            self.customer(customer)  # a search finds nothing of nobody: say that there is nobody
        for case in page.items:
            if customer is not None and case.customer != customer:
                raise LookupAnswerError("the list of a customer's cases holds a case of another customer")
        kept = tuple(case for case in page.items if state is None or case.state is state)
        return Page(items=kept, next_cursor=page.next_cursor)

    def customers(self, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Customer]:
        """Ask for a page of customers (see `CaseLookup`)."""
        check_page(cursor, limit)
        return self._list("customers", {}, parse_customer, name=lambda each: each.id, cursor=cursor, limit=limit)

    # -- asking ----------------------------------------------------------------------------------------------------

    def _record(
        self,
        kind: str,
        values: Mapping[str, str],
        missing: Callable[[], CaseMapError],
        parse: Callable[[object], T],
    ) -> T:
        question, records = self._questions[kind], self._maps[kind]
        told = self._ask(question, values, missing)
        (asked,) = values.values()
        record = told.joined(found_record(told.document, question, asked, missing))
        if not records.holds(record):
            raise missing()
        return _contract(lambda: parse(records.made_of(record)))

    def _list(
        self,
        kind: str,
        values: Mapping[str, str],
        parse: Callable[[object], T],
        *,
        name: Callable[[T], str],
        cursor: str | None,
        limit: int,
    ) -> Page[T]:
        question, records = self._questions[kind], self._maps[kind]
        limit = min(limit, question.max_limit)
        place = _place(question.paging, cursor)
        missing = lambda: CustomerNotFoundError("no such customer")  # noqa: E731  made anew each time it is raised
        told = self._ask(question, {**values, **place, "limit": str(limit)}, missing)
        items = question.items.of(told.document)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise LookupAnswerError("the case system's answer holds no list of records where one was expected")
        if len(items) > limit:
            raise LookupAnswerError(f"the page has {len(items)} items; {limit} were asked for")
        held = [record for record in (told.joined(item) for item in items) if records.holds(record)]
        parsed = tuple(_contract(functools.partial(parse, records.made_of(record))) for record in held)
        if len({name(each) for each in parsed}) != len(parsed):
            raise LookupAnswerError("the list holds a record twice")
        following = self._next(kind, told, items, cursor, limit)
        return Page(items=parsed, next_cursor=following)

    def _next(
        self, kind: str, told: _Told, items: list[dict[str, object]], cursor: str | None, limit: int
    ) -> str | None:
        question = self._questions[kind]
        if question.paging is Paging.NONE:
            return None
        full = len(items) >= limit or question.paging is Paging.CURSOR
        if not (full if question.more is None else is_true(question.more.of(told.document))):
            return None
        following: object
        match question.paging:
            case Paging.OFFSET:
                following = str(int(cursor or 0) + len(items))
            case Paging.PAGE:
                following = str(int(cursor or 1) + 1)
            case Paging.KEYSET:
                key = "id" if kind == "customers" else "number"
                following = self._maps[kind].made_of(told.joined(items[-1])).get(key) if items else None
            case Paging.CURSOR:
                following = question.next.of(told.document) if question.next is not None else None
        if following is None:
            return None
        text = str(following)
        if not is_cursor(text):
            raise LookupAnswerError("the case system's place in the list is longer or other than a cursor may be")
        if text == cursor or not items:
            raise LookupAnswerError("the list runs in a circle")
        return text

    def _ask(self, question: Question, values: Mapping[str, str], missing: Callable[[], CaseMapError]) -> _Told:
        known, before = dict(values), dict[str, object]()
        try:
            with self._exchange.together():
                for name, step in question.first.items():
                    document = self._document(step, question, known, missing)
                    found = found_record(document, step, next(iter(values.values())), missing)
                    before[name] = found
                    known |= _flat(name, found)
                return _Told(self._document(question, question, known, missing), before)
        except UnaskableError:
            raise missing() from None

    def _document(
        self, ask: Ask, question: Question, values: Mapping[str, str], missing: Callable[[], CaseMapError]
    ) -> object:
        target = ask.target(self._exchange.prefix, values)
        own = {"Accept": "application/json", **self._headers, **question.headers(values)}
        shown = self._credentials.headers()
        answer = self._exchange.get(target, {**own, **shown})
        if answer.status == 401 and self._credentials.refused(shown):
            answer = self._exchange.get(target, {**own, **self._credentials.headers()})
        if answer.status == 200 and answer.is_json:
            return load_answer(answer.body)
        if answer.status == 404 and _says(question, answer):
            raise missing()
        if answer.status in {400, 404, 422} and "cursor" in values:
            raise CursorError("that is not a place in this list, or is not any more")
        if answer.status in {401, 403}:
            raise LookupUnavailableError(
                f"the case system refuses our credentials ({answer.status}); check lookup.auth and its secret"
            )
        raise unavailable(answer) or nonsense(answer)


def _with_record(request: Request, own: Request) -> Request:
    """Return *request* with the fields, values and condition of *own* where it has none."""
    return replace(
        request,
        fields=request.fields or own.fields,
        values=request.values or own.values,
        where=request.where or own.where,
    )


def _says(question: Question, answer: Answer) -> bool:
    """Say whether a 404 is the case system's own word that there is none; a bare one may come from any proxy."""
    return question.missing is not None and answer.is_json and is_true(question.missing.of(load_answer(answer.body)))


def _place(paging: Paging, cursor: str | None) -> dict[str, str]:
    """Return what the templates are given for the place in the list."""
    if paging in {Paging.OFFSET, Paging.PAGE}:
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
            raise CursorError("that is not a place in this list")
        first = "0" if paging is Paging.OFFSET else "1"
        return {paging.value: cursor or first}
    if cursor is None:
        return {}
    if paging is Paging.NONE:
        raise CursorError("that is not a place in this list")
    if paging is Paging.KEYSET:
        try:
            customer_asked(cursor)  # numbers have the same form
        except CustomerNotFoundError as error:
            raise CursorError("that is not a place in this list") from error
    return {"cursor": cursor}


def _flat(name: str, record: Mapping[str, object], depth: int = 4) -> dict[str, str]:
    """Return what templates may use of an earlier answer: its texts and numbers, by dotted names."""
    flat: dict[str, str] = {}
    for key, value in record.items():
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            flat[f"{name}.{key}"] = str(value)
        elif isinstance(value, dict) and depth:
            flat |= _flat(f"{name}.{key}", value, depth - 1)
    return flat


def _fitting(record: T, name: str, asked: str, missing: Callable[[], CaseMapError]) -> T:
    """Return the record if it is the one that was asked for.

    Many case systems compare without regard to letter case; to us another spelling is another name, of nobody.
    """
    if name == asked:
        return record
    if name.casefold() == asked.casefold():
        raise missing()
    raise LookupAnswerError("the case system answered with another record than was asked for")


def _contract(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except InvalidRecordError as error:
        raise LookupAnswerError(f"what the mapping makes of the answer breaks the contract: {error}") from error
