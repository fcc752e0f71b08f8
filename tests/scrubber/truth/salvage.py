"""Read a file as somebody who wants what is in it: every compressed stream in it is carved, whole or not."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP = re.compile(rb"\x1f\x8b\x08")
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_XZ = re.compile(rb"\xfd7zXZ\x00")
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd")
_ZIP = re.compile(rb"PK\x03\x04")
_MOST = 4 << 20
_PIECE = 64


def salvage(data: bytes, depth: int = 4) -> Iterator[bytes]:
    """Give *data*, its UTF-16 read narrow, and what every stream that begins anywhere in it gives, four deep."""
    yield data
    for at, order in ((0, "utf-16-le"), (0, "utf-16-be"), (1, "utf-16-le"), (1, "utf-16-be")):
        yield data[at:].decode(order, "replace").encode("latin-1", "replace")
    if depth == 0:
        return
    for inside in _streams(data):
        if inside:
            yield from salvage(inside, depth - 1)


def _streams(data: bytes) -> Iterator[bytes]:
    for found in _GZIP.finditer(data):
        yield _fed(zlib.decompressobj(31), data, found.start())
    for found in _ZIP.finditer(data):
        at = found.start()
        start = (
            at
            + 30
            + int.from_bytes(data[at + 26 : at + 28], "little")
            + int.from_bytes(data[at + 28 : at + 30], "little")
        )
        yield _fed(zlib.decompressobj(-15), data, start)
    for found in _BZIP2.finditer(data):
        yield _fed(bz2.BZ2Decompressor(), data, found.start())
    for found in _XZ.finditer(data):
        yield _fed(lzma.LZMADecompressor(), data, found.start())
    for found in _ZSTD.finditer(data):
        import zstandard

        yield _fed(zstandard.ZstdDecompressor().decompressobj(), data, found.start())


def _fed(decoder: object, data: bytes, at: int) -> bytes:
    """Feed *decoder* small pieces, and keep what came before it gave up."""
    out = bytearray()
    for start in range(at, len(data), _PIECE):
        try:
            out += decoder.decompress(data[start : start + _PIECE])  # type: ignore[attr-defined]  # three libraries, one verb
        except Exception:  # noqa: BLE001  three libraries, as many errors; what came before stays
            break
        if len(out) > _MOST:
            break
    return bytes(out)
