"""Fill the short forms of an example with random characters, and with checksums where the format has one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from typing import TYPE_CHECKING

from scrubber.checksums import base62
from scrubber.tokens import CLASSES

if TYPE_CHECKING:
    from random import Random

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SHORT = re.compile(r"%([" + "".join(CLASSES) + r"])(?:\{(\d+)\})?|%([cmitnje])")


def _alphabet(short: str) -> str:
    return "".join(chr(code) for code in range(33, 127) if re.fullmatch(CLASSES[short], chr(code)))


ALPHABETS = {short: _alphabet(short) for short in CLASSES if short != "g"}


def draw(random: Random, short: str, size: int) -> str:
    return "".join(random.choice(ALPHABETS[short]) for _ in range(size))


def _uuid(random: Random) -> str:
    return "-".join(draw(random, "h", size) for size in (8, 4, 4, 4, 12))


def _base58(raw: bytes) -> str:
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return text


def _wallet(random: Random) -> str:
    raw = b"\x80" + random.randbytes(32)
    return _base58(raw + hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4])


def _crc16(raw: bytes) -> str:
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def _jwt(random: Random) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, {"sub": draw(random, "a", 12)})]
    parts.append(random.randbytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def _special(random: Random, short: str, before: str) -> str:
    if short == "c":
        return base62(zlib.crc32(before[-30:].encode())).decode().rjust(6, "0")
    if short == "m":
        body = draw(random, "B", 32)
        code = zlib.crc32((before[-5:] + body).encode()).to_bytes(4, "big")
        return body + base64.b32encode(code).decode().rstrip("=").lower()
    if short == "e":
        return base64.b64encode(f"{draw(random, 'l', 6)}:{draw(random, 'a', 12)}".encode()).decode()
    if short == "t":
        return _crc16(bytes([18 << 3]) + random.randbytes(32))
    if short == "n":
        return _crc16(bytes([18 << 3 | 20 >> 2, 0]) + random.randbytes(32))
    return _jwt(random) if short == "j" else _wallet(random)


def fill(template: str, random: Random) -> str:
    """Give one text of the form of *template*."""
    made, at = "", 0
    for found in _SHORT.finditer(template):
        made += template[at : found.start()]
        at = found.end()
        if found[3]:
            made += _special(random, found[3], made)
        elif found[1] == "g":
            made += _uuid(random)
        else:
            made += draw(random, found[1], int(found[2] or 1))
    return made + template[at:]
