"""Receipts by their id, the key that they are signed with, and health, on the HTTPS head."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web
from sqlalchemy import select

from mft.catalog.model import UPLOADS
from mft.receipts import public_key_document
from mft.vfs.meta import latest_receipt, status_of
from protocols.errors import NotFoundError
from protocols.http.auth import session_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from mft.catalog.database import Database
    from protocols.aio import Crossing

RECEIPTS_PATH = "/api/v1/receipts/{id:[0-9a-f]{32}}"


class RouteSource(Protocol):
    """Whatever adds routes of its own."""

    def add_routes(self, app: web.Application) -> None:
        """Add them to *app*."""


class Receipts:
    """Answers who asks for a receipt or for the state of a deposit: its sender alone."""

    def __init__(self, *, database: Database, crossing: Crossing, public_key: Ed25519PublicKey) -> None:
        """Read from *database*, on *crossing*'s threads."""
        self._database = database
        self._crossing = crossing
        self._public_key = public_key

    async def receipt(self, request: web.Request) -> web.Response:
        """Return the final receipt, or the landed one as long as there is no final one."""
        session = await session_of(request)
        found = await self._crossing.run(self._find, request.match_info["id"], session.login)
        return _json(found["receipt"])

    async def deposit(self, request: web.Request) -> web.Response:
        """Return where a deposit stands."""
        session = await session_of(request)
        found = await self._crossing.run(self._find, request.match_info["id"], session.login)
        return _json(found["status"])

    async def key(self, _request: web.Request) -> web.Response:
        """Return the public key that receipts are signed with."""
        return _json(public_key_document(self._public_key), cache="public, max-age=3600")

    def _find(self, upload_id: str, login: str) -> dict[str, Any]:
        with self._database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
            if row is None or row.login != login:
                raise NotFoundError("no such receipt")
            receipt = latest_receipt(connection, upload_id)
        if receipt is None:
            raise NotFoundError("no such receipt")
        return {"receipt": receipt, "status": status_of(row, name=row.name, sender=True)}


def _json(document: object, *, cache: str = "no-store") -> web.Response:
    return web.Response(
        status=HTTPStatus.OK,
        body=json.dumps(document, ensure_ascii=False).encode(),
        content_type="application/json",
        headers={"Cache-Control": cache},
    )


def add_routes(
    app: web.Application,
    *,
    database: Database,
    crossing: Crossing,
    public_key: Ed25519PublicKey,
    health: RouteSource,
    more: Sequence[RouteSource] = (),
) -> None:
    """Add the application's routes to the HTTPS head, and those of *more*."""
    receipts = Receipts(database=database, crossing=crossing, public_key=public_key)
    app.router.add_get(RECEIPTS_PATH, receipts.receipt)
    app.router.add_get("/receipts/{id:[0-9a-f]{32}}", receipts.receipt)
    app.router.add_get("/api/v1/deposits/{id:[0-9a-f]{32}}", receipts.deposit)
    app.router.add_get("/.well-known/mft-receipt-key.json", receipts.key)
    for source in (health, *more):
        source.add_routes(app)
