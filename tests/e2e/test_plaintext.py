"""No byte of a customer's content lies in clear on any disk: not while it runs, not after, not of what was cut off."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import os
import tarfile
import threading
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Self

import paramiko
import pytest

from tests.casebook import PASSWORD, REGIONS
from tests.house import House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

MARKER = b"Kuckucksuhrwerk-Zwiebelfisch-Marker"
"""Nothing that a rule looks for, and nothing that anybody else writes."""
BASE64 = [base64.b64encode(b"x" * shift + MARKER)[4 * (shift > 0) : -4] for shift in range(3)]
UPLOADS = "/ACME-1/to-support"


def traces(data: bytes) -> list[str]:
    """Say in which forms the marker stands in *data*."""
    found = [name for name, form in (("raw", MARKER), ("utf-16", MARKER.decode().encode("utf-16-le"))) if form in data]
    found += ["base64" for form in BASE64 if form in data]
    if MARKER.hex().encode() in data.lower():
        found.append("hex")
    for magic, bits in ((b"\x1f\x8b\x08", 31), (b"PK\x03\x04", -15)):
        at = data.find(magic)
        while at >= 0:
            start = at
            if bits < 0 and len(data) >= at + 30:
                start = at + 30 + int.from_bytes(data[at + 26 : at + 28], "little")
                start += int.from_bytes(data[at + 28 : at + 30], "little")
            with contextlib.suppress(zlib.error):
                if MARKER in zlib.decompressobj(bits).decompress(data[start:], 1 << 26):
                    found.append("packed")
            at = data.find(magic, at + 1)
    return found


def test_search_finds_what_it_looks_for() -> None:
    """The search is no good if it would not see the marker in each of the forms."""
    text = b"some text\n" * 9 + MARKER + b"\n"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", text)
    for data in (text, gzip.compress(text), zipped.getvalue(), *(base64.b64encode(b"y" * n + text) for n in range(3))):
        assert traces(os.urandom(1000) + data)
    assert traces(os.urandom(1 << 20)) == []


class Watch:
    """Searches every file below some directories again and again, the deleted ones that are still open too."""

    def __init__(self, house: House) -> None:
        self.found: dict[str, list[str]] = {}
        self.seen: set[str] = set()
        self.rounds = 0
        self._known: dict[str, tuple[int, int]] = {}
        self._house = house
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self.look()

    def look(self) -> None:
        self.rounds += 1
        for root in (self._house.data, self._house.temporary):
            for path in root.rglob("*"):
                self._search(str(path), path)
        for pid in self._house.processes():
            with contextlib.suppress(OSError):
                for path in Path(f"/proc/{pid}/fd").iterdir():
                    target = str(path.readlink())
                    if target.endswith(" (deleted)") and not target.startswith(("/dev", "/memfd")):
                        self._search(target, path)

    def _search(self, name: str, path: Path) -> None:
        with contextlib.suppress(OSError):
            facts = path.stat()
            as_it_is = (facts.st_size, facts.st_mtime_ns)
            if path.is_file() and self._known.get(name) != as_it_is:
                data = path.read_bytes()
                self.seen.add(name)
                self._known[name] = as_it_is
                if forms := traces(data):
                    self.found[name] = forms

    def _run(self) -> None:
        while not self._stopped.wait(0.05):
            self.look()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Watch]]:
    """A house, and the search."""
    with running_house(tmp_path_factory.mktemp("watched")) as house, Watch(house) as watch:
        yield house, watch


def text(size: int) -> bytes:
    """Return a log of *size* bytes with the marker in every line, and something to scrub now and then."""
    lines = [b"%08d " % n + MARKER + b" from 203.0.113.%d" % (n % 250) + b"\n" for n in range(1000)]
    block = b"".join(lines)
    return (block * (size // len(block) + 1))[:size]


def tar_gz(size: int) -> bytes:
    """Return a tar.gz with one large member, that has to be kept somewhere while it is packed again, and small ones."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name, content in (("var/log/messages", text(size)), ("etc/motd", text(500))):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zipped(size: int) -> bytes:
    """Return a zip with a packed and an unpacked member."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("big.log", text(size))
        archive.writestr(zipfile.ZipInfo("plain.log"), text(30_000))
    return packed.getvalue()


def send(house: House, name: str, content: bytes) -> int:
    """Put a file by curl; return the status."""
    path = house.directory / "outbox"
    path.write_bytes(content)
    return house.curl("ann", f"/cases/ACME-1/{name}", "-T", str(path))[0]


def test_no_plaintext_on_any_disk(watched: tuple[House, Watch]) -> None:
    """Text, gzip, zip and tar.gz with members larger than what is kept in memory, a quarantined one, and a torn one."""
    house, watch = watched
    big = 20_000_000  # more than a scrub child keeps of one member in memory
    sent = {
        "a.log": text(3_000_000),
        "b.log.gz": gzip.compress(text(5_000_000), 1),
        "c.zip": zipped(big),
        "d.tar.gz": tar_gz(big),
        "e.gz": gzip.compress(text(2_000_000), 1)[:-100],
        "f.zip": zipped(100_000)[:-30],
    }
    for name, content in sent.items():
        assert send(house, name, content) == 201
    client = house.paramiko("ann")
    torn = client.open(f"{UPLOADS}/torn.log", "wb")
    torn.write(text(2_000_000))
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        client.get_channel().get_transport().sock.close()
        client.close()
    house.until(house.settled, "everything scrubbed and copied", 200)
    house.until(lambda: house.query("SELECT 1 FROM upload WHERE state = 'interrupted'"), "the interruption")
    states = {row["name"]: row["state"] for row in house.query("SELECT name, state FROM upload")}
    assert states == {
        "a.log": "stored",
        "b.log.gz": "stored",
        "c.zip": "stored",
        "d.tar.gz": "stored",
        "e.gz": "quarantined",
        "f.zip": "quarantined",
        "torn.log": "interrupted",
    }
    assert MARKER in house.curl("eve", "/files/ACME-1/to-support/a.log")[1]
    before = watch.rounds
    house.until(lambda: watch.rounds > before + 2, "another look")
    assert watch.found == {}
    assert any(name.endswith(".landing") for name in watch.seen)
    assert any("/scratch/" in name for name in watch.seen), "no scratch file was seen: members must be larger"


def test_no_content_in_log_or_catalog_after_the_end(watched: tuple[House, Watch]) -> None:
    """The log that the house wrote meanwhile has no content, no password and no key either."""
    house, _watch = watched
    log = house.log.read_bytes()
    assert traces(log) == []
    assert PASSWORD.encode() not in log
    assert b"PRIVATE KEY" not in log
    for region in REGIONS:
        assert (house.directory / f"{region}.pass").read_bytes().strip() not in log
