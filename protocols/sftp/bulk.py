"""Channel data of AES-GCM connections, taken in and sent without asyncssh's copies.

asyncssh slices what it has not parsed yet twice for each packet, joins header, body and tag anew, and makes a key
schedule each time: for a large upload that is most of a worker's time. Here packets are opened where they lie, and
only their data is copied, once. Whatever is not plain channel data on an open channel goes to asyncssh as it came,
still sealed: key exchange, requests, window adjustments, errors. Names that asyncssh does not promise are used; where
one is missing, asyncssh does it all (`is_possible`).

Source: RFC 4253, section 6; RFC 4254, section 5.2; RFC 5647 and OpenSSH's PROTOCOL file for aes*-gcm@openssh.com.
"""

from __future__ import annotations

import asyncio
import os
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

from asyncssh import encryption as ssh_encryption
from asyncssh.channel import SSHChannel
from asyncssh.connection import SSHConnection
from asyncssh.crypto import GCMCipher
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH, _TAG = 4, 16
_CHANNEL_DATA = 94
_LEAST_PADDING = 4
_MOST_AROUND = 64
"""Bytes around the data of one packet, at most: length, header, padding, tag."""
_READ_BYTES = 256 * 1024
"""Bytes read from a socket at once."""
_WORTH_IT = 16 * 1024
"""Bytes of a reply from which the short way pays."""
_HEAD = struct.Struct(">BBII")
_DATA_HEADER = 10
"""Padding length, message number, channel, length of the data."""
_NAMES: dict[type, tuple[str, ...]] = {
    SSHConnection: ("_recv_pkthdr", "_recv_packet", "_reset_keepalive_timer"),
    SSHChannel: ("_accept_data",),
    GCMCipher: ("_update_iv",),
}
_FIELDS = (
    "_inpbuf", "_recv_handler", "_recv_encryption", "_recv_seq", "_channels", "_kex", "_auth_complete", "_decompressor",
    "_max_recv_pktlen", "_pktlen",
    "_recv_macsize", "_recv_blocksize", "_send_encryption", "_send_seq", "_send_enchdrlen", "_send_blocksize",
    "_kex_complete", "_rekey_bytes", "_rekey_bytes_sent", "_rekey_seconds", "_rekey_time", "_compressor",
)  # fmt: skip


def is_possible(connection: SSHConnection) -> bool:
    """Say whether this release of asyncssh has everything that is used here."""
    named = all(hasattr(owner, name) for owner, names in _NAMES.items() for name in names)
    return named and hasattr(ssh_encryption, "GCMEncryption") and all(hasattr(connection, field) for field in _FIELDS)


def send_window(channel: Any) -> int:  # noqa: ANN401 - private fields are read
    """Return how many bytes the client takes on *channel* now; 0 where this release of asyncssh does not tell."""
    return int(getattr(channel, "_send_window", 0))


class BulkReceiver(asyncio.BufferedProtocol):
    """Stands before one connection's parser: what comes in lies in one buffer, and is opened where it lies.

    The buffer is one for all connections of a thread: between being filled and being read nothing else runs.
    """

    def __init__(self, connection: Any, hand_on: Callable[[bytes], None]) -> None:  # noqa: ANN401 - private fields are read
        """Take data for *connection*; what is not for here goes to *hand_on*, whole packets or all that follows."""
        self._connection = connection
        self._hand_on = hand_on
        self._begun = b""
        """The beginning of a packet whose rest has not come."""
        self._cipher: Any = None
        self._aead: AESGCM | None = None
        self._longest: int = connection._max_recv_pktlen  # noqa: SLF001 - see `is_possible`; so below

    # -- what the transport calls --------------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own signature
        """Return where to put what comes next: behind the packet that was begun."""
        begun = len(self._begun)
        room = _room(begun + self._longest)
        room[:begun] = self._begun
        return room[begun:]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came from the network."""
        end = len(self._begun) + nbytes
        self._begun = b""
        try:
            self._take(_room(end)[:end])
        except Exception:  # noqa: BLE001 - the border to the transport, as asyncssh has it
            self._connection.internal_error()

    def eof_received(self) -> None:
        """Tell asyncssh that the client sends no more."""
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell asyncssh that the connection has ended."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the connection that the transport's buffer is full."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Tell the connection that the transport takes more."""
        self._connection.resume_writing()

    # -- packets -------------------------------------------------------------------------------------------------------

    def _take(self, data: memoryview) -> None:
        start, end = 0, len(data)
        if not self._is_ready():
            owed = self._owed()
            start = end if owed is None else min(owed, end)
            self._hand_on(bytes(data[:start]))
        else:
            self._connection._reset_keepalive_timer()  # noqa: SLF001
        ready = self._is_ready()
        while start < end:
            if not ready:
                self._hand_on(bytes(data[start:]))
                return
            size = _LENGTH + int.from_bytes(data[start : start + _LENGTH], "big") + _TAG
            if end - start < _LENGTH or (start + size > end and size <= self._longest + _LENGTH + _TAG):
                self._begun = bytes(data[start:])
                return
            packet = data[start : start + size]
            start += size
            if not self._deliver(packet):
                self._hand_on(bytes(packet))
                ready = self._is_ready()

    def _is_ready(self) -> bool:
        """Say whether asyncssh stands between two packets of a connection in its steady state, with AES-GCM."""
        connection = self._connection
        return (
            type(connection._recv_encryption) is ssh_encryption.GCMEncryption  # noqa: SLF001
            and not connection._inpbuf  # noqa: SLF001
            and connection._recv_handler == connection._recv_pkthdr  # noqa: SLF001
            and connection._auth_complete  # noqa: SLF001
            and not connection._kex  # noqa: SLF001
            and not connection._decompressor  # noqa: SLF001
        )

    def _owed(self) -> int | None:
        """Return how many bytes asyncssh still needs for a packet that it has begun; None for all there are."""
        connection = self._connection
        if connection._recv_handler != connection._recv_packet:  # noqa: SLF001
            return None
        whole: int = _LENGTH + connection._pktlen + connection._recv_macsize  # noqa: SLF001
        return max(0, whole - int(connection._recv_blocksize) - len(connection._inpbuf))  # noqa: SLF001

    def _deliver(self, packet: memoryview) -> bool:
        """Open a packet and deliver its data; False for whatever asyncssh has to see itself, forged packets too."""
        length = len(packet) - _LENGTH - _TAG
        if not _DATA_HEADER < length <= self._longest:
            return False
        connection, plain = self._connection, _plain(length)
        aead = self._key()
        try:
            aead.decrypt_into(self._cipher._iv, packet[_LENGTH:], packet[:_LENGTH], plain)  # noqa: SLF001
        except InvalidTag:
            return False
        padding, kind, number, count = _HEAD.unpack_from(plain)
        if kind != _CHANNEL_DATA or _DATA_HEADER + count + padding != length:
            return False
        channel = connection._channels.get(number)  # noqa: SLF001
        if channel is None or channel._recv_state != "open" or not 0 < count <= channel._recv_window:  # noqa: SLF001
            return False
        self._cipher._update_iv()  # noqa: SLF001
        connection._recv_seq = (connection._recv_seq + 1) & 0xFFFFFFFF  # noqa: SLF001
        content = plain[_DATA_HEADER : _DATA_HEADER + count]
        left = channel._recv_window - count  # noqa: SLF001
        take_view = getattr(channel._session, "take_view", None)  # noqa: SLF001 - a session's that needs no copy
        if (
            take_view is not None
            and not channel._recv_paused  # noqa: SLF001
            and not channel._recv_buf  # noqa: SLF001
            and channel._send_state == "open"  # noqa: SLF001
            and left * 2 >= channel._init_recv_window  # noqa: SLF001 - else asyncssh widens the window
        ):
            channel._recv_window = left  # noqa: SLF001
            take_view(content)
        else:
            channel._accept_data(bytes(content))  # noqa: SLF001
        return True

    def _key(self) -> AESGCM:
        """Return the key of the receiving direction, its schedule made once."""
        cipher = self._connection._recv_encryption._cipher  # noqa: SLF001
        if self._aead is None or cipher is not self._cipher:
            self._cipher, self._aead = cipher, AESGCM(cipher._key)  # noqa: SLF001
        return self._aead


class _Room(threading.local):
    """The buffers of one thread: what comes in, and one packet opened."""

    sealed = memoryview(b"")
    plain = memoryview(b"")


_ROOM = _Room()


def _room(least: int) -> memoryview:
    """Return this thread's buffer for what comes in; what lies in it stays there."""
    if len(_ROOM.sealed) < least:
        grown = memoryview(bytearray(least + _READ_BYTES))
        grown[: len(_ROOM.sealed)] = _ROOM.sealed
        _ROOM.sealed = grown
    return _ROOM.sealed


def _plain(length: int) -> memoryview:
    """Return *length* bytes of this thread's buffer for one packet opened; the next packet is put there too."""
    if len(_ROOM.plain) < length:
        _ROOM.plain = memoryview(bytearray(length))
    return _ROOM.plain[:length]


class BulkSender:
    """Seals large replies of one connection, where asyncssh would send them at once."""

    def __init__(self, connection: Any, send: Callable[[bytes], None]) -> None:  # noqa: ANN401 - private fields are read
        """Hand sealed packets to *send*."""
        self._connection = connection
        self._send = send
        self._cipher: Any = None
        self._aead: AESGCM | None = None
        self._plain = memoryview(bytearray())

    def is_short_of_window(self, channel: Any, size: int) -> bool:  # noqa: ANN401 - private fields are read
        """Say whether only the client's window keeps *size* bytes from the short way."""
        return size >= _WORTH_IT and channel._send_window < size and self._is_ready(channel, 0)  # noqa: SLF001

    def send(self, channel: Any, data: bytes) -> bool:  # noqa: ANN401 - private fields are read
        """Send *data* on *channel*; False, and nothing is sent, where that is asyncssh's to do."""
        if len(data) < _WORTH_IT or not self._is_ready(channel, len(data)):
            return False
        connection, longest = self._connection, channel._send_pktsize  # noqa: SLF001
        view = memoryview(data)
        packets = -(-len(data) // longest)
        sealed = memoryview(bytearray(len(data) + packets * _MOST_AROUND))
        end = 0
        for start in range(0, len(data), longest):
            end += self._seal(channel._send_chan, view[start : start + longest], sealed[end:])  # noqa: SLF001
            connection._send_seq = (connection._send_seq + 1) & 0xFFFFFFFF  # noqa: SLF001
        channel._send_window -= len(data)  # noqa: SLF001
        connection._rekey_bytes_sent += end  # noqa: SLF001
        self._send(sealed[:end])  # type: ignore[arg-type]  # the transport takes any bytes-like object
        return True

    def _is_ready(self, channel: Any, size: int) -> bool:  # noqa: ANN401 - private fields are read
        """Say whether asyncssh would send *size* bytes now: no new keys due, nothing waiting, room for all."""
        connection = self._connection
        return (
            type(connection._send_encryption) is ssh_encryption.GCMEncryption  # noqa: SLF001
            and connection._auth_complete  # noqa: SLF001
            and connection._kex_complete  # noqa: SLF001
            and not connection._kex  # noqa: SLF001
            and connection._rekey_bytes_sent < connection._rekey_bytes  # noqa: SLF001
            and (not connection._rekey_seconds or time.monotonic() < connection._rekey_time)  # noqa: SLF001
            and not connection._compressor  # noqa: SLF001
            and channel._send_state == "open"  # noqa: SLF001
            and not channel._send_buf  # noqa: SLF001
            and channel._send_window >= size  # noqa: SLF001
        )

    def _seal(self, number: int, data: memoryview, sealed: memoryview) -> int:
        """Write one packet with *data* for channel *number* to the beginning of *sealed*; return its bytes."""
        connection = self._connection
        cipher = connection._send_encryption._cipher  # noqa: SLF001
        if self._aead is None or cipher is not self._cipher:
            self._cipher, self._aead = cipher, AESGCM(cipher._key)  # noqa: SLF001
        payload = _DATA_HEADER - 1 + len(data)
        padding = -(connection._send_enchdrlen + payload) % connection._send_blocksize  # noqa: SLF001
        if padding < _LEAST_PADDING:
            padding += connection._send_blocksize  # noqa: SLF001
        length: int = 1 + payload + padding
        if len(self._plain) < length:
            self._plain = memoryview(bytearray(length))
        plain = self._plain[:length]
        _HEAD.pack_into(plain, 0, padding, _CHANNEL_DATA, number, len(data))
        plain[_DATA_HEADER : _DATA_HEADER + len(data)] = data
        plain[length - padding :] = os.urandom(padding)
        whole = _LENGTH + length + _TAG
        sealed[:_LENGTH] = length.to_bytes(_LENGTH, "big")
        self._aead.encrypt_into(cipher._iv, plain, bytes(sealed[:_LENGTH]), sealed[_LENGTH:whole])  # noqa: SLF001
        cipher._update_iv()  # noqa: SLF001
        return whole
