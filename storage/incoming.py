"""A file on its way into a local store: it has no name there yet, and is gone with its block."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Self

from storage.durable import disk_errors, write_all

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from storage.store import Chunk


class Incoming:
    """A new file for its owner alone, made with O_EXCL. For one thread."""

    def __init__(self, directory: Path, doing: str) -> None:
        """Make it in *directory*; *doing* says in errors what for.

        Raises:
            OutOfSpaceError, StoreUnavailableError: the disk is full or fails.
        """
        self.path = f"{directory}/{secrets.token_hex(16)}"
        self.size = 0
        """Bytes written."""
        self._doing = doing
        with disk_errors(doing):
            self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

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

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, and take this name of it away."""
        os.close(self.fd)
        with contextlib.suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 - text, as everywhere on this way; see `LocalStore`
