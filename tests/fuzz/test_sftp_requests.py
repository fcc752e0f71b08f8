"""SFTP requests that no client should send: one reply each, on the loop as on a thread, and nothing that stays behind.

`make fuzz` runs the same with many more examples and fresh ones each time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.session import Origin, Session
from protocols.sftp import handles
from protocols.sftp.extensions import VERSIONS
from protocols.sftp.requests import Requests
from protocols.sftp.settings import SilentObserver
from protocols.sftp.turns import TURN_BYTES
from protocols.sftp.wire import (
    MAX_DATA,
    MAX_PACKET,
    Assembler,
    BrokenStreamError,
    Fields,
    OpenFlag,
    Reply,
    Request,
    Status,
    string,
    uint32,
    uint64,
)
from tests.protocols import memory
from tests.protocols.memory import MemoryFileSystem, MemoryTree

if TYPE_CHECKING:
    from collections.abc import Iterator

HANDLES = 4
FUZZING = settings.default is not None and settings.default.max_examples > 1000
OPENS = 100_000 if FUZZING else 20_000
ORIGIN = Origin(protocol="sftp", peer="192.0.2.1", region="eu")
REPORT = bytes(range(256)) * 40
GREETING = uint32(5) + bytes((Request.INIT,)) + uint32(3)


@pytest.fixture(autouse=True, scope="module")
def _clock() -> Iterator[None]:
    """Let time stand still: two sessions are compared to the byte."""
    still = SimpleNamespace(time=lambda: 1_790_000_000.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handles, "time", still)
        patch.setattr(memory, "time", still)
        yield


@dataclass
class Channel:
    """One channel of a server without a socket; with *at_once* it answers on the loop what it can."""

    at_once: int
    tree: MemoryTree = field(init=False)
    replies: list[bytes] = field(default_factory=list)
    is_broken: bool = False

    def __post_init__(self) -> None:
        self.tree = MemoryTree("/in", "/out")
        self.tree.add("/out/report", REPORT)
        self.tree.at_once = self.at_once
        session = Session(
            session_id="s-1",
            login="alice",
            origin=ORIGIN,
            started=datetime(2026, 11, 1, tzinfo=UTC),
            filesystem=MemoryFileSystem(self.tree, "alice"),
            on_close=lambda reason: None,
        )
        self.requests = Requests(session, SilentObserver(), max_handles=HANDLES)
        self._assembler = Assembler()

    def feed(self, data: bytes) -> None:
        """Take what a client sent, as a channel does."""
        if self.is_broken:
            return
        try:
            queue: deque[Any] = deque(bytearray(each) for each in self._assembler.feed(data))
            while queue:
                at_once = self.at_once and self.requests.answer_at_once(queue, lambda _size: True, self._take)
                if queue and not at_once:
                    self.replies += self.requests.answer(queue)
        except BrokenStreamError:
            self.is_broken = True

    def _take(self, pieces: Any) -> None:
        self.replies.append(b"".join(bytes(piece) for piece in pieces))

    def stream(self) -> bytes:
        """Return all that was answered."""
        return b"".join(self.replies)


OFFSETS = st.sampled_from(
    [
        0,
        1,
        100,
        len(REPORT) - 1,
        len(REPORT),
        MAX_DATA,
        1 << 31,
        (1 << 32) - 1,
        1 << 32,
        (1 << 63) - 1,
        1 << 63,
        (1 << 64) - 1,
    ]
)
LENGTHS = st.sampled_from([0, 1, 4096, MAX_DATA, MAX_DATA + 1, MAX_PACKET, (1 << 31) - 1, (1 << 32) - 1])
HANDLE = st.one_of(
    st.integers(0, HANDLES + 1).map(uint32),  # those that are given out, and some that are not
    st.sampled_from([b"", b"\0", uint32(1 << 31), uint32(0) + b"\0", bytes(256), b"/in/a"]),
)
PATHS = st.sampled_from(
    [
        b"/in/a",
        b"/in/b",
        b"/out/report",
        b"/in",
        b"/",
        b"",
        b".",
        b"..",
        b"/in/../out/report",
        b"in//a",
        b"/in/a/b",
        b"/in/\x00",
        b"/in/\xff",
        b"/in/" + b"n" * 256,
        b"/" * 5000,
        b"/in/a\\b",
        "/in/é".encode(),
        b"/none/x",
    ]
)
DATA = st.one_of(st.binary(max_size=40), st.sampled_from([b"x" * 4096, b"y" * MAX_DATA]))
ATTRIBUTES = st.one_of(
    st.just(uint32(0)),
    st.builds(lambda size: uint32(1) + uint64(size), OFFSETS),
    st.builds(lambda at: uint32(8) + uint32(at) + uint32(at), st.integers(0, (1 << 32) - 1)),
    st.builds(lambda count: uint32(0x80000000) + uint32(count), st.sampled_from([0, 1, 2, (1 << 32) - 1])),
    st.binary(max_size=12),
)
EXTENSION = st.sampled_from([*VERSIONS, b"", b"none@example.com", b"limits@openssh.com\0"])
STRING = st.one_of(HANDLE, PATHS, st.sampled_from([b"md5", b"sha256,md5", b"alice"]))


def packet(kind: int, *fields: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[int, bytes]]:
    """Build requests of *kind* without their ids."""
    return st.tuples(st.just(kind), st.tuples(*fields).map(b"".join))


WELL_FORMED = st.one_of(
    packet(Request.OPEN, PATHS.map(string), st.integers(0, 0x7F).map(uint32), ATTRIBUTES),
    packet(Request.OPEN, st.just(string(b"/in/a")), st.sampled_from([0x1A, 0x0A, 0x0E]).map(uint32), st.just(bytes(4))),
    packet(Request.OPEN, st.just(string(b"/out/report")), st.just(uint32(OpenFlag.READ)), st.just(bytes(4))),
    packet(Request.CLOSE, HANDLE.map(string)),
    packet(Request.READ, HANDLE.map(string), OFFSETS.map(uint64), LENGTHS.map(uint32)),
    packet(Request.WRITE, HANDLE.map(string), OFFSETS.map(uint64), DATA.map(string)),
    packet(Request.WRITE, HANDLE.map(string), st.integers(0, 64).map(uint64), DATA.map(string)),
    *(packet(kind, PATHS.map(string)) for kind in (Request.LSTAT, Request.STAT, Request.OPENDIR, Request.REMOVE)),
    *(packet(kind, PATHS.map(string)) for kind in (Request.RMDIR, Request.REALPATH, Request.READLINK)),
    packet(Request.MKDIR, PATHS.map(string), ATTRIBUTES),
    packet(Request.SETSTAT, PATHS.map(string), ATTRIBUTES),
    packet(Request.FSETSTAT, HANDLE.map(string), ATTRIBUTES),
    packet(Request.FSTAT, HANDLE.map(string)),
    packet(Request.READDIR, HANDLE.map(string)),
    *(packet(kind, PATHS.map(string), PATHS.map(string)) for kind in (Request.RENAME, Request.SYMLINK)),
    packet(Request.EXTENDED, EXTENSION.map(string), STRING.map(string), STRING.map(string), OFFSETS.map(uint64)),
    packet(
        Request.EXTENDED,
        st.just(string(b"copy-data")),
        *(HANDLE.map(string), OFFSETS.map(uint64), st.integers(0, 20_000).map(uint64)),
        *(HANDLE.map(string), st.integers(0, 64).map(uint64)),
    ),
)
"""Requests whose fields are all there, whatever they say."""


def _cut(request: tuple[int, bytes], at: int) -> tuple[int, bytes]:
    return request[0], request[1][: at % (len(request[1]) + 1)]


def _flip(request: tuple[int, bytes], at: int, bit: int) -> tuple[int, bytes]:
    body = bytearray(request[1])
    if body:
        body[at % len(body)] ^= 1 << bit
    return request[0], bytes(body)


REQUESTS = st.one_of(
    WELL_FORMED,
    WELL_FORMED,
    WELL_FORMED,
    st.builds(_cut, WELL_FORMED, st.integers(0, 400)),
    st.builds(_flip, WELL_FORMED, st.integers(0, 400), st.integers(0, 7)),
    st.tuples(st.integers(2, 255), st.binary(max_size=30)),
)


def encoded(requests: list[tuple[int, bytes]]) -> bytes:
    """Give the requests ids, and join them."""
    return b"".join(
        uint32(5 + len(body)) + bytes((kind,)) + uint32(number) + body for number, (kind, body) in enumerate(requests)
    )


def replies_of(stream: bytes) -> list[memoryview | bytearray]:
    """Cut what was answered into replies."""
    return Assembler().feed(stream)


@given(requests=st.lists(REQUESTS, max_size=14), cuts=st.lists(st.integers(1, 70_000), min_size=1, max_size=6))
def test_each_request_has_one_reply_on_the_loop_as_on_a_thread(
    requests: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """In order, by its id, of bounded size, the same by either way; the end leaves nothing open."""
    sent = encoded(requests)
    on_thread, on_loop = Channel(at_once=0), Channel(at_once=1 << 40)
    for channel in (on_thread, on_loop):
        channel.feed(GREETING)
        at, turn = 0, 0
        while at < len(sent):
            size = cuts[turn % len(cuts)]
            channel.feed(sent[at : at + size])
            at, turn = at + size, turn + 1
    assert on_loop.stream() == on_thread.stream()
    assert not on_thread.is_broken
    greeting, *replies = replies_of(on_thread.stream())
    assert greeting[0] == Reply.VERSION
    assert [int.from_bytes(reply[1:5], "big") for reply in replies] == list(range(len(requests)))
    for reply in replies:
        assert reply[0] in set(Reply)
        assert len(reply) <= MAX_PACKET
        assert b"internal error" not in bytes(reply[:200])
    for channel in (on_thread, on_loop):
        channel.requests.abandon("the end")
        assert channel.requests.is_idle
    assert on_loop.tree.events == on_thread.tree.events


@given(stream=st.binary(max_size=60), cut=st.integers(0, 60))
def test_no_stream_takes_more_than_one_packet_of_memory(stream: bytes, cut: int) -> None:
    """What is no SFTP is said to be none, at the first length that cannot be; until then it waits for the rest."""
    channel = Channel(at_once=0)
    channel.feed(stream[:cut])
    channel.feed(stream[cut:])
    channel.requests.abandon("the end")
    length = int.from_bytes(stream[:4], "big")
    if len(stream) >= 4 and not 0 < length <= MAX_PACKET:
        assert channel.is_broken
    assert channel.requests.is_idle


def test_opens_without_end_are_answered_and_hold_no_more_than_may_be_open() -> None:
    """All but the first few are refused with a reason, and touch nothing; the channel goes on."""
    channel = Channel(at_once=0)
    channel.feed(GREETING)
    opening = [(int(Request.OPEN), string(b"/out/report") + uint32(OpenFlag.READ) + uint32(0))]
    opened = refused = 0
    for _ in range(OPENS // 1000):
        channel.replies.clear()
        channel.feed(encoded(opening * 1000))
        for reply in replies_of(channel.stream()):
            if reply[0] == Reply.HANDLE:
                opened += 1
                continue
            fields = Fields(reply, 5)
            assert fields.uint32() == Status.FAILURE
            assert b"files are open already; close one" in fields.string()
            refused += 1
    assert (opened, refused) == (HANDLES, OPENS - HANDLES)
    channel.replies.clear()
    channel.feed(encoded([(int(Request.CLOSE), string(uint32(0))), *opening]))
    assert [reply[0] for reply in replies_of(channel.stream())] == [Reply.STATUS, Reply.HANDLE]


def test_a_turn_of_replies_is_bounded_whatever_is_asked() -> None:
    """A thousand reads of four gigabytes give what there is of each, a turn at a time."""
    channel = Channel(at_once=0)
    channel.tree.add("/out/big", bytes(3 * MAX_DATA))
    channel.feed(GREETING)
    channel.feed(encoded([(int(Request.OPEN), string(b"/out/big") + uint32(OpenFlag.READ) + uint32(0))]))
    read = bytes((Request.READ,)) + uint32(7) + string(uint32(0)) + uint64(0) + uint32((1 << 32) - 1)
    queue: deque[Any] = deque(bytearray(read) for _ in range(1000))
    turns = 0
    while queue:
        replies = channel.requests.answer(queue)
        assert max(map(len, replies)) <= MAX_PACKET
        assert sum(map(len, replies)) <= TURN_BYTES + MAX_PACKET
        turns += 1
    assert turns > 100
