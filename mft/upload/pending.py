"""A small upload before it is written down: its bytes wait in memory until it is whole, and it then lands at once.

A row, a log and their transaction before the first byte, and another transaction behind the last one, cost a file of
4 KiB twice what one does. Nothing was promised before CLOSE-OK. What is not small, not closed soon, asked after or
broken off is written down as any upload is, and goes on as one.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from mft.faults import translated
from protocols.errors import FileSystemError, LockedError, OffsetMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mft.upload.deposit import Deposit
    from mft.upload.handle import UploadHandle
    from protocols.filesystem import Receipt

log = logging.getLogger(__name__)

SMALL_BYTES = 64 * 1024
"""What an upload may have that waits in memory."""
HELD_BYTES = 2 * SMALL_BYTES
"""What may be held of one: clients send bytes twice, too."""
PATIENCE_SECONDS = 0.25
"""How long one may wait for its end; then others are to see that it is under way."""
_REST_SECONDS = 5.0
"""How long the thread that looks after them goes on looking when there is none."""

Piece = tuple[int, bytes]


class PendingUpload:
    """The `WriteHandle` of an upload that is not written down yet. Safe for several threads."""

    def __init__(
        self,
        deposit: Deposit,
        *,
        write_down: Callable[[Deposit], UploadHandle],
        land: Callable[[Deposit, Sequence[Piece], float | None], Receipt],
        forget: Callable[[PendingUpload], None],
    ) -> None:
        """Hold what is sent as *deposit*.

        *write_down* begins a plain upload of it, *land* makes it LANDED at once, *forget* is called when nothing waits
        in memory any more.
        """
        self.deposit = deposit
        self.since = time.monotonic()
        self._write_down = write_down
        self._land = land
        self._forget = forget
        self._turn = threading.RLock()
        """Whoever writes it down or ends it: that may take long."""
        self._lock = threading.Lock()
        """Of what follows: never held while anything is waited for but a page cache."""
        self._pieces: list[Piece] = []
        self._held = 0
        self._handle: UploadHandle | None = None
        self._ended = False

    @property
    def received(self) -> int:
        """End of the contiguous prefix received so far, in bytes."""
        with self._lock:
            if self._handle is None:
                return _extent(self._pieces)[0]
        return self._handle.received

    def is_immediate(self, end: int) -> bool:
        """Say whether a write up to *end* needs nobody else."""
        handle = self._handle
        if handle is not None:
            return handle.is_immediate(end)
        return not self._ended and self._fits(end, end) and self.deposit.lease.is_fresh

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Store *data* at *offset*; see `protocols.filesystem.WriteHandle.write`."""
        if self._handle is None:
            self.deposit.lease.check()
        with self._lock:
            self._check_open()
            if self._handle is None and self._fits(offset + len(data), len(data)):
                self._pieces.append((offset, bytes(data)))
                self._held += len(data)
                return
        self.write_down().write(offset, data)

    def sync(self) -> None:
        """Return when every byte written so far would survive a power cut."""
        self.write_down().sync()

    def write_down(self) -> UploadHandle:
        """Make a plain upload of it, if it is none yet, and return that.

        Raises:
            FileSystemError: it is over, or cannot be begun.
        """
        with self._turn:
            with self._lock:
                self._check_open()
                if self._handle is not None:
                    return self._handle
            return self._begin()

    def commit(self, *, length: int | None = None, modified: float | None = None) -> Receipt:
        """Declare the transfer whole; see `protocols.filesystem.WriteHandle.commit`."""
        with self._turn:
            with self._lock:
                self._check_open()
                handle, self._ended = self._handle, True
            if handle is not None:
                return handle.commit(length=length, modified=modified)
            try:
                self.deposit.lease.check()
                _check_whole(self._pieces, length)
                with translated():
                    receipt = self._land(self.deposit, self._pieces, modified)
            except BaseException as error:
                self._break_off(str(error) if isinstance(error, FileSystemError) else "the server failed")
                raise
            self._pieces.clear()
            self._forget(self)
            return receipt

    def abort(self, reason: str) -> None:
        """Record that the transfer broke off; what came is kept for a resume. Never raises."""
        with self._turn:
            with self._lock:
                if self._ended:
                    return
                handle, self._ended = self._handle, True
            if handle is not None:
                handle.abort(reason)
            else:
                self._break_off(reason)

    def _begin(self) -> UploadHandle:
        handle = self._write_down(self.deposit)
        try:
            with self._lock:
                for offset, piece in self._pieces:
                    handle.write(offset, piece)
                self._pieces.clear()
                self._handle = handle
        except BaseException:
            handle.abort("what waited in memory could not be written")
            raise
        finally:
            self._forget(self)
        return handle

    def _break_off(self, reason: str) -> None:
        try:
            self._begin().abort(reason)
        except Exception:  # noqa: BLE001 - the border: an abort must not raise; nothing of it was promised
            log.info("upload.not_kept", extra={"why": reason})
            self._forget(self)

    def _fits(self, end: int, more: int) -> bool:
        return end <= SMALL_BYTES and self._held + more <= HELD_BYTES

    def _check_open(self) -> None:
        if self._ended:
            raise LockedError("the upload has ended; open the file again to resume")


class PendingUploads:
    """Those of one process; a thread of its own sees that none waits for long."""

    def __init__(self) -> None:
        """Know of none."""
        self._lock = threading.Lock()
        self._waiting: dict[PendingUpload, None] = {}
        self._some = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def add(self, pending: PendingUpload) -> None:
        """Look after *pending*."""
        with self._lock:
            self._waiting[pending] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="pending-uploads", daemon=True)
                self._thread.start()
        if not self._some.is_set():
            self._some.set()

    def remove(self, pending: PendingUpload) -> bool:
        """Forget *pending*; say whether it was known."""
        with self._lock:
            return self._waiting.pop(pending, self) is None

    def show(self, parent_id: int | None = None, name: str | None = None) -> None:
        """Have those written down that somebody asks after: in one directory, of one name there, or all."""
        if not self._waiting:
            return
        with self._lock:
            asked = [
                each
                for each in self._waiting
                if parent_id in {None, each.deposit.parent_id} and name in {None, each.deposit.name}
            ]
        self._write_down(asked)

    def close(self) -> None:
        """Stop looking."""
        self._stopped = True
        self._some.set()

    def _look(self) -> None:
        idle = 0.0
        while not self._stopped:
            self._some.wait()
            time.sleep(PATIENCE_SECONDS / 2)
            late = time.monotonic() - PATIENCE_SECONDS
            with self._lock:
                idle = 0.0 if self._waiting else idle + PATIENCE_SECONDS / 2
                overdue = [each for each in self._waiting if each.since <= late]
                if idle >= _REST_SECONDS and not self._stopped:
                    self._some.clear()
            self._write_down(overdue)

    @staticmethod
    def _write_down(some: Sequence[PendingUpload]) -> None:
        for each in some:
            try:
                each.write_down()
            except FileSystemError:  # it has just ended, or cannot be begun now: its sender is told at its end
                each.since = time.monotonic()
            except Exception:  # the thread's border
                each.since = time.monotonic()
                log.exception("upload.write_down_failed")


def _check_whole(pieces: Sequence[Piece], length: int | None) -> None:
    prefix, end = _extent(pieces)
    if prefix != end:
        raise OffsetMismatchError(f"bytes {prefix} to {end} are not all there; resume the upload")
    if length is not None and end != length:
        raise OffsetMismatchError(f"{end} of {length} bytes came; resume the upload")


def _extent(pieces: Sequence[Piece]) -> tuple[int, int]:
    """Return the end of the contiguous prefix of *pieces*, and the farthest end."""
    prefix = end = 0
    for offset, piece in sorted(pieces, key=lambda each: each[0]):
        end = max(end, offset + len(piece))
        if offset <= prefix:
            prefix = max(prefix, offset + len(piece))
    return prefix, end
