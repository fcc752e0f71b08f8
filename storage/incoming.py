"""A file on its way into a local store: it has no name there yet, and is gone with its block.

Where the system can, it has no name at all before it is whole (O_TMPFILE, open(2)): a name in `.incoming` and its
removal are work for the file system, and a crash would leave it there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING, Self

from storage.durable import disk_errors, write_all
from storage.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from storage.store import Chunk


_DESCRIPTORS = "/proc/self/fd"
_HAS_NAMELESS = hasattr(os, "O_TMPFILE") and os.path.isdir(_DESCRIPTORS)  # noqa: PTH112 - text, as everywhere on this way
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}
"""What file systems answer that have no files without a name, and old kernels."""


class Incoming:
    """A new file for its owner alone, which nobody else has opened. For one thread."""

    def __init__(self, directory: Path, doing: str, *, named: bool = False) -> None:
        """Make it in *directory*; *doing* says in errors what for. One that is to replace another has to be *named*.

        Raises:
            OutOfSpaceError, StoreUnavailableError: the disk is full or fails.
        """
        self.path: str | None = None
        """Its name, if it has one."""
        self.size = 0
        """Bytes written."""
        self._doing = doing
        try:
            with disk_errors(doing):
                fd = None if named else _open_nameless(directory)
                if fd is None:
                    self.path = f"{directory}/{secrets.token_hex(16)}"
                    fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                self.fd = fd
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreUnavailableError(f"{directory} is not there: is its disk mounted?") from error

    def write(self, chunks: Iterable[Chunk]) -> None:
        """Write the concatenation of *chunks*; what they raise passes through.

        Raises:
            OutOfSpaceError, StoreUnavailableError: the disk is full or fails.
        """
        for chunk in chunks:
            with disk_errors(self._doing):
                write_all(self.fd, chunk)
            self.size += len(chunk)

    def sync(self) -> None:
        """Return when what was written is on the disk; the caller turns an `OSError` into an error of storage."""
        os.fsync(self.fd)

    def link(self, path: str) -> None:
        """Give it the name *path*.

        Raises:
            FileExistsError: something has that name.
        """
        if self.path is not None:
            os.link(self.path, path)
        else:  # with a descriptor it is linkat(2), which follows the name below /proc to the file
            os.link(f"{_DESCRIPTORS}/{self.fd}", path, src_dir_fd=self.fd, follow_symlinks=True)

    def replace(self, path: str) -> None:
        """Take the place of what has the name *path*; it must be named."""
        if self.path is None:
            raise ValueError("a file without a name replaces none")
        os.replace(self.path, path)  # noqa: PTH105 - text, as everywhere on this way

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, and take this name of it away."""
        os.close(self.fd)
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 - text, as everywhere on this way; see `LocalStore`


def _open_nameless(directory: Path) -> int | None:
    """Open a new file without a name; None where there is no such thing."""
    if not _HAS_NAMELESS:
        return None
    try:
        return os.open(directory, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _NO_NAMELESS:
            return None
        raise
