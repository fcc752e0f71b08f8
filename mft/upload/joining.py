"""Files that are made of parts: each part has a landing log of its own, and the file's is written from theirs in order.

It is done on threads, a piece at a time, by the process that was asked for it, and goes on where it stood when it is
asked for again: parts are let go only once their file has landed. So the digest of the file is known at its end, and no
byte is received twice. A file that is asked for before all of its parts are there is written as they come, so that
little is left to do once the last one has.
"""

from __future__ import annotations

import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mft.catalog.states import PARTIAL
from mft.faults import translated
from mft.upload.landed import open_landing_key
from protocols.errors import FileSystemError, LockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Row

    from mft.upload.deposit import Deposit
    from mft.upload.handle import UploadHandle
    from mft.upload.resources import Resources
    from storage.keys.service import KeyService
    from storage.landing import LandingZone

log = logging.getLogger(__name__)
_PIECE = 256 * 1024
"""What a record of a landing log holds: none is opened twice."""
_THREADS = 2
_PAUSE, _PAUSES = 0.25, 8
"""Seconds after which the next part is looked for, which may come by another process, and how often."""


class StoppedError(FileSystemError):
    """This process ends; another one goes on with it."""


class Joins:
    """The joins of one process."""

    def __init__(
        self,
        *,
        resources: Resources,
        keys: KeyService,
        zones: Mapping[str, LandingZone],
        go_on: Callable[[Deposit, Row[Any]], UploadHandle],
    ) -> None:
        """Read parts from *zones* (by region); open the file's own log by *go_on*."""
        self._resources = resources
        self._keys = keys
        self._zones = zones
        self._go_on = go_on
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        self._waiting = 0
        """Files for which there is no thread yet."""
        self._running: set[str] = set()
        self._again: set[str] = set()
        """Those of them of which a part has come meanwhile."""
        self._failed: dict[str, FileSystemError] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = False

    def ready(self, row: Row[Any], parts: Sequence[Row[Any]]) -> bool:
        """Say whether more of the file of *row* can be written than is, or all of it is."""
        there = 0
        for part in parts:
            if not _is_complete(part):
                return there > (row.prefix or 0)
            there += part.length
        return True

    def begin(self, deposit: Deposit, row: Row[Any], parts: Sequence[Row[Any]]) -> None:
        """Have the file of *row* made of *parts*, if nobody here does that already.

        Raises:
            FileSystemError: why the last try failed; told once.
        """
        with self._lock:
            failed = self._failed.pop(row.id, None)
            if failed is not None:
                raise failed
            if row.id in self._running:
                self._again.add(row.id)
                self._came.notify_all()
            if row.id in self._running or self._stopped:
                return
            self._running.add(row.id)
            self._waiting += 1
            self._came.notify_all()
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="join")
            self._pool.submit(self._run, deposit, row, parts)

    def close(self) -> None:
        """Stop what runs; it goes on in another process."""
        with self._lock:
            self._stopped = True
            self._came.notify_all()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _run(self, deposit: Deposit, row: Row[Any], parts: Sequence[Row[Any]]) -> None:
        failed: FileSystemError | None = None
        with self._lock:
            self._waiting -= 1
        try:
            with translated():
                self._join(deposit, row, parts)
        except LockedError:  # another process was faster, and does it
            log.debug("upload.join_elsewhere", extra={"upload": row.id})
        except FileSystemError as error:
            if not self._stopped:
                failed = error
        except Exception:  # the border of a thread
            log.exception("upload.join_failed", extra={"upload": row.id})
            failed = FileSystemError("the parts could not be joined; ask for it again")
        with self._lock:
            self._running.discard(row.id)
            self._again.discard(row.id)
            if failed is not None:
                self._failed[row.id] = failed

    def _join(self, deposit: Deposit, row: Row[Any], parts: Sequence[Row[Any]]) -> None:
        if row.state not in PARTIAL:
            return  # it has landed meanwhile
        there = list(itertools.takewhile(_is_complete, parts))
        self._resources.move_reservations(row, there)
        handle = self._go_on(deposit, self._resources.find(row.id, row.login))
        try:
            base = 0
            for number in range(len(parts)):
                part = there[number] if number < len(there) else self._await(row, number)
                if part is None:
                    handle.abort("its parts are to come")
                    return
                if number >= len(there):
                    handle.hold(self._resources.move_reservations(row, [part]))
                self._copy(handle, part, base)
                base += part.length
            handle.commit(length=base)
        except BaseException as error:
            handle.abort(str(error) if isinstance(error, FileSystemError) else "the server failed")
            raise
        self._resources.end_parts(parts, row.id)

    def _await(self, row: Row[Any], number: int) -> Row[Any] | None:
        """Return a part once it is there; None where it is long in coming, or another file needs the thread."""
        for _ in range(_PAUSES):
            part = self._resources.parts_of(row)[number]
            if _is_complete(part):
                return part
            with self._came:
                self._came.wait_for(lambda: row.id in self._again or self._waiting or self._stopped, _PAUSE)
                self._again.discard(row.id)
                if self._waiting or self._stopped:
                    return None
        return None

    def _copy(self, handle: UploadHandle, part: Row[Any], base: int) -> None:
        """Write *part* at *base*, from where the file stands."""
        offset = max(0, handle.received - base)
        if offset >= part.length:
            return
        reader = self._zones[part.region].open(part.landing_id, open_landing_key(self._keys, part))
        try:
            while offset < part.length:
                if self._stopped:
                    raise StoppedError("the server is being restarted")
                data = reader.read(offset, min(_PIECE - offset % _PIECE, part.length - offset))
                handle.write(base + offset, data)
                offset += len(data)
        finally:
            reader.close()


def _is_complete(part: Row[Any]) -> bool:
    return part.length is not None and part.prefix == part.length and part.unverified_from is None
