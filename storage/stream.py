"""Google Tink's streaming AEAD wire format (AES256-GCM-HKDF-SHA256), written and read at any offset.

    header    one byte 0x28 (40, the header's length), salt (32 bytes), nonce prefix (7 bytes)
    segments  each sealed with AES-256-GCM and ending in its tag (16 bytes)

The segments' key is HKDF-SHA256 of the stream's key with that salt and the associated data as info. The nonce of
segment i is the prefix, i in four bytes (big-endian), and 1 for the last segment, 0 for all others. Every segment but
the last makes *segment size* bytes with its tag, the first one together with the header. An empty plaintext is one
segment, of a tag alone. Order, end and belonging are thus part of what each tag covers. Source: Tink's documentation,
"AES-GCM-HKDF Streaming AEAD".
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.errors import (
    AlteredHeaderError,
    AlteredSegmentError,
    MisplacedSegmentError,
    ObjectTooLargeError,
    StorageError,
    TamperedError,
    TrailingBytesError,
    TruncatedError,
    WrongKeyError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEGMENT_BYTES = 256 * 1024
"""Ciphertext bytes of a segment: what fits a core's second cache did best."""
HEADER_BYTES = 40
TAG_BYTES = 16
_SALT_BYTES = 32
_PREFIX_BYTES = 7
_MAX_SEGMENTS = 1 << 32
_FIRST_BYTES = 8192
"""What a writer has memory for before it is given more."""
_SEARCHED_SEGMENTS = 2048
"""How many places to either side are tried before a segment that does not open is called altered, not misplaced."""
_SLOTS = 2
"""Opened segments that a reader keeps for immediate reads: no read of a segment's length touches more."""
_EMPTY = -1
_FETCHED_SEGMENTS = 8
"""How many segments a long read asks its source for at once."""


class SealedSource(Protocol):
    """Where ciphertext is read from."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*; fewer only at the end."""


@runtime_checkable
class ImmediateSource(Protocol):
    """Optional: a source that can tell whether ciphertext is in memory."""

    def read_immediate(self, into: memoryview, offset: int) -> bool:
        """Fill *into* with the bytes at *offset* if nobody has to be waited for; else say no. Never raises."""


def sealed_size(size: int, segment_bytes: int = SEGMENT_BYTES) -> int:
    """Return how long the stream of a plaintext of *size* bytes is."""
    room = segment_bytes - TAG_BYTES
    segments = max(1, -(-(size + HEADER_BYTES) // room))
    return HEADER_BYTES + size + segments * TAG_BYTES


class _Slot:
    """One opened segment, in memory that is used again."""

    __slots__ = ("number", "plain")

    def __init__(self, segment_bytes: int) -> None:
        self.number = _EMPTY
        self.plain = memoryview(bytearray(segment_bytes))


class _Scratch(threading.local):
    """Ciphertext on its way from the source to being opened, one segment a thread."""

    sealed = memoryview(b"")


_SCRATCH = _Scratch()


def _refuse(_into: memoryview, _offset: int) -> bool:
    """Answer for a source that cannot tell what is in memory."""
    return False


def _scratch(length: int) -> memoryview:
    if len(_SCRATCH.sealed) < length:
        _SCRATCH.sealed = memoryview(bytearray(length))
    return _SCRATCH.sealed[:length]


class _Segments:
    """The key and the nonces of one stream."""

    def __init__(self, key: bytes, header: bytes, associated_data: bytes) -> None:
        salt = header[1 : 1 + _SALT_BYTES]
        self._aead = AESGCM(HKDF(SHA256(), length=32, salt=salt, info=associated_data).derive(key))
        self._prefix = header[1 + _SALT_BYTES : HEADER_BYTES]

    def seal(self, number: int, plain: memoryview, *, last: bool, into: memoryview) -> None:
        self._aead.encrypt_into(self._nonce(number, last=last), plain, None, into)

    def open_into(self, number: int, sealed: memoryview, *, last: bool, into: memoryview) -> None:
        self._aead.decrypt_into(self._nonce(number, last=last), sealed, None, into)

    def open(self, number: int, sealed: bytes | memoryview, *, last: bool) -> bytes:
        return self._aead.decrypt(self._nonce(number, last=last), sealed, None)

    def opens(self, number: int, sealed: bytes | memoryview, *, last: bool) -> bool:
        try:
            self.open(number, sealed, last=last)
        except InvalidTag:
            return False
        return True

    def _nonce(self, number: int, *, last: bool) -> bytes:
        return self._prefix + number.to_bytes(4, "big") + (b"\1" if last else b"\0")


class StreamWriter:
    """Seal one stream, from its first byte to its last. For one thread."""

    def __init__(
        self,
        write: Callable[[memoryview], object],
        key: bytes,
        associated_data: bytes,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Begin a stream under *key* (32 bytes).

        Args:
            write: takes the ciphertext, a segment a call, the header with the first; the memory is reused once it
                returns. At most one call is made for each call of `write` with no more than `room` bytes.
            key: used for this stream alone, or for any number of them: each derives its own.
            associated_data: what the stream belongs to; the same is needed to read it.
            segment_bytes: ciphertext bytes of a segment; the reader must know them.
        """
        header = bytes([HEADER_BYTES]) + os.urandom(_SALT_BYTES + _PREFIX_BYTES)
        self._write = write
        self._segments = _Segments(key, header, associated_data)
        self._header = header
        self._segment_bytes = segment_bytes
        self._room = segment_bytes - TAG_BYTES
        self._plain = memoryview(bytearray(min(_FIRST_BYTES, self._room)))
        """What is held; it grows to a segment's length where so much comes."""
        self._sealed = memoryview(b"")
        self._start = HEADER_BYTES
        """Where ciphertext begins in the segment's buffer: behind the header in the first one."""
        self._held = 0
        self._number = 0
        self._closed = False
        self.written = 0
        """Ciphertext bytes handed out so far."""

    @property
    def room(self) -> int:
        """Plaintext bytes of a whole first segment: no write of as many hands out more than one segment."""
        return self._room - HEADER_BYTES

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take plaintext. A full segment is held until more comes, because the last one is sealed as such.

        Raises:
            ObjectTooLargeError: the stream would need more than 2**32 segments.
        """
        if self._closed:
            raise StorageError("the stream is closed")
        view = memoryview(data).cast("B")
        while view:
            room = self._room - self._start - self._held
            if not room:
                self._flush(last=False)
                continue
            part = view[:room]
            if self._held + len(part) > len(self._plain):
                self._grow(self._held + len(part))
            self._plain[self._held : self._held + len(part)] = part
            self._held += len(part)
            view = view[len(part) :]

    def close(self) -> None:
        """Seal the last segment. Without this the stream reads as truncated; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._flush(last=True)

    def _grow(self, needed: int) -> None:
        """Make room for *needed* bytes: most files are far shorter than a segment, and memory has to be cleared."""
        grown = memoryview(bytearray(min(self._room, max(needed, 4 * len(self._plain)))))
        grown[: self._held] = self._plain[: self._held]
        self._plain = grown

    def _flush(self, *, last: bool) -> None:
        if self._number >= _MAX_SEGMENTS:
            raise ObjectTooLargeError(f"a stream has at most {_MAX_SEGMENTS} segments")
        end = self._start + self._held + TAG_BYTES
        if len(self._sealed) < end:
            self._sealed = memoryview(bytearray(end if last else self._segment_bytes))
        if not self._number:
            self._sealed[:HEADER_BYTES] = self._header
        self._segments.seal(self._number, self._plain[: self._held], last=last, into=self._sealed[self._start : end])
        self._number += 1
        self._held = self._start = 0
        self._write(self._sealed[:end])
        self.written += end


class StreamReader:
    """Read one stream at any offset, opening only the segments that cover it. Safe to call from several threads."""

    def __init__(
        self,
        source: SealedSource,
        key: bytes,
        associated_data: bytes,
        *,
        offset: int = 0,
        segment_bytes: int = SEGMENT_BYTES,
        sealed_bytes: int | None = None,
    ) -> None:
        """Open the stream that fills *source* from *offset* to its end.

        The size that the ciphertext's length implies is proven, by opening the last segment, before the first byte is
        given out.

        Args:
            source: the ciphertext.
            key: what it was sealed under.
            associated_data: what it was sealed with.
            offset: where the stream's header begins in *source*.
            segment_bytes: as the writer had it.
            sealed_bytes: how long the stream is, header included, where that is known from elsewhere together with
                the key (an opened slot): then a wrong length is named exactly, and a wrong key is out of the question.

        Raises:
            TruncatedError: not even a header and a tag are there, or less than *sealed_bytes*.
            TrailingBytesError: more than *sealed_bytes*.
            AlteredHeaderError: it does not begin as a stream of this kind does.
        """
        self._source = source
        self._offset = offset
        self._segment_bytes = segment_bytes
        self._sealed_bytes = source.size - offset
        self._proven = sealed_bytes is not None
        if sealed_bytes is not None and self._sealed_bytes > sealed_bytes:
            raise TrailingBytesError(f"{self._sealed_bytes - sealed_bytes} bytes follow the end")
        short = self._sealed_bytes < (HEADER_BYTES + TAG_BYTES if sealed_bytes is None else sealed_bytes)
        if short:
            raise TruncatedError(f"the stream breaks off after {max(0, self._sealed_bytes)} bytes")
        header = source.read(offset, HEADER_BYTES)
        if len(header) != HEADER_BYTES or header[0] != HEADER_BYTES:
            raise AlteredHeaderError("the header is not that of a stream of AES256-GCM-HKDF-SHA256")
        self._segments = _Segments(key, header, associated_data)
        self._count = -(-self._sealed_bytes // segment_bytes)
        if self._sealed_bytes - (self._count - 1) * segment_bytes < TAG_BYTES:
            raise TruncatedError("the last segment is shorter than its tag")
        self._cached: tuple[int, bytes] = (-1, b"")
        self._end_seen = False
        self._slots: list[_Slot] = []
        self._fetch_immediate = source.read_immediate if isinstance(source, ImmediateSource) else _refuse

    @property
    def size(self) -> int:
        """Plaintext bytes. What the ciphertext's length implies: proven by the first `read`."""
        return self._sealed_bytes - HEADER_BYTES - self._count * TAG_BYTES

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* plaintext bytes at *offset*; fewer only at the end, none past it.

        Raises:
            TamperedError: a segment does not open; the subclass names why.
        """
        if offset < 0 or length < 0:
            raise ValueError("offset and length are not negative")
        if not self._end_seen:
            self._prove_end()
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        room = self._segment_bytes - TAG_BYTES
        first, last = (offset + HEADER_BYTES) // room, (end - 1 + HEADER_BYTES) // room
        parts = []
        for number, plain in self._open_range(first, last):
            start = max(0, number * room - HEADER_BYTES)
            parts.append(memoryview(plain)[max(0, offset - start) : end - start])
        return b"".join(parts)

    def read_immediate(self, offset: int, length: int) -> Sequence[memoryview] | None:
        """Return what `read` would, in pieces, if the ciphertext is in memory; None where `read` has to be called.

        It never raises: what does not open, `read` says. The pieces lie in memory that the next call uses again; for
        one thread at a time, beside any number that call `read`.
        """
        if not self._end_seen or offset < 0 or length < 0:
            return None
        end = min(offset + length, self.size)
        if offset >= end:
            return ()
        room = self._segment_bytes - TAG_BYTES
        first, last = (offset + HEADER_BYTES) // room, (end - 1 + HEADER_BYTES) // room
        if last - first >= _SLOTS:
            return None
        pieces = []
        for number in range(first, last + 1):
            plain = self._open_immediate(number, keep=first)
            if plain is None:
                return None
            start = max(0, number * room - HEADER_BYTES)
            pieces.append(plain[max(0, offset - start) : end - start])
        return pieces

    def _open_immediate(self, number: int, *, keep: int) -> memoryview | None:
        """Return segment *number*, opened in a slot other than that of segment *keep*; None if it is not at hand."""
        if self._cached[0] == number:
            return memoryview(self._cached[1])
        for slot in self._slots:
            if slot.number == number:
                return slot.plain[: self._length(number) - TAG_BYTES]
        if len(self._slots) < _SLOTS:
            self._slots.append(_Slot(self._segment_bytes))
        slot = next(slot for slot in self._slots if slot.number != keep)
        slot.number = _EMPTY
        sealed = _scratch(self._length(number))
        if not self._fetch_immediate(sealed, self._offset + self._position(number)):
            return None
        plain = slot.plain[: len(sealed) - TAG_BYTES]
        try:
            self._segments.open_into(number, sealed, last=number == self._count - 1, into=plain)
        except InvalidTag:
            return None
        slot.number = number
        return plain

    def _open_range(self, first: int, last: int) -> list[tuple[int, bytes]]:
        """Open the segments from *first* to *last*, both included, fetching several at once."""
        opened: list[tuple[int, bytes]] = []
        number, plain = self._cached
        if number == first:
            opened.append((number, plain))
            first += 1
        while first <= last:
            count = min(_FETCHED_SEGMENTS, last - first + 1)
            fetched = memoryview(self._fetch(first, count))
            for number in range(first, first + count):
                start = self._position(number) - self._position(first)
                sealed = fetched[start : start + self._length(number)]
                opened.append((number, self._open(number, sealed)))
            first += count
        self._cached = opened[-1]
        return opened

    def _prove_end(self) -> None:
        last = self._count - 1
        plain = self._open(last, self._fetch(last, 1))
        if not last:
            self._cached = (last, plain)
        self._end_seen = True

    def _open(self, number: int, sealed: bytes | memoryview) -> bytes:
        if len(sealed) != self._length(number):
            raise TruncatedError(f"segment {number} breaks off after {len(sealed)} bytes")
        try:
            return self._segments.open(number, sealed, last=number == self._count - 1)
        except InvalidTag as error:
            raise self._diagnose(number, sealed) from error

    def _diagnose(self, number: int, sealed: bytes | memoryview) -> TamperedError:
        """Say why *sealed* is not segment *number*."""
        last = number == self._count - 1
        if self._segments.opens(number, sealed, last=not last):
            if last:
                return TruncatedError(f"segment {number} is the last one here and was not when it was sealed")
            return TrailingBytesError(f"segment {number} was the last one when it was sealed, and others follow")
        # A little beyond the end too: where segments were left out, those behind them stand too far in front.
        end = min(number + _SEARCHED_SEGMENTS, self._count + 16)
        for other in range(max(0, number - _SEARCHED_SEGMENTS), end):
            if any(self._segments.opens(other, sealed, last=flag) for flag in (False, True)):
                return MisplacedSegmentError(f"segment {other} stands at the place of segment {number}")
        if self._opens_elsewhere(number) or (self._proven and self._count == 1):
            return AlteredSegmentError(f"segment {number} was altered" + (" or cut short" if last else ""))
        if self._proven:
            return AlteredHeaderError("no segment opens, and the key is right: the header was altered")
        return WrongKeyError("no segment opens: the key or the associated data are not the ones it was sealed with")

    def _opens_elsewhere(self, number: int) -> bool:
        """Say whether a segment other than *number* opens: then key and header are right."""
        others = [other for other in (0, 1, self._count - 2, self._count - 1) if 0 <= other < self._count]
        return any(
            self._segments.opens(other, self._fetch(other, 1), last=other == self._count - 1)
            for other in others
            if other != number
        )

    def _position(self, number: int) -> int:
        """Return where the ciphertext of segment *number* begins, from the header on."""
        return number * self._segment_bytes if number else HEADER_BYTES

    def _length(self, number: int) -> int:
        end = min((number + 1) * self._segment_bytes, self._sealed_bytes)
        return end - self._position(number)

    def _fetch(self, first: int, count: int) -> bytes:
        start = self._position(first)
        end = min((first + count) * self._segment_bytes, self._sealed_bytes)
        return self._source.read(self._offset + start, end - start)
