"""What was replaced in a piece of output, as one process tells it another: counted, and no more values than needed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scrubber.model import MAX_FINDINGS
from scrubber.replaced import counts_of, places_of, secrets_of

if TYPE_CHECKING:
    from scrubber.pseudonym import Pseudonymizer
    from scrubber.replaced import Notes, Place


@dataclass(slots=True)
class Tally:
    """The replacements in one piece of a member's output."""

    counts: Counter[str] = field(default_factory=Counter)
    secrets: list[tuple[str, bytes]] = field(default_factory=list, repr=False)
    """Rule and value of each secret that the second look may remember, once."""
    places: list[Place] = field(default_factory=list)
    """The first of them."""


class Tallier:
    """Makes tallies in one process."""

    def __init__(self, pseudonyms: Pseudonymizer) -> None:
        """Make fingerprints with *pseudonyms*."""
        self._pseudonyms = pseudonyms
        self._seen: set[bytes] = set()
        self._room = MAX_FINDINGS
        self._tally: Tally | None = None

    def begin(self, room: int) -> None:
        """Begin a segment or a member; no more than *room* places are of interest."""
        self._seen.clear()
        self._room = room

    def note(self, noted: Notes) -> None:
        """Take replacements."""
        tally = self._tally = self._tally or Tally()
        tally.counts.update(counts_of(noted))
        for rule, value in secrets_of(noted):
            if value not in self._seen:
                self._seen.add(value)
                tally.secrets.append((rule.rule.id, value))
        if self._room > 0:
            tally.places += places_of(noted, self._room, self._pseudonyms)
        self._room -= min(self._room, len(noted))

    def take(self) -> Tally | None:
        """Give what was noted since the last time, None for nothing."""
        tally, self._tally = self._tally, None
        return tally
