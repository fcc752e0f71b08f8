"""The simulator's HTTP: the lookup contract under `/v1`, signed; under `/admin`, for this machine only, its strings."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import random
import time
from typing import TYPE_CHECKING

from aiohttp import web

from casemap.errors import CursorError, InvalidRecordError, RecordNotFoundError
from casemap.lookup import DEFAULT_LIMIT, MAX_LIMIT
from casemap.model import CaseState
from casemap.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify
from mft.casesystem.behaviour import HUGE_BYTES, Nonsense, distort, parse_behaviour

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from mft.casesystem.announcer import Announcer
    from mft.casesystem.behaviour import Behaviour
    from mft.casesystem.state import CaseSystem, Row


def make_application(
    system: CaseSystem,
    secret: bytes,
    *,
    clock: Callable[[], float] = time.time,
    chance: random.Random | None = None,
    announcer: Announcer | None = None,
) -> web.Application:
    """Return the server's application; *clock* in Unix seconds, *chance* decides who meets `error_rate`.

    With *announcer*, what is changed by the admin part is announced before that answers.
    """
    lookup = _Lookup(system, secret, clock, chance or random.Random())  # noqa: S311 (no secret)
    admin = _Admin(system, announcer)
    application = web.Application(middlewares=[_as_problem])
    application.add_routes(
        [
            web.get("/v1/principals/{login}", lookup.principal),
            web.get("/v1/cases", lookup.cases),
            web.get("/v1/cases/{number}", lookup.case),
            web.get("/v1/customers", lookup.customers),
            web.get("/v1/customers/{id}", lookup.customer),
            web.post("/admin/customers", admin.put_customer),
            web.post("/admin/cases", admin.put_case),
            web.patch("/admin/cases/{number}", admin.change_case),
            web.delete("/admin/cases/{number}", admin.remove_case),
            web.post("/admin/principals", admin.put_principal),
            web.patch("/admin/principals/{login}", admin.change_principal),
            web.delete("/admin/principals/{login}", admin.remove_principal),
            web.put("/admin/behaviour", admin.behave),
            web.get("/admin/requests", admin.requests),
        ]
    )
    return application


def _problem(status: int, code: str, detail: str) -> web.Response:
    """Return a problem document (RFC 9457) with the contract's `code`."""
    body = {"type": "about:blank", "status": status, "title": code.replace("_", " "), "code": code, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")


@web.middleware
async def _as_problem(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RecordNotFoundError as error:
        return _problem(404, "not_found", str(error))
    except CursorError as error:
        return _problem(400, "invalid_cursor", str(error))
    except InvalidRecordError as error:
        return _problem(422, "invalid_record", str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _problem(error.status, "no_such_route" if error.status == 404 else "bad_request", error.reason)


class _Lookup:
    """The contract, version 1."""

    def __init__(self, system: CaseSystem, secret: bytes, clock: Callable[[], float], chance: random.Random) -> None:
        self._system = system
        self._secret = secret
        self._clock = clock
        self._chance = chance

    async def principal(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, lambda: self._system.principal(request.match_info["login"]))

    async def case(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, lambda: self._system.case(request.match_info["number"]))

    async def customer(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, lambda: self._system.customer(request.match_info["id"]))

    async def cases(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, lambda: self._cases(request))

    async def customers(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, lambda: self._system.customers(request.query.get("cursor"), _limit(request)))

    def _cases(self, request: web.Request) -> Row:
        state = request.query.get("state")
        if state not in {None, *(each.value for each in CaseState)}:
            raise web.HTTPBadRequest(reason="no such state")
        return self._system.cases(request.query.get("customer"), state, request.query.get("cursor"), _limit(request))

    async def _answer(self, request: web.Request, find: Callable[[], Row]) -> web.StreamResponse:
        self._system.requests[request.path] += 1
        behaviour = self._system.behaviour
        if not self._is_signed(request):
            return _problem(401, "bad_signature", "the signature is missing, wrong or too old")
        await _dawdle(behaviour)
        status = behaviour.status
        if status is None and self._chance.random() < behaviour.error_rate:
            status = behaviour.error_status
        if status is not None and status != 200:
            return web.Response(status=status, headers={"Retry-After": "7"} if status in {429, 503} else {})
        if behaviour.nonsense is None:
            return web.json_response(find())
        return await _misbehave(request, behaviour.nonsense, find)

    def _is_signed(self, request: web.Request) -> bool:
        return verify(
            self._secret,
            timestamp=request.headers.get(TIMESTAMP_HEADER, ""),
            signature=request.headers.get(SIGNATURE_HEADER, ""),
            now=self._clock(),
            method=request.method,
            target=request.raw_path,
        )


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 1 <= int(text) <= MAX_LIMIT:
        raise web.HTTPBadRequest(reason=f"limit must be 1 to {MAX_LIMIT}")
    return int(text)


async def _dawdle(behaviour: Behaviour) -> None:
    if behaviour.latency_ms:
        await asyncio.sleep(behaviour.latency_ms / 1000)
    if behaviour.hang:
        await asyncio.Event().wait()


async def _misbehave(request: web.Request, kind: Nonsense, find: Callable[[], Row]) -> web.StreamResponse:
    if kind is Nonsense.HTML:
        return web.Response(text="<html>please log in</html>", content_type="text/html")
    if kind is Nonsense.NOT_FOUND_PAGE:
        return web.Response(status=404, text="<html>404</html>", content_type="text/html")
    if kind is Nonsense.REDIRECT:
        return web.Response(status=302, headers={"Location": request.path_qs})
    answer = find()
    if kind is Nonsense.HUGE:
        return await _flood(request, json.dumps(answer).encode())
    if kind in {Nonsense.DRIP, Nonsense.CUT}:
        return await _trickle(request, json.dumps(answer).encode(), for_ever=kind is Nonsense.DRIP)
    headers = {"Content-Encoding": "gzip"} if kind is Nonsense.COMPRESSED else {}
    return web.Response(body=distort(kind, answer), content_type="application/json", headers=headers)


async def _flood(request: web.Request, body: bytes) -> web.StreamResponse:
    """Send *body* behind 50 MB of white space, which JSON allows."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(HUGE_BYTES >> 16):
            await response.write(b" " * 65536)
        await response.write(body)
    return response


async def _trickle(request: web.Request, body: bytes, *, for_ever: bool) -> web.StreamResponse:
    """Send spaces now and then until the client goes; or half of *body*, and go first."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body) + 9999)})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while for_ever:
            await response.write(b" ")
            await asyncio.sleep(0.02)
        await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


class _Admin:
    """What a person at the case system, or a test, does to it."""

    def __init__(self, system: CaseSystem, announcer: Announcer | None) -> None:
        self._system = system
        self._announcer = announcer

    async def put_customer(self, request: web.Request) -> web.Response:
        row = self._system.put_customer(await _body(request))
        await self._tell("customer.changed", customer=str(row["id"]))
        return web.json_response(row, status=201)

    async def put_case(self, request: web.Request) -> web.Response:
        row = self._system.put_case(await _body(request))
        await self._tell("case.opened" if row["state"] == "open" else "case.closed", case=str(row["number"]))
        return web.json_response(row, status=201)

    async def change_case(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        before = self._system.case(number)
        row = self._system.change_case(number, await _body(request))
        kind = "case.changed" if row["customer"] == before["customer"] else "case.reassigned"
        if row["state"] != before["state"]:
            kind = "case.opened" if row["state"] == "open" else "case.closed"
        await self._tell(kind, case=number)
        return web.json_response(row)

    async def remove_case(self, request: web.Request) -> web.Response:
        _from_here(request)
        self._system.remove_case(request.match_info["number"])
        await self._tell("case.removed", case=request.match_info["number"])
        return web.Response(status=204)

    async def put_principal(self, request: web.Request) -> web.Response:
        row = self._system.put_principal(await _body(request))
        await self._tell("principal.changed", login=str(row["login"]))
        return web.json_response(row, status=201)

    async def change_principal(self, request: web.Request) -> web.Response:
        row = self._system.change_principal(request.match_info["login"], await _body(request))
        revoked = row.get("active") is False
        await self._tell("principal.revoked" if revoked else "principal.changed", login=str(row["login"]))
        return web.json_response(row)

    async def remove_principal(self, request: web.Request) -> web.Response:
        _from_here(request)
        self._system.remove_principal(request.match_info["login"])
        await self._tell("principal.revoked", login=request.match_info["login"])
        return web.Response(status=204)

    async def _tell(self, kind: str, **data: str) -> None:
        if self._announcer is not None:
            await asyncio.to_thread(self._announcer.tell, kind, **data)

    async def behave(self, request: web.Request) -> web.Response:
        self._system.behaviour = parse_behaviour(await _body(request))
        return web.Response(status=204)

    async def requests(self, request: web.Request) -> web.Response:
        _from_here(request)
        return web.json_response(dict(self._system.requests))


def _from_here(request: web.Request) -> None:
    """Refuse who is not on this machine; the address is the socket's own, no header counts."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not isinstance(peer, tuple) or not ipaddress.ip_address(peer[0]).is_loopback:
        raise web.HTTPForbidden(reason="the admin part answers to this machine alone")


async def _body(request: web.Request) -> object:
    """Return the JSON body. Its content type is required: no page in a browser may send it here unasked."""
    _from_here(request)
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="send application/json")
    try:
        return await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(reason="the body is not JSON") from error
