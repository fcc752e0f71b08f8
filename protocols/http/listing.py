"""A directory as JSON, streamed page by page: `{"path": …, "entries": [{"name": …}, …]}`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocols.aio import Crossing
    from protocols.filesystem import Entry, FileSystem
    from protocols.http.settings import HttpSettings
    from protocols.path import VirtualPath

_HEADERS = {hdrs.CONTENT_TYPE: "application/json", hdrs.CACHE_CONTROL: "private, no-store"}


async def answer_directory(
    request: web.Request, filesystem: FileSystem, path: VirtualPath, crossing: Crossing, settings: HttpSettings
) -> web.StreamResponse:
    """Return the answer, its body sent; a listing of one page in one piece, a longer one in chunks.

    Raises:
        FileSystemError: before anything is sent: the answer; later: the connection is to be cut, without a last chunk.
    """
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=_HEADERS)
    rows = await crossing.run(filesystem.scandir, path)
    try:
        page = await crossing.run(_page, rows, settings.listing_page)
        opening = f'{{"path": {json.dumps(str(path))}, "entries": ['.encode()
        if len(page) < settings.listing_page:
            return web.Response(body=opening + b",\n".join(page) + b"]}\n", headers=_HEADERS)
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        separator = opening
        while page:
            await response.write(separator + b",\n".join(page))
            separator = b",\n"
            page = await crossing.run(_page, rows, settings.listing_page)
        await response.write_eof(b"]}\n")
    finally:
        await crossing.run(_let_go, rows)
    return response


def _page(rows: Iterator[Entry], length: int) -> list[bytes]:
    """Return the next rows, each as JSON in ASCII; fewer than *length* at the end."""
    return [_row(entry) for entry in islice(rows, length)]


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


def _let_go(rows: Iterator[Entry]) -> None:
    """Close a listing that may not have been read to its end."""
    close = getattr(rows, "close", None)
    if close is not None:
        close()
