"""The audit for who may read it: its chains with their signed heads, and their events, link by link."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from sqlalchemy import select

from mft.api.document import Document, Nothing, Page, PageQuery, Parameters
from mft.api.fault import not_found
from mft.api.route import Answer, Call, Route
from mft.catalog.model import EVENTS, HEADS
from mft.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.rooms import ApiRooms

_PAGE = 500
ChainName = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern="^[A-Za-z0-9:._-]+$", description="`system` or `customer:ID`."),
]


class EventQuery(PageQuery):
    """Which events."""

    chain: ChainName = "system"


class ExportQuery(Parameters):
    """Which chain."""

    chain: ChainName = "system"


class Chain(Document):
    """A chain's signed head."""

    chain: str
    position: int
    hash: str
    signature: str


class Event(Document):
    """One link: `hash` is SHA-256 over `previous` and `body`, both as they are written here."""

    position: int
    previous: str
    hash: str
    body: Annotated[str, Field(description="The event, as the JSON text that was hashed.")]


class AuditRoutes:
    """Serves it."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Read from the catalog of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/audit/chains",
            name="listChains",
            tag="audit",
            summary="The chains, with their signed heads",
            handle=self.chains,
            permission=Permission.AUDIT_READ,
            query_model=PageQuery,
            answer_model=Page[Chain],
        )
        yield Route(
            method="GET",
            path="/audit/events",
            name="listEvents",
            tag="audit",
            summary="The events of a chain, in its order",
            handle=self.events,
            permission=Permission.AUDIT_READ,
            query_model=EventQuery,
            answer_model=Page[Event],
        )
        yield Route(
            method="GET",
            path="/audit/export",
            name="exportAudit",
            tag="audit",
            summary="A whole chain, a line of JSON for each event, its signed head last",
            handle=self.export,
            permission=Permission.AUDIT_READ,
            query_model=ExportQuery,
            media="application/x-ndjson",
            errors=(HTTPStatus.NOT_FOUND,),
        )

    def chains(self, call: Call[Nothing, PageQuery, Nothing]) -> Answer:
        """Return a page."""
        key = self._rooms.cursors.read("chains", call.query.cursor)
        statement = select(HEADS).order_by(HEADS.c.chain).limit(call.query.limit + 1)
        if key is not None:
            statement = statement.where(HEADS.c.chain > key[0])
        with self._rooms.database.read() as connection:
            rows = connection.execute(statement).all()
        page = rows[: call.query.limit]
        more = self._rooms.cursors.write("chains", [page[-1].chain]) if len(rows) > len(page) else None
        items = [Chain(chain=row.chain, position=row.position, hash=row.hash, signature=row.signature) for row in page]
        return Answer(document=Page(items=items, next_cursor=more))

    def events(self, call: Call[Nothing, EventQuery, Nothing]) -> Answer:
        """Return a page; a chain that is not there has no events."""
        listing = f"events {call.query.chain}"
        key = self._rooms.cursors.read(listing, call.query.cursor)
        after = 0 if key is None else int(key[0] or 0)
        found = self._links(call.query.chain, after, call.query.limit + 1)
        page = found[: call.query.limit]
        more = self._rooms.cursors.write(listing, [page[-1].position]) if len(found) > len(page) else None
        return Answer(document=Page(items=page, next_cursor=more))

    def export(self, call: Call[Nothing, ExportQuery, Nothing]) -> Answer:
        """Write a chain out, a page of the catalog at a time."""
        with self._rooms.database.read() as connection:
            head = connection.execute(select(HEADS).where(HEADS.c.chain == call.query.chain)).first()
        if head is None:
            raise not_found("chain")
        last = {name: getattr(head, name) for name in ("chain", "position", "hash", "signature")}
        return Answer(lines=self._lines(call.query.chain, last))

    def _lines(self, chain: str, head: dict[str, object]) -> Iterator[bytes]:
        after, end = 0, int(str(head["position"]))
        while after < end:
            found = [link for link in self._links(chain, after, _PAGE) if link.position <= end]
            if not found:
                break
            after = found[-1].position
            yield b"".join(link.model_dump_json().encode() + b"\n" for link in found)
        yield json.dumps({"head": head}).encode() + b"\n"

    def _links(self, chain: str, after: int, limit: int) -> list[Event]:
        with self._rooms.database.read() as connection:
            rows = connection.execute(
                select(EVENTS)
                .where(EVENTS.c.chain == chain, EVENTS.c.position > after)
                .order_by(EVENTS.c.position)
                .limit(limit)
            ).all()
        return [Event(position=row.position, previous=row.previous, hash=row.hash, body=row.body) for row in rows]
