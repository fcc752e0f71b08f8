"""`POST /api/v1/webhooks/in`: what the case system announces. The signature is over the body as it came."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from mft.api.fault import PROBLEM, ApiError
from mft.api.route import JSON
from mft.webhooks.errors import AnnouncementError
from mft.webhooks.inbox import MOST_BODY, MOST_SUBJECTS, Kind
from protocols.http.app import REQUEST_ID

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
        try:
            return await self._receive(request)
        except ApiError as error:
            return _json(error.status, error.document(request[REQUEST_ID]), PROBLEM)

    async def _receive(self, request: web.Request) -> web.Response:
        missing = [name for name in _SIGNED if name not in request.headers]
        if missing:
            raise ApiError(
                HTTPStatus.UNAUTHORIZED, "not-signed", f"send {', '.join(missing)}: announcements are signed"
            )
        if not self._inbox.is_open:
            raise ApiError(
                HTTPStatus.NOT_FOUND,
                "not-found",
                "no announcements are taken here: webhooks.incoming.secret_files is not configured",
            )
        body = await _read(request)
        if body is None:
            raise ApiError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too-large",
                f"an announcement has at most {MOST_BODY} bytes; name fewer cases in each",
            )
        try:
            taken = await self._crossing.run(self._inbox.take, request.headers, body)
        except AnnouncementError as error:
            raise ApiError(error.status, _KINDS.get(error.status, "not-taken"), str(error)) from error
        self._taken()
        return _json(HTTPStatus.OK, json.dumps(taken.to_dict()).encode(), JSON)


async def _read(request: web.Request) -> bytes | None:
    if (request.content_length or 0) > MOST_BODY:
        return None
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MOST_BODY:
            return None
    return bytes(body)


def _json(status: HTTPStatus, body: bytes, kind: str) -> web.Response:
    return web.Response(status=status, body=body, content_type=kind, headers={"Cache-Control": "no-store"})


_KINDS = {
    HTTPStatus.UNAUTHORIZED: "not-signed",
    HTTPStatus.CONFLICT: "repeated-id",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid-request",
}


def announcements_item() -> dict[str, Any]:
    """Describe the address as a path item of OpenAPI 3.1 (docs/integrate.md, "Webhooks in")."""
    names = {one: {"type": "string"} for one in _SUBJECTS}
    lists = {f"{one}s": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_SUBJECTS} for one in _SUBJECTS}
    body = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {
            "type": {"type": "string", "enum": [kind.value for kind in Kind]},
            "timestamp": {"type": "string", "description": "When it happened; it decides nothing."},
            "data": {
                "type": "object",
                "description": "What it is about: one name, or a list.",
                "properties": {**names, **lists},
            },
        },
    }
    answer = {
        "type": "object",
        "required": ["id", "type", "status", "subjects"],
        "properties": {
            "id": {"type": "string"},
            "type": {"type": "string"},
            "status": {"type": "string", "enum": ["taken", "repeated"]},
            "subjects": {"type": "integer"},
        },
    }
    problem = {"content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {
        "post": {
            "operationId": "takeAnnouncement",
            "tags": ["webhooks"],
            "summary": "Take what the case system announces.",
            "description": (
                "For the case system alone: no login, but a signature over `webhook-id.webhook-timestamp.body` "
                "(Standard Webhooks) by a secret of `webhooks.incoming.secret_files`."
            ),
            "security": [],
            "parameters": [
                {"name": name, "in": "header", "required": True, "description": what, "schema": {"type": "string"}}
                for name, what in _SIGNED.items()
            ],
            "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
            "responses": {
                "200": {"description": HTTPStatus.OK.phrase, "content": {JSON: {"schema": answer}}},
                **{str(status.value): {"description": what, **problem} for status, what in _REFUSALS.items()},
            },
        }
    }


_SUBJECTS = ("case", "login", "customer")
_SIGNED = {
    "webhook-id": "1 to 128 letters, digits, `_`, `.`, `:` or `-`: the same for each attempt.",
    "webhook-timestamp": "Unix seconds of this attempt.",
    "webhook-signature": "`v1,` and base64 of HMAC-SHA256; several are divided by spaces.",
}
_REFUSALS = {
    HTTPStatus.UNAUTHORIZED: "Unsigned, signed with another secret, or too old.",
    HTTPStatus.NOT_FOUND: "No secret is configured.",
    HTTPStatus.CONFLICT: "That id came with another body.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"More than {MOST_BODY} bytes.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Signed, and not understood.",
}
