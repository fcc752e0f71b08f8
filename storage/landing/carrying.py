"""A landing log carried to another zone: sealed bytes as they are, in bounded memory, read back before they count."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from storage.durable import pwrite_all, sync_directory
from storage.errors import DifferingCopyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PIECE = 2**20


def carry_log(source: int, arriving: Path, target: Path, pace: Callable[[int], None]) -> int:
    """Copy the file *source* to *target* by way of *arriving*, a name beside it; return its length once it is durable.

    What an earlier attempt left under either name is replaced. *pace* is called with the bytes of each piece before it
    is written; what it raises ends the copy.

    Raises:
        DifferingCopyError: what was read back is not what was written.
        OSError: a disk is full or fails.
    """
    arriving.unlink(missing_ok=True)
    fd = os.open(arriving, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        written, length = _copy(source, fd, pace)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # from the disk, not from memory
        if _digest(fd) != written:
            raise DifferingCopyError("a landing log that was carried over does not read back as it was written")
    finally:
        os.close(fd)
    arriving.replace(target)
    sync_directory(target.parent)
    return length


def _copy(source: int, target: int, pace: Callable[[int], None]) -> tuple[bytes, int]:
    digest, offset = hashlib.sha256(), 0
    while piece := os.pread(source, _PIECE, offset):
        pace(len(piece))
        pwrite_all(target, piece, offset)
        digest.update(piece)
        offset += len(piece)
    return digest.digest(), offset


def _digest(fd: int) -> bytes:
    digest, offset = hashlib.sha256(), 0
    while piece := os.pread(fd, _PIECE, offset):
        digest.update(piece)
        offset += len(piece)
    return digest.digest()
