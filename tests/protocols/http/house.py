"""The HTTPS head running for a test: on a loop in a thread, over a tree in memory, with the plainest of clients."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from protocols.aio import Crossing
from protocols.http import HttpServer, HttpSettings, server_context
from tests.protocols.memory import MemoryAuthenticator, MemoryTree

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

LOGIN, SECRET = "ann", "correct horse: battery"
BASIC = "Basic " + base64.b64encode(f"{LOGIN}:{SECRET}".encode()).decode()
UPLOADS = "/cases/4711/up"


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "cert.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@dataclass
class Answer:
    """A response as it came."""

    status: int
    reason: str
    headers: dict[str, str]
    """Lower-case names; of several the last, but see `lines`."""
    lines: list[tuple[str, str]]
    body: bytes
    version: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A TLS connection on which a test writes and reads bytes."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        raw = socket.socket()
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(20)
        try:
            raw.connect(("127.0.0.1", port))
            self.tls = context.wrap_socket(raw)
        except OSError:
            raw.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tls.close()

    def send(self, data: bytes) -> None:
        self.tls.sendall(data)

    def ask(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        authorization: str | None = BASIC,
    ) -> Answer:
        """Send a whole request and read its answer."""
        self.send(
            head(
                method,
                target,
                headers,
                authorization=authorization,
                length=len(body) if body or method == "PUT" else None,
            )
            + body
        )
        return self.answer(method)

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer; raises `EOFError` or an OS error where it is cut."""
        status, headers, lines, reason = self.answer_head()
        if method == "HEAD" or status in {204, 304} or status < 200:
            return Answer(status, reason, headers, lines, b"", self._version)
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, reason, headers, lines, self._chunks(), self._version)
        return Answer(status, reason, headers, lines, self.take(int(headers["content-length"])), self._version)

    def answer_head(self) -> tuple[int, dict[str, str], list[tuple[str, str]], str]:
        """Read the head of an answer."""
        first, *rest = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self._version, status, reason = first.split(" ", 2)
        lines = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest if line)]
        return int(status), dict(lines), lines, reason

    def until(self, end: bytes) -> bytes:
        """Read up to and without *end*."""
        while end not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def take(self, length: int) -> bytes:
        """Read exactly *length* bytes."""
        while len(self._buffer) < length:
            self._more()
        found, self._buffer = self._buffer[:length], self._buffer[length:]
        return found

    def _more(self) -> None:
        data = self.tls.recv(1 << 18)
        if not data:
            raise EOFError("the server has ended the connection")
        self._buffer += data

    def _chunks(self) -> bytes:
        body = b""
        while length := int(self.until(b"\r\n"), 16):
            body += self.take(length)
            assert self.take(2) == b"\r\n"
        assert self.take(2) == b"\r\n"
        return body

    def silent(self, seconds: float = 0.2) -> bool:
        """Say whether nothing comes for a moment."""
        if self._buffer:
            return False
        self.tls.settimeout(seconds)
        try:
            self._buffer += self.tls.recv(1 << 16)
        except TimeoutError:
            return True
        finally:
            self.tls.settimeout(20)
        return False

    def ended(self) -> bool:
        """Read to the end of the connection, however it ends; True once it has."""
        try:
            while self.tls.recv(1 << 18):
                pass
        except (ssl.SSLError, ConnectionError):
            return True
        return True

    def reset(self) -> None:
        """End the TCP connection by RST."""
        self.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.drop()

    def drop(self) -> None:
        """End the TCP connection without a TLS close_notify."""
        socket.socket(fileno=self.tls.detach()).close()

    def goodbye(self) -> None:
        """End TLS with a close_notify and then TCP, as a polite client does."""
        with contextlib.suppress(OSError):
            self.tls.unwrap()
        self.tls.close()


def head(
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    *,
    authorization: str | None = BASIC,
    length: int | None = None,
) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


@dataclass
class House:
    """A running head, and what is behind it."""

    tree: MemoryTree
    authenticator: MemoryAuthenticator
    server: HttpServer
    port: int
    loop: asyncio.AbstractEventLoop
    exchanges: list[Any] = field(default_factory=list)

    def wire(self, **options: Any) -> Wire:
        """Open a connection."""
        return Wire(self.port, **options)

    def ask(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"", **options: Any
    ) -> Answer:
        """Ask on a connection of its own."""
        with self.wire() as wire:
            return wire.ask(method, target, headers, body, **options)

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Run *call* on the head's loop."""
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(60)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Return when *condition* holds; fail if it never does."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "it never came about"
            time.sleep(0.005)

    def aborted(self) -> list[tuple[str, object]]:
        """Return the uploads that were given up."""
        return self.tree.happened("aborted")


@contextlib.contextmanager
def running(
    certificate: tuple[Path, Path], settings: HttpSettings | None = None, tree: MemoryTree | None = None, **options: Any
) -> Iterator[House]:
    """Run a head over a fresh tree, with one account; every session must be closed at the end."""
    tree = tree or MemoryTree(UPLOADS, "/cases/4711/down")
    authenticator = MemoryAuthenticator(tree)
    authenticator.passwords[LOGIN] = SECRET
    authenticator.tokens["t0ken"] = LOGIN
    loop = asyncio.new_event_loop()
    crossing = Crossing(threads=4)
    sock = socket.create_server(("127.0.0.1", 0), backlog=256)
    exchanges: list[Any] = []

    async def begin() -> HttpServer:
        server = HttpServer(
            authenticator, settings or HttpSettings(linger=0.5), crossing, observe=exchanges.append, **options
        )
        await server.start(sock, "eu", server_context(*certificate))
        return server

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    house = House(tree, authenticator, server, sock.getsockname()[1], loop, exchanges)
    try:
        yield house
    finally:
        house.run(server.drain(0))
        left = server.connections
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        crossing.close()
        assert left == 0, "connections outlived the drain"
        assert len(tree.happened("closed")) == len(authenticator.opened), "sessions were left open"
