"""One connection to the server: TLS that is checked, through a proxy if there is one.

Requests may be sent before earlier ones are answered (RFC 9112, section 9.3.2): over a long way each answer that is
waited for costs a round trip in which nothing else is under way.
"""

from __future__ import annotations

import base64
import collections
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import unquote, urlsplit

from mft.client.errors import ClientError, RefusedError, TrustError, UnreachableError
from protocols.tcp import round_trip, tune

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Mapping

TIMEOUT = 120.0
"""Seconds without a byte after which a connection is given up."""
DEAD = 60
"""Seconds without any sign of life of the other machine, its kernel's included, after which it is taken for gone."""
_PROBES = 5
_SEND_BYTES = _READ_BYTES = 256 * 1024
_AGENT = "mft"
_TARGET = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
RETRIED = frozenset({408, 423, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to connect, whom to trust, and who we are."""

    host: str
    port: int
    authorization: str = field(repr=False)
    """The value of the header."""
    context: ssl.SSLContext
    fingerprint: bytes | None = None
    """SHA-256 of the server's certificate; it is trusted then, and no other."""
    proxy: str | None = field(default=None, repr=False)
    """`http://[LOGIN:PASSWORD@]HOST:PORT`."""

    @property
    def authority(self) -> str:
        """Host and port, as the Host header and URLs have them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server says; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def parse_fingerprint(text: str) -> bytes:
    """Make a fingerprint from hexadecimal digits, with or without colons and `SHA256:` before them.

    Raises:
        ClientError: it is none.
    """
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "")
    try:
        fingerprint = bytes.fromhex(digits)
    except ValueError:
        fingerprint = b""
    if len(fingerprint) != hashlib.sha256().digest_size:
        raise ClientError("a fingerprint is the SHA-256 of the server's certificate: 64 hexadecimal digits")
    return fingerprint


def trust(cacert: str | None, *, pinned: bool) -> ssl.SSLContext:
    """Return what decides on certificates: the system's authorities or those in the file *cacert*; or a fingerprint."""
    context = ssl.create_default_context(cafile=cacert)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if pinned:  # the fingerprint is compared before anything is sent
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _Reader:
    """What all answers of a connection are read from: http.client makes a file for each, and closes it behind it."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = cast("io.BufferedReader", sock.makefile("rb", buffering=_READ_BYTES))
        self.read = self._file.read
        self.readinto = self._file.readinto
        self.readline = self._file.readline

    def makefile(self, *_: object, **__: object) -> Self:
        return self

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def end(self) -> None:
        self._file.close()


class Line:
    """One connection, opened when it is needed and again after it broke."""

    def __init__(self, server: Server, *, met: Callable[[float], None] | None = None) -> None:
        """Connect to *server* at the first request; tell *met* the seconds of a round trip, once they are known."""
        self._server = server
        self._met = met
        self._connection: http.client.HTTPSConnection | None = None
        self._reader: _Reader | None = None
        self._asked: collections.deque[str] = collections.deque()
        """Methods of the requests that are not answered yet."""
        self._deaf = False
        """The server takes nothing more; what it has answered can still be read."""
        self.broke = False
        """Whether the connection came about, and broke off before all was answered."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Let go of the connection, and of what was asked and not answered."""
        if self._reader is not None:
            self._reader.end()
            self._reader = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._asked.clear()
        self._deaf = False

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes] = (),
        length: int = 0,
    ) -> Answer:
        """Send a request with a body of *length* bytes, and return the whole answer, whatever its status.

        Raises:
            UnreachableError: there was none.
            TrustError: it is another server.
        """
        self.send(method, path, headers, body, length)
        return self.receive()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes] = (),
        length: int = 0,
    ) -> None:
        """Send a request; its answer is the one that follows those of earlier requests.

        Raises:
            UnreachableError, TrustError: as `ask`. Nothing that was sent before will be answered either.
        """
        self.broke = False
        if self._deaf:
            self.close()
            raise UnreachableError("the connection failed: the server takes no more requests on it")
        fields = {
            "Host": self._server.authority,
            "User-Agent": _AGENT,
            "Authorization": self._server.authorization,
            **(headers or {}),
        }
        if length or method in {"PUT", "POST", "PATCH"}:
            fields["Content-Length"] = str(length)
        head = _head(method, path, fields)
        try:
            sock = self._connected()
            sock.sendall(head)
            self._asked.append(method)
            self._send_body(sock, body)
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error

    def receive(self) -> Answer:
        """Return the whole answer to the oldest request that has none.

        Raises:
            UnreachableError: there was none.
        """
        answer, response = self.begin_answer()
        try:
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        self.end_answer(response)
        return Answer(status=answer.status, headers=answer.headers, body=data)

    def begin_answer(self) -> tuple[Answer, http.client.HTTPResponse]:
        """Return the head of the next answer, and what its body is read from to its end; then call `end_answer`.

        Raises:
            UnreachableError: there was none.
        """
        if self._reader is None or not self._asked:
            self.close()
            raise UnreachableError("the connection failed: the server has closed it")
        try:
            response = http.client.HTTPResponse(cast("socket.socket", self._reader), method=self._asked.popleft())
            response.begin()
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        return Answer(status=response.status, headers=_headers(response)), response

    def end_answer(self, response: http.client.HTTPResponse) -> None:
        """Note that the body of *response* was read; some answers are the last of their connection."""
        if response.will_close:
            self.close()

    def _lost(self, error: Exception) -> ClientError:
        """Close, and return what is to be raised."""
        self.broke = self._connection is not None
        self.close()
        if isinstance(error, ssl.SSLCertVerificationError):
            return TrustError(
                f"the server's certificate is not trusted ({error.verify_message}); name its authority by --cacert, or"
                " its fingerprint by --fingerprint"
            )
        return UnreachableError(_why(error))

    def _send_body(self, sock: socket.socket, body: Iterable[bytes]) -> None:
        """Send *body*; a server that has answered already takes no more of it, and its answer is what counts."""
        try:
            for piece in body:
                view = memoryview(piece)
                for start in range(0, len(view), _SEND_BYTES):
                    sock.sendall(view[start : start + _SEND_BYTES])
        except (BrokenPipeError, ConnectionResetError):
            self._deaf = True

    def _connected(self) -> socket.socket:
        if self._connection is not None:
            return cast("socket.socket", self._connection.sock)
        server = self._server
        if server.proxy is None:
            connection = http.client.HTTPSConnection(server.host, server.port, timeout=TIMEOUT, context=server.context)
        else:
            connection = self._through(server.proxy)
        try:
            connection.connect()
        except OSError as error:
            if server.proxy is None or isinstance(error, ssl.SSLError):
                raise
            if error.errno is not None or isinstance(error, TimeoutError):
                raise UnreachableError(
                    f"the proxy {connection.host}:{connection.port} cannot be reached: {error.strerror or error};"
                    " name another one by --proxy, or 'none'"
                ) from error
            raise UnreachableError(  # http.client has no other word for a tunnel that a proxy does not make
                f"the proxy makes no tunnel ({error}); name it with its login (http://LOGIN:PASSWORD@HOST:PORT),"
                " or another one, by --proxy"
            ) from error
        self._connection = connection
        self._check_fingerprint(connection)
        sock = cast("socket.socket", connection.sock)
        tune(sock)
        _notice_death(sock)
        self._reader = _Reader(sock)
        way = round_trip(sock)
        if self._met is not None and way is not None:
            self._met(way)
        return sock

    def _through(self, proxy: str) -> http.client.HTTPSConnection:
        """Return a connection that asks *proxy* for a tunnel (CONNECT)."""
        try:
            parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
            port = parts.port or 3128
        except ValueError as error:
            raise ClientError(f"a proxy is named http://HOST:PORT ({error})") from error
        if parts.scheme not in {"", "http"} or not parts.hostname:
            raise ClientError("a proxy is named http://HOST:PORT")
        connection = http.client.HTTPSConnection(parts.hostname, port, timeout=TIMEOUT, context=self._server.context)
        headers = {}
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
        connection.set_tunnel(self._server.host, self._server.port, headers)
        return connection

    def _check_fingerprint(self, connection: http.client.HTTPSConnection) -> None:
        """Compare the server's certificate with the one that was named, before anything is said to it."""
        if self._server.fingerprint is None:
            return
        sock = connection.sock
        certificate = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        seen = hashlib.sha256(certificate or b"").digest()
        if not hmac.compare_digest(seen, self._server.fingerprint):
            self.close()
            raise TrustError(f"the server's certificate has the fingerprint {seen.hex()}, and another one was named")


def _notice_death(sock: socket.socket) -> None:
    """Have the kernel give a connection up whose way is gone: a server that is only slow still acknowledges."""
    interval = DEAD // (2 * _PROBES)
    for level, option, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", DEAD - interval * _PROBES),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", interval),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", _PROBES),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", DEAD * 1000),
    ):
        if hasattr(socket, option):  # not every system has all of them
            sock.setsockopt(level, getattr(socket, option), value)


def refused(answer: Answer, what: str) -> RefusedError:
    """Return the error for an answer that is no success, in the server's words."""
    document = answer.document
    detail = document.get("detail") if isinstance(document, dict) else None
    words = detail if isinstance(detail, str) else http.client.responses.get(answer.status, "no reason")
    return RefusedError(f"{what}: {words} (status {answer.status})", status=answer.status)


def _head(method: str, path: str, fields: Mapping[str, str]) -> bytes:
    """Return a request's head (RFC 9112, section 3).

    Raises:
        ClientError: a part of it cannot stand there.
    """
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    try:
        encoded = [line.encode("latin-1") for line in lines]
    except UnicodeEncodeError as error:
        raise ClientError("an address or a header holds characters that cannot be sent") from error
    if not _TARGET.fullmatch(path) or any(_CONTROL.search(line) for line in encoded):
        raise ClientError("an address or a header holds characters that cannot be sent")
    return b"\r\n".join([*encoded, b"", b""])


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _why(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"the connection failed: {text or type(error).__name__}"
