"""PROPFIND: a multistatus that is streamed from a listing, page by page.

Windows and mounts ask for whole folders all the time: a tree of XML objects for each would cost ten times as much.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from protocols.errors import NotFoundError
from protocols.filesystem import Entry, Locking, Properties, ScanPages, Space
from protocols.http.dav.documents import Wanted, parse_wanted, read_document
from protocols.http.dav.places import covering, placeholder
from protocols.http.dav.rows import CLOSING, LOCK_NAMES, OPENING, QUOTA, ROW_NAMES, Rows, Subject, href_of, is_live
from protocols.http.status import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from protocols.aio import Crossing
    from protocols.filesystem import Lock, Row, WritableFileSystem
    from protocols.http.settings import HttpSettings
    from protocols.http.target import Target

HEADERS = {
    hdrs.CONTENT_TYPE: 'application/xml; charset="utf-8"',
    hdrs.CACHE_CONTROL: "private, no-store",
    "DAV": "1, 2",
}
FINITE_DEPTH = b'<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n'


@dataclass(slots=True, kw_only=True)
class Listing:
    """A multistatus under way."""

    rows: Rows
    subject: Subject
    children: Iterator[Entry] | None
    """None: the thing itself is all that was asked for."""
    dead: Mapping[str, Mapping[str, str]]
    locks: Sequence[Lock]
    """On the thing, above it, and below it where its children are listed."""
    awaited: dict[str, Lock] = field(default_factory=dict)
    """Locked names of which no file has been seen yet."""


def parse_depth(request: web.Request) -> str:
    """Return what the Depth header says: `0`, `1` or `infinity`.

    Where there is none, infinity is meant (section 10.2), which a folder refuses. webdav4 and fsspec send none and want
    the folder itself: they are answered as other servers do (sabre/dav), with what lies directly in it.

    Raises:
        ProblemError: 400, it is none that there is.
    """
    depth = request.headers.get("Depth", "1").strip().lower()
    if depth not in {"0", "1", "infinity"}:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "Depth is 0, 1 or infinity")
    return depth


class _EndlessError(Exception):
    """A PROPFIND of everything below a folder, which is refused (RFC 4918, section 9.1.1)."""


async def answer_propfind(
    request: web.Request,
    filesystem: WritableFileSystem,
    target: Target,
    crossing: Crossing,
    settings: HttpSettings,
) -> web.StreamResponse:
    """Return the answer, its body sent.

    Raises:
        ProblemError, FileSystemError: before anything is sent: the answer; later: the connection is to be cut.
    """
    wanted = parse_wanted(await read_document(request, settings))
    depth = parse_depth(request)
    try:
        listing = await crossing.run(_begin, filesystem, target, wanted, depth)
    except _EndlessError:
        return web.Response(status=HTTPStatus.FORBIDDEN, body=FINITE_DEPTH, headers=HEADERS)
    try:
        page, more = await crossing.run(_page, listing, settings.listing_page * 2)
        opening = OPENING + listing.rows.response(listing.subject)
        if not more:
            return web.Response(
                status=HTTPStatus.MULTI_STATUS, body=(opening + page + CLOSING).encode(), headers=HEADERS
            )
        response = web.StreamResponse(status=HTTPStatus.MULTI_STATUS, headers=HEADERS)
        await response.prepare(request)
        await response.write((opening + page).encode())
        while more:
            page, more = await crossing.run(_page, listing, settings.listing_page * 2)
            if page:
                await response.write(page.encode())
        await response.write_eof(CLOSING.encode())
    finally:
        await crossing.run(_let_go, listing)
    return response


def _begin(filesystem: WritableFileSystem, target: Target, wanted: Wanted, depth: str) -> Listing:
    """Find out what the whole answer rests on, in one crossing.

    Raises:
        _EndlessError: it is a folder, and all below it is asked for.
    """
    path = target.path
    deep = depth == "1"
    asked = None if wanted.mode == "allprop" else frozenset(wanted.names)
    place, locks = _locks(filesystem, target, deep=deep)
    stands_for = None
    try:
        entry = filesystem.stat(path)
    except NotFoundError:
        stands_for = placeholder(path, place, locks)
        if stands_for is None:
            raise
        entry = stands_for
    if depth == "infinity" and entry.is_directory:
        raise _EndlessError
    dead: Mapping[str, Mapping[str, str]] = {}
    is_told = asked is not None and all(map(is_live, asked))
    if isinstance(filesystem, Properties) and stands_for is None and not is_told:
        dead = filesystem.properties(path, children=deep and entry.is_directory)
    space = None
    if asked is not None and asked & QUOTA and entry.is_directory and isinstance(filesystem, Space):
        report = filesystem.space(path)
        space = report if report.total else None
    href = target.mount.url(path)
    if entry.is_directory and not href.endswith("/"):
        href += "/"
    subject = Subject(
        href=href, entry=entry, place=place, locks=covering(place, locks), dead=dead.get("", {}), space=space
    )
    children = _children(filesystem, target, asked) if deep and entry.is_directory else None
    awaited = {} if place is None or children is None else {_below(place, lock): lock for lock in locks}
    awaited.pop("", None)
    return Listing(rows=Rows(wanted), subject=subject, children=children, dead=dead, locks=locks, awaited=awaited)


def _locks(filesystem: WritableFileSystem, target: Target, *, deep: bool) -> tuple[str | None, Sequence[Lock]]:
    if not isinstance(filesystem, Locking):
        return None, ()
    place = filesystem.lock_place(target.path)
    if place is None:
        return None, ()
    return place, filesystem.locks.held(place, below=deep)


def _below(place: str, lock: Lock) -> str:
    """Return the name of a child of *place* that *lock* is taken on; empty: it is taken elsewhere."""
    if not lock.place.startswith(place + "/"):
        return ""
    name = lock.place[len(place) + 1 :]
    return "" if "/" in name else name


def _children(filesystem: WritableFileSystem, target: Target, asked: frozenset[str] | None) -> Iterator[Entry]:
    """Return the rows of a directory; the quicker ones where they say all that is asked for."""
    if asked and asked <= ROW_NAMES | LOCK_NAMES and isinstance(filesystem, ScanPages):
        return (_entry(row) for page in filesystem.scan_pages(target.path) for row in page)
    return iter(filesystem.scandir(target.path))


def _entry(row: Row) -> Entry:
    name, is_directory, size, modified, writable = row
    return Entry(name=name, is_directory=bool(is_directory), size=size, modified=modified, writable=bool(writable))


def _page(listing: Listing, length: int) -> tuple[str, bool]:
    """Return the next responses, and whether there are more to come."""
    if listing.children is None:
        return "", False
    entries = list(islice(listing.children, length))
    if len(entries) == length:
        return _responses(listing, entries), True
    text = _responses(listing, entries)
    for name, lock in listing.awaited.items():
        place = None if listing.subject.place is None else f"{listing.subject.place}/{name}"
        entry = Entry(name=name, is_directory=False, modified=lock.expires, writable=True)
        text += listing.rows.response(_child(listing, replace(entry, modified=0.0), place))
    return text, False


def _responses(listing: Listing, entries: Sequence[Entry]) -> str:
    place = listing.subject.place
    if place is None or not listing.locks:
        return "".join(listing.rows.response(_plain(listing, entry, place)) for entry in entries)
    for entry in entries:
        listing.awaited.pop(entry.name, None)
    return "".join(listing.rows.response(_child(listing, entry, f"{place}/{entry.name}")) for entry in entries)


def _plain(listing: Listing, entry: Entry, place: str | None) -> Subject:
    """Return a child of a folder in which nothing is locked."""
    return Subject(
        href=href_of(listing.subject.href, entry.name, directory=entry.is_directory),
        entry=entry,
        place=place,
        dead=listing.dead.get(entry.name, {}),
    )


def _child(listing: Listing, entry: Entry, place: str | None) -> Subject:
    return replace(_plain(listing, entry, place), locks=covering(place, listing.locks))


def _let_go(listing: Listing) -> None:
    """Close a listing that may not have been read to its end."""
    close = getattr(listing.children, "close", None)
    if close is not None:
        with contextlib.suppress(ValueError):  # it is running: its thread closes it
            close()
