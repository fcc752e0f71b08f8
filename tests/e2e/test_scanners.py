"""A running server with a real ICAP server beside it: c-icap, where it is installed; antivirus too."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mft.scrubbing.clamd import ask_clamd
from mft.scrubbing.icap import IcapService, ask_icap
from mft.scrubbing.wire import Wire
from tests.core import until
from tests.house import running_house
from tests.mft.scanner import EICAR

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = Path("/usr/lib/x86_64-linux-gnu/c_icap")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not shutil.which("c-icap") or not MODULES.is_dir(), reason="c-icap is not installed: apt-get install c-icap"
    ),
]
needs_clamd = pytest.mark.skipif(
    not shutil.which("clamd") or not (MODULES / "clamd_mod.so").exists(),
    reason="apt-get install libc-icap-mod-virus-scan clamav-daemon",
)
LARGE = b"nothing but words, and many of them\n" * 60_000


class Bytes:
    """A file in memory."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def running_icap(directory: Path, *more: str) -> Iterator[str]:
    """Run c-icap with its echo service and the lines *more* of configuration; give its address."""
    port = free_port()
    lines = [
        f"PidFile {directory}/c-icap.pid", f"CommandsSocket {directory}/c-icap.ctl", f"Port 127.0.0.1:{port}",
        "StartServers 1", "MaxServers 2", "ThreadsPerChild 5", "MinSpareThreads 1", "MaxSpareThreads 5",
        f"TmpDir {directory}", f"ModulesDir {MODULES}", f"ServicesDir {MODULES}", "DebugLevel 0",
        "LoadMagicFile /etc/c-icap/c-icap.magic", "TemplateDir /usr/share/c_icap/templates/",
        f"ServerLog {directory}/server.log", f"AccessLog {directory}/access.log", "Service echo srv_echo.so", *more,
    ]  # fmt: skip
    path = directory / "c-icap.conf"
    path.write_text("\n".join(lines) + "\n")
    with running(["c-icap", "-N", "-D", "-f", str(path)]):
        until(lambda: listens(port))
        yield f"127.0.0.1:{port}"


@contextmanager
def running_clamd(directory: Path) -> Iterator[Path]:
    """Run clamd with one signature, that of the test file; give its socket."""
    (directory / "signatures").mkdir()
    (directory / "signatures" / "test.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.hex()}\n")
    where = directory / "clamd.sock"
    path = directory / "clamd.conf"
    path.write_text(
        f"LocalSocket {where}\nDatabaseDirectory {directory}/signatures\nTemporaryDirectory {directory}\n"
        "Foreground yes\nStreamMaxLength 1M\n"
    )
    with running(["clamd", "-c", str(path)]):
        until(where.exists)
        yield where


def ask(address: str, service: str, data: bytes, method: Any = "respmod") -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        verdict = ask_icap(
            Wire(connection.fileno(), seconds=60),
            IcapService(host=address, service=service, method=method),
            Bytes(data),
        )
    return verdict.word, verdict.what


def test_files_of_any_length_go_through_a_real_server(tmp_path: Path) -> None:
    """OPTIONS, a preview, 204 and 100, chunks both ways; a service that is not there is a failure that says so."""
    with running_icap(tmp_path) as address:
        for method in ("respmod", "reqmod"):
            for data in (b"", b"short", b"x" * 1024, b"x" * 1025, LARGE):
                assert ask(address, "echo", data, method) == ("clean", "")
        assert ask(address, "nobody", b"short") == ("failed", "it answers 404 to OPTIONS")


def test_server_asks_it_and_holds_back_when_it_is_gone(tmp_path: Path) -> None:
    """What it lets through is stored, with its word; once it is gone, what comes is held back with the reason."""
    icap, house_files = tmp_path / "icap", tmp_path / "house"
    for each in (icap, house_files):
        each.mkdir()
    with running_icap(icap) as address:
        entry = {
            "name": "icap",
            "kind": "icap",
            "region": "eu",
            "address": address,
            "service": "echo",
            "timeout": "20s",
        }
        with running_house(house_files, scrub={"external": [entry]}) as house:
            (house.directory / "a.log").write_bytes(LARGE)
            assert house.curl("ann", "/cases/ACME-1/a.log", "-T", str(house.directory / "a.log"))[0] == 201
            (stored,) = house.until(lambda: house.events("upload.stored"), "storing", seconds=180)
            assert stored["scanners"] == [{"scanner": "icap", "verdict": "clean", "what": ""}]
            subprocess.run(["kill", (icap / "c-icap.pid").read_text().strip()], check=True)
            port = int(address.rpartition(":")[2])
            house.until(lambda: not listens(port), "its end")
            assert house.curl("ann", "/cases/ACME-1/b.log", "-T", str(house.directory / "a.log"))[0] == 201
            (held,) = house.until(lambda: house.events("upload.quarantined"), "the quarantine")
            assert held["why"].startswith("icap could not look at it: it cannot be reached")


@needs_clamd
def test_antivirus_behind_it_finds_what_it_knows(tmp_path: Path) -> None:
    """The test file by itself and behind three megabytes, by ICAP; by clamd itself what is too long is a failure."""
    with (
        running_clamd(tmp_path) as where,
        running_icap(
            tmp_path,
            "Module common clamd_mod.so",
            f"clamd_mod.ClamdSocket {where}",
            "Service antivirus_module virus_scan.so",
            "ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple",
            "virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE",
            "virus_scan.MaxObjectSize 100M",
            "virus_scan.DefaultEngine clamd",
        ) as address,
    ):
        for data in (EICAR, b"x" * 3_000_000 + EICAR):
            word, what = ask(address, "avscan", data)
            assert (word, "Eicar" in what) == ("found", True)
        assert ask(address, "avscan", LARGE) == ("clean", "")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(where))
            assert ask_clamd(Wire(connection.fileno(), seconds=60), Bytes(EICAR)).word == "found"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(where))
            assert ask_clamd(Wire(connection.fileno(), seconds=60), Bytes(LARGE)).word == "failed"
