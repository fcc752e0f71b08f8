"""A YAML file as plain data that remembers its lines.

Scalars are read by the YAML 1.2 core schema, not by PyYAML's 1.1: `on` and `no` are words, `1:30` is no number in base
60, and a customer number `0123` stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from mft.config.errors import ConfigError, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys and positions from the top."""

MAX_NODES = 100_000
"""Values in one file; aliases count each time, so that a few lines cannot stand for millions."""
MAX_BYTES = 4 * 2**20
MAX_DEPTH = 32
_TAGS = {"null", "bool", "int", "float", "str", "timestamp", "merge", "value", "map", "seq"}
"""What PyYAML gives to values that have no tag."""
_NULLS = {"", "~", "null", "Null", "NULL"}
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?", re.ASCII)
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says."""

    file: str
    """Its name, for messages."""
    data: object
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    """The line, counted from 1, of each key and list item."""


def path_text(path: KeyPath) -> str:
    """Write a path as people do: `regions.eu.store`, `listeners[0].port`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _PLAIN_WORD.fullmatch(part) else repr(part)
        text += f".{name}" if text else name
    return text


def parse_document(text: str, file: str) -> Document:
    """Read one YAML document.

    Raises:
        ConfigError: it is not YAML, holds a key twice, a tag, or more than the bounds of this module.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        fault = Fault(file=file, path="", line=line, expected="valid YAML", found=error.problem or "something else")
        raise ConfigError((fault,)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError((Fault(file=file, path="", expected="valid YAML", found=type(error).__name__),)) from error
    reader = _Reader(file)
    data = reader.value(node, ()) if node is not None else {}
    if reader.faults:
        raise ConfigError(tuple(reader.faults))
    return Document(file=file, data=data, lines=reader.lines)


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[KeyPath, int] = {}
        self.faults: list[Fault] = []
        self._nodes = 0

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            fault = Fault(file=self.file, path="", expected=f"at most {MAX_NODES} values, {MAX_DEPTH} levels deep")
            raise ConfigError((fault,))
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
            self._fault(node, path, expected="a value without a tag of its own", found=node.tag)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, path, expected="keys that are words", found="a list or a map as a key")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in result:
                self._fault(key_node, here, expected=f"each key once; it is already in line {self.lines[here]}")
                continue
            self.lines[here] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, here)
        return result

    def _fault(self, node: yaml.Node, path: KeyPath, *, expected: str, found: str = "") -> None:
        line = node.start_mark.line + 1
        self.faults.append(Fault(file=self.file, path=path_text(path), line=line, expected=expected, found=found))


def _scalar(node: yaml.Node) -> object:
    text = str(node.value)
    if getattr(node, "style", None) is not None:  # quoted or a block: text, whatever it looks like
        return text
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
