"""Our server, as `mft serve` runs it, with a configuration made for the measurement."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from bench.processes import end, tree

if TYPE_CHECKING:
    from pathlib import Path

CUSTOMER, ENGINEER = "bench-customer", "bench-engineer"
SECRET = "a password for the bench alone"
CASE = "2026-0001"
REGION = "here"
START_SECONDS = 60.0


class HouseError(Exception):
    """The server did not start, or did not do what it was asked for; says what its log said last."""


class House:
    """`mft serve` over a directory of its own."""

    def __init__(self, directory: Path, public_key: str) -> None:
        """Write its configuration; *public_key* is what both logins have."""
        self.directory = directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700, parents=True)
        self._configure(public_key)
        self.process: subprocess.Popen[bytes] | None = None
        self.endpoints: dict[str, Any] = {}
        self.start_seconds = 0.0

    def _configure(self, public_key: str) -> None:
        from mft.auth.passwords import hash_password  # noqa: PLC0415  only where our own server is measured

        hashed = hash_password(SECRET)
        passphrase = self.directory / "passphrase"
        passphrase.write_text("a passphrase for the bench alone\n")
        passphrase.chmod(0o600)
        login = {"password_hash": hashed, "public_keys": [public_key]}
        config = {
            "installation": "bench.example",
            "data": str(self.directory / "data"),
            "listeners": [
                {"protocol": "sftp", "port": 0},
                {"protocol": "https", "port": 0},
                {"protocol": "ftps", "port": 0},
            ],
            "operations": {"enabled": False},
            "regions": {REGION: {"keyring": {"passphrase_file": str(passphrase)}}},
            "landing": {"free_space": "64MiB"},
            "limits": {"sessions": 2000, "sessions_per_login": 2000},
            "log": {"level": "INFO", "format": "text"},
            "auth": {"throttle": {"enabled": False}},
            "lookup": {
                "type": "static",
                "table": {
                    "customers": [{"id": "bench", "name": "Bench"}],
                    "principals": [
                        {"login": CUSTOMER, "roles": ["customer"], "customer": "bench", **login},
                        {"login": ENGINEER, "roles": ["engineer"], **login},
                    ],
                    "cases": [{"number": CASE, "title": "bench", "customer": "bench", "state": "open"}],
                },
            },
        }
        (self.directory / "mft.yaml").write_text(json.dumps(config, indent=2))

    @property
    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", "mft", "serve", "--config", str(self.directory / "mft.yaml")]

    def __enter__(self) -> Self:
        """Start it and wait until it is open."""
        begun = time.monotonic()
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.directory)
        file = self.directory / "data" / "run" / "endpoints.json"
        while not file.exists() or not file.read_text().endswith("\n"):
            if self.process.poll() is not None or time.monotonic() - begun > START_SECONDS:
                self.__exit__()
                raise HouseError(f"mft serve did not open: {self.last_words()}")
            time.sleep(0.02)
        self.start_seconds = time.monotonic() - begun
        self.endpoints = json.loads(file.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        """End it. Nothing needs to be drained: what is in it goes with its directory."""
        if self.process is not None:
            for each in reversed(tree(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGCONT)
                    os.kill(each.pid, signal.SIGKILL)
            end(self.process, signal.SIGKILL)

    def remove(self) -> None:
        """Remove what it kept."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def last_words(self) -> str:
        """Return the end of its log."""
        return (self.directory / "log").read_text(errors="replace")[-2000:]

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self.process is not None
        return self.process.pid

    def port(self, protocol: str) -> int:
        """Return where *protocol* listens."""
        return next(int(each["port"]) for each in self.endpoints["listeners"] if each["protocol"] == protocol)

    def roles(self) -> dict[str, int]:
        """Return process ids by the names of the parts that they are, or by number where they have no names."""
        children = [each for each in tree(self.pid) if each.parent == self.pid]
        unnamed = {"python", "python3", "mft"}
        return {
            each.name if each.name not in unnamed else f"process {number}": each.pid
            for number, each in enumerate(sorted(children, key=lambda each: each.started))
        }
