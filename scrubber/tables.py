"""Read tables in text, whose columns say what stands in them: CSV, SQL inserts, PostgreSQL's COPY, and drawn ones.

Inserts that name no columns, as dumps have them, are read by those of the CREATE TABLE before them.

A reader remembers a table's columns from block to block; rows are read one by one, so where the blocks are cut changes
nothing. A row longer than what a block looks ahead ends the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from scrubber.fields import Field, beside_names, column_of, images, is_kind
from scrubber.finder import remembered
from scrubber.gate import Strength, is_secret, strength
from scrubber.pseudonym import TAG
from scrubber.ruled import cells, find_ruling, goes_on, pair_of, rulers

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Hashable, Iterator

    from scrubber.pseudonym import Pseudonymizer

Span = tuple[int, int, bytes, bytes, str]
"""Start, end, value, replacement, and the id of its rule."""
Heading = tuple[str, bytes, tuple[bytes, ...], bytes, tuple[bytes, ...]]
"""How an open table is written, what stands between its cells, and its columns' names; the last one created, and its.

Nothing is open where the first of them is empty.
"""
RowReader = Callable[["Columns", bytes, int, int], int]
"""Reads plain rows between two places and keeps what it finds; gives where that ended."""
_Known = tuple[int, bytes, bytes, str] | tuple[()]
"""What is to go of a cell, where it begins in it; nothing for a cell that stays."""
_REMEMBERED = 8192

_HEAD = 64 << 10
_MOST = 400
_LONGEST_NAME = 120
_HEADER = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:#(?!Fields: )[^\r\n]*\r?\n|[ \t]*\r?\n){0,20}#?(?:Fields: )?(?P<line>[^\r\n]{3,16000})\r?\n"
)
_NAME = re.compile(rb"(?!\S+(?: +\S+){5})[A-Za-z_\x80-\xff][\w .\-/()#\x80-\xff]{0,60}\*?")
"""A column's: five words at most, for a sentence may have commas as well; a star says that it must be there."""
_LISTED_NAME = re.compile(rb"(?!\S+(?: +\S+){5})[A-Za-z_\x80-\xff](?:[\w .\-/()#\x80-\xff]|,[ ]){0,60}")
"""A column's where no comma parts them: Name, Vorname; Telefon."""
_INSERT = re.compile(
    rb"INSERT\s+(?:IGNORE\s+)?INTO\s+[\w.`\"\[\]]{1,128}\s*\((?P<columns>[^()]{2,8000})\)\s*VALUES\s*", re.IGNORECASE
)
_INSERT_BARE = re.compile(
    rb"INSERT\s+(?:IGNORE\s+)?INTO\s+(?P<table>[\w.`\"\[\]]{1,128})\s*VALUES(?=\s*\()", re.IGNORECASE
)
_CREATE = re.compile(
    rb"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<table>[\w.`\"\[\]]{1,128})\s*\("
    rb"(?P<body>(?:[^()';]|'(?:[^']|'')*'|\((?:[^()]|\([^()]*\))*\)){3,16000})\)",
    re.IGNORECASE,
)
_DEFINED = re.compile(
    rb"(?:\A|,)\s*(?:--[^\n]*\n\s*)?(?!(?:PRIMARY|UNIQUE|KEY|INDEX|CONSTRAINT|FOREIGN|CHECK|FULLTEXT|SPATIAL|EXCLUDE|LIKE)"
    rb"[\s(])(?P<name>`[^`\n]{1,64}`|\"[^\"\n]{1,64}\"|\[[^\]\n]{1,64}\]|[A-Za-z_\x80-\xff][\w$\x80-\xff]{0,63})\s+[\w`\"\[]",
    re.IGNORECASE,
)
_NESTED = re.compile(rb"\((?:[^()]|\([^()]*\))*\)|'(?:[^']|'')*'")
_COPY = re.compile(rb"COPY\s+[\w.\"]{1,128}\s*\((?P<columns>[^()]{2,8000})\)\s+FROM\s+stdin;[ \t]*\r?\n", re.IGNORECASE)
STATEMENTS = (b"INSERT ", b"insert ", b"COPY ", b"copy ", b"CREATE TABLE ", b"create table ")
"""How tables of SQL begin."""


def _cell(separator: bytes) -> re.Pattern[bytes]:
    sep = re.escape(separator)
    return re.compile(
        rb"(?:\"((?:[^\"]|\"\"){0,4000})\"|'((?:[^'\r\n]|''){0,4000})'(?=["
        + sep
        + rb"\r\n]|\Z)|([^"
        + sep
        + rb"\r\n\"]*))"
        rb"(" + sep + rb"|\r?\n|\Z)"
    )


_SEPARATORS = (b",", b";", b"\t", b"|")
_CELL = {separator: _cell(separator) for separator in _SEPARATORS}
_AWKWARD = {
    separator: re.compile(rb"[\"]|\r(?!\n)|(?:(?<=" + re.escape(separator) + rb")|(?<=\n)|\A)'")
    for separator in _SEPARATORS
}
"""What makes a row more than what stands between separators: a quote that means something, a lone carriage return."""
_VALUE = re.compile(
    rb"\s*(?:(?:N|_utf8(?:mb4)? ?|(?i:date|time(?:stamp)?) ?)?'((?:[^'\\]|''|\\.){0,8000})'|([^',()]{0,200}))\s*([,)])",
    re.DOTALL,
)
_NEXT_TUPLE = re.compile(rb"\s*,?\s*\(")


_VERSIONS = re.compile(
    rb"(?:.*[ _.\-])?(?:versions?|ver|release|firmware|fw|build|revision|rev|oid)(?:[ _](?:no|nr|number|string))?|"
    rb"\w*[a-z](?:Version|Ver|Release|Firmware|Build|Revision)(?:No|Number|String)?",
    re.IGNORECASE,
)
"""A column in which versions stand."""
_VERSION = re.compile(rb"[vV]?[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:[.\-+~_][\w.\-+~]{0,40})?")
KEPT = "kept"
"""In place of a rule's id: what stays, whatever a rule finds there."""
_OF_PEOPLE = frozenset(("name", "phone", "city", "zip", "birth", "card"))
_STREET = Field(kind="street")


class Columns:
    """What each of a table's columns holds."""

    def __init__(self, names: list[bytes]) -> None:
        """Classify *names*."""
        self.names = tuple(names)
        plain = [name.strip().strip(b"`\"[]'*").strip() for name in names]
        self.count = len(plain)
        personal = beside_names(plain, [column_of(name) for name in plain])
        # A full name's column is believed where another tells of people too.
        several = sum(1 for field in personal if field is not None) >= 2 or any(_beside(name) for name in plain)
        self.fields = [field if field is None or not field.proven or several else None for field in personal]
        if (
            sum(1 for field in personal if field is not None and field.kind in _OF_PEOPLE) >= 2
        ):  # beside those, no other
            self.fields = [_STREET if field is not None and field.kind == "street" else field for field in self.fields]
        self.known: list[dict[bytes, _Known]] = [{} for _ in plain]
        """For each column, what was made of its cells."""
        self.codes = [several and strength(name) is Strength.CODE for name in plain]
        """Which hold PINs, in a table that tells of people: elsewhere a pin is a plug's."""
        self.secrets = [
            field is None and (code or strength(name) >= Strength.MEDIUM)
            for field, name, code in zip(personal, plain, self.codes, strict=True)
        ]
        self.versions = [
            field is None and not secret and _VERSIONS.fullmatch(name) is not None
            for field, secret, name in zip(self.fields, self.secrets, plain, strict=True)
        ]
        self.matters = [
            field is not None or secret or version
            for field, secret, version in zip(self.fields, self.secrets, self.versions, strict=True)
        ]
        self.numbers: ctypes.Array[ctypes.c_uint32] | None = None
        """What the compiled part knows them by (`rows.RowSieve`)."""

    def __bool__(self) -> bool:
        """Say whether any of them matters."""
        return any(self.matters)


def _beside(name: bytes) -> bool:
    return re.search(rb"mail|phone|telefon|mobil|birth|geburt", name, re.IGNORECASE) is not None


def created_columns(statement: bytes) -> tuple[bytes, ...]:
    """Give the columns of the table that *statement* creates; none where it creates no table."""
    found = _CREATE.match(statement.strip())
    return _defined(found) if found is not None else ()


def _defined(found: re.Match[bytes]) -> tuple[bytes, ...]:
    body = _NESTED.sub(b"", found["body"])
    return tuple(column["name"] for column in _DEFINED.finditer(body))


def is_password(text: bytes) -> bool:
    """Say whether *text*, of a column of passwords, is one."""
    return not TAG.search(text) and is_secret(text, Strength.STRONG, quoted=True, prose=False)


def is_code(text: bytes) -> bool:
    """Say whether *text*, of a column of PINs, is one."""
    return is_secret(text, Strength.CODE, quoted=True, prose=False)


@lru_cache(maxsize=1024)
def _setting_of(name: bytes) -> Columns:
    """Say what a setting called *name* holds, as a table's only column."""
    return Columns([name])


@dataclass(frozen=True, slots=True)
class CellImages:
    """What stands for a cell's text, by its field's kind, and for a secret's."""

    fields: Mapping[str, Callable[[bytes], bytes]]
    secret: Callable[[bytes], bytes]


def cell_images(pseudonyms: Pseudonymizer) -> CellImages:
    """Give what makes the pseudonyms of cells; remembered, and shared by all texts under one key."""
    return CellImages(
        {kind: remembered(image) for kind, image in images(pseudonyms).items()},
        remembered(lambda text: pseudonyms.tag("password", text)),
    )


def _moved(span: Span, by: int) -> Span:
    start, end, value, replacement, rule = span
    return start + by, end + by, value, replacement, rule


def _statements(buf: bytes, pos: int, limit: int) -> list[int]:
    """Give where a table of SQL may begin; plain searches, since nearly all texts have none."""
    found = []
    for word in STATEMENTS:
        at = buf.find(word, pos, limit)
        while at >= 0:
            found.append(at)
            at = buf.find(word, at + 1, limit)
    return sorted(found)


def _bare(table: bytes) -> bytes:
    """Give a table's name without its schema and its quotes."""
    return table.rpartition(b".")[2].strip(b'`"[]').lower()


def _has_row(buf: bytes, pos: int, separator: bytes) -> bool:
    """Say whether the line at *pos* may be a table's row: prose below `password|x` has nothing between cells."""
    end = buf.find(b"\n", pos)
    line = buf[pos : end if end >= 0 else len(buf)].strip()
    if len(line) > 2 and not line.strip(b"-") and end >= 0:  # a line is drawn below the names, as SAP does
        return _has_row(buf, end + 1, separator)
    return not line or separator in line or b'"' in line


class TableReader:
    """Follows the tables of one text."""

    def __init__(self, images: CellImages) -> None:
        """Make pseudonyms with *images*."""
        self._images = images
        self._at = 0
        self._later: list[Span] = []
        self._begun = False
        self._mode = ""
        self._columns = Columns([])
        self._separator = b","
        self._created: tuple[bytes, tuple[bytes, ...]] = (b"", ())

    @property
    def heading(self) -> Heading | None:
        """The table that is open, and the last that was created."""
        if not self._mode and not self._created[0]:
            return None
        return self._mode, self._separator, self._columns.names if self._mode else (), *self._created

    @property
    def is_open(self) -> bool:
        """Whether there may be rows."""
        return bool(self._mode)

    def resume(self, at: int, heading: Heading | None) -> None:
        """Go on at a row's beginning, the text's byte *at*, within the table of *heading* where there is one."""
        self._begun = True
        self._at = at
        if heading is not None:
            self._mode, self._separator, names, *_ = heading
            self._columns = Columns(list(names))
            self._created = heading[3:]

    def skip(self, to: int) -> None:
        """Pass over what is no table's: the text's bytes before *to*."""
        self._at = max(self._at, to)

    def handover(self) -> Hashable:
        """Give all that the next row's fate depends on."""
        return self._begun, self._at, self.heading, tuple(self._later)

    def read(
        self, buf: bytes, base: int, limit: int, *, statements: bool = True, rows: RowReader | None = None
    ) -> list[Span]:
        """Give what must go from the rows that begin before *limit*; the text's byte *base* is the first of *buf*.

        Where somebody saw that there are no *statements* of SQL in it, none is looked for.
        What *rows* reads is not given.
        """
        spans: list[Span] = [_moved(span, -base) for span in self._later]
        pos = self._at - base
        if not self._begun:
            self._begun = True
            pos = self._begin(buf, pos)
        while pos < limit:
            if self._mode == "csv":
                pos = self._rows(buf, pos, limit, spans, rows)
            elif self._mode == "copy":
                pos = self._copied(buf, pos, limit, spans)
            elif self._mode == "insert":
                pos = self._tuples(buf, pos, limit, spans)
            elif self._mode == "settings":
                pos = self._settings(buf, pos, limit, spans)
            elif self._mode:
                pos = self._drawn(buf, pos, limit, spans)
            else:
                pos = self._seek(buf, pos, limit) if statements else limit
        self._at = base + pos
        # A row that begins before the limit may have cells beyond it, which are written with the next block.
        self._later = [_moved(span, base) for span in spans if span[0] >= limit]
        return spans

    def _begin(self, buf: bytes, pos: int) -> int:
        """Look for a header in the first line that is no comment."""
        header = _HEADER.match(buf, pos)
        if header is None:
            return pos
        line = header["line"]
        for separator in (b"\t", b";", b",", b"|"):
            names = line.split(separator)
            called = _NAME if separator == b"," else _LISTED_NAME
            if (
                len(names) <= _MOST
                and sum(1 for name in names if name.strip()) >= 2
                and all(not name.strip() or called.fullmatch(name.strip().strip(b"\"'")) for name in names)
                and _has_row(buf, header.end(), separator)
            ):
                columns = Columns(names)
                if columns or pair_of(names):
                    self._mode, self._columns, self._separator = "csv" if columns else "settings", columns, separator
                    return header.end()
        return pos

    def _seek(self, buf: bytes, pos: int, limit: int) -> int:
        """Find the next table of SQL, or the next that is drawn."""
        drawn = dict(rulers(buf, pos, limit))
        for at in sorted([*_statements(buf, pos, limit), *drawn]):
            if at in drawn:
                if self._open_drawn(buf, at, drawn[at]):
                    return drawn[at] + 1
                continue
            found = _INSERT.match(buf, at) or _COPY.match(buf, at)
            if found is not None:
                columns = Columns(found["columns"].split(b","))
            elif (found := _INSERT_BARE.match(buf, at)) and _bare(found["table"]) == self._created[0]:
                columns = Columns(list(self._created[1]))
            else:
                self._create(_CREATE.match(buf, at))
                continue
            if columns:
                self._mode, self._columns = ("copy" if buf[at] in b"Cc" else "insert"), columns
                return found.end()
        return limit

    def _open_drawn(self, buf: bytes, begin: int, end: int) -> bool:
        ruling = find_ruling(buf, begin, end)
        if ruling is None:
            return False
        columns = Columns(ruling.names)
        if not columns and pair_of(ruling.names) is None:
            return False
        self._mode, self._columns, self._separator = ruling.mode, columns, ruling.separator
        return True

    def _drawn(self, buf: bytes, pos: int, limit: int, spans: list[Span]) -> int:
        """Read the rows of a table that is drawn, up to the first line that is none."""
        pair = pair_of(list(self._columns.names)) if not self._columns else None
        while pos < limit:
            end = buf.find(b"\n", pos)
            end = len(buf) if end < 0 else end
            line = buf[pos:end].rstrip(b"\r")
            if not goes_on(line, self._mode):
                self._mode = ""
                return pos
            row = [(pos + start, pos + stop) for start, stop in cells(line, self._mode, self._separator)]
            if pair is not None:
                spans += self._setting(buf, row, *pair)
            elif len(row) <= self._columns.count + 2:
                for column, (start, stop) in enumerate(row[: self._columns.count]):
                    spans += self._cell(buf, start, stop, self._columns, column)
            pos = end + 1
        return pos

    def _settings(self, buf: bytes, pos: int, limit: int, spans: list[Span]) -> int:
        """Read rows of a setting's name and its value."""
        pair = pair_of(list(self._columns.names))
        cell = _CELL[self._separator]
        while pos < limit and pair is not None:
            at, row = pos, []
            while (match := cell.match(buf, at)) is not None:
                row.append(next((match.span(group) for group in (1, 2) if match[group] is not None), match.span(3)))
                at = match.end()
                if match[4] != self._separator:
                    break
            else:
                at = buf.find(b"\n", at) + 1 or len(buf)
            spans += self._setting(buf, row, *pair)
            pos = max(at, pos + 1)
        return pos

    def _setting(self, buf: bytes, row: list[tuple[int, int]], key: int, value: int) -> Iterator[Span]:
        if max(key, value) < len(row):
            name = buf[slice(*row[key])].strip()
            if 0 < len(name) <= _LONGEST_NAME:
                yield from self._cell(buf, *row[value], _setting_of(name), 0)

    def _create(self, found: re.Match[bytes] | None) -> None:
        """Remember the columns of a table that is created."""
        if found is None:
            return
        names = _defined(found)
        self._created = (_bare(found["table"]), names) if names else (b"", ())

    def _rows(self, buf: bytes, pos: int, limit: int, spans: list[Span], rows: RowReader | None) -> int:
        separator, known, matters = self._separator, self._columns.known, self._columns.matters
        count, awkward = self._columns.count, _AWKWARD[separator]
        plain_only = any(self._columns.versions)
        while pos < limit:
            if rows is not None and not plain_only:
                pos = rows(self._columns, separator, pos, limit)
                if pos >= limit:
                    break
            end = buf.find(b"\n", pos)
            if end < 0 or awkward.search(buf, pos, end + 1) is not None:
                pos = self._awkward_row(buf, pos, spans)
                continue
            cells = buf[pos : end - 1 if pos < end and buf[end - 1] == 0x0D else end].split(separator)
            if len(cells) <= count + 2:
                at = pos
                for column, cell in enumerate(cells):
                    if column < count and matters[column] and cell:
                        found = known[column].get(cell)
                        if found is None:
                            found = self._remember(cell, column)
                        if found:
                            lead, text, new, rule = found
                            spans.append((at + lead, at + lead + len(text), text, new, rule))
                    at += len(cell) + 1
            pos = end + 1
        return pos

    def _remember(self, cell: bytes, column: int) -> _Known:
        """Give what goes of a cell, relative to its beginning, and remember it: a table says the same thing often."""
        known = self._columns.known[column]
        if len(known) >= _REMEMBERED:
            known.clear()
        spans = list(self._cell(cell, 0, len(cell), self._columns, column))
        made: _Known = ()
        if spans:
            begin, _, text, new, rule = spans[0]
            made = begin, text, new, rule
        known[cell] = made
        return made

    def _awkward_row(self, buf: bytes, pos: int, spans: list[Span]) -> int:
        """Read a row with quotes, which may go over several lines, cell by cell; give where the next one begins."""
        cell = _CELL[self._separator]
        last = self._columns.count - 1
        row: list[Span] = []
        column, at = 0, pos
        while True:
            match = cell.match(buf, at)
            if match is None:
                at = buf.find(b"\n", at) + 1 or len(buf)
                break
            if column <= last and match.end() > match.start():
                group = match.lastindex and next((n for n in (1, 2, 3) if match[n] is not None), 3)
                row += self._cell(buf, *match.span(group or 3), self._columns, column)
            at = match.end()
            column += 1
            if match[4] != self._separator:
                break
        spans += row if column <= last + 3 else []
        return max(at, pos + 1)

    def _copied(self, buf: bytes, pos: int, limit: int, spans: list[Span]) -> int:
        while pos < limit:
            if buf.startswith(b"\\.", pos):
                self._mode = ""
                return pos + 2
            end = buf.find(b"\n", pos)
            end = len(buf) if end < 0 else end
            at = pos
            for column, text in enumerate(buf[pos:end].split(b"\t")[: self._columns.count]):
                if text != b"\\N":
                    spans += self._cell(buf, at, at + len(text), self._columns, column)
                at += len(text) + 1
            pos = end + 1
        return pos

    def _tuples(self, buf: bytes, pos: int, limit: int, spans: list[Span]) -> int:
        while pos < limit:
            opening = _NEXT_TUPLE.match(buf, pos)
            if opening is None:
                self._mode = ""
                return pos + 1
            at, column = opening.end(), 0
            while True:
                match = _VALUE.match(buf, at)
                if match is None:
                    self._mode = ""
                    return max(at, pos + 1)
                if column < self._columns.count and match[1] is not None:
                    spans += self._cell(buf, *match.span(1), self._columns, column)
                elif column < self._columns.count and match[2].strip().upper() != b"NULL":
                    spans += self._bare(buf, *match.span(2), column)
                at = match.end()
                column += 1
                if match[3] == b")":
                    break
            pos = at
        return pos

    def _cell(self, buf: bytes, start: int, end: int, columns: Columns, column: int) -> Iterator[Span]:
        text = buf[start:end]
        lead = len(text) - len(text.lstrip())
        text = text.strip()
        field = columns.fields[column]
        begin = start + lead
        if field is not None:
            if is_kind(field, text):
                yield begin, begin + len(text), text, self._images.fields[field.kind](text), "person.column"
        elif columns.secrets[column] and (is_code if columns.codes[column] else is_password)(text):
            yield begin, begin + len(text), text, self._images.secret(text), "password.column"
        elif columns.versions[column] and _VERSION.fullmatch(text):
            yield begin, begin + len(text), text, text, KEPT

    def _bare(self, buf: bytes, start: int, end: int, column: int) -> Iterator[Span]:
        """Replace a number that stands without quotes: its pseudonym needs them."""
        for begin, stop, text, new, kind in self._cell(buf, start, end, self._columns, column):
            if kind != KEPT:
                yield begin, stop, text, b"'" + new + b"'", kind
