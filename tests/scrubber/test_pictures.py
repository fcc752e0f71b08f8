"""Pictures keep their pixels and lose everything else; certificates and public keys pass whole; fonts are noted."""

from __future__ import annotations

import base64
import random
import struct
import zlib

import pytest

from scrubber.model import Options
from scrubber.profile import find_profile

MARK = b"anna.berg@kunde.de"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 40, height: int = 30, extra: bytes = b"") -> bytes:
    lines = b"".join(b"\0" + random.Random(y).randbytes(3 * width) for y in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


SCAN = b"\x11\x22\xff\x00\x33\xff\xd0\x44"
JPEG = (
    b"\xff\xd8"
    + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    + segment(0xE1, b"Exif\0\0II*\0" + MARK)
    + segment(0xFE, b"made by " + MARK)
    + segment(0xDB, bytes(65))
    + segment(0xC0, b"\x08\0\1\0\1\1\1\x11\0")
    + segment(0xDA, b"\1\1\0\0\x3f\0")
    + SCAN
    + b"\xff\xd9"
)
GIF = (
    b"GIF89a\2\0\2\0\x80\0\0\0\0\0\xff\xff\xff"
    b"\x21\xfe"
    + bytes((len(MARK),))
    + MARK
    + b"\0"
    + b"\x21\xf9\x04\0\0\0\0\0"
    + b"\x2c\0\0\0\0\2\0\2\0\0\2\2\x44\x01\0"
    + b"\x3b"
)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def piece(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


WEBP = riff(
    piece(b"VP8X", b"\x0c" + bytes(9)), piece(b"VP8L", b"\x2f" + bytes(20)), piece(b"EXIF", MARK), piece(b"XMP ", MARK)
)
BMP = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + 16, 0, 54, 40, 2, 2, 1, 24, 0, 16, 0, 0, 0, 0) + bytes(range(16))
TEXTS = chunk(b"tEXt", b"Author\0" + MARK) + chunk(b"eXIf", MARK) + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(MARK))
PICTURES = {
    "png": (png(extra=TEXTS), png()),
    "png with a tail": (png() + b"PK\x03\x04" + MARK, png()),
    "jpeg": (JPEG, None),
    "jpeg with a tail": (JPEG + MARK, None),
    "gif": (GIF, None),
    "webp": (WEBP, riff(piece(b"VP8X", bytes(10)), piece(b"VP8L", b"\x2f" + bytes(20)))),
    "bmp": (BMP, BMP),
    "bmp with a tail": (BMP + MARK, BMP),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture_keeps_its_pixels_alone(scrubbed, name):
    """Texts, EXIF, XMP and what stands behind the end go; that pixels were not looked into is noted."""
    data, wanted = PICTURES[name]
    out, report = scrubbed(data, name)
    assert report.scannable
    assert MARK not in out
    assert wanted is None or out == wanted
    assert [(unseen.member, "pixels" in unseen.reason) for unseen in report.unseen] == [(name, True)]
    assert scrubbed(out)[0] == out


def test_jpeg_keeps_what_shows_it(scrubbed):
    """Tables and the scan stay, byte stuffing and restart markers in it too."""
    out, _ = scrubbed(JPEG)
    assert out == JPEG[:20] + JPEG[JPEG.index(b"\xff\xdb") :]
    assert SCAN in out


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_held_back_under_strict(scrubbed, name):
    """A profile that lets nothing unread pass holds pictures back, with advice."""
    _, report = scrubbed(PICTURES[name][0], options=Options(profile=find_profile("strict")))
    assert report.obstacles[0].advice


BROKEN = {
    "png cut off": png()[:-20],
    "png with a wrong check sum": png()[:-30] + b"xx" + png()[-28:],
    "png with too many pixels": png().replace(struct.pack(">II", 40, 30), struct.pack(">II", 40, 29), 1),
    "png of nothing but a header": png()[:33] + chunk(b"IEND", b""),
    "png bomb": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(8 << 20)))
    + chunk(b"IEND", b""),
    "jpeg cut off": JPEG[:-4],
    "jpeg of noise": b"\xff\xd8\xff" + random.Random(1).randbytes(4000),
    "gif cut off": GIF[:-3],
    "webp cut off": WEBP[:-30],
    "bmp cut off": BMP[:-4],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_picture_is_held_back(scrubbed, name):
    """What only begins like a picture is an obstacle."""
    _, report = scrubbed(BROKEN[name])
    assert not report.scannable


CERTIFICATE = base64.b64decode(
    "MIIBdTCCARugAwIBAgIUAQIDBAUGBwgJCgsMDQ4PEBESExQwCgYIKoZIzj0EAwIwEDEOMAwGA1UEAwwFdGVzdDEwHhcNMjYwMTAxMDAwMDAwWhcN"
    "MzYwMTAxMDAwMDAwWjAQMQ4wDAYDVQQDDAV0ZXN0MTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IAB" + "A" * 86 + "="
)


def der(tag: int, body: bytes) -> bytes:
    size = len(body)
    head = bytes((size,)) if size < 128 else b"\x82" + struct.pack(">H", size)
    return bytes((tag,)) + head + body


def certificate() -> bytes:
    noise = random.Random(9)
    name = der(0x30, der(0x31, der(0x30, der(0x06, b"\x55\x04\x03") + der(0x0C, b"Test CA"))))
    key = der(
        0x30,
        der(0x30, der(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01") + b"\x05\0") + der(0x03, noise.randbytes(270)),
    )
    algorithm = der(0x30, der(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b") + b"\x05\0")
    body = b"\xa0\x03\x02\x01\x02" + der(0x02, noise.randbytes(16)) + algorithm + name + name + key
    return der(0x30, der(0x30, body) + algorithm + der(0x03, noise.randbytes(257)))


def test_certificate_passes_whole(scrubbed):
    """A certificate in DER is for everybody, and is needed as it is."""
    out, report = scrubbed(certificate())
    assert report.scannable
    assert out == certificate()
    assert report.unseen == ()


def test_noise_behind_a_certificate_is_held_back(scrubbed):
    """What only begins like a certificate is unknown."""
    assert not scrubbed(certificate() + random.Random(2).randbytes(3000))[1].scannable
    assert not scrubbed(certificate()[:60] + random.Random(2).randbytes(3000))[1].scannable


def test_public_key_ring_passes_and_a_secret_one_does_not(scrubbed):
    """OpenPGP's public packets pass, a secret key among them does not."""
    noise = random.Random(3)
    public = b"\x99" + struct.pack(">H", 400) + b"\x04" + noise.randbytes(399)
    user = b"\xb4\x07Support"
    secret = b"\x95" + struct.pack(">H", 400) + b"\x04" + noise.randbytes(399)
    out, report = scrubbed(public + user)
    assert report.scannable
    assert out == public + user
    assert not scrubbed(public + user + secret)[1].scannable
    assert "PGP" in scrubbed(secret)[1].obstacles[0].reason


def test_font_is_noted(scrubbed):
    """A web font passes with a note, one of a wrong length does not."""
    font = b"wOF2\0\1\0\0" + struct.pack(">I", 600) + random.Random(4).randbytes(588)
    out, report = scrubbed(font)
    assert out == font
    assert "fonts" in report.unseen[0].reason
    assert not scrubbed(font + bytes(50))[1].scannable
