"""What can be set of the FTPS head, and what it tells of its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpSettings:
    """Settings of the FTPS head. Sizes in bytes, times in seconds."""

    passive_ports: tuple[int, int] | None = None
    """First and last port of data connections; None lets the system choose."""
    active: bool = False
    """Whether PORT and EPRT are taken, for the client's own address alone."""
    welcome: str = "ready"
    """What the greeting says: no name and no version of a program."""
    max_connections: int = 1000
    """Connections of this process in all."""
    max_unauthenticated: int = 300
    """Connections of this process that have not logged in yet: one more, and the one that waits for longest goes."""
    max_unauthenticated_of_one: int = 100
    """The same of one address (IPv6: of one /64)."""
    max_attempts: int = 6
    """Passwords tried in one connection."""
    max_early_commands: int = 100
    """Commands of a connection that has not logged in."""
    max_line: int = 8 * KIB
    """Longest command, its end of line included."""
    max_waiting: int = 256
    """Commands that may wait behind a transfer; then nothing more is read until it is over."""
    login_grace: float = 60.0
    """From the connection to the end of the login."""
    handshake_timeout: float = 15.0
    """Longest time for a TLS handshake, on either channel."""
    connect_timeout: float = 30.0
    """How long a data connection is waited for."""
    stall_timeout: float = 60.0
    """Longest silence within a transfer, either way, and of a client that does not take a reply."""
    idle_timeout: float = 900.0
    """Between two commands."""
    linger: float = 5.0
    """How long the rest of a refused upload is read and thrown away, so that the client comes to read the reason."""
    buffer: int = 256 * KIB
    """What is received before it crosses to the filesystem, and sent to TLS at once."""
    piece: int = 1024 * KIB
    """What is read of a file at once."""


class FtpObserver(Protocol):
    """Who counts what this head does. Called from the sessions' threads; must not block."""

    def connected(self, region: str) -> None:
        """A TCP connection was accepted."""

    def disconnected(self, region: str) -> None:
        """It is gone."""

    def authenticated(self, outcome: str) -> None:
        """A password was `accepted`, `refused`, `throttled`, or looked at in vain (`unavailable`)."""

    def answered(self, verb: str, code: int) -> None:
        """A command was answered; *verb* is one that this head knows, or `other`."""

    def transferred(self, direction: str, count: int) -> None:
        """*count* bytes of file went `in` or `out`."""


class SilentObserver:
    """Counts nothing."""

    def connected(self, region: str) -> None:
        """Do nothing."""

    def disconnected(self, region: str) -> None:
        """Do nothing."""

    def authenticated(self, outcome: str) -> None:
        """Do nothing."""

    def answered(self, verb: str, code: int) -> None:
        """Do nothing."""

    def transferred(self, direction: str, count: int) -> None:
        """Do nothing."""
