"""Read tables that are drawn in text: a line of names, and below it a ruler that says where the columns are.

Database clients draw them (`psql`, `mysql`, `sqlcmd`, `sqlplus`), PowerShell's `Format-Table`, and Markdown. They may
stand anywhere; the first line that belongs to no such table ends one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from scrubber.pseudonym import WORD_PSEUDONYM

if TYPE_CHECKING:
    from collections.abc import Iterator

_RULER = re.compile(
    rb"[ \t]{0,8}(?:[|+]?[ ]?:?-{2,}:?[ ]?(?:[|+][ ]?:?-{2,}:?[ ]?){1,200}[|+]?|"
    rb"-{2,}(?:[ ]{1,60}-{2,}){1,200}|={2,}(?:[ ]{1,60}={2,}){1,200})"
    rb"[ \t]*\r?"
)
SIGNS = rb"-\+-|-[ ]?\|[ ]?:?--|[-=] {1,60}[-=]{2}"
"""What every ruler has in it somewhere."""
_SIGNS = re.compile(SIGNS)
_EXPANDED = re.compile(rb"[ \t]*[-+]\[ RECORD [0-9]{1,9} \][-+]*\r?")
"""The ruler of a row that `psql` writes one column a line."""
_NAME = re.compile(rb"[A-Za-z_\x80-\xff][\w .\-/()#\x80-\xff]{0,60}")
_PARTS = re.compile(rb"[^ ]+(?: [^ ]+)*")
_LEAST = 2
_KEYS = frozenset(
    b"key name setting parameter property variable option attribute field config param eigenschaft cle clave".split()
)
_VALUES = frozenset(b"value wert valeur valor valore content data current current_value val setting_value".split())


class Ruling(NamedTuple):
    """A table that begins: its names, what is between its cells (a sign, or the ruler), and where its rows begin."""

    mode: str
    separator: bytes
    names: list[bytes]
    begin: int


def rulers(buf: bytes, pos: int, limit: int) -> Iterator[tuple[int, int]]:
    """Give the lines between two places that may be rulers, where they begin and end."""
    at = pos
    while (sign := _SIGNS.search(buf, at, limit)) is not None:
        begin = buf.rfind(b"\n", 0, sign.start()) + 1
        end = buf.find(b"\n", sign.end())
        end = len(buf) if end < 0 else end
        if begin >= pos:
            yield begin, end
        at = end + 1


def find_ruling(buf: bytes, begin: int, end: int) -> Ruling | None:
    """Say what table begins with the ruler between two places, if it is one below a line of names."""
    if _EXPANDED.fullmatch(buf, begin, end):
        return Ruling("pairs", b"|", [b"key", b"value"], end + 1)
    if begin < _LEAST or _RULER.fullmatch(buf, begin, end) is None:
        return None
    line_start = buf.rfind(b"\n", 0, begin - 1) + 1
    line = buf[line_start : begin - 1].rstrip(b"\r")
    ruler = buf[begin:end].rstrip()
    if b"|" in ruler or b"+" in ruler:
        names = line.split(b"|")
        columns = len(re.findall(rb"-{2,}", ruler))
        mode, separator = "ruled", b"|"
    else:
        names = [line[start:stop] for start, stop in widths(ruler)]
        columns, mode, separator = len(names), "fixed", ruler
    named = [name.strip() for name in names if name.strip()]
    if len(named) != columns or not all(_NAME.fullmatch(name) for name in named):
        return None
    return Ruling(mode, separator, names, end + 1)


def widths(ruler: bytes) -> list[tuple[int, int]]:
    """Give where each column of a ruler of blanks and strokes begins, and where the next one does."""
    starts = [match.start() for match in re.finditer(rb"[-=]+", ruler)]
    return list(zip(starts, [*starts[1:], 1 << 20], strict=True))


def goes_on(line: bytes, mode: str) -> bool:
    """Say whether *line* belongs to the table: a row, or another ruler."""
    if mode == "fixed":
        return bool(line.strip())
    return b"|" in line or (
        line[:1] in b"+-" and (_RULER.fullmatch(line) is not None or _EXPANDED.fullmatch(line) is not None)
    )


def cells(line: bytes, mode: str, separator: bytes) -> list[tuple[int, int]]:
    """Give the spans of a row's cells within its line; none for a ruler."""
    if _RULER.fullmatch(line) is not None or _EXPANDED.fullmatch(line) is not None:
        return []
    if mode != "fixed":
        spans, at = [], 0
        for cell in line.split(separator):
            spans.append((at, at + len(cell)))
            at += len(cell) + 1
        return spans
    return _by_width(line, widths(separator))


def _by_width(line: bytes, columns: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give the spans of cells that stand below a ruler's strokes; where they do not, of what wide gaps part."""
    text = line.decode("utf-8", "replace")  # columns are as many characters wide, not bytes
    if len(text.encode()) != len(line):
        return []
    inside = [(start, stop) for start, stop in columns if start < len(text)]
    if WORD_PSEUDONYM.search(line) is None and all(start == 0 or text[start - 1] == " " for start, _ in inside):
        return [(len(text[:start].encode()), len(text[:stop].encode())) for start, stop in inside]
    parts = [match.span() for match in _PARTS.finditer(line)]
    return parts if len(parts) == len(columns) else []


def pair_of(names: list[bytes]) -> tuple[int, int] | None:
    """Say which columns hold a setting's name and its value, in a table of settings; None for any other."""
    plain = [name.strip().strip(b"`\"'").lower() for name in names]
    key = next((index for index, name in enumerate(plain) if name in _KEYS), None)
    value = next((index for index, name in enumerate(plain) if name in _VALUES), None)
    return None if key is None or value is None else (key, value)
