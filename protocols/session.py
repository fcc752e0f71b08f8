"""Logging in, and what a logged-in connection is."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from protocols.filesystem import WritableFileSystem


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a login comes from."""

    protocol: str
    """`sftp`, `https`, `webdav` or `ftps`."""
    peer: str
    """Address of the client, without port."""
    region: str
    """Region of the listener that it reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCredential:
    """A login with a password, or with a token in its place."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerCredential:
    """A token alone (RFC 6750)."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeyCredential:
    """A login with an SSH public key, *offered*: the head calls `Authenticator.open` only once possession is proven."""

    login: str
    key: bytes
    """The key blob (RFC 4253, section 6.6)."""


Credential = PasswordCredential | BearerCredential | PublicKeyCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The answer to a credential that was accepted. It is not yet a session."""

    login: str
    subject: object = field(repr=False)
    """The application's own; heads hand it back untouched."""


class Session:
    """One logged-in connection.

    It ends once: by the head (`close`) when the connection is gone, or by the application (`revoke`), upon which the
    head disconnects.
    """

    def __init__(
        self,
        *,
        session_id: str,
        login: str,
        origin: Origin,
        started: datetime,
        filesystem: WritableFileSystem,
        on_close: Callable[[str], None],
    ) -> None:
        """Make the session; *on_close* is called once, with the reason."""
        self.id = session_id
        self.login = login
        self.origin = origin
        self.started = started
        self.filesystem = filesystem
        self._on_close = on_close
        self._lock = threading.Lock()
        self._closed = False
        self._revoked: str | None = None
        self._listeners: list[Callable[[str], None]] = []

    @property
    def revoked(self) -> str | None:
        """Why access was withdrawn, or None."""
        return self._revoked

    def when_revoked(self, listener: Callable[[str], None]) -> None:
        """Call *listener* with the reason, on any thread, when access is withdrawn; at once if it already is."""
        with self._lock:
            if self._revoked is None:
                self._listeners.append(listener)
                return
        listener(self._revoked)

    def revoke(self, reason: str) -> None:
        """Withdraw access; the head disconnects. A second call does nothing."""
        with self._lock:
            if self._revoked is not None or self._closed:
                return
            self._revoked = reason
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(reason)

    def close(self, reason: str = "disconnected") -> None:
        """Tell the application that the connection is gone. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._on_close(self._revoked or reason)


class Authenticator(Protocol):
    """Who may log in. Both methods may block."""

    def check(self, credential: Credential, origin: Origin) -> Grant:
        """Say whether *credential* is good.

        Raises:
            AuthenticationError: it is not; never says which part of it.
            ThrottledError: too many failures from there; the credential was not looked at.
            UnavailableError: the account source does not answer.
        """

    def open(self, grant: Grant, origin: Origin) -> Session:
        """Open a session for a credential whose possession is proven; audited."""
