"""Keyed pseudonyms: the same value, the same pseudonym, of the same kind and format, outside the real value space.

Because a pseudonym lies outside the space that the rules look for, scrubbing twice changes nothing more. Every function
here is deterministic under one key; the key's scope (a case, a customer) is the application's choice.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
from functools import lru_cache

from scrubber.checks import luhn

TAG = re.compile(rb"\[[a-z][a-z0-9-]*(?::[a-z0-9-]+)*:[0-9a-f]{8}\]")
"""What every replaced secret looks like; the rules leave it alone."""

EMAIL_PSEUDONYM = re.compile(rb"u-[a-z2-7]{10}(?:@|%40)dom-[a-z2-7]{8}\.example", re.IGNORECASE)
IPV6_PSEUDONYMS = ipaddress.IPv6Network("2001:db8:e000::/36")
MAC_PSEUDONYM = "02f0"

_PRIVATE_10 = 250 << 24
_PRIVATE_172 = 251 << 24
_PRIVATE_192 = 252 << 24


class Pseudonymizer:
    """Pseudonyms under one key of 16 bytes or more."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("a pseudonym key has 16 bytes or more")
        self._key = key
        self._flips = lru_cache(maxsize=65536)(self._make_flips)

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "Pseudonymizer(…)"

    @property
    def key_id(self) -> str:
        """Name the key, telling nothing of it: two reports with one id have the same pseudonyms for the same values."""
        return self.digest("key-id", b"")[:6].hex()

    def digest(self, kind: str, value: bytes) -> bytes:
        """Give the 32 bytes that stand for *value* among values of *kind* (HMAC-SHA256, RFC 2104)."""
        return hmac.digest(self._key, kind.encode() + b"\0" + value, "sha256")

    def fingerprint(self, kind: str, value: bytes) -> str:
        """Give the 12 hexadecimal digits by which a report knows *value*."""
        return self.digest("fingerprint:" + kind, value)[:6].hex()

    def tag(self, kind: str, value: bytes) -> bytes:
        """Give a secret's replacement, such as `[token:github:7f3a1c9e]`: no escaping in JSON, XML, CSV."""
        return b"[%s:%s]" % (kind.encode(), self.digest("secret", value)[:4].hex().encode())

    def ipv4(self, text: bytes) -> bytes:
        """Map an IPv4 address into 240.0.0.0/4, keeping prefixes; private blocks into parts of their own.

        The last octet's 0 and 255 stay, so that network and broadcast addresses of a /24 stay what they are. A public
        address has only 27 bits to go to: its first two octets shrink to 11, so two networks may rarely share an image.
        """
        a, b, c, d = (int(part) for part in text.split(b"."))
        value = a << 24 | b << 16 | c << 8 | d
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
        else:
            top = self._flips(f"/8:{a}") & 31
            low = self._flips(f"/16:{a}.{b}") & 63
            high = 240 << 24 | (top << 6 | low) << 16
        third = self._keep_prefix(f"v4:{value >> 16}", c, 8)
        last = self._keep_ends(f"v4:{value >> 8}", d)
        image = high | third << 8 | last
        return b"%d.%d.%d.%d" % (image >> 24, image >> 16 & 255, image >> 8 & 255, image & 255)

    def ipv6(self, text: bytes) -> bytes:
        """Map an IPv6 address into 2001:db8:e000::/36, so that a /48 stays a /48 and a /64 a /64; `::` hosts stay.

        Global, unique local and link-local addresses go to parts of their own. A /48 has 10 bits to go to, so two may
        share an image; hosts keep 64 bits, so addresses do not.
        """
        address = int(ipaddress.IPv6Address(text.decode("ascii")))
        first = address >> 112
        kind = 1 if first & 0xFE00 == 0xFC00 else 2 if first & 0xFFC0 == 0xFE80 else 0
        site = 0xE000 | kind << 10 | self._flips(f"v6:{address >> 80}") & 0x3FF
        subnet = 0
        for shift in (72, 64):
            subnet = subnet << 8 | self._keep_prefix(f"v6:{address >> shift + 8}", address >> shift & 0xFF, 8)
        host = 0
        if address & (1 << 64) - 1:
            host = int.from_bytes(self.digest("ipv6", address.to_bytes(16, "big"))[:8], "big") | 1
        return str(ipaddress.IPv6Address(0x20010DB8 << 96 | site << 80 | subnet << 64 | host)).encode()

    def mac(self, text: bytes) -> bytes:
        """Map a MAC address to a locally administered one in 02:f0:…, in the same notation and case."""
        digits = re.sub(rb"[^0-9A-Fa-f]", b"", text).lower()
        image = iter(MAC_PSEUDONYM + self.digest("mac", digits)[:4].hex())
        made = "".join(next(image) if chr(c).isalnum() else chr(c) for c in text)
        return (made.upper() if text.upper() == text and text.lower() != text else made).encode()

    def email(self, text: bytes) -> bytes:
        """Map an e-mail address to `u-…@dom-….example` (RFC 2606); one domain stays one domain."""
        at = b"%40" if b"@" not in text else b"@"
        local, _, domain = text.lower().rpartition(at)
        user = self.short("email", local + b"@" + domain, 10)
        return b"u-%s%sdom-%s.example" % (user, at, self.short("domain", domain, 8))

    def short(self, kind: str, value: bytes, length: int) -> bytes:
        """Give *length* characters of lower-case base32 (RFC 4648) for *value*."""
        return base64.b32encode(self.digest(kind, value)[:10]).lower()[:length]

    def card(self, text: bytes) -> bytes:
        """Map a card number to one of the same layout and first digit that fails Luhn's check (ISO/IEC 7812-1)."""
        digits = re.sub(rb"\D", b"", text)
        image = bytearray(digits[:1] + self._digits("card", digits, len(digits) - 1))
        if luhn(bytes(image)):
            image[-1] = 0x30 + (image[-1] - 0x30 + 1) % 10
        return _lay_out(text, bytes(image))

    def iban(self, text: bytes) -> bytes:
        """Map an IBAN to one of the same country and layout whose check digits are 00, which ISO 13616 never gives."""
        plain = re.sub(rb"[^0-9A-Za-z]", b"", text)
        stream = self._digits("iban", plain.upper(), len(plain))
        body = bytes(
            stream[i] if 0x30 <= c < 0x3A else (0x41 if c < 0x5B else 0x61) + stream[i] % 26
            for i, c in enumerate(plain)
        )
        image = iter(plain[:2] + b"00" + body[4:])
        return bytes(next(image) if chr(c).isalnum() else c for c in text)

    def phone(self, text: bytes, country: int) -> bytes:
        """Map a telephone number to one of the same layout.

        Its first *country* digits stay, then come zeros, as in no real one (E.164).
        """
        digits = re.sub(rb"\D", b"", text)
        tail = self._digits("phone", digits, len(digits))
        image = (digits[:country] + (b"00" if country else b"000") + tail)[: len(digits)]
        return _lay_out(text, image)

    def digits(self, kind: str, text: bytes) -> bytes:
        """Map a national number to 000… and keyed digits in the same layout."""
        plain = re.sub(rb"\D", b"", text)
        return _lay_out(text, b"000" + self._digits(kind, plain, len(plain))[3:])

    def _digits(self, kind: str, value: bytes, length: int) -> bytes:
        number = int.from_bytes(self.digest(kind, value) + self.digest(kind + "+", value), "big")
        return str(number).encode()[-length:].rjust(length, b"0") if length else b""

    def _make_flips(self, context: str) -> int:
        """Give one keyed bit for each of the 255 inner nodes of an octet's binary tree."""
        return int.from_bytes(self.digest("flip", context.encode()), "big")

    def _keep_prefix(self, context: str, value: int, bits: int) -> int:
        """Permute *value*, of 8 *bits* at most, so that two values share as many leading bits after as before.

        This is Crypto-PAn's construction (Xu et al. 2002), with one HMAC for a whole octet.
        """
        flips = self._flips(context)
        image = 0
        for depth in range(bits):
            node = 1 << depth | value >> (bits - depth)
            image = image << 1 | (value >> (bits - 1 - depth) ^ flips >> node) & 1
        return image

    def _keep_ends(self, context: str, value: int) -> int:
        """Permute an octet like `_keep_prefix`, with 0 and 255 (and so 1 and 254) as fixed points."""
        flips = self._flips(context)
        image = 0
        for depth in range(8):
            prefix = value >> (8 - depth)
            flip = 0 if prefix in (0, (1 << depth) - 1) else flips >> (1 << depth | prefix)
            image = image << 1 | (value >> (7 - depth) ^ flip) & 1
        return image


def _lay_out(text: bytes, digits: bytes) -> bytes:
    image = iter(digits)
    return bytes(next(image) if 0x30 <= c < 0x3A else c for c in text)
