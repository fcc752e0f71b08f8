"""Make events of what Vectorscan tells, by the compiled part; and find there what begins with a sign.

Vectorscan calls Python for each match, which costs more than the match. So anchors whose rest, behind their heads,
begins with one of a few signs are looked for in C: see native/anchors.c.
"""

from __future__ import annotations

import ctypes
import re
from array import array
from typing import TYPE_CHECKING

from scrubber.alternatives import first_bytes
from scrubber.programs import Program, make_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scrubber.anchor import Anchor

_DOT, _EITHER_CASE = rb"\.", (rb"passw", rb"bearer ", rb"authorization")
_CAPITAL, _LOGIN = rb"(?:[A-Z]|[\xc3-\xc5][\x80-\xbf])", rb"[a-z]{3,13}[._]?[a-z]{2,20}[0-9]{0,4}"
_NAME, _ENCLOSED = 8, 9
_SIGNS = {
    rb"@": 1,
    rb"://": 2,
    _DOT: 3,
    rb"user ": 4,
    rb"[Uu]ser ": 4,
    rb"for ": 5,
    rb"passw": 6,
    rb"[\[(/][0-9]": 7,
    _CAPITAL + rb"[a-z\x80-\xff]{2,14} " + _CAPITAL: _NAME,
    _CAPITAL + rb"[a-z\x80-\xff][A-Za-z'\x80-\xff\-]{0,20} " + _CAPITAL[:-1] + rb"|[vdt][aeo])": _NAME,
    _CAPITAL + rb"[a-z\x80-\xff][A-Za-z'\x80-\xff\-]{0,20},? " + _CAPITAL[:-1] + rb"|[vdt][aeo])": _NAME,
    rb"\x27" + _LOGIN + rb"\x27": _ENCLOSED,
    rb'"' + _LOGIN + rb'\\{0,2}"': _ENCLOSED,
    rb"[\[{<(`\\]" + _LOGIN + rb"[\]}>)`@]": _ENCLOSED,
    rb"bearer ": 10,
    rb"authorization": 11,
}
"""What the rest of an anchor begins with, as it is written, that is found in C, and its number in native/anchors.c."""
_BYTES = (0, 1, 3, 1, 5, 4, 5, 2, 0, 0, 7, 13)
"""How many bytes a sign has, by its number; none where it is more than bytes that are written one by one."""
_OPENS_NAME = frozenset(b" /[\"'>=:|\t,(;\n")
"""What stands before the words of a name, as native/anchors.c has it."""
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_WORD = 8
_LONGEST = 160
"""Bytes of the longest head, as native/anchors.c has it."""


class _Packed(ctypes.Structure):
    """A program, empty for none."""

    _fields_ = (
        ("size", ctypes.c_uint64),
        ("set_count", ctypes.c_uint64),
        ("code", ctypes.c_char_p),
        ("sets", ctypes.c_char_p),
    )


class _Anchor(ctypes.Structure):
    """An anchor with a head, or one that begins with a sign."""

    _fields_ = (
        ("index", ctypes.c_uint64),
        ("sign", ctypes.c_uint64),
        ("reach", ctypes.c_uint64),
        ("rest", _Packed),
        ("head", _Packed),
        ("next", ctypes.c_uint8 * 32),
    )


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
    head, rest, sign, size = _parted(anchor)
    flags = re.IGNORECASE if anchor.caseless else 0
    program = make_program(rest, flags) if sign else None
    if program is None or not program.begins_with(_BYTES[sign]):  # user ?=
        head, program = anchor.head, None
    before = make_program(head, flags, backwards=True) if head else None
    if head and (before is None or before.longest > _LONGEST):
        raise ValueError(f"there is no program for the head {head!r}")
    if program is None and before is None:
        return None
    reach = before.longest + 2 if before is not None else 0  # and a byte at either end, for a word's boundary
    packed = _Anchor(index, sign if program is not None else 0, reach, _program(program), _program(before))
    then = make_program(rest[size:], flags) if program is not None and _BYTES[sign] else None
    packed.next[:] = then.first if then is not None else b"\xff" * 32
    return packed


def _parted(anchor: Anchor) -> tuple[bytes, bytes, int, int]:
    """Give an anchor's head, its rest, the sign that this begins with, 0 for none, and the length of that as written.

    A word's boundary before a sign is as good as a head.
    """
    head = anchor.before or anchor.head
    rest = anchor.pattern.removeprefix(head)
    if not head and rest.startswith(rb"\b"):
        head, rest = rest[:2], rest[2:]
    for sign, number in _SIGNS.items():
        if sign == _DOT and not head:
            continue  # dots are many: for a host of its own Vectorscan is quicker
        if number == _NAME and not _opens_name(head):
            continue
        if rest.startswith(sign) and not anchor.once and _is_seen(sign, rest, caseless=anchor.caseless):
            return head, rest, number, len(sign)
    return head, rest, 0, 0


def _is_seen(sign: bytes, rest: bytes, *, caseless: bool) -> bool:
    """Say whether C sees the *sign* wherever *rest* can match."""
    if sign == _DOT:
        return first_bytes(rest[len(sign) :], caseless=caseless) <= _LETTERS
    if sign in _EITHER_CASE:
        return True
    return not caseless or not (_SIGNS[sign] in {_NAME, _ENCLOSED} or sign[-2:-1].isalpha())


def _opens_name(head: bytes) -> bool:
    """Say whether *head*, which stands before the words of a name, ends with one of the bytes that C looks for."""
    last = make_program(head, backwards=True) if head else None
    return last is not None and all(
        byte in _OPENS_NAME for byte in range(256) if last.first[byte >> 3] >> (byte & 7) & 1
    )


def _program(program: Program | None) -> _Packed:
    if program is None:
        return _Packed()
    return _Packed(program.size, len(program.sets) // 32, program.code, program.sets)
