"""What the catalog says of objects: pages of them, and one again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from mft.catalog.model import BODIES, CASES, REPLICAS, UPLOADS
from mft.verification.examination import Listed
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Row, Select

    from mft.catalog.database import Database

_PAGE = 200


def pages(database: Database, *, case: str | None, after: str = "") -> Iterator[list[Listed]]:
    """Yield every stored object (of *case* alone, by its number) in the order of keys, from behind *after*."""
    while True:
        with database.read() as connection:
            wanted = _objects().where(BODIES.c.key > after).order_by(BODIES.c.key).limit(_PAGE)
            if case is not None:
                wanted = wanted.where(CASES.c.number == case)
            rows = connection.execute(wanted).all()
            page = _with_regions(connection, rows)
        if not rows:
            return
        yield page
        after = rows[-1].key


def one(database: Database, key: str) -> Listed | None:
    """Return one object as the catalog has it now; None: it is stored no more."""
    with database.read() as connection:
        rows = connection.execute(_objects().where(BODIES.c.key == key)).all()
        found = _with_regions(connection, rows)
    return found[0] if found else None


def _objects() -> Select[Any]:
    return (
        select(
            BODIES.c.key,
            BODIES.c.case_id,
            BODIES.c.upload_id,
            BODIES.c.size,
            BODIES.c.stored_size,
            BODIES.c.sha256,
            CASES.c.number,
            CASES.c.customer,
            func.coalesce(BODIES.c.region, UPLOADS.c.region).label("region"),
        )
        .join(CASES, CASES.c.id == BODIES.c.case_id)
        .join(UPLOADS, UPLOADS.c.id == BODIES.c.upload_id)
        .where(BODIES.c.state == "stored")
    )


def _with_regions(connection: Connection, rows: Sequence[Row[Any]]) -> list[Listed]:
    present: dict[str, list[str]] = {}
    keys = [row.key for row in rows]
    for each in connection.execute(
        select(REPLICAS.c.object_key, REPLICAS.c.region)
        .where(REPLICAS.c.object_key.in_(keys), REPLICAS.c.state == "present")
        .order_by(REPLICAS.c.region)
    ):
        present.setdefault(each.object_key, []).append(each.region)
    return [
        Listed(
            key=ObjectKey(row.key),
            case_id=row.case_id,
            case=row.number,
            customer=row.customer,
            upload=row.upload_id,
            size=row.size,
            stored_size=row.stored_size,
            sha256=row.sha256 or "",
            regions=_home_first(row.region, present.get(row.key, [])),
        )
        for row in rows
    ]


def _home_first(home: str, regions: list[str]) -> tuple[str, ...]:
    return tuple(sorted(regions, key=lambda region: region != home))
