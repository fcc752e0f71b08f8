"""One attempt to deliver: a POST to an address that was judged, over verified TLS, without redirects, within bounds."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import httpcore

from casemap.deadline import Deadline
from mft.webhooks.addresses import Network, PinnedBackend
from mft.webhooks.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read; what it says is of no interest."""
_GONE = 410
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)
_LONGEST_RETRY_AFTER = 86400.0


class GoneError(DeliveryError):
    """The receiver says that it will never again take anything (410)."""


class Poster:
    """Makes attempts. Safe to use from many threads; every attempt has a connection of its own."""

    def __init__(
        self,
        *,
        allowed: Sequence[Network] = (),
        ca_file: Path | None = None,
        timeout: float = 15.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Give up an attempt after *timeout* seconds; *allowed* may be called besides public addresses.

        Raises:
            OSError: the CA file cannot be read.
        """
        self._allowed = tuple(allowed)
        self._timeout = timeout
        self._deadline = Deadline(monotonic)
        self._tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Deliver *body*; return the status, from 200 to 299.

        Raises:
            DeliveryError: any other end; ForbiddenAddressError and GoneError say more.
        """
        try:
            with self._deadline.after(self._timeout):
                return self._send(url, headers, body)
        except DeliveryError:
            raise
        except _FAILURES as error:
            raise DeliveryError(_described(error)) from error

    def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{parts.query}" if parts.query else "")
        given: list[tuple[bytes | str, bytes | str]] = [
            ("Host", parts.netloc.encode("idna")),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            ("User-Agent", "mft-webhooks"),
            *headers.items(),
        ]
        where = httpcore.URL(
            scheme=parts.scheme.encode(), host=host.encode("idna"), port=port, target=target.encode("ascii")
        )
        backend = PinnedBackend(self._deadline, self._allowed, plain_http=parts.scheme == "http")
        each = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout)
        with (
            httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend, max_connections=1) as pool,
            pool.stream("POST", where, headers=given, content=body, extensions={"timeout": each}) as response,
        ):
            read = 0
            for piece in response.iter_stream():
                read += len(piece)
                if read > MOST_ANSWER:
                    break
            return _judged(response.status, {name.lower(): value for name, value in response.headers})


def _judged(status: int, headers: Mapping[bytes, bytes]) -> int:
    if 200 <= status < 300:
        return status
    if status == _GONE:
        raise GoneError("the receiver answers 410: it takes nothing any more", status=status)
    if 300 <= status < 400:
        raise DeliveryError(f"the receiver redirects ({status}); give its real address", status=status)
    wait = headers.get(b"retry-after", b"")
    seconds = min(float(wait), _LONGEST_RETRY_AFTER) if wait.isdigit() and len(wait) < 9 else None
    raise DeliveryError(f"the receiver answers {status}", status=status, retry_after=seconds)


def _described(error: BaseException) -> str:
    if isinstance(error, httpcore.TimeoutException | TimeoutError):
        return "the receiver did not answer in time"
    cause: BaseException | None = error
    while cause is not None:  # the library raises its own `from None`: what it met is its context
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or 'the handshake failed'}"
        cause = cause.__context__
    if isinstance(error, httpcore.ConnectError):
        return "no connection could be made"
    return f"the connection failed ({type(error).__name__})"
