"""Read the package's own data: rules, tables of tokens, places where identities are told, lists of words."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib import resources
from typing import Any

from scrubber import cachefolder


@lru_cache(maxsize=1)
def load_texts() -> dict[str, bytes]:
    """Give the files by their names, in order."""
    folder = resources.files("scrubber") / "rulesets"
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name)
    return {entry.name: entry.read_bytes() for entry in entries}


@lru_cache(maxsize=1)
def load_files() -> dict[str, dict[str, Any]]:
    """Give what each file says, by its name; read from JSON where an earlier run kept that, far quicker."""
    texts = load_texts()
    name = cachefolder.name_for("rules", *texts.values())
    kept = cachefolder.fetch(name)
    if kept is not None:
        known: dict[str, dict[str, Any]] = json.loads(kept)
        return known
    files = {file: _parse(text) for file, text in texts.items()}
    cachefolder.keep(name, json.dumps(files).encode())
    return files


def rules_version() -> str:
    """Give what a report calls this version of all files."""
    return hashlib.sha256(b"\0".join(load_texts().values())).hexdigest()[:12]


def _parse(text: bytes) -> dict[str, Any]:
    """Parse YAML with libyaml where that is there: the other reader takes ten times as long."""
    import yaml  # noqa: PLC0415  not needed where an earlier run has kept what it says

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - one of the two safe loaders
    return data
