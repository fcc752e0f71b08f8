"""What clients want said of files and folders: kept by the name they hang on, so that they go where it goes.

They are as their sender gave them and no scrubber has seen them: only those who may write in a zone see them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert as upsert

from mft.catalog.model import NODE_PROPERTIES, NODES
from protocols.errors import PermissionDeniedError, QuotaExceededError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from mft.vfs.tree import Leaf, Place

MOST = 64
"""Properties of one file."""
LONGEST = 8192
"""Characters of a property, and of its name."""


def properties_of(connection: Connection, node_id: int) -> dict[str, str]:
    """Return the properties of one name."""
    rows = connection.execute(select(NODE_PROPERTIES).where(NODE_PROPERTIES.c.node_id == node_id))
    return {row.name: row.value for row in rows}


def properties_in(connection: Connection, directory: int) -> dict[str, dict[str, str]]:
    """Return the properties of what a directory holds, under each name that it may be seen by."""
    rows = connection.execute(
        select(NODES.c.name.label("given"), NODES.c.shown_name, NODE_PROPERTIES.c.name, NODE_PROPERTIES.c.value)
        .join(NODES, NODES.c.id == NODE_PROPERTIES.c.node_id)
        .where(NODES.c.parent_id == directory, NODES.c.hidden_at.is_(None))
    )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        values = found.setdefault(row.given, {})
        values[row.name] = row.value
        if row.shown_name is not None:
            found.setdefault(row.shown_name, values)
    return found


def change_properties(connection: Connection, place: Place, leaf: Leaf, changes: Mapping[str, str | None]) -> None:
    """Set and remove properties of *leaf* in *place*.

    Raises:
        PermissionDeniedError: somebody else's, or not whole.
        QuotaExceededError: too many, or too long.
    """
    if leaf.node_id is None:
        raise PermissionDeniedError("the upload is not complete")
    owner = connection.execute(select(NODES.c.owner).where(NODES.c.id == leaf.node_id)).scalar_one()
    if owner != place.login and not leaf.own:
        raise PermissionDeniedError("somebody else sent it")
    for name, value in changes.items():
        if len(name) > LONGEST or len(value or "") > LONGEST:
            raise QuotaExceededError(f"a property may have {LONGEST} characters")
        if value is None:
            here = (NODE_PROPERTIES.c.node_id == leaf.node_id, NODE_PROPERTIES.c.name == name)
            connection.execute(delete(NODE_PROPERTIES).where(*here))
            continue
        kept = upsert(NODE_PROPERTIES).values(node_id=leaf.node_id, name=name, value=value)
        connection.execute(kept.on_conflict_do_update(index_elements=["node_id", "name"], set_={"value": value}))
    count = select(func.count()).where(NODE_PROPERTIES.c.node_id == leaf.node_id)
    if connection.execute(count).scalar_one() > MOST:
        raise QuotaExceededError(f"a file may have {MOST} properties")
