"""Write an upload's bytes as they come: any offset, any order, any overlap; sealed before they reach the disk.

Bytes wait in one buffer until it is full, something arrives that does not touch it, or the handle is flushed. So much
is lost when the process dies; nothing that was flushed is. What was synced survives a power cut too. The log is synced
on the way, so that the last sync is short.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import threading
from typing import TYPE_CHECKING

from storage.durable import disk_errors, sync_directory
from storage.errors import LandingBusyError, LandingClosedError, StorageError
from storage.landing.digest import FrontierDigest
from storage.landing.log import MAX_UNSYNCED_BYTES, SYNC_BYTES, RecordLog
from storage.landing.record import MAX_OFFSET, SEGMENT_BYTES, Kind

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from storage.descriptor import Descriptor


BUFFER_BYTES = 2 * SEGMENT_BYTES
"""Bytes handed over to be hashed at once: threads that take turns by segment spend half of their time on that."""


class LandingWriter:
    """The one handle that writes an upload's log. Safe to call from several threads."""

    def __init__(
        self, file: Descriptor, path: Path, upload_id: str, key: bytes, *, hashers: Executor | None, syncers: Executor
    ) -> None:
        """Take the log in *file* over, which is closed with this; `LandingZone` calls it.

        Without *hashers* there will be no digest.

        Raises:
            LandingBusyError: another handle, in any process, has it.
        """
        self._file = file
        self._directory = path.parent
        self._id = upload_id
        self._syncers = syncers
        self._log = RecordLog(file, upload_id, key)
        self._digest = FrontierDigest(None if hashers is None else hashers.submit, self._log.read)
        self._lock = threading.RLock()
        self._synced_more = threading.Condition(self._lock)
        self._sync_lock = threading.Lock()
        self._buffer = memoryview(bytearray())
        """What is sealed and not hashed yet, `_sealed` bytes, and behind it what is not sealed yet, `_fill` bytes."""
        self._sealed = 0
        self._start = 0
        """Where in the file the bytes lie that are not sealed yet."""
        self._fill = 0
        self._closed = False
        self._broken: StorageError | None = None
        self._named = False
        """Whether the file's name is known to be on the disk."""
        self._syncing = False
        self._synced_records = 0
        self._synced_tail = 0
        self._durable_prefix = 0
        try:
            file.call(lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError as error:
            file.close()
            raise LandingBusyError(f"{upload_id} is being written by another handle") from error

    def begin(self) -> None:
        """Begin a new log; `LandingZone` calls it."""
        self._log.begin()

    def recover(self, records: int | None) -> None:
        """Replay the log, cut off what is torn, and make the rest durable; `LandingZone` calls it."""
        self._log.replay(records=records)
        self._log.cut()
        self.sync()
        self._digest.advance(self._log.index.prefix)

    @property
    def prefix(self) -> int:
        """Bytes from the first on that were received without a hole; some of them may still wait in memory."""
        with self._lock:
            prefix = self._log.index.prefix
            if self._fill and self._start <= prefix < self._start + self._fill:
                return self._log.index.contiguous_end(self._start + self._fill)
            return prefix

    @property
    def durable_prefix(self) -> int:
        """Bytes from the first on without a hole that would survive a power cut."""
        return self._durable_prefix

    @property
    def end(self) -> int:
        """Size of the file: behind the farthest byte received, or where it was truncated."""
        with self._lock:
            return max(self._log.index.size, self._start + self._fill if self._fill else 0)

    @property
    def records(self) -> int:
        """Records in the log, for the catalog to keep; what waits in memory is in none yet."""
        return self._log.records

    @property
    def log_size(self) -> int:
        """Bytes of the log on the disk: what overwriting costs too."""
        return self._log.tail

    @property
    def buffered(self) -> int:
        """Bytes that wait in memory, fewer than a segment."""
        return self._fill

    @property
    def congested(self) -> bool:
        """Whether the next write would have to wait for the disk."""
        return self._log.tail - self._synced_tail > MAX_UNSYNCED_BYTES

    def lend(self, offset: int) -> memoryview | None:
        """Return the memory that bytes from *offset* on would be copied to, if they go on where the last ones ended.

        Whoever has put bytes there calls `write` with *offset* and that view, or its beginning, before anything else
        is written or lent: what lies there already is not copied. If they never come, nothing has happened.
        """
        with self._lock:
            if self._closed or self._fill == SEGMENT_BYTES or offset != self._start + self._fill:
                return None
            if not self._buffer:
                self._buffer = self._digest.take_buffer(BUFFER_BYTES)
            return self._buffer[self._sealed + self._fill : self._sealed + SEGMENT_BYTES]

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Take *data* at *offset* (bytes from the start); it is not kept after the call returns.

        Raises:
            OutOfSpaceError, StoreUnavailableError: some bytes of *data* may have been taken; all that were taken before
                are kept, and a later call may succeed.
            LandingClosedError: the handle is closed.
            ValueError: *offset* is negative, or beyond what any file has.
        """
        view = memoryview(data).cast("B")
        if offset < 0 or offset + len(view) > MAX_OFFSET:
            raise ValueError(f"no file has bytes at {offset}")
        with self._lock:
            self._check()
            if self.congested:
                self._synced_more.wait_for(lambda: not self.congested or not self._syncing)
                self._check()
            while view:
                place = offset - self._start
                if self._fill == SEGMENT_BYTES or (self._fill and not 0 <= place <= self._fill):
                    self._seal()
                if not self._fill:
                    if offset != self._start:
                        self._hand_over()
                    self._start, place = offset, 0
                    if not self._buffer:
                        self._buffer = self._digest.take_buffer(BUFFER_BYTES)
                taken = min(len(view), SEGMENT_BYTES - place)
                at = self._sealed + place
                if not _lies_at(view, self._buffer, at):
                    self._buffer[at : at + taken] = view[:taken]
                self._fill = max(self._fill, place + taken)
                offset += taken
                view = view[taken:]
                if self._fill == SEGMENT_BYTES:
                    self._seal()

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset* of what was written so far; fewer only at the end, none past it.

        Raises:
            HoleError: some of them were not written yet.
            AlteredRecordError: a record was altered.
            OutOfSpaceError, StoreUnavailableError: what waits in memory could not be sealed.
        """
        if offset < 0 or length < 0:
            raise ValueError("offset and length are not negative")
        with self._lock:
            self._check()
            self._seal()
            return self._log.read(offset, min(offset + length, self._log.index.size))

    def truncate(self, size: int) -> None:
        """End the file at *size* bytes: what lies behind is gone; where it was shorter there is a hole."""
        if not 0 <= size <= MAX_OFFSET:
            raise ValueError(f"no file has {size} bytes")
        with self._lock:
            self._check()
            self._seal()
            self._hand_over()
            if size == self._log.index.size:
                return
            self._digest.rewind(size)
            try:
                self._log.append(Kind.TRUNCATION, size, b"", self._synced_records)
                self._durable_prefix = min(self._durable_prefix, size)
            finally:
                self._digest.advance(self._log.index.prefix)

    def flush(self) -> None:
        """Seal what waits in memory and hand it to the operating system: then it survives the end of this process.

        Raises:
            OutOfSpaceError, StoreUnavailableError: it still waits in memory; a later call may succeed.
        """
        with self._lock:
            self._check()
            self._seal()

    def sync(self) -> None:
        """Return when every byte written before would survive a power cut.

        Raises:
            OutOfSpaceError, StoreUnavailableError: that is not so. Once the disk has failed to sync, no later sync of
                this handle succeeds: the system drops what it could not write (fsync(2)).
        """
        with self._lock:
            self._check()
            self._seal()
        self._sync_file()

    def digest(self, *, patience_seconds: float = 1.0) -> bytes | None:
        """Return SHA-256 of the whole file; None while bytes are missing, or while it is not known yet.

        Call it when all is written. Up to a lag of 64 MiB it waits as long as is said; with a longer one, as after many
        writes out of order, the digest is left to whoever reads the file.

        Raises:
            OutOfSpaceError, StoreUnavailableError: what waits in memory could not be sealed.
        """
        with self._lock:
            self._check()
            self._seal()
            self._hand_over()
            size = self._log.index.size
            if self._log.index.prefix != size:
                return None
        return self._digest.result(size, patience_seconds)

    def close(self) -> None:
        """Flush, and let another handle take the upload over. Closed it is in any case; a second call does nothing.

        Raises:
            OutOfSpaceError, StoreUnavailableError: what waited in memory is lost.
        """
        with self._lock:
            if self._closed:
                return
            try:
                if self._broken is None:
                    self._seal()
            finally:
                self._closed = True
                self._file.close()

    def _check(self) -> None:
        if self._closed:
            raise LandingClosedError(f"the handle of {self._id} is closed")
        if self._broken is not None:
            raise self._broken

    def _seal(self) -> None:
        """Append what waits in memory as one record."""
        if not self._fill:
            return
        start, end = self._sealed, self._sealed + self._fill
        if not start:
            self._digest.rewind(self._start)
        try:
            self._log.append(Kind.DATA, self._start, self._buffer[start:end], self._synced_records)
        except StorageError:
            if not start:
                self._digest.advance(self._log.index.prefix)
            raise
        self._start += self._fill
        self._sealed, self._fill = end, 0
        if len(self._buffer) - end < SEGMENT_BYTES:
            self._hand_over()
        if self._log.tail - self._synced_tail >= SYNC_BYTES and not self._syncing:
            self._syncing = True
            try:
                self._syncers.submit(self._sync_early)
            except RuntimeError:  # the zone is closing; the next `sync` does it
                self._syncing = False

    def _hand_over(self) -> None:
        """Let what is sealed be hashed; nothing waits behind it."""
        if not self._sealed:
            return
        if self._digest.offer(self._start - self._sealed, self._buffer, self._sealed):
            self._buffer = memoryview(bytearray())
        self._sealed = 0
        self._digest.advance(self._log.index.prefix)

    def _sync_early(self) -> None:
        """Sync on a thread; a failure is kept for the next call of the writer."""
        try:
            with contextlib.suppress(StorageError, ValueError):  # ValueError: closed meanwhile
                self._sync_file()
        finally:
            with self._lock:
                self._syncing = False
                self._synced_more.notify_all()

    def _sync_file(self) -> None:
        with self._sync_lock:
            with self._lock:
                self._check()
                records, tail, prefix = self._log.records, self._log.tail, self._log.index.prefix
            try:
                with disk_errors(f"syncing the landing log {self._id}"):
                    self._file.call(os.fdatasync)
                    if not self._named:
                        sync_directory(self._directory)
                        self._named = True
            except StorageError as error:
                self._broken = error
                raise
            with self._lock:
                self._synced_records = max(self._synced_records, records)
                self._synced_tail = max(self._synced_tail, tail)
                self._durable_prefix = min(max(self._durable_prefix, prefix), self._log.index.prefix)


def _lies_at(view: memoryview, buffer: memoryview, position: int) -> bool:
    """Say whether *view* begins at *position* of *buffer*."""
    if view.readonly or view.obj is not buffer.obj:
        return False
    here, there = (ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in (view, buffer))
    return here == there + position
