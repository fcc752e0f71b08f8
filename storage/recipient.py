"""Seal something to one recipient: who seals it cannot open it again.

Hybrid public key encryption (HPKE, RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305, in
base mode. Keys are PEM: PKCS #8 and SubjectPublicKeyInfo (RFC 8410), which other programs make and read as well.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from storage.errors import AlteredKeyError, UnknownFormatError

RAW_BYTES = 32


def new_recipient() -> tuple[bytes, bytes]:
    """Make a key pair; return the private and the public key, both PEM."""
    private = X25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, _public_pem(private.public_key())


def read_public_key(text: bytes) -> bytes:
    """Return the 32 bytes of an X25519 public key that is written as PEM, or in base64 alone.

    Raises:
        UnknownFormatError: it is none.
    """
    try:
        if b"-----BEGIN" not in text:
            return _usable(X25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True)))
        if b"PRIVATE KEY" in text:
            raise UnknownFormatError("this is a private key: keep it to yourself, and give its public key")
        key = load_pem_public_key(text.strip())
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error) as error:
        raise UnknownFormatError("this is no public key: an X25519 key in PEM is wanted") from error
    if not isinstance(key, X25519PublicKey):
        raise UnknownFormatError("this public key is of another kind: an X25519 key in PEM is wanted")
    return _usable(key)


def _usable(key: X25519PublicKey) -> bytes:
    """Return the bytes of *key*, unless it is one of the few points that share no secret (RFC 7748, section 6.1)."""
    try:
        X25519PrivateKey.generate().exchange(key)
    except ValueError as error:
        raise UnknownFormatError("this X25519 key is no key of anybody: make one with mft reverse new") from error
    return key.public_bytes_raw()


def seal_to(public: bytes, plain: bytes, *, context: bytes) -> bytes:
    """Seal *plain* to the recipient whose 32 bytes *public* are: the encapsulated key, then the ciphertext."""
    return _suite().encrypt(plain, X25519PublicKey.from_public_bytes(public), info=context)


def open_with(private_pem: bytes, sealed: bytes, *, context: bytes) -> bytes:
    """Undo `seal_to`.

    Raises:
        UnknownFormatError: *private_pem* is no private X25519 key.
        AlteredKeyError: it was sealed to another recipient, or altered.
    """
    try:
        private = load_pem_private_key(private_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnknownFormatError(
            "this is no private key: an X25519 key in PEM without a passphrase is wanted"
        ) from error
    if not isinstance(private, X25519PrivateKey):
        raise UnknownFormatError("this private key is of another kind: an X25519 key is wanted")
    try:
        return _suite().decrypt(sealed, private, info=context)
    except (InvalidTag, ValueError) as error:
        raise AlteredKeyError("it was sealed to another key, or altered") from error


def _suite() -> hpke.Suite:
    return hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


def _public_pem(public: X25519PublicKey) -> bytes:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
