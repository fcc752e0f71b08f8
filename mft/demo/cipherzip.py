"""A zip whose one member is encrypted, as `zip --encrypt` makes it: the standard library only reads those.

Traditional PKWARE encryption (APPNOTE.TXT 6.3.10, section 6.1). It is weak, and enough to lock the scrubber out.
"""

from __future__ import annotations

import secrets
import struct
import zlib

_HEADER_BYTES = 12
_ENCRYPTED = 1
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20
_DATE = 33  # 1980-01-01: the format's first day
_TABLE = tuple(zlib.crc32(bytes([value])) ^ zlib.crc32(b"\0") for value in range(256))
"""Two one-byte sums differ by what the byte alone contributes: the table of CRC-32, up to its first entry (nought)."""


class _Keys:
    """The three keys (section 6.1.5)."""

    def __init__(self, password: bytes) -> None:
        self._keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password:
            self._take(byte)

    def encrypt(self, data: bytes) -> bytes:
        """Return *data* encrypted; each byte changes the keys for the next."""
        result = bytearray()
        for byte in data:
            mixed = self._keys[2] | 2
            result.append(byte ^ ((mixed * (mixed ^ 1) >> 8) & 0xFF))
            self._take(byte)
        return bytes(result)

    def _take(self, byte: int) -> None:
        keys = self._keys
        keys[0] = _step(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = _step(keys[2], keys[1] >> 24)


def _step(checksum: int, byte: int) -> int:
    return (checksum >> 8) ^ _TABLE[(checksum ^ byte) & 0xFF]


def encrypted_zip(name: str, content: bytes, password: str) -> bytes:
    """Return a zip file with *content* as its only member, stored and encrypted under *password*."""
    checksum = zlib.crc32(content)
    header = secrets.token_bytes(_HEADER_BYTES - 1) + bytes([checksum >> 24])
    body = _Keys(password.encode()).encrypt(header + content)
    label = name.encode()
    facts = (_VERSION, _ENCRYPTED, 0, 0, _DATE, checksum, len(body), len(content), len(label), 0)
    local = _LOCAL.pack(b"PK\3\4", *facts) + label + body
    central = _CENTRAL.pack(b"PK\1\2", _VERSION, *facts, 0, 0, 0, 0, 0) + label
    end = _END.pack(b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end
