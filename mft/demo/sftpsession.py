"""An `sftp` that somebody logged in with, and that runs on."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

from mft.demo.programs import environment, kill_group

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SftpSession:
    """Takes one command after the other in one session."""

    def __init__(self, command: Sequence[str], at: Path) -> None:
        """Start it in the directory *at*."""
        self._count = 0
        self._process = subprocess.Popen(  # noqa: S603  the demo's own words, no shell
            command,
            cwd=at,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a group of its own, to be killed with the ssh that it runs
            env=environment(),
        )

    def begin(self, command: str) -> None:
        """Give one command, and do not wait for its end. One that fails does not end the session."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it is gone, as `is_open` says
                self._process.stdin.write(f"-@{command}\n")
                self._process.stdin.flush()

    def do(self, command: str) -> list[str]:
        """Give one command, and return the lines that come of it; none where the session is gone.

        The end of its answer is known by a word that `sftp` has the local shell echo.
        """
        self._count += 1
        word = f"end-of-answer-{self._count}"
        self.begin(command)
        self.begin(f"!echo {word}")
        lines: list[str] = []
        for line in self._process.stdout or ():
            if line.strip() == word:
                break
            lines.append(line.rstrip("\n"))
        return lines

    @property
    def is_open(self) -> bool:
        """Say whether the program still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it as a power cut would."""
        kill_group(self._process)
