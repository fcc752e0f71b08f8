r"""See through what a notation has put in place of characters, and come back to the places in the original.

Seven notations: line breaks written out (`\n`, `#012`), characters by number (`\u0040`, `\x3d`), percent-encoding
(RFC 3986), the same with a plus for a blank (WHATWG URL, section 5.2), entities (XML 1.0, section 4.1),
quoted-printable (RFC 2045, section 6.7), colours (ECMA-48, SGR).
Around the places where an anchor
saw one, the text is read as it was meant and searched again; what is found there is replaced in the original, so that
everything beside it keeps its notation.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scrubber.anchor import Anchor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scrubber.candidate import Candidate

BEFORE = 1024
AFTER = 6144
"""Bytes looked at around an escape: more than a finder looks back, and longer than any value but a key's."""
_NEAR = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Notation:
    """One way of writing characters: where to look, what an escape is, what it means, and how a quote is written."""

    name: str
    anchors: tuple[Anchor, ...]
    escape: re.Pattern[bytes]
    meaning: Callable[[bytes], bytes]
    quote: bytes
    others: tuple[tuple[bytes, bytes], ...] = ()
    """What else of a replacement must be written otherwise."""
    hard: re.Pattern[bytes] | None = None
    """What of it ends any value, whatever the original looks like."""
    sure: re.Pattern[bytes] | None = None
    """What of it is surely no part of the original's words; all, where this is None. `ip=10.20.30.40` is no escape."""


_UNITS = re.compile(rb"(?:\\+u[0-9A-Fa-f]{4})+")
_UNIT = re.compile(rb"u([0-9A-Fa-f]{4})")
_BREAKS = re.compile(rb"\\+[nrt]")


def unescaped(text: bytes) -> bytes:
    r"""Give what a value within a string of JSON means: characters for `\u00e9`, of any plane, blanks for breaks."""
    if b"\\" not in text:
        return text
    return _BREAKS.sub(b" ", _UNITS.sub(_units, text)).replace(b"\\/", b"/")


def _units(match: re.Match[bytes]) -> bytes:
    """Read UTF-16 by its numbers (RFC 8259, section 7)."""
    numbers = b"".join(_UNIT.findall(match[0]))
    return bytes.fromhex(numbers.decode()).decode("utf-16-be", "replace").encode()


def _blank(text: bytes) -> bytes:
    """Give white space of the same length: line breaks for line breaks, so that nothing moves."""
    return b" " * (len(text) - 1) + (b"\t" if text[-1:] == b"t" or text == b"#011" else b"\n")


def _numbered(text: bytes) -> bytes:
    return chr(int(text.lstrip(b"\\")[1:], 16)).encode("utf-8", "replace")


def _percent(text: bytes) -> bytes:
    return bytes((int(text[1:], 16),))


def _form(text: bytes) -> bytes:
    return b" " if text == b"+" else _percent(text)


def _entity(text: bytes) -> bytes:
    return html.unescape(text.decode("ascii")).encode("utf-8", "replace")


def _printable(text: bytes) -> bytes:
    return b"" if text[-1:] == b"\n" else bytes((int(text[1:], 16),))


def _colourless(_text: bytes) -> bytes:
    return b" "


_ESCAPE = rb"(?:\x1b|\\{1,4}u001[bB]|\\{1,4}x1[bB]|\\{1,4}033|#033|\^\[)\["
NOTATIONS = (
    Notation(
        name="breaks",
        anchors=(Anchor(pattern=rb"\\[nrt][0-9A-Za-z_+($]"), Anchor(pattern=rb"#01[125][!-~]")),
        escape=re.compile(rb"\\+[nrt]|#01[125]"),
        meaning=_blank,
        quote=b'\\"',
        hard=re.compile(rb"\\\\+[nrt]|#"),
    ),
    Notation(
        name="numbered",
        anchors=(Anchor(pattern=rb"\\u00[2-7][0-9A-Fa-f]"), Anchor(pattern=rb"\\x[2-7][0-9A-Fa-f]")),
        escape=re.compile(rb"\\+u[0-9A-Fa-f]{4}|\\+x[0-9A-Fa-f]{2}"),
        meaning=_numbered,
        quote=b"\\u0022",
        hard=re.compile(rb"\\+u000[AaDd]|\\+x0[AaDd]"),
    ),
    Notation(
        name="percent",
        anchors=(Anchor(pattern=rb"%(?:3[AaDd]|2[27Ff]|40|[57][Bb]|25[2-7]|2[Bb][1-9]|2[08][0-9])"),),
        escape=re.compile(rb"%[0-9A-Fa-f]{2}"),
        meaning=_percent,
        quote=b"%22",
        others=((b"+", b"%2B"), (b" ", b"%20")),
        hard=re.compile(rb"%0[AaDd]"),
    ),
    Notation(
        name="form",
        anchors=(
            Anchor(pattern=rb"%2[Bb][1-9][0-9]{0,2}\+[0-9(%]"),
            Anchor(pattern=rb"%28[0-9]{2,5}%29\+[0-9]"),
            Anchor(pattern=rb"=[0-9]{1,4}\+[0-9]{2,6}\+[0-9]{2,7}[0-9+&]", shape=True),
            Anchor(pattern=rb"=[A-Z]{2}[0-9]{2}\+[0-9A-Z]{4}\+[0-9A-Z]{4}\+", shape=True),
        ),
        escape=re.compile(rb"\+|%[0-9A-Fa-f]{2}"),
        meaning=_form,
        quote=b"%22",
        others=((b"+", b"%2B"), (b" ", b"+")),
        hard=re.compile(rb"%0[AaDd]"),
    ),
    Notation(
        name="entities",
        anchors=(Anchor(pattern=rb"&(?:quot|apos|lt|#[0-9]{2}|#[0-9]{3}|#[xX][0-9A-Fa-f]{1,4});"),),
        escape=re.compile(rb"&(?:quot|apos|lt|gt|amp|#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,5});"),
        meaning=_entity,
        quote=b"&quot;",
        hard=re.compile(rb"&\#(?:1[03]|[xX]0?[AaDd]);"),
    ),
    Notation(
        name="printable",
        anchors=(Anchor(pattern=rb"=(?:3D|C3)"),),
        escape=re.compile(rb"=(?:[0-9A-F]{2}|\r?\n)"),
        meaning=_printable,
        quote=b'"',
        sure=re.compile(rb"=3D"),
    ),
    Notation(
        name="colours",
        anchors=(
            Anchor(pattern=rb"\x1b\[[0-9;]{0,12}[mK]"),
            Anchor(pattern=rb"u001[bB]\[[0-9;]{0,12}m"),
            Anchor(pattern=rb"(?:\\x1[bB]|\\033|#033|\^\[)\[[0-9;]{0,12}m"),
        ),
        escape=re.compile(_ESCAPE + rb"[0-9;:]{0,16}[mK]"),
        meaning=_colourless,
        quote=b'"',
    ),
)


def regions(buf: bytes, places: Sequence[int]) -> list[tuple[int, int]]:
    """Give the parts of *buf* to read again: around each place, to the ends of its line or so far as it matters."""
    spans: list[tuple[int, int]] = []
    begin = end = line_end = -1
    for at in sorted(places):
        if at <= line_end:
            continue
        stop = buf.find(b"\n", at, at + AFTER)
        low = max(0, at - BEFORE)
        start = buf.rfind(b"\n", low, at) + 1 or low
        if start > end:
            if end >= 0:
                spans.append((begin, end))
            begin = start
        line_end = stop
        end = min(len(buf), at + AFTER) if stop < 0 else stop
    if end >= 0:
        spans.append((begin, end))
    return spans


class Reading:
    """A part of a buffer as it was meant, and the way back."""

    def __init__(self, part: bytes, notation: Notation) -> None:
        """Read *part*."""
        known: dict[bytes, bytes] = {}
        pieces: list[bytes] = []
        self.escapes: list[tuple[int, int]] = []
        self._meant = [0]
        self._written = [0]
        at = size = 0
        for match in notation.escape.finditer(part):
            span = begin, end = match.span()
            escape = match[0]
            made = known.get(escape)
            if made is None:
                made = known[escape] = notation.meaning(escape)
            size += begin - at
            pieces.append(part[at:begin])
            pieces.append(made)
            self.escapes.append(span)
            self._meant += (size, size + len(made))
            self._written += span
            size += len(made)
            at = end
        pieces.append(part[at:])
        self.text = b"".join(pieces)

    def changed(self, start: int, end: int) -> bool:
        """Say whether an escape stands in or shortly before a span of the text."""
        after = bisect_left(self._meant, max(1, start - _NEAR))
        return after < len(self._meant) and self._meant[after] <= end

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give where a span of the text stands in the part."""
        first = bisect_right(self._meant, start) - 1
        last = bisect_left(self._meant, end)
        if last == len(self._meant) or self._meant[last] != end:
            last -= 1
        return (
            self._written[first] + start - self._meant[first],
            self._written[last] + end - self._meant[last],
        )


def read_again(
    buf: bytes,
    places: Sequence[int],
    notation: Notation,
    found: list[Candidate],
    find: Callable[[bytes], list[Candidate]],
) -> list[Candidate]:
    """Search the parts of *buf* around *places* as *notation* means them; give that and what stays of *found*.

    What was found in the original goes where it begins within an escape or right behind one, and does not end within
    one: there the notation knows better. Elsewhere the longer of two findings wins, as always.
    """
    again: list[Candidate] = []
    written: list[tuple[int, int]] = []
    for begin, stop in regions(buf, places):
        reading = Reading(buf[begin:stop], notation)
        written += [(begin + low, begin + high) for low, high in reading.escapes]
        for start, rank, negative_end, value, replacement in find(reading.text):
            if reading.changed(start, -negative_end):
                low, high = reading.span(start, -negative_end)
                again.append((begin + low, rank, -begin - high, value, _written(replacement, notation)))
    known = {(start, rank) for start, rank, _, _, _ in again}
    for candidate in found:
        start, rank, negative_end, value, replacement = candidate
        before = bisect_left(written, (start,)) - 1
        if before >= 0 and start <= written[before][1] and _is_sure(buf, written[before][0], notation):
            continue
        end = _whole_end(buf, written, notation, start, -negative_end)
        if end == -negative_end:
            again.append(candidate)
        elif end > start and (start, rank) not in known:
            again.append((start, rank, -end, value, replacement))
    return again


def _written(replacement: bytes, notation: Notation) -> bytes:
    """Write a replacement as *notation* has it."""
    for sign, made in ((b'"', notation.quote), *notation.others):
        if sign in replacement:
            replacement = replacement.replace(sign, made)
    return replacement


def _whole_end(buf: bytes, written: list[tuple[int, int]], notation: Notation, start: int, end: int) -> int:
    """Give *end*, or where the escape begins that it would cut, or that surely ends a line."""
    last = bisect_left(written, (end,))
    if notation.hard is not None:
        for begin, _ in written[bisect_left(written, (start,)) : last]:
            if notation.hard.match(buf, begin):
                return begin
    if last and written[last - 1][0] < end < written[last - 1][1] and _is_sure(buf, written[last - 1][0], notation):
        return written[last - 1][0]
    return end


def _is_sure(buf: bytes, at: int, notation: Notation) -> bool:
    return notation.sure is None or notation.sure.match(buf, at) is not None
