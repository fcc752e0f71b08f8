"""Webhooks out, over the API: endpoints, what became of deliveries, and sending them again."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mft.api.document import Document, Moment, Nothing, Page, PageQuery, Parameters
from mft.api.fault import conflict, forbidden, not_found
from mft.api.route import Answer, Call, Route
from mft.config.webhooks import EVENT_TYPES
from mft.permissions import Permission
from mft.webhooks.errors import (
    EndpointExistsError,
    InvalidEndpointError,
    NoSuchDeliveryError,
    NoSuchEndpointError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.rooms import ApiRooms
    from mft.webhooks.endpoints import Endpoint, MadeEndpoint
    from mft.webhooks.outbox import Delivery

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=32,
        pattern="^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$",
        description="Lower-case letters, digits and hyphens.",
    ),
]
State = Literal["waiting", "delivered", "dead"]
_LARGEST = 2**53 - 1
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_URL = rf"^https?://{_LABEL}(?:\.{_LABEL})*(?::{_PORT})?(?:[/?][!-\"$-~]*)?$"
_NOUNS = sorted({kind.partition(".")[0] for kind in EVENT_TYPES})
_EVENT = "^(?:{})$".format(
    "|".join([r"\*", *(rf"{noun}\.\*" for noun in _NOUNS), *(kind.replace(".", r"\.") for kind in EVENT_TYPES)])
)


class EndpointPath(Parameters):
    """Which endpoint."""

    name: Name


class DeliveryPath(Parameters):
    """Which delivery."""

    id: Annotated[int, Field(ge=1, le=_LARGEST)]


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    endpoint: Name | None = None
    state: Annotated[State | None, Field(description="`dead`: given up.")] = None


class NewEndpoint(Document):
    """Somebody who wants to be told."""

    name: Name
    url: Annotated[str, Field(max_length=2048, pattern=_URL, description="https://, of a public address.")]
    events: Annotated[
        list[Annotated[str, Field(pattern=_EVENT)]],
        Field(min_length=1, max_length=64, description="Types of events, all of one kind (`upload.*`), or `*`."),
    ] = Field(default_factory=lambda: ["*"])
    customers: Annotated[
        list[Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]] | None,
        Field(min_length=1, max_length=1000, description="Ids of the customers; null: everybody's and the system's."),
    ] = None


class EndpointChange(Document):
    """Whether it is told."""

    active: bool


class EndpointDocument(Document):
    """Somebody who is told."""

    name: str
    source: Annotated[str, Field(description="`config` or `api`: only the latter are changed over the API.")]
    url: str
    events: list[str]
    customers: list[str] | None
    active: bool
    note: Annotated[str | None, Field(description="Its last failure, or why it is paused.")]
    created: Moment
    waiting: Annotated[int, Field(description="Deliveries that wait.")]
    dead: Annotated[int, Field(description="Deliveries that were given up.")]


class MadeEndpointDocument(Document):
    """An endpoint with its new secret, shown this once."""

    endpoint: EndpointDocument
    secret: Annotated[str, Field(description="`whsec_` and base64: what signatures are checked with.")]


class DeliveryDocument(Document):
    """One event for one endpoint."""

    id: int
    endpoint: str
    message_id: Annotated[str, Field(description="The header `webhook-id` of every attempt.")]
    type: str
    case: str | None
    state: State
    attempts: int
    due: Moment | None
    last_status: int | None
    last_error: str | None
    created: Moment
    finished: Moment | None
    payload: dict[str, Any]


class WebhookRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Keep endpoints and deliveries by the services of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        common: dict[str, Any] = {"tag": "webhooks", "path_model": EndpointPath}
        read, write = Permission.WEBHOOKS_READ, Permission.WEBHOOKS_WRITE
        yield Route(
            method="GET",
            path="/webhooks/endpoints",
            name="listWebhookEndpoints",
            tag="webhooks",
            summary="Who is told of what",
            handle=self.list,
            permission=read,
            answer_model=Page[EndpointDocument],
        )
        yield Route(
            method="POST",
            path="/webhooks/endpoints",
            name="addWebhookEndpoint",
            tag="webhooks",
            summary="Tell somebody of events from now on; the answer holds the secret, this once",
            handle=self.add,
            permission=write,
            body_model=NewEndpoint,
            answer_model=MadeEndpointDocument,
            status=HTTPStatus.CREATED,
            errors=(HTTPStatus.CONFLICT,),
            repeatable=True,
            tagged=True,
        )
        yield Route(
            method="GET",
            path="/webhooks/endpoints/{name}",
            name="getWebhookEndpoint",
            summary="One endpoint",
            handle=self.get,
            permission=read,
            answer_model=EndpointDocument,
            tagged=True,
            **common,
        )
        yield Route(
            method="PATCH",
            path="/webhooks/endpoints/{name}",
            name="changeWebhookEndpoint",
            summary="Let an endpoint rest, or tell it again",
            handle=self.change,
            permission=write,
            body_model=EndpointChange,
            answer_model=EndpointDocument,
            conditional=True,
            tagged=True,
            **common,
        )
        yield Route(
            method="DELETE",
            path="/webhooks/endpoints/{name}",
            name="removeWebhookEndpoint",
            summary="Tell somebody nothing more",
            handle=self.remove,
            permission=write,
            status=HTTPStatus.NO_CONTENT,
            errors=(HTTPStatus.CONFLICT,),
            conditional=True,
            **common,
        )
        yield Route(
            method="POST",
            path="/webhooks/endpoints/{name}/rotate",
            name="rotateWebhookSecret",
            summary="Give an endpoint a new secret; the old one signs too for a while",
            handle=self.rotate,
            permission=write,
            answer_model=MadeEndpointDocument,
            errors=(HTTPStatus.CONFLICT,),
            repeatable=True,
            tagged=True,
            **common,
        )
        yield Route(
            method="POST",
            path="/webhooks/endpoints/{name}/test",
            name="testWebhookEndpoint",
            summary="Send an event that tells nothing",
            handle=self.test,
            permission=write,
            answer_model=DeliveryDocument,
            status=HTTPStatus.ACCEPTED,
            **common,
        )
        yield Route(
            method="GET",
            path="/webhooks/deliveries",
            name="listWebhookDeliveries",
            tag="webhooks",
            summary="Deliveries, the newest first",
            handle=self.deliveries,
            permission=read,
            query_model=DeliveryQuery,
            answer_model=Page[DeliveryDocument],
        )
        yield Route(
            method="POST",
            path="/webhooks/deliveries/{id}/redeliver",
            name="redeliverWebhook",
            tag="webhooks",
            summary="Send a delivery again, under the same message id",
            handle=self.redeliver,
            permission=write,
            path_model=DeliveryPath,
            answer_model=DeliveryDocument,
            status=HTTPStatus.ACCEPTED,
        )

    def list(self, _call: Call[Nothing, Nothing, Nothing]) -> Answer:
        """Return every endpoint."""
        found = [_endpoint(each) for each in self._rooms.endpoints.list()]
        return Answer(document=Page(items=found))

    def add(self, call: Call[Nothing, Nothing, NewEndpoint]) -> Answer:
        """Make one."""
        wish = call.body
        try:
            made = self._rooms.endpoints.add(
                wish.name, wish.url, by=call.caller.login, events=wish.events, customers=wish.customers
            )
        except EndpointExistsError as error:
            raise conflict(str(error)) from error
        except InvalidEndpointError as error:  # by the configuration, not by its form: plain http
            raise forbidden(str(error)) from error
        return _made(made, headers={"Location": f"/api/v1/webhooks/endpoints/{wish.name}"})

    def get(self, call: Call[EndpointPath, Nothing, Nothing]) -> Answer:
        """Return one."""
        found = self._find(call.path.name)
        return Answer(document=_endpoint(found), etag=_etag(found))

    def change(self, call: Call[EndpointPath, Nothing, EndpointChange]) -> Answer:
        """Let one rest, or go on."""
        call.expect(_etag(self._find(call.path.name)))
        changed = self._rooms.endpoints.set_active(call.path.name, active=call.body.active, by=call.caller.login)
        return Answer(document=_endpoint(changed), etag=_etag(changed))

    def remove(self, call: Call[EndpointPath, Nothing, Nothing]) -> Answer:
        """Remove one."""
        call.expect(_etag(self._find(call.path.name)))
        try:
            self._rooms.endpoints.remove(call.path.name, by=call.caller.login)
        except InvalidEndpointError as error:
            raise conflict(str(error)) from error
        return Answer()

    def rotate(self, call: Call[EndpointPath, Nothing, Nothing]) -> Answer:
        """Give one a new secret."""
        self._find(call.path.name)
        try:
            return _made(self._rooms.endpoints.rotate(call.path.name, by=call.caller.login))
        except InvalidEndpointError as error:
            raise conflict(str(error)) from error

    def test(self, call: Call[EndpointPath, Nothing, Nothing]) -> Answer:
        """Send one a test."""
        self._find(call.path.name)
        return Answer(document=_delivery(self._rooms.outbox.test(call.path.name)))

    def deliveries(self, call: Call[Nothing, DeliveryQuery, Nothing]) -> Answer:
        """Return a page of deliveries."""
        query = call.query
        listing = f"deliveries {query.endpoint} {query.state}"
        key = self._rooms.cursors.read(listing, query.cursor)
        found = self._rooms.outbox.deliveries(
            endpoint=query.endpoint,
            state=query.state,
            before=None if key is None else int(key[0] or 0),
            limit=query.limit + 1,
        )
        page = found[: query.limit]
        more = self._rooms.cursors.write(listing, [page[-1].number]) if len(found) > len(page) else None
        return Answer(document=Page(items=[_delivery(each) for each in page], next_cursor=more))

    def redeliver(self, call: Call[DeliveryPath, Nothing, Nothing]) -> Answer:
        """Send one again."""
        try:
            return Answer(document=_delivery(self._rooms.outbox.redeliver(call.path.id, by=call.caller.login)))
        except NoSuchDeliveryError as error:
            raise not_found("delivery") from error

    def _find(self, name: str) -> Endpoint:
        try:
            return self._rooms.endpoints.get(name)
        except NoSuchEndpointError as error:
            raise not_found("endpoint") from error


def _made(made: MadeEndpoint, headers: dict[str, str] | None = None) -> Answer:
    document = MadeEndpointDocument(endpoint=_endpoint(made.endpoint), secret=made.secret)
    return Answer(document=document, etag=_etag(made.endpoint), headers=headers or {})


def _endpoint(found: Endpoint) -> EndpointDocument:
    return EndpointDocument(
        name=found.name,
        source=found.source,
        url=found.url,
        events=list(found.events),
        customers=None if found.customers is None else list(found.customers),
        active=found.active,
        note=found.note,
        created=found.created,
        waiting=found.waiting,
        dead=found.dead,
    )


def _etag(found: Endpoint) -> str:
    told = f"{found.name} {found.url} {found.events} {found.customers} {found.active} {found.created}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _delivery(found: Delivery) -> DeliveryDocument:
    state: State = "waiting"
    if found.state in {"delivered", "dead"}:
        state = "delivered" if found.state == "delivered" else "dead"
    return DeliveryDocument(
        id=found.number,
        endpoint=found.endpoint,
        message_id=found.message_id,
        type=found.type,
        case=found.case,
        state=state,
        attempts=found.attempts,
        due=found.due if found.state == "waiting" else None,
        last_status=found.status,
        last_error=found.error,
        created=found.created,
        finished=found.finished,
        payload=dict(found.payload),
    )
