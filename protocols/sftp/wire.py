"""Packets of SFTP version 3: numbers, reading, writing, and cutting a byte stream into them.

Source: draft-ietf-secsh-filexfer-02; extensions as in OpenSSH's PROTOCOL file.
"""

from __future__ import annotations

import enum
import struct

MAX_PACKET = 256 * 1024
"""Longest packet that is taken, in bytes without the length field: what OpenSSH takes."""
MAX_DATA = 255 * 1024
"""Most bytes of file in one READ or WRITE: what OpenSSH advertises and its clients use."""
VERSION = 3

_UINT32 = struct.Struct(">I")
_UINT64 = struct.Struct(">Q")
_REPLY = struct.Struct(">IBI")
_DATA = struct.Struct(">IBII")
DATA_HEAD_BYTES = _DATA.size
"""Bytes of an SSH_FXP_DATA before the data."""


class Request(enum.IntEnum):
    """What a client asks (section 3)."""

    INIT = 1
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    EXTENDED = 200


class Reply(enum.IntEnum):
    """What a server answers (section 3)."""

    VERSION = 2
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 201


class Status(enum.IntEnum):
    """Codes of SSH_FXP_STATUS (section 7)."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    OP_UNSUPPORTED = 8


class OpenFlag(enum.IntFlag):
    """Flags of SSH_FXP_OPEN (section 6.3)."""

    READ = 0x01
    WRITE = 0x02
    APPEND = 0x04
    CREAT = 0x08
    TRUNC = 0x10
    EXCL = 0x20


class BrokenStreamError(Exception):
    """What comes in is not SFTP; the channel can only be closed."""


class MalformedError(Exception):
    """A request ends before its fields do."""


class Fields:
    """The fields of one packet, read in order. Bytes after the last field are ignored, as OpenSSH does."""

    __slots__ = ("_at", "_view")

    def __init__(self, packet: bytes | bytearray | memoryview, start: int = 0) -> None:
        """Begin at *start*."""
        self._view = memoryview(packet)
        self._at = start

    def uint32(self) -> int:
        """Take a 32-bit number."""
        return int(_UINT32.unpack(self._take(4))[0])

    def uint64(self) -> int:
        """Take a 64-bit number."""
        return int(_UINT64.unpack(self._take(8))[0])

    def view(self) -> memoryview:
        """Take a string without copying it; valid as long as the packet is."""
        return self._take(self.uint32())

    def string(self) -> bytes:
        """Take a string."""
        return bytes(self.view())

    def _take(self, length: int) -> memoryview:
        end = self._at + length
        if end > len(self._view):
            raise MalformedError("the request ends before its fields do")
        taken = self._view[self._at : end]
        self._at = end
        return taken


class Assembler:
    """Cuts a stream of bytes into packets; memory is taken for one packet at most.

    A packet that comes in one piece is not copied: it lies in what was fed, and only as long as that does.
    """

    def __init__(self) -> None:
        """Begin before a length field."""
        self._length = bytearray()
        self._packet: bytearray | None = None
        self._filled = 0

    def feed(self, data: bytes | memoryview) -> list[bytearray | memoryview]:
        """Take what came in and return the packets that are whole by it.

        Raises:
            BrokenStreamError: a length of zero, or beyond `MAX_PACKET`.
        """
        whole: list[bytearray | memoryview] = []
        view = memoryview(data)
        while view:
            if self._packet is None:
                if not self._length and len(view) >= 4:
                    end = 4 + _checked(_UINT32.unpack_from(view)[0])
                    if end <= len(view):
                        whole.append(view[4:end])
                        view = view[end:]
                        continue
                view = self._take_length(view)
            else:
                view = self._fill(self._packet, view)
                if self._filled == len(self._packet):
                    whole.append(self._packet)
                    self._packet = None
        return whole

    def _take_length(self, view: memoryview) -> memoryview:
        missing = 4 - len(self._length)
        self._length += view[:missing]
        if len(self._length) == 4:
            length = int.from_bytes(self._length, "big")
            self._length.clear()
            self._packet = bytearray(_checked(length))
            self._filled = 0
        return view[missing:]

    def _fill(self, packet: bytearray, view: memoryview) -> memoryview:
        end = min(self._filled + len(view), len(packet))
        count = end - self._filled
        packet[self._filled : end] = view[:count]
        self._filled = end
        return view[count:]


def _checked(length: int) -> int:
    if not 0 < length <= MAX_PACKET:
        raise BrokenStreamError(f"a packet of {length} bytes")
    return length


def uint32(value: int) -> bytes:
    """Encode a 32-bit number."""
    return _UINT32.pack(value)


def uint64(value: int) -> bytes:
    """Encode a 64-bit number."""
    return _UINT64.pack(value)


def string(value: bytes) -> bytes:
    """Encode a string."""
    return _UINT32.pack(len(value)) + value


def reply(kind: Reply, request_id: int, body: bytes) -> bytes:
    """Encode a whole reply, its length field included."""
    return _REPLY.pack(5 + len(body), kind, request_id) + body


def data_head(request_id: int, size: int) -> bytes:
    """Encode what comes before the *size* bytes of an SSH_FXP_DATA."""
    return _DATA.pack(9 + size, Reply.DATA, request_id, size)


def data_reply(request_id: int, data: bytes) -> bytes:
    """Encode an SSH_FXP_DATA with a single copy of *data*."""
    return b"".join((data_head(request_id, len(data)), data))


def status_reply(request_id: int, code: Status, message: str) -> bytes:
    """Encode an SSH_FXP_STATUS."""
    body = uint32(code) + string(message.encode("utf-8", "replace")) + string(b"en")
    return reply(Reply.STATUS, request_id, body)


_OK_TAIL = uint32(Status.OK) + string(b"") + string(b"en")


def ok_reply(request_id: int) -> bytes:
    """Encode an SSH_FXP_STATUS that says that all is well."""
    return reply(Reply.STATUS, request_id, _OK_TAIL)


def version_reply(extensions: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Encode an SSH_FXP_VERSION; it carries no request id."""
    body = uint32(VERSION) + b"".join(string(name) + string(value) for name, value in extensions)
    return _UINT32.pack(1 + len(body)) + bytes((Reply.VERSION,)) + body
