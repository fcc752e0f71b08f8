"""The word lists beside the rules."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import yaml


@lru_cache(maxsize=1)
def _lists() -> dict[str, Any]:
    text = (resources.files("scrubber") / "rulesets" / "words.yaml").read_bytes()
    lists: dict[str, Any] = yaml.safe_load(text)
    return lists


def load_words(name: str) -> frozenset[str]:
    """Give the words of one list in words.yaml.

    Raises:
        KeyError: there is no such list.
    """
    return frozenset(str(_lists()[name]).split())
