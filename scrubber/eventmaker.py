"""Make events of what Vectorscan tells, by the compiled part; and find there what begins with a sign.

Vectorscan calls Python for each match, which costs more than the match. So anchors whose rest, behind their heads,
begins with one of a few signs are looked for in C: see native/anchors.c.
"""

from __future__ import annotations

import ctypes
import re
from array import array
from typing import TYPE_CHECKING

from scrubber.programs import Program, make_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scrubber.anchor import Anchor

_SIGNS = (b"@", b"://")
_WORD = 8


class _Packed(ctypes.Structure):
    """A program, empty for none."""

    _fields_ = (
        ("size", ctypes.c_uint64),
        ("set_count", ctypes.c_uint64),
        ("code", ctypes.POINTER(ctypes.c_uint32)),
        ("sets", ctypes.c_char_p),
    )


class _Anchor(ctypes.Structure):
    """An anchor with a head, or one that begins with a sign."""

    _fields_ = (("index", ctypes.c_uint64), ("sign", ctypes.c_uint64), ("rest", _Packed), ("head", _Packed))


class EventMaker:
    """Makes the events of one set of anchors."""

    def __init__(self, library: ctypes.CDLL, anchors: Iterable[tuple[int, Anchor]]) -> None:
        """Make them with *library* of matches of *anchors*, each with its number.

        Raises:
            ValueError: there is a head that has no program.
        """
        self._library = library
        made = [each for each in (_packed(index, anchor) for index, anchor in anchors) if each is not None]
        self._anchors = (_Anchor * len(made))(*made)
        self.found = frozenset(each.index for each in made if each.sign)
        """The numbers of those that are found here, and need not be looked for."""

    def events(self, block: bytes, told: Sequence[int]) -> bytes | None:
        """Give all events, as 64 bits each, None where that is left to Python.

        *told* has three numbers for each match in *block*: an anchor's, with 2¹² added where it has a head of which
        only the rest was looked for; a start; an end.
        """
        matches, events = array("Q", told).tobytes(), ctypes.c_void_p()
        size: int = self._library.anchors_events(
            block, len(block), matches, len(told) // 3, self._anchors, len(self._anchors), ctypes.byref(events)
        )
        if size > _WORD << 32:
            return None
        try:
            return ctypes.string_at(events, size) if size else b""
        finally:
            self._library.anchors_done(events)


def _packed(index: int, anchor: Anchor) -> _Anchor | None:
    """Pack an anchor, None for one that is as Vectorscan tells of it."""
    rest, flags = anchor.pattern.removeprefix(anchor.head), re.IGNORECASE if anchor.caseless else 0
    program = make_program(rest, flags) if rest.startswith(_SIGNS) and not anchor.once else None
    head = make_program(anchor.head, flags, backwards=True) if anchor.head else None
    if anchor.head and head is None:
        raise ValueError(f"there is no program for the head {anchor.head!r}")
    if program is None and head is None:
        return None
    return _Anchor(index, rest[0] if program is not None else 0, _program(program), _program(head))


def _program(program: Program | None) -> _Packed:
    if program is None:
        return _Packed()
    code = (ctypes.c_uint32 * len(program.code))(*program.code)
    return _Packed(len(code), len(program.sets) // 32, code, program.sets)
