"""Who comes in: the case lookup, how fast a withdrawn right ends, and how logins are checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mft.config.dialect import LookupAuthConfig, LookupRequestsConfig
from mft.config.units import Count, Ipv4Prefix, Ipv6Prefix, PositiveSeconds, Seconds, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupConfig:
    """The case system that says who a login is and which cases it has."""

    type: Literal["http", "declarative", "static", "registry"] = "static"
    """`registry`: customers and cases in the catalog, kept by `mft case` and `mft customer`."""
    url: str | None = None
    """`http`, `declarative`: the address of the API, without credentials in it."""
    secret_file: Path | None = None
    """The file with the secret: `http`: what signs requests; `declarative`: the password, token or client secret."""
    secret: Secret | None = field(default=None, repr=False)
    """That secret itself, from `${ENV}`; give this or the file."""
    ca_file: Path | None = None
    """`http`, `declarative`: PEM file of the authority to trust; null: the system's."""
    client_certificate: Path | None = None
    """`http`, `declarative`: PEM file with our certificate, where the case system asks for one; null: none."""
    client_key: Path | None = None
    """PEM file with that certificate's private key; null: it is in the same file."""
    preset: Literal["jira", "salesforce", "servicenow", "zendesk"] | None = None
    """`declarative`: the case system whose ways are known; null: `requests` says all."""
    auth: LookupAuthConfig = field(default_factory=LookupAuthConfig)
    """`declarative`: who we are there."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """`declarative`: what `%name%` stands for in a preset."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """`declarative`: headers of every request."""
    requests: LookupRequestsConfig = field(default_factory=LookupRequestsConfig)
    """`declarative`: the questions, where they differ from the preset's."""
    table: Path | Mapping[str, object] | None = field(default=None, repr=False)
    """`static`: customers, cases and principals, here or in a YAML file of their own."""
    timeout: PositiveSeconds = 2.0
    """Longest time for one answer."""
    ttl: Seconds = 15.0
    """How long an answer is believed without asking again."""
    negative_ttl: Seconds = 5.0
    """How long a "no such …" is believed."""
    stale_if_error: Seconds = 30.0
    """How long beyond its ttl an answer is still used while the case system fails."""
    breaker_failures: Count = 5
    """Failures in a row after which the case system is left alone."""
    breaker_reset: PositiveSeconds = 10.0
    """For how long it is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationConfig:
    """How fast a withdrawn right ends."""

    bound: PositiveSeconds = 60.0
    """Longest time that a withdrawn right may live on anywhere."""
    poll: PositiveSeconds = 0.25
    """How often each worker looks for withdrawals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleConfig:
    """What failed logins cost, by account and by network."""

    enabled: bool = True
    account_failures: Count = 10
    """Failures of one account within its window before it is locked."""
    account_window: PositiveSeconds = 900.0
    network_failures: Count = 50
    """Failures from one network within its window before it is locked."""
    network_window: PositiveSeconds = 900.0
    lockout: PositiveSeconds = 900.0
    """How long nothing is looked at after that."""
    ipv4_prefix: Ipv4Prefix = 32
    """How many leading bits of an IPv4 address make one network, 8 to 32."""
    ipv6_prefix: Ipv6Prefix = 64
    """The same for IPv6, 16 to 128; a household commonly has a /64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """How logins are checked."""

    throttle: ThrottleConfig = field(default_factory=ThrottleConfig)
    password_cache: Seconds = 300.0
    """How long a verified password is remembered by a process; 0: not at all."""
    argon2_parallel: Count = 2
    """Password checks at once in each worker; each takes some 64 MiB."""
    login_grace: PositiveSeconds = 30.0
    """Longest time from connecting to being logged in."""
