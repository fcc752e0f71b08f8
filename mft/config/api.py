"""The REST API, the tokens of cases, and the quarantine."""

from dataclasses import dataclass

from mft.config.units import Count, PositiveSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """What one login may ask of the REST API."""

    requests: Count = 600
    """Requests of one login in one worker …"""
    window: PositiveSeconds = 60.0
    """… within so long."""
    replay: PositiveSeconds = 24 * 3600.0
    """How long the answer to a request with an Idempotency-Key is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensConfig:
    """Tokens of a case, which end with it at the latest."""

    ttl: PositiveSeconds = 30 * 24 * 3600.0
    """How long a token lives if whoever makes it says nothing else."""
    ttl_max: PositiveSeconds = 90 * 24 * 3600.0
    """Longest life that may be asked for; a refresh begins a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineConfig:
    """Files that were not let through."""

    approvals: Count = 2
    """Releasers, none of them the sender, who must agree before one is released or destroyed."""
    retention: PositiveSeconds | None = 90 * 24 * 3600.0
    """How long one waits for a decision; then it is destroyed. null: as long as its case is kept."""
