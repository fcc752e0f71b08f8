"""Rescans over the API: what is stored of a case, scrubbed once more by the rules of now."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mft.api.document import Document, Id32, Moment, Nothing, Number, Page, Parameters, moment
from mft.api.fault import conflict, not_found
from mft.api.route import Answer, Call, Route
from mft.permissions import Permission
from mft.rescans import MOST_REASON, RescanError, Rescans, RescanUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.rooms import ApiRooms
    from mft.rescans import Rescan


class RescanCasePath(Parameters):
    """Which case."""

    number: Number


class RescanPath(Parameters):
    """Which order of which case."""

    number: Number
    id: Id32


class RescanOrder(Document):
    """What is wanted."""

    dry_run: Annotated[bool, Field(description="Find out what would change, by rule; change nothing.")] = False
    reason: Annotated[
        str, Field(max_length=MOST_REASON, pattern=r"^[^\x00-\x1F\x7F]*$", description="Kept in the audit.")
    ] = ""


class RescannedFileDocument(Document):
    """One stored version in an order."""

    upload: str
    state: Annotated[
        Literal["waiting", "unchanged", "tightened", "quarantined", "left", "failed"],
        Field(description="What became of it; of a dry run, what would."),
    ]
    removed: Annotated[dict[str, int], Field(description="What was found anew, by rule and count.")]
    why: str | None


class RescanDocument(Document):
    """An order."""

    id: str
    case: str
    dry_run: bool
    ordered_by: str
    reason: str
    created: Moment
    finished: Annotated[Moment | None, Field(description="Null: it is under way.")]
    states: Annotated[dict[str, int], Field(description="How many files are in which state.")]
    removed: Annotated[dict[str, int], Field(description="What was found anew in all of them.")]
    files: list[RescannedFileDocument]


class RescanRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Take orders for the intake of *rooms*."""
        self._rescans = Rescans(database=rooms.database, trail=rooms.trail, wake=rooms.uploads.wake)

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="POST",
            path="/cases/{number}/rescans",
            name="orderRescan",
            tag="lifecycle",
            summary="Scrub what is stored of a case once more, by today's rules; or find out what that would change",
            handle=self.order,
            permission=Permission.LIFECYCLE_WRITE,
            path_model=RescanCasePath,
            body_model=RescanOrder,
            answer_model=RescanDocument,
            status=HTTPStatus.ACCEPTED,
            errors=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
            repeatable=True,
        )
        yield Route(
            method="GET",
            path="/cases/{number}/rescans",
            name="listRescans",
            tag="lifecycle",
            summary="The last rescans of a case, the newest first",
            handle=self.list,
            permission=Permission.LIFECYCLE_READ,
            path_model=RescanCasePath,
            answer_model=Page[RescanDocument],
            errors=(HTTPStatus.NOT_FOUND,),
        )
        yield Route(
            method="GET",
            path="/cases/{number}/rescans/{id}",
            name="getRescan",
            tag="lifecycle",
            summary="One rescan: how far it has come, and what it found",
            handle=self.get,
            permission=Permission.LIFECYCLE_READ,
            path_model=RescanPath,
            answer_model=RescanDocument,
            errors=(HTTPStatus.NOT_FOUND,),
        )

    def order(self, call: Call[RescanCasePath, Nothing, RescanOrder]) -> Answer:
        """Take an order; one of that kind that is under way is the answer."""
        try:
            found = self._rescans.order(
                call.path.number, by=call.caller.login, reason=call.body.reason, dry_run=call.body.dry_run
            )
        except RescanUnknownError as error:
            raise not_found("case") from error
        except RescanError as error:
            raise conflict(str(error)) from error
        return Answer(document=_document(found))

    def list(self, call: Call[RescanCasePath, Nothing, Nothing]) -> Answer:
        """Return the last ones."""
        try:
            found = self._rescans.of_case(call.path.number)
        except RescanUnknownError as error:
            raise not_found("case") from error
        return Answer(document=Page(items=[_document(each) for each in found]))

    def get(self, call: Call[RescanPath, Nothing, Nothing]) -> Answer:
        """Return one."""
        try:
            found = self._rescans.find(call.path.id)
        except RescanUnknownError as error:
            raise not_found("rescan") from error
        if found.case != call.path.number:
            raise not_found("rescan")
        return Answer(document=_document(found))


def _document(found: Rescan) -> RescanDocument:
    return RescanDocument(
        id=found.id,
        case=found.case,
        dry_run=found.dry_run,
        ordered_by=found.ordered_by,
        reason=found.reason,
        created=moment(found.created_at),
        finished=moment(found.finished_at),
        states=dict(found.states),
        removed=dict(found.removed),
        files=[
            RescannedFileDocument(upload=each.upload, state=each.state.value, removed=dict(each.removed), why=each.why)
            for each in found.files
        ],
    )
