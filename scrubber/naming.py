"""Names of members of archives: kept inside the archive, whatever they say.

Nothing here is ever unpacked to a path; but who receives an archive unpacks it. So a name that leads out of the
archive is brought back into it, as `tar` and `unzip` do when they unpack, and a member that stands behind a link of
the archive is refused: no archiver makes such, and unpacking it would write where the link points.
"""

from __future__ import annotations

import re

_DRIVE = re.compile(rb"[A-Za-z]:")
_SLASHES = re.compile(rb"[\\/]")


def inside(name: bytes) -> bytes:
    """Give *name* without a root, a drive and steps upward; a harmless one comes back as it is."""
    rooted = name[:1] in (b"/", b"\\") or _DRIVE.fullmatch(_SLASHES.split(name, maxsplit=1)[0]) is not None
    if not rooted and b".." not in _SLASHES.split(name):
        return name
    parts: list[bytes] = []
    for part in _SLASHES.split(name):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b".") and (parts or not _DRIVE.fullmatch(part)):
            parts.append(part)
    ending = b"/" if name.endswith((b"/", b"\\")) or not parts else b""
    return (b"/".join(parts) or b".") + ending


class Links:
    """The symbolic links that an archive has had so far. Memory: their names."""

    def __init__(self) -> None:
        self._names: set[bytes] = set()

    def add(self, name: bytes) -> None:
        """Remember the link called *name*."""
        self._names.add(_plain(name))

    def cover(self, name: bytes) -> bool:
        """Say whether a member called *name* would be unpacked through one of the links."""
        if not self._names:
            return False
        path = _plain(name)
        at = path.find(b"/")
        while at >= 0:
            if path[:at] in self._names:
                return True
            at = path.find(b"/", at + 1)
        return False


def _plain(name: bytes) -> bytes:
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))
