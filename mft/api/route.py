"""A route of the API, declared once: the router serves from it and the OpenAPI document is written from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from mft.api.document import Nothing
from mft.api.fault import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mft.api.caller import Caller
    from mft.permissions import Permission

P = TypeVar("P", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)

JSON = "application/json"
BODY_BYTES = 64 * 1024
"""Largest body of a request; what is larger than that is no document of this API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[P, Q, B]):
    """One request, checked: who asks, and for what."""

    caller: Caller
    path: P
    query: Q
    body: B
    request_id: str
    if_match: tuple[str, ...] | None = None
    """Entity tags of If-Match, without quotes; `*` stands alone. None: the header is not there."""

    def expect(self, etag: str) -> None:
        """Go on only if what is to be changed is what the caller has seen (RFC 9110, section 13.1.1).

        Raises:
            ApiError: 412, it was changed meanwhile.
        """
        if self.if_match is None or self.if_match == ("*",) or etag in self.if_match:
            return
        raise ApiError(
            HTTPStatus.PRECONDITION_FAILED,
            "changed-meanwhile",
            "it was changed since you read it; read it again, and decide anew",
            headers={"ETag": f'"{etag}"'},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a handler returns."""

    document: BaseModel | None = None
    status: HTTPStatus | None = None
    """None: the route's own."""
    etag: str | None = None
    """Entity tag, without quotes."""
    headers: Mapping[str, str] = field(default_factory=dict)
    lines: Iterator[bytes] | None = None
    """In place of a document: a body that is sent as it is made, each piece fetched on a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[P, Q, B]):
    """One method of one resource below `/api/v1`."""

    method: str
    path: str
    """As OpenAPI writes it: `/cases/{number}`."""
    name: str
    """Its `operationId`: a word in camelCase."""
    tag: str
    """The chapter of the document that it stands in."""
    summary: str
    handle: Callable[[Call[P, Q, B]], Answer]
    """Called on a thread; may block."""
    permission: Permission | None
    """What the caller's roles, and a token's scopes, must hold; None: any login."""
    public: bool = False
    """No login is asked for."""
    path_model: type[P] = Nothing  # type: ignore[assignment]  # a default for most; mypy cannot tie it to P
    query_model: type[Q] = Nothing  # type: ignore[assignment]
    body_model: type[B] = Nothing  # type: ignore[assignment]
    answer_model: type[BaseModel] | None = None
    """None: an answer without a body."""
    media: str = JSON
    status: HTTPStatus = HTTPStatus.OK
    errors: tuple[HTTPStatus, ...] = ()
    """Statuses besides those that every route may answer with."""
    repeatable: bool = False
    """Takes an Idempotency-Key."""
    conditional: bool = False
    """Changes something that has an entity tag: takes If-Match."""
    tagged: bool = False
    """Answers with an entity tag."""
    body_bytes: int = BODY_BYTES

    @property
    def has_body(self) -> bool:
        """Whether the request has one."""
        return self.body_model is not Nothing
