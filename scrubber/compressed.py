"""gzip, bzip2 and xz: decompress, scrub what is inside, compress again. Ratio and total are checked while expanding."""

from __future__ import annotations

import bz2
import importlib
import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from scrubber.obstacle import ObstacleError
from scrubber.sniff import Kind
from scrubber.stream import CHUNK, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.walk import Walk

try:
    _fast: Any = importlib.import_module("isal.isal_zlib")
except ImportError:
    _fast = zlib

_BROKEN = (zlib.error, _fast.error, OSError, EOFError, lzma.LZMAError, ValueError)
_XZ_MEMORY = 256 << 20


class _Decoder(Protocol):
    """One compressed member's decoder, as bz2 and lzma have it."""

    eof: bool
    unused_data: bytes
    needs_input: bool

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Give up to *max_length* bytes."""
        ...


class _GzipDecoder:
    """One gzip member's decoder in the shape of bz2's."""

    def __init__(self) -> None:
        self._inner = _fast.decompressobj(wbits=31)
        self._tail = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Say whether the member has ended and its CRC was right."""
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        """Give what follows the member."""
        return bytes(self._inner.unused_data)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Give up to *max_length* bytes."""
        made = self._inner.decompress(self._tail + data, max_length)
        self._tail = bytes(self._inner.unconsumed_tail)
        self.needs_input = not self._tail and len(made) < max_length
        return bytes(made)


def walk_compressed(
    walk: Walk, stream: Stream, out: Callable[[bytes], object], kind: Kind, *, name: str, depth: int
) -> None:
    """Scrub what *stream* holds compressed, and compress it again in the same format.

    Raises:
        ObstacleError: corrupt, truncated, or expanding too far.
    """
    make: dict[Kind, Callable[[], Any]] = {
        Kind.GZIP: _GzipDecoder,
        Kind.BZIP2: bz2.BZ2Decompressor,
        Kind.XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    }
    inner = Stream(_expander(walk, stream, name, make[kind]))
    if kind is Kind.GZIP:
        _rewrite_gzip(walk, stream, inner, out, name=name, depth=depth)
        return
    encoder: Any = bz2.BZ2Compressor(6) if kind is Kind.BZIP2 else lzma.LZMACompressor(preset=1)
    walk.member(inner, lambda data: out(encoder.compress(data)), name, depth + 1)
    out(encoder.flush())


def _expander(  # noqa: C901 - one loop over a small state
    walk: Walk, stream: Stream, name: str, make: Callable[[], _Decoder]
) -> Callable[[int], bytes]:
    """Give a reader of what *stream* expands to, over all its members and the zeros that may follow them."""
    decoder: _Decoder | None = make()
    consumed = produced = 0
    rest = b""

    def pull(n: int) -> bytes:
        nonlocal decoder, consumed, produced, rest
        while True:
            data = b""
            if decoder is None or decoder.needs_input:
                data, rest = rest or stream.read(CHUNK // 4), b""
                consumed += len(data)
            if decoder is None:
                if not data:
                    return b""
                if not data.strip(b"\0"):
                    continue
                decoder = make()
            elif not data and decoder.needs_input:
                raise ObstacleError(name, "the compressed file is cut off")
            made = decoder.decompress(data, min(n, CHUNK))
            if decoder.eof:
                rest, decoder = decoder.unused_data, None
                consumed -= len(rest)
            if made:
                produced += len(made)
                walk.expand(name, len(made), produced=produced, consumed=consumed)
                return made

    def read(n: int) -> bytes:
        try:
            return pull(n)
        except _BROKEN as error:
            raise ObstacleError(name, "the compressed file is damaged") from error

    return read


def _rewrite_gzip(
    walk: Walk, stream: Stream, inner: Stream, out: Callable[[bytes], object], *, name: str, depth: int
) -> None:
    """Write one gzip member (RFC 1952) with the first one's time and its scrubbed name; comment and extra field go."""
    head = stream.peek(4096)
    filename = _gzip_name(head)
    scrubbed = walk.scrub_name(filename, name) if filename else b""
    out(b"\x1f\x8b\x08" + bytes((8 if scrubbed else 0,)) + head[4:8] + b"\0" + head[9:10])
    if scrubbed:
        out(scrubbed + b"\0")
    encoder = _fast.compressobj(1, zlib.DEFLATED, -15)
    crc = size = 0

    def write(data: bytes) -> None:
        nonlocal crc, size
        crc = zlib.crc32(data, crc) if _fast is zlib else _fast.crc32(data, crc)
        size += len(data)
        out(encoder.compress(data))

    label = scrubbed.decode("utf-8", "replace").rpartition("/")[2]
    walk.member(inner, write, f"{name}!{label}" if label else name, depth + 1)
    out(encoder.flush())
    out(struct.pack("<II", crc & 0xFFFFFFFF, size & 0xFFFFFFFF))


def _gzip_name(head: bytes) -> bytes:
    flags, at = head[3], 10
    if flags & 4:
        at += 2 + int.from_bytes(head[10:12], "little")
    if not flags & 8:
        return b""
    end = head.find(b"\0", at)
    return head[at:end] if end > at else b""
