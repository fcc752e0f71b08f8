"""An object far away, read at any offset; whoever reads on finds the next bytes already on their way.

A read that goes on where the last one ended is taken for the beginning of a longer run: more is fetched at once, twice
as much each time, and the next piece while this one is being used. Any other read fetches what was asked for alone.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

FIRST_BYTES = 1 << 20
MOST_BYTES = 4 << 20
"""Of one piece fetched ahead; a reader holds two at most."""
_FETCHERS = 8
"""Threads of a process that fetch ahead, for all readers together."""


class ReadAhead:
    """An `ObjectReader` over a function that fetches a range."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        """Read an object of *size* bytes; *fetch* returns exactly as many bytes at an offset as it is asked for."""
        self._fetch = fetch
        self._size = size
        self._lock = threading.Lock()
        self._start = 0
        self._piece = b""
        """What was fetched beyond a read, and where it begins."""
        self._next: tuple[int, int, Future[bytes]] | None = None
        """Where the piece on its way begins and ends."""
        self._expected = 0
        self._window = 0
        self._closed = False

    @property
    def size(self) -> int:
        """Bytes as stored."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*; fewer only at the end of the object, none past it."""
        end = min(offset + length, self._size)
        if offset >= end:
            return b""
        data = self._some(offset, end)
        if len(data) == end - offset:
            return data
        parts, got = [data], len(data)
        while offset + got < end:
            data = self._some(offset + got, end)
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def read_immediate(self, into: memoryview, offset: int) -> bool:
        """Fill *into* with the bytes at *offset* if they have come already; never raises."""
        end = offset + len(into)
        with self._lock:
            if not self._start <= offset <= end <= self._start + len(self._piece):
                return False
            into[:] = memoryview(self._piece)[offset - self._start : end - self._start]
            self._expected = end
        return True

    def close(self) -> None:
        """Let go of it. Never raises; a second call does nothing."""
        with self._lock:
            self._closed = True
            self._piece = b""
            coming, self._next = self._next, None
        if coming is not None:
            coming[2].cancel()

    def _some(self, offset: int, end: int) -> bytes:
        """Return some bytes at *offset*, one at least and none from *end* on."""
        with self._lock:
            if self._closed:
                raise ValueError("the reader is closed")
            found = self._at_hand(offset, end)
            if found:
                self._expected = offset + len(found)
                return found
            coming = self._next if self._next is not None and self._next[0] <= offset < self._next[1] else None
            goes_on = offset == self._expected
            stop = end
            if coming is None:
                self._window = min(max(2 * self._window, FIRST_BYTES), MOST_BYTES) if goes_on and offset else 0
                stop = min(max(end, offset + self._window), self._size)
            window = self._window
        if coming is not None:
            start, stop, future = coming
            try:
                data = future.result()
            except BaseException:
                with self._lock:
                    if self._next is coming:
                        self._next = None
                raise
        else:
            start, data = offset, self._fetch(offset, stop - offset)
        with self._lock:
            self._expected = min(end, stop)
            if window or coming is not None:
                self._keep(start, data, coming)
        return data[offset - start : end - start]

    def _keep(self, start: int, data: bytes, coming: tuple[int, int, Future[bytes]] | None) -> None:
        """Keep a piece for the reads that follow, and send for the one behind it."""
        self._start, self._piece = start, data
        if self._next is coming:
            self._next = None
        behind = start + len(data)
        if self._next is None and behind < self._size and not self._closed:
            self._window = min(max(2 * self._window, FIRST_BYTES), MOST_BYTES)
            stop = min(behind + self._window, self._size)
            self._next = (behind, stop, _pool().submit(self._fetch, behind, stop - behind))

    def _at_hand(self, offset: int, end: int) -> bytes:
        if self._start <= offset < self._start + len(self._piece):
            return self._piece[offset - self._start : end - self._start]
        return b""


_pools: dict[int, ThreadPoolExecutor] = {}
_pools_lock = threading.Lock()


def _pool() -> ThreadPoolExecutor:
    """Return this process's fetchers: threads do not survive a fork."""
    with _pools_lock:
        pool = _pools.get(os.getpid())
        if pool is None:
            _pools.clear()
            pool = _pools[os.getpid()] = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="readahead")
        return pool
