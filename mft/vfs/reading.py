"""Open files: of the sealed store, of the landing zone (to its sender alone), and of documents made on the spot."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mft.faults import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from protocols.filesystem import Entry


class Readable(Protocol):
    """What storage gives to read from."""

    def read(self, offset: int, n: int, /) -> bytes:
        """Return up to *n* bytes at *offset*."""

    def close(self) -> None:
        """Let go of it."""


@runtime_checkable
class ReadableAtOnce(Protocol):
    """What some of storage gives besides."""

    def read_immediate(self, offset: int, length: int, /) -> Sequence[memoryview] | None:
        """Return bytes that are in memory, in memory that the next call uses again; None where it would wait."""


class Standing(Protocol):
    """A right that is asked about again and again while a handle is open (`mft.cases.Lease`)."""

    def check(self) -> None:
        """Return if it still stands, or raise."""

    @property
    def is_fresh(self) -> bool:
        """Whether `check` would return at once, without asking anybody."""


class SealedFile:
    """The `ReadHandle` on sealed bytes: asks on every turn whether access still stands."""

    def __init__(self, *, entry: Entry, source: Readable, lease: Standing, released: Callable[[], None]) -> None:
        """Read from *source*; *released* is called once, when the handle is closed."""
        self._entry = entry
        self._source = source
        self._read_immediate = source.read_immediate if isinstance(source, ReadableAtOnce) else None
        self._lease = lease
        self._released = released
        self._lock = threading.Lock()
        self._closed = False

    @property
    def entry(self) -> Entry:
        """What `stat` said when it was opened."""
        return self._entry

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*."""
        self._lease.check()
        with translated():
            return self._source.read(offset, length)

    def read_immediate(self, offset: int, length: int) -> Sequence[memoryview] | None:
        """Return the same in pieces where neither the right nor the bytes have to be waited for; else None."""
        if self._closed or self._read_immediate is None or not self._lease.is_fresh:
            return None
        return self._read_immediate(offset, length)

    def close(self) -> None:
        """Let go of it. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._source.close()
        self._released()


class DocumentFile:
    """The `ReadHandle` on a document that was made when it was opened."""

    def __init__(self, *, entry: Entry, content: bytes, lease: Standing) -> None:
        """Read *content*."""
        self._entry = entry
        self._content = content
        self._lease = lease

    @property
    def entry(self) -> Entry:
        """What `stat` said when it was opened."""
        return self._entry

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*."""
        self._lease.check()
        return self._content[offset : offset + length]

    def close(self) -> None:
        """Nothing is held."""
