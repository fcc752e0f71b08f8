"""From plain data to the model, by the types of its fields; every fault is noted and the rest still read.

A value with a fault leaves its field at the default; where there is none, the part around it is left out. So what can
be checked across keys is checked in the same round.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mft.config.document import KeyPath, path_text
from mft.config.errors import Fault
from mft.config.units import SecretText, Unit

if typing.TYPE_CHECKING:
    from mft.config.document import Document

_ENVIRONMENT = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SHOWN = 60
"""Characters of a wrong value that a message shows."""


class _WrongError(Exception):
    """A value with a fault, already noted."""


@cache
def field_types(model: type) -> dict[str, object]:
    """Return the types of a dataclass's fields, with what `Annotated` says."""
    return typing.get_type_hints(model, include_extras=True)


class Decoder:
    """Reads one document."""

    def __init__(self, document: Document, *, base: Path, environment: Mapping[str, str]) -> None:
        """Read *document*, whose relative paths begin at *base*, with `${NAME}` from *environment*."""
        self.faults: list[Fault] = []
        self._document = document
        self._base = base
        self._environment = environment

    def fault(
        self, path: KeyPath, expected: str, *, problem: str = "", found: str = "", nearest: str = ""
    ) -> _WrongError:
        """Note a fault at *path* and return what may be raised for it."""
        self.faults.append(
            Fault(
                file=self._document.file,
                path=path_text(path),
                expected=expected,
                problem=problem,
                found=found,
                nearest=nearest,
                line=self._document.lines.get(path),
            )
        )
        return _WrongError()

    def record(self, model: type, value: object, path: KeyPath) -> object:
        """Make a *model* (a dataclass) of a mapping."""
        if not isinstance(value, Mapping):
            raise self.fault(path, "a map of keys and values", found=describe(value))
        known = {field.name: field for field in dataclasses.fields(model)}
        for key in value:
            if key not in known:
                free = [name for name in known if name not in value]
                self._unknown(str(key), path, free, list(known))
        arguments = {}
        lacking = False
        for name, field in known.items():
            kind = field_types(model)[name]
            if name not in value:
                if _required(field):
                    lacking = True
                    self.fault((*path, name), expectation(kind), problem="is missing")
                continue
            try:
                arguments[name] = self.value(kind, value[name], (*path, name))
            except _WrongError:
                lacking = lacking or _required(field)
        if lacking:
            raise _WrongError
        return model(**arguments)

    def value(self, kind: object, value: object, path: KeyPath) -> object:
        """Make a value of type *kind*."""
        origin = typing.get_origin(kind)
        if origin in {types.UnionType, typing.Union}:
            return self._optional(typing.get_args(kind), value, path)
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            return self.record(kind, {} if value is None else value, path)
        if origin is Mapping:
            return self._mapping(typing.get_args(kind)[1], value, path)
        if origin is tuple:
            return self._sequence(typing.get_args(kind)[0], value, path)
        return self._scalar(kind, value, path)

    def _optional(self, kinds: tuple[object, ...], value: object, path: KeyPath) -> object:
        if value is None and type(None) in kinds:
            return None
        rest = [kind for kind in kinds if kind is not type(None)]
        for kind in rest:  # the one union with two kinds is "a file, or the same as a map"
            if isinstance(value, Mapping) and typing.get_origin(kind) is Mapping:
                return dict(value)
        return self.value(rest[0], value, path)

    def _mapping(self, kind: object, value: object, path: KeyPath) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise self.fault(path, "a map of names and what belongs to each", found=describe(value))
        result = {}
        for name, item in value.items():
            try:
                result[str(name)] = self.value(kind, item, (*path, str(name)))
            except _WrongError:
                continue
        return result

    def _sequence(self, kind: object, value: object, path: KeyPath) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise self.fault(path, "a list", found=describe(value))
        result = []
        for index, item in enumerate(value):
            try:
                result.append(self.value(kind, item, (*path, index)))
            except _WrongError:
                continue
        return tuple(result)

    def _scalar(self, kind: object, value: object, path: KeyPath) -> object:
        secret = is_secret(kind)
        resolved = self._resolve(value, path) if isinstance(value, str) else value
        try:
            return self._convert(kind, resolved)
        except ValueError:
            found = "a value that is not shown" if secret else describe(value)
            raise self.fault(path, expectation(kind), found=found) from None

    def _convert(self, kind: object, value: object) -> object:
        unit = next((note for note in getattr(kind, "__metadata__", ()) if isinstance(note, Unit)), None)
        if unit is not None:
            result = unit.parse(value)
            if not unit.accepts(result):
                raise ValueError("out of range")
            return result
        plain = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
        if typing.get_origin(plain) is typing.Literal:
            if value not in typing.get_args(plain):
                raise ValueError("none of the words")
            return value
        if plain is bool:
            return _truth(value)
        text = _text(value)
        return self._base.joinpath(text) if plain is Path else text

    def _resolve(self, text: str, path: KeyPath) -> str:
        """Put in what `${NAME}` stands for; `$${` stands for `${`."""

        def put_in(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                return "${"
            if not _VARIABLE.fullmatch(name):
                raise self.fault(path, "${NAME}, the name of an environment variable", found=f"${{{name}}}")
            if name not in self._environment:
                raise self.fault(path, f"the environment variable {name} to be set")
            return self._environment[name]

        return _ENVIRONMENT.sub(put_in, text)

    def _unknown(self, key: str, path: KeyPath, free: list[str], known: list[str]) -> None:
        """Note an unknown key; one that is not given yet is a likelier meaning than one that is."""
        near = difflib.get_close_matches(key, free, n=1) or difflib.get_close_matches(key, known, n=1)
        nearest = path_text((*path, near[0])) if near else ""
        self.fault((*path, key), f"one of {', '.join(sorted(known))}", problem="is not a key", nearest=nearest)


def _required(field: dataclasses.Field[typing.Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in {"true", "false"}:  # from the environment
        return value == "true"
    raise ValueError("neither true nor false")


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("not a text")  # noqa: TRY004  the caller knows one way to say no
    text = str(value)
    if not text or "\0" in text:
        raise ValueError("empty")
    return text


def is_secret(kind: object) -> bool:
    """Say whether a field's value must never be shown."""
    return any(isinstance(note, SecretText) for note in getattr(kind, "__metadata__", ()))


def describe(value: object) -> str:
    """Say what a value is without printing much of it."""
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def expectation(kind: object) -> str:
    """Say in words what a field of type *kind* takes."""
    for note in getattr(kind, "__metadata__", ()):
        if isinstance(note, Unit):
            return note.expected
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return expectation(typing.get_args(kind)[0])
    if origin is typing.Literal:
        return " or ".join(str(word) for word in typing.get_args(kind))
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(expectation(part) for part in typing.get_args(kind) if part is not type(None))
    words: dict[object, str] = {str: "a text", Path: "a path", bool: "true or false", tuple: "a list", Mapping: "a map"}
    return words.get(origin or kind, "a map of keys and values")
