"""Copies into a bucket over a link that is as slow as links between continents are: how full it is, and what memory.

A token bucket in a proxy of its own lets so many bytes a second through, each way apart. Copies are made as the server
makes them, body, reading back and slot, by several workers; the bucket is an emulator's on this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.processes import end
from bench.sshd import PeerError
from bench.storage import COPY, HOME, SCOPE
from storage.buckets import S3Bucket, bucket_store
from storage.encrypted import EncryptedStore
from storage.keys.keyring import Keyring
from storage.keys.service import LocalKeyService
from storage.local import LocalStore
from storage.regional import Placement, RegionalStore
from storage.store import new_object_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RATE = 8 * 2**20
"""Bytes a second, each way."""
RUNS = ((1, 24 * 2**20, 1), (1, 120 * 2**20, 1), (24, 8 * 2**20, 4), (200, 4096, 4))
"""How many objects of how many bytes, by how many workers."""
PATIENCE = 60.0
_PIECE = 16 * 1024
_BURST_SECONDS = 0.25
"""What the link may catch up after a rest: threads that are woken late take nothing from its rate."""
_BUCKET = "mft-bench"


class SlowLink:
    """A port of 127.0.0.1 that leads to another, with a bound on bytes a second for all connections, each way."""

    def __init__(self, port: int, rate: int) -> None:
        """Lead to *port*."""
        self._target = port
        self._rate = rate
        self._free_at = [0.0, 0.0]
        self._lock = threading.Lock()
        self.carried = [0, 0]
        """Bytes there and back."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                for source, target, way in ((near, far, 0), (far, near, 1)):
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _PIECE)
                    threading.Thread(target=self._carry, args=(source, target, way), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, way: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                self._wait(way, len(data))
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _wait(self, way: int, count: int) -> None:
        with self._lock:
            self.carried[way] += count
            begin = max(time.monotonic() - _BURST_SECONDS, self._free_at[way])
            self._free_at[way] = begin + count / self._rate
        time.sleep(max(0.0, begin - time.monotonic()))


def measure_links(place: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure copies of one large object, of several at once, and of small ones.

    Raises:
        PeerError: there is no emulator to copy into.
    """
    report: dict[str, Any] = {"rate": RATE, "runs": []}
    with tempfile.TemporaryDirectory(prefix="mft-bench-", dir=place) as scratch, _emulator(Path(scratch)) as port:
        for count, size, workers in RUNS:
            say(f"{count} copies of {size} bytes over {RATE / 2**20:.0f} MiB/s, {workers} at once")
            command = [sys.executable, "-m", "bench.links", scratch, str(port), str(count), str(size), str(workers)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise PeerError(f"copies over a slow link: {done.stderr.strip().splitlines()[-1]}")
            report["runs"].append(json.loads(done.stdout))
    return report


@contextlib.contextmanager
def _emulator(place: Path) -> Iterator[int]:
    """Keep an emulator of S3 with a bucket, and give its port."""
    program = Path(sys.executable).with_name("moto_server")
    if not program.exists():
        raise PeerError("no moto_server beside this Python: pip install moto[server]")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with (place / "emulator.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _make_bucket(port)
        yield port
    finally:
        end(server)


def _make_bucket(port: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{_BUCKET}", method="PUT")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise PeerError("the emulator of S3 does not start") from error
            time.sleep(0.2)
        else:
            return


def copy_in_child(place: Path, port: int, count: int, size: int, workers: int) -> dict[str, Any]:
    """Make copies over a slow link: in a process of its own, whose memory nobody else has used."""
    link = SlowLink(port, RATE)
    bucket = S3Bucket(
        bucket=_BUCKET, endpoint=f"http://127.0.0.1:{link.port}", access_key_id="bench", secret_key="bench"
    )
    home = LocalStore(place / f"home-{size}-{count}")
    rings = {region: Keyring.create(place / f"{os.getpid()}.{region}", region, "bench") for region in (HOME, COPY)}
    keys = LocalKeyService(rings)
    placement = Placement(home=HOME, copies=(COPY,), read_order=(HOME, COPY))
    store = EncryptedStore(keys, RegionalStore({HOME: home, COPY: bucket_store(bucket)}, placement))
    scopes = {region: keys.new_scope(region, SCOPE) for region in (HOME, COPY)}
    made = [new_object_key() for _ in range(count)]
    for key in made:
        pieces = (os.urandom(min(2**20, size - offset)) for offset in range(0, size, 2**20))
        store.put(key, SCOPE, scopes[HOME], pieces, {})
    before, processor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    begun = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda key: store.copy(key, COPY, SCOPE, scopes[COPY]), made))
    seconds = time.monotonic() - begun
    link.close()
    return {
        "count": count,
        "bytes": size,
        "workers": workers,
        "seconds": seconds,
        "objects_per_second": count / seconds,
        "there": link.carried[0] / seconds / RATE,
        "back": link.carried[1] / seconds / RATE,
        "processor_seconds": time.process_time() - processor,
        "memory_grown_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


def link_lines(report: dict[str, Any] | None) -> list[str]:
    """Return the lines of a report as a person reads them; none where nothing was measured."""
    if report is None:
        return []
    return [
        f"  copies into a bucket over {report['rate'] / 2**20:.0f} MiB/s each way, read back over the same:",
        *(
            f"    {run['count']} of {run['bytes']} bytes, {run['workers']} at once: {run['seconds']:.1f} s, "
            f"{run['objects_per_second']:.1f}/s; the link there full to {run['there']:.0%}, back to {run['back']:.0%}; "
            f"memory grew by {run['memory_grown_mib']:.0f} MiB, {run['processor_seconds']:.1f} s of processor"
            for run in report["runs"]
        ),
    ]


if __name__ == "__main__":
    print(json.dumps(copy_in_child(Path(sys.argv[1]), *(int(each) for each in sys.argv[2:]))))
