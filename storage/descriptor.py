"""An open file that several threads read and write at offsets, and that one of them may close at any moment.

A bare descriptor number is not safe for that: closed in one thread, the kernel gives the number to the next file, and
another thread's read, already under way, would land there.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from storage.cached import CachedReads
from storage.durable import pread_all, pwrite_all

if TYPE_CHECKING:
    from collections.abc import Callable


class Descriptor:
    """A file descriptor that closes once its last call under way has returned."""

    def __init__(self, fd: int) -> None:
        """Own *fd* from now on."""
        self._fd = fd
        self._cached = CachedReads()
        self._lock = threading.Lock()
        self._users = 1
        self._closed = False

    def __del__(self) -> None:
        """Close what its owner forgot."""
        self.close()

    def pread(self, length: int, offset: int) -> bytes:
        """Return up to *length* bytes at *offset*; fewer only where the file ends."""
        fd = self._enter()
        try:
            return pread_all(fd, length, offset)
        finally:
            self._leave()

    def read_cached(self, into: memoryview, offset: int) -> bool:
        """Fill *into* with the bytes at *offset* if no disk has to be waited for; see `CachedReads`."""
        fd = self._enter()
        try:
            return self._cached.read(fd, into, offset)
        finally:
            self._leave()

    def will_need(self, offset: int, length: int) -> None:
        """Tell the operating system that *length* bytes at *offset* will be read soon."""
        fd = self._enter()
        try:
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_WILLNEED)
        finally:
            self._leave()

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write all of *data* at *offset*."""
        fd = self._enter()
        try:
            pwrite_all(fd, data, offset)
        finally:
            self._leave()

    def call(self, function: Callable[[int], object]) -> None:
        """Call *function* with the number, which it may use until it returns."""
        fd = self._enter()
        try:
            function(fd)
        finally:
            self._leave()

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        fd = self._enter()
        try:
            return os.fstat(fd).st_size
        finally:
            self._leave()

    def close(self) -> None:
        """Close it as soon as no call is under way; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._leave()

    def _enter(self) -> int:
        with self._lock:
            if self._closed:
                raise ValueError("the file is closed")
            self._users += 1
            return self._fd

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
        os.close(self._fd)
