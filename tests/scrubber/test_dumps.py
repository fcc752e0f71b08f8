"""Dumps and logs of systems keep their length and their structure: event logs, hives, journals, heap dumps, cores."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
import zstandard

LOG = b"login of anna.berg@kunde.de from 203.0.113.9 password=geheimes-Wort-99\n"
MARKS = (b"anna.berg", b"geheimes", b"203.0.113.9")
WIDE = LOG.decode().encode("utf-16-le")


def is_clean(data: bytes) -> bool:
    return not any(mark in data or mark.decode().encode("utf-16-le") in data for mark in MARKS)


def event_log() -> bytes:
    head = bytearray(b"ElfFile\0".ljust(4096, b"\0"))
    head[124:128] = struct.pack("<I", zlib.crc32(head[:120]))
    chunk = bytearray(b"ElfChnk\0".ljust(512, b"\0") + (b"\x2a\x2a\0\0" + bytes(20) + WIDE) * 50)
    end = len(chunk)
    chunk = chunk.ljust(65536, b"\0")
    struct.pack_into("<I", chunk, 48, end)
    struct.pack_into("<I", chunk, 52, zlib.crc32(chunk[512:end]))
    struct.pack_into("<I", chunk, 124, zlib.crc32(chunk[:120] + chunk[128:512]))
    return bytes(head + chunk + chunk)


def test_event_log_has_right_check_sums(scrubbed):
    """Texts in UTF-16 go, every chunk can be read by tools that check."""
    data = event_log()
    out, report = scrubbed(data)
    assert report.scannable
    assert len(out) == len(data)
    assert is_clean(out)
    assert report.counts["password.assignment"] == 100
    for at in (4096, 4096 + 65536):
        chunk = out[at : at + 65536]
        (end,) = struct.unpack_from("<I", chunk, 48)
        assert struct.unpack_from("<I", chunk, 52)[0] == zlib.crc32(chunk[512:end])
        assert struct.unpack_from("<I", chunk, 124)[0] == zlib.crc32(chunk[:120] + chunk[128:512])


def test_hive_has_a_right_check_sum(scrubbed):
    """A registry hive keeps its length, and its first block is right."""
    data = b"regf" + bytes(44) + "anna.berg@kunde.de".encode("utf-16-le")
    data = data.ljust(4096, b"\0") + b"hbin" + bytes(28) + WIDE + LOG + bytes(900)
    out, report = scrubbed(data)
    assert report.scannable
    assert len(out) == len(data)
    assert is_clean(out)
    total = 0
    for (number,) in struct.iter_unpack("<I", out[:508]):
        total ^= number
    assert struct.unpack_from("<I", out, 508)[0] == total


def journal(*fields: bytes, compact: bool = False, packed: frozenset[int] = frozenset()) -> bytes:
    objects = b""
    for number, field in enumerate(fields):
        flags = 4 if number in packed else 0
        body = zstandard.compress(field) if flags else field
        head = bytes(56 if compact else 48)
        size = 16 + len(head) + len(body)
        objects += struct.pack("<BB6xQ", 1, flags, size) + head + body + b"\0" * (-size % 8)
    header = bytearray(b"LPKSHHRH".ljust(256, b"\0"))
    struct.pack_into("<I", header, 12, 8 | (16 if compact else 0))
    struct.pack_into("<Q", header, 88, 256)
    return bytes(header) + objects + bytes(5000)


FIELDS = [b"MESSAGE=" + LOG, b"_PID=1234", b"MESSAGE=" + LOG * 12, b"CODE_FUNC=main", b"MESSAGE=plain " * 80]


@pytest.mark.parametrize("compact", [False, True])
def test_journal_keeps_every_object(scrubbed, compact):
    """Objects stay where they are; a compressed field is opened, and packed again in its room."""
    data = journal(*FIELDS, compact=compact, packed=frozenset((2, 4)))
    out, report = scrubbed(data)
    assert report.scannable
    assert len(out) == len(data)
    assert is_clean(out)
    at, start, found = 256, 72 if compact else 64, []
    for _ in FIELDS:
        _, flags, size = struct.unpack_from("<BB6xQ", out, at)
        body = out[at + start : at + size]
        found.append(zstandard.ZstdDecompressor().decompressobj().decompress(body) if flags else body)
        at += size + -size % 8
    assert is_clean(b"".join(found))
    assert [len(field) for field in found] == [len(field) for field in FIELDS]
    assert found[1::2] + found[4:] == FIELDS[1::2] + FIELDS[4:]
    assert report.counts["password.assignment"] == 13


def test_journal_with_a_field_that_cannot_be_opened_is_held_back(scrubbed):
    """A field that is damaged, or packed by LZ4, may hold anything."""
    data = bytearray(journal(*FIELDS, packed=frozenset((2,))))
    data[data.index(b"\x28\xb5\x2f\xfd") + 6] ^= 0xFF
    (obstacle,) = scrubbed(bytes(data))[1].obstacles
    assert "journalctl" in obstacle.advice


def test_heap_dump_keeps_its_records(scrubbed):
    """The walk over an hprof file's records is the same after as before, secrets among its strings are gone."""
    records = [
        (1, bytes(8) + text)
        for text in (b"java/lang/String", LOG.strip(), "größe".encode(), b"password=geheimes-Wort-99")
    ]
    records.append((0x1C, random.Random(6).randbytes(3000) + LOG))
    data = b"JAVA PROFILE 1.0.2\0" + struct.pack(">IQ", 8, 1)
    data += b"".join(struct.pack(">BII", tag, 0, len(body)) + body for tag, body in records)
    out, report = scrubbed(data)
    assert report.scannable
    assert len(out) == len(data)
    assert is_clean(out)
    at, walked = 31, []
    while at < len(out):
        tag, _, size = struct.unpack_from(">BII", out, at)
        walked.append((tag, size))
        at += 9 + size
    assert walked == [(tag, len(body)) for tag, body in records]
    assert b"java/lang/String" in out


def test_core_keeps_its_segments(scrubbed):
    """An ELF core keeps headers and addresses; text in memory goes, random memory stays and is no obstacle."""
    noise = random.Random(7).randbytes(300_000)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    program = struct.pack("<IIQQQQQQ", 1, 6, 120, 0x7F0000000000, 0, 2_000_000, 2_000_000, 4096)
    data = head + program + noise + b"\0" + LOG + b"\0" + WIDE + bytes(100_000)
    out, report = scrubbed(data)
    assert report.scannable
    assert len(out) == len(data)
    assert out[:120] == data[:120]
    assert is_clean(out)


def test_what_is_no_text_is_never_overwritten(scrubbed):
    """A value ends at a control, and bytes that are no text stay where they stand close to it."""
    data = b"\x7fELF" + bytes(100) + b"password=geheimes-Wort-99\x90\x81\x01\x02\xffabc" + bytes(3000)
    out, _ = scrubbed(data)
    assert out == data.replace(b"geheimes-Wort-99", b"x" * 16)
