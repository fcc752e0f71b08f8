"""7z archives are opened, scrubbed and packed again; tests/vectors/sevenzip was written by py7zr 1.1.4."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber.engine import scrub
from scrubber.model import Limits, Options
from scrubber.pseudonym import Pseudonymizer
from scrubber.sevenheader import Folder, Item, Reader, read_header, read_start, write_header, write_start
from tests.scrubber.truth.run import Bytes

VECTORS = Path(__file__).parents[1] / "vectors" / "sevenzip"
PASSWORD = "sesam öffne dich".encode()
NAMES = ["t", "t/logs", "t/logs/app.log", "t/logs/empty", "t/logs/host-203.0.113.9.txt", "t/none", "t/now"]


def read(data: bytes) -> tuple[list[Item], list[bytes]]:
    """Read an archive that the scrubber wrote: plain header, folders of deflate."""
    offset, size, crc = read_start(data[:32])
    header = data[offset : offset + size]
    assert zlib.crc32(header) == crc
    assert offset + size == len(data)
    reader = Reader(header)
    assert reader.byte() == 1
    folders, items = read_header(reader, 100)
    contents = []
    for folder in folders:
        plain = zlib.decompress(data[folder.at : folder.at + folder.packed], -15)
        for part, check in folder.parts:
            contents.append(plain[:part])
            assert zlib.crc32(plain[:part]) == check
            plain = plain[part:]
        assert plain == b""
    return items, contents


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.7z")), ids=lambda path: path.stem)
def test_archive_comes_out_scrubbed_and_in_order(scrubbed, path):
    """Names, times and attributes stay, contents are scrubbed, whichever method packed them."""
    out, report = scrubbed(path.read_bytes(), options=Options(passwords=(b"wrong", PASSWORD)))
    assert report.obstacles == ()
    items, contents = read(out)
    assert [item.name for item in items] == NAMES
    assert items[2].values[0x14] == 133444736000000000
    assert items[2].values[0x15] >> 16 & 0o777 == 0o640
    assert contents[0].count(b"[password:") == 30
    assert not any(mark in content for content in contents for mark in (b"anna.berg", b"geheim", b" 203.0.113.9\n"))
    assert contents[-1] == b"/etc/localtime"
    assert scrubbed(out)[1].counts == {}


def test_what_comes_out_is_opened_by_another_reader(scrubbed, tmp_path):
    """py7zr reads what was packed again, where it is installed."""
    try:
        py7zr = importlib.import_module("py7zr")
    except ImportError:
        pytest.skip("py7zr is not installed")
    out, _ = scrubbed((VECTORS / "lzma2.7z").read_bytes())
    with py7zr.SevenZipFile(io.BytesIO(out)) as archive:
        assert archive.testzip() is None
        assert archive.getnames() == NAMES


@pytest.mark.parametrize("name", ["aes", "aes_header"])
@pytest.mark.parametrize("passwords", [(), (b"wrong",)], ids=["none", "wrong"])
def test_encrypted_archive_is_held_back(scrubbed, name, passwords):
    """Without its password an archive is held back, and the sender is told what to do."""
    _, report = scrubbed((VECTORS / f"{name}.7z").read_bytes(), options=Options(passwords=passwords))
    (obstacle,) = report.obstacles
    assert "encrypted" in obstacle.reason
    assert "password" in obstacle.advice


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(size)) + packer.flush()
    folder = Folder(packed=len(packed), parts=[(size, zlib.crc32(bytes(size)))])
    header = write_header([folder], [Item(name="zeros")])
    return write_start(header, len(packed)) + packed + header


def huge_header() -> bytes:
    header = b"\1\5" + b"\xff" + struct.pack("<Q", 1 << 60) + b"\0\0"
    return write_start(header, 0) + header


def test_bombs_are_held_back(scrubbed):
    """Too much content, and a header that promises too many files, cost nothing."""
    assert "expands" in scrubbed(bomb(16 << 20))[1].obstacles[0].reason
    assert "more than" in scrubbed(huge_header())[1].obstacles[0].reason
    data = (VECTORS / "lzma2.7z").read_bytes()
    assert "more than 3 members" in scrubbed(data, options=Options(limits=Limits(members=3)))[1].obstacles[0].reason


class Held:
    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]


WHOLE = [path.read_bytes() for path in sorted(VECTORS.glob("*.7z")) if "aes" not in path.stem]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(range(len(WHOLE))),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.booleans(),
)
def test_damaged_archive_never_crashes(which, damage, mended):
    """With some bytes changed, and check sums of the headers made right again, there is output or an obstacle."""
    data = bytearray(WHOLE[which])
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    if mended:
        offset, size = struct.unpack("<QQ", data[12:28])
        if offset + size + 32 <= len(data):
            data[28:32] = zlib.crc32(data[32 + offset : 32 + offset + size]).to_bytes(4, "little")
        data[8:12] = zlib.crc32(data[12:32]).to_bytes(4, "little")
    out: list[bytes] = []
    report = scrub(Held(bytes(data)), out.append, pseudonyms=Pseudonymizer(b"k" * 32), name="x")
    if report.scannable:
        assert b"anna.berg" not in b"".join(out)


@pytest.mark.parametrize("at", range(32))
def test_archive_with_a_damaged_beginning_is_held_back(at):
    """One byte of signature or start header is wrong: nobody finds its streams any more, and nothing is let through."""
    text = b"2026-11-03 10:00:00 INFO start\n" * 9
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(text) + packer.flush()
    header = write_header([Folder(packed=len(packed), parts=[(len(text), zlib.crc32(text))])], [Item(name="a.log")])
    data = bytearray(write_start(header, len(packed)) + packed + header)
    data[at] ^= 1
    report = scrub(Bytes(bytes(data)), lambda _data: None, pseudonyms=Pseudonymizer(bytes(32)), name="x")
    assert all(obstacle.reason for obstacle in report.obstacles)
    assert report.scannable == (at in {6, 7})  # the version's numbers say nothing of how it is read
