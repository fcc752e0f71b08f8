"""How much cases and customers may have here."""

from dataclasses import dataclass, field

from mft.config.places import MatchConfig
from mft.config.units import Count, PositiveBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRuleConfig:
    """A rule for some cases; the first that matches holds. What it leaves out is as the keys above the rules say."""

    match: MatchConfig = field(default_factory=MatchConfig)
    case_bytes: PositiveBytes | None = None
    case_files: Count | None = None
    customer_bytes: PositiveBytes | None = None
    """This and the next only where the rule matches by the customer alone."""
    customer_files: Count | None = None
    reason: str = ""
    """Why; `mft quota show` says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotasConfig:
    """Reserved when an upload begins, settled when it ends; exact, whatever is killed in between."""

    case_bytes: PositiveBytes | None = None
    """Bytes that one case may hold, as received; null: `limits.case_quota`."""
    case_files: Count | None = None
    """Files that one case may hold, each version one; null: no limit."""
    customer_bytes: PositiveBytes | None = None
    """Bytes that all cases of one customer may hold together; null: no limit."""
    customer_files: Count | None = None
    rules: tuple[QuotaRuleConfig, ...] = ()
