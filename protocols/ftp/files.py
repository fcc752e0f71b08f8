"""Commands about names: where one is, what is there, and changes of it."""

from __future__ import annotations

import calendar
import contextlib
import hashlib
import re
import time
from typing import TYPE_CHECKING

from protocols.errors import NotADirectoryPathError, NotFoundError, PermissionDeniedError
from protocols.filesystem import SetTimes, Space
from protocols.ftp.listing import changes_in, fact_row, long_row, may_be_renamed, row_of, scan_rows, stamp
from protocols.ftp.reply import Reply
from protocols.ftp.status import ReplyError

if TYPE_CHECKING:
    from protocols.filesystem import Entry
    from protocols.ftp.visit import Visit
    from protocols.path import VirtualPath

_STAMP = re.compile(r"(\d{14})(?:\.\d+)?")
_MOST_ROWS = 1000
"""Rows that STAT shows over the control connection; LIST shows all."""


def cwd(visit: Visit, argument: str) -> Reply:
    """CWD: go to a directory."""
    path = visit.path(argument)
    if not visit.filesystem.stat(path).is_directory:
        raise NotADirectoryPathError(f"{path} is a file")
    visit.directory = path
    return Reply(code=250, text=f"{quoted(path)} is the working directory")


def cdup(visit: Visit, _argument: str) -> Reply:
    """CDUP: go one up."""
    return cwd(visit, "..")


def pwd(visit: Visit, _argument: str) -> Reply:
    """PWD: say where one is."""
    return Reply(code=257, text=f"{quoted(visit.directory)} is the working directory")


def mkd(visit: Visit, argument: str) -> Reply:
    """MKD: make a directory."""
    path = visit.file_path(argument)
    visit.filesystem.mkdir(path)
    return Reply(code=257, text=f"{quoted(path)} is there")


def rmd(visit: Visit, argument: str) -> Reply:
    """RMD: remove an empty directory."""
    visit.filesystem.remove(visit.file_path(argument), directory=True)
    return Reply(code=250, text="removed")


def dele(visit: Visit, argument: str) -> Reply:
    """DELE: remove a file."""
    visit.filesystem.remove(visit.file_path(argument), directory=False)
    return Reply(code=250, text="removed")


def rnfr(visit: Visit, argument: str) -> Reply:
    """RNFR: say what is to be renamed."""
    path = visit.file_path(argument)
    if not may_be_renamed(visit.filesystem, path, visit.filesystem.stat(path)):
        raise PermissionDeniedError("what is there keeps its name")
    visit.renaming = path
    return Reply(code=350, text="say the new name by RNTO")


def rnto(visit: Visit, argument: str) -> Reply:
    """RNTO: rename it; onto a file that is there it becomes the newest version of that."""
    source, visit.renaming = visit.renaming, None
    if source is None:
        raise ReplyError(503, "send RNFR first")
    visit.filesystem.rename(source, visit.file_path(argument), replace=True)
    return Reply(code=250, text="renamed")


def size(visit: Visit, argument: str) -> Reply:
    """SIZE: what RETR would send; of an upload that broke off, where to go on (RFC 3659, section 4)."""
    path = visit.file_path(argument)
    entry = _file(visit, path)
    return Reply(code=213, text=str(entry.size if entry.read_size is None else entry.read_size))


def mdtm(visit: Visit, argument: str) -> Reply:
    """MDTM: the time of a file (RFC 3659, section 3)."""
    return Reply(code=213, text=stamp(_file(visit, visit.file_path(argument)).modified))


def avbl(visit: Visit, argument: str) -> Reply:
    """AVBL: the room there is at a path, in bytes (draft-peterson-streamlined-ftp-command-extensions-10, section 4)."""
    path = visit.path(argument)
    filesystem = visit.filesystem
    if not filesystem.stat(path).is_directory:
        raise NotADirectoryPathError(f"{path} is a file")
    if not isinstance(filesystem, Space):
        raise ReplyError(502, "how much room there is, is not known here")
    return Reply(code=213, text=str(filesystem.space(path).free))


def mfmt(visit: Visit, argument: str) -> Reply:
    """MFMT: keep the client's time of a file (draft-somers-ftp-mfxx-04, section 3)."""
    text, _, name = argument.partition(" ")
    moment = parse_stamp(text)
    path = visit.file_path(name)
    filesystem = visit.filesystem
    _file(visit, path)
    if not isinstance(filesystem, SetTimes):
        raise ReplyError(502, "times are not kept here")
    filesystem.set_modified(path, moment)
    return Reply(code=213, text=f"Modify={stamp(moment)}; {path}")


def mlst(visit: Visit, argument: str) -> Reply:
    """MLST: the facts of one path (RFC 3659, section 7)."""
    path = visit.path(argument)
    entry = visit.filesystem.stat(path)
    row = fact_row(row_of(entry), visit.facts, changes_in(visit.filesystem, path.parent), name=str(path))
    return Reply(code=250, text=f"Listing {path}", lines=(row,))


def stat(visit: Visit, argument: str) -> Reply:
    """STAT: how this connection stands, or a listing over it."""
    if not argument:
        who = "nobody has logged in" if visit.session is None else f"logged in as {visit.session.login}"
        secure = "TLS" if visit.control.is_secure else "no TLS yet"
        return Reply(code=211, text="Status:", lines=(who, f"control connection: {secure}", _data_state(visit)))
    path = visit.path(listing_path(argument))
    now = time.time()
    try:
        rows = [
            long_row(row, now) for row, _ in zip(scan_rows(visit.filesystem, path), range(_MOST_ROWS), strict=False)
        ]
    except NotADirectoryPathError:
        rows = [long_row(row_of(visit.filesystem.stat(path)), now)]
    return Reply(code=213, text=f"Status of {path}:", lines=tuple(rows) or ("nothing",))


def digest(visit: Visit, argument: str) -> Reply:
    """HASH: the SHA-256 of a file (draft-bryan-ftpext-hash-02, section 3)."""
    path = visit.file_path(argument)
    length, found = _sha256(visit, path)
    return Reply(code=213, text=f"SHA-256 0-{length} {found} {path.name}")


def xsha256(visit: Visit, argument: str) -> Reply:
    """XSHA256: the same, as older clients ask for it."""
    return Reply(code=250, text=_sha256(visit, visit.file_path(argument.strip('"')))[1].upper())


def listing_path(argument: str) -> str:
    """Return the path of a listing: programs put options of `ls` before it."""
    return re.sub(r"^(?:-[A-Za-z1]+(?: +|$))+", "", argument)


def parse_stamp(text: str) -> float:
    """Read `YYYYMMDDHHMMSS`, in UTC.

    Raises:
        ReplyError: it is no time.
    """
    found = _STAMP.fullmatch(text)
    if found is not None:
        with contextlib.suppress(ValueError, OverflowError):
            return float(calendar.timegm(time.strptime(found[1], "%Y%m%d%H%M%S")))
    raise ReplyError(501, "a time is YYYYMMDDHHMMSS, in UTC")


def quoted(path: VirtualPath) -> str:
    """Return *path* in quotation marks, its own doubled (RFC 959, appendix II)."""
    return '"' + str(path).replace('"', '""') + '"'


def _file(visit: Visit, path: VirtualPath) -> Entry:
    entry = visit.filesystem.stat(path)
    if entry.is_directory:
        raise ReplyError(550, f"{path} is a directory")
    return entry


def _data_state(visit: Visit) -> str:
    return "data connections: TLS" if visit.private else "data connections: none before PROT P"


def _sha256(visit: Visit, path: VirtualPath) -> tuple[int, str]:
    handle = visit.filesystem.open_read(path)
    try:
        length, offset, summed = handle.entry.size, 0, hashlib.sha256()
        while offset < length:
            piece = handle.read(offset, min(visit.settings.piece, length - offset))
            if not piece:
                raise NotFoundError(f"{path} ended before its size")
            summed.update(piece)
            offset += len(piece)
            visit.watch.glance()
    finally:
        handle.close()
    return length, summed.hexdigest()
