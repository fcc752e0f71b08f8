"""The first pass over an upload: walk it as the scrubber does, write nothing, and learn its identities."""

from __future__ import annotations

import codecs
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from scrubber.crew import Crew
from scrubber.detector import Detector
from scrubber.dictionary import Dictionary
from scrubber.ebcdic import tables_for
from scrubber.errors import UnforeseenError
from scrubber.leaf import EBCDIC, WIDE
from scrubber.learner import Learner, MemberLearner
from scrubber.members import Parcel, serve_members
from scrubber.obstacle import ObstacleError
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import RuleSet
from scrubber.segments import Cutter
from scrubber.sniff import HEAD, Kind, sniff
from scrubber.stream import CHUNK, HashedSource, Stream
from scrubber.walk import CONTAINERS, SEEKING, Out, Walk, memory_scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.crew import Tell, Work
    from scrubber.dictionary import Kind as Learned
    from scrubber.model import Options, Source


class Lesson(NamedTuple):
    """A segment of one text, as long as those that are scrubbed, with what stands before it."""

    name: str
    context: bytes
    pieces: list[bytes]
    final: bool


def _lessons(name: str, pieces: Iterator[bytes], member: MemberLearner) -> Iterator[Lesson]:
    cutter = Cutter(pieces)
    while (cut := cutter.cut(0)) is not None:
        for piece in cut.segment.pieces:
            member.know(piece)
        yield Lesson(name, cut.context, cut.segment.pieces, cut.segment.final)
    if cutter.failure is not None:
        raise cutter.failure


def teach(learner: Learner, lesson: Lesson) -> None:
    """Let *learner* learn from one segment, as if it had seen nothing before."""
    learner.forget()
    member = MemberLearner(learner, lesson.name)
    if lesson.context:
        member.resume(lesson.context)
    for piece in lesson.pieces:
        member.feed(piece)
    member.finish()


def _student(walk: LearningWalk, learner: Learner) -> Work:
    """Give what learns in a process of a crew, and tells what it has learned."""
    members = serve_members(walk)

    def learn(message: Lesson | list[Parcel], tell: Tell) -> None:
        if isinstance(message, list):
            members(message, tell)
            return
        dictionary = Dictionary()
        learner.begin(dictionary)
        teach(learner, message)
        tell(list(dictionary.terms()))

    return learn


class LearningWalk(Walk):
    """A walk that hands texts and names to a learner. What it cannot look into, the second pass reports."""

    def __init__(
        self, learner: Learner, detector: Detector, options: Options, size: int, scratch: Callable[[], BinaryIO]
    ) -> None:
        """Learn into *learner*'s dictionary."""
        super().__init__(detector, options, size, scratch)
        self._learner = learner
        self._dictionary = Dictionary()

    def _anew(self) -> LearningWalk:
        walk = LearningWalk(self._learner, self.detector, self.options, self._size, self._scratch)
        self._learner.begin(walk._dictionary)
        return walk

    def terms(self) -> list[tuple[bytes, Learned]]:
        """Give what a walk that is apart has learned."""
        return list(self._dictionary.terms())

    def take_terms(self, terms: list[tuple[bytes, Learned]]) -> None:
        """Learn what another walk has learned."""
        self._learner.take(terms)

    def foresee_name(self, name: bytes) -> bytes:
        """Leave a name as it is."""
        return name

    def block(self, member: str, reason: str, advice: str = "") -> None:
        """Pass over what cannot be looked into."""

    def scrub_name(self, name: bytes, member: str) -> bytes:  # noqa: ARG002 - Walk's signature
        """Leave a name as it is, for the learner."""
        return name

    def scrub_bytes(self, data: bytes, member: str) -> bytes:  # noqa: ARG002 - Walk's signature
        """Learn from a short text."""
        self._learner.forget()
        self._learner.learn(b"\n" + data + b"\n")
        return data

    def owner(self, name: bytes, number: int) -> bytes:
        """Learn who owns a member."""
        if 1000 <= number < 65534:
            self._learner.take_user(name)
        return name

    def _dispatch(self, stream: Stream, out: Out, name: str, depth: int, *, same_length: bool) -> None:
        """Learn from text, look into what holds files, and pass over the rest: words run together in binary data."""
        kind, _ = sniff(stream.peek(HEAD))
        if kind is Kind.TEXT:
            self._learn(stream, name, lambda data: data)
        elif kind in EBCDIC:
            there, _ = tables_for(kind.value, stream.peek(HEAD))
            self._learn(stream, name, lambda data: data.translate(there))
        elif kind in WIDE:
            decode = codecs.getincrementaldecoder(kind.value)("replace").decode
            self._learn(stream, name, lambda data: decode(data).encode("utf-8", "replace"))
        elif kind in CONTAINERS and not same_length:
            super()._dispatch(stream, out, name, depth, same_length=same_length)
        else:
            stream.drain()

    def _learn(self, stream: Stream, name: str, narrow: Callable[[bytes], bytes]) -> None:
        self._learner.forget()
        member = self._learner.member(name)
        lessons = _lessons(name, map(narrow, iter(partial(stream.read_exactly, CHUNK), b"")), member)
        first = next(lessons, None)
        if first is not None and self.crew is not None and not first.final:
            for terms in self.crew.in_order(chain((first,), lessons)):
                self._learner.take(terms)
        elif first is not None:
            for lesson in chain((first,), lessons):
                teach(self._learner, lesson)
        member.conclude()


def learn_source(
    source: Source,
    *,
    pseudonyms: Pseudonymizer,
    rules: RuleSet,
    name: str,
    options: Options,
    scratch: Callable[[], BinaryIO] = memory_scratch,
    progress: Callable[[int], None] | None = None,
    jobs: int = 1,
) -> None:
    """Read all of *source*, in *jobs* processes, and add what it tells to the dictionary of *pseudonyms*.

    Raises:
        ScrubberError: the source or the scratch space failed.
    """
    learner = Learner(pseudonyms.dictionary)
    walk = LearningWalk(learner, _nothing(rules), options, source.size, scratch)
    if jobs > 1:
        walk.crew = Crew(jobs, lambda: _student(walk, learner))
        walk.gives_away = True
    try:
        walk.upload(HashedSource(source, progress, wanted=False), _drop, name)
    except ObstacleError:
        return  # what ends the walk ends the second one too, which says why
    finally:
        if walk.crew is not None:
            walk.crew.close()


def learn_growing(
    read: Callable[[int, int], bytes],
    *,
    dictionary: Dictionary,
    rules: RuleSet,
    name: str,
    options: Options,
    scratch: Callable[[], BinaryIO] = memory_scratch,
) -> None:
    """Learn as `learn_source` does from what is not whole yet, into *dictionary*: in the end it has learned the same.

    *read* gives up to so many bytes at an offset; it waits until there are some, and gives none at the end alone.

    Raises:
        UnforeseenError: its kind is not read from front to back, or a limit was met, which the whole file's size may
            still raise: nothing is to be made of what was learned.
        ScrubberError: the source or the scratch space failed.
    """
    offset = 0

    def forward(n: int) -> bytes:
        nonlocal offset
        data = read(offset, n)
        offset += len(data)
        return data

    stream = Stream(forward)
    kind, _ = sniff(stream.peek(HEAD))
    if kind in SEEKING:
        raise UnforeseenError("its directory stands at its end")
    walk = LearningWalk(Learner(dictionary), _nothing(rules), options, 0, scratch)
    try:
        walk.member(stream, _drop, name, 0)
        stream.drain()
    except ObstacleError as error:
        raise UnforeseenError("it meets a limit before it is whole") from error


def _nothing(rules: RuleSet) -> Detector:
    """Give a detector that scrubs nothing."""
    return Detector(RuleSet(rules=(), version=rules.version), Pseudonymizer(bytes(16)))


def _drop(_data: bytes) -> None:
    """Write nothing."""
