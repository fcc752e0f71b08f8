"""Decoders and encoders of compressed data, all in the shape of bz2's, whichever library does the work.

gzip and deflate go through ISA-L where the package `isal` is installed, several times as fast as zlib; else zlib does
them. A decoder never gives more at once than it is asked for, give or take one block of its format.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    _fast: Any = importlib.import_module("isal.isal_zlib")
except ImportError:
    _fast = zlib


_MEMORY = 192 << 20
"""Bytes that a decoder may take for its window: `xz -9` takes 65 MiB, `zstd --long` 128 MiB."""

_ZSTD_PIECE = 1 << 10
"""Compressed bytes given to Zstandard at a time: a block of 128 KiB may be four bytes long (RFC 8878, 3.1.1.2)."""

BROKEN: tuple[type[Exception], ...] = (
    zlib.error,
    _fast.error,
    OSError,
    EOFError,
    lzma.LZMAError,
    ValueError,
)
"""What a decoder raises on damaged data, beside MemoryError."""

_EVEN = 256 << 10
"""Bytes that an encoder is given at a time."""


class Encoder(Protocol):
    """One compressed member's encoder."""

    def compress(self, data: bytes) -> bytes:
        """Take more, give what is ready."""
        ...

    def flush(self) -> bytes:
        """Give the rest."""
        ...


class Inflater:
    """zlib's decoder in the shape of bz2's: 31 *bits* for gzip, -15 for raw deflate."""

    def __init__(self, bits: int) -> None:
        self._inner = _fast.decompressobj(wbits=bits)
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
        made = self._inner.decompress(self._tail + data if self._tail else data, max(max_length, 0))
        self._tail = bytes(self._inner.unconsumed_tail)
        self.needs_input = not self._tail and len(made) < max_length
        return bytes(made)


class Unzstd:
    """Zstandard's decoder in the shape of bz2's: fed in small pieces, since it cannot be told how much to give."""

    def __init__(self) -> None:
        zstandard: Any = importlib.import_module("zstandard")
        self._error: Any = zstandard.ZstdError
        self._inner = zstandard.ZstdDecompressor(max_window_size=_MEMORY).decompressobj()
        self._tail = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Say whether the frame has ended."""
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        """Give what follows the frame."""
        return bytes(self._inner.unused_data) + self._tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Give some *max_length* bytes, and what one more piece gives."""
        view = memoryview(self._tail + data if self._tail else data)
        pieces, made, at = [], 0, 0
        try:
            while at < len(view) and made < max_length and not self._inner.eof:
                piece = self._inner.decompress(view[at : at + _ZSTD_PIECE])
                at += _ZSTD_PIECE
                if piece:
                    pieces.append(piece)
                    made += len(piece)
        except self._error as error:
            raise ValueError("the Zstandard frame is damaged, or wants more memory than there is") from error
        self._tail = bytes(view[at:])
        self.needs_input = not self._tail
        return b"".join(pieces)


class Stored:
    """A decoder of what is not compressed."""

    eof = False
    unused_data = b""
    needs_input = True

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:  # noqa: ARG002 - the shape of bz2's
        """Give *data*."""
        return data


_DECODERS: dict[str, Callable[[], Any]] = {
    "stored": Stored,
    "gzip": lambda: Inflater(31),
    "deflate": lambda: Inflater(-15),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY),
    "zstd": Unzstd,
}


def make_decoder(name: str) -> Any:  # noqa: ANN401 - a decoder in the shape of bz2's
    """Make the decoder of the format called *name*, for one member, in the shape of bz2's.

    Raises:
        ValueError: its library is not installed.
    """
    try:
        return _DECODERS[name]()
    except ImportError as error:
        raise ValueError("the package zstandard is not installed") from error


class Even:
    """An encoder that gives its own the same pieces, however it is given them.

    ISA-L looks for repetitions piece by piece: without this the output would depend on where a text was cut.
    """

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner
        self._waiting = bytearray()

    def compress(self, data: bytes) -> bytes:
        """Take more, give what is ready."""
        waiting = self._waiting
        waiting += data
        if len(waiting) < _EVEN:
            return b""
        whole = len(waiting) - len(waiting) % _EVEN
        made = b"".join([self._inner.compress(bytes(waiting[at : at + _EVEN])) for at in range(0, whole, _EVEN)])
        del waiting[:whole]
        return made

    def flush(self) -> bytes:
        """Give the rest."""
        made = self._inner.compress(bytes(self._waiting)) if self._waiting else b""
        self._waiting.clear()
        return made + self._inner.flush()


def make_encoder(name: str) -> Encoder:
    """Make an encoder of the same format: quick rather than tight."""
    if name == "bzip2":
        return bz2.BZ2Compressor(6)
    if name == "xz":
        return lzma.LZMACompressor(preset=1)
    if name == "lzma":
        return lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=1)
    if name == "deflate":
        return deflater()
    zstandard: Any = importlib.import_module("zstandard")
    return Even(zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj())


def deflater() -> Encoder:
    """Make an encoder of raw deflate."""
    return Even(_fast.compressobj(1, zlib.DEFLATED, -15))


def crc32(data: bytes, crc: int = 0) -> int:
    """Give the CRC-32 of *data*, going on from *crc*."""
    return int(_fast.crc32(data, crc)) & 0xFFFFFFFF
