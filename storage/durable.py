"""Files and directories that survive a power cut: nothing here returns before the disk has it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
from typing import TYPE_CHECKING

from storage.errors import OutOfSpaceError, StorageError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""EFBIG too: a file-size limit (RLIMIT_FSIZE) is a full disk for whoever writes."""


_LIBC = ctypes.CDLL(None)
_SYNC_FILE_RANGE_WRITE, _SYNC_FILE_RANGE_WAIT_AFTER = 2, 4


def storage_error(error: OSError, doing: str) -> StorageError:
    """Return the storage error for what the operating system said while *doing* something."""
    if error.errno in _FULL:
        return OutOfSpaceError(f"no space left while {doing}")
    return StoreUnavailableError(f"the disk failed while {doing}: {error.strerror or error}")


@contextlib.contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an `OSError` of the block into the storage error for it.

    `FileExistsError`, `FileNotFoundError` and `NotADirectoryError` pass: they are answers, and the caller knows to
    which question.
    """
    try:
        yield
    except (FileExistsError, FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error(error, doing) from error


def sync_directory(directory: Path | str) -> None:
    """Make the names in *directory* durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def begin_writeback(fd: int) -> None:
    """Have the operating system write what *fd* holds in memory, without waiting for it (sync_file_range(2)).

    It makes nothing durable; it says where on the disk the bytes will lie. A file system with a journal then commits
    several small new files by the fsync of the first of them, and those that follow find little left to do. Where the
    system does not know the call nothing happens.
    """
    _sync_range(fd, _SYNC_FILE_RANGE_WRITE)


def await_writeback(fd: int) -> None:
    """Return when what `begin_writeback` began is over, well or badly: a failure is told by the fsync that follows."""
    _sync_range(fd, _SYNC_FILE_RANGE_WAIT_AFTER)


def _sync_range(fd: int, flags: int) -> None:
    call = getattr(_LIBC, "sync_file_range", None)
    if call is not None:
        call(fd, ctypes.c_int64(0), ctypes.c_int64(0), flags)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of *data* at the file's position, however often it takes."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(fd, view) :]


def pwrite_all(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of *data* at *offset* (bytes), however often it takes."""
    written = os.pwrite(fd, data, offset)
    if written == len(data):
        return
    view = memoryview(data)
    while written < len(view):
        written += os.pwrite(fd, view[written:], offset + written)


def pread_all(fd: int, length: int, offset: int) -> bytes:
    """Return *length* bytes at *offset*; fewer only where the file ends."""
    data = os.pread(fd, length, offset)
    if len(data) == length or not data:
        return data
    parts = [data]
    got = len(data)
    while got < length:
        data = os.pread(fd, length - got, offset + got)
        if not data:
            break
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def write_file(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a small file whole or not at all, with mode 0600, and return when it is durable.

    Raises:
        FileExistsError: it is there, and *replace* is false.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
