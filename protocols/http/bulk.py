"""The bulk of a large body: from the TLS layer into the file, past the parser.

A parser has nothing to find in a body of known length; it only copies every byte twice, and has the loop take a turn
for each piece. So what is still to come of such a body is decrypted into one buffer, and written from there.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from protocols.filesystem import Immediate, Lends
from protocols.http.status import ProblemError, TransferCutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.aio import Crossing
    from protocols.filesystem import WriteHandle
    from protocols.http.tail import Tail


class Bulk:
    """What is still to come of one body. Everything is called on the loop."""

    def __init__(
        self, handle: WriteHandle, tail: Tail, length: int, *, crossing: Crossing, piece: int, flow: asyncio.Transport
    ) -> None:
        """Take *length* bytes behind *tail*, which has come before, and write them to *handle* in pieces of *piece*.

        *flow* is paused while a piece has to be written on a thread; one buffer is all that is ever held.
        """
        self.left = length
        """Bytes still to come."""
        self._handle = handle
        self._lend = handle.lend if isinstance(handle, Lends) else None
        self._is_immediate = handle.is_immediate if isinstance(handle, Immediate) else None
        self._tail = tail
        self._crossing = crossing
        self._flow = flow
        self._piece = min(piece, length)
        self._own: memoryview | None = None
        self._buffer = memoryview(b"")
        """Where the piece lies that is coming in, `_fill` bytes of it: in memory of the handle, or in our own."""
        self._fill = 0
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[None] = self._loop.create_future()
        self._moved = self._loop.time()
        self._writing: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Write what came before; from now on `buffer` and `take` are called for what comes."""
        if self._tail.size:
            self._write(lambda: self._tail.flush(self._handle), self._tail.offset + self._tail.size)

    def buffer(self) -> memoryview:
        """Return where the next bytes go: never more than are still to come."""
        if not self._fill:
            self._buffer = self._borrowed() or self._owned()
        return self._buffer[self._fill : self._fill + self.left]

    def take(self, count: int) -> None:
        """Take the *count* bytes that were put into `buffer`."""
        self.left -= count
        if self._end.done():  # it has failed: the rest is only let pass
            return
        self._moved = self._loop.time()
        self._fill += count
        if not self.left:
            self._end.set_result(None)
        elif self._fill == len(self._buffer):
            self._write(self._flush, self._tail.offset + self._fill)

    def fail(self, error: Exception) -> None:
        """Give it up because of *error*; what comes from now on is thrown away."""
        if not self._end.done():
            self._end.set_exception(error)

    def cut(self) -> None:
        """Give it up because the connection is gone."""
        self.fail(TransferCutError("the body broke off; what came is kept for a resume"))

    async def ended(self, patience: float) -> None:
        """Return once all of it has come; what is less than a piece is left to the tail, whatever happens.

        *patience*: the longest silence, in seconds.

        Raises:
            ProblemError: 408, the client has fallen silent.
            TransferCutError: it has broken off.
            FileSystemError: a piece was refused, and is dropped.
        """
        try:
            while not self._end.done():
                silent = 0.0 if self._writing is not None else self._loop.time() - self._moved
                if silent >= patience:
                    raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "nothing more came; what came is kept for a resume")
                await asyncio.wait([self._end], timeout=patience - silent)
            self._end.result()
        finally:
            if not self._end.cancel() and not self._end.cancelled():  # who was cancelled takes nothing more either
                self._end.exception()
            if self._writing is not None:
                await asyncio.wait([self._writing])  # the handle may not be closed under a write
            if self._fill:
                self._tail.add(bytes(self._buffer[: self._fill]))
                self._fill = 0

    def _borrowed(self) -> memoryview | None:
        discards = self._end.done()
        return None if self._lend is None or discards else self._lend(self._tail.offset)

    def _owned(self) -> memoryview:
        if self._own is None:
            self._own = memoryview(bytearray(self._piece))
        return self._own

    def _flush(self) -> None:
        """Write the buffer; what is refused is dropped."""
        filled, self._fill = self._fill, 0
        self._tail.write(self._handle, self._buffer[:filled])

    def _write(self, write: Callable[[], None], end: int) -> None:
        """Call *write*, which leads up to *end*: at once, or on a thread while nothing more is received."""
        if self._is_immediate is not None and self._is_immediate(end):
            try:
                write()
            except Exception as error:  # noqa: BLE001 -- whoever waits for the end answers it
                self.fail(error)
            return
        self._flow.pause_reading()
        self._writing = self._loop.create_task(self._cross(write))

    async def _cross(self, write: Callable[[], None]) -> None:
        try:
            await self._crossing.run(write)
        except Exception as error:  # noqa: BLE001 -- whoever waits for the end answers it
            self.fail(error)
        finally:
            self._writing = None
            self._moved = self._loop.time()
            if not self._flow.is_closing():
                self._flow.resume_reading()
