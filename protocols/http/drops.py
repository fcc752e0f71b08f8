"""Addresses at which files are taken though no directory is there: the root itself, forms, and what other vendors have.

| address | as with |
|---|---|
| `PUT /NAME` | Cisco |
| `POST /`, `/home/`, `/cases/CASE/`, `/upload/issue/CASE/` | a page with a form |
| `POST /cases/CASE/attachments`, `/support/v1/cases/CASE/attachments` | Red Hat |
| `POST /rest/api/2/issue/CASE/attachments` (or 3) | Jira |
| `PUT`, `POST /incoming/upload.php?file=NAME` | SUSE; off by default |
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from protocols.http.auth import session_of
from protocols.http.download import Downloads
from protocols.http.files import CROSSING, SETTINGS
from protocols.http.forms import Forms, Place
from protocols.http.status import ProblemError, defer_continue
from protocols.http.target import Mount, Target, parse_target, refuse_secrets
from protocols.http.upload import Uploads
from protocols.path import ROOT, VirtualPath

ANY_CASE = VirtualPath(("upload", "issue"))
"""The directory in which a case's number may stand, and what is no number is taken without a case."""
_ROOT_MOUNT = Mount(prefix="")
_TREE_MOUNT = Mount(prefix="/files")
_DROP_MOUNT = Mount(prefix="/home", root=VirtualPath(("home",)))
_FORMS = (
    ("", ROOT),
    ("/home", ROOT),
    ("/upload/issue", ANY_CASE),
    ("/cases", ANY_CASE),
    ("/support/v1/cases", ANY_CASE),
    ("/rest/api/2/issue", ANY_CASE),
    ("/rest/api/3/issue", ANY_CASE),
)
"""Where forms are posted to, and the directory that the rest of the address stands in."""
_ATTACHMENTS = re.compile(r"(?:/attachments/?|/)\Z")


def add_drops(app: web.Application) -> None:
    """Add the routes; those of the application go before them."""
    crossing, settings = app[CROSSING], app[SETTINGS]
    uploads, downloads, forms = Uploads(crossing, settings), Downloads(crossing, settings), Forms(crossing, settings)
    root = app.router.add_resource("/{name:[^/]+}")
    root.add_route(hdrs.METH_PUT, partial(_put_at_root, uploads), expect_handler=defer_continue)
    root.add_route(hdrs.METH_HEAD, partial(_head_at_root, downloads))
    root.add_route(hdrs.METH_GET, _nothing_here)
    for prefix, folder in _FORMS:
        app.router.add_route(
            hdrs.METH_POST,
            prefix + ("/" if folder == ROOT else "/{case:[^/]*}{rest:(?:/attachments)?/?}"),
            partial(_post, forms, prefix, folder),
            expect_handler=defer_continue,
        )
    if settings.upload_php:
        for prefix in ("/incoming/upload.php", "/upload.php"):
            for method in (hdrs.METH_PUT, hdrs.METH_POST):
                app.router.add_route(method, prefix, partial(_upload_php, uploads), expect_handler=defer_continue)


async def _put_at_root(uploads: Uploads, request: web.Request) -> web.StreamResponse:
    """Answer `PUT /NAME`; what it makes is read in the tree."""
    session = await session_of(request)
    target = replace(parse_target(request.raw_path, _ROOT_MOUNT), mount=_TREE_MOUNT)
    return await uploads.answer(request, session.filesystem, target)


async def _head_at_root(downloads: Downloads, request: web.Request) -> web.StreamResponse:
    """Answer `HEAD /NAME`: from where an upload goes on."""
    session = await session_of(request)
    return await downloads.answer(request, session.filesystem, parse_target(request.raw_path, _ROOT_MOUNT))


async def _nothing_here(_request: web.Request) -> web.StreamResponse:
    """Answer `GET /NAME`: what was sent there is read in its folder."""
    raise ProblemError(HTTPStatus.NOT_FOUND, "there is nothing at this address")


async def _post(forms: Forms, prefix: str, folder: VirtualPath, request: web.Request) -> web.StreamResponse:
    """Answer a form."""
    session = await session_of(request)
    path, question, query = request.raw_path.partition("?")
    if folder != ROOT:
        path = _ATTACHMENTS.sub("", path)
    target = parse_target(path + question + query, Mount(prefix=prefix, root=folder))
    if target.depth > 1:
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is nothing at this address")
    return await forms.answer(request, session.filesystem, Place(folder=target.path, cases=ANY_CASE))


async def _upload_php(uploads: Uploads, request: web.Request) -> web.StreamResponse:
    """Answer `upload.php?file=NAME`."""
    session = await session_of(request)
    query = request.raw_path.partition("?")[2]
    refuse_secrets(query)
    names = parse_qs(query, keep_blank_values=True, errors="surrogateescape", max_num_fields=20).get("file", [])
    if len(names) != 1 or not names[0]:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "name the file once: upload.php?file=NAME")
    target = Target(mount=_DROP_MOUNT, path=_DROP_MOUNT.root.child(names[0]), directory=False)
    return await uploads.answer(request, session.filesystem, target)
