"""Windows event logs and registry hives: overwritten in the same length, their check sums made right again.

Formats: [MS-EVEN6] and Schuster's description of ElfFile; Suhanov's specification of the registry file format.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from scrubber.leaf import walk_binary

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.stream import Stream
    from scrubber.walk import Walk

_FIRST = 4096
_CHUNK = 65536


def walk_event_log(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub an event log: a header of 4 KiB, then chunks of 64 KiB, each with check sums of its own."""
    mend = _Mender(out, _mended_log_head, _mended_chunk)
    walk_binary(walk, stream, mend.write, name, known=True)
    mend.finish()


def walk_hive(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub a registry hive: its first block has a check sum."""
    mend = _Mender(out, _mended_hive_head, bytes)
    walk_binary(walk, stream, mend.write, name, known=True)
    mend.finish()


class _Mender:
    """Cut what is written into the first block and chunks, and write each mended."""

    def __init__(
        self, out: Callable[[bytes], object], first: Callable[[bytearray], bytes], other: Callable[[bytearray], bytes]
    ) -> None:
        self._out = out
        self._first = first
        self._other = other
        self._kept = bytearray()
        self._begun = False

    def write(self, data: bytes) -> None:
        """Take more."""
        self._kept += data
        while len(self._kept) >= (size := _CHUNK if self._begun else _FIRST):
            self._cut(size)

    def finish(self) -> None:
        """Write what is left."""
        if self._kept:
            self._cut(len(self._kept))

    def _cut(self, size: int) -> None:
        piece, self._kept = self._kept[:size], self._kept[size:]
        self._out((self._other if self._begun else self._first)(piece))
        self._begun = True


def _mended_log_head(block: bytearray) -> bytes:
    if len(block) >= 128:
        block[124:128] = struct.pack("<I", zlib.crc32(block[:120]))
    return bytes(block)


def _mended_chunk(chunk: bytearray) -> bytes:
    if len(chunk) == _CHUNK and chunk.startswith(b"ElfChnk\0"):
        (end,) = struct.unpack_from("<I", chunk, 48)
        if 512 <= end <= _CHUNK:
            chunk[52:56] = struct.pack("<I", zlib.crc32(chunk[512:end]))
        chunk[124:128] = struct.pack("<I", zlib.crc32(chunk[:120] + chunk[128:512]))
    return bytes(chunk)


def _mended_hive_head(block: bytearray) -> bytes:
    if len(block) >= 512:
        total = 0
        for (number,) in struct.iter_unpack("<I", block[:508]):
            total ^= number
        block[508:512] = struct.pack("<I", {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(total, total))
    return bytes(block)
