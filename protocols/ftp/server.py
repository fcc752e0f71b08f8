"""The FTPS head: listeners that somebody else bound, a thread for each connection, and their orderly end.

Each session has one thread, because everything behind it blocks and FTP does one thing at a time: see the ADR.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

from protocols.accepting import OUT_OF_FILES, PAUSE
from protocols.doorstep import Doorstep
from protocols.ftp.handler import serve
from protocols.ftp.rendezvous import unmapped
from protocols.ftp.settings import SilentObserver
from protocols.ftp.tls import TlsSide
from protocols.ftp.visit import Entrance, Visit

if TYPE_CHECKING:
    import ssl

    from protocols.ftp.settings import FtpObserver, FtpSettings
    from protocols.session import Authenticator

_log = logging.getLogger("mft.ftps")
_LAST_WORDS = 10.0
"""Seconds that aborted transfers have to record it, at the end of a drain."""


class FtpServer:
    """Serves FTP over TLS on inherited sockets; one for each worker process."""

    def __init__(
        self, authenticator: Authenticator, settings: FtpSettings, observer: FtpObserver | None = None
    ) -> None:
        """Make a server that listens nowhere yet."""
        self._authenticator = authenticator
        self._settings = settings
        self._observer = observer or SilentObserver()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._visits: set[Visit] = set()
        self._doorstep: Doorstep[Visit] = Doorstep(
            most=settings.max_unauthenticated, most_of_one=settings.max_unauthenticated_of_one
        )
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._draining = False
        self._listeners: list[threading.Thread] = []

    @property
    def connections(self) -> int:
        """Connections that are open or not yet wound up."""
        return len(self._visits)

    def start(
        self,
        sock: socket.socket,
        region: str,
        context: ssl.SSLContext,
        *,
        implicit: bool = False,
        passive_address: str | None = None,
    ) -> None:
        """Serve the listening socket *sock*, which this head closes in the end, as a listener of *region*.

        Args:
            sock: listens already; may be shared with other processes.
            region: what sessions are told that they came in at.
            context: of `tls.server_context`.
            implicit: whether TLS begins with the connection; otherwise with AUTH TLS.
            passive_address: the IPv4 address that PASV names, where it is not the one that the client reached (NAT).
        """
        sock.setblocking(False)
        entrance = Entrance(region=region, implicit=implicit, tls=TlsSide(context), passive_address=passive_address)
        thread = threading.Thread(target=self._listen, args=(sock, entrance), name=f"ftps {region}", daemon=True)
        self._listeners.append(thread)
        thread.start()

    def drain(self, grace: float) -> None:
        """Stop accepting, end each connection once it has no transfer, after *grace* seconds end all.

        Returns when every session is closed, or a thread in the core has not come back for long after that.
        """
        self._draining = True
        os.eventfd_write(self._stop, 1)
        for listener in self._listeners:
            listener.join()
        for visit in self._all():
            visit.leave("the server is going down")
        if not self._wait_for_all(grace):
            for visit in self._all():
                visit.stop("the server is going down")
            if not self._wait_for_all(_LAST_WORDS):
                _log.error("sessions_left", extra={"count": self.connections})
        os.close(self._stop)

    def _all(self) -> list[Visit]:
        with self._lock:
            return list(self._visits)

    def _wait_for_all(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._visits, seconds)

    def _listen(self, sock: socket.socket, entrance: Entrance) -> None:
        """Accept while there is room; what is not accepted waits in the kernel, or goes to another worker."""
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        poll.register(sock, select.POLLIN)
        with sock:
            while not self._draining:
                if self.connections >= self._settings.max_connections:
                    with self._changed:
                        self._changed.wait(PAUSE)
                    continue
                poll.poll()
                if not self._draining:
                    self._accept(sock, entrance)

    def _accept(self, sock: socket.socket, entrance: Entrance) -> None:
        try:
            client, where = sock.accept()
        except BlockingIOError:
            return  # another worker was quicker
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                _log.warning("accept_failed", extra={"reason": error.strerror})
                time.sleep(PAUSE)
            return
        try:
            visit = self._visit(client, unmapped(where[0]), entrance)
        except OSError:  # gone already, or no descriptor is left to wake its thread by
            _log.debug("connection_lost", exc_info=True)
            client.close()
            return
        with self._lock:
            leaving = self._doorstep.admit(visit, visit.origin.peer)
            self._visits.add(visit)
        self._observer.connected(entrance.region)
        if leaving is not None:
            _log.debug("connection_gave_way", extra={"peer": leaving.origin.peer})
            leaving.stop("too many wait for a login")
        if self._draining:
            visit.leave("the server is going down")
        threading.Thread(target=self._serve, args=(visit,), name="ftps session", daemon=True).start()

    def _visit(self, client: socket.socket, peer: str, entrance: Entrance) -> Visit:
        patience = int(self._settings.stall_timeout * 1000)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # the control connection is silent meanwhile
        client.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)  # ABOR may come as urgent data
        return Visit(
            client,
            local=unmapped(client.getsockname()[0]),
            peer=peer,
            entrance=entrance,
            settings=self._settings,
            observer=self._observer,
            authenticator=self._authenticator,
            entered=self._entered,
        )

    def _entered(self, visit: Visit) -> None:
        with self._lock:
            self._doorstep.leave(visit)

    def _serve(self, visit: Visit) -> None:
        reason = "internal error"
        try:
            reason = serve(visit)
        finally:
            self._end(visit, reason)

    def _end(self, visit: Visit, reason: str) -> None:
        with contextlib.suppress(OSError):
            visit.close(reason)
        self._observer.disconnected(visit.origin.region)
        with self._changed:
            self._doorstep.leave(visit)
            self._visits.discard(visit)
            self._changed.notify_all()
