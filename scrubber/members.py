"""Members of an archive, scrubbed by several processes ahead of their turn, and taken in the archive's order.

A process does a member as if there were no other, and says what came of it. Where that would pass a limit of the whole
upload, or is too much to be told, the one who writes the archive does the member itself, as it would have alone.
"""

from __future__ import annotations

from collections import Counter, deque
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

from scrubber.model import MAX_FINDINGS
from scrubber.obstacle import ObstacleError
from scrubber.replaced import secrets_of
from scrubber.rules import KNOWN_RULE
from scrubber.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from scrubber.candidate import Noted
    from scrubber.crew import Crew, Tell
    from scrubber.dictionary import Kind
    from scrubber.model import Finding, Obstacle, Unseen
    from scrubber.walk import Walk

SMALL = 2 << 20
"""Bytes of the largest member that is given away; a longer text is scrubbed in segments."""
_BATCH = 1 << 20
_MOST = 64
"""Members that go together, so that small ones cost little more than their scrubbing."""
_TOLD = 16 << 20
"""Bytes of output that a process tells of one member, of what is packed in it too."""

T = TypeVar("T")


class Parcel(NamedTuple):
    """A member that is given away."""

    label: str
    data: bytes
    """Empty where there is nothing to scrub."""
    depth: int
    room: int
    """Places that are still of interest."""
    same_length: bool = False


class Event(NamedTuple):
    """What watchers are to see: a member begins, a piece of its output is written, secrets were replaced."""

    what: Literal["begin", "begin wide", "feed", "learn"]
    member: str = ""
    data: bytes = b""
    secrets: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Effects:
    """What came of one member, done apart from the others."""

    output: list[bytes] = field(default_factory=list, repr=False)
    events: list[Event] = field(default_factory=list, repr=False)
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    omitted: int = 0
    obstacles: list[Obstacle] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)
    members: int = 0
    scanned: int = 0
    expanded: int = 0
    thin: int = 0
    terms: list[tuple[bytes, Kind]] = field(default_factory=list, repr=False)
    """What was learned, where that is the work."""


class _TooMuchError(Exception):
    """There is more to tell than should go through a pipe."""


class Recorder:
    """Watches a walk that is done apart, and remembers what the others' watchers must see."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._size = 0

    def begin(self, member: str, *, wide: bool = False) -> None:
        """Begin with *member*."""
        self.events.append(Event("begin wide" if wide else "begin", member))

    def feed(self, data: bytes) -> None:
        """Take a piece of its output."""
        self._size += len(data)
        if self._size > _TOLD:
            raise _TooMuchError
        self.events.append(Event("feed", data=data))

    def end(self) -> None:
        """Do nothing: the next beginning says it."""

    def learn(self, noted: Iterable[Noted]) -> None:
        """Take the secrets among what was replaced."""
        secrets = [(rule.rule.id, value) for rule, value in secrets_of(noted)]
        if secrets:
            self.events.append(Event("learn", secrets=tuple(dict.fromkeys(secrets))))


def serve_members(walk: Walk) -> Callable[[list[Parcel], Tell], None]:
    """Give what scrubs members in a process of a crew, as *walk* would; it tells of each, None where it did not."""

    def serve(parcels: list[Parcel], tell: Tell) -> None:
        tell([_do(walk, parcel) for parcel in parcels])

    return serve


def _do(walk: Walk, parcel: Parcel) -> Effects | None:
    if not parcel.data:
        return None
    recorder = Recorder()
    apart = walk.apart(recorder, recorder.learn, parcel.room)
    output: list[bytes] = []
    try:
        _scrub(apart, parcel, output.append)
    except (ObstacleError, _TooMuchError):
        return None  # a fatal one: the one who writes the archive finds it again, in its turn
    return Effects(
        output=output,
        events=recorder.events,
        counts=apart.counts,
        findings=apart.findings,
        omitted=apart.omitted,
        obstacles=apart.obstacles,
        unseen=apart.unseen,
        members=apart.members,
        scanned=apart.scanned,
        expanded=apart.expanded,
        thin=apart.thin,
        terms=apart.terms(),
    )


def _scrub(walk: Walk, parcel: Parcel, out: Callable[[bytes], object]) -> None:
    at = 0

    def read(n: int) -> bytes:
        nonlocal at
        piece = parcel.data[at : at + n]
        at += len(piece)
        return piece

    walk.member(Stream(read), out, parcel.label, parcel.depth, same_length=parcel.same_length)


def put(walk: Walk, parcel: Parcel, effects: Effects | None, out: Callable[[bytes], object]) -> None:
    """Take what came of *parcel* into *walk*, and give its output to *out*.

    Raises:
        ObstacleError: a fatal one.
    """
    nested = effects is not None and effects.members > 1
    cut_short = nested and bool(walk.obstacles)  # an archive writes nothing more once something is held back
    if effects is not None and not cut_short and walk.allows(effects.members, effects.expanded, effects.thin):
        _take(walk, effects)
        for piece in effects.output:
            out(piece)
        return
    crew, walk.crew = walk.crew, None  # it is busy with what comes after
    try:
        _scrub(walk, parcel, out)
    finally:
        walk.crew = crew


def _take(walk: Walk, effects: Effects) -> None:
    rules = {rule.rule.id: rule for rule in (KNOWN_RULE, *walk.detector.ranked)}
    write: Callable[[bytes], object] = _drop
    for event in effects.events:
        if event.what == "learn":
            walk.second_look.learn([(rules[rule], 0, 0, value) for rule, value in event.secrets])
        elif event.what == "feed":
            write(event.data)
        else:
            write = walk.watch.follow(event.member, _drop, wide=event.what == "begin wide")
    taken = effects.findings[: walk.room]
    walk.findings += taken
    walk.omitted += effects.omitted + len(effects.findings) - len(taken)
    walk.counts.update(effects.counts)
    walk.obstacles += effects.obstacles[: max(0, MAX_FINDINGS - len(walk.obstacles))]
    walk.unseen += effects.unseen[: max(0, MAX_FINDINGS - len(walk.unseen))]
    walk.members += effects.members
    walk.scanned += effects.scanned
    walk.expanded += effects.expanded
    walk.thin += effects.thin
    walk.take_terms(effects.terms)


def _drop(_data: bytes) -> object:
    """Write nothing: it goes another way."""
    return None


class Convoy(Generic[T]):
    """Items of an archive in order, those that are small done ahead of their turn by a crew."""

    def __init__(self, crew: Crew, items: Iterator[T], pack: Callable[[T], Parcel | None]) -> None:
        """*pack* makes a parcel of an item, or gives None for one that is not given away."""
        self._crew = crew
        self._items = items
        self._pack = pack
        self._waiting: deque[list[tuple[T, Parcel]]] = deque()
        self._held: list[T] = []
        self._failure: ObstacleError | None = None

    def run(self) -> Generator[tuple[T, Parcel | None, Effects | None]]:
        """Give each item with its parcel and what came of it. Close it where it is not exhausted.

        Raises:
            ObstacleError: what *items* or *pack* raised, in its turn.
        """
        while True:
            with closing(self._crew.in_order(self._messages())) as answers:
                for answer in answers:
                    for (item, parcel), effects in zip(self._waiting.popleft(), answer, strict=True):
                        yield item, parcel, effects
            if self._failure is not None:
                raise self._failure
            if not self._held:
                return
            yield self._held.pop(), None, None

    def _messages(self) -> Iterator[list[Parcel]]:
        """Give batches up to an item that is not given away."""
        while batch := self._batch():
            self._waiting.append(batch)
            yield [parcel for _, parcel in batch]
            if self._held or self._failure is not None:
                return

    def _batch(self) -> list[tuple[T, Parcel]]:
        batch: list[tuple[T, Parcel]] = []
        size = 0
        try:
            while size < _BATCH and len(batch) < _MOST:
                item = next(self._items)
                parcel = self._pack(item)
                if parcel is None:
                    self._held.append(item)
                    break
                batch.append((item, parcel))
                size += len(parcel.data)
        except StopIteration:
            pass
        except ObstacleError as error:
            self._failure = error
        return batch
