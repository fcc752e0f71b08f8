"""The configuration: the only room that reads YAML, the environment and secrets' files."""

from mft.config.access import AuthConfig, LookupConfig, RevocationConfig, ThrottleConfig
from mft.config.dialect import LookupAuthConfig, LookupRequestConfig, LookupRequestsConfig, LookupStepConfig
from mft.config.entrances import HttpsConfig, ListenerConfig, OperationsConfig, SftpConfig
from mft.config.errors import ConfigError, Fault, SecretFileError
from mft.config.layouts import LayoutConfig
from mft.config.load import load_config, parse_config
from mft.config.model import Config
from mft.config.places import (
    CatalogConfig,
    KeyringConfig,
    LandingConfig,
    MatchConfig,
    RegionConfig,
    ResidencyConfig,
    RuleConfig,
)
from mft.config.secrets import load_lookup_secret, load_lookup_table, load_passphrase
from mft.config.stores import AzureConfig, GcsConfig, ObjectLockConfig, S3Config, StoreConfig
from mft.config.units import FreeSpace
from mft.config.work import (
    AuditConfig,
    LimitsConfig,
    LogConfig,
    ReadingConfig,
    ReplicationConfig,
    ScrubConfig,
    ScrubPolicyConfig,
    WorkersConfig,
)

__all__ = [
    "AuditConfig",
    "AuthConfig",
    "AzureConfig",
    "CatalogConfig",
    "Config",
    "ConfigError",
    "Fault",
    "FreeSpace",
    "GcsConfig",
    "HttpsConfig",
    "KeyringConfig",
    "LandingConfig",
    "LayoutConfig",
    "LimitsConfig",
    "ListenerConfig",
    "LogConfig",
    "LookupAuthConfig",
    "LookupConfig",
    "LookupRequestConfig",
    "LookupRequestsConfig",
    "LookupStepConfig",
    "MatchConfig",
    "ObjectLockConfig",
    "OperationsConfig",
    "ReadingConfig",
    "RegionConfig",
    "ReplicationConfig",
    "ResidencyConfig",
    "RevocationConfig",
    "RuleConfig",
    "S3Config",
    "ScrubConfig",
    "ScrubPolicyConfig",
    "SecretFileError",
    "SftpConfig",
    "StoreConfig",
    "ThrottleConfig",
    "WorkersConfig",
    "load_config",
    "load_lookup_secret",
    "load_lookup_table",
    "load_passphrase",
    "parse_config",
]
