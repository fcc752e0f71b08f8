"""What another scanner says of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_LONGEST = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Clean, found (what, in its words), or failed (why, in ours)."""

    word: Literal["clean", "found", "failed"]
    what: str = ""


def clean() -> Verdict:
    """Say that nothing was found."""
    return Verdict(word="clean")


def found(what: str) -> Verdict:
    """Say that *what* was found; only plain characters of it are kept, as it goes to the sender."""
    kept = re.sub(r"[^A-Za-z0-9 ._:;,/()+\-]", "", what)[:_LONGEST].strip()
    return Verdict(word="found", what=kept or "something")


def failed(why: str) -> Verdict:
    """Say that no verdict was come to, and why."""
    return Verdict(word="failed", what=why)
