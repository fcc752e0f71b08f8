"""Temporary data that may be too much for memory and must not lie on a disk in clear.

Pages are kept in memory up to a limit; beyond it the least used ones are sealed into a temporary file that has no name.
The key exists in this object alone: whatever remains of the file when the process dies is noise. One process uses it:
after a fork two would seal under the same key and numbers.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections import OrderedDict
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.descriptor import Descriptor
from storage.durable import disk_errors
from storage.errors import AlteredSegmentError, OutOfSpaceError

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import ReadableBuffer, WriteableBuffer

PAGE_BYTES = 64 * 1024
_TAG_BYTES = 16
_SLOT_BYTES = PAGE_BYTES + _TAG_BYTES
_MIN_PAGES = 4


class SealedScratch(io.RawIOBase):
    """A binary file, read and written at any place. For one thread at a time, as files are."""

    def __init__(self, directory: Path | None, memory_limit: int) -> None:
        """Begin empty.

        Args:
            directory: where the sealed file goes once it is needed; None: nothing ever leaves memory, and more than
                *memory_limit* bytes are refused.
            memory_limit: bytes to keep in memory, at least four pages of 64 KiB.
        """
        super().__init__()
        self._directory = directory
        self._most_pages = max(_MIN_PAGES, memory_limit // PAGE_BYTES)
        self._pages: OrderedDict[int, bytearray] = OrderedDict()
        """In memory, the least recently used first."""
        self._seals: dict[int, int] = {}
        """Of each page in the file, the number that its nonce is made of: none is used twice, no page replayed."""
        self._dirty: set[int] = set()
        self._file: Descriptor | None = None
        self._aead = AESGCM(AESGCM.generate_key(256))
        self._sealed = 0
        self._position = 0
        self._size = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def writable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return where the next read or write begins."""
        self._check()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to *offset*, from the start, the position or the end; beyond the end is allowed."""
        self._check()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"no file has a byte at {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill *buffer* as far as the file goes, and return how many bytes that were.

        Raises:
            AlteredSegmentError: the sealed file was altered meanwhile.
        """
        self._check()
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self._size - self._position)]
        done = 0
        while done < len(view):
            number, start = divmod(self._position, PAGE_BYTES)
            part = memoryview(self._page(number))[start : start + len(view) - done]
            view[done : done + len(part)] = part
            done += len(part)
            self._position += len(part)
        return done

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of *data*; a gap before it reads as zeros.

        Raises:
            OutOfSpaceError: the disk is full, or the limit is reached and there is no directory.
        """
        self._check()
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            number, start = divmod(self._position, PAGE_BYTES)
            page = self._page(number)
            taken = min(len(view) - done, PAGE_BYTES - start)
            page[start : start + taken] = view[done : done + taken]
            self._dirty.add(number)
            done += taken
            self._position += taken
            self._size = max(self._size, self._position)
        return done

    def truncate(self, size: int | None = None, /) -> int:
        """End the file at *size* bytes, or at the position; what is cut off is gone, what is added reads as zeros."""
        self._check()
        size = self._position if size is None else size
        if size < 0:
            raise ValueError(f"no file has {size} bytes")
        if size < self._size:
            first, start = divmod(size, PAGE_BYTES)
            if start:
                page = self._page(first)
                page[start:] = bytes(PAGE_BYTES - start)
                self._dirty.add(first)
                first += 1
            for number in [n for n in self._pages if n >= first]:
                del self._pages[number]
            for number in [n for n in self._seals if n >= first]:
                del self._seals[number]
            self._dirty = {n for n in self._dirty if n < first}
        self._size = size
        return size

    def close(self) -> None:
        """Forget everything, the key with it. A second call does nothing."""
        if not self.closed:
            self._pages.clear()
            self._seals.clear()
            self._dirty.clear()
            if self._file is not None:
                self._file.close()
        super().close()

    def _check(self) -> None:
        if self.closed:
            raise ValueError("the scratch file is closed")

    def _page(self, number: int) -> bytearray:
        """Return a page, from memory, from the file, or all zeros."""
        page = self._pages.get(number)
        if page is not None:
            self._pages.move_to_end(number)
            return page
        while len(self._pages) >= self._most_pages:
            self._evict()
        page = self._unseal(number) if number in self._seals else bytearray(PAGE_BYTES)
        self._pages[number] = page
        return page

    def _evict(self) -> None:
        number, page = next(iter(self._pages.items()))
        if number in self._dirty:
            self._seal(number, page)
            self._dirty.discard(number)
        del self._pages[number]

    def _seal(self, number: int, page: bytearray) -> None:
        if self._file is None:
            self._file = self._open()
        self._sealed += 1
        sealed = self._aead.encrypt(_nonce(self._sealed), page, number.to_bytes(8, "big"))
        with disk_errors("writing temporary data"):
            self._file.pwrite(sealed, number * _SLOT_BYTES)
        self._seals[number] = self._sealed

    def _unseal(self, number: int) -> bytearray:
        if self._file is None:
            raise AlteredSegmentError("temporary data are gone")
        with disk_errors("reading temporary data"):
            sealed = self._file.pread(_SLOT_BYTES, number * _SLOT_BYTES)
        try:
            return bytearray(self._aead.decrypt(_nonce(self._seals[number]), sealed, number.to_bytes(8, "big")))
        except InvalidTag as error:
            raise AlteredSegmentError("temporary data were altered") from error

    def _open(self) -> Descriptor:
        if self._directory is None:
            raise OutOfSpaceError(
                f"temporary data pass {self._most_pages * PAGE_BYTES} bytes, and may not leave memory"
            )
        with disk_errors("making a temporary file"):
            fd, path = tempfile.mkstemp(prefix=".scratch-", dir=self._directory)
            os.unlink(path)  # noqa: PTH108 - mkstemp gives a string, and its name must be gone at once
            return Descriptor(fd)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
