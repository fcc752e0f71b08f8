"""The control connection: commands as lines, replies, and what comes in while a transfer is under way.

What was received before AUTH TLS is dropped: commands that somebody slipped in before the handshake must not be taken
for the client's own (RFC 4217, section 15.2).
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.ftp.status import encode_reply
from protocols.ftp.wire import ConnectionEndedError, TooSlowError, Wire, WokenError

if TYPE_CHECKING:
    import socket

    from protocols.ftp.settings import FtpObserver, FtpSettings
    from protocols.ftp.tls import TlsSide
    from protocols.ftp.wire import Watch

_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|[\xf0-\xfa]|(\xff))", re.DOTALL)
"""Telnet's own words (RFC 854): clients send some before ABOR. A doubled 0xFF is one that is meant."""
_TELNET_BYTES = bytes(range(0xF0, 0x100)) + b" "
"""What may stand around ABOR."""
_CHUNK = 4096
_GOODBYE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line of a client."""

    verb: str
    """In capitals."""
    argument: str
    """All that follows the first space; invalid UTF-8 is kept as lone surrogates, which no path may have."""

    def __repr__(self) -> str:
        """Show it without a password."""
        return f"<{self.verb}>"


class LineTooLongError(Exception):
    """A command is longer than any command is."""


class Control:
    """Reads commands and sends replies."""

    def __init__(self, sock: socket.socket, watch: Watch, settings: FtpSettings, observer: FtpObserver) -> None:
        """Take the connection *sock*."""
        self.wire = Wire(sock, watch)
        self._settings = settings
        self._observer = observer
        self._chunk = memoryview(bytearray(_CHUNK))
        self._buffer = bytearray()
        self._lines: deque[bytes | None] = deque()
        """What came, line by line; None stands for one that was too long."""
        self._skipping = False
        self._lost: ConnectionEndedError | None = None
        self._ended = False
        self.is_mute = False
        """Whether nothing can be said: a TLS handshake is under way."""

    @property
    def is_secure(self) -> bool:
        """Whether TLS is around it."""
        return self.wire.is_secure

    def secure(self, side: TlsSide) -> None:
        """Make the TLS handshake; what came before it is dropped."""
        self._buffer.clear()
        self._lines.clear()
        self._skipping = False
        self.is_mute = True
        try:
            self.wire.secure(lambda sock: side.wrap(sock, data=False), self._settings.handshake_timeout)
        except TooSlowError as error:
            raise ConnectionEndedError("the TLS handshake took too long") from error
        self.is_mute = False

    def next_command(self, seconds: float) -> Command:
        """Return the next command, which must come within *seconds*.

        Raises:
            LineTooLongError: it was longer than a command may be, and is dropped.
            ConnectionEndedError: the client has left.
            TooSlowError, WokenError: as `Watch.wait`.
        """
        deadline = time.monotonic() + seconds
        while not self._lines:
            if self._ended:
                raise self._lost or ConnectionEndedError("the client left without QUIT")
            self.wire.await_input(deadline - time.monotonic())
            self.take_in()
        line = self._lines.popleft()
        if line is None:
            raise LineTooLongError
        return parse_command(line)

    def take_in(self) -> None:
        """Take what is at hand, without waiting."""
        while not self._ended and len(self._lines) < self._settings.max_waiting:
            try:
                count = self.wire.receive_at_hand(self._chunk)
            except ConnectionEndedError as error:
                self._lost, self._ended = error, True
                return
            if count is None:
                return
            if not count:
                self._ended = True
                return
            self._buffer += self._chunk[:count]
            self._split()

    def has_room(self) -> bool:
        """Say whether more commands may wait."""
        return not self._ended and len(self._lines) < self._settings.max_waiting

    def take_urgent(self, verb: str) -> bool:
        """Take the first command *verb* that waits, out of turn, and say whether there was one."""
        wanted = verb.encode()
        for index, line in enumerate(self._lines):
            if line is not None and line.strip(_TELNET_BYTES).upper() == wanted:
                del self._lines[index]
                return True
        return False

    def take_first(self, verb: str) -> bool:
        """Take the next command if it is *verb*, without an argument; say whether it was."""
        if self._lines and (self._lines[0] or b"").upper() == verb.encode():
            self._lines.popleft()
            return True
        return False

    def goodbye(self, text: str) -> None:
        """Send 421 to a client that takes it at once; another goes without."""
        if not self.is_mute:
            self._observer.answered("other", 421)
            with contextlib.suppress(ConnectionEndedError, TooSlowError, WokenError):
                self.wire.send(encode_reply(421, text), _GOODBYE_SECONDS)

    def reply(self, verb: str, code: int, text: str, lines: tuple[str, ...] = ()) -> None:
        """Send a reply.

        Raises:
            ConnectionEndedError: the client has left.
            TooSlowError, WokenError: as `Watch.wait`.
        """
        self._observer.answered(verb, code)
        self.wire.send(encode_reply(code, text, lines), self._settings.stall_timeout)

    def _split(self) -> None:
        longest = self._settings.max_line
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._lines.append(None if self._skipping or end >= longest else line.removesuffix(b"\r"))
            self._skipping = False
        if len(self._buffer) > longest:
            self._buffer.clear()
            self._skipping = True


def parse_command(line: bytes) -> Command:
    """Make a command of a line without its end."""
    plain = _TELNET.sub(rb"\1", line) if b"\xff" in line else line
    verb, _, argument = plain.decode("utf-8", "surrogateescape").partition(" ")
    return Command(verb=verb.upper(), argument=argument)
