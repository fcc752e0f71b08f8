"""How many connections are worth it: more as long as each brings a tenth more, from 4 up to 16.

Over a long way it begins with 8, and more are tried sooner: there one connection is limited by what is under way and by
what gets lost, and hardly ever by the machine. Pure: it is told bytes, times and round trips, and says a number.
"""

from __future__ import annotations

from typing import Final

FEWEST: Final = 4
FEWEST_FAR: Final = 8
MOST: Final = 16
WORTH: Final = 1.10
FAR: Final = 0.02
"""Seconds of a round trip from which on the way is a long one."""
INTERVAL: Final = 1.5
"""Seconds between two looks: long enough for a new connection to have come up to its speed."""
_MIB: Final = 1024 * 1024
_SHARE: Final = 16
"""A piece is so small a part of what is left that others who begin one now are done at about the same time."""
_REST: Final = 8
"""Looks after which one more is tried again."""


def shrinking(left: int, least: int, most: int) -> int:
    """Return how much of *left* bytes is sent or fetched next as a piece, between *least* and *most*, in whole MiB.

    Pieces become smaller and smaller, so that all connections come to their end at one time.
    """
    return min(most, -(-max(least, left // _SHARE) // _MIB) * _MIB, left)


class Pace:
    """The number of connections of one transfer."""

    def __init__(self, *, fixed: int | None = None) -> None:
        """Begin with the fewest; or keep to *fixed*."""
        self.streams = fixed or FEWEST
        self._fixed = fixed is not None
        self._step = 1
        self._rate = 0.0
        """What was reached when the last one was added."""
        self._added = False
        self._resting = 0
        self._last: tuple[float, int] | None = None

    def meet(self, round_trip: float) -> None:
        """Learn how far the server is, in seconds there and back; from any thread."""
        if round_trip >= FAR and self._step == 1 and not self._fixed:
            self._step = 2
            self.streams = max(self.streams, FEWEST_FAR)

    def look(self, now: float, done: int) -> int:
        """Learn that *done* bytes were through at *now* (seconds, monotonic), and return how many there should be."""
        if self._last is None:
            self._last = (now, done)
            return self.streams
        if self._fixed or now - self._last[0] < INTERVAL:
            return self.streams
        rate = (done - self._last[1]) / (now - self._last[0])
        self._last = (now, done)
        if self._added and rate < self._rate * WORTH:
            self._added = False
            self._resting = _REST
            if rate < self._rate / WORTH:
                self.streams = max(FEWEST, self.streams - self._step)
            return self.streams
        if self._resting:
            self._resting -= 1
            return self.streams
        self._rate = rate
        self._added = self.streams < MOST
        self.streams = min(MOST, self.streams + self._step)
        return self.streams
