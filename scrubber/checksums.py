"""Check what issuers put into their tokens: checksums, and how random a body looks. Each says yes or no."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BASE58 = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHORT = 12
_WIF_SIZES = frozenset((37, 38))


def varied(text: bytes) -> bool:
    """Say whether *text* has characters varied enough to be random, and is no placeholder such as `ghp_xxxxxxxx`."""
    size = len(text)
    if 2 * text.count(sorted(text)[size // 2]) > size:  # what makes up more than half stands in the middle
        return False
    return len(set(text)) >= 3 if size < _SHORT else len(set(text[-_SHORT:])) >= 4


def digit(text: bytes) -> bool:
    """Say whether *text* is varied and has letters and digits: for short prefixes before lower-case bodies."""
    return varied(text) and re.search(rb"[0-9]", text) is not None and re.search(rb"[a-z]", text) is not None


def mixed(text: bytes) -> bool:
    """Say whether *text* mixes capitals, small letters and mostly digits as random base62 does and words do not."""
    small, capital = len(re.findall(rb"[a-z]", text)), len(re.findall(rb"[A-Z]", text))
    if not varied(text) or not small or not capital:
        return False
    return re.search(rb"[0-9]", text) is not None or 0.25 <= capital / (small + capital) <= 0.8


def base62_crc(text: bytes) -> bool:
    """Say whether the last six characters are the base62 CRC-32 of the thirty before them (GitHub, npm)."""
    return text[-6:] == base62(zlib.crc32(text[-36:-6])).rjust(6, b"0")


def base62(number: int) -> bytes:
    """Give *number* in base62, digits first, then capitals."""
    made = b""
    while number:
        number, rest = divmod(number, 62)
        made = _BASE62[rest : rest + 1] + made
    return made


def crc(text: bytes) -> bool:
    """Say whether the checksum of a GitHub or npm token is right, or it looks random all the same.

    A token copied with a fault, or one of a form that came later, must go too.
    """
    return base62_crc(text) or varied(text)


def mft_crc(text: bytes) -> bool:
    """Say whether *text* is a token of this server by its CRC-32, or looks like one."""
    code = base64.b32encode(zlib.crc32(text[:-7]).to_bytes(4, "big")).rstrip(b"=").lower()
    return text[-7:] == code or varied(text)


def base58check(text: bytes) -> bool:
    """Say whether *text* is base58 that ends in four bytes of a double SHA-256 (a wallet import format)."""
    number = 0
    for char in text:
        number = number * 58 + _BASE58.index(char)
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return len(raw) in _WIF_SIZES and hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def base32_crc16(text: bytes) -> bool:
    """Say whether *text* is base32 with a CRC-16 (XMODEM, little endian) at its end (Stellar's and NATS's keys)."""
    raw = base64.b32decode(text + b"=" * (-len(text) % 8))
    return binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") == raw[-2:]


CHECKSUMS: dict[str, Callable[[bytes], bool]] = {
    "base32_crc16": base32_crc16,
    "base58check": base58check,
    "crc": crc,
    "digit": digit,
    "mft_crc": mft_crc,
    "mixed": mixed,
    "varied": varied,
}
