"""The legacy protocol of `scp -O`, both ends of it, without a shell or a program.

Lines of one letter (C a file, D a directory, E its end, T times, and the bytes 0, 1 and 2 for well, warning and end)
and the files' bytes between them; nothing standardises it, OpenSSH's scp.c is what everybody follows. A name is one
component and is checked like any other; a file whose bytes do not all come, or whose sender says that it could not read
it, is interrupted and never published.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any

from protocols.errors import FileSystemError, InvalidNameError, NotADirectoryPathError, NotFoundError
from protocols.filesystem import Immediate, WriteMode
from protocols.path import ROOT, parse_path
from protocols.sftp.console import EndOfInputError
from protocols.sftp.status import status_of

if TYPE_CHECKING:
    from protocols.aio import Crossing
    from protocols.filesystem import Entry, ReadHandle, WriteHandle
    from protocols.path import VirtualPath
    from protocols.session import Session
    from protocols.sftp.commands import ScpCommand
    from protocols.sftp.console import Console
    from protocols.sftp.settings import SftpObserver

_LONGEST_LINE = 8192
_PIECE = 256 * 1024
_MOST_DEPTH = 64
_FILE = re.compile(rb"[CD]([0-7]{1,5}) (\d{1,19}) (.+)", re.DOTALL)
_TIMES = re.compile(rb"T(\d{1,12}) \d{1,6} (\d{1,12}) \d{1,6}")
_ALL = "files"
"""What the root is called, which has no name."""
_PATTERN = re.compile(r"[*?\[]")
_WELL, _WARNING, _END = b"\0", b"\1", b"\2"


class _ScpError(Exception):
    """The other end does not speak scp, or has given up: nothing more can be said to it."""


class _End:
    """What both ends have."""

    def __init__(
        self, command: ScpCommand, console: Console, session: Session, *, crossing: Crossing, observer: SftpObserver
    ) -> None:
        self._command = command
        self._console = console
        self._session = session
        self._filesystem = session.filesystem
        self._crossing = crossing
        self._observer = observer
        self._failed = False

    async def run(self) -> int:
        """Do it, and return the exit status."""
        try:
            await self._go()
        except _ScpError as error:
            await self._console.write(_END + f"scp: {error}\n".encode())
            return 1
        return 1 if self._failed else 0

    async def _go(self) -> None:
        raise NotImplementedError

    async def _warn(self, name: str, error: FileSystemError) -> None:
        """Tell what is wrong with one file; the others go on."""
        self._failed = True
        text = f"scp: {name}: {status_of(error)[1]}"
        await self._console.write(_WARNING + text.replace("\n", "?").encode("utf-8", "replace") + b"\n")

    async def _stat(self, path: VirtualPath) -> Entry | None:
        try:
            return await self._crossing.run(self._filesystem.stat, path)
        except NotFoundError:
            return None


class Sink(_End):
    """`scp -t`: takes files."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of `_End`
        """Begin with no directory entered."""
        super().__init__(*args, **kwargs)
        self._top = ROOT
        self._inside: list[VirtualPath] = []
        self._bottom = 0
        self._modified: float | None = None

    async def _go(self) -> None:
        (text,) = self._command.paths
        try:
            self._top = parse_path(text)
            there = await self._stat(self._top)
        except FileSystemError as error:
            raise _ScpError(f"{text}: {status_of(error)[1]}") from error
        if there is not None and there.is_directory:
            self._inside.append(self._top)
        elif self._command.into_directory:
            raise _ScpError(f"{text}: it is no directory")
        self._bottom = len(self._inside)
        await self._console.write(_WELL)
        while True:
            try:
                kind = await self._console.read(1)
            except EndOfInputError:
                if len(self._inside) > self._bottom:
                    raise
                return
            line = await self._console.read_line(_LONGEST_LINE)
            if kind in {_WARNING, _END}:  # the sender's own trouble, which it has shown already
                self._failed = True
                if kind == _END:
                    return
            elif await self._heed(kind, line):
                await self._console.write(_WELL)

    async def _heed(self, kind: bytes, line: bytes) -> bool:
        """Do what a line says; False: what was wrong is told already."""
        if kind == b"T":
            self._modified = _time(line)
            return True
        if kind == b"E":
            if len(self._inside) <= self._bottom:
                raise _ScpError("a directory ends that did not begin")
            self._inside.pop()
            return True
        size, name = _announced(kind + line)
        modified, self._modified = self._modified, None
        place = name
        try:
            path = _below(self._inside, self._top, name)
            place = str(path)  # its own name says little where a folder on the way to it is missing
            if kind == b"C":
                await self._take(path, size, modified)
            else:
                await self._enter(path)
        except FileSystemError as error:
            await self._warn(place, error)
            return False
        return True

    async def _enter(self, path: VirtualPath) -> None:
        if not self._command.recursive or len(self._inside) > _MOST_DEPTH:
            raise _ScpError("a directory that was not asked for, or is too deep")
        there = await self._stat(path)
        if there is None:
            await self._crossing.run(self._filesystem.mkdir, path)
        elif not there.is_directory:
            raise NotADirectoryPathError("a file of that name is there")
        self._inside.append(path)

    async def _take(self, path: VirtualPath, size: int, modified: float | None) -> None:
        """Take one file. Its bytes are read in any case, once they were asked for."""
        handle = await self._crossing.run(self._filesystem.open_write, path, WriteMode.REPLACE, length=size)
        failure: FileSystemError | None = None
        reason = "the transfer broke off"
        try:
            await self._console.write(_WELL)
            at = 0
            while at < size:
                data = await self._console.read(min(_PIECE, size - at))
                if failure is None:
                    try:
                        await self._write(handle, at, data)
                    except FileSystemError as error:
                        failure = error
                at += len(data)
            if await self._console.read(1) != _WELL:
                reason = "the sender could not read it to its end"
                await self._console.read_line(_LONGEST_LINE)
                raise FileSystemError("it did not come to its end")
            if failure is not None:
                reason = f"a write failed: {failure}"
                raise failure
            await self._crossing.run(handle.commit, length=size, modified=modified)
        finally:
            await self._crossing.run(handle.abort, reason)  # after a commit it does nothing
        self._observer.answered("scp", "ok")

    async def _write(self, handle: WriteHandle, at: int, data: bytes) -> None:
        if isinstance(handle, Immediate) and handle.is_immediate(at + len(data)):
            handle.write(at, data)
        else:
            await self._crossing.run(handle.write, at, data)
        self._observer.transferred("in", len(data))


class Source(_End):
    """`scp -f`: gives files."""

    async def _go(self) -> None:
        await self._answer()
        for text in self._command.paths:
            try:
                paths = await self._crossing.run(self._expanded, text)
            except FileSystemError as error:
                await self._warn(text, error)
                continue
            for path in paths:
                await self._give(path, 0)

    def _expanded(self, text: str) -> list[VirtualPath]:
        """Return what *text* means: one path, or all that its last part fits; a shell would do that elsewhere."""
        path = parse_path(text)
        if not _PATTERN.search(path.name):
            return [path]
        entries = self._filesystem.scandir(path.parent)
        found = [entry.name for entry in entries if fnmatch.fnmatchcase(entry.name, path.name)]
        return [path.parent.child(name) for name in sorted(found)] or [path]

    async def _give(self, path: VirtualPath, depth: int) -> None:
        try:
            entry = await self._crossing.run(self._filesystem.stat, path)
            if entry.is_directory:
                await self._give_directory(path, entry, depth)
            else:
                await self._give_file(path, entry)
        except FileSystemError as error:
            await self._warn(str(path), error)

    async def _give_directory(self, path: VirtualPath, entry: Entry, depth: int) -> None:
        if not self._command.recursive or depth > _MOST_DEPTH:
            raise FileSystemError("it is a directory; ask for all of it with -r")
        names = await self._crossing.run(self._names, path)
        if await self._announce(b"D0755 0 " + (path.name or _ALL).encode(), entry):
            for each in names:
                await self._give(path.child(each), depth + 1)
            await self._console.write(b"E\n")
            await self._answer()

    async def _give_file(self, path: VirtualPath, entry: Entry) -> None:
        handle = await self._crossing.run(self._filesystem.open_read, path)
        try:
            size = handle.entry.size
            if await self._announce(b"C0644 %d " % size + path.name.encode(), entry):
                await self._send(handle, size)
        finally:
            await self._crossing.run(handle.close)

    def _names(self, path: VirtualPath) -> list[str]:
        return [entry.name for entry in self._filesystem.scandir(path)]

    async def _announce(self, line: bytes, entry: Entry) -> bool:
        """Announce a file or a directory; say whether the other end wants it."""
        if self._command.keeps_times:
            seconds = max(0, int(entry.modified))
            await self._console.write(b"T%d 0 %d 0\n" % (seconds, seconds))
            if not await self._answer():
                return False
        await self._console.write(line + b"\n")
        return await self._answer()

    async def _send(self, handle: ReadHandle, size: int) -> None:
        at = 0
        while at < size:
            try:
                data = await self._crossing.run(handle.read, at, min(_PIECE, size - at))
            except FileSystemError as error:
                raise _ScpError(status_of(error)[1]) from error
            if not data:
                raise _ScpError("the file ended before its end")
            await self._console.write(data)
            self._observer.transferred("out", len(data))
            at += len(data)
        await self._console.write(_WELL)
        await self._answer()

    async def _answer(self) -> bool:
        """Wait for the other end's word on what was sent; False: it does not want it."""
        word = await self._console.read(1)
        if word == _WELL:
            return True
        await self._console.read_line(_LONGEST_LINE)
        self._failed = True
        if word != _WARNING:
            raise EndOfInputError("the other end has given up")
        return False


def _time(line: bytes) -> float:
    found = _TIMES.fullmatch(b"T" + line)
    if found is None:
        raise _ScpError("times that are none")
    return float(found[1])


def _announced(line: bytes) -> tuple[int, str]:
    found = _FILE.fullmatch(line)
    if found is None:
        raise _ScpError("a file without mode, size and name")
    return int(found[2]), found[3].decode("utf-8", "surrogateescape")


def _below(inside: list[VirtualPath], top: VirtualPath, name: str) -> VirtualPath:
    """Return where what is called *name* belongs: in the directory that was entered last, or at what was named.

    Raises:
        InvalidNameError: it is not the name of one thing.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidNameError("the name is not valid UTF-8; send names as UTF-8") from error
    ROOT.child(name)
    return inside[-1].child(name) if inside else top
