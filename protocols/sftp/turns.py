"""How much one channel may do on the loop before the others are looked at: the more are busy, the less.

A listing in one session waits for a turn of each that is downloading, and for that several times.
"""

from __future__ import annotations

TURN_BYTES = 1 << 20
"""Bytes of requests and replies after which a turn ends, so that they go out while the next turn runs."""


class Turns:
    """The channels of one loop that have more to do than fits a turn."""

    def __init__(self) -> None:
        """Begin with none."""
        self._busy: set[object] = set()

    @property
    def most(self) -> int:
        """Bytes after which a turn ends."""
        return TURN_BYTES // max(1, len(self._busy))

    def note(self, channel: object, *, busy: bool) -> None:
        """Note whether *channel* has more to do."""
        if busy:
            self._busy.add(channel)
        else:
            self._busy.discard(channel)
