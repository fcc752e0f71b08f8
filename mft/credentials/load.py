"""All of the server's own keys at once."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from mft.credentials.certificate import (
    certificate_fingerprint,
    certificate_warnings,
    load_certificate,
    make_certificate,
    public_key_pin,
)
from mft.credentials.files import (
    CredentialError,
    damaged,
    load_pem_key,
    make_directory,
    make_file,
    make_pem_key,
    read_private,
)
from mft.credentials.hostkeys import make_host_keys
from mft.receipts import key_id

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from mft.config import Config

_TOKEN_KEY_MARK = "mft-token-key-v1"  # noqa: S105  the name of a format
_TOKEN_KEY_BYTES = 32
_RECEIPT_KEY = "receipts.key"
_EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  these are compared, not bound to


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the server proves itself with."""

    host_keys: tuple[Path, ...]
    """OpenSSH private key files: Ed25519, ECDSA P-256, RSA-3072."""
    certificate: Path
    """PEM: the certificate and its chain."""
    certificate_key: Path
    """PEM: its private key."""
    fingerprint: str
    """The certificate's, see `certificate_fingerprint`."""
    certificate_text: str
    """PEM: the certificate itself, without its chain."""
    public_key_pin: str
    """The certificate's, see `public_key_pin`."""
    self_signed: bool
    """Nobody else vouches for the certificate."""
    receipt_key: ed25519.Ed25519PrivateKey = field(repr=False)
    token_key: bytes = field(repr=False)
    """32 bytes that tokens are authenticated with (HMAC-SHA256)."""
    warnings: tuple[str, ...] = ()
    """What an operator should be told at start."""

    @property
    def receipt_key_id(self) -> str:
        """The name of the receipts' key."""
        return key_id(self.receipt_key.public_key())


def load_credentials(config: Config, *, now: dt.datetime) -> Credentials:
    """Load what the configuration names, and make what is not there yet.

    *now* is used for the certificate's dates and for what is about to end.

    Raises:
        CredentialError: a file is damaged, open to others, does not fit its counterpart, or cannot be made.
    """
    names = _client_names(config)
    try:
        make_directory(config.credentials)
        make_directory(config.sftp.host_keys)
        host_keys = make_host_keys(config.sftp.host_keys)
        certificate, key = config.https.certificate, config.https.key
        if certificate is None or key is None:
            certificate, key = make_certificate(config.credentials, config.installation, names, now)
        loaded = load_certificate(certificate, key)
        receipt_key = _receipt_key(config.credentials)
        token_key = _token_key(config.credentials)
    except OSError as error:
        place = error.filename or config.credentials
        raise CredentialError(f"{place}: {error.strerror or 'cannot be read or written'}") from error
    return Credentials(
        host_keys=host_keys,
        certificate=certificate,
        certificate_key=key,
        fingerprint=certificate_fingerprint(loaded),
        certificate_text=loaded.public_bytes(serialization.Encoding.PEM).decode("ascii"),
        public_key_pin=public_key_pin(loaded),
        self_signed=loaded.issuer == loaded.subject,
        receipt_key=receipt_key,
        token_key=token_key,
        warnings=tuple(certificate_warnings(certificate, loaded, names, now)),
    )


def _client_names(config: Config) -> tuple[str, ...]:
    """Return what clients call this host, each once."""
    names = (listener.public_host or listener.address for listener in config.listeners)
    return tuple(name for name in dict.fromkeys(names) if name not in _EVERY_ADDRESS)


def load_receipt_key(directory: Path) -> ed25519.Ed25519PrivateKey:
    """Load the key that receipts and the audit's heads are signed with from a server's *directory* of credentials.

    Nothing is made: what was signed cannot be checked with a key of today.

    Raises:
        CredentialError: the file is damaged, open to others, or another kind of key.
        OSError: it cannot be read.
    """
    path = directory / _RECEIPT_KEY
    key = load_pem_key(path)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise CredentialError(f"{path}: receipts are signed with Ed25519, and this is another key")
    return key


def _receipt_key(directory: Path) -> ed25519.Ed25519PrivateKey:
    if not (directory / _RECEIPT_KEY).exists():
        make_pem_key(directory / _RECEIPT_KEY, ed25519.Ed25519PrivateKey.generate())
    return load_receipt_key(directory)


def _token_key(directory: Path) -> bytes:
    path = directory / "tokens.key"
    if not path.exists():
        make_file(path, _token_key_line(secrets.token_bytes(_TOKEN_KEY_BYTES)))
    content = read_private(path)
    try:
        key = base64.b64decode(content.split()[1], validate=True)
    except (IndexError, ValueError):
        key = b""
    if len(key) != _TOKEN_KEY_BYTES or content != _token_key_line(key):
        raise damaged(path, "it is not a token key, or a part of it was altered", "all tokens given out end then")
    return key


def _token_key_line(key: bytes) -> bytes:
    """Write the key with a check sum: without one a flipped bit would only show as tokens that no longer work."""
    check = hashlib.sha256(key).hexdigest()[:8]
    return f"{_TOKEN_KEY_MARK} {base64.b64encode(key).decode('ascii')} {check}\n".encode("ascii")
