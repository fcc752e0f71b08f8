"""The documents say what is so: links, commands, keys, metrics and examples are those of the code."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import typing
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from types import UnionType

import pytest
import typer
import yaml

from mft.cli import build
from mft.config import Config, parse_config
from mft.config.decode import field_types

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|\.venv/bin/|[|&] )mft ([a-z].*)")
FILE_ENDINGS = (".db", ".json", ".key", ".md", ".py", ".yaml")
MACHINE = re.compile(r"(?<![\w.~-])/(?:home|root|tmp|Users|work|workspace|builds)/|\b\w+\.(?:internal|lan|corp)\b")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


documents = pytest.mark.parametrize("path", DOCUMENTS, ids=named)


def code_of(text: str) -> list[str]:
    """Return every line of code in a document: of fences, of indented blocks, and between backticks."""
    fenced = [line for block in FENCE.findall(text) for line in block[1].splitlines()]
    rest = FENCE.sub("", text)
    lines = rest.splitlines()
    indented = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if line.startswith("    ") and (not above.strip() or above.startswith("    "))
    ]
    return [*fenced, *indented, *INLINE.findall(rest)]


COMMANDED = [path for path in DOCUMENTS if path.name != "format.md"]
"""In the formats `mft …` is what files begin with and keys are told apart by."""


def commands_of(text: str) -> list[list[str]]:
    """Return the words behind each `mft` in a document's code, to the end of that command."""
    found = []
    for line in code_of(text):
        match = COMMAND.search(line.strip().partition(" #")[0])
        if match:
            found.append(re.split(r" [|&>]| {3,}| …", match[1])[0].split())
    return found


def anchors_of(text: str) -> set[str]:
    """Return what `#…` may name in a document, as GitHub makes it of the headings."""
    heads = re.findall(r"^#+ +(.+?)\s*$", FENCE.sub("", text), re.MULTILINE)
    kept = ("".join(c for c in head.lower() if c in " -_" or unicodedata.category(c)[0] in "LN") for head in heads)
    return {head.replace(" ", "-") for head in kept}


@documents
def test_links_lead_somewhere(path):
    """Every relative link names a file, or a heading, that there is."""
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        file = (path.parent / place).resolve() if place else path
        assert file.exists(), f"{target} leads nowhere"
        assert ROOT in file.parents, f"{target} leaves the repository"
        if anchor:
            assert anchor in anchors_of(file.read_text()), f"{target}: no such heading"


@pytest.mark.parametrize("path", COMMANDED, ids=named)
def test_commands_exist_with_their_options(path):
    """Whatever follows `mft` in code is a command, and its options are its own."""
    for words in commands_of(path.read_text()):
        command = typer.main.get_command(build())
        for word in words:
            inner = getattr(command, "commands", {})
            if not inner:
                break
            assert word in inner, f"mft {' '.join(words)}: no command {word!r}"
            command = inner[word]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        if getattr(command, "commands", {}):
            continue  # a group is named, not a command
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"mft {' '.join(words)}: no option {word}"


def test_every_command_is_in_a_document():
    """What there is to run is told to somebody."""
    told = {tuple(words[:2]) for path in COMMANDED for words in commands_of(path.read_text())}
    firsts = {words[0] for words in told}
    for name, command in typer.main.get_command(build()).commands.items():
        assert name in firsts, f"mft {name} is in no document"
        for inner in getattr(command, "commands", {}):
            if name in {"audit", "config", "receipt"}:
                assert (name, inner) in told, f"mft {name} {inner} is in no document"


def part_of(kind: object) -> object:
    """Return what stands in a mapping, a list or an optional."""
    origin = typing.get_origin(kind)
    if origin in {UnionType, typing.Union}:
        return part_of(next(each for each in typing.get_args(kind) if each is not type(None)))
    return typing.get_args(kind)[0] if origin is tuple else kind


def is_key(name: str) -> bool:
    """Say whether the configuration has a key of that path; a name in a map may be any."""
    kind: object = Config
    for word in re.sub(r"\[\w+\]", "", name).split("."):
        kind = part_of(kind)
        if typing.get_origin(kind) is Mapping:
            kind = typing.get_args(kind)[1]
        elif dataclasses.is_dataclass(kind) and word in field_types(kind):
            kind = field_types(kind)[word]
        else:
            return False
    return True


@documents
def test_configuration_keys_exist(path):
    """`a.b` between backticks is a key where `a` is a part of the configuration, unless it is an event's name."""
    sources = "".join(file.read_text() for file in sorted((ROOT / "mft").rglob("*.py")))
    first = "|".join(field.name for field in dataclasses.fields(Config))
    for name in INLINE.findall(FENCE.sub("", path.read_text())):
        if re.fullmatch(rf"(?:{first})(?:\[\w+\])?(?:\.\w+)+", name) and not name.endswith(FILE_ENDINGS):
            assert is_key(name) or f'"{name}"' in sources, f"{name} is no key"


@documents
def test_make_targets_exist(path):
    """Whatever follows `make` in code is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in code_of(path.read_text()):
        for target in re.findall(r"(?:^|&& |[\s])make ([a-z-]+)", line):
            assert target in targets, f"make {target}"


def test_metrics_are_those_of_the_server():
    """Each metric is explained for the operator, and none that does not exist."""
    measured = set(re.findall(r'"(mft_[a-z_]+)"', (ROOT / "mft/server/metrics.py").read_text()))
    told = set(re.findall(r"`(mft_[a-z_]+)", (ROOT / "docs/operate.md").read_text()))
    assert told == measured


@documents
def test_blocks_parse(path):
    """Blocks of Python, YAML and JSON are that."""
    parsers = {"python": ast.parse, "yaml": yaml.safe_load, "json": json.loads}
    for language, content in FENCE.findall(path.read_text()):
        if language in parsers:
            parsers[language](content)


def test_smallest_configuration_is_a_configuration():
    """What the operator is told to begin with is accepted."""
    blocks = FENCE.findall((ROOT / "docs/operate.md").read_text())
    (content,) = [content for language, content in blocks if language == "yaml"]
    assert parse_config(yaml.safe_load(content), base=ROOT).residency.home == "eu"


@documents
def test_nothing_of_the_authors_machine(path):
    """No path of somebody's home or scratch, no host of somebody's network."""
    assert MACHINE.findall(path.read_text()) == []
