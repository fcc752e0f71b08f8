"""What comes in: packets of channel data are opened where they lie, one behind the other.

Of all packets of one channel that came together the data lie in one piece in the end, without having been copied: each
packet is opened so that its header comes to lie over the last bytes of the data before it, and those are put back.
"""

from __future__ import annotations

import asyncio
import struct
import time
from typing import TYPE_CHECKING, Any

from asyncssh import encryption as ssh_encryption
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.sftp.bulk.names import has_channel_names
from protocols.sftp.bulk.room import inward, opened

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH, _TAG = 4, 16
_WINDOW_ADJUST, _CHANNEL_DATA = 93, 94
_UINT32 = struct.Struct(">I")
_HEAD = struct.Struct(">BBII")
"""Padding length, message number, channel, and the length of the data or what the window grows by."""
_HEADER = _HEAD.size
_FIXED = 4
"""Bytes of a nonce that stay as they are; the other eight count (RFC 5647, section 7.1)."""
_COUNTED = (1 << 64) - 1
_EAGER = 8
"""The part of a window that is used up before it is moved on: over a long way, waiting for half of it halves the rate.

What tells the client goes out together with the replies to what it has sent."""
_KEEPALIVE_SLACK = 1.0
"""Seconds by which a busy client may be asked early whether it is there: a timer costs more than a packet."""


class BulkReceiver(asyncio.BufferedProtocol):
    """Stands before one connection's parser: what comes in lies in one buffer, and is opened where it lies."""

    def __init__(
        self,
        connection: Any,  # noqa: ANN401 - private fields are read
        hand_on: Callable[[bytes], None],
        widened: Callable[[], None],
    ) -> None:
        """Take data for *connection*.

        What is not for here goes to *hand_on*, whole packets or all that follows; *widened* is called when a client has
        widened a window.
        """
        self._connection = connection
        self._hand_on = hand_on
        self._widened = widened
        self._begun = b""
        """The beginning of a packet whose rest has not come."""
        self._cipher: Any = None
        self._aead: AESGCM | None = None
        self._longest: int = connection._max_recv_pktlen  # noqa: SLF001 - see `names`; so below
        self._channel: Any = None
        """Whose packets come; has all names."""
        self._has_names = True
        self._is_wider = False
        self._end = _HEADER
        """Where the data of `_channel` that was opened ends in the buffer; it begins behind room for one header."""
        self._heard_at = 0.0

    # -- what the transport calls --------------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own signature
        """Return where to put what comes next: behind the packet that was begun."""
        begun = len(self._begun)
        room = inward(begun + self._longest)
        room[:begun] = self._begun
        return room[begun:]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came from the network."""
        end = len(self._begun) + nbytes
        self._begun = b""
        try:
            self._take(inward(end)[:end])
            if self._is_wider:
                self._is_wider = False
                self._widened()
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
        ready = self._is_ready()
        if not ready:
            owed = self._owed()
            start = end if owed is None else min(owed, end)
            self._hand_on(bytes(data[:start]))
            ready = self._is_ready()
        else:
            self._reset_keepalive_timer()
        while start < end:
            if not ready:
                self._hand_on(bytes(data[start:]))
                return
            start, other = self._open_run(data, start, end)
            if start == end or (other is not None and self._look_at(other)):
                continue
            left = end - start
            size = _LENGTH + _UINT32.unpack_from(data, start)[0] + _TAG if left >= _LENGTH else 0
            if left < _LENGTH or left < size <= self._longest + _LENGTH + _TAG:
                self._begun = bytes(data[start:])
                break
            self._flush()
            self._hand_on(bytes(data[start : start + size]))
            start += size
            ready = self._is_ready()
        self._flush()

    def _is_ready(self) -> bool:
        """Say whether asyncssh stands between two packets of a connection in its steady state, with AES-GCM."""
        connection = self._connection
        return (
            type(connection._recv_encryption) is ssh_encryption.GCMEncryption  # noqa: SLF001
            and self._has_names
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

    def _open_run(self, data: memoryview, start: int, end: int) -> tuple[int, Any]:
        """Open packets from *start* on, and keep their data for `_flush`.

        Returns where the first one begins that is not plain data or a wider window for the channel at hand, or is not
        whole yet, or was forged; and the channel that it is for, if that is another one.
        """
        connection, channel, longest = self._connection, self._channel, self._longest
        cipher = connection._recv_encryption._cipher  # noqa: SLF001
        if self._aead is None or cipher is not self._cipher:
            self._cipher, self._aead = cipher, AESGCM(cipher._key)  # noqa: SLF001
        decrypt_into, channels = self._aead.decrypt_into, connection._channels  # noqa: SLF001
        fixed, counted = cipher._iv[:_FIXED], int.from_bytes(cipher._iv[_FIXED:], "big")  # noqa: SLF001
        at, most = self._end, 0
        if channel is not None and channel._recv_state == "open":  # noqa: SLF001
            most = _HEADER + channel._recv_window  # noqa: SLF001
        plain = opened(at + end - start + _HEADER)
        packets, other = 0, None
        while end - start >= _LENGTH:
            length = _UINT32.unpack_from(data, start)[0]
            stop = start + _LENGTH + length + _TAG
            if stop > end or not _HEADER < length <= longest:
                break
            begin = at - _HEADER
            covered = bytes(plain[begin:at])
            nonce = fixed + ((counted + packets) & _COUNTED).to_bytes(8, "big")
            try:
                decrypt_into(
                    nonce, data[start + _LENGTH : stop], data[start : start + _LENGTH], plain[begin : begin + length]
                )
            except InvalidTag:
                plain[begin:at] = covered
                break
            padding, kind, number, count = _HEAD.unpack_from(plain, begin)
            plain[begin:at] = covered
            found = channels.get(number)
            if found is not channel or channel is None:
                other = found
                break
            if kind == _CHANNEL_DATA and count > 0 and _HEADER + count + padding == length and at + count <= most:
                at += count
            elif not (kind == _WINDOW_ADJUST and _HEADER + padding == length and self._take_window(count)):
                break
            packets += 1
            start = stop
        self._end = at
        cipher._iv = fixed + ((counted + packets) & _COUNTED).to_bytes(8, "big")  # noqa: SLF001
        connection._recv_seq = (connection._recv_seq + packets) & 0xFFFFFFFF  # noqa: SLF001
        return start, other

    def _take_window(self, count: int) -> bool:
        """Widen the client's window by *count* bytes, where that is only a number for asyncssh: nothing waits there."""
        channel = self._channel
        may = (
            channel._recv_state in {"open", "eof_pending", "eof"}  # noqa: SLF001
            and channel._send_state == "open"  # noqa: SLF001
            and not channel._send_buf  # noqa: SLF001
        )
        if may:
            channel._send_window += count  # noqa: SLF001
            self._is_wider = True
        return may

    def _look_at(self, channel: Any) -> bool:  # noqa: ANN401 - private fields are read
        """Begin with *channel*'s packets; False where it is none, or lacks names: then asyncssh takes everything."""
        self._flush()
        self._channel = None
        if channel is None:
            return False
        if not has_channel_names(channel):
            self._has_names = False
            return False
        self._channel = channel
        return True

    def _flush(self) -> None:
        """Hand what was opened to the channel's session: as it lies, or through asyncssh where that has its reasons."""
        count, self._end = self._end - _HEADER, _HEADER
        if not count:
            return
        channel = self._channel
        content = opened(0)[_HEADER : _HEADER + count]
        take_view = getattr(channel._session, "take_view", None)  # noqa: SLF001 - a session's that needs no copy
        if (
            take_view is None
            or channel._recv_paused  # noqa: SLF001
            or channel._recv_buf  # noqa: SLF001
            or channel._send_state != "open"  # noqa: SLF001
        ):
            channel._accept_data(bytes(content))  # noqa: SLF001
            return
        channel._recv_window -= count  # noqa: SLF001
        with self._connection.gathering():
            wider = channel._init_recv_window - channel._recv_window  # noqa: SLF001
            if wider * _EAGER > channel._init_recv_window:  # noqa: SLF001
                channel.send_packet(_WINDOW_ADJUST, _UINT32.pack(wider))
                channel._recv_window += wider  # noqa: SLF001
            take_view(content)

    def _reset_keepalive_timer(self) -> None:
        now = time.monotonic()
        if now - self._heard_at > min(_KEEPALIVE_SLACK, self._connection._keepalive_interval / 4):  # noqa: SLF001
            self._heard_at = now
            self._connection._reset_keepalive_timer()  # noqa: SLF001
