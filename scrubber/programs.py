"""Make of an expression of a rule what the compiled part matches it by: see native/match.c.

It is taken apart as `re` itself does. What is rarely written (atomic groups, conditions, repetitions of what may be
empty) makes no program, and is left to `re`.
"""

from __future__ import annotations

import itertools
import re
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from scrubber.instructions import UNBOUNDED, WIDTH, Op, look_ahead

if TYPE_CHECKING:
    from collections.abc import Iterable

_PARSER: Any = getattr(re, "_parser", None)
"""What `re` takes expressions apart by: nobody's to rely on, so nothing is lost but time where it is no more."""
_NAMES: Any = getattr(re, "_constants", None)

_MOST_GROUPS = 31
_MOST_CODE = 16_384
"""Instructions of a program: what would be longer, for repetitions written out, is left to `re`."""
_MANY_WAYS = 4
"""Ways of a choice for which a table says which of them can go on with a byte."""
_DIGITS, _SPACES = b"0123456789", b" \t\n\r\f\v"
_WORDS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"


class _Unwritable(Exception):  # noqa: N818 - says that there is no program, which is no error
    """The expression has something for which there is no instruction."""


class Program(NamedTuple):
    """Instructions of six numbers each, and the sets of bytes that they name."""

    code: bytes
    """Numbers of 32 bits of this machine."""
    sets: bytes
    """Of 32 bytes each, a bit for each byte."""
    first: bytes
    """The set of the bytes by which a match can begin; all, where it can be empty or that is not plain to see."""
    longest: int
    """Bytes of the longest match."""

    def begins_with(self, count: int) -> bool:
        """Say whether every match begins with *count* bytes that are written one by one."""
        at, code = 0, memoryview(self.code).cast("I")
        while count > 0 and code[at] in {Op.SET, Op.STRING}:
            count -= code[at + 2] if code[at] == Op.STRING else 1
            at += WIDTH
        return count <= 0

    @property
    def size(self) -> int:
        """Count the numbers."""
        return len(self.code) // 4


@lru_cache(maxsize=2048)
def make_program(expression: bytes, flags: int = 0, *, backwards: bool = False) -> Program | None:
    """Give the program of *expression*, None where it has something that only `re` does.

    *backwards* it matches the bytes from the last to the first, of an expression of sets, choices,
    repetitions and words' boundaries.
    """
    if _PARSER is None or _NAMES is None:
        return None
    parsed = _PARSER.parse(expression, flags)
    if parsed.state.groups - 1 > (0 if backwards else _MOST_GROUPS):
        return None
    writer = _Writer(backwards=backwards)
    try:
        writer.sequence(parsed, parsed.state.flags)
    except _Unwritable:
        return None
    writer.add(Op.MATCH)
    first = look_ahead(writer.code, writer.sets, writer.picks, writer.set_of)
    return Program(array("I", writer.code).tobytes(), b"".join(writer.sets), first, int(parsed.getwidth()[1]))


class _Writer:
    def __init__(self, *, backwards: bool) -> None:
        self._backwards = backwards
        self.code: list[int] = []
        self.sets: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self.picks: dict[int, list[int]] = {}
        """Where the ways of choices with tables begin, by the places of those."""

    def add(self, operation: int, first: int = 0, second: int = 0, third: int = 0) -> int:
        """Add an instruction; give its place."""
        if len(self.code) >= WIDTH * _MOST_CODE:
            raise _Unwritable
        self.code += (operation, first, second, third, 0, 0)
        return len(self.code) - WIDTH

    @property
    def here(self) -> int:
        return len(self.code)

    def _set(self, these: Iterable[int]) -> int:
        bits = 0
        for byte in these:
            bits |= 1 << byte
        return self.set_of(bits)

    def set_of(self, bits: int) -> int:
        """Give the number of a set, of which each byte is a bit."""
        key = bits.to_bytes(32, "little")
        if key not in self._numbers:
            self._numbers[key] = len(self.sets)
            self.sets.append(key)
        return self._numbers[key]

    def sequence(self, parsed: Any, flags: int) -> None:  # noqa: ANN401 - re's own
        run: list[frozenset[int]] = []
        for operation, argument in reversed(parsed) if self._backwards else parsed:
            these = _bytes_of(operation, argument, flags)
            if these is not None:
                run.append(these)
                continue
            self._bytes(run)
            run.clear()
            self._one(operation, argument, flags)
        self._bytes(run)

    def _bytes(self, run: list[frozenset[int]]) -> None:
        """Write that one byte after the other is to match, words at once."""
        for caseless, group in itertools.groupby(run, _letter_case):
            these = list(group)
            if caseless is None or len(these) == 1:
                for each in these:
                    self.add(Op.SET, self._set(each))
            else:
                self.add(Op.STRING, self._string(bytes(max(each) for each in these)), len(these), int(caseless))

    def _string(self, text: bytes) -> int:
        """Put *text* where the sets are; give the number of the first that it fills."""
        at = len(self.sets)
        self.sets += [text[begin : begin + 32].ljust(32, b"\0") for begin in range(0, len(text), 32)]
        return at

    def _one(self, operation: Any, argument: Any, flags: int) -> None:  # noqa: ANN401 - re's own
        if operation is _NAMES.BRANCH:
            self._branch(argument[1], flags)
        elif operation is _NAMES.SUBPATTERN:
            group, added, removed, inner = argument
            if group is not None:
                self.add(Op.SAVE, 2 * group)
            self.sequence(inner, (flags | added) & ~removed)
            if group is not None:
                self.add(Op.SAVE, 2 * group + 1)
        elif operation in {_NAMES.MAX_REPEAT, _NAMES.MIN_REPEAT}:
            self._repeat(argument, flags, greedy=operation is _NAMES.MAX_REPEAT)
        elif operation is _NAMES.AT:
            self._place(argument, flags)
        elif operation in {_NAMES.ASSERT, _NAMES.ASSERT_NOT}:
            self._look(argument, flags, wanted=operation is _NAMES.ASSERT)
        elif operation is _NAMES.GROUPREF and not flags & re.IGNORECASE:
            self.add(Op.SAME, argument)
        else:
            raise _Unwritable

    def _branch(self, parts: Any, flags: int) -> None:  # noqa: ANN401 - re's own
        jumps: list[int] = []
        if len(parts) >= _MANY_WAYS:
            starts = self.picks[self.add(Op.PICK)] = list[int]()
            for part in parts:
                starts.append(self.here)
                self.sequence(part, flags)
                jumps.append(self.add(Op.JUMP))
            for jump in jumps:
                self.code[jump + 1] = self.here
            return
        for part in parts[:-1]:
            split = self.add(Op.SPLIT)
            self.code[split + 1] = self.here
            self.sequence(part, flags)
            jumps.append(self.add(Op.JUMP))
            self.code[split + 2] = self.here
        self.sequence(parts[-1], flags)
        for jump in jumps:
            self.code[jump + 1] = self.here

    def _repeat(self, argument: Any, flags: int, *, greedy: bool) -> None:  # noqa: ANN401 - re's own
        least, most, inner = argument
        endless = most == _NAMES.MAXREPEAT
        most = UNBOUNDED if endless else int(most)
        these = _bytes_of(inner[0][0], inner[0][1], flags) if len(inner) == 1 else None
        if these is not None:
            self.add(Op.REPEAT if greedy else Op.LAZY, self._set(these), int(least), most)
            return
        if inner.getwidth()[0] == 0 and most > 1:
            raise _Unwritable
        for _ in range(least):
            self.sequence(inner, flags)
        if endless:
            split = self.add(Op.SPLIT)
            self.sequence(inner, flags)
            self.add(Op.JUMP, split)
            self._choose(split, split + WIDTH, self.here, greedy=greedy)
            return
        splits = []
        for _ in range(most - least):
            splits.append(self.add(Op.SPLIT))
            self.sequence(inner, flags)
        for split in splits:
            self._choose(split, split + WIDTH, self.here, greedy=greedy)

    def _choose(self, split: int, on: int, out: int, *, greedy: bool) -> None:
        self.code[split + 1 : split + 3] = (on, out) if greedy else (out, on)

    def _place(self, where: Any, flags: int) -> None:  # noqa: ANN401 - re's own
        if self._backwards and where not in {_NAMES.AT_BOUNDARY, _NAMES.AT_NON_BOUNDARY}:
            raise _Unwritable
        lines = bool(flags & re.MULTILINE)
        if where is _NAMES.AT_BEGINNING:
            self.add(Op.LINE if lines else Op.BEGIN)
        elif where is _NAMES.AT_BEGINNING_STRING:
            self.add(Op.BEGIN)
        elif where is _NAMES.AT_END:
            self.add(Op.LINE_END if lines else Op.DOLLAR)
        elif where is _NAMES.AT_END_STRING:
            self.add(Op.END)
        elif where in {_NAMES.AT_BOUNDARY, _NAMES.AT_NON_BOUNDARY}:
            self.add(Op.BOUNDARY, int(where is _NAMES.AT_BOUNDARY))
        else:
            raise _Unwritable

    def _look(self, argument: Any, flags: int, *, wanted: bool) -> None:  # noqa: ANN401 - re's own
        if self._backwards:
            raise _Unwritable
        direction, inner = argument
        back = 0
        if direction < 0:
            back, most = inner.getwidth()
            if back != most:
                raise _Unwritable
        these = _bytes_of(inner[0][0], inner[0][1], flags) if len(inner) == 1 else None
        if these is not None:
            self.add(Op.PEEK, self._set(these), int(wanted), back)
            return
        look = self.add(Op.LOOK, 0, int(wanted), back)
        self.sequence(inner, flags)
        self.add(Op.LOOK_DONE)
        self.code[look + 1] = self.here


def _letter_case(these: frozenset[int]) -> bool | None:
    """Say whether what one byte can be is a letter in either case; None for neither that nor a single byte.

    What is in both is told by those around it: it is none of a word in either case.
    """
    if len(these) == 1:
        return False
    text = bytes(sorted(these))
    return True if len(these) == 2 and text.isalpha() and text[:1].lower() == text[1:] else None


def _bytes_of(operation: Any, argument: Any, flags: int) -> frozenset[int] | None:  # noqa: ANN401 - re's own
    """Give the bytes that match, where it is one byte that does."""
    if operation is _NAMES.ANY:
        return frozenset(range(256)) - (frozenset() if flags & re.DOTALL else frozenset(b"\n"))
    if operation is _NAMES.LITERAL:
        return _caseless(frozenset((argument,)), flags)
    if operation is _NAMES.NOT_LITERAL:
        return frozenset(range(256)) - _caseless(frozenset((argument,)), flags)
    if operation is not _NAMES.IN:
        return None
    these: set[int] = set()
    negated = False
    for kind, value in argument:
        if kind is _NAMES.NEGATE:
            negated = True
        elif kind is _NAMES.LITERAL:
            these.add(value)
        elif kind is _NAMES.RANGE:
            these.update(range(value[0], value[1] + 1))
        elif kind is _NAMES.CATEGORY:
            these |= _categories()[value]
        else:
            raise _Unwritable
    known = _caseless(frozenset(these), flags)
    return frozenset(range(256)) - known if negated else known


@lru_cache(maxsize=1)
def _categories() -> dict[Any, frozenset[int]]:
    """Give what stands for a class of bytes, such as digits."""
    every = frozenset(range(256))
    digits, spaces, words = frozenset(_DIGITS), frozenset(_SPACES), frozenset(_WORDS)
    return {
        _NAMES.CATEGORY_DIGIT: digits,
        _NAMES.CATEGORY_SPACE: spaces,
        _NAMES.CATEGORY_WORD: words,
        _NAMES.CATEGORY_NOT_DIGIT: every - digits,
        _NAMES.CATEGORY_NOT_SPACE: every - spaces,
        _NAMES.CATEGORY_NOT_WORD: every - words,
    }


def _caseless(these: frozenset[int], flags: int) -> frozenset[int]:
    if not flags & re.IGNORECASE:
        return these
    return these | {ord(bytes((byte,)).swapcase()) for byte in these}
