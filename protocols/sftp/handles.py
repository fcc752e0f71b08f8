"""What a client has open: an upload, a download, a listing.

The rule of this module: `Upload.finish` is called for a real SSH_FXP_CLOSE and for nothing else; every other end is
`abandon`.
"""

from __future__ import annotations

import enum
import time
from itertools import chain
from typing import TYPE_CHECKING, Protocol, TypeAlias

from protocols.errors import FileSystemError, OffsetMismatchError, PermissionDeniedError
from protocols.filesystem import Entry, Immediate, ImmediateRead, ReadsBack, ScanPages, Truncates, WriteMode
from protocols.sftp.attrs import Names, encode_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from protocols.filesystem import FileSystem, ReadHandle, Receipt, Row, WriteHandle
    from protocols.path import VirtualPath

Begin: TypeAlias = "Callable[[Callable[[], Names]], Future[Names] | None]"
LISTING_BYTES = 64 * 1024
"""Bytes of rows that one SSH_FXP_READDIR answers: some clients take no longer packets."""
_MAX_OFFSET = (1 << 63) - 1


class OpenHandle(Protocol):
    """Whatever an SSH_FXP_HANDLE stands for."""

    @property
    def is_transfer(self) -> bool:
        """Whether a drain waits for it."""

    def finish(self) -> None:
        """End it on the client's word (SSH_FXP_CLOSE)."""

    def abandon(self, reason: str) -> None:
        """End it without the client's word. Never raises."""


class _Placing(enum.Enum):
    """How the offsets of a client's writes are to be read."""

    AS_SENT = enum.auto()
    AT_END = enum.auto()
    UNDECIDED = enum.auto()


class Upload:
    """A file that is being received."""

    is_transfer = True

    def __init__(self, handle: WriteHandle, path: VirtualPath, *, appending: bool, reading: bool = False) -> None:
        """Wrap *handle*; *appending* tells whether the client opened it with SSH_FXF_APPEND.

        *reading*: it may read what it writes; never what came before by another handle.
        """
        self._may_read = reading
        self.path = path
        self.modified: float | None = None
        """The client's modification time (POSIX seconds), kept for the commit."""
        self._placing = _Placing.UNDECIDED if appending else _Placing.AS_SENT
        self._failure: FileSystemError | None = None
        self._use(handle)

    def _use(self, handle: WriteHandle) -> None:
        self._handle = handle
        self._is_immediate = handle.is_immediate if isinstance(handle, Immediate) else None

    def is_immediate(self, end: int) -> bool:
        """Say whether a write up to *end* has nothing to wait for."""
        return self._is_immediate is not None and self._placing is _Placing.AS_SENT and self._is_immediate(end)

    @property
    def entry(self) -> Entry:
        """What SSH_FXP_FSTAT shows."""
        modified = time.time() if self.modified is None else self.modified
        size = self._handle.received
        return Entry(name=self.path.name, is_directory=False, size=size, modified=modified, writable=True)

    def write(self, offset: int, data: memoryview) -> None:
        """Store *data*. After one failure nothing more is taken, and the file cannot become whole any more.

        Raises:
            FileSystemError: this write, or an earlier one, failed.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            self._handle.write(self._place(offset, len(data)), data)
        except Exception as error:
            self._fail_for_good(error)
            raise

    def _fail_for_good(self, error: Exception) -> None:
        """Note why nothing more is taken; what an unknown error says is not for clients."""
        self._failure = error if isinstance(error, FileSystemError) else FileSystemError("the transfer failed")

    def truncate(self, size: int) -> None:
        """End the file at *size* bytes; where it becomes longer by that, those bytes must be written before CLOSE.

        Raises:
            PermissionDeniedError: the filesystem cannot.
            FileSystemError: an earlier write failed.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if not isinstance(self._handle, Truncates):
            raise PermissionDeniedError("a file here cannot be cut or stretched; send it anew")
        self._handle.truncate(size)

    def read(self, offset: int, length: int) -> bytes:
        """Return what was written there; none at the end.

        Raises:
            PermissionDeniedError: it was not opened for that, or the filesystem cannot.
            FileSystemError: an earlier write failed.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if not self._may_read or not isinstance(self._handle, ReadsBack):
            raise PermissionDeniedError("what is being sent cannot be read by this handle")
        return self._handle.read(offset, length) if offset <= _MAX_OFFSET else b""

    def spoil(self, why: str) -> None:
        """Let it not become whole any more, because what was to be written could not be had."""
        self._failure = self._failure or FileSystemError(why)

    def sync(self) -> None:
        """Make what was written durable."""
        self._handle.sync()

    def finish(self) -> None:
        """Commit. A transfer of which a write failed is aborted, and the close says so."""
        if self._failure is not None:
            self._handle.abort(f"a write failed: {self._failure}")
            raise self._failure.with_traceback(None)
        try:
            self._handle.commit(modified=self.modified)
        except BaseException:
            self._handle.abort("it could not be committed")
            raise

    def abandon(self, reason: str) -> None:
        """Abort."""
        self._handle.abort(reason)

    def _place(self, offset: int, length: int) -> int:
        """Return where a write belongs.

        The draft lets a server ignore the offsets of an append (section 6.3). Clients differ: OpenSSH's `reput` appends
        with true offsets, counted from the size that `stat` showed, which may be less than what was received; others
        always send 0. The first write tells which it is.
        """
        if offset + length > _MAX_OFFSET:
            raise OffsetMismatchError("the offset is beyond what a file can have")
        if self._placing is _Placing.AS_SENT:
            return offset
        received = self._handle.received
        if self._placing is _Placing.UNDECIDED:
            self._placing = _Placing.AS_SENT if offset else _Placing.AT_END
            if offset > received:
                raise OffsetMismatchError(f"{received} bytes are here; an append at {offset} would leave a hole")
        return received if self._placing is _Placing.AT_END else offset


class Rewrite(Upload):
    """A whole file that was opened to be written, and not to be emptied: OpenSSH's `scp` does so.

    What is meant shows with the first write: from the start it is a new version, behind it the file is gone on with.
    """

    def __init__(self, begin: Callable[[WriteMode], WriteHandle], path: VirtualPath, *, size: int) -> None:
        """Call *begin* once it is known what is meant; *size* are the bytes that are there now."""
        self._begin = begin
        self._size = size
        self._begun: WriteMode | None = None
        self._is_cut = False
        super().__init__(_Untouched(size), path, appending=False)

    def write(self, offset: int, data: memoryview) -> None:
        """Store *data*; see `Upload.write`."""
        if self._begun is None:
            self._start(WriteMode.RESUME if offset else WriteMode.REPLACE)
        super().write(offset, data)

    def truncate(self, size: int) -> None:
        """End the file at *size* bytes; see `Upload.truncate`."""
        if self._begun is None:
            if size == self._size:
                return
            if size:
                raise PermissionDeniedError("a file here cannot be cut or stretched; send it anew")
            self._start(WriteMode.REPLACE)
        super().truncate(size)
        self._is_cut = True

    def finish(self) -> None:
        """Commit what was written, if it takes the place of all that was there; what was not touched stays."""
        if self._begun is None and self._failure is None:
            return
        if self._begun is WriteMode.REPLACE and not self._is_cut and self._handle.received < self._size:
            self._failure = self._failure or PermissionDeniedError(
                "a file here cannot be changed in part; send it anew"
            )
        super().finish()

    def _start(self, mode: WriteMode) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            self._use(self._begin(mode))
        except Exception as error:
            self._fail_for_good(error)
            raise
        self._begun = mode


class _Untouched:
    """Stands for the handle of a `Rewrite` until that has begun; what is received is all that is there."""

    def __init__(self, size: int) -> None:
        self.received = size

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        raise AssertionError((offset, len(data)))  # the impossible: `Rewrite` begins before it writes

    def sync(self) -> None:
        """Nothing waits."""

    def commit(self, *, length: int | None = None, modified: float | None = None) -> Receipt:
        raise AssertionError((length, modified))  # the impossible: `Rewrite` commits what it has begun

    def abort(self, reason: str) -> None:
        """Nothing has begun."""


class Download:
    """A file that is being sent."""

    is_transfer = True

    def __init__(self, handle: ReadHandle, path: VirtualPath) -> None:
        """Wrap *handle*."""
        self.path = path
        self._handle = handle
        self._read_immediate = handle.read_immediate if isinstance(handle, ImmediateRead) else None

    @property
    def entry(self) -> Entry:
        """What SSH_FXP_FSTAT shows."""
        return self._handle.entry

    @property
    def is_immediate(self) -> bool:
        """Whether `finish` waits for nobody."""
        return self._read_immediate is not None

    def read_immediate(self, offset: int, length: int) -> Sequence[memoryview] | None:
        """Return bytes of the file if they are at hand, none where that is its end; see `ImmediateRead`."""
        return None if self._read_immediate is None else self._read_immediate(offset, length)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file; none at its end."""
        return self._handle.read(offset, length) if offset <= _MAX_OFFSET else b""

    def finish(self) -> None:
        """Close."""
        self._handle.close()

    def abandon(self, reason: str) -> None:  # noqa: ARG002 - a reading leaves nothing to explain
        """Close."""
        self._handle.close()


class Listing:
    """A directory that is being listed, a page at a time; the first page is fetched when it is opened.

    While the client looks at one page the next is made, where there are threads for that.
    """

    is_transfer = False

    def __init__(self, pages: Iterator[Sequence[Row]], *, begin: Begin | None = None) -> None:
        """List the rows of *pages*; *begin* calls something on a thread as soon as one is free."""
        now = time.time()
        self._pages = pages
        self._rows = chain(((name, True, 0, now, False) for name in (".", "..")), chain.from_iterable(pages))
        self._begin = begin
        self._first: Names | None = None
        self._next: Future[Names] | None = None
        self.is_over = False
        """Whether every row was given out: nothing is left to wait for, nor to let go."""

    def open(self) -> None:
        """Fetch the first page, so that a directory that is not there fails now and not at the first read."""
        self._first = self._names()

    @property
    def is_ready(self) -> bool:
        """Whether the next page is made, so that `page` returns at once."""
        return self.is_over or self._first is not None or (self._next is not None and self._next.done())

    def page(self) -> Names:
        """Return the next rows, encoded; none at the end."""
        if self.is_over:
            return Names(0, b"", is_full=False)
        if self._first is not None:
            names, self._first = self._first, None
        elif self._next is not None and not self._next.cancel():
            names, self._next = self._next.result(), None
        else:  # nothing was begun, or it waits behind others for a thread, and this call has one
            names, self._next = self._names(), None
        self.is_over = not names.is_full
        if names.is_full and self._begin is not None:
            self._next = self._begin(self._names)
        return names

    def finish(self) -> None:
        """Let the iterator go, and with it what it holds."""
        begun, self._next = self._next, None
        if begun is not None and not begun.cancel():
            begun.exception()  # an iterator that is being read cannot be closed: wait until it is not
        self._first = None
        close = getattr(self._pages, "close", None)
        if close is not None:
            close()

    def abandon(self, reason: str) -> None:  # noqa: ARG002 - a listing leaves nothing to explain
        """Let the iterator go."""
        self.finish()

    def _names(self) -> Names:
        return encode_names(self._rows, now=time.time(), room=LISTING_BYTES)


def scan_pages(filesystem: FileSystem, path: VirtualPath) -> Iterator[Sequence[Row]]:
    """List *path* by the fastest way that *filesystem* has."""
    if isinstance(filesystem, ScanPages):
        return filesystem.scan_pages(path)
    return (
        ((entry.name, entry.is_directory, entry.size, entry.modified, entry.writable),)
        for entry in filesystem.scandir(path)
    )
