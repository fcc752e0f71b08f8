"""SSH public keys: OpenSSH lines taken apart, and the weak ones refused.

Forms: RFC 4253 section 6.6 (RSA), RFC 5656 section 3.1 (ECDSA), RFC 8709 section 4 (Ed25519), and OpenSSH's
PROTOCOL.u2f (sk-).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from mft.auth.errors import PublicKeyError

RSA_BITS = 2048
"""Shortest RSA modulus that is taken."""
MAX_RSA_BITS = 16_384
MAX_LINE = 16_384
_CURVE_POINT = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
_UNCOMPRESSED = 4
_ED25519 = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key as SSH carries it."""

    algorithm: str
    blob: bytes = field(repr=False)
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and base64 without padding, as `ssh-keygen -l` shows it."""
        return fingerprint(self.blob)

    @property
    def line(self) -> str:
        """The key as OpenSSH writes it, without comment."""
        return f"{self.algorithm} {base64.b64encode(self.blob).decode()}"


def fingerprint(blob: bytes) -> str:
    """Return the SHA-256 fingerprint of a key blob in OpenSSH's form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def parse_public_key(line: str) -> PublicKey:
    """Take apart one line of a `.pub` file: type, base64, comment.

    Raises:
        PublicKeyError: it is none, has options before the type, or is too weak; the text says which.
    """
    if "PRIVATE KEY" in line:
        raise PublicKeyError("this is a private key; give the .pub file, and make a new pair if others saw this one")
    words = line.strip().split(maxsplit=2)
    if len(line) > MAX_LINE or len(words) < 2 or not line.strip().isprintable():
        raise PublicKeyError("not an OpenSSH public key line (type, base64, comment)")
    algorithm = words[0]
    _check_algorithm(algorithm)
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error as error:
        raise PublicKeyError("not an OpenSSH public key line: its second word is not base64") from error
    fields = _Fields(blob)
    if fields.take() != algorithm.encode():
        raise PublicKeyError(f"the key inside is not of the type {algorithm} that the line gives")
    _CHECKS[algorithm](algorithm, fields)
    fields.end()
    return PublicKey(algorithm=algorithm, blob=blob, comment=words[2] if len(words) > 2 else "")


class _Fields:
    """The length-prefixed fields of a blob (RFC 4251, section 5)."""

    def __init__(self, blob: bytes) -> None:
        self._rest = blob

    def take(self) -> bytes:
        size = int.from_bytes(self._rest[:4])
        if len(self._rest) < 4 + size:
            raise PublicKeyError("the key is cut short")
        taken, self._rest = self._rest[4 : 4 + size], self._rest[4 + size :]
        return taken

    def end(self) -> None:
        if self._rest:
            raise PublicKeyError("the key has bytes after its end")


def _check_algorithm(algorithm: str) -> None:
    if algorithm == "ssh-dss":
        raise PublicKeyError("DSA keys are not taken: they are too weak; make an Ed25519 key (ssh-keygen -t ed25519)")
    if "-cert-v0" in algorithm:
        raise PublicKeyError("this is a certificate; give the plain public key")
    if "=" in algorithm or "," in algorithm or algorithm in {"restrict", "no-pty", "no-port-forwarding"}:
        raise PublicKeyError(
            "options before the key are not honoured here, so the line is not taken; give the key alone"
        )
    if algorithm not in _CHECKS:
        raise PublicKeyError(f"keys of type {algorithm[:64]} are not taken; these are: {', '.join(_CHECKS)}")


def _check_rsa(_algorithm: str, fields: _Fields) -> None:
    exponent, modulus = int.from_bytes(fields.take()), int.from_bytes(fields.take())
    bits = modulus.bit_length()
    if bits < RSA_BITS:
        raise PublicKeyError(f"an RSA key of {bits} bits is too weak: {RSA_BITS} is the least, Ed25519 is better")
    if bits > MAX_RSA_BITS or exponent < 3 or exponent % 2 == 0 or modulus % 2 == 0 or exponent >= modulus:
        raise PublicKeyError("the RSA key's numbers cannot be those of a key")


def _check_ecdsa(algorithm: str, fields: _Fields) -> None:
    curve = algorithm.partition("@")[0].rpartition("-")[2]
    named, point = fields.take(), fields.take()
    if named != curve.encode() or len(point) != _CURVE_POINT[curve] or point[0] != _UNCOMPRESSED:
        raise PublicKeyError(f"the key is no point on the curve {curve}")


def _check_ed25519(_algorithm: str, fields: _Fields) -> None:
    if len(fields.take()) != _ED25519:
        raise PublicKeyError("an Ed25519 key has 32 bytes; this one has not")


def _check_sk_ecdsa(algorithm: str, fields: _Fields) -> None:
    _check_ecdsa(algorithm, fields)
    fields.take()  # the application, "ssh:"


def _check_sk_ed25519(algorithm: str, fields: _Fields) -> None:
    _check_ed25519(algorithm, fields)
    fields.take()  # the application, "ssh:"


_CHECKS = {
    "ssh-ed25519": _check_ed25519,
    "ecdsa-sha2-nistp256": _check_ecdsa,
    "ecdsa-sha2-nistp384": _check_ecdsa,
    "ecdsa-sha2-nistp521": _check_ecdsa,
    "ssh-rsa": _check_rsa,
    "sk-ssh-ed25519@openssh.com": _check_sk_ed25519,
    "sk-ecdsa-sha2-nistp256@openssh.com": _check_sk_ecdsa,
}
