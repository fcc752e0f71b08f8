"""The body of an upload as it comes: pieces, and its proven end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from protocols.filesystem import Immediate
from protocols.http.auth import connection_of
from protocols.http.bulk import Bulk
from protocols.http.status import ProblemError, TransferCutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from multidict import CIMultiDictProxy

    from protocols.aio import Crossing
    from protocols.filesystem import WriteHandle
    from protocols.http.connection import Connection
    from protocols.http.settings import HttpSettings
    from protocols.http.tail import Tail


_CUT = "the body broke off; what came is kept for a resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How long a body may be."""

    most: int | None
    """Bytes; None: any number."""
    problem: Callable[[], ProblemError]
    """Makes the answer to a longer one."""


async def receive(
    request: web.Request, handle: WriteHandle, tail: Tail, *, crossing: Crossing, settings: HttpSettings, limit: Limit
) -> int:
    """Take the body piece by piece, and return how many bytes it had.

    What is shorter than a piece stays in *tail* for the last crossing.

    Raises:
        ProblemError: 408; or what *limit* says of a body that is longer.
        TransferCutError: it broke off.
    """
    received, length = 0, int(request.headers.get(hdrs.CONTENT_LENGTH, 0))
    while True:
        if length - request.content.total_bytes >= settings.piece and (limit.most is None or length <= limit.most):
            connection = connection_of(request)
            if connection.is_flowing:
                await _let_through(request, connection, handle, tail, crossing=crossing, settings=settings)
                return length
        try:
            piece = await next_piece(request, settings.body_timeout)
        except TransferCutError:
            left = connection_of(request).take_salvaged()
            tail.add(left if limit.most is None else left[: limit.most - received])
            raise
        if not piece:
            return received
        received += len(piece)
        if limit.most is not None and received > limit.most:
            raise limit.problem()
        tail.add(piece)
        if tail.size >= settings.piece:
            if isinstance(handle, Immediate) and handle.is_immediate(tail.offset + tail.size):
                tail.flush(handle)  # a hop would cost more
            else:
                await crossing.run(tail.flush, handle)


async def _let_through(
    request: web.Request,
    connection: Connection,
    handle: WriteHandle,
    tail: Tail,
    *,
    crossing: Crossing,
    settings: HttpSettings,
) -> None:
    """Have the rest of a body of known length written as it is decrypted; see `protocols.http.bulk`."""
    while piece := request.content.read_nowait():
        tail.add(piece)
    left = int(request.headers[hdrs.CONTENT_LENGTH]) - request.content.total_bytes
    bulk = Bulk(handle, tail, left, crossing=crossing, piece=settings.piece, flow=connection.flow)
    connection.let_through(bulk)
    await bulk.ended(settings.body_timeout)


async def next_piece(request: web.Request, patience: float) -> bytes:
    """Return what has come of the body, at least a byte; nothing at its proven end.

    *patience*: the longest silence, in seconds.

    Raises:
        ProblemError: 408, the client has fallen silent.
        TransferCutError: it has broken off, or its framing is broken.
    """
    try:
        async with asyncio.timeout(patience):
            if hdrs.TRANSFER_ENCODING in request.headers:
                return await request.content.readany()  # joins; `readchunk` may return nothing before the end
            return (await request.content.readchunk())[0]
    except TimeoutError as error:
        raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "nothing more came; what came is kept for a resume") from error
    except (OSError, web.RequestPayloadError) as error:
        raise TransferCutError(_CUT) from error
    except RuntimeError as error:
        if request.protocol.connected:
            raise
        raise TransferCutError(_CUT) from error  # aiohttp, where it had gone before it was first waited for


def announced_length(headers: CIMultiDictProxy[str]) -> int | None:
    """Return the length of the body; None when it comes in chunks. The parser has checked its form.

    A request with neither has, by the letter, an empty body (RFC 9112, section 6.3), and an HTTP/1.0 client may mean
    'until I hang up': a cut transfer would pass for a whole file, so 411.
    """
    if hdrs.TRANSFER_ENCODING in headers:
        return None
    if hdrs.CONTENT_LENGTH not in headers:
        raise ProblemError(HTTPStatus.LENGTH_REQUIRED, "send Content-Length, or Transfer-Encoding: chunked")
    return int(headers[hdrs.CONTENT_LENGTH])
