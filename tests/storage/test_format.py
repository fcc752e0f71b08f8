"""The formats are frozen: what lies in `tests/vectors` opens with the code, and with the document and its program."""

import base64
import hashlib
import hmac
import importlib.util
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.body import BodyReader
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring
from storage.keys.service import LocalKeyService
from storage.landing import LandingReader, LandingZone
from storage.memory import MemoryReader
from storage.slot import Slot
from storage.store import parse_object_key

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/vectors/storage_v1.json").read_text())
OBJECTS = VECTORS["objects"]
KEY = parse_object_key(VECTORS["object_key"])
REGION = Region(VECTORS["region"])


def raw(text):
    return base64.b64decode(text)


def plaintext(size):
    return bytes(n % 251 for n in range(size))


@pytest.fixture
def keyring(tmp_path):
    path = tmp_path / "eu.keyring"
    path.write_text(VECTORS["keyring"])
    return path


@pytest.mark.parametrize("case", OBJECTS, ids=lambda case: f"{case['size']}-{case['segment_bytes']}")
def test_stored_object_of_version_1_opens(case, keyring):
    """Keyring, slot, envelope, manifest and body of the first version are read by this one."""
    keys = LocalKeyService({REGION: Keyring.load(keyring, VECTORS["passphrase"])})
    slot = Slot.parse(raw(case["slot"]), object_key=KEY, region=REGION)
    data_key = keys.open_key(slot.envelope)
    manifest = slot.open_manifest(data_key)
    reader = BodyReader(MemoryReader(raw(case["body"])), data_key, KEY, stored_size=manifest.body.stored_size)
    assert data_key.hex() == case["data_key"]
    assert reader.read(0, 10_000) == plaintext(case["size"])
    assert manifest.facts == VECTORS["facts"]
    assert manifest.body.sha256.hex() == case["sha256"] == hashlib.sha256(plaintext(case["size"])).hexdigest()


@pytest.mark.parametrize("case", OBJECTS, ids=lambda case: f"{case['size']}-{case['segment_bytes']}")
def test_document_program_decrypts_the_vectors(case, keyring, tmp_path):
    """The program in the documents, which shares no code with us, finds the same plaintext and the same facts."""
    (tmp_path / "body").write_bytes(raw(case["body"]))
    (tmp_path / "slot").write_bytes(raw(case["slot"]))
    (tmp_path / "pass").write_text(VECTORS["passphrase"] + "\n")
    command = [
        sys.executable,
        ROOT / "docs/decrypt.py",
        tmp_path / "body",
        tmp_path / "slot",
        keyring,
        tmp_path / "pass",
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == plaintext(case["size"])
    assert json.loads(done.stderr)["facts"] == VECTORS["facts"]


@pytest.mark.parametrize("victim", ["body", "slot", "pass", "keyring"])
def test_document_program_refuses_what_was_altered(victim, keyring, tmp_path):
    """One altered byte anywhere, and it ends with an error."""
    case = OBJECTS[-2]
    files = {
        "body": raw(case["body"]),
        "slot": raw(case["slot"]),
        "keyring": keyring.read_bytes(),
        "pass": VECTORS["passphrase"].encode(),
    }
    place = {"keyring": files["keyring"].index(b'"memory_kib": 1024') + 17}.get(victim, len(files[victim]) // 2)
    altered = bytearray(files[victim])
    altered[place] ^= 1
    files[victim] = bytes(altered)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, ROOT / "docs/decrypt.py", *(tmp_path / n for n in ("body", "slot", "keyring", "pass"))]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode != 0
    assert done.stderr.startswith("decrypt: ")


def test_document_program_uses_cryptography_alone_and_is_short():
    """It imports the standard library and `cryptography`, and has fewer than 150 lines."""
    text = (ROOT / "docs/decrypt.py").read_text()
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)) - set(sys.stdlib_module_names)
    assert imported == {"cryptography"}
    assert len(text.splitlines()) < 150


def test_landing_log_of_version_1_opens(tmp_path):
    """A log of the first version is read, and can be gone on with."""
    case = VECTORS["landing"]
    path = tmp_path / f"{case['upload_id']}.landing"
    path.write_bytes(raw(case["log"]))
    key = bytes.fromhex(case["key"])
    reader = LandingReader.from_fd(os.open(path, os.O_RDONLY), case["upload_id"], key, 4, 16)
    assert reader.read(0, 100).decode() == case["content"]
    reader.close()
    zone = LandingZone(tmp_path)
    writer = zone.resume(case["upload_id"], key)
    assert writer.prefix == 16
    writer.write(16, b"!")
    writer.close()
    zone.close()


def test_landing_record_is_as_the_document_says():
    """The first record opens with nothing but what section 7 of the document tells."""
    case = VECTORS["landing"]
    log, key, upload = raw(case["log"]), bytes.fromhex(case["key"]), case["upload_id"].encode()
    derived = HKDF(SHA256(), length=48, salt=None, info=b"mft landing check v1" + upload).derive(key)
    assert log[:32] == b"mft land\x01" + bytes(7) + derived[:16]
    clear, check, nonce = log[32:64], log[64:80], log[80:92]
    kind, length, number, offset, synced = struct.unpack(">B3xIQQQ", clear)
    assert (kind, length, number, offset, synced) == (1, 12, 0, 0, 0)
    associated = log[:32] + clear + upload
    assert hmac.digest(derived[16:], associated, "sha256")[:16] == check
    assert AESGCM(key).decrypt(nonce, log[92 : 92 + length + 16], associated) == b"hello, world"


def test_worked_example_in_the_document_is_true(keyring):
    """Every number in the document's worked example follows from the vectors."""
    text = (ROOT / "docs/format.md").read_text()
    stated = dict(re.findall(r"^ *([a-z0-9 ,']+?) += ([0-9a-f]{8,})$", text, re.MULTILINE))
    spec = importlib.util.spec_from_file_location("decrypt", ROOT / "docs/decrypt.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    case = OBJECTS[-2]
    body, slot = raw(case["body"]), raw(case["slot"])
    keys = program.region_keys(keyring.read_bytes(), VECTORS["passphrase"])
    envelope, sealed = program.open_slot(slot)
    scope_blob = base64.b64decode(envelope["scope_key"])
    region_key = keys[scope_blob[1:9].hex()]
    context = program.bind(b"mft scope key v1", envelope["region"], envelope["scope"])
    data_key = program.data_key(envelope, keys)
    computed = {
        "region key id": scope_blob[1:9],
        "region key": region_key,
        "scope key": AESGCM(region_key).decrypt(scope_blob[9:21], scope_blob[21:], scope_blob[:9] + context),
        "data key": data_key,
        "manifest key": program.hkdf(data_key, b"mft slot manifest v1" + bytes.fromhex(KEY)),
        "body's header": body[:32],
        "segments' key": program.hkdf(data_key, body[:32], body[33:65]),
        "nonce of segment 0": body[65:72] + bytes(5),
        "nonce of segment 3, the last": body[65:72] + bytes([0, 0, 0, 3, 1]),
        "plaintext's digest": hashlib.sha256(plaintext(case["size"])).digest(),
    }
    assert stated == {name: value.hex() for name, value in computed.items()}
    assert program.open_manifest(data_key, KEY, sealed)["body"]["stored_size"] == len(body)
