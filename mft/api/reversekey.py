"""The key that reverse maps of a customer's pseudonyms are sealed to: the customer's own to register."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mft.api.document import Document, Moment, Nothing, moment
from mft.api.fault import forbidden, not_found, unprocessable
from mft.api.route import Answer, Call, Route
from mft.permissions import Permission
from mft.policy import Part
from mft.recipients import Recipient, RecipientError, Recipients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.caller import Caller
    from mft.api.rooms import ApiRooms


class NewReverseKey(Document):
    """A public key."""

    public_key: Annotated[
        str,
        Field(
            min_length=1, max_length=4096, description="X25519, in PEM, or its 32 bytes in base64: `mft reverse new`."
        ),
    ]


class ReverseKey(Document):
    """A public key that is registered."""

    fingerprint: Annotated[str, Field(description="SHA-256 of its 32 bytes.")]
    registered_by: str
    registered: Moment
    used: Annotated[bool, Field(description="Whether this server makes reverse maps.")]


class ReverseKeyRoutes:
    """Serves it."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Keep it in the catalog of *rooms*."""
        self._recipients = Recipients(database=rooms.database, trail=rooms.trail)
        self._used = rooms.config.scrub.reverse_map

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/reverse-key",
            name="getReverseKey",
            tag="deposits",
            summary="The key that your customer's reverse maps are sealed to",
            handle=self.get,
            permission=Permission.TOKENS_READ,
            answer_model=ReverseKey,
            errors=(HTTPStatus.NOT_FOUND,),
        )
        yield Route(
            method="PUT",
            path="/reverse-key",
            name="registerReverseKey",
            tag="deposits",
            summary="Have reverse maps of your customer's pseudonyms sealed to a public key",
            handle=self.register,
            permission=Permission.TOKENS_WRITE,
            body_model=NewReverseKey,
            answer_model=ReverseKey,
        )
        yield Route(
            method="DELETE",
            path="/reverse-key",
            name="removeReverseKey",
            tag="deposits",
            summary="Have no more reverse maps made",
            handle=self.remove,
            permission=Permission.TOKENS_WRITE,
            status=HTTPStatus.NO_CONTENT,
            errors=(HTTPStatus.NOT_FOUND,),
        )

    def get(self, call: Call[Nothing, Nothing, Nothing]) -> Answer:
        """Return it."""
        found = self._recipients.get(_customer(call.caller))
        if found is None:
            raise not_found("reverse key")
        return Answer(document=self._document(found))

    def register(self, call: Call[Nothing, Nothing, NewReverseKey]) -> Answer:
        """Register one in place of the one before."""
        customer = _customer(call.caller)
        try:
            made = self._recipients.register(customer, call.body.public_key, by=call.caller.login)
        except RecipientError as error:
            raise unprocessable(str(error), "/public_key") from error
        return Answer(document=self._document(made))

    def remove(self, call: Call[Nothing, Nothing, Nothing]) -> Answer:
        """Forget it."""
        if not self._recipients.remove(_customer(call.caller), by=call.caller.login):
            raise not_found("reverse key")
        return Answer()

    def _document(self, found: Recipient) -> ReverseKey:
        return ReverseKey(
            fingerprint=found.fingerprint,
            registered_by=found.registered_by,
            registered=moment(found.registered_at),
            used=self._used,
        )


def _customer(caller: Caller) -> str:
    """Return the customer that the caller speaks for: a login of its own, in no case alone."""
    customer = caller.reader.customer
    if caller.reader.part is not Part.CUSTOMER or customer is None or caller.reader.case is not None:
        raise forbidden("the key is the customer's own: sign in with one of its logins, and for no case alone")
    return customer
