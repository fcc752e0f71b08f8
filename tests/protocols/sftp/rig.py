"""A real SFTP server on a thread of its own, over the filesystem in memory, and the clients that drive it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import asyncssh
import paramiko

from protocols.aio import Crossing
from protocols.sftp.server import SftpServer
from protocols.sftp.settings import SftpSettings
from tests.contracts.head import PASSWORD, PATIENCE, REPORT
from tests.protocols.memory import MemoryAuthenticator, MemoryTree

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

T = TypeVar("T")


class Rig:
    """The server, its tree and accounts `alice` and `bob`, and a directory for keys and local files."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.tree = MemoryTree("/in", "/out")
        self.tree.read_only.add(("out",))
        self.tree.add("/out/report.txt", REPORT)
        self.accounts = MemoryAuthenticator(self.tree)
        self.accounts.passwords.update(alice=PASSWORD, bob=PASSWORD)
        self.key = directory / "id_ed25519"
        if not self.key.exists():
            for path in (self.key, directory / "host_key"):
                asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
                path.chmod(0o600)
        self.accounts.keys["alice"] = {asyncssh.read_private_key(self.key).public_data}
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="sftp-server")
        self._thread.start()
        self.crossing = Crossing(threads=8)
        self.server = SftpServer(
            self.accounts, SftpSettings(host_keys=(directory / "host_key",), **settings), self.crossing
        )
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self.run(self.server.start(listener, "eu-central"))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def stop(self) -> None:
        """End every connection, then the loop and the threads."""
        self.run(self.server.drain(0))
        self.crossing.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def ssh_options(self, *, password: bool = False) -> list[str]:
        """Return the options that make OpenSSH's programs talk to this server without asking anybody."""
        options = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "IdentityFile": str(self.key),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "PreferredAuthentications": "password" if password else "publickey",
        }
        return ["-F", "/dev/null", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]

    def sftp_command(self, login: str = "alice") -> list[str]:
        """Return the command that runs OpenSSH's `sftp` on a batch from its standard input."""
        return ["sftp", *self.ssh_options(), "-P", str(self.port), "-b", "-", f"{login}@127.0.0.1"]

    def sftp(self, *lines: str) -> subprocess.CompletedProcess[str]:
        """Run OpenSSH's `sftp` on a batch; a line that begins with `-` may fail."""
        return subprocess.run(
            self.sftp_command(),
            input="\n".join(lines) + "\n",
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def transport(self, login: str = "alice", password: str = PASSWORD) -> paramiko.Transport:
        """Return a logged-in paramiko connection; the caller closes it."""
        transport = paramiko.Transport(("127.0.0.1", self.port))
        try:
            transport.connect(username=login, password=password)
        except BaseException:
            transport.close()
            raise
        return transport

    def paramiko(self, login: str = "alice", password: str = PASSWORD) -> paramiko.SFTPClient:
        """Return a paramiko client; closing it closes its connection."""
        transport = self.transport(login, password)
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        client.get_channel().settimeout(PATIENCE)  # type: ignore[union-attr]
        return client
