"""File attributes: what a client sets, what it is shown, and the line of `ls -l`.

Nothing of the machine shows: owner and group are always 0, and `mft` in the long name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from protocols.sftp.wire import Fields, string, uint32, uint64

if TYPE_CHECKING:
    from protocols.filesystem import Entry

_SIZE = 0x01
_UIDGID = 0x02
_PERMISSIONS = 0x04
_ACMODTIME = 0x08
_EXTENDED = 0x80000000
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
    modified = uint32(min(max(int(entry.modified), 0), 0xFFFFFFFF))
    flags = _SIZE | _UIDGID | _PERMISSIONS | _ACMODTIME
    return b"".join((uint32(flags), uint64(entry.size), uint64(0), uint32(_mode(entry)), modified, modified))


def encode_name(name: str, entry: Entry, *, now: float) -> bytes:
    """Write one row of an SSH_FXP_NAME: the name, its long name, its attributes."""
    encoded = name.encode("utf-8")
    return string(encoded) + string(long_name(name, entry, now=now).encode("utf-8")) + encode_attributes(entry)


def long_name(name: str, entry: Entry, *, now: float) -> str:
    """Write the line that `ls -l` shows (section 7), in UTC and in English whatever the locale is."""
    kind = "d" if entry.is_directory else "-"
    bits = _mode(entry) & 0o777
    letters = "".join(
        letter if bits & 1 << place else "-" for place, letter in zip(range(8, -1, -1), "rwx" * 3, strict=True)
    )
    moment = datetime.fromtimestamp(min(max(entry.modified, 0.0), 4294967295.0), UTC)
    recent = 0 <= now - entry.modified < _HALF_A_YEAR
    when = f"{moment:%H:%M}" if recent else f"{moment.year:>5}"
    date = f"{_MONTHS[moment.month - 1]} {moment.day:>2} {when}"
    return f"{kind}{letters}    1 mft      mft      {entry.size:>12} {date} {name}"


def _mode(entry: Entry) -> int:
    if entry.is_directory:
        return _DIRECTORY | (0o755 if entry.writable else 0o555)
    return _REGULAR | (0o644 if entry.writable else 0o444)
