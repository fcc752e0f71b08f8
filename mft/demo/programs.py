"""Programs of this machine, run and watched."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_SECONDS = 60.0
"""Longest time for one program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a program did."""

    code: int
    output: str
    """Standard output."""
    errors: str
    """Standard error."""

    @property
    def said(self) -> str:
        """Return the last line of what it complained about, or else of what it said."""
        lines = (self.errors or self.output).strip().splitlines()
        return lines[-1] if lines else f"exit status {self.code}"


def run_program(*command: str, given: str = "", at: Path | None = None) -> Ran:
    """Run a program in the directory *at*, with *given* for its standard input, and wait for its end.

    Raises:
        subprocess.TimeoutExpired: it took longer than `PATIENCE_SECONDS`.
    """
    done = subprocess.run(  # noqa: S603  the demo's own words, no shell
        command,
        input=given,
        cwd=at,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_SECONDS,
        check=False,
        env=environment(),
    )
    return Ran(code=done.returncode, output=done.stdout, errors=done.stderr)


def environment() -> dict[str, str]:
    """Return an environment in which neither a proxy nor an agent nor a language changes what programs do."""
    dropped = {"http_proxy", "https_proxy", "all_proxy", "ssh_auth_sock", "tar_options"}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in dropped}
    return kept | {"LC_ALL": "C.UTF-8"}


def kill_group(process: subprocess.Popen[str]) -> None:
    """End a program and what it runs by kill -9; it must lead a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
