"""How fast sealed objects are stored, read at random and copied, against what the disk and plain programs do."""

from __future__ import annotations

import functools
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.sealing import PIECE, measure_threads
from storage.body import BodyWriter
from storage.encrypted import EncryptedStore, SealedPut
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring
from storage.keys.service import LocalKeyService
from storage.local import LocalStore
from storage.regional import Placement, RegionalStore
from storage.slot import Manifest, seal_manifest
from storage.store import body_name, new_object_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.keys.envelope import Envelope
    from storage.store import ObjectKey

HOME, COPY = Region("home"), Region("copy")
SCOPE = "case:1"
SMALL_BYTES = 4096
READ_BYTES = 65536
READS = 400
WRITERS = 8
"""Who store at the same time: so many uploads are usual, and the disk's journal takes them together."""
TOGETHER = 4
"""Objects that a writer stores by one call: intake's eight have so many each of a batch of small files."""
MOST_OF_DISK = 0.5


class Bench:
    """Two regions on one disk."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.stores = {region: LocalStore(place / region) for region in (HOME, COPY)}
        rings = {region: Keyring.create(place / f"{region}.ring", region, "bench") for region in (HOME, COPY)}
        self.keys = LocalKeyService(rings)
        self.scope_key = self.keys.new_scope(HOME, SCOPE)
        placement = Placement(home=HOME, copies=(COPY,), read_order=(HOME, COPY))
        self.regional = RegionalStore(self.stores, placement)
        self.store = EncryptedStore(self.keys, self.regional)

    def put(self, size: int) -> ObjectKey:
        """Store zeros, sealed; return the key."""
        key = new_object_key()
        whole, rest = divmod(size, PIECE)
        chunks = [*repeat(bytes(PIECE), whole), bytes(rest)] if rest else repeat(bytes(PIECE), whole)
        self.store.put(key, SCOPE, self.scope_key, chunks, {})
        return key

    def put_together(self, data: bytes, count: int) -> None:
        """Seal *data* *count* times, as intake's children do, and store all of it by one call."""
        keys = [new_object_key() for _ in range(count)]
        made = self.keys.new_keys(HOME, SCOPE, self.scope_key, keys)
        self.store.put_sealed(
            *(_sealed(key, data_key, envelope, data) for key, (data_key, envelope) in zip(keys, made, strict=True))
        )


def _sealed(key: ObjectKey, data_key: bytes, envelope: Envelope, data: bytes) -> SealedPut:
    out = bytearray()
    writer = BodyWriter(out.extend, data_key, key)
    writer.write(data)
    manifest = Manifest(body=writer.close(), facts={})
    return SealedPut(
        object_key=key,
        ciphertext=[out],
        envelope=envelope,
        sealed_manifest=functools.partial(seal_manifest, data_key, key, manifest),
    )


def measure_storage(
    place: Path, rounds: int, object_bytes: int, files: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure in a directory of *place*'s disk; what is made there is removed."""
    room = int(shutil.disk_usage(place).free * MOST_OF_DISK)
    object_bytes = min(object_bytes, room // PIECE * PIECE)
    report: dict[str, Any] = {"place": str(place)}
    say("sealing on several threads")
    report["threads"] = measure_threads(rounds)
    with tempfile.TemporaryDirectory(prefix="mft-bench-", dir=place) as scratch:
        bench = Bench(Path(scratch))
        say(f"storing small files, {files} of {SMALL_BYTES} bytes")
        report["small"] = _small(bench, files, rounds)
        say(f"random reads of an object of {object_bytes / 1e9:.1f} GB")
        key = bench.put(object_bytes)
        report["reads"] = _reads(bench, key, object_bytes)
        bench.store.delete(key)
        say("a copy between two stores")
        report["copy"] = _copies(Path(scratch), min(object_bytes, 2**30), rounds)
    return report


def _small(bench: Bench, files: int, rounds: int) -> dict[str, Any]:
    """Store small files, one at a time and several at once, in turn with plain programs that do the same."""
    data = os.urandom(SMALL_BYTES)
    directory = bench.place / "plain"
    directory.mkdir()
    number = iter(range(sys.maxsize))

    def plain(*, with_directory: bool) -> None:
        """Write, fsync, rename; the name is durable only with the directory."""
        mine = next(number)
        path = directory / f"{mine}.new"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
        path.rename(directory / str(mine))
        if with_directory:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(fd)
            os.close(fd)

    for shelf in range(256):  # a store in use has its directories
        for part in ("bodies", "slots"):
            (bench.place / HOME / part / f"{shelf:02x}").mkdir(parents=True, exist_ok=True)
    works: dict[str, tuple[Callable[[], object], int]] = {
        "plain": (lambda: plain(with_directory=False), 1),
        "durable": (lambda: plain(with_directory=True), 1),
        "ours": (lambda: bench.put(SMALL_BYTES), 1),
        "together": (lambda: bench.put_together(data, TOGETHER), TOGETHER),
    }
    rates = _in_turns(works, {1: max(1, files // 10 // rounds), WRITERS: max(1, files // rounds)}, rounds)
    medians = {name: statistics.median(seen) for name, seen in rates.items()}

    def ratio(mine: str, theirs: str) -> float:
        return statistics.median(mine / theirs for mine, theirs in zip(rates[mine], rates[theirs], strict=True))

    return {
        "files": files,
        "bytes": SMALL_BYTES,
        "writers": WRITERS,
        "files_per_second": medians,
        "together": TOGETHER,
        "ratio": {
            f"{how}_{writers}": {peer: ratio(f"{how}_{writers}", f"{peer}_{writers}") for peer in ("plain", "durable")}
            for how in ("ours", "together")
            for writers in (1, WRITERS)
        },
    }


def _in_turns(
    works: dict[str, tuple[Callable[[], object], int]], counts: dict[int, int], rounds: int
) -> dict[str, list[float]]:
    """Return the rates of each of *works*, of which a call stores so many files, by its name and how many write."""
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for writers, count in counts.items():
            for name, (work, each) in works.items():
                rates.setdefault(f"{name}_{writers}", []).append(each * _rate(work, max(1, count // each), writers))
    return rates


def _rate(work: Callable[[], object], count: int, writers: int) -> float:
    begun = time.perf_counter()
    with ThreadPoolExecutor(writers) as pool:
        for done in [pool.submit(work) for _ in range(count)]:
            done.result()
    return count / (time.perf_counter() - begun)


def _reads(bench: Bench, key: ObjectKey, size: int) -> dict[str, Any]:
    """Read at random: first what the disk must fetch, then what the system has in memory."""
    chosen = random.Random(7)
    places = [chosen.randrange(0, size - READ_BYTES) for _ in range(READS)]
    body = bench.place / HOME / body_name(key)
    fd = os.open(body, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    reader = bench.store.open(key)
    try:
        reader.read(0, 1)
        cold = [_milliseconds(lambda at=at: reader.read(at, READ_BYTES)) for at in places]  # type: ignore[misc]  # a default is bound now
        warm = [_milliseconds(lambda at=at: reader.read(at, READ_BYTES)) for at in places]  # type: ignore[misc]  # see above
    finally:
        reader.close()
    return {
        "object_bytes": size,
        "read_bytes": READ_BYTES,
        "cold_ms": {"median": statistics.median(cold), "p99": sorted(cold)[int(len(cold) * 0.99)]},
        "warm_ms": {"median": statistics.median(warm), "p99": sorted(warm)[int(len(warm) * 0.99)]},
    }


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def _copies(place: Path, size: int, rounds: int) -> dict[str, Any]:
    """Copy a body from store to store, read back and all, in turn with `cp` and `cmp` of the same file."""
    command = [sys.executable, "-m", "bench.storage", str(place), str(size), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rates, theirs, grown = done.stdout.split()
    return {
        "bytes": size,
        "mb_per_second": float(rates),
        "cp_mb_per_second": float(theirs),
        "ratio": float(rates) / float(theirs),
        "memory_grown_mib": float(grown),
    }


def copy_in_child(place: Path, size: int, rounds: int) -> None:
    """Print what `_copies` asks for: in a process of its own, whose memory nobody else has used."""
    bench = Bench(place / "copies")
    key = bench.put(size)
    name = body_name(key)
    source, target = place / "copies" / HOME / name, place / "copies" / "peer"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours, peers = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        bench.regional.copy(name, HOME, COPY)
        ours.append(size / (time.perf_counter() - begun) / 1e6)
        bench.stores[COPY].delete(name)
        begun = time.perf_counter()
        subprocess.run(["cp", "--reflink=never", source, target], check=True)
        subprocess.run(["sync", target], check=True)
        subprocess.run(["cmp", source, target], check=True)
        peers.append(size / (time.perf_counter() - begun) / 1e6)
        target.unlink()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(statistics.median(ours), statistics.median(peers), grown)


def storage_lines(report: dict[str, Any]) -> list[str]:
    """Return the lines of a report as a person reads them."""
    threads, small, reads, copy = report["threads"], report["small"], report["reads"], report["copy"]
    rates = small["files_per_second"]
    lines = [
        f"storage in {report['place']}",
        *(
            f"  {word} on {threads['threads']} threads {threads[f'{word}_mb_per_second']:>6.0f} MB/s, "
            f"{threads[f'{word}_scale']:.2f} times one thread"
            for word in ("seal", "open")
        ),
    ]
    for name, ratio in small["ratio"].items():
        how, _, writers = name.partition("_")
        calls = "" if how == "ours" else f", {small['together']} a call"
        lines.append(
            f"  files of {small['bytes']} bytes, {writers} at once{calls}: {rates[name]:.0f}/s; "
            f"write-fsync-rename {rates[f'plain_{writers}']:.0f}/s, ratio {ratio['plain']:.2f}; "
            f"with the directory's fsync {rates[f'durable_{writers}']:.0f}/s, ratio {ratio['durable']:.2f}"
        )
    lines.append(
        f"  reads of {reads['read_bytes'] // 1024} KiB at random in {reads['object_bytes'] / 1e9:.1f} GB: median "
        f"{reads['warm_ms']['median']:.2f} ms from memory, {reads['cold_ms']['median']:.2f} ms from disk "
        f"(99 of 100 under {reads['warm_ms']['p99']:.2f} and {reads['cold_ms']['p99']:.2f})"
    )
    lines.append(
        f"  a copy, read back: {copy['mb_per_second']:.0f} MB/s; cp, sync and cmp {copy['cp_mb_per_second']:.0f} MB/s, "
        f"ratio {copy['ratio']:.2f}; memory grew by {copy['memory_grown_mib']:.0f} MiB"
    )
    return lines


if __name__ == "__main__":
    copy_in_child(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
