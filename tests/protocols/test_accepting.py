"""`protocols.accepting`: connections are taken by turns."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket

import pytest

from protocols import accepting

WAITING = 8


@pytest.fixture
def entrance():
    """A listening socket with connections that wait to be taken."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=WAITING))
        sock.setblocking(False)
        for _ in range(WAITING):
            stack.enter_context(socket.create_connection(sock.getsockname()))
        yield sock


def test_two_who_share_a_socket_take_as_many_each(entrance):
    """Of a burst nobody takes all: before each connection whoever else is ready has a turn."""

    async def burst() -> tuple[int, int]:
        one: list[socket.socket] = []
        other: list[socket.socket] = []
        all_taken = asyncio.Event()

        async def take(taken: list[socket.socket]) -> None:
            while True:
                taken.append(await accepting.accept(entrance))
                if len(one) + len(other) == WAITING:
                    all_taken.set()

        takers = [asyncio.create_task(take(one)), asyncio.create_task(take(other))]
        await all_taken.wait()
        for taker in takers:
            taker.cancel()
        await asyncio.gather(*takers, return_exceptions=True)
        for client in (*one, *other):
            assert not client.getblocking()
            client.close()
        return len(one), len(other)

    assert asyncio.run(burst()) == (WAITING / 2, WAITING / 2)


def test_without_descriptors_it_waits_and_goes_on(entrance, monkeypatch, caplog):
    """What cannot be taken for want of descriptors is taken once there are some; what is gone is passed over."""
    monkeypatch.setattr(accepting, "PAUSE", 0.01)
    failures = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ECONNABORTED, "gone")]

    async def attempt() -> socket.socket:
        loop = asyncio.get_running_loop()
        proper = loop.sock_accept

        async def fail_first(sock: socket.socket) -> tuple[socket.socket, object]:
            if failures:
                raise failures.pop(0)
            return await proper(sock)

        monkeypatch.setattr(loop, "sock_accept", fail_first)
        return await accepting.accept(entrance)

    with caplog.at_level(logging.WARNING):
        asyncio.run(attempt()).close()
    assert not failures
    assert [record.reason for record in caplog.records] == ["Too many open files"]
