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
SCOPE_LABEL = b"mft scope key v1"
SHARE_LABEL = b"mft customer share v1"
LEAF_LABEL = b"mft leaf key v1"
CHECK_LABEL = b"mft key check v1"
"""Of what is wrapped only to see whether a key is switched on; it is kept nowhere."""


def bind(label: bytes, *parts: str) -> bytes:
    """Return *label* and *parts* as one byte string, each part behind its length (four bytes, big-endian)."""
    encoded = [part.encode() for part in parts]
    return label + b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def scope_context(region: str, scope: str) -> bytes:
    """Return what a scope key is bound to."""
    return bind(SCOPE_LABEL, region, scope)


def leaf_context(region: str, scope: str, subject: str) -> bytes:
    """Return what a leaf key is bound to."""
    return bind(LEAF_LABEL, region, scope, subject)


def named_context(context: bytes) -> dict[str, str]:
    """Return *context* as names and texts, for a key service that binds to such and writes them into its own log.

    Of a scope key's context the label, the region and the scope; of any other its bytes, in hexadecimal.
    """
    for label in (SCOPE_LABEL, SHARE_LABEL, CHECK_LABEL):
        if context.startswith(label):
            parts = _parts(context[len(label) :])
            if len(parts) == 2:
                return {"mft": label.decode(), "region": parts[0], "scope": parts[1]}
    return {"mft": "context", "context": context.hex()}


def _parts(encoded: bytes) -> list[str]:
    parts = []
    while encoded:
        length = int.from_bytes(encoded[:4], "big")
        parts.append(encoded[4 : 4 + length].decode())
        encoded = encoded[4 + length :]
    return parts


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
