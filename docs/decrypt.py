# ruff: noqa: INP001 - one file, to be taken away and run alone
"""Decrypt one stored object with nothing but this file, `docs/format.md` and the package `cryptography`.

    python decrypt.py BODY SLOT KEYRING PASSPHRASE_FILE > plaintext

It shares no code with the server on purpose: it proves that the document suffices. Whatever does not fit ends it with
an error; what it has written by then is genuine, and the exit status says whether it is whole.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BODY_HEADER, STREAM_HEADER, TAG = 32, 40, 16


def need(condition: object, reason: str) -> None:
    """End with *reason* unless *condition* holds."""
    if not condition:
        raise SystemExit(f"decrypt: {reason}")


def unseal(key: bytes, nonce: bytes, sealed: bytes, bound: bytes | None, what: str) -> bytes:
    """Open one piece of AES-256-GCM, or end and say *what* was altered."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, bound)
    except InvalidTag:
        raise SystemExit(f"decrypt: {what}") from None


def canonical(document: Any) -> bytes:  # noqa: ANN401 - whatever JSON holds
    """Return *document* in the one JSON form that is sealed or authenticated."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def bind(label: bytes, *parts: str) -> bytes:
    """Return the context of a wrapped key."""
    return label + b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)


def hkdf(key: bytes, info: bytes, salt: bytes | None = None) -> bytes:
    """Derive 32 bytes with HKDF-SHA256."""
    return HKDF(SHA256(), length=32, salt=salt, info=info).derive(key)


def region_keys(text: bytes, passphrase: str) -> dict[str, bytes]:
    """Open a keyring file and return its keys by id (section 1)."""
    clear = json.loads(text)
    nonce, sealed = base64.b64decode(clear.pop("nonce")), base64.b64decode(clear.pop("sealed"))
    need(clear["format"] == "mft-keyring" and clear["version"] == 1, "not a keyring of version 1")
    kdf = clear["kdf"]
    key = Argon2id(
        salt=base64.b64decode(kdf["salt"]),
        length=32,
        iterations=kdf["iterations"],
        lanes=kdf["lanes"],
        memory_cost=kdf["memory_kib"],
    ).derive(passphrase.encode())
    why = "the passphrase does not open the keyring, or the keyring was altered"
    plain = json.loads(unseal(key, nonce, sealed, canonical(clear), why))
    return {name: base64.b64decode(entry["key"]) for name, entry in plain["keys"].items()}


def data_key(envelope: dict[str, str], keys: dict[str, bytes]) -> bytes:
    """Unwrap scope key and leaf key (sections 2 and 3)."""
    region, scope, subject = envelope["region"], envelope["scope"], envelope["subject"]
    outer, inner = base64.b64decode(envelope["scope_key"]), base64.b64decode(envelope["key"])
    need(len(outer) == 69 and outer[0] == 1, f"form {outer[0]:02x} of a scope key: no keyring file alone opens it")
    need(outer[1:9].hex() in keys, f"the keyring has no key {outer[1:9].hex()}")
    context = bind(b"mft scope key v1", region, scope)
    region_key, why = keys[outer[1:9].hex()], "the wrapped scope key was altered"
    scope_key = unseal(region_key, outer[9:21], outer[21:], outer[:9] + context, why)
    need(len(inner) == 61 and inner[:1] == b"\x01", "not a wrapped leaf key of version 1")
    context = bind(b"mft leaf key v1", region, scope, subject)
    return unseal(scope_key, inner[1:13], inner[13:], b"\x01" + context, "the wrapped data key was altered")


def open_slot(data: bytes) -> tuple[dict[str, str], bytes]:
    """Return envelope and sealed manifest of a slot file (section 4)."""
    need(hashlib.sha256(data[:-32]).digest() == data[-32:], "the slot was altered")
    need(data[:9] == b"mft slot\x01", "not a slot of version 1")
    end = 16 + int.from_bytes(data[12:16], "big")
    return json.loads(data[16:end]), data[end:-32]


def open_manifest(key: bytes, object_key: str, sealed: bytes) -> dict[str, Any]:
    """Open the manifest of a slot (section 4)."""
    manifest_key = hkdf(key, b"mft slot manifest v1" + bytes.fromhex(object_key))
    return dict(json.loads(unseal(manifest_key, sealed[:12], sealed[12:], None, "the manifest was altered")))


def decrypt(body: BinaryIO, size: int, key: bytes, object_key: str, out: BinaryIO) -> bytes:
    """Write the plaintext of a body of *size* bytes to *out* and return its SHA-256 (sections 5 and 6)."""
    header = body.read(BODY_HEADER)
    need(header[:9] == b"mft body\x01", "not a body of version 1")
    need(header[16:].hex() == object_key, "this is the body of another object")
    segment = int.from_bytes(header[12:16], "big")
    start = body.read(STREAM_HEADER)
    need(len(start) == STREAM_HEADER and start[0] == STREAM_HEADER, "not a stream of this kind")
    stream_key, prefix = hkdf(key, header, start[1:33]), start[33:]
    digest, left, number = hashlib.sha256(), size - BODY_HEADER - STREAM_HEADER, 0
    room = segment - STREAM_HEADER
    while True:
        sealed = body.read(min(room, left))
        left -= len(sealed)
        last = left == 0
        nonce = prefix + number.to_bytes(4, "big") + bytes([last])
        plain = unseal(stream_key, nonce, sealed, None, f"segment {number} was altered, or the body was cut")
        digest.update(plain)
        out.write(plain)
        if last:
            return digest.digest()
        number, room = number + 1, segment


def main() -> None:
    """Read the arguments, write the plaintext to standard output and what it is to standard error."""
    need(len(sys.argv) == 5, "usage: decrypt.py BODY SLOT KEYRING PASSPHRASE_FILE")
    body, slot, keyring, passphrase = map(Path, sys.argv[1:])
    envelope, sealed = open_slot(slot.read_bytes())
    keys = region_keys(keyring.read_bytes(), passphrase.read_text().rstrip("\r\n"))
    key = data_key(envelope, keys)
    manifest = open_manifest(key, envelope["subject"], sealed)
    size = body.stat().st_size
    need(size == manifest["body"]["stored_size"], "the body is longer or shorter than it was")
    with body.open("rb") as file:
        digest = decrypt(file, size, key, envelope["subject"], sys.stdout.buffer)
    need(digest.hex() == manifest["body"]["sha256"], "the digest differs")
    sys.stderr.write(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
