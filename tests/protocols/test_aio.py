"""The crossing into threads: what a call returns or raises comes back, and what nobody waits for harms nobody."""

from __future__ import annotations

import asyncio
import threading

import pytest

from protocols.aio import Crossing


@pytest.fixture
def crossing():
    crossing = Crossing(threads=2)
    yield crossing
    crossing.close()


def test_what_a_call_returns_or_raises_comes_back(crossing):
    """On a thread that is not the loop's."""

    async def use() -> None:
        assert await crossing.run(threading.get_ident) != threading.get_ident()
        assert await crossing.run(divmod, 7, 2) == (3, 1)
        assert await crossing.run(lambda: None) is None
        with pytest.raises(ZeroDivisionError):
            await crossing.run(divmod, 7, 0)

    asyncio.run(use())


def test_a_call_runs_to_its_end_though_its_caller_was_cancelled(crossing):
    """A commit must; whoever comes after is served."""
    go_on, done = threading.Event(), threading.Event()

    def slow() -> None:
        go_on.wait(10)
        done.set()

    async def use() -> None:
        caller = asyncio.ensure_future(crossing.run(slow))
        await asyncio.sleep(0.01)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        go_on.set()
        assert await crossing.run(done.wait, 10)

    asyncio.run(use())


def test_a_call_that_no_thread_has_begun_is_not_begun_for_nobody(crossing):
    """A caller that was cancelled while it waited for a thread."""
    go_on, begun = threading.Event(), threading.Event()

    async def use() -> None:
        busy = [asyncio.ensure_future(crossing.run(go_on.wait, 10)) for _ in range(2)]
        await asyncio.sleep(0.01)
        late = asyncio.ensure_future(crossing.run(begun.set))
        await asyncio.sleep(0.01)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        go_on.set()
        await asyncio.gather(*busy)
        assert await crossing.run(len, "abc") == 3

    asyncio.run(use())
    assert not begun.is_set()


def test_a_call_that_outlives_its_loop_is_let_go(crossing):
    """At the end of a worker nobody waits for it; its thread serves on."""
    go_on = threading.Event()

    async def leave() -> None:
        caller = asyncio.ensure_future(crossing.run(go_on.wait, 10))
        await asyncio.sleep(0.01)
        caller.cancel()

    asyncio.run(leave())
    go_on.set()

    async def use() -> int:
        return await crossing.run(len, "abc")

    assert asyncio.run(use()) == 3
