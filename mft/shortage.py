"""What the machine may lack for a moment: room on a disk, memory, open files. No file is at fault for it.

Whatever was under way waits and is tried again; it is never counted against the file that it was done for.
"""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

from storage.errors import OutOfSpaceError

if TYPE_CHECKING:
    from collections.abc import Iterator

SPACE, MEMORY, DESCRIPTORS, DISK = "space", "memory", "descriptors", "disk"
WORDS = (SPACE, MEMORY, DESCRIPTORS, DISK)
"""All that can be lacking."""
_ERRNO = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EMFILE: DESCRIPTORS,
    errno.ENFILE: DESCRIPTORS,
    errno.ENOMEM: MEMORY,
    errno.EAGAIN: MEMORY,  # fork's word for no more processes (fork(2))
}
_SQLITE = {
    sqlite3.SQLITE_FULL: SPACE,
    sqlite3.SQLITE_NOMEM: MEMORY,
    sqlite3.SQLITE_CANTOPEN: DESCRIPTORS,
    sqlite3.SQLITE_IOERR: DISK,
}
"""Primary result codes (https://sqlite.org/rescode.html); the journal's index on a full disk is an IOERR."""
_POSTGRES = {"53100": SPACE, "53200": MEMORY, "53300": DESCRIPTORS}
"""Class 53 of PostgreSQL's error codes, insufficient resources."""
_DEEPEST = 20


def shortage_of(error: BaseException) -> str | None:
    """Say what the machine lacked, as one of `WORDS`, where that is why *error* came up; None for any other reason.

    A limit of a process of ours (EFBIG) is none: what goes over it will do so again.
    """
    chain = list(_chain(error))
    for each in chain:
        word = _word(each)
        if word is not None:
            return word
    limited = any(isinstance(each, OSError) and each.errno == errno.EFBIG for each in chain)
    return SPACE if not limited and any(isinstance(each, OutOfSpaceError) for each in chain) else None


def _word(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        return _ERRNO.get(error.errno or 0)
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _SQLITE.get(code & 0xFF)
    return _POSTGRES.get(str(getattr(error, "sqlstate", None)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give *error* and what it came from, the driver's own errors too."""
    at: BaseException | None = error
    for _ in range(_DEEPEST):
        if at is None:
            return
        yield at
        driver = getattr(at, "orig", None)  # SQLAlchemy's name for it; scrub children do without that library
        if isinstance(driver, BaseException):
            yield driver
        at = at.__cause__ or at.__context__
