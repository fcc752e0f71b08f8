"""POST of a form: each file in it becomes an upload.

Only a form whose closing delimiter came, in a body that is proven complete, is committed: of one that is cut, or of
which a file is refused while it comes, nothing is. Files are committed in their order. Where one cannot be, the answer
says so, and holds the receipts of those before it: whoever sends the form again gets these once more, and no doubles.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from protocols.errors import FileSystemError
from protocols.filesystem import Truncates, WriteMode
from protocols.http.body import announced_length, next_piece
from protocols.http.multipart import (
    FormEvent,
    FormParser,
    MalformedFormError,
    PartBegun,
    PartData,
    PartEnded,
    parse_boundary,
)
from protocols.http.status import ProblemError, TransferCutError, as_problem, proceed
from protocols.http.tail import Tail
from protocols.http.upload import give_password

if TYPE_CHECKING:
    from protocols.aio import Crossing
    from protocols.filesystem import Receipt, WritableFileSystem, WriteHandle
    from protocols.http.settings import HttpSettings
    from protocols.path import VirtualPath

_log = logging.getLogger(__name__)
MAX_FILES = 16
"""Files in one form: each is open until the form has ended."""
MAX_FIELD = 64 * 1024
"""Bytes of fields that are no files, all together."""
CASE_FIELD = "case"
"""The field that names the case, where the address does not; it comes before the files."""
PASSWORD_FIELD = "password"  # noqa: S105 - the name of a field
"""The field with the password of the archives in the form, wherever it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the files of a form go."""

    folder: VirtualPath
    cases: VirtualPath
    """The directory that holds a directory for each case, for forms that name the case in a field."""


@dataclass(slots=True, kw_only=True)
class _File:
    """A file of the form that is being received."""

    path: VirtualPath
    handle: WriteHandle
    tail: Tail
    received: int = 0


class Forms:
    """Answers POST."""

    def __init__(self, crossing: Crossing, settings: HttpSettings) -> None:
        """Write through *crossing*, within *settings*."""
        self._crossing = crossing
        self._settings = settings

    async def answer(self, request: web.Request, filesystem: WritableFileSystem, place: Place) -> web.StreamResponse:
        """Receive the form; return 201 with the receipt, or with `receipts` where there are several files.

        Raises:
            ProblemError: it is refused.
            FileSystemError: the filesystem refuses a file; none of the form is kept as whole.
            TransferCutError: the body broke off.
        """
        _refuse_foreign_page(request)
        try:
            parser = FormParser(parse_boundary(request.headers.get(hdrs.CONTENT_TYPE, "")))
        except MalformedFormError as error:
            raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
        length, limit = announced_length(request.headers), self._settings.max_body
        if length is not None and limit is not None and length > limit + MAX_FIELD:
            raise _too_large(limit)
        form = _Form(self._crossing, self._settings, filesystem, place)
        try:
            await proceed(request)
            while piece := await next_piece(request, self._settings.body_timeout):
                for event in parser.feed(piece):
                    await form.take(event)
            if not parser.closed:
                raise TransferCutError("the form has no end: its closing boundary did not come; send it again")  # noqa: TRY301
            receipts = await form.land()
        except BaseException as error:
            await form.give_up(error)
            if isinstance(error, MalformedFormError):
                raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from error
            raise
        return _created(receipts)


class _Form:
    """The files of one form."""

    def __init__(
        self, crossing: Crossing, settings: HttpSettings, filesystem: WritableFileSystem, place: Place
    ) -> None:
        self._crossing = crossing
        self._settings = settings
        self._filesystem = filesystem
        self._place = place
        self._folder = place.folder
        self._files: list[_File] = []
        self._field: bytearray | None = None
        self._field_name = ""
        self._field_bytes = 0
        self._password: str | None = None

    async def take(self, event: FormEvent) -> None:
        """Take the next event of the form."""
        match event:
            case PartBegun(filename=None, name=name):
                self._field, self._field_name = bytearray(), name
            case PartBegun(filename=filename):
                await self._begin(filename or "")
            case PartData(data=data) if self._field is not None:
                self._add_to_field(data)
            case PartData(data=data):
                await self._write(data)
            case PartEnded() if self._field is not None:
                self._end_field()
            case PartEnded():
                pass  # a file is flushed and committed when the form has ended

    async def land(self) -> list[Receipt]:
        """Commit every file, in their order."""
        if not self._files:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "the form holds no file; send one (curl -F file=@NAME)")
        return await self._crossing.run(self._land)

    async def give_up(self, error: BaseException) -> None:
        """Throw away what came of each file: a form is sent again whole, and till then it would hide a file there."""
        if self._files:
            known = isinstance(error, FileSystemError | ProblemError | MalformedFormError | TransferCutError)
            await self._crossing.run(self._abort, str(error) if known else "the transfer ended early")

    async def _begin(self, filename: str) -> None:
        if not filename:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "a file of the form has no name")
        if len(self._files) == MAX_FILES:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a form may hold {MAX_FILES} files")
        path = self._folder.child(filename)
        if any(file.path == path for file in self._files):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "two files of the form have one name")
        handle = await self._crossing.run(self._open, path)
        self._files.append(_File(path=path, handle=handle, tail=Tail(offset=0, pieces=[])))

    def _open(self, path: VirtualPath) -> WriteHandle:
        return self._filesystem.open_write(path, WriteMode.REPLACE)

    async def _write(self, data: bytes) -> None:
        file = self._files[-1]
        file.received += len(data)
        if self._settings.max_body is not None and file.received > self._settings.max_body:
            raise _too_large(self._settings.max_body)
        file.tail.add(data)
        if file.tail.size >= self._settings.piece:
            await self._crossing.run(file.tail.flush, file.handle)

    def _add_to_field(self, data: bytes) -> None:
        self._field_bytes += len(data)
        if self._field_bytes > MAX_FIELD or self._field is None:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the form's fields are too long")
        self._field += data

    def _end_field(self) -> None:
        value, self._field = bytes(self._field or b"").strip(), None
        if self._field_name == PASSWORD_FIELD and value:
            self._password = _text(value, PASSWORD_FIELD)
        if self._field_name != CASE_FIELD or not value:
            return
        if self._files:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "the field 'case' comes before the files")
        if self._folder != self._place.folder:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "the form has two fields 'case'")
        self._folder = self._place.cases.child(_text(value, CASE_FIELD))

    def _land(self) -> list[Receipt]:
        for file in self._files:
            file.tail.flush(file.handle)
            give_password(file.handle, self._password)
        receipts: list[Receipt] = []
        for file in self._files:
            try:
                receipts.append(file.handle.commit(length=file.received))
            except FileSystemError as error:
                if receipts and (problem := as_problem(error)) is not None:
                    raise _landed_in_part(file, problem, receipts) from error
                raise
        return receipts

    def _abort(self, reason: str) -> None:
        for file in self._files:
            try:
                if isinstance(file.handle, Truncates):
                    file.handle.truncate(0)
            except FileSystemError:
                _log.debug("http.form_kept")  # it has landed, or was taken over
            except Exception:  # noqa: BLE001 -- every upload must be given up, whatever happens to one
                _log.exception("http.form_not_cleared")
            file.handle.abort(reason)


def _text(value: bytes, field: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"the field '{field}' is not UTF-8") from None


def _refuse_foreign_page(request: web.Request) -> None:
    """Refuse a form that a page of another site sends with the sign-in that a browser remembers.

    A form needs no preflight (Fetch standard, "CORS-safelisted request-header"), so its sender has to be looked at.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    elsewhere = origin is not None and urlsplit(origin).netloc.lower() != request.headers.get(hdrs.HOST, "").lower()
    if elsewhere or request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        raise ProblemError(HTTPStatus.FORBIDDEN, "forms of other sites are not taken")


def _too_large(limit: int) -> ProblemError:
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"files of up to {limit} bytes are taken")


def _landed_in_part(file: _File, problem: ProblemError, receipts: list[Receipt]) -> ProblemError:
    told = f"{file.path.name}: {problem.detail}. The files before it have landed, see receipts; send the form again"
    documents = [dict(receipt.document) for receipt in receipts]
    return ProblemError(problem.status, told, headers=problem.headers, members={"receipts": documents})


def _created(receipts: list[Receipt]) -> web.Response:
    documents = [dict(receipt.document) for receipt in receipts]
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    url = documents[0].get("url")
    if len(documents) == 1 and isinstance(url, str):
        headers[hdrs.CONTENT_LOCATION] = url
    body = documents[0] if len(documents) == 1 else {"receipts": documents}
    return web.Response(
        status=HTTPStatus.CREATED, body=json.dumps(body).encode(), content_type="application/json", headers=headers
    )
