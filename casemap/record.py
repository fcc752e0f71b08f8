"""Reading one record from outside, field by field.

Everything is refused that is not exactly of its type and within its length; the error names the field by its path.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from casemap.errors import InvalidRecordError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ITEMS = 256
"""Longest list inside one record."""
MAX_INTEGER = 2**31 - 1


class Record:
    """A mapping from outside, read by typed accessors; a missing field and null are the same."""

    def __init__(self, data: object, at: str) -> None:
        """Take *data* found at path *at* (empty for the outermost)."""
        if not isinstance(data, Mapping):
            raise InvalidRecordError(at or "(the record)", f"must be an object, is {kind_of(data)}")
        for key in data:
            if not isinstance(key, str):
                raise InvalidRecordError(at or "(the record)", f"has a key that is {kind_of(key)}")
        self._data: Mapping[str, object] = data
        self._at = at

    def path(self, field: str) -> str:
        """Return the path of *field* for an error."""
        return f"{self._at}.{field}" if self._at else field

    def refuse_others(self, known: frozenset[str]) -> None:
        """Raise if there is any field that is not *known*, with the nearest one that is."""
        for field in self._data:
            if field not in known:
                near = difflib.get_close_matches(field, sorted(known), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"
                raise InvalidRecordError(self.path(f"{field:.80}"), f"is not a field{hint}")

    def text(self, field: str, check: Callable[[str], str]) -> str:
        """Return a required text, passed through *check*, which raises ValueError with the reason."""
        value = self.optional_text(field, check)
        if value is None:
            raise InvalidRecordError(self.path(field), "is missing")
        return value

    def optional_text(self, field: str, check: Callable[[str], str]) -> str | None:
        """Return a text passed through *check*, or None."""
        value = self._data.get(field)
        if value is None:
            return None
        if isinstance(value, str):
            try:  # the path is made only for an error: long lists are read through here
                return check(value)
            except ValueError as error:
                raise InvalidRecordError(self.path(field), str(error)) from error
        return checked(value, check, self.path(field))

    def texts(self, field: str, check: Callable[[str], str]) -> tuple[str, ...] | None:
        """Return a list of texts, or None; no more than `MAX_ITEMS`."""
        value = self._data.get(field)
        if value is None:
            return None
        at = self.path(field)
        if not isinstance(value, (list, tuple)):
            raise InvalidRecordError(at, f"must be a list, is {kind_of(value)}")
        if len(value) > MAX_ITEMS:
            raise InvalidRecordError(at, f"has {len(value)} items; {MAX_ITEMS} are allowed")
        return tuple(checked(item, check, f"{at}[{index}]") for index, item in enumerate(value))

    def integer(self, field: str, *, default: int, least: int, most: int) -> int:
        """Return a whole number from *least* to *most*; *default* if there is none."""
        value = self._data.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidRecordError(self.path(field), f"must be a whole number, is {kind_of(value)}")
        if not least <= value <= most:
            raise InvalidRecordError(self.path(field), f"must be from {least} to {most}")
        return value

    def truth(self, field: str, *, default: bool) -> bool:
        """Return true or false; *default* if there is neither."""
        value = self._data.get(field)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InvalidRecordError(self.path(field), f"must be true or false, is {kind_of(value)}")
        return value

    def moment(self, field: str) -> datetime | None:
        """Return a point in time, in UTC, or None: RFC 3339 text with an offset, or what YAML made of it."""
        value = self._data.get(field)
        if value is None:
            return None
        try:
            parsed = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 64 else value
            if isinstance(parsed, datetime) and parsed.tzinfo is not None:
                return parsed.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise InvalidRecordError(self.path(field), "is not a point in time") from error
        raise InvalidRecordError(self.path(field), "must be a time with its offset, such as 2026-11-22T09:30:00Z")


def checked(value: object, check: Callable[[str], str], at: str) -> str:
    """Return text *value* as *check* returns it; what it says in a ValueError becomes the reason."""
    if not isinstance(value, str):
        raise InvalidRecordError(at, f"must be text, is {kind_of(value)}")
    try:
        return check(value)
    except ValueError as error:
        raise InvalidRecordError(at, str(error)) from error


def kind_of(value: object) -> str:
    """Name the type of *value* as JSON and YAML call it."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "text"),
    ((list, tuple), "a list"),
    (Mapping, "an object"),
)
"""In this order: a bool is an int to Python."""
