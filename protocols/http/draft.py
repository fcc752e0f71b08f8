"""Resumable uploads after draft-ietf-httpbis-resumable-upload (version 11), on the same addresses as tus.

Any PUT or POST of a file whose head says `Upload-Complete` makes an upload with an address, which a `104 (Upload
Resumption Supported)` tells before the body is read; PATCH with `application/partial-upload` goes on with it, HEAD
asks, DELETE cancels. Clients of today's operating systems say `Upload-Complete: ?1` with every upload of a file.
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiohttp import HttpVersion11, hdrs, web

from protocols.errors import FileSystemError, LockedError, NotFoundError, OffsetMismatchError, QuotaExceededError
from protocols.filesystem import WriteMode
from protocols.http.body import announced_length
from protocols.http.conditions import allow_write, wants_nothing_there, wants_stat
from protocols.http.digests import digest_field, parse_digest, wants_sha256
from protocols.http.inflow import ChecksumError, Piece, location, numbered, receipt_body, receipt_headers, too_long
from protocols.http.status import ProblemError
from protocols.http.target import Mount, Target, parse_target
from protocols.http.upload import UPLOAD_OFFSET, parse_modified, parse_password
from protocols.http.uploadmetadata import UPLOAD_METADATA, name_of, parse_metadata
from protocols.resumable import Dialect, UploadOrder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from multidict import CIMultiDictProxy

    from protocols.filesystem import WritableFileSystem
    from protocols.http.inflow import Inflow, Outcome
    from protocols.resumable import NumberedHandle, UploadStatus

UPLOAD_COMPLETE: Final = "Upload-Complete"
UPLOAD_LIMIT: Final = "Upload-Limit"
UPLOAD_LENGTH: Final = "Upload-Length"
INTEROP: Final = "Upload-Draft-Interop-Version"
CONTENT_TYPE: Final = "application/partial-upload"
_NEWEST_INTEROP: Final = "8"
_KNOWN_INTEROP: Final = frozenset({"6", "7", "8"})
_PROBLEMS: Final = "https://iana.org/assignments/http-problem-types#"
_INTEGER = re.compile(r"\d{1,15}", re.ASCII)
"""Of structured fields (RFC 9651, section 3.3.1)."""
_FILENAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"|filename=([^\s;"]+)', re.IGNORECASE)
_EXTENDED = re.compile(r"filename\*=utf-8''([^\s;]+)", re.IGNORECASE)
_MOUNT = Mount(prefix="/tus")


class Drafts:
    """Answers clients of the draft."""

    def __init__(self, inflow: Inflow) -> None:
        """Receive by *inflow*."""
        self._inflow = inflow
        self._crossing = inflow.crossing
        self._settings = inflow.settings

    def options(self) -> dict[str, str]:
        """Return what OPTIONS says of it."""
        headers = {"Accept-Patch": f"{CONTENT_TYPE}, application/offset+octet-stream", INTEROP: _NEWEST_INTEROP}
        if self._settings.max_body is not None:
            headers[UPLOAD_LIMIT] = f"max-size={self._settings.max_body}"
        return headers

    async def takes(
        self, request: web.Request, filesystem: WritableFileSystem, method: str, resource: re.Match[str] | None
    ) -> bool:
        """Say whether a request that does not speak tus is one of the draft's."""
        if completes(request.headers) is not None or INTEROP in request.headers:
            return True
        if resource is None:
            return False
        if method == hdrs.METH_PATCH:
            return _media_type(request) == CONTENT_TYPE
        if method not in {hdrs.METH_HEAD, hdrs.METH_DELETE}:
            return False
        try:
            status = await self._crossing.run(numbered(filesystem).upload_status, resource[1])
        except FileSystemError:
            return False
        return status.dialect is Dialect.DRAFT

    async def answer(
        self, request: web.Request, filesystem: WritableFileSystem, method: str, upload_id: str | None
    ) -> web.StreamResponse:
        """Answer a request below `/tus`."""
        if upload_id is None:
            if method not in {hdrs.METH_POST, hdrs.METH_PUT}:
                raise ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, "uploads are made here", headers={hdrs.ALLOW: "POST"})
            return await self.create(request, filesystem, self._target(request))
        match method:
            case hdrs.METH_HEAD:
                return await self._head(filesystem, upload_id)
            case hdrs.METH_PATCH:
                return await self._append(request, filesystem, upload_id)
            case hdrs.METH_DELETE:
                await self._crossing.run(lambda: numbered(filesystem).remove_upload(upload_id))
                return web.Response(status=HTTPStatus.NO_CONTENT)
            case _:
                raise ProblemError(
                    HTTPStatus.METHOD_NOT_ALLOWED,
                    "this is the address of an upload",
                    headers={hdrs.ALLOW: "HEAD, PATCH, DELETE, OPTIONS"},
                )

    async def create(self, request: web.Request, filesystem: WritableFileSystem, target: Target) -> web.StreamResponse:
        """Make an upload of the file at *target*, and take what of it comes along."""
        headers = request.headers
        ends = completes(headers)
        if ends is None:  # older versions said it otherwise: what they mean to be whole would never become a file
            versions = ", ".join(sorted(_KNOWN_INTEROP))
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                f"say '{UPLOAD_COMPLETE}: ?1' or '?0', as versions {versions} of the draft have it",
            )
        if target.directory or target.depth < target.mount.name_depth:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "the address names a directory; add the file's name")
        body = announced_length(headers)
        length = _consistent_length(headers, 0, body, ends=bool(ends))
        if length is not None and self._settings.max_body is not None and length > self._settings.max_body:
            raise self._too_long(self._settings.max_body)
        modified = parse_modified(headers)
        order = UploadOrder(
            path=target.path,
            dialect=Dialect.DRAFT,
            length=length,
            mode=WriteMode.CREATE if wants_nothing_there(headers) else WriteMode.REPLACE,
            modified=modified,
            password=parse_password(headers),
        )
        checksum = parse_digest("Content-Digest", headers.get("Content-Digest"))
        if checksum is None and ends:
            checksum = parse_digest("Repr-Digest", headers.get("Repr-Digest"))
        handle = await self._crossing.run(_begin, filesystem, order, headers)
        place = location(request, handle.id)
        piece = Piece(offset=0, body=body, length=length, ends=bool(ends), checksum=checksum)
        if checksum is not None:
            handle = await self._crossing.run(_reopened, filesystem, handle)

        async def begun() -> None:
            await self._tell(request, place)

        outcome = await self._taken(request, handle, piece, begun)
        if outcome.receipt is not None:
            return _created(outcome, target.mount.url(target.path), headers)
        status = await self._crossing.run(numbered(filesystem).upload_status, handle.id)
        answer = {hdrs.LOCATION: place, UPLOAD_COMPLETE: "?0", UPLOAD_OFFSET: str(outcome.offset)}
        return web.Response(status=HTTPStatus.CREATED, headers={**answer, **self._limits(status)})

    async def _head(self, filesystem: WritableFileSystem, upload_id: str) -> web.StreamResponse:
        """Say where an upload stands; whoever was writing it has lost it, so that the answer stays true."""
        status = await self._crossing.run(_settled, filesystem, upload_id)
        headers = {
            UPLOAD_OFFSET: str(status.offset),
            UPLOAD_COMPLETE: "?1" if status.complete else "?0",
            hdrs.CACHE_CONTROL: "no-store",
            **self._limits(status),
            **receipt_headers(status.receipt),
        }
        if status.length is not None:
            headers[UPLOAD_LENGTH] = str(status.length)
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    async def _append(self, request: web.Request, filesystem: WritableFileSystem, upload_id: str) -> web.StreamResponse:
        """Take bytes at the offset where the upload stands."""
        headers = request.headers
        if _media_type(request) != CONTENT_TYPE:
            raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"bytes come with 'Content-Type: {CONTENT_TYPE}'")
        ends, offset = completes(headers), _integer(headers, UPLOAD_OFFSET)
        if ends is None or offset is None:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"{UPLOAD_OFFSET} and {UPLOAD_COMPLETE} say what comes")
        bare = hdrs.TRANSFER_ENCODING not in headers and hdrs.CONTENT_LENGTH not in headers
        body = 0 if bare else announced_length(headers)  # no content at all says that nothing more is to come
        checksum = parse_digest("Content-Digest", headers.get("Content-Digest"))
        told = _consistent_length(headers, offset, body, ends=ends)
        handle, length = await self._crossing.run(
            _open, filesystem, upload_id, offset, body, told, checksum is not None
        )
        piece = Piece(
            offset=offset, body=body, length=length, ends=ends, checksum=checksum, password=parse_password(headers)
        )
        outcome = await self._taken(request, handle, piece, None)
        if outcome.receipt is not None:
            return _created(outcome, None, headers)
        answer = {UPLOAD_COMPLETE: "?0", UPLOAD_OFFSET: str(outcome.offset)}
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=answer)

    async def _taken(
        self,
        request: web.Request,
        handle: NumberedHandle,
        piece: Piece,
        begun: Callable[[], Awaitable[None]] | None,
    ) -> Outcome:
        try:
            return await self._inflow.take(request, handle, piece, begun)
        except ChecksumError as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except QuotaExceededError as error:
            raise ProblemError(HTTPStatus.INSUFFICIENT_STORAGE, str(error)) from error

    async def _tell(self, request: web.Request, place: str) -> None:
        """Send the interim answer that says where the upload goes on if it breaks off."""
        if request.version < HttpVersion11:
            return
        told = request.headers.get(INTEROP, "").strip()
        lines = [
            "HTTP/1.1 104 Upload Resumption Supported",
            f"{hdrs.LOCATION}: {place}",
            f"{INTEROP}: {told if told in _KNOWN_INTEROP else _NEWEST_INTEROP}",
        ]
        if self._settings.max_body is not None:
            lines.append(f"{UPLOAD_LIMIT}: max-size={self._settings.max_body}")
        await request.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        request.writer.output_size = 0  # the final answer has not begun

    def _limits(self, status: UploadStatus) -> dict[str, str]:
        limits = [] if self._settings.max_body is None else [f"max-size={self._settings.max_body}"]
        if status.expires is not None:
            limits.append(f"max-age={max(0, int(status.expires - time.time()))}")
        return {UPLOAD_LIMIT: ", ".join(limits)} if limits else {}

    def _too_long(self, limit: int) -> ProblemError:
        problem = too_long(limit)
        problem.headers[UPLOAD_LIMIT] = f"max-size={limit}"
        return problem

    @staticmethod
    def _target(request: web.Request) -> Target:
        """Return what a creation at a folder is for: Content-Disposition says the file's name.

        tus-js-client, where it speaks the draft, says it as for tus 1.0.0.
        """
        folder = parse_target(request.raw_path, _MOUNT)
        disposed = filename_of(request.headers.get(hdrs.CONTENT_DISPOSITION, ""))
        parts = name_of(parse_metadata(request.headers.get(UPLOAD_METADATA))) if disposed is None else (disposed,)
        if parts is None and folder.directory:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST, 'say the file\'s name: Content-Disposition: inline; filename="NAME"'
            )
        path = folder.path
        for part in parts or ():
            path = path.child(part)
        return Target(mount=Mount(prefix="/files"), path=path, directory=False)


def completes(headers: CIMultiDictProxy[str]) -> bool | None:
    """Return what `Upload-Complete` says; None where it is absent, or no boolean: then it counts for nothing."""
    return {"?1": True, "?0": False}.get(headers.get(UPLOAD_COMPLETE, "").strip())


def filename_of(disposition: str) -> str | None:
    """Return the file's name that Content-Disposition says (RFC 6266)."""
    extended = _EXTENDED.search(disposition)
    if extended is not None:
        return unquote(extended[1], errors="replace")
    plain = _FILENAME.search(disposition)
    if plain is None:
        return None
    return re.sub(r"\\(.)", r"\1", plain[1]) if plain[1] is not None else str(plain[2])


def _media_type(request: web.Request) -> str:
    return request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()


def _integer(headers: CIMultiDictProxy[str], name: str) -> int | None:
    """Return a structured integer; None where it is none, or absent."""
    values = headers.getall(name, [])
    if len(values) != 1 or not _INTEGER.fullmatch(values[0].strip()):
        return None
    return int(values[0])


def _consistent_length(headers: CIMultiDictProxy[str], offset: int, body: int | None, *, ends: bool) -> int | None:
    """Return the length of the whole file, if the head says it in one way or in two that agree."""
    told = _integer(headers, UPLOAD_LENGTH)
    follows = offset + body if ends and body is not None else None
    if told is not None and follows is not None and told != follows:
        raise _inconsistent(f"the file was said to have {told} bytes, and ends at {follows}")
    return told if told is not None else follows


def _begin(filesystem: WritableFileSystem, order: UploadOrder, headers: CIMultiDictProxy[str]) -> NumberedHandle:
    """Check the preconditions and make the upload, in one crossing."""
    if wants_stat(headers):
        try:
            entry = filesystem.stat(order.path)
        except NotFoundError:
            entry = None
        allow_write(headers, entry)
    return numbered(filesystem).begin_upload(order)


def _reopened(filesystem: WritableFileSystem, handle: NumberedHandle) -> NumberedHandle:
    handle.abort("begun; its bytes have a digest")
    return numbered(filesystem).resume_upload(handle.id, unverified=True)


def _settled(filesystem: WritableFileSystem, upload_id: str) -> UploadStatus:
    """Return where an upload stands once nobody writes it."""
    uploads = numbered(filesystem)
    status = uploads.upload_status(upload_id)
    if status.complete or status.parts:
        return status
    try:
        uploads.resume_upload(upload_id).abort("its client asks how much of it is there")
    except LockedError:  # it has just landed
        return uploads.upload_status(upload_id)
    return uploads.upload_status(upload_id)


def _open(  # noqa: PLR0917 - positional for the crossing
    filesystem: WritableFileSystem,
    upload_id: str,
    offset: int,
    body: int | None,
    told: int | None,
    unverified: bool,  # noqa: FBT001
) -> tuple[NumberedHandle, int | None]:
    """Open an upload for bytes at an offset.

    Raises:
        ProblemError: 400, 409, 410 or 413.
    """
    uploads = numbered(filesystem)
    status = uploads.upload_status(upload_id)
    if status.complete or status.parts:
        if body == 0:
            raise _problem(HTTPStatus.GONE, "completed-upload", "the upload is complete")
        raise _inconsistent("the upload is complete; nothing can follow")
    if told is not None and status.length is not None and told != status.length:
        raise _inconsistent(f"the file was said to have {status.length} bytes, and now {told}")
    handle = uploads.resume_upload(upload_id, unverified=unverified)
    try:
        _require_offset(handle, offset)
        length = status.length
        if length is None and told is not None:
            handle.announce(told)
            length = told
    except BaseException as error:
        if unverified:
            handle.confirm()
        handle.abort(str(error) if isinstance(error, FileSystemError | ProblemError) else "the server failed")
        if isinstance(error, OffsetMismatchError):
            raise _inconsistent(str(error)) from error
        raise
    return handle, length


def _require_offset(handle: NumberedHandle, offset: int) -> None:
    """Raise 409 where an upload does not stand at *offset*."""
    if handle.received != offset:
        raise _problem(
            HTTPStatus.CONFLICT,
            "mismatching-upload-offset",
            f"{handle.received} bytes are there; what was sent belongs at {offset}",
            headers={UPLOAD_OFFSET: str(handle.received), UPLOAD_COMPLETE: "?0"},
            members={"expected-offset": handle.received, "provided-offset": offset},
        )


def _created(outcome: Outcome, url: str | None, headers: CIMultiDictProxy[str]) -> web.Response:
    """Answer as if the whole file had come by one request: with the receipt."""
    assert outcome.receipt is not None  # noqa: S101 -- the caller has looked
    answer = {UPLOAD_COMPLETE: "?1", hdrs.CACHE_CONTROL: "no-store", **receipt_headers(outcome.receipt)}
    if url is not None:
        answer[hdrs.LOCATION] = url
    sha256 = outcome.receipt.document.get("sha256")
    if isinstance(sha256, str) and sha256 != "pending" and wants_sha256(headers.get("Want-Repr-Digest")):
        answer["Repr-Digest"] = digest_field(sha256)
    return web.Response(
        status=HTTPStatus.CREATED,
        body=receipt_body(outcome.receipt),
        content_type="application/json",
        headers=answer,
    )


def _inconsistent(why: str) -> ProblemError:
    return _problem(HTTPStatus.BAD_REQUEST, "inconsistent-upload-length", why)


def _problem(
    status: HTTPStatus,
    kind: str,
    why: str,
    *,
    headers: dict[str, str] | None = None,
    members: dict[str, object] | None = None,
) -> ProblemError:
    return ProblemError(status, why, headers=headers, members={"type": _PROBLEMS + kind, **(members or {})})
