"""Compressed data buried in other data: a gzip stream in a core dump, an archive behind a log, a damaged container.

Whatever holds no further files by its own format may hold them all the same, and who carves a file for the beginnings
of streams finds them. So every such beginning is tried. A stream that says something to be replaced, that holds another
stream, or that is too long to be held in memory, is blanked in the same length; every other byte stays.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

AHEAD = 64 << 10
"""Bytes that are looked at before the ones in front of them are given on: a stream of up to this size is seen whole."""

_LEAST = 16  # bytes that a zlib stream must say before it is believed to be one: it begins with two bytes only
_MOST = 4 << 20  # bytes that are expanded of one stream
_PIECE = 256  # bytes fed at once, so that no step expands far
_TAIL = 8  # bytes of a beginning that may lie on the end of a piece
_MAGIC = (b"\x1f\x8b\x08", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")  # RFC 1950 with a window of 32 KiB
_INNER = re.compile(rb"\x1f\x8b\x08[\0-\x1f]|PK\x03\x04[^\n]{4}\x08\0|BZh[1-9]1AY|\xfd7zXZ\0|\x28\xb5\x2f\xfd")


class Decoder(Protocol):
    """What expands a stream."""

    @property
    def eof(self) -> bool:
        """Say whether the stream is at its end."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Give what was fed behind the stream's end."""
        ...

    def decompress(self, data: bytes, /) -> bytes:
        """Give what *data* adds."""
        ...


class BuriedStreams:
    """Pass a member's bytes on, the streams in it blanked for which *tells* says yes.

    `blanked` counts the bytes. Feed it, then `finish`.
    """

    def __init__(self, tells: Callable[[bytes], bool]) -> None:
        self._tells = tells
        self._kept = b""
        self._long: Decoder | None = None
        self.blanked = 0

    def feed(self, data: bytes) -> bytes:
        """Take more, give what is decided."""
        if self._long is not None:
            data = self._go_on(data)
        if not self._kept and self._long is None and _innocent(data):
            cut = len(data) - _TAIL
            zip_at = data.rfind(b"PK\x03\x04", max(0, len(data) - AHEAD))
            cut = max(0, cut if zip_at < 0 else min(cut, zip_at))
            self._kept = data[cut:]
            return data[:cut]
        self._kept += data
        if len(self._kept) <= _TAIL + AHEAD:
            return b""
        return self._decide(len(self._kept) - AHEAD)

    def finish(self) -> bytes:
        """Give the rest."""
        return self._decide(len(self._kept))

    def resume(self, context: bytes) -> None:
        """Go on behind *context*, as if no stream lay across the cut."""
        self._kept = context[-AHEAD:]

    def handover(self) -> Hashable:
        """Give all that the next byte's fate depends on; within a long stream nobody else can go on."""
        return blake2b(self._kept).digest() if self._long is None else object()

    def _decide(self, limit: int) -> bytes:
        kept, self._kept = self._kept, b""
        if _innocent(kept):
            self._kept = kept[limit:]
            return kept[:limit]
        made = bytearray(kept)
        at = 0
        for start in sorted(_beginnings(kept)):
            if at <= start < limit:
                at = self._try(kept, made, start)
        self._kept = bytes(made[limit:])
        return bytes(made[:limit])

    def _try(self, kept: bytes, made: bytearray, start: int) -> int:
        """Blank the stream at *start* in *made* where it is to be; give where to look on."""
        decoder = _decoder(kept, start)
        if decoder is None:
            return start + 1
        said, end, begun = _expand(decoder[0], kept, decoder[1])
        last = b""
        if not begun:
            last = _last_words(_decoder(kept, start), kept, end)
            said += last
        if len(said) < (_LEAST if kept[start : start + 2] in _ZLIB else 1):
            return start + 1
        unfinished = begun and end == len(kept) and not decoder[0].eof
        if not (unfinished or len(said) >= _MOST or _INNER.search(said) or self._tells(said)):
            return end
        if unfinished:
            self._long = decoder[0]
        end = min(end + _PIECE, len(kept)) if last else end
        made[start:end] = b"x" * (end - start)
        self.blanked += end - start
        return end

    def _go_on(self, data: bytes) -> bytes:
        decoder = self._long
        if decoder is None:
            return data
        _, end, begun = _expand(decoder, data, 0, most=1 << 62)
        if decoder.eof or not begun or end < len(data):
            self._long = None
        self.blanked += end
        return b"x" * end + data[end:]


def _innocent(data: bytes) -> bool:
    """Say whether *data* is text in which no compressed stream can lie: ASCII, or whole UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(data) - 3 and error.reason == "unexpected end of data"
    return b"\0" not in data


def _beginnings(data: bytes) -> Iterator[int]:
    for magic in (*_MAGIC, *_ZLIB):
        at = data.find(magic)
        while at >= 0:
            yield at
            at = data.find(magic, at + 1)


def _decoder(data: bytes, start: int) -> tuple[Decoder, int] | None:
    """Give what expands the stream that may begin at *start*, and where its first byte lies."""
    head = data[start : start + 30]
    if head.startswith(b"PK"):
        names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        stored = head[8:10] == b"\0\0" and head[18:22] == head[22:26]  # and no field of it was damaged
        return None if stored else (zlib.decompressobj(-15), start + 30 + names)
    if head.startswith(b"BZh"):
        return (bz2.BZ2Decompressor(), start) if head[4:10] == b"1AY&SY" else None
    if head.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor(memlimit=128 << 20), start
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard  # noqa: PLC0415  rarely needed

        return zstandard.ZstdDecompressor(max_window_size=32 << 20).decompressobj(), start
    return zlib.decompressobj(31 if head.startswith(b"\x1f\x8b") else 15), start


def _last_words(decoder: tuple[Decoder, int] | None, data: bytes, end: int) -> bytes:
    """Give what a damaged stream still says in the piece before *end* with which `_expand` gave it up."""
    if decoder is None:
        return b""
    fresh, start = decoder
    last = max(start, min(end, len(data)) - 2 * _PIECE)
    said: list[bytes] = []
    try:
        fresh.decompress(data[start:last])
        said.extend(fresh.decompress(data[at : at + 1]) for at in range(last, min(last + 3 * _PIECE, len(data))))
    except Exception:  # noqa: BLE001  four libraries, as many errors: here the damage begins
        return b"".join(said)
    return b"".join(said)


def _expand(decoder: Decoder, data: bytes, start: int, most: int = _MOST) -> tuple[bytes, int, bool]:
    """Feed *decoder* from *start*; give what it said, where it ended, and whether it met no error."""
    said: list[bytes] = []
    size = 0
    for at in range(start, len(data), _PIECE):
        piece = data[at : at + _PIECE]
        try:
            more = decoder.decompress(piece)
        except Exception:  # noqa: BLE001  four libraries, as many errors: it is no stream from here on
            return b"".join(said), min(at + _PIECE, len(data)) if size else at, False
        size += len(more)
        if size <= most and most == _MOST:
            said.append(more)
        if decoder.eof:
            return b"".join(said), at + len(piece) - len(decoder.unused_data), True
        if size >= most:
            return b"".join(said) + bytes(_MOST), len(data), True
    return b"".join(said), len(data), True
