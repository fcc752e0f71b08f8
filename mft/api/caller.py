"""Who asks: what a session of the HTTPS head stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from casemap.model import Role
    from mft.permissions import Permission
    from mft.policy import Reader
    from protocols.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A login of the API."""

    login: str
    roles: frozenset[Role]
    permissions: frozenset[Permission]
    """What its roles allow, narrowed to its token's scopes."""
    reader: Reader
    """What policy needs to know of it."""
    session: str
    peer: str
    method: str
    """What it logged in with: `password` or `token`."""
    token: str | None = None
    """The id of its token."""


class FindCaller(Protocol):
    """Knows who a live session is for."""

    def __call__(self, session: Session) -> Caller | None:
        """Return who that is; None: the session has ended."""
