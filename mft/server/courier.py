"""What tells others, put together: for the intake process, which delivers, and for commands and the API, which look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mft.config.secrets import load_webhook_secrets
from mft.webhooks.endpoints import Endpoints
from mft.webhooks.outbox import Outbox

if TYPE_CHECKING:
    from mft.server.parts import Parts
    from mft.webhooks.courier import Courier


def make_endpoints(parts: Parts) -> Endpoints:
    """Make the service of endpoints."""
    return Endpoints(
        database=parts.database,
        trail=parts.trail,
        key=parts.credentials.token_key,
        settings=parts.config.webhooks.outgoing,
    )


def make_outbox(parts: Parts, endpoints: Endpoints) -> Outbox:
    """Make the service of deliveries to *endpoints*."""
    return Outbox(
        database=parts.database, trail=parts.trail, endpoints=endpoints, settings=parts.config.webhooks.outgoing
    )


def make_courier(parts: Parts) -> Courier:
    """Make the courier, once the endpoints of the configuration are in the catalog.

    Raises:
        SecretFileError: a secret of the configuration cannot be read.
    """
    from mft.webhooks.addresses import parse_networks  # noqa: PLC0415  for the intake process alone
    from mft.webhooks.courier import Courier  # noqa: PLC0415
    from mft.webhooks.post import Poster  # noqa: PLC0415

    settings = parts.config.webhooks.outgoing
    configured = {
        each.name: load_webhook_secrets(each.secret_files, f"webhooks.outgoing.endpoints[{index}].secret_files")
        for index, each in enumerate(settings.endpoints)
    }
    endpoints = make_endpoints(parts)
    endpoints.take_configured()
    return Courier(
        outbox=make_outbox(parts, endpoints),
        poster=Poster(
            allowed=parse_networks(settings.allow_networks), ca_file=settings.ca_file, timeout=settings.timeout
        ),
        configured=configured,
        workers=settings.workers,
    )
