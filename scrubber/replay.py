"""Scrub a text by what was noted of it while it came in, where that still holds; do the rest as ever.

A note holds where the segment has the same bytes, whoever scrubs it would begin it in the same state, and no name in it
was learned since. What the notes say then is what scrubbing would have given.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from scrubber import vectorscan
from scrubber.detector import Detector
from scrubber.lane import TextLane
from scrubber.notes import Note, state_of
from scrubber.obstacle import ObstacleError
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import RuleSet
from scrubber.segments import Begin, Cutter, GoOn, SegmentScrubber, beginning_of, do_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.candidate import Noted
    from scrubber.dictionary import Dictionary
    from scrubber.dictionary import Kind as Learned
    from scrubber.foresight import Outlook
    from scrubber.segments import Cut
    from scrubber.tables import Heading
    from scrubber.walk import Walk

MOST_HELD = 4
"""Segments kept in memory because whoever goes on behind them has to begin before them."""
_NEVER = 1 << 62


class Replay:
    """What was noted of one upload."""

    def __init__(self, outlook: Outlook, notes: Iterator[bytes], names: Dictionary) -> None:
        """Use *notes* for an upload in which *names* are to be replaced.

        *names* takes in the pseudonyms that were settled when the notes were made.
        """
        self._notes = notes
        self._next: Note | None = None
        self._texts = 0
        self._late = _late_names(outlook, names)
        self._finder: Detector | None = None
        self._alarm: Callable[[bytes, int], bool] | None = None
        self.used = 0
        """Bytes of output that came from notes."""
        names.merge(outlook.names)

    def run_text(self, walk: Walk, name: str, pieces: Iterator[bytes], out: Callable[[bytes], object]) -> int:
        """Scrub a text to *out*; give how many bytes of it were blanked.

        Raises:
            ObstacleError: compressed or encrypted data follows the text, or it cannot be read on.
        """
        number, self._texts = self._texts, self._texts + 1
        text = _Text(walk, name, out)
        cutter = Cutter(pieces)
        while (cut := cutter.cut(walk.room)) is not None:
            note = self._note_of(number, cut)
            if note is None or text.at_work or self._is_touched(walk, note, cut, begun_within=bool(text.held)):
                text.scrub(cut, note)
            else:
                self.used += text.put(cut, note)
        if cutter.failure is not None:
            raise cutter.failure
        return text.blanked

    def _note_of(self, number: int, cut: Cut) -> Note | None:
        """Give the note of a segment, if there is one; those before it are passed over."""
        wanted = (number, cut.segment.number)
        while self._next is None or (self._next.text, self._next.segment) < wanted:
            data = next(self._notes, None)
            if data is None:
                return None
            self._next = Note.from_bytes(data)
        note = self._next
        return note if (note.text, note.segment) == wanted and note.is_of(cut) else None

    def _is_touched(self, walk: Walk, note: Note, cut: Cut, *, begun_within: bool) -> bool:
        """Say whether there may be a name in a segment that was not known when it was noted."""
        if all(since < note.known for since in self._late.values()):
            return False
        if begun_within or self._stands_there(note, cut):
            return True
        if self._finder is None:
            known = [(value, "name") for value in self._late]
            self._finder = Detector(RuleSet(rules=(), version=walk.detector.rules.version), _anybody(), known=known)
        found: list[Noted] = []  # in another notation: whatever could be one is undone and looked into
        lane = TextLane(self._finder, found.extend, "")
        try:
            for piece in (cut.context, *cut.segment.pieces):
                lane.feed(piece)
            lane.finish()
        except ObstacleError:
            return True
        return lane.blanked > 0 or any(self._late.get(value.lower(), _NEVER) >= note.known for *_, value in found)

    def _stands_there(self, note: Note, cut: Cut) -> bool:
        """Say whether such a name stands there plainly, which is quickly said."""
        if self._alarm is None:
            self._alarm = _build_alarm(self._late)
        text = b"".join((cut.context, *cut.segment.pieces))
        return self._alarm(text, note.known)


class _Text:
    """One text on its way out."""

    def __init__(self, walk: Walk, name: str, out: Callable[[bytes], object]) -> None:
        self._walk = walk
        self._name = name
        self._out = out
        self._add = walk.adder_for(name)
        self._size = 0
        self._heading: Heading | None = None
        self._block = 0
        self._hand: SegmentScrubber | None = None
        self.held: list[Cut] = []
        """What came from notes since a place where anybody could begin."""
        self.blanked = 0

    @property
    def at_work(self) -> bool:
        """Whether somebody scrubs, and is not known to be where the notes are."""
        return self._hand is not None

    def put(self, cut: Cut, note: Note) -> int:
        """Write a segment as it was noted; give how much that was."""
        self._begin(cut)
        made = note.output(cut)
        if note.tally is not None:
            self._add(note.tally, self._size)
        self._write(made, cut, note.blanked)
        self.held.append(cut)
        if note.clean:
            self.held.clear()
        elif len(self.held) >= MOST_HELD:
            self._hand = self._warmed()
            self.held.clear()
        return len(made)

    def scrub(self, cut: Cut, note: Note | None) -> None:
        """Scrub a segment."""
        self._begin(cut)
        message: Begin | GoOn = GoOn(cut.segment)
        if self._hand is None and self.held:
            self._hand = self._warmed()
            self.held.clear()
        elif self._hand is None:
            self._hand = SegmentScrubber(self._walk)
            message = Begin(self._name, cut, self._heading, self._block)
        done = do_alone(self._hand, message)
        for tally, made, size in done.output:
            if tally is not None:
                self._add(tally, self._size)
            self._walk.scanned += size
            self._out(made)
        self._size += sum(len(made) for _, made, _ in done.output)
        self.blanked += done.blanked
        if done.failure is not None:
            self._walk.scanned += len(cut.segment.pieces[len(done.output)])
            member, reason, advice = done.failure
            raise ObstacleError(member, reason, advice=advice)
        if note is not None and note.clean and note.state is not None and state_of(done.state) == note.state:
            self._hand = None

    def _begin(self, cut: Cut) -> None:
        if cut.at == 0:
            self._heading, self._block = beginning_of(self._walk, cut)

    def _write(self, made: bytes, cut: Cut, blanked: int) -> None:
        self._walk.scanned += sum(map(len, cut.segment.pieces))
        self.blanked += blanked
        self._size += len(made)
        self._out(made)

    def _warmed(self) -> SegmentScrubber:
        """Give one who has scrubbed what is held, and goes on behind it; what that gave was written by notes."""
        hand = SegmentScrubber(self._walk)
        for cut in self.held:
            first = cut is self.held[0]
            do_alone(hand, Begin(self._name, cut, self._heading, self._block) if first else GoOn(cut.segment))
        return hand


def _late_names(outlook: Outlook, names: Dictionary) -> dict[bytes, int]:
    """Give the names that were not known at the first note, and as the how manieth each was learned after it."""
    foreseen: dict[bytes, tuple[int, Learned]] = {
        value: (number, kind) for number, (value, kind) in enumerate(outlook.names.terms())
    }
    late = {}
    for value, kind in names.terms():
        number, known = foreseen.pop(value, (_NEVER, kind))
        number = number if known == kind else _NEVER
        if number >= outlook.first_known:
            late[value] = number
    return late | dict.fromkeys(foreseen, _NEVER)


def _build_alarm(late: dict[bytes, int]) -> Callable[[bytes, int], bool]:
    """Give what says whether one of *late* that is as late as a number stands in a text, in letters of any case."""
    numbers = list(late.values())
    try:
        hyperscan = vectorscan.load_module()
    except ImportError:
        return lambda _text, _known: False  # the finder, which is slower, will say it
    database = hyperscan.Database()
    database.compile(
        expressions=[b"".join(b"\\x%02x" % byte for byte in value) for value in late],
        ids=list(range(len(late))),
        elements=len(late),
        flags=[hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS] * len(late),
    )
    scratch = hyperscan.Scratch(database)

    def alarm(text: bytes, known: int) -> bool:
        hits: list[int] = []

        def on_match(index: int, _start: int, _end: int, _flags: int, _context: object) -> bool:
            if numbers[index] >= known:
                hits.append(index)
            return bool(hits)

        if text:
            with contextlib.suppress(hyperscan.ScanTerminated):
                database.scan(text, match_event_handler=on_match, scratch=scratch)
        return bool(hits)

    return alarm


def _anybody() -> Pseudonymizer:
    return Pseudonymizer(bytes(16))
