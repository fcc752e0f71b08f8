"""The files of a backup that is being made, with their digests."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from typing import TYPE_CHECKING, BinaryIO

from mft.backup.document import BackedUp, digest_of, read_files
from mft.backup.errors import NoBackupError
from storage.durable import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.store import ObjectReader

_PIECE = 2**20


class Collected:
    """What lies in the directory of a backup so far; each path is relative to it."""

    def __init__(self, directory: Path, before: Path | None) -> None:
        """Collect into *directory*; bodies may be linked to those of the backup *before*."""
        self._directory = directory
        self._before = before
        self._earlier: dict[str, BackedUp] = {}
        if before is not None:
            with contextlib.suppress(NoBackupError):
                self._earlier = read_files(before)
        self._files: dict[str, BackedUp] = {}
        self._linked: set[str] = set()
        self._logs: dict[str, tuple[int, ...]] = {}
        """What each log was when it was copied: its file, length and time."""

    @property
    def files(self) -> list[BackedUp]:
        """All of them, in the order in which they were added."""
        return list(self._files.values())

    @property
    def linked(self) -> int:
        """Bytes of them that the backup before holds too."""
        return sum(self._files[path].size for path in self._linked)

    def has(self, path: str) -> bool:
        """Say whether it is there."""
        return path in self._files

    def keep_only(self, below: tuple[str, ...], wanted: set[str]) -> None:
        """Remove what lies *below* these directories and is not *wanted*."""
        for path in [each for each in self._files if each.startswith(below) and each not in wanted]:
            (self._directory / path).unlink()
            del self._files[path]
            self._linked.discard(path)
            self._logs.pop(path, None)

    def add_bytes(self, path: str, content: bytes) -> None:
        """Add a file of *content*, in place of one that was added before."""
        self._make(path)
        write_file(self._directory / path, content, replace=True)
        self._note(BackedUp(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest()))

    def add_written(self, path: str) -> None:
        """Add a file that was written there."""
        size, sha256 = digest_of(self._directory / path)
        self._note(BackedUp(path=path, size=size, sha256=sha256))

    def add_file(self, path: str, source: Path) -> None:
        """Add a copy of *source*, unless it is there."""
        if not self.has(path):
            self.add_bytes(path, source.read_bytes())

    def add_object(self, path: str, reader: ObjectReader, *, linkable: bool) -> None:
        """Add an object; a body never changes, so one that the backup before holds is linked to."""
        try:
            earlier = self._earlier.get(path)
            if linkable and earlier is not None and earlier.size == reader.size and self._link(path):
                self._linked.add(path)
                self._note(earlier)
                return
            self._add_stream(path, (reader.read(offset, _PIECE) for offset in range(0, reader.size, _PIECE)))
        finally:
            reader.close()

    def add_log(self, path: str, log: BinaryIO) -> None:
        """Add a copy of a landing log; one that was added before is copied again where the log has changed since."""
        found = os.fstat(log.fileno())
        now = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if self._logs.get(path) != now:
            (self._directory / path).unlink(missing_ok=True)
            self._add_stream(path, iter(functools.partial(log.read, _PIECE), b""))
            self._logs[path] = now

    def _add_stream(self, path: str, pieces: Iterator[bytes]) -> None:
        digest, size = hashlib.sha256(), 0
        with self._make(path).open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        self._note(BackedUp(path=path, size=size, sha256=digest.hexdigest()))

    def _link(self, path: str) -> bool:
        if self._before is None:
            return False
        try:
            os.link(self._before / path, self._make(path))
        except OSError:
            return False  # gone, or a file system without links
        return True

    def _make(self, path: str) -> Path:
        target = self._directory / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return target

    def _note(self, each: BackedUp) -> None:
        self._files[each.path] = each
