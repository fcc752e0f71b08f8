"""SQLite databases: read row by row in memory, each text scrubbed with its column's name beside it, written anew.

What SQLite itself writes has its indexes in order and nothing left over in free pages. A database that is too large for
memory, or that SQLite cannot read (a copy made while it was written to), is overwritten in the same length instead:
what is found goes, pages and cells stay where they are, the order of an index may not hold any more.

Write-ahead logs and rollback journals belong to pages that are no more: they are overwritten in the same length too,
and their headers marked invalid, so that SQLite does not apply them.
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from scrubber.binary import BinaryScrubber
from scrubber.cells import CellScrubber, Text
from scrubber.closed import LEAVE_OUT, key_database
from scrubber.leaf import walk_binary
from scrubber.obstacle import ObstacleError
from scrubber.pages import with_pages
from scrubber.sniff import HEAD
from scrubber.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.model import Source
    from scrubber.walk import Walk

_SHARE = 10
"""A database may take this part of the memory: it is there up to four times, as bytes and as pages."""

_BATCH = 2000
_ROWIDS = ("rowid", "_rowid_", "oid")
_WAL_VERSION = slice(18, 20)
_CHANGES, _COOKIE, _VALID_FOR = slice(24, 28), slice(40, 44), slice(92, 96)


def walk_database(walk: Walk, source: Source, out: Callable[[bytes], object], path: str, depth: int) -> None:
    """Scrub the database in *source*.

    Raises:
        ObstacleError: it is a store of keys, or a value in it cannot be looked into.
    """
    head = source.read(0, HEAD)
    if key_database(head):
        raise ObstacleError(path, "this is a key store (NSS)", advice=LEAVE_OUT)
    if source.size <= walk.limits.memory // _SHARE:
        made = _rewritten(walk, source, path, depth)
        if made is not None:
            walk.scanned += source.size
            walk.watch.follow(path, out)(made)
            return
    _walk_pages(walk, _stream(source), out, path)


def walk_log(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub a write-ahead log or a rollback journal, and mark it as not to be applied."""
    made: list[bytes] = []

    def mark(data: bytes) -> None:
        if made:
            out(data)
        elif data:
            made.append(data)
            out(data[:8] + bytes(len(data[8:32])) + data[32:])

    _walk_pages(walk, stream, mark, name)


def _walk_pages(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub what SQLite does not read, in the same length: its pages' records first, then all of it as any binary."""
    walk_binary(walk, with_pages(stream, walk.note_for(name)), out, name, known=True)


def _stream(source: Source) -> Stream:
    offset = 0

    def read(n: int) -> bytes:
        nonlocal offset
        data = source.read(offset, min(n, source.size - offset)) if offset < source.size else b""
        offset += len(data)
        return data

    return Stream(read)


def _rewritten(walk: Walk, source: Source, path: str, depth: int) -> bytes | None:
    """Give the scrubbed database, None where SQLite cannot read this one."""
    data = bytearray(_stream(source).read_exactly(source.size))
    versions, changes, cookie = bytes(data[_WAL_VERSION]), bytes(data[_CHANGES]), bytes(data[_COOKIE])
    data[_WAL_VERSION] = b"\1\1"  # in memory there is no write-ahead log
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.text_factory = Text
        connection.deserialize(bytes(data))
        del data
        made = bytearray(_Database(walk, connection, path, depth).rewrite())
    except (sqlite3.Error, OverflowError, UnicodeError):
        return None
    finally:
        connection.close()
    made[_WAL_VERSION], made[_COOKIE] = versions, cookie
    made[_CHANGES] = made[_VALID_FOR] = changes  # how often it was written tells nothing, and would never come to rest
    return bytes(made)


class _Database:
    """One database that is being rewritten."""

    def __init__(self, walk: Walk, connection: sqlite3.Connection, path: str, depth: int) -> None:
        self._walk = walk
        self._depth = depth
        self._connection = connection
        self._path = path

    def rewrite(self) -> bytes:
        """Scrub every table, and give the whole.

        Raises:
            sqlite3.Error: it is damaged.
        """
        run = self._connection.execute
        for pragma in (
            "trusted_schema=OFF",
            "cell_size_check=ON",
            "ignore_check_constraints=ON",
            "foreign_keys=OFF",
            "secure_delete=ON",
            "journal_mode=OFF",
        ):
            run(f"PRAGMA {pragma}").fetchall()
        triggers = run("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid").fetchall()
        for name, _ in triggers:  # they must not see what is changed here
            run(f"DROP TRIGGER {_quoted(name.decode())}")
        virtual: list[str] = []
        for name, sql in run("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").fetchall():
            if re.match(rb"\s*CREATE\s+VIRTUAL\s", sql or b"", re.IGNORECASE):
                virtual.append(name.decode())
            elif not name.startswith(b"sqlite_") or name == b"sqlite_sequence":
                self._table(name.decode(), sql or b"")
        for table in virtual:
            self._reindex(table)
        for _, sql in triggers:
            run(sql.decode())
        self._schema()
        run("VACUUM")
        return bytes(self._connection.serialize())

    def _reindex(self, table: str) -> None:
        """Let a full-text index be made anew from its content (FTS3 to FTS5); other modules have no such command."""
        name = _quoted(table)
        shadows = self._connection.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name IN (?, ?)", (f"{table}_segments", f"{table}_idx")
        ).fetchone()
        if shadows[0]:
            self._connection.execute(f"INSERT INTO {name}({name}) VALUES ('rebuild')")  # noqa: S608 - a quoted name

    def _schema(self) -> None:
        """Scrub defaults and comments in the schema, in the same length."""
        run = self._connection.execute
        rows = run("SELECT rowid, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
        changed = [(self._same_length(sql), rowid) for rowid, sql in rows]
        changed = [(sql, rowid) for (sql, rowid), (_, old) in zip(changed, rows, strict=True) if sql != old]
        if changed:
            run("PRAGMA writable_schema=ON")
            self._connection.executemany(
                "UPDATE sqlite_schema SET sql = ? WHERE rowid = ?", [(sql.decode(), rowid) for sql, rowid in changed]
            )
            run("PRAGMA writable_schema=RESET")

    def _table(self, table: str, sql: bytes) -> None:
        columns = self._connection.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchall()
        names = [column[1].decode() for column in columns if column[6] == 0]  # generated ones follow by themselves
        rowid = next((word for word in _ROWIDS if word not in {name.lower() for name in names}), None)
        if re.search(rb"\)[^)]*\bWITHOUT\s+ROWID\b", sql, re.IGNORECASE):
            self._keyed_table(table, names)
        elif rowid is not None:
            self._rowid_table(table, names, rowid)
        else:
            raise sqlite3.NotSupportedError("its rows cannot be told from one another")

    def _rowid_table(self, table: str, names: list[str], rowid: str) -> None:
        chosen, name = ", ".join(map(_quoted, names)), _quoted(table)
        cells = CellScrubber(self._walk, f"{self._path}!/{table}", names, self._depth)
        last: int | None = None
        while True:
            where = "" if last is None else f"WHERE {rowid} > {last}"
            rows = self._connection.execute(
                f"SELECT {rowid}, {chosen} FROM {name} {where} ORDER BY {rowid} LIMIT {_BATCH}"  # noqa: S608 - quoted names
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for row, new in zip(rows, cells.scrub([row[1:] for row in rows]), strict=True):
                changes = [(n, v) for n, v, old in zip(names, new, row[1:], strict=True) if v is not old]
                if changes:
                    setting = ", ".join(f"{_quoted(column)} = ?" for column, _ in changes)
                    self._connection.execute(
                        f"UPDATE OR REPLACE {name} SET {setting} WHERE {rowid} = ?",  # noqa: S608 - quoted names
                        [*(_bound(value) for _, value in changes), row[0]],
                    )

    def _keyed_table(self, table: str, names: list[str]) -> None:
        chosen, name = ", ".join(map(_quoted, names)), _quoted(table)
        rows = self._connection.execute(f"SELECT {chosen} FROM {name}").fetchall()  # noqa: S608 - quoted names
        new = CellScrubber(self._walk, f"{self._path}!/{table}", names, self._depth).scrub(rows)
        if new == rows:
            return
        places = ", ".join("?" * len(names))
        self._connection.execute(f"DELETE FROM {name}")  # noqa: S608 - a quoted name
        self._connection.executemany(
            f"INSERT OR REPLACE INTO {name} ({chosen}) VALUES ({places})",  # noqa: S608 - quoted names
            [tuple(map(_bound, row)) for row in new],
        )

    def _same_length(self, data: bytes) -> bytes:
        scrubber = BinaryScrubber(self._walk.detector, self._walk.note_for(self._path))
        return scrubber.feed(data) + scrubber.finish()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _bound(value: object) -> object:
    """Give *value* as the library stores it with its type."""
    return value.decode("utf-8", "replace") if isinstance(value, Text) else value
