"""The body of an upload as it comes: pieces, its proven end, and what waits to be written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from aiohttp import hdrs, web

from protocols.filesystem import Immediate
from protocols.http.status import ProblemError, TransferCutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from multidict import CIMultiDictProxy

    from protocols.aio import Crossing
    from protocols.filesystem import WriteHandle
    from protocols.http.settings import HttpSettings

_FEW = 8
"""Pieces that are written one by one; more of them are small ones, and joined."""


class Running(Protocol):
    """Something that is computed of a body as it comes."""

    def update(self, data: bytes, /) -> None:
        """Take *data* in."""


@dataclass(slots=True)
class Tail:
    """What of a body has come and is not written yet."""

    offset: int
    """Where the first of `pieces` belongs in the file."""
    pieces: list[bytes]
    size: int = 0
    checksum: Running | None = None
    """What is computed of all that is written."""

    def add(self, piece: bytes) -> None:
        """Keep *piece* for the next write."""
        self.pieces.append(piece)
        self.size += len(piece)

    def flush(self, handle: WriteHandle) -> None:
        """Write the pieces kept so far, and begin anew behind them; what is refused is dropped.

        A few large pieces are written as they are: joining them would copy every byte once more.
        """
        offset, pieces = self.offset, self.pieces
        self.offset, self.pieces, self.size = offset + self.size, [], 0
        for piece in pieces if len(pieces) <= _FEW else [b"".join(pieces)]:
            if self.checksum is not None:
                self.checksum.update(piece)
            handle.write(offset, piece)
            offset += len(piece)


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
    received = 0
    while piece := await next_piece(request, settings.body_timeout):
        received += len(piece)
        if limit.most is not None and received > limit.most:
            raise limit.problem()
        tail.add(piece)
        if tail.size >= settings.piece:
            if isinstance(handle, Immediate) and handle.is_immediate(tail.offset + tail.size):
                tail.flush(handle)  # a hop would cost more
            else:
                await crossing.run(tail.flush, handle)
    return received


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
        raise TransferCutError("the body broke off; what came is kept for a resume") from error


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
