"""What the detector hands to the text engine: spans that rules want replaced."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scrubber.rules import CompiledRule

DEPTH = 3
"""Encodings within one another that are looked through."""

Noted = tuple["CompiledRule", int, int, bytes]
"""One replacement: rule, offset and length in the output, the value (for its fingerprint alone)."""

Candidate = tuple[int, int, int, bytes | list[Noted], bytes]
"""Start, rank of the rule, the negative end, value, replacement; for encoded text what was replaced within it.

Sorting puts the earliest first, then the most specific, then the longest. A plain tuple: one is made for every finding.
"""


def apart_from(candidates: list[Candidate], spans: Iterable[tuple[int, int]]) -> list[Candidate]:
    """Give the *candidates* that touch none of the *spans*."""
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(spans):
        if ends and start < ends[-1]:
            ends[-1] = max(end, ends[-1])
        else:
            starts.append(start)
            ends.append(end)
    if not starts:
        return candidates
    return [c for c in candidates if (after := bisect_right(ends, c[0])) == len(ends) or starts[after] >= -c[2]]
