"""What goes out: replies are cut into packets and sealed in one buffer, and sent with one system call."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncssh import encryption as ssh_encryption
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.sftp.bulk.names import has_channel_names
from protocols.sftp.bulk.room import give_outward_away, outward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Chunk: TypeAlias = "bytes | memoryview"

_LENGTH, _TAG = 4, 16
_CHANNEL_DATA = 94
_LEAST_PADDING = 4
_MOST_AROUND = 64
"""Bytes around the data of one packet, at most: length, header, padding, tag."""
_UINT32 = struct.Struct(">I")
_HEAD = struct.Struct(">BBII")
"""Padding length, message number, channel, length of the data."""
_HEADER = _HEAD.size
_FIXED = 4
"""Bytes of a nonce that stay as they are; the other eight count (RFC 5647, section 7.1)."""
_COUNTED = (1 << 64) - 1
_RANDOM_BYTES = 4096


class BulkSender:
    """Seals the replies of one connection, where asyncssh would send them at once."""

    def __init__(self, connection: Any, send: Callable[[memoryview], None]) -> None:  # noqa: ANN401 - private fields are read
        """Hand sealed packets to *send*, in memory that is used again."""
        self._connection = connection
        self._send = send
        self._cipher: Any = None
        self._aead: AESGCM | None = None
        self._channel: Any = None
        """The channel that was written to last; has all names."""
        self._plain = bytearray()
        self._padding = _Padding()

    def window(self, channel: Any) -> int | None:  # noqa: ANN401 - private fields are read
        """Return how many bytes the client takes now; None where it is something else that bars the short way."""
        return channel._send_window if self._is_ready(channel, 0) else None  # noqa: SLF001

    def send(self, channel: Any, chunks: Sequence[Chunk], size: int) -> bool:  # noqa: ANN401 - private fields are read
        """Send *chunks* (*size* bytes in all) on *channel*; False, and nothing is sent, where asyncssh has to do it."""
        if not size or not self._is_ready(channel, size):
            return False
        connection, longest = self._connection, channel._send_pktsize  # noqa: SLF001
        sealed = outward(size + -(-size // longest) * _MOST_AROUND)
        end = self._seal(channel._send_chan, chunks, size, longest, sealed)  # noqa: SLF001
        channel._send_window -= size  # noqa: SLF001
        connection._rekey_bytes_sent += end  # noqa: SLF001
        self._send(sealed[:end])
        if connection._transport is not None and connection._transport.get_write_buffer_size():  # noqa: SLF001
            give_outward_away()
        return True

    def _is_ready(self, channel: Any, size: int) -> bool:  # noqa: ANN401 - private fields are read
        """Say whether asyncssh would send *size* bytes now: no new keys due, nothing waiting, room for all."""
        if channel is not self._channel:
            if not has_channel_names(channel):
                return False
            self._channel = channel
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

    def _seal(self, number: int, chunks: Sequence[Chunk], size: int, longest: int, sealed: memoryview) -> int:
        """Write packets with *chunks* for channel *number* to the beginning of *sealed*; return their bytes.

        A nonce is counted as used before it is: one that was tried in vain is never tried again.
        """
        connection = self._connection
        cipher = connection._send_encryption._cipher  # noqa: SLF001
        if self._aead is None or cipher is not self._cipher:
            self._cipher, self._aead = cipher, AESGCM(cipher._key)  # noqa: SLF001
        encrypt_into, around, block = self._aead.encrypt_into, connection._send_enchdrlen, connection._send_blocksize  # noqa: SLF001
        most = min(longest, size)
        if len(self._plain) < most + _MOST_AROUND:
            self._plain = bytearray(most + _MOST_AROUND)
        fixed, used = cipher._iv[:_FIXED], int.from_bytes(cipher._iv[_FIXED:], "big")  # noqa: SLF001
        packets = end = before = 0
        plain, length, head = memoryview(self._plain), 0, b""
        try:
            for count in _pieces(chunks, size, longest, plain[_HEADER:]):
                if count != before:  # else the header and the padding of the packet before are good for this one too
                    padding = -(around + _HEADER - 1 + count) % block
                    if padding < _LEAST_PADDING:
                        padding += block
                    length, before = _HEADER + count + padding, count
                    _HEAD.pack_into(plain, 0, padding, _CHANNEL_DATA, number, count)
                    plain[length - padding : length] = self._padding.take(padding)
                    head = _UINT32.pack(length)
                whole = end + _LENGTH + length + _TAG
                sealed[end : end + _LENGTH] = head
                nonce = fixed + ((used + packets) & _COUNTED).to_bytes(8, "big")
                packets += 1
                encrypt_into(nonce, plain[:length], head, sealed[end + _LENGTH : whole])
                end = whole
        finally:
            cipher._iv = fixed + ((used + packets) & _COUNTED).to_bytes(8, "big")  # noqa: SLF001
            connection._send_seq = (connection._send_seq + packets) & 0xFFFFFFFF  # noqa: SLF001
        return end


def _pieces(chunks: Sequence[Chunk], size: int, longest: int, into: memoryview) -> Iterator[int]:
    """Put the data of one packet after the other at the beginning of *into*, and yield how many bytes they are."""
    rest = iter(chunks)
    chunk, taken = memoryview(next(rest)), 0
    for start in range(0, size, longest):
        count, filled = min(longest, size - start), 0
        while filled < count:
            part = chunk[taken : taken + count - filled]
            if not part:
                chunk, taken = memoryview(next(rest)), 0
                continue
            into[filled : filled + len(part)] = part
            filled += len(part)
            taken += len(part)
        yield count


class _Padding:
    """Random bytes (RFC 4253, section 6), fetched for many packets at once."""

    def __init__(self) -> None:
        self._random = b""
        self._used = 0

    def take(self, count: int) -> bytes:
        if self._used + count > len(self._random):
            self._random, self._used = os.urandom(_RANDOM_BYTES), 0
        self._used += count
        return self._random[self._used - count : self._used]
