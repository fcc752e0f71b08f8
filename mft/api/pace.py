"""How many requests one login may make of an installation: a bucket that refills evenly, whichever worker answers.

Said in every answer, so that a polite client never runs dry (draft-ietf-httpapi-ratelimit-headers-10), and with the
older `RateLimit-*` triple that many clients read.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mft.api.allowances import Allowances

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What became of a request's wish to be served."""

    granted: bool
    remaining: int
    """Requests that could follow at once."""
    refilled: float
    """Seconds until the bucket is full again; for a refusal until one more request is granted."""


class Pace:
    """A bucket for each login."""

    def __init__(
        self, allowances: Allowances, *, requests: int, window: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Grant *requests* in *window* seconds, all at once or spread; count them in *allowances*.

        *clock* must be one for all processes that share the table.
        """
        self._allowances = allowances
        self._most = requests
        self._window = window
        self._clock = clock
        self._said_crowded = False

    def take(self, login: str) -> Turn:
        """Take one request of *login* out of its bucket."""
        taken = self._allowances.take(login, self._clock(), most=self._most, window=self._window)
        if taken.crowded is not None:
            self._note_crowd()
            return Turn(granted=False, remaining=0, refilled=taken.crowded)
        if not taken.granted:
            return Turn(granted=False, remaining=0, refilled=(1 - taken.level) * self._window / self._most)
        missing = self._most - taken.level
        return Turn(granted=True, remaining=int(taken.level), refilled=missing * self._window / self._most)

    def headers(self, turn: Turn) -> dict[str, str]:
        """Say it in headers."""
        seconds = max(1, math.ceil(turn.refilled))
        told = {
            "RateLimit-Policy": f'"login";q={self._most};w={math.ceil(self._window)}',
            "RateLimit": f'"login";r={turn.remaining};t={seconds}',
            "RateLimit-Limit": str(self._most),
            "RateLimit-Remaining": str(turn.remaining),
            "RateLimit-Reset": str(seconds),
        }
        return told if turn.granted else {**told, "Retry-After": str(seconds)}

    def _note_crowd(self) -> None:
        """Say once that more logins call at a time than there are rows: those who find none wait for one."""
        if not self._said_crowded:
            self._said_crowded = True
            log.warning("api.allowances_crowded")
