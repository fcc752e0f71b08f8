"""The routes of the tree and its aliases, and what each method of them needs of the head."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from protocols.aio import Crossing
from protocols.http.auth import session_of
from protocols.http.download import Downloads
from protocols.http.draft import Drafts, completes
from protocols.http.inflow import Inflow
from protocols.http.override import method_of
from protocols.http.settings import HttpSettings
from protocols.http.status import ProblemError, defer_continue
from protocols.http.target import Mount, parse_target
from protocols.http.tus import PREFIX, Tus
from protocols.http.upload import Uploads
from protocols.resumable import NumberedUploads

if TYPE_CHECKING:
    from collections.abc import Sequence

CROSSING = web.AppKey("crossing", Crossing)
SETTINGS = web.AppKey("settings", HttpSettings)
ALLOW = "GET,HEAD,OPTIONS,POST,PUT"
"""POST is one of the others, told in a header."""


def add_files(app: web.Application, mounts: Sequence[Mount]) -> None:
    """Add GET, HEAD, PUT and OPTIONS for everything below *mounts*; other methods get 405 from the router."""
    crossing, settings = app[CROSSING], app[SETTINGS]
    downloads, uploads = Downloads(crossing, settings), Uploads(crossing, settings)
    inflow = Inflow(crossing, settings)
    drafts = Drafts(inflow)
    tus = app.router.add_resource(PREFIX + "{below:(?s:/.*)?}")
    tus.add_route(hdrs.METH_ANY, Tus(inflow, drafts).answer, expect_handler=defer_continue)
    for mount in mounts:
        resource = app.router.add_resource(mount.prefix + "{below:(?s:/.*)?}")
        resource.add_route(hdrs.METH_GET, partial(_get, mount, downloads), expect_handler=defer_continue)
        resource.add_route(hdrs.METH_HEAD, partial(_get, mount, downloads), expect_handler=defer_continue)
        resource.add_route(hdrs.METH_PUT, partial(_put, mount, uploads, drafts), expect_handler=defer_continue)
        resource.add_route(hdrs.METH_OPTIONS, _options, expect_handler=defer_continue)


async def _get(mount: Mount, downloads: Downloads, request: web.Request) -> web.StreamResponse:
    """Answer GET and HEAD."""
    session = await session_of(request)
    return await downloads.answer(request, session.filesystem, parse_target(request.raw_path, mount))


async def _put(mount: Mount, uploads: Uploads, drafts: Drafts, request: web.Request) -> web.StreamResponse:
    """Answer PUT."""
    session = await session_of(request)
    resumable = isinstance(session.filesystem, NumberedUploads) and hdrs.CONTENT_RANGE not in request.headers
    if resumable and completes(request.headers) is not None:
        return await drafts.create(request, session.filesystem, parse_target(request.raw_path, mount))
    return await uploads.answer(request, session.filesystem, parse_target(request.raw_path, mount))


def add_overrides(app: web.Application, mounts: Sequence[Mount]) -> None:
    """Add POST with X-HTTP-Method-Override for everything below *mounts*, and the draft's POST of a file.

    Forms are posted to some of these addresses, and their routes go before.
    """
    crossing, settings = app[CROSSING], app[SETTINGS]
    downloads, uploads = Downloads(crossing, settings), Uploads(crossing, settings)
    drafts = Drafts(Inflow(crossing, settings))
    for mount in mounts:
        app.router.add_route(
            hdrs.METH_POST,
            mount.prefix + "/{below:(?s:.*)}",
            partial(_post, mount, downloads, uploads, drafts),
            expect_handler=defer_continue,
        )


async def _post(
    mount: Mount, downloads: Downloads, uploads: Uploads, drafts: Drafts, request: web.Request
) -> web.StreamResponse:
    """Answer POST: what it means is told in a header."""
    match method_of(request):
        case hdrs.METH_PUT:
            return await _put(mount, uploads, drafts, request)
        case hdrs.METH_GET | hdrs.METH_HEAD:
            return await _get(mount, downloads, request)
        case hdrs.METH_OPTIONS:
            return await _options(request)
        case hdrs.METH_POST if completes(request.headers) is not None:
            return await _put(mount, uploads, drafts, request)
        case _:
            await session_of(request)
            raise ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, "files are sent here by PUT", headers={hdrs.ALLOW: ALLOW})


async def _options(_request: web.Request) -> web.StreamResponse:
    """Say what is allowed; asks for no sign-in, because it says nothing about any file."""
    return web.Response(status=204, headers={hdrs.ALLOW: ALLOW, hdrs.ACCEPT_RANGES: "bytes"})
