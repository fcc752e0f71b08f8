"""SSH_FXP_EXTENDED: what OpenSSH's clients and others ask beyond version 3.

Sources: OpenSSH's PROTOCOL file, section 4; draft-ietf-secsh-filexfer-extensions-00 (copy-data, home-directory);
draft-ietf-secsh-filexfer-13, section 9.1 (check-file-handle, check-file-name; paramiko says check-file).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.errors import FileSystemError, NotFoundError, PermissionDeniedError
from protocols.filesystem import SetTimes, Space
from protocols.path import ROOT, parse_path
from protocols.sftp.attrs import OWNER, parse_attributes
from protocols.sftp.digests import Digester, Span, hashed, parse_algorithms
from protocols.sftp.handles import Download, Listing, Upload
from protocols.sftp.status import EndOfFileError, UnsupportedError
from protocols.sftp.wire import (
    MAX_DATA,
    MAX_PACKET,
    Fields,
    MalformedError,
    Reply,
    ok_reply,
    reply,
    string,
    uint32,
    uint64,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protocols.filesystem import WritableFileSystem
    from protocols.path import VirtualPath
    from protocols.session import Session
    from protocols.sftp.table import HandleTable

_BLOCK = 4096
"""Block size in which statvfs counts, in bytes."""
_NO_SUID = 2
"""SSH_FXE_STATVFS_ST_NOSUID, OpenSSH's PROTOCOL file, section 4.5."""
_LONGEST_NAME = 255
_MOST_IDS = 1024
"""Users, and groups, that are named in one answer."""

VERSIONS: Mapping[bytes, bytes] = {
    b"posix-rename@openssh.com": b"1",
    b"statvfs@openssh.com": b"2",
    b"fstatvfs@openssh.com": b"2",
    b"hardlink@openssh.com": b"1",
    b"fsync@openssh.com": b"1",
    b"lsetstat@openssh.com": b"1",
    b"limits@openssh.com": b"1",
    b"expand-path@openssh.com": b"1",
    b"copy-data": b"1",
    b"home-directory": b"1",
    b"users-groups-by-id@openssh.com": b"1",
    b"check-file-handle": b"1",
    b"check-file-name": b"1",
    b"check-file": b"1",
}
AT_ONCE = frozenset(
    {
        b"limits@openssh.com",
        b"expand-path@openssh.com",
        b"home-directory",
        b"users-groups-by-id@openssh.com",
        b"hardlink@openssh.com",
    }
)
"""Those that ask the filesystem nothing."""


class Extensions:
    """The extensions of one channel."""

    def __init__(self, session: Session, handles: HandleTable, *, ended: Callable[[], bool]) -> None:
        """Serve *session*'s filesystem; long work stops once *ended* says so."""
        self._login = session.login
        self._filesystem: WritableFileSystem = session.filesystem
        self._handles = handles
        self._ended = ended
        self._digester = Digester(session.filesystem, ended=ended)
        self._answers: dict[bytes, Callable[[int, Fields], bytes]] = {
            b"posix-rename@openssh.com": self._posix_rename,
            b"statvfs@openssh.com": self._statvfs,
            b"fstatvfs@openssh.com": self._fstatvfs,
            b"hardlink@openssh.com": self._hardlink,
            b"fsync@openssh.com": self._fsync,
            b"lsetstat@openssh.com": self.setstat,
            b"limits@openssh.com": self._limits,
            b"expand-path@openssh.com": self._expand_path,
            b"copy-data": self._copy_data,
            b"home-directory": self._home_directory,
            b"users-groups-by-id@openssh.com": self._users_groups_by_id,
            b"check-file-handle": self._check_file_handle,
            b"check-file-name": self._check_file_name,
            b"check-file": self._check_file_handle,
        }
        if not isinstance(self._filesystem, Space):
            del self._answers[b"statvfs@openssh.com"], self._answers[b"fstatvfs@openssh.com"]

    def advertised(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the names that SSH_FXP_VERSION tells, with their versions."""
        return tuple((name, VERSIONS[name]) for name in self._answers)

    def answer(self, request_id: int, fields: Fields) -> bytes:
        """Answer a request, whose first field is the extension's name.

        Raises:
            UnsupportedError: it is none of ours.
        """
        extension = self._answers.get(fields.string())
        if extension is None:
            raise UnsupportedError("this server does not know that extension")
        return extension(request_id, fields)

    def setstat(self, request_id: int, fields: Fields) -> bytes:
        """Answer SSH_FXP_SETSTAT, and lsetstat, which is the same where there are no links."""
        path = parse_path(fields.string())
        wanted = parse_attributes(fields)
        entry = self._filesystem.stat(path)
        own = self._handles.upload_to(path)
        if wanted.size is not None and own is not None:
            own.truncate(wanted.size)
        elif wanted.size is not None and (entry.is_directory or wanted.size != entry.size):
            raise PermissionDeniedError("a file here cannot be cut or stretched; send it anew")
        if wanted.modified is not None and isinstance(self._filesystem, SetTimes):
            self._filesystem.set_modified(path, wanted.modified)
        return ok_reply(request_id)

    # -- names ---------------------------------------------------------------------------------------------------------

    def _posix_rename(self, request_id: int, fields: Fields) -> bytes:
        self._filesystem.rename(parse_path(fields.string()), parse_path(fields.string()), replace=True)
        return ok_reply(request_id)

    @staticmethod
    def _hardlink(request_id: int, fields: Fields) -> bytes:  # noqa: ARG004 - it is never granted
        parse_path(fields.string())
        parse_path(fields.string())
        raise PermissionDeniedError("a file here has one name; send it again under the other one")

    def _expand_path(self, request_id: int, fields: Fields) -> bytes:
        text = fields.string()
        if text.startswith(b"~"):
            user, _, rest = text[1:].partition(b"/")
            text = b"/".join((b"", self._home(user).encode(), rest))
        return _one_name(request_id, parse_path(text))

    def _home_directory(self, request_id: int, fields: Fields) -> bytes:
        return _one_name(request_id, parse_path(self._home(fields.string())))

    def _home(self, user: bytes) -> str:
        """Return where *user* (empty: who asks) is at home: in its own tree, at the root.

        Raises:
            NotFoundError: it is somebody else; who else there is, is told to nobody.
        """
        if user not in {b"", self._login.encode()}:
            raise NotFoundError("no such user")
        return str(ROOT)

    @staticmethod
    def _users_groups_by_id(request_id: int, fields: Fields) -> bytes:
        """Name owners and groups: all that is shown belongs to 0."""
        answer = []
        for ids in (fields.string(), fields.string()):
            if len(ids) % 4 or len(ids) > 4 * _MOST_IDS:
                raise MalformedError(f"a list of ids has {len(ids)} bytes; 4 for each of {_MOST_IDS} at most")
            each = (ids[start : start + 4] for start in range(0, len(ids), 4))
            answer.append(string(b"".join(string(b"" if any(number) else OWNER) for number in each)))
        return reply(Reply.EXTENDED, request_id, b"".join(answer))

    # -- files ---------------------------------------------------------------------------------------------------------

    def _fsync(self, request_id: int, fields: Fields) -> bytes:
        handle = self._handles.any(fields)
        if isinstance(handle, Upload):
            handle.sync()
        return ok_reply(request_id)

    def _copy_data(self, request_id: int, fields: Fields) -> bytes:
        source = self._handles.of(fields, Download)
        start, length = fields.uint64(), fields.uint64()
        target = self._handles.of(fields, Upload)
        at = fields.uint64()
        try:
            self._copy(source, start, length or None, target, at)
        except BaseException:
            target.spoil("not all could be copied")  # a CLOSE comes all the same, and must not make a file of it
            raise
        return ok_reply(request_id)

    def _copy(self, source: Download, start: int, left: int | None, target: Upload, at: int) -> None:
        while left is None or left > 0:
            if self._ended():
                raise FileSystemError("the session has ended")
            data = source.read(start, MAX_DATA if left is None else min(left, MAX_DATA))
            if not data:
                if left is not None:  # as OpenSSH's server answers: less than was asked for is no success
                    raise EndOfFileError("the file that is copied from ends before that")
                return
            target.write(at, memoryview(data))
            start, at = start + len(data), at + len(data)
            left = None if left is None else left - len(data)

    def _check_file_handle(self, request_id: int, fields: Fields) -> bytes:
        source = self._handles.of(fields, Download)
        algorithm, span = _wanted(fields)
        found = hashed(source.read, algorithm, span, ended=self._ended)
        return _digests(request_id, algorithm, found)

    def _check_file_name(self, request_id: int, fields: Fields) -> bytes:
        path = parse_path(fields.string())
        algorithm, span = _wanted(fields)
        return _digests(request_id, algorithm, self._digester.digest(path, algorithm, span))

    # -- the server ----------------------------------------------------------------------------------------------------

    def _limits(self, request_id: int, fields: Fields) -> bytes:  # noqa: ARG002 - the request has no fields
        limits = (MAX_PACKET, MAX_DATA, MAX_DATA, self._handles.most)
        return reply(Reply.EXTENDED, request_id, b"".join(map(uint64, limits)))

    def _statvfs(self, request_id: int, fields: Fields) -> bytes:
        return self._space(request_id, parse_path(fields.string()))

    def _fstatvfs(self, request_id: int, fields: Fields) -> bytes:
        handle = self._handles.any(fields)
        if isinstance(handle, Listing):
            raise UnsupportedError("a listing has no room")
        return self._space(request_id, handle.path)

    def _space(self, request_id: int, path: VirtualPath) -> bytes:
        if not isinstance(self._filesystem, Space):
            raise UnsupportedError("this server does not tell how much room there is")
        report = self._filesystem.space(path)
        free = report.free // _BLOCK
        numbers = (_BLOCK, _BLOCK, report.total // _BLOCK, free, free, 0, 0, 0, 0, _NO_SUID, _LONGEST_NAME)
        return reply(Reply.EXTENDED, request_id, b"".join(map(uint64, numbers)))


def _wanted(fields: Fields) -> tuple[str, Span]:
    algorithm = parse_algorithms(fields.string())
    start, length, block = fields.uint64(), fields.uint64(), fields.uint32()
    return algorithm, Span(start=start, length=length or None, block=block or None)


def _digests(request_id: int, algorithm: str, found: bytes) -> bytes:
    return reply(Reply.EXTENDED, request_id, string(b"check-file") + string(algorithm.encode()) + found)


def _one_name(request_id: int, path: VirtualPath) -> bytes:
    name = string(str(path).encode("utf-8"))
    return reply(Reply.NAME, request_id, uint32(1) + name + name + uint32(0))
