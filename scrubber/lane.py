"""One text on its way through the scrubber: compressed streams in it are blanked, then the rules replace.

Where a text is long it is scrubbed in segments, by several processes. A segment's process begins in the midst of the
text and supposes that nothing lies across the cut: no key, no value, no run of base64, no row of a table. `handover`
says what does, so that its outcome can be thrown away where that was wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrubber import buried, text
from scrubber.buried import BuriedStreams
from scrubber.closed import UNKNOWN
from scrubber.obstacle import ObstacleError
from scrubber.sniff import binary_within
from scrubber.text import TextScrubber

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from scrubber.candidate import Noted
    from scrubber.detector import Detector
    from scrubber.tables import Heading
    from scrubber.text import Note

CONTEXT = buried.AHEAD + text.AHEAD + text.LINE + text.HISTORY
"""Bytes before a cut that a process must know to begin there."""


class TextLane:
    """Scrub one text. Feed it in pieces of one size, no smaller than *block*, then `finish`."""

    def __init__(
        self, detector: Detector, note: Note, name: str, *, same_length: bool = False, block: int = text.BLOCK
    ) -> None:
        """Scrub with *detector* and tell *note*; *name* stands in an obstacle."""
        self._name = name
        self._scrubber = TextScrubber(detector, note, same_length=same_length, block=block)
        self._buried = BuriedStreams(teller(detector))

    @property
    def blanked(self) -> int:
        """Bytes of compressed streams that were blanked."""
        return self._buried.blanked

    @property
    def heading(self) -> Heading | None:
        """The columns of the table that is open."""
        return self._scrubber.heading

    @property
    def decided(self) -> int:
        """Bytes of the text of which all that comes was given."""
        return self._scrubber.decided

    def feed(self, data: bytes) -> bytes:
        """Take more, give what is decided.

        Raises:
            ObstacleError: compressed or encrypted data follows the text.
        """
        if binary_within(data):
            reason = "binary data of an unknown kind follows the text in it"
            raise ObstacleError(self._name, reason, advice=UNKNOWN.advice)
        return self._scrubber.feed(self._buried.feed(data))

    def finish(self) -> bytes:
        """Give the rest."""
        return self._scrubber.feed(self._buried.finish()) + self._scrubber.finish()

    def resume(self, context: bytes, at: int, heading: Heading | None) -> None:
        """Go on at byte *at*, with the `CONTEXT` bytes before it, as if nothing but *heading*'s table lay across."""
        self._buried.resume(context)
        self._scrubber.resume(context[: -buried.AHEAD], at - buried.AHEAD, heading)

    def handover(self) -> Hashable:
        """Give all that the next byte's fate depends on, but for the text; and count places anew from here."""
        return self._scrubber.handover(), self._buried.handover()


def teller(detector: Detector) -> Callable[[bytes], bool]:
    """Give what says whether there is anything in a text to be replaced."""

    def tells(data: bytes) -> bool:
        found: list[Noted] = []
        scrubber = TextScrubber(detector, found.extend, same_length=True)
        scrubber.feed(data)
        scrubber.finish()
        return bool(found)

    return tells
