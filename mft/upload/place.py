"""Names in a case's tree: finding and making the nodes that uploads hang on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from mft.catalog.fixed import Fixed
from mft.catalog.model import NODES
from protocols.errors import AlreadyExistsError, NotADirectoryPathError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

# Made once: to build them anew costs as much as to run them, and the catalog is locked meanwhile.
_IN_PARENT = select(NODES).where(NODES.c.parent_id == bindparam("parent"))
_BY_NAME = Fixed(_IN_PARENT.where(NODES.c.name == bindparam("of")))
_NEW_NODE = Fixed(
    insert(NODES).returning(NODES.c.id), "case_id", "parent_id", "name", "is_directory", "owner", "created_at"
)
_BY_SHOWN_NAME = _IN_PARENT.where(NODES.c.shown_name == bindparam("of"), NODES.c.hidden_at.is_(None))


def find_node(connection: Connection, parent_id: int, name: str) -> Row[tuple[object, ...]] | None:
    """Return the row of *name* in a directory, also if it is hidden."""
    found: Row[tuple[object, ...]] | None = _BY_NAME.first(connection, {"parent": parent_id, "of": name})
    return found


def find_shown(connection: Connection, parent_id: int, name: str) -> Row[tuple[object, ...]] | None:
    """Return the row that others than its owner know by *name*."""
    return connection.execute(_BY_SHOWN_NAME, {"parent": parent_id, "of": name}).first()


def walk(connection: Connection, root: int, names: Sequence[str], *, shown: bool = False) -> int:
    """Return the node of a directory below *root*; with *shown*, *names* are the scrubbed ones.

    Raises:
        NotFoundError: a directory on the way is not there.
        NotADirectoryPathError: a file stands in the way.
    """
    node = root
    for name in names:
        row = find_shown(connection, node, name) if shown else find_node(connection, node, name)
        if row is None or row.hidden_at is not None:
            raise NotFoundError("no such file or directory")
        if not row.is_directory:
            raise NotADirectoryPathError("a file stands where a directory was asked for")
        node = row.id
    return node


def make_node(
    connection: Connection, *, case_id: int, parent_id: int, name: str, owner: str, is_directory: bool
) -> int:
    """Return the node of *name*, made or brought back where it is not there.

    Raises:
        AlreadyExistsError: a directory stands where a file is to be, or the other way round.
    """
    row = find_node(connection, parent_id, name)
    if row is not None and row.hidden_at is not None and row.is_directory != is_directory:
        retire(connection, row)
        row = None
    if row is None:
        node = {
            "case_id": case_id,
            "parent_id": parent_id,
            "name": name,
            "is_directory": is_directory,
            "owner": owner,
            "created_at": time.time(),
        }
        return int(_NEW_NODE.scalar(connection, node))
    if row.is_directory != is_directory:
        kind = "directory" if row.is_directory else "file"
        raise AlreadyExistsError(f"a {kind} of that name is there")
    if row.hidden_at is not None:
        connection.execute(update(NODES).where(NODES.c.id == row.id).values(hidden_at=None, owner=owner))
    return int(row.id)


def retire(connection: Connection, row: Row[Any]) -> None:
    """Give the name of a removed node free for one of the other kind; what it holds is kept, by its number.

    Names that clients give hold no control character, so that the new one is nobody's.
    """
    connection.execute(update(NODES).where(NODES.c.id == row.id).values(name=f"{row.name}\x1f{row.id}"))
