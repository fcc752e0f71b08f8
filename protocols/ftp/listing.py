"""Rows of directories: as `ls -l` for people and old programs, as facts (RFC 3659, section 7) for others."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING

from protocols.filesystem import Changes, ScanPages, TellsChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from protocols.filesystem import Entry, FileSystem, Row
    from protocols.path import VirtualPath

FACTS = ("type", "size", "modify", "perm")
"""All that this head has, in the order of FEAT."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RECENT = 180 * 24 * 3600
_LATEST = 253_402_300_799.0
"""The last second of the year 9999."""


def scan_rows(filesystem: FileSystem, path: VirtualPath) -> Iterator[Row]:
    """List *path* by the fastest way that *filesystem* has.

    The first row is looked for at once, so that a directory that is not there fails now.
    """
    rows: Iterator[Row]
    if isinstance(filesystem, ScanPages):
        rows = chain.from_iterable(filesystem.scan_pages(path))
    else:
        rows = (row_of(entry) for entry in filesystem.scandir(path))
    first = next(rows, None)
    return iter(()) if first is None else chain((first,), rows)


def row_of(entry: Entry) -> Row:
    """Return the row of one entry."""
    return entry.name, entry.is_directory, entry.size, entry.modified, entry.writable


def long_row(row: Row, now: float) -> str:
    """Return a row as `ls -l` shows it, times in UTC."""
    name, is_directory, size, modified, writable = row
    mode = (
        ("drwxr-x---" if writable else "dr-xr-x---") if is_directory else ("-rw-r-----" if writable else "-r--r-----")
    )
    moment = time.gmtime(min(max(modified, 0.0), _LATEST))
    near = -_RECENT < now - modified < _RECENT
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}" if near else f"{moment.tm_year:5}"
    day = f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:2}"
    return f"{mode}   1 support  support  {size:>12} {day} {clock} {name}"


def name_row(row: Row) -> str:
    """Return the name alone."""
    return row[0]


def changes_in(filesystem: FileSystem, path: VirtualPath) -> Changes:
    """Return what may be done to the entries of *path*; nothing, where the filesystem does not say."""
    return filesystem.changes(path) if isinstance(filesystem, TellsChanges) else Changes()


def may_be_renamed(filesystem: FileSystem, path: VirtualPath, entry: Entry) -> bool:
    """Say whether RNFR of *entry* at *path* can lead to anything, as far as the filesystem tells: the `f` of `perm`."""
    return not isinstance(filesystem, TellsChanges) or (entry.writable and filesystem.changes(path.parent).rename)


def fact_row(row: Row, facts: frozenset[str], changes: Changes, *, name: str | None = None) -> str:
    """Return a row as facts; *name* is shown in place of its own; *changes* are those of the directory it is in."""
    own, is_directory, size, modified, writable = row
    told = []
    if "type" in facts:
        told.append(f"type={'dir' if is_directory else 'file'};")
    if "size" in facts and not is_directory:
        told.append(f"size={size};")
    if "modify" in facts and modified > 0:
        told.append(f"modify={stamp(modified)};")
    if "perm" in facts:
        told.append(f"perm={_permissions(changes, is_directory=bool(is_directory), writable=bool(writable))};")
    return f"{''.join(told)} {own if name is None else name}"


def stamp(moment: float) -> str:
    """Return *moment* (POSIX seconds) as `YYYYMMDDHHMMSS` (RFC 3659, section 2.3)."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(min(max(moment, 0.0), _LATEST)))


def encode_rows(rows: Iterator[Row], show: Callable[[Row], str], room: int) -> Iterator[bytes]:
    """Yield the rows as they are sent, some *room* bytes at a time."""
    waiting: list[bytes] = []
    size = 0
    for row in rows:
        line = f"{show(row)}\r\n".encode("utf-8", "replace")
        waiting.append(line)
        size += len(line)
        if size >= room:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _permissions(changes: Changes, *, is_directory: bool, writable: bool) -> str:
    """Return the fact `perm` (RFC 3659, section 7.5.5): the commands that are not refused for what the session is.

    `d` and `f` are told of one's own files as of others': whose a file is, a row does not say.
    """
    renamed = writable and changes.rename
    if is_directory:
        removed, purged = writable and changes.remove_directories, writable and changes.remove_files
        allowed = {"c": writable, "d": removed, "e": True, "f": renamed, "l": True, "m": writable, "p": purged}
    else:
        removed = writable and changes.remove_files
        allowed = {"a": writable, "d": removed, "f": renamed, "r": True, "w": writable}
    return "".join(letter for letter, is_so in allowed.items() if is_so)
