"""The word lists beside the rules."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import yaml


@lru_cache(maxsize=1)
def _lists() -> dict[str, Any]:
    folder = resources.files("scrubber") / "rulesets"
    lists: dict[str, Any] = {}
    for entry in folder.iterdir():
        if entry.name.startswith("words") and entry.name.endswith(".yaml"):
            lists |= yaml.safe_load(entry.read_bytes())
    return lists


def load_words(name: str) -> frozenset[str]:
    """Give the words of one list in the files words*.yaml.

    Raises:
        KeyError: there is no such list.
    """
    return frozenset(str(_lists()[name]).split())
