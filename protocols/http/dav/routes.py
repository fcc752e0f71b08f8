"""The addresses and methods of WebDAV, and which of them asks for no sign-in."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from protocols.errors import NotFoundError
from protocols.filesystem import Entry, Locking
from protocols.http.auth import session_of
from protocols.http.dav.documents import Wanted, read_document
from protocols.http.dav.places import placeholder
from protocols.http.dav.propfind import HEADERS, answer_propfind
from protocols.http.dav.put import Puts, RefusedError
from protocols.http.dav.rows import CLOSING, OPENING, Rows, Subject
from protocols.http.dav.rules import Ask, apply_rules
from protocols.http.download import Downloads
from protocols.http.status import ProblemError, defer_continue
from protocols.http.target import Mount, origin_form, parse_target

if TYPE_CHECKING:
    from protocols.aio import Crossing
    from protocols.filesystem import WritableFileSystem
    from protocols.http.dav.rules import Verdict
    from protocols.http.settings import HttpSettings
    from protocols.http.target import Target
    from protocols.session import Session

PROTOCOL = "webdav"
MOUNT = Mount(prefix="/dav")
METHODS = ("COPY", "DELETE", "LOCK", "MKCOL", "MOVE", "PROPPATCH", "UNLOCK")
"""Those that go through the rules as they are."""
ALLOW = ", ".join(sorted({*METHODS, "GET", "HEAD", "OPTIONS", "PROPFIND", "PUT"}))
CLASSES = {"DAV": "1, 2", "MS-Author-Via": "DAV", hdrs.ALLOW: ALLOW}
_WIDE = frozenset({"COPY", "DELETE"})
"""Methods that may go on for long over a whole folder."""


def protocol_of(raw_path: str) -> str:
    """Return what a request for *raw_path* speaks."""
    path = origin_form(raw_path)
    return PROTOCOL if path == MOUNT.prefix or path.startswith(MOUNT.prefix + "/") else "https"


class Dav:
    """Answers every request below `/dav`."""

    def __init__(self, crossing: Crossing, settings: HttpSettings) -> None:
        """Serve through *crossing*, within *settings*."""
        self._crossing = crossing
        self._settings = settings
        self._downloads = Downloads(crossing, settings)
        self._puts = Puts(crossing, settings)
        self._wide = asyncio.Semaphore(settings.dav_copies)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer GET and HEAD.

        A folder's address ends in a slash: who asks without one is sent there, and so tells it from a file. lftp puts
        what it sends into the folder above otherwise.
        """
        session, target = await _begin(request)
        try:
            return await self._downloads.answer(request, session.filesystem, target, folders_end_in_slash=True)
        except NotFoundError:
            if not await self._crossing.run(_is_placeholder, session.filesystem, target):
                raise
        return web.Response(headers={hdrs.CACHE_CONTROL: "private, no-store"})

    async def put(self, request: web.Request) -> web.StreamResponse:
        """Answer PUT."""
        session, target = await _begin(request)
        try:
            return await self._puts.answer(request, session, target)
        except RefusedError as error:
            return _answered(error.verdict)

    async def propfind(self, request: web.Request) -> web.StreamResponse:
        """Answer PROPFIND."""
        session, target = await _begin(request)
        return await answer_propfind(request, session.filesystem, target, self._crossing, self._settings)

    async def rule(self, request: web.Request) -> web.StreamResponse:
        """Answer what the rules answer by themselves."""
        session, target = await _begin(request)
        body = await read_document(request, self._settings)
        ask = Ask(method=request.method, target=target, headers=request.headers, host=request.host, body=body)
        if request.method in _WIDE:
            async with self._wide:
                verdict = await self._crossing.run(apply_rules, ask, session, self._settings)
        else:
            verdict = await self._crossing.run(apply_rules, ask, session, self._settings)
        return _answered(verdict)

    async def root(self, request: web.Request) -> web.StreamResponse:
        """Answer PROPFIND of `/`, which Windows asks before it looks at what it was told to mount."""
        await session_of(request, PROTOCOL)
        if await read_document(request, self._settings):
            pass  # whatever it names, a folder is all that it is
        deep = request.headers.get("Depth") == "1"
        if not deep and request.headers.get("Depth") != "0":
            raise ProblemError(HTTPStatus.FORBIDDEN, "ask with Depth: 0 or 1")
        rows = Rows(Wanted(mode="allprop"))
        folders = ["/", MOUNT.prefix + "/"] if deep else ["/"]
        text = "".join(
            rows.response(Subject(href=href, entry=Entry(name=href.strip("/"), is_directory=True))) for href in folders
        )
        return web.Response(status=HTTPStatus.MULTI_STATUS, body=(OPENING + text + CLOSING).encode(), headers=HEADERS)


def add_dav(app: web.Application, crossing: Crossing, settings: HttpSettings) -> None:
    """Add the routes."""
    dav = Dav(crossing, settings)
    resource = app.router.add_resource(MOUNT.prefix + "{below:(?s:/.*)?}")
    for method, handler in (
        (hdrs.METH_GET, dav.get),
        (hdrs.METH_HEAD, dav.get),
        (hdrs.METH_PUT, dav.put),
        (hdrs.METH_OPTIONS, _options),
        ("PROPFIND", dav.propfind),
        *((method, dav.rule) for method in METHODS),
    ):
        resource.add_route(method, handler, expect_handler=defer_continue)
    app.router.add_route(hdrs.METH_OPTIONS, "/", _options, expect_handler=defer_continue)
    app.router.add_route("PROPFIND", "/", dav.root, expect_handler=defer_continue)


def _answered(verdict: Verdict) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store", **verdict.headers}
    return web.Response(status=verdict.status, body=verdict.body or None, headers=headers)


async def _options(_request: web.Request) -> web.StreamResponse:
    """Say what is spoken here. It asks for no sign-in: Windows asks before it has one, and it tells of no file."""
    return web.Response(headers=CLASSES)


async def _begin(request: web.Request) -> tuple[Session, Target]:
    """Return who asks, and for what."""
    session = await session_of(request, PROTOCOL)
    return session, parse_target(request.raw_path, MOUNT)


def _is_placeholder(filesystem: WritableFileSystem, target: Target) -> bool:
    """Say whether a lock stands for a file that has no bytes yet."""
    if not isinstance(filesystem, Locking):
        return False
    place = filesystem.lock_place(target.path)
    return place is not None and placeholder(target.path, place, filesystem.locks.held(place, below=False)) is not None
