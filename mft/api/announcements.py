"""`POST /api/v1/webhooks/in`: what the case system announces. The signature is over the body as it came."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from mft.webhooks.errors import AnnouncementError
from mft.webhooks.inbox import MOST_BODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from mft.webhooks.inbox import Inbox
    from protocols.aio import Crossing

PATH = "/api/v1/webhooks/in"


class Announcements:
    """Takes announcements over HTTP. No login: whoever signs with the secret is the case system."""

    def __init__(self, inbox: Inbox, crossing: Crossing, *, taken: Callable[[], None] = lambda: None) -> None:
        """Give them to *inbox*, on *crossing*'s threads; call *taken* after each, from the loop."""
        self._taken = taken
        self._inbox = inbox
        self._crossing = crossing

    def add_routes(self, app: web.Application) -> None:
        """Add the address to *app*."""
        app.router.add_post(PATH, self.receive)

    async def receive(self, request: web.Request) -> web.Response:
        """Take one announcement; 200 when it is done, or was done before."""
        if not self._inbox.is_open:
            return _problem(
                HTTPStatus.NOT_FOUND,
                "no announcements are taken here: webhooks.incoming.secret_files is not configured",
            )
        body = await _read(request)
        if body is None:
            return _problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"an announcement has at most {MOST_BODY} bytes; name fewer cases in each",
            )
        try:
            taken = await self._crossing.run(self._inbox.take, request.headers, body)
        except AnnouncementError as error:
            return _problem(error.status, str(error))
        self._taken()
        return _json(HTTPStatus.OK, taken.to_dict(), "application/json")


async def _read(request: web.Request) -> bytes | None:
    if (request.content_length or 0) > MOST_BODY:
        return None
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MOST_BODY:
            return None
    return bytes(body)


def _problem(status: HTTPStatus, detail: str) -> web.Response:
    document: dict[str, object] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    return _json(status, document, "application/problem+json")


def _json(status: HTTPStatus, document: dict[str, object], kind: str) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(document).encode(), content_type=kind, headers={"Cache-Control": "no-store"}
    )
