"""Read the rows of a table, as an inventory or an export of accounts is one, for the hosts and logins it lists."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from scrubber.fields import column_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_REACH = 8 << 10
"""Bytes of a table that are read, from its head on: as much as one block of a text shares with the next."""
_LONGEST_HEAD = 2048
_MARKS = (b",", b";", b"\t", b"|")
_TITLE = re.compile(rb"[A-Za-z_\x80-\xff][\w .\-/()#\x80-\xff]{0,60}\*?")
_LISTED = re.compile(rb"(?:and|or|und|oder|et|ou|y|e) ")
"""How the last of several begins in a sentence: the PID, user, and mount namespaces."""
_CELL = re.compile(rb"[ \t]*(?:\"((?:[^\"\n]|\"\")*)\"|'([^'\n]*)'|([^\n]*?))[ \t]*")
_NAME = re.compile(rb"[A-Za-z_][\w.\-]{1,252}\$?")
_OF = {"host": "host", "login": "user"}
"""What the learner calls that which a column holds."""


def told_by_columns(buf: bytes, start: int) -> Iterator[tuple[str, bytes]]:
    """Yield what the rows tell whose head has a column's name behind *start*: what kind of name, and the name."""
    begin = buf.rfind(b"\n", max(0, start - _LONGEST_HEAD), start + 1) + 1
    end = buf.find(b"\n", start + 1, begin + _LONGEST_HEAD)
    if begin <= 0 or end < 0:
        return
    mark, wanted, count = _head(buf[begin:end])
    if not wanted:
        return
    for row in buf[end + 1 : begin + _REACH].split(b"\n")[:-1]:
        cells = _cells(row.rstrip(b"\r"), mark)
        if len(cells) != count:
            return
        for at, kind in wanted:
            if _NAME.fullmatch(cells[at]):
                yield kind, cells[at]


@lru_cache(maxsize=256)
def _head(line: bytes) -> tuple[bytes, tuple[tuple[int, str], ...], int]:
    """Give what parts the cells of a table, which of them tell what, and how many there are; nothing for no head."""
    line = line.rstrip(b"\r")
    mark = max(_MARKS, key=line.count)
    titles = _cells(line, mark)
    inner = titles[1:-1] if mark == b"|" and titles and not titles[0] and not titles[-1] else titles
    if (
        len(inner) < 2
        or len(set(inner)) < len(inner)
        or not all(map(_TITLE.fullmatch, inner))
        or _LISTED.match(inner[-1])
    ):
        return mark, (), 0
    found = ((at, column_of(title)) for at, title in enumerate(titles))
    return mark, tuple((at, _OF[field.kind]) for at, field in found if field and field.kind in _OF), len(titles)


def _cells(row: bytes, mark: bytes) -> list[bytes]:
    """Part a row; a mark within quotes is none."""
    cells: list[bytes] = []
    waiting = b""
    for piece in row.split(mark):
        waiting = waiting + mark + piece if waiting else piece
        if waiting.lstrip()[:1] == b'"' and waiting.count(b'"') % 2:
            continue
        match = _CELL.fullmatch(waiting)
        cells.append(b"" if match is None else match[1] or match[2] or match[3] or b"")
        waiting = b""
    return cells
