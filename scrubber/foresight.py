"""Scrubbing ahead: an upload under way is walked as it will be, and what would change is noted; nothing is written.

Whether a note still holds when the upload is whole, `replay` says: by then other names may have been learned.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, BinaryIO

from scrubber.detector import Detector
from scrubber.dictionary import Dictionary
from scrubber.lane import CONTEXT, TextLane
from scrubber.model import ENGINE_VERSION
from scrubber.notes import Note, patch_for, state_of, sum_of
from scrubber.obstacle import ObstacleError
from scrubber.segments import Begin, Cutter, Done, GoOn, OtherStateError, SegmentScrubber, beginning_of, do_alone
from scrubber.sniff import HEAD, sniff
from scrubber.stream import Stream
from scrubber.tally import Tally
from scrubber.walk import SEEKING, Walk
from scrubber.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.model import Options
    from scrubber.pseudonym import Pseudonymizer
    from scrubber.rules import RuleSet
    from scrubber.segments import Cut
    from scrubber.tables import Heading


class StoppedError(Exception):
    """Nobody wants to know more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What all notes of an upload have in common."""

    settings: str
    """Of rules, profile, terms and name: the notes hold for these alone."""
    first_known: int
    """How many names were known at the first note."""
    names: Dictionary
    """All that was known at the last one, in the order in which it was learned, and pseudonyms that were settled."""

    def to_bytes(self) -> bytes:
        """Write it. It holds real names: seal it before it goes anywhere."""
        head = json.dumps({"settings": self.settings, "first_known": self.first_known}).encode()
        return head + b"\n" + self.names.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Outlook:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: it is none.
        """
        head, _, names = data.partition(b"\n")
        told = json.loads(head)
        settling = Dictionary.from_bytes(names, settling=True)
        return cls(settings=str(told["settings"]), first_known=int(told["first_known"]), names=settling)


def settings_of(rules: RuleSet, options: Options, name: str) -> str:
    """Give a digest of what, besides names, decides about an upload called *name*."""
    limits = [options.limits.depth, options.limits.members]
    terms = [options.terms.deny, options.terms.allow]
    told = [ENGINE_VERSION, rules.version, options.profile.name, terms, limits, name]
    return blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()


class Foresight:
    """Walks an upload under way in a thread of its own."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        keep: Callable[[bytes], None],
        *,
        pseudonyms: Pseudonymizer,
        learned: Dictionary,
        rules: RuleSet,
        options: Options,
        name: str,
        scratch: Callable[[], BinaryIO],
    ) -> None:
        """Walk what *read* gives, as `learn_growing` does; give each note to *keep*.

        Args:
            read: raises StoppedError where it is to end.
            keep: raises it too, where there is no more room.
            pseudonyms: with a dictionary of the walk's own, which begins as the case's.
            learned: what a learner has learned from the upload so far; it grows meanwhile.
            rules: those of *options*' profile.
            options: profile, limits, terms.
            name: the upload's.
            scratch: as for `scrub`.
        """
        self._read = read
        self._keep = keep
        self._pseudonyms = pseudonyms
        self._learned = learned
        self._rules = rules
        self._options = options
        self._name = name
        self._scratch = scratch
        self._taken = 0
        """Names taken from *learned*."""
        self._first_known: int | None = None
        self._texts = 0
        self.count = 0
        """Notes so far."""

    def run(self) -> None:
        """Walk until the upload ends, or is not to be foreseen any further."""
        offset = 0

        def forward(n: int) -> bytes:
            nonlocal offset
            data = self._read(offset, n)
            offset += len(data)
            return data

        try:
            stream = Stream(forward)
            if sniff(stream.peek(HEAD))[0] in SEEKING:
                return
            self._take_names()
            walk = Walk(self._detector(), self._options, 0, self._scratch)
            walk.watch = Watch()  # nothing is written that could be looked at
            walk.foresight = self
            walk.member(stream, _drop, walk.scrub_name(self._name.encode("utf-8", "surrogateescape"), "").decode(), 0)
        except (StoppedError, ObstacleError):
            return

    def outlook(self) -> Outlook:
        """Give what `replay` has to know of all notes, once `run` has returned."""
        return Outlook(
            settings=settings_of(self._rules, self._options, self._name),
            first_known=self._first_known or 0,
            names=self._pseudonyms.dictionary,
        )

    def run_text(self, walk: Walk, name: str, pieces: Iterator[bytes], out: Callable[[bytes], object]) -> int:  # noqa: ARG002 - nothing is written
        """Note what scrubbing a text would change; give how many bytes of it would be blanked."""
        number, self._texts = self._texts, self._texts + 1
        cutter = Cutter(pieces)
        hand, known = SegmentScrubber(walk), self._known
        last: Done | None = None
        heading: Heading | None = None
        block = 0
        while (cut := cutter.cut(walk.room)) is not None:
            if last is None:
                heading, block = beginning_of(walk, cut)
            if self._take_names():
                walk.detector = self._detector()
            if last is None or self._known != known:
                fresh = SegmentScrubber(walk)
                try:
                    begin = Begin(name, cut, heading, block)
                    done = do_alone(fresh, begin, state=None if last is None else last.state)
                    hand, known = fresh, self._known
                except OtherStateError:
                    done = do_alone(hand, GoOn(cut.segment))
            else:
                done = do_alone(hand, GoOn(cut.segment))
            if done.failure is not None:
                member, reason, advice = done.failure
                raise ObstacleError(member, reason, advice=advice)
            since = 0 if last is None else last.decided
            self._note(
                walk, number, cut, done, since=since, known=known, clean=_is_clean(walk, name, cut, done, heading)
            )
            last = done
        if cutter.failure is not None:
            raise cutter.failure
        return 0

    def _note(self, walk: Walk, number: int, cut: Cut, done: Done, *, since: int, known: int, clean: bool) -> None:
        output = b"".join(made for _, made, _ in done.output)
        start, patch = patch_for(cut, since, done.decided, output)
        tally = put_together([tally for tally, _, _ in done.output if tally is not None])
        if tally is not None:
            walk.adder_for("")(tally, 0)  # for the room that is left
        note = Note(
            text=number,
            segment=cut.segment.number,
            final=cut.segment.final,
            size=sum(map(len, cut.segment.pieces)),
            check=sum_of(cut.segment.pieces),
            known=known,
            since=start,
            until=done.decided,
            state=state_of(done.state),
            clean=clean,
            blanked=done.blanked,
            tally=tally,
            patch=patch,
        )
        if self._first_known is None:
            self._first_known = known
        self._keep(note.to_bytes())
        self.count += 1

    @property
    def _known(self) -> int:
        return len(self._pseudonyms.dictionary)

    def _take_names(self) -> bool:
        """Take in what the learner has learned since; say whether that was anything."""
        before = self._known
        for value, kind in list(self._learned.terms())[self._taken :]:
            self._pseudonyms.dictionary.learn(kind, value)
            self._taken += 1
        return self._known > before

    def _detector(self) -> Detector:
        return Detector(self._rules, self._pseudonyms, terms=self._options.terms)


def put_together(tallies: list[Tally]) -> Tally | None:
    """Put tallies of one segment together."""
    if not tallies:
        return None
    made = Tally()
    for each in tallies:
        made.counts.update(each.counts)
        made.secrets += each.secrets
        made.places += each.places
    return made


def _is_clean(walk: Walk, name: str, cut: Cut, done: Done, heading: Heading | None) -> bool:
    """Say whether who begins behind *cut* is where *done* has ended."""
    if cut.segment.final:
        return True
    context = b"".join(cut.segment.pieces)[-CONTEXT:]
    lane = TextLane(walk.detector, _drop, name)
    lane.resume(context, cut.at + sum(map(len, cut.segment.pieces)), heading)
    return lane.handover() == done.state


def _drop(_data: object) -> None:
    """Write nothing."""
