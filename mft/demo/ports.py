"""Ports of this machine: the usual ones if they are free, else any."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the servers of the demo listen."""

    sftp: Mapping[str, int]
    """By region."""
    https: Mapping[str, int]
    operations: int
    case_system: int


WISHED = Ports(
    sftp={"eu": 2222, "us": 2223, "ap": 2224},
    https={"eu": 8443, "us": 8444, "ap": 8445},
    operations=9464,
    case_system=8090,
)


def take_turn() -> BinaryIO:
    """Wait until no other demo of this user is between choosing its ports and listening on them.

    Close what comes back once the ports are in use. Where the lock cannot be made, nobody is waited for.
    """
    path = Path(tempfile.gettempdir()) / f"mft-demo-{os.getuid()}.lock"
    try:
        turn = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")
    except OSError:
        return Path(os.devnull).open("wb")
    fcntl.flock(turn, fcntl.LOCK_EX)
    return turn


def choose_ports(wished: Ports = WISHED) -> Ports:
    """Return free ports of `HOST`, those of *wished* where nobody listens there yet."""
    with contextlib.ExitStack() as held:

        def choose(port: int) -> int:
            return held.enter_context(_bound(port))

        return Ports(
            sftp={region: choose(port) for region, port in wished.sftp.items()},
            https={region: choose(port) for region, port in wished.https.items()},
            operations=choose(wished.operations),
            case_system=choose(wished.case_system),
        )


@contextlib.contextmanager
def _bound(wished: int) -> Iterator[int]:
    """Hold a port while inside, so that none is chosen twice."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, wished))
            sock.listen()  # a port that somebody listens on at every address can be bound, and not listened on
        except OSError:
            sock.close()
            with socket.socket() as other:
                other.bind((HOST, 0))
                yield int(other.getsockname()[1])
                return
        yield wished
