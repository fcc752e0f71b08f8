"""Webhooks: what the case system announces to us, and what we tell others."""

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mft.config.units import Count, PositiveSeconds

EVENT_TYPES = (
    "upload.started",
    "upload.landed",
    "upload.interrupted",
    "upload.expired",
    "upload.stored",
    "upload.rescanned",
    "upload.quarantined",
    "upload.rejected",
    "upload.released",
    "upload.destroyed",
    "quarantine.decided",
    "unfiled.received",
    "unfiled.assigned",
    "unfiled.expired",
    "copy.verified",
    "copy.failed",
    "copy.withdrawn",
    "landing.moved",
    "landing.withdrawn",
    "file.opened",
    "file.renamed",
    "file.hidden",
    "case.entered",
    "case.placed",
    "case.opened",
    "case.changed",
    "case.closed",
    "case.reopened",
    "case.destruction_begun",
    "case.destroyed",
    "token.created",
    "token.refreshed",
    "token.revoked",
    "hold.set",
    "hold.released",
    "break_glass.requested",
    "break_glass.approved",
    "break_glass.opened",
    "break_glass.refused",
    "case.rescanned",
    "object.destroyed",
    "object.unsealed",
    "object.tampering_found",
    "object.fault_found",
    "object.mended",
    "webhook.test",
)
"""Everything that an endpoint may be told, by the name that the audit has for it."""

MOST_SECRETS = 3
"""Secrets that are good at one time."""
_MOST_URL = 2048


def event_types(pattern: str) -> tuple[str, ...]:
    """Return the types of events that *pattern* (a type, or with `*` and `?`) stands for."""
    return tuple(each for each in EVENT_TYPES if fnmatch.fnmatchcase(each, pattern))


def is_endpoint_url(url: str, *, plain: bool) -> bool:
    """Say whether *url* can be delivered to: https with a host; http too where *plain*. Its address is judged later."""
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
        (parts.hostname or "").encode("idna")
    except ValueError:
        return False
    visible = url.isascii() and url.isprintable() and " " not in url and len(url) <= _MOST_URL
    bare = parts.username is None and parts.password is None and not parts.fragment
    return (
        visible
        and bare
        and port_is_good
        and bool(parts.hostname)
        and (parts.scheme == "https" or (plain and parts.scheme == "http"))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingConfig:
    """`POST /api/v1/webhooks/in`: the case system says what changed."""

    secret_files: tuple[Path, ...] = ()
    """Files with a secret (`whsec_…`) each: one, or two while it is being changed; none: the address is closed."""
    tolerance: PositiveSeconds = 300.0
    """How far the time of an announcement may be from ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """Somebody who wants to be told."""

    name: str
    """Of lower-case letters, digits and hyphens."""
    url: str
    """https://; plain http:// only into `allow_networks`."""
    secret_files: tuple[Path, ...]
    """Files with a secret (`whsec_…`) each: one, or two while it is being changed; both sign."""
    events: tuple[str, ...] = ("*",)
    """Types of events, or patterns of them such as `upload.*`."""
    customers: tuple[str, ...] | None = None
    """Ids of the customers whose events it is told; null: everybody's and the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingConfig:
    """What we tell others, and how patiently."""

    endpoints: tuple[EndpointConfig, ...] = ()
    """More are made by the API and by `mft webhook add`."""
    allow_networks: tuple[str, ...] = ()
    """Networks (CIDR) that may be called although they are not public; all others that are not public are refused."""
    ca_file: Path | None = None
    """PEM file of the authority to trust; null: the system's."""
    timeout: PositiveSeconds = 15.0
    """Longest time for one delivery, from resolving the name to the end of the answer."""
    retry_first: PositiveSeconds = 5.0
    """Wait after the first failure; each next wait is twice as long, give or take a quarter."""
    retry_max: PositiveSeconds = 12 * 3600.0
    """Longest wait between two attempts."""
    retry_for: PositiveSeconds = 3 * 86400.0
    """After so long a delivery is given up: it is dead, and can be sent again by hand."""
    rotation: PositiveSeconds = 86400.0
    """How long an old secret signs beside the new one, where the secret is ours."""
    keep: PositiveSeconds = 30 * 86400.0
    """How long deliveries that were made or given up are remembered."""
    workers: Count = 4
    """Deliveries under way at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhooksConfig:
    """Webhooks in and out."""

    incoming: IncomingConfig = field(default_factory=IncomingConfig)
    outgoing: OutgoingConfig = field(default_factory=OutgoingConfig)
