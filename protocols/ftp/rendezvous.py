"""Where the two ends of a data connection meet: a port of ours that the client connects to, or one of the client's.

Only the client's own address is ever accepted from or connected to: no third machine is scanned, served or listened to
on anybody's behalf (RFC 2577, sections 2 and 3).
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import random
import socket
import time
from typing import TYPE_CHECKING, Protocol

from protocols.ftp.status import ReplyError
from protocols.ftp.wire import READ, WRITE, ConnectionEndedError

if TYPE_CHECKING:
    from protocols.ftp.wire import Watch

_log = logging.getLogger("mft.ftps")
_TRIES = 64
"""Ports of the range that are tried before the client is told that none is free."""
_FIRST_UNPRIVILEGED = 1024
_RANDOM = random.SystemRandom()


class Rendezvous(Protocol):
    """What PASV, EPSV, PORT or EPRT has agreed on, for one data connection."""

    def connect(self, watch: Watch, seconds: float) -> socket.socket:
        """Return the connection once it is there.

        Raises:
            ConnectionEndedError: it cannot be made.
            TooSlowError, WokenError: as `Watch.wait`.
        """

    def close(self) -> None:
        """Let go of what is not connected."""


class Passive:
    """A port of ours."""

    def __init__(self, local: str, peer: str, ports: tuple[int, int] | None) -> None:
        """Listen at the address *local* for *peer*, on one of *ports*.

        Raises:
            ReplyError: no port is free.
        """
        self._peer = peer
        family = socket.AF_INET6 if ":" in local else socket.AF_INET
        self._sock = _listen(family, local, ports)

    @property
    def port(self) -> int:
        """Where the client has to connect to."""
        port: int = self._sock.getsockname()[1]
        return port

    def connect(self, watch: Watch, seconds: float) -> socket.socket:
        """Accept the client; anybody else is turned away."""
        deadline = time.monotonic() + seconds
        while True:
            watch.wait(self._sock, READ, deadline - time.monotonic())
            try:
                sock, where = self._sock.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                raise ConnectionEndedError("the data connection was lost") from error
            if unmapped(where[0]) == self._peer:
                return sock
            sock.close()
            _log.warning("data_connection_refused", extra={"peer": self._peer, "from": where[0]})

    def close(self) -> None:
        """Stop listening."""
        self._sock.close()


class Active:
    """A port of the client."""

    def __init__(self, local: str, peer: str, address: str, port: int) -> None:
        """Mean *address* and *port*, from the address *local*.

        Raises:
            ReplyError: it is not the client's own address, or a port of a service.
        """
        if unmapped(address) != peer or port < _FIRST_UNPRIVILEGED:
            raise ReplyError(504, "data connections go to your own address alone, to a port above 1023; use EPSV")
        self._local = local
        self._where = (peer, port)

    def connect(self, watch: Watch, seconds: float) -> socket.socket:
        """Connect to the client."""
        sock = socket.socket(socket.AF_INET6 if ":" in self._where[0] else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.bind((self._local, 0))
            with contextlib.suppress(BlockingIOError):
                sock.connect(self._where)
            watch.wait(sock, WRITE, seconds)
            sock.getpeername()
        except OSError as error:
            sock.close()
            raise ConnectionEndedError("the data connection could not be made") from error
        except BaseException:
            sock.close()
            raise
        return sock

    def close(self) -> None:
        """There is nothing to let go of."""


def unmapped(address: str) -> str:
    """Return an IPv4 address that came in by an IPv6 socket (`::ffff:192.0.2.1`) as what it is."""
    plain = address.partition("%")[0]
    if plain.startswith("::ffff:") and "." in plain:
        return plain.removeprefix("::ffff:")
    return plain


def parse_port(text: str) -> tuple[str, int]:
    """Read `h1,h2,h3,h4,p1,p2` (RFC 959, section 4.1.2).

    Raises:
        ReplyError: it is none.
    """
    parts = text.strip().split(",")
    if len(parts) != 6 or not all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
        raise ReplyError(501, "PORT takes six numbers of a byte each: h1,h2,h3,h4,p1,p2")
    numbers = [int(part) for part in parts]
    return ".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5]


def parse_extended_port(text: str) -> tuple[str, int]:
    """Read `|1|address|port|` (RFC 2428, section 2).

    Raises:
        ReplyError: it is none.
    """
    parts = text.strip().split(text.strip()[:1] or "|")
    try:
        _, kind, address, number, _ = parts
        version = ipaddress.ip_address(address).version
        port = int(number)
    except ValueError:
        raise ReplyError(501, "EPRT takes |1|address|port| or |2|address|port|") from None
    if kind not in {"1", "2"} or (kind == "1") != (version == 4):
        raise ReplyError(522, "network protocol not supported, use (1,2)")
    if not 0 < port < 65536:
        raise ReplyError(501, "there is no such port")
    return address, port


def _listen(family: int, local: str, ports: tuple[int, int] | None) -> socket.socket:
    first, last = ports or (0, 0)
    tries = min(_TRIES, last - first + 1)
    for port in _RANDOM.sample(range(first, last + 1), tries):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((local, port))
            sock.listen(1)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                _log.warning("data_port_failed", extra={"reason": os.strerror(error.errno or 0)})
                break
        else:
            return sock
    raise ReplyError(425, "no port is free for a data connection; try again later")
