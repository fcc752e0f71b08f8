"""`multipart/form-data` (RFC 7578) as a stream: bytes in, parts out, nothing held but what could be a delimiter.

A form is whole when its closing delimiter has come (RFC 2046, section 5.1.1). Whoever reads it must ask for that: the
end of a part shows only that the next delimiter has.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp.helpers import parse_mimetype

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HEAD = 16 * 1024
"""Longest header block of a part, and longest preamble, in bytes."""
MAX_PARTS = 100
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_ESCAPED = re.compile(r'\\(["\\])')
_PADDING = 64
"""Most spaces and tabs that may stand behind a delimiter."""
_PARAMETER = re.compile(r';\s*([A-Za-z0-9!#$%&+^_`|~*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))', re.DOTALL)


class MalformedFormError(Exception):
    """It is no form, or not one that can be read in one way only; the text may be sent to the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartBegun:
    """A part begins."""

    name: str
    filename: str | None
    """None: a plain field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartData:
    """Some of its content."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEnded:
    """The delimiter behind it has come."""


FormEvent = PartBegun | PartData | PartEnded


class _At(enum.Enum):
    PREAMBLE = enum.auto()
    HEAD = enum.auto()
    CONTENT = enum.auto()
    EPILOGUE = enum.auto()


def parse_boundary(content_type: str) -> bytes:
    """Return the boundary of a form's Content-Type.

    Raises:
        MalformedFormError: it is not `multipart/form-data`, or has no boundary that RFC 2046 allows.
    """
    mime = parse_mimetype(content_type)
    if (mime.type, mime.subtype) != ("multipart", "form-data"):
        raise MalformedFormError("send multipart/form-data (curl -F file=@NAME), or PUT the file itself (curl -T NAME)")
    boundary = mime.parameters.get("boundary", "")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise MalformedFormError("the form's Content-Type names no boundary")
    return boundary.encode("ascii")


class FormParser:
    """Cuts one form into its parts."""

    def __init__(self, boundary: bytes) -> None:
        """Cut at lines of *boundary*."""
        self._delimiter = b"\r\n--" + boundary
        self._kept = bytearray(b"\r\n")  # the first delimiter may stand at the very beginning
        self._at = _At.PREAMBLE
        self._parts = 0

    @property
    def closed(self) -> bool:
        """Whether the closing delimiter has come."""
        return self._at is _At.EPILOGUE

    def feed(self, data: bytes) -> Iterator[FormEvent]:
        """Take what came and yield what it means.

        Raises:
            MalformedFormError: it is no form.
        """
        self._kept += data
        while True:
            before = (self._at, len(self._kept))
            match self._at:
                case _At.PREAMBLE:
                    self._pass_preamble()
                case _At.HEAD:
                    yield from self._read_head()
                case _At.CONTENT:
                    yield from self._read_content()
                case _At.EPILOGUE:
                    self._kept.clear()  # what stands there means nothing
            if (self._at, len(self._kept)) == before:
                return

    def _pass_preamble(self) -> None:
        found = self._kept.find(self._delimiter)
        if found > MAX_HEAD or (found < 0 and len(self._kept) > MAX_HEAD):
            raise MalformedFormError("the form does not begin with its boundary")
        if found >= 0 and self._pass_delimiter(found) is None:
            raise MalformedFormError("the form does not begin with its boundary")

    def _read_head(self) -> Iterator[FormEvent]:
        end = self._kept.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(self._kept) > MAX_HEAD):
            raise MalformedFormError("the headers of a part of the form are too long")
        if end < 0:
            return
        head = bytes(self._kept[:end])
        del self._kept[: end + 4]
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise MalformedFormError(f"a form may have {MAX_PARTS} parts")
        self._at = _At.CONTENT
        yield _parse_head(head)

    def _read_content(self) -> Iterator[FormEvent]:
        found = self._kept.find(self._delimiter)
        if found < 0:
            yield from self._take(len(self._kept) - len(self._delimiter) + 1)
            return
        yield from self._take(found)
        passed = self._pass_delimiter(0)
        if passed:
            yield PartEnded()
        elif passed is None:  # a line that only begins like the delimiter
            yield from self._take(len(self._delimiter))

    def _take(self, length: int) -> Iterator[FormEvent]:
        if length > 0:
            data = bytes(self._kept[:length])
            del self._kept[:length]
            yield PartData(data=data)

    def _pass_delimiter(self, at: int) -> bool | None:
        """Pass the delimiter at *at*, if its line is whole: True; False: more must come; None: it is none."""
        behind = at + len(self._delimiter)
        rest = bytes(self._kept[behind : behind + _PADDING + 2])
        if rest.startswith(b"--"):
            self._kept.clear()
            self._at = _At.EPILOGUE
            return True
        line = rest.lstrip(b" \t")
        if line.startswith(b"\r\n"):
            del self._kept[: behind + len(rest) - len(line) + 2]
            self._at = _At.HEAD
            return True
        if len(rest) < _PADDING + 2 and line in {b"", b"\r"}:
            return False
        return False if rest in {b"", b"-"} else None


def _parse_head(head: bytes) -> PartBegun:
    """Read the headers of a part.

    Raises:
        MalformedFormError: no Content-Disposition of a form, or one that could be read in two ways.
    """
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedFormError("the headers of a part are not UTF-8; send names as UTF-8") from error
    disposition: str | None = None
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or name != name.strip() or not name:
            raise MalformedFormError("a part of the form has a header that is none")
        if name.lower() == "content-disposition":
            if disposition is not None:
                raise MalformedFormError("a part of the form has two Content-Disposition headers")
            disposition = value.strip()
        if name.lower() == "content-transfer-encoding" and value.strip().lower() not in {"binary", "8bit", "7bit"}:
            raise MalformedFormError("send the file's own bytes; no Content-Transfer-Encoding is undone here")
    kind, parameters = _parse_disposition(disposition or "")
    if kind != "form-data" or "name" not in parameters:
        raise MalformedFormError("a part of the form has no Content-Disposition: form-data with a name")
    return PartBegun(name=parameters["name"], filename=parameters.get("filename"))


def _parse_disposition(value: str) -> tuple[str, dict[str, str]]:
    """Return the kind and the parameters; `filename*` is not for forms (RFC 7578, section 4.2) and is passed over."""
    kind, semicolon, rest = value.partition(";")
    parameters: dict[str, str] = {}
    at = 0
    rest = semicolon + rest
    while at < len(rest.rstrip()):
        found = _PARAMETER.match(rest, at)
        if found is None:
            raise MalformedFormError("a part of the form has a Content-Disposition that cannot be read")
        name = found[1].lower()
        if name in parameters:
            raise MalformedFormError(f"a part of the form has two parameters {name!r}")
        parameters[name] = found[3] if found[2] is None else _ESCAPED.sub(r"\1", found[2])
        at = found.end()
    return kind.strip().lower(), parameters
