"""What a command answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A success, or a step to one (RFC 959, section 4.2)."""

    code: int
    text: str
    lines: tuple[str, ...] = ()
    """Lines between the first and the last of an answer that has several."""
