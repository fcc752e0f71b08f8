"""Making directories, renaming and removing: changes of names, never of bytes. No client's path ever reaches the OS."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from mft.catalog.model import NODE_PROPERTIES, NODES, OWN_VERSIONS, UPLOADS
from mft.catalog.states import PARTIAL, UploadState, move_upload
from mft.policy import Part, may_remove
from mft.upload.newest import show_own, show_time
from mft.upload.place import find_node, make_node, retire
from protocols.errors import (
    AlreadyExistsError,
    InvalidNameError,
    IsADirectoryPathError,
    NotADirectoryPathError,
    NotFoundError,
    PermissionDeniedError,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mft.vfs.tree import Leaf, Place


def make_directory(connection: Connection, place: Place, name: str) -> int:
    """Make a directory in *place*, or bring a removed one back.

    Raises:
        AlreadyExistsError: the name is taken.
    """
    node = find_node(connection, place.node_id, name)
    if node is not None and node.hidden_at is None:
        raise AlreadyExistsError("something of that name is there")
    return make_node(
        connection,
        case_id=place.case_id,
        parent_id=place.node_id,
        name=name,
        owner=place.login,
        is_directory=True,
    )


def rename(connection: Connection, source: Place, leaf: Leaf, target: Place, name: str, *, replace: bool) -> None:
    """Move *leaf* of *source* to *name* in *target*, a directory of the same zone.

    Onto an existing file (with *replace*) its versions become the newest of that file, and both histories are kept.

    Raises:
        PermissionDeniedError: somebody else's.
        AlreadyExistsError: the name is taken.
        InvalidNameError: a directory into itself.
    """
    if leaf.node_id is None:
        _rename_partial(connection, leaf, target, name)
        return
    row = connection.execute(select(NODES).where(NODES.c.id == leaf.node_id)).one()
    if row.owner != source.login and not leaf.own:
        raise PermissionDeniedError("somebody else sent it")
    if (row.parent_id, row.name) == (target.node_id, name):
        return
    if row.is_directory:
        _refuse_loop(connection, row.id, target.node_id)
    there = find_node(connection, target.node_id, name)
    if there is not None and there.hidden_at is not None and (row.is_directory or there.is_directory):
        retire(connection, there)
        there = None
    if there is None:
        connection.execute(
            update(NODES).where(NODES.c.id == row.id).values(parent_id=target.node_id, name=name, shown_name=None)
        )
        _move_partials(connection, row.id, target.node_id, name)
        return
    _merge(connection, row, there, replace=replace, login=source.login)


def _rename_partial(connection: Connection, leaf: Leaf, target: Place, name: str) -> None:
    there = find_node(connection, target.node_id, name)
    if there is not None and there.hidden_at is None and there.is_directory:
        raise AlreadyExistsError("a directory of that name is there")
    connection.execute(
        update(UPLOADS).where(UPLOADS.c.id == leaf.upload_id).values(parent_id=target.node_id, name=name)
    )


def _move_partials(connection: Connection, node_id: int, parent_id: int, name: str) -> None:
    """Landed uploads follow their node's name: a resume of one looks for it there."""
    connection.execute(update(UPLOADS).where(UPLOADS.c.node_id == node_id).values(parent_id=parent_id, name=name))


def _refuse_loop(connection: Connection, node_id: int, target_id: int | None) -> None:
    while target_id is not None:
        if target_id == node_id:
            raise InvalidNameError("a directory cannot be moved into itself")
        target_id = connection.execute(select(NODES.c.parent_id).where(NODES.c.id == target_id)).scalar_one()


def _merge(connection: Connection, row: Any, there: Any, *, replace: bool, login: str) -> None:  # noqa: ANN401 - rows
    if there.hidden_at is None and not replace:
        raise AlreadyExistsError("something of that name is there")
    if row.is_directory or there.is_directory:
        raise AlreadyExistsError("only a file can take a file's place")
    if there.hidden_at is None and there.owner != login:
        raise PermissionDeniedError("a file of that name was sent by somebody else")
    connection.execute(
        update(UPLOADS)
        .where(UPLOADS.c.node_id == row.id)
        .values(
            node_id=there.id, version=UPLOADS.c.version + there.versions, parent_id=there.parent_id, name=there.name
        )
    )
    for own in connection.execute(select(OWN_VERSIONS).where(OWN_VERSIONS.c.node_id == row.id)).all():
        show_own(connection, there.id, own.login, own.upload_id)
    connection.execute(delete(OWN_VERSIONS).where(OWN_VERSIONS.c.node_id == row.id))
    connection.execute(delete(NODE_PROPERTIES).where(NODE_PROPERTIES.c.node_id == there.id))
    connection.execute(update(NODE_PROPERTIES).where(NODE_PROPERTIES.c.node_id == row.id).values(node_id=there.id))
    connection.execute(delete(NODES).where(NODES.c.id == row.id))
    connection.execute(
        update(NODES)
        .where(NODES.c.id == there.id)
        .values(
            versions=there.versions + row.versions,
            **_head(row if row.head_upload is not None else there),
            shown_name=there.shown_name if there.hidden_at is None else None,
            hidden_at=None,
            owner=login,
        )
    )


def _head(row: Any) -> dict[str, object]:  # noqa: ANN401 - a row
    return {"head_upload": row.head_upload, "shown_size": row.shown_size, "shown_at": row.shown_at}


def remove(connection: Connection, place: Place, leaf: Leaf, part: Part, *, directory: bool) -> str:
    """Hide a file or an empty directory, or give an interrupted upload up; return what was done, for the audit.

    Raises:
        IsADirectoryPathError, NotADirectoryPathError: the other kind of thing.
        PermissionDeniedError: policy says no, or the directory holds something.
    """
    if leaf.is_directory != directory:
        raise (NotADirectoryPathError if directory else IsADirectoryPathError)(
            "it is a file" if directory else "it is a directory"
        )
    partial = leaf.node_id is None
    owner = (
        None if partial else connection.execute(select(NODES.c.owner).where(NODES.c.id == leaf.node_id)).scalar_one()
    )
    if directory:
        if owner != place.login:
            raise PermissionDeniedError("somebody else made it")
        _refuse_filled(connection, leaf)
    else:
        decision = may_remove(part, own=leaf.own or owner == place.login, partial=partial)
        if not decision.allowed:
            raise PermissionDeniedError(decision.reason)
    if partial:
        move_upload(
            connection,
            str(leaf.upload_id),
            UploadState.EXPIRED,
            reason="removed by its sender",
            reserved=0,
            finished_at=time.time(),
        )
        return "upload.discarded"
    connection.execute(delete(NODE_PROPERTIES).where(NODE_PROPERTIES.c.node_id == leaf.node_id))
    connection.execute(update(NODES).where(NODES.c.id == leaf.node_id).values(hidden_at=time.time(), shown_name=None))
    return "directory.removed" if directory else "file.hidden"


def _refuse_filled(connection: Connection, leaf: Leaf) -> None:
    children = connection.execute(
        select(func.count()).where(NODES.c.parent_id == leaf.node_id, NODES.c.hidden_at.is_(None))
    ).scalar_one()
    waiting = connection.execute(
        select(func.count()).where(UPLOADS.c.parent_id == leaf.node_id, UPLOADS.c.state.in_(list(PARTIAL)))
    ).scalar_one()
    if children or waiting:
        raise PermissionDeniedError("the directory is not empty")


def set_modified(connection: Connection, leaf: Leaf, modified: float) -> None:
    """Keep the client's time stamp beside its own newest version.

    Raises:
        NotFoundError: the login sent no such file.
    """
    if leaf.upload_id is None or not leaf.own:
        raise NotFoundError("no such file or directory")
    show_time(connection, leaf.upload_id, modified)
