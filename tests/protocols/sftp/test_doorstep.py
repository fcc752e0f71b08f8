"""Who waits for a login, and who goes where too many do."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from protocols.doorstep import Doorstep
from tests.contracts.head import PASSWORD, PATIENCE, until
from tests.protocols.sftp.rig import Rig

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(eq=False)
class Visitor:
    """One of whom only its silence matters."""

    name: str
    is_silent: bool = True


def test_longest_silent_one_goes_for_the_newest() -> None:
    """Who has exchanged keys stays as long as somebody has not."""
    doorstep: Doorstep[Visitor] = Doorstep(most=3, most_of_one=3)
    talks, silent, later = Visitor("talks", is_silent=False), Visitor("silent"), Visitor("later")
    for visitor in (talks, silent, later):
        assert doorstep.admit(visitor, "192.0.2.1") is None
    assert doorstep.admit(Visitor("newest"), "192.0.2.1") is silent
    assert silent not in doorstep
    assert len(doorstep) == 3


def test_oldest_goes_where_all_have_exchanged_keys() -> None:
    """Somebody has to."""
    doorstep: Doorstep[Visitor] = Doorstep(most=2, most_of_one=2)
    first, second = Visitor("first", is_silent=False), Visitor("second", is_silent=False)
    doorstep.admit(first, "192.0.2.1")
    doorstep.admit(second, "192.0.2.1")
    assert doorstep.admit(Visitor("third"), "192.0.2.1") is first


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, *, same: bool) -> None:
    """An IPv6 subscriber has a network; what is no address counts as itself."""
    doorstep: Doorstep[Visitor] = Doorstep(most=10, most_of_one=1)
    first = Visitor("first")
    doorstep.admit(first, one)
    assert (doorstep.admit(Visitor("second"), other) is first) is same


def test_room_is_for_all_addresses_together_too() -> None:
    """Many addresses shut nobody out either; who leaves makes room, and leaves once."""
    doorstep: Doorstep[Visitor] = Doorstep(most=2, most_of_one=2)
    first = Visitor("first")
    doorstep.admit(first, "192.0.2.1")
    second = Visitor("second")
    doorstep.admit(second, "192.0.2.2")
    doorstep.leave(second)
    doorstep.leave(second)
    assert doorstep.admit(Visitor("third"), "192.0.2.3") is None
    assert doorstep.admit(Visitor("fourth"), "192.0.2.4") is first


def test_silent_connections_shut_nobody_out(tmp_path: Path) -> None:
    """Ten wait and say nothing, three have room: the next one logs in, and the oldest were let go."""
    rig = Rig(tmp_path, max_unauthenticated_of_one=3)
    waiting = []
    try:
        for _ in range(10):
            waiting.append(socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE))
            assert waiting[-1].recv(4) == b"SSH-"
        transport = rig.transport(password=PASSWORD)
        assert transport.is_authenticated()
        for sock in waiting[:7]:
            while sock.recv(4096):
                pass
        until(lambda: rig.server.connections <= 4)
        transport.close()
    finally:
        for sock in waiting:
            sock.close()
        rig.stop()


def test_who_has_logged_in_waits_no_more(tmp_path: Path) -> None:
    """However many come after it, a session stays."""
    rig = Rig(tmp_path, max_unauthenticated=2)
    waiting = []
    try:
        client = rig.paramiko()
        for _ in range(6):
            waiting.append(socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE))
            assert waiting[-1].recv(4) == b"SSH-"
        assert client.listdir("/") == ["in", "out"]
        client.close()
    finally:
        for sock in waiting:
            sock.close()
        rig.stop()
