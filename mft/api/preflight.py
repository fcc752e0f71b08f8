"""Whether an upload would be taken, before an hour of collecting: how much, to which host, over which ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mft.api.document import Document, Moment, Nothing, Number, Parameters
from mft.api.route import Answer, Call, Route
from mft.permissions import Permission
from mft.policy import Action, Area, Part, may
from mft.upload.allowance import Left, left_of
from protocols.errors import QuotaExceededError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.caller import Caller
    from mft.api.rooms import ApiRooms
    from mft.casetree import EnteredCase

_MOST = 2**53 - 1


class CasePath(Parameters):
    """Which case."""

    number: Number


class PreflightQuery(Parameters):
    """How much is to come."""

    size: Annotated[int | None, Field(ge=0, le=_MOST, description="Bytes of the file.")] = None


class Check(Document):
    """One thing that was looked at."""

    name: Literal["rights", "size", "space", "files", "token"]
    ok: bool
    detail: str


class Way(Document):
    """An entrance that takes it."""

    protocol: Literal["sftp", "https", "ftps"]
    host: str
    port: int
    region: str
    home: Annotated[bool, Field(description="Where it will lie: the shortest way.")]
    implicit_tls: Annotated[bool, Field(description="Of FTPS: TLS begins with the connection, not with AUTH TLS.")]


class Preflight(Document):
    """Whether it would be taken now, and where to."""

    case: str
    ok: bool
    checks: list[Check]
    region: Annotated[str, Field(description="Where it will lie.")]
    max_size: Annotated[int | None, Field(description="Largest upload, in bytes; null: no limit.")]
    free: Annotated[int, Field(description="Bytes that there is room for, of this case's quota or at all.")]
    directory: Annotated[str, Field(description="Where to upload, in the case's folder.")]
    ways: list[Way]
    token_expires: Moment | None
    token_bytes_left: int | None
    token_files_left: int | None
    time: Annotated[Moment, Field(description="The server's clock.")]


class PreflightRoutes:
    """Serves it."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Ask the services of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/cases/{number}/preflight",
            name="preflight",
            tag="preflight",
            summary="Whether you can upload this much, to which host, over which ports",
            handle=self.get,
            permission=Permission.PREFLIGHT,
            path_model=CasePath,
            query_model=PreflightQuery,
            answer_model=Preflight,
        )

    def get(self, call: Call[CasePath, PreflightQuery, Nothing]) -> Answer:
        """Look at everything that an upload would meet; nothing is reserved."""
        caller, size = call.caller, call.query.size
        if caller.reader.part is Part.STAFF:
            entered = self._rooms.cases.placed(self._rooms.known_case(call.path.number).number)
        else:
            entered = self._rooms.enter(caller, call.path.number)
        residency, limit = entered.residency, self._rooms.config.limits.upload_size
        free = self._rooms.uploads.space(self._rooms.cases.trees.of(entered), residency.home).free
        with self._rooms.database.read() as connection:
            left = left_of(connection, caller.login)
        token = None if caller.token is None else self._rooms.tokens.get(caller.token)
        checks = [
            self._rights(caller, entered),
            _within("size", size, limit, "an upload may have {} bytes"),
            _within("space", size, free, "there is room for {} bytes"),
            _files(self._rooms.uploads.files_left(self._rooms.cases.trees.of(entered))),
            _allowed(size, left),
        ]
        return Answer(
            document=Preflight(
                case=entered.case.number,
                ok=all(check.ok for check in checks),
                checks=checks,
                region=residency.home,
                max_size=limit,
                free=free,
                directory=self._rooms.config.layout.upload,
                ways=list(self._ways(entered)),
                token_expires=None if token is None else token.expires,
                token_bytes_left=left.bytes,
                token_files_left=left.files,
                time=self._rooms.now(),
            )
        )

    @staticmethod
    def _rights(caller: Caller, entered: EnteredCase) -> Check:
        if caller.reader.part is Part.STAFF:  # asks for somebody else: an integration that is about to invite
            return Check(
                name="rights", ok=entered.case.is_open, detail="the case is open" if entered.case.is_open else "closed"
            )
        area = Area.UPLOAD if caller.reader.part is Part.CUSTOMER else Area.DOWNLOAD
        decision = may(caller.reader.part, Action.WRITE, area, caller.reader.scopes)
        return Check(name="rights", ok=decision.allowed, detail=decision.reason)

    def _ways(self, entered: EnteredCase) -> Iterator[Way]:
        home, readers = entered.residency.home, entered.residency.readers
        ways = [each for each in self._rooms.entrances.listening if each.region in readers]
        for each in sorted(ways, key=lambda way: way.region != home):
            yield Way.model_validate(
                {
                    "protocol": each.protocol,
                    "host": each.host,
                    "port": each.port,
                    "region": each.region,
                    "home": each.region == home,
                    "implicit_tls": each.implicit,
                }
            )


def _within(name: Literal["size", "space"], size: int | None, limit: int | None, words: str) -> Check:
    if limit is None:
        return Check(name=name, ok=True, detail="no limit")
    return Check(name=name, ok=limit > 0 and (size is None or size <= limit), detail=words.format(limit))


def _files(left: int | None) -> Check:
    if left is None:
        return Check(name="files", ok=True, detail="no limit")
    return Check(name="files", ok=left > 0, detail=f"there is room for {left} files")


def _allowed(size: int | None, left: Left) -> Check:
    try:
        left.check(size)
    except QuotaExceededError as error:
        return Check(name="token", ok=False, detail=str(error))
    return Check(name="token", ok=True, detail="within what the token allows" if left.limited else "no limit")
