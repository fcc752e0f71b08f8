"""Byte streams that can be looked ahead in, and the source behind them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from scrubber.errors import ScratchError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.model import Source

CHUNK = 1 << 20
_SMALL = 64 << 10
"""Less than this is asked for in larger pieces: headers would cost a call of a decoder each."""


class Stream:
    """A forward stream over *read*, which gives b"" at its end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._ahead = b""
        self._at = 0  # how much of it was given

    def peek(self, n: int) -> bytes:
        """Give up to *n* bytes without consuming them; fewer only at the end."""
        while len(self._ahead) - self._at < n:
            more = self._read(max(CHUNK, n))
            if not more:
                break
            self._ahead = self._ahead[self._at :] + more if self._at < len(self._ahead) else more
            self._at = 0
        return self._ahead[self._at : self._at + n]

    def read(self, n: int = CHUNK) -> bytes:
        """Give 1 to *n* bytes, or b"" at the end."""
        if self._at >= len(self._ahead):
            if n >= _SMALL:
                return self._read(n)
            self._ahead, self._at = self._read(CHUNK), 0
        data = self._ahead[self._at : self._at + n]
        self._at += len(data)
        return data

    def read_exactly(self, n: int) -> bytes:
        """Give *n* bytes, or what is left when that is less."""
        pieces = []
        while n > 0 and (data := self.read(n)):
            pieces.append(data)
            n -= len(data)
        return b"".join(pieces)

    def part(self, size: int) -> Stream:
        """Give a stream over the next *size* bytes of this one."""
        left = size

        def read(n: int) -> bytes:
            nonlocal left
            data = self.read(min(n, left)) if left else b""
            left -= len(data)
            return data

        return Stream(read)

    def drain(self) -> int:
        """Read to the end; give how much that was."""
        total = 0
        while data := self.read():
            total += len(data)
        return total


class HashedSource:
    """A source that hashes itself as it is read in order, and tells how far it has come."""

    def __init__(self, source: Source, progress: Callable[[int], None] | None, *, wanted: bool = True) -> None:
        """Read *source*; its digest may not be *wanted*, and is then none."""
        self._source = source
        self._progress = progress
        self._hash = hashlib.sha256()
        self._wanted = wanted
        self._hashed = 0
        self.size = source.size

    def read(self, offset: int, n: int) -> bytes:
        """Give up to *n* bytes from *offset*.

        Raises:
            SourceError: the source fails or ends too early.
        """
        n = min(n, self.size - offset)
        if n <= 0:
            return b""
        try:
            data = self._source.read(offset, n)
        except OSError as error:
            raise SourceError("the source could not be read") from error
        if not data:
            raise SourceError(f"the source ends at {offset} of {self.size} bytes")
        if offset == self._hashed:
            if self._wanted:
                self._hash.update(data)
            self._hashed += len(data)
            if self._progress is not None:
                self._progress(self._hashed)
        return data

    def stream(self) -> Stream:
        """Give a stream from the beginning."""
        offset = 0

        def read(n: int) -> bytes:
            nonlocal offset
            data = self.read(offset, n)
            offset += len(data)
            return data

        return Stream(read)

    def sha256(self) -> str:
        """Read what was not read yet, and give the digest of all of it."""
        while self._hashed < self.size:
            self.read(self._hashed, CHUNK)
        return self._hash.hexdigest()


class ScratchSource:
    """A scratch file, first written, then read as a source."""

    def __init__(self, file: BinaryIO, reserve: Callable[[int], None]) -> None:
        self._file = file
        self._reserve = reserve
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append *data*.

        Raises:
            ScratchError: the application's scratch space failed.
        """
        self._reserve(len(data))
        try:
            self._file.write(data)
        except OSError as error:
            raise ScratchError("the scratch space failed") from error
        self.size += len(data)

    def read(self, offset: int, n: int) -> bytes:
        """Give up to *n* bytes from *offset*."""
        try:
            self._file.seek(offset)
            return self._file.read(n)
        except OSError as error:
            raise ScratchError("the scratch space failed") from error

    def copy_to(self, out: Callable[[bytes], object]) -> None:
        """Give everything to *out*."""
        offset = 0
        while data := self.read(offset, CHUNK):
            out(data)
            offset += len(data)

    def close(self) -> None:
        """Give the scratch file back."""
        self._file.close()
        self._reserve(-self.size)


class SourceFile:
    """A seekable file over a source, as `zipfile` wants one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, as `io.IOBase.seek` does."""
        start = (0, self._at, self._source.size)[whence]
        if start + offset < 0:
            raise OSError("seek before the beginning")
        self._at = start + offset
        return self._at

    def read(self, n: int = -1) -> bytes:
        """Give up to *n* bytes, all that is left for a negative *n*."""
        left = max(0, self._source.size - self._at)
        wanted = left if n < 0 else min(n, left)
        pieces = []
        while wanted > 0 and (data := self._source.read(self._at, wanted)):
            pieces.append(data)
            self._at += len(data)
            wanted -= len(data)
        return b"".join(pieces)
