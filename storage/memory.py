"""A store in memory, for tests and trials."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from storage.errors import ObjectExistsError, ObjectNotFoundError
from storage.partial import MemoryPartial
from storage.store import Chunk, StoredObject, check_name, check_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class MemoryReader:
    """An open object of a `MemoryStore`; it keeps what it opened."""

    def __init__(self, data: bytes) -> None:
        """Read *data*."""
        self._data = data

    @property
    def size(self) -> int:
        """Bytes as stored."""
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*."""
        return self._data[offset : offset + length]

    def read_immediate(self, into: memoryview, offset: int) -> bool:
        """Fill *into* with the bytes at *offset*, if there are as many."""
        found = self._data[offset : offset + len(into)]
        if len(found) == len(into):
            into[:] = found
        return len(found) == len(into)

    def close(self) -> None:
        """Do nothing."""


class MemoryStore:
    """An `ObjectStore` that lasts as long as its process."""

    def __init__(self) -> None:
        """Begin empty."""
        self._objects: dict[str, bytes] = {}
        self._parts: dict[str, bytearray] = {}
        self._lock = threading.Lock()

    def put(self, name: str, chunks: Iterable[Chunk], *, replace: bool = False) -> StoredObject:
        """Store the concatenation of *chunks*, whole or not at all."""
        check_name(name)
        data = bytearray()
        for chunk in chunks:
            data += chunk
        with self._lock:
            if name in self._objects and not replace:
                raise ObjectExistsError(f"{name} is stored already")
            self._objects[name] = bytes(data)
        return StoredObject(name=name, size=len(data))

    def resume(self, name: str) -> MemoryPartial:
        """Return what there is of a copy that was cut short; see `storage.partial`."""
        with self._lock:
            part = self._parts.setdefault(check_name(name), bytearray())

        def finish(data: bytes) -> StoredObject:
            with self._lock:
                self._parts.pop(name, None)
            return self.put(name, [data])

        return MemoryPartial(part, finish)

    def open(self, name: str) -> MemoryReader:
        """Open an object for reading."""
        return MemoryReader(self._find(name))

    def stat(self, name: str) -> StoredObject:
        """Describe an object."""
        return StoredObject(name=name, size=len(self._find(name)))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with *prefix*, in order."""
        check_prefix(prefix)
        with self._lock:
            found = [StoredObject(name=n, size=len(d)) for n, d in self._objects.items() if n.startswith(prefix)]
        yield from sorted(found, key=lambda stored: stored.name)

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        with self._lock:
            self._objects.pop(check_name(name), None)
            self._parts.pop(name, None)

    def _find(self, name: str) -> bytes:
        with self._lock:
            try:
                return self._objects[check_name(name)]
            except KeyError:
                raise ObjectNotFoundError(f"{name} is not stored here") from None
