"""A deadline for a whole HTTP exchange.

Time-outs of sockets begin anew with every byte: a server that sends one byte now and then holds a thread for ever.
Every read and write of a connection is bounded here by what is left of the exchange that its thread is in.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator


class Deadline(threading.local):
    """When the exchange of the current thread must be over."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Measure with *monotonic*, in seconds."""
        self._monotonic = monotonic
        self._end: float | None = None

    @contextmanager
    def after(self, seconds: float) -> Iterator[None]:
        """Bound what this thread does inside to *seconds* in all; within another bound, to what that leaves."""
        outer, end = self._end, self._monotonic() + seconds
        self._end = end if outer is None else min(outer, end)
        try:
            yield
        finally:
            self._end = outer

    def within(self, timeout: float | None) -> float | None:
        """Return *timeout*, or what is left if that is less.

        Raises:
            httpcore.TimeoutException: nothing is left.
        """
        if self._end is None:
            return timeout
        left = self._end - self._monotonic()
        if left <= 0:
            raise httpcore.TimeoutException("the deadline has passed")
        return left if timeout is None else min(timeout, left)


class BoundedStream(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        """Bound *inner* by *deadline*."""
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read, no longer than is left."""
        return self._inner.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, no longer than is left."""
        self._inner.write(buffer, self._deadline.within(timeout))

    def close(self) -> None:
        """Close it."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Begin TLS, no longer than is left."""
        return BoundedStream(
            self._inner.start_tls(ssl_context, server_hostname, self._deadline.within(timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 (the library's signature)
        """Return what the connection knows about itself."""
        return self._inner.get_extra_info(info)


class BoundedBackend(httpcore.NetworkBackend):
    """Makes connections that end by the deadline. Name resolution is the system's and has its own time-out."""

    def __init__(self, deadline: Deadline) -> None:
        """Bound connections by *deadline*."""
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect, no longer than is left."""
        stream = self._inner.connect_tcp(host, port, self._deadline.within(timeout), local_address, socket_options)
        return BoundedStream(stream, self._deadline)
