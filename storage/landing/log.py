"""A landing log on the disk: append a record, replay what is there, read one record again.

What replay trusts. Records are appended, and every so often the file is synced; each record says how many were on the
disk for certain when it was written. After a crash only records behind the last such mark can be torn, so only those
are opened on replay; of the others the header is checked. The first bad one ends the log. Before that mark, and before
the number that the catalog has, a bad record is no torn one: it is an error, and nothing is cut.
"""

from __future__ import annotations

import contextlib
import os
import threading
from array import array
from typing import TYPE_CHECKING

from storage.durable import disk_errors, storage_error
from storage.errors import (
    AlteredRecordError,
    HoleError,
    LandingError,
    RolledBackError,
    UnknownFormatError,
    WrongKeyError,
)
from storage.landing.extents import Extent, ExtentIndex
from storage.landing.record import (
    HEADER_BYTES,
    LOG_HEADER_BYTES,
    MAX_RECORD_BYTES,
    MAX_RECORDS,
    TAG_BYTES,
    Kind,
    RecordCipher,
    RecordHeader,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.descriptor import Descriptor

SYNC_BYTES = 64 * 1024 * 1024
"""How often a writer syncs on its own."""
MAX_UNSYNCED_BYTES = 4 * SYNC_BYTES
"""How far a writer runs ahead of the disk before it waits: so long a tail can be torn, and no longer one."""
_MAX_TORN_BYTES = MAX_UNSYNCED_BYTES + SYNC_BYTES
_PAGE_BYTES = 4096
_WINDOW_BYTES = 1024 * 1024
_DATA_MARK = b"\x01\0\0\0"


class RecordLog:
    """One log. Appending and replaying are for one thread at a time; records may be opened from several."""

    def __init__(self, file: Descriptor, upload_id: str, key: bytes) -> None:
        """Read and write *file*, which the caller closes."""
        self._file = file
        self._id = upload_id
        self._cipher = RecordCipher(upload_id, key)
        self.index = ExtentIndex()
        self._index_lock = threading.Lock()
        self.records = 0
        self.tail = LOG_HEADER_BYTES
        """Where the next record goes: bytes of the log so far."""

    def begin(self) -> None:
        """Write the header of a new log."""
        with disk_errors(f"beginning the landing log {self._id}"):
            self._file.pwrite(self._cipher.log_header, 0)

    def append(self, kind: Kind, offset: int, plain: bytes | memoryview, synced: int) -> None:
        """Append one record and take it into the index. If that fails, the log is as before.

        Raises:
            OutOfSpaceError, StoreUnavailableError: the disk is full or fails.
        """
        if self.records >= MAX_RECORDS:
            raise LandingError(f"{self._id} has {self.records} records; no more can be numbered")
        header = RecordHeader(kind=kind, length=len(plain), number=self.records, offset=offset, synced=synced)
        record = self._cipher.seal(header, plain)
        try:
            self._file.pwrite(record, self.tail)
        except OSError as error:
            # A part of it may be there. The next record goes over it; the cut only keeps the log tidy.
            with contextlib.suppress(OSError):
                self._file.call(lambda fd: os.ftruncate(fd, self.tail))
            raise storage_error(error, f"writing the landing log {self._id}") from error
        self._apply(header, self.tail)

    def replay(self, *, records: int | None = None, exact: bool = False) -> None:
        """Take in what is on the disk.

        Args:
            records: how many the catalog knows of.
            exact: take in so many and no more.

        Raises:
            RolledBackError: there are fewer than *records*.
            AlteredRecordError: a record is bad where a torn tail cannot be the reason.
            WrongKeyError: the key is another upload's.
            UnknownFormatError: it is no landing log of this version.
        """
        with disk_errors(f"reading the landing log {self._id}"):
            size = self._file.size
            if not self._check_log_header(size):
                return self._require(records)
            positions, end = self._scan(size, records if exact else None)
            good = len(positions)
            if not (exact and records is not None and good == records):
                good = self._good_records(positions, end, size)
            self._require(records, good)
            for number in range(good):
                self._apply(self._header_at(positions[number], number), positions[number])
        return None

    def take_more(self, records: int | None = None) -> Iterator[RecordHeader]:
        """Take in what another process has appended, up to *records* in all, and yield each header as it is taken.

        A record counts once all of it is there; what is behind it may be under way.

        Raises:
            WrongKeyError, UnknownFormatError: it is not this upload's log.
        """
        with disk_errors(f"following the landing log {self._id}"):
            size = self._file.size
            if self.records == 0 and not self._check_log_header(size):
                return
            while records is None or self.records < records:
                header = self._cipher.parse_header(self._file.pread(HEADER_BYTES, self.tail))
                if header is None or header.number != self.records or self.tail + header.record_bytes > size:
                    return
                self._apply(header, self.tail)
                yield header

    def cut(self) -> int:
        """Cut off what lies behind the last good record, and return how many bytes that were."""
        with disk_errors(f"cutting the landing log {self._id}"):
            torn = self._file.size - self.tail
            if torn:
                self._file.call(lambda fd: os.ftruncate(fd, self.tail))
            if self.records == 0:
                self.begin()
        return max(0, torn)

    def read(self, offset: int, end: int, open_extent: Callable[[Extent], bytes] | None = None) -> bytes:
        """Return the bytes from *offset* to *end*, all of them; *open_extent* may keep records that were opened.

        Raises:
            HoleError: some of them were never written.
            AlteredRecordError: a record was altered.
        """
        with self._index_lock:
            extents = self.index.find(offset, end)
        parts = []
        for extent in extents:
            if extent.start > offset:
                break
            plain = (open_extent or self.open_extent)(extent)
            stop = min(end, extent.end)
            parts.append(memoryview(plain)[extent.skip + offset - extent.start : extent.skip + stop - extent.start])
            offset = stop
        if offset < end:
            raise HoleError(f"{self._id}: the bytes at {offset} were never written")
        return b"".join(parts)

    def open_extent(self, extent: Extent) -> bytes:
        """Return the plaintext of the record that *extent* lies in, whole.

        Raises:
            AlteredRecordError: it is not the record that was there, or was altered.
        """
        with disk_errors(f"reading the landing log {self._id}"):
            data = self._file.pread(HEADER_BYTES + extent.skip + extent.length + TAG_BYTES, extent.position)
            header = self._cipher.parse_header(data)
            if header is None or (header.number, header.offset) != (extent.number, extent.start - extent.skip):
                raise AlteredRecordError(f"record {extent.number} of {self._id} is not where it was")
            if header.record_bytes != len(data):
                data = self._file.pread(header.record_bytes, extent.position)
        return self._cipher.open(data)

    def _apply(self, header: RecordHeader, position: int) -> None:
        with self._index_lock:
            if header.kind is Kind.DATA:
                self.index.add(
                    Extent(start=header.offset, length=header.length, position=position, number=header.number, skip=0)
                )
            else:
                self.index.truncate(header.offset)
        self.records = header.number + 1
        self.tail = position + header.record_bytes

    def _check_log_header(self, size: int) -> bool:
        """Say whether the log has begun; a header that never reached the disk is no log yet."""
        found = self._file.pread(LOG_HEADER_BYTES, 0)
        expected = self._cipher.log_header
        if found == expected:
            return True
        if size <= _MAX_TORN_BYTES and (len(found) < LOG_HEADER_BYTES or not any(found)):
            return False
        if found[:9] != expected[:9]:
            raise UnknownFormatError(f"{self._id} is not a landing log of version 1")
        raise WrongKeyError(f"the key is not that of the landing log {self._id}")

    def _scan(self, size: int, limit: int | None) -> tuple[array[int], int]:
        """Return where the records begin, as their headers say, and where the last one ends."""
        positions = array("Q")
        position = LOG_HEADER_BYTES
        page, base = b"", 0
        while limit is None or len(positions) < limit:
            if not base <= position <= base + len(page) - HEADER_BYTES:
                page, base = self._file.pread(_PAGE_BYTES, position), position
            header = self._cipher.parse_header(memoryview(page)[position - base :])
            if header is None or header.number != len(positions) or position + header.record_bytes > size:
                break
            positions.append(position)
            position += header.record_bytes
        return positions, position

    def _good_records(self, positions: array[int], end: int, size: int) -> int:
        """Return how many records from the first on are good, opening no more than needed."""
        mark = 0
        for position in reversed(positions):
            with contextlib.suppress(AlteredRecordError):
                self._open_at(position)
                mark = self._header_at(position).synced
                break
        good = len(positions)
        for number in range(min(mark, good), good):
            if not self._opens_at(positions[number]):
                good, end = number, positions[number]
                break
        torn = size - end
        if torn > _MAX_TORN_BYTES or (torn and self._later_mark(end, size) > good):
            raise AlteredRecordError(f"record {good} of {self._id} was altered: {torn} bytes behind it cannot be torn")
        return good

    def _later_mark(self, start: int, end: int) -> int:
        """Return the highest mark of a genuine record anywhere between *start* and *end*; 0 if there is none."""
        mark = 0
        for base in range(start, end, _WINDOW_BYTES):
            window = self._file.pread(_WINDOW_BYTES + HEADER_BYTES, base)
            at = window.find(_DATA_MARK)
            while at >= 0:
                header = self._cipher.parse_header(memoryview(window)[at:])
                if header is not None:
                    mark = max(mark, header.synced)
                at = window.find(_DATA_MARK, at + 1)
        return mark

    def _header_at(self, position: int, number: int | None = None) -> RecordHeader:
        header = self._cipher.parse_header(self._file.pread(HEADER_BYTES, position))
        if header is None or (number is not None and header.number != number):
            raise AlteredRecordError(f"a record of {self._id} changed while it was read")
        return header

    def _opens_at(self, position: int) -> bool:
        try:
            self._open_at(position)
        except AlteredRecordError:
            return False
        return True

    def _open_at(self, position: int) -> bytes:
        data = self._file.pread(MAX_RECORD_BYTES, position)
        header = self._cipher.parse_header(data)
        if header is None:
            raise AlteredRecordError(f"a record of {self._id} changed while it was read")
        return self._cipher.open(memoryview(data)[: header.record_bytes])

    def _require(self, records: int | None, found: int = 0) -> None:
        if records is not None and found < records:
            raise RolledBackError(f"{self._id} has {found} records; {records} were committed")
