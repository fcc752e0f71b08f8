"""One long text, scrubbed by several processes in segments, byte for byte as one process would.

Each process begins its segment as if nothing lay across the cut before it. Whoever did the segment before says what
did; where the two do not agree, that one goes on from where it stands and does the segment again. So every segment that
counts began as one process alone would have begun it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from scrubber.errors import CrewError
from scrubber.lane import CONTEXT, TextLane
from scrubber.obstacle import ObstacleError
from scrubber.tally import Tallier, Tally
from scrubber.text import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from scrubber.crew import Crew, Tell
    from scrubber.tables import Heading
    from scrubber.walk import Walk

PIECES = 4
"""Pieces of a text in one segment."""
_HEAD = 64 << 10
_WAITING = 2
"""Segments that may wait for an earlier one, for each process."""


class Segment(NamedTuple):
    """A part of a text: its number, its pieces, whether the text ends with it."""

    number: int
    pieces: list[bytes]
    final: bool
    room: int
    """Places that are still of interest."""


class Cut(NamedTuple):
    """A segment, where it stands in its text, and what stands before it."""

    segment: Segment
    at: int
    context: bytes


class Begin(NamedTuple):
    """Scrub a segment as if nothing lay across the cut before it, but a table."""

    name: str
    cut: Cut
    heading: Heading | None
    block: int


class GoOn(NamedTuple):
    """Scrub the segment behind the one that was done last."""

    segment: Segment


class Begun(NamedTuple):
    """A segment is begun in this state."""

    number: int
    state: Hashable


class Done(NamedTuple):
    """A segment is done: each piece of output with what was replaced in it, and the state at its end."""

    number: int
    state: Hashable
    heading: Heading | None
    output: list[tuple[Tally | None, bytes, int]]
    """With the bytes of input that led to it."""
    blanked: int
    failure: tuple[str, str, str] | None
    """Member, reason and advice of the obstacle that ended it."""
    decided: int
    """Bytes of the text to which the output has come."""


class SegmentScrubber:
    """Scrubs segments, in a process of a crew."""

    def __init__(self, walk: Walk) -> None:
        """Scrub as *walk* does."""
        self._walk = walk
        self._tallier = Tallier(walk.detector.pseudonyms)
        self._lane = TextLane(walk.detector, self._tallier.note, "")

    def __call__(self, message: Begin | GoOn, tell: Tell) -> None:
        """Do a segment; tell how it begins, then what came of it."""
        if isinstance(message, Begin):
            segment, at, context = message.cut
            self._lane = TextLane(self._walk.detector, self._tallier.note, message.name, block=message.block)
            if at:
                self._lane.resume(context, at, message.heading)
        else:
            segment = message.segment
        lane = self._lane
        tell(Begun(segment.number, lane.handover()))
        self._tallier.begin(segment.room)
        output: list[tuple[Tally | None, bytes, int]] = []
        failure = None
        blanked = lane.blanked
        try:
            for piece in segment.pieces:
                made = lane.feed(piece)
                output.append((self._tallier.take(), made, len(piece)))
            if segment.final:
                made = lane.finish()
                output.append((self._tallier.take(), made, 0))
        except ObstacleError as error:
            failure = (error.member, error.reason, error.advice)
        tell(Done(segment.number, lane.handover(), lane.heading, output, lane.blanked - blanked, failure, lane.decided))


def beginning_of(walk: Walk, first: Cut) -> tuple[Heading | None, int]:
    """Give the columns of the table with which a text begins, where there is one, and how long its blocks are."""
    tables = walk.detector.new_tables()
    tables.read(first.segment.pieces[0][:_HEAD], 0, 1)
    return tables.heading, min(BLOCK, len(first.segment.pieces[0]))


class OtherStateError(Exception):
    """Who begins here is not where the one before has ended."""


def do_alone(hand: SegmentScrubber, message: Begin | GoOn, *, state: Hashable = None) -> Done:
    """Let *hand* do a segment in this process.

    Raises:
        OtherStateError: it does not begin in *state*, where one is given; nothing was done.
    """
    told: list[Done] = []

    def tell(answer: Begun | Done) -> None:
        if isinstance(answer, Done):
            told.append(answer)
        elif state is not None and answer.state != state:
            raise OtherStateError

    hand(message, tell)
    return told[0]


class Cutter:
    """Cuts a text into segments of *count* pieces.

    `failure` is what ended it early: what came before that is scrubbed all the same, as one process would.
    """

    def __init__(self, pieces: Iterator[bytes], count: int = PIECES) -> None:
        """Cut what *pieces* gives: all of one size but the last, and *count* of them longer than `lane.CONTEXT`."""
        self._pieces = pieces
        self._count = count
        self._at = 0
        self._context = b""
        self.number = 0
        self.failure: ObstacleError | None = None
        self._next = self._read()

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return not self._next

    def cut(self, room: int) -> Cut | None:
        """Give the next segment, None where there is none."""
        if self.ended:
            return None
        pieces: list[bytes] = []
        while self._next and len(pieces) < self._count:
            pieces.append(self._next)
            self._next = self._read()
        segment = Segment(self.number, pieces, not self._next and self.failure is None, room)
        made = Cut(segment, self._at, self._context)
        self.number += 1
        self._at += sum(map(len, pieces))
        self._context = b"".join(pieces)[-CONTEXT:]
        return made

    def _read(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except ObstacleError as error:
            self.failure = error
            return b""


@dataclass(slots=True)
class _Run:
    """A segment as one process does it."""

    hand: int
    begun: Hashable | None = None
    done: Done | None = None


class SegmentedText:
    """The parent's side: hands out the segments of one text, and puts together what comes back."""

    def __init__(self, walk: Walk, crew: Crew, name: str, pieces: Iterator[bytes], *, count: int = PIECES) -> None:
        """Scrub *pieces*, cut as `Cutter` says, with *crew*, for *walk*."""
        self._walk = walk
        self._crew = crew
        self._name = name
        self._cutter = Cutter(pieces, count)
        self._first = self._cutter.cut(walk.room)
        self._segments: dict[int, Segment] = {}
        self._runs: dict[int, _Run] = {}
        self._busy: set[int] = set()
        self._holding: dict[int, int] = {}  # the segment that a process has done last and may have to go on from
        self._heading: Heading | None = None
        self._block = BLOCK
        self._given = 0  # segments whose output was given on
        self._state: Hashable | None = None  # at the end of those
        self._size = 0  # of their output
        self._blanked = 0

    @property
    def is_long(self) -> bool:
        """Whether there is more than one segment."""
        return not self._cutter.ended

    def whole(self) -> Iterator[bytes]:
        """Give the pieces of a text that is not long.

        Raises:
            ObstacleError: it cannot be read on.
        """
        yield from self._first.segment.pieces if self._first is not None else ()
        if self._cutter.failure is not None:
            raise self._cutter.failure

    def run(self, out: Callable[[bytes], object], add: Callable[[Tally, int], None]) -> int:
        """Scrub it all: give each piece of output to *out*, after what was replaced in it to *add*.

        Returns how many bytes in it were blanked.

        Raises:
            ObstacleError: compressed or encrypted data follows the text, or it cannot be read on.
            CrewError: a process died or failed.
        """
        try:
            self._hand_out()
            while self._given < self._cutter.number:
                for hand, message in self._crew.listen():
                    self._hear(hand, message)
                self._give(out, add)
                self._hand_out()
        except (CrewError, MemoryError):
            self._busy.clear()
            raise
        finally:
            self._call_back()
        if self._cutter.failure is not None:
            raise self._cutter.failure
        return self._blanked

    def _call_back(self) -> None:
        """Wait for the processes that still do what is not wanted any more."""
        while self._busy:
            for hand, message in self._crew.listen():
                if isinstance(message, Done):
                    self._busy.discard(hand)

    # --- which process does what

    def _hand_out(self) -> None:
        """Give every process that is free a segment."""
        for hand in range(self._crew.size):
            last = self._holding.get(hand)
            if hand in self._busy or (last is not None and last + 1 < self._cutter.number):
                continue  # at work, or it may have to go on where another's beginning is not known yet
            if self._first is None and self._cutter.number - self._given >= _WAITING * self._crew.size:
                return
            cut = self._first or self._cutter.cut(self._walk.room)
            if cut is None:
                return
            self._first = None
            self._segments[cut.segment.number] = cut.segment
            if last is not None:
                self._send(hand, GoOn(cut.segment))
                continue
            if cut.segment.number == 0:
                self._heading, self._block = beginning_of(self._walk, cut)
            self._send(hand, Begin(self._name, cut, self._heading, self._block))

    def _send(self, hand: int, message: Begin | GoOn) -> None:
        segment = message.cut.segment if isinstance(message, Begin) else message.segment
        self._holding.pop(hand, None)
        self._busy.add(hand)
        before = self._runs.get(segment.number - 1) if isinstance(message, GoOn) else None
        # Who goes on begins as it ended, also within what nobody else can go on from and no state is equal to.
        begun = before.done.state if before is not None and before.done is not None else None
        self._runs[segment.number] = _Run(hand, begun)
        self._crew.tell(hand, message)

    def _hear(self, hand: int, message: Begun | Done) -> None:
        number = message.number
        run = self._runs.get(number)
        if isinstance(message, Done):
            self._busy.remove(hand)
        if run is None or run.hand != hand:
            return  # another does it again
        if isinstance(message, Begun):
            run.begun = message.state if run.begun is None else run.begun
            self._check(number)
        else:
            run.done = message
            self._holding[hand] = number
            self._check(number + 1)

    def _check(self, number: int) -> None:
        """Let who did the segment before do this one again, where this one began otherwise than that one ended."""
        before, run = self._runs.get(number - 1), self._runs.get(number)
        if before is None or before.done is None or run is None or run.begun is None:
            return
        if run.begun == before.done.state:
            self._holding.pop(before.hand, None)
        elif self._holding.get(before.hand) == number - 1:
            self._heading = before.done.heading
            if self._holding.get(run.hand) == number:
                del self._holding[run.hand]
            self._send(before.hand, GoOn(self._segments[number]))

    # --- what came of it

    def _give(self, out: Callable[[bytes], object], add: Callable[[Tally, int], None]) -> None:
        """Give on what is done and was begun rightly, in order."""
        while (run := self._runs.get(self._given)) is not None and run.done is not None:
            if self._given and run.begun != self._state:
                return
            done, segment = run.done, self._segments.pop(self._given)
            run.done = done._replace(output=[])
            self._runs.pop(self._given - 1, None)
            self._given += 1
            self._state, self._heading = done.state, done.heading
            self._blanked += done.blanked
            base = self._size
            for tally, made, size in done.output:
                self._walk.scanned += size
                if tally is not None:
                    add(tally, base)
                self._size += len(made)
                out(made)
            if done.failure is not None:
                self._walk.scanned += len(segment.pieces[len(done.output)])
                member, reason, advice = done.failure
                raise ObstacleError(member, reason, advice=advice)
