"""Templates of paths and query parameters: `/api/tickets/{number}`, `type:ticket[ organization:{customer}]`.

`{name}` stands for a value of the request, `{name:filter}` for that value made safe for the query language around it.
What stands in square brackets is left out if a value in it is absent; a template that needs an absent value outside of
brackets is left out as a whole. `{{`, `}}`, `[[` and `]]` stand for the characters themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from casemap.errors import LookupSettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOKEN = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{([A-Za-z_][A-Za-z0-9_.]*)(?::([a-z]+))?\}|[][{}]")
_WORD = re.compile(r"[A-Za-z0-9@._+-]+", re.ASCII)


class UnaskableError(Exception):
    """A value cannot stand in the query: whoever has it is nobody there."""


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    filter: Callable[[str], str] | None


_Piece = str | _Value


@dataclass(frozen=True, slots=True)
class _Section:
    pieces: tuple[_Piece, ...]


class Template:
    """A text with places for values."""

    def __init__(self, text: str) -> None:
        """Read *text*.

        Raises:
            LookupSettingsError: brackets do not match, or a filter is unknown.
        """
        self.text = text
        self._parts = _parse(text)

    @property
    def names(self) -> frozenset[str]:
        """Names of the values that it uses, the first word of each."""
        pieces = (piece for part in self._parts for piece in (part.pieces if isinstance(part, _Section) else (part,)))
        return frozenset(piece.name.split(".")[0] for piece in pieces if isinstance(piece, _Value))

    def fill(self, values: Mapping[str, str], *, escape: Callable[[str], str] = str) -> str | None:
        """Return the text with *values* in it, each through its filter and then *escape*; None if one is absent.

        Raises:
            UnaskableError: a value cannot stand there.
        """
        text = ""
        for part in self._parts:
            if isinstance(part, _Section):
                text += _filled(part.pieces, values, escape) or ""
                continue
            filled = _filled((part,), values, escape)
            if filled is None:
                return None
            text += filled
        return text

    def path(self, values: Mapping[str, str]) -> str | None:
        """Return it as a path: each value is one segment, percent-encoded (RFC 3986, section 3.3)."""
        return self.fill(values, escape=_segment)


def _filled(pieces: tuple[_Piece, ...], values: Mapping[str, str], escape: Callable[[str], str]) -> str | None:
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        value = values.get(piece.name)
        if value is None:
            return None
        text += escape(value if piece.filter is None else piece.filter(value))
    return text


def _parse(text: str) -> tuple[_Piece | _Section, ...]:
    parts: list[_Piece | _Section] = []
    inside: list[_Piece] | None = None
    at = 0

    def add(piece: _Piece) -> None:
        (parts if inside is None else inside).append(piece)

    for match in _TOKEN.finditer(text):
        if match.start() > at:
            add(text[at : match.start()])
        at, mark = match.end(), match[0]
        if match[1] is not None:
            add(_value(match[1], match[2]))
        elif len(mark) == 2:
            add(mark[0])
        elif mark == "[" and inside is None:
            inside = []
        elif mark == "]" and inside is not None:
            parts.append(_Section(tuple(inside)))
            inside = None
        else:
            raise LookupSettingsError(f"{text!r}: {mark!r} is not matched; write it twice to have it stand there")
    if inside is not None:
        raise LookupSettingsError(f"{text!r}: '[' is not closed")
    if at < len(text):
        add(text[at:])
    return tuple(parts)


def _value(name: str, filter_name: str | None) -> _Value:
    if filter_name is None:
        return _Value(name, None)
    if filter_name not in FILTERS:
        raise LookupSettingsError(f"there is no filter {filter_name!r}; there are {', '.join(sorted(FILTERS))}")
    return _Value(name, FILTERS[filter_name])


def _segment(value: str) -> str:
    if value in {"", ".", ".."}:
        raise UnaskableError
    return quote(value, safe="")


def _quoted(mark: str) -> Callable[[str], str]:
    return lambda value: value.replace("\\", "\\\\").replace(mark, "\\" + mark)


def _sysparm(value: str) -> str:
    # `^` divides conditions, and what begins with `javascript:` is run by the instance.
    if "^" in value or value.lower().startswith("javascript:"):
        raise UnaskableError
    return value


def _digits(value: str) -> str:
    if not (value.isascii() and value.isdigit()):
        raise UnaskableError
    return value


def _exact(value: str) -> str:
    # For languages that know quotation marks and no way to write one between them.
    if '"' in value or "\\" in value:
        raise UnaskableError
    return value


def _word(value: str) -> str:
    if _WORD.fullmatch(value) is None:
        raise UnaskableError
    return value


FILTERS: Mapping[str, Callable[[str], str]] = {
    "digits": _digits,
    "exact": _exact,
    "jql": _quoted('"'),
    "soql": _quoted("'"),
    "sysparm": _sysparm,
    "word": _word,
}
"""`soql` and `jql` make a value safe between '…' and "…"; the others refuse what cannot stand there."""
