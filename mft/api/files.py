"""Files of a case and their versions, as their readers see them. The bytes are fetched from the tree (`/files/…`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import and_, or_, select

from mft.api.deposits import StateWord
from mft.api.document import Document, Moment, Nothing, Number, Page, PageQuery, Parameters, moment
from mft.api.fault import forbidden, not_found
from mft.api.route import Answer, Call, Route
from mft.catalog.model import NODES, OWN_VERSIONS, UPLOADS
from mft.catalog.states import UploadState
from mft.permissions import Permission
from mft.policy import Action, Area, may
from mft.vfs.meta import state_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row

    from mft.api.caller import Caller
    from mft.api.rooms import ApiRooms
    from mft.casetree import CaseTree

_AREAS = {"upload": Area.UPLOAD, "download": Area.DOWNLOAD}
_MOST_DEPTH = 1000
ZoneWord = Literal["upload", "download"]


class CasePath(Parameters):
    """Which case."""

    number: Number


class FilePath(CasePath):
    """Which file."""

    file: Annotated[int, Field(ge=1, le=2**53 - 1, description="The file's id, as lists have it.")]


class FileQuery(PageQuery):
    """Which files."""

    zone: Annotated[ZoneWord, Field(description="What the customer sent, or what support left for it.")] = "upload"


class File(Document):
    """One name in a case, whatever its versions."""

    id: int
    zone: ZoneWord
    path: Annotated[list[str], Field(description="Directories below the zone, and the name, as you may see them.")]
    newest: Annotated[str, Field(description="The id of the deposit that is shown.")]
    version: int | None
    state: StateWord
    size: Annotated[int, Field(description="Of what you would read, in bytes.")]
    sha256: str | None
    modified: Moment


class Version(Document):
    """One version of a file: a deposit of its own."""

    deposit: str
    version: int
    state: StateWord
    size: int
    sha256: str | None
    received: Moment
    own: Annotated[bool, Field(description="You sent it.")]


class FileRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Read from the catalog of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/cases/{number}/files",
            name="listFiles",
            tag="files",
            summary="The files of a case, in the order in which their names came",
            handle=self.list,
            permission=Permission.FILES_READ,
            path_model=CasePath,
            query_model=FileQuery,
            answer_model=Page[File],
        )
        yield Route(
            method="GET",
            path="/cases/{number}/files/{file}",
            name="getFile",
            tag="files",
            summary="One file",
            handle=self.get,
            permission=Permission.FILES_READ,
            path_model=FilePath,
            answer_model=File,
        )
        yield Route(
            method="GET",
            path="/cases/{number}/files/{file}/versions",
            name="listVersions",
            tag="files",
            summary="The versions of a file, newest first",
            handle=self.versions,
            permission=Permission.FILES_READ,
            path_model=FilePath,
            query_model=PageQuery,
            answer_model=Page[Version],
        )

    def list(self, call: Call[CasePath, FileQuery, Nothing]) -> Answer:
        """Return a page."""
        caller, query = call.caller, call.query
        tree = self._tree(caller, call.path.number)
        self._allow(caller, query.zone)
        listing = f"files {caller.login} {tree.number} {query.zone}"
        key = self._rooms.cursors.read(listing, query.cursor)
        after = 0 if key is None else int(key[0] or 0)
        items: list[File] = []
        more = None
        with self._rooms.database.read() as connection:
            rows = connection.execute(
                _rows(caller)
                .where(NODES.c.case_id == tree.id, NODES.c.id > after)
                .order_by(NODES.c.id)
                .limit(query.limit + 1)
            ).all()
            for row in rows[: query.limit]:
                found = _file(connection, row, tree)
                if found is not None and found.zone == query.zone:
                    items.append(found)
            if len(rows) > query.limit:
                more = self._rooms.cursors.write(listing, [rows[query.limit - 1].id])
        return Answer(document=Page(items=items, next_cursor=more))

    def get(self, call: Call[FilePath, Nothing, Nothing]) -> Answer:
        """Return one."""
        tree = self._tree(call.caller, call.path.number)
        with self._rooms.database.read() as connection:
            return Answer(document=self._find(connection, call.caller, tree, call.path.file))

    def versions(self, call: Call[FilePath, PageQuery, Nothing]) -> Answer:
        """Return those that the caller may know of: its own, and what is stored."""
        caller, query = call.caller, call.query
        tree = self._tree(caller, call.path.number)
        listing = f"versions {caller.login} {tree.number} {call.path.file}"
        key = self._rooms.cursors.read(listing, query.cursor)
        with self._rooms.database.read() as connection:
            self._find(connection, caller, tree, call.path.file)
            statement = select(UPLOADS).where(
                UPLOADS.c.node_id == call.path.file,
                UPLOADS.c.version.is_not(None),
                or_(UPLOADS.c.login == caller.login, UPLOADS.c.state == UploadState.STORED),
            )
            if key is not None:
                statement = statement.where(UPLOADS.c.version < key[0])
            rows = connection.execute(statement.order_by(UPLOADS.c.version.desc()).limit(query.limit + 1)).all()
        page = rows[: query.limit]
        more = self._rooms.cursors.write(listing, [page[-1].version]) if len(rows) > len(page) else None
        return Answer(document=Page(items=[_version(row, caller) for row in page], next_cursor=more))

    def _tree(self, caller: Caller, number: str) -> CaseTree:
        return self._rooms.cases.trees.of(self._rooms.enter(caller, number))

    @staticmethod
    def _allow(caller: Caller, zone: ZoneWord) -> None:
        decision = may(caller.reader.part, Action.LIST, _AREAS[zone], caller.reader.scopes)
        if not decision.allowed:
            raise forbidden(decision.reason)

    def _find(self, connection: Connection, caller: Caller, tree: CaseTree, file: int) -> File:
        row = connection.execute(_rows(caller).where(NODES.c.case_id == tree.id, NODES.c.id == file)).first()
        found = None if row is None else _file(connection, row, tree)
        if found is None:
            raise not_found("file")
        self._allow(caller, found.zone)
        return found


def _rows(caller: Caller) -> Any:  # noqa: ANN401 - a select of many columns
    own, head = UPLOADS.alias("own"), UPLOADS.alias("head")
    mine = and_(OWN_VERSIONS.c.node_id == NODES.c.id, OWN_VERSIONS.c.login == caller.login)
    columns = ("id", "version", "state", "report", "size", "sha256", "modified", "landed_at", "scrubbed_size")
    return (
        select(
            NODES.c.id,
            NODES.c.name,
            NODES.c.shown_name,
            NODES.c.parent_id,
            *(own.c[name].label(f"own_{name}") for name in columns),
            *(head.c[name].label(f"head_{name}") for name in columns),
            head.c.scrubbed_sha256.label("head_scrubbed_sha256"),
        )
        .select_from(
            NODES.outerjoin(OWN_VERSIONS, mine)
            .outerjoin(own, own.c.id == OWN_VERSIONS.c.upload_id)
            .outerjoin(head, head.c.id == NODES.c.head_upload)
        )
        .where(
            NODES.c.is_directory.is_(False),
            NODES.c.hidden_at.is_(None),
            or_(own.c.id.is_not(None), and_(NODES.c.shown_name.is_not(None), head.c.id.is_not(None))),
        )
    )


def _file(connection: Connection, row: Row[Any], tree: CaseTree) -> File | None:
    """Describe a file as the caller of `_rows` sees it: its own as it sent them, others' as they are shown."""
    own = row.own_id is not None
    names: list[str] = [row.name if own else row.shown_name]
    parent, zone = row.parent_id, None
    for _ in range(_MOST_DEPTH):
        if parent in {tree.upload_root, tree.download_root}:
            zone = "upload" if parent == tree.upload_root else "download"
            break
        above = connection.execute(select(NODES).where(NODES.c.id == parent)).first()
        if above is None or above.hidden_at is not None:
            return None
        name = above.name if own else above.shown_name
        if name is None:
            return None
        names.append(name)
        parent = above.parent_id
    if zone is None:
        return None
    prefix = "own" if own else "head"
    told = {name: getattr(row, f"{prefix}_{name}") for name in ("id", "version", "state", "report", "modified")}
    landed = getattr(row, f"{prefix}_landed_at")
    when = told["modified"] if told["modified"] is not None else landed
    return File(
        id=row.id,
        zone=zone,  # type: ignore[arg-type]  # one of the two words above
        path=list(reversed(names)),
        newest=told["id"],
        version=told["version"],
        state=state_word(told["state"], told["report"]),  # type: ignore[arg-type]  # a word of mft.catalog.states
        size=row.own_size if own else row.head_scrubbed_size or 0,
        sha256=row.own_sha256 if own else row.head_scrubbed_sha256,
        modified=moment(min(max(float(when or 0), 0.0), 253402300799.0)),
    )


def _version(row: Row[Any], caller: Caller) -> Version:
    own = row.login == caller.login
    return Version(
        deposit=row.id,
        version=row.version,
        state=state_word(row.state, row.report),  # type: ignore[arg-type]  # a word of mft.catalog.states
        size=row.size if own else row.scrubbed_size or 0,
        sha256=row.sha256 if own else row.scrubbed_sha256,
        received=moment(row.landed_at),
        own=own,
    )
