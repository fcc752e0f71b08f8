"""tus 1.0.0 with all of its extensions.

These are creation (with upload, with deferred length), expiration, checksum (in a trailer too), termination, and
concatenation (of unfinished parts too).

    POST /tus/             Upload-Metadata says the file's name, and `case` which case it is for
    POST /tus/FOLDER/      the same into a folder of the tree: /tus/cases/4711/, for example
    HEAD, PATCH, DELETE /tus/ID

An upload is an upload of the application: other protocols see it, and may go on with it. Methods that proxies drop come
as POST with X-HTTP-Method-Override.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import re
import time
from functools import partial
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from protocols.errors import (
    AlreadyExistsError,
    AuthenticationError,
    ElsewhereError,
    FileSystemError,
    NoSpaceError,
    NotFoundError,
    OffsetMismatchError,
    QuotaExceededError,
    WrongEntranceError,
)
from protocols.http.auth import session_of
from protocols.http.body import announced_length
from protocols.http.digests import ALGORITHMS, AwaitedChecksum, Checksum, parse_upload_checksum
from protocols.http.inflow import (
    UPLOAD_CHECKSUM,
    ChecksumError,
    Inflow,
    Piece,
    location,
    numbered,
    receipt_headers,
    too_long,
)
from protocols.http.override import method_of
from protocols.http.status import BESIDES, ProblemError, as_problem, proceed
from protocols.http.target import Mount, origin_form, parse_target
from protocols.http.upload import UPLOAD_OFFSET, parse_password
from protocols.http.uploadmetadata import UPLOAD_METADATA, case_of, modified_of, name_of, parse_metadata
from protocols.path import VirtualPath
from protocols.resumable import UploadKind, UploadOrder

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

    from protocols.filesystem import WritableFileSystem
    from protocols.http.draft import Drafts
    from protocols.resumable import NumberedHandle, UploadStatus

VERSION: Final = "1.0.0"
PREFIX: Final = "/tus"
TUS_RESUMABLE: Final = "Tus-Resumable"
UPLOAD_LENGTH: Final = "Upload-Length"
UPLOAD_CONCAT: Final = "Upload-Concat"
UPLOAD_DEFER_LENGTH: Final = "Upload-Defer-Length"
UPLOAD_EXPIRES: Final = "Upload-Expires"
CONTENT_TYPE: Final = "application/offset+octet-stream"
EXTENSIONS: Final = (
    "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,"
    "concatenation,concatenation-unfinished"
)
_CHECKSUM_MISMATCH = 460
_RESOURCE = re.compile(rf"{PREFIX}/([0-9a-f]{{32}})/?")
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_BEYOND = 1 << 62
"""Bytes that no file has."""
_OF_UPLOADS = frozenset({hdrs.METH_HEAD, hdrs.METH_PATCH, hdrs.METH_DELETE})
_METHODS = _OF_UPLOADS | {hdrs.METH_POST}
_MOUNT = Mount(prefix=PREFIX)
_CASES = VirtualPath(("cases",))
_JOIN_PATIENCE = 20.0
"""Seconds that the reply to a request for a file of parts waits for it; after that HEAD tells."""
_STATUS: Final = {
    NoSpaceError: HTTPStatus.INSUFFICIENT_STORAGE,
    QuotaExceededError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    OffsetMismatchError: HTTPStatus.CONFLICT,
    AlreadyExistsError: HTTPStatus.CONFLICT,
}
"""Where tus has another status than the rest of the head; the first that fits.

Its clients try again after 5xx, and give up after 4xx: a disk may have room later, a quota has none by itself.
"""


class Tus:
    """Answers everything below `/tus`; what a client of the IETF's draft asks there is handed to *drafts*."""

    def __init__(self, inflow: Inflow, drafts: Drafts) -> None:
        """Receive by *inflow*."""
        self._inflow = inflow
        self._drafts = drafts
        self._crossing = inflow.crossing
        self._settings = inflow.settings

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request.

        Raises:
            ProblemError: it is refused.
            AuthenticationError: its sender is not signed in.
        """
        method = method_of(request)
        if method == hdrs.METH_OPTIONS:
            return self._options()
        if TUS_RESUMABLE in request.headers:
            request[BESIDES] = {TUS_RESUMABLE: VERSION}  # with 401 and 500 too ("Tus-Resumable")
        session = await session_of(request)
        filesystem = session.filesystem
        path = origin_form(request.raw_path).partition("?")[0]
        resource = _RESOURCE.fullmatch(path)
        if TUS_RESUMABLE not in request.headers and await self._drafts.takes(request, filesystem, method, resource):
            return await self._drafts.answer(request, filesystem, method, resource and resource[1])
        try:
            response = await self._dispatch(request, filesystem, method, resource and resource[1])
        except (AuthenticationError, ElsewhereError, WrongEntranceError):
            raise  # the head answers them for all that it serves
        except ChecksumError as error:
            response = _checksum_mismatch(str(error))
        except Exception as error:
            problem = _problem(error)
            if problem is None:
                raise
            problem.headers[TUS_RESUMABLE] = VERSION
            raise problem from error
        response.headers[TUS_RESUMABLE] = VERSION
        return response

    async def _dispatch(
        self, request: web.Request, filesystem: WritableFileSystem, method: str, upload_id: str | None
    ) -> web.StreamResponse:
        if method not in _METHODS:
            raise _not_allowed("OPTIONS, POST, HEAD, PATCH, DELETE", "uploads are made and gone on with here")
        if request.headers.get(TUS_RESUMABLE) != VERSION:
            raise ProblemError(
                HTTPStatus.PRECONDITION_FAILED, f"say '{TUS_RESUMABLE}: {VERSION}'", headers={"Tus-Version": VERSION}
            )
        if upload_id is None:
            if method in _OF_UPLOADS and origin_form(request.raw_path).partition("?")[0] not in {PREFIX, f"{PREFIX}/"}:
                raise NotFoundError("there is no such upload")
            if method != hdrs.METH_POST:
                raise _not_allowed("POST, OPTIONS", "uploads are made here, by POST")
            return await self._create(request, filesystem)
        match method:
            case hdrs.METH_HEAD:
                return await self._head(request, filesystem, upload_id)
            case hdrs.METH_PATCH:
                return await self._patch(request, filesystem, upload_id)
            case hdrs.METH_DELETE:
                await self._crossing.run(lambda: numbered(filesystem).remove_upload(upload_id))
                return web.Response(status=HTTPStatus.NO_CONTENT)
            case _:
                raise _not_allowed("HEAD, PATCH, DELETE, OPTIONS", "this is the address of an upload")

    def _options(self) -> web.Response:
        """Say what is known here; asks for no sign-in, because it says nothing about any file."""
        headers = {
            hdrs.ALLOW: "OPTIONS, POST, HEAD, PATCH, DELETE",
            TUS_RESUMABLE: VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            **self._drafts.options(),
        }
        if self._settings.max_body is not None:
            headers["Tus-Max-Size"] = str(self._settings.max_body)
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    # -- creation --------------------------------------------------------------------------------------------------

    async def _create(self, request: web.Request, filesystem: WritableFileSystem) -> web.StreamResponse:
        """Make an upload, and take its first bytes if they come along."""
        headers = request.headers
        kind, parts = _concatenation(headers)
        metadata = parse_metadata(_one(headers, UPLOAD_METADATA))
        length = _length_at_creation(headers, kind)
        if length is not None and self._settings.max_body is not None and length > self._settings.max_body:
            raise too_long(self._settings.max_body)
        order = UploadOrder(
            path=_path(request, metadata, kind),
            kind=kind,
            length=length,
            described=headers.get(UPLOAD_METADATA, "").strip(),
            modified=modified_of(metadata),
            password=parse_password(headers),
        )
        if kind is UploadKind.JOINED:
            return await self._join(request, filesystem, order, parts)
        body = _body_at_creation(request)
        piece = Piece(offset=0, body=body, length=length, ends=None, checksum=_checksum(headers))
        handle = await self._crossing.run(_begin, filesystem, order)
        answer: dict[str, str] = {hdrs.LOCATION: location(request, handle.id)}
        if body == 0 and length != 0:
            await self._crossing.run(handle.abort, "begun; its bytes are to come")
            await proceed(request)
            status = await self._crossing.run(numbered(filesystem).upload_status, handle.id)
            return web.Response(status=HTTPStatus.CREATED, headers={**answer, **_expiry(status.expires)})
        if piece.checksum is not None:
            handle = await self._crossing.run(_reopened, filesystem, handle)
        outcome = await self._inflow.take(request, handle, piece)
        status = await self._crossing.run(numbered(filesystem).upload_status, handle.id)
        answer |= {UPLOAD_OFFSET: str(outcome.offset), **_expiry(status.expires), **receipt_headers(outcome.receipt)}
        return web.Response(status=HTTPStatus.CREATED, headers=answer)

    async def _join(
        self, request: web.Request, filesystem: WritableFileSystem, order: UploadOrder, parts: tuple[str, ...]
    ) -> web.StreamResponse:
        """Make a file of parts; the reply waits for it, for a while."""
        status = await self._crossing.run(_begin_join, filesystem, order, parts)
        patience = time.monotonic() + _JOIN_PATIENCE
        pause = 0.01
        while not status.complete and await self._crossing.run(_may_become, filesystem, status):
            if time.monotonic() >= patience:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)
            status = await self._crossing.run(numbered(filesystem).upload_status, status.id)
        headers = {hdrs.LOCATION: location(request, status.id), **receipt_headers(status.receipt)}
        if status.complete:
            headers[UPLOAD_OFFSET] = str(status.offset)
        return web.Response(status=HTTPStatus.CREATED, headers=headers)

    # -- afterwards ------------------------------------------------------------------------------------------------

    async def _head(self, request: web.Request, filesystem: WritableFileSystem, upload_id: str) -> web.StreamResponse:
        """Say where an upload stands."""
        status = await self._crossing.run(numbered(filesystem).upload_status, upload_id)
        headers = {hdrs.CACHE_CONTROL: "no-store", **_expiry(status.expires), **receipt_headers(status.receipt)}
        if status.length is None:
            headers[UPLOAD_DEFER_LENGTH] = "1"
        else:
            headers[UPLOAD_LENGTH] = str(status.length)
        if status.complete or status.kind is not UploadKind.JOINED:
            headers[UPLOAD_OFFSET] = str(status.offset)
        if status.described:
            headers[UPLOAD_METADATA] = status.described
        if status.kind is UploadKind.PART:
            headers[UPLOAD_CONCAT] = "partial"
        elif status.kind is UploadKind.JOINED:
            headers[UPLOAD_CONCAT] = "final;" + " ".join(location(request, each) for each in status.parts)
        return web.Response(status=HTTPStatus.OK, headers=headers)

    async def _patch(self, request: web.Request, filesystem: WritableFileSystem, upload_id: str) -> web.StreamResponse:
        """Take bytes at the offset where the upload stands."""
        headers = request.headers
        if headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower() != CONTENT_TYPE:
            raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"bytes come with 'Content-Type: {CONTENT_TYPE}'")
        offset = _offset(headers)
        body = announced_length(headers)
        checksum = _checksum(headers)
        told = parse_number(headers, UPLOAD_LENGTH)
        opened = await self._crossing.run(
            _open, filesystem, upload_id, partial(_admit, offset=offset, body=body, length=told), checksum is not None
        )
        if isinstance(opened, str):  # nothing was sent, and nothing is missing
            return web.Response(status=HTTPStatus.NO_CONTENT, headers={UPLOAD_OFFSET: opened})
        handle, length = opened
        piece = Piece(
            offset=offset, body=body, length=length, ends=None, checksum=checksum, password=parse_password(headers)
        )
        outcome = await self._inflow.take(request, handle, piece)
        answer = {UPLOAD_OFFSET: str(outcome.offset), **receipt_headers(outcome.receipt)}
        if outcome.receipt is None:
            status = await self._crossing.run(numbered(filesystem).upload_status, upload_id)
            answer |= _expiry(status.expires)
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=answer)


def parse_number(headers: CIMultiDictProxy[str], name: str) -> int | None:
    """Return a header's number; None where it is absent.

    Raises:
        ProblemError: 400, it is not a number, or stands there twice; 413, no file is so long.
    """
    text = _one(headers, name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        if text.isascii() and text.isdigit():
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{name}: no file is so long")
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{name} is a number of bytes, in digits")
    if int(text) >= _BEYOND:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{name}: no file is so long")
    return int(text)


def _offset(headers: CIMultiDictProxy[str]) -> int:
    """Return where the bytes of a PATCH belong; a number beyond any file is an offset where nothing stands."""
    text = _one(headers, UPLOAD_OFFSET)
    if text is None:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{UPLOAD_OFFSET} says where the bytes belong")
    if not (text.isascii() and text.isdigit()):
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{UPLOAD_OFFSET} is a number of bytes, in digits")
    return int(text) if _NUMBER.fullmatch(text) else _BEYOND


def _one(headers: CIMultiDictProxy[str], name: str) -> str | None:
    """Return the value of a header that stands there once at most."""
    values = headers.getall(name, [])
    if len(values) > 1:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{name} stands there {len(values)} times")
    return values[0].strip() if values else None


def _concatenation(headers: CIMultiDictProxy[str]) -> tuple[UploadKind, tuple[str, ...]]:
    """Return what is made, and of which parts."""
    text = _one(headers, UPLOAD_CONCAT)
    if text is None:
        return UploadKind.WHOLE, ()
    if text == "partial":
        return UploadKind.PART, ()
    kind, semicolon, urls = text.partition(";")
    if kind != "final" or not semicolon or not urls.strip():
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{UPLOAD_CONCAT} reads 'partial', or 'final;' and addresses")
    return UploadKind.JOINED, tuple(_part(url) for url in urls.split())


def _part(url: str) -> str:
    """Return the id of a part from its address, which may be absolute."""
    path = re.sub(r"\Ahttps?://[^/]*", "", url)
    found = _RESOURCE.fullmatch(path)
    if found is None:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{UPLOAD_CONCAT} names what is no address of a part")
    return found[1]


def _length_at_creation(headers: CIMultiDictProxy[str], kind: UploadKind) -> int | None:
    """Return the announced length; None where it is deferred, or follows from parts."""
    length = parse_number(headers, UPLOAD_LENGTH)
    deferred = _one(headers, UPLOAD_DEFER_LENGTH)
    if deferred not in {None, "1"}:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{UPLOAD_DEFER_LENGTH} is 1, or absent")
    if kind is UploadKind.JOINED:
        if length is not None or deferred:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "the length of a file of parts is theirs; leave it out")
        return None
    if (length is None) == (deferred is None):
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"send {UPLOAD_LENGTH}, or '{UPLOAD_DEFER_LENGTH}: 1'")
    return length


def _body_at_creation(request: web.Request) -> int | None:
    """Return how many bytes come along with a creation; None: its last chunk says so."""
    headers = request.headers
    if hdrs.TRANSFER_ENCODING not in headers and int(headers.get(hdrs.CONTENT_LENGTH, "0")) == 0:
        return 0
    if headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"bytes come with 'Content-Type: {CONTENT_TYPE}'")
    return announced_length(headers)


def _checksum(headers: CIMultiDictProxy[str]) -> Checksum | AwaitedChecksum | None:
    """Return what the body is compared with, told before or behind it."""
    text = _one(headers, UPLOAD_CHECKSUM)
    if text is not None:
        return parse_upload_checksum(text)
    announced = {name.strip().lower() for name in headers.get(hdrs.TRAILER, "").split(",")}
    if UPLOAD_CHECKSUM.lower() not in announced:
        return None
    if hdrs.TRANSFER_ENCODING not in headers:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "only a body in chunks can have a trailer")
    return AwaitedChecksum()


def _path(request: web.Request, metadata: dict[str, str], kind: UploadKind) -> VirtualPath:
    """Return where the file will lie: in the folder of the address, or of the case that the metadata name."""
    folder = parse_target(request.raw_path, _MOUNT).path
    case = case_of(metadata)
    if case is not None:
        if folder.parts:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "a folder and a case are named; send it to one of them")
        folder = _CASES.child(case)
    if kind is UploadKind.PART:
        return folder.child(f"part-{token_hex(16)}")
    names = name_of(metadata)
    if names is None:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{UPLOAD_METADATA} says the file's name: filename BASE64")
    for name in names:
        folder = folder.child(name)
    return folder


def make_folders(filesystem: WritableFileSystem, path: VirtualPath) -> None:
    """Make the folders of *path* that are not there, below one that is."""
    missing: list[VirtualPath] = []
    folder = path.parent
    while len(folder.parts) > 2:
        try:
            filesystem.stat(folder)
        except NotFoundError:
            missing.append(folder)
            folder = folder.parent
        else:
            break
    for each in reversed(missing):
        try:
            filesystem.mkdir(each)
        except AlreadyExistsError:  # another upload of the same folder was faster
            continue


def _begin(filesystem: WritableFileSystem, order: UploadOrder) -> NumberedHandle:
    """Make an upload, with the folders that its name has."""
    if order.kind is not UploadKind.PART:
        make_folders(filesystem, order.path)
    return numbered(filesystem).begin_upload(order)


def _begin_join(filesystem: WritableFileSystem, order: UploadOrder, parts: tuple[str, ...]) -> UploadStatus:
    make_folders(filesystem, order.path)
    return numbered(filesystem).join_uploads(order, parts)


def _reopened(filesystem: WritableFileSystem, handle: NumberedHandle) -> NumberedHandle:
    """Open a new upload so that what comes counts for nothing before its checksum was compared."""
    handle.abort("begun; its first bytes have a checksum")
    return numbered(filesystem).resume_upload(handle.id, unverified=True)


def _may_become(filesystem: WritableFileSystem, status: UploadStatus) -> bool:
    """Say whether a file of parts can be whole soon: every part of it is."""
    uploads = numbered(filesystem)
    try:
        return all(uploads.upload_status(each).complete for each in status.parts)
    except NotFoundError:  # they are gone: it has just become
        return True


def _admit(status: UploadStatus, *, offset: int, body: int | None, length: int | None) -> int | None:
    """Say what length a file has by now, if bytes may come at *offset*.

    Raises:
        ProblemError: 400, 403, 409 or 413.
    """
    if status.kind is UploadKind.JOINED:
        raise ProblemError(HTTPStatus.FORBIDDEN, "a file of parts takes no bytes; send them to its parts")
    if length is not None and status.length is not None and length != status.length:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"the file was said to have {status.length} bytes")
    whole = status.length if status.length is not None else length
    if offset < status.offset or (whole is not None and offset > whole):
        raise mismatch(status.offset, offset)
    if whole is not None and offset == status.offset and offset + (body or 0) > whole:
        raise too_long(whole)
    return whole


def _open(
    filesystem: WritableFileSystem,
    upload_id: str,
    admit: partial[int | None],
    unverified: bool,  # noqa: FBT001 - positional for the crossing
) -> tuple[NumberedHandle, int | None] | str:
    """Open an upload for bytes at an offset; an offset as text where it is complete and nothing comes."""
    uploads = numbered(filesystem)
    status = uploads.upload_status(upload_id)
    length = admit(status)
    offset = int(admit.keywords["offset"])
    if status.complete:
        if offset == status.offset and admit.keywords["body"] == 0:
            return str(offset)
        raise ProblemError(HTTPStatus.FORBIDDEN, "the upload is complete")
    handle = uploads.resume_upload(upload_id, unverified=unverified)
    try:
        _require_offset(handle, offset)
        if status.length is None and length is not None:
            handle.announce(length)
    except BaseException as error:
        if unverified:
            handle.confirm()
        handle.abort(str(error) if isinstance(error, FileSystemError | ProblemError) else "the server failed")
        raise
    return handle, length


def _require_offset(handle: NumberedHandle, offset: int) -> None:
    """Raise 409 where an upload does not stand at *offset*."""
    if handle.received != offset:
        raise mismatch(handle.received, offset)


def mismatch(there: int, offset: int) -> ProblemError:
    """Return the answer to bytes for another offset than where the upload stands."""
    return ProblemError(
        HTTPStatus.CONFLICT,
        f"{there} bytes are there; what was sent belongs at {offset}",
        headers={UPLOAD_OFFSET: str(there), hdrs.CACHE_CONTROL: "no-store"},
    )


def _problem(error: Exception) -> ProblemError | None:
    """Return what a client of tus is told."""
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return ProblemError(status, str(error))
    return as_problem(error)


def _checksum_mismatch(why: str) -> web.Response:
    """Answer 460, which is tus' own status (extension "Checksum")."""
    document = {"type": "urn:mft:problem:checksum-mismatch", "title": "Checksum Mismatch", "status": 460, "detail": why}
    return web.Response(
        status=_CHECKSUM_MISMATCH,
        reason="Checksum Mismatch",
        body=json.dumps(document).encode(),
        content_type="application/problem+json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )


def _not_allowed(allowed: str, why: str) -> ProblemError:
    return ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, why, headers={hdrs.ALLOW: allowed})


def _expiry(expires: float | None) -> dict[str, str]:
    return {} if expires is None else {UPLOAD_EXPIRES: email.utils.formatdate(expires, usegmt=True)}
