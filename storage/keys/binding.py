"""How a wrapped key is tied to its place: one encoding that no two different places share."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.errors import AlteredKeyError

KEY_BYTES = 32
"""Every key of the chain is an AES-256 key."""
NONCE_BYTES = 12
TAG_BYTES = 16
_VERSION = b"\x01"


def bind(label: bytes, *parts: str) -> bytes:
    """Return *label* and *parts* as one byte string, each part behind its length (four bytes, big-endian)."""
    encoded = [part.encode() for part in parts]
    return label + b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def wrap_key(under: bytes, key: bytes, *, context: bytes, header: bytes = _VERSION) -> bytes:
    """Return *header*, a random nonce and *key* sealed with AES-256-GCM; associated data are *header* and *context*."""
    nonce = os.urandom(NONCE_BYTES)
    return header + nonce + AESGCM(under).encrypt(nonce, key, header + context)


def unwrap_key(under: bytes, wrapped: bytes, *, context: bytes, header: bytes = _VERSION) -> bytes:
    """Undo `wrap_key`.

    Raises:
        AlteredKeyError: *wrapped* was altered, or wrapped under another key, header or context.
    """
    start = len(header)
    if len(wrapped) != start + NONCE_BYTES + KEY_BYTES + TAG_BYTES or not wrapped.startswith(header):
        raise AlteredKeyError(f"a wrapped key of {len(wrapped)} bytes is in no form known here")
    nonce, sealed = wrapped[start : start + NONCE_BYTES], wrapped[start + NONCE_BYTES :]
    try:
        return AESGCM(under).decrypt(nonce, sealed, header + context)
    except InvalidTag as error:
        raise AlteredKeyError("a wrapped key was altered, or bound to another region, scope or subject") from error
