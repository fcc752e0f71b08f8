"""One TCP connection: its limits, and the sessions that live and end with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, hdrs, http_exceptions, web
from aiohttp.http import HttpRequestParser, RawRequestMessage

from protocols.http.framing import PIECE, Framing
from protocols.http.status import ProblemError, problem_response
from protocols.http.trailer import keep_last, parse_trailer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import StreamReader

    from protocols.http.bulk import Bulk
    from protocols.http.settings import HttpSettings
    from protocols.session import Session

_log = logging.getLogger(__name__)
_IPV4_IN_IPV6 = "::ffff:"
_REQUEST_LINE = re.compile(rb"(?:^|\n)([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}) [\x21-\x7e]+ HTTP/1\.[01]\r?\n")
"""RFC 9112, section 3. What is no method that the parser knows still has the form of one."""
_VERSION = b" HTTP/1."
_KNOWN_METHODS = frozenset(method.encode() for method in hdrs.METH_ALL)


class Connection(web.RequestHandler, asyncio.BufferedProtocol):
    """aiohttp's protocol with a region, sessions, a time limit for heads, and answers that name no library.

    It is a `BufferedProtocol`, so that the TLS layer decrypts into one buffer; else it makes and cuts down an object of
    256 KiB for each record of 16 KiB.

    Everything but `adopt` and what it registers is called on the loop.
    """

    def __init__(
        self,
        server: web.Server,
        *,
        region: str,
        settings: HttpSettings,
        headers: Mapping[str, str],
        buffer: memoryview,
    ) -> None:
        """Make the protocol of a connection that reached the listener of *region*.

        *headers* go on every answer; *buffer* is shared by all connections of the loop.
        """
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=settings.idle_timeout,
            lingering_time=settings.linger,
            max_line_size=settings.max_line,
            max_field_size=settings.max_line,
            max_headers=settings.max_headers,
            read_bufsize=settings.chunk,
            auto_decompress=False,  # a stored file is what was sent, and a small body may not grow
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to say none (AppRunner passes it on)
        )
        self.region = region
        self.lost = asyncio.Event()
        """Set once the transport is gone."""
        self.idle = asyncio.Event()
        """Set while no handler runs."""
        self.idle.set()
        self._settings = settings
        self._headers = headers
        self._buffer = buffer
        self._body: StreamReader | None = None
        """Of the request under way, or of the last one."""
        self._salvaged = b""
        """What of it had come when the connection was lost, and was not read."""
        self._bulk: Bulk | None = None
        """Takes what comes of that body, past the parser."""
        self._timer: asyncio.TimerHandle | None = None
        """Cuts the connection: while a head is coming, and once it is being closed."""
        self._framing = Framing()
        self._unread = b""
        """What the parser could not go on with."""
        self._last = b""
        """The end of what came: fields behind a body are found there."""
        self._wire: asyncio.Transport | None = None
        """aiohttp forgets its transport when it begins to close it; it may still have to be cut."""
        self._sessions: dict[bytes, Session] = {}
        self._sessions_lock = threading.Lock()
        self._ended = False

    @property
    def peer(self) -> str:
        """Address of the client, without port; IPv4 as such also where the listener speaks IPv6."""
        name = self.peername
        address = str(name[0]) if isinstance(name, tuple) else str(name)
        return address.removeprefix(_IPV4_IN_IPV6)

    @property
    def in_handshake(self) -> bool:
        """Whether TLS is not yet agreed on."""
        return self._wire is None and not self.lost.is_set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- tells mypy what TLS over TCP always gives
        self._wire = transport
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wake whoever waits for the end."""
        if self._body is not None and not self._body.is_eof() and self._body.exception() is None:
            with contextlib.suppress(RuntimeError):  # somebody waits for more: then all was read
                self._salvaged = self._body.read_nowait()  # an error, which follows, hides it
        super().connection_lost(exc)
        if self._body is not None and not self._body.is_eof():  # aiohttp may still be reading the rest of a refused one
            self._body.set_exception(ConnectionResetError("the connection is gone"))
        if self._bulk is not None:
            self._bulk.cut()
            self._bulk = None
        self._stop_timer()
        self._wire = None
        self.lost.set()

    def force_close(self) -> None:
        """Close; cut it if the client does not answer the TLS farewell in time."""
        super().force_close()
        if self._wire is not None:
            self._start_timer(self._settings.linger)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- asyncio's interface; the TLS layer takes what it gets
        """Return the buffer of this loop; it is filled and emptied in one go, so one serves all connections.

        The bulk of a body has one of its own.
        """
        return self._buffer if self._bulk is None else self._bulk.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was decrypted."""
        if self._bulk is None:
            self.data_received(bytes(self._buffer[:nbytes]))
            return
        self._bulk.take(nbytes)
        if self._body is not None:
            self._body.total_bytes += nbytes
        if not self._bulk.left:
            self._end_bulk()

    @property
    def is_flowing(self) -> bool:
        """Whether what comes next of a body comes from the TLS layer: the parser holds nothing back."""
        return self._wire is not None and not (self._reading_paused or self._buffer_paused or self._upgraded)

    @property
    def flow(self) -> asyncio.Transport:
        """Return what brings the bytes.

        Raises:
            ConnectionResetError: the connection is gone.
        """
        if self._wire is None:
            raise ConnectionResetError("the connection is gone")
        return self._wire

    def let_through(self, bulk: Bulk) -> None:
        """Give *bulk* all that is still to come of the body under way, where the parser holds nothing of it."""
        self._bulk = bulk
        bulk.begin()

    def take_salvaged(self) -> bytes:
        """Return what had come of the body when the connection was lost, and nobody had read; once."""
        salvaged, self._salvaged = self._salvaged, b""
        return salvaged

    def _end_bulk(self) -> None:
        """Tell the body's readers that it is whole, and have a new parser read on: the old one waits for a body."""
        self._bulk = None
        self._last = b""
        self._parser = self._new_parser()
        if self._body is not None:
            self._body.feed_eof()

    def _new_parser(self) -> HttpRequestParser:
        """Make a parser as `RequestHandler` makes its own."""
        return HttpRequestParser(
            self,
            asyncio.get_running_loop(),
            self._settings.chunk,
            max_line_size=self._settings.max_line,
            max_field_size=self._settings.max_line,
            max_headers=self._settings.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=self._max_msg_queue_size,
        )

    def data_received(self, data: bytes) -> None:
        """Pass *data* to the parser; start the clock of a head, and tell a body that its framing is broken."""
        self._last = keep_last(self._last, data)
        if len(data) <= PIECE:
            self._parse(data)
        else:
            for start in range(0, len(data), PIECE):
                self._parse(data[start : start + PIECE])
        if self._is_at_a_loss:
            self._unread = self._unread or data
        if not self.idle.is_set():
            self._fail_broken_body()
        elif data and self._timer is None and self._wire is not None:
            self._start_timer(self._settings.head_timeout)

    @property
    def _is_at_a_loss(self) -> bool:
        """Whether the parser could not go on: nothing that comes has a meaning then."""
        return bool(self._messages) and not isinstance(self._messages[-1][0], RawRequestMessage)

    def _parse(self, data: bytes) -> None:
        """Pass *data* to the parser, and give a body up that consists of framing.

        Requests are passed one by one: where the parser fails it forgets what came before in the same data.
        """
        body = self._messages[-1][1] if self._messages else self._body
        while (body is None or body.is_eof()) and (end := _end_of_first(data)):
            super().data_received(data[:end])
            if self._is_at_a_loss:
                return
            data = data[end:]
            body = self._messages[-1][1] if self._messages else self._body
        if body is None or body.is_eof():
            super().data_received(data)
        elif body.exception() is None:  # what comes behind a broken one has no meaning
            before = body.total_bytes
            super().data_received(data)
            made, is_held = body.total_bytes - before, self._reading_paused or self._buffer_paused
            if self._framing.is_too_much(body, len(data), made, is_held=is_held) and not body.is_eof():
                body.set_exception(web.RequestPayloadError("the chunks of the body are extensions for the most part"))

    def begin(self, body: StreamReader) -> None:
        """Note that a handler has taken a request."""
        self._stop_timer()
        self._body = body
        self.idle.clear()

    def end(self) -> None:
        """Note that the handler is done."""
        self.idle.set()

    def abort(self) -> None:
        """Cut the connection at once; a client can tell it from an end."""
        self._stop_timer()
        if self._wire is not None:
            self._wire.abort()

    def trailer(self) -> dict[str, str]:
        """Return the fields behind the body that has just come to its end, by lower-case name."""
        return parse_trailer(self._last)

    def session(self, mark: bytes) -> Session | None:
        """Return this connection's session of the credential that *mark* stands for."""
        return self._sessions.get(mark)

    def adopt(self, mark: bytes, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        """Keep *session* for this connection's life; called on a thread of the crossing.

        Raises:
            ConnectionResetError: the connection has ended meanwhile; the session is closed.
        """
        surplus: Session | None = None
        with self._sessions_lock:
            ended = self._ended
            if not ended:
                self._sessions[mark] = session
                if len(self._sessions) > self._settings.max_sessions:
                    surplus = self._sessions.pop(next(iter(self._sessions)))
        if ended:
            session.close()
            raise ConnectionResetError("the connection ended while its login was looked at")
        if surplus is not None:
            surplus.close("too many logins on one connection")
        session.when_revoked(lambda _reason: _call_on(loop, self.abort))

    def close_sessions(self) -> None:
        """Close every session and take no more; called on a thread of the crossing."""
        with self._sessions_lock:
            self._ended = True
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- the parser's words quote the request; they are not sent back
    ) -> web.StreamResponse:
        """Answer what never reached a handler: bytes that are no HTTP request, or a head over the limits."""
        if isinstance(exc, ConnectionError):
            raise exc
        request_id = token_hex(8)
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("http.failed", extra={"request_id": request_id}, exc_info=exc)
        else:
            _log.debug("http.malformed", extra={"request_id": request_id, "peer": self.peer}, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer has begun; the connection is all that can still be cut")
        request._version = HttpVersion11  # noqa: SLF001 -- aiohttp stands in a request of HTTP/1.0 for one it could not read
        response = problem_response(_parser_problem(status, exc, self._unread), request_id)
        response.headers.update(self._headers)
        response.force_close()
        return response

    def log_exception(self, *args: object, **kw: object) -> None:
        """Log what aiohttp could not handle; a broken body has been answered and logged by its handler."""
        error = kw.get("exc_info")
        if isinstance(error, web.RequestPayloadError | OSError):
            _log.debug("http.cut", extra={"peer": self.peer})
        else:
            _log.error(
                "http.failed: %s", args[0] if args else "", exc_info=error if isinstance(error, Exception) else None
            )

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail_broken_body(self) -> None:
        """Wake the reader of a body whose framing broke.

        aiohttp (3.14) queues the parser's error behind the request under way, and leaves the reader of that request
        waiting for bytes that can never come.
        """
        if self._body is None or self._body.is_eof() or self._body.exception() is not None:
            return
        if any(not isinstance(message, RawRequestMessage) for message, _ in self._messages):
            self._body.set_exception(web.RequestPayloadError("the body's framing is broken"))


def _end_of_first(data: bytes) -> int:
    """Return where a second request line may begin in *data*, which begin with a request; 0: nowhere."""
    second = data.find(_VERSION, data.find(_VERSION) + 1)
    return data.rfind(b"\n", 0, second) + 1 if second > 0 else 0


def _parser_problem(status: int, exc: BaseException | None, unread: bytes) -> ProblemError:
    """Return what a client is told about a request that could not be parsed, and stands somewhere in *unread*."""
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
    if isinstance(exc, http_exceptions.LineTooLong):
        return ProblemError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request line or a header is too long")
    if isinstance(exc, http_exceptions.BadStatusLine) and set(_REQUEST_LINE.findall(unread)) - _KNOWN_METHODS:
        return ProblemError(HTTPStatus.NOT_IMPLEMENTED, "the method is none that this server knows")
    return ProblemError(HTTPStatus.BAD_REQUEST, "this is not a well-formed HTTP/1.1 request")


def _call_on(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have *loop* call *call* soon; from any thread, also when the loop is gone."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        _log.debug("http.loop_gone")
