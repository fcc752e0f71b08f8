"""The case system behind the documented HTTP contract, version 1 (`docs/integrate.md`).

Whatever goes wrong becomes "no answer" or "nonsense": never an exception of a library, never a guess.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpcore

from casemap.deadline import BoundedBackend, Deadline
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
from casemap.lookup import DEFAULT_LIMIT, Page, check_page, customer_asked, login_asked, number_asked
from casemap.model import Case, CaseState, Customer, Principal, parse_case, parse_customer, parse_principal
from casemap.signature import MIN_SECRET_BYTES, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from casemap.wire import load_answer, parse_case_page, parse_customer_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)
# What an idle connection that the server has just closed looks like: the request was not looked at.
_STALE_CONNECTION = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupSettings:
    """Where the case system is and how long we wait for it. Times in seconds."""

    url: str
    """Base address, without `/v1`: `https://cases.example/mft`. Plain http only to this machine."""
    secret: bytes = field(repr=False)
    """Shared with the case system; at least 16 bytes."""
    connect_timeout: float = 2.0
    read_timeout: float = 5.0
    """Between two pieces of an answer."""
    total_timeout: float = 10.0
    """For a whole exchange."""
    max_body: int = 4 * 1024 * 1024
    """Largest answer, in bytes."""
    connections: int = 16
    """Exchanges at one time; more wait."""
    ca_file: Path | None = None
    """Certificates to trust in place of the system's."""

    def __post_init__(self) -> None:
        """Refuse what cannot work or would not be safe.

        Raises:
            ValueError: with a reason that may be shown.
        """
        parts = urlsplit(self.url)
        _ = parts.port, (parts.hostname or "").encode("idna")  # these raise ValueError themselves
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("url must be https://host[:port][/path]")
        if parts.username is not None or parts.password is not None:
            raise ValueError("url must not hold a user or password")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("url must be https:// unless the case system runs on this machine")
        if len(self.secret) < MIN_SECRET_BYTES:
            raise ValueError(f"secret must have at least {MIN_SECRET_BYTES} bytes")
        if min(self.connect_timeout, self.read_timeout, self.total_timeout, self.max_body, self.connections) <= 0:
            raise ValueError("time-outs, max_body and connections must be above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def is_json(self) -> bool:
        kind = self.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        return kind in {b"application/json", b"application/problem+json"}


class HttpLookup:
    """A `CaseLookup` over HTTP. Safe to use from many threads; make it after forking, and `close` it."""

    def __init__(
        self,
        settings: LookupSettings,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the pool of connections; none is opened yet. *clock* is in Unix seconds.

        Raises:
            OSError: the CA file cannot be read (ssl.SSLError: it holds no certificates).
        """
        parts = urlsplit(settings.url)
        self._settings = settings
        self._clock = clock
        self._scheme = parts.scheme.encode()
        self._host = (parts.hostname or "").encode("idna")
        self._port = parts.port
        self._host_header = parts.netloc.encode("idna")  # with the brackets that an IPv6 address needs there
        self._prefix = quote(parts.path.rstrip("/"), safe="/%")
        self._deadline = Deadline(monotonic)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(settings.ca_file) if parts.scheme == "https" else None,
            max_connections=settings.connections,
            max_keepalive_connections=settings.connections,
            keepalive_expiry=30.0,
            network_backend=BoundedBackend(self._deadline),
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

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
        target = self._prefix + path + (f"?{urlencode(given)}" if given else "")
        answer = self._exchange(target)
        if answer.status == 200 and answer.is_json:
            return load_answer(answer.body)
        if answer.status == 404 and _code(answer) == "not_found":
            raise missing
        if answer.status == 400 and _code(answer) == "invalid_cursor" and "cursor" in given:
            raise CursorError("that is not a place in this list, or is not any more")
        raise _refusal(answer)

    def _exchange(self, target: str) -> _Answer:
        try:
            with self._deadline.after(self._settings.total_timeout):
                try:
                    return self._send(target)
                except _STALE_CONNECTION:
                    return self._send(target)  # a GET may be sent twice
        except _FAILURES as error:
            raise LookupUnavailableError(f"the case system does not answer ({type(error).__name__})") from error

    def _send(self, target: str) -> _Answer:
        settings, timestamp = self._settings, int(self._clock())
        headers: list[tuple[bytes | str, bytes | str]] = [
            ("Host", self._host_header),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "mft"),
            (TIMESTAMP_HEADER, str(timestamp)),
            (SIGNATURE_HEADER, sign(settings.secret, timestamp=timestamp, method="GET", target=target)),
        ]
        timeout = {
            "connect": settings.connect_timeout,
            "read": settings.read_timeout,
            "write": settings.read_timeout,
            "pool": settings.total_timeout,
        }
        url = httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=target.encode("ascii"))
        with self._pool.stream("GET", url, headers=headers, extensions={"timeout": timeout}) as response:
            found = {name.lower(): value for name, value in response.headers}
            return _Answer(status=response.status, headers=found, body=self._read(response, found))

    def _read(self, response: httpcore.Response, headers: dict[bytes, bytes]) -> bytes:
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise LookupAnswerError("the case system's answer is compressed, which was not asked for")
        most, body = self._settings.max_body, bytearray()
        for piece in response.iter_stream():
            body += piece
            if len(body) > most:
                raise LookupAnswerError(f"the case system's answer is larger than {most} bytes")
        return bytes(body)


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


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


def _code(answer: _Answer) -> object:
    # A bare 404 may come from any proxy between us; only the contract's own problem document says "there is none".
    if not answer.is_json:
        return None
    problem = load_answer(answer.body)
    return problem.get("code") if isinstance(problem, dict) else None


def _refusal(answer: _Answer) -> CaseMapError:
    if answer.status in {401, 403}:
        return LookupUnavailableError(
            f"the case system refuses our signature ({answer.status}); check secret and clock"
        )
    if answer.status == 429 or answer.status >= 500:
        wait = answer.headers.get(b"retry-after", b"")
        seconds = int(wait) if wait.isdigit() and len(wait) < 6 else 5
        return LookupUnavailableError(
            f"the case system answers {answer.status}", retry_after=float(max(1, min(seconds, 300)))
        )
    if 300 <= answer.status < 400:
        return LookupAnswerError(f"the case system redirects ({answer.status}); give its real address")
    what = "something that is not JSON" if answer.status == 200 else str(answer.status)
    return LookupAnswerError(f"the case system answers {what}, outside the contract")
