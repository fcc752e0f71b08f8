"""The XML that clients send: read whole, within a limit, without a document type and so without entities."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from aiohttp import hdrs

from protocols.http.body import next_piece
from protocols.http.status import ProblemError, proceed

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from aiohttp import web

    from protocols.http.settings import HttpSettings

MOST_NAMES = 256
"""Properties that one PROPFIND may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a PROPFIND asks for."""

    mode: Literal["allprop", "propname", "prop"]
    names: tuple[str, ...] = ()
    """In Clark's notation: what `prop` names, or what `allprop` is to include besides."""


async def read_document(request: web.Request, settings: HttpSettings) -> bytes:
    """Return the body of *request*, which is small.

    Raises:
        ProblemError: it is not (413), or the client fell silent (408).
        TransferCutError: it broke off.
    """
    if hdrs.CONTENT_LENGTH not in request.headers and hdrs.TRANSFER_ENCODING not in request.headers:
        return b""
    limit = settings.dav_document
    too_large = ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body of this request may have {limit} bytes")
    if int(request.headers.get(hdrs.CONTENT_LENGTH, "0")) > limit:
        raise too_large
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() != "identity":
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no Content-Encoding is undone here")
    await proceed(request)
    pieces: list[bytes] = []
    size = 0
    while piece := await next_piece(request, settings.body_timeout):
        size += len(piece)
        if size > limit:
            raise too_large
        pieces.append(piece)
    return b"".join(pieces)


def parse_document(body: bytes) -> Element:
    """Make the tree of an XML document.

    Raises:
        ProblemError: 400, it is none, or has a document type: entities are not taken, wherever they point.
    """
    from xml.etree.ElementTree import ParseError  # noqa: PLC0415 -- for whoever speaks WebDAV alone

    from defusedxml import DefusedXmlException  # noqa: PLC0415
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415

    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "the body is not well-formed XML, or has a document type, which is not taken"
        ) from error
    return root


def parse_wanted(body: bytes) -> Wanted:
    """Read the body of a PROPFIND (RFC 4918, section 14.20); none means all properties.

    Raises:
        ProblemError: 400.
    """
    if not body:
        return Wanted(mode="allprop")
    root = parse_document(body)
    kinds = [child for child in root if child.tag in {"{DAV:}allprop", "{DAV:}propname", "{DAV:}prop"}]
    if root.tag != "{DAV:}propfind" or len(kinds) != 1:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "a propfind holds exactly one of allprop, propname and prop")
    if kinds[0].tag == "{DAV:}propname":
        return Wanted(mode="propname")
    named = kinds[0] if kinds[0].tag == "{DAV:}prop" else root.find("{DAV:}include")
    names = tuple(dict.fromkeys(each.tag for each in named)) if named is not None else ()
    if len(names) > MOST_NAMES:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"a propfind may name {MOST_NAMES} properties")
    return Wanted(mode="prop" if kinds[0].tag == "{DAV:}prop" else "allprop", names=names)
