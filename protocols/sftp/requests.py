"""What each SFTP request does to the filesystem: packets in, replies out, one at a time, in order.

All of it is synchronous and knows no socket. One `Requests` serves one channel and is called by one thread at a time.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from protocols.errors import FileSystemError, NotFoundError, PermissionDeniedError
from protocols.filesystem import SetTimes, WriteMode
from protocols.path import MAX_PATH_BYTES, parse_path
from protocols.sftp.attrs import encode_attributes, parse_attributes
from protocols.sftp.extensions import AT_ONCE, Extensions
from protocols.sftp.handles import LISTING_BYTES, Download, Listing, Rewrite, Upload, scan_pages
from protocols.sftp.status import EndOfFileError, UnsupportedError, status_of
from protocols.sftp.table import HandleTable
from protocols.sftp.turns import TURN_BYTES
from protocols.sftp.wire import (
    DATA_HEAD_BYTES,
    MAX_DATA,
    BrokenStreamError,
    Fields,
    MalformedError,
    OpenFlag,
    Reply,
    Request,
    Status,
    data_head,
    data_reply,
    ok_reply,
    reply,
    status_reply,
    string,
    uint32,
    version_reply,
)

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence

    from protocols.filesystem import Entry, WritableFileSystem
    from protocols.path import VirtualPath
    from protocols.session import Session
    from protocols.sftp.handles import Begin, OpenHandle

logger = logging.getLogger("mft.sftp")

TURN_SECONDS = 0.05
"""Time after which a turn ends with what is answered: slow requests must not hold back the replies before them."""

Packet: TypeAlias = "bytearray | memoryview"


class RequestObserver(Protocol):
    """Who counts requests; called on the thread that answers."""

    def answered(self, operation: str, status: str) -> None:
        """One request other than a successful READ or WRITE was answered."""

    def transferred(self, direction: str, count: int) -> None:
        """*count* bytes of file went `in` or `out`."""


class Requests:
    """The requests of one `sftp` subsystem."""

    def __init__(
        self, session: Session, observer: RequestObserver, *, max_handles: int = 128, begin: Begin | None = None
    ) -> None:
        """Serve *session*'s filesystem; *begin* calls something on a thread as soon as one is free."""
        self._begin = begin
        self._session = session
        self._filesystem: WritableFileSystem = session.filesystem
        self._observer = observer
        self._handles = HandleTable(max_handles)
        self._extensions = Extensions(session, self._handles, ended=lambda: self.ended)
        self._greeted = False
        self._ended = False
        self._received = 0
        self._sent = 0
        self._answers: dict[int, Callable[[int, Fields], bytes]] = {
            Request.OPEN: self._open,
            Request.CLOSE: self._close,
            Request.READ: self._read,
            Request.WRITE: self._write,
            Request.LSTAT: self._stat,
            Request.FSTAT: self._fstat,
            Request.SETSTAT: self._extensions.setstat,
            Request.FSETSTAT: self._fsetstat,
            Request.OPENDIR: self._opendir,
            Request.READDIR: self._readdir,
            Request.REMOVE: self._remove,
            Request.MKDIR: self._mkdir,
            Request.RMDIR: self._rmdir,
            Request.REALPATH: self._realpath,
            Request.STAT: self._stat,
            Request.RENAME: self._rename,
            Request.EXTENDED: self._extensions.answer,
        }

    @property
    def transfers(self) -> int:
        """Number of files that the client has open."""
        return self._handles.transfers

    @property
    def ended(self) -> bool:
        """Whether nothing is answered any more: `end` was called, or access was withdrawn."""
        return self._ended or self._session.revoked is not None

    def answer(self, batch: deque[Packet]) -> list[bytes]:
        """Take packets from the front of *batch* and return their replies.

        It stops when the batch is empty, after `TURN_BYTES` of replies, after `TURN_SECONDS`, or when it has `ended`;
        what is left stays in *batch*.

        Raises:
            BrokenStreamError: a packet that no reply can be made to.
        """
        replies: list[bytes] = []
        size = 0
        limit = time.monotonic() + TURN_SECONDS
        try:
            while batch and not self.ended:
                answer = self._answer(batch.popleft())
                replies.append(answer)
                size += len(answer)
                if size >= TURN_BYTES or time.monotonic() >= limit:
                    break
        finally:
            self._count()
        return replies

    def answer_at_once(
        self,
        batch: deque[Packet],
        takes: Callable[[int], bool],
        send: Callable[[Sequence[bytes | memoryview]], None],
        *,
        most: int = TURN_BYTES,
    ) -> bool:
        """Answer those requests at the front of *batch* that have nothing to wait for, and say whether there were any.

        Such are reads and writes, pages of listings that are made already, and what asks the filesystem nothing. A hop
        to a thread and back costs more than such an answer; this may be called on an event loop. It stops after
        *most* bytes of data, too.

        Args:
            batch: packets; those that are answered are taken from it.
            takes: says whether a reply with so many bytes of a file may be sent now; asked before they are read.
            send: takes one reply in pieces, whose memory is used again once it returns, or several short ones.
            most: bytes after which it stops.
        """
        size = 0
        short: list[bytes | memoryview] = []
        try:
            while batch and size < most and not self.ended:
                packet = batch[0]
                pieces: Sequence[bytes | memoryview] | None = None
                if packet[0] == Request.WRITE:
                    pieces = self._write_immediate(packet, takes)
                elif packet[0] == Request.READ:
                    pieces = self._read_immediate(packet, takes)
                elif (room := self._room_at_once(packet)) is not None and takes(room):
                    pieces = (self._answer(packet),)
                if pieces is None:
                    break
                del batch[0]
                size += len(packet) + sum(map(len, pieces))
                if packet[0] == Request.WRITE:
                    short += pieces
                else:
                    send(pieces)
        finally:
            self._count()
            if short:
                send(short)
        return size > 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open that `abandon` would have to end."""
        return not self._handles

    def end(self) -> None:
        """Let `answer` stop after the request at hand; may be called from any thread."""
        self._ended = True

    def abandon(self, reason: str) -> None:
        """End everything that is open without the client's word: no upload becomes a file by this."""
        self.end()
        for handle in self._handles.take_all():
            try:
                handle.abandon(reason)
            except Exception:
                logger.exception("abandon_failed", extra={"session": self._session.id})

    def _count(self) -> None:
        """Tell the observer of a turn's bytes: once, for counting costs more than a small request."""
        received, sent, self._received, self._sent = self._received, self._sent, 0, 0
        if received:
            self._observer.transferred("in", received)
        if sent:
            self._observer.transferred("out", sent)

    def _read_immediate(self, packet: Packet, takes: Callable[[int], bool]) -> tuple[bytes | memoryview, ...] | None:
        """Return the reply to a READ whose bytes are at hand, or that is known to be at the end; None for others."""
        fields = Fields(packet, 5)
        try:
            download = self._handles.get(fields.string())
            offset, length = fields.uint64(), min(fields.uint32(), MAX_DATA)
        except MalformedError:
            return None
        if not isinstance(download, Download) or not takes(DATA_HEAD_BYTES + length):
            return None
        pieces = download.read_immediate(offset, length)
        if pieces is None:
            return None
        if not pieces:
            return (self._explain(packet, EndOfFileError("end of file")),)
        size = sum(map(len, pieces))
        self._sent += size
        return data_head(int.from_bytes(packet[1:5], "big"), size), *pieces

    def _write_immediate(self, packet: Packet, takes: Callable[[int], bool]) -> Sequence[bytes] | None:
        """Return the reply to a WRITE that has nothing to wait for, and is done; None for every other one."""
        fields = Fields(packet, 5)
        try:
            upload = self._handles.get(fields.string())
            offset, data = fields.uint64(), fields.view()
        except MalformedError:
            return None
        if not data or not isinstance(upload, Upload) or not upload.is_immediate(offset + len(data)) or not takes(0):
            return None
        try:
            upload.write(offset, data)
        except Exception as error:  # noqa: BLE001 - the border to the client, as in `_answer`
            return (self._explain(packet, error),)
        self._received += len(data)
        return (ok_reply(int.from_bytes(packet[1:5], "big")),)

    def _room_at_once(self, packet: Packet) -> int | None:
        """Return how many bytes the reply to *packet* takes at most, if nothing has to be waited for; else None.

        Such are a page of a listing that is made, the end of one that is over or of a download whose bytes were at
        hand, and what is answered without asking the filesystem.
        """
        kind = packet[0]
        if kind == Request.INIT or not self._greeted:
            return _SHORT if kind == Request.INIT and not self._greeted else None
        if kind not in {Request.REALPATH, Request.READDIR, Request.CLOSE, Request.EXTENDED} or len(packet) < 5:
            return None
        if kind == Request.REALPATH:
            return 2 * MAX_PATH_BYTES
        try:
            name = Fields(packet, 5).string()
        except MalformedError:
            return None
        if kind == Request.EXTENDED:
            return _SHORT if name in AT_ONCE else None
        return self._room_with(kind, self._handles.get(name))

    @staticmethod
    def _room_with(kind: int, handle: OpenHandle | None) -> int | None:
        if isinstance(handle, Download):
            return _SHORT if kind == Request.CLOSE and handle.is_immediate else None
        if not isinstance(handle, Listing):
            return None
        if kind == Request.CLOSE:
            return _SHORT if handle.is_over else None
        return LISTING_BYTES if handle.is_ready else None

    def _answer(self, packet: Packet) -> bytes:
        kind = packet[0]
        if kind == Request.INIT:
            return self._init()
        if len(packet) < 5 or not self._greeted:
            raise BrokenStreamError(f"a packet of kind {kind} with {len(packet)} bytes")
        request_id = int.from_bytes(packet[1:5], "big")
        answer = self._answers.get(kind, _refuse_unknown)
        try:
            encoded = answer(request_id, Fields(packet, 5))
        except Exception as error:  # noqa: BLE001 - the border to the client
            return self._explain(packet, error)
        if kind not in {Request.READ, Request.WRITE}:
            self._observer.answered(_name(kind), "ok")
        return encoded

    def _explain(self, packet: Packet, error: Exception) -> bytes:
        """Return the reply to a request that failed with *error*; what nobody expected is logged, and not told."""
        kind, request_id = packet[0], int.from_bytes(packet[1:5], "big")
        if isinstance(error, MalformedError):
            code, message = Status.BAD_MESSAGE, str(error)
        elif isinstance(error, FileSystemError):
            code, message = status_of(error)
        else:
            extra = {"session": self._session.id, "operation": _name(kind)}
            logger.error("internal_error", extra=extra, exc_info=error)
            code, message = Status.FAILURE, f"internal error, session {self._session.id}"
        self._observer.answered(_name(kind), code.name.lower())
        return status_reply(request_id, code, message)

    def _init(self) -> bytes:
        if self._greeted:
            raise BrokenStreamError("a second INIT")
        self._greeted = True
        return version_reply(self._extensions.advertised())

    # -- files ---------------------------------------------------------------------------------------------------------

    def _open(self, request_id: int, fields: Fields) -> bytes:
        path = parse_path(fields.string())
        flags = OpenFlag(fields.uint32() & 0x3F)
        wanted = parse_attributes(fields)
        self._handles.check_room()
        if not flags & (OpenFlag.WRITE | OpenFlag.APPEND):
            return _opened(request_id, self._handles.add(Download(self._filesystem.open_read(path), path)))
        upload = self._rewrite(path) if flags == OpenFlag.WRITE | OpenFlag.CREAT else None
        if upload is None:
            handle = self._filesystem.open_write(path, self._write_mode(path, flags))
            upload = Upload(
                handle,
                path,
                appending=bool(flags & OpenFlag.APPEND),
                reading=bool(flags & OpenFlag.READ and flags & (OpenFlag.TRUNC | OpenFlag.EXCL)),
            )
        upload.modified = wanted.modified
        return _opened(request_id, self._handles.add(upload))

    def _rewrite(self, path: VirtualPath) -> Upload | None:
        """Return what is opened where a whole file is to be written over without being emptied, as by `scp`."""
        there = self._stat_or_none(path)
        if there is None or there.partial or there.is_directory:
            return None
        if not there.writable:
            raise PermissionDeniedError("this file may not be written")
        return Rewrite(partial(self._filesystem.open_write, path), path, size=there.size)

    def _write_mode(self, path: VirtualPath, flags: OpenFlag) -> WriteMode:
        """Say what an open for writing means, or why it cannot be.

        Many clients ask for READ with WRITE and only write (Go's `Create`, file systems in user space). That is granted
        where the content is new, and what was written can be read; reading an existing file and changing it in place is
        not offered.
        """
        if flags & OpenFlag.EXCL:
            return WriteMode.CREATE
        fresh = bool(flags & OpenFlag.TRUNC)
        in_place = bool(flags & OpenFlag.READ) and not fresh
        if not flags & OpenFlag.CREAT or in_place:
            there = self._stat_or_none(path)
            if there is None and not flags & OpenFlag.CREAT:
                raise NotFoundError(f"{path} does not exist")
            if there is not None and in_place and not there.partial:
                raise PermissionDeniedError("a file here cannot be read and changed in place; send it anew")
        return WriteMode.REPLACE if fresh else WriteMode.RESUME

    def _close(self, request_id: int, fields: Fields) -> bytes:
        self._handles.take(fields).finish()
        return ok_reply(request_id)

    def _read(self, request_id: int, fields: Fields) -> bytes:
        handle = self._handles.any(fields)
        if isinstance(handle, Listing):
            raise FileSystemError("a listing is read by READDIR")
        offset = fields.uint64()
        length = min(fields.uint32(), MAX_DATA)
        data = handle.read(offset, length)
        if not data:
            raise EndOfFileError("end of file")
        self._sent += len(data)
        return data_reply(request_id, data)

    def _write(self, request_id: int, fields: Fields) -> bytes:
        upload = self._handles.of(fields, Upload)
        offset = fields.uint64()
        data = fields.view()
        if data:
            upload.write(offset, data)
            self._received += len(data)
        return ok_reply(request_id)

    # -- attributes ----------------------------------------------------------------------------------------------------

    def _stat(self, request_id: int, fields: Fields) -> bytes:
        path = parse_path(fields.string())
        entry = self._filesystem.stat(path)
        if entry.partial and (own := self._handles.upload_to(path)) is not None:
            entry = own.entry  # a resume is to come below what there is; who writes it here is told what FSTAT tells
        return reply(Reply.ATTRS, request_id, encode_attributes(entry))

    def _fstat(self, request_id: int, fields: Fields) -> bytes:
        handle = self._handles.any(fields)
        if isinstance(handle, Listing):
            raise FileSystemError("a listing has no attributes")
        return reply(Reply.ATTRS, request_id, encode_attributes(handle.entry))

    def _fsetstat(self, request_id: int, fields: Fields) -> bytes:
        handle = self._handles.any(fields)
        wanted = parse_attributes(fields)
        if isinstance(handle, Listing):
            raise FileSystemError("a listing has no attributes")
        if wanted.size is not None and isinstance(handle, Upload):
            handle.truncate(wanted.size)
        elif wanted.size is not None and wanted.size != handle.entry.size:
            raise PermissionDeniedError("a file here cannot be cut or stretched; send it anew")
        if isinstance(handle, Download):
            self._set_modified(handle.path, wanted.modified)
        elif wanted.modified is not None:
            handle.modified = wanted.modified
        return ok_reply(request_id)

    def _set_modified(self, path: VirtualPath, modified: float | None) -> None:
        if modified is not None and isinstance(self._filesystem, SetTimes):
            self._filesystem.set_modified(path, modified)

    # -- directories and names -----------------------------------------------------------------------------------------

    def _opendir(self, request_id: int, fields: Fields) -> bytes:
        path = parse_path(fields.string())
        self._handles.check_room()
        listing = Listing(scan_pages(self._filesystem, path), begin=self._begin)
        listing.open()
        return _opened(request_id, self._handles.add(listing))

    def _readdir(self, request_id: int, fields: Fields) -> bytes:
        names = self._handles.of(fields, Listing).page()
        if not names.number:
            raise EndOfFileError("end of directory")
        return reply(Reply.NAME, request_id, uint32(names.number) + names.rows)

    def _realpath(self, request_id: int, fields: Fields) -> bytes:
        name = string(str(parse_path(fields.string())).encode("utf-8"))
        return reply(Reply.NAME, request_id, uint32(1) + name + name + uint32(0))

    def _mkdir(self, request_id: int, fields: Fields) -> bytes:
        self._filesystem.mkdir(parse_path(fields.string()))
        return ok_reply(request_id)

    def _rmdir(self, request_id: int, fields: Fields) -> bytes:
        self._filesystem.remove(parse_path(fields.string()), directory=True)
        return ok_reply(request_id)

    def _remove(self, request_id: int, fields: Fields) -> bytes:
        self._filesystem.remove(parse_path(fields.string()), directory=False)
        return ok_reply(request_id)

    def _rename(self, request_id: int, fields: Fields) -> bytes:
        self._filesystem.rename(parse_path(fields.string()), parse_path(fields.string()))
        return ok_reply(request_id)

    def _stat_or_none(self, path: VirtualPath) -> Entry | None:
        try:
            return self._filesystem.stat(path)
        except NotFoundError:
            return None


_SHORT = 1024
"""More than such a reply takes, in bytes."""
_NAMES = {kind.value: kind.name.lower() for kind in Request}


def _refuse_unknown(_request_id: int, _fields: Fields) -> bytes:
    raise UnsupportedError("this server does not do that")


def _opened(request_id: int, name: bytes) -> bytes:
    return reply(Reply.HANDLE, request_id, string(name))


def _name(kind: int) -> str:
    return _NAMES.get(kind, "unknown")
