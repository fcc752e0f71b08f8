"""The head as a whole: listeners, the border where every error becomes an answer, and the drain."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import time
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING

from aiohttp import HttpVersion10, hdrs, web

from protocols.accepting import accept
from protocols.errors import (
    AuthenticationError,
    ElsewhereError,
    EndedTokenError,
    ThrottledError,
    WrongEntranceError,
)
from protocols.http.auth import GATE, SESSION, Gate, challenges, connection_of
from protocols.http.connection import Connection
from protocols.http.dav import add_dav, protocol_of
from protocols.http.drops import add_drops
from protocols.http.files import CROSSING, SETTINGS, add_files, add_overrides
from protocols.http.settings import Exchange, HttpSettings
from protocols.http.status import (
    BESIDES,
    ProblemError,
    TransferCutError,
    as_http_problem,
    as_problem,
    problem_response,
)
from protocols.http.target import Mount, origin_form
from protocols.path import VirtualPath
from protocols.sniffing import speaks_ssh
from protocols.tcp import tune

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

    from protocols.aio import Crossing
    from protocols.session import Authenticator

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Adopt = Callable[[socket.socket], Awaitable[None]]
    """Takes over a connection that is not for HTTP."""

_log = logging.getLogger(__name__)
_HOST = re.compile(r"(?:\[[0-9A-Za-z:.%_~-]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?")
"""RFC 3986, sections 3.2.2 and 3.2.3."""
_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
"""What the server takes at some address at least, besides those of WebDAV (RFC 9110, section 9.3.7)."""
_CLIENT_GONE = 499
"""What is recorded for a request whose client left before an answer; nobody receives it."""
_LAST_WORDS = 10.0
"""Seconds that handlers of aborted connections have to record it, at the end of a drain."""

MOUNTS = (
    Mount(prefix="/files"),
    Mount(prefix="/cases", root=VirtualPath(("cases",)), name_depth=2),
    Mount(prefix="/home", root=VirtualPath(("home",))),
    Mount(prefix="/upload/issue", root=VirtualPath(("upload", "issue"))),
)
"""The tree, and the deposit aliases: `/cases/CASE/NAME`, and what other vendors' customers are used to."""
REQUEST_ID = web.RequestKey("request_id", str)
PLAIN = web.RequestKey("plain", bool)
"""There on a request that can be read in one way alone."""


class HttpServer:
    """HTTP/1.1 over TLS on inherited sockets; one for each worker process."""

    def __init__(
        self,
        authenticator: Authenticator,
        settings: HttpSettings,
        crossing: Crossing,
        *,
        extra: Callable[[web.Application], None] | None = None,
        observe: Callable[[Exchange], None] | None = None,
        mounts: Sequence[Mount] = MOUNTS,
    ) -> None:
        """Serve *mounts* to whom *authenticator* lets in.

        Args:
            authenticator: who may log in.
            settings: limits.
            crossing: the way to the synchronous core; closed by its owner.
            extra: adds the application's own routes. Their handlers may call `session_of`, and raise `ProblemError` or
                any error of `protocols.errors`.
            observe: called on the loop after each request; must not block.
            mounts: where parts of the virtual tree appear.
        """
        self._settings = settings
        self._crossing = crossing
        self._observe = observe
        self._buffer = memoryview(bytearray(settings.chunk))
        self._headers = _headers_of_every_answer(settings)
        self._app = web.Application(middlewares=[self._border], client_max_size=settings.max_document)
        self._app[GATE] = Gate(authenticator, crossing)
        self._app[CROSSING] = crossing
        self._app[SETTINGS] = settings
        add_files(self._app, mounts)
        if settings.dav:
            add_dav(self._app, crossing, settings)
        if extra is not None:
            extra(self._app)
        add_drops(self._app)
        add_overrides(self._app, mounts)
        self._app.on_response_prepare.append(self._stamp)
        self._runner = web.AppRunner(self._app, handle_signals=False, access_log=None)
        self._slots = asyncio.Semaphore(settings.max_connections)
        self._listeners: list[asyncio.Task[None]] = []
        self._sockets: list[socket.socket] = []
        self._serving: dict[asyncio.Task[None], Connection] = {}
        self._draining = False

    @property
    def connections(self) -> int:
        """Connections that are open now, those in their TLS handshake included."""
        return len(self._serving)

    async def start(
        self, sock: socket.socket, region: str, ssl_context: ssl.SSLContext, ssh: Adopt | None = None
    ) -> None:
        """Serve the listening socket *sock*, which this head closes in the end, as a listener of *region*.

        May be called for several sockets. With *ssh* who speaks SSH on this port is handed to it.
        """
        if self._runner.server is None:
            await self._runner.setup()
        sock.setblocking(False)
        self._sockets.append(sock)
        self._listeners.append(
            asyncio.create_task(self._listen(sock, region, ssl_context, ssh), name=f"https {region}")
        )

    async def drain(self, grace: float) -> None:
        """Stop accepting, let requests under way end for up to *grace* seconds, then cut what is left.

        An upload that is cut is kept as interrupted by its handler.
        """
        self._draining = True
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)
        for sock in self._sockets:
            sock.close()
        for task, connection in list(self._serving.items()):
            if connection.in_handshake:
                task.cancel()
            elif connection.idle.is_set():
                connection.force_close()
        if self._serving:
            await asyncio.wait(list(self._serving), timeout=grace)
        for task, connection in list(self._serving.items()):
            if connection.in_handshake:
                task.cancel()
            connection.abort()
        if self._serving:
            await asyncio.wait(list(self._serving), timeout=_LAST_WORDS)
        await self._runner.cleanup()

    async def _listen(self, sock: socket.socket, region: str, ssl_context: ssl.SSLContext, ssh: Adopt | None) -> None:
        """Accept while there is room; what is not accepted waits in the kernel, or goes to another worker."""
        while True:
            await self._slots.acquire()
            try:
                client = await accept(sock)
            except asyncio.CancelledError:
                self._slots.release()
                raise
            connection = self._connection(region)
            task = asyncio.create_task(self._serve(client, connection, ssl_context, ssh))
            self._serving[task] = connection
            task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        """Make room for the next connection."""
        del self._serving[task]
        self._slots.release()
        if not task.cancelled() and task.exception() is not None:
            _log.error("http.connection_failed", exc_info=task.exception())

    async def _serve(
        self, client: socket.socket, connection: Connection, ssl_context: ssl.SSLContext, ssh: Adopt | None
    ) -> None:
        """See one connection through, from its handshake to the end of its sessions; or hand it on to *ssh*."""
        client.setblocking(False)
        if ssh is not None and await self._is_for_ssh(client):
            await ssh(client)
            return
        patience = int(self._settings.send_timeout * 1000)
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)  # who never takes the last bytes
            tune(client)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                client,
                ssl=ssl_context,
                ssl_handshake_timeout=self._settings.handshake_timeout,
                ssl_shutdown_timeout=self._settings.send_timeout,  # a slow client is still taking the last bytes
            )
        except OSError:  # no TLS, no common version or cipher, gone, or too slow
            _log.debug("http.handshake_failed", exc_info=True)
            client.close()
            return
        await connection.lost.wait()
        await connection.idle.wait()
        await self._crossing.run(connection.close_sessions)

    @staticmethod
    async def _is_for_ssh(client: socket.socket) -> bool:
        try:
            return await speaks_ssh(client)
        except asyncio.CancelledError:
            client.close()
            raise

    def _connection(self, region: str) -> Connection:
        """Make the protocol of a connection."""
        server = self._runner.server
        if server is None:
            raise RuntimeError("start() has not been called")
        return Connection(server, region=region, settings=self._settings, headers=self._headers, buffer=self._buffer)

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """Put the headers of every answer on *response*, as it is about to be sent."""
        for name, value in self._headers.items():
            response.headers.setdefault(name, value)
        response.headers[hdrs.SERVER] = self._settings.server  # aiohttp has put its own name and version there
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        response.headers.update(request.get(BESIDES, {}))

    @web.middleware
    async def _border(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn whatever a handler raises into an answer, and report the exchange."""
        request[REQUEST_ID] = token_hex(8)
        began = time.monotonic()
        status = _CLIENT_GONE
        response: web.StreamResponse | None = None
        connection = connection_of(request)
        connection.begin(request.content)
        try:
            response = await self._answer(request, handler)
            status = response.status
            if (
                self._draining
                or not request.content.is_eof()
                or hdrs.UPGRADE in request.headers
                or PLAIN not in request
            ):
                # the rest of a refused body is not worth reading for the sake of a connection; what a client sends
                # behind an upgrade that it did not get may be of the other protocol; and where two servers may read a
                # request in two ways, what follows it may be none
                response.force_close()
            return response
        finally:
            connection.end()
            sent = max(request.writer.output_size, response.content_length or 0 if response is not None else 0)
            self._report(request, status, sent, time.monotonic() - began)

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Call *handler*; return its answer, or the one to what it raised.

        Raises:
            ConnectionResetError: the client is gone, or has half an answer: the connection is cut.
        """
        try:
            _require_plain(request)
            request[PLAIN] = True
            if request.method == hdrs.METH_OPTIONS and request.raw_path == "*":
                return web.Response(status=HTTPStatus.NO_CONTENT, headers={hdrs.ALLOW: _METHODS})
            return await handler(request)
        except ConnectionError:
            connection_of(request).abort()
            raise
        except web.HTTPException as answer:
            if answer.status < HTTPStatus.BAD_REQUEST:
                raise  # the application redirects
            problem = as_http_problem(answer)
        except TransferCutError as error:
            problem = ProblemError(HTTPStatus.BAD_REQUEST, str(error))
        except Exception as error:  # noqa: BLE001 -- the border of this head: the unknown is logged here, and not sent
            problem = _redirect(error, request) or as_problem(error) or self._log_unknown(request, error)
            refused = isinstance(error, AuthenticationError) and not isinstance(error, ThrottledError)
            if refused and problem.status is HTTPStatus.UNAUTHORIZED:
                return self._unauthorized(problem, request, error if isinstance(error, EndedTokenError) else None)
        if request.writer.output_size > 0:
            connection_of(request).abort()
            raise ConnectionResetError("an answer has begun: its end must not look like the whole")
        return problem_response(problem, request[REQUEST_ID])

    def _unauthorized(self, problem: ProblemError, request: web.Request, ended: EndedTokenError | None) -> web.Response:
        """Answer 401 with every scheme that is taken, and what became of a token that has *ended*."""
        response = problem_response(problem, request[REQUEST_ID])
        for challenge in challenges(self._settings.realm, ended):
            response.headers.add(hdrs.WWW_AUTHENTICATE, challenge)
        return response

    def _log_unknown(self, request: web.Request, error: Exception) -> ProblemError:
        """Log an error that is none of ours, once; the client gets its number."""
        request_id = request[REQUEST_ID]
        session = request.get(SESSION)
        details = {"request_id": request_id, "session_id": session.id if session else None, "method": request.method}
        _log.error("http.failed", extra=details, exc_info=error)
        return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, f"internal error, request {request_id}")

    def _report(self, request: web.Request, status: int, sent: int, seconds: float) -> None:
        """Log the exchange without names, and hand it to who counts."""
        session = request.get(SESSION)
        exchange = Exchange(
            request_id=request[REQUEST_ID],
            session_id=session.id if session else None,
            method=request.method,
            status=status,
            received=request.content.total_bytes,
            sent=sent,
            seconds=seconds,
            protocol=session.origin.protocol if session else protocol_of(request.raw_path),
        )
        if _log.isEnabledFor(logging.INFO):
            details = {name: getattr(exchange, name) for name in Exchange.__slots__}
            _log.info("http.request", extra=details)
        if self._observe is not None:
            self._observe(exchange)


def _require_plain(request: web.Request) -> None:
    """Refuse what the parser lets through, and two servers may read in two ways.

    Raises:
        ProblemError: 400, Host is none (RFC 9112, section 3.2), or HTTP/1.0 with a transfer coding (6.1); 405, it asks
        for a tunnel; 501, a transfer coding that is not undone here; 505, a version that has no status line to answer
        with.
    """
    if request.version < HttpVersion10:
        raise ProblemError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this is a server of HTTP/1.1")
    codings = request.headers.getall(hdrs.TRANSFER_ENCODING, [])
    if codings and request.version == HttpVersion10:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "HTTP/1.0 has no transfer codings")
    if codings and [each.strip().lower() for each in codings] != ["chunked"]:
        raise ProblemError(HTTPStatus.NOT_IMPLEMENTED, "of the transfer codings only 'chunked' is known here")
    if request.method == hdrs.METH_CONNECT:  # what follows it is not framed as a body (RFC 9110, section 9.3.6)
        raise ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, "this is no proxy", headers={hdrs.ALLOW: _METHODS})
    if not _HOST.fullmatch(request.headers.get(hdrs.HOST, "")):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the Host header is a name or an address, and a port")


def _redirect(error: Exception, request: web.Request) -> ProblemError | None:
    """Return the way to the entrance where what was asked for is served: method and body stay what they are (307)."""
    if not isinstance(error, ElsewhereError | WrongEntranceError) or "https" not in error.authorities:
        return None
    location = f"https://{error.authorities['https']}{origin_form(request.raw_path)}"
    return ProblemError(HTTPStatus.TEMPORARY_REDIRECT, str(error), headers={hdrs.LOCATION: location})


def _headers_of_every_answer(settings: HttpSettings) -> dict[str, str]:
    """Return what is said with every answer, errors and the application's routes included.

    A file of a customer is never to be shown or run in our origin: no sniffing, no scripts, a sandbox.
    """
    headers = {
        hdrs.SERVER: settings.server,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if settings.hsts:
        headers["Strict-Transport-Security"] = f"max-age={settings.hsts}"
    return headers
