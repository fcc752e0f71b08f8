"""OpenSSH's server with its own sftp-server, run as whoever runs the bench, on a port of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.processes import PATIENCE, end

if TYPE_CHECKING:
    from bench.room import Room

SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
SEARCHED = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"


class PeerError(Exception):
    """A peer is not here or did not start; says which and why."""


def program(name: str, package: str) -> str:
    """Return the path of a program.

    Raises:
        PeerError: it is not installed.
    """
    found = shutil.which(name, path=SEARCHED)
    if found is None:
        raise PeerError(f"{name} is not installed (package {package})")
    return found


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port


def await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something listens on *port*.

    Raises:
        PeerError: *process* ended, or nothing listens within `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise PeerError(f"it did not start: {log.read_text(errors='replace')[-500:].strip()}")


class OpenSsh:
    """`sshd` and `sftp-server`."""

    name = "openssh"

    def __init__(self, room: Room) -> None:
        """Write its configuration and its host key.

        Raises:
            PeerError: it is not installed.
        """
        self._sshd = program("sshd", "openssh-server")
        server = next((path for path in SFTP_SERVERS if Path(path).exists()), None)
        if server is None:
            raise PeerError("sftp-server is not installed (package openssh-sftp-server)")
        self.directory = room.make("openssh")
        self.login = getpass.getuser()
        self.port = free_port()
        self._log = self.directory / "log"
        host_key = self.directory / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
        (self.directory / "authorized_keys").write_text(room.public_key + "\n")
        self._file = self.directory / "sshd_config"
        self._file.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {host_key}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}\nPermitRootLogin prohibit-password\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel ERROR\nUseDNS no\n"
            f"Subsystem sftp {server}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd asks for it: privilege separation
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([self._sshd, "-D", "-e", "-f", self._file], stdout=log, stderr=log)
        await_port(self.port, self.process, self._log)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self.process is not None:
            end(self.process)

    @property
    def pid(self) -> int:
        """The listener's."""
        assert self.process is not None
        return self.process.pid
