"""Parts of records that are scrubbed together, in the same length, while the records around them stay.

Small parts one by one would take a scan each. Here they stand one behind the other with blank lines in between; parts
of one flow stand together, so that what goes over from one to the next is found.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from scrubber.binary import BinaryScrubber

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.candidate import Noted
    from scrubber.walk import Walk

_SIZE = 8 << 20
_BETWEEN = b"\n\n\n\n\n"


class Part(NamedTuple):
    """A part of a record: where, in which flow (empty for one by itself), and what shows as a dot."""

    start: int
    end: int
    flow: bytes = b""
    dots: tuple[int, ...] = ()
    segment: int = 0
    checksum: int = -1
    """Offset of the Internet check sum that covers it, counted in words from `segment`; -1 where there is none."""


@dataclass(slots=True)
class _Record:
    """One record or block as it will be written, and the parts of it that are scrubbed as text."""

    data: bytearray
    offset: int
    parts: list[Part]


class Window:
    """Records that are scrubbed together and then written."""

    def __init__(self, walk: Walk, out: Callable[[bytes], object], name: str) -> None:
        self._walk = walk
        self._out = walk.watch.follow(name, out)
        self._note = walk.note_for(name)
        self.noted: list[Noted] = []
        """What was replaced by others than this: written down with the rest, sorted by place."""
        self._records: list[_Record] = []
        self._size = 0
        self.offset = 0

    def add(self, data: bytearray, parts: list[Part]) -> None:
        """Take a record; its addresses are rewritten already."""
        self._records.append(_Record(data, self.offset, [part for part in parts if part.end > part.start]))
        self.offset += len(data)
        self._size += len(data)
        if self._size >= _SIZE:
            self.flush()

    def flush(self) -> None:
        """Scrub and write what there is."""
        flows: dict[bytes, list[tuple[_Record, Part]]] = {}
        for number, record in enumerate(self._records):
            for part in record.parts:
                flows.setdefault(part.flow or b"%d:%d" % (number, part.start), []).append((record, part))
        joined: list[bytes] = []
        starts: list[int] = []
        places: list[tuple[_Record, Part]] = []
        at = 0
        for flow in flows.values():
            for record, part in flow:
                starts.append(at)
                places.append((record, part))
                joined.append(_shown(record.data, part))
                at += part.end - part.start
            joined.append(_BETWEEN)
            at += len(_BETWEEN)
        noted: list[Noted] = []
        scrubber = BinaryScrubber(self._walk.detector, noted.extend)
        new = scrubber.feed(b"".join(joined)) + scrubber.finish()
        for start, (record, part) in zip(starts, places, strict=True):
            _put(record.data, part, new[start : start + part.end - part.start])
        for rule, offset, length, value in noted:
            record, part = places[max(0, bisect_right(starts, offset) - 1)]
            begin = starts[max(0, bisect_right(starts, offset) - 1)]
            self.noted.append((rule, record.offset + part.start + offset - begin, length, value))
        if self.noted:
            self._note(sorted(self.noted, key=lambda item: item[1]))
            self.noted.clear()
        for record in self._records:
            self._walk.scanned += len(record.data)
            self._out(bytes(record.data))
        self._records.clear()
        self._size = 0


def _shown(data: bytearray, part: Part) -> bytes:
    view = bytearray(data[part.start : part.end])
    for dot in part.dots:
        view[dot - part.start] = 0x2E
    return bytes(view)


def _put(data: bytearray, part: Part, new: bytes) -> None:
    made = bytearray(new)
    for dot in part.dots:
        made[dot - part.start] = data[dot]
    if made == data[part.start : part.end]:
        return
    before = _covered_sum(data, part)
    data[part.start : part.end] = made
    if part.checksum >= 0:
        adjust(data, part.checksum, _covered_sum(data, part) - before)


def sum_words(data: bytes) -> int:
    """Give the sum of the 16-bit words of *data*, as the Internet check sum has it (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def adjust(data: bytearray, at: int, difference: int) -> None:
    """Bring the check sum at *at* along when what it covers changed its sum by *difference* (RFC 1624)."""
    if difference and at + 2 <= len(data):
        total = ((~int.from_bytes(data[at : at + 2], "big") & 0xFFFF) + difference) % 0xFFFF or 0xFFFF
        data[at : at + 2] = (~total & 0xFFFF).to_bytes(2, "big")


def _covered_sum(data: bytes | bytearray, part: Part) -> int:
    start = part.start - (part.start - part.segment) % 2
    return sum_words(bytes(data[start : part.end]))
