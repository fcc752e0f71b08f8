"""gzip, bzip2, xz, lzma and Zstandard: decompress, scrub what is inside, compress again in the same format.

Ratio and total are checked while expanding.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

from scrubber.closed import WHOLE
from scrubber.coding import BROKEN, crc32, deflater, make_decoder, make_encoder
from scrubber.obstacle import ObstacleError
from scrubber.sniff import Kind
from scrubber.stream import CHUNK, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.walk import Walk


_FIRST_STEP = 4 << 10
"""Packed bytes that are read at first, so that a bomb's ratio shows before much is unpacked; doubled each time."""

_GZIP_HEADER = 10
"""Bytes before what is optional (RFC 1952, section 2.3)."""


def walk_compressed(
    walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, depth: int, *, kind: Kind
) -> None:
    """Scrub what *stream* holds compressed, and compress it again in the same format.

    Raises:
        ObstacleError: corrupt, truncated, or expanding too far.
    """
    inner = Stream(expand(walk, stream, name, lambda: make_decoder(kind.value)))
    if kind is Kind.GZIP:
        _rewrite_gzip(walk, stream, inner, out, name=name, depth=depth)
        return
    encoder = make_encoder(kind.value)
    walk.member(inner, lambda data: out(encoder.compress(data)), name, depth + 1)
    out(encoder.flush())


def expand(  # noqa: C901 - one loop over a small state
    walk: Walk, stream: Stream, name: str, make: Callable[[], Any], *, single: bool = False
) -> Callable[[int], bytes]:
    """Give a reader of what *stream* expands to, over all its members and the zeros that may follow them.

    *make* makes a decoder in the shape of bz2's. Where *single* is said, there is one
    member, whose end the caller checks: some formats know their size and have no end mark.
    """
    decoder: Any = make()
    consumed = produced = 0
    step = _FIRST_STEP
    rest = spare = b""  # what is packed and what is unpacked already, and not yet asked for

    def pull(n: int) -> bytes:
        nonlocal decoder, consumed, produced, rest, step
        while True:
            data = b""
            if decoder is None or decoder.needs_input:
                data, rest = rest or stream.read(step), b""
                consumed += len(data)
                step = min(2 * step, CHUNK // 4)
            if decoder is None:
                if not data or single:
                    return b""
                if not data.strip(b"\0"):
                    continue
                decoder = make()
            elif not data and decoder.needs_input:
                if single:
                    return b""
                raise ObstacleError(name, "the compressed file is cut off", advice=WHOLE)
            made = decoder.decompress(data, min(n, CHUNK))
            if decoder.eof:
                rest, decoder = decoder.unused_data, None
                consumed -= len(rest)
            if made:
                produced += len(made)
                walk.expand(name, len(made), produced=produced, consumed=consumed)
                return bytes(made)

    def read(n: int) -> bytes:
        nonlocal spare
        try:
            data = spare or pull(n)
        except BROKEN as error:
            raise ObstacleError(name, "the compressed file is damaged", advice=WHOLE) from error
        except MemoryError as error:
            raise ObstacleError(name, "unpacking it takes more memory than there is", advice=WHOLE) from error
        data, spare = (data, b"") if len(data) <= n else (data[:n], data[n:])
        return data

    return read


def _rewrite_gzip(
    walk: Walk, stream: Stream, inner: Stream, out: Callable[[bytes], object], *, name: str, depth: int
) -> None:
    """Write one gzip member (RFC 1952) with the first one's time, name and comment, scrubbed; the extra field goes."""
    head = stream.peek(4096)
    if len(head) < _GZIP_HEADER:
        raise ObstacleError(name, "the compressed file is cut off", advice=WHOLE)
    filename, comment = _gzip_texts(head)
    scrubbed = walk.scrub_name(filename, name)
    comment = walk.scrub_bytes(comment, name).replace(b"\0", b"")
    out(b"\x1f\x8b\x08" + bytes(((8 if scrubbed else 0) | (16 if comment else 0),)) + head[4:8] + b"\0" + head[9:10])
    for text in (scrubbed, comment):
        if text:
            out(text + b"\0")
    encoder = deflater()
    crc = size = 0

    def write(data: bytes) -> None:
        nonlocal crc, size
        crc = crc32(data, crc)
        size += len(data)
        out(encoder.compress(data))

    label = scrubbed.decode("utf-8", "replace").rpartition("/")[2]
    walk.member(inner, write, f"{name}!{label}" if label else name, depth + 1)
    out(encoder.flush())
    out(struct.pack("<II", crc & 0xFFFFFFFF, size & 0xFFFFFFFF))


def _gzip_texts(head: bytes) -> tuple[bytes, bytes]:
    """Give the file name and the comment in a gzip header."""
    flags, at = head[3], 10
    if flags & 4:
        at += 2 + int.from_bytes(head[10:12], "little")
    texts = []
    for flag in (8, 16):
        end = head.find(b"\0", at) if flags & flag else -1
        texts.append(head[at:end] if end > at else b"")
        at = end + 1 if end >= at else at
    return texts[0], texts[1]


def inflate_within(data: bytes, limit: int) -> bytes | None:
    """Give what the zlib stream *data* expands to, None where it is broken or more than *limit* bytes."""
    decoder = zlib.decompressobj()
    try:
        made = decoder.decompress(data, limit)
    except zlib.error:
        return None
    return made if decoder.eof else None
