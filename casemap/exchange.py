"""One HTTP exchange with a case system: bounded in time and size, over verified TLS, never redirected.

Whatever goes wrong becomes "no answer" or "nonsense": never an exception of a library.
"""

from __future__ import annotations

import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import httpcore

from casemap.deadline import BoundedBackend, Deadline
from casemap.errors import LookupAnswerError, LookupSettingsError, LookupUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)
# What an idle connection that the server has just closed looks like: the request was not looked at.
_STALE_CONNECTION = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """Where a server is and how long we wait for it. Times in seconds."""

    url: str
    """Base address. Plain http only to this machine."""
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
    client_certificate: Path | None = None
    """PEM file with our certificate and its chain, for a server that asks for one (mutual TLS)."""
    client_key: Path | None = None
    """PEM file with its key; None: it is in the same file."""

    def __post_init__(self) -> None:
        """Refuse what cannot work or would not be safe.

        Raises:
            ValueError: with a reason that may be shown.
        """
        check_url(self.url)
        if min(self.connect_timeout, self.read_timeout, self.total_timeout, self.max_body, self.connections) <= 0:
            raise ValueError("time-outs, max_body and connections must be above zero")


def check_url(url: str) -> None:
    """Refuse an address that cannot be a server's, or to which secrets would go in clear.

    Raises:
        ValueError: with a reason that may be shown.
    """
    parts = urlsplit(url)
    _ = parts.port, (parts.hostname or "").encode("idna")  # these raise ValueError themselves
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("url must be https://host[:port][/path]")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not hold a user or password")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("url must be https:// unless the case system runs on this machine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[bytes, bytes]
    """Names in lower case."""
    body: bytes

    @property
    def is_json(self) -> bool:
        """Whether it says of itself that it is JSON."""
        kind = self.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What an exchange was like, for who watches: never a header, never a body."""

    method: str
    target: str
    """Path and query as they were sent."""
    status: int | None
    """None: there was no answer."""
    size: int
    """Of the answer's body, in bytes."""
    seconds: float
    failure: str | None = None


class Exchange:
    """Talks to one server. Safe to use from many threads; make it after forking, and `close` it."""

    def __init__(
        self,
        settings: ExchangeSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        observe: Callable[[Exchanged], None] | None = None,
    ) -> None:
        """Make the pool of connections; none is opened yet. *observe* is told of each exchange.

        Raises:
            LookupSettingsError: a file of certificates cannot be used.
        """
        parts = urlsplit(settings.url)
        self._settings = settings
        self._monotonic = monotonic
        self._observe = observe
        self._scheme = parts.scheme.encode()
        self._host = (parts.hostname or "").encode("idna")
        self._port = parts.port
        self._host_header = parts.netloc.encode("idna")  # with the brackets that an IPv6 address needs there
        self.prefix = quote(parts.path.rstrip("/"), safe="/%")
        """The path of the base address, without a slash at its end."""
        self._deadline = Deadline(monotonic)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(settings) if parts.scheme == "https" else None,
            max_connections=settings.connections,
            max_keepalive_connections=settings.connections,
            keepalive_expiry=30.0,
            network_backend=BoundedBackend(self._deadline),
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Bound all exchanges of this thread inside to the time that one may take."""
        with self._deadline.after(self._settings.total_timeout):
            yield

    def get(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Send a GET for *target* (path and query, percent-encoded) and return the answer, whatever its status.

        Raises:
            LookupUnavailableError: there is none in time.
            LookupAnswerError: it is compressed or too large.
        """
        return self._exchange("GET", target, headers, b"")

    def post(self, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a POST; see `get`. A POST may be sent twice, where an idle connection turns out to be closed."""
        return self._exchange("POST", target, headers, body)

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        began, answer, failure = self._monotonic(), None, None
        try:
            with self._deadline.after(self._settings.total_timeout):
                try:
                    answer = self._send(method, target, headers, body)
                except _STALE_CONNECTION:
                    answer = self._send(method, target, headers, body)
        except _FAILURES as error:
            failure = type(error).__name__
            raise LookupUnavailableError(f"the case system does not answer ({failure})") from error
        except LookupAnswerError as error:
            failure = str(error)
            raise
        finally:
            if self._observe is not None:
                self._observe(
                    Exchanged(
                        method=method,
                        target=target,
                        status=None if answer is None else answer.status,
                        size=0 if answer is None else len(answer.body),
                        seconds=self._monotonic() - began,
                        failure=failure,
                    )
                )
        return answer

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        settings = self._settings
        sent: list[tuple[bytes | str, bytes | str]] = [
            ("Host", self._host_header),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "mft"),
            *headers.items(),
        ]
        if method == "POST":
            sent.append(("Content-Length", str(len(body))))
        timeout = {
            "connect": settings.connect_timeout,
            "read": settings.read_timeout,
            "write": settings.read_timeout,
            "pool": settings.total_timeout,
        }
        url = httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=target.encode("ascii"))
        with self._pool.stream(method, url, headers=sent, content=body, extensions={"timeout": timeout}) as response:
            found = {name.lower(): value for name, value in response.headers}
            return Answer(status=response.status, headers=found, body=self._read(response, found))

    def _read(self, response: httpcore.Response, headers: Mapping[bytes, bytes]) -> bytes:
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise LookupAnswerError("the case system's answer is compressed, which was not asked for")
        most, body = self._settings.max_body, bytearray()
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced[:20]) > most:
            raise LookupAnswerError(f"the case system's answer is larger than {most} bytes")
        for piece in response.iter_stream():
            body += piece
            if len(body) > most:
                raise LookupAnswerError(f"the case system's answer is larger than {most} bytes")
        return bytes(body)


def unavailable(answer: Answer) -> LookupUnavailableError | None:
    """Return what to raise for an answer that says "not now" (429, 5xx); None if it says something else."""
    if answer.status != 429 and answer.status < 500:
        return None
    wait = answer.headers.get(b"retry-after", b"")
    seconds = int(wait) if wait.isdigit() and len(wait) < 6 else 5
    return LookupUnavailableError(
        f"the case system answers {answer.status}", retry_after=float(max(1, min(seconds, 300)))
    )


def nonsense(answer: Answer) -> LookupAnswerError:
    """Return what to raise for an answer that is no answer to the question."""
    if 300 <= answer.status < 400:
        return LookupAnswerError(f"the case system redirects ({answer.status}); give its real address")
    what = "something that is not JSON" if answer.status == 200 else str(answer.status)
    return LookupAnswerError(f"the case system answers {what}, outside the contract")


def _tls(settings: ExchangeSettings) -> ssl.SSLContext:
    ca_file, certificate, key = settings.ca_file, settings.client_certificate, settings.client_key
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise LookupSettingsError(f"{ca_file} holds no certificates that can be read") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            # An empty password: a key that is sealed must fail, not ask at a terminal that is not there.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            raise LookupSettingsError(
                f"{certificate} and {key or 'the key in it'} are not a certificate and its key without a passphrase"
            ) from error
    return context
