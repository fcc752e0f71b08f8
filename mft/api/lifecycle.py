"""The end of cases' files, over the API: the plan, legal holds, and certificates of destruction."""

from __future__ import annotations

import calendar
import datetime as dt
import json
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from sqlalchemy import select

from mft.api.document import Document, Moment, Nothing, Number, Page, PageQuery, Parameters, moment
from mft.api.fault import ApiError, conflict, not_found
from mft.api.route import Answer, Call, Route
from mft.breakglass import SHRED, GlassError
from mft.catalog.model import CASES
from mft.holds import HoldError, NoSuchCaseError
from mft.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.rooms import ApiRooms
    from mft.holds import Hold

Reason = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1F\x7F]*\S[^\x00-\x1F\x7F]*$")]


class CasePath(Parameters):
    """Which case."""

    number: Number


class DestructionPath(Parameters):
    """Which destruction."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class PlanQuery(PageQuery):
    """When, and which part."""

    at: Annotated[
        str | None,
        Field(
            pattern="^20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)?$",
            description="As it would be then: 2027-01-28, or 2027-01-28T09:30:00Z; null: now.",
        ),
    ] = None


class RoundOrder(Document):
    """What a round is to look at."""

    case: Annotated[Number | None, Field(description="This case alone; null: every case.")] = None


class ShredOrder(Document):
    """Whose keys are to be destroyed: of a case, or of every case of a customer."""

    case: Annotated[Number | None, Field(description="A case; else customer.")] = None
    customer: Annotated[
        str | None,
        Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1F\x7F]+$", description="A customer; else case."),
    ] = None
    reason: Reason
    request: Annotated[
        str, Field(pattern="^[0-9a-f]{16}$", description="What releasers have agreed on by `mft break-glass`.")
    ]


class HoldQuery(Parameters):
    """Which holds."""

    released: Annotated[bool, Field(description="Those that were released, too.")] = False


class DestructionQuery(PageQuery):
    """Whose destructions."""

    case: Number | None = None


class NewHold(Document):
    """A hold to set."""

    case: Number
    reason: Reason


class HoldRelease(Document):
    """Why a hold is released."""

    reason: Reason


class HoldDocument(Document):
    """A legal hold."""

    id: int
    case: str
    reason: str
    set_by: str
    set_at: Moment
    released_by: str | None
    released_at: Moment | None


class ProspectDocument(Document):
    """What a round would do about a case."""

    case: str
    customer: str
    fate: Annotated[str, Field(description="destroy, held, busy, later, keep or unknown.")]
    why: str
    stage: Annotated[str | None, Field(description="open, readable, shut or due; null: not known.")]
    rule: str | None
    closed: Moment | None
    due: Moment | None
    files: int
    bytes: int
    regions: list[str]
    hold: int | None


class DestroyedCase(Document):
    """A case that was destroyed."""

    case: str
    destruction: Annotated[str, Field(description="Its id: of the certificate.")]


class LeftCase(Document):
    """A case that was due and was left alone."""

    case: str
    why: str


class RoundDocument(Document):
    """What a round did."""

    destroyed: list[DestroyedCase]
    left: list[LeftCase]
    unfinished: Annotated[list[str], Field(description="Keys are shredded; clearing away is tried again.")]
    tokens_revoked: int


class DestructionDocument(Document):
    """The end of a case's files."""

    id: str
    case: str
    customer: str
    begun_at: Moment
    finished_at: Annotated[Moment | None, Field(description="Null: keys are shredded, clearing away goes on.")]
    certificate: Annotated[dict[str, Any] | None, Field(description="Signed with the receipts' key.")]


class LifecycleRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Look and hold by the services of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        read, write = Permission.LIFECYCLE_READ, Permission.LIFECYCLE_WRITE
        yield Route(
            method="GET",
            path="/lifecycle/plan",
            name="getLifecyclePlan",
            tag="lifecycle",
            summary="What would be destroyed, and why; changes nothing",
            handle=self.plan,
            permission=read,
            query_model=PlanQuery,
            answer_model=Page[ProspectDocument],
        )
        yield Route(
            method="POST",
            path="/lifecycle/run",
            name="runLifecycle",
            tag="lifecycle",
            summary="Carry the plan out now, as the server does every so often",
            handle=self.run,
            permission=write,
            body_model=RoundOrder,
            answer_model=RoundDocument,
            repeatable=True,
        )
        yield Route(
            method="POST",
            path="/lifecycle/shred",
            name="shredKeys",
            tag="lifecycle",
            summary="Destroy the keys of a case or customer, on order that releasers agreed to",
            handle=self.shred,
            permission=write,
            body_model=ShredOrder,
            answer_model=RoundDocument,
            errors=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
            repeatable=True,
        )
        yield Route(
            method="GET",
            path="/lifecycle/destructions",
            name="listDestructions",
            tag="lifecycle",
            summary="What was destroyed, the newest first",
            handle=self.destructions,
            permission=read,
            query_model=DestructionQuery,
            answer_model=Page[DestructionDocument],
        )
        yield Route(
            method="GET",
            path="/lifecycle/destructions/{id}",
            name="getDestruction",
            tag="lifecycle",
            summary="One destruction, with its certificate",
            handle=self.destruction,
            permission=read,
            path_model=DestructionPath,
            answer_model=DestructionDocument,
        )
        yield Route(
            method="GET",
            path="/holds",
            name="listHolds",
            tag="lifecycle",
            summary="Legal holds, the oldest first",
            handle=self.holds,
            permission=read,
            query_model=HoldQuery,
            answer_model=Page[HoldDocument],
        )
        yield Route(
            method="POST",
            path="/holds",
            name="setHold",
            tag="lifecycle",
            summary="Hold a case: nothing of it is destroyed",
            handle=self.set_hold,
            permission=write,
            body_model=NewHold,
            answer_model=HoldDocument,
            status=HTTPStatus.CREATED,
            errors=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
            repeatable=True,
        )
        yield Route(
            method="POST",
            path="/holds/{number}/release",
            name="releaseHold",
            tag="lifecycle",
            summary="Release the hold on a case",
            handle=self.release_hold,
            permission=write,
            path_model=CasePath,
            body_model=HoldRelease,
            answer_model=HoldDocument,
            errors=(HTTPStatus.CONFLICT,),
        )

    def plan(self, call: Call[Nothing, PlanQuery, Nothing]) -> Answer:
        """Return a page of the plan, by customer and in the order in which cases were first seen."""
        at = None if call.query.at is None else _moment(call.query.at)
        listing = f"plan {at}"
        key = self._rooms.cursors.read(listing, call.query.cursor)
        after = ("", 0) if key is None else (str(key[0]), int(key[1] or 0))
        size = call.query.limit + 1
        found = list(islice(self._rooms.lifecycle.plan(at=at, after=after, page=size), size))
        page = found[: call.query.limit]
        more = (
            self._rooms.cursors.write(listing, [page[-1].customer, page[-1].case_id])
            if len(found) > len(page)
            else None
        )
        items = [
            ProspectDocument(
                case=each.case,
                customer=each.customer,
                fate=each.fate.value,
                why=each.why,
                stage=None if each.stage is None else each.stage.value,
                rule=each.rule,
                closed=each.closed,
                due=each.due,
                files=each.files,
                bytes=each.bytes,
                regions=list(each.regions),
                hold=each.hold,
            )
            for each in page
        ]
        return Answer(document=Page(items=items, next_cursor=more))

    def run(self, call: Call[Nothing, Nothing, RoundOrder]) -> Answer:
        """Make a round, in the caller's name."""
        lifecycle = self._rooms.lifecycle
        done = lifecycle.run(by=call.caller.login, case=call.body.case)
        document = RoundDocument(
            destroyed=[DestroyedCase(case=case, destruction=each) for case, each in done.destroyed],
            left=[LeftCase(case=case, why=why) for case, why in done.left],
            unfinished=list(lifecycle.unfinished()),
            tokens_revoked=done.tokens,
        )
        return Answer(document=document)

    def shred(self, call: Call[Nothing, Nothing, ShredOrder]) -> Answer:
        """Destroy keys, in the caller's name; a legal hold wins."""
        case, customer, rooms = call.body.case, call.body.customer, self._rooms
        if (case is None) == (customer is None):
            raise conflict("name a case or a customer, one of the two")
        owner = self._known_customer(str(customer)) if case is None else self._customer_of(case)
        try:
            rooms.glass.use(
                SHRED,
                f"customer:{customer}" if case is None else f"case:{case}",
                call.body.request,
                by=call.caller.login,
                reason=call.body.reason,
                customer=owner,
                case=case,
            )
        except GlassError as error:
            raise conflict(str(error)) from error
        done = rooms.lifecycle.shred(case=case, customer=customer, reason=call.body.reason, by=call.caller.login)
        document = RoundDocument(
            destroyed=[DestroyedCase(case=number, destruction=each) for number, each in done.destroyed],
            left=[LeftCase(case=number, why=why) for number, why in done.left],
            unfinished=list(rooms.lifecycle.unfinished()),
            tokens_revoked=done.tokens,
        )
        return Answer(document=document)

    def _known_customer(self, customer: str) -> str:
        with self._rooms.database.read() as connection:
            if connection.execute(select(CASES.c.id).where(CASES.c.customer == customer)).first() is None:
                raise not_found("customer")
        return customer

    def _customer_of(self, number: str) -> str:
        with self._rooms.database.read() as connection:
            found = connection.execute(select(CASES.c.customer).where(CASES.c.number == number)).scalar()
        if found is None:
            raise not_found("case")
        return str(found)

    def destructions(self, call: Call[Nothing, DestructionQuery, Nothing]) -> Answer:
        """Return a page of what was destroyed."""
        listing = f"destructions {call.query.case}"
        key = self._rooms.cursors.read(listing, call.query.cursor)
        rows = self._rooms.lifecycle.certificates(
            call.query.case,
            before=None if key is None else (float(key[0] or 0), str(key[1])),
            limit=call.query.limit + 1,
        )
        page = rows[: call.query.limit]
        more = self._rooms.cursors.write(listing, [page[-1].begun_at, page[-1].id]) if len(rows) > len(page) else None
        return Answer(document=Page(items=[_destruction(row) for row in page], next_cursor=more))

    def destruction(self, call: Call[DestructionPath, Nothing, Nothing]) -> Answer:
        """Return one."""
        rows = self._rooms.lifecycle.certificates(call.path.id)
        if not rows:
            raise not_found("destruction")
        return Answer(document=_destruction(rows[0]))

    def holds(self, call: Call[Nothing, HoldQuery, Nothing]) -> Answer:
        """Return the holds."""
        found = self._rooms.holds.list(released=call.query.released)
        return Answer(document=Page(items=[_hold(each) for each in found]))

    def set_hold(self, call: Call[Nothing, Nothing, NewHold]) -> Answer:
        """Set one."""
        try:
            hold = self._rooms.holds.set(call.body.case, reason=call.body.reason, by=call.caller.login)
        except NoSuchCaseError as error:
            raise ApiError(HTTPStatus.NOT_FOUND, "not-found", str(error)) from error
        except HoldError as error:
            raise conflict(str(error)) from error
        return Answer(document=_hold(hold))

    def release_hold(self, call: Call[CasePath, Nothing, HoldRelease]) -> Answer:
        """Release one."""
        try:
            hold = self._rooms.holds.release(call.path.number, reason=call.body.reason, by=call.caller.login)
        except HoldError as error:
            raise conflict(str(error)) from error
        return Answer(document=_hold(hold))


def _moment(text: str) -> float:
    year, month, day = (int(part) for part in text[:10].split("-"))
    day = min(day, calendar.monthrange(year, month)[1])  # the 31st of a short month is its last day
    time = dt.time.fromisoformat(text[11:19] or "00:00:00")
    return dt.datetime.combine(dt.date(year, month, day), time, dt.UTC).timestamp()


def _hold(hold: Hold) -> HoldDocument:
    return HoldDocument(
        id=hold.id,
        case=hold.case,
        reason=hold.reason,
        set_by=hold.set_by,
        set_at=hold.set_at,
        released_by=hold.released_by,
        released_at=hold.released_at,
    )


def _destruction(row: Any) -> DestructionDocument:  # noqa: ANN401 - a row
    return DestructionDocument(
        id=row.id,
        case=row.number,
        customer=row.customer,
        begun_at=moment(row.begun_at),
        finished_at=moment(row.finished_at),
        certificate=None if row.certificate is None else json.loads(row.certificate),
    )
