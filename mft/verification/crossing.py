"""Where the catalog contradicts itself: what only somebody who writes to it past the server brings about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from mft.catalog.model import BODIES, CASES, NODES, UPLOADS
from mft.catalog.states import UploadState

if TYPE_CHECKING:
    from mft.catalog.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """One row that points where it may not."""

    subject: str
    """An upload's id."""
    region: str
    case: str
    customer: str
    why: str


def crossed(database: Database) -> list[Crossing]:
    """Return uploads whose object is another's, and names that show a file of another case.

    The server writes neither: an upload, its object and its name are of one case for as long as there are any.
    """
    facts = (UPLOADS.c.id, UPLOADS.c.region, CASES.c.number, CASES.c.customer)
    objects = (
        select(*facts)
        .join(CASES, CASES.c.id == UPLOADS.c.case_id)
        .outerjoin(BODIES, BODIES.c.key == UPLOADS.c.object_key)
        .where(
            UPLOADS.c.state == UploadState.STORED,
            or_(
                BODIES.c.key.is_(None),
                BODIES.c.state != "stored",
                BODIES.c.upload_id != UPLOADS.c.id,
                BODIES.c.case_id != UPLOADS.c.case_id,
            ),
        )
    )
    heads = (
        select(*facts)
        .join(CASES, CASES.c.id == UPLOADS.c.case_id)
        .join(NODES, NODES.c.head_upload == UPLOADS.c.id)
        .where(NODES.c.case_id != UPLOADS.c.case_id)
    )
    owners = (
        select(*facts)
        .join(CASES, CASES.c.id == UPLOADS.c.case_id)
        .join(NODES, NODES.c.id == UPLOADS.c.node_id)
        .where(NODES.c.case_id != UPLOADS.c.case_id)
    )
    found: dict[str, Crossing] = {}
    with database.read() as connection:
        for statement, why in (
            (objects, "the catalog gives it an object that is not its own"),
            (heads, "the catalog shows it under a name in another case"),
            (owners, "the catalog keeps it as a version of a name in another case"),
        ):
            for row in connection.execute(statement):
                found.setdefault(
                    row.id,
                    Crossing(subject=row.id, region=row.region, case=row.number, customer=row.customer, why=why),
                )
    return list(found.values())
