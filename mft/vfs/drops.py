"""What an installation says of files that are sent to no case's folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from casemap.grammar import DEFAULT_GRAMMARS, DEFAULT_SEPARATORS

if TYPE_CHECKING:
    from casemap.grammar import CaseGrammar

ALWAYS = ("home", "upload/issue")
"""Directories that mean the root in every installation: HTTPS has addresses for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropSettings:
    """What an installation says of drops; see `deposit` and `unfiled` in the configuration."""

    grammars: tuple[CaseGrammar, ...] = DEFAULT_GRAMMARS
    separators: str = DEFAULT_SEPARATORS
    folders: frozenset[tuple[str, ...]] = field(default_factory=frozenset)
    """Paths of the directories that mean the root."""
    box: str = "_unfiled"
    """The directory in which senders see what is unfiled, and triage what all of them sent."""
    triage_reads: bool = False
    """Whether triage may read bytes there, too."""
