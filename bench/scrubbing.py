"""How fast the scrubber reads, in one process: sparse logs, plain and packed, and dense texts of many kinds."""

from __future__ import annotations

import io
import tarfile
import time
from typing import TYPE_CHECKING

from bench.dense import dense_kinds
from bench.text import sparse_log
from scrubber.engine import prepare, scrub
from scrubber.pseudonym import Pseudonymizer

if TYPE_CHECKING:
    from scrubber.model import ScrubReport

MEMBERS = 16
DENSE = 8 << 20
"""Bytes of each dense text, at most: they take a second a megabyte."""


class Memory:
    """An upload that lies in memory."""

    def __init__(self, data: bytes) -> None:
        """Hold *data*."""
        self._data = data

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self._data)

    def read(self, offset: int, n: int) -> bytes:
        """Return up to *n* bytes at *offset*."""
        return self._data[offset : offset + n]


def measure_scrubbing(size: int) -> list[dict[str, object]]:
    """Scrub logs of *size* bytes, and dense texts; return a line for each kind."""
    prepare()
    sparse, least = sparse_log(size), min(size, DENSE)
    _measure("what is compiled when first needed", "system.log", sparse[: 1 << 16], 1 << 16)
    kinds = [
        ("sparse log", "system.log", sparse, size),
        ("tar.gz of sparse logs", "bundle.tar.gz", _bundle(sparse), size),
        *((title, "text.log", data, len(data)) for title, data in dense_kinds(least).items()),
    ]
    return [_measure(*kind) for kind in kinds]


def _measure(title: str, name: str, data: bytes, plain_size: int) -> dict[str, object]:
    pseudonyms = Pseudonymizer(bytes(range(32)))
    begun, processor = time.perf_counter(), time.process_time()
    report: ScrubReport = scrub(Memory(data), lambda _: None, pseudonyms=pseudonyms, name=name)
    seconds, used = time.perf_counter() - begun, time.process_time() - processor
    return {
        "title": title,
        "bytes": plain_size,
        "packed_bytes": len(data),
        "seconds": seconds,
        "processor_seconds": used,
        "mb_per_second": plain_size / seconds / 1e6,
        "mb_per_processor_second": plain_size / used / 1e6,
        "findings": report.total,
        "scannable": report.scannable,
    }


def _bundle(data: bytes) -> bytes:
    """Pack *data* as a tar.gz of several members."""
    made, part = io.BytesIO(), -(-len(data) // MEMBERS)
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=6) as archive:
        for number in range(MEMBERS):
            piece = data[number * part : (number + 1) * part]
            member = tarfile.TarInfo(f"logs/system-{number:02}.log")
            member.size = len(piece)
            archive.addfile(member, io.BytesIO(piece))
    return made.getvalue()
