"""The real programs as a person would type them: `sftp` and `curl`, and the `mft` command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from urllib.parse import quote

from mft.demo.ports import HOST
from mft.demo.programs import run_program
from mft.demo.sftpsession import SftpSession

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mft.demo.cast import Person
    from mft.demo.ground import Ground
    from mft.demo.ports import Ports
    from mft.demo.programs import Ran


class Clients:
    """Every program with what it needs to reach the demo's server."""

    def __init__(self, ground: Ground, ports: Ports, mft: Callable[[Sequence[str], str], Ran]) -> None:
        """Reach the server at *ports*; *mft* runs the command with its words and its standard input."""
        self._ground = ground
        self._mft = mft
        self._ports = ports
        self.tokens: dict[str, str] = {}
        """By login; curl uses them in place of passwords."""

    # -- sftp ------------------------------------------------------------------------------------------------------

    def sftp_options(self, person: Person) -> list[str]:
        """Return the options by which `sftp` knows the server and *person* is known to it."""
        hosts = self._ground.shown(self._ground.known_hosts)
        if " " in hosts:
            hosts = f'"{hosts}"'  # ssh takes a list there
        return ["-i", self._ground.shown(person.key), "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={hosts}"]

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
        return run_program(*self._sftp(person, region, "-b", "-"), given=given, at=at)

    def open_sftp(self, person: Person, region: str, *, at: Path, kbits: int | None = None) -> SftpSession:
        """Begin a session that stays open, at no more than *kbits* thousand bits a second; the caller ends it."""
        pace = () if kbits is None else ("-l", str(kbits))
        return SftpSession(self._sftp(person, region, *pace, "-b", "-"), at)

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
        return run_program(*command, *options, self.url(region, path), given=given, at=at)

    def curl_plainly(self, *words: str) -> Ran:
        """Run `curl` on an address that is not the server's."""
        return run_program("curl", "-q", "-sS", *words)

    # -- mft -------------------------------------------------------------------------------------------------------

    def mft(self, *words: str, given: str = "") -> Ran:
        """Run `mft`."""
        return self._mft(words, given)
