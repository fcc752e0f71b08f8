"""One connection to the server: TLS that is checked, through a proxy if there is one; one request after the other."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from mft.client.errors import ClientError, RefusedError, TrustError, UnreachableError
from protocols.tcp import tune

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TIMEOUT = 120.0
"""Seconds without a byte after which a connection is given up."""
_SEND_BYTES = 256 * 1024
_AGENT = "mft"
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


class Line:
    """One connection, opened when it is needed and again after it broke."""

    def __init__(self, server: Server) -> None:
        """Connect to *server* at the first request."""
        self._server = server
        self._connection: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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
        response = self._send(method, path, headers or {}, body, length)
        try:
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise UnreachableError(_why(error)) from error
        return Answer(status=response.status, headers=_headers(response), body=data)

    def stream(self, path: str, headers: Mapping[str, str]) -> tuple[Answer, http.client.HTTPResponse]:
        """GET, and return the head of the answer, and what its body is read from to its end.

        Raises:
            UnreachableError, TrustError: as `ask`.
        """
        response = self._send("GET", path, headers, (), 0)
        return Answer(status=response.status, headers=_headers(response)), response

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: Iterable[bytes], length: int
    ) -> http.client.HTTPResponse:
        try:
            connection = self._connected()
            connection.putrequest(method, path, skip_accept_encoding=True, skip_host=True)
            for name, value in {
                "Host": self._server.authority,
                "User-Agent": _AGENT,
                "Authorization": self._server.authorization,
                **headers,
            }.items():
                connection.putheader(name, value)
            if length or method in {"PUT", "POST", "PATCH"}:
                connection.putheader("Content-Length", str(length))
            connection.endheaders()
            self._send_body(connection, body)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise TrustError(
                    f"the server's certificate is not trusted ({error.verify_message}); name its authority by"
                    " --cacert, or its fingerprint by --fingerprint"
                ) from error
            raise UnreachableError(_why(error)) from error

    @staticmethod
    def _send_body(connection: http.client.HTTPSConnection, body: Iterable[bytes]) -> None:
        """Send *body*; a server that has answered already takes no more of it, and its answer is what counts."""
        try:
            for piece in body:
                view = memoryview(piece)
                for start in range(0, len(view), _SEND_BYTES):
                    connection.send(view[start : start + _SEND_BYTES])
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:
                raise

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is not None and self._connection.sock is not None:
            return self._connection
        server = self._server
        if server.proxy is None:
            connection = http.client.HTTPSConnection(server.host, server.port, timeout=TIMEOUT, context=server.context)
        else:
            connection = self._through(server.proxy)
        connection.connect()
        self._connection = connection
        self._check_fingerprint(connection)
        tune(connection.sock)
        return connection

    def _through(self, proxy: str) -> http.client.HTTPSConnection:
        """Return a connection that asks *proxy* for a tunnel (CONNECT)."""
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        if parts.scheme not in {"", "http"} or not parts.hostname:
            raise ClientError("a proxy is named http://HOST:PORT")
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port or 3128, timeout=TIMEOUT, context=self._server.context
        )
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


def refused(answer: Answer, what: str) -> RefusedError:
    """Return the error for an answer that is no success, in the server's words."""
    document = answer.document
    detail = document.get("detail") if isinstance(document, dict) else None
    words = detail if isinstance(detail, str) else http.client.responses.get(answer.status, "no reason")
    return RefusedError(f"{what}: {words} (status {answer.status})", status=answer.status)


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _why(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"the connection failed: {text or type(error).__name__}"
