"""Packet captures (pcap, pcapng): the walk of records stays, addresses and what packets carry are scrubbed in place.

What one flow carries is put together, window by window, before it is scrubbed: a secret does not stop at a packet's
end. Encrypted and compressed payloads stay as they are. Secrets for decrypting (pcapng's Decryption Secrets Block) go.

Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from scrubber.closed import WHOLE
from scrubber.obstacle import ObstacleError
from scrubber.packet import AddressImages, PacketRewriter
from scrubber.window import Part, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.stream import Stream
    from scrubber.walk import Walk

_LARGEST = 16 << 20
_RECORD = 16
_NANOSECONDS = 1_000_000_000
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _NAMES, _ENHANCED, _SECRETS = 0x0A0D0D0A, 1, 2, 3, 4, 6, 10
_IF_ADDRESSES = {4: 4, 5: 16, 6: 6}
_NAME_ADDRESSES = {1: 4, 2: 16, 3: 6}


def walk_pcap(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub a capture in the older format: a header of 24 bytes, then records with headers of 16.

    Raises:
        ObstacleError: damaged.
    """
    window = Window(walk, out, name)
    packets = PacketRewriter(AddressImages(walk, window.noted))
    head = stream.read_exactly(24)
    order = "<" if head[:1] in {b"\xd4", b"\x4d"} else ">"
    link = struct.unpack_from(order + "I", head.ljust(24, b"\0"), 20)[0] & 0x0FFFFFFF
    window.add(bytearray(head), [])
    while header := stream.read_exactly(_RECORD):
        size = _size_of_record(header, order) if len(header) == _RECORD else 0
        if size is None:
            raise ObstacleError(name, "the packet capture is damaged", advice=WHOLE)
        data = bytearray(header + stream.read_exactly(size))
        payload = packets.rewrite(data, 16, len(data), link=link, base=window.offset)
        window.add(data, [payload])
    window.flush()


def _size_of_record(header: bytes, order: str) -> int | None:
    """Give how many bytes of a packet follow a record's header, None where it is no such header.

    Time's fraction is below a second, a packet has bytes, and no more were kept than it had (section 5 of the draft):
    what was put into a capture or behind it would else pass as records without any.
    """
    _seconds, fraction, kept, had = struct.unpack(order + "4I", header)
    return kept if fraction < _NANOSECONDS and 0 < kept <= min(had, _LARGEST) else None


def walk_pcapng(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub a capture in the newer format: blocks with their length before and behind.

    Raises:
        ObstacleError: damaged.
    """
    window = Window(walk, out, name)
    blocks = _Blocks(walk, window)
    while header := stream.read_exactly(8):
        if header[:4] == b"\x0a\x0d\x0d\x0a":
            blocks.begin("<" if stream.peek(4) == b"\x4d\x3c\x2b\x1a" else ">")
        if len(header) < 8:
            window.add(bytearray(header), [Part(0, len(header))])
            break
        kind, size = struct.unpack(blocks.order + "II", header)
        if size < 12 or size % 4 or size > _LARGEST:
            raise ObstacleError(name, "the packet capture is damaged", advice=WHOLE)
        data = bytearray(header + stream.read_exactly(size - 8))
        if len(data) < size:
            window.add(data, [Part(8, len(data))])
            break
        if data[-4:] != data[4:8]:
            raise ObstacleError(name, "the packet capture is damaged", advice=WHOLE)
        if kind != _SECRETS:
            window.add(data, blocks.rewrite(data, kind))
    window.flush()


class _Blocks:
    """Rewrites the blocks of one section after the other: each has its byte order and its interfaces."""

    def __init__(self, walk: Walk, window: Window) -> None:
        self._window = window
        self._images = AddressImages(walk, window.noted)
        self._packets = PacketRewriter(self._images)
        self._links: list[int] = []
        self.order = "<"

    def begin(self, order: str) -> None:
        """Begin a section."""
        self.order = order
        self._links.clear()

    def rewrite(self, data: bytearray, kind: int) -> list[Part]:
        """Rewrite the addresses of one block; give its parts that are scrubbed as text."""
        end = len(data) - 4
        if kind in {_ENHANCED, _OLD_PACKET} and end >= 28:
            number = self._number(data, 8, "I" if kind == _ENHANCED else "H")
            stop = min(28 + self._number(data, 20), end)
            return [self._packet(data, 28, stop, number), Part(min(stop + -stop % 4, end), end)]
        if kind == _SIMPLE and end >= 12:
            return [self._packet(data, 12, min(12 + self._number(data, 8), end), 0)]
        if kind == _INTERFACE and end >= 16:
            self._links.append(self._number(data, 8, "H"))
            return self._fields(data, 16, end, _IF_ADDRESSES)
        if kind == _NAMES:
            return self._fields(data, 8, end, _NAME_ADDRESSES)
        return [Part(24 if kind == _SECTION else 8, end)]

    def _number(self, data: bytearray, at: int, form: str = "I") -> int:
        return int(struct.unpack_from(self.order + form, data, at)[0])

    def _packet(self, data: bytearray, at: int, end: int, interface: int) -> Part:
        link = self._links[interface] if interface < len(self._links) else -1
        return self._packets.rewrite(data, at, end, link=link, base=self._window.offset)

    def _fields(self, data: bytearray, at: int, end: int, addresses: dict[int, int]) -> list[Part]:
        """Rewrite the addresses among options or name records: type, length, value, padded to 4 bytes."""
        parts = []
        while at + 4 <= end:
            code, size = self._number(data, at, "H"), self._number(data, at + 2, "H")
            start = at + 4
            at = start + size + -size % 4
            width = addresses.get(code, 0)
            if 0 < width <= size and at <= end:
                self._images.replace(data, start, width, self._window.offset)
                start += width
            parts.append(Part(min(start, end), min(at, end)))
        return parts
