"""The one crossing from an event loop into threads.

Everything behind a head blocks; every head with a loop comes through here. The pool is bounded, and so is what may
wait for it: a head that outruns the core waits its turn on the loop, without holding a thread or a byte.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Crossing:
    """A bounded pool of threads for calls into the synchronous core."""

    def __init__(self, *, threads: int = 16, name: str = "core") -> None:
        """Make the pool; threads start when first needed."""
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._turns = asyncio.Semaphore(threads * 2)

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call *call* on a thread and return what it returns or raises.

        A cancelled caller stops waiting; the call itself runs to its end (a commit must).
        """
        loop = asyncio.get_running_loop()
        async with self._turns:
            answer: asyncio.Future[T] = loop.create_future()
            begun = self._pool.submit(_cross, loop, answer, lambda: call(*args, **kwargs))
            try:
                return await answer
            except asyncio.CancelledError:
                begun.cancel()  # if no thread has it yet
                raise

    def begin(self, call: Callable[[], T]) -> Future[T] | None:
        """Have *call* called as soon as a thread is free, and return what will hold its result; None: no more.

        For work ahead of a request, by whoever is on a thread of the pool: before it waits for the result it has to
        cancel what has not begun, or threads could wait for one another.
        """
        try:
            return self._pool.submit(call)
        except RuntimeError:  # the pool is closed
            return None

    def close(self) -> None:
        """Wait for the calls under way and let the threads go."""
        self._pool.shutdown(wait=True, cancel_futures=False)


def _cross(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T], call: Callable[[], T]) -> None:
    """Call *call* and hand what comes of it to *answer*, on the *loop* that it belongs to.

    The standard library's way (`run_in_executor`) does it by a second future whose state is copied to the first: for
    a small request that costs as much as the crossing itself.
    """
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - it is the caller's, on the other side
        _hand_over(loop, answer, error=error)
    else:
        _hand_over(loop, answer, result=result)


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[T],
    *,
    result: T | None = None,
    error: BaseException | None = None,
) -> None:
    def settle() -> None:
        if answer.done():  # its caller was cancelled
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # None is what was returned

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)
