"""How fast a stream is sealed and opened, against what `openssl speed` says of the same cipher."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from storage.descriptor import Descriptor
from storage.stream import SEGMENT_BYTES, SealedSource, StreamReader, StreamWriter

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 1 << 20
SPEED_SECONDS = 2


class Memory:
    """Ciphertext in memory, read by a copy that keeps the interpreter: for one thread."""

    def __init__(self, data: bytearray) -> None:
        """Hold *data*."""
        self._data = memoryview(data)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*."""
        return bytes(self._data[offset : offset + length])


class Pages:
    """Ciphertext in a file in memory, read as a store's object is: several threads read at once."""

    def __init__(self, data: bytearray) -> None:
        """Hold a copy of *data*."""
        self._file = Descriptor(os.memfd_create("sealed"))
        for offset in range(0, len(data), PIECE):
            self._file.pwrite(memoryview(data)[offset : offset + PIECE], offset)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._file.size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*."""
        return self._file.pread(length, offset)


def _works(
    size: int, step: int, source: Callable[[bytearray], SealedSource]
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Give what seals *size* bytes, dropping them as `openssl speed` does, and what opens as many, *step* at a time."""
    key, piece = bytes(32), bytes(PIECE)
    sealed = bytearray()

    def seal(write: Callable[[memoryview], object] = len) -> None:
        writer = StreamWriter(write, key, b"bench")
        for _ in range(size // PIECE):
            writer.write(piece)
        writer.close()

    def open_all() -> None:
        reader = StreamReader(held, key, b"bench")
        for offset in range(0, reader.size, step):
            reader.read(offset, step)

    seal(sealed.extend)
    held = source(sealed)
    return seal, open_all


def measure_sealing(size: int, rounds: int) -> dict[str, object]:
    """Seal and open *size* bytes in turn with `openssl speed`; return MB/s, medians, and their ratios to it."""
    seal, open_all = _works(size, SEGMENT_BYTES, Memory)
    sealing, opening, openssl = [], [], []
    for _ in range(rounds):
        sealing.append(size / _seconds(seal) / 1e6)
        opening.append(size / _seconds(open_all) / 1e6)
        openssl.append(openssl_speed())
    result: dict[str, object] = {
        "bytes": size,
        "segment_bytes": SEGMENT_BYTES,
        "seal_mb_per_second": statistics.median(sealing),
        "open_mb_per_second": statistics.median(opening),
    }
    known = [each for each in openssl if each is not None]
    if known:
        peer = statistics.median(known)
        result |= {
            "openssl_mb_per_second": peer,
            "seal_ratio": statistics.median(sealing) / peer,
            "open_ratio": statistics.median(opening) / peer,
        }
    return result


def measure_threads(rounds: int, size: int = 256 << 20) -> dict[str, object]:
    """Seal and open on as many threads as there are processors; return MB/s together, and how it grows with them."""
    count = len(os.sched_getaffinity(0))
    seal, open_all = _works(size, PIECE, Pages)

    def together(work: Callable[[], None], threads: int) -> float:
        with ThreadPoolExecutor(threads) as pool:
            begun = time.perf_counter()
            for done in [pool.submit(work) for _ in range(threads)]:
                done.result()
            return threads * size / (time.perf_counter() - begun) / 1e6

    result: dict[str, object] = {"threads": count}
    for word, work in (("seal", seal), ("open", open_all)):
        pairs = [(together(work, 1), together(work, count)) for _ in range(rounds)]
        result[f"{word}_mb_per_second"] = statistics.median(many for _, many in pairs)
        result[f"{word}_scale"] = statistics.median(many / one for one, many in pairs)
    return result


def openssl_speed() -> float | None:
    """Return the MB/s of `openssl speed` with AES-256-GCM over pieces of a segment's size; None without openssl."""
    command = ["openssl", "speed", "-seconds", str(SPEED_SECONDS), "-bytes", str(SEGMENT_BYTES), "-evp", "aes-256-gcm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"^AES-256-GCM\s+([\d.]+)k", done.stdout, re.MULTILINE | re.IGNORECASE)
    return float(found.group(1)) / 1000 if found else None


def _seconds(work: Callable[[], None]) -> float:
    """Return the processor's seconds, which `openssl speed` counts too: others on the machine change them little."""
    begun = time.process_time()
    work()
    return time.process_time() - begun
