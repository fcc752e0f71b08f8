"""A connected socket, or a pipe, read and written with one deadline for all of it.

Plain reads and writes: a process that may make no socket may still use the one that it was given.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import time

_PIECE = 64 * 1024


class WireError(Exception):
    """The other side does not answer in time, ends too early, or answers without end."""


class Wire:
    """One conversation."""

    def __init__(self, descriptor: int, *, seconds: float, most: int = 8 * 2**20) -> None:
        """Talk over *descriptor* for at most *seconds*; hold at most *most* bytes that were not asked for yet."""
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)  # `os.set_blocking` would be an ioctl
        self._descriptor = descriptor
        self._deadline = time.monotonic() + seconds
        self._most = most
        self._in = bytearray()
        self._ended = False

    def write(self, data: bytes) -> None:
        """Write *data*; take in meanwhile what the other side says already, and stop where it has answered and left.

        Raises:
            WireError: it does not take it.
        """
        view = memoryview(data)
        while view:
            if self._wait(selectors.EVENT_READ | selectors.EVENT_WRITE) & selectors.EVENT_READ and self._take():
                if not self._in:
                    raise WireError("the connection was closed while the file was sent")
                return
            try:
                view = view[os.write(self._descriptor, view[:_PIECE]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                with contextlib.suppress(WireError):
                    self._take()  # what was said before it broke
                if self._in:
                    return
                raise WireError("the connection broke while the file was sent") from error

    @property
    def answered(self) -> bool:
        """Whether the other side has said something that was not read yet."""
        return bool(self._in)

    def line(self, limit: int = 8192) -> bytes:
        """Read up to the end of a line, without it.

        Raises:
            WireError: it does not come.
        """
        return self.until(b"\n", limit).rstrip(b"\r")

    def until(self, mark: bytes, limit: int) -> bytes:
        """Read up to *mark*, without it."""
        while (at := self._in.find(mark)) < 0:
            if len(self._in) > limit:
                raise WireError("the answer has a line without end")
            self._more()
        data = bytes(self._in[:at])
        del self._in[: at + len(mark)]
        return data

    def exactly(self, size: int) -> bytes:
        """Read *size* bytes, of which there may not be many."""
        while len(self._in) < size:
            self._more()
        data = bytes(self._in[:size])
        del self._in[:size]
        return data

    def held(self) -> bytes:
        """Give what has come already and was not read yet."""
        data = bytes(self._in)
        self._in.clear()
        return data

    def some(self) -> bytes:
        """Give what has come, one byte at least.

        Raises:
            WireError: nothing comes.
        """
        while not self._in:
            self._more()
        return self.held()

    def _more(self) -> None:
        if self._ended:
            raise WireError("the connection was closed before the answer was whole")
        self._wait(selectors.EVENT_READ)
        self._take()

    def _take(self) -> bool:
        """Take in what is there; say whether the other side has ended."""
        try:
            data = os.read(self._descriptor, _PIECE)
        except BlockingIOError:
            return False
        except OSError as error:
            raise WireError("the connection broke") from error
        self._ended = not data
        self._in += data
        if len(self._in) > self._most:
            raise WireError("it answers with more than can be held while the file is still being sent")
        return self._ended

    def _wait(self, events: int) -> int:
        if self._ended:
            events &= ~selectors.EVENT_READ
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, events)
            ready = selector.select(timeout=max(0.0, self._deadline - time.monotonic()))
        if not ready:
            raise WireError("it took longer than it may")
        return ready[0][1]
