"""SSH packets that no client should send: the short way of bulk data answers them as asyncssh alone does.

Two servers get the same, one of them without the short way. `make fuzz` runs it with many more examples.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32
from hypothesis import settings

from protocols.sftp import connection, handles
from protocols.sftp.wire import MAX_DATA, Assembler, OpenFlag, Request, string, uint32, uint64
from tests.contracts.head import PATIENCE, until
from tests.protocols import memory
from tests.protocols.sftp.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

FUZZING = settings.default is not None and settings.default.max_examples > 1000
EXAMPLES = 1500 if FUZZING else 30
CIPHER = "aes128-gcm@openssh.com"
WINDOW = 256 * 1024
IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, EXT_INFO, KEXINIT, NEWKEYS = 2, 3, 4, 5, 7, 20, 21
GLOBAL, OPEN, ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST, SUCCESS = 80, 90, 93, 94, 95, 96, 97, 98, 99
IN = string(b"/in/wire")


def _short(body: bytes) -> str:
    return repr(body) if len(body) < 100 else f"{body[:30]!r} and {len(body) - 30} more"


@dataclass(frozen=True)
class Sftp:
    """SFTP requests, in channel packets of *cut* bytes."""

    requests: tuple[tuple[int, bytes], ...]
    cut: int

    def __repr__(self) -> str:
        return f"Sftp([{', '.join(f'({kind}, {_short(body)})' for kind, body in self.requests)}], {self.cut})"


@dataclass(frozen=True)
class Packet:
    """One packet of SSH; the channel's number goes before *body* where it is *addressed*."""

    kind: int
    body: bytes
    addressed: bool = True

    def __repr__(self) -> str:
        return f"Packet({self.kind}, {_short(self.body)}, {self.addressed})"


@dataclass(frozen=True)
class Raw:
    """Bytes that were not sealed."""

    content: bytes


@dataclass(frozen=True)
class NewKeys:
    """An exchange of keys, in the middle of whatever it is."""


@dataclass(frozen=True)
class Gone:
    """The end of the connection without a word, after *content* of one more packet."""

    content: bytes


Step: TypeAlias = "Sftp | Packet | Raw | NewKeys | Gone"
OTHERS = (
    (int(Request.OPEN), IN + uint32(OpenFlag.WRITE | OpenFlag.CREAT | OpenFlag.TRUNC) + uint32(0)),
    (int(Request.OPEN), string(b"/out/report.txt") + uint32(OpenFlag.READ) + uint32(0)),
    (int(Request.READ), string(uint32(1)) + uint64(0) + uint32(MAX_DATA)),
    (int(Request.READ), string(uint32(1)) + uint64((1 << 64) - 1) + uint32((1 << 32) - 1)),
    (int(Request.WRITE), string(uint32(0)) + uint64(1 << 63) + string(b"x")),
    (int(Request.WRITE), string(uint32(0)) + uint64(0) + uint32((1 << 32) - 1) + b"x"),
    (int(Request.CLOSE), string(uint32(0))),
    (int(Request.STAT), IN),
    (255, b""),
)
COUNTS = (0, 1, 5, 32_768, (1 << 31) - 1, (1 << 32) - 1)


def sftp(chance: Random) -> Sftp:
    """Return requests that a client might send, and some that none should."""
    requests = [OTHERS[0], OTHERS[1]] if chance.random() < 0.5 else []
    for _ in range(chance.randint(1, 6)):
        if chance.random() < 0.5:
            size = chance.choice((1, 700, 33_000, 200_000))
            body = string(uint32(0)) + uint64(chance.randint(0, 3000)) + string(bytes(size))
            requests.append((int(Request.WRITE), body))
        else:
            requests.append(chance.choice(OTHERS))
    return Sftp(tuple(requests), chance.choice((1 << 15, 1 << 16, 4097, 100)))


def odd_data(chance: Random) -> Packet:
    """Return data whose length is another than it says, too long for a packet, or for a channel that is not there."""
    count, number = chance.choice(COUNTS), chance.choice((7, (1 << 32) - 1))
    return chance.choice(
        (
            Packet(DATA, uint32(count) + chance.choice((b"", bytes(2), bytes(9)))),
            Packet(DATA, string(bytes(chance.choice((66_000, 300_000))))),
            Packet(DATA, uint32(number) + string(b"x"), addressed=False),
            Packet(EXTENDED, uint32(1) + uint32(count) + b"x"),
        )
    )


def request(chance: Random) -> Packet:
    """Return a request about the channel."""
    kind = chance.choice((b"exec", b"subsystem", b"shell", b"pty-req", b"env", b"signal", b"none@example.com", b"\xff"))
    rest = chance.choice((b"", b"\0\0", String(b"sftp"), UInt32((1 << 32) - 1)))
    return Packet(REQUEST, String(kind) + Boolean(chance.random() < 0.5) + rest)


def harmless(chance: Random) -> Step:
    """Return what may come between any two packets."""
    return chance.choice(
        (
            Packet(IGNORE, String(chance.randbytes(chance.randint(0, 40))), addressed=False),
            Packet(DEBUG, Boolean(value=False) + String(b"x") + String(b"en"), addressed=False),
            Packet(chance.randint(192, 255), b"?", addressed=False),
            NewKeys(),
            NewKeys(),
        )
    )


def hostile(chance: Random) -> Step:
    """Return what no client has a reason to send."""
    kinds = (SERVICE_REQUEST, 6, EXT_INFO, NEWKEYS, 30, 31, 50, 52, 61, GLOBAL, 81, OPEN, SUCCESS, 100, 0)
    return chance.choice(
        (
            odd_data(chance),
            odd_data(chance),
            request(chance),
            request(chance),
            Packet(ADJUST, uint32(chance.choice(COUNTS))),
            Packet(
                chance.choice((DATA, ADJUST, EXTENDED, EOF, CLOSE, REQUEST)), chance.randbytes(chance.randint(0, 3))
            ),
            Packet(chance.choice((EOF, CLOSE)), b""),
            Packet(chance.choice(kinds), chance.randbytes(chance.randint(0, 24)), addressed=False),
            Raw(chance.randbytes(chance.randint(1, 40))),
            Gone(chance.randbytes(chance.randint(0, 30))),
        )
    )


def script(seed: int) -> list[Step]:
    """Return what a client sends, the same for the same *seed*."""
    chance = Random(seed)
    makers = (sftp, sftp, sftp, harmless, harmless, hostile, hostile)
    return [sftp(chance), *(chance.choice(makers)(chance) for _ in range(chance.randint(1, 7)))]


@pytest.fixture(scope="module")
def rigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Rig]]:
    """Return a server with the short way and one without."""
    directory = tmp_path_factory.mktemp("wire")
    quick, plain = (Rig(directory, window=WINDOW) for _ in range(2))
    really = connection.has_connection_names
    still = SimpleNamespace(time=lambda: 1_790_000_000.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handles, "time", still)
        patch.setattr(memory, "time", still)
        patch.setattr(connection, "has_connection_names", lambda conn: conn._loop is not plain.loop and really(conn))
        for rig in (quick, plain):
            rig.tree.at_once = 150_000
        yield quick, plain
        for rig in (quick, plain):
            rig.stop()


@dataclass
class Seen:
    """What a client saw of one server."""

    replies: frozenset[bytes] = frozenset()
    """Whole ones, with their ids: those that wait for a thread may be overtaken (draft-ietf-secsh-filexfer-02, 6.1)."""
    has_ended: bool = False
    files: dict[str, int] = field(default_factory=dict)
    code: int | None = field(default=None, compare=False)
    """Of the server's farewell; None where a reset overtook it, for it had not read all yet."""
    words: str = field(default="", compare=False)


class Ear(asyncssh.SSHClientSession[bytes]):
    """Takes what the server answers."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.came = asyncio.Event()
        self.ended = asyncio.Event()

    def data_received(self, data: bytes, datatype: Any) -> None:
        self.data += data
        self.came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self.came.set()

    def replies(self) -> list[bytes]:
        """Return the whole replies that came."""
        return [bytes(each) for each in Assembler().feed(bytes(self.data))]


class Client(asyncssh.SSHClient):
    """Notes how its connection ended."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(exc)


async def play(rig: Rig, steps: list[Step], window: int = WINDOW) -> Seen:  # noqa: C901 - a table of steps
    """Send *steps* to a server, each once all before it was answered; then see whether it goes on.

    The client takes *window* bytes before it has to be asked for more.
    """
    conn, client = await asyncssh.create_connection(
        Client, "127.0.0.1", rig.port, username="alice", client_keys=[str(rig.key)], known_hosts=None, agent_path=None,
        encryption_algs=[CIPHER], kex_algs=["curve25519-sha256"], config=None,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        chan, ear = await conn.create_session(Ear, subsystem="sftp", encoding=None, window=window)
        number, asked = 0, 1
        chan.write(uint32(5) + bytes((Request.INIT,)) + uint32(3))
        await _answered(ear, client, asked)
        for step in [*steps, Sftp(((int(Request.REALPATH), string(b"x")),), 100)]:
            if client.lost.done() or ear.ended.is_set():
                break
            match step:
                case Sftp(requests=requests, cut=cut):
                    sent = b""
                    for kind, body in requests:
                        sent += uint32(5 + len(body)) + bytes((kind,)) + uint32(number) + body
                        number += 1
                    asked += len(requests)
                    for start in range(0, len(sent), cut):
                        chan.write(sent[start : start + cut])
                    await _answered(ear, client, asked)
                case Packet(kind=kind, body=body, addressed=addressed):
                    conn.send_packet(kind, uint32(chan._send_chan) + body if addressed else body)
                    await _heard(conn, client, ear)
                    if kind in {EOF, CLOSE} and addressed:
                        await _first_of(ear.ended.wait(), client.lost)
                        break
                case Raw(content=content):
                    _write(conn, content + bytes(40))
                    break
                case NewKeys():
                    if conn._kex_complete and not conn._kexinit_sent:
                        conn._send_kexinit()
                        conn._kexinit_sent = True
                case Gone(content=content):
                    _write(conn, content)
                    if conn._transport is not None:
                        conn._transport.abort()
                    break
        seen = Seen(replies=frozenset(ear.replies()))
        if client.lost.done() or (steps and isinstance(steps[-1], Raw)):
            _write(conn, bytes(80_000))  # the rest of whatever length it said
            error = await client.lost
            seen.words = str(error or "")
            seen.code = None if isinstance(error, asyncssh.ConnectionLost) else getattr(error, "code", None)
        seen.has_ended = client.lost.done() or ear.ended.is_set()
        conn.abort()
        await conn.wait_closed()
    until(lambda: rig.server.connections == 0)
    seen.files = {"/".join(parts): len(file.content) for parts, file in rig.tree.files.items()}
    rig.tree.files.pop(("in", "wire"), None)
    rig.tree.partials.clear()
    return seen


def _write(conn: Any, content: bytes) -> None:
    if conn._transport is not None and not conn._transport.is_closing():
        conn._transport.write(content)


async def _answered(ear: Ear, client: Client, count: int) -> None:
    """Wait until *count* replies came, or none can come any more."""
    while len(ear.replies()) < count and not ear.ended.is_set() and not client.lost.done():
        ear.came.clear()
        await _first_of(ear.came.wait(), client.lost)


async def _heard(conn: Any, client: Client, ear: Ear) -> None:
    """Wait until the server has seen what was sent: it answers a request that nobody knows, or ends it all."""
    if conn._kex_complete and not client.lost.done() and not ear.ended.is_set():
        await _first_of(conn._make_global_request(b"seen@example.com"), client.lost)


async def _first_of(call: Coroutine[Any, Any, Any], lost: asyncio.Future[Any]) -> None:
    """Wait until *call* has returned, or the connection is lost."""
    task = asyncio.ensure_future(call)
    await asyncio.wait([task, lost], return_when="FIRST_COMPLETED")
    task.cancel()


@pytest.mark.parametrize("first", range(0, EXAMPLES, 10))
def test_short_way_answers_as_asyncssh_does(rigs: tuple[Rig, Rig], first: int) -> None:
    """The same replies, the same end of the connection for the same reason, the same files; nobody is stuck."""
    for number in range(first, first + 10):
        seed = secrets.randbits(64) if FUZZING else number
        steps = script(seed)
        window = (1 << 24, 70_000, 3_000)[seed % 3]
        quick, plain = (asyncio.run(play(rig, steps, window)) for rig in rigs)
        assert quick == plain, (seed, steps)
        assert quick.code == plain.code or None in {quick.code, plain.code}, (seed, steps)
        assert "Traceback" not in quick.words
        assert "Uncaught" not in quick.words


def test_nothing_unexpected_was_logged(rigs: tuple[Rig, Rig], caplog: pytest.LogCaptureFixture) -> None:
    """What is malformed is the client's fault, and no error of ours."""
    steps: list[Step] = [Packet(REQUEST, b""), Packet(DATA, b"\0"), Packet(ADJUST, b""), Packet(OPEN, b"\0", False)]
    with caplog.at_level(logging.WARNING):
        for step in steps:
            for rig in rigs:
                asyncio.run(play(rig, [step]))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
