"""What names no case: its sender's own, and for operators and triage all; assigned to a case."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from casemap.model import Role
from mft.api.document import Document, Id32, Moment, Nothing, Number, Page, PageQuery, Parameters, moment
from mft.api.fault import conflict, not_found
from mft.api.route import Answer, Call, Route
from mft.permissions import Permission
from protocols.errors import NotFoundError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.caller import Caller
    from mft.api.rooms import ApiRooms
    from mft.unfiled import UnfiledFile


class UnfiledPath(Parameters):
    """Which deposit."""

    id: Id32


class Assignment(Document):
    """Where it belongs."""

    case: Number


class UnfiledDocument(Document):
    """A deposit that names no case."""

    id: str
    name: str
    size: int
    sha256: str | None
    customer: str
    login: str
    region: str
    why: Annotated[str, Field(description="Why no case was found for it.")]
    received: Moment
    kept_until: Annotated[Moment, Field(description="Then it is destroyed, unless it is assigned.")]


class AssignedDocument(Document):
    """What became of it."""

    id: str
    case: str
    name: str
    version: int


class UnfiledRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Ask the service of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/unfiled",
            name="listUnfiled",
            tag="unfiled",
            summary="What names no case, the one that ends first at the beginning",
            handle=self.list,
            permission=Permission.UNFILED_READ,
            query_model=PageQuery,
            answer_model=Page[UnfiledDocument],
        )
        yield Route(
            method="GET",
            path="/unfiled/{id}",
            name="getUnfiled",
            tag="unfiled",
            summary="One of them",
            handle=self.get,
            permission=Permission.UNFILED_READ,
            path_model=UnfiledPath,
            answer_model=UnfiledDocument,
        )
        yield Route(
            method="POST",
            path="/unfiled/{id}/assign",
            name="assignUnfiled",
            tag="unfiled",
            summary="Make it a file of a case; it is scrubbed then",
            handle=self.assign,
            permission=Permission.UNFILED_ASSIGN,
            path_model=UnfiledPath,
            body_model=Assignment,
            answer_model=AssignedDocument,
            errors=(
                HTTPStatus.CONFLICT,
                HTTPStatus.PRECONDITION_FAILED,
                HTTPStatus.INSUFFICIENT_STORAGE,
                HTTPStatus.LOCKED,
            ),
            repeatable=True,
        )

    def list(self, call: Call[Nothing, PageQuery, Nothing]) -> Answer:
        """Return a page."""
        login = None if _sees_all(call.caller) else call.caller.login
        listing = f"unfiled {login}"
        key = self._rooms.cursors.read(listing, call.query.cursor)
        after = None if key is None else (float(key[0] or 0), str(key[1]))
        found = self._rooms.unfiled.page(login=login, after=after, limit=call.query.limit + 1)
        page = found[: call.query.limit]
        more = self._rooms.cursors.write(listing, list(page[-1].place)) if len(found) > len(page) else None
        return Answer(document=Page(items=[_document(each) for each in page], next_cursor=more))

    def get(self, call: Call[UnfiledPath, Nothing, Nothing]) -> Answer:
        """Return one."""
        return Answer(document=_document(self._find(call.caller, call.path.id)))

    def assign(self, call: Call[UnfiledPath, Nothing, Assignment]) -> Answer:
        """Assign one to a case that the caller may enter, or for operators and triage to any."""
        self._find(call.caller, call.path.id)
        if _sees_all(call.caller):
            try:
                entered = self._rooms.cases.placed(call.body.case)
            except NotFoundError:
                raise not_found("case") from None
        else:
            entered = self._rooms.enter(call.caller, call.body.case)
        try:
            done = self._rooms.unfiled.assign(call.path.id, entered, by=call.caller.login)
        except RejectedError as error:
            raise conflict(str(error)) from error
        return Answer(document=AssignedDocument(id=done.id, case=done.case, name=done.name, version=done.version))

    def _find(self, caller: Caller, upload_id: str) -> UnfiledFile:
        try:
            found = self._rooms.unfiled.find(upload_id)
        except (NotFoundError, RejectedError) as error:
            raise not_found("unfiled deposit") from error
        if not _sees_all(caller) and found.login != caller.login:
            raise not_found("unfiled deposit")
        return found


def _sees_all(caller: Caller) -> bool:
    """Say whether it sees what everybody sent: operators and triage do, everybody else its own."""
    return bool(caller.roles & {Role.OPERATOR, Role.TRIAGE})


def _document(found: UnfiledFile) -> UnfiledDocument:
    return UnfiledDocument(
        id=found.id,
        name=found.name,
        size=found.size,
        sha256=found.sha256,
        customer=found.customer,
        login=found.login,
        region=found.region,
        why=found.why,
        received=moment(found.landed_at),
        kept_until=moment(found.kept_until),
    )
