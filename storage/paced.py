"""A store that is read no faster than somebody allows: for copies that share a line with people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from storage.store import Chunk, ObjectReader, ObjectStore, StoredObject


class PacedStore:
    """An `ObjectStore` over another; whatever is read from it waits its turn."""

    def __init__(self, inner: ObjectStore, pace: Callable[[int], None]) -> None:
        """Call *pace* with the number of bytes of each read, before they are handed out; it may sleep."""
        self._inner = inner
        self._pace = pace

    def put(self, name: str, chunks: Iterable[Chunk], *, replace: bool = False) -> StoredObject:
        """Store an object, unpaced."""
        return self._inner.put(name, chunks, replace=replace)

    def open(self, name: str) -> ObjectReader:
        """Open an object for paced reading."""
        return _PacedReader(self._inner.open(name), self._pace)

    def stat(self, name: str) -> StoredObject:
        """Describe an object."""
        return self._inner.stat(name)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with *prefix*."""
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        """Delete an object."""
        self._inner.delete(name)


class _PacedReader:
    def __init__(self, inner: ObjectReader, pace: Callable[[int], None]) -> None:
        self._inner = inner
        self._pace = pace

    @property
    def size(self) -> int:
        return self._inner.size

    def read(self, offset: int, length: int) -> bytes:
        data = self._inner.read(offset, length)
        self._pace(len(data))
        return data

    def close(self) -> None:
        self._inner.close()
