"""Every way in which a connection can end, over real sockets: only a real CLOSE makes a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import asyncssh
import paramiko
import pytest

from protocols.sftp.wire import MAX_DATA, Request, string, uint32, uint64
from tests.contracts.head import MEGABYTE, PATIENCE, until
from tests.protocols.sftp.rig import Rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from protocols.path import VirtualPath


@pytest.fixture
def client(rig: Rig) -> Iterator[paramiko.SFTPClient]:
    """A paramiko client of `alice`."""
    connected = rig.paramiko()
    yield connected
    connected.get_channel().get_transport().close()


def _begin(client: paramiko.SFTPClient, path: str = "/in/file") -> paramiko.SFTPFile:
    """Send the beginning of a file. It is kept on the client: paramiko sends a CLOSE for a file that is forgotten."""
    file = client.open(path, "wb")
    file.write(MEGABYTE)
    client.kept = file
    return file


def _assert_cut(rig: Rig, path: str = "/in/file") -> None:
    until(lambda: rig.tree.happened("aborted"))
    assert [where for where, _ in rig.tree.happened("aborted")] == [path]
    assert rig.tree.happened("landed") == []
    assert rig.tree.content(path) is None


def test_a_reset_connection_aborts(rig: Rig, client: paramiko.SFTPClient) -> None:
    """A TCP reset ends the upload as interrupted, with what came kept for a resume."""
    _begin(client)
    sock = client.get_channel().get_transport().sock
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    _assert_cut(rig)
    assert rig.tree.received("alice", "/in/file") == MEGABYTE
    until(lambda: rig.tree.happened("closed"))


def test_an_end_of_file_on_the_channel_without_close_aborts(rig: Rig, client: paramiko.SFTPClient) -> None:
    """SSH_MSG_CHANNEL_EOF says that no more comes, not that the file is whole."""
    _begin(client)
    channel = client.get_channel()
    channel.shutdown_write()
    assert channel.recv_exit_status() == 0
    _assert_cut(rig)


def test_a_closed_channel_aborts(rig: Rig, client: paramiko.SFTPClient) -> None:
    """SSH_MSG_CHANNEL_CLOSE is no SSH_FXP_CLOSE."""
    _begin(client)
    client.get_channel().close()
    _assert_cut(rig)


def test_a_disconnect_message_aborts(rig: Rig) -> None:
    """A polite SSH_MSG_DISCONNECT is no SSH_FXP_CLOSE either."""

    async def upload() -> None:
        async with _connected(rig) as connection:
            sftp = await connection.start_sftp_client()
            file = await sftp.open("/in/file", "wb")
            await file.write(MEGABYTE)
            connection.disconnect(asyncssh.DISC_BY_APPLICATION, "bye")

    asyncio.run(upload())
    _assert_cut(rig)


def test_kill_9_of_sftp_in_the_middle_aborts(rig: Rig) -> None:
    """The client's death leaves no file, and the session is closed."""
    with (rig.directory / "file").open("wb") as sparse:
        sparse.truncate(64 << 20)
    reached = threading.Event()

    def slow(operation: str, path: VirtualPath) -> None:
        if operation == "write" and len(rig.tree.partials) and (rig.tree.received("alice", "/in/file") or b""):
            reached.set()
            threading.Event().wait(0.005)

    rig.tree.before = slow
    process = subprocess.Popen(
        rig.sftp_command(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=rig.directory, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write(b"put file /in/file\n")
    process.stdin.close()
    assert reached.wait(PATIENCE)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _assert_cut(rig)
    until(lambda: rig.tree.happened("closed"))


def test_withdrawn_access_cuts_a_running_upload(rig: Rig, client: paramiko.SFTPClient) -> None:
    """The connection ends, the upload is aborted with the reason, the partial stays."""
    _begin(client)
    rig.accounts.revoke("alice", "case 4711 was closed")
    _assert_cut(rig)
    assert rig.tree.happened("aborted") == [("/in/file", "case 4711 was closed")]
    until(lambda: not client.get_channel().get_transport().is_active())
    until(lambda: rig.tree.happened("closed") == [("alice", "case 4711 was closed")])


def test_a_close_that_is_queued_when_access_is_withdrawn_does_not_land(rig: Rig, client: paramiko.SFTPClient) -> None:
    """Nothing that was not answered before the withdrawal is done after it."""
    file = _begin(client)
    entered, leave = threading.Event(), threading.Event()

    def block(operation: str, path: VirtualPath) -> None:
        if operation == "stat":
            entered.set()
            assert leave.wait(PATIENCE)

    rig.tree.before = block
    stat = threading.Thread(target=_ignore_the_end, args=(lambda: client.stat("/in"),))
    stat.start()
    assert entered.wait(PATIENCE)
    close = threading.Thread(target=_ignore_the_end, args=(file.close,))
    close.start()
    rig.accounts.revoke("alice")
    leave.set()
    _assert_cut(rig)
    stat.join()
    close.join()


def test_a_server_that_drains_lets_an_upload_end(rig: Rig, client: paramiko.SFTPClient) -> None:
    """New connections are refused, the running file lands, then the connection is closed."""
    file = _begin(client)
    draining = asyncio.run_coroutine_threadsafe(rig.server.drain(PATIENCE), rig.loop)
    until(lambda: _is_refused(rig.port))
    file.write(b"the rest")
    file.close()
    draining.result(PATIENCE)
    assert rig.tree.content("/in/file") == MEGABYTE + b"the rest"
    assert rig.tree.happened("closed") == [("alice", "disconnected")]
    assert rig.server.connections == 0


def test_a_server_that_drains_aborts_what_does_not_end(rig: Rig, client: paramiko.SFTPClient) -> None:
    """After the grace the rest is cut, and the client may resume elsewhere."""
    _begin(client)
    rig.run(rig.server.drain(0.05))
    _assert_cut(rig)
    assert rig.server.connections == 0


def test_a_drain_ends_idle_connections_at_once(rig: Rig, client: paramiko.SFTPClient) -> None:
    """Who has nothing open is not waited for."""
    client.listdir("/")
    rig.run(rig.server.drain(PATIENCE * 10))
    assert rig.server.connections == 0


def test_two_uploads_at_once_do_not_mix(rig: Rig) -> None:
    """Two connections and two channels of one, interleaved."""
    one, two = rig.paramiko(), rig.paramiko("bob")
    channel = one.get_channel().get_transport().open_session()
    channel.invoke_subsystem("sftp")
    three = paramiko.SFTPClient(channel)
    files = [client.open(f"/in/{name}", "wb") for client, name in ((one, "1"), (two, "2"), (three, "3"))]
    for turn in range(10):
        for number, file in enumerate(files):
            file.write(bytes((number,)) * 30_000 + bytes((turn,)))
    for file in files:
        file.close()
    for number in range(3):
        wanted = b"".join(bytes((number,)) * 30_000 + bytes((turn,)) for turn in range(10))
        assert rig.tree.content(f"/in/{number + 1}") == wanted
    for client in (one, two):
        client.get_channel().get_transport().close()


@pytest.mark.parametrize("at_once", [0, 64 << 20])
def test_a_client_that_does_not_read_is_held_back(rig: Rig, at_once: int) -> None:
    """Replies wait in the core, not in the server's memory: reads stop while the socket is full."""
    rig.tree.add("/in/big", bytes(64 << 20))
    rig.tree.at_once = at_once
    reads = 0

    def count(operation: str, path: VirtualPath) -> None:
        nonlocal reads
        reads += operation == "read"

    rig.tree.before = count

    async def ask_and_not_read() -> int:
        async with _connected(rig) as connection:
            writer, reader, _ = await connection.open_session(subsystem="sftp", encoding=None, window=1 << 30)
            writer.write(string(bytes((Request.INIT,)) + uint32(3)))
            writer.write(string(bytes((Request.OPEN,)) + uint32(1) + string(b"/in/big") + uint32(1) + uint32(0)))
            await reader.read(1)
            connection._transport.pause_reading()
            for number in range(1024):
                where = uint64(number * MAX_DATA % (64 << 20)) + uint32(MAX_DATA)
                writer.write(string(bytes((Request.READ,)) + uint32(2) + string(uint32(0)) + where))
            last = 0
            while last == 0 or last != reads:
                last = reads
                await asyncio.sleep(0.3)
            connection.abort()
            return last

    assert 0 < asyncio.run(ask_and_not_read()) < 200


def test_an_idle_connection_is_ended(tmp_path: Path) -> None:
    """Who asks nothing for the idle time-out is disconnected."""
    rig = Rig(tmp_path, idle_timeout=0.2)
    try:
        client = rig.paramiko()
        until(lambda: not client.get_channel().get_transport().is_active())
        until(lambda: rig.server.connections == 0)
    finally:
        rig.stop()


@contextlib.asynccontextmanager
async def _connected(rig: Rig) -> AsyncIterator[asyncssh.SSHClientConnection]:
    client_options = asyncssh.SSHClientConnectionOptions(known_hosts=None, client_keys=[str(rig.key)], username="alice")
    async with asyncssh.connect("127.0.0.1", rig.port, config=None, options=client_options) as connection:
        yield connection


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


def _ignore_the_end(call: Callable[[], object]) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        call()
