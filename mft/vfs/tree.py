"""What a directory of a case holds, for whoever looks.

Two views of one tree. The *sender's*: whoever may write in a zone sees the names as they were given and, of its own
files, the size and time that it sent, in every state. The *reader's*: only what is STORED, under its scrubbed name,
with its scrubbed size. Pages are keyset-read tuples: a listing never collects a directory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import FromClause, and_, bindparam, or_, select

from mft.catalog.model import NODES, OWN_VERSIONS, UPLOADS
from mft.catalog.states import PARTIAL, UploadState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from mft.catalog.database import Database

PAGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory of a zone, and who looks at it."""

    case_id: int
    node_id: int
    login: str
    sender: bool
    """The sender's view; else the reader's."""
    own_only: bool = False
    """Of the sender's view what the login itself made: all that it may know of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One name in a directory, as it appears in the view."""

    name: str
    node_id: int | None
    """None: an upload that has not landed yet."""
    is_directory: bool
    size: int = 0
    modified: float = 0.0
    upload_id: str | None = None
    """The version that the view shows."""
    own: bool = False
    """The login sent that version itself."""
    state: str | None = None
    created: float = 0.0
    scrubbed_size: int | None = None
    """Of a version of one's own that is stored: what a reader of it gets."""


_own = UPLOADS.alias("own_upload")
_head = UPLOADS.alias("head_upload")


def _resumable(row: Row[Any]) -> int:
    """Show where a resume may go on: at least one byte less than came, so that it can end in a CLOSE."""
    return max(0, (row.prefix or 0) - 1)


def partials(connection: Connection, place: Place, name: str | None = None) -> dict[str, Leaf]:
    """Return the login's own uploads under way or interrupted in a directory, by name; the newest of each."""
    wanted = and_(
        UPLOADS.c.case_id == place.case_id,
        UPLOADS.c.login == place.login,
        UPLOADS.c.parent_id == place.node_id,
        UPLOADS.c.state.in_(list(PARTIAL)),
        *(() if name is None else (UPLOADS.c.name == name,)),
    )
    rows = connection.execute(select(UPLOADS).where(wanted).order_by(UPLOADS.c.created_at))
    return {
        row.name: Leaf(
            name=row.name,
            node_id=None,
            is_directory=False,
            size=_resumable(row),
            modified=row.updated_at,
            upload_id=row.id,
            own=True,
            state=row.state,
            created=row.created_at,
        )
        for row in rows
    }


def _sender_rows() -> Select[Any]:
    def of(table: FromClause, prefix: str) -> list[ColumnElement[Any]]:
        columns = ("id", "state", "size", "modified", "landed_at", "scrubbed_size")
        return [table.c[name].label(f"{prefix}_{name}") for name in columns]

    joined = (
        NODES.outerjoin(
            OWN_VERSIONS, and_(OWN_VERSIONS.c.node_id == NODES.c.id, OWN_VERSIONS.c.login == bindparam("login"))
        )
        .outerjoin(_own, _own.c.id == OWN_VERSIONS.c.upload_id)
        .outerjoin(_head, _head.c.id == NODES.c.head_upload)
    )
    return (
        select(NODES, *of(_own, "own"), *of(_head, "head"))
        .select_from(joined)
        .where(
            NODES.c.hidden_at.is_(None),
            or_(NODES.c.is_directory, _own.c.id.is_not(None), NODES.c.shown_name.is_not(None)),
        )
    )


def _sender_leaf(row: Row[Any]) -> Leaf:
    if row.is_directory:
        return Leaf(name=row.name, node_id=row.id, is_directory=True, modified=row.created_at, created=row.created_at)
    if row.own_id is not None:
        return Leaf(
            name=row.name,
            node_id=row.id,
            is_directory=False,
            size=row.own_size,
            modified=row.own_modified if row.own_modified is not None else row.own_landed_at,
            upload_id=row.own_id,
            own=True,
            state=row.own_state,
            created=row.own_landed_at,
            scrubbed_size=row.own_scrubbed_size if row.own_state == UploadState.STORED else None,
        )
    return _head_leaf(row)


def _head_leaf(row: Row[Any]) -> Leaf:
    return Leaf(
        name=row.shown_name,
        node_id=row.id,
        is_directory=False,
        size=row.head_scrubbed_size or 0,
        modified=row.head_modified if row.head_modified is not None else (row.head_landed_at or row.created_at),
        upload_id=row.head_id,
        state=UploadState.STORED,
        created=row.head_landed_at or row.created_at,
    )


def _reader_rows() -> Select[Any]:
    columns = ("id", "modified", "landed_at", "scrubbed_size")
    return (
        select(NODES, *(_head.c[name].label(f"head_{name}") for name in columns))
        .select_from(NODES.outerjoin(_head, _head.c.id == NODES.c.head_upload))
        .where(
            NODES.c.hidden_at.is_(None),
            NODES.c.shown_name.is_not(None),
            or_(NODES.c.is_directory, NODES.c.head_upload.is_not(None)),
        )
    )


def _reader_leaf(row: Row[Any]) -> Leaf:
    if row.is_directory:
        return Leaf(
            name=row.shown_name, node_id=row.id, is_directory=True, modified=row.created_at, created=row.created_at
        )
    return _head_leaf(row)


def list_leaves(database: Database, place: Place) -> Iterator[Leaf]:
    """Yield what *place* holds, in the order of its names, a page at a time."""
    waiting: dict[str, Leaf] = {}
    if place.sender:
        with database.read() as connection:
            waiting = partials(connection, place)
    key = NODES.c.name if place.sender else NODES.c.shown_name
    statement = _sender_rows() if place.sender else _reader_rows()
    statement = statement.where(NODES.c.parent_id == place.node_id).order_by(key).limit(PAGE)
    last: str | None = None
    while True:
        page = statement if last is None else statement.where(key > last)
        with database.read() as connection:
            rows = connection.execute(page, {"login": place.login} if place.sender else {}).all()
        for row in rows:
            leaf = _sender_leaf(row) if place.sender else _reader_leaf(row)
            yield from _take_before(waiting, row.name)
            if place.own_only and not (leaf.own or row.owner == place.login):
                continue
            yield waiting.pop(leaf.name, leaf)
        if len(rows) < PAGE:
            break
        last = rows[-1].name if place.sender else rows[-1].shown_name
    yield from _take_before(waiting, None)


def _take_before(waiting: dict[str, Leaf], name: str | None) -> Iterator[Leaf]:
    """Take out and yield, in the order of their names, the partial uploads that come before *name*; None: all."""
    for each in sorted(waiting if name is None else (other for other in waiting if other < name)):
        yield waiting.pop(each)


def find_leaf(database: Database, place: Place, name: str) -> Leaf | None:
    """Return what *name* is in *place*, or None."""
    with database.read() as connection:
        if not place.sender:
            statement = _reader_rows().where(NODES.c.parent_id == place.node_id, NODES.c.shown_name == name)
            row = connection.execute(statement).first()
            return None if row is None else _reader_leaf(row)
        waiting = partials(connection, place, name).get(name)
        if waiting is not None:
            return waiting
        statement = _sender_rows().where(
            NODES.c.parent_id == place.node_id, or_(NODES.c.name == name, NODES.c.shown_name == name)
        )
        leaves = [_sender_leaf(row) for row in connection.execute(statement, {"login": place.login})]
    if place.own_only:
        leaves = [leaf for leaf in leaves if leaf.own or leaf.is_directory]
    return next((leaf for leaf in leaves if leaf.name == name), None)


def walk_place(database: Database, place: Place, directories: tuple[str, ...]) -> Place | None:
    """Return the directory at *directories* below *place* as the view names it, or None."""
    for name in directories:
        leaf = find_leaf(database, place, name)
        if leaf is None or not leaf.is_directory or leaf.node_id is None:
            return None
        place = replace(place, node_id=leaf.node_id)
    return place
