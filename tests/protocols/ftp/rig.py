"""The FTPS head running for a test over a tree in memory, with `ftplib` and with the plainest of clients."""

from __future__ import annotations

import contextlib
import ftplib
import re
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from protocols.ftp import FtpServer, FtpSettings, server_context
from tests.contracts.head import PASSWORD, REPORT, HeadError
from tests.protocols.memory import MemoryAuthenticator, MemoryTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 20
QUICK = FtpSettings(linger=2.0)


def client_context() -> ssl.SSLContext:
    """Return a context that believes any certificate, and no end without close_notify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


class Wire:
    """A control connection on which a test writes lines and reads replies."""

    def __init__(self, port: int, *, implicit: bool = False, tls: bool = True) -> None:
        self.context = client_context()
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.data: socket.socket | None = None
        self._buffer = b""
        try:
            if implicit:
                self.secure()
            self.greeting = self.answer()
            if tls and not implicit:
                assert self.ask("AUTH TLS")[0] == 234
                self.secure()
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.data is not None:
            self.data.close()
        self.sock.close()

    def secure(self) -> None:
        """Make the TLS handshake."""
        self.sock = self.context.wrap_socket(self.sock)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, line: str | bytes) -> tuple[int, str]:
        """Send a line and read one reply."""
        self.send((line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line) + b"\r\n")
        return self.answer()

    def answer(self) -> tuple[int, str]:
        """Read one reply, of one line or several."""
        lines = [self._line()]
        code = lines[0][:3]
        if lines[0][3:4] == "-":
            while not lines[-1].startswith(f"{code} "):
                lines.append(self._line())
        return int(code), "\n".join(lines)

    def answers(self) -> None:
        """Read replies until there are no more; raises what ends them."""
        while True:
            self.answer()

    @staticmethod
    def to_the_end(data: socket.socket) -> bytes:
        """Read a data connection to its honest end; raises what else ends it."""
        content = b""
        while piece := data.recv(1 << 18):
            content += piece
        return content

    def _line(self) -> str:
        while b"\r\n" not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the server has ended the connection")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()

    def login(self, login: str = "alice", password: str = PASSWORD) -> tuple[int, str]:
        """Log in, and ask for private data connections."""
        self.ask(f"USER {login}")
        answer = self.ask(f"PASS {password}")
        self.ask("PBSZ 0")
        self.ask("PROT P")
        self.ask("TYPE I")
        return answer

    def passive(self) -> int:
        """Ask for a port and return it."""
        code, text = self.ask("EPSV")
        assert code == 229, text
        return int(re.search(r"\|\|\|(\d+)\|", text)[1])

    def connect(self, *, tls_after: str | None = None) -> socket.socket:
        """Open a data connection; with *tls_after*, send that command, read its 150, and make the TLS handshake."""
        self.data = socket.create_connection(("127.0.0.1", self.passive()), timeout=PATIENCE)
        if tls_after is not None:
            code, text = self.ask(tls_after)
            if code != 150:
                self.data.close()
                raise AssertionError(text)
            self.data = self.context.wrap_socket(self.data, suppress_ragged_eofs=False)
        return self.data

    def fetch(self, command: str) -> bytes:
        """Read all that a command sends, to its honest end, and its 226."""
        data = self.connect(tls_after=command)
        content = self.to_the_end(data)
        data.close()
        code, text = self.answer()
        assert code == 226, text
        return content

    def store(self, command: str, content: bytes) -> tuple[int, str]:
        """Send *content* to its honest end and return the last reply."""
        data = self.connect(tls_after=command)
        data.sendall(content)
        data = data.unwrap()
        data.close()
        return self.answer()

    def begin(self, command: str, content: bytes) -> ssl.SSLSocket:
        """Begin an upload and leave it open."""
        data = self.connect(tls_after=command)
        data.sendall(content)
        return data


def drop(sock: ssl.SSLSocket, *, reset: bool = False) -> None:
    """End a TLS connection without close_notify, by FIN or by RST."""
    raw = socket.socket(fileno=sock.detach())
    if reset:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


@dataclass
class House:
    """A running head, and what is behind it."""

    tree: MemoryTree
    accounts: MemoryAuthenticator
    server: FtpServer
    port: int
    implicit: bool
    counted: list[Any] = field(default_factory=list)

    def wire(self, **options: Any) -> Wire:
        """Open a control connection."""
        return Wire(self.port, implicit=self.implicit, **options)

    @contextlib.contextmanager
    def login(self, login: str = "alice") -> Iterator[Wire]:
        """Give a connection that is logged in."""
        with self.wire() as wire:
            assert wire.login(login)[0] == 230
            yield wire


class Counter:
    """Counts what the head does."""

    def __init__(self, counted: list[Any]) -> None:
        self._counted = counted

    def connected(self, region: str) -> None:
        self._counted.append(("connected", region))

    def disconnected(self, region: str) -> None:
        self._counted.append(("disconnected", region))

    def authenticated(self, outcome: str) -> None:
        self._counted.append(("authenticated", outcome))

    def answered(self, verb: str, code: int) -> None:
        self._counted.append((verb, code))

    def transferred(self, direction: str, count: int) -> None:
        self._counted.append((direction, count))


@contextlib.contextmanager
def running(
    certificate: tuple[Path, Path],
    settings: FtpSettings = QUICK,
    *,
    implicit: bool = False,
    passive_address: str | None = None,
) -> Iterator[House]:
    """Run a head over a fresh tree; every session must be closed at the end."""
    tree = MemoryTree("/in", "/out")
    tree.add("/out/report.txt", REPORT)
    tree.read_only.add(("out",))
    accounts = MemoryAuthenticator(tree)
    accounts.passwords |= {"alice": PASSWORD, "bob": PASSWORD}
    counted: list[Any] = []
    server = FtpServer(accounts, settings, Counter(counted))
    sock = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = sock.getsockname()[1]
    server.start(sock, "eu", server_context(*certificate), implicit=implicit, passive_address=passive_address)
    house = House(tree, accounts, server, port, implicit, counted)
    try:
        yield house
    finally:
        server.drain(0)
        assert server.connections == 0, "connections outlived the drain"
        assert len(tree.happened("closed")) == len(accounts.opened), "sessions were left open"


class ImplicitFtp(ftplib.FTP_TLS):
    """`ftplib` has no implicit TLS of its own: its socket is wrapped when it is set."""

    _sock: socket.socket | None = None

    @property
    def sock(self) -> socket.socket | None:
        return self._sock

    @sock.setter
    def sock(self, value: socket.socket | None) -> None:
        if value is not None and not isinstance(value, ssl.SSLSocket):
            value = self.context.wrap_socket(value)
        self._sock = value


def failed(error: Exception) -> HeadError:
    """Return what a case is told about an error of `ftplib`."""
    text = str(error)
    if isinstance(error, EOFError | OSError):
        return HeadError("denied", "disconnected")
    if text.startswith(("530", "421")) or "read-only" in text or "may not" in text:
        return HeadError("denied", text)
    return HeadError("missing" if "does not exist" in text or "no such" in text else "refused", text)
