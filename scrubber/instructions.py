"""What programs are made of, as native/match.c reads them, and by which bytes each choice in one can go on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WIDTH = 6
"""Numbers of an instruction: what it does, three that say how, and by which bytes it can go on; see `look_ahead`."""
UNBOUNDED = 0xFFFFFFFF
_BYTES = 256


class Op(IntEnum):
    """What an instruction does: see native/match.c."""

    SET = 0
    REPEAT = 1
    LAZY = 2
    SPLIT = 3
    JUMP = 4
    SAVE = 5
    BEGIN = 6
    LINE = 7
    END = 8
    DOLLAR = 9
    LINE_END = 10
    BOUNDARY = 11
    LOOK = 12
    LOOK_DONE = 13
    SAME = 14
    MATCH = 15
    PICK = 16
    STRING = 17
    PEEK = 18


def look_ahead(
    code: list[int], sets: Sequence[bytes], picks: Mapping[int, Sequence[int]], set_of: Callable[[int], int]
) -> bytes:
    """Write into *code* the sets, one added, of the bytes by which choices and what follows repetitions can go on.

    Where something can go on without a byte, or it is not plain to see by which, that is 0. What cannot go on is then
    not tried. Of choices with many ways, which begin where *picks* says, a table is added. Give the set of the bytes by
    which all of it can begin.

    Args:
        code: instructions of `WIDTH` numbers.
        sets: of 32 bytes each, a bit for each byte.
        picks: for the place of each choice with many ways where those begin.
        set_of: gives the number of a set of bytes, each of which is a bit.
    """
    first: dict[int, int | None] = {}
    for at in range(len(code) - WIDTH, -1, -WIDTH):
        first[at] = _first(code, sets, picks, first, at)

    def hint(place: int) -> int:
        bits = first.get(place)
        return 0 if bits is None else set_of(bits) + 1

    for at in list(first):
        if code[at] in {Op.REPEAT, Op.LAZY}:
            code[at + 4] = hint(at + WIDTH)
        elif code[at] == Op.SPLIT:
            code[at + 4 : at + 6] = hint(code[at + 1]), hint(code[at + 2])
    for at, starts in picks.items():
        code[at + 1] = len(code)
        code += _table(starts, [first.get(start) for start in starts], len(code))
    begin = first.get(0)
    return b"\xff" * 32 if begin is None else begin.to_bytes(32, "little")


def _first(
    code: Sequence[int],
    sets: Sequence[bytes],
    picks: Mapping[int, Sequence[int]],
    first: Mapping[int, int | None],
    at: int,
) -> int | None:
    """Give the bytes, each a bit, by which what begins at *at* can go on; what stands behind it is known already."""
    operation, one, other, third = code[at : at + 4]
    if operation == Op.STRING:
        begin = sets[one][:1]
        return 1 << begin[0] | 1 << (begin.upper() if third else begin)[0]
    if operation in {Op.SET, Op.REPEAT, Op.LAZY}:
        own = int.from_bytes(sets[one], "little")
        return own if operation == Op.SET or other > 0 else _either(own, first.get(at + WIDTH))
    if operation in {Op.SPLIT, Op.PICK}:
        ways = picks[at] if operation == Op.PICK else (one, other)
        made: int | None = 0
        for way in ways:
            made = _either(made, first.get(way))
        return made
    if operation in {Op.LOOK_DONE, Op.SAME, Op.MATCH}:
        return None
    return first.get(one if operation in {Op.JUMP, Op.LOOK} else at + WIDTH)  # what jumps back is not known yet


def _either(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one | other


def _table(starts: Sequence[int], firsts: Sequence[int | None], at: int) -> list[int]:
    """Give for each byte, and for the text's end, where the list is of the ways that can go on with it, and the lists.

    The table stands at *at*.
    """
    always = sum(1 << number for number, bits in enumerate(firsts) if bits is None)
    ways = [always] * (_BYTES + 1)
    for number, bits in enumerate(firsts):
        left = bits or 0
        while left:
            lowest = left & -left
            ways[lowest.bit_length() - 1] |= 1 << number
            left ^= lowest
    made, lists = [0] * len(ways), dict[int, int]()
    for byte, which in enumerate(ways):
        if which not in lists:
            lists[which] = at + len(made)
            made += [start for number, start in enumerate(starts) if which >> number & 1]
            made.append(UNBOUNDED)
        made[byte] = lists[which]
    return made
