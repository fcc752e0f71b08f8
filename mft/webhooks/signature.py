"""Signatures of Standard Webhooks 1.0 (standardwebhooks.com), symmetric, version `v1`; for both directions.

Signed is `id.timestamp.body`; the header may hold several signatures divided by spaces, one of which must be right, so
that a secret can be changed without a gap.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING

from mft.webhooks.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
SECRET_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_MOST_SIGNATURES = 8


def new_secret() -> bytes:
    """Make a secret of random bytes."""
    return secrets.token_bytes(SECRET_BYTES)


def derive_secret(key: bytes, endpoint: str, serial: int) -> bytes:
    """Make the secret of an endpoint from *key*, a secret of the server: it is kept nowhere, and made when needed."""
    return hmac.digest(key, f"mft webhook secret v1\n{endpoint}\n{serial}".encode(), "sha256")


def secret_text(secret: bytes) -> str:
    """Write a secret as receivers have it: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(secret).decode("ascii")


def sign(secret: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature: `v1,` and the base64 of HMAC-SHA256; *timestamp* is in Unix seconds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")


def signed_headers(keys: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a message, signed with each of *keys*."""
    signatures = (sign(key, message_id=message_id, timestamp=timestamp, body=body) for key in keys)
    return {ID_HEADER: message_id, TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: " ".join(signatures)}


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, *, now: float, tolerance: float) -> str:
    """Return the id of a message that one of *keys* has signed within *tolerance* seconds of *now*.

    *headers* finds names in any case, as HTTP libraries' do.

    Raises:
        SignatureError: says what is wrong, as far as that tells nothing about the secret.
    """
    message_id, timestamp = headers.get(ID_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    offered = headers.get(SIGNATURE_HEADER, "")
    if not _ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp) or not offered:
        raise SignatureError(
            "send webhook-id (1 to 128 of A-Z a-z 0-9 _ . : -), webhook-timestamp (Unix seconds) and webhook-signature"
        )
    if abs(now - int(timestamp)) > tolerance:
        raise SignatureError(
            f"webhook-timestamp is more than {tolerance:g} s off this server's clock ({int(now)}); "
            "sign each attempt anew, and check both clocks"
        )
    given = [each.encode(errors="replace") for each in offered.split(" ")[:_MOST_SIGNATURES]]
    right = False
    for key in keys:
        expected = sign(key, message_id=message_id, timestamp=int(timestamp), body=body).encode()
        for each in given:
            right |= hmac.compare_digest(expected, each)
    if not right:
        raise SignatureError("webhook-signature does not fit: another secret, or a body that was altered on its way")
    return message_id
