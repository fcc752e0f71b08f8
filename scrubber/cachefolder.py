"""Keep between runs what is made from the rules alone: a folder of our own that nobody else may write to.

What lies in it is trusted as the program is: a compiled database goes straight to code in C. So it is read only where
the folder and the file are ours and closed to all others; anything else there is passed over, and nothing is ever
required to be there. Never is anything of an upload or of a customer kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST_FILES = 24
"""Files kept; of more, the oldest go. A version of the rules makes six."""
_DIGEST = 32

_folder: Path | None = None


def keep_in(folder: Path | None) -> None:
    """Keep in *folder*, which is made when something is kept; keep nothing for None, as is done without this call."""
    global _folder  # noqa: PLW0603 - one for the process, as what is compiled is
    _folder = folder


def fetch(name: str) -> bytes | None:
    """Give what was kept under *name*, or None where that is missing, damaged, or could be another's work."""
    if _folder is None:
        return None
    try:
        if not _is_ours(_folder.lstat(), stat.S_IFDIR):
            return None
        fd = os.open(_folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not _is_ours(os.fstat(fd), stat.S_IFREG):
                return None
            whole = file.read()
    except OSError:
        return None
    digest, data = whole[:_DIGEST], whole[_DIGEST:]
    return data if hashlib.sha256(data).digest() == digest else None


def keep(name: str, data: bytes) -> None:
    """Keep *data* under *name* if that can be done safely; in silence, it is only for speed."""
    folder = _folder
    if folder is None:
        return
    part = folder / f".{secrets.token_hex(8)}.part"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder.lstat(), stat.S_IFDIR):
            return
        try:
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(hashlib.sha256(data).digest() + data)
            part.rename(folder / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        _forget(folder)


def name_for(kind: str, *parts: bytes) -> str:
    """Give the name under which what *parts* determine is kept."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"{kind}-{digest.hexdigest()}"


def _is_ours(status: os.stat_result, kind: int) -> bool:
    """Say whether it is of that *kind*, belongs to this user, and is for nobody else to write."""
    return stat.S_IFMT(status.st_mode) == kind and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _forget(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime_ns, reverse=True)
    for old in files[MOST_FILES:]:
        old.unlink(missing_ok=True)
