"""Templates of folders: `/by-status/{case.state}/{case.number} {case.title}`.

A template is read once, when the configuration is; what is wrong with it is said in words for whoever wrote it. What it
renders is made of what people typed elsewhere and is safe all the same: every part that comes out is one component, in
the form that `casemap.names.safe_title` gives, and a case's part always leads back to its number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from casemap.identifier import is_device_name
from casemap.names import MAX_NAME_BYTES, folded, numbered_name, parsed_number, safe_title

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemap.identifier import CaseNumber

NUMBER, TITLE, CUSTOMER_NAME = "case.number", "case.title", "customer.name"
FIELDS = {
    NUMBER: "the case's number",
    TITLE: "its title",
    "case.state": "open or closed",
    "case.kind": "its kind, as the case system calls it",
    "case.classification": "its classification",
    "case.priority": "1 to 5",
    "case.region": "its home region",
    "case.assignee": "the login of the engineer who has it",
    "case.year": "the year in which it was opened",
    "case.month": "that year and month, as 2026-11",
    "customer.id": "its customer's id",
    CUSTOMER_NAME: "its customer's name",
}
"""What may stand in braces, and what it becomes."""
ABSENT = "none"
"""What a field is where a case has no such thing."""
MAX_TEMPLATE = 1024
"""Longest template, in characters."""
MAX_SEGMENTS = 12
_MAX_LITERAL_BYTES = 64
_SHORTENED = frozenset({TITLE, CUSTOMER_NAME, "case.kind", "case.classification", "case.assignee"})
"""Free text: cut where a name would be too long. Numbers, ids and regions never are."""
_PIECE = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")
_NUMBER_LETTER = re.compile(r"[A-Za-z0-9._-]")


class TemplateError(ValueError):
    """A template is not one; says why and what would be."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field in braces."""

    name: str


@dataclass(frozen=True, slots=True)
class Segment:
    """What stands between two slashes."""

    pieces: tuple[str | Field, ...]

    def __str__(self) -> str:
        """Write it as it stands in a template."""
        return "".join(piece if isinstance(piece, str) else f"{{{piece.name}}}" for piece in self.pieces)

    @property
    def literal(self) -> str | None:
        """The name, where it holds no field."""
        return self.pieces[0] if len(self.pieces) == 1 and isinstance(self.pieces[0], str) else None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields in it, in order."""
        return tuple(piece.name for piece in self.pieces if isinstance(piece, Field))

    @property
    def is_case(self) -> bool:
        """Whether it is the folder of one case."""
        return NUMBER in self.fields

    @property
    def is_plain(self) -> bool:
        """Whether it is the number and the title and nothing else: what `casemap.names.folder_name` gives."""
        return self.pieces == _NUMBER_AND_TITLE

    @property
    def is_customer(self) -> bool:
        """Whether it is the customer's own folder: its name and nothing else."""
        return self.pieces == (Field(CUSTOMER_NAME),)

    def render(self, value_of: Callable[[str], str | None]) -> str:
        """Return the component for one case; *value_of* says what a field is there, None: it has none."""
        if self.is_plain:
            return numbered_name(value_of(NUMBER) or "", value_of(TITLE) or "")
        if self.is_customer:  # the names of all customers' folders are made together: see `CustomerFolders`
            return value_of(CUSTOMER_NAME) or ABSENT
        values = [piece if isinstance(piece, str) else _value(piece.name, value_of) for piece in self.pieces]
        text = safe_title("".join(values), max_bytes=4 * MAX_NAME_BYTES)
        if len(text.encode()) > MAX_NAME_BYTES:
            text = safe_title("".join(self._shortened(values)))
        return text or ABSENT

    def _shortened(self, values: list[str]) -> list[str]:
        free = [n for n, piece in enumerate(self.pieces) if isinstance(piece, Field) and piece.name in _SHORTENED]
        taken = sum(len(value.encode()) for n, value in enumerate(values) if n not in free)
        share = (MAX_NAME_BYTES - 1 - taken) // max(1, len(free))  # one byte is kept for the mark of a device name
        return [safe_title(value, max_bytes=share) if n in free else value for n, value in enumerate(values)]

    def number_in(self, component: str) -> CaseNumber | None:
        """Return the number of the case whose folder *component* is, whatever follows it; None if it holds none."""
        before, after = self._around_number()
        rest = component[len(before) :]
        if folded(component[: len(before)]) != folded(before):
            return None
        return parsed_number(rest.split(after[0] if after else " ", 1)[0])

    def _around_number(self) -> tuple[str, str]:
        """Return the fixed text before the number and after it."""
        at = self.pieces.index(Field(NUMBER))
        before = self.pieces[at - 1] if at else ""
        after = self.pieces[at + 1] if at + 1 < len(self.pieces) else ""
        return (before if isinstance(before, str) else ""), (after if isinstance(after, str) else "")


_NUMBER_AND_TITLE = (Field(NUMBER), " ", Field(TITLE))


def _value(name: str, value_of: Callable[[str], str | None]) -> str:
    value = value_of(name)
    if name == TITLE:
        return safe_title(value or "", max_bytes=4 * MAX_NAME_BYTES)
    return safe_title(value or "", max_bytes=4 * MAX_NAME_BYTES) or ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Where cases stand: folders, the case's own folder, and perhaps one directory inside it."""

    groups: tuple[Segment, ...]
    case: Segment
    inner: str | None = None
    """The one directory of the case that is shown there; None: all."""


def parse_template(text: str) -> Template:
    """Read a template.

    Raises:
        TemplateError: it is none.
    """
    if not text.startswith("/") or len(text) > MAX_TEMPLATE:
        raise TemplateError(f"begins with a slash and has at most {MAX_TEMPLATE} characters")
    segments = tuple(_segment(part) for part in text[1:].removesuffix("/").split("/"))
    cases = [number for number, segment in enumerate(segments) if segment.is_case]
    if len(cases) != 1:
        raise TemplateError("has one folder with {case.number} in it, no more and no less")
    if len(segments) > MAX_SEGMENTS:
        raise TemplateError(f"has at most {MAX_SEGMENTS} folders in each other")
    groups, case, inner = segments[: cases[0]], segments[cases[0]], segments[cases[0] + 1 :]
    _check_groups(groups)
    _check_case(case)
    if len(inner) > 1 or any(segment.literal is None for segment in inner):
        raise TemplateError("has after the case's folder nothing, or the name of one directory inside it")
    return Template(groups=groups, case=case, inner=inner[0].literal if inner else None)


def _segment(text: str) -> Segment:
    if not text:
        raise TemplateError("has no empty folder name (two slashes in a row)")
    pieces: list[str | Field] = []
    for name, literal, brace in _PIECE.findall(text):
        if brace:
            raise TemplateError("has braces only around a field, such as {case.number}")
        if literal:
            pieces.append(literal)
            continue
        if name not in FIELDS:
            raise TemplateError(f"knows no {{{name}}}; there are {', '.join(f'{{{each}}}' for each in FIELDS)}")
        pieces.append(Field(name))
    segment = Segment(tuple(pieces))
    _check_literals(segment)
    return segment


def _check_literals(segment: Segment) -> None:
    for literal in (piece for piece in segment.pieces if isinstance(piece, str)):
        if len(literal.encode()) > _MAX_LITERAL_BYTES:
            raise TemplateError(f"has names of at most {_MAX_LITERAL_BYTES} bytes between its fields")
        if f"x{literal}x" != safe_title(f"x{literal}x"):
            raise TemplateError(f"has {literal!r} in it, which not every system takes as a name")
    name = segment.literal
    if (
        name is not None
        and name != safe_title(name)
        and not (name.startswith(".") and name[1:] == safe_title(name[1:]))
    ):
        raise TemplateError(f"has the folder {name!r}, which not every system takes as a name")
    if name is not None and is_device_name(name):
        raise TemplateError(f"has the folder {name!r}, a device's name on Windows")


def _check_groups(groups: tuple[Segment, ...]) -> None:
    for place, segment in enumerate(groups):
        if TITLE in segment.fields:
            raise TemplateError("has {case.title} only in the case's own folder, beside {case.number}")
        name = segment.literal
        if name is not None and name.startswith("."):
            raise TemplateError(f"has the folder {name!r}, which clients would hide")
        if place == 0 and name is not None and parsed_number(name.split(" ", 1)[0]) is not None:
            raise TemplateError(f"has the folder {name!r} at the top, which could be a case's number")
        if place == 0 and name is None and not segment.is_customer:
            raise TemplateError(
                "begins with a folder of a fixed name, {customer.name} alone, or the case's folder; "
                "other fields stand below a fixed name, as in /by-status/{case.state}"
            )


def _check_case(segment: Segment) -> None:
    at = segment.pieces.index(Field(NUMBER))
    if segment.fields.count(NUMBER) > 1:
        raise TemplateError("has {case.number} once")
    if at > 1 or (at == 1 and not isinstance(segment.pieces[0], str)):
        raise TemplateError("has before {case.number} at most some fixed text: the folder is found by its number")
    if at + 1 < len(segment.pieces):
        after = segment.pieces[at + 1]
        if not isinstance(after, str) or _NUMBER_LETTER.match(after) is not None:
            raise TemplateError("has a space, or a sign that no number has, right behind {case.number}")
