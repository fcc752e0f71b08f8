"""The forms of a wrapped scope key: which kind of place wrapped it, under which of its keys, and what came out.

    01   keyring file          key id (8 bytes), nonce (12), sealed (48)
    02   PKCS#11 token         length of the key id (1), key id, nonce (12), sealed (48)
    03   AWS KMS               length of the key's ARN (2), ARN, ciphertext
    04   Vault transit         length of the key's name and version (1), these, ciphertext
    05   two shares            length of the holder's name (1), name, length of the region's share (2),
                               that share in one of the forms above, the customer's share in one of them

Each form is frozen; `docs/format.md`, section 2, has them. Nothing here needs a key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage.errors import AlteredKeyError
from storage.keys.binding import KEY_BYTES, NONCE_BYTES, TAG_BYTES

KEYRING, TOKEN, KMS, TRANSIT, SHARES = 1, 2, 3, 4, 5
_KEYRING_ID = 8
_LENGTH_BYTES = {TOKEN: 1, KMS: 2, TRANSIT: 1}
_MOST = 16 * 1024
"""Bytes of a wrapped key; none of ours has nearly as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A scope key, or a share of one, as one place wrapped it."""

    form: int
    key_id: str
    """Of the key that it is under: hexadecimal, an ARN, or a name and version."""
    header: bytes
    """All before the payload; bound to it where the place can bind."""
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKey:
    """A scope key in two shares: the region's, and one that only the customer's key opens."""

    holder: str
    region_share: bytes
    customer_share: bytes


def is_shared(blob: bytes) -> bool:
    """Say whether a wrapped scope key is in two shares, of which a customer has one."""
    return blob[:1] == bytes([SHARES])


def header_of(form: int, key_id: str) -> bytes:
    """Return what stands before the payload."""
    if form == KEYRING:
        return bytes([form]) + bytes.fromhex(key_id)
    name = bytes.fromhex(key_id) if form == TOKEN else key_id.encode()
    return bytes([form]) + len(name).to_bytes(_LENGTH_BYTES[form], "big") + name


def parse_wrapped(blob: bytes) -> WrappedKey:
    """Make one from its bytes.

    Raises:
        AlteredKeyError: it is in no form known here.
    """
    form = blob[0] if blob else 0
    if form == KEYRING:
        end = 1 + _KEYRING_ID
        name = blob[1:end].hex()
    elif form in _LENGTH_BYTES:
        start = 1 + _LENGTH_BYTES[form]
        end = start + int.from_bytes(blob[1:start], "big")
        raw = blob[start:end]
        name = raw.hex() if form == TOKEN else raw.decode("utf-8", "replace")
    else:
        raise AlteredKeyError(f"a wrapped key of {len(blob)} bytes is in no form known here")
    wrapped = WrappedKey(form=form, key_id=name, header=blob[:end], payload=blob[end:])
    if len(blob) > _MOST or not wrapped.payload or not name or not _is_whole(wrapped):
        raise AlteredKeyError(f"a wrapped key of {len(blob)} bytes is in no form known here")
    return wrapped


def _is_whole(wrapped: WrappedKey) -> bool:
    if wrapped.form in {KEYRING, TOKEN}:
        return len(wrapped.payload) == NONCE_BYTES + KEY_BYTES + TAG_BYTES
    return True


def join_shares(shared: SharedKey) -> bytes:
    """Return the bytes of a scope key in two shares."""
    name, mine = shared.holder.encode(), shared.region_share
    return bytes([SHARES, len(name)]) + name + len(mine).to_bytes(2, "big") + mine + shared.customer_share


def split_shares(blob: bytes) -> SharedKey | None:
    """Return the shares of a scope key that has two; None where it has one.

    Raises:
        AlteredKeyError: the shares are not whole.
    """
    if not blob or blob[0] != SHARES:
        return None
    start = 2 + (blob[1] if len(blob) > 1 else 0)
    end = start + 2 + int.from_bytes(blob[start : start + 2], "big")
    shared = SharedKey(
        holder=blob[2:start].decode("utf-8", "replace"), region_share=blob[start + 2 : end], customer_share=blob[end:]
    )
    parse_wrapped(shared.region_share)
    parse_wrapped(shared.customer_share)
    return shared


def share_key_of(blob: bytes) -> tuple[str, str] | None:
    """Return the holder of a scope key's second share, and the id of the key that it is under; None without one.

    Raises:
        AlteredKeyError: it is in no form known here.
    """
    shared = split_shares(blob)
    return None if shared is None else (shared.holder, parse_wrapped(shared.customer_share).key_id)


def region_key_of(blob: bytes) -> str:
    """Return the id of the region's key that a scope key is under.

    Raises:
        AlteredKeyError: it is in no form known here.
    """
    shared = split_shares(blob)
    return parse_wrapped(blob if shared is None else shared.region_share).key_id


def with_region_share(blob: bytes, fresh: bytes) -> bytes:
    """Return *blob* with its region's part replaced by *fresh*: what rotation does."""
    shared = split_shares(blob)
    if shared is None:
        return fresh
    return join_shares(replace(shared, region_share=fresh))


def with_customer_share(blob: bytes, fresh: bytes) -> bytes:
    """Return *blob* with its customer's share replaced by *fresh*: what rotation does to a key in a customer's hands.

    Raises:
        AlteredKeyError: it has no share of a customer's.
    """
    shared = split_shares(blob)
    if shared is None:
        raise AlteredKeyError("a wrapped key has no share of a customer's")
    return join_shares(replace(shared, customer_share=fresh))
