"""Open members of zip archives that are encrypted with a password, given that password.

Two kinds: the traditional one (APPNOTE.TXT 6.3.10, section 6.1), and AES by WinZip's specification (AE-1 and AE-2).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_AES_TAG = 0x9901
_AES_ROUNDS = 1000
_AUTHENTICATION = 10


class ZipAes:
    """What a member's AES extra field says: the version, the strength, the compression within."""

    def __init__(self, field: bytes) -> None:
        self.version, _vendor, self.strength, self.method = struct.unpack("<H2sBH", field[:7])
        if self.strength not in (1, 2, 3):
            raise ValueError("a strength that AES does not have")

    @property
    def salt_size(self) -> int:
        """Give the bytes of salt before the data."""
        return 4 + 4 * int(self.strength)

    @property
    def key_size(self) -> int:
        """Give the bytes of the key."""
        return 8 + 8 * int(self.strength)

    @property
    def overhead(self) -> int:
        """Give how many bytes more than the compressed data there are."""
        return self.salt_size + 2 + _AUTHENTICATION


def aes_field(extra: bytes) -> ZipAes | None:
    """Find the AES extra field; None where there is none."""
    at = 0
    while at + 4 <= len(extra):
        tag, size = struct.unpack_from("<HH", extra, at)
        if tag == _AES_TAG and size >= 7:
            return ZipAes(extra[at + 4 : at + 4 + size])
        at += 4 + size
    return None


def open_aes(
    read: Callable[[int, int], bytes], size: int, aes: ZipAes, password: bytes
) -> Callable[[int], bytes] | None:
    """Give a reader of what *read* (offset, n) holds encrypted in *size* bytes; None where the password is wrong.

    The reader raises ValueError at the end where the data was altered.
    """
    head = read(0, aes.salt_size + 2)
    salt, verifier = head[: aes.salt_size], head[aes.salt_size :]
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, _AES_ROUNDS, 2 * aes.key_size + 2)
    if not hmac.compare_digest(keys[-2:], verifier):
        return None
    mac = hmac.new(keys[aes.key_size : 2 * aes.key_size], digestmod="sha1")
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - rarely needed

    # Counter mode is built on single blocks: WinZip counts little-endian.
    blocks = Cipher(algorithms.AES(keys[: aes.key_size]), modes.ECB()).encryptor()  # noqa: S305
    at, end, counter = len(head), size - _AUTHENTICATION, 1
    spare = b""

    def pull(n: int) -> bytes:
        nonlocal at, counter, spare
        data = read(at, min(n, end - at))
        if not data:
            if at < end or not hmac.compare_digest(mac.digest()[:_AUTHENTICATION], read(end, _AUTHENTICATION)):
                raise ValueError("the encrypted data was altered")
            return b""
        at += len(data)
        mac.update(data)
        count = (len(data) - len(spare) + 15) // 16
        stream = spare + blocks.update(b"".join(i.to_bytes(16, "little") for i in range(counter, counter + count)))
        counter += count
        spare = stream[len(data) :]
        mixed = int.from_bytes(data, "little") ^ int.from_bytes(stream[: len(data)], "little")
        return mixed.to_bytes(len(data), "little")

    return pull


def _crc_table() -> list[int]:
    table = []
    for number in range(256):
        crc = number
        for _ in range(8):
            crc = crc >> 1 ^ 0xEDB88320 if crc & 1 else crc >> 1
        table.append(crc)
    return table


_TABLE = _crc_table()


class _ZipCrypto:
    """The traditional cipher's three keys (section 6.1.5)."""

    def __init__(self, password: bytes) -> None:
        self._keys = (0x12345678, 0x23456789, 0x34567890)
        for byte in password:
            self._update(byte)

    def _update(self, byte: int) -> None:
        one, two, three = self._keys
        one = one >> 8 ^ _TABLE[(one ^ byte) & 0xFF]
        two = ((two + (one & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        self._keys = (one, two, three >> 8 ^ _TABLE[(three ^ two >> 24) & 0xFF])

    def decrypt(self, data: bytes) -> bytes:
        one, two, three = self._keys
        table = _TABLE
        made = bytearray()
        for byte in data:
            k = three | 2
            plain = byte ^ (k * (k ^ 1) >> 8) & 0xFF
            one = one >> 8 ^ table[(one ^ plain) & 0xFF]
            two = ((two + (one & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            three = three >> 8 ^ table[(three ^ two >> 24) & 0xFF]
            made.append(plain)
        self._keys = (one, two, three)
        return bytes(made)


def open_traditional(
    read: Callable[[int, int], bytes], size: int, check: int, password: bytes
) -> Callable[[int], bytes] | None:
    """Give a reader as `open_aes` does.

    *check* is the byte that the header's last must be: one wrong password in 256 passes it, and fails the CRC.
    """
    cipher = _ZipCrypto(password)
    if cipher.decrypt(read(0, 12))[-1:] != bytes((check,)):
        return None
    at = 12

    def pull(n: int) -> bytes:
        nonlocal at
        data = read(at, min(n, size - at))
        at += len(data)
        return cipher.decrypt(data)

    return pull
