"""Checksums in headers: `Upload-Checksum` of tus 1.0.0, `Content-Digest` and `Repr-Digest` of RFC 9530.

And the two that these replaced, `Content-MD5` (RFC 1864) and `Digest` (RFC 3230): who sends one wants it compared.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from protocols.http.status import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALGORITHMS: Final[Mapping[str, str]] = {"sha1": "sha1", "sha256": "sha256", "sha512": "sha512", "md5": "md5"}
"""Of tus, with the names that hashlib has for them."""
_FIELDS: Final[Mapping[str, str]] = {"sha-256": "sha256", "sha-512": "sha512"}
"""The active ones of RFC 9530; others are there for what nobody should trust, and are passed over."""
_OLD_FIELDS: Final[Mapping[str, str]] = {"sha-512": "sha512", "sha-256": "sha256", "sha": "sha1", "md5": "md5"}
"""Of RFC 3230 and RFC 5843, the strongest first."""
_MEMBER = re.compile(r"([a-z*][a-z0-9_\-.*]*)=:([A-Za-z0-9+/=]*):")
_WISH = re.compile(r"([a-z*][a-z0-9_\-.*]*)=(\d{1,2})")


@dataclass(slots=True)
class Checksum:
    """What bytes that are to come must have, and what those have that came."""

    name: str
    """As the client wrote it."""
    expected: bytes
    running: hashlib._Hash

    def update(self, data: bytes | memoryview) -> None:
        """Take *data* in."""
        self.running.update(data)

    @property
    def holds(self) -> bool:
        """Whether what came is what was meant."""
        return hmac.compare_digest(self.running.digest(), self.expected)


class Checksums:
    """Several that must all hold."""

    def __init__(self, each: Sequence[Checksum]) -> None:
        """Compare with *each*."""
        self._each = tuple(each)

    def update(self, data: bytes | memoryview) -> None:
        """Take *data* in."""
        for checksum in self._each:
            checksum.update(data)

    @property
    def holds(self) -> bool:
        """Whether what came is what was meant."""
        return all(checksum.holds for checksum in self._each)


def parse_upload_checksum(text: str) -> Checksum:
    """Make a checksum from `ALGORITHM BASE64`.

    Raises:
        ProblemError: 400, the algorithm is not known here, or it cannot be read.
    """
    name, _, value = text.strip().partition(" ")
    if name.lower() not in ALGORITHMS:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"Upload-Checksum is told by {', '.join(ALGORITHMS)}, and not otherwise"
        )
    return _checksum("Upload-Checksum", name, ALGORITHMS[name.lower()], value.strip())


class AwaitedChecksum:
    """A checksum that comes behind the body, with the name of its algorithm: until then all of them are computed."""

    def __init__(self) -> None:
        self._running = {name: hashlib.new(real, usedforsecurity=False) for name, real in ALGORITHMS.items()}

    def update(self, data: bytes | memoryview) -> None:
        """Take *data* in."""
        for running in self._running.values():
            running.update(data)

    def compared(self, text: str) -> bool:
        """Say whether what came has the checksum `ALGORITHM BASE64`.

        Raises:
            ProblemError: 400, as `parse_upload_checksum`.
        """
        told = parse_upload_checksum(text)
        told.running = self._running[told.name.lower()]
        return told.holds


def parse_digest(header: str, text: str | None) -> Checksum | None:
    """Make a checksum from a digest field; the strongest that is known, None where none is.

    Raises:
        ProblemError: 400, it cannot be read.
    """
    if text is None:
        return None
    found: dict[str, str] = {}
    for member in text.split(","):
        match = _MEMBER.fullmatch(member.strip())
        if match is None:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"{header} reads 'sha-256=:BASE64:' (RFC 9530)")
        found[match[1]] = match[2]
    for name in ("sha-512", "sha-256"):
        if name in found:
            return _checksum(header, name, _FIELDS[name], found[name])
    return None


def parse_old_digest(text: str) -> Checksum | None:
    """Make a checksum from `Digest` (RFC 3230), which came before `Repr-Digest`; the strongest that is known.

    Raises:
        ProblemError: 400, it cannot be read.
    """
    found: dict[str, str] = {}
    for member in text.split(","):
        name, equals, value = member.strip().partition("=")
        if not equals:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "Digest reads 'SHA-256=BASE64' (RFC 3230)")
        found[name.strip().lower()] = value.strip()
    for name, algorithm in _OLD_FIELDS.items():
        if name in found:
            return _checksum("Digest", name, algorithm, found[name])
    return None


def parse_content_md5(text: str) -> Checksum:
    """Make a checksum from `Content-MD5` (RFC 1864), which object stores' clients still send.

    Raises:
        ProblemError: 400, it cannot be read.
    """
    return _checksum("Content-MD5", "md5", "md5", text.strip())


def wants_sha256(text: str | None) -> bool:
    """Say whether `Want-Repr-Digest` prefers SHA-256 to nothing (RFC 9530, section 4)."""
    if text is None:
        return False
    wishes = (_WISH.fullmatch(member.strip()) for member in text.split(","))
    return any(wish is not None and wish[1] == "sha-256" and int(wish[2]) > 0 for wish in wishes)


def digest_field(sha256: str) -> str:
    """Return a digest field of a SHA-256 in hexadecimal digits."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _checksum(header: str, name: str, algorithm: str, value: str) -> Checksum:
    running = hashlib.new(algorithm, usedforsecurity=False)
    try:
        expected = base64.b64decode(value.encode("ascii"), validate=True)
    except (UnicodeError, binascii.Error):
        expected = b""
    if len(expected) != running.digest_size:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{header}: a {name} has {running.digest_size} bytes, in base64")
    return Checksum(name=name, expected=expected, running=running)
