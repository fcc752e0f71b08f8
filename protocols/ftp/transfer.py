"""Commands that move bytes over a data connection: uploads, downloads, listings.

The rule of this module: an upload is committed for an end that the client meant as one, a TLS close_notify, and for
nothing else; every other end keeps what came for a resume.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING

from protocols.errors import FileSystemError, NotADirectoryPathError, NotFoundError, OffsetMismatchError
from protocols.filesystem import ImmediateRead, Lends, WriteMode
from protocols.ftp.files import listing_path
from protocols.ftp.listing import changes_in, encode_rows, fact_row, long_row, name_row, row_of, scan_rows
from protocols.ftp.rendezvous import Active, Passive, parse_extended_port, parse_port
from protocols.ftp.reply import Reply
from protocols.ftp.status import ReplyError, as_reply
from protocols.ftp.wire import ConnectionEndedError, TooSlowError, Wire, WokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from protocols.filesystem import ReadHandle, Row, WriteHandle
    from protocols.ftp.settings import FtpSettings
    from protocols.ftp.visit import Visit
    from protocols.path import VirtualPath

_MAX_OFFSET = (1 << 63) - 1
_ROWS = 128 * 1024
"""Bytes of rows that are sent at once."""


class AbortedError(Exception):
    """The client sent ABOR."""


# -- where the data connection is made -----------------------------------------------------------------------------


def pasv(visit: Visit, _argument: str) -> Reply:
    """PASV: a port of ours, for IPv4."""
    _may_choose(visit, "PASV")
    if ":" in visit.local:
        raise ReplyError(425, "PASV is for IPv4; use EPSV")
    passive = Passive(visit.local, visit.origin.peer, visit.settings.passive_ports)
    visit.meet(passive)
    address = (visit.entrance.passive_address or visit.local).replace(".", ",")
    return Reply(code=227, text=f"Entering Passive Mode ({address},{passive.port >> 8},{passive.port & 255}).")


def epsv(visit: Visit, argument: str) -> Reply:
    """EPSV: a port of ours (RFC 2428, section 3)."""
    word = argument.strip().upper()
    if word == "ALL":
        visit.passive_only = True
        return Reply(code=200, text="EPSV alone from now on")
    if word not in {"", "1", "2"}:
        raise ReplyError(522, "network protocol not supported, use (1,2)")
    if word and (word == "2") != (":" in visit.local):
        raise ReplyError(522, f"network protocol not supported, use ({2 if ':' in visit.local else 1})")
    passive = Passive(visit.local, visit.origin.peer, visit.settings.passive_ports)
    visit.meet(passive)
    return Reply(code=229, text=f"Entering Extended Passive Mode (|||{passive.port}|)")


def port(visit: Visit, argument: str) -> Reply:
    """PORT: a port of the client."""
    _may_choose(visit, "PORT")
    _may_be_active(visit)
    visit.meet(Active(visit.local, visit.origin.peer, *parse_port(argument)))
    return Reply(code=200, text="the data connection will be made to you")


def eprt(visit: Visit, argument: str) -> Reply:
    """EPRT: a port of the client (RFC 2428, section 2)."""
    _may_choose(visit, "EPRT")
    _may_be_active(visit)
    visit.meet(Active(visit.local, visit.origin.peer, *parse_extended_port(argument)))
    return Reply(code=200, text="the data connection will be made to you")


def _may_choose(visit: Visit, verb: str) -> None:
    if visit.passive_only:
        raise ReplyError(503, f"after EPSV ALL there is no {verb}")


def _may_be_active(visit: Visit) -> None:
    if not visit.settings.active:
        raise ReplyError(502, "the server connects to nobody here: use EPSV or PASV (passive mode)")


# -- what is announced of the next transfer ------------------------------------------------------------------------


def rest(visit: Visit, argument: str) -> Reply:
    """REST: where the next transfer begins, bytes from the start (RFC 3659, section 5)."""
    text = argument.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _MAX_OFFSET:
        raise ReplyError(501, "REST takes a number of bytes")
    visit.restart = int(text)
    return Reply(code=350, text=f"the next transfer begins at {visit.restart}")


def allo(visit: Visit, argument: str) -> Reply:
    """ALLO: how long the next upload is; it is held against what comes."""
    text = argument.strip().partition(" ")[0]
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _MAX_OFFSET:
        raise ReplyError(501, "ALLO takes a number of bytes")
    visit.announced = int(text) or None
    return Reply(code=200, text="noted")


def abor(_visit: Visit, _argument: str) -> Reply:
    """ABOR, where nothing is under way."""
    return Reply(code=226, text="there is no transfer")


# -- downloads and listings ----------------------------------------------------------------------------------------


def retr(visit: Visit, argument: str) -> Reply:
    """RETR: send a file."""
    path, offset = visit.file_path(argument), visit.take_restart()
    handle = visit.filesystem.open_read(path)
    try:
        size = handle.entry.size
        if offset > size:
            raise ReplyError(554, f"the file has {size} bytes; REST {offset} is behind its end")
        with _sending(visit, f"sending {path.name} ({size - offset} bytes)") as wire:
            for pieces in _pieces(handle, offset, visit.settings):
                for piece in pieces:
                    wire.send(piece, visit.settings.stall_timeout)
                    visit.observer.transferred("out", len(piece))
                visit.watch.glance()
    finally:
        handle.close()
    return Reply(code=226, text=f"sent {size - offset} bytes")


def _pieces(handle: ReadHandle, offset: int, settings: FtpSettings) -> Iterator[Sequence[bytes | memoryview]]:
    """Yield the file from *offset* on; each turn's memory may be used again for the next.

    What is at hand is given out where it lies, without a copy of its own for each piece.
    """
    size = handle.entry.size
    at_hand = handle.read_immediate if isinstance(handle, ImmediateRead) else None
    while offset < size:
        pieces: Sequence[bytes | memoryview] | None = None
        if at_hand is not None:
            pieces = at_hand(offset, min(settings.buffer, size - offset))
        if pieces is None:
            pieces = (handle.read(offset, min(settings.piece, size - offset)),)
        length = sum(map(len, pieces))
        if not length:
            raise NotFoundError("the file ended before its size")
        yield pieces
        offset += length


def list_(visit: Visit, argument: str) -> Reply:
    """LIST: rows as `ls -l` shows them."""
    now = time.time()
    return _list(visit, listing_path(argument), lambda row: long_row(row, now))


def nlst(visit: Visit, argument: str) -> Reply:
    """NLST: names."""
    return _list(visit, listing_path(argument), name_row)


def mlsd(visit: Visit, argument: str) -> Reply:
    """MLSD: facts of a directory's entries (RFC 3659, section 7)."""
    facts, changes = visit.facts, changes_in(visit.filesystem, visit.path(argument))
    return _list(visit, argument, lambda row: fact_row(row, facts, changes), files=False)


def _list(visit: Visit, argument: str, show: Callable[[Row], str], *, files: bool = True) -> Reply:
    path = visit.path(argument)
    visit.take_restart()
    try:
        rows = scan_rows(visit.filesystem, path)
    except NotADirectoryPathError:
        if not files:
            raise ReplyError(501, f"{path} is a file; use MLST") from None
        rows = iter((row_of(visit.filesystem.stat(path)),))
    with _sending(visit, "listing follows") as wire:
        for piece in encode_rows(rows, show, _ROWS):
            wire.send(piece, visit.settings.stall_timeout)
            visit.watch.glance()
    return Reply(code=226, text="that was all")


@contextlib.contextmanager
def _sending(visit: Visit, what: str) -> Iterator[Wire]:
    """Give the data connection to send on; its end is honest only where nothing went wrong."""
    wire = _open_data(visit, what)
    try:
        with _listening(visit):
            yield wire
    except ConnectionEndedError as error:
        wire.reset()
        raise ReplyError(426, f"the transfer was cut: {error}") from error
    except TooSlowError as error:
        wire.reset()
        raise ReplyError(426, "the transfer was ended: nothing was taken for too long") from error
    except BaseException:
        wire.reset()
        raise
    wire.finish()
    wire.close()


# -- uploads -------------------------------------------------------------------------------------------------------


def stor(visit: Visit, argument: str) -> Reply:
    """STOR: receive a file; after REST go on with what came before."""
    path, offset = visit.file_path(argument), visit.take_restart()
    mode = WriteMode.RESUME if offset else WriteMode.REPLACE
    return _receive(visit, path, mode, offset)


def appe(visit: Visit, argument: str) -> Reply:
    """APPE: go on with what came before, from the size that was shown, which may be less than was received."""
    path, offset = visit.file_path(argument), visit.take_restart()
    if not offset:
        try:
            offset = visit.filesystem.stat(path).size
        except NotFoundError:
            offset = 0
    return _receive(visit, path, WriteMode.RESUME, offset)


def stou(visit: Visit, _argument: str) -> Reply:
    """STOU: receive a file under a name of its own."""
    visit.take_restart()
    name = f"upload-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"
    return _receive(visit, visit.directory.child(name), WriteMode.CREATE, 0, told=f"FILE: {name}")


def _receive(visit: Visit, path: VirtualPath, mode: WriteMode, offset: int, *, told: str | None = None) -> Reply:
    announced = visit.take_announced()
    if visit.ascii:
        raise ReplyError(550, "files are taken as they are: send TYPE I (binary) first, or the file would be changed")
    handle = visit.filesystem.open_write(path, mode, length=announced if not offset else None)
    upload = _Upload(visit, handle, offset)
    try:
        upload.check_start()
        with _receiving(visit, told or f"receiving {path.name}", upload) as wire:
            upload.take(wire)
        receipt = upload.land(announced)
    except BaseException as error:
        handle.abort(_reason(error))
        raise
    return Reply(code=226, text=f"landed: {upload.end} bytes, receipt {receipt}")


class _Upload:
    """An upload while it comes in."""

    def __init__(self, visit: Visit, handle: WriteHandle, offset: int) -> None:
        """Write to *handle* from *offset* on."""
        self._visit = visit
        self._handle = handle
        self._start = offset
        self.end = offset
        """Where the next byte belongs."""

    def check_start(self) -> None:
        """Let no hole come about.

        Raises:
            OffsetMismatchError: it would begin behind what was received.
        """
        received = self._handle.received
        if self._start > received:
            raise OffsetMismatchError(f"{received} bytes are here; go on from there or before")

    def take(self, wire: Wire) -> None:
        """Receive to the end that the client meant; what came before any other end is kept too."""
        settings, own = self._visit.settings, memoryview(b"")
        lend = self._handle.lend if isinstance(self._handle, Lends) else lambda _offset: None
        while True:
            view = lend(self.end)
            if view is None:
                view = own = own or memoryview(bytearray(settings.buffer))
            try:
                count = wire.fill(view, settings.stall_timeout)
            except BaseException:
                with contextlib.suppress(FileSystemError):
                    self._write(view[: wire.filled])
                raise
            self._write(view[:count])
            if count < len(view):
                return
            self._visit.watch.glance()

    def _write(self, data: memoryview) -> None:
        if data:
            self._handle.write(self.end, data)
            self.end += len(data)
            self._visit.observer.transferred("in", len(data))

    def land(self, announced: int | None) -> str:
        """Commit and return the receipt's id.

        Raises:
            OffsetMismatchError: it has not the length that ALLO announced, of the whole or of what was still to come.
        """
        if announced is not None and announced not in {self.end, self.end - self._start}:
            raise OffsetMismatchError(f"{self.end} bytes came, and {announced} were announced: the file is not whole")
        return self._handle.commit(length=self.end).id


@contextlib.contextmanager
def _receiving(visit: Visit, what: str, upload: _Upload) -> Iterator[Wire]:
    """Give the data connection to receive from, and tell every end but the client's own as what it is."""
    wire = _open_data(visit, what)
    try:
        with _listening(visit):
            yield wire
    except ConnectionEndedError as error:
        wire.reset()
        raise ReplyError(426, f"cut after {upload.end} bytes, kept for a resume: {error}") from error
    except TooSlowError as error:
        wire.reset()
        raise ReplyError(426, f"nothing came for too long; {upload.end} bytes are kept for a resume") from error
    except (AbortedError, WokenError):
        wire.reset()
        raise
    except Exception as error:
        _let_finish(visit, wire, error)
        raise
    wire.finish()
    wire.close()


def _let_finish(visit: Visit, wire: Wire, error: Exception) -> None:
    """Tell the client why it is refused, and read on for a while: a reset might take the answer with it."""
    deadline = time.monotonic() + visit.settings.linger
    try:
        answer = as_reply(error)
        if answer is not None:
            visit.answered = True
            visit.control.reply("STOR", answer.code, answer.text)
        view = memoryview(bytearray(visit.settings.buffer))
        while (left := deadline - time.monotonic()) > 0 and wire.fill(view, left) == len(view):
            visit.watch.glance()
        wire.finish()
    except (ConnectionEndedError, TooSlowError):
        pass  # it has left, or goes on for longer than anybody listens
    finally:
        wire.reset()


# -- the data connection -------------------------------------------------------------------------------------------


def _open_data(visit: Visit, what: str) -> Wire:
    """Say that a transfer begins, and make its connection with TLS around it.

    Raises:
        ReplyError: it does not come about.
    """
    rendezvous = visit.take_rendezvous()
    settings = visit.settings
    try:
        visit.control.reply("DATA", 150, what)
        with _listening(visit):
            try:
                wire = Wire(rendezvous.connect(visit.watch, settings.connect_timeout), visit.watch)
            except (ConnectionEndedError, TooSlowError) as error:
                raise ReplyError(425, "the data connection was not opened") from error
            try:
                wire.secure(lambda sock: visit.entrance.tls.wrap(sock, data=True), settings.handshake_timeout)
            except (ConnectionEndedError, TooSlowError) as error:
                wire.reset()
                raise ReplyError(425, "the data connection has no TLS: send PROT P and begin TLS on it") from error
            except BaseException:
                wire.reset()
                raise
    finally:
        rendezvous.close()
    return wire


@contextlib.contextmanager
def _listening(visit: Visit) -> Iterator[None]:
    """Listen to the control connection meanwhile: ABOR ends the transfer, STAT tells, everything else waits.

    Where that connection is lost the transfer goes on: firewalls forget one that is silent for hours, and the data
    connection knows by itself whether the file is whole.
    """
    watch, control = visit.watch, visit.control

    def attend() -> None:
        control.take_in()
        if control.take_urgent("ABOR"):
            raise AbortedError("the client sent ABOR")
        if control.take_first("STAT"):
            control.reply("STAT", 211, "a transfer is under way")
        if not control.has_room():
            watch.beside = None

    watch.attend, watch.beside = attend, control.wire
    try:
        attend()
        yield
    finally:
        watch.beside = None


def _reason(error: BaseException) -> str:
    """Return what the record says about an upload that was not committed."""
    if isinstance(error, ReplyError | FileSystemError | AbortedError):
        return str(error)
    return "the session was ended" if isinstance(error, WokenError) else "the transfer failed"
