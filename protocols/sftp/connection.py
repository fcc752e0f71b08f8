"""An SSH connection made cheaper and kinder: fewer packets and system calls, and it sees whether the socket takes more.

All of it overrides what asyncssh calls by name. Should a later asyncssh call it otherwise, the connection is slower or
stricter, and still right.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh.constants import MSG_IGNORE, MSG_KEXINIT, MSG_SERVICE_ACCEPT, MSG_SERVICE_REQUEST
from asyncssh.packet import SSHPacket, String

from protocols.sftp.algorithms import offer_to
from protocols.sftp.bulk import BulkReceiver, BulkSender, has_channel_names, has_connection_names
from protocols.tcp import round_trip, tune

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator

    from protocols.sftp.bulk.sender import Chunk


_OFFER_SECONDS = 0.2
"""How long a client may keep its list of algorithms back before we send ours: RFC 4253 lets either side begin."""
_USERAUTH = String("ssh-userauth")
_SLICE = 32 * 1024
"""Bytes written at once: what OpenSSH's clients take in one packet."""
_PIECE = 68 * 1024
"""Bytes parsed at once: the longest packet that we take, and a little."""


def _take_plain_names_as_they_are() -> None:
    """Spare logins in printable ASCII what SASLprep (RFC 4013) does to them: nothing, by forty look-ups a letter.

    A name is looked at three times in each login.
    """
    for module in (asyncssh.connection, asyncssh.auth):
        prepare: Callable[[str], str] | None = getattr(module, "saslprep", None)
        if prepare is not None:
            setattr(module, "saslprep", functools.partial(_prepared, prepare))  # noqa: B010 - it is not exported


def _prepared(prepare: Callable[[str], str], text: str) -> str:
    return text if text.isascii() and text.isprintable() else prepare(text)


_take_plain_names_as_they_are()


class Connection(asyncssh.SSHServerConnection):
    """An SSH connection that can gather what it sends, and that tells when its transport is full."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHServerConnectionOptions,
        *,
        chooses_cipher: bool = False,
    ) -> None:
        """Make it as `asyncssh.listen` does.

        With *chooses_cipher* a client is offered what `offer_to` says: who has AES-GCM, no other cipher. The client's
        order decides between what both have (RFC 4253, section 7.1), and OpenSSH's puts slower ciphers first.
        """
        self._offer_is_due = chooses_cipher
        self.is_writable = True
        """Whether the transport takes more; asyncssh itself fills its buffer without end."""
        self.listeners: set[Callable[[], None]] = set()
        """Called when `is_writable` or a window may have changed."""
        self._gathered: list[bytes] | None = None
        self._is_authenticating = False
        super().__init__(loop, options)
        possible = has_connection_names(self)
        self._bulk = BulkReceiver(self, self._parse, self._tell) if possible else None
        self._bulk_sender = BulkSender(self, self._send) if possible else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; where it is possible, what comes in goes the short way."""
        sock = transport.get_extra_info("socket")
        if sock is not None:
            tune(sock)
        super().connection_made(transport)
        if self._bulk is not None:
            transport.set_protocol(self._bulk)

    def _parse(self, data: bytes) -> None:
        """Have asyncssh parse *data*, in pieces of about a packet: it copies all that waits, twice for each packet."""
        for start in range(0, len(data), _PIECE):
            super().data_received(data[start : start + _PIECE])
        self._tell()  # it may have widened a window

    def pause_writing(self) -> None:
        """Note that the transport's buffer is full."""
        self.is_writable = False
        self._tell()

    def resume_writing(self) -> None:
        """Note that the transport takes more."""
        self.is_writable = True
        self._tell()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Send what is written within as one piece: one system call in place of one for each packet."""
        if self._gathered is not None:  # within another one
            yield
            return
        self._gathered = []
        try:
            yield
        finally:
            gathered, self._gathered = self._gathered, None
            if gathered:
                super()._send(b"".join(gathered))

    def round_trip(self) -> float | None:
        """Return the seconds that a packet takes to the client and back, as the kernel has measured it; or None."""
        sock = self.get_extra_info("socket")
        return None if sock is None else round_trip(sock)

    def widen(self, channel: asyncssh.SSHServerChannel[bytes], size: int) -> None:
        """Let the client send *size* bytes ahead on *channel* from the next time on that its window is moved."""
        if has_channel_names(channel):
            channel._init_recv_window = size  # noqa: SLF001 - asyncssh and `bulk` both go by it

    def window(self, channel: asyncssh.SSHServerChannel[bytes]) -> int | None:
        """Return how many bytes the client takes now on the short way; None where that is not open."""
        return None if self._bulk_sender is None else self._bulk_sender.window(channel)

    def send_bulk(self, channel: asyncssh.SSHServerChannel[bytes], *chunks: Chunk) -> None:
        """Send *chunks* on *channel*: on its short way where that is open, else as asyncssh does."""
        if self._bulk_sender is not None and self._bulk_sender.send(channel, chunks, sum(map(len, chunks))):
            return
        with self.gathering():
            for chunk in chunks:
                for start in range(0, len(chunk), _SLICE):  # asyncssh moves all that waits down for each packet it cuts
                    channel.write(bytes(chunk[start : start + _SLICE]))

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:  # noqa: ANN401, ARG002 - not exported; is what logs packets
        """Send a packet, but none of the SSH_MSG_IGNORE that asyncssh puts before each.

        They guard the chained initialisation vectors of CBC (RFC 4253, section 9.3.1), and no CBC is offered.
        """
        if pkttype != MSG_IGNORE:
            super().send_packet(pkttype, *args, handler=self)

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
        """Process a packet; answer the client's list of algorithms, and let it ask for `ssh-userauth` again.

        paramiko asks before each attempt, which RFC 4252 does not forbid and OpenSSH allows; asyncssh would disconnect
        whoever offers a key and then a password.
        """
        if pkttype == MSG_KEXINIT and self._offer_is_due:
            theirs = packet.get_remaining_payload()
            self._enc_algs, self._mac_algs = offer_to(theirs, self._enc_algs, self._mac_algs)
            self._offer()
        if pkttype == MSG_SERVICE_REQUEST:
            if self._is_authenticating and packet.get_remaining_payload() == _USERAUTH:
                self.send_packet(MSG_SERVICE_ACCEPT, _USERAUTH)
                return True
            self._is_authenticating = True
        return super().process_packet(pkttype, pktid, packet)

    def log_sent_packet(self, *args: object, **kwargs: object) -> None:
        """Do not even format a line for each packet."""

    def log_received_packet(self, *args: object, **kwargs: object) -> None:
        """Do not even format a line for each packet."""

    def _send_kexinit(self) -> None:
        if self._offer_is_due:
            self._loop.call_later(_OFFER_SECONDS, self._offer)
        else:
            super()._send_kexinit()

    def _offer(self) -> None:
        """Send our list of algorithms, once."""
        if self._offer_is_due and self._transport is not None:
            self._offer_is_due = False
            super()._send_kexinit()

    def _send(self, data: bytes | memoryview) -> None:
        if self._gathered is None:
            super()._send(data)  # type: ignore[arg-type]  # the transport takes any bytes-like object
        elif len(data) < _SLICE:
            self._gathered.append(bytes(data))
        else:
            gathered, self._gathered = self._gathered, []
            super()._send(b"".join(gathered))
            super()._send(data)  # type: ignore[arg-type]  # the same

    def _tell(self) -> None:
        for listener in list(self.listeners):
            listener()
