"""Tokens of a case: minted, listed, refreshed, revoked."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mft.api.document import WHOLE, Document, Moment, Network, Nothing, Number, Page, PageQuery, Parameters
from mft.api.fault import ApiError, conflict, forbidden, not_found
from mft.api.route import Answer, Call, Route
from mft.auth.errors import InvalidAccountError, NoSuchTokenError
from mft.auth.minting import Minting, Wish
from mft.invitation import Invitation, invite
from mft.permissions import Permission
from mft.policy import Part, Scope

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from casemap.model import Case
    from mft.api.caller import Caller
    from mft.api.rooms import ApiRooms
    from mft.auth.tokens import Token

_MOST_BYTES = 2**53 - 1
ScopeWord = Literal["upload", "list", "read"]


class CasePath(Parameters):
    """Which case."""

    number: Number


class TokenPath(Parameters):
    """Which token."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$", description="12 hexadecimal digits; not the token itself.")]


class TokenQuery(PageQuery):
    """Whose tokens."""

    case: Annotated[Number | None, Field(description="Those of one case.")] = None


class NewToken(Document):
    """What a token is to be."""

    label: Annotated[str, Field(max_length=200, pattern=r"^[\x20-\x7E]*$", description="What it is for.")] = ""
    scopes: Annotated[
        list[ScopeWord],
        Field(
            min_length=1,
            max_length=3,
            description="`upload`; `list`: see what came by it, and where it stands; `read`: as its customer may.",
        ),
    ] = Field(default_factory=lambda: list[ScopeWord](["upload"]))
    expires: Annotated[Moment | None, Field(description="Its end; null: as `tokens.ttl` says.")] = None
    max_bytes: Annotated[
        Annotated[int, Field(ge=1, le=_MOST_BYTES), WHOLE] | None,
        Field(description="Bytes that may come by it in all."),
    ] = None
    max_files: Annotated[
        Annotated[int, Field(ge=1, le=10**9), WHOLE] | None, Field(description="Files that may come by it in all.")
    ] = None
    networks: Annotated[
        list[Network],
        Field(max_length=50, description="CIDR blocks that it may be used from; none: from anywhere."),
    ] = Field(default_factory=list)


class RefreshToken(Document):
    """How a token goes on."""

    expires: Annotated[Moment | None, Field(description="Its new end; null: as `tokens.ttl` says.")] = None
    rotate: Annotated[bool, Field(description="Give it a new text; the old one opens nothing any more.")] = False


class TokenDocument(Document):
    """A token, without itself."""

    id: str
    case: str
    label: str
    scopes: list[ScopeWord]
    state: Literal["current", "expired", "revoked"]
    created: Moment
    created_by: str
    refreshed: Moment | None
    expires: Moment | None
    revoked: Moment | None
    max_bytes: int | None
    max_files: int | None
    networks: list[str]


class SftpWay(Document):
    """How to upload by SFTP; the password is the token."""

    host: str
    port: int
    directory: str
    known_hosts: list[str]
    sftp: str
    scp: str
    lftp: str


class HttpsWay(Document):
    """How to upload by HTTPS."""

    url: str
    page: str
    fingerprint: str
    certificate: Annotated[str | None, Field(description="PEM; null: an authority that clients know vouches for it.")]
    public_key_pin: str
    curl: str
    tus: Annotated[str, Field(description="Where clients of tus make their uploads.")]
    put: Annotated[str, Field(description="`mft put`; it asks for the token.")]


class FtpsWay(Document):
    """How to upload by FTPS; the password is the token."""

    host: str
    port: int
    directory: str
    implicit_tls: Annotated[bool, Field(description="TLS begins with the connection, not with AUTH TLS.")]
    url: str
    curl: str
    lftp: str


class MintedDocument(Document):
    """A new token, shown this once, with commands that are ready to be pasted (put the file's name for FILE)."""

    username: str
    password: str
    token: TokenDocument
    sftp: SftpWay | None
    https: HttpsWay | None
    ftps: FtpsWay | None


class RefreshedDocument(Document):
    """A refreshed token; with its new text if it was given one."""

    username: str
    password: str | None
    token: TokenDocument


class TokenRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Make and keep tokens by the services of *rooms*."""
        self._rooms = rooms
        settings = rooms.config.tokens
        self._minting = Minting(rooms.tokens, ttl=settings.ttl, ttl_max=settings.ttl_max)

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="POST",
            path="/cases/{number}/tokens",
            name="mintToken",
            tag="tokens",
            summary="Make a token of a case, with commands to paste",
            handle=self.mint,
            permission=Permission.TOKENS_WRITE,
            path_model=CasePath,
            body_model=NewToken,
            answer_model=MintedDocument,
            status=HTTPStatus.CREATED,
            errors=(HTTPStatus.CONFLICT,),
            repeatable=True,
            tagged=True,
        )
        yield Route(
            method="GET",
            path="/tokens",
            name="listTokens",
            tag="tokens",
            summary="The tokens of cases, oldest first",
            handle=self.list,
            permission=Permission.TOKENS_READ,
            query_model=TokenQuery,
            answer_model=Page[TokenDocument],
        )
        yield Route(
            method="GET",
            path="/tokens/{id}",
            name="getToken",
            tag="tokens",
            summary="One token",
            handle=self.get,
            permission=Permission.TOKENS_READ,
            path_model=TokenPath,
            answer_model=TokenDocument,
            tagged=True,
        )
        yield Route(
            method="POST",
            path="/tokens/{id}/refresh",
            name="refreshToken",
            tag="tokens",
            summary="Let a token live on, with a new text if wished",
            handle=self.refresh,
            permission=Permission.TOKENS_WRITE,
            path_model=TokenPath,
            body_model=RefreshToken,
            answer_model=RefreshedDocument,
            errors=(HTTPStatus.CONFLICT,),
            repeatable=True,
            conditional=True,
            tagged=True,
        )
        yield Route(
            method="DELETE",
            path="/tokens/{id}",
            name="revokeToken",
            tag="tokens",
            summary="Revoke a token; sessions that it opened end",
            handle=self.revoke,
            permission=Permission.TOKENS_WRITE,
            path_model=TokenPath,
            answer_model=TokenDocument,
            conditional=True,
            tagged=True,
        )

    def mint(self, call: Call[CasePath, Nothing, NewToken]) -> Answer:
        """Make a token of a case that the caller may enter."""
        case = self._case(call.caller, call.path.number)
        wish = Wish(
            label=call.body.label,
            scopes=frozenset(Scope(word) for word in call.body.scopes),
            expires=call.body.expires,
            max_bytes=call.body.max_bytes,
            max_files=call.body.max_files,
            networks=call.body.networks,
        )
        try:
            minted = self._minting.mint(case, wish, by=call.caller.login)
        except InvalidAccountError as error:
            raise conflict(str(error)) from error
        invitation = self._invitation(case, minted.text)
        document = MintedDocument(
            username=invitation.username,
            password=minted.text,
            token=_document(minted.token, self._rooms.now()),
            sftp=None if invitation.sftp is None else SftpWay.model_validate(_plain(invitation.sftp)),
            https=None if invitation.https is None else HttpsWay.model_validate(_plain(invitation.https)),
            ftps=None if invitation.ftps is None else FtpsWay.model_validate(_plain(invitation.ftps)),
        )
        return Answer(
            document=document, etag=_etag(minted.token), headers={"Location": f"/api/v1/tokens/{minted.token.id}"}
        )

    def list(self, call: Call[Nothing, TokenQuery, Nothing]) -> Answer:
        """Return a page of the tokens that the caller may know of."""
        reader = call.caller.reader
        if call.query.case is not None:
            self._case(call.caller, call.query.case)
        elif reader.part is Part.ENGINEER:
            raise forbidden("say which case: `case` in the query")
        listing = f"tokens {call.query.case} {reader.customer}"
        key = self._rooms.cursors.read(listing, call.query.cursor)
        tokens = self._rooms.tokens.list(
            case=call.query.case,
            customer=reader.customer if reader.part is Part.CUSTOMER else None,
            of_cases=True,
            after=None if key is None else (float(key[0] or 0), str(key[1])),
            limit=call.query.limit + 1,
        )
        page = tokens[: call.query.limit]
        more = None
        if len(tokens) > len(page):
            more = self._rooms.cursors.write(listing, [page[-1].created.timestamp(), page[-1].id])
        now = self._rooms.now()
        return Answer(document=Page(items=[_document(token, now) for token in page], next_cursor=more))

    def get(self, call: Call[TokenPath, Nothing, Nothing]) -> Answer:
        """Return one."""
        token, _ = self._token(call.caller, call.path.id)
        return self._answer(token)

    def refresh(self, call: Call[TokenPath, Nothing, RefreshToken]) -> Answer:
        """Let one live on."""
        token, case = self._token(call.caller, call.path.id)
        call.expect(_etag(token))
        if case is None or token.revoked is not None:
            raise conflict("the token is revoked, or its case is gone; make a new one")
        try:
            fresh, text = self._minting.refresh(
                token, case, expires=call.body.expires, rotate=call.body.rotate, by=call.caller.login
            )
        except InvalidAccountError as error:
            raise conflict(str(error)) from error
        except NoSuchTokenError as error:
            raise not_found("token") from error
        document = RefreshedDocument(
            username=fresh.shown_login, password=text, token=_document(fresh, self._rooms.now())
        )
        return Answer(document=document, etag=_etag(fresh))

    def revoke(self, call: Call[TokenPath, Nothing, Nothing]) -> Answer:
        """Revoke one; a second time changes nothing."""
        token, _ = self._token(call.caller, call.path.id)
        call.expect(_etag(token))
        return self._answer(self._rooms.tokens.revoke(token.id, by=call.caller.login))

    def _answer(self, token: Token) -> Answer:
        return Answer(document=_document(token, self._rooms.now()), etag=_etag(token))

    def _case(self, caller: Caller, number: str) -> Case:
        """Return a case whose tokens are the caller's business: one that it may enter, or for operators any."""
        if caller.reader.part is Part.STAFF:
            return self._rooms.known_case(number)
        return self._rooms.enter(caller, number).case

    def _token(self, caller: Caller, token_id: str) -> tuple[Token, Case | None]:
        """Return a token of such a case, with the case unless that is gone."""
        token = self._rooms.tokens.get(token_id)
        if token is None or token.case is None:
            raise not_found("token")
        if caller.reader.part is Part.CUSTOMER and caller.reader.customer != token.customer:
            raise not_found("token")
        try:
            return token, self._case(caller, token.case)
        except ApiError as error:
            if caller.reader.part is Part.STAFF:
                return token, None
            raise not_found("token") from error

    def _invitation(self, case: Case, text: str) -> Invitation:
        residency = self._rooms.cases.placed(case.number).residency
        regions = tuple(dict.fromkeys([*residency.regions, *sorted(residency.readers)]))
        readable = tuple(region for region in regions if region in residency.readers)
        return invite(
            self._rooms.entrances,
            case=case.number,
            token=text,
            regions=readable,
            directory=self._rooms.config.layout.upload,
        )


def _plain(way: Any) -> dict[str, object]:  # noqa: ANN401 - one of two dataclasses with slots
    found = {name: getattr(way, name) for name in way.__slots__}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _document(token: Token, now: dt.datetime) -> TokenDocument:
    state: Literal["current", "expired", "revoked"] = "current" if token.is_current(now) else "expired"
    if token.revoked is not None:
        state = "revoked"
    return TokenDocument(
        id=token.id,
        case=token.case or "",
        label=token.label,
        scopes=[scope.value for scope in Scope if scope.value in (token.scopes or ())],
        state=state,
        created=token.created,
        created_by=token.created_by,
        refreshed=token.refreshed,
        expires=token.expires,
        revoked=token.revoked,
        max_bytes=token.allowance.bytes,
        max_files=token.allowance.files,
        networks=[str(network) for network in token.networks],
    )


def _etag(token: Token) -> str:
    told = f"{token.id} {token.refreshed} {token.revoked} {token.expires}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]
