"""The two servers of the demo, each a process of its own: the case system and `mft serve`."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

from mft.demo.ground import DemoError
from mft.demo.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mft.demo.ground import Ground
    from mft.demo.ports import Ports

START_SECONDS = 30.0
STOP_SECONDS = 15.0
_PR_SET_PDEATHSIG = 1


class Servers:
    """Starts them and ends them."""

    def __init__(self, ground: Ground, ports: Ports) -> None:
        """Prepare; nothing runs yet."""
        self._ground = ground
        self._ports = ports
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def admin_url(self) -> str:
        """Where the case system can be worked from this machine."""
        return f"http://{HOST}:{self._ports.case_system}/admin"

    @property
    def operations_url(self) -> str:
        """The operator's port."""
        return f"http://{HOST}:{self._ports.operations}"

    def start_case_system(self) -> None:
        """Start the case system."""
        self._start(
            "case-system",
            ["--listen", f"{HOST}:{self._ports.case_system}", "--data", str(self._ground.records)],
            ["--secret-file", str(self._ground.lookup_secret)],
        )

    def start_server(self) -> None:
        """Start `mft serve`."""
        self._start("serve", ["--config", str(self._ground.configuration)])

    def await_open(self) -> None:
        """Wait until both answer.

        Raises:
            DemoError: one of them ended, or is not ready in time.
        """
        self._await("case-system", f"{self.admin_url}/requests", lambda _told: True)
        self._await("serve", f"{self.operations_url}/readyz", lambda told: told.get("status") == "ready")

    def stop(self) -> None:
        """End both, the server first; kill what does not end in time."""
        for name in ("serve", "case-system"):
            process = self._running.pop(name, None)
            if process is None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ended(self) -> str | None:
        """Return the name of a server that is not running any more, if there is one."""
        return next((name for name, process in self._running.items() if process.poll() is not None), None)

    def _start(self, name: str, *arguments: Sequence[str]) -> None:
        command = [*mft_command(), name, *(word for words in arguments for word in words)]
        with self._ground.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603  the demo's own words, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the demo's: it ends them in order
                preexec_fn=_end_with_parent,  # noqa: PLW1509  the demo has one thread
            )

    def _await(self, name: str, url: str, good: Callable[[dict[str, object]], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._running[name].poll() is not None:
                raise DemoError(f"`mft {name}` ended as it started:\n{_last_lines(self._ground.log(name))}")
            told = _ask(url)
            if told is not None and good(told):
                return
            if time.monotonic() > deadline:
                raise DemoError(f"`mft {name}` is not ready after {START_SECONDS:g} s; see {self._ground.log(name)}")
            time.sleep(0.03)


def mft_command() -> list[str]:
    """Return how this very mft is run."""
    return [sys.executable, "-m", "mft"]


def _end_with_parent() -> None:
    """Have this process die with the demo, even by kill -9: the next demo clears the directory that it works in."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _ask(url: str) -> dict[str, object] | None:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:  # noqa: S310  http: on this machine
            told: dict[str, object] = json.load(answer)
            return told
    except (OSError, ValueError):
        return None


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
