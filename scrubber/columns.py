"""Read the cells of SQL's INSERT and of PostgreSQL's COPY, each under its column's name.

Only as far as a finder may look (`finder.REACH`): a statement that is longer is cut there, and a dump's next statement
has its columns again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from scrubber.finder import REACH

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSERT = re.compile(
    rb"(?:insert|replace)\s{1,4}(?:ignore\s{1,4})?into\s{1,4}[^\s()]{1,200}\s{0,8}\((?P<columns>[^()]{1,8000})\)\s{0,20}"
    rb"(?:overriding\s+\w+\s+value\s{1,8})?values?\s{0,20}(?=\()",
    re.IGNORECASE,
)
_COPY = re.compile(
    rb"copy\s{1,4}[^\s()]{1,200}\s{0,4}\((?P<columns>[^()]{1,8000})\)\s{1,4}from\s{1,4}stdin[^\n]{0,200};?\r?\n",
    re.IGNORECASE,
)
_CELL = re.compile(
    rb"\s{0,40}(?:[nNeEbBxX]?'(?P<quoted>(?:[^'\\]|\\.|'')*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^,()'\"]{1,400}))"
    rb"(?:::\w+)?\s{0,40}(?P<after>[,)])",
    re.DOTALL,
)
_NEXT = re.compile(rb"\s{0,40},?\s{0,40}\(")


class Cell(NamedTuple):
    """A value's place and its column's name; `quoted` where it is a string."""

    column: bytes
    start: int
    end: int
    quoted: bool


def cells(buf: bytes, start: int) -> Iterator[Cell]:
    """Give the cells of the statement that begins at *start*, if one does."""
    limit = start + REACH
    insert = _INSERT.match(buf, start, limit)
    if insert is not None:
        yield from _tuples(buf, insert.end(), limit, _names(insert["columns"]))
        return
    copy = _COPY.match(buf, start, limit)
    if copy is not None:
        yield from _lines(buf, copy.end(), limit, _names(copy["columns"]))


def _names(text: bytes) -> list[bytes]:
    return [name.strip(b' \t\r\n`"[]') for name in text.split(b",")]


def _tuples(buf: bytes, at: int, limit: int, names: list[bytes]) -> Iterator[Cell]:
    while (opening := _NEXT.match(buf, at, limit)) is not None:
        at = opening.end()
        for name in names:
            cell = _CELL.match(buf, at, limit)
            if cell is None:
                return
            group = "quoted" if cell["quoted"] is not None else "double" if cell["double"] is not None else "bare"
            yield Cell(name, *cell.span(group), group != "bare")
            at = cell.end()
            if cell["after"] == b")":
                break


def _lines(buf: bytes, at: int, limit: int, names: list[bytes]) -> Iterator[Cell]:
    while at < min(limit, len(buf)):
        end = buf.find(b"\n", at, limit)
        if end < 0 or buf.startswith(b"\\.", at):
            return
        for name in names:
            stop = buf.find(b"\t", at, end)
            stop = end if stop < 0 else stop
            if buf[at:stop] != b"\\N":
                yield Cell(name, at, stop, True)
            at = stop + 1
            if stop == end:
                break
        at = end + 1
