"""Read a landed file: at any offset, from its log, with one key and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.descriptor import Descriptor
from storage.errors import RolledBackError
from storage.landing.log import RecordLog

if TYPE_CHECKING:
    from storage.landing.extents import Extent


class LandingReader:
    """A landed file, or what is there of one, as it was when this was opened. Safe to call from several threads."""

    def __init__(self, file: Descriptor, upload_id: str, key: bytes, records: int | None, size: int | None) -> None:
        """Replay the log in *file*, which is closed with this; see `from_fd`."""
        self._file = file
        self._log = RecordLog(file, upload_id, key)
        try:
            self._log.replay(records=records, exact=records is not None)
            self._check_size(upload_id, size)
        except BaseException:
            file.close()
            raise
        self._cached: tuple[int, bytes] = (-1, b"")

    @classmethod
    def from_fd(
        cls, fd: int, upload_id: str, key: bytes, records: int | None = None, size: int | None = None
    ) -> LandingReader:
        """Read the log behind *fd*, which is owned and closed by the reader from now on.

        Args:
            fd: open for reading.
            upload_id: whose log it must be.
            key: the upload's key.
            records: how many records the catalog knows of: so many are read, and fewer are refused.
            size: how many bytes the catalog knows of.

        Raises:
            RolledBackError: the log has fewer records, or makes another size.
            AlteredRecordError, WrongKeyError, UnknownFormatError: it is not this upload's log, or was altered.
        """
        return cls(Descriptor(fd), upload_id, key, records, size)

    @property
    def size(self) -> int:
        """Bytes of the file, holes included."""
        return self._log.index.size

    @property
    def prefix(self) -> int:
        """Bytes from the first on without a hole; a whole file has as many as its size."""
        return self._log.index.prefix

    @property
    def records(self) -> int:
        """Records that were read."""
        return self._log.records

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*; fewer only at the end, none past it.

        Raises:
            HoleError: some of them were never written.
            AlteredRecordError: a record was altered.
        """
        if offset < 0 or length < 0:
            raise ValueError("offset and length are not negative")
        return self._log.read(offset, min(offset + length, self.size), self._open)

    def close(self) -> None:
        """Let go of it. Never raises; a second call does nothing."""
        self._file.close()

    def _check_size(self, upload_id: str, size: int | None) -> None:
        if size is not None and self._log.index.size != size:
            raise RolledBackError(f"{upload_id} has {self._log.index.size} bytes; {size} were committed")

    def _open(self, extent: Extent) -> bytes:
        number, plain = self._cached
        if number != extent.number:
            plain = self._log.open_extent(extent)
            self._cached = (extent.number, plain)
        return plain
