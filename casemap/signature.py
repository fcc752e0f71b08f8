"""How our requests to a case system are signed, for both ends.

The signature is HMAC-SHA256 over four lines: timestamp, method, request target as sent, SHA-256 of the body in hex. It
ties a request to a moment; within `TOLERANCE` the same request may come again, harmless as long as it only reads.
"""

from __future__ import annotations

import hashlib
import hmac

TIMESTAMP_HEADER = "Mft-Timestamp"
SIGNATURE_HEADER = "Mft-Signature"
TOLERANCE = 300
"""How far two clocks may differ, in seconds."""
MIN_SECRET_BYTES = 16
_VERSION = "v1="


def sign(secret: bytes, *, timestamp: int, method: str, target: str, body: bytes = b"") -> str:
    """Return the value of the signature header.

    *timestamp* is in Unix seconds; *target* is the request target as it is sent: path and query, percent-encoded.
    """
    message = f"{timestamp}\n{method}\n{target}\n{hashlib.sha256(body).hexdigest()}".encode()
    return _VERSION + hmac.new(secret, message, hashlib.sha256).hexdigest()


def verify(
    secret: bytes, *, timestamp: str, signature: str, now: float, method: str, target: str, body: bytes = b""
) -> bool:
    """Say whether the two headers are right for this request at *now* (Unix seconds).

    The header may hold several signatures divided by spaces, so that a secret can be changed; one must be right.
    """
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now - int(timestamp)) > TOLERANCE:
        return False
    expected = sign(secret, timestamp=int(timestamp), method=method, target=target, body=body).encode()
    offered = signature.encode(errors="replace").split(b" ")[:8]
    return any(hmac.compare_digest(expected, each) for each in offered)
