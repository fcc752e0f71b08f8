"""The password of an archive on its way to the one child that tries it: sealed under a key of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from storage.sealed import open_piece, seal_piece

if TYPE_CHECKING:
    from collections.abc import Iterator

_LABEL = b"mft archive password v1"
_CODE_PAGES = ("cp437", "cp850", "cp1252")


def seal_password(password: str, key: bytes) -> bytes:
    """Seal *password* under *key*."""
    return seal_piece(key, password.encode(), context=_LABEL)


def open_password(sealed: bytes, key: bytes) -> Iterator[bytes]:
    """Give a password as archives may have it: in UTF-8, and beyond ASCII in the code pages of old zip programs."""
    password = open_piece(key, sealed, context=_LABEL)
    yield password
    text = password.decode()
    if not text.isascii():
        for page in _CODE_PAGES:
            with contextlib.suppress(UnicodeEncodeError):
                yield text.encode(page)
