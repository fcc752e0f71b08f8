"""What can be set of the SFTP head, and what it tells of its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpSettings:
    """Settings of the SFTP head."""

    host_keys: tuple[Path, ...]
    """Private host keys (OpenSSH or PEM), without passphrase; at least one."""
    algorithms: Literal["modern", "compatible"] = "modern"
    """Which are offered (`algorithms`)."""
    chooses_cipher: bool = True
    """Whether clients that have AES-GCM are offered it alone: it costs a third of what OpenSSH's clients put first."""
    version: str = "mft"
    """What follows `SSH-2.0-` in the greeting."""
    banner: str = ""
    """Shown before authentication; empty for none."""
    login_grace: float = 60.0
    """Seconds from the connection to the end of authentication."""
    max_auth_attempts: int = 6
    """Passwords and keys tried in one connection."""
    max_connections: int = 1000
    """Connections of this process in all."""
    max_unauthenticated: int = 500
    """Connections of this process that have not logged in yet; for one more the one that waits for longest goes."""
    max_unauthenticated_of_one: int = 100
    """The same of one address, or of one IPv6 network of 64 bits."""
    max_channels: int = 10
    """Channels of one connection (OpenSSH: MaxSessions)."""
    max_handles: int = 128
    """Files and directories open in one channel."""
    keepalive_interval: float = 60.0
    """Seconds of silence after which the client is asked whether it is there; 0 for never."""
    keepalive_count: int = 3
    """Unanswered questions after which the connection is given up."""
    idle_timeout: float = 3600.0
    """Seconds without a request after which a connection is ended; 0 for never."""
    window: int = 2 << 20
    """First receive window of a channel, in bytes: what may wait in memory for one upload."""
    largest_window: int = 16 << 20
    """What it may grow to over a long way (`window`)."""
    window_memory: int = 128 << 20
    """Bytes by which all windows of this process together may exceed their first size."""
    max_packet: int = 64 << 10
    """Longest SSH packet that a client may send, in bytes."""
    rekey_bytes: int = 32 << 30
    """Bytes after which keys are changed (RFC 4253, section 9; far below the bound of AES-GCM)."""


class SftpObserver(Protocol):
    """Who counts what this head does. Called from the loop and from threads; must not block."""

    def connected(self, region: str) -> None:
        """A TCP connection was accepted."""

    def disconnected(self, region: str) -> None:
        """It is gone."""

    def authenticated(self, method: str, outcome: str) -> None:
        """A `password` or `publickey` was `accepted`, `refused`, `throttled`, or looked at in vain (`unavailable`)."""

    def answered(self, operation: str, status: str) -> None:
        """One request other than a successful READ or WRITE was answered."""

    def transferred(self, direction: str, count: int) -> None:
        """*count* bytes of file went `in` or `out`."""


class SilentObserver:
    """Counts nothing."""

    def connected(self, region: str) -> None:
        """Do nothing."""

    def disconnected(self, region: str) -> None:
        """Do nothing."""

    def authenticated(self, method: str, outcome: str) -> None:
        """Do nothing."""

    def answered(self, operation: str, status: str) -> None:
        """Do nothing."""

    def transferred(self, direction: str, count: int) -> None:
        """Do nothing."""
