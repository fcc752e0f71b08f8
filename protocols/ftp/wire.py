"""A connection that one thread serves: TLS or not, never waiting for longer than it was told, and woken from outside.

Sockets do not block. Whoever has to wait does so in `Watch.wait`, which also hears the control connection and other
threads; so a transfer can be aborted, and a session ended, while it waits for its client.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READ, WRITE = select.POLLIN, select.POLLOUT


class ConnectionEndedError(Exception):
    """The connection is over, without a word or by a reset; says how."""


class TooSlowError(Exception):
    """Nothing came, or nothing was taken, for too long."""


class WokenError(Exception):
    """This session must stop: another thread said so."""


class Watch:
    """Waits for one session: for its sockets, and for a word from another thread."""

    def __init__(self, must_stop: Callable[[], bool]) -> None:
        """Open what other threads wake it by; *must_stop* is asked, then, whether what waits has to end."""
        self._must_stop = must_stop
        self._lock = threading.Lock()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._open = True
        self.attend: Callable[[], None] = lambda: None
        """Called where *beside* has something to read."""
        self.beside: Wire | None = None
        """The control connection, while a transfer is under way and commands are still listened to."""

    def wake(self) -> None:
        """Have the session's thread ask whether it must stop. May be called on any thread, at any time."""
        with self._lock:
            if self._open:
                os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._open = False
            os.close(self._wake)

    def wait(self, sock: socket.socket, events: int, seconds: float) -> None:
        """Return once *sock* is ready for one of *events*.

        Raises:
            TooSlowError: it was not within *seconds*.
            WokenError: this session must stop.
        """
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TooSlowError("nothing moved for too long")
            if self._poll(sock, events, left):
                return

    def glance(self) -> None:
        """Look, without waiting, whether the control connection or another thread wants something.

        Raises:
            WokenError: this session must stop.
        """
        self._poll(None, 0, 0.0)

    def _poll(self, sock: socket.socket | None, events: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._wake, READ)
        wanted, beside = -1, self.beside
        if sock is not None:
            wanted = sock.fileno()
            poll.register(wanted, events)
        if beside is not None and beside.sock is not sock:
            poll.register(beside.sock.fileno(), READ)
        ready = False
        for descriptor, _ in poll.poll(seconds * 1000):
            if descriptor == wanted:
                ready = True
            elif descriptor == self._wake:
                os.eventfd_read(self._wake)
                if self._must_stop():
                    raise WokenError
            else:
                self.attend()
        return ready


class Wire:
    """One TCP connection, which may become a TLS connection."""

    def __init__(self, sock: socket.socket, watch: Watch) -> None:
        """Take *sock*."""
        sock.setblocking(False)
        self.sock = sock
        self.filled = 0
        """How much the last `fill` has received."""
        self._watch = watch

    @property
    def is_secure(self) -> bool:
        """Whether there is TLS around it."""
        return isinstance(self.sock, ssl.SSLSocket)

    def secure(self, wrap: Callable[[socket.socket], ssl.SSLSocket], seconds: float) -> None:
        """Put TLS around it, as the server.

        Raises:
            ConnectionEndedError: no handshake came about.
            TooSlowError, WokenError: as `Watch.wait`.
        """
        try:
            self.sock = tls = wrap(self.sock)
        except (OSError, ValueError) as error:
            raise ConnectionEndedError("the connection was lost before its TLS handshake") from error
        deadline = time.monotonic() + seconds
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._watch.wait(tls, READ, deadline - time.monotonic())
            except ssl.SSLWantWriteError:
                self._watch.wait(tls, WRITE, deadline - time.monotonic())
            except (OSError, ValueError) as error:
                raise ConnectionEndedError("there was no TLS handshake") from error
            else:
                return

    def fill(self, view: memoryview, seconds: float) -> int:
        """Receive until *view* is full or the other side has ended what it sends; return how many bytes that were.

        An end is what is meant as one: with TLS a close_notify, without it a FIN. A TLS record has 16 KiB at most and
        is received by itself: what is done with them is done for many at once.

        Raises:
            ConnectionEndedError: it was lost, or ended without close_notify; what came before is in *view*, and
            `filled` says how much.
            TooSlowError, WokenError: as `Watch.wait`, *seconds* being the longest silence.
        """
        receive, size = self.sock.recv_into, len(view)
        self.filled = 0
        while self.filled < size:
            try:
                count = receive(view[self.filled :])
            except (BlockingIOError, ssl.SSLWantReadError):
                self._watch.wait(self.sock, READ, seconds)
            except ssl.SSLWantWriteError:
                self._watch.wait(self.sock, WRITE, seconds)
            except (OSError, ValueError) as error:
                raise ConnectionEndedError(_what_happened(error)) from error
            else:
                if not count:
                    break
                self.filled += count
        return self.filled

    def receive_at_hand(self, view: memoryview) -> int | None:
        """Receive what is there already; None where that is nothing yet, 0 at the end.

        Raises:
            ConnectionEndedError: it was lost, or ended without close_notify.
        """
        try:
            return self.sock.recv_into(view)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except (OSError, ValueError) as error:
            raise ConnectionEndedError(_what_happened(error)) from error

    def await_input(self, seconds: float) -> None:
        """Wait until there may be something to receive."""
        if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
            self._watch.wait(self.sock, READ, seconds)

    def send(self, data: bytes | memoryview, seconds: float) -> None:
        """Send all of *data*; *seconds* is the longest time in which none of it is taken.

        Raises:
            ConnectionEndedError: it was lost.
            TooSlowError, WokenError: as `Watch.wait`.
        """
        give, rest = self.sock.send, memoryview(data)
        while rest:
            try:
                rest = rest[give(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._watch.wait(self.sock, WRITE, seconds)
            except ssl.SSLWantReadError:
                self._watch.wait(self.sock, READ, seconds)
            except (OSError, ValueError) as error:
                raise ConnectionEndedError(_what_happened(error)) from error

    def finish(self) -> None:
        """Say that nothing more will be sent, as far as that can be said without waiting."""
        if isinstance(self.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):  # it wants the other's word, which nobody waits for
                self.sock.unwrap()

    def close(self) -> None:
        """Close it."""
        self.sock.close()

    def reset(self) -> None:
        """Close it in a way that cannot be taken for the end of what was sent."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def _what_happened(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLEOFError):
        return "the connection ended without TLS close_notify"
    if isinstance(error, ConnectionError):
        return "the connection was reset"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    return "the connection was lost"
