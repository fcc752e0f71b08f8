"""Where objects lie, and where copies are still on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from sqlalchemy import select, tuple_

from mft.api.document import Document, Id32, Moment, Nothing, Number, Page, PageQuery, moment
from mft.api.fault import forbidden
from mft.api.route import Answer, Call, Route
from mft.catalog.model import BODIES, CASES, REPLICAS
from mft.objects import Queue, queues_by_region
from mft.permissions import Permission
from mft.policy import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.rooms import ApiRooms


class ReplicaQuery(PageQuery):
    """Which of them."""

    case: Annotated[Number | None, Field(description="Those of one case; engineers must name it.")] = None
    deposit: Annotated[Id32 | None, Field(description="Those of one deposit.")] = None
    region: Annotated[str | None, Field(max_length=32, pattern="^[a-z0-9-]+$")] = None
    state: Annotated[
        str | None,
        Field(max_length=32, pattern="^[a-z]+$", description="`present`, `wanted`, `leaving` or `withdrawn`."),
    ] = None


class Replica(Document):
    """One region's copy of an object, or the wish for it."""

    object: str
    deposit: str
    case: str
    region: str
    state: str
    size: Annotated[int, Field(description="Sealed, in bytes.")]
    attempts: int
    last_error: str | None
    queued: Moment
    verified: Annotated[Moment | None, Field(description="When it was read back and compared.")]
    withdrawn: Annotated[Moment | None, Field(description="When it was taken away, body and slot.")]
    priority: Annotated[int, Field(description="Of its case: 1 is copied first.")]


class CopyQueue(Document):
    """What one region waits for."""

    region: str
    waiting: Annotated[int, Field(description="Copies that are still to be made.")]
    bytes: Annotated[int, Field(description="Of them together, sealed.")]
    oldest: Annotated[Moment | None, Field(description="When the oldest of them was asked for.")]
    lag_seconds: Annotated[int, Field(description="Its age.")]
    failing: Annotated[int, Field(description="Of them, those that have failed at least once.")]
    leaving: Annotated[int, Field(description="Copies that are still to be taken away.")]


class CopyQueues(Document):
    """What every region waits for."""

    regions: list[CopyQueue]


class ReplicaRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Read from the catalog of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/replicas",
            name="listReplicas",
            tag="replicas",
            summary="The copies of objects, by region",
            handle=self.list,
            permission=Permission.REPLICAS_READ,
            query_model=ReplicaQuery,
            answer_model=Page[Replica],
        )

        yield Route(
            method="GET",
            path="/replicas/lag",
            name="getCopyLag",
            tag="replicas",
            summary="How far copies are behind, by region",
            handle=self.lag,
            permission=Permission.REPLICAS_READ,
            answer_model=CopyQueues,
        )

    def lag(self, _call: Call[Nothing, Nothing, Nothing]) -> Answer:
        """Return every region's queue."""
        now = self._rooms.now().timestamp()
        with self._rooms.database.read() as connection:
            queues = queues_by_region(connection)
        nothing = Queue(waiting=0, bytes=0, oldest=None, failing=0, leaving=0)
        rows = []
        for region in self._rooms.config.regions:
            queue = queues.get(region, nothing)
            rows.append(
                CopyQueue(
                    region=region,
                    waiting=queue.waiting,
                    bytes=queue.bytes,
                    oldest=moment(queue.oldest),
                    lag_seconds=int(queue.lag(now)),
                    failing=queue.failing,
                    leaving=queue.leaving,
                )
            )
        return Answer(document=CopyQueues(regions=rows))

    def list(self, call: Call[Nothing, ReplicaQuery, Nothing]) -> Answer:
        """Return a page."""
        query, reader = call.query, call.caller.reader
        statement = (
            select(REPLICAS, BODIES.c.upload_id, BODIES.c.stored_size, CASES.c.number, CASES.c.priority)
            .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
            .join(CASES, CASES.c.id == BODIES.c.case_id)
            .order_by(REPLICAS.c.object_key, REPLICAS.c.region)
            .limit(query.limit + 1)
        )
        if reader.part is not Part.STAFF:
            if query.case is None:
                raise forbidden("say which case: `case` in the query")
            self._rooms.enter(call.caller, query.case)
        wanted = (
            (CASES.c.number, query.case),
            (BODIES.c.upload_id, query.deposit),
            (REPLICAS.c.region, query.region),
            (REPLICAS.c.state, query.state),
        )
        for column, value in wanted:
            if value is not None:
                statement = statement.where(column == value)
        listing = f"replicas {query.case} {query.deposit} {query.region} {query.state}"
        key = self._rooms.cursors.read(listing, query.cursor)
        if key is not None:
            statement = statement.where(tuple_(REPLICAS.c.object_key, REPLICAS.c.region) > tuple(key))
        with self._rooms.database.read() as connection:
            rows = connection.execute(statement).all()
        page = rows[: query.limit]
        more = None
        if len(rows) > len(page):
            more = self._rooms.cursors.write(listing, [page[-1].object_key, page[-1].region])
        items = [
            Replica(
                object=row.object_key,
                deposit=row.upload_id,
                case=row.number,
                region=row.region,
                state=row.state,
                size=row.stored_size,
                attempts=row.attempts,
                last_error=row.last_error,
                queued=moment(row.queued_at),
                verified=moment(row.verified_at),
                withdrawn=moment(row.withdrawn_at),
                priority=row.priority,
            )
            for row in page
        ]
        return Answer(document=Page(items=items, next_cursor=more))
