"""What an installation says of scrubbing and copying; see the configuration for each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mft.policy import ScrubRules
    from mft.scrubbing.cage import Cage
    from mft.treatment import Treatments


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """One scanner of one region."""

    name: str
    kind: Literal["icap", "clamd", "command"]
    region: str
    address: str = ""
    """Host and port, or for clamd the path of a socket."""
    service: str = ""
    method: str = "respmod"
    command: tuple[str, ...] = ()
    timeout: float = 300.0
    passes_on_failure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """The settings of the intake process."""

    installation: str
    host: str
    scratch: Mapping[str, Path]
    """For each region the directory of its sealed scratch files."""
    cage: Cage
    wall: float
    workers: int
    ahead: int | None
    """Bytes of an upload under way from which on it is read while it comes in; None: never."""
    attempts: int
    limits: Mapping[str, int]
    rules: ScrubRules
    treatments: Treatments
    reverse_map: bool
    """Whether what pseudonyms stand for is sealed to customers that have registered a key."""
    scanners: tuple[Scanner, ...]
    """Other scanners, asked in this order."""
    outbound_refuse: tuple[str, ...]
    copy_workers: int
    copy_attempts: int
    """Failures of one copy from which on the log calls for an operator."""
    copy_rate: int | None
    """Bytes a second for all copies together."""
    copy_links: Mapping[tuple[str, str], int]
    """The same from one region to another."""
    heads: Path | None
    """File to which the signed heads of the audit's chains are appended."""
    heads_every: float
    retry_first: float
    retry_max: float
    quarantine_retention: float | None
    """How long a quarantined upload waits for a decision; None: without end."""
    resume_grace: float
    placeholder: float
    """Seconds that an empty file by WebDAV waits for its content."""
    partial_ttl: float
