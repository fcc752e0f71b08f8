"""What is known of one connection: who it is, where it stands, and what it has announced for its next command."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.errors import InvalidNameError
from protocols.ftp.control import Control
from protocols.ftp.listing import FACTS
from protocols.ftp.status import ReplyError
from protocols.ftp.wire import Watch
from protocols.path import ROOT, VirtualPath, parse_path
from protocols.session import Origin

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from protocols.filesystem import WritableFileSystem
    from protocols.ftp.rendezvous import Rendezvous
    from protocols.ftp.settings import FtpObserver, FtpSettings
    from protocols.ftp.tls import TlsSide
    from protocols.session import Authenticator, Session

_log = logging.getLogger("mft.ftps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What a listener is."""

    region: str
    implicit: bool
    """Whether TLS begins with the connection, not with AUTH."""
    tls: TlsSide
    passive_address: str | None
    """The IPv4 address that PASV names, where it is not the one that the client reached."""


class Visit:
    """One connection, from its greeting to its end. One thread serves it; others may call `stop` and `leave`."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        local: str,
        peer: str,
        entrance: Entrance,
        settings: FtpSettings,
        observer: FtpObserver,
        authenticator: Authenticator,
        entered: Callable[[Visit], None],
    ) -> None:
        """Take the connection *sock* from *peer* to the address *local*, which came in at *entrance*.

        *entered* is called once it has logged in.
        """
        self._entered = entered
        self.watch = Watch(self._must_stop)
        self.control = Control(sock, self.watch, settings, observer)
        self.settings = settings
        self.observer = observer
        self.authenticator = authenticator
        self.entrance = entrance
        self.local = local
        self.origin = Origin(protocol="ftps", peer=peer, region=entrance.region)
        self.session: Session | None = None
        self.login: str | None = None
        """What USER said, until PASS."""
        self.attempts = 0
        self.early = 0
        """Commands before the login."""
        self.directory: VirtualPath = ROOT
        self.private = entrance.implicit
        """Whether data connections have TLS: PROT P, which implicit TLS begins with."""
        self.passive_only = False
        """After EPSV ALL."""
        self.ascii = False
        self.facts = frozenset(FACTS)
        self.rendezvous: Rendezvous | None = None
        self.restart = 0
        self.announced: int | None = None
        """What ALLO said of the next upload, in bytes."""
        self.renaming: VirtualPath | None = None
        self.busy = False
        """Whether a command is being carried out."""
        self.answered = False
        """Whether the command that is carried out has been answered already."""
        self.over: str | None = None
        """Why nothing more is read, once the answer is sent."""
        self._stopped: str | None = None
        self._leaving: str | None = None

    # -- for other threads ---------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """End it now; a transfer is aborted."""
        self._stopped = self._stopped or reason
        self.watch.wake()

    def leave(self, reason: str) -> None:
        """End it once what it does is done."""
        self._leaving = self._leaving or reason
        self.watch.wake()

    @property
    def is_silent(self) -> bool:
        """Whether there is no TLS yet."""
        return not self.control.is_secure

    # -- for its own ---------------------------------------------------------------------------------------------------

    @property
    def must_end(self) -> str | None:
        """Why it has to end before its next command, or None."""
        return self._stopped or self._leaving

    def _must_stop(self) -> bool:
        return self._stopped is not None or (self._leaving is not None and not self.busy)

    @property
    def filesystem(self) -> WritableFileSystem:
        """What its login sees.

        Raises:
            ReplyError: nobody has logged in.
        """
        if self.session is None:
            raise ReplyError(530, "log in with USER and PASS first")
        return self.session.filesystem

    def enter(self, session: Session) -> None:
        """Have it be *session* from now on."""
        self.session = session
        self._entered(self)

    def path(self, text: str) -> VirtualPath:
        """Return what *text* means from the working directory.

        Raises:
            InvalidNameError: it cannot be a path.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidNameError("the path is not valid UTF-8; send names as UTF-8") from error
        if text.startswith("/"):
            return parse_path(text)
        return parse_path(f"{self.directory}/{text}")

    def file_path(self, text: str) -> VirtualPath:
        """Return the path of a command that needs one.

        Raises:
            ReplyError: there is none.
            InvalidNameError: it cannot be a path.
        """
        if not text:
            raise ReplyError(501, "say which: the command takes a path")
        return self.path(text)

    def take_rendezvous(self) -> Rendezvous:
        """Return where the next data connection is made; each is good for one.

        Raises:
            ReplyError: none was agreed on, or data would go in clear.
        """
        found, self.rendezvous = self.rendezvous, None
        if found is None:
            raise ReplyError(425, "send EPSV or PASV first")
        if not self.private:
            found.close()
            raise ReplyError(521, "nothing goes in clear here: send PBSZ 0 and PROT P first")
        return found

    def meet(self, rendezvous: Rendezvous) -> None:
        """Remember where the next data connection is made."""
        if self.rendezvous is not None:
            self.rendezvous.close()
        self.rendezvous = rendezvous

    def take_restart(self) -> int:
        """Return what REST said for this transfer, bytes from the start."""
        found, self.restart = self.restart, 0
        return found

    def take_announced(self) -> int | None:
        """Return what ALLO said of this upload."""
        found, self.announced = self.announced, None
        return found

    def close(self, reason: str) -> None:
        """End the session and close everything. Never raises."""
        if self.rendezvous is not None:
            self.rendezvous.close()
        try:
            self.control.wire.finish()
            self.control.wire.close()
        except OSError:
            _log.debug("close_failed", exc_info=True)
        self.watch.close()
        if self.session is not None:
            try:
                self.session.close(reason)
            except Exception:  # noqa: BLE001 -- the connection is closed whatever happens
                _log.exception("session_close_failed", extra={"session": self.session.id})
