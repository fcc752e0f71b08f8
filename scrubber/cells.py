"""Values of a table: each text is scrubbed with its column's name beside it, as a line of JSON would have it.

In a table of settings, what a row calls its value is beside that instead; a table of cookies holds nothing but secrets.

Many values are scrubbed at a time, with a mark between them that no rule reaches over; a value too long for one line
stands by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scrubber.binary import BinaryScrubber
from scrubber.ruled import pair_of
from scrubber.sniff import HEAD, Kind, sniff
from scrubber.stream import Stream

if TYPE_CHECKING:
    from scrubber.walk import Walk

_MARK = b"\n\x1e\x1e\x1f\n"
_LONGEST_LINE = 512
_SMALL_BLOB = 1024
_AWKWARD = re.compile(rb"[\"\\\x00-\x1f]")
_NUMBER = re.compile(rb"[0-9]{9,19}")


_OF_COOKIES = re.compile(r"cookies?\Z", re.IGNORECASE)
_SESSION = b'"session_secret": "'
_NAMED = re.compile(rb"[\w .\-\x80-\xff]{1,64}")


def _head(name: bytes) -> bytes:
    return b'"%s": "' % name if _NAMED.fullmatch(name) else b""


class Text(bytes):
    """A text, told from a blob; its bytes are UTF-8, or what somebody stored as if it were."""

    __slots__ = ()


class CellScrubber:
    """Scrub rows of one table."""

    def __init__(self, walk: Walk, label: str, columns: list[str], depth: int) -> None:
        self._walk = walk
        self._label = walk.scrub_name(label.encode("utf-8", "replace"), label).decode("utf-8", "replace")
        self._columns = columns
        self._depth = depth
        names = [column.encode() for column in columns]
        self._heads = [_head(name) for name in names]
        self._pair = pair_of(names)
        self._cookies = self._pair is not None and _OF_COOKIES.search(label.rpartition("/")[2]) is not None

    def scrub(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Give the rows scrubbed; a value that stays as it is is the same object."""
        lines = [self._line(head, value) for row in rows for head, value in zip(self._beside(row), row, strict=True)]
        wanted = [line for line in lines if line]
        joined = _MARK.join(wanted)
        made = self._walk.scrub_bytes(joined, self._label).split(_MARK) if wanted else []
        if len(made) != len(wanted):  # a value has the mark in it, or a rule swallowed one
            made = [self._walk.scrub_bytes(line, self._label) for line in wanted]
        following = iter(made)
        news = iter([next(following) if line else b"" for line in lines])
        olds = iter(lines)
        return [
            tuple(
                self._value(head, value, next(olds), next(news))
                for head, value in zip(self._beside(row), row, strict=True)
            )
            for row in rows
        ]

    def _beside(self, row: tuple[Any, ...]) -> list[bytes]:
        """Give what stands before each value of *row*."""
        if self._pair is None:
            return self._heads
        key, value = self._pair
        name = row[key]
        said = _SESSION if self._cookies else _head(name) if isinstance(name, Text) else b""
        return [said or head if number == value else head for number, head in enumerate(self._heads)]

    def _line(self, head: bytes, value: Any) -> bytes:  # noqa: ANN401 - a value of any of SQLite's types
        if isinstance(value, int):
            digits = b"%d" % value
            return head + digits + b'"' if head and _NUMBER.fullmatch(digits) else b""
        if not isinstance(value, Text) or not value:
            return b""
        if head and len(value) <= _LONGEST_LINE and not _AWKWARD.search(value):
            return head + value + b'"'
        return bytes(value)

    def _value(self, head: bytes, value: Any, line: bytes, new: bytes) -> Any:  # noqa: ANN401 - as above
        if isinstance(value, bytes) and not isinstance(value, Text):
            return self._blob(value)
        if new == line:
            return value
        if len(line) > len(value if isinstance(value, Text) else b""):
            if not new.startswith(head) or not new.endswith(b'"'):
                new = self._walk.scrub_bytes(bytes(line[len(head) : -1]), self._label)
            else:
                new = new[len(head) : -1]
        if isinstance(value, int):
            return int(new) if _NUMBER.fullmatch(new) else value
        return value if new == value else Text(new)

    def _blob(self, value: bytes) -> bytes:
        kind, _ = sniff(value[:HEAD])
        if kind is Kind.EMPTY:
            return value
        if kind is Kind.BINARY or (kind is Kind.OPAQUE and len(value) < _SMALL_BLOB):
            scrubber = BinaryScrubber(self._walk.detector, self._walk.note_for(self._label))
            new = scrubber.feed(value) + scrubber.finish()
        else:
            pieces: list[bytes] = []
            self._walk.member(_stream(value), pieces.append, self._label, self._depth + 1)
            new = b"".join(pieces)
        return value if new == value else new


def _stream(data: bytes) -> Stream:
    rest = data

    def read(n: int) -> bytes:
        nonlocal rest
        piece, rest = rest[:n], rest[n:]
        return piece

    return Stream(read)
