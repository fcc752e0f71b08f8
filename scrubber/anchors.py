"""Where to look: one scan of a block for the short, exact beginnings of everything the rules know.

Vectorscan (the PyPI package `hyperscan`) does it in one pass at well over 100 MB/s; where the package is missing, `re`
does it anchor by anchor with the same outcome, slower. Anchors are written in what both understand.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from scrubber import vectorscan
from scrubber.alternatives import write_out
from scrubber.anchor import INDEX_BITS, LENGTH_MASK, LONGEST_HEAD, START_SHIFT
from scrubber.shapes import ShapeScanner, is_installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from scrubber.anchor import Anchor


class AnchorScanner(Protocol):
    """Something that finds anchors in a block."""

    def scan(self, block: bytes) -> list[int]:
        """Give an event for each place of each anchor at least once, in no order that matters."""
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
def _compile(anchors: AnchorSet) -> tuple[Any, Any]:
    """Compile once in a process; forks inherit it. Give the module and the database."""
    hyperscan = vectorscan.load_module()
    som: int = hyperscan.HS_FLAG_SOM_LEFTMOST
    once: int = hyperscan.HS_FLAG_SINGLEMATCH
    caseless: int = hyperscan.HS_FLAG_CASELESS
    written = [
        (index + (_HEADED if a.head else 0), each, a)
        for index, a in anchors.others
        for each in write_out(a.pattern.removeprefix(a.head))
    ]
    database = vectorscan.compile_rules(
        [each for _, each, _ in written],
        [index for index, _, _ in written],
        [(once if a.once else som) | (caseless if a.caseless else 0) for _, _, a in written],
    )
    return hyperscan, database


_HEADED = 1 << INDEX_BITS
"""Added to the numbers of anchors of which Vectorscan looks for the rest behind their heads."""


class HyperscanScanner:
    """Scan with Vectorscan, start of match reported. One for each thread: it owns its scratch space."""

    def __init__(self, anchors: AnchorSet) -> None:
        """Scan for those of *anchors* that have a literal."""
        hyperscan, self._database = _compile(anchors)
        self._scratch = hyperscan.Scratch(self._database)
        self._heads = {
            index: re.compile(b"(?:%s)\\Z" % a.head, re.IGNORECASE if a.caseless else 0).search
            for index, a in anchors.others
            if a.head
        }

    def scan(self, block: bytes) -> list[int]:
        """Give the events."""
        events: list[int] = []
        headed: list[tuple[int, int, int]] = []
        append = events.append

        def on_match(index: int, start: int, end: int, _flags: int, _context: object) -> None:
            if index < _HEADED:
                append(start << START_SHIFT | (end - start & LENGTH_MASK) << INDEX_BITS | index)
            else:
                headed.append((index - _HEADED, start, end))

        if block:
            self._database.scan(block, match_event_handler=on_match, scratch=self._scratch)
        for index, at, end in headed:
            head = self._heads[index](block, max(0, at - LONGEST_HEAD), at)
            if head is not None:
                start = head.start()
                append(start << START_SHIFT | (end - start & LENGTH_MASK) << INDEX_BITS | index)
        return events


class JoinedScanner:
    """Two scanners, each for some of the anchors."""

    def __init__(self, first: AnchorScanner, second: AnchorScanner) -> None:
        self._first = first
        self._second = second

    def scan(self, block: bytes) -> list[int]:
        """Give the events of both."""
        return self._first.scan(block) + self._second.scan(block)


def build_scanner(anchors: AnchorSet, *, accelerated: bool = True) -> AnchorScanner:
    """Build the fastest scanner that is installed."""
    if accelerated:
        try:
            fast = HyperscanScanner(anchors)
        except ImportError:
            return ReScanner(anchors)
        if not anchors.shapes:
            return fast
        return JoinedScanner(fast, (ShapeScanner if is_installed() else ReScanner)(anchors.shapes))
    return ReScanner(anchors)
