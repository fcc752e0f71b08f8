"""Write a zip archive to a sink that cannot seek (APPNOTE.TXT 6.3.10).

A member that is small or stored waits in scratch, so that its local header has its sizes, as readers of streams want;
the sizes of others follow their data.
"""

from __future__ import annotations

import lzma
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scrubber.coding import crc32, make_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.coding import Encoder
    from scrubber.stream import ScratchSource

STORED, DEFLATED, BZIP2, LZMA, ZSTD, XZ = 0, 8, 12, 14, 93, 95
METHODS = {STORED: "stored", DEFLATED: "deflate", BZIP2: "bzip2", ZSTD: "zstd", XZ: "xz"}
_FOUR = 0xFFFFFFFF
_SIZES_FOLLOW, _UTF8 = 0x0008, 0x0800
_VERSIONS = {STORED: 20, DEFLATED: 20, BZIP2: 46, LZMA: 63, ZSTD: 63, XZ: 63}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the headers of one member say. `stamp` is MS-DOS's time and date, `made_by` version and system."""

    name: bytes
    utf8: bool
    method: int
    stamp: int
    made_by: int
    internal: int
    external: int
    local_extra: bytes
    extra: bytes
    comment: bytes


class _Plain:
    """An encoder that does nothing."""

    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _LzmaEncoder:
    """An encoder of LZMA with its version and properties before it (APPNOTE 5.8.8), and an end mark behind."""

    def __init__(self) -> None:
        filters = [{"id": lzma.FILTER_LZMA1, "preset": 1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 20}]
        self._inner = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
        self._head = struct.pack("<BBHBI", 9, 20, 5, (2 * 5 + 0) * 9 + 3, 1 << 20)

    def compress(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + self._inner.compress(data)

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        return head + self._inner.flush()


class ZipWriter:
    """Write members in order, then the directory. Memory: the directory."""

    def __init__(self, out: Callable[[bytes], object]) -> None:
        self._out = out
        self._at = 0
        self._count = 0
        self._directory: list[bytes] = []

    def _write(self, data: bytes) -> None:
        self._out(data)
        self._at += len(data)

    def add(
        self, entry: Entry, fill: Callable[[Callable[[bytes], object]], object], scratch: ScratchSource | None
    ) -> None:
        """Write one member; *fill* gives its content to what it is called with.

        Where *scratch* is given the sizes stand before the data, else behind it.
        """
        offset = self._at
        encoder = _encoder(entry.method)
        crc = size = packed = 0
        write = self._write if scratch is None else scratch.write

        def put(data: bytes) -> None:
            nonlocal crc, size, packed
            crc = crc32(data, crc)
            size += len(data)
            made = encoder.compress(data)
            packed += len(made)
            if made:
                write(made)

        if scratch is None:
            self._write(_local(entry, _SIZES_FOLLOW, (0, 0, 0), wide=True))
        fill(put)
        rest = encoder.flush()
        packed += len(rest)
        if rest:
            write(rest)
        if scratch is None:
            self._write(b"PK\x07\x08" + struct.pack("<IQQ", crc, packed, size))
        else:
            self._write(_local(entry, 0, (crc, packed, size), wide=max(packed, size) >= _FOUR))
            scratch.copy_to(self._write)
        self._count += 1
        flags = _SIZES_FOLLOW if scratch is None else 0
        self._directory.append(_central(entry, flags, (crc, packed, size), offset, wide=scratch is None))

    def finish(self, comment: bytes) -> None:
        """Write the directory, and its end record with the archive's *comment*."""
        start = self._at
        for record in self._directory:
            self._write(record)
        size, count = self._at - start, self._count
        if max(start, size) >= _FOUR or count >= 0xFFFF:
            end = self._at
            self._write(struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start))
            self._write(struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1))
        count, size, start = min(count, 0xFFFF), min(size, _FOUR), min(start, _FOUR)
        comment = comment[:0xFFFF]
        self._write(struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, start, len(comment)) + comment)


def _encoder(method: int) -> Encoder:
    if method == STORED:
        return _Plain()
    if method == LZMA:
        return _LzmaEncoder()
    return make_encoder(METHODS[method])


def _needed(entry: Entry, *, wide: bool) -> int:
    return max(_VERSIONS[entry.method], 45 if wide else 10)


def _flags(entry: Entry, flags: int) -> int:
    return flags | (_UTF8 if entry.utf8 else 0) | (0x0002 if entry.method == LZMA else 0)


def _local(entry: Entry, flags: int, sums: tuple[int, int, int], *, wide: bool) -> bytes:
    crc, packed, size = sums
    extra = entry.local_extra
    if wide:
        extra = struct.pack("<HHQQ", 1, 16, size, packed) + extra
        size = packed = _FOUR
    fixed = struct.pack(
        "<4sHHHIIIIHH",
        b"PK\x03\x04",
        _needed(entry, wide=wide),
        _flags(entry, flags),
        entry.method,
        entry.stamp,
        crc,
        packed,
        size,
        len(entry.name),
        len(extra),
    )
    return fixed + entry.name + extra


def _central(entry: Entry, flags: int, sums: tuple[int, int, int], offset: int, *, wide: bool) -> bytes:
    crc, packed, size = sums
    extra = entry.extra
    long = [number for number in (size, packed, offset) if number >= _FOUR]
    if long:
        extra = struct.pack(f"<HH{len(long)}Q", 1, 8 * len(long), *long) + extra
    fixed = struct.pack(
        "<4sHHHHIIIIHHHHHII",
        b"PK\x01\x02",
        entry.made_by,
        _needed(entry, wide=wide or bool(long)),
        _flags(entry, flags),
        entry.method,
        entry.stamp,
        crc,
        min(packed, _FOUR),
        min(size, _FOUR),
        len(entry.name),
        len(extra),
        len(entry.comment),
        0,
        entry.internal,
        entry.external,
        min(offset, _FOUR),
    )
    return fixed + entry.name + extra + entry.comment
