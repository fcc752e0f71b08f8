"""What is looked for in a block, and what a scanner says of where it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A short expression; `caseless` for ASCII letters alone."""

    pattern: bytes
    caseless: bool = False
    once: bool = False
    """Whether it is enough to know of one place in a block, any one."""
    shape: bool = False
    """Whether it has no literal that could be looked for: digits, classes and lengths alone."""
    head: bytes = b""
    """What of the pattern stands before its literal, in at most `LONGEST_HEAD` bytes, and in one way at
    most: of what begins with a class that is everywhere only the rest is scanned for."""

    before: bytes = b""
    """The same, of what is scanned for as a whole: so much stands before a sign by which the compiled part finds it."""

    rule: str = ""
    """The id of the rule, or of the place where identities are told, that it belongs to: for messages alone."""


LONGEST_HEAD = 64
INDEX_BITS = 12
LENGTH_BITS = 14
START_SHIFT = INDEX_BITS + LENGTH_BITS
INDEX_MASK = (1 << INDEX_BITS) - 1
LENGTH_MASK = (1 << LENGTH_BITS) - 1
"""An event is one number: an anchor's start, its length, its index. Tuples would cost more."""
