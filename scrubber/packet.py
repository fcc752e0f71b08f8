"""One captured packet: its addresses get their pseudonyms in place, and what it carries is told for scrubbing.

Ethernet with VLAN tags, Linux cooked captures, BSD loopback and raw IP; ARP, IPv4, IPv6, TCP, UDP, ICMP with the
packets quoted in it, neighbour discovery, DHCP, DNS, PostgreSQL's clear password. Check sums are brought along by
difference (RFC 1624): one that was wrong before stays wrong, and one of a packet cut short stays right.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING

from scrubber.window import Part, adjust, sum_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.candidate import Noted
    from scrubber.rules import CompiledRule
    from scrubber.walk import Walk

_ETHERNET, _NULL, _PPP, _RAW, _LOOP, _COOKED, _COOKED_2 = 1, 0, 9, 101, 108, 113, 276
_RAWS = {12, 14, _RAW, 228, 229}
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_TAGS = (0x8100, 0x88A8, 0x9100)
_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
_EXTENSIONS = (0, 43, 60, 135)  # hop by hop, routing, destination, mobility (RFC 8200)
_FAMILIES = {2: _IPV4, 10: _IPV6, 24: _IPV6, 28: _IPV6, 30: _IPV6}
_QUOTING = {(_ICMP, 3), (_ICMP, 4), (_ICMP, 5), (_ICMP, 11), (_ICMP, 12), *((_ICMPV6, kind) for kind in range(1, 5))}
_PASSWORD_AT = 5
"""Bytes before the text of a message of PostgreSQL's: its kind and its length."""
_DNS_PORTS = {53, 5353, 5355}
_DHCP_PORTS = {67, 68}
_DHCP_ADDRESSES = {1: 0, 3: 4, 6: 4, 42: 4, 44: 4, 50: 4, 54: 4}  # options that hold addresses; 1 is a netmask


class AddressImages:
    """The pseudonyms of binary addresses, the same as those of written ones; notes what it replaces."""

    def __init__(self, walk: Walk, noted: list[Noted]) -> None:
        rules = {rule.finder: rule for rule in walk.detector.rules.rules if rule.finder in {"ipv4", "ipv6", "mac"}}
        pseudonyms = walk.detector.pseudonyms
        self._noted = noted
        self._makers: dict[int, tuple[CompiledRule, Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {}
        if "ipv4" in rules:
            self._makers[4] = (
                rules["ipv4"],
                _ipv4_text,
                lambda t: ipaddress.IPv4Address(pseudonyms.ipv4(t).decode()).packed,
            )
        if "ipv6" in rules:
            self._makers[16] = (
                rules["ipv6"],
                _ipv6_text,
                lambda t: ipaddress.IPv6Address(pseudonyms.ipv6(t).decode()).packed,
            )
        if "mac" in rules:
            self._makers[6] = (
                rules["mac"],
                _mac_text,
                lambda t: bytes.fromhex(pseudonyms.mac(t).decode().replace(":", "")),
            )
        self._known: dict[bytes, tuple[bytes, bytes]] = {}
        self._password = next((rule for rule in walk.detector.rules.rules if rule.finder == "assignment"), None)

    def blank(self, data: bytearray, at: int, size: int, base: int) -> None:
        """Overwrite the password of *size* bytes at *at*; see `replace`."""
        text = bytes(data[at : at + size])
        if self._password is not None and text.strip(b"x"):
            data[at : at + size] = b"x" * size
            self._noted.append((self._password, base + at, size, text))

    def replace(self, data: bytearray, at: int, size: int, base: int) -> int:
        """Replace the address of *size* bytes at *at*; give the difference of its 16-bit sums.

        *base* is where *data* begins in the file, for the place of the finding.
        """
        old = bytes(data[at : at + size])
        if len(old) < size or size not in self._makers:
            return 0
        rule, write, make = self._makers[size]
        if old not in self._known:
            text = write(old)
            if len(self._known) > 1 << 16:
                self._known.clear()
            self._known[old] = (text, make(text) if text else old)
        text, new = self._known[old]
        if new == old:
            return 0
        data[at : at + size] = new
        self._noted.append((rule, base + at, size, text))
        return sum_words(new) - sum_words(old)


def _ipv4_text(packed: bytes) -> bytes:
    address = ipaddress.IPv4Address(packed)
    kept = address.is_loopback or address.is_multicast or packed[0] in {0, 255} or packed[0] >= 240
    return b"" if kept else str(address).encode()


def _ipv6_text(packed: bytes) -> bytes:
    address = ipaddress.IPv6Address(packed)
    kept = address.is_multicast or int(address) >> 16 == 0 or packed.startswith(b"\x20\x01\x0d\xb8\xe0")
    if not kept and packed.startswith(b"\x20\x01\x0d\xb8"):
        kept = packed[4] >> 4 == 0xE
    return b"" if kept else str(address).encode()


def _mac_text(packed: bytes) -> bytes:
    return b"" if packed[0] & 1 or not any(packed) or packed.startswith(b"\x02\xf0") else packed.hex(":").encode()


class PacketRewriter:
    """Rewrites packets of one capture."""

    def __init__(self, images: AddressImages) -> None:
        self._images = images
        self._base = 0

    def rewrite(self, data: bytearray, at: int, end: int, *, link: int, base: int) -> Part:
        """Rewrite the packet in *data* from *at* to *end*, captured on a *link* of that type; say what it carries."""
        self._base = base
        whole = Part(at, end)
        layers = {_ARP: self._arp, _IPV4: self._ipv4, _IPV6: self._ipv6}
        try:
            kind, at = self._link(data, at, link)
            if kind in layers:
                return layers[kind](data, at, end)
        except (struct.error, IndexError):  # cut short: what is left is scrubbed as text
            return whole
        return Part(at, end)

    def _link(self, data: bytearray, at: int, link: int) -> tuple[int, int]:
        """Rewrite the link layer; give the protocol within and where it begins."""
        if link == _ETHERNET:
            self._images.replace(data, at, 6, self._base)
            self._images.replace(data, at + 6, 6, self._base)
            return _tagged(data, at + 12)
        if link in _RAWS:
            return (_IPV6 if data[at] >> 4 == 6 else _IPV4), at
        if link in {_NULL, _LOOP}:  # the family in the byte order of the machine that captured it
            return _FAMILIES.get(max(data[at], data[at + 3]), 0), at + 4
        if link in {_COOKED, _COOKED_2}:
            self._images.replace(data, at + (6 if link == _COOKED else 12), 6, self._base)
            return _tagged(data, at + 14) if link == _COOKED else (int.from_bytes(data[at : at + 2], "big"), at + 20)
        if link == _PPP:
            return {0x0021: _IPV4, 0x0057: _IPV6}.get(int.from_bytes(data[at + 2 : at + 4], "big"), 0), at + 4
        return 0, at

    def _arp(self, data: bytearray, at: int, end: int) -> Part:
        hardware, protocol = data[at + 4], data[at + 5]
        place = at + 8
        for size in (hardware, protocol, hardware, protocol):
            self._images.replace(data, place, size, self._base)
            place += size
        return Part(min(place, end), end)

    def _ipv4(self, data: bytearray, at: int, end: int) -> Part:
        header = (data[at] & 15) * 4
        total, _, fragment = struct.unpack_from(">HHH", data, at + 2)
        protocol = data[at + 9]
        difference = self._images.replace(data, at + 12, 4, self._base)
        difference += self._images.replace(data, at + 16, 4, self._base)
        if data[at + 10 : at + 12] != b"\0\0":
            adjust(data, at + 10, difference)
        end = min(end, at + total) if total else end  # what follows is padding of the link
        if fragment & 0x1FFF:
            return Part(at + header, end)
        return self._transport(data, (at + header, end), protocol, difference, bytes(data[at + 12 : at + 20]))

    def _ipv6(self, data: bytearray, at: int, end: int) -> Part:
        protocol, place = data[at + 6], at + 40
        (total,) = struct.unpack_from(">H", data, at + 4)
        difference = self._images.replace(data, at + 8, 16, self._base)
        difference += self._images.replace(data, at + 24, 16, self._base)
        end = min(end, at + 40 + total) if total else end
        while protocol in _EXTENSIONS:
            protocol, place = data[place], place + 8 + data[place + 1] * 8
        if protocol == 44:
            if int.from_bytes(data[place + 2 : place + 4], "big") & 0xFFF8:
                return Part(place + 8, end)
            protocol, place = data[place], place + 8
        return self._transport(data, (place, end), protocol, difference, bytes(data[at + 8 : at + 40]))

    def _transport(self, data: bytearray, span: tuple[int, int], protocol: int, difference: int, pair: bytes) -> Part:
        at, end = span
        if protocol == _TCP:
            start = at + (data[at + 12] >> 4) * 4
            adjust(data, at + 16, difference + self._postgres(data, at, start, end))
            return Part(min(start, end), end, pair + data[at : at + 4], (), at, at + 16)
        if protocol == _UDP:
            return self._udp(data, at, end, difference, pair)
        if protocol in {_ICMP, _ICMPV6}:
            return self._icmp(data, span, protocol, difference if protocol == _ICMPV6 else 0)
        if protocol in {4, 41}:  # IP in IP
            return self._ipv4(data, at, end) if protocol == 4 else self._ipv6(data, at, end)
        return Part(min(at, end), end)

    def _postgres(self, data: bytearray, at: int, start: int, end: int) -> int:
        """Overwrite the password of a PasswordMessage of PostgreSQL's (its manual, 55.7); give the difference."""
        text = bytes(data[start + _PASSWORD_AT : end - 1])
        size = int.from_bytes(data[start + 1 : start + _PASSWORD_AT], "big")
        if (
            data[start : start + 1] != b"p"
            or size != end - start - 1
            or not text
            or data[end - 1]
            or not text.isascii()
            or not text.decode("ascii").isprintable()
        ):
            return 0  # of SASL, with more than one part
        before = sum_words(bytes(data[at:end]))
        self._images.blank(data, start + _PASSWORD_AT, len(text), self._base)
        return sum_words(bytes(data[at:end])) - before

    def _udp(self, data: bytearray, at: int, end: int, difference: int, pair: bytes) -> Part:
        ports = set(struct.unpack_from(">HH", data, at))
        summed = data[at + 6 : at + 8] != b"\0\0"
        dots: tuple[int, ...] = ()
        if ports & _DNS_PORTS:
            more, dots = self._dns(data, at + 8, end)
            difference += more
        elif ports & _DHCP_PORTS:
            difference += self._dhcp(data, at + 8, end)
        if summed:
            adjust(data, at + 6, difference)
        return Part(min(at + 8, end), end, pair + data[at : at + 4], dots, at, at + 6 if summed else -1)

    def _icmp(self, data: bytearray, span: tuple[int, int], protocol: int, difference: int) -> Part:
        at, end = span
        kind, start = data[at], at + 8
        before = sum_words(bytes(data[at:end]))
        if (protocol, kind) in _QUOTING:
            start = (self._ipv4 if protocol == _ICMP else self._ipv6)(data, at + 8, end).start
        elif protocol == _ICMPV6 and kind in {135, 136, 137}:  # neighbour discovery (RFC 4861)
            self._images.replace(data, at + 8, 16, self._base)
            start = self._neighbour_options(data, at + (40 if kind == 137 else 24), end)
        elif protocol == _ICMPV6 and kind in {133, 134}:
            start = self._neighbour_options(data, at + (8 if kind == 133 else 16), end)
        adjust(data, at + 2, difference + sum_words(bytes(data[at:end])) - before)
        return Part(min(start, end), end, b"", (), at, at + 2)

    def _neighbour_options(self, data: bytearray, at: int, end: int) -> int:
        while at + 8 <= end and data[at + 1]:
            if data[at] in {1, 2} and data[at + 1] == 1:
                self._images.replace(data, at + 2, 6, self._base)
            elif data[at] == 3 and data[at + 1] == 4:
                self._images.replace(data, at + 16, 16, self._base)
            at += data[at + 1] * 8
        return end

    def _dhcp(self, data: bytearray, at: int, end: int) -> int:
        """Rewrite the addresses of a DHCP message (RFC 2131, 2132); give the difference."""
        begin, before = at, sum_words(bytes(data[at:end]))
        for place in range(at + 12, at + 28, 4):
            self._images.replace(data, place, 4, self._base)
        self._images.replace(data, at + 28, 6, self._base)
        at += 240
        while at + 2 <= end and data[at] != 255:
            if data[at] == 0:
                at += 1
                continue
            step = _DHCP_ADDRESSES.get(data[at], 0)
            stop = min(at + 2 + data[at + 1], end)
            for place in range(at + 2, stop - 3, step) if step else ():
                self._images.replace(data, place, 4, self._base)
            if data[at] == 61 and data[at + 1] == 7:
                self._images.replace(data, at + 3, 6, self._base)
            at += 2 + data[at + 1]
        return sum_words(bytes(data[begin:end])) - before

    def _dns(self, data: bytearray, at: int, end: int) -> tuple[int, tuple[int, ...]]:
        """Rewrite the addresses in a DNS message (RFC 1035); give the difference, and where its names have dots."""
        before = sum_words(bytes(data[at:end]))
        dots: list[int] = []
        try:
            questions, *others = struct.unpack_from(">HHHH", data, at + 4)
            place = at + 12
            for _ in range(min(questions, 64)):
                place = _name(data, place, end, dots) + 4
            for _ in range(min(sum(others), 1024)):
                place = _name(data, place, end, dots)
                kind, _, _, size = struct.unpack_from(">HHIH", data, place)
                place += 10
                if place + size > end:
                    break
                if kind in {1, 28}:
                    self._images.replace(data, place, size, self._base)
                elif kind in {2, 5, 12}:
                    _name(data, place, end, dots)
                place += size
        except (struct.error, IndexError):
            pass
        return sum_words(bytes(data[at:end])) - before, tuple(dots)


def _tagged(data: bytearray, at: int) -> tuple[int, int]:
    kind = int.from_bytes(data[at : at + 2], "big")
    while kind in _TAGS:
        at += 4
        kind = int.from_bytes(data[at : at + 2], "big")
    return kind, at + 2


def _name(data: bytearray, at: int, end: int, dots: list[int]) -> int:
    """Go over a name, noting where its labels' lengths stand; give where it ends."""
    while at < end:
        size = data[at]
        if size & 0xC0:
            return at + 2
        if size == 0:
            return at + 1
        dots.append(at)
        at += 1 + size
    raise IndexError("the name is cut off")
