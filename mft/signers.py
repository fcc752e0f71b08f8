"""Who signs the heads of the audit's chains, and who checks them: Ed25519 (RFC 8032) with the server's receipt key.

What `mft.audit` has signed begins with its own name and version, so no such signature can pass for a receipt's.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def head_signer(key: Ed25519PrivateKey) -> Callable[[bytes], str]:
    """Return what `mft.audit.AuditTrail` signs with: bytes to base64url without padding."""

    def sign(statement: bytes) -> str:
        return base64.urlsafe_b64encode(key.sign(statement)).decode("ascii").rstrip("=")

    return sign


def head_checker(key: Ed25519PublicKey) -> Callable[[bytes, str], bool]:
    """Return what `mft.audit.verify_trail` checks with."""

    def check(statement: bytes, signature: str) -> bool:
        try:
            key.verify(
                base64.b64decode(signature + "=" * (-len(signature) % 4), altchars=b"-_", validate=True), statement
            )
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True

    return check
