"""Files that are made of parts: each part has a landing log of its own, and the file's is written from theirs in order.

It is done on threads, a piece at a time, by the process that was asked for it, and goes on where it stood when it is
asked for again: parts are let go only once their file has landed. So the digest of the file is known at its end, and no
byte is received twice.
"""

from __future__ import annotations

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
        self._running: set[str] = set()
        self._failed: dict[str, FileSystemError] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = False

    def ready(self, parts: Sequence[Row[Any]]) -> bool:
        """Say whether every part is complete."""
        return all(
            part.length is not None and part.prefix == part.length and part.unverified_from is None for part in parts
        )

    def begin(self, deposit: Deposit, row: Row[Any], parts: Sequence[Row[Any]]) -> None:
        """Have the file of *row* made of *parts*, if nobody here does that already.

        Raises:
            FileSystemError: why the last try failed; told once.
        """
        with self._lock:
            failed = self._failed.pop(row.id, None)
            if failed is not None:
                raise failed
            if row.id in self._running or self._stopped:
                return
            self._running.add(row.id)
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="join")
            self._pool.submit(self._run, deposit, row, parts)

    def close(self) -> None:
        """Stop what runs; it goes on in another process."""
        self._stopped = True
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _run(self, deposit: Deposit, row: Row[Any], parts: Sequence[Row[Any]]) -> None:
        failed: FileSystemError | None = None
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
            if failed is not None:
                self._failed[row.id] = failed

    def _join(self, deposit: Deposit, row: Row[Any], parts: Sequence[Row[Any]]) -> None:
        if row.state not in PARTIAL:
            return  # it has landed meanwhile
        self._resources.move_reservations(row, parts)
        handle = self._go_on(deposit, self._resources.find(row.id, row.login))
        try:
            base = 0
            for part in parts:
                self._copy(handle, part, base)
                base += part.length
            handle.commit(length=base)
        except BaseException as error:
            handle.abort(str(error) if isinstance(error, FileSystemError) else "the server failed")
            raise
        self._resources.end_parts(parts, row.id)

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
