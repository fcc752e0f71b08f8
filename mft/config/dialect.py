"""What a configuration says of a case system that is asked in its own words (`lookup.type: declarative`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mft.config.units import Count


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupAuthConfig:
    """Who we are to the case system; the secret of it is `lookup.secret_file` or `lookup.secret`."""

    type: Literal["none", "basic", "bearer", "oauth2"] | None = None
    """Null: as the preset has it."""
    user: str | None = None
    """`basic`: the user."""
    client_id: str | None = None
    """`oauth2`: the client's id."""
    token_url: str | None = None
    """`oauth2`: where tokens are given out; null: as the preset has it."""
    scope: str | None = None
    """`oauth2`: what is asked for."""
    client_auth: Literal["body", "basic"] = "body"
    """`oauth2`: how the client shows its id and secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupStepConfig:
    """A request whose answer the question behind it uses."""

    path: str
    query: Mapping[str, str | None] | None = None
    record: str | None = None
    match: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRequestConfig:
    """One question; what is null is as the preset has it. docs/integrate.md explains each key."""

    path: str | None = None
    query: Mapping[str, str | None] | None = None
    headers: Mapping[str, str | None] | None = None
    first: Mapping[str, LookupStepConfig] | None = None
    record: str | None = None
    match: str | None = None
    items: str | None = None
    where: str | None = None
    missing: str | None = None
    fields: Mapping[str, str | None] | None = None
    values: Mapping[str, Mapping[str, str]] | None = None
    paging: Literal["none", "offset", "page", "cursor", "keyset"] | None = None
    next: str | None = None
    more: str | None = None
    max_limit: Count | None = None
    states: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRequestsConfig:
    """The questions."""

    principal: LookupRequestConfig | None = None
    case: LookupRequestConfig | None = None
    customer: LookupRequestConfig | None = None
    cases: LookupRequestConfig | None = None
    """A customer's cases."""
    all_cases: LookupRequestConfig | None = None
    """Everybody's, where that is another request."""
    customers: LookupRequestConfig | None = None
