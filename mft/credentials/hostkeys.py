"""The SSH host keys."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mft.credentials.files import CredentialError, PrivateKey, damaged, make_file, prove, read_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

RSA_BITS = 3072


def make_host_keys(directory: Path) -> tuple[Path, ...]:
    """Make those of the host keys that are missing from *directory*, and return the files of all, best first.

    Raises:
        CredentialError: one of them is damaged or open to others.
    """
    return tuple(_host_key(directory, kind, make) for kind, make in _HOST_KEYS.items())


def host_key_fingerprint(path: Path) -> str:
    """Return the fingerprint of an OpenSSH private key file's public half, as `ssh-keygen -l` shows it (`SHA256:…`)."""
    public = _public_line(_load_ssh_key(path)).split()[1]
    digest = hashlib.sha256(base64.b64decode(public)).digest()
    return "SHA256:" + base64.b64encode(digest).rstrip(b"=").decode("ascii")


def host_key_lines(paths: Iterable[Path]) -> list[str]:
    """Return the public lines (`ssh-ed25519 AAAA…`) of host keys, to be put behind a host's name in `known_hosts`."""
    return [_public_line(_load_ssh_key(path)).decode("ascii") for path in paths]


def _make_ed25519() -> PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def _make_ecdsa() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _make_rsa() -> PrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


_HOST_KEYS: dict[str, Callable[[], PrivateKey]] = {
    "ssh_host_ed25519_key": _make_ed25519,
    "ssh_host_ecdsa_key": _make_ecdsa,
    "ssh_host_rsa_key": _make_rsa,
}


def _host_key(directory: Path, name: str, make: Callable[[], PrivateKey]) -> Path:
    path = directory / name
    if not path.exists():
        make_file(
            path,
            make().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            ),
        )
    key = _load_ssh_key(path)
    public = path.with_name(f"{name}.pub")
    if not public.exists():
        make_file(public, _public_line(key) + b"\n")
    return path


def _load_ssh_key(path: Path) -> PrivateKey:
    try:
        key = serialization.load_ssh_private_key(read_private(path), password=None, unsafe_skip_rsa_key_validation=True)
        prove(key)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        consequence = "clients will be warned that the host key changed"
        raise damaged(path, "it is not an OpenSSH private key without a passphrase", consequence) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CredentialError(f"{path}: host keys are Ed25519, ECDSA or RSA")
    return key


def _public_line(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
