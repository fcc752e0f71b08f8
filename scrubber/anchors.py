"""Where to look: one scan of a block for the short, exact beginnings of everything the rules know.

Vectorscan (the PyPI package `hyperscan`) does it in one pass at well over 100 MB/s; where the package is missing, `re`
does it anchor by anchor with the same outcome, slower. Anchors are written in what both understand.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from scrubber import vectorscan
from scrubber.alternatives import write_out
from scrubber.anchor import INDEX_BITS, LENGTH_MASK, START_SHIFT
from scrubber.shapes import ShapeScanner, is_installed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrubber.anchor import Anchor


class AnchorScanner(Protocol):
    """Something that finds anchors in a block."""

    def scan(self, block: bytes) -> list[int]:
        """Give an event for each place of each anchor at least once, in no order that matters."""
        ...


class ReScanner:
    """Scan with the standard library."""

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        self._compiled = [
            (index, re.compile(b"(?=(" + a.pattern + b"))", re.IGNORECASE if a.caseless else 0))
            for index, a in enumerate(anchors)
        ]

    def scan(self, block: bytes) -> list[int]:
        """Give the events."""
        return [
            match.start() << START_SHIFT | (match.end(1) - match.start()) << INDEX_BITS | index
            for index, pattern in self._compiled
            for match in pattern.finditer(block)
        ]


@lru_cache(maxsize=8)
def _compile(anchors: tuple[tuple[int, Anchor], ...]) -> tuple[Any, Any]:
    """Compile once in a process; forks inherit it. Give the module and the database."""
    hyperscan = vectorscan.load_module()
    som: int = hyperscan.HS_FLAG_SOM_LEFTMOST
    once: int = hyperscan.HS_FLAG_SINGLEMATCH
    caseless: int = hyperscan.HS_FLAG_CASELESS
    written = [(index, each, a) for index, a in anchors for each in write_out(a.pattern)]
    database = vectorscan.compile_rules(
        [each for _, each, _ in written],
        [index for index, _, _ in written],
        [(once if a.once else som) | (caseless if a.caseless else 0) for _, _, a in written],
    )
    return hyperscan, database


class HyperscanScanner:
    """Scan with Vectorscan, start of match reported. One for each thread: it owns its scratch space."""

    def __init__(self, anchors: Sequence[tuple[int, Anchor]]) -> None:
        """Scan for *anchors*, each with the number that its events bear."""
        hyperscan, self._database = _compile(tuple(anchors))
        self._scratch = hyperscan.Scratch(self._database)

    def scan(self, block: bytes) -> list[int]:
        """Give the events."""
        events: list[int] = []
        append = events.append

        def on_match(index: int, start: int, end: int, _flags: int, _context: object) -> None:
            append(start << START_SHIFT | (end - start & LENGTH_MASK) << INDEX_BITS | index)

        if block:
            self._database.scan(block, match_event_handler=on_match, scratch=self._scratch)
        return events


class JoinedScanner:
    """Two scanners, each for some of the anchors."""

    def __init__(self, first: AnchorScanner, second: AnchorScanner) -> None:
        self._first = first
        self._second = second

    def scan(self, block: bytes) -> list[int]:
        """Give the events of both."""
        return self._first.scan(block) + self._second.scan(block)


def build_scanner(anchors: Sequence[Anchor], *, accelerated: bool = True) -> AnchorScanner:
    """Build the fastest scanner that is installed."""
    if not accelerated:
        return ReScanner(anchors)
    numbered = list(enumerate(anchors))
    shapes = [(index, anchor) for index, anchor in numbered if anchor.shape]
    try:
        if shapes and is_installed():
            others = [(index, anchor) for index, anchor in numbered if not anchor.shape]
            return JoinedScanner(HyperscanScanner(others), ShapeScanner(shapes))
        return HyperscanScanner(numbered)
    except ImportError:
        return ReScanner(anchors)
