"""GET and HEAD: a file, a part of it, or a directory's rows.

What is sent is exactly what Content-Length says, or the connection is cut: an error in the middle never looks like an
end.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import email.utils
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from protocols.errors import NotADirectoryPathError, UnavailableError
from protocols.filesystem import Digest, ImmediateRead
from protocols.http.archive import answer_archive, wanted_archive
from protocols.http.byteranges import ByteRanges, byte_ranges
from protocols.http.conditions import Span, not_modified, parse_ranges
from protocols.http.digests import digest_field, wants_sha256
from protocols.http.disposition import content_disposition
from protocols.http.listing import answer_directory
from protocols.http.override import method_of
from protocols.http.page import prefers_page
from protocols.http.target import origin_form
from protocols.http.upload import UPLOAD_OFFSET

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

    from protocols.aio import Crossing
    from protocols.filesystem import Entry, FileSystem, ReadHandle
    from protocols.http.settings import HttpSettings
    from protocols.http.target import Target
    from protocols.path import VirtualPath

_AT_HAND = 256 * 1024
"""Bytes that are asked for at once where no disk has to be waited for: one turn of the loop, one segment of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be answered, and the file behind it."""

    entry: Entry
    status: HTTPStatus
    span: Span
    handle: ReadHandle | None = None
    """Open only where more than `first` is to be sent."""
    first: bytes = b""
    ranges: ByteRanges | None = None
    """Of several parts, each with what stands before it; `span` is the first one then."""
    sha256: str | None = None
    """Of the whole file, in hexadecimal digits, where known and asked for."""


class Downloads:
    """Answers GET and HEAD."""

    def __init__(self, crossing: Crossing, settings: HttpSettings) -> None:
        """Read through *crossing*, within *settings*."""
        self._crossing = crossing
        self._settings = settings

    async def answer(
        self, request: web.Request, filesystem: FileSystem, target: Target, *, folders_end_in_slash: bool = False
    ) -> web.StreamResponse:
        """Return the answer, its body sent; 301 for a folder without a slash, if it is shown as a page of links.

        With *folders_end_in_slash* that is so for every folder without one.

        Raises:
            ProblemError: 412 or 416.
            FileSystemError: before anything is sent: the answer; later: the connection is to be cut.
            ConnectionResetError: the client is gone, or takes nothing more.
        """
        head = method_of(request) == hdrs.METH_HEAD
        plan = await self._crossing.run(
            _plan, filesystem, target, request.headers, None if head else self._settings.piece
        )
        if plan.entry.is_directory:
            wanted = wanted_archive(request)
            as_page = wanted is None and prefers_page(request.headers)
            address, question, query = origin_form(request.raw_path).partition("?")
            is_bare = not target.directory or (as_page and not address.endswith("/"))
            if (folders_end_in_slash or as_page) and is_bare:
                return web.Response(
                    status=HTTPStatus.MOVED_PERMANENTLY,
                    headers={hdrs.LOCATION: f"{address}/{question}{query}", hdrs.CACHE_CONTROL: "private, no-store"},
                )
            if wanted is not None:
                return await answer_archive(request, filesystem, target.path, self._crossing, self._settings, wanted)
            return await answer_directory(request, filesystem, target, self._crossing, self._settings)
        headers = _headers(plan, target.path)
        if plan.handle is None:
            return _small(plan, headers, head=request.method == hdrs.METH_HEAD)
        try:
            response = web.StreamResponse(status=plan.status, reason=plan.status.phrase, headers=headers)
            response.content_length = plan.span.length if plan.ranges is None else plan.ranges.length
            await response.prepare(request)
            if plan.ranges is None:
                await self._stream(response, plan.span, plan.handle, plan.first)
            else:
                await self._stream_parts(response, plan.ranges, plan.handle)
            await response.write_eof()
        finally:
            await self._crossing.run(plan.handle.close)
        return response

    async def _stream_parts(self, response: web.StreamResponse, ranges: ByteRanges, handle: ReadHandle) -> None:
        """Send several parts, each with its own head."""
        for head, span in ranges.parts:
            await self._send(response, head)
            first = await self._crossing.run(_read, handle, span.start, min(self._settings.piece, span.length))
            await self._stream(response, span, handle, first)
        await self._send(response, ranges.tail)

    async def _stream(self, response: web.StreamResponse, span: Span, handle: ReadHandle, first: bytes) -> None:
        """Send *span* piece by piece. *first* is its beginning.

        What is at hand goes to the connection from where it lies, without a thread; else the next piece is read on one
        while one is sent.
        """
        piece, offset = first, span.start + len(first)
        at_hand = handle.read_immediate if isinstance(handle, ImmediateRead) else None
        while offset < span.end:
            length = min(self._settings.piece, span.end - offset)
            pieces = None if at_hand is None else at_hand(offset, min(_AT_HAND, length))
            if pieces is not None:
                await self._send(response, piece)
                for each in pieces:
                    await self._send(response, each)
                piece, offset = b"", offset + sum(map(len, pieces))
                await asyncio.sleep(0)  # a client that takes all at once would leave the loop no turn for others
                continue
            coming = asyncio.create_task(self._crossing.run(_read, handle, offset, length))
            try:
                await self._send(response, piece)
                piece = await coming
            finally:
                if not coming.done():
                    await asyncio.wait([coming])  # the handle may not be closed under a read
                if not coming.cancelled():
                    coming.exception()
            offset += length
        await self._send(response, piece)

    async def _send(self, response: web.StreamResponse, piece: bytes | memoryview) -> None:
        """Hand *piece* to the connection, which has encrypted it when this returns.

        Raises:
            ConnectionResetError: it was lost, or has taken nothing for too long.
        """
        try:
            async with asyncio.timeout(self._settings.send_timeout):
                await response.write(piece)
        except TimeoutError as error:
            raise ConnectionResetError("the client takes nothing more") from error


def _plan(filesystem: FileSystem, target: Target, headers: CIMultiDictProxy[str], chunk: int | None) -> Plan:
    """Decide and open in one crossing; a file is opened, and so audited as read, only if bytes of it will be sent.

    *chunk* is the size of the first piece; None for a HEAD, which reads nothing.
    """
    entry = _as_read(filesystem.stat(target.path))
    if entry.is_directory:
        return Plan(entry=entry, status=HTTPStatus.OK, span=Span(start=0, length=0))
    if target.directory:
        raise NotADirectoryPathError("this is a file; ask for it without the slash at the end")
    plan = _decide(entry, headers, ranges=chunk is not None)
    if plan.status == HTTPStatus.NOT_MODIFIED:
        return plan
    digest = _digest(filesystem, target, headers, entry)
    if chunk is None:
        return dataclasses.replace(plan, sha256=digest)
    handle = filesystem.open_read(target.path)
    keep = False
    try:
        plan = _decide(handle.entry, headers, ranges=True)  # it may have changed since `stat`
        if plan.status == HTTPStatus.NOT_MODIFIED:
            return plan
        if handle.entry.etag != entry.etag:
            digest = None
        if plan.ranges is not None:
            keep = True
            return dataclasses.replace(plan, handle=handle, sha256=digest)
        first = _read(handle, plan.span.start, min(chunk, plan.span.length))
        keep = len(first) < plan.span.length
        return dataclasses.replace(plan, handle=handle if keep else None, first=first, sha256=digest)
    finally:
        if not keep:
            handle.close()


def _as_read(entry: Entry) -> Entry:
    """Return what GET would describe: HEAD must say the same (RFC 9110, section 9.3.2)."""
    if entry.read_size is None:
        return entry
    return dataclasses.replace(entry, size=entry.read_size, etag=entry.read_etag)


def _decide(entry: Entry, headers: CIMultiDictProxy[str], *, ranges: bool) -> Plan:
    """Evaluate preconditions, then ranges (RFC 9110, section 13.2.2); a HEAD knows no ranges (section 14.2)."""
    whole = Span(start=0, length=entry.size)
    if not_modified(headers, entry):
        return Plan(entry=entry, status=HTTPStatus.NOT_MODIFIED, span=whole)
    spans = parse_ranges(headers, entry) if ranges else None
    if spans is None:
        return Plan(entry=entry, status=HTTPStatus.OK, span=whole)
    several = byte_ranges(spans, entry.size) if len(spans) > 1 else None
    return Plan(entry=entry, status=HTTPStatus.PARTIAL_CONTENT, span=spans[0], ranges=several)


def _digest(filesystem: FileSystem, target: Target, headers: CIMultiDictProxy[str], entry: Entry) -> str | None:
    """Return the SHA-256 of what a reader gets, where that is asked for and known."""
    if not wants_sha256(headers.get("Want-Repr-Digest")) or not isinstance(filesystem, Digest) or entry.partial:
        return None
    return filesystem.sha256(target.path)


def _read(handle: ReadHandle, offset: int, length: int) -> bytes:
    """Read exactly *length* bytes.

    Raises:
        UnavailableError: the file ended before its own size.
    """
    if not length:
        return b""
    data = handle.read(offset, length)
    if len(data) != length:
        raise UnavailableError(f"{len(data)} bytes at offset {offset} where {length} should be")
    return data


def _small(plan: Plan, headers: dict[str, str], *, head: bool) -> web.Response:
    """Answer without a stream: no body, or one that is in hand."""
    if head and plan.status == HTTPStatus.OK:
        headers[hdrs.CONTENT_LENGTH] = str(plan.entry.size)
    return web.Response(status=plan.status, reason=plan.status.phrase, body=plan.first or None, headers=headers)


def _headers(plan: Plan, path: VirtualPath) -> dict[str, str]:
    """Return what describes the file. It is always an attachment of no type: it is a stranger's, and is never shown."""
    entry = plan.entry
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "private, no-store", hdrs.ACCEPT_RANGES: "bytes"}
    if entry.etag is not None:
        headers[hdrs.ETAG] = f'"{entry.etag}"'
    if entry.modified > 0:
        with contextlib.suppress(ValueError, OverflowError, OSError):
            headers[hdrs.LAST_MODIFIED] = email.utils.formatdate(int(entry.modified), usegmt=True)
    if plan.status == HTTPStatus.NOT_MODIFIED:
        return headers
    headers[hdrs.CONTENT_TYPE] = "application/octet-stream"
    headers[hdrs.CONTENT_DISPOSITION] = content_disposition(path.name)
    if plan.sha256 is not None:
        headers["Repr-Digest"] = digest_field(plan.sha256)
    if plan.ranges is not None:
        headers[hdrs.CONTENT_TYPE] = plan.ranges.content_type
    elif plan.status == HTTPStatus.PARTIAL_CONTENT:
        headers[hdrs.CONTENT_RANGE] = f"bytes {plan.span.start}-{plan.span.end - 1}/{entry.size}"
    if entry.partial:
        headers[UPLOAD_OFFSET] = str(entry.size)
    return headers
