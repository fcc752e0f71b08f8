"""Chunks of any length, put together into parts of one length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import ObjectTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.store import Chunk

MOST_PARTS = 10_000
"""Of one multipart upload (Amazon's documentation, "Multipart upload limits")."""


class Parts:
    """An iterator of parts, each *part_bytes* long but for the last; none holds memory of the source."""

    def __init__(self, chunks: Iterable[Chunk], part_bytes: int) -> None:
        """Take from *chunks* what a part needs, when it is asked for."""
        self._chunks: Iterator[Chunk] = iter(chunks)
        self._part_bytes = part_bytes
        self._pending = bytearray()
        self._count = 0
        self.size = 0
        """Bytes handed out."""
        self.ended = False
        """Whether the source has come to its end and all of it was handed out."""
        self.failure: BaseException | None = None
        """What the source raised."""

    def __iter__(self) -> Parts:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next part.

        Raises:
            ObjectTooLargeError: there are more than `MOST_PARTS`.
        """
        if self.ended:
            raise StopIteration
        try:
            part = self._fill()
        except BaseException as error:
            self.failure = error
            raise
        self.size += len(part)
        if not part:
            raise StopIteration
        return part

    def _fill(self) -> bytes:
        while len(self._pending) < self._part_bytes:
            chunk = next(self._chunks, None)
            if chunk is None:
                self.ended = True
                break
            self._pending += chunk
        self._count += 1
        if self._count > MOST_PARTS:
            raise ObjectTooLargeError(
                f"more than {MOST_PARTS} parts of {self._part_bytes} bytes: a larger part_size is needed"
            )
        part = bytes(memoryview(self._pending)[: self._part_bytes])
        del self._pending[: self._part_bytes]
        if self._pending:
            self.ended = False  # the source is at its end, and some of it is still here
        return part
