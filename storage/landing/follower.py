"""Read the beginning of an upload while another process still writes it.

What was given out is bound to stay: a record that writes there again, or cuts it off, ends the reading. No record is
believed before all of it is in the log, and each is opened with the upload's key, as ever.
"""

from __future__ import annotations

from storage.descriptor import Descriptor
from storage.errors import AlteredRecordError, RewrittenError, RolledBackError
from storage.landing.log import RecordLog


class LandingFollower:
    """A growing file: what there is of it without a hole, from the first byte on. For one thread."""

    def __init__(self, fd: int, upload_id: str, key: bytes) -> None:
        """Follow the log behind *fd*, which is open for reading and closed with this.

        Args:
            fd: of the log of *upload_id*.
            upload_id: whose log it must be.
            key: the upload's key.
        """
        self._id = upload_id
        self._file = Descriptor(fd)
        self._log = RecordLog(self._file, upload_id, key)
        self._given = 0
        """Bytes from the first on that were given out: they must not change."""
        self._cached: tuple[int, bytes] = (-1, b"")

    @property
    def prefix(self) -> int:
        """Bytes from the first on without a hole, as far as the log was looked at."""
        return self._log.index.prefix

    def look(self, records: int | None = None) -> None:
        """Take in what has come since; of a log that may go on no more than *records* from its beginning on.

        Raises:
            RewrittenError: what was given out has changed.
            WrongKeyError, UnknownFormatError: it is not this upload's log.
        """
        for header in self._log.take_more(records):
            if header.offset < self._given:
                raise RewrittenError(f"{self._id} was written again below byte {self._given}")

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*, none where they have not come yet.

        Raises:
            AlteredRecordError: a record was altered.
        """
        end = min(offset + length, self.prefix)
        if offset >= end:
            return b""
        extent = self._log.index.find(offset, offset + 1)[0]
        number, plain = self._cached
        if number != extent.number:
            plain = self._log.open_extent(extent)
            self._cached = (extent.number, plain)
        data = plain[extent.skip + offset - extent.start : extent.skip + min(end, extent.end) - extent.start]
        if not data:
            raise AlteredRecordError(f"record {extent.number} of {self._id} is shorter than it says")
        self._given = max(self._given, offset + len(data))
        return data

    def conclude(self, records: int, size: int) -> None:
        """See that the file that landed, of so many *records* and bytes, is the one that was followed.

        Raises:
            RewrittenError: what was given out has changed, or more was written than landed.
            RolledBackError: it is not all there.
        """
        self.look(records)
        if self._log.records > records:
            raise RewrittenError(f"{self._id} was written further than it landed")
        if (self._log.records, self._log.index.size, self.prefix) != (records, size, size):
            raise RolledBackError(f"{self._id} has not the {records} records and {size} bytes that were committed")

    def close(self) -> None:
        """Let go of it. Never raises; a second call does nothing."""
        self._file.close()
