"""Deposits and where they stand: each sender's own, and for engineers those of a case as they may see them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import select, tuple_

from mft.api.document import Document, Id32, Moment, Nothing, Number, Page, PageQuery, Parameters, moment
from mft.api.fault import ApiError, conflict, forbidden, not_found
from mft.api.route import Answer, Call, Route
from mft.catalog.model import CASES, NODES, UNFILED, UPLOADS
from mft.catalog.states import PARTIAL, UploadState
from mft.permissions import Permission
from mft.policy import Part
from mft.standing import state_word, told_of
from mft.upload.passwords import LONGEST
from protocols.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row, Select

    from mft.api.caller import Caller
    from mft.api.rooms import ApiRooms

StateWord = Literal[
    "receiving",
    "interrupted",
    "received",
    "scanning",
    "available",
    "partly redacted",
    "quarantined",
    "rejected",
    "expired",
    "destroyed",
]


class DepositPath(Parameters):
    """Which deposit."""

    id: Id32


class DepositQuery(PageQuery):
    """Which deposits."""

    case: Annotated[Number | None, Field(description="Those of one case; engineers must name it.")] = None
    state: Annotated[
        Literal["receiving", "interrupted", "landed", "scrubbing", "stored", "quarantined", "rejected", "expired"]
        | None,
        Field(description="As the server counts states: `landed` is received, `stored` available."),
    ] = None


class Sent(Document):
    """What came."""

    size: int
    sha256: Annotated[str, Field(description="`pending` until it is known.")]


class Scrubbed(Document):
    """What others read."""

    size: int
    sha256: str | None


class Deposit(Document):
    """One file that somebody sent."""

    id: str
    case: Annotated[str | None, Field(description="null: it waits without a case.")]
    name: Annotated[str | None, Field(description="As its sender gave it, or as others see it; null: not yet shown.")]
    version: int | None
    state: StateWord
    reason: str
    what_to_do: str
    sent: Annotated[Sent | None, Field(description="To its sender alone.")]
    scrubbed: Scrubbed | None
    resume_at: Annotated[int | None, Field(description="Where a resume goes on, in bytes.")]
    region: str
    created: Moment
    received: Moment | None
    finished: Moment | None
    kept_until: Annotated[Moment | None, Field(description="Of one without a case: when it is destroyed.")]


class GivenPassword(Document):
    """The password of an archive."""

    password: Annotated[
        str,
        Field(min_length=1, max_length=LONGEST, description="Tried once and forgotten; never shown again.", repr=False),
    ]


class DepositRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Read from the catalog of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/deposits",
            name="listDeposits",
            tag="deposits",
            summary="Your deposits, or those of a case, newest first",
            handle=self.list,
            permission=Permission.DEPOSITS_READ,
            query_model=DepositQuery,
            answer_model=Page[Deposit],
        )
        yield Route(
            method="GET",
            path="/deposits/{id}",
            name="getDeposit",
            tag="deposits",
            summary="Where a deposit stands",
            handle=self.get,
            permission=Permission.DEPOSITS_READ,
            path_model=DepositPath,
            answer_model=Deposit,
            tagged=True,
        )

        yield Route(
            method="POST",
            path="/deposits/{id}/password",
            name="giveDepositPassword",
            tag="deposits",
            summary="Give the password of an archive that you sent; one that is held back is looked into again",
            handle=self.give_password,
            permission=Permission.TRANSFER,
            path_model=DepositPath,
            body_model=GivenPassword,
            answer_model=Deposit,
            status=HTTPStatus.ACCEPTED,
            errors=(HTTPStatus.CONFLICT,),
        )

    def list(self, call: Call[Nothing, DepositQuery, Nothing]) -> Answer:
        """Return a page."""
        query, caller = call.query, call.caller
        statement = _rows().order_by(UPLOADS.c.created_at.desc(), UPLOADS.c.id.desc()).limit(query.limit + 1)
        if query.case is not None:
            number = self._rooms.enter(caller, query.case).case.number
            statement = statement.where(CASES.c.number == number)
        if caller.reader.part is Part.CUSTOMER:
            statement = statement.where(UPLOADS.c.login == caller.login)
        elif query.case is None:
            raise forbidden("say which case: `case` in the query")
        if query.state is not None:
            statement = statement.where(UPLOADS.c.state == query.state)
        listing = f"deposits {caller.login} {query.case} {query.state}"
        key = self._rooms.cursors.read(listing, query.cursor)
        if key is not None:
            statement = statement.where(tuple_(UPLOADS.c.created_at, UPLOADS.c.id) < tuple(key))
        with self._rooms.database.read() as connection:
            rows = connection.execute(statement).all()
        page = rows[: query.limit]
        more = None
        if len(rows) > len(page):
            more = self._rooms.cursors.write(listing, [page[-1].created_at, page[-1].id])
        return Answer(document=Page(items=[_deposit(row, caller) for row in page], next_cursor=more))

    def get(self, call: Call[DepositPath, Nothing, Nothing]) -> Answer:
        """Return one."""
        with self._rooms.database.read() as connection:
            row = connection.execute(_rows().where(UPLOADS.c.id == call.path.id)).first()
        if row is None or not self._may_see(row, call.caller):
            raise not_found("deposit")
        etag = f"{row.id}-{row.state}-{row.epoch}-{round(row.updated_at * 1000)}"
        return Answer(document=_deposit(row, call.caller), etag=etag)

    def give_password(self, call: Call[DepositPath, Nothing, GivenPassword]) -> Answer:
        """Keep a password, sealed, until it is tried."""
        row = self._own(call.path.id, call.caller)
        if not row.number.startswith("~"):
            self._rooms.enter(call.caller, row.number)
        try:
            self._rooms.uploads.passwords.give(row.id, [call.body.password], login=call.caller.login)
        except RejectedError as error:
            raise conflict(str(error)) from error
        return Answer(document=_deposit(self._own(row.id, call.caller), call.caller))

    def _own(self, upload_id: str, caller: Caller) -> Row[Any]:
        with self._rooms.database.read() as connection:
            row = connection.execute(_rows().where(UPLOADS.c.id == upload_id)).first()
        if row is None or row.login != caller.login:
            raise not_found("deposit")
        return row

    def _may_see(self, row: Row[Any], caller: Caller) -> bool:
        if row.login == caller.login:
            return True
        if caller.reader.part is not Part.ENGINEER:
            return False
        try:
            self._rooms.enter(caller, row.number)
        except ApiError:
            return False
        return True


def _rows() -> Select[Any]:
    return (
        select(UPLOADS, CASES.c.number, NODES.c.shown_name, UNFILED.c.why.label("unfiled_why"), UNFILED.c.kept_until)
        .join(CASES, CASES.c.id == UPLOADS.c.case_id)
        .outerjoin(NODES, NODES.c.id == UPLOADS.c.node_id)
        .outerjoin(UNFILED, UNFILED.c.upload_id == UPLOADS.c.id)
        .where(UPLOADS.c.part.is_(False))
    )


def _deposit(row: Row[Any], caller: Caller) -> Deposit:
    own = row.login == caller.login
    word = state_word(row.state, row.report)
    stored = row.state == UploadState.STORED
    reason, what_to_do = told_of(row, why_unfiled=row.unfiled_why)
    waits = row.unfiled_why is not None and row.state == UploadState.LANDED
    return Deposit(
        id=row.id,
        case=None if row.number.startswith("~") else row.number,
        name=row.name if own else row.shown_name if stored else None,
        version=row.version,
        state=word,  # type: ignore[arg-type]  # one of the words of mft.catalog.states
        reason=reason,
        what_to_do=what_to_do,
        sent=Sent(size=row.size, sha256=row.sha256 or "pending") if own and row.landed_at is not None else None,
        scrubbed=Scrubbed(size=row.scrubbed_size, sha256=row.scrubbed_sha256)
        if row.scrubbed_size is not None
        else None,
        resume_at=max(0, (row.prefix or 0) - 1) if own and row.state in PARTIAL else None,
        region=row.region,
        created=moment(row.created_at),
        received=moment(row.landed_at),
        finished=moment(row.finished_at),
        kept_until=moment(row.kept_until) if waits else None,
    )
