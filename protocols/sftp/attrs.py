"""File attributes: what a client sets, what it is shown, and the line of `ls -l`.

Nothing of the machine shows: owner and group are always 0, and `mft` in the long name.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocols.filesystem import Entry
    from protocols.sftp.wire import Fields

_SIZE = 0x01
_UIDGID = 0x02
_PERMISSIONS = 0x04
_ACMODTIME = 0x08
_EXTENDED = 0x80000000
_FLAGS = _SIZE | _UIDGID | _PERMISSIONS | _ACMODTIME
_LENGTH = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">IQIIIII")
"""Flags, size, owner, group, permissions, times of access and change (section 5)."""
_DIRECTORY = 0o40000
_REGULAR = 0o100000
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
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


def encode_name(name: str, entry: Entry, *, now: float) -> bytes:
    """Write one row of an SSH_FXP_NAME: the name, its long name, its attributes."""
    encoded = name.encode("utf-8")
    mode, modified, size = _mode(entry), _seconds(entry.modified), entry.size
    start = _line_start(mode, size, entry.modified, now).encode("ascii")
    length = len(encoded)
    return b"".join(
        (
            _LENGTH.pack(length),
            encoded,
            _LENGTH.pack(len(start) + length),
            start,
            encoded,
            _ATTRIBUTES.pack(_FLAGS, size, 0, 0, mode, modified, modified),
        )
    )


def long_name(name: str, entry: Entry, *, now: float) -> str:
    """Write the line that `ls -l` shows (section 7), in UTC and in English whatever the locale is."""
    return _line_start(_mode(entry), entry.size, entry.modified, now) + name


def _line_start(mode: int, size: int, modified: float, now: float) -> str:
    """Write the line up to the name."""
    date = _date(_seconds(modified) // 60, recent=0 <= now - modified < _HALF_A_YEAR)
    return f"{_LETTERS[mode]}    1 mft      mft      {size:>12} {date} "


@lru_cache(maxsize=4096)
def _date(minute: int, *, recent: bool) -> str:
    """Write the date of a minute since the epoch; a listing has the same ones again and again."""
    moment = datetime.fromtimestamp(minute * 60, UTC)
    when = f"{moment:%H:%M}" if recent else f"{moment.year:>5}"
    return f"{_MONTHS[moment.month - 1]} {moment.day:>2} {when}"


def _seconds(moment: float) -> int:
    """Return *moment* as version 3 can say it: 32 bits without a sign."""
    seconds = int(moment)
    return seconds if 0 <= seconds <= 0xFFFFFFFF else min(max(seconds, 0), 0xFFFFFFFF)


def _mode(entry: Entry) -> int:
    if entry.is_directory:
        return _DIRECTORY | (0o755 if entry.writable else 0o555)
    return _REGULAR | (0o644 if entry.writable else 0o444)


def _letters(mode: int) -> str:
    kind = "d" if mode & _DIRECTORY else "-"
    return kind + "".join(
        letter if mode & 1 << place else "-" for place, letter in zip(range(8, -1, -1), "rwx" * 3, strict=True)
    )


_LETTERS = {
    mode: _letters(mode) for mode in (_DIRECTORY | 0o755, _DIRECTORY | 0o555, _REGULAR | 0o644, _REGULAR | 0o444)
}
