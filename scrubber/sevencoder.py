"""Unpack folders of 7z archives: LZMA, LZMA2, branch filters, deflate, bzip2, Zstandard, and AES under a password.

Methods.txt of the LZMA SDK has their numbers.
"""

from __future__ import annotations

import hashlib
import lzma
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from scrubber.coding import make_decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.sevenheader import Coder

_MEMORY = 192 << 20
_PLAIN = {
    b"\x00": "stored",
    b"\x04\x01\x08": "deflate",
    b"\x04\x02\x02": "bzip2",
    b"\x04\xf7\x11\x01": "zstd",
}
_LZMA, _LZMA2, AES = b"\x03\x01\x01", b"\x21", b"\x06\xf1\x07\x01"
_FILTERS = {
    b"\x03": lzma.FILTER_DELTA,
    b"\x04": lzma.FILTER_X86,
    b"\x05": lzma.FILTER_POWERPC,
    b"\x06": lzma.FILTER_IA64,
    b"\x07": lzma.FILTER_ARM,
    b"\x08": lzma.FILTER_ARMTHUMB,
    b"\x09": lzma.FILTER_SPARC,
    b"\x03\x03\x01\x03": lzma.FILTER_X86,
    b"\x03\x03\x02\x05": lzma.FILTER_POWERPC,
    b"\x03\x03\x04\x01": lzma.FILTER_IA64,
    b"\x03\x03\x05\x01": lzma.FILTER_ARM,
    b"\x03\x03\x07\x01": lzma.FILTER_ARMTHUMB,
    b"\x03\x03\x08\x05": lzma.FILTER_SPARC,
}
_MOST_CYCLES = 24


class MethodError(ValueError):
    """A folder is packed in a way that cannot be read."""


def decoders(coders: list[Coder]) -> list[Callable[[], Any]]:
    """Give what makes the decoders of a chain without encryption, in the order in which they run.

    Raises:
        MethodError: one of them cannot be read.
        ValueError: properties are damaged.
    """
    made: list[Callable[[], Any]] = []
    rest = list(coders)
    while rest:
        coder = rest.pop(0)
        if coder.method in {_LZMA, _LZMA2}:
            filters = [_lzma(coder)]
            while rest and rest[0].method in _FILTERS:
                filters.insert(0, _branch(rest.pop(0)))
            made.append(partial(lzma.LZMADecompressor, lzma.FORMAT_RAW, filters=filters))
        elif coder.method in _PLAIN:
            made.append(partial(make_decoder, _PLAIN[coder.method]))
        else:
            raise MethodError("a method that cannot be read")
    return made


def _branch(coder: Coder) -> dict[str, Any]:
    made: dict[str, Any] = {"id": _FILTERS[coder.method]}
    if made["id"] == lzma.FILTER_DELTA:
        made["dist"] = coder.properties[0] + 1 if coder.properties else 1
    return made


def _lzma(coder: Coder) -> dict[str, Any]:
    properties = coder.properties
    if coder.method == _LZMA2:
        if len(properties) != 1 or properties[0] > 40:
            raise ValueError("properties of LZMA2 are damaged")
        size = 0xFFFFFFFF if properties[0] == 40 else (2 | properties[0] & 1) << properties[0] // 2 + 11
        made: dict[str, Any] = {"id": lzma.FILTER_LZMA2}
    else:
        if len(properties) != 5 or properties[0] >= 9 * 5 * 5:
            raise ValueError("properties of LZMA are damaged")
        size = int.from_bytes(properties[1:], "little")
        rest, lc = divmod(properties[0], 9)
        pb, lp = divmod(rest, 5)
        made = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb}
    if size > _MEMORY:
        raise MethodError("a dictionary that takes too much memory")
    return made | {"dict_size": max(size, 4096)}


@lru_cache(maxsize=16)
def _key(password: bytes, salt: bytes, cycles: int) -> bytes:
    text = password.decode("utf-8", "surrogateescape").encode("utf-16-le", "surrogatepass")
    if cycles == 0x3F:
        return (salt + text)[:32].ljust(32, b"\0")
    digest = hashlib.sha256()
    step = min(1 << cycles, 1 << 12)
    for begin in range(0, 1 << cycles, step):
        digest.update(b"".join(salt + text + n.to_bytes(8, "little") for n in range(begin, begin + step)))
    return digest.digest()


def decrypt(read: Callable[[int], bytes], coder: Coder, password: bytes) -> Callable[[int], bytes]:
    """Give a reader of what *read* gives encrypted with AES-256 in CBC mode.

    Raises:
        ValueError: the properties are damaged, or ask for too much work.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - rarely needed

    properties = coder.properties.ljust(2, b"\0")
    first, second = properties[0], properties[1]
    cycles = first & 0x3F
    salt_size = (first >> 7 & 1) + (second >> 4)
    vector_size = (first >> 6 & 1) + (second & 15)
    salt = properties[2 : 2 + salt_size]
    vector = properties[2 + salt_size : 2 + salt_size + vector_size].ljust(16, b"\0")
    if cycles > _MOST_CYCLES and cycles != 0x3F:
        raise ValueError("a key that takes too long to make")
    cipher = Cipher(algorithms.AES(_key(password, salt, cycles)), modes.CBC(vector)).decryptor()

    def pull(n: int) -> bytes:
        while data := read(max(n, 16)):
            if made := cipher.update(data):
                return made
        return b""

    return pull
