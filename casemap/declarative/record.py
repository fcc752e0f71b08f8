"""From an answer in a case system's own words to a record of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casemap.declarative.expression import Expression
from casemap.errors import LookupAnswerError, LookupSettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from casemap.declarative.dialect import Request
    from casemap.declarative.question import Ask

_REST = "*"
_NUMBERS = frozenset({"clearance", "priority"})
"""Fields of the contract that are numbers: everywhere else a number stands for its digits, as in ids."""


class RecordMap:
    """What the fields of one kind of record are."""

    def __init__(self, request: Request, known: frozenset[str], at: str) -> None:
        """Read the expressions of *request*, found at path *at*; *known* are the contract's fields.

        Raises:
            LookupSettingsError: an expression is none, or a field is unknown.
        """
        self._at = at
        self._fields: dict[str, Expression] = {}
        for name, text in request.fields.items():
            if name not in known:
                raise LookupSettingsError(f"{at}.fields.{name}: is not a field; known are {', '.join(sorted(known))}")
            if text is not None:
                self._fields[name] = Expression(text, f"{at}.fields.{name}")
        for name in request.values:
            if name not in self._fields:
                raise LookupSettingsError(f"{at}.values.{name}: there is no such field in {at}.fields")
        self._values = request.values
        self._where = None if request.where is None else Expression(request.where, f"{at}.where")

    def holds(self, record: object) -> bool:
        """Say whether *record* exists for us."""
        return self._where is None or is_true(self._where.of(record))

    def made_of(self, record: object) -> dict[str, object]:
        """Return the contract's record.

        Raises:
            LookupAnswerError: an expression does not fit, or a value is not foreseen.
        """
        made: dict[str, object] = {}
        for name, expression in self._fields.items():
            value = expression.of(record)
            if name not in _NUMBERS:
                value = _texts(value)
            if name in self._values:
                value = self._translated(name, value)
            if value is not None and value != "":
                made[name] = value
        return made

    def _translated(self, name: str, value: object) -> object:
        table = self._values[name]
        if isinstance(value, list):
            return [each for each in (self._one(name, item, table) for item in value) if each is not None]
        return self._one(name, value, table)

    def _one(self, name: str, value: object, table: Mapping[str, str]) -> object:
        key = "" if value is None else value if isinstance(value, str) else _spelled(value)
        found = table.get(key, table.get(_REST))
        if found is None:
            raise LookupAnswerError(f"{self._at}.values.{name}: does not foresee a value of the answer ({key[:40]!r})")
        if name in _NUMBERS and found.isdigit():
            return int(found)
        if name == "active" and found in {"true", "false"}:
            return found == "true"
        return found or None


def _texts(value: object) -> object:
    """Return numbers as their digits: an id is text in the contract, whatever it is there."""
    if isinstance(value, list):
        return [_texts(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_true(value: object) -> bool:
    """Say whether JMESPath takes *value* for true: 0 is, what is empty is not."""
    return value is not None and value is not False and value not in ("", [], {})


def found_record(document: object, ask: Ask, asked: str, missing: Callable[[], Exception]) -> Mapping[str, object]:
    """Return the one record that *ask* finds in *document*; of several, the one whose `match` is *asked*.

    Raises:
        Exception: what *missing* makes: there is none.
        LookupAnswerError: there are two, or it is no object.
    """
    found = ask.record.of(document)
    if isinstance(found, list):
        if ask.match is not None:
            found = [record for record in found if _is_alike(ask.match.of(record), asked)]
        if len(found) > 1:
            raise LookupAnswerError("the case system has more than one record of that name")
        found = found[0] if found else None
    if found is None:
        raise missing()
    if not isinstance(found, dict):
        raise LookupAnswerError("the case system's answer holds something else than a record")
    return found


def _is_alike(value: object, asked: str) -> bool:
    return isinstance(value, str) and value.casefold() == asked.casefold()
