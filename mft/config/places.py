"""Where things lie: the catalog, the regions with their stores and keys, and which rules send what where.

A default path here is relative to `data`; `{region}` in it stands for the region's name.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mft.config.keys import KeysConfig
from mft.config.stores import StoreConfig
from mft.config.units import (
    DayMinute,
    FreeSpace,
    PositiveSeconds,
    Priority,
    Seconds,
    Secret,
    Watermark,
    ZoneName,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogConfig:
    """The one database of an installation."""

    path: Path = Path("catalog.db")
    """The SQLite file; it lies on a local disk, never on a network file system."""
    region: str = ""
    """The region in which it lies, and all names and titles with it; empty: `residency.home`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyringConfig:
    """Where a region's keys lie, and what opens them."""

    path: Path = Path("regions/{region}/keyring")
    """The keyring file, sealed by the passphrase; it is made on first start."""
    passphrase_file: Path | None = None
    """The file whose first line is the passphrase."""
    passphrase: Secret | None = field(default=None, repr=False)
    """The passphrase itself, from `${ENV}`; give this, the file or `prompt`."""
    prompt: bool = False
    """Ask for the passphrase at the terminal of `mft serve`, or later by `mft keys unlock`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionConfig:
    """A named location of objects and of keys."""

    keyring: KeyringConfig = field(default_factory=KeyringConfig)
    keys: KeysConfig = field(default_factory=KeysConfig)
    """What holds the region's keys; by default the keyring."""
    store: StoreConfig = field(default_factory=StoreConfig)
    landing: Path = Path("regions/{region}/landing")
    """The directory in which uploads arrive; a directory of this region alone."""
    nearest: tuple[str, ...] = ()
    """The other regions, the nearest first; those left out follow in the order of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchConfig:
    """Which cases a rule is for: every pattern given must match (`*`, `?`, `[…]`, as the shell has them)."""

    customer: str | None = None
    case: str | None = None
    kind: str | None = None
    classification: str | None = None


DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursConfig:
    """A time of day, by the clock on a wall in its zone."""

    start: DayMinute
    end: DayMinute
    """Not with it; before *start* it is the next day's."""
    zone: ZoneName
    """An IANA time zone, such as Europe/Berlin."""
    days: tuple[DayName, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    """Those on which it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidencyMatchConfig(MatchConfig):
    """Which cases a rule of residency is for, and when."""

    hours: HoursConfig | None = None
    """Null: always. A rule with hours says who reads, and nothing of where files lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleConfig:
    """Where the cases of one kind lie and who may read them; the first rule that matches holds."""

    match: ResidencyMatchConfig = field(default_factory=ResidencyMatchConfig)
    home: str | None = None
    """Where uploads land and stay; null: the region that the case system names, else `residency.home`."""
    copies: tuple[str, ...] = ()
    """Where copies go besides."""
    on_demand: tuple[str, ...] = ()
    """Where copies go once an engineer who works there has the case."""
    priority: Priority | None = None
    """How soon copies are made, 1 (first) to 5; null: as the case system says."""
    readers: tuple[str, ...] | None = None
    """The regions from which it may be read; null: every region that may hold it."""
    metadata_regions: tuple[str, ...] | None = None
    """Where names and titles may lie (the catalog); null: the home region only."""
    reason: str = ""
    """Why; shown where something is refused, and in the audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidencyConfig:
    """Where things lie when no rule matches, and the rules."""

    home: str = ""
    """Empty: the only region there is."""
    copies: tuple[str, ...] = ()
    on_demand: tuple[str, ...] = ()
    """Where copies go once an engineer who works there has the case."""
    readers: tuple[str, ...] | None = None
    """Null: every region that may hold it."""
    otherwise: Literal["home", "refuse"] = "home"
    """What becomes of a case that no rule fits: placed by the keys here, or refused."""
    metadata_regions: tuple[str, ...] | None = None
    """Null: the home region only."""
    rules: tuple[RuleConfig, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingConfig:
    """How uploads arrive."""

    resume_grace: Seconds = 3600.0
    """How long a closed upload may still be resumed by its sender."""
    placeholder: Seconds = 60.0
    """How long an empty file that came by WebDAV waits for its content, which is then the same version."""
    partial_ttl: PositiveSeconds = 7 * 86400.0
    """How long an interrupted upload is kept."""
    free_space: Watermark = field(default_factory=lambda: FreeSpace(bytes=2**30))
    """New uploads are refused where less than this is free, so that the catalog can always commit."""
