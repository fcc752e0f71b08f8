"""The body of one request goes to where an upload stands: what tus and the IETF's draft have in common.

Whatever ends it, what came and may be trusted is kept; what has a checksum that does not hold, or never came, is not.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from protocols.errors import FileSystemError, NotFoundError
from protocols.http.auth import connection_of
from protocols.http.body import Limit, receive
from protocols.http.digests import AwaitedChecksum, Checksum
from protocols.http.status import ProblemError, TransferCutError, proceed
from protocols.http.tail import Tail
from protocols.http.upload import give_password
from protocols.resumable import NumberedUploads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from protocols.aio import Crossing
    from protocols.filesystem import Receipt, WritableFileSystem
    from protocols.http.settings import HttpSettings
    from protocols.resumable import NumberedHandle

_log = logging.getLogger(__name__)
UPLOAD_CHECKSUM = "Upload-Checksum"
MORE_TO_COME = "a piece came; more are to come"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one request brings."""

    offset: int
    """Where it belongs in the file."""
    body: int | None
    """Bytes that it must have; None: its own last chunk says so."""
    length: int | None
    """Bytes of the whole file, where known."""
    ends: bool | None
    """Whether the file is whole after it; None: it is once it has its length."""
    checksum: Checksum | AwaitedChecksum | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of it."""

    offset: int
    receipt: Receipt | None
    """Of a file that is whole now."""


class ChecksumError(Exception):
    """What came is not what was sent; nothing of it is kept."""


class Inflow:
    """Receives pieces."""

    def __init__(self, crossing: Crossing, settings: HttpSettings) -> None:
        """Write through *crossing*, within *settings*."""
        self.crossing = crossing
        self.settings = settings

    async def take(
        self,
        request: web.Request,
        handle: NumberedHandle,
        piece: Piece,
        begun: Callable[[], Awaitable[None]] | None = None,
    ) -> Outcome:
        """Receive the body of *request* into *handle*, which has ended then, whatever happens.

        *begun* is awaited once the client may send.

        Raises:
            ProblemError: 413, it is longer than what is left; 400, or 408.
            ChecksumError: what came was thrown away.
            TransferCutError: it broke off.
            FileSystemError: it cannot be kept.
        """
        tail = Tail(offset=piece.offset, pieces=[], checksum=piece.checksum)
        try:
            _require_room(piece)
            await proceed(request)
            if begun is not None:
                await begun()
            await self._receive(request, handle, tail, piece)
            return await self.crossing.run(_settle, handle, tail, piece, self._holds(request, tail, piece))
        except BaseException as error:
            await self.crossing.run(_keep, handle, tail, piece, reason_of(error))
            raise

    async def _receive(self, request: web.Request, handle: NumberedHandle, tail: Tail, piece: Piece) -> None:
        left = piece.length
        if left is None:
            left = self.settings.max_body
        limit = Limit(most=None if left is None else left - piece.offset, problem=lambda: too_long(left or 0))
        received = await receive(request, handle, tail, crossing=self.crossing, settings=self.settings, limit=limit)
        if piece.body is not None and received != piece.body:
            raise TransferCutError(f"the body should have {piece.body} bytes")

    @staticmethod
    def _holds(request: web.Request, tail: Tail, piece: Piece) -> Callable[[], bool]:
        """Return what compares the checksum, once the last bytes were taken into it."""
        checksum = piece.checksum
        if isinstance(checksum, AwaitedChecksum):
            text = connection_of(request).trailer().get(UPLOAD_CHECKSUM.lower())
            if text is None:
                raise ProblemError(HTTPStatus.BAD_REQUEST, "the trailer that was announced did not come")
            return lambda: checksum.compared(text)
        if isinstance(checksum, Checksum):
            return lambda: checksum.holds
        return lambda: tail.size == 0


def numbered(filesystem: WritableFileSystem) -> NumberedUploads:
    """Return what can give uploads an address.

    Raises:
        NotFoundError: this filesystem cannot.
    """
    if not isinstance(filesystem, NumberedUploads):
        raise NotFoundError("uploads have no addresses here")
    return filesystem


def _require_room(piece: Piece) -> None:
    """Raise 413 where a body is announced that leads beyond the end of its file."""
    if piece.length is not None and piece.offset + (piece.body or 0) > piece.length:
        raise too_long(piece.length)


def too_long(length: int) -> ProblemError:
    """Return the answer to a body that leads beyond the end of its file."""
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the file has {length} bytes; what was sent leads beyond its end"
    )


def location(request: web.Request, upload_id: str) -> str:
    """Return the absolute address of an upload: not every client resolves another one."""
    return f"https://{request.host}/tus/{upload_id}"


def receipt_headers(receipt: Receipt | None) -> dict[str, str]:
    """Return where the receipt of a file that is whole is read."""
    url = None if receipt is None else receipt.document.get("url")
    return {hdrs.CONTENT_LOCATION: url} if isinstance(url, str) else {}


def receipt_body(receipt: Receipt) -> bytes:
    """Return a receipt as JSON."""
    return json.dumps(dict(receipt.document)).encode()


def reason_of(error: BaseException) -> str:
    """Return what the record says about an upload that was not committed."""
    if isinstance(error, ProblemError | FileSystemError | TransferCutError | ChecksumError):
        return str(error)
    return "the transfer ended early"


def _settle(handle: NumberedHandle, tail: Tail, piece: Piece, holds: Callable[[], bool]) -> Outcome:
    """Write the last bytes, compare, and either land the file or keep the piece; in one crossing."""
    tail.flush(handle)
    if not holds():
        raise ChecksumError("what came does not have the checksum that was sent with it; send it again")
    if piece.checksum is not None:
        handle.confirm()
    give_password(handle, piece.password)
    whole = tail.offset == piece.length if piece.ends is None else piece.ends
    if whole:
        receipt = handle.commit(length=tail.offset)
        return Outcome(offset=tail.offset, receipt=receipt)
    handle.sync()
    received = handle.received
    handle.abort(MORE_TO_COME)
    return Outcome(offset=received, receipt=None)


def _keep(handle: NumberedHandle, tail: Tail, piece: Piece, reason: str) -> None:
    """Give the upload up for now, with what of it may be trusted."""
    try:
        if piece.checksum is None:
            tail.flush(handle)
        else:
            handle.truncate(piece.offset)
            handle.confirm()
    except FileSystemError:
        _log.debug("http.tail_refused")
    except Exception:  # noqa: BLE001 -- the upload must be given up whatever happens
        _log.exception("http.tail_failed")
    handle.abort(reason)
