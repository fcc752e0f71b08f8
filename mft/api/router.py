"""Serves routes on the HTTPS head: signs in, paces, checks, calls on a thread, answers."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from mft.api.fault import PROBLEM, ApiError
from mft.api.openapi import BASE, document
from mft.api.replay import Kept
from mft.api.route import JSON, Answer, Call, Route
from protocols.errors import AuthenticationError
from protocols.http.app import REQUEST_ID
from protocols.http.auth import session_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mft.api.caller import Caller, FindCaller
    from mft.api.pace import Pace
    from mft.api.replay import Replays
    from protocols.aio import Crossing

M = TypeVar("M", bound=BaseModel)
AnyRoute = Route[Any, Any, Any]
_KEY = re.compile(r"[A-Za-z0-9._:-]{8,255}")
_TAG = re.compile(r'(?:W/)?"?([A-Za-z0-9_-]{1,200})"?')
"""Quotes are asked for (RFC 9110, section 8.8.3), and forgotten by many."""
_NO_STORE: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}
_VERSION = "1.0.0"
"""Of the API, not of the server: it rises when a route changes."""


class Router:
    """The routes of `/api/v1`, one for each worker."""

    def __init__(self, *, crossing: Crossing, find: FindCaller, pace: Pace, replays: Replays, title: str) -> None:
        """Ask *find* who calls; call handlers on *crossing*'s threads."""
        self._crossing = crossing
        self._find = find
        self._pace = pace
        self._replays = replays
        self._title = title
        self._routes: list[AnyRoute] = []
        self._others: dict[str, dict[str, Any]] = {}
        self._written: bytes | None = None

    @property
    def routes(self) -> tuple[AnyRoute, ...]:
        """What is served, in the order of the document."""
        return tuple(self._routes)

    def add(self, routes: Iterable[AnyRoute]) -> None:
        """Serve *routes* too.

        Raises:
            ValueError: a method of a path, or a name, is taken.
        """
        for route in routes:
            for other in self._routes:
                if (route.method, route.path) == (other.method, other.path) or route.name == other.name:
                    raise ValueError(f"{route.name}: {route.method} {route.path} is there already, as {other.name}")
            self._routes.append(route)

    def add_routes(self, app: web.Application) -> None:
        """Serve everything in *app*, the document included."""
        app.router.add_get(f"{BASE}/openapi.json", self._serve_document)
        for route in self._routes:
            app.router.add_route(route.method, BASE + route.path, self._handler(route))

    def add_alias(self, app: web.Application, name: str, path: str) -> None:
        """Serve the route of that *name* at another *path* too, which the document leaves out."""
        route = next(route for route in self._routes if route.name == name)
        app.router.add_route(route.method, path, self._handler(route))

    def describe(self, path: str, item: dict[str, Any]) -> None:
        """Have the document say *item* of *path*, which somebody else serves."""
        self._others[path] = item

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        return document(self._routes, title=self._title, version=_VERSION, others=self._others)

    async def _serve_document(self, _request: web.Request) -> web.Response:
        if self._written is None:
            self._written = json.dumps(self.document(), ensure_ascii=False).encode()
        return web.Response(body=self._written, content_type=JSON, headers={hdrs.CACHE_CONTROL: "public, max-age=300"})

    def _handler(self, route: AnyRoute) -> Any:  # noqa: ANN401 -- aiohttp's handler type is private
        async def handle(request: web.Request) -> web.StreamResponse:
            pace: dict[str, str] = {}
            try:
                response = await self._serve(route, request, pace)
            except ApiError as error:
                response = web.Response(
                    status=error.status.value,
                    body=error.document(request[REQUEST_ID]),
                    content_type=PROBLEM,
                    headers={**_NO_STORE, **error.headers},
                )
            if not response.prepared:
                response.headers.update(pace)
            return response

        return handle

    async def _serve(self, route: AnyRoute, request: web.Request, pace: dict[str, str]) -> web.StreamResponse:
        caller = None if route.public else await self._admit(route, request, pace)
        path = _checked(route.path_model, dict(request.match_info), HTTPStatus.NOT_FOUND)
        query = _checked(route.query_model, _query(request), HTTPStatus.BAD_REQUEST)
        raw = await _read(route, request) if route.has_body else b""
        body = _parsed(route.body_model, raw) if route.has_body else route.body_model()
        call: Call[Any, Any, Any] = Call(
            caller=caller,  # type: ignore[arg-type]  # None for public routes alone, whose handlers do not look at it
            path=path,
            query=query,
            body=body,
            request_id=request[REQUEST_ID],
            if_match=_tags(request, hdrs.IF_MATCH) if route.conditional else None,
        )
        key = _key(request) if route.repeatable else None
        if key is None or caller is None:
            answer = await self._crossing.run(route.handle, call)
            if answer.lines is not None:
                return await self._stream(route, request, answer, pace)
            kept = _kept(route, answer)
        else:
            print_ = b"\n".join([route.method.encode(), request.raw_path.encode(), raw])
            kept, replayed = await self._crossing.run(self._once, route, call, key, print_)
            if replayed:
                pace["Idempotency-Replayed"] = "true"
        return _response(request, kept)

    async def _admit(self, route: AnyRoute, request: web.Request, pace: dict[str, str]) -> Caller:
        session = await session_of(request)
        caller = await self._crossing.run(self._find, session)
        if caller is None:
            raise AuthenticationError("access has been withdrawn")
        turn = self._pace.take(caller.login)
        pace.update(self._pace.headers(turn))
        if not turn.granted:
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "too many requests of this login; wait, then go on"
            )
        if route.permission is not None and route.permission not in caller.permissions:
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "insufficient-scope",
                f"this needs {route.permission.value}, which your roles or your token's scopes do not hold",
                headers={hdrs.WWW_AUTHENTICATE: f'Bearer error="insufficient_scope", scope="{route.permission.value}"'},
            )
        return caller

    def _once(self, route: AnyRoute, call: Call[Any, Any, Any], key: str, request: bytes) -> tuple[Kept, bool]:
        """Carry *call* out unless it was before; on a thread."""
        login = call.caller.login
        before = self._replays.begin(login, key, request)
        if before is not None:
            return before, True
        try:
            kept = _kept(route, route.handle(call))
        except BaseException:
            self._replays.drop(login, key)
            raise
        self._replays.finish(login, key, kept)
        return kept, False

    async def _stream(
        self, route: AnyRoute, request: web.Request, answer: Answer, pace: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            status=route.status.value, headers={hdrs.CONTENT_TYPE: route.media, **_NO_STORE, **answer.headers, **pace}
        )
        await response.prepare(request)
        lines = answer.lines
        while lines is not None and request.method != hdrs.METH_HEAD:
            piece = await self._crossing.run(next, lines, None)
            if piece is None:
                break
            await response.write(piece)
        await response.write_eof()
        return response


def _kept(route: AnyRoute, answer: Answer) -> Kept:
    headers = dict(answer.headers)
    if answer.etag is not None:
        headers[hdrs.ETAG] = f'"{answer.etag}"'
    body = b""
    if answer.document is not None:
        headers[hdrs.CONTENT_TYPE] = route.media
        body = answer.document.model_dump_json(by_alias=True).encode()
    return Kept(status=(answer.status or route.status).value, headers=headers, body=body)


def _response(request: web.Request, kept: Kept) -> web.Response:
    etag = kept.headers.get(hdrs.ETAG)
    if etag is not None and request.method in {hdrs.METH_GET, hdrs.METH_HEAD}:
        seen = _tags(request, hdrs.IF_NONE_MATCH)
        if seen is not None and (seen == ("*",) or etag.strip('"') in seen):
            return web.Response(status=HTTPStatus.NOT_MODIFIED.value, headers={**_NO_STORE, hdrs.ETAG: etag})
    return web.Response(status=kept.status, body=kept.body or None, headers={**_NO_STORE, **kept.headers})


def _query(request: web.Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name in found:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid-request",
                "a parameter came twice",
                errors=({"pointer": name, "detail": "give it once"},),
            )
        found[name] = value
    return found


async def _read(route: AnyRoute, request: web.Request) -> bytes:
    if request.content_type != JSON:
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", f"send the body with Content-Type: {JSON}"
        )
    too_large = ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-large",
        f"the body of this request has at most {route.body_bytes} bytes",
    )
    if (request.content_length or 0) > route.body_bytes:
        raise too_large
    pieces = bytearray()
    async for piece in request.content.iter_any():
        pieces += piece
        if len(pieces) > route.body_bytes:
            raise too_large
    return bytes(pieces)


def _parsed(model: type[M], raw: bytes) -> M:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        malformed = any(each["type"] == "json_invalid" for each in error.errors(include_url=False))
        if malformed:
            raise ApiError(HTTPStatus.BAD_REQUEST, "malformed", "the body is not JSON in UTF-8") from None
        raise _invalid(HTTPStatus.UNPROCESSABLE_ENTITY, error) from None


def _checked(model: type[M], values: dict[str, str], status: HTTPStatus) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        if status is HTTPStatus.NOT_FOUND:
            raise ApiError(status, "not-found", "there is nothing at this address") from None
        raise _invalid(status, error) from None


def _invalid(status: HTTPStatus, error: ValidationError) -> ApiError:
    errors = [
        {
            "pointer": "/" + "/".join(str(part) for part in each["loc"]),
            "detail": "there is no such field or parameter"
            if each["type"] == "extra_forbidden"
            else each["msg"].removeprefix("Value error, "),
        }
        for each in error.errors(include_url=False, include_input=False, include_context=False)[:20]
    ]
    first = errors[0]
    return ApiError(status, "invalid-request", f"{first['pointer']}: {first['detail']}", errors=errors)


def _key(request: web.Request) -> str | None:
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        return None
    text = values[0].strip()
    if len(text) > 1 and text[0] == text[-1] == '"':  # the draft writes it as a structured string
        text = text[1:-1]
    if len(values) > 1 or not _KEY.fullmatch(text):
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid-idempotency-key",
            "an Idempotency-Key is one text of 8 to 255 letters, digits, '.', '_', ':' or '-', best a random UUID",
        )
    return text


def _tags(request: web.Request, header: str) -> tuple[str, ...] | None:
    values = request.headers.getall(header, [])
    if not values:
        return None
    text = ",".join(values).strip()
    if text == "*":
        return ("*",)
    tags = [_TAG.fullmatch(part.strip()) for part in text.split(",")]
    if None in tags:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, "invalid-entity-tag", f'{header} holds entity tags in quotes, or "*" alone without'
        )
    return tuple(tag.group(1) for tag in tags if tag is not None)
