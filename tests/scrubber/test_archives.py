"""Archives come out openable by ordinary tools, in the same order; the hostile ones become obstacles."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import stat
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber.engine import scrub
from scrubber.model import Limits, Options
from scrubber.pseudonym import Pseudonymizer

LOG = b"Accepted password for root from 10.20.30.40\npassword=geheim123 user=anna.berg@kunde.de\n" * 20
MARKS = (b"10.20.30.40", b"geheim123", b"anna.berg")


def clean(data: bytes) -> bool:
    return not any(mark in data for mark in MARKS) and b"[password:" in data


def make_tar(mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:

        def add(name: str, data: bytes = b"", **fields) -> None:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), 1_700_000_000, 0o640
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))

        add("logs", type=tarfile.DIRTYPE, mode=0o755)
        add("logs/app.log", LOG, uid=1001, gid=1001, uname="anna", gname="anna")
        add("logs/empty.log")
        add("logs/host-10.20.30.40.log", LOG)
        add("logs/" + "long-name-" * 15 + "/x.log", LOG)
        add("logs/link", type=tarfile.SYMTYPE, linkname="../logs/app.log")
        add("logs/hard", type=tarfile.LNKTYPE, linkname="logs/app.log")
        add("logs/old.log.gz", gzip.compress(LOG), uname="root")
        add("last.txt", b"nothing here\n")
    return out.getvalue()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_comes_out_scrubbed_and_in_order(scrubbed, mode, form):
    """A tar keeps order, modes, times and links; contents, names and owners are scrubbed."""
    data = make_tar(mode, form)
    out, report = scrubbed(data, "bundle")
    assert report.scannable
    with tarfile.open(fileobj=io.BytesIO(data)) as before, tarfile.open(fileobj=io.BytesIO(out)) as after:
        old, new = before.getmembers(), after.getmembers()
        assert [(m.type, m.mode, m.mtime) for m in new] == [(m.type, m.mode, m.mtime) for m in old]
        assert clean(after.extractfile("logs/app.log").read())
        assert clean(gzip.decompress(after.extractfile("logs/old.log.gz").read()))
        assert after.getmember("logs/link").linkname == "../logs/app.log"
        assert new[1].uname.startswith("user-")
        assert new[3].name.startswith("logs/host-250.")
        assert new[4].name == old[4].name
        assert after.extractfile("last.txt").read() == b"nothing here\n"
    assert scrubbed(out, "bundle")[1].counts == {}


def test_tar_without_findings_stays_as_it_is(scrubbed):
    """Where nothing is found a tar is the same to the last byte."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("a", "b/" * 60 + "c"):
            info = tarfile.TarInfo(name)
            info.size = 6
            archive.addfile(info, io.BytesIO(b"plain\n"))
    assert scrubbed(out.getvalue())[0] == out.getvalue()


def make_zip(**options) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        info = zipfile.ZipInfo("logs/app.log", (2024, 2, 3, 4, 5, 6))
        info.external_attr, info.create_system, info.compress_type = 0o640 << 16, 3, zipfile.ZIP_DEFLATED
        archive.writestr(info, LOG)
        archive.writestr("stored.txt", LOG, zipfile.ZIP_STORED)
        archive.writestr("dir/", b"")
        archive.writestr("by-anna.berg@kunde.de.txt", b"plain\n")
        archive.writestr("inner.tar.gz", make_tar("w:gz"))
        archive.comment = b"made by anna.berg@kunde.de"
    return out.getvalue()


def test_zip_comes_out_scrubbed_and_in_order(scrubbed):
    """A zip keeps order, times and modes; contents, names and comment are scrubbed."""
    data = make_zip()
    out, report = scrubbed(data, "bundle.zip")
    assert report.scannable
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(io.BytesIO(out)) as after:
        assert after.testzip() is None
        assert [(i.date_time, i.external_attr, i.compress_type) for i in after.infolist()] == [
            (i.date_time, i.external_attr, i.compress_type) for i in before.infolist()
        ]
        assert clean(after.read("logs/app.log"))
        assert clean(after.read("stored.txt"))
        assert b"anna" not in after.comment
        assert after.namelist()[3].startswith("user-")
        with tarfile.open(fileobj=io.BytesIO(after.read("inner.tar.gz"))) as inner:
            assert clean(inner.extractfile("logs/app.log").read())
    assert {f.member for f in report.findings} >= {"bundle.zip!/logs/app.log", "bundle.zip!/inner.tar.gz!/logs/app.log"}


@pytest.mark.parametrize("tool", [["tar", "tzf"], ["unzip", "-t"]], ids=["tar", "unzip"])
def test_ordinary_tool_opens_what_comes_out(scrubbed, tmp_path, tool):
    """GNU tar and Info-ZIP read the re-packed archives without complaint."""
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    data = make_tar("w:gz") if tool[0] == "tar" else make_zip()
    path = tmp_path / "out"
    path.write_bytes(scrubbed(data)[0])
    done = subprocess.run([*tool, str(path)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("packed", [gzip.compress(LOG), bz2.compress(LOG), lzma.compress(LOG), zstandard.compress(LOG)])
def test_compressed_file_cut_anywhere_is_held_back(packed):
    """Also within its first bytes, where a header is not whole."""
    for end in (*range(10, min(40, len(packed))), len(packed) - 1):
        report = scrub(_Whole(packed[:end]), lambda _data: None, pseudonyms=Pseudonymizer(bytes(32)), name="x")
        assert not report.scannable
        assert all(obstacle.reason for obstacle in report.obstacles)


@pytest.mark.parametrize("length", range(3, 10))
def test_gzip_of_a_part_of_its_header_is_held_back(length):
    """Three bytes are enough to know a gzip file by, and too few for its header."""
    head = gzip.compress(LOG)[:length]
    report = scrub(_Whole(head), lambda _data: None, pseudonyms=Pseudonymizer(bytes(32)), name="x")
    assert [obstacle.reason for obstacle in report.obstacles] == ["the compressed file is cut off"]


class _Whole:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]


def test_gzip_of_many_members_and_a_name(scrubbed):
    """A gzip of several members comes out as one; its name is scrubbed and its time kept."""
    first = io.BytesIO()
    with gzip.GzipFile("mail-anna.berg@kunde.de.log", "wb", fileobj=first, mtime=1_700_000_000) as packed:
        packed.write(LOG)
    out, report = scrubbed(first.getvalue() + gzip.compress(LOG) + b"\0" * 100)
    assert clean(gzip.decompress(out))
    assert len(gzip.decompress(out).splitlines()) == 80
    assert b"anna" not in out
    assert out[4:8] == struct.pack("<I", 1_700_000_000)
    assert report.scannable


@pytest.mark.parametrize("codec", [bz2, lzma], ids=["bzip2", "xz"])
def test_bzip2_and_xz_come_out_scrubbed(scrubbed, codec):
    """bzip2 and xz are opened and packed again."""
    out, report = scrubbed(codec.compress(LOG) + codec.compress(LOG))
    assert clean(codec.decompress(out))
    assert codec.decompress(out).count(b"\n") == 80
    assert report.scannable


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_scrubbed_as_text(scrubbed, encoding):
    """UTF-16 with and without a byte order mark is read and written back; findings are placed in its bytes."""
    text = ("größe = 1\n" + LOG.decode()) * 300
    out, report = scrubbed(text.encode(encoding))
    plain = out.decode(encoding)
    assert clean(plain.encode())
    assert plain.count("größe") == 300
    at = next(f for f in report.findings if f.rule == "password.assignment")
    assert (
        out[at.offset : at.offset + at.length]
        .decode(encoding if encoding != "utf-16" else "utf-16-le")
        .startswith("[password:")
    )


def test_binary_keeps_its_length(scrubbed):
    """In an ELF core text and UTF-16 strings are overwritten, and no byte moves."""
    wide = "password=geheim123;".encode("utf-16-le")
    data = b"\x7fELF\x02\x01\x01" + bytes(3000) + LOG + bytes(range(256)) * 20 + wide + bytes(2_000_000) + LOG
    out, report = scrubbed(data)
    assert len(out) == len(data)
    assert not any(mark in out for mark in MARKS)
    assert "geheim123".encode("utf-16-le") not in out
    assert report.scannable
    assert scrubbed(out)[0] == out


def bomb_zip(members: int = 1, size: int = 16 << 20) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(members):
            archive.writestr(f"{number}", bytes(size))
    return out.getvalue()


def encrypted_zip() -> bytes:
    data = bytearray(make_zip())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def overlapping_zip() -> bytes:
    data = bytearray(bomb_zip(2, 1 << 12))
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def hostile_tar(**fields) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(fields.pop("name", "x"))
        for key, value in fields.items():
            setattr(info, key, value)
        archive.addfile(info)
        archive.addfile(tarfile.TarInfo("good"))
    return out.getvalue()


def hostile_zip(name: str, mode: int = stat.S_IFREG | 0o644, data: bytes = b"x") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr, info.create_system = mode << 16, 3
        archive.writestr(info, data)
    return out.getvalue()


def nest(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = gzip.compress(data)
    return data


def tar_through_link() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("etc")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("etc/cron.d/x"))
    return out.getvalue()


NOISE = random.Random(4).randbytes(200_000)
HOSTILE = {
    "zip bomb": (bomb_zip(), "expands"),
    "gzip bomb": (gzip.compress(bytes(16 << 20)), "expands"),
    "bzip2 bomb": (bz2.compress(bytes(16 << 20)), "expands"),
    "xz bomb": (lzma.compress(bytes(16 << 20)), "expands"),
    "encrypted zip": (encrypted_zip(), "encrypted"),
    "overlapping zip": (overlapping_zip(), "overlap"),
    "truncated zip": (make_zip()[:-30], "cut off"),
    "zip with a wrong crc": (make_zip().replace(LOG[:200], LOG[1:200] + b"x", 1), "damaged"),
    "truncated gzip": (gzip.compress(LOG)[:-20], "cut off"),
    "corrupt gzip": (b"\x1f\x8b\x08\x00" + NOISE[:500], "damaged"),
    "gzip with a wrong crc": (gzip.compress(LOG)[:-8] + bytes(8), "damaged"),
    "garbage after a gzip": (gzip.compress(LOG) + b"garbage" * 10, "damaged"),
    "truncated tar": (make_tar()[:3000], "cut off"),
    "damaged tar": (make_tar()[:4096] + b"x" * 4096, None),
    "tar member behind a link": (tar_through_link(), "behind a link"),
    "xz with an end cut off": (lzma.compress(LOG)[:-12], "cut off"),
    "zstd bomb": (zstandard.compress(bytes(16 << 20)), "expands"),
    "truncated zstd": (zstandard.compress(NOISE[:5000])[:-20], "cut off"),
    "damaged zstd": (zstandard.compress(LOG)[:20] + NOISE[:50], "the compressed file"),
    "nested too deep": (nest(b"x" * 100, 10), "nested"),
    "random bytes": (NOISE, "unknown"),
    "random bytes behind text": (LOG * 100 + NOISE, "binary data"),
    "no picture": (b"\x89PNG\r\n\x1a\n" + NOISE, "pictures"),
    "pdf": (b"%PDF-1.7\n" + NOISE, "PDF"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + NOISE, None),
    "java key store": (b"\xfe\xed\xfe\xed\x00\x00\x00\x02" + NOISE, "key store"),
    "luks": (b"LUKS\xba\xbe\x00\x02" + NOISE, "LUKS"),
    "pgp message": (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n", "PGP"),
    "age": (b"age-encryption.org/v1\n-> X25519 abc\n" + NOISE, "age"),
    "pkcs12": (b"\x30\x82\x09\x51\x02\x01\x03\x30\x82\x09\x17" + NOISE, "PKCS"),
    "der key": (b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01" + NOISE, "DER"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_upload_is_an_obstacle(scrubbed, name):
    """What is hostile, broken or closed becomes an obstacle with a reason, and costs little memory."""
    data, word = HOSTILE[name]
    tracemalloc.start()
    try:
        _, report = scrubbed(data, "upload", options=Options(limits=Limits(max_ratio=100)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not report.scannable
    assert peak < 64 << 20
    if word is not None:
        assert any(word in obstacle.reason for obstacle in report.obstacles)
    assert all(obstacle.advice for obstacle in report.obstacles)


def test_obstacle_in_one_member_does_not_hide_the_others(scrubbed):
    """Every member that cannot be looked into is named."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", b"\x89PNG\r\n\x1a\n" + NOISE)
        archive.writestr("b.log", LOG)
        archive.writestr("c.gz", gzip.compress(NOISE)[:-9])
    _, report = scrubbed(out.getvalue(), "u.zip")
    assert [obstacle.member for obstacle in report.obstacles] == ["u.zip!/a.png", "u.zip!/c.gz"]
    assert report.counts["password.assignment"] == 20


def test_bomb_of_many_small_members_is_stopped(scrubbed):
    """Members that each stay below the floor of the ratio are looked at together."""
    _, report = scrubbed(bomb_zip(60, 1 << 20))
    assert "bomb" in report.obstacles[0].reason
    assert report.bytes_scanned < 24 << 20


def test_bomb_is_stopped_before_much_is_unpacked(scrubbed):
    """A few packed bytes are read at first."""
    _, report = scrubbed(gzip.compress(bytes(64 << 20)))
    assert "bomb" in report.obstacles[0].reason
    assert report.bytes_scanned < 4 << 20


def test_total_and_members_are_bounded(scrubbed):
    """Many small members count towards the total, and their number has a limit."""
    data = bomb_zip(30, 1 << 16)
    assert (
        scrubbed(data, options=Options(limits=Limits(expanded=1 << 20, expanded_factor=1)))[1]
        .obstacles[0]
        .reason.startswith("it expands")
    )
    assert "more than 10 members" in scrubbed(data, options=Options(limits=Limits(members=10)))[1].obstacles[0].reason
    tar = make_tar()
    assert "more than 3 members" in scrubbed(tar, options=Options(limits=Limits(members=3)))[1].obstacles[0].reason
    assert "working space" in scrubbed(tar, options=Options(limits=Limits(scratch=100)))[1].obstacles[0].reason


class Unread:
    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]


WRAPPERS = [
    lambda d: d,
    gzip.compress,
    lambda d: make_tar()[:512] + d,
    lambda d: make_zip()[: len(d)] + d,
    zlib.compress,
]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(range(len(WRAPPERS))))
def test_any_bytes_never_crash_the_engine(data, wrapper):
    """Arbitrary bytes give output or obstacles, never an exception."""
    report = scrub(Unread(WRAPPERS[wrapper](data)), lambda _: None, pseudonyms=Pseudonymizer(b"k" * 32), name="x")
    assert report.bytes_in >= 0


ARCHIVES = [make_tar(), make_tar("w:gz"), make_zip(), make_tar(form=tarfile.GNU_FORMAT)]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(range(len(ARCHIVES))),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_archive_never_crashes_nor_leaks(which, damage):
    """An archive with some bytes changed gives output or obstacles, never an exception."""
    data = bytearray(ARCHIVES[which])
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    kept = io.BytesIO()
    report = scrub(Unread(bytes(data)), kept.write, pseudonyms=Pseudonymizer(b"k" * 32), name="x")
    assert report.bytes_out == len(kept.getvalue())
