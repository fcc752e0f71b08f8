"""Check digits and structure: what makes a candidate a real one. Each takes the matched bytes and says yes or no."""

from __future__ import annotations

import base64
import binascii
import json
import re
from math import log2
from typing import TYPE_CHECKING

from scrubber.checksums import CHECKSUMS

if TYPE_CHECKING:
    from collections.abc import Callable

# ISO 13616 registry: length of a whole IBAN for each country.
_IBAN_LENGTHS = {
    country: length
    for length, countries in (
        (15, b"NO"),
        (16, b"BE"),
        (18, b"DK FI FK FO GL NL SD"),
        (19, b"MK SI"),
        (20, b"AT BA EE KZ LT LU MN XK"),
        (21, b"CH HR LI LV"),
        (22, b"BG BH CR DE GB GE IE ME RS VA"),
        (23, b"AE GI IL IQ OM SO TL"),
        (24, b"AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, b"LY PT ST"),
        (26, b"IS TR"),
        (27, b"BI DJ FR GR IT MC MR SM"),
        (28, b"AL AZ BY CY DO GT HU LB NI PL SV"),
        (29, b"BR EG PS QA UA"),
        (30, b"JO KW MU YE"),
        (31, b"MT SC"),
        (32, b"LC"),
        (33, b"RU"),
    )
    for country in countries.split()
}

# ISO/IEC 7812-1 issuer ranges as networks publish them: first digits from, to, and the lengths in use.
_CARD_RANGES = (
    (b"4", b"4", (13, 16, 19)),  # Visa
    (b"51", b"55", (16,)),  # Mastercard
    (b"2221", b"2720", (16,)),  # Mastercard
    (b"34", b"34", (15,)),  # American Express
    (b"37", b"37", (15,)),
    (b"6011", b"6011", (16, 19)),  # Discover
    (b"644", b"659", (16, 19)),
    (b"35", b"35", (16, 17, 18, 19)),  # JCB
    (b"1800", b"1800", (15,)),
    (b"2131", b"2131", (15,)),
    (b"300", b"305", (14,)),  # Diners Club
    (b"36", b"36", (14,)),
    (b"38", b"39", (14,)),
    (b"62", b"62", (16, 19)),  # UnionPay
    (b"2200", b"2204", (16, 17, 18, 19)),  # Mir
    (b"5019", b"5019", (16,)),  # Dankort
    (b"5018", b"5018", (16,)),  # Maestro
    (b"5020", b"5020", (16,)),
    (b"5038", b"5038", (16,)),
    (b"6304", b"6304", (16,)),
    (b"6759", b"6763", (16,)),
)


def luhn(digits: bytes) -> bool:
    """Say whether *digits* pass the check of ISO/IEC 7812-1 annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = digit - 0x30
        if place & 1:
            number = number * 2 - 9 if number > 4 else number * 2
        total += number
    return total % 10 == 0


def called_card(text: bytes) -> bool:
    """Say whether *text*, which is called a card's number, is one: 12 to 19 digits that are not all the same, Luhn."""
    digits = re.sub(rb"\D", b"", text)
    return 12 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


def card(text: bytes) -> bool:
    """Say whether *text* is a payment card number: issuer range, length, Luhn, and not one digit repeated."""
    digits = re.sub(rb"\D", b"", text)
    if not called_card(digits):
        return False
    return any(low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in _CARD_RANGES)


def iban_length(text: bytes) -> int:
    """Give the length of an IBAN of the country that *text* begins with, 0 where it has none."""
    return _IBAN_LENGTHS.get(text[:2].upper(), 0)


def iban(text: bytes) -> bool:
    """Say whether *text* is an IBAN: the country's length and ISO 7064 mod 97-10."""
    plain = re.sub(rb"[ \-]", b"", text).upper()
    if _IBAN_LENGTHS.get(plain[:2]) != len(plain) or plain[2:4] in (b"00", b"01", b"99"):
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(chr(c), 36)) for c in moved)) % 97 == 1


def jwt(text: bytes) -> bool:
    """Say whether the first part of *text* decodes to a JOSE header (RFC 7515, section 4)."""
    head = text.split(b".", 1)[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(header, dict) and bool({"alg", "enc", "typ", "kid"} & header.keys())


def digest_free(text: bytes) -> bool:
    """Say whether *text* is anything but a hexadecimal digest, a number or a UUID."""
    return re.fullmatch(rb"(?:0x)?[0-9a-fA-F\-]+", text) is None


def basic(text: bytes) -> bool:
    """Say whether *text* is base64 of `user:password` (RFC 7617)."""
    try:
        return b":" in base64.b64decode(text + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return False


_PRIVATE_DER = re.compile(rb"\x30(?:\x82..|\x81.|[\x20-\x7f])\x02\x01[\x00\x01]", re.DOTALL)


def private_der(text: bytes) -> bool:
    """Say whether *text* is base64 of a DER SEQUENCE that begins with version INTEGER 0 or 1 (PKCS #1, #8, SEC 1)."""
    head = re.sub(rb"\s|\\[nr]", b"", text[:80])[:32]
    try:
        der = base64.b64decode(head[: len(head) // 4 * 4])
    except (ValueError, binascii.Error):
        return False
    return _PRIVATE_DER.match(der) is not None


def ssn(text: bytes) -> bool:
    """Say whether *text* may be a US social security number: no area 000, 666 or 900 up, no group 00, serial 0000."""
    area, group, serial = text[:3], text[4:6], text[7:]
    return area not in (b"000", b"666") and area < b"900" and group != b"00" and serial != b"0000"


def entropy(text: bytes) -> float:
    """Give Shannon's entropy of *text* in bits a byte."""
    size = len(text)
    return -sum([n / size * log2(n / size) for n in map(text.count, set(text))])


CHECKS: dict[str, Callable[[bytes], bool]] = {
    "basic": basic,
    "card": card,
    "digest_free": digest_free,
    "iban": iban,
    "jwt": jwt,
    "private_der": private_der,
    "ssn": ssn,
    **CHECKSUMS,
}
