"""One upload under way, as a protocol head holds it."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from mft.faults import translated
from mft.upload.room import FIRST_SLAB, LAST_SLAB, LEAD
from protocols.errors import FileSystemError, LockedError, OffsetMismatchError, QuotaExceededError
from storage.errors import OutOfSpaceError
from storage.landing.record import MAX_OFFSET

if TYPE_CHECKING:
    from mft.cases import Lease
    from mft.upload.service import Uploads
    from protocols.filesystem import Receipt
    from storage.landing import LandingWriter

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 5.0
"""How often the catalog learns where a resume could go on."""
LIVELY_SECONDS = 2.0
"""A sender that is silent for longer may be gone, though its connection still stands."""


class UploadHandle:
    """The `WriteHandle` of every head. Safe for several threads; ends in one of `commit` and `abort`."""

    def __init__(
        self,
        *,
        uploads: Uploads,
        upload_id: str,
        epoch: int,
        writer: LandingWriter,
        lease: Lease,
        limit: int | None,
        reserved: int,
        length: int | None = None,
    ) -> None:
        """Write into *writer* what the head hands in, up to *limit* bytes, *reserved* of them already in the quota.

        *length* is that of the file, where it was announced.
        """
        self.id = upload_id
        self.epoch = epoch
        self._uploads = uploads
        self._writer = writer
        self._lease = lease
        self._limit = limit
        self._reserved = reserved
        self._slab = FIRST_SLAB
        self._used_up = length is not None
        """Whether there is nothing to be reserved ahead: all of it is, or quotas have no more."""
        self._lock = threading.RLock()
        self._ended: str | None = None
        self._progress_due = time.monotonic() + PROGRESS_SECONDS
        self._moved = time.monotonic()

    @property
    def is_lively(self) -> bool:
        """Whether bytes came just now, or it has only just begun: then its sender is at the other end still."""
        return time.monotonic() - self._moved < LIVELY_SECONDS

    @property
    def received(self) -> int:
        """End of the contiguous prefix received so far, in bytes."""
        return self._writer.prefix

    @property
    def durable(self) -> int:
        """Bytes from the first on without a hole that would survive a power cut."""
        return self._writer.durable_prefix

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Store *data* at *offset*; see `protocols.filesystem.WriteHandle.write`."""
        self._check_open()
        self._lease.check()
        end = offset + len(data)
        if end > MAX_OFFSET:
            raise OffsetMismatchError("the offset is beyond what a file can have")
        if self._limit is not None and end > self._limit:
            raise QuotaExceededError(f"an upload may have {self._limit} bytes; this one wants more")
        with translated():
            if end > self._reserved - LEAD:
                self._reserve(end)
            self._writer.write(offset, data)
            self._moved = time.monotonic()
            if self._moved >= self._progress_due:
                self._note_progress()

    def lend(self, offset: int) -> memoryview | None:
        """Return memory for bytes from *offset* on; see `protocols.filesystem.Lends.lend`."""
        return None if self._ended is not None else self._writer.lend(offset)

    def is_immediate(self, end: int) -> bool:
        """Say whether a write up to *end* needs nobody else: right and quota are in hand, the disk keeps pace."""
        return (
            (end <= self._reserved - LEAD or (self._used_up and end <= self._reserved))
            and self._ended is None
            and self._lease.is_fresh
            and not self._writer.congested
            and time.monotonic() < self._progress_due
        )

    def read(self, offset: int, length: int) -> bytes:
        """Return what was written there; see `protocols.filesystem.ReadsBack.read`."""
        self._check_open()
        self._lease.check()
        with translated():
            return self._writer.read(offset, length)

    def truncate(self, size: int) -> None:
        """End the file at *size* bytes; see `protocols.filesystem.Truncates.truncate`."""
        self._check_open()
        if size > MAX_OFFSET or (self._limit is not None and size > self._limit):
            raise QuotaExceededError(f"an upload may have {self._limit or MAX_OFFSET} bytes; this one wants more")
        with translated():
            self._writer.truncate(size)

    def hold(self, amount: int) -> None:
        """Count *amount* bytes more as reserved: a part of it had them, and has been relieved of them."""
        with self._lock:
            self._reserved += amount

    def sync(self) -> None:
        """Return when every byte written so far would survive a power cut."""
        self._check_open()
        with translated():
            self._writer.sync()

    def give_password(self, password: str) -> None:
        """Keep the password of the archive that is sent; see `protocols.filesystem.TakesPassword`."""
        self._check_open()
        with translated():
            self._uploads.give_password(self.id, password)

    def commit(self, *, length: int | None = None, modified: float | None = None) -> Receipt:
        """Declare the transfer whole; see `protocols.filesystem.WriteHandle.commit`."""
        with self._lock:
            self._check_open()
            try:
                self._lease.check()
                with translated():
                    self._check_whole(length)
                    self._writer.sync()
                    receipt = self._uploads.land(self, self._writer, modified=modified)
            except BaseException as error:
                self._end("failed", str(error) if isinstance(error, FileSystemError) else "the server failed")
                raise
            self._ended = "committed"
            self._release()
            return receipt

    def abort(self, reason: str) -> None:
        """Record that the transfer broke off; what came is kept for a resume. Never raises."""
        with self._lock:
            if self._ended is None:
                self._end("aborted", reason)

    def lose(self) -> None:
        """Let go of the landing log because another session has taken the upload over. Never raises."""
        with self._lock:
            if self._ended is None:
                self._ended = "taken over"
                self._release()

    def _check_open(self) -> None:
        if self._ended is None:
            return
        if self._ended == "taken over":
            raise LockedError("another session has taken this upload over")
        raise LockedError("the upload has ended; open the file again to resume")

    def _check_whole(self, length: int | None) -> None:
        prefix, end = self._writer.prefix, self._writer.end
        if prefix != end:
            raise OffsetMismatchError(f"bytes {prefix} to {end} are not all there; resume the upload")
        if length is not None and end != length:
            raise OffsetMismatchError(f"{end} of {length} bytes came; resume the upload")

    def _reserve(self, end: int) -> None:
        """Reserve the next slab before the last is used up; where quotas have no more, what there is is used up."""
        with self._lock:
            while self._reserved < end or (self._reserved < end + LEAD and not self._used_up):
                wanted = max(end, self._reserved + self._slab)
                held, self._reserved = self._reserved, self._uploads.reserve(self.id, self._reserved, wanted, end)
                self._used_up = self._reserved < held + self._slab
                self._slab = min(self._slab * 2, LAST_SLAB)

    def _note_progress(self) -> None:
        self._progress_due = time.monotonic() + PROGRESS_SECONDS
        self._uploads.note_progress(self.id, self.epoch, self._writer.durable_prefix)

    def _end(self, how: str, reason: str) -> None:
        self._ended = how
        try:
            self._uploads.interrupt(self, self._writer, reason)
        except Exception:  # the border: an abort must not raise; the sweep finds what it could not record
            log.exception("upload.interrupt_failed", extra={"upload": self.id})
        finally:
            self._release()

    def _release(self) -> None:
        try:
            self._writer.close()
        except OutOfSpaceError as error:  # what was acknowledged is already durable
            log.warning("upload.close_failed", extra={"upload": self.id, "why": str(error)})
        except Exception:  # the border
            log.exception("upload.close_failed", extra={"upload": self.id})
        self._uploads.forget(self)
