"""PUT: a body becomes an upload, whole or not at all.

Only a body that is framed and proven complete is committed. Whatever else ends it leaves an interrupted upload behind,
which `Content-Range: bytes FIRST-LAST/TOTAL` goes on with. lftp says so in `Range`, and would take a part that is kept
as the whole for a success.
"""

from __future__ import annotations

import email.utils
import json
import logging
import math
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import hdrs, web

from protocols.errors import FileSystemError, NotFoundError
from protocols.filesystem import TakesPassword, Truncates, WriteMode
from protocols.http.body import Limit, announced_length, receive
from protocols.http.conditions import (
    ContentRange,
    allow_write,
    parse_part,
    wants_nothing_there,
    wants_stat,
)
from protocols.http.digests import Checksums, parse_content_md5, parse_digest, parse_old_digest
from protocols.http.status import ProblemError, TransferCutError, proceed
from protocols.http.tail import Tail

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

    from protocols.aio import Crossing
    from protocols.filesystem import Receipt, WritableFileSystem, WriteHandle
    from protocols.http.settings import HttpSettings
    from protocols.http.target import Target
    from protocols.path import VirtualPath

_log = logging.getLogger(__name__)
UPLOAD_OFFSET = "Upload-Offset"
ARCHIVE_PASSWORD = "Archive-Password"  # noqa: S105 - the name of a header
_OC_MTIME = "X-OC-Mtime"
_CONTENT_DIGEST = "Content-Digest"
_REPR_DIGEST = "Repr-Digest"
_CONTENT_MD5 = "Content-MD5"
_OLD_DIGEST = "Digest"
_DIGEST_FIELDS = (_CONTENT_DIGEST, _REPR_DIGEST)
_LATEST = 253_402_300_800.0
"""POSIX seconds of the year 10000, which no calendar of ours can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a PUT asks for."""

    path: VirtualPath
    mode: WriteMode
    start: int
    """Offset of the first byte of the body in the file."""
    body: int | None
    """Bytes that the body must have; None: its own last chunk says so."""
    whole: int | None
    """Bytes that the whole file has, where known before the body."""
    final: bool
    """Whether the file is whole after this body."""
    modified: float | None
    """The client's own time stamp, POSIX seconds."""
    password: str | None = field(default=None, repr=False)
    """Of the archive that the body is."""
    checksum: Checksums | None = None
    """What the body must have (RFC 9530)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A committed upload, and the ETag that its sender sees."""

    receipt: Receipt
    etag: str | None


class Uploads:
    """Answers PUT."""

    def __init__(self, crossing: Crossing, settings: HttpSettings) -> None:
        """Write through *crossing*, within *settings*."""
        self._crossing = crossing
        self._settings = settings

    async def answer(self, request: web.Request, filesystem: WritableFileSystem, target: Target) -> web.StreamResponse:
        """Receive the body; return 201 with the receipt, or 202 for a part that does not end the file.

        Everything that can be refused is refused before `100 Continue`, hence before a patient client sends its body.

        Raises:
            ProblemError: it is refused.
            FileSystemError: the filesystem refuses it.
            TransferCutError: the body broke off; it is kept for a resume.
        """
        order = parse_order(request, target, self._settings)
        handle = await self._crossing.run(_open, filesystem, order, request.headers)
        tail = Tail(offset=order.start, pieces=[], checksum=order.checksum)
        try:
            await proceed(request)
            await self._receive(request, handle, order, tail)
            if order.checksum is not None:
                await self._crossing.run(_compare, handle, tail, order)
            if not order.final:
                return await self._part_received(handle, tail)
            landed = await self._crossing.run(_land, filesystem, handle, tail, order)
        except BaseException as error:
            await self._crossing.run(_keep, handle, tail, _reason(error))
            raise
        return _created(landed, target, order)

    async def _receive(self, request: web.Request, handle: WriteHandle, order: Order, tail: Tail) -> None:
        """Take the body, no more and no less than was announced."""
        limit = Limit(
            most=order.body if order.body is not None else self._settings.max_body,
            problem=lambda: (
                _too_large(self._settings.max_body or 0) if order.body is None else _wrong_length(order.body)
            ),
        )
        received = await receive(request, handle, tail, crossing=self._crossing, settings=self._settings, limit=limit)
        if order.body is not None and received != order.body:
            raise _wrong_length(order.body)

    async def _part_received(self, handle: WriteHandle, tail: Tail) -> web.Response:
        """Keep a part of a file that more parts will follow."""
        received = await self._crossing.run(_keep_part, handle, tail)
        return web.Response(
            status=HTTPStatus.ACCEPTED,
            body=json.dumps({"received": received}).encode(),
            content_type="application/json",
            headers={hdrs.CACHE_CONTROL: "no-store", **_progress(received)},
        )


def parse_order(request: web.Request, target: Target, settings: HttpSettings) -> Order:
    """Read what a PUT asks for from its target and headers.

    Raises:
        ProblemError: 400, 411, 413 or 415, saying what is wrong.
    """
    headers = request.headers
    if target.directory or target.depth < target.mount.name_depth:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "the address names a directory; add the file's name (curl -T adds it after a slash)"
        )
    if headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() != "identity":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the file's own bytes; no Content-Encoding is undone here"
        )
    body = announced_length(headers)
    part = parse_part(headers)
    if part is not None and body not in {None, part.length}:
        raise _wrong_length(part.length)
    whole = part.total if part is not None else body
    if settings.max_body is not None and whole is not None and whole > settings.max_body:
        raise _too_large(settings.max_body)
    return Order(
        path=target.path,
        mode=_mode(headers, part),
        start=part.first if part is not None else 0,
        body=part.length if part is not None else body,
        whole=whole,
        final=part is None or part.final,
        modified=parse_modified(headers),
        password=parse_password(headers),
        checksum=_checksum(headers, part),
    )


def _checksum(headers: CIMultiDictProxy[str], part: ContentRange | None) -> Checksums | None:
    """Return what the body is compared with: its own digest, and that of the file, which it must be all of."""
    told = {name: ", ".join(headers.getall(name)) for name in _DIGEST_FIELDS if name in headers}
    made = [parse_digest(name, text) for name, text in told.items()]
    if _CONTENT_MD5 in headers:
        made.append(parse_content_md5(headers[_CONTENT_MD5]))
    if _OLD_DIGEST in headers:
        made.append(parse_old_digest(", ".join(headers.getall(_OLD_DIGEST))))
    wanted = [checksum for checksum in made if checksum is not None]
    if (_REPR_DIGEST in told or _OLD_DIGEST in headers) and part is not None and part.length < part.total:
        whole = _REPR_DIGEST if _REPR_DIGEST in told else _OLD_DIGEST
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"{whole} is that of a whole file, and this is a part of one; send {_CONTENT_DIGEST} with each part",
        )
    return Checksums(wanted) if wanted else None


def parse_password(headers: CIMultiDictProxy[str]) -> str | None:
    """Return the password of an archive: percent-encoded UTF-8 (RFC 3986, section 2.1); a header has ASCII alone."""
    text = headers.get(ARCHIVE_PASSWORD)
    if text is None:
        return None
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"{ARCHIVE_PASSWORD} is a password in UTF-8, percent-encoded beyond ASCII"
        ) from None


def give_password(handle: WriteHandle, password: str | None) -> None:
    """Give the password of an archive to its upload, before that is committed."""
    if password is None:
        return
    if not isinstance(handle, TakesPassword):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "a password is not taken with this file")
    handle.give_password(password)


def _mode(headers: CIMultiDictProxy[str], part: ContentRange | None) -> WriteMode:
    """Return how to open: a part behind the first byte goes on with what is there."""
    if part is not None and part.first > 0:
        return WriteMode.RESUME
    return WriteMode.CREATE if wants_nothing_there(headers) else WriteMode.REPLACE


def parse_modified(headers: CIMultiDictProxy[str]) -> float | None:
    """Return the client's own time stamp: `X-OC-Mtime` (POSIX seconds, as rclone sends it) or Last-Modified."""
    text = headers.get(_OC_MTIME)
    if text is not None:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < _LATEST:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"{_OC_MTIME} is a time in seconds since 1970")
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers[hdrs.LAST_MODIFIED]).timestamp())
    except (KeyError, ValueError, OverflowError):
        return None


def _open(filesystem: WritableFileSystem, order: Order, headers: CIMultiDictProxy[str]) -> WriteHandle:
    """Check the preconditions and begin or resume the upload, in one crossing."""
    if wants_stat(headers) or order.start > 0:
        try:
            entry = filesystem.stat(order.path)
        except NotFoundError:
            entry = None
        allow_write(headers, entry)
        if entry is None and order.start > 0:
            raise _gap(0)
    handle = filesystem.open_write(order.path, order.mode, length=order.whole)
    received = handle.received
    if order.start > received:
        handle.abort("resumed behind what was received")
        raise _gap(received)
    return handle


def _compare(handle: WriteHandle, tail: Tail, order: Order) -> None:
    """Throw the body away if it is not what was sent.

    Raises:
        ProblemError: 400.
    """
    tail.flush(handle)
    if order.checksum is not None and not order.checksum.holds:
        if isinstance(handle, Truncates):
            handle.truncate(order.start)
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "what came does not have the digest that was sent with it; send it again"
        )


def _land(filesystem: WritableFileSystem, handle: WriteHandle, tail: Tail, order: Order) -> Landed:
    """Write the last piece and commit, in one crossing."""
    tail.flush(handle)
    give_password(handle, order.password)
    whole = order.whole if order.whole is not None else tail.offset
    receipt = handle.commit(length=whole, modified=order.modified)
    try:
        etag = filesystem.stat(order.path).etag
    except FileSystemError:
        etag = None
    except Exception:  # noqa: BLE001 -- it has landed: no failure behind that may turn the answer into an error
        _log.exception("http.stat_failed")
        etag = None
    return Landed(receipt=receipt, etag=etag)


def _keep(handle: WriteHandle, tail: Tail, reason: str) -> None:
    """Write what came before the transfer broke off, and give the upload up for now."""
    try:
        tail.flush(handle)
    except FileSystemError:
        _log.debug("http.tail_refused")
    except Exception:  # noqa: BLE001 -- the upload must be given up whatever happens
        _log.exception("http.tail_failed")
    handle.abort(reason)


def _keep_part(handle: WriteHandle, tail: Tail) -> int:
    """Make a part durable and return how much of the file is there."""
    tail.flush(handle)
    handle.sync()
    received = handle.received
    handle.abort("part received; more to come")
    return received


def _created(landed: Landed, target: Target, order: Order) -> web.Response:
    """Answer 201 with the receipt as body."""
    document = dict(landed.receipt.document)
    headers: dict[str, str] = {hdrs.LOCATION: target.mount.url(order.path), hdrs.CACHE_CONTROL: "no-store"}
    url = document.get("url")
    if isinstance(url, str):
        headers[hdrs.CONTENT_LOCATION] = url
    if landed.etag is not None:
        headers[hdrs.ETAG] = f'"{landed.etag}"'
    if order.modified is not None:
        headers[_OC_MTIME] = "accepted"
    return web.Response(
        status=HTTPStatus.CREATED, body=json.dumps(document).encode(), content_type="application/json", headers=headers
    )


def _progress(received: int) -> dict[str, str]:
    """Return the headers that say how much of an upload is there."""
    headers = {UPLOAD_OFFSET: str(received)}
    if received:
        headers[hdrs.RANGE] = f"bytes=0-{received - 1}"
    return headers


def _gap(received: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        f"{received} bytes are there; go on from there or before",
        headers=_progress(received),
    )


def _wrong_length(length: int) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, f"the body should have {length} bytes")


def _too_large(limit: int) -> ProblemError:
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"files of up to {limit} bytes are taken")


def _reason(error: BaseException) -> str:
    """Return what the record says about an upload that was not committed."""
    if isinstance(error, ProblemError | FileSystemError | TransferCutError):
        return str(error)
    return "the transfer ended early"
