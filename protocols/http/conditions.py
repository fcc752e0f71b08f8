"""Preconditions and ranges of RFC 9110, sections 13 and 14: pure rules over what `stat` says, no input or output."""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING

from aiohttp import hdrs

from protocols.http.status import ProblemError

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

    from protocols.filesystem import Entry

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\uffff]*)"')
_ETAG_LIST = re.compile(r'[ \t,]*(?:(?:W/)?"[^"\x00-\x20]*"[ \t]*(?:,[ \t,]*|$))+')
_ONE_RANGE = r"[ \t]*\d{0,40}-\d{0,40}[ \t]*"
_RANGES = re.compile(rf"bytes=({_ONE_RANGE}(?:,{_ONE_RANGE})*)", re.IGNORECASE | re.ASCII)
_RANGE = re.compile(r"(\d{0,40})-(\d{0,40})", re.ASCII)
MOST_RANGES = 64
"""Of one request; who asks for more gets the whole file."""
_CONTENT_RANGE = re.compile(r"bytes[ \t]+(\d{1,19})-(\d{1,19})/(\d{1,19})", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of a file, in bytes."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.start + self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """Where the body of a PUT belongs: `bytes first-last/total`."""

    first: int
    last: int
    total: int

    @property
    def length(self) -> int:
        """Bytes that the body must have."""
        return self.last - self.first + 1

    @property
    def final(self) -> bool:
        """Whether the file is whole after this part."""
        return self.last + 1 == self.total


def not_modified(headers: CIMultiDictProxy[str], entry: Entry) -> bool:
    """Evaluate the preconditions of a GET or HEAD in the order of RFC 9110, section 13.2.2; True means 304.

    Raises:
        ProblemError: 412.
    """
    _require_match(headers, entry)
    none_match = _joined(headers, hdrs.IF_NONE_MATCH)
    if none_match is not None:
        return _matches(none_match, entry, weak=True)
    since = _date(headers.get(hdrs.IF_MODIFIED_SINCE))
    return since is not None and entry.modified > 0 and int(entry.modified) <= since


def allow_write(headers: CIMultiDictProxy[str], entry: Entry | None) -> None:
    """Evaluate the preconditions of a PUT over what is there now; None: nothing is.

    Raises:
        ProblemError: 412.
    """
    if entry is None:
        if hdrs.IF_MATCH in headers:
            raise ProblemError(HTTPStatus.PRECONDITION_FAILED, "If-Match: there is nothing at this address")
        return
    _require_match(headers, entry)
    none_match = _joined(headers, hdrs.IF_NONE_MATCH)
    if none_match is not None and _matches(none_match, entry, weak=True):
        raise ProblemError(HTTPStatus.PRECONDITION_FAILED, "If-None-Match: something is at this address already")


def wants_stat(headers: CIMultiDictProxy[str]) -> bool:
    """Say whether a PUT's preconditions need to know what is there; a bare `If-None-Match: *` is left to CREATE."""
    return (
        hdrs.IF_MATCH in headers
        or hdrs.IF_UNMODIFIED_SINCE in headers
        or (hdrs.IF_NONE_MATCH in headers and not wants_nothing_there(headers))
    )


def wants_nothing_there(headers: CIMultiDictProxy[str]) -> bool:
    """Say whether the client allows a PUT only where nothing is (`If-None-Match: *`)."""
    return _joined(headers, hdrs.IF_NONE_MATCH) == "*"


def parse_ranges(headers: CIMultiDictProxy[str], entry: Entry) -> list[Span] | None:
    """Return the parts that a GET asks for, in its order; None means the whole file.

    Other units and malformed ranges are ignored, and so are more than anybody needs, and those that overlap (RFC 9110,
    sections 14.2 and 17.15). `If-Range` holds only for an equal strong ETag: Last-Modified may be a client's own time
    and proves nothing about the bytes (section 13.1.5).

    Raises:
        ProblemError: 416, none of it is in the file.
    """
    found = _RANGES.fullmatch(headers.get(hdrs.RANGE, ""))
    if found is None or len(headers.getall(hdrs.RANGE)) > 1 or not _if_range(headers, entry):
        return None
    asked = _RANGE.findall(found[1])
    if len(asked) > MOST_RANGES or any(_means_nothing(first, last) for first, last in asked):
        return None
    spans = [span for first, last in asked if (span := _span(first, last, entry.size)) is not None]
    if not spans:
        if not entry.size and not asked[0][0] and int(asked[0][1]):
            return None  # the last bytes of nothing are nothing
        raise _unsatisfiable(entry.size)
    ordered = sorted(spans, key=lambda span: span.start)
    overlap = any(one.end > other.start for one, other in pairwise(ordered))
    return None if overlap else spans


def _means_nothing(first: str, last: str) -> bool:
    """Say whether a range is malformed."""
    return not (first or last) or bool(first and last and int(last) < int(first))


def _span(first: str, last: str, size: int) -> Span | None:
    """Return what of a file of *size* a range covers; None where that is nothing."""
    if not first:
        length = min(int(last), size)
        return Span(start=size - length, length=length) if length else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    return Span(start=start, length=end - start) if start < size else None


def parse_part(headers: CIMultiDictProxy[str]) -> ContentRange | None:
    """Return which part of a file the body of a PUT is; None: it is all of it.

    Content-Range says so (section 14.5). lftp's `put -c` says `Range: bytes=FIRST-LAST/TOTAL`, which means the same.
    Any other Range is refused, not ignored as section 14.2 has it: who sends one means a part, and the part alone
    would take the place of the file.

    Raises:
        ProblemError: 400, saying what is wrong.
    """
    if hdrs.CONTENT_RANGE in headers:
        return parse_content_range(headers[hdrs.CONTENT_RANGE])
    if hdrs.RANGE not in headers:
        return None
    unit, _, place = headers[hdrs.RANGE].partition("=")
    if "/" not in place:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "a PUT tells its part of a file by Content-Range, not by Range")
    return parse_content_range(f"{unit} {place}")


def parse_content_range(text: str) -> ContentRange:
    """Make a `ContentRange` from the header of a PUT (section 14.4, used for partial PUT as in section 14.5).

    Raises:
        ProblemError: 400, saying what is wrong with it.
    """
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if found is None:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "Content-Range must read 'bytes FIRST-LAST/TOTAL', with the total known"
        )
    part = ContentRange(first=int(found[1]), last=int(found[2]), total=int(found[3]))
    if part.last < part.first or part.last >= part.total:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "Content-Range: LAST is the offset of the last byte sent, not before FIRST and below TOTAL",
        )
    return part


def _require_match(headers: CIMultiDictProxy[str], entry: Entry) -> None:
    """Raise 412 where If-Match, or without it If-Unmodified-Since, does not hold."""
    match = _joined(headers, hdrs.IF_MATCH)
    if match is not None:
        if not _matches(match, entry, weak=False):
            raise ProblemError(HTTPStatus.PRECONDITION_FAILED, "If-Match: the file has another ETag")
        return
    since = _date(headers.get(hdrs.IF_UNMODIFIED_SINCE))
    if since is not None and int(entry.modified) > since:
        raise ProblemError(HTTPStatus.PRECONDITION_FAILED, "If-Unmodified-Since: the file has changed since")


def _if_range(headers: CIMultiDictProxy[str], entry: Entry) -> bool:
    """Say whether a Range header counts."""
    condition = headers.get(hdrs.IF_RANGE)
    return condition is None or (entry.etag is not None and condition.strip() == f'"{entry.etag}"')


def _unsatisfiable(size: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        f"the file has {size} bytes",
        headers={hdrs.CONTENT_RANGE: f"bytes */{size}", hdrs.ACCEPT_RANGES: "bytes"},
    )


def _matches(condition: str, entry: Entry, *, weak: bool) -> bool:
    """Compare a list of ETags, or `*`, with the entry's strong ones (section 8.8.3.2).

    A sender knows two of one version: that of what it sent, and that of what it reads since.
    """
    if condition == "*":
        return True
    if not _ETAG_LIST.fullmatch(condition):
        return False
    there = {each for each in (entry.etag, entry.read_etag) if each is not None}
    return any(value in there and (weak or not mark) for mark, value in _ETAG.findall(condition))


def _joined(headers: CIMultiDictProxy[str], name: str) -> str | None:
    """Return a list header's value, its lines joined (section 5.3); None where it is absent."""
    return ", ".join(headers.getall(name)).strip() if name in headers else None


def _date(text: str | None) -> float | None:
    """Return the POSIX seconds of an HTTP date (section 5.6.7); None where it is absent or no date."""
    if text is None:
        return None
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
