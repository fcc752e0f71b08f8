"""The slot file of an object in one region: its key, wrapped for that region, and what it is, sealed under its key.

    magic              8 bytes   6d 66 74 20 73 6c 6f 74 ("mft slot")
    version            1 byte    01
    reserved           3 bytes   00 00 00
    envelope's length  4 bytes   big-endian
    envelope           JSON      of `Envelope.to_dict`, keys sorted, no white space, ASCII
    sealed manifest    nonce (12 bytes), sealed JSON, tag (16 bytes)
    digest            32 bytes   SHA-256 of all before it

The manifest is bound to the object and not to the region, so that a copy takes it over without anybody opening the key;
the envelope is bound to the region. The digest is no proof against an attacker: it tells rot from a wrong key, without
any key. A catalog can be rebuilt from slots alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.body import BodyInfo
from storage.errors import AlteredSlotError, UnknownFormatError, WrongKeyError, WrongObjectError
from storage.keys.envelope import Envelope, Region
from storage.store import ObjectKey, parse_object_key

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAGIC = b"mft slot"
_VERSION = 1
_HEADER = struct.Struct(">8sB3xI")
_DIGEST_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_LABEL = b"mft slot manifest v1"
MAX_SLOT_BYTES = 4 * 1024 * 1024
"""No slot of ours is nearly as long; a reader takes no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an object is."""

    body: BodyInfo
    facts: Mapping[str, object]
    """The application's: case, customer, name, version … Whatever JSON holds."""


def seal_manifest(data_key: bytes, object_key: ObjectKey, manifest: Manifest) -> bytes:
    """Return *manifest* sealed under a key of its own, derived from *data_key* for *object_key*.

    Raises:
        TypeError: the facts hold something that JSON does not.
    """
    body = manifest.body
    document = {
        "body": {"sha256": body.sha256.hex(), "size": body.size, "stored_size": body.stored_size},
        "facts": dict(manifest.facts),
    }
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_manifest_key(data_key, object_key)).encrypt(nonce, canonical_json(document), None)


def open_manifest(data_key: bytes, object_key: ObjectKey, sealed: bytes) -> Manifest:
    """Undo `seal_manifest`.

    Raises:
        WrongKeyError: *data_key* is not the key of that object, or *sealed* was altered.
    """
    try:
        plain = AESGCM(_manifest_key(data_key, object_key)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except InvalidTag as error:
        raise WrongKeyError(f"the manifest of {object_key} does not open under this key") from error
    document = json.loads(plain)
    body = document["body"]
    info = BodyInfo(size=body["size"], sha256=bytes.fromhex(body["sha256"]), stored_size=body["stored_size"])
    return Manifest(body=info, facts=document["facts"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One slot file."""

    envelope: Envelope
    sealed_manifest: bytes

    @property
    def object_key(self) -> ObjectKey:
        """Whose slot it is."""
        return parse_object_key(self.envelope.subject)

    def serialise(self) -> bytes:
        """Return the file's bytes."""
        envelope = canonical_json(self.envelope.to_dict())
        content = _HEADER.pack(_MAGIC, _VERSION, len(envelope)) + envelope + self.sealed_manifest
        return content + hashlib.sha256(content).digest()

    @classmethod
    def parse(cls, data: bytes, *, object_key: ObjectKey, region: Region) -> Slot:
        """Make one from a file's bytes.

        Raises:
            AlteredSlotError: the bytes are not what was written, or not whole.
            UnknownFormatError: it is not a slot file of this version.
            WrongObjectError: it is the slot of another object, or of another region.
        """
        content, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        if len(data) < _HEADER.size + _DIGEST_BYTES or hashlib.sha256(content).digest() != digest:
            raise AlteredSlotError(f"the slot of {object_key} in {region!r} was altered")
        magic, version, length = _HEADER.unpack(content[: _HEADER.size])
        if magic != _MAGIC or version != _VERSION:
            raise UnknownFormatError(f"this is not a slot file of version {_VERSION}")
        end = _HEADER.size + length
        if len(content) < end + _NONCE_BYTES + _TAG_BYTES:
            raise AlteredSlotError(f"the slot of {object_key} in {region!r} is not whole")
        slot = cls(envelope=_parse_envelope(content[_HEADER.size : end]), sealed_manifest=content[end:])
        if slot.serialise() != data:
            raise AlteredSlotError(f"the slot of {object_key} in {region!r} is not in the form that is written")
        if (slot.envelope.subject, slot.envelope.region) != (object_key, region):
            raise WrongObjectError(
                f"this is the slot of {slot.envelope.subject} in {slot.envelope.region!r}, "
                f"not of {object_key} in {region!r}"
            )
        return slot

    def open_manifest(self, data_key: bytes) -> Manifest:
        """Return what the object is.

        Raises:
            WrongKeyError: *data_key* is not the object's key.
        """
        return open_manifest(data_key, self.object_key, self.sealed_manifest)


def canonical_json(document: object) -> bytes:
    """Return *document* as JSON in the one form that is sealed: keys sorted, no white space, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _parse_envelope(text: bytes) -> Envelope:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise AlteredSlotError("a slot's envelope is not JSON") from error
    if not isinstance(document, dict):
        raise AlteredSlotError("a slot's envelope is not a JSON object")
    return Envelope.from_dict(document)


def _manifest_key(data_key: bytes, object_key: ObjectKey) -> bytes:
    info = _LABEL + bytes.fromhex(parse_object_key(object_key))
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(data_key)
