"""A directory as a page of links, in the form that browsers, `wget -r`, lftp's `mirror` and rclone's http remote read.

Rows are those of nginx's autoindex, which all of them know: a link, the time in UTC to the minute, the size in bytes.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from aiohttp import hdrs

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

    from protocols.filesystem import Entry
    from protocols.http.target import Target

HEADERS = {
    hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
    hdrs.CACHE_CONTROL: "private, no-store",
    hdrs.VARY: f"{hdrs.ACCEPT}, {hdrs.USER_AGENT}",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""Links and nothing else: no script, no style. Not the sandbox of every other answer, in which no link downloads."""
_PROGRAMS = ("lftp/", "Wget/", "Wget2/", "rclone/")
"""They say that they take anything, and can read nothing but a page."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CLOSING = b"</pre><hr></body>\n</html>\n"
_LATEST = 253_402_300_799.0
"""The last second of the year 9999."""
_HTML, _JSON = ("text", "html"), ("application", "json")


def prefers_page(headers: CIMultiDictProxy[str]) -> bool:
    """Say whether a directory is wanted as a page rather than as JSON, by Accept (RFC 9110, section 12.5.1).

    Where both are as welcome, as with curl's `*/*`, it is JSON, but for programs that cannot read it.
    """
    ranges = [_media_range(each) for each in headers.get(hdrs.ACCEPT, "*/*").split(",")]
    page, data = _quality(ranges, _HTML), _quality(ranges, _JSON)
    if page == data:
        return headers.get(hdrs.USER_AGENT, "").startswith(_PROGRAMS)
    return page > data


def opening(target: Target) -> bytes:
    """Return what stands before the rows."""
    title = f"Index of {html.escape(str(target.path))}{'/' if target.path.parts else ''}"
    head = f'<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8"><title>{title}</title></head>\n'
    above = '<a href="../">../</a>\n' if target.depth else ""
    return f"{head}<body>\n<h1>{title}</h1><hr><pre>{above}".encode("utf-8", "replace")


def row(entry: Entry) -> bytes:
    """Return one row; its size is that of what GET gives."""
    slash = "/" if entry.is_directory else ""
    size = "-" if entry.is_directory else str(entry.size if entry.read_size is None else entry.read_size)
    link = f'<a href="{quote(entry.name, safe="", errors="replace")}{slash}">{html.escape(entry.name)}{slash}</a>'
    return f"{link} {_moment(entry.modified)} {size:>19}\n".encode("utf-8", "replace")


def _moment(modified: float) -> str:
    if modified <= 0:
        return f"{'-':>17}"
    moment = datetime.fromtimestamp(min(modified, _LATEST), UTC)
    return f"{moment:%d}-{_MONTHS[moment.month - 1]}-{moment:%Y %H:%M}"


def _media_range(text: str) -> tuple[str, str, float]:
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    kind, _, subtype = media.partition("/")
    quality = 1.0
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return kind, subtype, quality


def _quality(ranges: list[tuple[str, str, float]], wanted: tuple[str, str]) -> float:
    """Return how welcome a type is: what the most exact of the ranges that name it says."""
    for named in (wanted, (wanted[0], "*"), ("*", "*")):
        for kind, subtype, quality in ranges:
            if (kind, subtype) == named:
                return quality
    return 0.0
