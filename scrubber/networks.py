"""Keyed images of network addresses: IPv4, IPv6 and MAC, prefixes kept, outside the space of real ones."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.dictionary import Dictionary

IPV6_PSEUDONYMS = ipaddress.IPv6Network("2001:db8:e000::/36")
MAC_PSEUDONYM = "02f0"

_PRIVATE_10 = 250 << 24
_PRIVATE_172 = 251 << 24
_PRIVATE_192 = 252 << 24
_ATTEMPTS = 512
_NEAR = 32
"""Attempts to find a public network another image among those of its own /8; after them any of all will do."""
_CACHED = 16_384
"""Networks, and nodes of their tree, that are remembered: some 4 MB of each."""
_OUTER_NODES = ~sum(1 << node for depth in range(8) for node in {1 << depth, (2 << depth) - 1})
"""All nodes of an octet's tree but those on the way to 0 and to 255."""
_OCTETS = tuple(b"%d" % octet for octet in range(256))


class NetworkImages:
    """Images under one key, given as a keyed *digest*; the *dictionary* settles what would share one."""

    def __init__(self, digest: Callable[[str, bytes], bytes], dictionary: Dictionary) -> None:
        """Take the key's digest and the case's dictionary."""
        self._digest = digest
        self._dictionary = dictionary
        self._flips = lru_cache(maxsize=_CACHED)(self._make_flips)
        self._keep_prefix = lru_cache(maxsize=_CACHED)(self._permute)
        self._nets: dict[bytes, tuple[bytes, int]] = {}
        self._full: set[int] = set()
        """Kinds of IPv6 sites of which every image is taken."""

    def ipv4(self, text: bytes) -> bytes:
        """Map an IPv4 address into 240.0.0.0/4, keeping prefixes; private blocks into parts of their own.

        The last octet's 0 and 255 stay, so that network and broadcast addresses of a /24 stay what they are. A public
        address has only 27 bits to go to: its first two octets shrink to 11, and where two networks then share an
        image, the dictionary settles which gets another.
        """
        net, _, last = text.rpartition(b".")
        known = self.net(net)
        return known[0] + _OCTETS[permuted(known[1], int(last))]

    def net(self, text: bytes) -> tuple[bytes, int]:
        """Give what stands for the first three octets of *text*, with the dot behind, and the last octet's flips."""
        known = self._nets.get(text)
        if known is None:
            if len(self._nets) >= _CACHED:
                self._nets.clear()
            known = self._nets[text] = self._make_net(text)
        return known

    def _make_net(self, text: bytes) -> tuple[bytes, int]:
        """Work out what `net` gives."""
        first, second, third = text.split(b".")
        a, b, c = int(first), int(second), int(third)
        high = -1
        if a == 10:
            high = _PRIVATE_10 | self._keep_prefix("10", b, 8) << 16
        elif a == 172 and 16 <= b < 32:
            high = _PRIVATE_172 | (16 + self._keep_prefix("172", b & 15, 4)) << 16
        elif a == 192 and b == 168:
            high = _PRIVATE_192 | 168 << 16
        elif a == 100 and 64 <= b < 128:
            high = _PRIVATE_172 | (64 + self._keep_prefix("100", b & 63, 6)) << 16
        elif a == 169 and b == 254:
            high = _PRIVATE_192 | 254 << 16
        inner = -1 if high < 0 else high >> 8 | permuted(self._flips(f"v4:{a << 8 | b}"), c)
        net = self._public_net(a, b, c) if inner < 0 else inner
        image = b"%d.%d.%d." % (net >> 16, net >> 8 & 255, net & 255)
        return image, self._make_flips(f"v4:{a << 16 | b << 8 | c}") & _OUTER_NODES

    def _public_net(self, a: int, b: int, c: int) -> int:
        """Give the 24 bits that stand for the public network a.b.c.0/24; a second one that wants them gets others."""
        value = bytes((a, b, c))
        known = self._dictionary.settled(b"v4", value)
        if known is not None:
            return int(known, 16)
        top = self._flips(f"/8:{a}") & 31
        low = self._flips(f"/16:{a}.{b}") & 63
        third = self._keep_prefix(f"v4:{a << 8 | b}", c, 8)
        net = 240 << 16 | top << 14 | low << 8 | third
        for attempt in range(1, _ATTEMPTS):
            if self._dictionary.settle(b"v4", value, b"%06x" % net):
                break
            drawn = int.from_bytes(self._digest(f"/24:{attempt}", value)[:3], "big")
            net = 240 << 16 | (top << 14 | drawn & 0x3FFF if attempt < _NEAR else drawn & 0x7FFFF)
        return net

    def ipv6(self, text: bytes) -> bytes:
        """Map an IPv6 address into 2001:db8:e000::/36, so that a /48 stays a /48 and a /64 a /64; `::` hosts stay.

        Global, unique local and link-local addresses go to parts of their own. A /48 has 10 bits to go to; the
        dictionary settles where two would share an image.
        """
        address = int(ipaddress.IPv6Address(text.decode("ascii")))
        first = address >> 112
        kind = 1 if first & 0xFE00 == 0xFC00 else 2 if first & 0xFFC0 == 0xFE80 else 0
        site = self._site(address >> 80, kind)
        subnet = 0
        for shift in (72, 64):
            subnet = subnet << 8 | self._keep_prefix(f"v6:{address >> shift + 8}", address >> shift & 0xFF, 8)
        host = 0
        if address & (1 << 64) - 1:
            host = int.from_bytes(self._digest("ipv6", address.to_bytes(16, "big"))[:8], "big") | 1
        return str(ipaddress.IPv6Address(0x20010DB8 << 96 | site << 80 | subnet << 64 | host)).encode()

    def _site(self, prefix: int, kind: int) -> int:
        """Give the 16 bits that stand for a /48; once all 1,024 of a kind are taken, some are shared."""
        value = prefix.to_bytes(6, "big")
        known = self._dictionary.settled(b"v6", value)
        if known is not None:
            return int(known, 16)
        part, first = 0xE000 | kind << 10, self._flips(f"v6:{prefix}") & 0x3FF
        if kind not in self._full:
            for step in range(1024):
                site = part | first + step & 0x3FF
                if self._dictionary.settle(b"v6", value, b"%04x" % site):
                    return site
            self._full.add(kind)
        return part | first

    def mac(self, text: bytes) -> bytes:
        """Map a MAC address to a locally administered one in 02:f0:…, in the same notation and case."""
        digits = text.translate(None, b":-.").lower()
        image = MAC_PSEUDONYM + self._digest("mac", digits)[:4].hex()
        mark = chr(text[2])
        if len(text) == 17:
            made = mark.join((image[:2], image[2:4], image[4:6], image[6:8], image[8:10], image[10:]))
        else:
            made = ".".join((image[:4], image[4:8], image[8:])) if b"." in text else image
        return (made.upper() if text.isupper() else made).encode()

    def _make_flips(self, context: str) -> int:
        """Give one keyed bit for each of the 255 inner nodes of an octet's binary tree."""
        return int.from_bytes(self._digest("flip", context.encode()), "big")

    def _permute(self, context: str, value: int, bits: int) -> int:
        """Permute *value*, of 8 *bits* at most, so that two values share as many leading bits after as before.

        This is Crypto-PAn's construction (Xu et al. 2002), with one HMAC for a whole octet.
        """
        flips = self._flips(context)
        image = 0
        for depth in range(bits):
            node = 1 << depth | value >> (bits - depth)
            image = image << 1 | (value >> (bits - 1 - depth) ^ flips >> node) & 1
        return image


def permuted(flips: int, value: int) -> int:
    """Permute an octet by the bits of *flips*, one for each inner node of its tree, the root's the second lowest.

    Two octets share as many leading bits after as before. A node is the bits above it, behind a one.
    """
    return value ^ (
        (flips & 2) << 6
        | (flips >> (2 | value >> 7) & 1) << 6
        | (flips >> (4 | value >> 6) & 1) << 5
        | (flips >> (8 | value >> 5) & 1) << 4
        | (flips >> (16 | value >> 4) & 1) << 3
        | (flips >> (32 | value >> 3) & 1) << 2
        | (flips >> (64 | value >> 2) & 1) << 1
        | flips >> (128 | value >> 1) & 1
    )
