"""JMESPath expressions (jmespath.org) over answers, with the two functions that case systems make necessary."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jmespath
from jmespath import exceptions, functions

from casemap.errors import LookupAnswerError, LookupSettingsError


class _Functions(functions.Functions):  # type: ignore[misc]  # the library has no types
    @functions.signature({"types": ["string", "null"]})  # type: ignore[untyped-decorator]  # the library has no types
    def _func_utc(self, text: str | None) -> str | None:
        """Return a time without an offset as one in UTC: `2026-11-01 09:30:00` is ServiceNow's."""
        if not text:
            return None
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            return text  # the record's check says what is wrong with it
        return (moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment).isoformat()

    @functions.signature({"types": ["string", "null"]})  # type: ignore[untyped-decorator]  # the library has no types
    def _func_lower(self, text: str | None) -> str | None:
        """Return a text in lower case."""
        return None if text is None else text.lower()


class Expression:
    """One expression."""

    def __init__(self, text: str, at: str) -> None:
        """Read *text*, found at path *at* of the mapping.

        Raises:
            LookupSettingsError: it is none.
        """
        self._at = at
        try:
            self._compiled = jmespath.compile(text)
        except exceptions.JMESPathError as error:
            reason = " ".join(str(error).split())[:200]
            raise LookupSettingsError(f"{at}: is not a JMESPath expression: {reason}") from error

    def of(self, data: object) -> Any:  # noqa: ANN401  JSON of any shape
        """Return what the expression makes of *data*.

        Raises:
            LookupAnswerError: it makes nothing of it, because a value in it has another type than the expression takes.
        """
        try:
            return self._compiled.search(data, options=jmespath.Options(custom_functions=_Functions()))
        except (exceptions.JMESPathError, ValueError, TypeError, RecursionError) as error:
            # Not the library's text: it shows the value.
            raise LookupAnswerError(f"{self._at}: does not fit the answer ({type(error).__name__})") from error
