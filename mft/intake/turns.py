"""Turns for what may be done by few at once: whoever is the most urgent goes first, however long others have waited."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turns:
    """Lets some go at once, and of those that wait the most urgent next; among equals, who came first."""

    def __init__(self, count: int) -> None:
        """Let *count* go at once."""
        self._free = count
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, int]] = []
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def taken(self, urgency: int) -> Iterator[None]:
        """Wait for a turn, and have it within the block; the smaller *urgency*, the sooner."""
        mine = (urgency, next(self._numbers))
        with self._changed:
            heapq.heappush(self._waiting, mine)
            self._changed.wait_for(lambda: self._free > 0 and self._waiting[0] == mine)
            heapq.heappop(self._waiting)
            self._free -= 1
            self._changed.notify_all()  # there may be a turn for the next, too
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()
