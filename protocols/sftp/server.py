"""The SFTP head: listeners that somebody else bound, connections, and their orderly end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncssh

from protocols.accepting import accept
from protocols.doorstep import Doorstep
from protocols.sftp.algorithms import PROFILES
from protocols.sftp.auth import Login
from protocols.sftp.connection import Connection
from protocols.sftp.settings import SftpObserver, SftpSettings, SilentObserver
from protocols.sftp.turns import Turns
from protocols.sftp.window import WindowBudget

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from protocols.aio import Crossing
    from protocols.session import Authenticator

    Adopt = Callable[[socket.socket], Coroutine[None, None, None]]

__all__ = ["SftpObserver", "SftpServer", "SftpSettings"]

_LOOK_AGAIN = 0.02
"""Seconds between two looks at whether a draining connection is still busy."""


class SftpServer:
    """Serves SFTP on one event loop. One crossing may be shared with other heads."""

    def __init__(
        self,
        authenticator: Authenticator,
        settings: SftpSettings,
        crossing: Crossing,
        observer: SftpObserver | None = None,
    ) -> None:
        """Make a server that listens nowhere yet."""
        self._authenticator = authenticator
        self._settings = settings
        self._crossing = crossing
        self._observer = observer or SilentObserver()
        self._host_keys: list[asyncssh.SSHKey] = []
        self._sockets: list[socket.socket] = []
        self._listeners: list[asyncio.Task[None]] = []
        self._arriving: set[asyncio.Task[None]] = set()
        self._logins: set[Login] = set()
        self._doorstep: Doorstep[Login] = Doorstep(
            most=settings.max_unauthenticated, most_of_one=settings.max_unauthenticated_of_one
        )
        self._budget = WindowBudget(settings.window_memory)
        self._turns = Turns()
        self._is_draining = False

    @property
    def connections(self) -> int:
        """Number of connections that are open or not yet wound up."""
        return len(self._logins)

    async def start(self, sock: socket.socket, region: str) -> None:
        """Accept connections on *sock*, which listens already, and tell sessions that they came in at *region*.

        Raises:
            OSError, asyncssh.KeyImportError: a host key cannot be read.
        """
        adopt = await self.adopter(region)
        sock.setblocking(False)
        self._sockets.append(sock)
        self._listeners.append(asyncio.create_task(self._listen(sock, adopt), name=f"sftp {region}"))

    async def adopter(self, region: str) -> Adopt:
        """Return what takes over connections that somebody else accepted, as such of *region*.

        Raises:
            OSError, asyncssh.KeyImportError: a host key cannot be read.
        """
        make = await self._make_connection(region)

        async def adopt(client: socket.socket) -> None:
            if self._is_draining:
                client.close()
                return
            try:
                await asyncio.get_running_loop().connect_accepted_socket(make, client)
            except OSError:  # it is gone
                client.close()

        return adopt

    async def _make_connection(self, region: str) -> Callable[[], Connection]:
        """Return what makes connections that came in at *region*."""
        loop = asyncio.get_running_loop()
        if not self._host_keys:
            keys = await self._crossing.run(_read_host_keys, self._settings.host_keys)
            dispensable = PROFILES[self._settings.algorithms].dispensable_host_keys
            self._host_keys = [key for key in keys if key.algorithm.decode() not in dispensable] or keys
        options = await asyncssh.SSHServerConnectionOptions.construct(**self._options(region))
        # An RSA key would be offered with SHA-1 too: `signature_algs` holds for the keys of clients alone.
        allowed = {name.encode() for name in PROFILES[self._settings.algorithms].signature}
        options.server_host_keys = {
            name: pair for name, pair in options.server_host_keys.items() if name in allowed
        } or options.server_host_keys
        chooses = self._settings.chooses_cipher
        return lambda: Connection(loop, options, chooses_cipher=chooses)

    async def drain(self, grace: float) -> None:
        """Accept nothing more, and end each connection once it has no file open; after *grace* seconds end all.

        Returns when every session is closed.
        """
        self._is_draining = True
        await self._stop_listening()
        deadline = asyncio.get_running_loop().time() + grace
        while self._logins:
            await asyncio.gather(*(self._drain_one(login, deadline) for login in list(self._logins)))

    async def _listen(self, sock: socket.socket, adopt: Adopt) -> None:
        """Accept until the task is cancelled."""
        while True:
            arriving = asyncio.create_task(adopt(await accept(sock)))
            self._arriving.add(arriving)
            arriving.add_done_callback(self._arriving.discard)

    async def _stop_listening(self) -> None:
        """Stop accepting; what was accepted already becomes a connection, or is closed."""
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)
        await asyncio.gather(*self._arriving, return_exceptions=True)
        for sock in self._sockets:
            sock.close()
        self._listeners.clear()
        self._sockets.clear()

    async def _drain_one(self, login: Login, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while login.is_busy and loop.time() < deadline:  # noqa: ASYNC110 - busy is known by looking: files, queue, turn
            await asyncio.sleep(_LOOK_AGAIN)
        if login.is_busy:
            login.disconnect("the server is going down")
        else:
            await login.close("the server is going down")
        await login.ended.wait()

    def _options(self, region: str) -> dict[str, object]:
        settings = self._settings
        algorithms = PROFILES[settings.algorithms]
        return {
            "server_factory": lambda: Login(
                region=region,
                authenticator=self._authenticator,
                crossing=self._crossing,
                observer=self._observer,
                settings=settings,
                registry=self._logins,
                doorstep=self._doorstep,
                budget=self._budget,
                turns=self._turns,
            ),
            "config": None,
            "server_host_keys": self._host_keys,
            "server_version": settings.version,
            "kex_algs": algorithms.key_exchange,
            "encryption_algs": algorithms.encryption,
            "mac_algs": algorithms.mac,
            "signature_algs": algorithms.signature,
            "compression_algs": None,
            "gss_host": None,
            "host_based_auth": False,
            "x11_forwarding": False,
            "agent_forwarding": False,
            "allow_pty": False,
            "allow_scp": False,
            "line_editor": False,
            "encoding": None,
            "window": settings.window,
            "max_pktsize": settings.max_packet,
            "login_timeout": settings.login_grace,
            "keepalive_interval": settings.keepalive_interval,
            "keepalive_count_max": settings.keepalive_count,
            "rekey_bytes": settings.rekey_bytes,
        }


def _read_host_keys(paths: tuple[Path, ...]) -> list[asyncssh.SSHKey]:
    """Read our own keys once: asyncssh would read them, and test an RSA key's primes, for every connection."""
    return [asyncssh.read_private_key(path, unsafe_skip_rsa_key_validation=True) for path in paths]
