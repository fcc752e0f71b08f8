"""A copy that is not whole yet, kept beside a store until it is: what was cut short goes on where it stopped.

It lies outside the names of the store, so that nobody can take it for an object. It is bytes and nothing else: whether
they are the right ones is for whoever goes on to find out, by reading them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from storage.durable import disk_errors, pread_all, write_all
from storage.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.store import Chunk, StoredObject


class PartialObject(Protocol):
    """An object that is being written, perhaps not for the first time. For one thread."""

    @property
    def size(self) -> int:
        """Bytes that are there."""

    def append(self, data: Chunk) -> None:
        """Write behind them. What a crash leaves of it may be anything."""

    def restart(self) -> None:
        """Throw them away and begin anew."""

    def finish(self) -> StoredObject:
        """Make them the object, durably, as `ObjectStore.put` does.

        Raises:
            ObjectExistsError: the name is taken meanwhile; they are gone.
        """

    def close(self) -> None:
        """Let go, and keep what there is for the next who goes on. A second call does nothing."""


@runtime_checkable
class ReadablePartial(Protocol):
    """Optional: one whose bytes can be read before it is an object."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* of them at *offset*."""


@runtime_checkable
class ResumableStore(Protocol):
    """What some stores can do besides: go on with an object that was cut short. `delete` throws the part away too."""

    def resume(self, name: str) -> PartialObject | None:
        """Return what there is of *name*, nothing of it at first; None where it can only be put at once.

        Raises:
            ObjectExistsError: the name is taken (or `finish` says so).
            StoreUnavailableError: somebody else is writing it, or the store does not answer.
        """


def partial_path(directory: Path, name: str) -> Path:
    """Return where in *directory* the part of *name* lies."""
    return directory / f"part-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


class LocalPartial:
    """A `PartialObject` in a file, which is locked against other writers."""

    def __init__(self, path: Path, name: str, publish: Callable[[Path, str], StoredObject]) -> None:
        """Open *path*; *publish* gives the whole file the name of the object."""
        self._path = path
        self._name = name
        self._publish = publish
        self._doing = f"copying {name}"
        with disk_errors(self._doing):
            self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise StoreUnavailableError(f"somebody else is copying {name}") from error
        with disk_errors(self._doing):
            self._size = os.lseek(self._fd, 0, os.SEEK_END)

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* of them at *offset*."""
        with disk_errors(self._doing):
            return pread_all(self._open(), length, offset)

    def append(self, data: Chunk) -> None:
        """Write behind them."""
        with disk_errors(self._doing):
            write_all(self._open(), data)
        self._size += len(data)

    def restart(self) -> None:
        """Throw them away and begin anew."""
        with disk_errors(self._doing):
            os.ftruncate(self._open(), 0)
            os.lseek(self._open(), 0, os.SEEK_SET)
        self._size = 0

    def finish(self) -> StoredObject:
        """Make them the object, durably."""
        with disk_errors(self._doing):
            os.fsync(self._open())
        try:
            return self._publish(self._path, self._name)
        finally:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Let go, and keep what there is."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _open(self) -> int:
        if self._fd is None:
            raise StoreUnavailableError(f"the copy of {self._name} is closed")
        return self._fd


class MemoryPartial:
    """A `PartialObject` in memory."""

    def __init__(self, data: bytearray, finish: Callable[[bytes], StoredObject]) -> None:
        """Write into *data*; *finish* makes it an object."""
        self._data = data
        self._finish = finish

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* of them at *offset*."""
        return bytes(self._data[offset : offset + length])

    def append(self, data: Chunk) -> None:
        """Write behind them."""
        self._data += data

    def restart(self) -> None:
        """Throw them away and begin anew."""
        self._data.clear()

    def finish(self) -> StoredObject:
        """Make them the object."""
        return self._finish(bytes(self._data))

    def close(self) -> None:
        """Let go, and keep what there is."""
