"""What a command does (`commands`), on the event loop; whatever touches the filesystem does so on a thread."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from protocols.errors import FileSystemError
from protocols.path import parse_path
from protocols.sftp.commands import DigestCommand, SayCommand, ScpCommand
from protocols.sftp.console import EndOfInputError
from protocols.sftp.digests import Digester
from protocols.sftp.scp import Sink, Source
from protocols.sftp.status import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.aio import Crossing
    from protocols.session import Session
    from protocols.sftp.commands import Command
    from protocols.sftp.console import Console
    from protocols.sftp.settings import SftpObserver

logger = logging.getLogger("mft.sftp")
_PIECE = 256 * 1024


class Running:
    """One command of one channel."""

    def __init__(
        self,
        command: Command,
        console: Console,
        *,
        session: Session,
        crossing: Crossing,
        observer: SftpObserver,
        ended: Callable[[], bool],
    ) -> None:
        """Run *command* for *session*; long work stops once *ended* says so."""
        self._command = command
        self._console = console
        self._session = session
        self._crossing = crossing
        self._observer = observer
        self._ended = ended

    async def run(self) -> int:
        """Do it, and return the exit status."""
        try:
            match self._command:
                case SayCommand(text=text, status=status):
                    await self._console.write(text.encode())
                    return status
                case DigestCommand() as command:
                    return await self._digest(command)
                case ScpCommand() as command:
                    kind = Sink if command.to_here else Source
                    scp = kind(command, self._console, self._session, crossing=self._crossing, observer=self._observer)
                    return await scp.run()
        except EndOfInputError:
            return 1

    async def _digest(self, command: DigestCommand) -> int:
        if not command.paths:
            await self._console.write(f"{await self._of_input(command)}  -\n".encode())
            return 0
        digester, status = Digester(self._session.filesystem, ended=self._ended), 0
        for path in command.paths:
            try:
                found = await self._crossing.run(_digest, digester, path, command.algorithm)
            except Exception as error:  # noqa: BLE001 - the border to the client
                status = 1
                self._console.complain(f"{command.program}: {path}: {told(error, self._session)}\n")
                continue
            self._observer.answered("digest", "ok")
            await self._console.write(f"{found}  {path}\n".encode())
        return status

    async def _of_input(self, command: DigestCommand) -> str:
        digest = hashlib.new(command.algorithm, command.given or b"", usedforsecurity=False)
        while command.given is None:
            try:
                digest.update(await self._console.read(_PIECE))
            except EndOfInputError:
                break
        return digest.hexdigest()


def _digest(digester: Digester, path: str, algorithm: str) -> str:
    return digester.digest(parse_path(path), algorithm).hex()


def told(error: Exception, session: Session) -> str:
    """Return what a client is told of *error*; what nobody expected is logged, and not told."""
    if isinstance(error, FileSystemError):
        return status_of(error)[1]
    logger.error("internal_error", extra={"session": session.id}, exc_info=error)
    return f"internal error, session {session.id}"
