"""A filesystem and an account list in memory: what a protocol head is tested against.

It keeps the promises of `protocols.filesystem` to the letter and nothing else: a partial belongs to its login and path,
shows its owner a byte less than was received, is seen by nobody else, and becomes a file only by `commit`.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from protocols.errors import (
    AlreadyExistsError,
    AuthenticationError,
    IsADirectoryPathError,
    LockConflictError,
    LockedError,
    NotADirectoryPathError,
    NotFoundError,
    OffsetMismatchError,
    PermissionDeniedError,
    QuotaExceededError,
    ThrottledError,
)
from protocols.filesystem import Entry, Lock, Receipt, SpaceReport, WriteMode
from protocols.path import VirtualPath, parse_path
from protocols.session import (
    BearerCredential,
    Credential,
    Grant,
    Origin,
    PasswordCredential,
    PublicKeyCredential,
    Session,
)
from tests.protocols.numbered import Kept, MemoryNumbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass
class _File:
    content: bytes | bytearray
    modified: float
    etag: str


@dataclass
class _Partial:
    data: bytearray = field(default_factory=bytearray)
    prefix: int = 0
    islands: dict[int, int] = field(default_factory=dict)
    """Start to end of what came ahead of the prefix."""
    holder: object | None = None


class MemoryTree:
    """What every session of one test server shares, with the levers that a test pulls."""

    def __init__(self, *directories: str) -> None:
        self.lock = threading.RLock()
        self.directories: set[tuple[str, ...]] = {()}
        self.files: dict[tuple[str, ...], _File] = {}
        self.partials: dict[tuple[str, tuple[str, ...]], _Partial] = {}
        self.events: list[tuple[str, str, object]] = []
        """(`landed`, path, size), (`aborted`, path, reason) and (`closed`, login, reason), in order."""
        self.numbered: dict[str, Kept] = {}
        """Uploads with an address, by their ids."""
        self.quota: int | None = None
        """Bytes that may be received from now on in all; None for no bound."""
        self.at_once = 0
        """Up to where reads and writes of a file need no thread, in bytes."""
        self.read_only: set[tuple[str, ...]] = set()
        """Directories in which nothing may be created, changed or removed."""
        self.locks = MemoryLocks()
        self.properties: dict[tuple[str, ...], dict[str, str]] = {}
        """Of what clients want said, by path."""
        self.before: Callable[[str, VirtualPath], None] | None = None
        """Called at the start of every operation with its name and path; may raise or wait."""
        for directory in directories:
            parts = parse_path(directory).parts
            self.directories.update(parts[:depth] for depth in range(len(parts) + 1))

    def add(self, path: str, content: bytes) -> None:
        """Put a whole file there."""
        with self.lock:
            self.files[parse_path(path).parts] = _File(content, 1_700_000_000.0, hashlib.sha256(content).hexdigest())

    def content(self, path: str) -> bytes | None:
        """Return what is published at *path*, or None."""
        with self.lock:
            found = self.files.get(parse_path(path).parts)
            return None if found is None else bytes(found.content)

    def received(self, login: str, path: str) -> bytes | None:
        """Return the contiguous prefix of a login's partial, or None where it has none."""
        with self.lock:
            partial = self.partials.get((login, parse_path(path).parts))
            return None if partial is None else bytes(partial.data[: partial.prefix])

    def happened(self, kind: str) -> list[tuple[str, object]]:
        """Return the events of one kind."""
        with self.lock:
            return [(path, detail) for event, path, detail in self.events if event == kind]


class MemoryLocks:
    """Write locks of one test server."""

    def __init__(self) -> None:
        self.all: dict[str, Lock] = {}
        self.most = 100
        """Locks that a login may have."""
        self._lock = threading.RLock()

    def create(self, lock: Lock) -> None:
        with self._lock:
            for other in self.held(lock.place, below=lock.deep):
                covers = other.place == lock.place or other.deep or other.place.startswith(lock.place + "/")
                if covers and (lock.exclusive or other.exclusive):
                    raise LockConflictError("somebody has locked it", place=other.place)
            if sum(other.login == lock.login for other in self.all.values()) >= self.most:
                raise QuotaExceededError("too many locks")
            self.all[lock.token] = lock

    def find(self, token: str) -> Lock | None:
        with self._lock:
            lock = self.all.get(token)
            return None if lock is None or lock.expires <= time.time() else lock

    def refresh(self, token: str, expires: float) -> Lock | None:
        with self._lock:
            lock = self.find(token)
            if lock is not None:
                lock = self.all[token] = replace(lock, expires=expires)
            return lock

    def release(self, tokens: Sequence[str]) -> None:
        with self._lock:
            for token in tokens:
                self.all.pop(token, None)

    def held(self, place: str, *, below: bool) -> list[Lock]:
        with self._lock:
            return [
                lock
                for lock in self.all.values()
                if lock.expires > time.time()
                and (
                    (place + "/").startswith(lock.place.rstrip("/") + "/")
                    or (below and lock.place.startswith(place.rstrip("/") + "/"))
                )
            ]


class MemoryReadHandle:
    """An open file."""

    def __init__(
        self, filesystem: MemoryFileSystem, path: VirtualPath, entry: Entry, content: bytes | bytearray
    ) -> None:
        self._filesystem = filesystem
        self._path = path
        self._entry = entry
        self._content = memoryview(content)
        self._reused = bytearray()
        self.closed = False

    @property
    def entry(self) -> Entry:
        return self._entry

    def read(self, offset: int, length: int) -> bytes:
        self._filesystem.enter("read", self._path)
        return bytes(self._content[offset : offset + length])

    def read_immediate(self, offset: int, length: int) -> list[memoryview] | None:
        if offset + length > self._filesystem.tree.at_once:
            return None
        self._filesystem.enter("read", self._path)
        half = length // 2
        piece = bytearray(self._content[offset : offset + length])
        reused, self._reused = self._reused, piece
        reused[:] = bytes(len(reused))  # whoever still looks at it would notice
        return [memoryview(piece)[:half], memoryview(piece)[half:]] if piece else []

    def close(self) -> None:
        self.closed = True


class MemoryWriteHandle:
    """An upload under way."""

    def __init__(self, filesystem: MemoryFileSystem, path: VirtualPath, partial: _Partial) -> None:
        self._filesystem = filesystem
        self._tree = filesystem.tree
        self._path = path
        self._partial = partial
        self._ended = False
        self.synced = 0
        partial.holder = self

    @property
    def received(self) -> int:
        return self._partial.prefix

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self._filesystem.enter("write", self._path)
        with self._tree.lock:
            self._check_holder()
            length = len(data)
            if self._tree.quota is not None:
                if self._tree.quota < length:
                    raise QuotaExceededError("the quota of this case is used up")
                self._tree.quota -= length
            partial = self._partial
            if len(partial.data) < offset:
                partial.data.extend(bytes(offset - len(partial.data)))
            partial.data[offset : offset + length] = data
            self._grow(offset, offset + length)

    def is_immediate(self, end: int) -> bool:
        return end <= self._tree.at_once

    def read(self, offset: int, length: int) -> bytes:
        with self._tree.lock:
            self._check_holder()
            return bytes(self._partial.data[offset : offset + length])

    def _grow(self, start: int, end: int) -> None:
        partial = self._partial
        if start > partial.prefix:
            partial.islands[start] = max(end, partial.islands.get(start, 0))
            return
        partial.prefix = max(partial.prefix, end)
        for start_of, end_of in sorted(partial.islands.items()):
            if start_of > partial.prefix:
                break
            partial.prefix = max(partial.prefix, end_of)
            del partial.islands[start_of]

    def truncate(self, size: int) -> None:
        with self._tree.lock:
            partial = self._partial
            grown = size > max(partial.prefix, *partial.islands.values(), 0)
            del partial.data[size:]
            partial.prefix = min(partial.prefix, size)
            partial.islands = {start: min(end, size) for start, end in partial.islands.items() if start < size}
            if grown:
                partial.islands[size] = size  # nothing is there, and it is not whole before it is reached

    def sync(self) -> None:
        self._filesystem.enter("sync", self._path)
        self.synced += 1

    def commit(self, *, length: int | None = None, modified: float | None = None) -> Receipt:
        self._filesystem.enter("commit", self._path)
        with self._tree.lock:
            self._check_holder()
            partial = self._partial
            if partial.islands or (length is not None and length != partial.prefix):
                raise OffsetMismatchError(f"{partial.prefix} bytes were received in one piece; the file is not whole")
            self._ended = True
            partial.holder = None
            content = partial.data
            self._tree.partials.pop((self._filesystem.login, self._path.parts), None)
            etag = f"{len(content)}-{next(_NUMBERS)}"
            self._tree.files[self._path.parts] = _File(content, modified or time.time(), etag)
            self._tree.events.append(("landed", str(self._path), len(content)))
            return Receipt(id=etag, document={"id": etag, "size": len(content), "path": str(self._path)})

    def abort(self, reason: str) -> None:
        with self._tree.lock:
            if self._ended:
                return
            self._ended = True
            if self._partial.holder is self:
                self._partial.holder = None
            self._tree.events.append(("aborted", str(self._path), reason))

    def _check_holder(self) -> None:
        if self._partial.holder is not self:
            raise LockedError("another session has taken this upload over")


_NUMBERS = itertools.count(1)


class MemoryFileSystem(MemoryNumbered):
    """One session's view of a `MemoryTree`; has `SetTimes`, `Space`, `Copy`, `Locking` and `Properties` too."""

    def __init__(self, tree: MemoryTree, login: str) -> None:
        self.tree = tree
        self.login = login
        self.withdrawn = False

    def enter(self, operation: str, path: VirtualPath) -> None:
        """Run the test's lever, and fail if access has been withdrawn."""
        if self.tree.before is not None:
            self.tree.before(operation, path)
        if self.withdrawn:
            raise NotFoundError(f"{path} does not exist")

    def scandir(self, path: VirtualPath) -> Iterator[Entry]:
        self.enter("scandir", path)
        with self.tree.lock:
            if path.parts in self.tree.files:
                raise NotADirectoryPathError(f"{path} is a file")
            if path.parts not in self.tree.directories:
                raise NotFoundError(f"{path} does not exist")
            depth = len(path.parts)
            names = {
                parts[depth]
                for parts in itertools.chain(self.tree.directories, self.tree.files, self._partial_paths())
                if len(parts) == depth + 1 and parts[:depth] == path.parts
            }
        for name in sorted(names):
            yield self._entry(VirtualPath((*path.parts, name)))

    def stat(self, path: VirtualPath) -> Entry:
        self.enter("stat", path)
        return self._entry(path)

    def open_read(self, path: VirtualPath) -> MemoryReadHandle:
        self.enter("open_read", path)
        with self.tree.lock:
            if path.parts in self.tree.directories:
                raise IsADirectoryPathError(f"{path} is a directory")
            found = self.tree.files.get(path.parts)
            if found is None:
                raise NotFoundError(f"{path} does not exist")
            return MemoryReadHandle(self, path, self._entry(path), found.content)

    def sha256(self, path: VirtualPath) -> str | None:
        with self.tree.lock:
            found = self.tree.files.get(path.parts)
            return None if found is None else hashlib.sha256(found.content).hexdigest()

    def open_write(self, path: VirtualPath, mode: WriteMode, *, length: int | None = None) -> MemoryWriteHandle:
        self.enter("open_write", path)
        with self.tree.lock:
            self._check_parent(path)
            if path.parts in self.tree.directories:
                raise IsADirectoryPathError(f"{path} is a directory")
            if length is not None and self.tree.quota is not None and self.tree.quota < length:
                raise QuotaExceededError("the quota of this case is used up")
            key = (self.login, path.parts)
            if mode is WriteMode.RESUME and key in self.tree.partials:
                return MemoryWriteHandle(self, path, self.tree.partials[key])
            if path.parts in self.tree.files:
                if mode is WriteMode.CREATE:
                    raise AlreadyExistsError(f"{path} exists")
                if mode is WriteMode.RESUME:
                    raise PermissionDeniedError(f"{path} is complete; send it anew")
            partial = self.tree.partials[key] = _Partial()
            return MemoryWriteHandle(self, path, partial)

    def handle(self, path: VirtualPath, partial: _Partial) -> MemoryWriteHandle:
        """Open a partial upload, wherever it is kept."""
        return MemoryWriteHandle(self, path, partial)

    def mkdir(self, path: VirtualPath) -> None:
        self.enter("mkdir", path)
        with self.tree.lock:
            if path.parts in self.tree.directories or path.parts in self.tree.files:
                raise AlreadyExistsError(f"{path} exists")
            self._check_parent(path)
            self.tree.directories.add(path.parts)

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool = False) -> None:
        self.enter("rename", source)
        with self.tree.lock:
            self._entry(source)
            self._check_parent(source)
            self._check_parent(target)
            taken = target.parts in self.tree.directories or (target.parts in self.tree.files and not replace)
            if taken:
                raise AlreadyExistsError(f"{target} exists")
            if source.parts in self.tree.files:
                self._move_properties(source, target)
                self.tree.files[target.parts] = self.tree.files.pop(source.parts)
                return
            depth = len(source.parts)
            self._move_properties(source, target)
            for parts in [parts for parts in self.tree.directories if parts[:depth] == source.parts]:
                self.tree.directories.remove(parts)
                self.tree.directories.add(target.parts + parts[depth:])
            for parts in [parts for parts in self.tree.files if parts[:depth] == source.parts]:
                self.tree.files[target.parts + parts[depth:]] = self.tree.files.pop(parts)

    def remove(self, path: VirtualPath, *, directory: bool) -> None:
        self.enter("remove", path)
        with self.tree.lock:
            entry = self._entry(path)
            self._check_parent(path)
            if directory and not entry.is_directory:
                raise NotADirectoryPathError(f"{path} is a file")
            if not directory and entry.is_directory:
                raise IsADirectoryPathError(f"{path} is a directory")
            if not directory:
                self.tree.partials.pop((self.login, path.parts), None)
                self.tree.files.pop(path.parts, None)
                self.tree.properties.pop(path.parts, None)
                return
            below = itertools.chain(self.tree.directories, self.tree.files)
            if any(len(parts) > len(path.parts) and parts[: len(path.parts)] == path.parts for parts in below):
                raise AlreadyExistsError(f"{path} is not empty")
            self.tree.directories.remove(path.parts)
            self.tree.properties.pop(path.parts, None)

    def _move_properties(self, source: VirtualPath, target: VirtualPath) -> None:
        depth = len(source.parts)
        for parts in [parts for parts in self.tree.properties if parts[:depth] == source.parts]:
            self.tree.properties[target.parts + parts[depth:]] = self.tree.properties.pop(parts)

    def set_modified(self, path: VirtualPath, modified: float) -> None:
        self.enter("set_modified", path)
        with self.tree.lock:
            self._entry(path)
            if path.parts in self.tree.files:
                self.tree.files[path.parts].modified = modified

    def space(self, path: VirtualPath) -> SpaceReport:
        self.enter("space", path)
        return SpaceReport(total=1 << 40, free=1 << 30 if self.tree.quota is None else self.tree.quota)

    def copy(self, source: VirtualPath, target: VirtualPath, *, replace: bool = False) -> None:
        self.enter("copy", source)
        with self.tree.lock:
            if self.stat(source).is_directory:
                raise IsADirectoryPathError(f"{source} is a directory")
            handle = self.open_write(target, WriteMode.REPLACE if replace else WriteMode.CREATE)
            handle.write(0, bytes(self.tree.files[source.parts].content))
            handle.commit()

    @property
    def locks(self) -> MemoryLocks:
        return self.tree.locks

    def lock_place(self, path: VirtualPath, *, changing: bool = False) -> str | None:
        self.enter("lock_place", path)
        if not path.parts:
            return None
        if changing and {path.parts, path.parent.parts} & self.tree.read_only:
            raise PermissionDeniedError(f"{path} is read-only")
        return str(path)

    def properties(self, path: VirtualPath, *, children: bool = False) -> dict[str, dict[str, str]]:
        self.enter("properties", path)
        with self.tree.lock:
            self._entry(path)
            depth = len(path.parts)
            found = {"": dict(self.tree.properties.get(path.parts, {}))}
            for parts, values in self.tree.properties.items():
                if children and len(parts) == depth + 1 and parts[:depth] == path.parts:
                    found[parts[-1]] = dict(values)
            return found

    def change_properties(self, path: VirtualPath, changes: Mapping[str, str | None]) -> None:
        self.enter("change_properties", path)
        with self.tree.lock:
            self._entry(path)
            self._check_parent(path)
            values = self.tree.properties.setdefault(path.parts, {})
            for name, value in changes.items():
                if value is None:
                    values.pop(name, None)
                else:
                    values[name] = value

    def _partial_paths(self) -> list[tuple[str, ...]]:
        return [parts for login, parts in self.tree.partials if login == self.login]

    def _entry(self, path: VirtualPath) -> Entry:
        with self.tree.lock:
            writable = path.parent.parts not in self.tree.read_only and path.parts not in self.tree.read_only
            if path.parts in self.tree.directories:
                return Entry(name=path.name, is_directory=True, modified=1_700_000_000.0, writable=writable)
            partial = self.tree.partials.get((self.login, path.parts))
            if partial is not None:
                size = max(partial.prefix - 1, 0)
                return Entry(name=path.name, is_directory=False, size=size, writable=writable, partial=True)
            found = self.tree.files.get(path.parts)
            if found is None:
                raise NotFoundError(f"{path} does not exist")
            return Entry(
                name=path.name,
                is_directory=False,
                size=len(found.content),
                modified=found.modified,
                writable=writable,
                etag=found.etag,
            )

    def _check_parent(self, path: VirtualPath) -> None:
        if path.parent.parts not in self.tree.directories:
            raise NotFoundError(f"{path.parent} does not exist")
        if path.parent.parts in self.tree.read_only:
            raise PermissionDeniedError(f"{path.parent} is read-only")


class MemoryAuthenticator:
    """Accounts with passwords and public keys over one tree; `token` stands for a bearer token of a login."""

    def __init__(self, tree: MemoryTree) -> None:
        self.tree = tree
        self.passwords: dict[str, str] = {}
        self.keys: dict[str, set[bytes]] = {}
        self.tokens: dict[str, str] = {}
        self.checked: list[Credential] = []
        self.opened: list[Session] = []
        self.throttled = False
        self.failure: Exception | None = None
        """Raised by `check` in place of an answer."""
        self._numbers = itertools.count(1)

    def check(self, credential: Credential, origin: Origin) -> Grant:
        self.checked.append(credential)
        if self.failure is not None:
            raise self.failure
        if self.throttled:
            raise ThrottledError("too many failures", retry_after=30.0)
        match credential:
            case PasswordCredential(login=login, password=password):
                if self.passwords.get(login) != password:
                    raise AuthenticationError("not accepted")
            case PublicKeyCredential(login=login, key=key):
                if key not in self.keys.get(login, set()):
                    raise AuthenticationError("not accepted")
            case BearerCredential(token=token):
                if token not in self.tokens:
                    raise AuthenticationError("not accepted")
                login = self.tokens[token]
        return Grant(login=login, subject=("subject of", login))

    def open(self, grant: Grant, origin: Origin) -> Session:
        assert grant.subject == ("subject of", grant.login), "a head must hand the grant back untouched"
        filesystem = MemoryFileSystem(self.tree, grant.login)

        def closed(reason: str) -> None:
            self.tree.events.append(("closed", grant.login, reason))

        session = Session(
            session_id=f"session-{next(self._numbers)}",
            login=grant.login,
            origin=origin,
            started=datetime.now(UTC),
            filesystem=filesystem,
            on_close=closed,
        )
        self.opened.append(session)
        return session

    def revoke(self, login: str, reason: str = "case closed") -> None:
        """Withdraw a login's access, as the application does: handles fail, sessions end."""
        self.passwords.pop(login, None)
        self.keys.pop(login, None)
        for session in self.opened:
            if session.login == login:
                filesystem = session.filesystem
                assert isinstance(filesystem, MemoryFileSystem)
                filesystem.withdrawn = True
                session.revoke(reason)
