"""Small secrets that lie in the catalog for a while, sealed under a key that nobody finds there."""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class UnsealError(Exception):
    """It was sealed under another key, for another purpose, or was altered."""


def seal(key: bytes, content: bytes, bound: bytes) -> bytes:
    """Return *content* sealed under *key* (32 bytes), readable only together with *bound*."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, bound)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        UnsealError: see there.
    """
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as error:
        raise UnsealError("it cannot be unsealed") from error


def derive_key(key: bytes, *purpose: bytes) -> bytes:
    """Return a key of 32 bytes of its own for *purpose* (HMAC-SHA256 over its parts, each with its length)."""
    told = b"".join(len(part).to_bytes(4) + part for part in purpose)
    return hmac.digest(key, told, "sha256")
