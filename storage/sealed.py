"""Seal a few bytes as one piece: what lies in a catalog's column and is read and written as a whole."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.errors import AlteredKeyError
from storage.keys.binding import NONCE_BYTES, TAG_BYTES

_VERSION = b"\x01"


def seal_piece(key: bytes, plain: bytes, *, context: bytes) -> bytes:
    """Return *plain* sealed with AES-256-GCM under *key* (32 bytes): version, random nonce, ciphertext with tag.

    Associated data are version and *context*. A key may seal 2^32 pieces (NIST SP 800-38D, section 8.3).
    """
    nonce = os.urandom(NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plain, _VERSION + context)


def open_piece(key: bytes, sealed: bytes, *, context: bytes) -> bytes:
    """Undo `seal_piece`.

    Raises:
        AlteredKeyError: *sealed* was altered, or sealed under another key or context.
    """
    start = len(_VERSION)
    if len(sealed) < start + NONCE_BYTES + TAG_BYTES or not sealed.startswith(_VERSION):
        raise AlteredKeyError(f"a sealed piece of {len(sealed)} bytes is in no form known here")
    nonce, body = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, _VERSION + context)
    except InvalidTag as error:
        raise AlteredKeyError("a sealed piece was altered, or belongs elsewhere") from error
