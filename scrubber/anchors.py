"""Where to look: one scan of a block for the short, exact beginnings of everything the rules know.

Vectorscan (the PyPI package `hyperscan`) does it in one pass at well over 100 MB/s; where the package is missing, `re`
does it anchor by anchor with the same outcome, slower. Anchors are written in what both understand.
"""

from __future__ import annotations

import re
import threading
from array import array
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from scrubber import vectorscan
from scrubber.alternatives import write_out
from scrubber.anchor import INDEX_BITS, INDEX_MASK, LENGTH_MASK, LONGEST_HEAD, START_SHIFT
from scrubber.errors import RuleError
from scrubber.eventmaker import EventMaker
from scrubber.shapes import ShapeScanner, is_installed

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from scrubber.anchor import Anchor


class AnchorScanner(Protocol):
    """Something that finds anchors in a block."""

    def scan(self, block: bytes) -> list[int]:
        """Give an event for each place of each anchor at least once, in no order that matters."""
        ...

    def pack(self, block: bytes) -> bytes:
        """Give the same events for the compiled part, as 64 bits each."""
        ...


class ReScanner:
    """Scan with the standard library."""

    def __init__(self, anchors: Iterable[tuple[int, Anchor]]) -> None:
        """Scan for *anchors*, each with the number that its events bear."""
        self._compiled = [
            (index, re.compile(b"(?=(" + a.pattern + b"))", re.IGNORECASE if a.caseless else 0)) for index, a in anchors
        ]

    def scan(self, block: bytes) -> list[int]:
        """Give the events."""
        return [
            match.start() << START_SHIFT | (match.end(1) - match.start()) << INDEX_BITS | index
            for index, pattern in self._compiled
            for match in pattern.finditer(block)
        ]

    def pack(self, block: bytes) -> bytes:
        """Give the events as 64 bits each."""
        return array("Q", self.scan(block)).tobytes()


class AnchorSet:
    """Anchors in a fixed order, whose places are their numbers. Known by itself: what is compiled of it is kept."""

    def __init__(self, anchors: Sequence[Anchor], without: AbstractSet[int] = frozenset()) -> None:
        """Take *anchors*; those numbered *without* somebody else looks for."""
        self.anchors = tuple(anchors)
        self._without = without

    def __iter__(self) -> Iterator[tuple[int, Anchor]]:
        """Give those that are looked for, with their numbers."""
        return ((index, anchor) for index, anchor in enumerate(self.anchors) if index not in self._without)

    @cached_property
    def shapes(self) -> tuple[tuple[int, Anchor], ...]:
        """Give those that RE2 looks for, with their numbers."""
        return tuple((index, anchor) for index, anchor in self if anchor.shape)

    @cached_property
    def others(self) -> tuple[tuple[int, Anchor], ...]:
        """Give those that Vectorscan looks for, with their numbers."""
        return tuple((index, anchor) for index, anchor in self if not anchor.shape)


@lru_cache(maxsize=16)
def _maker(anchors: AnchorSet, library: ctypes.CDLL) -> EventMaker | None:
    """Give what makes events by *library*, None where a head has no program."""
    try:
        return EventMaker(library, anchors.others)
    except ValueError:
        return None


class _Scratch(threading.local):
    """What Vectorscan scans a database in: each thread has its own, made once, for that takes as long as a scan."""

    def __init__(self, hyperscan: Any, database: Any) -> None:  # noqa: ANN401 - the module and its database
        self.space = hyperscan.Scratch(database)


@lru_cache(maxsize=16)
def _compile(anchors: AnchorSet, without: AbstractSet[int] = frozenset()) -> tuple[Any, _Scratch]:
    """Compile once in a process, but for those *without*; forks inherit it. Give the database and what it needs."""
    hyperscan = vectorscan.load_module()
    som: int = hyperscan.HS_FLAG_SOM_LEFTMOST
    once: int = hyperscan.HS_FLAG_SINGLEMATCH
    caseless: int = hyperscan.HS_FLAG_CASELESS
    written = [
        (index + (_HEADED if a.head else 0), each, a)
        for index, a in anchors.others
        if index not in without
        for each in write_out(a.pattern.removeprefix(a.head))
    ]
    flags = [(once if a.once else som) | (caseless if a.caseless else 0) for _, _, a in written]
    try:
        database = vectorscan.compile_rules([each for _, each, _ in written], [index for index, _, _ in written], flags)
    except hyperscan.error as error:
        alone = [(a.rule, a.pattern, each, flag) for (_, each, a), flag in zip(written, flags, strict=True)]
        raise RuleError(_blame(hyperscan, alone) or f"the anchors of all rules together: {error}") from error
    return database, _Scratch(hyperscan, database)


def _blame(hyperscan: Any, alone: Sequence[tuple[str, bytes, bytes, int]]) -> str:  # noqa: ANN401 - the package has no types
    """Say which anchors do not compile by themselves, with their rules and the reasons; nothing where all do."""
    said = []
    for rule, pattern, expression, flags in alone:
        try:
            hyperscan.Database().compile(expressions=[expression], ids=[0], elements=1, flags=[flags])
        except hyperscan.error as error:
            said.append(f"rule {rule or '?'}: its anchor {pattern.decode('utf-8', 'backslashreplace')!r}: {error}")
    return "; ".join(said)


_HEADED = 1 << INDEX_BITS
"""Added to the numbers of anchors of which Vectorscan looks for the rest behind their heads."""


class HyperscanScanner:
    """Scan with Vectorscan, start of match reported."""

    def __init__(self, anchors: AnchorSet, library: ctypes.CDLL | None = None) -> None:
        """Scan for those of *anchors* that have a literal; *library* makes the events where it is there."""
        self._anchors = anchors
        self._maker = _maker(anchors, library) if library is not None else None
        self._elsewhere = self._maker.found if self._maker is not None else frozenset[int]()
        self._database, self._scratch = _compile(anchors, self._elsewhere)

    def scan(self, block: bytes) -> list[int]:
        """Give the events."""
        return array("Q", self.pack(block)).tolist()

    def pack(self, block: bytes) -> bytes:
        """Give the events as 64 bits each."""
        told: list[int] = []
        extend = told.extend

        def on_match(index: int, start: int, end: int, _flags: int, _context: object) -> None:
            extend((index, start, end))

        if block:
            self._database.scan(block, match_event_handler=on_match, scratch=self._scratch.space)
        events = self._maker.events(block, told) if self._maker is not None else None
        return array("Q", self._made(block, told)).tobytes() if events is None else events

    def _made(self, block: bytes, told: list[int]) -> Iterator[int]:
        """Make the events of what was *told*: of each match an anchor's number, a start and an end."""
        for index, at, end in zip(told[::3], told[1::3], told[2::3], strict=True):
            start = at if index < _HEADED else _head_start(self._heads[index - _HEADED], block, at)
            if start >= 0:
                yield start << START_SHIFT | (end - start & LENGTH_MASK) << INDEX_BITS | index & INDEX_MASK
        if self._elsewhere:
            yield from ReScanner((index, self._anchors.anchors[index]) for index in self._elsewhere).scan(block)

    @cached_property
    def _heads(self) -> dict[int, re.Pattern[bytes]]:
        """Anchors that have a head, with their rest looked ahead at, by their numbers."""
        return {
            index: re.compile(
                b"(?:%s)(?=%s)" % (a.head, a.pattern.removeprefix(a.head)), re.IGNORECASE if a.caseless else 0
            )
            for index, a in self._anchors.others
            if a.head
        }


def _head_start(head: re.Pattern[bytes], block: bytes, at: int) -> int:
    """Give where a *head* begins that ends at *at*, -1 where none does."""
    start = max(0, at - LONGEST_HEAD)
    while (found := head.search(block, start, at + LENGTH_MASK)) is not None and found.start() < at:
        if found.end() == at:
            return found.start()
        start = found.start() + 1
    return -1


class JoinedScanner:
    """Two scanners, each for some of the anchors."""

    def __init__(self, first: AnchorScanner, second: AnchorScanner) -> None:
        self._first = first
        self._second = second

    def scan(self, block: bytes) -> list[int]:
        """Give the events of both."""
        return self._first.scan(block) + self._second.scan(block)

    def pack(self, block: bytes) -> bytes:
        """Give the events of both as 64 bits each."""
        return self._first.pack(block) + self._second.pack(block)


def build_scanner(anchors: AnchorSet, *, accelerated: bool = True, library: ctypes.CDLL | None = None) -> AnchorScanner:
    """Build the fastest scanner that is installed; *library* is what was compiled besides."""
    if accelerated:
        try:
            fast = HyperscanScanner(anchors, library)
        except ImportError:
            return ReScanner(anchors)
        if not anchors.shapes:
            return fast
        return JoinedScanner(fast, (ShapeScanner if is_installed() else ReScanner)(anchors.shapes))
    return ReScanner(anchors)
