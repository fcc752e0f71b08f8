"""What a directory of a case holds, for whoever looks.

Two views of one tree. The *sender's*: whoever may write in a zone sees the names as they were given and, of its own
files, the size and time that it sent, in every state. The *reader's*: only what is STORED, under its scrubbed name,
with its scrubbed size. Pages are keyset-read tuples: a listing never collects a directory.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, case, false, func, literal_column, null, or_, select

from mft.catalog.database import fetched, paged
from mft.catalog.fixed import Fixed, any_of, unindexed
from mft.catalog.model import NODES, OWN_VERSIONS, UPLOADS
from mft.catalog.states import PARTIAL, UploadState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection, Select
    from sqlalchemy import Row as ResultRow

    from mft.catalog.database import Database
    from protocols.filesystem import Row
    from storage.store import ObjectKey

PAGE = 256
"""Rows that are read at first: most directories have no more."""
LONG_PAGE = 512
"""Rows that are read at a time after that: a query has its price, and its time in which nothing is sent."""


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


class Leaf(NamedTuple):
    """One name in a directory, as it appears in the view. A tuple, because listings make very many of them."""

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
    revision: int = 0
    """How often what is stored of it was replaced (`mft.rescans`)."""

    @property
    def read_tag(self) -> str:
        """Return the entity tag of what a reader of the stored version gets."""
        return read_tag(self.upload_id, self.revision)


def read_tag(upload_id: str | None, revision: int) -> str:
    """Return the entity tag of what is stored of an upload: another one for each object that it has had."""
    return f"{upload_id}-scrubbed" if revision == 0 else f"{upload_id}-scrubbed-{revision}"


_STORED = str(UploadState.STORED)
_own = UPLOADS.alias("own_upload")
_head = UPLOADS.alias("head_upload")
_SHOWN_OF = ("id", "modified", "landed_at", "scrubbed_size", "revision")
_HEAD = (NODES.c.shown_name, *(_head.c[name] for name in _SHOWN_OF))
"""What everybody but its sender sees of a file."""


def _resumable(row: ResultRow[Any]) -> int:
    """Show where a resume may go on: at least one byte less than came, so that it can end in a CLOSE."""
    return max(0, (row.prefix or 0) - 1)


def partials(connection: Connection, place: Place, name: str | None = None) -> dict[str, Leaf]:
    """Return the login's own uploads under way or interrupted in a directory, by name; the newest of each.

    One that was sent again from its start since, and came whole, is the whole file.
    """
    here = {"case": place.case_id, "login": place.login, "parent": place.node_id}
    rows = _PARTIALS.all(connection, here) if name is None else _PARTIAL.all(connection, {**here, "called": name})
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


def _partials() -> Select[Any]:
    """Select a login's uploads under way in a directory, the newest last.

    Left to itself SQLite goes through all that the login has ever sent, because that lies in order of time.
    """
    later = UPLOADS.alias("later")
    whole = select(later.c.id).where(
        later.c.case_id == UPLOADS.c.case_id,
        later.c.login == UPLOADS.c.login,
        later.c.parent_id == UPLOADS.c.parent_id,
        later.c.name == UPLOADS.c.name,
        later.c.landed_at.is_not(None),
        unindexed(later.c.created_at) > UPLOADS.c.created_at,
    )
    columns = (UPLOADS.c[name] for name in ("id", "name", "prefix", "state", "created_at", "updated_at"))
    wanted = and_(
        UPLOADS.c.case_id == bindparam("case"),
        UPLOADS.c.login == bindparam("login"),
        UPLOADS.c.parent_id == bindparam("parent"),
        any_of(UPLOADS.c.state, sorted(PARTIAL)),
        UPLOADS.c.part.is_(False),
        ~whole.exists(),
    )
    return select(*columns).where(wanted).order_by(unindexed(UPLOADS.c.created_at))


# Made once: to build them anew costs more than to run them.
_PARTIALS = Fixed(_partials())
_PARTIAL = Fixed(_partials().where(UPLOADS.c.name == bindparam("called")))


def _sender_view(columns: Iterable[ColumnElement[Any]]) -> Select[Any]:
    """Select *columns* of what the login that is bound as `login` sees as a sender."""
    joined = (
        NODES.outerjoin(
            OWN_VERSIONS, and_(OWN_VERSIONS.c.node_id == NODES.c.id, OWN_VERSIONS.c.login == bindparam("login"))
        )
        .outerjoin(_own, _own.c.id == OWN_VERSIONS.c.upload_id)
        .outerjoin(_head, and_(_head.c.id == NODES.c.head_upload, _own.c.id.is_(None)))
    )
    return (
        select(*columns)
        .select_from(joined)
        .where(
            NODES.c.hidden_at.is_(None),
            or_(NODES.c.is_directory, _own.c.id.is_not(None), NODES.c.shown_name.is_not(None)),
        )
    )


def _sender_rows() -> Select[Any]:
    """Select the columns of `_sender_leaf`, then what tells whose the name is."""
    own = (_own.c[name] for name in ("id", "state", "size", *_SHOWN_OF[1:]))
    return _sender_view(
        (NODES.c.name, NODES.c.id, NODES.c.is_directory, NODES.c.created_at, *own, *_HEAD, NODES.c.owner)
    )


def _sender_leaf(row: Any) -> Leaf:  # noqa: ANN401 - a row, as a tuple
    # Taken apart at once, and put together by position: to name a row's columns costs more than the rest of this.
    name, node_id, is_directory, made_at, own_id, state, size, modified, landed_at, scrubbed, revision, *head, _ = row
    if is_directory:
        return Leaf(name=name, node_id=node_id, is_directory=True, modified=made_at, created=made_at)
    if own_id is None:
        return _head_leaf(node_id, made_at, *head)
    when = landed_at if modified is None else modified
    sealed = scrubbed if state == _STORED else None
    return Leaf(name, node_id, False, size, when, own_id, True, state, landed_at, sealed, revision or 0)


def _head_leaf(  # noqa: PLR0917 - the columns of `_HEAD`
    node_id: int,
    made_at: float,
    name: str,
    upload_id: str,
    modified: float | None,
    landed_at: float | None,
    scrubbed_size: int | None,
    revision: int | None,
) -> Leaf:
    landed = landed_at or made_at
    when = landed if modified is None else modified
    return Leaf(name, node_id, False, scrubbed_size or 0, when, upload_id, False, _STORED, landed, None, revision or 0)


def _reader_view(columns: Iterable[ColumnElement[Any]]) -> Select[Any]:
    """Select *columns* of what readers see."""
    return (
        select(*columns)
        .select_from(NODES.outerjoin(_head, _head.c.id == NODES.c.head_upload))
        .where(
            NODES.c.hidden_at.is_(None),
            NODES.c.shown_name.is_not(None),
            or_(NODES.c.is_directory, NODES.c.head_upload.is_not(None)),
        )
    )


def _reader_rows() -> Select[Any]:
    """Select the columns of `_reader_leaf`."""
    return _reader_view((NODES.c.id, NODES.c.is_directory, NODES.c.created_at, *_HEAD))


def _reader_leaf(row: Any) -> Leaf:  # noqa: ANN401 - a row, as a tuple
    node_id, is_directory, made_at, *head = row
    if is_directory:
        return Leaf(name=head[0], node_id=node_id, is_directory=True, modified=made_at, created=made_at)
    return _head_leaf(node_id, made_at, *head)


def list_leaves(database: Database, place: Place) -> Iterator[Leaf]:
    """Yield what *place* holds, in the order of its names, a page at a time."""
    waiting: dict[str, Leaf] = {}
    if place.sender:
        with database.read() as connection:
            waiting = partials(connection, place)
    key = NODES.c.name if place.sender else NODES.c.shown_name
    statement = _sender_rows() if place.sender else _reader_rows()
    statement = statement.where(NODES.c.parent_id == place.node_id).order_by(key)
    leaf_of = _sender_leaf if place.sender else _reader_leaf
    last: str | None = None
    size = PAGE
    while True:
        page = statement if last is None else statement.where(key > last)
        with database.read() as connection:
            rows = connection.execute(page.limit(size), {"login": place.login} if place.sender else {}).all()
        for row in rows:
            leaf = leaf_of(row)
            if waiting:
                yield from _take_before(waiting, row[0])
            if place.own_only and not (leaf.own or row[-1] == place.login):
                continue
            yield waiting.pop(leaf.name, leaf) if waiting else leaf
        if len(rows) < size:
            break
        size = LONG_PAGE
        last = rows[-1][0] if place.sender else rows[-1].shown_name
    yield from _take_before(waiting, None)


def _take_before(waiting: dict[str, Leaf], name: str | None) -> Iterator[Leaf]:
    """Take out and yield, in the order of their names, the partial uploads that come before *name*; None: all."""
    for each in sorted(waiting if name is None else (other for other in waiting if other < name)):
        yield waiting.pop(each)


def list_rows(database: Database, place: Place) -> Iterator[list[Row]]:
    """Yield what `list_leaves` yields, in the same order, as rows for a head and a page at a time.

    The catalog itself picks what a view shows and makes tuples of it: nothing is done here for each row.
    """
    waiting: dict[str, Leaf] = {}
    if place.sender:
        with database.read() as connection:
            waiting = partials(connection, place)
    text = _rows_text(sender=place.sender, own_only=place.own_only)
    bound: dict[str, object] = {"parent": place.node_id, "last": ""}
    if place.sender:
        bound["login"] = place.login
    size = PAGE
    while True:
        with database.read() as connection:
            rows = fetched(connection, text, {**bound, "size": size})
        there = len(rows)
        # The place in the sender's order is the name that was given; what a sender sees of others' may be another.
        last = bound["last"] = ((rows[-1][-1] if place.sender else None) or rows[-1][0]) if rows else ""
        found: list[Row] = [row[:5] for row in rows] if place.sender else rows
        if waiting:
            found = _with_partials(found, waiting, last if there == size else None)
        yield found
        if there < size:
            return
        size = LONG_PAGE


@functools.cache
def _rows_text(*, sender: bool, own_only: bool) -> str:
    """Return the statement for a page of rows; in a sender's view each is followed by its place in the order.

    A reader's are in the order of the names that they show. The columns come to what `_sender_leaf` and `_reader_leaf`
    make, but of what is kept beside the names (`mft.upload.newest`): nothing is looked up in the uploads.
    """
    made_at = NODES.c.created_at
    nothing: ColumnElement[int] = literal_column("0")
    shown = NODES.c.shown_name.is_not(None)
    key: ColumnElement[str]
    if not sender:
        key = NODES.c.shown_name
        size = func.coalesce(NODES.c.shown_size, nothing)
        statement = select(key, NODES.c.is_directory, size, func.coalesce(NODES.c.shown_at, made_at), nothing)
        statement = statement.where(shown, or_(NODES.c.is_directory, NODES.c.head_upload.is_not(None)))
    else:
        key = NODES.c.name
        sent = OWN_VERSIONS.c.node_id.is_not(None)
        given = or_(NODES.c.is_directory, sent)
        name = case((given, key), else_=NODES.c.shown_name)
        size = func.coalesce(OWN_VERSIONS.c.size, NODES.c.shown_size, nothing)
        when = func.coalesce(OWN_VERSIONS.c.sent_at, NODES.c.shown_at, made_at)
        place = case((given, null()), else_=key)
        mine = and_(OWN_VERSIONS.c.node_id == NODES.c.id, OWN_VERSIONS.c.login == bindparam("login"))
        statement = (
            select(name, NODES.c.is_directory, size, when, literal_column("1"), place)
            .select_from(NODES.outerjoin(OWN_VERSIONS, mine))
            .where(or_(given, shown))
        )
    if own_only:  # readers send nothing here
        own = or_(OWN_VERSIONS.c.node_id.is_not(None), NODES.c.owner == bindparam("login")) if sender else false()
        statement = statement.where(own)
    wanted = (NODES.c.hidden_at.is_(None), NODES.c.parent_id == bindparam("parent"), key > bindparam("last"))
    return paged(statement.where(*wanted).order_by(key))


def _with_partials(rows: list[Row], waiting: dict[str, Leaf], last: str | None) -> list[Row]:
    """Return *rows* with the partial uploads up to the name *last* (None: all) taken out of *waiting* and put in."""
    names = [name for name in waiting if last is None or name <= last]
    if not names:
        return rows
    mine: dict[str, Row] = {}
    for name in names:
        leaf = waiting.pop(name)
        mine[name] = (name, False, leaf.size, leaf.modified, True)
    return sorted([*(row for row in rows if row[0] not in mine), *mine.values()], key=lambda row: row[0])


_READER_ROW = Fixed(
    _reader_rows().where(NODES.c.parent_id == bindparam("parent"), NODES.c.shown_name == bindparam("called"))
)
_SENDER_ROW = Fixed(
    _sender_rows().where(
        NODES.c.parent_id == bindparam("parent"),
        or_(NODES.c.name == bindparam("called"), NODES.c.shown_name == bindparam("called")),
    )
)
_DIRECTORY = (
    select(NODES.c.id)
    .where(NODES.c.parent_id == bindparam("parent"), NODES.c.is_directory, NODES.c.hidden_at.is_(None))
    .limit(1)
)
_SENDERS_DIRECTORY = Fixed(_DIRECTORY.where(NODES.c.name == bindparam("called")))
_READERS_DIRECTORY = Fixed(_DIRECTORY.where(NODES.c.shown_name == bindparam("called")))


class Coming(NamedTuple):
    """A file that stands next in a directory."""

    name: str
    """Its place in the order of the view."""
    key: ObjectKey | None
    """Of the object that the view reads; None: there is none yet."""
    size: int


def _next(*, sender: bool) -> Fixed:
    """Return the statement for what follows a name in the order of a view: its place, then own and shown objects."""
    own = (_own.c.state, _own.c.object_key, _own.c.scrubbed_size)
    head = (_head.c.object_key.label("head_key"), _head.c.scrubbed_size.label("head_size"))
    key = NODES.c.name if sender else NODES.c.shown_name
    columns = (key, NODES.c.is_directory, *head)
    rows = _sender_view((*columns, *own, NODES.c.owner)) if sender else _reader_view(columns)
    return Fixed(
        rows.where(NODES.c.parent_id == bindparam("parent"), key > bindparam("after"))
        .order_by(key)
        .limit(bindparam("most"))
    )


_SENDERS_NEXT, _READERS_NEXT = _next(sender=True), _next(sender=False)


def next_objects(database: Database, place: Place, after: str, most: int) -> list[Coming]:
    """Return up to *most* names of *place* that follow *after* in the order of its listing; fewer only at its end."""
    here: dict[str, object] = {"parent": place.node_id, "after": after, "most": most}
    with database.read() as connection:
        if not place.sender:
            return [Coming(name, key, size or 0) for name, _, key, size in _READERS_NEXT.all(connection, here)]
        rows = _SENDERS_NEXT.all(connection, {**here, "login": place.login})
    found = []
    for name, _, key, size, state, own_key, own_size, owner in rows:
        if state is not None:
            found.append(Coming(name, own_key if state == _STORED else None, own_size or 0))
        else:
            found.append(Coming(name, None if place.own_only and owner != place.login else key, size or 0))
    return found


def find_leaf(database: Database, place: Place, name: str) -> Leaf | None:
    """Return what *name* is in *place*, or None."""
    with database.read() as connection:
        here = {"parent": place.node_id, "called": name}
        if not place.sender:
            row = _READER_ROW.first(connection, here)
            return None if row is None else _reader_leaf(row)
        waiting = partials(connection, place, name).get(name)
        if waiting is not None:
            return waiting
        leaves = [_sender_leaf(row) for row in _SENDER_ROW.all(connection, {**here, "login": place.login})]
    if place.own_only:
        leaves = [leaf for leaf in leaves if leaf.own or leaf.is_directory]
    return next((leaf for leaf in leaves if leaf.name == name), None)


def walk_place(database: Database, place: Place, directories: tuple[str, ...]) -> Place | None:
    """Return the directory at *directories* below *place* as the view names it, or None."""
    if not directories:
        return place
    step, node_id = _SENDERS_DIRECTORY if place.sender else _READERS_DIRECTORY, place.node_id
    with database.read() as connection:
        for name in directories:
            found = step.scalar(connection, {"parent": node_id, "called": name})
            if found is None:
                return None
            node_id = found
    return replace(place, node_id=node_id)
