"""Write out the alternatives of an expression, so that the one scan sees a literal in each.

Vectorscan looks for literals first and runs the rest of an expression where it has found one. Of a hundred words with a
common ending it makes one automaton that runs over every byte; of a hundred expressions it makes none. They report as
one.
"""

from __future__ import annotations

import itertools
import re

LEAST = 4
"""Alternatives that a group must have: a few are quick as they are."""


def write_out(pattern: bytes) -> list[bytes]:
    """Give expressions that together match what *pattern* matches: one for each alternative of its first long group."""
    group = _first_group(pattern, LEAST)
    if group is None:
        return [pattern]
    start, end, alternatives = group
    return [pattern[:start] + each + pattern[end:] for each in alternatives]


def first_bytes(pattern: bytes, *, caseless: bool = False) -> frozenset[int]:
    """Give the bytes with which a match of *pattern* can begin; all of them where that is not plain to see."""
    rest = pattern
    while rest.startswith((b"\\b", b"^")):
        rest = rest.removeprefix(b"^").removeprefix(b"\\b")
    group = _first_group(rest, 1)
    if group is not None and group[0] == 0:
        return frozenset().union(*(first_bytes(each + rest[group[1] :], caseless=caseless) for each in group[2]))
    size = _class_end(rest, 0) + 1 if rest[:1] == b"[" else 2 if rest[:1] == b"\\" else 1
    first, after = rest[:size], rest[size : size + 2]
    if not first or first in b"(.|$" or after[:1] in {b"?", b"*"} or after == b"{0":
        return frozenset(range(256))
    known = re.compile(first, re.IGNORECASE if caseless else 0)
    return frozenset(byte for byte in range(256) if known.match(bytes((byte,))))


def _first_group(pattern: bytes, least: int) -> tuple[int, int, list[bytes]] | None:
    """Find the first `(?:…|…)` that stands in no other and is not repeated: where it begins and ends, and its parts."""
    opened: list[int] = []
    bars: list[int] = []
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        if char == b"\\":
            at += 1
        elif char == b"[":
            at = _class_end(pattern, at)
        elif char == b"(":
            if not opened:
                bars.clear()
            opened.append(at)
        elif char == b"|" and len(opened) == 1:
            bars.append(at)
        elif char == b")":
            start = opened.pop()
            if not opened and len(bars) + 1 >= least and _is_plain(pattern, start, at):
                cuts = [start + 2, *bars, at]
                return start, at + 1, [pattern[a + 1 : b] for a, b in itertools.pairwise(cuts)]
        at += 1
    return None


def _is_plain(pattern: bytes, start: int, end: int) -> bool:
    return pattern.startswith(b"(?:", start) and pattern[end + 1 : end + 2] not in {b"?", b"*", b"+", b"{"}


def _class_end(pattern: bytes, at: int) -> int:
    """Give where the class of characters that begins at *at* has its closing bracket."""
    at += 2 if pattern[at + 1 : at + 2] == b"^" else 1
    if pattern[at : at + 1] == b"]":
        at += 1
    while pattern[at : at + 1] != b"]":
        at += 2 if pattern[at : at + 1] == b"\\" else 1
    return at
