"""`protocols.accepting`: connections are taken by turns."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from typing import ClassVar

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

        async def take(sock: socket.socket, taken: list[socket.socket]) -> None:
            while True:
                taken.append(await accepting.accept(sock))
                if len(one) + len(other) == WAITING:
                    all_taken.set()

        with entrance.dup() as same:
            takers = [asyncio.create_task(take(entrance, one)), asyncio.create_task(take(same, other))]
            await all_taken.wait()
            for taker in takers:
                taker.cancel()
            await asyncio.gather(*takers, return_exceptions=True)
        for client in (*one, *other):
            assert not client.getblocking()
            client.close()
        return len(one), len(other)

    assert asyncio.run(burst()) == (WAITING / 2, WAITING / 2)


class Failing(socket.socket):
    """A listening socket at which connections cannot be taken at first."""

    failures: ClassVar = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ECONNABORTED, "gone")]

    def accept(self):
        if self.failures:
            raise self.failures.pop(0)
        return super().accept()


def test_without_descriptors_it_waits_and_goes_on(entrance, monkeypatch, caplog):
    """What cannot be taken for want of descriptors is taken once there are some; what is gone is passed over."""
    monkeypatch.setattr(accepting, "PAUSE", 0.01)
    with Failing(fileno=entrance.dup().detach()) as sock, caplog.at_level(logging.WARNING):
        asyncio.run(accepting.accept(sock)).close()
        assert not sock.failures
    assert [record.reason for record in caplog.records] == ["Too many open files"]


def test_who_is_cancelled_has_taken_none(entrance):
    """A connection that came in the moment of the cancelling still waits, for another process or a refusal."""

    async def cancel_when_called() -> None:
        waiting = asyncio.create_task(accepting.accept(entrance))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancel_when_called())
    for _ in range(WAITING):
        entrance.accept()[0].close()
