"""The filesystem that a head serves, declared here and implemented by the application.

All of it is synchronous and may block: heads with an event loop cross into threads (`protocols.aio`). Handles are
safe to call from several threads; a head may have several requests of one handle under way.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from protocols.path import VirtualPath


@dataclass(slots=True, kw_only=True)
class Entry:
    """One row of a directory, or what `stat` says.

    Nobody changes one. It is not frozen all the same: listings make them by the hundred thousand, and to set a field of
    a frozen dataclass takes three times as long.
    """

    name: str
    is_directory: bool
    size: int = 0
    """Bytes that a reader would get; for an upload under way, what may be resumed from."""
    modified: float = 0.0
    """POSIX seconds, UTC."""
    writable: bool = False
    """Whether this session may create in it (directory) or write it (file)."""
    etag: str | None = None
    """Strong validator of the content (RFC 9110, section 8.8.3), without quotes; None for directories."""
    created: float | None = None
    partial: bool = False
    """Whether it is this login's own upload that is not whole: `size` then says what may be resumed from."""
    read_size: int | None = None
    """Bytes that a reader gets, where that is not `size`: a sender sees what it sent, and reads what was made of it."""
    read_etag: str | None = None
    """Validator of what a reader gets, where that is not `etag`."""


Row: TypeAlias = "tuple[str, bool, int, float, bool]"
"""What a long listing needs of an `Entry`, as a plain tuple: name, is_directory, size, modified, writable.

A database's 0 and 1 pass for truth values: rows go straight from it to a head.
"""


class WriteMode(enum.Enum):
    """What to do with what is there."""

    CREATE = "create"
    """Nothing may be there."""
    REPLACE = "replace"
    """A new version from its first byte, whatever is there."""
    RESUME = "resume"
    """Go on with this login's interrupted upload of that path; where there is none, as CREATE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the filesystem hands back for an upload that has landed."""

    id: str
    document: Mapping[str, object]
    """The signed receipt, ready to be written as JSON."""


class ReadHandle(Protocol):
    """An open file, read at any offset."""

    @property
    def entry(self) -> Entry:
        """What `stat` said when it was opened; its `size` is fixed for the life of the handle."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*; fewer only at the end of the file, none past it.

        Raises:
            NotFoundError: access has been withdrawn since it was opened.
            UnavailableError: no allowed copy answers.
        """

    def close(self) -> None:
        """Let go of it. Never raises; a second call does nothing."""


class WriteHandle(Protocol):
    """An upload under way. It ends in exactly one of `commit` and `abort`."""

    @property
    def received(self) -> int:
        """End of the contiguous prefix received so far, in bytes: where an append or a resume goes on."""

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Store *data* at *offset* (bytes from the start); it is not kept after the call returns.

        Offsets may come in any order and overlap: SFTP clients pipeline (draft-ietf-secsh-filexfer-02, section 6.4).

        Raises:
            QuotaExceededError: nothing of *data* is kept.
            NotFoundError: access has been withdrawn since it was opened.
            LockedError: another session has taken this upload over.
        """

    def sync(self) -> None:
        """Return when every byte written so far would survive a power cut."""

    def commit(self, *, length: int | None = None, modified: float | None = None) -> Receipt:
        """Declare the transfer whole, on the client's word, and return when it is durable and recorded.

        Args:
            length: what the protocol says the whole file has, in bytes; anything else received is an error.
            modified: the client's own modification time, POSIX seconds; kept beside, decides nothing.

        Raises:
            OffsetMismatchError: *length* was not received, or bytes in between are missing; the upload is kept as
            interrupted.
        """

    def abort(self, reason: str) -> None:
        """Record that the transfer broke off: what came is kept for a resume, never visible as whole. Never raises.

        After `commit` it does nothing.
        """


@runtime_checkable
class Immediate(Protocol):
    """Optional: a write handle that knows when a write has nothing to wait for."""

    def is_immediate(self, end: int) -> bool:
        """Say whether a write up to *end* (bytes from the start) would return without waiting for anybody.

        Then a head may call it on its event loop. Writing to the page cache of a local disk is no waiting.
        """


@runtime_checkable
class Lends(Protocol):
    """Optional: a write handle that has memory to receive into, from where nothing is copied."""

    def lend(self, offset: int) -> memoryview | None:
        """Return memory for bytes from *offset* on, at least one; None where they are to be received elsewhere.

        They count once `write` is called with *offset* and that view, or its beginning; until then nothing else is
        lent or written. It never waits.
        """


@runtime_checkable
class TakesPassword(Protocol):
    """Optional: a write handle whose file may be an archive under a password."""

    def give_password(self, password: str) -> None:
        """Take the password of the archive that is being sent, before `commit`.

        Raises:
            RejectedError: it is none.
        """


@runtime_checkable
class ImmediateRead(Protocol):
    """Optional: a read handle that can tell whether bytes are at hand."""

    def read_immediate(self, offset: int, length: int) -> Sequence[memoryview] | None:
        """Return what `read` would, in pieces, where nobody has to be waited for; None where `read` must be called.

        Then a head may call it on its event loop. It never raises: what goes wrong, `read` says. The pieces lie in
        memory that the next call uses again; one thread at a time calls this. Nothing in them is the end of the file.
        To close such a handle waits for nobody either.
        """


class FileSystem(Protocol):
    """What every session can do."""

    def scandir(self, path: VirtualPath) -> Iterator[Entry]:
        """Yield the entries of a directory, lazily, without `.` and `..`: in the order of names, or of a source."""

    def stat(self, path: VirtualPath) -> Entry:
        """Describe what is at *path*."""

    def open_read(self, path: VirtualPath) -> ReadHandle:
        """Open the file at *path* for reading."""


@runtime_checkable
class WritableFileSystem(FileSystem, Protocol):
    """What sessions can do that may change something. Permission is checked by each call, for its own path."""

    def open_write(self, path: VirtualPath, mode: WriteMode, *, length: int | None = None) -> WriteHandle:
        """Begin or resume the upload of *path*; *length* is the announced size in bytes, where the protocol has one."""

    def mkdir(self, path: VirtualPath) -> None:
        """Make one directory; its parent must be there."""

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool = False) -> None:
        """Move *source*; without *replace* nothing may be at *target*."""

    def remove(self, path: VirtualPath, *, directory: bool) -> None:
        """Remove a file, or an empty directory when *directory* is true."""


@runtime_checkable
class ScanPages(Protocol):
    """Optional: the filesystem lists faster where nothing but names, sizes and times is asked for."""

    def scan_pages(self, path: VirtualPath) -> Iterator[Sequence[Row]]:
        """Yield what `scandir` yields, in the same order, as rows and some at a time, lazily."""


@runtime_checkable
class SetTimes(Protocol):
    """Optional: the filesystem keeps a client's own time stamps."""

    def set_modified(self, path: VirtualPath, modified: float) -> None:
        """Keep the client's modification time (POSIX seconds) beside the file; it decides nothing."""


@runtime_checkable
class Digests(Protocol):
    """Optional: the filesystem may know the digest of a file without its being read."""

    def digest(self, path: VirtualPath, algorithm: str) -> bytes | None:
        """Return the digest of the file at *path* as `stat` shows it; None where one has to read it.

        *algorithm* is a name of hashlib's. It may take as long as reading what this login sent itself.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceReport:
    """Room for this session at a path, in bytes."""

    total: int
    free: int


@runtime_checkable
class Space(Protocol):
    """Optional: the filesystem can say how much room there is."""

    def space(self, path: VirtualPath) -> SpaceReport:
        """Say how much room this session has at *path*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a session may do to the entries of a directory, those that are its own at least."""

    rename: bool = False
    remove_files: bool = False
    """Whole ones; an upload of its own that is under way, it may always give up."""
    remove_directories: bool = False


@runtime_checkable
class TellsChanges(Protocol):
    """Optional: the filesystem can say beforehand what it would let be changed."""

    def changes(self, path: VirtualPath) -> Changes:
        """Say what this session may do to the entries of the directory at *path*."""


@runtime_checkable
class Copy(Protocol):
    """Optional: the filesystem copies a file by itself."""

    def copy(self, source: VirtualPath, target: VirtualPath, *, replace: bool = False) -> None:
        """Make a new version at *target* of what a reader of *source* gets; without *replace* nothing may be there.

        Raises:
            RejectedError: what is at *source* may not be brought there, to another case say.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A write lock (RFC 4918, section 6)."""

    token: str
    """An absolute URI that nobody can guess."""
    place: str
    """What `Locking.lock_place` said: the root of the lock."""
    login: str
    """Who took it, and alone can use it."""
    exclusive: bool
    deep: bool
    """Whether it covers everything below `place` too."""
    owner: str = ""
    """XML that the client gave to be shown to others."""
    expires: float
    """POSIX seconds."""


class LockTable(Protocol):
    """The locks of everybody, shared between processes. Those that have expired are not there."""

    def create(self, lock: Lock) -> None:
        """Keep *lock*, unless another stands against it: looked for and kept in one transaction.

        Raises:
            LockedError: another covers the place, or lies below it; `LockConflictError` names it.
            QuotaExceededError: the login has as many as it may have.
        """

    def find(self, token: str) -> Lock | None:
        """Return the lock of that token."""

    def refresh(self, token: str, expires: float) -> Lock | None:
        """Have a lock live until *expires*; None: there is none."""

    def release(self, tokens: Sequence[str]) -> None:
        """Let go of locks; of what is not there, nothing is said."""

    def held(self, place: str, *, below: bool) -> Sequence[Lock]:
        """Return the locks on *place* and on each directory above it, with *below* also those on what it holds."""


@runtime_checkable
class Locking(Protocol):
    """Optional: the filesystem keeps write locks. Heads that speak of locks ask for them; it enforces none."""

    @property
    def locks(self) -> LockTable:
        """Return where they are kept."""

    def lock_place(self, path: VirtualPath, *, changing: bool = False) -> str | None:
        """Return the name that *path* has for locks: the same for whoever may write there, however it gets there.

        It is a path: `/` and parts that are joined by `/`, and what lies below *path* lies below it too. None: nothing
        is locked there. With *changing* the session must be able to write there.

        Raises:
            PermissionDeniedError: it may not.
        """


@runtime_checkable
class Properties(Protocol):
    """Optional: the filesystem keeps what clients want said of files: names in Clark's notation, values of XML."""

    def properties(self, path: VirtualPath, *, children: bool = False) -> Mapping[str, Mapping[str, str]]:
        """Return the properties of *path* under the name `""`; with *children*, those of what it holds by their names.

        What has none is left out.
        """

    def change_properties(self, path: VirtualPath, changes: Mapping[str, str | None]) -> None:
        """Set properties, or remove those whose value is None, all together.

        Raises:
            PermissionDeniedError: the session may not write there, or nothing is kept there.
            QuotaExceededError: they are too many or too large.
        """


@runtime_checkable
class Digest(Protocol):
    """Optional: the filesystem knows what digest its files have."""

    def sha256(self, path: VirtualPath) -> str | None:
        """Return the SHA-256 of what a reader of *path* gets, in hexadecimal digits; None where it is not known yet."""


@runtime_checkable
class ReadsBack(Protocol):
    """Optional: a write handle that gives back what was written to it."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset* (bytes from the start) of what came so far; none past its end.

        Raises:
            OffsetMismatchError: some of them have not come yet.
        """


@runtime_checkable
class Truncates(Protocol):
    """Optional: a write handle that can throw away what came."""

    def truncate(self, size: int) -> None:
        """End the file at *size* bytes: what lies behind is gone, and what is missing before must still come.

        Raises:
            QuotaExceededError: no file may have so many.
        """
