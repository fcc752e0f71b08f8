"""Look for what has no literal in it: numbers by their digits and separators, encoded text by its length.

Vectorscan runs an automaton over every byte for each such expression; RE2 (the PyPI package `google-re2`) makes one of
them all, whose cost hardly depends on how many they are. What RE2 finds is then told apart expression by expression, so
shapes are for what is rare: an expression says as much as it can of what may follow.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from scrubber.alternatives import first_bytes
from scrubber.anchor import INDEX_BITS, START_SHIFT

if TYPE_CHECKING:
    from scrubber.anchor import Anchor

_MEMORY = 16 << 20
"""Bytes that the automaton may take; it grows by what it meets, and begins anew when it is full."""


def is_installed() -> bool:
    """Say whether RE2 is there; it is loaded later."""
    return importlib.util.find_spec("re2") is not None


_Match = Callable[[bytes, int], "re.Match[bytes] | None"]


@lru_cache(maxsize=8)
def _compile(anchors: tuple[tuple[int, Anchor], ...]) -> tuple[Any, list[list[tuple[int, _Match]]]]:
    """Compile once in a process. Give the search for all, and by a match's first byte what may begin with it."""
    re2: Any = importlib.import_module("re2")
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    options.never_capture = True
    union = re2.compile(b"|".join(_grouped(anchor) for _, anchor in anchors), options)
    beginning_with: list[list[tuple[int, _Match]]] = [[] for _ in range(256)]
    for index, anchor in anchors:
        match = re.compile(anchor.pattern, re.IGNORECASE if anchor.caseless else 0).match
        for byte in first_bytes(anchor.pattern, caseless=anchor.caseless):
            beginning_with[byte].append((index, match))
    return union.search, beginning_with


class ShapeScanner:
    """Scan with RE2."""

    def __init__(self, anchors: tuple[tuple[int, Anchor], ...]) -> None:
        """Scan for *anchors*, each with the number that its events bear."""
        self._search, self._beginning_with = _compile(anchors)

    def scan(self, block: bytes) -> list[int]:
        """Give the events."""
        events: list[int] = []
        search = self._search
        found = search(block)
        while found is not None:
            start = found.start()
            for index, match in self._beginning_with[block[start]]:
                here = match(block, start)
                if here is not None:
                    events.append(start << START_SHIFT | (here.end() - start) << INDEX_BITS | index)
            found = search(block, start + 1)
        return events

    def pack(self, block: bytes) -> bytes:
        """Give the events as 64 bits each."""
        return array("Q", self.scan(block)).tobytes()


def _grouped(anchor: Anchor) -> bytes:
    return (b"(?i:%s)" if anchor.caseless else b"(?:%s)") % anchor.pattern
