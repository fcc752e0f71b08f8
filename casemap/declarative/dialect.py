"""How a case system is asked, and what its answers mean: plain data, a preset's or a configuration's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from casemap.errors import LookupSettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SETTING = re.compile(r"%([A-Za-z_][A-Za-z0-9_]*)%")


class Paging(Enum):
    """How the next page of a list is asked for."""

    NONE = "none"
    """There is one page alone."""
    OFFSET = "offset"
    """`{offset}`: how many items were given before."""
    PAGE = "page"
    """`{page}`: a number, the first is 1."""
    CURSOR = "cursor"
    """`{cursor}`: a text that the answer holds, at `next`."""
    KEYSET = "keyset"
    """`{cursor}`: the number or id of the last item; the list must be in that order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A request whose answer others use: in templates as `{name.field}`, in expressions as `name.field`."""

    path: str = ""
    query: Mapping[str, str | None] = field(default_factory=dict)
    record: str = "@"
    """JMESPath: where the record is in the answer; null or an empty list: there is none; two: nonsense."""
    match: str | None = None
    """JMESPath on each of several records: those count for which it is what was asked for, in any letter case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One of the questions. Which fields matter depends on whether it asks for a record or for a list."""

    path: str = ""
    """Template of the path below the base address."""
    query: Mapping[str, str | None] = field(default_factory=dict)
    """Templates of the query's parameters, by name."""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    first: Mapping[str, Step] = field(default_factory=dict)
    """Requests to be made before, by name, in this order."""
    record: str = "@"
    """As in `Step`."""
    match: str | None = None
    items: str = "@"
    """JMESPath: where the items of a list are."""
    where: str | None = None
    """JMESPath on a record: those for which it is not true do not exist for us."""
    missing: str | None = None
    """JMESPath on the body of a 404: if it is true, the case system says that there is no such thing."""
    fields: Mapping[str, str | None] = field(default_factory=dict)
    """JMESPath on a record, for each field of the contract's."""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """For some of these fields: what each value of theirs is in the contract; `*` is every other."""
    paging: str = Paging.NONE.value
    next: str | None = None
    """JMESPath on the answer: the next cursor, for `cursor`."""
    more: str | None = None
    """JMESPath on the answer: whether there is more. Without it, a full page means that there may be."""
    max_limit: int = 100
    """Most items that may be asked for at once."""
    states: Mapping[str, str] = field(default_factory=dict)
    """What `{state}` is for `open` and `closed`."""


QUESTIONS = ("principal", "case", "customer", "cases", "all_cases", "customers")
LISTS = {"cases": "case", "all_cases": "case", "customers": "customer"}
"""Lists, and the record whose `fields`, `values` and `where` hold for their items where they have none of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one case system is spoken to."""

    requests: Mapping[str, Request]
    """By question: `QUESTIONS`."""
    settings: Mapping[str, str | None] = field(default_factory=dict)
    """What `%name%` stands for; None: the configuration must say."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of every request."""
    auth: str = "none"
    token_path: str | None = None
    """Where tokens are given out, below the base address, for `oauth2`."""


def changed(old: Request, changes: Mapping[str, object]) -> Request:
    """Return *old* with *changes* by field: maps are changed key by key (null takes one away), all else is replaced."""
    return replace(old, **{name: _changed(getattr(old, name), value) for name, value in changes.items()})


def _changed(old: object, new: object) -> Any:  # noqa: ANN401  of the field's type
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{name: _changed(old.get(name), value) for name, value in new.items()}}


def settled(dialect: Dialect, settings: Mapping[str, str]) -> Dialect:
    """Return *dialect* with `%name%` replaced everywhere.

    Raises:
        LookupSettingsError: a setting is unknown, or has no value.
    """
    for name in settings:
        if name not in dialect.settings:
            known = ", ".join(sorted(dialect.settings)) or "none"
            raise LookupSettingsError(f"settings.{name}: nothing uses it; settings are: {known}")
    values = {**dialect.settings, **settings}

    def put(value: object) -> object:
        if isinstance(value, str):
            return _SETTING.sub(lambda match: _setting(match[1], values), value)
        if isinstance(value, dict):
            return {name: put(item) for name, item in value.items()}
        if isinstance(value, (Request, Step)):
            return replace(value, **{each.name: put(getattr(value, each.name)) for each in fields(value)})  # type: ignore[arg-type]  # of the same types
        return value

    return replace(dialect, requests={name: _as_request(put(each)) for name, each in dialect.requests.items()})


def _as_request(value: object) -> Request:
    if not isinstance(value, Request):
        raise TypeError("not a request")
    return value


def _setting(name: str, values: Mapping[str, str | None]) -> str:
    value = values.get(name)
    if value is None:
        raise LookupSettingsError(f"settings.{name}: must be given")
    return value
