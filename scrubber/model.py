"""The values that the scrubber hands out: rules, findings, obstacles, limits, the report.

None of them can hold a matched text: a finding is known by its place and by a keyed fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from scrubber.profile import SUPPORT, Category, Profile
from scrubber.terms import Terms

ENGINE_VERSION = "2"
MAX_FINDINGS = 10_000


class Source(Protocol):
    """What is to be scrubbed: random access, because a zip's directory stands at its end."""

    @property
    def size(self) -> int:
        """Give the length in bytes."""
        ...

    def read(self, offset: int, n: int) -> bytes:
        """Give up to *n* bytes from *offset*; fewer only at the end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that the scrubber looks for, as the reader of a report needs it."""

    id: str
    category: Category
    description: str
    examples: tuple[str, ...] = ()
    counter_examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One replaced span. `offset` and `length` are bytes in the *output* of `member`."""

    rule: str
    member: str
    offset: int
    length: int
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "rule": self.rule,
            "member": self.member,
            "offset": self.offset,
            "length": self.length,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """A member that could not be looked into, and why, in a sentence for the sender: nothing of it is passed on."""

    member: str
    reason: str
    advice: str = ""
    """What the sender can do about it, in a sentence."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"member": self.member, "reason": self.reason, "advice": self.advice}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """What was passed on without having been looked into, and why: the profile allows it for its kind."""

    member: str
    reason: str
    size: int = 0
    """Bytes, as far as they were counted."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"member": self.member, "reason": self.reason, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much work one upload may cost. All are checked while expanding, not after."""

    depth: int = 8  # containers within containers
    members: int = 200_000  # over the whole upload
    max_ratio: int = 200  # expanded bytes for each compressed byte of one member
    ratio_floor: int = 1 << 20  # expanded bytes below which no ratio is looked at
    expanded: int = 10 << 30  # bytes in all, or `expanded_factor` times the input where that is more
    expanded_factor: int = 100
    scratch: int = 64 << 30  # bytes of scratch in use at one time
    directory: int = 64 << 20  # bytes of a zip's central directory
    memory: int = 1 << 30  # bytes that the process may take; what must be whole in memory gets a part of it

    def expanded_for(self, size: int) -> int:
        """Give the most bytes that an input of *size* bytes may expand to."""
        return max(self.expanded, self.expanded_factor * size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one upload is to be treated. The default is what a server does where nothing is said."""

    profile: Profile = SUPPORT
    limits: Limits = field(default_factory=Limits)
    passwords: tuple[bytes, ...] = field(default=(), repr=False)
    """What the sender gave to open encrypted archives; tried in order, kept in memory alone."""
    known: tuple[tuple[bytes, str], ...] = field(default=(), repr=False)
    """Secrets, with their kinds, that are replaced wherever they stand: what `scrub` says was left in a first run."""
    terms: Terms = field(default_factory=Terms)
    """The customer's own words: what always goes and what always stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubReport:
    """What was done to one upload. Holds no matched text; may be stored, signed and shown."""

    engine: str
    rules: str
    sha256_in: str
    sha256_out: str
    bytes_in: int
    bytes_out: int
    bytes_scanned: int
    members: int
    counts: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    findings_omitted: int = 0
    obstacles: tuple[Obstacle, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    """What was passed on without having been looked into."""
    name: str = ""
    """What the report calls the upload: its name, scrubbed."""
    profile: str = "support"
    key: str = ""
    """Which key the pseudonyms are made with: an id that tells nothing of it."""

    @property
    def total(self) -> int:
        """Count everything that was replaced."""
        return sum(self.counts.values())

    @property
    def clean(self) -> bool:
        """Say whether nothing was replaced and everything was looked into."""
        return not self.counts and not self.obstacles

    @property
    def scannable(self) -> bool:
        """Say whether everything was looked into. Where not, what the sink was given must be discarded."""
        return not self.obstacles

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values, which `from_dict` reads."""
        return {
            "engine": self.engine,
            "rules": self.rules,
            "sha256_in": self.sha256_in,
            "sha256_out": self.sha256_out,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "bytes_scanned": self.bytes_scanned,
            "members": self.members,
            "counts": dict(self.counts),
            "findings": [finding.to_dict() for finding in self.findings],
            "findings_omitted": self.findings_omitted,
            "obstacles": [obstacle.to_dict() for obstacle in self.obstacles],
            "unseen": [unseen.to_dict() for unseen in self.unseen],
            "name": self.name,
            "profile": self.profile,
            "key": self.key,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ScrubReport:
        """Read what `to_dict` gave.

        Raises:
            KeyError, TypeError: *data* is not such a report.
        """
        plain = dict(data)
        plain["findings"] = tuple(Finding(**finding) for finding in data["findings"])
        plain["obstacles"] = tuple(Obstacle(**obstacle) for obstacle in data["obstacles"])
        plain["unseen"] = tuple(Unseen(**unseen) for unseen in data.get("unseen", ()))
        return cls(**plain)
