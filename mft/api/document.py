"""What requests and answers consist of: checked on the way in, described in the OpenAPI document from the same source.

Unknown fields and query parameters are refused: a typo must not be taken for consent. In bodies nothing is converted:
a number in quotes is a text.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Generic, TypeVar, overload

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")
MAX_LIMIT = 1000
DEFAULT_LIMIT = 100


class Document(BaseModel):
    """A JSON object, or the parameters of a path or query."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=True)


class Parameters(BaseModel):
    """The parameters of a path or a query, which come as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=False)


class Nothing(Parameters):
    """No parameters, or no body."""


class PageQuery(Parameters):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Items of one page.")] = DEFAULT_LIMIT
    cursor: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=2048,
            pattern="^[A-Za-z0-9_-]+$",
            description="Where to go on: `next_cursor` of the page before. It means nothing else.",
        ),
    ] = None


class Page(Document, Generic[T]):
    """A part of a list."""

    items: list[T]
    next_cursor: Annotated[str | None, Field(description="Asks for the next page; null: there is none.")] = None


def _in_utc(value: dt.datetime) -> dt.datetime:
    try:
        return value.astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError("a time lies between the years 1 and 9999") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time: RFC 3339, with an offset from UTC."""


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Stands behind a number's bounds: `5.0` is a whole number too (JSON Schema, section 6.1.1)."""
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_GROUP = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    [
        f"(?:{_GROUP}:){{7}}{_GROUP}",
        f"(?:{_GROUP}:){{1,7}}:",
        *(f"(?:{_GROUP}:){{1,{7 - after}}}(?::{_GROUP}){{1,{after}}}" for after in range(1, 7)),
        f":(?::{_GROUP}){{1,7}}",
        "::",
    ]
)
_PREFIX = "(?:3[0-2]|[12]?[0-9])"
_LONG_PREFIX = "(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])"
Network = Annotated[
    str,
    Field(
        max_length=64,
        pattern=f"^(?:{_OCTET}(?:[.]{_OCTET}){{3}}(?:/{_PREFIX})?|(?:{_IPV6})(?:/{_LONG_PREFIX})?)$",
        description="An address or a CIDR block.",
    ),
]
Id32 = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="32 hexadecimal digits.")]
Number = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern="^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$",
        description="A case's number, letter case included.",
    ),
]


@overload
def moment(seconds: float) -> dt.datetime: ...
@overload
def moment(seconds: None) -> None: ...
def moment(seconds: float | None) -> dt.datetime | None:
    """Make a time from POSIX seconds."""
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
