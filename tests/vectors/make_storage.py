"""Make `storage_v1.json` anew: only ever needed for a new version of a format, beside the old file.

.venv/bin/python -m tests.vectors.make_storage > tests/vectors/storage_vN.json
"""

import base64
import json
import sys
import tempfile
from pathlib import Path

from storage.body import BodyWriter
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost
from storage.keys.service import LocalKeyService
from storage.landing import LandingZone
from storage.slot import Manifest, Slot, seal_manifest
from storage.store import ObjectKey

PASSPHRASE = "correct horse battery staple"
REGION, SCOPE = Region("eu-central"), "case:C-1042"
OBJECT_KEY = ObjectKey("00112233445566778899aabbccddeeff")
FACTS = {"case": "C-1042", "customer": "acme", "name": "Grüße.log", "version": 1}
SEGMENT_BYTES = 128
UPLOAD = "upload-0001"


def plaintext(size):
    """Return the bytes 0, 1, … 250, 0, 1, … of that length: easy to make anywhere."""
    return bytes(n % 251 for n in range(size))


def text(data):
    """Return *data* as the file holds it."""
    return base64.b64encode(data).decode()


def make_object(keys, size, segment_bytes):
    """Return one object of that many bytes, with all that is needed to open it."""
    scope_key = keys.new_scope(REGION, SCOPE)
    data_key, envelope = keys.new_key(REGION, SCOPE, scope_key, OBJECT_KEY)
    out = bytearray()
    writer = BodyWriter(out.extend, data_key, OBJECT_KEY, segment_bytes=segment_bytes)
    writer.write(plaintext(size))
    info = writer.close()
    sealed = seal_manifest(data_key, OBJECT_KEY, Manifest(body=info, facts=FACTS))
    slot = Slot(envelope=envelope, sealed_manifest=sealed)
    return {
        "size": size,
        "sha256": info.sha256.hex(),
        "segment_bytes": segment_bytes,
        "data_key": data_key.hex(),
        "body": text(bytes(out)),
        "slot": text(slot.serialise()),
    }


def make_landing(directory):
    """Return the log of three writes and a truncation."""
    zone = LandingZone(directory)
    key = bytes(range(32))
    writer = zone.create(UPLOAD, key)
    steps = [(0, b"hello, world"), (20, b"far away"), (7, b"there, and")]
    for offset, data in steps:
        writer.write(offset, data)
        writer.sync()
    writer.truncate(16)
    writer.close()
    zone.close()
    return {
        "upload_id": UPLOAD,
        "key": key.hex(),
        "writes": [[offset, data.decode()] for offset, data in steps],
        "truncated_to": 16,
        "content": "hello, there, an",
        "log": text((directory / f"{UPLOAD}.landing").read_bytes()),
    }


def main():
    """Write the vectors to standard output."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "eu.keyring"
        ring = Keyring.create(path, REGION, PASSPHRASE, cost=PassphraseCost(memory_kib=1024, iterations=2, lanes=2))
        keys = LocalKeyService({REGION: ring})
        older = make_object(keys, 5, SEGMENT_BYTES)
        ring.rotate()
        objects = [older] + [make_object(keys, size, SEGMENT_BYTES) for size in (0, 72, 73, 400)]
        objects.append(make_object(keys, 1000, 256 * 1024))
        document = {
            "passphrase": PASSPHRASE,
            "keyring": path.read_text(),
            "object_key": OBJECT_KEY,
            "region": REGION,
            "scope": SCOPE,
            "facts": FACTS,
            "plaintext": "byte i is i modulo 251",
            "objects": objects,
            "landing": make_landing(Path(name) / "landing"),
        }
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
