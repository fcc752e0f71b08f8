"""The whole configuration as values: every key that the file may have, its unit and its default.

Its parts lie in `places`, `entrances`, `access` and `work`. The values here are made by `mft.config.load` alone, which
also fills in what depends on other keys (see `mft.config.settle`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mft.config.access import AuthConfig, LookupConfig, RevocationConfig
from mft.config.api import ApiConfig, QuarantineConfig, TokensConfig
from mft.config.deposits import DepositConfig, UnfiledConfig
from mft.config.entrances import FtpsConfig, HttpsConfig, ListenerConfig, OperationsConfig, SftpConfig
from mft.config.keys import BreakGlassConfig, CustomerKeyConfig
from mft.config.layouts import LayoutConfig
from mft.config.lifecycle import LifecycleConfig
from mft.config.places import CatalogConfig, LandingConfig, RegionConfig, ResidencyConfig
from mft.config.quotas import QuotasConfig
from mft.config.verify import VerifyConfig
from mft.config.webhooks import WebhooksConfig
from mft.config.work import (
    AuditConfig,
    LimitsConfig,
    LogConfig,
    ReadingConfig,
    ReplicationConfig,
    ScrubConfig,
    WorkersConfig,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One installation."""

    installation: str = "mft"
    """Its name, shown in receipts, banners and certificates."""
    data: Path = Path("data")
    """The directory of everything whose path is not given; credentials lie in `credentials` below it."""
    catalog: CatalogConfig = field(default_factory=CatalogConfig)
    listeners: tuple[ListenerConfig, ...] = ()
    """At least one."""
    operations: OperationsConfig = field(default_factory=OperationsConfig)
    regions: Mapping[str, RegionConfig] = field(default_factory=dict)
    """By name (lower-case letters, digits, hyphens); at least one."""
    customer_keys: tuple[CustomerKeyConfig, ...] = ()
    """Keys in customers' own hands."""
    break_glass: BreakGlassConfig = field(default_factory=BreakGlassConfig)
    residency: ResidencyConfig = field(default_factory=ResidencyConfig)
    lookup: LookupConfig = field(default_factory=LookupConfig)
    revocation: RevocationConfig = field(default_factory=RevocationConfig)
    layout: LayoutConfig = field(default_factory=LayoutConfig)
    deposit: DepositConfig = field(default_factory=DepositConfig)
    unfiled: UnfiledConfig = field(default_factory=UnfiledConfig)
    landing: LandingConfig = field(default_factory=LandingConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    quotas: QuotasConfig = field(default_factory=QuotasConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    tokens: TokensConfig = field(default_factory=TokensConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    quarantine: QuarantineConfig = field(default_factory=QuarantineConfig)
    scrub: ScrubConfig = field(default_factory=ScrubConfig)
    replication: ReplicationConfig = field(default_factory=ReplicationConfig)
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    webhooks: WebhooksConfig = field(default_factory=WebhooksConfig)
    lifecycle: LifecycleConfig = field(default_factory=LifecycleConfig)
    sftp: SftpConfig = field(default_factory=SftpConfig)
    https: HttpsConfig = field(default_factory=HttpsConfig)
    ftps: FtpsConfig = field(default_factory=FtpsConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    log: LogConfig = field(default_factory=LogConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)

    @property
    def credentials(self) -> Path:
        """The directory of the server's own keys and certificate."""
        return self.data / "credentials"
