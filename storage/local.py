"""A store in a directory of the local disk: nothing is acknowledged before file and directory are on it.

Content goes into a file under `.incoming/` (same filesystem, made with O_EXCL), is fsynced, linked to its name (which
fails if the name is taken, on every POSIX filesystem), and the directory is fsynced. What a crash leaves in
`.incoming/` is reaped.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
import time
from typing import TYPE_CHECKING

from storage.descriptor import Descriptor
from storage.durable import disk_errors, sync_directory, write_all
from storage.errors import ObjectExistsError, ObjectNotFoundError
from storage.partial import LocalPartial, partial_path
from storage.probe import PROBES
from storage.store import Chunk, StoredObject, check_name, check_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_INCOMING = ".incoming"
_AHEAD_BYTES = 4 * 1024 * 1024
"""Fetched behind a read that had to wait for the disk, where somebody would rather not wait."""


class LocalReader:
    """An open object of a `LocalStore`; it stays readable when the object is deleted."""

    def __init__(self, name: str, fd: int) -> None:
        """Own *fd* from now on."""
        self._name = name
        self._size = os.fstat(fd).st_size
        self._file = Descriptor(fd)
        self._missed = False
        """Whether bytes were asked for that were not in memory: then those behind what is read are fetched ahead."""

    @property
    def size(self) -> int:
        """Bytes as stored."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*."""
        with disk_errors(f"reading {self._name}"):
            if self._missed:
                self._missed = False
                self._file.will_need(offset, length + _AHEAD_BYTES)
            return self._file.pread(length, offset)

    def read_immediate(self, into: memoryview, offset: int) -> bool:
        """Fill *into* with the bytes at *offset* if they lie in memory, and say whether they do."""
        try:
            at_hand = self._file.read_cached(into, offset)
        except ValueError:  # closed meanwhile
            return False
        self._missed = not at_hand
        return at_hand

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


class LocalStore:
    """An `ObjectStore` below one directory, which it makes if it is not there."""

    def __init__(self, root: Path) -> None:
        """Keep objects below *root*; two stores on one root, in any processes, are one store."""
        self._root = root
        self._incoming = root / _INCOMING
        self._known: set[Path] = set()
        """Directories whose own names this process has made durable."""
        self._lock = threading.Lock()
        with disk_errors(f"making the store {root}"):
            self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_directory(root)
            sync_directory(root.parent)

    def put(self, name: str, chunks: Iterable[Chunk], *, replace: bool = False) -> StoredObject:
        """Store the concatenation of *chunks*, whole or not at all, and return when it is durable."""
        path = self._path(name)
        doing = f"storing {name}"
        if not replace and path.exists():
            raise ObjectExistsError(f"{name} is stored already")
        temporary = self._incoming / secrets.token_hex(16)
        try:
            size = _write(temporary, chunks, doing)
            with disk_errors(doing):
                self._publish(temporary, path, replace=replace)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return StoredObject(name=name, size=size)

    def resume(self, name: str) -> LocalPartial:
        """Return what there is of a copy that was cut short; see `storage.partial`."""
        self._path(name)
        return LocalPartial(partial_path(self._incoming, name), name, self._publish_whole)

    def _publish_whole(self, part: Path, name: str) -> StoredObject:
        with disk_errors(f"storing {name}"):
            self._publish(part, self._path(name), replace=False)
        return self.stat(name)

    def _publish(self, temporary: Path, path: Path, *, replace: bool) -> None:
        try:
            self._make_directory(path.parent)
            if replace:
                temporary.replace(path)
            else:
                os.link(temporary, path)
        except (FileExistsError, NotADirectoryError) as error:
            raise ObjectExistsError(f"{path.relative_to(self._root)} is stored already") from error
        sync_directory(path.parent)

    def open(self, name: str) -> LocalReader:
        """Open an object for reading."""
        self.stat(name)
        try:
            with disk_errors(f"opening {name}"):
                return LocalReader(name, os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
        except FileNotFoundError as error:
            raise ObjectNotFoundError(f"{name} is not stored here") from error

    def stat(self, name: str) -> StoredObject:
        """Describe an object."""
        try:
            with disk_errors(f"describing {name}"):
                found = self._path(name).lstat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectNotFoundError(f"{name} is not stored here") from error
        if not stat.S_ISREG(found.st_mode):
            raise ObjectNotFoundError(f"{name} is not stored here")
        return StoredObject(name=name, size=found.st_size)

    def modified(self, name: str) -> float:
        """Return when an object was last written, POSIX seconds.

        Raises:
            ObjectNotFoundError: there is none.
        """
        try:
            with disk_errors(f"describing {name}"):
                return self._path(name).lstat().st_mtime
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectNotFoundError(f"{name} is not stored here") from error

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with *prefix*, in order, one directory in memory at a time."""
        directory, _, _ = check_prefix(prefix).rpartition("/")
        with disk_errors(f"listing {prefix}"):
            yield from self._walk(directory, prefix)

    def delete(self, name: str) -> None:
        """Delete an object, if it is there, and return when that is durable."""
        path = self._path(name)
        with disk_errors(f"deleting {name}"):
            partial_path(self._incoming, name).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            # Also when it was gone: the call that removed it may have died before it became durable.
            if path.parent.is_dir():
                sync_directory(path.parent)

    def reap(self, older_than_seconds: float) -> int:
        """Remove what crashes left behind that is older than so many seconds (wall clock), and say how many files."""
        before = time.time() - older_than_seconds
        removed = 0
        with disk_errors("reaping leftovers"):
            for directory in (self._incoming, self._root / PROBES):
                for entry in os.scandir(directory) if directory.is_dir() else ():
                    try:
                        if entry.stat(follow_symlinks=False).st_mtime <= before:
                            (directory / entry.name).unlink()
                            removed += 1
                    except FileNotFoundError:
                        continue
        return removed

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)

    def _make_directory(self, directory: Path) -> None:
        """Make *directory* and its parents below the root, durably, whoever made them."""
        with self._lock:
            if directory in self._known:
                return
        if directory != self._root:
            self._make_directory(directory.parent)
            directory.mkdir(exist_ok=True, mode=0o700)
            sync_directory(directory.parent)
        with self._lock:
            self._known.add(directory)

    def _walk(self, directory: str, prefix: str) -> Iterator[StoredObject]:
        try:
            entries = [entry for entry in os.scandir(self._root / directory) if not entry.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return
        # A directory sorts as its name and a slash: that gives the order of whole names.
        rows = sorted((entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in entries)
        for label, entry in rows:
            name = f"{directory}/{label}" if directory else label
            if label.endswith("/"):
                if name.startswith(prefix) or prefix.startswith(name):
                    yield from self._walk(name.rstrip("/"), prefix)
            elif name.startswith(prefix):
                try:
                    yield StoredObject(name=name, size=entry.stat(follow_symlinks=False).st_size)
                except FileNotFoundError:
                    continue


def _write(path: Path, chunks: Iterable[Chunk], doing: str) -> int:
    """Write *chunks* to a new file and fsync it; return how many bytes they were."""
    with disk_errors(doing):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        size = 0
        for chunk in chunks:
            with disk_errors(doing):
                write_all(fd, chunk)
            size += len(chunk)
        with disk_errors(doing):
            os.fsync(fd)
        return size
    finally:
        os.close(fd)
