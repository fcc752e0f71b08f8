"""Turns that grow shorter the more channels are busy."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import paramiko

from protocols.sftp.turns import TURN_BYTES, Turns
from protocols.sftp.wire import MAX_DATA, OpenFlag, Request, string, uint32, uint64
from tests.contracts.head import PATIENCE
from tests.protocols.sftp.test_requests import Client

if TYPE_CHECKING:
    from tests.protocols.sftp.rig import Rig


def test_busy_channels_share_one_turn() -> None:
    """Who is noted twice counts once, and who has nothing more to do does not count."""
    turns = Turns()
    assert turns.most == TURN_BYTES
    for channel in ("a", "b", "c", "d", "a"):
        turns.note(channel, busy=True)
    assert turns.most == TURN_BYTES // 4
    for channel in ("a", "b", "c", "d", "d"):
        turns.note(channel, busy=False)
    assert turns.most == TURN_BYTES


def test_a_short_turn_ends_after_one_reply() -> None:
    """The rest of the requests waits until the others had theirs."""
    client = Client()
    client.tree.add("/in/f", bytes(8 * MAX_DATA))
    handle = client.open("/in/f", OpenFlag.READ)
    client.tree.at_once = 8 * MAX_DATA
    read = bytes((Request.READ,)) + uint32(1) + string(handle) + uint64(0) + uint32(MAX_DATA)
    for most, left in ((1 << 20, 3), (1 << 18, 6), (1, 7)):
        batch: deque[Any] = deque(bytearray(read) for _ in range(8))
        assert client.requests.answer_at_once(batch, lambda _size: True, lambda _pieces: None, most=most)
        assert len(batch) == left


def test_replies_go_out_in_the_order_of_their_requests(rig: Rig) -> None:
    """What is answered on the loop waits for what a thread answered before it: paramiko loses other replies."""
    rig.tree.at_once = 2 * MAX_DATA
    came, go_on = threading.Event(), threading.Event()

    def before(operation: str, _path: object) -> None:
        if operation == "write" and not came.is_set():
            came.set()
            assert go_on.wait(PATIENCE)

    rig.tree.before = before
    with contextlib.closing(rig.transport()) as transport:
        channel = transport.open_session()
        channel.settimeout(PATIENCE)
        channel.invoke_subsystem("sftp")
        client = paramiko.SFTPClient(channel)
        with client.open("/in/f", "wb") as file:
            first, second = (
                bytes((Request.WRITE,)) + uint32(number) + string(file.handle) + uint64(offset) + string(b"some")
                for number, offset in ((1001, 8 * MAX_DATA), (1002, 0))
            )
            channel.sendall(string(first))
            assert came.wait(PATIENCE)
            channel.sendall(string(second))
            client.get_channel().transport.global_request("keepalive@example", wait=True)  # the second has come
            go_on.set()
            replies = [client._read_packet()[1] for _ in range(2)]
    assert [int.from_bytes(reply[:4], "big") for reply in replies] == [1001, 1002]
