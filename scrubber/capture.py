"""Packet captures (pcap, pcapng): the walk of records stays, addresses and what packets carry are scrubbed in place.

What one flow carries is put together, window by window, before it is scrubbed: a secret does not stop at a packet's
end. Encrypted and compressed payloads stay as they are. Secrets for decrypting (pcapng's Decryption Secrets Block) go.

Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scrubber.binary import BinaryScrubber
from scrubber.closed import WHOLE
from scrubber.obstacle import ObstacleError
from scrubber.packet import AddressImages, PacketRewriter, Payload, adjust, covered_sum

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.stream import Stream
    from scrubber.text import Noted
    from scrubber.walk import Walk

_WINDOW = 8 << 20
_LARGEST = 16 << 20
_BETWEEN = b"\n\n\n\n\n"
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _NAMES, _ENHANCED, _SECRETS = 0x0A0D0D0A, 1, 2, 3, 4, 6, 10
_IF_ADDRESSES = {4: 4, 5: 16, 6: 6}
_NAME_ADDRESSES = {1: 4, 2: 16, 3: 6}


@dataclass(slots=True)
class _Record:
    """One record or block as it will be written, and the parts of it that are scrubbed as text."""

    data: bytearray
    offset: int
    parts: list[Payload]


class _Window:
    """Records that are scrubbed together and then written."""

    def __init__(self, walk: Walk, out: Callable[[bytes], object], name: str) -> None:
        self._walk = walk
        self._out = walk.watch.follow(name, out)
        self._note = walk.note_for(name)
        self.images = AddressImages(walk)
        self.packets = PacketRewriter(self.images)
        self._records: list[_Record] = []
        self._size = 0
        self.offset = 0

    def add(self, data: bytearray, parts: list[Payload]) -> None:
        """Take a record; its addresses are rewritten already."""
        self._records.append(_Record(data, self.offset, [part for part in parts if part.end > part.start]))
        self.offset += len(data)
        self._size += len(data)
        if self._size >= _WINDOW:
            self.flush()

    def flush(self) -> None:
        """Scrub and write what there is."""
        flows: dict[bytes, list[tuple[_Record, Payload]]] = {}
        for number, record in enumerate(self._records):
            for part in record.parts:
                flows.setdefault(part.flow or b"%d:%d" % (number, part.start), []).append((record, part))
        joined: list[bytes] = []
        starts: list[int] = []
        places: list[tuple[_Record, Payload]] = []
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
            self.images.noted.append((rule, record.offset + part.start + offset - begin, length, value))
        if self.images.noted:
            self._note(sorted(self.images.noted, key=lambda item: item[1]))
            self.images.noted.clear()
        for record in self._records:
            self._walk.scanned += len(record.data)
            self._out(bytes(record.data))
        self._records.clear()
        self._size = 0


def _shown(data: bytearray, part: Payload) -> bytes:
    view = bytearray(data[part.start : part.end])
    for dot in part.dots:
        view[dot - part.start] = 0x2E
    return bytes(view)


def _put(data: bytearray, part: Payload, new: bytes) -> None:
    made = bytearray(new)
    for dot in part.dots:
        made[dot - part.start] = data[dot]
    if made == data[part.start : part.end]:
        return
    before = covered_sum(data, part)
    data[part.start : part.end] = made
    if part.checksum >= 0:
        adjust(data, part.checksum, covered_sum(data, part) - before)


def _plain(start: int, end: int) -> Payload:
    return Payload(start, end, b"", (), start, -1)


def walk_pcap(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub a capture in the older format: a header of 24 bytes, then records with headers of 16.

    Raises:
        ObstacleError: damaged.
    """
    window = _Window(walk, out, name)
    head = stream.read_exactly(24)
    order = "<" if head[:1] in {b"\xd4", b"\x4d"} else ">"
    link = struct.unpack_from(order + "I", head.ljust(24, b"\0"), 20)[0] & 0x0FFFFFFF
    window.add(bytearray(head), [])
    while header := stream.read_exactly(16):
        size = struct.unpack_from(order + "I", header, 8)[0] if len(header) == 16 else 0
        if size > _LARGEST:
            raise ObstacleError(name, "the packet capture is damaged", advice=WHOLE)
        data = bytearray(header + stream.read_exactly(size))
        payload = window.packets.rewrite(data, 16, len(data), link=link, base=window.offset)
        window.add(data, [payload])
    window.flush()


def walk_pcapng(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub a capture in the newer format: blocks with their length before and behind.

    Raises:
        ObstacleError: damaged.
    """
    window = _Window(walk, out, name)
    order = "<"
    links: list[int] = []
    while header := stream.read_exactly(8):
        if header[:4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if stream.peek(4) == b"\x4d\x3c\x2b\x1a" else ">"
            links.clear()
        if len(header) < 8:
            window.add(bytearray(header), [_plain(0, len(header))])
            break
        kind, size = struct.unpack(order + "II", header)
        if size < 12 or size % 4 or size > _LARGEST:
            raise ObstacleError(name, "the packet capture is damaged", advice=WHOLE)
        data = bytearray(header + stream.read_exactly(size - 8))
        if len(data) < size:
            window.add(data, [_plain(8, len(data))])
            break
        if data[-4:] != data[4:8]:
            raise ObstacleError(name, "the packet capture is damaged", advice=WHOLE)
        if kind != _SECRETS:
            window.add(data, _block(window, data, kind, order, links))
    window.flush()


def _block(window: _Window, data: bytearray, kind: int, order: str, links: list[int]) -> list[Payload]:
    """Rewrite the addresses of one block; give its parts that are scrubbed as text."""
    end = len(data) - 4
    if kind in {_ENHANCED, _OLD_PACKET} and end >= 28:
        number = struct.unpack_from(order + ("I" if kind == _ENHANCED else "H"), data, 8)[0]
        stop = min(28 + struct.unpack_from(order + "I", data, 20)[0], end)
        link = links[number] if number < len(links) else -1
        payload = window.packets.rewrite(data, 28, stop, link=link, base=window.offset)
        return [payload, _plain(min(stop + -stop % 4, end), end)]
    if kind == _SIMPLE and end >= 12:
        stop = min(12 + struct.unpack_from(order + "I", data, 8)[0], end)
        return [window.packets.rewrite(data, 12, stop, link=links[0] if links else -1, base=window.offset)]
    if kind == _INTERFACE and end >= 16:
        links.append(struct.unpack_from(order + "H", data, 8)[0])
        return _fields(window, data, (16, end), order, _IF_ADDRESSES)
    if kind == _NAMES:
        return _fields(window, data, (8, end), order, _NAME_ADDRESSES)
    return [_plain(24 if kind == _SECTION else 8, end)]


def _fields(
    window: _Window, data: bytearray, span: tuple[int, int], order: str, addresses: dict[int, int]
) -> list[Payload]:
    """Rewrite the addresses among options or name records: type, length, value, padded to 4 bytes."""
    parts = []
    at, end = span
    while at + 4 <= end:
        code, size = struct.unpack_from(order + "HH", data, at)
        start = at + 4
        at = start + size + -size % 4
        width = addresses.get(code, 0)
        if 0 < width <= size and at <= end:
            window.images.replace(data, start, width, window.offset)
            start += width
        parts.append(_plain(min(start, end), min(at, end)))
    return parts
