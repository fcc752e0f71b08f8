"""Who the caller is, and what it may do: the first thing that an integration asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mft.api.document import Document, Nothing
from mft.api.route import Answer, Call, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.rooms import ApiRooms


class Identity(Document):
    """A login of the API."""

    login: str
    roles: list[str]
    customer: str | None
    case: str | None
    permissions: list[str]
    method: Literal["password", "token"]
    installation: str


class IdentityRoutes:
    """Serves it."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Speak for the installation of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/me",
            name="getIdentity",
            tag="identity",
            summary="Who you are here, and what you may do",
            handle=self.get,
            permission=None,
            answer_model=Identity,
        )

    def get(self, call: Call[Nothing, Nothing, Nothing]) -> Answer:
        """Say who calls."""
        caller = call.caller
        return Answer(
            document=Identity(
                login=caller.login,
                roles=sorted(role.value for role in caller.roles),
                customer=caller.reader.customer,
                case=caller.reader.case,
                permissions=sorted(permission.value for permission in caller.permissions),
                method="token" if caller.token is not None else "password",
                installation=self._rooms.config.installation,
            )
        )
