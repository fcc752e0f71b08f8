"""A path as a client sees it. This is the only place that knows `..`, NUL, normal forms, backslashes and lengths.

No `VirtualPath` ever reaches the operating system: the filesystem behind the heads resolves it against its catalog.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from protocols.errors import InvalidNameError

MAX_NAME_BYTES = 255
"""Longest component, in bytes of UTF-8: what ext4, XFS and NTFS clients can hold."""
MAX_PATH_BYTES = 4096
"""Longest path, in bytes of UTF-8 (Linux PATH_MAX)."""
MAX_DEPTH = 64
_REFUSED_CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible formatting character",
    "Cs": "a lone surrogate",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that show as space."""


@dataclass(frozen=True, slots=True)
class VirtualPath:
    """An absolute, normalised path: no empty part, no `.` or `..`, every part NFC and within its length."""

    parts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part; empty for the root."""
        return self.parts[-1] if self.parts else ""

    @property
    def parent(self) -> VirtualPath:
        """The directory that holds this path; the root's is the root."""
        return VirtualPath(self.parts[:-1])

    def child(self, name: str) -> VirtualPath:
        """Return the path of *name* in this directory; *name* is one part, checked like any other."""
        if name in {"", ".", ".."} or "/" in name:
            raise InvalidNameError(f"{name!r} is not a file name")
        return VirtualPath((*self.parts, check_name(name)))

    def __str__(self) -> str:
        """Show it as a client would type it."""
        return "/" + "/".join(self.parts)


def _refused_code(code: int) -> str | None:
    """Say what is wrong with a code point that no text holds (Unicode, section 23.7); XML cannot carry some of them."""
    return "no character" if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF else None


def check_name(name: str) -> str:
    """Return *name* in NFC, or say why it cannot be the name of anything here.

    Raises:
        InvalidNameError: a backslash, a control or invisible character or none at all, nothing that shows, or more
        than `MAX_NAME_BYTES`.
    """
    normal = unicodedata.normalize("NFC", name)
    for character in normal:
        refused = _REFUSED_CATEGORIES.get(unicodedata.category(character)) or _refused_code(ord(character))
        if refused:
            raise InvalidNameError(
                f"the name holds {refused} (U+{ord(character):04X}); rename the file and send it again"
            )
    if normal and all(character in _BLANK or character.isspace() for character in normal):
        raise InvalidNameError("the name shows nothing but space; give the file a name and send it again")
    if "\\" in normal:
        raise InvalidNameError("the name holds a backslash; use '/' between directories")
    length = len(normal.encode())
    if length > MAX_NAME_BYTES:
        raise InvalidNameError(f"the name is {length} bytes long; {MAX_NAME_BYTES} are allowed")
    return normal


def parse_path(text: str | bytes) -> VirtualPath:
    """Make a path from what a client sent, resolving `.`, `..` and repeated slashes within the virtual tree.

    `..` above the root stays at the root (POSIX: the root's parent is the root). A path that does not begin with a
    slash is taken from the root.

    Raises:
        InvalidNameError: it is not UTF-8, or a part of it cannot be a name (see `check_name`).
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidNameError("the path is not valid UTF-8; send names as UTF-8") from error
    if len(text) > MAX_PATH_BYTES:
        raise InvalidNameError(f"the path is longer than {MAX_PATH_BYTES} bytes")
    parts: list[str] = []
    for raw in text.split("/"):
        if raw in {"", "."}:
            continue
        if raw == "..":
            del parts[-1:]
            continue
        parts.append(check_name(raw))
    if len(parts) > MAX_DEPTH:
        raise InvalidNameError(f"the path has {len(parts)} levels; {MAX_DEPTH} are allowed")
    if sum(len(part.encode()) + 1 for part in parts) > MAX_PATH_BYTES:
        raise InvalidNameError(f"the path is longer than {MAX_PATH_BYTES} bytes")
    return VirtualPath(tuple(parts))


ROOT = VirtualPath()
