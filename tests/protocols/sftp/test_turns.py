"""Turns that grow shorter the more channels are busy."""

from __future__ import annotations

from collections import deque
from typing import Any

from protocols.sftp.turns import TURN_BYTES, Turns
from protocols.sftp.wire import MAX_DATA, OpenFlag, Request, string, uint32, uint64
from tests.protocols.sftp.test_requests import Client


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
