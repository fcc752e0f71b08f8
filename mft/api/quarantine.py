"""The quarantine: what is held, and what releasers want done with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mft.api.document import Document, Id32, Moment, Nothing, Number, Page, PageQuery, Parameters, moment
from mft.api.fault import ApiError, conflict, forbidden, not_found
from mft.api.route import Answer, Call, Route
from mft.permissions import Permission
from mft.policy import Part
from mft.quarantine import MOST_REASON, HeldFile, NotQuarantinedError, Quarantine, Verdict, VoteRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.caller import Caller
    from mft.api.rooms import ApiRooms


class HeldPath(Parameters):
    """Which file."""

    id: Id32


class HeldQuery(PageQuery):
    """Which files."""

    case: Annotated[Number | None, Field(description="Those of one case; engineers and releasers must name it.")] = None


class Reason(Document):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=MOST_REASON, pattern=r"\S", description="Kept in the audit.")]


class VoteDocument(Document):
    """What one releaser wants."""

    login: str
    wish: Literal["release", "destroy"]
    reason: str
    at: Moment


class Held(Document):
    """A file in quarantine."""

    id: str
    case: str
    customer: str
    size: int
    sha256: str | None
    region: str
    reason: Annotated[str | None, Field(description="Why it is held.")]
    received: Moment
    held: Moment
    votes: list[VoteDocument]
    needed: Annotated[int, Field(description="How many must agree.")]
    decided: Annotated[Literal["release", "destroy"] | None, Field(description="What is being carried out.")]


class QuarantineRoutes:
    """Serves it."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Decide by the service of *rooms*."""
        self._rooms = rooms
        self._quarantine = Quarantine(
            database=rooms.database,
            trail=rooms.trail,
            approvals=rooms.config.quarantine.approvals,
            wake=rooms.uploads.wake,
        )

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/quarantine",
            name="listQuarantine",
            tag="quarantine",
            summary="What is held, the longest first",
            handle=self.list,
            permission=Permission.QUARANTINE_READ,
            query_model=HeldQuery,
            answer_model=Page[Held],
        )
        yield Route(
            method="GET",
            path="/quarantine/{id}",
            name="getHeld",
            tag="quarantine",
            summary="One held file, with what releasers have said",
            handle=self.get,
            permission=Permission.QUARANTINE_READ,
            path_model=HeldPath,
            answer_model=Held,
        )
        for verdict, summary, handle in (
            (Verdict.RELEASE, "Agree to release a file unscrubbed; it goes once enough do", self.release),
            (Verdict.DESTROY, "Agree to destroy a file; it goes once enough do", self.destroy),
        ):
            yield Route(
                method="POST",
                path=f"/quarantine/{{id}}/{verdict.value}",
                name=f"{verdict.value}Held",
                tag="quarantine",
                summary=summary,
                handle=handle,
                permission=Permission.QUARANTINE_RELEASE,
                path_model=HeldPath,
                body_model=Reason,
                answer_model=Held,
                status=HTTPStatus.ACCEPTED,
                errors=(HTTPStatus.CONFLICT,),
                repeatable=True,
            )

    def list(self, call: Call[Nothing, HeldQuery, Nothing]) -> Answer:
        """Return a page."""
        query = call.query
        if query.case is not None:
            self._check_case(call.caller, query.case)
        elif call.caller.reader.part is not Part.STAFF:
            raise forbidden("say which case: `case` in the query")
        listing = f"quarantine {query.case}"
        key = self._rooms.cursors.read(listing, query.cursor)
        after = None if key is None else (float(key[0] or 0), str(key[1]))
        found = self._quarantine.page(case=query.case, after=after, limit=query.limit + 1)
        page = found[: query.limit]
        more = self._rooms.cursors.write(listing, list(page[-1].place)) if len(found) > len(page) else None
        return Answer(document=Page(items=[self._held(each) for each in page], next_cursor=more))

    def get(self, call: Call[HeldPath, Nothing, Nothing]) -> Answer:
        """Return one."""
        return Answer(document=self._held(self._find(call.caller, call.path.id)))

    def release(self, call: Call[HeldPath, Nothing, Reason]) -> Answer:
        """Take a vote for its release."""
        return self._vote(call, Verdict.RELEASE)

    def destroy(self, call: Call[HeldPath, Nothing, Reason]) -> Answer:
        """Take a vote for its destruction."""
        return self._vote(call, Verdict.DESTROY)

    def _vote(self, call: Call[HeldPath, Nothing, Reason], wish: Verdict) -> Answer:
        self._find(call.caller, call.path.id)
        try:
            held = self._quarantine.vote(call.path.id, wish, login=call.caller.login, reason=call.body.reason)
        except VoteRefusedError as error:
            raise forbidden(str(error)) from error
        except NotQuarantinedError as error:
            raise conflict(str(error)) from error
        return Answer(document=self._held(held))

    def _find(self, caller: Caller, upload_id: str) -> HeldFile:
        try:
            held = self._quarantine.find(upload_id)
            self._check_case(caller, held.case)
        except (NotQuarantinedError, ApiError) as error:
            raise not_found("file in quarantine") from error
        return held

    def _check_case(self, caller: Caller, number: str) -> None:
        if caller.reader.part is not Part.STAFF:
            self._rooms.enter(caller, number)

    def _held(self, held: HeldFile) -> Held:
        return Held(
            id=held.id,
            case=held.case,
            customer=held.customer,
            size=held.size,
            sha256=held.sha256,
            region=held.region,
            reason=held.reason,
            received=moment(held.landed_at),
            held=moment(held.finished_at),
            votes=[
                VoteDocument(login=vote.login, wish=vote.wish.value, reason=vote.reason, at=moment(vote.at))
                for vote in held.votes
            ],
            needed=self._quarantine.approvals,
            decided=None if held.decided is None else held.decided.value,
        )
