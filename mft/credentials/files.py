"""Files that hold private keys: made whole and durable, read only when closed to others."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from storage.durable import write_file

if TYPE_CHECKING:
    from pathlib import Path

_OPEN = serialization.NoEncryption()

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class CredentialError(Exception):
    """A file of the server's own keys cannot be used; the text names it and what to do."""


def make_directory(directory: Path) -> None:
    """Make a directory, and those above it, closed to others; one that is there stays as it is."""
    for path in (*reversed(directory.parents), directory):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


def make_file(path: Path, content: bytes) -> None:
    """Write a private file unless it is there; when two starts race, the first one's stands."""
    try:
        write_file(path, content, replace=False)
    except FileExistsError:
        return


def read_private(path: Path) -> bytes:
    """Return what a private file holds.

    Raises:
        CredentialError: it is open to others.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise CredentialError(f"{path}: others can read it (mode {mode:04o}); close it (chmod 600), or replace it")
        return file.read()


def damaged(path: Path, what: str, consequence: str) -> CredentialError:
    """Return the error for a file that cannot be understood, with the two ways out of it."""
    return CredentialError(
        f"{path}: {what}; restore it from a backup, or move it away and a new one is made: {consequence}"
    )


def make_pem_key(path: Path, key: PrivateKey) -> None:
    """Write a private key as PKCS#8 in PEM unless the file is there."""
    make_file(path, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _OPEN))


def prove(key: object) -> None:
    """See that an RSA key is whole by using it once; the library's own check of its primes takes half a second.

    Raises:
        ValueError, InvalidSignature: its parts do not fit together.
    """
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(b"whole?", padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, b"whole?", padding.PKCS1v15(), hashes.SHA256())


def load_pem_key(path: Path) -> PrivateKey:
    """Read a private key in PEM.

    Raises:
        CredentialError: it is none, has a passphrase, is open to others, or of a kind that is not used here.
    """
    try:
        key = serialization.load_pem_private_key(read_private(path), password=None, unsafe_skip_rsa_key_validation=True)
        prove(key)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        consequence = "whoever pinned or kept its public key must be told"
        raise damaged(path, "it is not a private key in PEM without a passphrase", consequence) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CredentialError(f"{path}: keys are Ed25519, ECDSA or RSA")
    return key
