"""Places in a list, written so that a client can hand them back and make nothing of them.

A page goes on behind a key (keyset paging): no row is counted, skipped or shown twice because others came or went.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from http import HTTPStatus

from mft.api.fault import ApiError

_MARK = 12
_LONGEST = 2048
Key = list[str | int | float | None]


class Cursors:
    """Writes and reads cursors."""

    def __init__(self, key: bytes) -> None:
        """Authenticate them with a key derived from *key*, a secret of the server."""
        self._key = hmac.digest(key, b"mft api cursor v1", "sha256")

    def write(self, listing: str, key: Key) -> str:
        """Return the place behind *key* in *listing*, a name that holds everything that the list depends on."""
        body = json.dumps(key, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mark(listing, body) + body).decode().rstrip("=")

    def read(self, listing: str, text: str | None) -> Key | None:
        """Return the key that a cursor of *listing* stands for; None for the beginning.

        Raises:
            ApiError: 404, there is no such place in this list.
        """
        if text is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raw = b""
        mark, body = raw[:_MARK], raw[_MARK:]
        if len(text) > _LONGEST or not body or not hmac.compare_digest(mark, self._mark(listing, body)):
            raise ApiError(
                HTTPStatus.NOT_FOUND,
                "invalid-cursor",
                "this cursor is none of this list; begin again without one, and keep the other parameters as they are",
            )
        key: Key = json.loads(body)
        return key

    def _mark(self, listing: str, body: bytes) -> bytes:
        return hmac.digest(self._key, listing.encode() + b"\0" + body, "sha256")[:_MARK]
