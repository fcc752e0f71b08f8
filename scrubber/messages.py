"""Find persons in messages whose fields are known by their place: HL7 2, EDIFACT, X12, SWIFT.

Sources: HL7 2.5.1 chapters 3, 4 and 6 (PID, NK1, PV1, ORC, OBR, GT1, IN1), UN/EDIFACT D.96A (NAD, CTA, COM), ASC X12
005010 (NM1, N3, N4, DMG, REF, PER), SWIFT's user handbook (fields 50 and 59 of MT 103).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber.fields import Field, images, is_kind
from scrubber.finder import remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.finder import Finder, Found
    from scrubber.pseudonym import Pseudonymizer

_NAMES, _PLACE = ("name", "name", "name"), ("street", "street", "city", "", "zip")
"""The components of a person's name (XPN) and of an address (XAD); what has no kind stays."""
_STAFF = ("", "name", "name", "name")
"""Those of somebody who works there (XCN): the number comes first."""
_SEGMENTS: dict[bytes, dict[int, tuple[str, ...]]] = {
    b"PID": {
        **dict.fromkeys((2, 3, 4, 18, 19, 20), ("national",)),
        **dict.fromkeys((5, 6, 9), _NAMES),
        7: ("birth",),
        11: _PLACE,
        13: ("phone",),
        14: ("phone",),
        23: ("city",),
    },
    b"PV1": dict.fromkeys((7, 8, 9, 17, 52), _STAFF),
    b"ORC": dict.fromkeys((10, 11, 12), _STAFF),
    b"OBR": dict.fromkeys((10, 16, 28, 32, 33, 34), _STAFF),
    b"NK1": {2: _NAMES, 4: _PLACE, 5: ("phone",), 6: ("phone",), 16: ("birth",)},
    b"GT1": {3: _NAMES, 5: _PLACE, 6: ("phone",), 7: ("phone",), 8: ("birth",), 12: ("national",)},
    b"IN1": {16: _NAMES, 18: ("birth",), 19: _PLACE, 36: ("national",)},
}
_PARTY = {3: "name", 4: "name", 5: "street", 6: "city", 8: "zip"}
"""The elements of NAD by their number; the first is the qualifier's."""
_X12: dict[bytes, dict[int, str]] = {
    b"NM1": {3: "name", 4: "name", 5: "name", 9: "national"},
    b"N3": {1: "street", 2: "street"},
    b"N4": {1: "city", 3: "zip"},
    b"DMG": {2: "birth"},
    b"REF": {2: "national"},
    b"PER": {2: "name", 4: "phone", 6: "phone", 8: "phone"},
}
"""The elements of X12's segments by their number."""
_OF_PEOPLE = {b"NM1": (2, {b"1"}), b"DMG": (1, {b"D8"}), b"REF": (1, {b"SY", b"1W", b"0F"})}
"""What an element must say for the segment to be a person's."""
_NUMBERS_OF_PEOPLE = frozenset((b"MI", b"SY", b"34", b"II"))
_ELEMENTS = re.compile(rb"[A-Z][A-Z0-9]{1,2}\*[^~\r\n]{1,600}")
_SEGMENT = re.compile(rb"[^\r\n]{3,4000}")
_INTERCHANGE = re.compile(rb"(?:[^'?\r\n]|\?.){3,1000}")
_PAYMENT = re.compile(
    rb"\n:5[09][A-Z]?:(?P<account>/[^\r\n]{1,40}\r?\n)?(?P<lines>(?:(?![:\-])[^\r\n]{1,40}(?:\r?\n|\Z)){1,5})"
)
_LINE = re.compile(rb"[^\r\n]+")
_NUMBERED = re.compile(rb"[1-8]/")
"""How the structured form (50F, 59F) begins its lines."""


def find_message(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of what a segment's places say to be somebody's."""
    made = {kind: remembered(image) for kind, image in images(pseudonyms).items()}

    def find(buf: bytes, start: int, _end: int) -> list[Found] | None:
        head = buf[start : start + 3]
        if head in _SEGMENTS:
            return list(_health(buf, start, _SEGMENTS[head], made)) or None
        if head in {b"NAD", b"CTA"}:
            return list(_trade(buf, start, made, contact=head == b"CTA")) or None
        if head == b"COM":
            return list(_channel(buf, start, made)) or None
        if b"*" in buf[start : start + 4]:
            return list(_claim(buf, start, made)) or None
        return list(_payment(buf, start, made)) or None

    return find


def _told(text: bytes, start: int, kind: str, made: dict[str, Callable[[bytes], bytes]]) -> Iterator[Found]:
    """Give the pseudonym of *text*, which stands at *start*, where it can be of *kind*."""
    if len(text.strip()) > 1 and is_kind(Field(kind=kind), text.strip()):
        yield start, start + len(text), text, made[kind](text)


def _health(
    buf: bytes, start: int, places: dict[int, tuple[str, ...]], made: dict[str, Callable[[bytes], bytes]]
) -> Iterator[Found]:
    segment = _SEGMENT.match(buf, start)
    at = start
    for number, field in enumerate(segment[0].split(b"|") if segment else ()):
        kinds = places.get(number, ())
        for again in re.finditer(rb"[^~]+", field) if kinds else ():
            inner = at + again.start()
            for kind, part in zip(kinds, again[0].split(b"^"), strict=False):
                if kind:
                    yield from _told(part, inner, kind, made)
                inner += len(part) + 1
        at += len(field) + 1


def _trade(buf: bytes, start: int, made: dict[str, Callable[[bytes], bytes]], *, contact: bool) -> Iterator[Found]:
    segment = _INTERCHANGE.match(buf, start)
    at = start
    for number, element in enumerate(segment[0].split(b"+") if segment else ()):
        kind = ("name" if number == 2 else "") if contact else _PARTY.get(number, "")
        inner = at
        for place, part in enumerate(element.split(b":")):
            if kind and not (contact and place == 0):
                yield from _told(part, inner, kind, made)
            inner += len(part) + 1
        at += len(element) + 1


def _channel(buf: bytes, start: int, made: dict[str, Callable[[bytes], bytes]]) -> Iterator[Found]:
    """Read a number to call: COM+0123456:TE."""
    match = _CHANNEL.match(buf, start)
    if match is not None:
        yield from _told(match["number"].replace(b"?+", b"+"), match.start("number"), "phone", made)


_CHANNEL = re.compile(rb"COM\+(?P<number>[^':\r\n]{6,40}):(?:TE|FX|AL|CA)\b")


def _claim(buf: bytes, start: int, made: dict[str, Callable[[bytes], bytes]]) -> Iterator[Found]:
    """Read a segment of X12, where it is a person's."""
    segment = _ELEMENTS.match(buf, start)
    elements = segment[0].split(b"*") if segment else []
    places = _X12.get(elements[0], {}) if elements else {}
    number, said = _OF_PEOPLE.get(elements[0], (0, set())) if elements else (0, set())
    if said and (len(elements) <= number or elements[number] not in said):
        return
    at = start
    for number, element in enumerate(elements):
        kind = places.get(number, "")
        if kind == "national" and elements[0] == b"NM1" and elements[8] not in _NUMBERS_OF_PEOPLE:
            kind = ""
        if kind:
            yield from _told(element, at, kind, made)
        at += len(element) + 1


def _payment(buf: bytes, start: int, made: dict[str, Callable[[bytes], bytes]]) -> Iterator[Found]:
    match = _PAYMENT.match(buf, start)
    if match is None:
        return
    for place, line in enumerate(_LINE.finditer(buf, *match.span("lines"))):
        skip = 2 if _NUMBERED.match(line[0]) else 0
        yield from _told(line[0][skip:], line.start() + skip, "street" if place else "name", made)
