"""What zips come as: passwords, methods of newer writers, names of old ones, containers of other programs."""

from __future__ import annotations

import bz2
import hashlib
import hmac
import io
import lzma
import shutil
import struct
import subprocess
import zipfile
import zlib

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from scrubber.model import Options

LOG = b"Accepted password for root from 10.20.30.40\npassword=geheim123 user=anna.berg@kunde.de\n" * 20
MARKS = (b"10.20.30.40", b"geheim123", b"anna.berg")


def clean(data: bytes) -> bool:
    return not any(mark in data for mark in MARKS) and data.count(b"\n") == LOG.count(b"\n")


def raw_zip(
    data: bytes, method: int, *, name: bytes = b"a.log", flags: int = 0, extra: bytes = b"", crc: int | None = None
) -> bytes:
    """Write a zip of one member whose packed *data* are given."""
    crc = zlib.crc32(LOG) if crc is None else crc
    common = struct.pack("<HHIIIIHH", flags, method, 0x58A16000, crc, len(data), len(LOG), len(name), len(extra))
    local = b"PK\x03\x04" + struct.pack("<H", 63) + common + name + extra + data
    central = (
        b"PK\x01\x02"
        + struct.pack("<HH", 0x033F, 63)
        + common
        + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, 0)
        + name
        + extra
    )
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def aes_zip(password: bytes, version: int = 2) -> bytes:
    """Encrypt as WinZip's specification says, AES-256 over deflate."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = packer.compress(LOG) + packer.flush()
    salt = bytes(range(16))
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, 1000, 66)
    cipher = Cipher(algorithms.AES(keys[:32]), modes.ECB()).encryptor()
    stream = b"".join(cipher.update(n.to_bytes(16, "little")) for n in range(1, len(plain) // 16 + 2))
    secret = bytes(a ^ b for a, b in zip(plain, stream, strict=False))
    data = salt + keys[64:] + secret + hmac.digest(keys[32:64], secret, "sha1")[:10]
    extra = struct.pack("<HHH2sBH", 0x9901, 7, version, b"AE", 3, 8)
    return raw_zip(data, 99, flags=1, extra=extra, crc=0 if version == 2 else None)


def traditional_zip(tmp_path, password: str) -> bytes:
    if shutil.which("zip") is None:
        pytest.skip("zip is not installed")
    (tmp_path / "a.log").write_bytes(LOG)
    subprocess.run(["zip", "-q", "-P", password, "x.zip", "a.log"], cwd=tmp_path, check=True)
    return (tmp_path / "x.zip").read_bytes()


@pytest.fixture(params=["traditional", "AE-1", "AE-2"])
def encrypted(request, tmp_path):
    if request.param == "traditional":
        return traditional_zip(tmp_path, "sesam-oeffne-dich")
    return aes_zip(b"sesam-oeffne-dich", 1 if request.param == "AE-1" else 2)


def test_encrypted_member_is_opened_with_its_password(scrubbed, encrypted):
    """The sender's password opens it; what comes out needs none."""
    out, report = scrubbed(encrypted, options=Options(passwords=(b"wrong", b"sesam-oeffne-dich")))
    assert report.obstacles == ()
    with zipfile.ZipFile(io.BytesIO(out)) as archive:
        assert archive.testzip() is None
        assert clean(archive.read("a.log"))


@pytest.mark.parametrize("passwords", [(), (b"wrong", b"also wrong")], ids=["none", "wrong"])
def test_encrypted_member_is_held_back(scrubbed, encrypted, passwords):
    """Without the password the archive is held back, with advice."""
    (obstacle,) = scrubbed(encrypted, options=Options(passwords=passwords))[1].obstacles
    assert "encrypted" in obstacle.reason
    assert "password" in obstacle.advice


def test_altered_encrypted_member_is_held_back(scrubbed):
    """The authentication of AES is checked."""
    data = bytearray(aes_zip(b"p"))
    data[data.index(b"PK\x01\x02") - 3] ^= 1
    assert not scrubbed(bytes(data), options=Options(passwords=(b"p",)))[1].scannable


def lzma_member() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    return b"\x09\x14\x05\0\x5d" + struct.pack("<I", 1 << 16) + lzma.compress(LOG, lzma.FORMAT_RAW, filters=filters)


METHODS = {
    "stored": (0, LOG),
    "bzip2": (12, bz2.compress(LOG)),
    "lzma": (14, lzma_member()),
    "zstd": (93, zstandard.compress(LOG)),
    "xz": (95, lzma.compress(LOG)),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_read_and_kept(scrubbed, name):
    """A member is packed again by the method that it came with."""
    method, data = METHODS[name]
    out, report = scrubbed(raw_zip(data, method))
    assert report.obstacles == ()
    assert struct.unpack_from("<H", out, 8)[0] == method
    assert clean(scrub_out := read_member(out))
    assert scrub_out.count(b"[password:") == 20
    assert scrubbed(out)[0] == out


def read_member(data: bytes) -> bytes:
    method, _, _, packed, _, name, extra = struct.unpack_from("<HIIIIHH", data, 8)
    body = data[30 + name + extra : 30 + name + extra + packed]
    if method == 93:
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    if method == 95:
        return lzma.decompress(body)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(archive.namelist()[0])


def test_deflate64_is_held_back(scrubbed):
    """What is packed in an unknown way is said to be."""
    assert "compressed in a way" in scrubbed(raw_zip(LOG, 9))[1].obstacles[0].reason


@pytest.mark.parametrize(
    ("name", "flags"), [("größe.log".encode("cp437"), 0), ("größe.log".encode(), 0), ("größe.log".encode(), 0x800)]
)
def test_name_keeps_its_bytes(scrubbed, name, flags):
    """Names in old code pages, and in UTF-8 that is not said to be such, stay as they are."""
    out, report = scrubbed(raw_zip(LOG, 0, name=name, flags=flags))
    assert report.scannable
    assert out[30 : 30 + len(name)] == name
    assert struct.unpack_from("<H", out, 6)[0] & 0x800 == flags


def test_office_document_keeps_its_shape(scrubbed):
    """The first member stays stored with its size before it, as OpenDocument and streaming readers want."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", b"application/vnd.oasis.opendocument.text", zipfile.ZIP_STORED)
        archive.writestr("content.xml", b"<text:p>write to anna.berg@kunde.de</text:p>")
    out, report = scrubbed(data.getvalue())
    assert report.scannable
    assert out[38:77] == b"application/vnd.oasis.opendocument.text"
    assert struct.unpack_from("<H", out, 6)[0] & 8 == 0
    with zipfile.ZipFile(io.BytesIO(out)) as archive:
        assert archive.testzip() is None
        assert b"anna" not in archive.read("content.xml")
        assert archive.read("content.xml").endswith(b"</text:p>")


def test_large_member_is_streamed(scrubbed):
    """A member of many megabytes has its sizes behind it, and opens."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.log", b"".join(b"%d nothing to see\n" % n for n in range(600_000)))
        archive.writestr("a.log", LOG)
    out, report = scrubbed(data.getvalue())
    assert report.scannable
    assert struct.unpack_from("<H", out, 6)[0] & 8
    with zipfile.ZipFile(io.BytesIO(out)) as archive:
        assert archive.testzip() is None
        assert archive.getinfo("big.log").file_size > 8 << 20
        assert clean(archive.read("a.log"))


def test_properties_of_a_document_are_scrubbed(scrubbed):
    """Who wrote, changed and commented a document goes, the programs that made it stay, and it opens as before."""
    members = {
        "docProps/core.xml": b"<dc:creator>Anna Bergmann</dc:creator><cp:lastModifiedBy>jkettler</cp:lastModifiedBy>",
        "docProps/app.xml": b"<x><Manager>Petra Lang</Manager><Application>Microsoft Office Word</Application></x>",
        "word/comments.xml": b'<w:comment w:id="0" w:author="Petra Lang" w:date="2026-11-01T00:00:00Z"/>kept',
        "meta.xml": b"<meta:initial-creator>Anna Bergmann</meta:initial-creator><dc:creator>openpyxl</dc:creator>",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    out, report = scrubbed(buffer.getvalue(), "case.docx")
    assert report.scannable
    with zipfile.ZipFile(io.BytesIO(out)) as archive:
        assert archive.namelist() == list(members)
        text = b"".join(archive.read(name) for name in members)
    assert not any(name in text for name in (b"Anna", b"Bergmann", b"jkettler", b"Petra", b"Lang"))
    assert all(kept in text for kept in (b"Microsoft Office Word", b"openpyxl", b"kept", b"2026-11-01"))
