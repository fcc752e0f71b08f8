"""A directory as JSON, `{"path": …, "entries": [{"name": …}, …]}`, or as a page of links; streamed as it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from protocols.http import page
from protocols.http.page import prefers_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from protocols.aio import Crossing
    from protocols.filesystem import Entry, FileSystem
    from protocols.http.settings import HttpSettings
    from protocols.http.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a listing is written."""

    headers: dict[str, str]
    opening: Callable[[Target], bytes]
    row: Callable[[Entry], bytes]
    separator: bytes
    closing: bytes


async def answer_directory(
    request: web.Request, filesystem: FileSystem, target: Target, crossing: Crossing, settings: HttpSettings
) -> web.StreamResponse:
    """Return the answer, its body sent; a listing of some rows in one piece, a longer one in chunks.

    Raises:
        FileSystemError: before anything is sent: the answer; later: the connection is to be cut, without a last chunk.
    """
    form = _PAGE if prefers_page(request.headers) else _JSON
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=form.headers)
    rows = await crossing.run(filesystem.scandir, target.path)
    try:
        some = await crossing.run(_some, rows, form.row, settings.listing_page)
        before = form.opening(target)
        if len(some) < settings.listing_page:
            return web.Response(body=before + form.separator.join(some) + form.closing, headers=form.headers)
        response = web.StreamResponse(headers=form.headers)
        await response.prepare(request)
        while some:
            await response.write(before + form.separator.join(some))
            before = form.separator
            some = await crossing.run(_some, rows, form.row, settings.listing_page)
        await response.write_eof(form.closing)
    finally:
        await crossing.run(_let_go, rows)
    return response


def _some(rows: Iterator[Entry], show: Callable[[Entry], bytes], length: int) -> list[bytes]:
    """Return the next rows as they are written; fewer than *length* at the end."""
    return [show(entry) for entry in islice(rows, length)]


def _opening(target: Target) -> bytes:
    return f'{{"path": {json.dumps(str(target.path))}, "entries": ['.encode()


def _row(entry: Entry) -> bytes:
    """Return a row as JSON; escaping is json's, and leaves nothing that a script or a terminal would act on."""
    row: dict[str, object] = {"name": entry.name, "type": "directory" if entry.is_directory else "file"}
    if not entry.is_directory:
        row["size"] = entry.size
    if entry.etag is not None:
        row["etag"] = entry.etag
    if entry.modified > 0:
        row["modified"] = datetime.fromtimestamp(int(entry.modified), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if entry.partial:
        row["partial"] = True
    row["writable"] = entry.writable
    return json.dumps(row).encode()


_JSON = _Form(
    headers={
        hdrs.CONTENT_TYPE: "application/json",
        hdrs.CACHE_CONTROL: page.HEADERS[hdrs.CACHE_CONTROL],
        hdrs.VARY: page.HEADERS[hdrs.VARY],
    },
    opening=_opening,
    row=_row,
    separator=b",\n",
    closing=b"]}\n",
)
_PAGE = _Form(headers=page.HEADERS, opening=page.opening, row=page.row, separator=b"", closing=page.CLOSING)


def _let_go(rows: Iterator[Entry]) -> None:
    """Close a listing that may not have been read to its end."""
    close = getattr(rows, "close", None)
    if close is not None:
        close()
