"""Broken files of every format: never a crash, never endless, and never a planted secret in what is let through.

`make fuzz` runs the same with many more examples and fresh ones each time.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
import zlib
from functools import lru_cache

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber.engine import scrub
from scrubber.model import Limits, Options
from scrubber.pseudonym import Pseudonymizer
from scrubber.sevenheader import Folder, Item, write_header, write_start
from tests.scrubber.truth import binaries
from tests.scrubber.truth.run import Bytes
from tests.scrubber.truth.salvage import salvage
from tests.scrubber.truth.teller import Teller
from tests.scrubber.truth.world import build_world

VALUE = b"Gr4n1t" + b"felsen77" + b"xQ"
LINE = b"\ndb_password=" + VALUE + b"\n"
TEXT = b"2026-11-03 10:00:00 INFO start\n" * 9 + LINE + b"2026-11-03 10:00:01 INFO end\n" * 9
OPTIONS = Options(limits=Limits(expanded=8 << 20, expanded_factor=1, members=400, scratch=32 << 20))
PSEUDONYMS = Pseudonymizer(bytes(range(32)))


def _tar(members: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, method)
        archive.comment = b"made for a test"
    return out.getvalue()


def _cpio(name: bytes, data: bytes) -> bytes:
    def entry(name: bytes, data: bytes, mode: int) -> bytes:
        fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
        return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)

    return entry(name, data, 0o100644) + entry(b"TRAILER!!!", b"", 0)


def _ar(members: dict[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members.items():
        out += (
            f"{name + '/':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
            + data
            + b"\n" * (len(data) % 2)
        )
    return out


def _seven_zip(name: str, data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    header = write_header([Folder(packed=len(packed), parts=[(len(data), zlib.crc32(data))])], [Item(name=name)])
    return write_start(header, len(packed)) + packed + header


def _unpacked(data: bytes) -> bytes:
    """Give what a 7z archive says, whose first folder is deflate."""
    try:
        return zlib.decompressobj(-15).decompress(data[32:]) if data[:2] == b"7z" else b""
    except zlib.error:
        return b""


@lru_cache
def samples() -> dict[str, bytes]:
    """Make one valid file of each format, with the secret in it."""
    rng = random.Random(5)
    teller = Teller(rng, build_world(rng))
    members = {"a.log": TEXT, "etc/b.conf": b"x=1\n" + LINE, "c.gz": gzip.compress(TEXT, mtime=0)}
    wide = LINE.decode().encode("utf-16-le")
    core = binaries.core(teller).data
    return {
        "text": TEXT,
        "json": json.dumps({"db": {"password": VALUE.decode()}, "note": LINE.decode()}).encode(),
        "utf-16": TEXT.decode().encode("utf-16"),
        "gzip": gzip.compress(TEXT, mtime=0),
        "bzip2": bz2.compress(TEXT),
        "xz": lzma.compress(TEXT),
        "lzma": lzma.compress(TEXT, format=lzma.FORMAT_ALONE),
        "zstd": zstandard.ZstdCompressor().compress(TEXT),
        "tar": _tar(members),
        "pax": _tar({"ä" * 120: TEXT, **members}, tarfile.PAX_FORMAT),
        "tar.gz": gzip.compress(_tar(members), mtime=0),
        "zip": _zip(members),
        "stored zip": _zip(members, zipfile.ZIP_STORED),
        "zip in tar": _tar({"in.zip": _zip({"deep.tar": _tar(members)})}),
        "7z": _seven_zip("a.log", TEXT),
        "cpio": _cpio(b"a.log", TEXT),
        "deb": _ar({"debian-binary": b"2.0\n", "control.tar.gz": gzip.compress(_tar(members), mtime=0)}),
        "sqlite": binaries.sqlite(teller).data,
        "pcap": binaries.pcap(teller).data,
        "hprof": binaries.hprof(teller).data + b"\x01\0\0\0\0\0\0\0\x30" + bytes(8) + LINE.ljust(40),
        "core": core[: len(core) - 200] + LINE + bytes(40) + wide + bytes(60),
    }


def _mutated(data: bytes, changes: list[tuple[str, float, int, bytes]]) -> bytes:
    made = bytearray(data)
    for kind, where, size, new in changes:
        at = int(where * len(made))
        if kind == "flip" and made:
            made[min(at, len(made) - 1)] ^= size % 255 + 1
        elif kind == "write":
            made[at : at + len(new)] = new
        elif kind == "insert":
            made[at:at] = new
        elif kind == "drop":
            del made[at : at + size]
        elif kind == "cut":
            del made[at:]
        elif kind == "repeat":
            made[at:at] = made[at : at + size]
    return bytes(made)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "flip", "flip", "write", "insert", "drop", "cut", "repeat"]),
        st.floats(0, 1),
        st.integers(0, 700),
        st.binary(min_size=1, max_size=12)
        | st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x1f\x8b\x08", b"PK\x03\x04", b"\n"]),
    ),
    min_size=1,
    max_size=4,
)


def _scrubbed(data: bytes) -> bytes | None:
    out = io.BytesIO()
    report = scrub(Bytes(data), out.write, pseudonyms=PSEUDONYMS, name="upload", options=OPTIONS)
    assert report.scannable or all(obstacle.reason for obstacle in report.obstacles)
    return out.getvalue() if report.scannable else None


def _tells(out: bytes) -> bool:
    return any(LINE in part for part in (*salvage(out), _unpacked(out)))


@pytest.mark.parametrize("name", sorted(samples()))
def test_a_valid_sample_is_scrubbed_or_refused(name):
    """What a mutation starts from holds the secret where the salvage finds it, and its output does not."""
    data = samples()[name]
    assert any(VALUE in part for part in (*salvage(data), _unpacked(data))) or name in {"lzma", "sqlite", "pcap"}
    out = _scrubbed(samples()[name])
    assert out is None or not _tells(out)


@pytest.mark.parametrize("name", sorted(samples()))
@settings(deadline=None, max_examples=max(8, settings.default.max_examples // 12))
@given(changes=CHANGES)
def test_broken_files_neither_crash_nor_leak(name, changes):
    """However a file is broken, it is scrubbed, or refused with a reason; the secret is in no output."""
    out = _scrubbed(_mutated(samples()[name], changes))
    assert out is None or not _tells(out)


@settings(deadline=None, max_examples=settings.default.max_examples // 4)
@given(first=st.sampled_from(sorted(samples())), second=st.sampled_from(sorted(samples())), where=st.floats(0, 1))
def test_one_file_within_another_neither_crashes_nor_leaks(first, second, where):
    """A file glued into another is seen or refused."""
    one, two = samples()[first], samples()[second]
    at = int(where * len(one))
    out = _scrubbed(one[:at] + two + one[at:])
    assert out is None or not _tells(out)


@settings(deadline=None, max_examples=settings.default.max_examples // 3)
@given(data=st.binary(max_size=3000), head=st.sampled_from(sorted(samples())), length=st.integers(0, 64))
def test_noise_behind_a_known_beginning_is_survived(data, head, length):
    """Anything behind the first bytes of a format ends, with an output or with a reason."""
    _scrubbed(samples()[head][:length] + data)


@pytest.mark.parametrize("damaged", range(20, 200, 12))
def test_damaged_stream_in_binary_data_says_nothing_of_what_it_held(damaged):
    """What a decoder still gives before the damage is looked at, however near the stream's beginning that is."""
    packed = bytearray(gzip.compress(b"INFO start\n" * 3 + LINE + bytes(range(256)) * 8, mtime=0))
    packed[damaged : damaged + 4] = b"\xff\x00\xff\x55"
    out = _scrubbed(b"\x07\x01\0\0stuff\0\0" * 9 + bytes(packed) + b"\0\0\0\x01end\0" * 9)
    assert out is None or not _tells(out)
