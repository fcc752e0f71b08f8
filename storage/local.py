"""A store in a directory of the local disk: nothing is acknowledged before file and directory are on it.

Content goes into a file under `.incoming/` (same filesystem, without a name where that can be), is fsynced, linked to
its name (which fails if the name is taken, on every POSIX filesystem), and the directory is fsynced. Where several
files belong together, each of these steps is taken for all of them before the next. What a crash leaves is reaped.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from storage.descriptor import Descriptor
from storage.durable import await_writeback, begin_writeback, disk_errors, storage_error, sync_directory
from storage.errors import ObjectExistsError, ObjectNotFoundError, StoreUnavailableError
from storage.incoming import Incoming
from storage.partial import LocalPartial, partial_path
from storage.probe import PROBES
from storage.store import Chunk, StoredObject, check_name, check_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_INCOMING = ".incoming"
_NO_OBJECT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
"""Nothing has that name, or what has it is no file: a link, a socket."""
_AHEAD_BYTES = 4 * 1024 * 1024
"""Fetched behind a read that had to wait for the disk, where somebody would rather not wait."""


class LocalReader:
    """An open object of a `LocalStore`; it stays readable when the object is deleted."""

    def __init__(self, name: str, fd: int) -> None:
        """Own *fd* from now on."""
        self._name = name
        found = os.fstat(fd)
        self._size = found.st_size
        self.is_file = stat.S_ISREG(found.st_mode)
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


def is_made(root: Path) -> bool:
    """Say whether a store lies at *root*. Below a mount point whose disk is not mounted none does."""
    return (root / _INCOMING).is_dir()


class LocalStore:
    """An `ObjectStore` below one directory, which it makes if it is not there.

    Once made it is never taken for empty because its disk is away: then it does not answer, and comes back with it.
    """

    def __init__(self, root: Path, *, make: bool = True) -> None:
        """Keep objects below *root*; two stores on one root, in any processes, are one store.

        Without *make* it does not answer until one lies there.
        """
        self._root = root
        self._incoming = root / _INCOMING
        self._known: set[str] = {str(root)}
        """Directories whose own names this process has made durable."""
        self._lock = threading.Lock()
        if not make:
            return
        with disk_errors(f"making the store {root}"):
            self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_directory(root)
            sync_directory(root.parent)

    def put(self, name: str, chunks: Iterable[Chunk], *, replace: bool = False) -> StoredObject:
        """Store the concatenation of *chunks*, whole or not at all, and return when it is durable."""
        if not replace:
            return self.put_together([(name, chunks)])[0]
        path = self._place(name)
        doing = f"storing {name}"
        with Incoming(self._incoming, doing, named=True) as incoming:
            incoming.write(chunks)
            with disk_errors(doing):
                incoming.sync()
                self._name(incoming.replace, path)
                sync_directory(os.path.dirname(path))  # noqa: PTH120 - see `_place`
            return StoredObject(name=name, size=incoming.size)

    def put_together(self, puts: Sequence[tuple[str, Iterable[Chunk]]]) -> tuple[StoredObject, ...]:
        """Store several objects at once; see `storage.store.StoresTogether`.

        On a file system with a journal that is one commit for all the files and one for all their names.
        """
        doing = f"storing {', '.join(name for name, _ in puts)}"
        paths = [self._place(name) for name, _ in puts]
        for path, (name, _) in zip(paths, puts, strict=True):
            if os.path.lexists(path):
                raise ObjectExistsError(f"{name} is stored already")
        with contextlib.ExitStack() as stack:
            files = []
            for _, chunks in puts:
                files.append(stack.enter_context(Incoming(self._incoming, doing)))
                files[-1].write(chunks)
                if len(puts) > 1:
                    begin_writeback(files[-1].fd)
            with disk_errors(doing):
                for file in files[1:]:
                    await_writeback(file.fd)
                for file in files:
                    file.sync()
                self._publish([file.link for file in files], paths)
            return tuple(StoredObject(name=name, size=file.size) for (name, _), file in zip(puts, files, strict=True))

    def resume(self, name: str) -> LocalPartial:
        """Return what there is of a copy that was cut short; see `storage.partial`."""
        self._path(name)
        self._check_is_there()
        return LocalPartial(partial_path(self._incoming, name), name, self._publish_whole)

    def _publish_whole(self, part: Path, name: str) -> StoredObject:
        with disk_errors(f"storing {name}"):
            self._publish([functools.partial(os.link, part)], [self._place(name)])
        return self.stat(name)

    def _publish(self, links: Sequence[Callable[[str], object]], paths: Sequence[str]) -> None:
        """Give durable files the names *paths* by *links*, durably, all of them or none."""
        named: list[str] = []
        try:
            for link, path in zip(links, paths, strict=True):
                self._name(link, path)
                named.append(path)
            for directory in dict.fromkeys(os.path.dirname(path) for path in paths):  # noqa: PTH120 - see `_place`
                sync_directory(directory)
        except BaseException:
            for path in reversed(named):
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108 - see `_place`
            raise

    def _name(self, give: Callable[[str], object], path: str) -> None:
        directory = os.path.dirname(path)  # noqa: PTH120 - see `_place`
        try:
            if directory not in self._known:
                self._make_directory(Path(directory))
            give(path)
        except (FileExistsError, NotADirectoryError) as error:
            raise ObjectExistsError(f"{path.removeprefix(f'{self._root}/')} is stored already") from error
        except FileNotFoundError:
            self._check_is_there()
            raise

    def open(self, name: str) -> LocalReader:
        """Open an object for reading."""
        try:  # what is no file is opened without waiting for anybody (a pipe's other end), and is none
            fd = os.open(self._place(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in _NO_OBJECT:
                self._check_is_there()
                raise ObjectNotFoundError(f"{name} is not stored here") from error
            raise storage_error(error, f"opening {name}") from error
        reader = LocalReader(name, fd)
        if not reader.is_file:
            reader.close()
            raise ObjectNotFoundError(f"{name} is not stored here")
        return reader

    def stat(self, name: str) -> StoredObject:
        """Describe an object."""
        try:
            with disk_errors(f"describing {name}"):
                found = self._path(name).lstat()
        except (FileNotFoundError, NotADirectoryError) as error:
            self._check_is_there()
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
        self._check_is_there()
        with disk_errors(f"listing {prefix}"):
            yield from self._walk(directory, prefix)

    def delete(self, name: str) -> None:
        """Delete an object, if it is there, and return when that is durable."""
        path = self._path(name)
        self._check_is_there()  # else it would be gone only until its disk is back
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

    def _check_is_there(self) -> None:
        if not is_made(self._root):
            raise StoreUnavailableError(f"there is no store at {self._root}: is its disk mounted?")

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)

    def _place(self, name: str) -> str:
        """Return the path of *name* as text: building paths would cost a small file as much as writing it."""
        return f"{self._root}/{check_name(name)}"

    def _make_directory(self, directory: Path) -> None:
        """Make *directory* and its parents below the root, durably, whoever made them."""
        with self._lock:
            if str(directory) in self._known:
                return
        self._make_directory(directory.parent)
        directory.mkdir(exist_ok=True, mode=0o700)
        with os.scandir(directory.parent) as entries:  # its siblings become durable with it
            known = {entry.path for entry in entries if entry.is_dir(follow_symlinks=False)}
        sync_directory(directory.parent)
        with self._lock:
            self._known |= known

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
