"""Socket pairs between the processes of the house: one message, one datagram."""

from __future__ import annotations

import socket


def make_channel() -> tuple[socket.socket, socket.socket]:
    """Make one slot's pair: (the serving process's end, the asking process's end)."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
