"""The body of an object: our header, and behind it the stream. Written once, copied as it is, the same in every region.

    magic         8 bytes   6d 66 74 20 62 6f 64 79 ("mft body")
    version       1 byte    01
    reserved      3 bytes   00 00 00
    segment size  4 bytes   ciphertext bytes of a segment, big-endian
    object key   16 bytes

All 32 bytes are the stream's associated data. Neither a store nor a key service is needed here: the scrub child seals
what it makes with a `BodyWriter` and hands ciphertext through a pipe.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.errors import StorageError, TruncatedError, UnknownFormatError, WrongObjectError
from storage.store import ObjectKey, parse_object_key
from storage.stream import HEADER_BYTES as STREAM_HEADER_BYTES
from storage.stream import SEGMENT_BYTES, TAG_BYTES, StreamReader, StreamWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from storage.store import Chunk, ObjectReader

_MAGIC = b"mft body"
_VERSION = 1
_HEADER = struct.Struct(">8sB3xI16s")
HEADER_BYTES = _HEADER.size
MIN_SEGMENT_BYTES = STREAM_HEADER_BYTES + TAG_BYTES + 8
MAX_SEGMENT_BYTES = 16 * 1024 * 1024
"""What a reader is willing to hold at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyInfo:
    """What is known of a body once it is written."""

    size: int
    """Plaintext bytes."""
    sha256: bytes
    """Of the plaintext."""
    stored_size: int
    """Bytes of the body itself, header included."""


def pack_header(object_key: ObjectKey, segment_bytes: int) -> bytes:
    """Return the header of the body of *object_key*."""
    if not MIN_SEGMENT_BYTES <= segment_bytes <= MAX_SEGMENT_BYTES:
        raise StorageError(f"segments of {segment_bytes} bytes are out of range")
    return _HEADER.pack(_MAGIC, _VERSION, segment_bytes, bytes.fromhex(parse_object_key(object_key)))


def parse_header(header: bytes, object_key: ObjectKey) -> int:
    """Return the segment size that *header* names.

    Raises:
        TruncatedError: it is shorter than a header.
        UnknownFormatError: it is not the header of a body of this version.
        WrongObjectError: it is that of another object.
    """
    if len(header) < HEADER_BYTES:
        raise TruncatedError(f"the body breaks off after {len(header)} bytes")
    magic, version, segment_bytes, key = _HEADER.unpack(header[:HEADER_BYTES])
    if magic != _MAGIC or version != _VERSION or not MIN_SEGMENT_BYTES <= segment_bytes <= MAX_SEGMENT_BYTES:
        raise UnknownFormatError(f"this is not a body of version {_VERSION}")
    if key.hex() != object_key:
        raise WrongObjectError(f"this is the body of {key.hex()}, not of {object_key}")
    if header[:HEADER_BYTES] != pack_header(object_key, segment_bytes):
        raise UnknownFormatError("reserved bytes of the body's header are not zero")
    return int(segment_bytes)


class BodyWriter:
    """Seal one body. For one thread."""

    def __init__(
        self,
        write: Callable[[memoryview], object],
        data_key: bytes,
        object_key: ObjectKey,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Begin the body of *object_key*, sealed under *data_key*.

        *write* takes the ciphertext, in memory that is reused once it returns.
        """
        header = pack_header(object_key, segment_bytes)
        self._header: bytes | None = header
        self._target = write
        self._stream = StreamWriter(self._hand_out, data_key, header, segment_bytes=segment_bytes)
        self._sha256 = hashlib.sha256()
        self._size = 0

    @property
    def room(self) -> int:
        """Bytes of plaintext that make at most one segment: a write of no more hands out at most one."""
        return self._stream.room

    def write(self, data: Chunk) -> None:
        """Take plaintext."""
        self._stream.write(data)
        self._sha256.update(data)
        self._size += len(data)

    def close(self) -> BodyInfo:
        """Seal the last segment and say what was written. A body that is not closed reads as truncated."""
        self._stream.close()
        return BodyInfo(size=self._size, sha256=self._sha256.digest(), stored_size=HEADER_BYTES + self._stream.written)

    def _hand_out(self, sealed: memoryview) -> None:
        header, self._header = self._header, None
        if header is not None:
            self._target(memoryview(header))
        self._target(sealed)


class SealedBody:
    """The body of some plaintext as an iterable of ciphertext, for a store to pull. It can be iterated once."""

    def __init__(
        self,
        chunks: Iterable[Chunk],
        data_key: bytes,
        object_key: ObjectKey,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Seal *chunks* while being iterated."""
        self._chunks = chunks
        self._pieces: list[memoryview] = []
        self._writer = BodyWriter(self._pieces.append, data_key, object_key, segment_bytes=segment_bytes)
        self._info: BodyInfo | None = None

    @property
    def info(self) -> BodyInfo:
        """What was written; only after the iteration."""
        if self._info is None:
            raise StorageError("the body is not finished")
        return self._info

    def __iter__(self) -> Iterator[memoryview]:
        """Yield ciphertext in memory that is reused once the next piece is asked for."""
        for chunk in self._chunks:
            view = memoryview(chunk).cast("B")
            # No more than one segment at a time: the writer has one buffer, and the piece must be gone before the next.
            for start in range(0, len(view), self._writer.room):
                self._writer.write(view[start : start + self._writer.room])
                yield from self._taken()
        self._info = self._writer.close()
        yield from self._taken()

    def _taken(self) -> list[memoryview]:
        pieces = self._pieces[:]
        self._pieces.clear()
        return pieces


class BodyReader:
    """Read the plaintext of one body at any offset. Safe to call from several threads."""

    def __init__(
        self, reader: ObjectReader, data_key: bytes, object_key: ObjectKey, *, stored_size: int | None = None
    ) -> None:
        """Open the body in *reader*, which is closed with this one.

        Args:
            reader: the stored bytes.
            data_key: the object's key.
            object_key: whose body it must be.
            stored_size: how long it must be, where an opened slot says so (see `StreamReader`).

        Raises:
            TamperedError: it is not the body of *object_key*, or not whole; the subclass names it.
        """
        header = reader.read(0, HEADER_BYTES)
        segment_bytes = parse_header(header, object_key)
        self._reader = reader
        self._stream = StreamReader(
            reader,
            data_key,
            header,
            offset=HEADER_BYTES,
            segment_bytes=segment_bytes,
            sealed_bytes=None if stored_size is None else stored_size - HEADER_BYTES,
        )

    @property
    def size(self) -> int:
        """Plaintext bytes."""
        return self._stream.size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* plaintext bytes at *offset*; fewer only at the end, none past it.

        Raises:
            TamperedError: the body was altered; the subclass names how.
        """
        return self._stream.read(offset, length)

    def read_immediate(self, offset: int, length: int) -> Sequence[memoryview] | None:
        """Return the same in pieces if it is in memory; see `StreamReader.read_immediate`."""
        return self._stream.read_immediate(offset, length)

    def close(self) -> None:
        """Let go of it. Never raises; a second call does nothing."""
        self._reader.close()
