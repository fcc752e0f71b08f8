"""What becomes of a case's files once it is closed."""

from dataclasses import dataclass, field

from mft.config.places import MatchConfig
from mft.config.units import PositiveSeconds, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRuleConfig:
    """A rule for some cases; the first that matches holds. What it leaves out is as the keys above the rules say."""

    match: MatchConfig = field(default_factory=MatchConfig)
    read_after_close: Seconds | None = None
    retention: PositiveSeconds | None = None
    keep_for_ever: bool = False
    """Nothing is destroyed, whatever `retention` above the rules says."""
    reason: str = ""
    """Why; it stands in the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleConfig:
    """Case state drives access and retention."""

    every: PositiveSeconds = 3600.0
    """How often the server looks for what is due."""
    read_after_close: Seconds = 0.0
    """How long a closed case can still be read, and no more be written to; 0: it is gone at once."""
    retention: PositiveSeconds | None = None
    """So long after a case was closed (and after its last upload) its files are destroyed; null: never."""
    rules: tuple[LifecycleRuleConfig, ...] = ()
