"""A case's dictionary on its way: sealed under a key that is made from the case's pseudonym key.

So a scrub child, which has that key, needs no other to open it, and nobody without the key can read it or make one.
"""

from __future__ import annotations

import hmac

from scrubber.dictionary import MAX_BYTES, Dictionary
from storage.errors import AlteredKeyError
from storage.sealed import open_piece, seal_piece

SEALED_LIMIT = MAX_BYTES + 64
"""Bytes of the largest dictionary, sealed."""
_LABEL = b"mft case names v1"


class NamesUnreadableError(Exception):
    """A sealed dictionary does not open under its case's key, or is none."""


def seal_names(names: Dictionary, pseudonym_key: bytes) -> bytes:
    """Seal *names* under the case's key."""
    return seal_piece(_key(pseudonym_key), names.to_bytes(), context=_LABEL)


def open_names(sealed: bytes, pseudonym_key: bytes) -> Dictionary:
    """Open what `seal_names` made; empty bytes are an empty dictionary. Whoever sealed it need not be trusted.

    Raises:
        NamesUnreadableError: it does not open, or what is in it is no dictionary.
    """
    if not sealed:
        return Dictionary(settling=True)
    if len(sealed) > SEALED_LIMIT:
        raise NamesUnreadableError("a case's dictionary is not that large")
    try:
        return Dictionary.from_bytes(open_piece(_key(pseudonym_key), sealed, context=_LABEL), settling=True)
    except (AlteredKeyError, ValueError) as error:
        raise NamesUnreadableError("a case's dictionary cannot be read") from error


def _key(pseudonym_key: bytes) -> bytes:
    """Make the sealing key (HKDF's expansion to one block, RFC 5869, section 2.3)."""
    return hmac.digest(pseudonym_key, _LABEL + b"\x01", "sha256")
