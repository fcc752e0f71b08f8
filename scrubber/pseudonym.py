"""Keyed pseudonyms: the same value, the same pseudonym, of the same kind and format, outside the real value space.

Because a pseudonym lies outside the space that the rules look for, scrubbing twice changes nothing more. Every function
here is deterministic under one key; the key's scope (a case, a customer) is the application's choice.
"""

from __future__ import annotations

import hashlib
import re
from binascii import hexlify
from typing import TYPE_CHECKING

from scrubber.checks import luhn
from scrubber.dictionary import Dictionary
from scrubber.finder import remembered
from scrubber.hostnames import split_host, words
from scrubber.networks import NetworkImages

if TYPE_CHECKING:
    from collections.abc import Callable

TAG = re.compile(rb"\[[a-z][a-z0-9-]*(?::[a-z0-9-]+)*:[0-9a-f]{8}\]")
"""What every replaced secret looks like; the rules leave it alone."""

WORD_PSEUDONYM = re.compile(
    rb"(?:user|host|dom|name|addr|city|zip|id|passport|licence|plate|serial|imei|geo|date|account|person|term)-[a-z2-7]{8}",
    re.IGNORECASE,
)
"""What stands for a word: its kind and eight characters of base32."""
_DOMAIN_PSEUDONYM = rb"(?:[a-z0-9_\-]{1,63}\.){0,8}dom-[a-z2-7]{8}\.example"
DOMAIN_PSEUDONYM = re.compile(_DOMAIN_PSEUDONYM, re.IGNORECASE)
_UUID_PATTERN = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUID = re.compile(_UUID_PATTERN, re.IGNORECASE)
EMAIL_PSEUDONYM = re.compile(
    rb"(?:user-[a-z2-7]{8}|" + _UUID_PATTERN + rb")(?:@|%40)" + _DOMAIN_PSEUDONYM, re.IGNORECASE
)
_ATTEMPTS = 64
_HASH_BLOCK = 64
"""Bytes that SHA-256 takes at a time; a longer key is hashed first (RFC 2104, section 2)."""
_NOT_DIGITS = bytes(c for c in range(256) if not 0x30 <= c < 0x3A)
_BASE32 = b"abcdefghijklmnopqrstuvwxyz234567"
_BASE32_PAIRS = [bytes((first, second)) for first in _BASE32 for second in _BASE32]
_NAME = re.compile(rb"[^\s,;+_/()\[\]&|<>\"'.:%\\-]+(?:[-'][^\s,;+_/()\[\]&|<>\"'.:%\\-]+)*")


class Pseudonymizer:
    """Pseudonyms under one key of 16 bytes or more."""

    is_plain = True
    """Whether nothing comes of making one but the pseudonym, so that compiled code may make it instead."""

    def __init__(self, key: bytes, dictionary: Dictionary | None = None) -> None:
        """Take the key, and the case's dictionary; without one, begin an empty one.

        Raises:
            ValueError: the key is too short.
        """
        if len(key) < 16:
            raise ValueError("a pseudonym key has 16 bytes or more")
        padded = (hashlib.sha256(key).digest() if len(key) > _HASH_BLOCK else key).ljust(_HASH_BLOCK, b"\0")
        self.pads = bytes(c ^ 0x36 for c in padded), bytes(c ^ 0x5C for c in padded)
        """What HMAC begins its two hashes with: as secret as the key."""
        self._inner = hashlib.sha256(self.pads[0])
        self._outer = hashlib.sha256(self.pads[1])
        self.dictionary = Dictionary() if dictionary is None else dictionary
        self.networks = NetworkImages(self.digest, self.dictionary)
        self._domains = remembered(self.host)

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "Pseudonymizer(…)"

    @property
    def key_id(self) -> str:
        """Name the key, telling nothing of it: two reports with one id have the same pseudonyms for the same values."""
        return self.digest("key-id", b"")[:6].hex()

    def digest(self, kind: str, value: bytes) -> bytes:
        """Give the 32 bytes that stand for *value* among values of *kind*.

        This is HMAC-SHA256 (RFC 2104). What both of its hashes make of the key is done once and copied: half the price.
        """
        inner = self._inner.copy()
        inner.update(kind.encode() + b"\0" + value)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def fingerprint(self, kind: str, value: bytes) -> str:
        """Give the 12 hexadecimal digits by which a report knows *value*."""
        return self.digest("fingerprint:" + kind, value)[:6].hex()

    def tag(self, kind: str, value: bytes) -> bytes:
        """Give a secret's replacement, such as `[token:github:7f3a1c9e]`: no escaping in JSON, XML, CSV."""
        return b"[" + kind.encode() + b":" + hexlify(self.digest("secret", value)[:4]) + b"]"

    def ipv4(self, text: bytes) -> bytes:
        """Map an IPv4 address into 240.0.0.0/4; see `NetworkImages.ipv4`."""
        return self.networks.ipv4(text)

    def ipv6(self, text: bytes) -> bytes:
        """Map an IPv6 address into 2001:db8:e000::/36; see `NetworkImages.ipv6`."""
        return self.networks.ipv6(text)

    def mac(self, text: bytes) -> bytes:
        """Map a MAC address into 02:f0:…, which are locally administered; see `NetworkImages.mac`."""
        return self.networks.mac(text)

    def email(self, text: bytes) -> bytes:
        """Map an e-mail address to `user-…@dom-….example` (RFC 2606).

        The local part becomes what a user of that name becomes, the domain what it becomes elsewhere. A UUID, as the
        identifiers of messages have it (RFC 5322, section 3.6.4), is nobody's name and stays.
        """
        at = b"%40" if b"@" not in text else b"@"
        local, _, domain = text.rpartition(at)
        user = local if _UUID.fullmatch(local) else self.word("user", local.lower())
        return user + at + self._domains(domain.lower())

    def host(self, text: bytes) -> bytes:
        """Map a host name: a single label to `host-…`, a full name to `host-….dom-….example`.

        One label is one pseudonym wherever it stands, one domain likewise. What names a service (`www`) stays.
        """
        labels, domain = split_host(text.lower())
        if not domain and len(labels) == 1:
            return self.word("host", text)
        image = [
            label if label[:1] == b"_" or label in words("service_labels") else self.word("host", label)
            for label in labels
        ]
        if domain:
            image.append(self.domain(domain))
        made = b".".join(image)
        return made.upper() if text.isupper() else made

    def domain(self, text: bytes) -> bytes:
        """Map a domain that is nobody's subdomain to `dom-….example`."""
        made = self.word("dom", text.lower()) + b".example"
        return made.upper() if text.isupper() else made

    def word(self, kind: str, text: bytes) -> bytes:
        """Map a word to its kind and eight characters; the case of its letters does not matter, capitals stay capitals.

        *kind* is one that `WORD_PSEUDONYM` knows.
        """
        made = kind.encode() + b"-" + self.short(_WORD_KINDS.get(kind, kind), text.lower())
        return made.upper() if text.isupper() else made

    def person(self, text: bytes) -> bytes:
        """Map a person's name word by word, so that first name, surname and full name agree."""
        return _NAME.sub(lambda match: self.word("name", match[0].lower()), text)

    def short(self, kind: str, value: bytes) -> bytes:
        """Give eight characters of lower-case base32 (RFC 4648) for *value*: 40 bits."""
        number = int.from_bytes(self.digest(kind, value)[:5], "big")
        pairs = _BASE32_PAIRS
        return pairs[number >> 30] + pairs[number >> 20 & 1023] + pairs[number >> 10 & 1023] + pairs[number & 1023]

    def card(self, text: bytes) -> bytes:
        """Map a card number to one of the same layout and first digit that fails Luhn's check (ISO/IEC 7812-1)."""
        digits = text.translate(None, _NOT_DIGITS)

        def make(attempt: int) -> bytes:
            image = bytearray(digits[:1] + self._digits(_kind("card", attempt), digits, len(digits) - 1))
            if luhn(bytes(image)):
                image[-1] = 0x30 + (image[-1] - 0x30 + 1) % 10
            return bytes(image)

        return _lay_out(text, self._settle(b"card", digits, make))

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

        Its first *country* digits stay, then come zeros, as in no real one (E.164), beside that of a trunk: +49 (0)00…
        """
        digits = text.translate(None, _NOT_DIGITS)
        head = digits[:country] + (b"00" if country else b"000") + (b"0" if b"(0)" in text else b"")

        def make(attempt: int) -> bytes:
            return (head + self._digits(_kind("phone", attempt), digits, len(digits)))[: len(digits)]

        return _lay_out(text, self._settle(b"phone", digits, make))

    def ssn(self, text: bytes) -> bytes:
        """Map a US social security number to area 900 to 999 and group 00 to 49, which are given to nobody."""
        digits = text.translate(None, _NOT_DIGITS)

        def make(attempt: int) -> bytes:
            image = bytearray(b"9" + self._digits(_kind("ssn", attempt), digits, 8))
            image[3] = 0x30 + image[3] % 5
            return bytes(image)

        return _lay_out(text, self._settle(b"ssn", digits, make))

    def sid(self, text: bytes) -> bytes:
        """Map a Windows SID: its domain to one that begins with 4294967295, as none does; well-known ends stay."""
        parts = text.split(b"-")
        domain = self.digest("sid", b"-".join(parts[4:7]))
        image = [*parts[:4], b"4294967295", *(b"%d" % int.from_bytes(domain[at : at + 4], "big") for at in (0, 4))]
        if len(parts) > 7:
            own = 1000 + int.from_bytes(self.digest("rid", text)[:4], "big") // 2
            image.append(parts[7] if len(parts[7]) < 4 else b"%d" % own)
        return b"-".join(image)

    def national(self, kind: str, text: bytes) -> bytes:
        """Map a national number: its first three letters or digits become X or 0, the others keyed ones."""
        plain = re.sub(rb"[^0-9A-Za-z]", b"", text).upper()

        def make(attempt: int) -> bytes:
            name = _kind(kind, attempt)
            stream = self.digest(name, plain) + self.digest(name + "+", plain)
            body = bytes(
                (0x30 + stream[i % 64] % 10 if 0x30 <= c < 0x3A else 0x41 + stream[i % 64] % 26)
                for i, c in enumerate(plain)
            )
            head = bytes(0x30 if 0x30 <= c < 0x3A else 0x58 for c in plain[:3])
            return head + body[3:]

        image = iter(self._settle(kind.encode(), plain, make))
        return bytes(_in_case(next(image), c) if chr(c).isascii() and chr(c).isalnum() else c for c in text)

    def date(self, text: bytes) -> bytes:
        """Map a date to another in the years 1000 to 1899, in the same layout; one without a long year to `date-…`."""
        year = re.search(rb"(?<![0-9])(?:1[89]|20)[0-9]{2}(?![0-9])|\A(?:1[89]|20)[0-9]{2}(?=[0-9]{4}\Z)", text)
        rest = [] if year is None else re.findall(rb"[0-9]+", text[: year.start()] + b" " + text[year.end() :])
        if year is None or not rest or any(not 0 < int(part) <= 31 for part in rest if len(part) < 3):
            return self.word("date", text)
        number = int.from_bytes(self.digest("date", text)[:8], "big")
        fields = [b"%04d" % (1000 + number % 890)]
        number //= 890

        def swap(match: re.Match[bytes]) -> bytes:
            nonlocal number
            if match.start() == year.start():
                return fields[0] + (
                    b"" if len(match[0]) == 4 else b"%02d%02d" % (1 + number % 12, 1 + number // 12 % 28)
                )
            small, number = 1 + number % 12, number // 12
            return b"%02d" % small if len(match[0]) > 1 else b"%d" % (1 + small % 9)

        return re.sub(rb"[0-9]+", swap, text)

    def _settle(self, slot: bytes, value: bytes, make: Callable[[int], bytes]) -> bytes:
        """Give *value* the first image that no other value of its kind has, and remember that it has it."""
        if not self.dictionary.settling:
            return make(0)
        owner = hexlify(self.digest("settled", value)[:8])
        known = self.dictionary.settled(slot, owner)
        if known is not None:
            return known
        image = make(0)
        for attempt in range(1, _ATTEMPTS):
            if self.dictionary.settle(slot, owner, image):
                break
            image = make(attempt)
        return image

    def _digits(self, kind: str, value: bytes, length: int) -> bytes:
        number = int.from_bytes(self.digest(kind, value) + self.digest(kind + "+", value), "big")
        return b"%0*d" % (length, number % 10**length) if length else b""


def _lay_out(text: bytes, digits: bytes) -> bytes:
    made, at = bytearray(text), 0
    for place, c in enumerate(text):
        if 0x30 <= c < 0x3A:
            made[place] = digits[at]
            at += 1
    return bytes(made)


def _kind(kind: str, attempt: int) -> str:
    return f"{kind}#{attempt}" if attempt else kind


def _in_case(image: int, c: int) -> int:
    return image | 0x20 if 0x61 <= c < 0x7B and 0x41 <= image < 0x5B else image


_WORD_KINDS = {"dom": "domain"}
