"""The byte stream of a channel in which a command was asked for: what comes in, by lines and pieces, what goes out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

_HIGH = 1 << 20
"""Bytes that wait at which the client is held back."""


class EndOfInputError(Exception):
    """The client sends no more, or is gone, or its session has ended."""


class Line(Protocol):
    """The channel below."""

    def hold(self) -> None:
        """Take no more from the client for now."""

    def go_on(self) -> None:
        """Take more."""

    def put(self, data: bytes) -> Awaitable[None]:
        """Send *data*, and return once more may be sent."""

    def complain(self, data: bytes) -> None:
        """Send *data* as an error's text."""


class Console:
    """Reads and writes on one channel."""

    def __init__(self, line: Line) -> None:
        """Begin; nothing has come."""
        self._line = line
        self._waiting = bytearray()
        self._held = False
        self._over = False
        self._came = asyncio.Event()

    # -- what the channel calls ----------------------------------------------------------------------------------------

    def feed(self, data: bytes | memoryview) -> None:
        """Take what came in."""
        if self._over:
            return
        self._waiting += data
        self._came.set()
        if len(self._waiting) > _HIGH and not self._held:
            self._held = True
            self._line.hold()

    def end(self) -> None:
        """Note that nothing comes any more."""
        self._over = True
        self._came.set()

    # -- what commands call --------------------------------------------------------------------------------------------

    async def read(self, most: int) -> bytes:
        """Return what has come, up to *most* bytes.

        Raises:
            EndOfInputError: nothing comes any more.
        """
        await self._until(1)
        return self._taken(most)

    async def read_line(self, most: int) -> bytes:
        """Return what comes up to a newline, without it.

        Raises:
            EndOfInputError: it does not come, or not within *most* bytes.
        """
        length = 0
        while (end := self._waiting.find(b"\n", length)) < 0:
            length = len(self._waiting)
            if length > most:
                break
            await self._until(length + 1)
        if not 0 <= end <= most:
            raise EndOfInputError("a line that is too long")
        return self._taken(end + 1)[:-1]

    async def write(self, data: bytes) -> None:
        """Send *data*."""
        await self._line.put(data)

    def complain(self, text: str) -> None:
        """Tell what is wrong."""
        self._line.complain(text.encode("utf-8", "replace"))

    async def _until(self, count: int) -> None:
        while len(self._waiting) < count:
            if self._over:
                raise EndOfInputError("nothing comes any more")
            self._came.clear()
            await self._came.wait()

    def _taken(self, most: int) -> bytes:
        taken = bytes(self._waiting[:most])
        del self._waiting[:most]
        if self._held and len(self._waiting) < _HIGH // 2:
            self._held = False
            self._line.go_on()
        return taken
