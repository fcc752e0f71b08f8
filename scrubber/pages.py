"""Pages of SQLite that SQLite itself cannot read any more: texts in columns of secrets are overwritten in their length.

A write-ahead log, a rollback journal, a damaged or a very large database is read page by page. A record says how many
columns it has; a table of that many, in a schema that was seen on the way, says which of them hold secrets. Where no
schema was seen, what looks like a password in any column goes.

Format: sqlite.org/fileformat2.html, sections 1.6 (b-tree pages), 2.1 (records), 3 (journals) and 4 (the log).
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from scrubber.gate import Strength, strength
from scrubber.rules import LEARNED_RULES
from scrubber.stream import Stream
from scrubber.tables import created_columns, is_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.text import Note

_TABLE_LEAF, _INDEX_LEAF = 0x0D, 0x0A
_DATABASE, _LOG = b"SQLite format 3\0", (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_SIZES = frozenset(1 << power for power in range(9, 17))
_LIKE_A_PASSWORD = re.compile(rb"(?=[^0-9!#$%&*+=?^~]*[0-9!#$%&*+=?^~])(?=[^A-Za-z]*[A-Za-z])[!-~]{6,128}")
_OTHERS = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}\S*|[a-z]+://\S*|[/~.]\S*/\S*|[^@\s]+@[^@\s]+\.[a-z]+|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-"
    rb"[0-9A-Fa-f]{12}|v?[0-9]+(?:\.[0-9]+)+\S*|[0-9.]+[A-Za-z]{1,3}|[a-z]+[0-9]{1,3}|[\w\-]+(?:\.[\w\-]+){2,}"
)


_COLUMN = next(rule for rule in LEARNED_RULES if rule.rule.id == "password.column")


def _may_be_password(text: bytes) -> bool:
    return _LIKE_A_PASSWORD.fullmatch(text) is not None and _OTHERS.fullmatch(text) is None


class PageScrubber:
    """Overwrites texts in the pages of one file, which come in order."""

    def __init__(self, note: Note) -> None:
        """Begin without a schema; tell *note* what goes."""
        self._note = note
        self._secret: dict[int, set[int]] = {}
        self._known = False

    def scrub(self, page: bytes, base: int) -> bytes:
        """Give *page*, the file's bytes from *base* on, with its secrets overwritten; its length stays."""
        new = bytearray(page)
        for columns in _records(page, 100 if page.startswith(_DATABASE) else 0):
            if self._learn(page, columns):
                continue
            told = self._secret.get(len(columns), set())
            for number, (start, end) in enumerate(columns):
                text = page[start:end]
                if (number in told if self._known else _may_be_password(text)) and is_password(text):
                    new[start:end] = b"x" * (end - start)
                    self._note([(_COLUMN, base + start, end - start, text)])
        return bytes(new)

    def _learn(self, page: bytes, columns: list[tuple[int, int]]) -> bool:
        """Remember the columns of a table that a record of the schema tells; say whether it is such a record."""
        if len(columns) != 5 or page[slice(*columns[0])] not in {b"table", b"index", b"view", b"trigger"}:
            return False
        self._known = True
        names = created_columns(page[slice(*columns[4])])
        secret = {number for number, name in enumerate(names) if strength(name) >= Strength.MEDIUM}
        if secret:
            self._secret.setdefault(len(names), set()).update(secret)
        return True


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count in range(9):
        byte = page[at + count] if at + count < len(page) else 0
        if count == 8:
            return (value << 8) | byte, at + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at + count + 1
    return value, at + 9


def _records(page: bytes, at: int) -> Iterator[list[tuple[int, int]]]:
    """Give for each record of a leaf where its columns stand; those that are no text are empty."""
    if len(page) < at + 8 or page[at] not in {_TABLE_LEAF, _INDEX_LEAF}:
        return
    (count,) = struct.unpack_from(">H", page, at + 3)
    for number in range(min(count, (len(page) - at - 8) // 2)):
        (cell,) = struct.unpack_from(">H", page, at + 8 + 2 * number)
        if cell < at + 8 or cell >= len(page):
            continue
        size, start = _varint(page, cell)
        if page[at] == _TABLE_LEAF:
            _, start = _varint(page, start)
        end = min(start + size, len(page))
        head, place = _varint(page, start)
        value = start + head
        columns: list[tuple[int, int]] = []
        while place < min(start + head, end) and len(columns) < 2000:
            serial, place = _varint(page, place)
            width = (serial - 12) // 2 if serial >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[serial]
            is_text = serial >= 13 and serial % 2 == 1
            columns.append((value, min(value + width, end)) if is_text and value < end else (0, 0))
            value += width
        yield columns


def with_pages(stream: Stream, note: Note) -> Stream:
    """Give *stream*, a database, a log or a journal of SQLite's, with its pages scrubbed.

    Other bytes, and all of a file whose sizes make no sense, pass as they are.
    """
    size, first, before, after = _layout(stream.peek(100))
    if not size:
        return stream
    pages = PageScrubber(note)
    at = 0

    def read(_n: int) -> bytes:
        nonlocal at
        data = stream.read_exactly(before + size + after if at >= first else first)
        page = data[before : before + size]
        if at >= first:
            data = data[:before] + pages.scrub(page, at + before) + data[before + len(page) :]
        at += len(data)
        return data

    return Stream(_buffered(read))


def _buffered(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Give what reads no more than is asked for, from *read*, which gives whole pages."""
    kept = b""

    def take(n: int) -> bytes:
        nonlocal kept
        while len(kept) < n and (data := read(n)):
            kept += data
        data, kept = kept[:n], kept[n:]
        return data

    return take


def _layout(head: bytes) -> tuple[int, int, int, int]:
    """Give a page's size, the bytes before the first one, and those before and after each; no size where unknown."""
    if head.startswith(_DATABASE):
        (size,) = struct.unpack_from(">H", head, 16)
        size, places = (65536 if size == 1 else size), (0, 0, 0)
    elif head.startswith(_LOG):
        size, places = struct.unpack_from(">I", head, 8)[0], (32, 24, 0)
    elif head.startswith(_JOURNAL) and len(head) >= 28:
        sector, size = struct.unpack_from(">II", head, 20)
        places = (sector if sector in _SIZES else 512, 4, 4)
    else:
        return 0, 0, 0, 0
    return (size, *places) if size in _SIZES else (0, 0, 0, 0)
