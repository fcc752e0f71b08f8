"""How far ahead a client may send: little nearby, where that fits a processor's cache, and more over a long way.

A window that is used up within a round trip holds an upload back (RFC 4254, section 5.2). What came in the last while
tells the rate, the kernel the round trip; twice what is under way at that rate keeps the way full, and lets the next
look find out whether it could be fuller. All channels of a server share one budget for what exceeds their first ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_WAY = 0.005
"""Seconds of a round trip below which the first window is enough."""
_AHEAD = 2.0
"""How many times what is under way a client may send."""


class WindowBudget:
    """Bytes by which the windows of one server may exceed what they began with."""

    def __init__(self, most: int) -> None:
        """Give *most* bytes out at a time."""
        self.left = most

    def take(self, wanted: int) -> int:
        """Take as much of *wanted* bytes as is left, and return how much that is."""
        taken = min(wanted, self.left)
        self.left -= taken
        return taken

    def give_back(self, taken: int) -> None:
        """Return bytes that were taken."""
        self.left += taken


class GrowingWindow:
    """The window of one channel. It grows, and goes back to its first size with the channel alone."""

    def __init__(
        self, first: int, *, most: int, budget: WindowBudget, round_trip: Callable[[], float | None], now: float
    ) -> None:
        """Begin with *first* bytes and grow to *most*; *round_trip* returns seconds, or None where nobody knows."""
        self.size = first
        self._first = first
        self._most = most
        self._budget = budget
        self._round_trip = round_trip
        self._came = 0
        self._since = now

    def took(self, count: int, now: float) -> bool:
        """Note that *count* bytes came, at *now* (seconds); say whether the window has grown by that."""
        self._came += count
        if self._came * 2 < self.size or self.size >= self._most:
            return False
        came, seconds = self._came, max(now - self._since, 1e-6)
        way = self._round_trip()
        if seconds < (way or 0.0):
            return False  # less than a round trip: nothing can be said of the rate yet
        self._came, self._since = 0, now
        if way is None or way < LONG_WAY:
            return False
        wanted = min(int(_AHEAD * came * way / seconds), self._most)
        grown = self._budget.take(max(0, wanted - self.size))
        self.size += grown
        return grown > 0

    def close(self) -> None:
        """Give back what was taken."""
        self._budget.give_back(self.size - self._first)
        self.size = self._first
