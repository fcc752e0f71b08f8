"""The real programs, run as a person would type them: `sftp`, `curl`, `mft`."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from mft.demo.ports import HOST
from mft.demo.servers import mft_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mft.demo.cast import Person
    from mft.demo.ground import Ground
    from mft.demo.ports import Ports

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


def _run(command: Sequence[str], *, given: str = "", at: Path | None = None) -> Ran:
    done = subprocess.run(
        command,
        input=given,
        cwd=at,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_SECONDS,
        check=False,
        env=_environment(),
    )
    return Ran(code=done.returncode, output=done.stdout, errors=done.stderr)


def _environment() -> dict[str, str]:
    """Return an environment in which neither a proxy nor an agent nor a language changes what programs do."""
    dropped = {"http_proxy", "https_proxy", "all_proxy", "ssh_auth_sock", "curl_home"}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in dropped}
    return kept | {"LC_ALL": "C.UTF-8"}


class Clients:
    """Every program with what it needs to reach the demo's server."""

    def __init__(self, ground: Ground, ports: Ports) -> None:
        """Reach the server at *ports*."""
        self._ground = ground
        self._ports = ports
        self.tokens: dict[str, str] = {}
        """By login; curl uses them in place of passwords."""

    # -- sftp ------------------------------------------------------------------------------------------------------

    def sftp_options(self, person: Person) -> list[str]:
        """Return the options by which `sftp` knows the server and *person* is known to it."""
        return [
            "-i",
            self._ground.shown(person.key),
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            f"UserKnownHostsFile={self._ground.shown(self._ground.known_hosts)}",
        ]

    def sftp_command(self, person: Person, region: str) -> str:
        """Return what a person types to log in."""
        port = str(self._ports.sftp[region])
        return shlex.join(["sftp", *self.sftp_options(person), "-P", port, f"{person.login}@{HOST}"])

    def _sftp(self, person: Person, region: str, *more: str) -> list[str]:
        options = [
            "-q",
            "-F",
            "/dev/null",
            "-i",
            str(person.key),
            *("-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes"),
            *("-o", f'UserKnownHostsFile="{self._ground.known_hosts}"', "-o", "GlobalKnownHostsFile=/dev/null"),
        ]
        return ["sftp", *options, *more, "-P", str(self._ports.sftp[region]), f"{person.login}@{HOST}"]

    def sftp(self, person: Person, region: str, *commands: str, at: Path) -> Ran:
        """Give *commands* to `sftp` as *person* at the entrance of *region*, from the directory *at*."""
        given = "".join(f"@{command}\n" for command in commands)  # @: not echoed
        return _run(self._sftp(person, region, "-b", "-"), given=given, at=at)

    def begin_sftp(self, person: Person, region: str, command: str, *, at: Path, kbits: int) -> subprocess.Popen[bytes]:
        """Begin one command at no more than *kbits* thousand bits a second; it is the caller's to end."""
        process = subprocess.Popen(
            self._sftp(person, region, "-l", str(kbits), "-b", "-"),
            cwd=at,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a group of its own, to be killed with the ssh that it runs
            env=_environment(),
        )
        if process.stdin is not None:
            process.stdin.write(f"{command}\n".encode())
            process.stdin.flush()
        return process

    def open_sftp(self, person: Person, region: str, *, at: Path) -> SftpSession:
        """Begin a session that stays open."""
        return SftpSession(self._sftp(person, region, "-b", "-"), at)

    # -- curl ------------------------------------------------------------------------------------------------------

    def url(self, region: str, path: str) -> str:
        """Return the address of *path* at the entrance of *region*."""
        return f"https://{HOST}:{self._ports.https[region]}{quote(path)}"

    def curl_command(self, person: Person, region: str, path: str, *options: str) -> str:
        """Return what a person types."""
        credential = f"{person.login}:{self.tokens.get(person.login, person.password)}"
        certificate = self._ground.shown(self._ground.certificate)
        return shlex.join(["curl", "--cacert", certificate, "-u", credential, *options, self.url(region, path)])

    def curl(self, person: Person | None, region: str, path: str, *options: str, at: Path) -> Ran:
        """Run `curl` as *person* (None: as nobody); the secret goes by standard input."""
        command = ["curl", "-q", "-sS", "--cacert", str(self._ground.certificate), "--config", "-"]
        given = ""
        if person is not None:
            given = f'user = "{person.login}:{self.tokens.get(person.login, person.password)}"\n'
        return _run([*command, *options, self.url(region, path)], given=given, at=at)

    def curl_plainly(self, *words: str) -> Ran:
        """Run `curl` on an address that is not the server's."""
        return _run(["curl", "-q", "-sS", *words])

    # -- mft -------------------------------------------------------------------------------------------------------

    def mft(self, *words: str, given: str = "") -> Ran:
        """Run `mft`."""
        return _run([*mft_command(), *words], given=given)


class SftpSession:
    """An `sftp` that was logged in once and takes one command after the other."""

    def __init__(self, command: Sequence[str], at: Path) -> None:
        """Start it."""
        self._count = 0
        self._process = subprocess.Popen(
            command,
            cwd=at,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=_environment(),
        )

    def do(self, command: str) -> list[str]:
        """Give one command, and return the lines that come of it; empty too where the session is gone.

        The end of its answer is known by a word that `sftp` has the local shell echo.
        """
        self._count += 1
        word = f"end-of-answer-{self._count}"
        source, target = self._process.stdout, self._process.stdin
        if source is None or target is None:
            return []
        with contextlib.suppress(BrokenPipeError):
            target.write(f"-@{command}\n@!echo {word}\n")
            target.flush()
        lines: list[str] = []
        for line in source:
            if line.strip() == word:
                break
            lines.append(line.rstrip("\n"))
        return lines

    @property
    def is_open(self) -> bool:
        """Say whether the program still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it."""
        kill_group(self._process)


def kill_group(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a program and what it runs by kill -9, as a power cut would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
