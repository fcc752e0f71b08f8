"""The application's own routes on the HTTPS head: the API, and what stands beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mft.api.audittrail import AuditRoutes
from mft.api.cases import CaseRoutes
from mft.api.deposits import DepositRoutes
from mft.api.files import FileRoutes
from mft.api.identity import IdentityRoutes
from mft.api.lifecycle import LifecycleRoutes
from mft.api.preflight import PreflightRoutes
from mft.api.quarantine import QuarantineRoutes
from mft.api.receipts import ReceiptRoutes
from mft.api.replicas import ReplicaRoutes
from mft.api.rescans import RescanRoutes
from mft.api.residency import ResidencyRoutes
from mft.api.reversekey import ReverseKeyRoutes
from mft.api.tokens import TokenRoutes
from mft.api.unfiled import UnfiledRoutes
from mft.api.webhooks import WebhookRoutes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiohttp import web

    from mft.api.rooms import ApiRooms
    from mft.api.route import Route
    from mft.api.router import Router


class RouteSource(Protocol):
    """Whatever adds routes of its own."""

    def add_routes(self, app: web.Application) -> None:
        """Add them to *app*."""


def every_route(rooms: ApiRooms) -> Iterator[Route[Any, Any, Any]]:
    """Yield every route of the API, in the order of its document."""
    parts = (
        IdentityRoutes(rooms),
        CaseRoutes(rooms),
        FileRoutes(rooms),
        DepositRoutes(rooms),
        ReceiptRoutes(rooms),
        ReverseKeyRoutes(rooms),
        PreflightRoutes(rooms),
        TokenRoutes(rooms),
        UnfiledRoutes(rooms),
        QuarantineRoutes(rooms),
        RescanRoutes(rooms),
        ReplicaRoutes(rooms),
        ResidencyRoutes(rooms),
        AuditRoutes(rooms),
        WebhookRoutes(rooms),
        LifecycleRoutes(rooms),
    )
    for part in parts:
        yield from part.routes()


def add_routes(app: web.Application, *, rooms: ApiRooms, router: Router, others: Iterable[RouteSource]) -> None:
    """Add the API, its older addresses, and what *others* serve, to the HTTPS head."""
    router.add(every_route(rooms))
    router.add_routes(app)
    router.add_alias(app, "getReceipt", "/receipts/{id:[0-9a-f]{32}}")
    router.add_alias(app, "getReceiptKey", "/.well-known/mft-receipt-key.json")
    for other in others:
        other.add_routes(app)
