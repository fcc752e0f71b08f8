"""The live sessions of one process."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mft.policy import Narrowing
from protocols.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemap.identifier import CaseNumber
    from casemap.model import Principal
    from mft.auth.proof import Proof
    from protocols.session import Session

RETRY_AFTER = 10.0
"""Seconds after which a client that found us full may try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A session, with whom it is for and what opened it."""

    session: Session
    principal: Principal
    proof: Proof = field(repr=False)
    case: CaseNumber | None = None
    """The one case that it is for; None: all that the principal may see."""
    narrowing: Narrowing = field(default_factory=Narrowing)
    """All that the session may do less than the principal could."""


class SessionRegistry:
    """Knows every session that is open here, and bounds how many there are."""

    def __init__(self, *, total: int = 1000, per_login: int = 50) -> None:
        """Allow *total* sessions, *per_login* of them to one login."""
        self._total = total
        self._per_login = per_login
        self._lock = threading.Lock()
        self._live: dict[str, LiveSession] = {}
        self._count: dict[str, int] = {}
        self._turn = 0

    @property
    def turn(self) -> int:
        """A number that rises with every withdrawal.

        Who reads rights, and adds a session for them, reads this before: if it rose in between, the rights may be old.
        """
        return self._turn

    def advance(self) -> None:
        """Say that rights were withdrawn: sessions for rights read before now are not added any more."""
        with self._lock:
            self._turn += 1

    def add(self, live: LiveSession, turn: int) -> bool:
        """Add a session for rights that were read at *turn*; False, and not added, if rights were withdrawn since.

        Raises:
            UnavailableError: there are as many sessions as there may be.
        """
        login = live.principal.login
        with self._lock:
            if turn != self._turn:
                return False
            if len(self._live) >= self._total:
                raise UnavailableError("too many sessions are open here; try again later", retry_after=RETRY_AFTER)
            if self._count.get(login, 0) >= self._per_login:
                raise UnavailableError("too many sessions are open for this login", retry_after=RETRY_AFTER)
            self._live[live.session.id] = live
            self._count[login] = self._count.get(login, 0) + 1
        return True

    def get(self, session_id: str) -> LiveSession | None:
        """Return the session of that id, if it is open."""
        with self._lock:
            return self._live.get(session_id)

    def remove(self, session_id: str) -> LiveSession | None:
        """Forget a session that is closed, and return it; None if it is not known."""
        with self._lock:
            live = self._live.pop(session_id, None)
            if live is not None:
                login = live.principal.login
                self._count[login] -= 1
                if self._count[login] == 0:
                    del self._count[login]
            return live

    def live(self) -> tuple[LiveSession, ...]:
        """Return the sessions that are open now."""
        with self._lock:
            return tuple(self._live.values())

    def revoke(self, which: Callable[[LiveSession], bool], reason: str) -> int:
        """End the sessions that *which* says, and return how many those are."""
        self.advance()
        chosen = [live for live in self.live() if which(live)]
        for live in chosen:
            live.session.revoke(reason)
        return len(chosen)

    def __len__(self) -> int:
        """Count the sessions that are open now."""
        return len(self._live)
