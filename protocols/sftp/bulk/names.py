"""What the short way uses of asyncssh without its promise: looked at before it is used, never after it has failed.

A connection is looked at when it begins, a channel at its first packet, and how the cipher counts once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncssh import encryption as ssh_encryption
from asyncssh.connection import SSHConnection
from asyncssh.crypto import GCMCipher

if TYPE_CHECKING:
    from asyncssh.channel import SSHChannel

_METHODS: dict[type, tuple[str, ...]] = {
    SSHConnection: ("_recv_pkthdr", "_recv_packet", "_reset_keepalive_timer"),
}
_CONNECTION_FIELDS = (
    "_inpbuf", "_recv_handler", "_recv_encryption", "_recv_seq", "_channels", "_kex", "_auth_complete", "_decompressor",
    "_max_recv_pktlen", "_pktlen", "_keepalive_interval", "_transport",
    "_recv_macsize", "_recv_blocksize", "_send_encryption", "_send_seq", "_send_enchdrlen", "_send_blocksize",
    "_kex_complete", "_rekey_bytes", "_rekey_bytes_sent", "_rekey_seconds", "_rekey_time", "_compressor",
)  # fmt: skip
_CHANNEL_METHODS = ("_accept_data", "send_packet")
_CHANNEL_FIELDS = (
    "_recv_state", "_recv_window", "_init_recv_window", "_recv_paused", "_recv_buf", "_session",
    "_send_state", "_send_window", "_send_buf", "_send_chan", "_send_pktsize",
)  # fmt: skip


def has_connection_names(connection: SSHConnection) -> bool:
    """Say whether this release of asyncssh has everything of a connection that is used here."""
    named = all(hasattr(owner, name) for owner, names in _METHODS.items() for name in names)
    return (
        named
        and _COUNTS
        and hasattr(ssh_encryption, "GCMEncryption")
        and all(hasattr(connection, field) for field in _CONNECTION_FIELDS)
    )


def _counts_as_known() -> bool:
    """Say whether asyncssh's cipher keeps key and nonce where they are looked for, and counts its nonces as we do."""
    try:
        cipher = GCMCipher("aes256-gcm", bytes(32), b"fixd" + bytes(7) + b"\xff")
        cipher.encrypt_and_sign(b"", b"")
    except (AttributeError, TypeError, ValueError, KeyError):
        return False
    return getattr(cipher, "_iv", None) == b"fixd" + bytes(6) + b"\1\0" and getattr(cipher, "_key", None) == bytes(32)


_COUNTS = _counts_as_known()


def has_channel_names(channel: SSHChannel[Any]) -> bool:
    """Say the same of a channel, once it is open."""
    methods = all(callable(getattr(channel, name, None)) for name in _CHANNEL_METHODS)
    return methods and all(hasattr(channel, field) for field in _CHANNEL_FIELDS)
