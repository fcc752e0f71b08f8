"""File attributes: what a client sets, what it is shown, and the line of `ls -l`.

Nothing of the machine shows: owner and group are always 0, and `mft` in the long name.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from protocols.filesystem import Entry, Row
    from protocols.sftp.wire import Fields

_SIZE = 0x01
_UIDGID = 0x02
_PERMISSIONS = 0x04
_ACMODTIME = 0x08
_EXTENDED = 0x80000000
_FLAGS = _SIZE | _UIDGID | _PERMISSIONS | _ACMODTIME
_ATTRIBUTES = struct.Struct(">IQIIIII")
"""Flags, size, owner, group, permissions, times of access and change (section 5)."""
OWNER = b"mft"
"""Who owns everything, as a long listing shows it; as a number it is 0."""
_DIRECTORY = 0o40000
_REGULAR = 0o100000
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NO_TIME = 1 << 32
"""Where version 3 can say a time no more: it has 32 bits."""
_ROW = ">I{0}sI34s{1}s14s{0}sIQIIIII"
"""A row with a name of so many bytes and a size of so many digits: the name, the long name, `_ATTRIBUTES`.

The long name has 34 bytes before the size, and 14 between size and name.
"""
_LINE_BYTES = 34 + 14
_ROW_BYTES = struct.calcsize(_ROW.format(0, 12))
"""Bytes of a row beside the name, which stands in it twice."""
_LONGEST_ROW = 1024
"""More than a row with the longest of names takes, in bytes."""
_HALF_A_YEAR = 182 * 86_400
"""Seconds after which `ls -l` shows the year in place of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAttributes:
    """What a client asks to set; permissions and owner are read over, they mean nothing here."""

    size: int | None = None
    modified: float | None = None
    """POSIX seconds, UTC."""


def parse_attributes(fields: Fields) -> WantedAttributes:
    """Read an ATTRS structure (draft-ietf-secsh-filexfer-02, section 5).

    Raises:
        MalformedError: it ends too early.
    """
    flags = fields.uint32()
    size = fields.uint64() if flags & _SIZE else None
    if flags & _UIDGID:
        fields.uint64()
    if flags & _PERMISSIONS:
        fields.uint32()
    modified = None
    if flags & _ACMODTIME:
        fields.uint32()
        modified = float(fields.uint32())
    if flags & _EXTENDED:
        for _ in range(fields.uint32()):
            fields.view()
            fields.view()
    return WantedAttributes(size=size, modified=modified)


def encode_attributes(entry: Entry) -> bytes:
    """Write *entry* as an ATTRS structure."""
    modified = _seconds(entry.modified)
    return _ATTRIBUTES.pack(_FLAGS, entry.size, 0, 0, _mode(entry), modified, modified)


class Names(NamedTuple):
    """What stands in an SSH_FXP_NAME."""

    number: int
    rows: bytes
    is_full: bool
    """Whether there may be more, for which there was no room."""


def encode_names(rows: Iterable[Row], *, now: float, room: int) -> Names:
    """Write rows of an SSH_FXP_NAME, each a name, its long name and its attributes, until *room* bytes are taken.

    What does not fit stays in *rows*. It is the inner loop of every listing: it calls nothing of ours for a row but to
    write a date that it has not met.
    """
    parts: list[bytes] = []
    dates: dict[int, bytes] = {}
    packers: dict[tuple[int, int], Callable[..., bytes]] = {}
    for name, is_directory, size, modified, writable in rows:
        seconds = int(modified)
        date = dates.get(minute := seconds // 60)
        if date is None:
            recent = 0 <= now - seconds < _HALF_A_YEAR
            date = dates[minute] = b" %b " % _date(_seconds(seconds) // 60, recent=recent).encode("ascii")
        if not 0 <= seconds < _NO_TIME:
            seconds = _seconds(seconds)
        encoded = name.encode("utf-8")
        length = len(encoded)
        shown = b"%12d" % size
        pack = packers.get(widths := (length, len(shown)))
        if pack is None:
            pack = packers[widths] = struct.Struct(_ROW.format(*widths)).pack
        mode, line = _MODES[is_directory, writable]
        parts.append(
            pack(
                length, encoded, _LINE_BYTES + len(shown) + length, line, shown, date, encoded,
                _FLAGS, size, 0, 0, mode, seconds, seconds,
            )
        )  # fmt: skip
        room -= 2 * length + _ROW_BYTES
        if room < _LONGEST_ROW:
            break
    return Names(len(parts), b"".join(parts), room < _LONGEST_ROW)


@lru_cache(maxsize=4096)
def _date(minute: int, *, recent: bool) -> str:
    """Write the date of a minute since the epoch as `ls -l` does, in UTC and in English whatever the locale is."""
    moment = datetime.fromtimestamp(minute * 60, UTC)
    when = f"{moment:%H:%M}" if recent else f"{moment.year:>5}"
    return f"{_MONTHS[moment.month - 1]} {moment.day:>2} {when}"


def _seconds(moment: float) -> int:
    """Return *moment* as version 3 can say it: 32 bits without a sign."""
    seconds = int(moment)
    return seconds if 0 <= seconds < _NO_TIME else min(max(seconds, 0), _NO_TIME - 1)


def _mode(entry: Entry) -> int:
    return _MODES[entry.is_directory, entry.writable][0]


def _letters(mode: int) -> str:
    kind = "d" if mode & _DIRECTORY else "-"
    return kind + "".join(
        letter if mode & 1 << place else "-" for place, letter in zip(range(8, -1, -1), "rwx" * 3, strict=True)
    )


_MODES = {
    (is_directory, writable): (mode, f"{_letters(mode)}    1 mft      mft      ".encode("ascii"))
    for is_directory, writable, mode in (
        (True, True, _DIRECTORY | 0o755),
        (True, False, _DIRECTORY | 0o555),
        (False, True, _REGULAR | 0o644),
        (False, False, _REGULAR | 0o444),
    )
}
"""Permissions, and how the long name begins."""
