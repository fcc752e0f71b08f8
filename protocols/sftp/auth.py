"""One SSH connection: who it is, its session, its channels, its end.

A key that was merely *offered* proves nothing: the session is opened in `auth_completed`, which asyncssh calls once a
password was accepted or a signature verified, and for the grant of that very attempt.
"""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from typing import TYPE_CHECKING

import asyncssh

from protocols.errors import (
    AuthenticationError,
    EndedTokenError,
    ThrottledError,
    UnavailableError,
    WrongEntranceError,
)
from protocols.session import Origin, PasswordCredential, PublicKeyCredential
from protocols.sftp.channel import SftpChannel
from protocols.sftp.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from protocols.aio import Crossing
    from protocols.doorstep import Doorstep
    from protocols.session import Authenticator, Grant, Session
    from protocols.sftp.settings import SftpObserver, SftpSettings
    from protocols.sftp.turns import Turns
    from protocols.sftp.window import WindowBudget

logger = logging.getLogger("mft.sftp")

_MAX_LOGIN = 255
"""Longest login that is looked at, in characters."""
_CLOSING_SECONDS = 2.0
"""How long a client may take to acknowledge the end of its channels."""


class Login(asyncssh.SSHServer):
    """What asyncssh asks about one connection."""

    def __init__(
        self,
        *,
        region: str,
        authenticator: Authenticator,
        crossing: Crossing,
        observer: SftpObserver,
        settings: SftpSettings,
        registry: set[Login],
        doorstep: Doorstep[Login],
        budget: WindowBudget,
        turns: Turns,
    ) -> None:
        """Serve a connection to the listener of *region*.

        It stands in *registry* until it is gone, and on the *doorstep* until it has logged in.
        """
        self._region = region
        self._authenticator = authenticator
        self._crossing = crossing
        self._observer = observer
        self._settings = settings
        self._registry = registry
        self._doorstep = doorstep
        self._budget = budget
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._conn: Connection
        self._origin: Origin
        self._grant: Grant | None = None
        self._offered: dict[tuple[str, bytes], Grant] = {}
        self._attempts = 0
        self._opened: asyncio.Future[Session | None] = self._loop.create_future()
        self._channels: list[SftpChannel] = []
        self._lost = False
        self._heard_at = self._loop.time()
        self._idle_timer: asyncio.TimerHandle | None = None
        self.ended = asyncio.Event()
        """Set once the connection is gone and the application knows of it."""
        self._end_task: asyncio.Task[None] | None = None

    # -- what asyncssh calls: the connection ---------------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Take the connection, or drop it where too many are open; drop another where too many wait for a login."""
        if not isinstance(conn, Connection):
            raise TypeError("a Login serves a Connection")
        self._conn = conn
        peer = conn.get_extra_info("peername")
        self._origin = Origin(protocol="sftp", peer=str(peer[0]) if peer else "", region=self._region)
        crowded = len(self._registry) - len(self._doorstep) >= self._settings.max_connections
        self._registry.add(self)
        self._observer.connected(self._region)
        if crowded:
            logger.warning("connection_refused", extra={"peer": self._origin.peer, "open": len(self._registry)})
            conn.abort()
            return
        leaving = self._doorstep.admit(self, self._origin.peer)
        if leaving is not None:
            leaving.give_way()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is open, then tell the application."""
        self._lost = True
        self._doorstep.leave(self)
        reason = str(exc) if exc else "disconnected"
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for channel in self._channels:
            channel.lose(reason)
        self._end_task = self._loop.create_task(self._end(reason))

    # -- what asyncssh calls: authentication ---------------------------------------------------------------------------

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - every login must prove itself
        """Ask for a credential, and show the banner if there is one."""
        if self._settings.banner:
            self._conn.send_auth_banner(self._settings.banner)
        return True

    def password_auth_supported(self) -> bool:
        """Offer passwords; asyncssh then offers them as keyboard-interactive too."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer public keys."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Have a password looked at."""
        self._grant = None
        self._grant = await self._check("password", PasswordCredential(login=username, password=password))
        return self._grant is not None

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Have a key looked at: once when it is offered, and asyncssh asks again when it is proven."""
        self._grant = None
        blob = key.public_data
        grant = self._offered.get((username, blob))
        if grant is None:
            grant = await self._check("publickey", PublicKeyCredential(login=username, key=blob))
        if grant is not None:
            self._offered[username, blob] = grant
        self._grant = grant
        return grant is not None

    async def auth_completed(self) -> None:
        """Open the session of the grant that was just proven."""
        self._doorstep.leave(self)
        grant, self._grant = self._grant, None
        self._offered.clear()
        session = None
        try:
            if grant is not None:
                session = await self._crossing.run(self._authenticator.open, grant, self._origin)
        except WrongEntranceError as error:  # a key that was proven only now: it is too late for a banner
            self._conn.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, str(error))
        except AuthenticationError:
            self._conn.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "access was withdrawn")
        except UnavailableError as error:
            self._conn.disconnect(asyncssh.DISC_SERVICE_NOT_AVAILABLE, str(error))
        except Exception:
            logger.exception("session_failed", extra={"peer": self._origin.peer})
            self._conn.disconnect(asyncssh.DISC_BY_APPLICATION, "internal error")
        finally:
            if not self._opened.done():
                self._opened.set_result(session)
        if session is None:
            return
        if self._lost:
            await self._crossing.run(session.close, "disconnected")
            return
        session.when_revoked(self._revoked_on_a_thread)
        self._watch_idleness()

    # -- what asyncssh calls: channels ---------------------------------------------------------------------------------

    def session_requested(self) -> Coroutine[None, None, SftpChannel]:
        """Open a channel once the session is there: USERAUTH_SUCCESS goes out before `auth_completed` is called."""
        return self._open_channel()

    async def _open_channel(self) -> SftpChannel:
        session = await asyncio.shield(self._opened)
        self._channels = [channel for channel in self._channels if channel.task is None or not channel.task.done()]
        if session is None or session.revoked is not None or self._lost:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "access was withdrawn")
        if len(self._channels) >= self._settings.max_channels:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many channels")
        channel = SftpChannel(
            session,
            connection=self._conn,
            crossing=self._crossing,
            observer=self._observer,
            settings=self._settings,
            heard=self._hear,
            budget=self._budget,
            turns=self._turns,
        )
        self._channels.append(channel)
        return channel

    # -- what the server calls -----------------------------------------------------------------------------------------

    @property
    def is_silent(self) -> bool:
        """Whether the client has not even exchanged keys."""
        return self._conn.get_extra_info("send_cipher") is None

    def give_way(self) -> None:
        """End a connection that has not logged in, for there is no room for all that wait."""
        logger.info("connection_gave_way", extra={"peer": self._origin.peer, "waiting": len(self._doorstep)})
        self._conn.abort()

    @property
    def is_busy(self) -> bool:
        """Whether a file is open or a request is not answered yet."""
        return any(channel.is_busy for channel in self._channels)

    async def close(self, reason: str) -> None:
        """End the channels so that the client gets every reply that was made, then the connection."""
        closing = [asyncio.ensure_future(channel.close()) for channel in self._channels]
        if closing:
            await asyncio.wait(closing, timeout=_CLOSING_SECONDS)
            for task in closing:
                task.cancel()
        self.disconnect(reason)

    def disconnect(self, reason: str) -> None:
        """End the connection now."""
        for channel in self._channels:
            channel.lose(reason)
        if not self._lost:
            self._conn.disconnect(asyncssh.DISC_BY_APPLICATION, reason)

    # -- within --------------------------------------------------------------------------------------------------------

    async def _check(self, method: str, credential: PasswordCredential | PublicKeyCredential) -> Grant | None:
        # Attempts are counted before they are looked at: asyncssh drops a running one when the next comes in.
        self._attempts += 1
        if self._attempts > self._settings.max_auth_attempts:
            raise asyncssh.DisconnectError(asyncssh.DISC_PROTOCOL_ERROR, "too many authentication failures")
        if not _is_worth_a_look(credential):
            self._observer.authenticated(method, "refused")
            return None
        try:
            grant = await self._crossing.run(self._authenticator.check, credential, self._origin)
        except ThrottledError:
            self._observer.authenticated(method, "throttled")
            return None
        except AuthenticationError as error:
            self._observer.authenticated(method, "refused")
            if isinstance(
                error, EndedTokenError | WrongEntranceError
            ):  # a refusal itself has no room for words (RFC 4252, section 5.1)
                self._conn.send_auth_banner(f"{error}\r\n")
            return None
        except UnavailableError as error:
            self._observer.authenticated(method, "unavailable")
            raise asyncssh.DisconnectError(asyncssh.DISC_SERVICE_NOT_AVAILABLE, str(error)) from error
        except Exception as error:
            self._observer.authenticated(method, "unavailable")
            logger.exception("authentication_failed", extra={"peer": self._origin.peer})
            raise asyncssh.DisconnectError(asyncssh.DISC_BY_APPLICATION, "internal error") from error
        self._observer.authenticated(method, "accepted")
        return grant

    async def _end(self, reason: str) -> None:
        tasks = [channel.task for channel in self._channels if channel.task is not None]
        if tasks:
            await asyncio.wait(tasks)
        if not self._opened.done():
            # A login that is being opened closes its own session: see auth_completed.
            self._opened.set_result(None)
        session = self._opened.result()
        if session is not None:
            await self._crossing.run(session.close, reason)
        self._registry.discard(self)
        self.ended.set()
        self._observer.disconnected(self._region)

    def _revoked_on_a_thread(self, reason: str) -> None:
        try:
            self._loop.call_soon_threadsafe(self.disconnect, f"access withdrawn: {reason}")
        except RuntimeError:
            # The loop is closed, and with it every connection.
            logger.debug("revoked_after_end", extra={"reason": reason})

    def _hear(self) -> None:
        self._heard_at = self._loop.time()

    def _watch_idleness(self) -> None:
        limit = self._settings.idle_timeout
        if not limit or self._lost:
            return
        idle = self._loop.time() - self._heard_at
        if idle >= limit:
            self.disconnect("idle for too long")
            return
        self._idle_timer = self._loop.call_later(max(limit - idle, 1.0), self._watch_idleness)


def _is_worth_a_look(credential: PasswordCredential | PublicKeyCredential) -> bool:
    """Say whether a credential has the form of one; what has not is refused like any other wrong one."""
    login = credential.login
    if not 0 < len(login) <= _MAX_LOGIN or any(unicodedata.category(character)[0] == "C" for character in login):
        return False
    return not isinstance(credential, PasswordCredential) or credential.password != ""
