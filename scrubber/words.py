"""The word lists beside the rules."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from scrubber.rulefiles import load_files


@lru_cache(maxsize=1)
def _lists() -> dict[str, Any]:
    return {
        key: words for name, lists in load_files().items() if name.startswith("words") for key, words in lists.items()
    }


@lru_cache(maxsize=128)
def load_words(name: str) -> frozenset[str]:
    """Give the words of one list in the files words*.yaml.

    Raises:
        KeyError: there is no such list.
    """
    return frozenset(str(_lists()[name]).split())
