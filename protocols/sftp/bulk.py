"""Channel data of AES-GCM connections, taken in and sent without asyncssh's copies.

asyncssh slices what it has not parsed yet twice for each packet, joins header, body and tag anew, and makes a key
schedule each time: for a large upload that is most of a worker's time. Here packets are opened where they lie, and
only their data is copied, once. Whatever is not plain channel data on an open channel goes to asyncssh as it came,
still sealed: key exchange, requests, window adjustments, errors. Names that asyncssh does not promise are used; where
one is missing, asyncssh does it all (`is_possible`).

Source: RFC 4253, section 6; RFC 4254, section 5.2; RFC 5647 and OpenSSH's PROTOCOL file for aes*-gcm@openssh.com.
"""

from __future__ import annotations

import os
import struct
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
_WORTH_IT = 16 * 1024
"""Bytes of a reply from which the short way pays."""
_HEAD = struct.Struct(">BBII")
_DATA_HEADER = 10
"""Padding length, message number, channel, length of the data."""
_NAMES: dict[type, tuple[str, ...]] = {
    SSHConnection: ("_recv_pkthdr", "_recv_packet", "_finish_recv_packet", "_reset_keepalive_timer"),
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


class BulkReceiver:
    """Stands before one connection's parser."""

    def __init__(self, connection: Any, hand_on: Callable[[bytes], None]) -> None:  # noqa: ANN401 - private fields are read
        """Take data for *connection*; what is not for here goes to *hand_on*, whole packets or all that follows."""
        self._connection = connection
        self._hand_on = hand_on
        self._begun = b""
        """The beginning of a packet whose rest has not come."""
        self._cipher: Any = None
        self._aead: AESGCM | None = None
        self._plain = memoryview(bytearray())

    def feed(self, data: bytes) -> None:
        """Take what came from the network."""
        if not self._begun and not self._is_ready():
            owed = self._owed()
            if owed is None or owed >= len(data):
                self._hand_on(data)
                return
            self._hand_on(data[:owed])
            data = data[owed:]
        self._connection._reset_keepalive_timer()  # noqa: SLF001 - see `is_possible`; so below
        start = self._complete(data)
        view = memoryview(data)
        while start < len(data):
            if not self._is_ready():
                self._hand_on(bytes(view[start:]))
                return
            size = self._packet_size(view[start : start + _LENGTH])
            if size is None or size > len(data) - start:
                self._begun = bytes(view[start:])
                return
            self._take(view[start : start + size])
            start += size

    def _complete(self, data: bytes) -> int:
        """Finish the packet that was begun, if *data* suffices; return how much of *data* that took."""
        if not self._begun:
            return 0
        head = self._begun[:_LENGTH] + data[: max(0, _LENGTH - len(self._begun))]
        size = self._packet_size(head)
        missing = None if size is None else size - len(self._begun)
        if missing is None or missing > len(data):
            self._begun += data
            return len(data)
        packet, self._begun = self._begun + data[:missing], b""
        self._take(memoryview(packet))
        return missing

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

    @staticmethod
    def _packet_size(head: bytes | memoryview) -> int | None:
        """Return the bytes of a whole packet, from its length field in clear; None as long as that is not there."""
        if len(head) < _LENGTH:
            return None
        return _LENGTH + int.from_bytes(head, "big") + _TAG

    def _take(self, packet: memoryview) -> None:
        """Open a packet and deliver its data; or hand it on."""
        connection = self._connection
        data = self._open(packet) if self._is_ready() else None
        if data is None:
            self._hand_on(bytes(packet))
            return
        channel, content = data
        self._cipher._update_iv()  # noqa: SLF001
        connection._finish_recv_packet(_CHANNEL_DATA, connection._recv_seq)  # noqa: SLF001
        channel._accept_data(content)  # noqa: SLF001

    def _open(self, packet: memoryview) -> tuple[Any, bytes] | None:
        """Return channel and data; None for whatever asyncssh has to see itself, a forged packet included."""
        length = len(packet) - _LENGTH - _TAG
        if not _DATA_HEADER < length <= self._longest():
            return None
        aead = self._key()
        plain = self._plain[:length]
        try:
            aead.decrypt_into(self._cipher._iv, packet[_LENGTH:], packet[:_LENGTH], plain)  # noqa: SLF001
        except InvalidTag:
            return None
        if plain[1] != _CHANNEL_DATA:
            return None
        count = int.from_bytes(plain[6:10], "big")
        channel = self._connection._channels.get(int.from_bytes(plain[2:6], "big"))  # noqa: SLF001
        if (
            channel is None
            or channel._recv_state != "open"  # noqa: SLF001
            or _DATA_HEADER + count + plain[0] != length
            or not 0 < count <= channel._recv_window  # noqa: SLF001
        ):
            return None
        return channel, bytes(plain[_DATA_HEADER : _DATA_HEADER + count])

    def _key(self) -> AESGCM:
        """Return the key of the receiving direction, its schedule made once."""
        cipher = self._connection._recv_encryption._cipher  # noqa: SLF001
        if self._aead is None or cipher is not self._cipher:
            self._cipher, self._aead = cipher, AESGCM(cipher._key)  # noqa: SLF001
        return self._aead

    def _longest(self) -> int:
        """Make room for the longest packet that is taken, and return its length."""
        if not self._plain:
            self._plain = memoryview(bytearray(self._connection._max_recv_pktlen))  # noqa: SLF001
        return len(self._plain)


class BulkSender:
    """Seals large replies of one connection, where asyncssh would send them at once."""

    def __init__(self, connection: Any, send: Callable[[bytes], None]) -> None:  # noqa: ANN401 - private fields are read
        """Hand sealed packets to *send*."""
        self._connection = connection
        self._send = send
        self._cipher: Any = None
        self._aead: AESGCM | None = None
        self._plain = memoryview(bytearray())

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
