"""Certificates and public keys in binary: meant for everybody, and needed whole, so they pass as they are.

What only begins like one is of an unknown kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrubber.closed import UNKNOWN
from scrubber.obstacle import ObstacleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.stream import Stream
    from scrubber.walk import Walk

_LARGEST = 16 << 20
_PGP_PUBLIC = frozenset((2, 6, 12, 13, 14, 17))  # signature, key, trust, user id, subkey, user attribute (RFC 9580, 5)


def walk_certificate(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Pass on what is a certificate, a revocation list, a request or a public key from end to end.

    Raises:
        ObstacleError: it is something else.
    """
    data = stream.read_exactly(_LARGEST + 1)
    if len(data) > _LARGEST or not (_is_der(data) or _is_pgp(data) or _is_box(data)):
        raise ObstacleError(name, UNKNOWN.reason, advice=UNKNOWN.advice)
    walk.scanned += len(data)
    out(data)


def _is_der(data: bytes) -> bool:
    """Say whether *data* is one DER value or several, nothing else behind them, and each a SEQUENCE (X.690)."""
    at = 0
    while at < len(data):
        if data[at] != 0x30 or at + 2 > len(data):
            return at > 0 and not data[at:].strip(b"\r\n\0")
        size, start = data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4:
                return False
            size = int.from_bytes(data[start : start + count], "big")
            start += count
        if start + size > len(data) or not _is_nested(data[start : start + size]):
            return False
        at = start + size
    return at > 0


def _is_nested(body: bytes) -> bool:
    """Say whether *body* is made of DER values to its end: a blob behind a header is not."""
    at = 0
    while at < len(body):
        if at + 2 > len(body):
            return False
        size, start = body[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4:
                return False
            size = int.from_bytes(body[start : start + count], "big")
            start += count
        at = start + size
    return at == len(body)


def _is_pgp(data: bytes) -> bool:
    """Say whether *data* is made of OpenPGP packets of public keys alone (RFC 9580, section 4.2)."""
    at = 0
    while at < len(data):
        if not data[at] & 0x80 or at + 2 > len(data):
            return False
        if data[at] & 0x40:
            tag, first, at = data[at] & 0x3F, data[at + 1], at + 2
            if first < 192:
                size = first
            elif first < 224:
                size, at = (first - 192 << 8) + int.from_bytes(data[at : at + 1], "big") + 192, at + 1
            elif first == 255:
                size, at = int.from_bytes(data[at : at + 4], "big"), at + 4
            else:
                return False
        else:
            tag, width = data[at] >> 2 & 0xF, data[at] & 3
            if width == 3:
                return False
            count = 1 << width
            size, at = int.from_bytes(data[at + 1 : at + 1 + count], "big"), at + 1 + count
        if tag not in _PGP_PUBLIC:
            return False
        at += size
    return at == len(data) > 0


def _is_box(data: bytes) -> bool:
    """Say whether *data* is a GnuPG key box of blobs that fill it (doc/KEYFORMAT: length, type, version)."""
    at = 0
    while at + 5 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 5 or data[at + 4] not in (0, 1, 2, 3):
            return False
        at += size
    return data[8:12] == b"KBXf" and at == len(data)
