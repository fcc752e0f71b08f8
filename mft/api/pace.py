"""How many requests one login may make of one worker: a bucket that refills evenly.

Said in every answer, so that a polite client never runs dry (draft-ietf-httpapi-ratelimit-headers-10), and with the
older `RateLimit-*` triple that many clients read.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_BUCKETS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What became of a request's wish to be served."""

    granted: bool
    remaining: int
    """Requests that could follow at once."""
    refilled: float
    """Seconds until the bucket is full again; for a refusal until one more request is granted."""


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Pace:
    """A bucket for each login."""

    def __init__(self, *, requests: int, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Grant *requests* in *window* seconds, all at once or spread."""
        self._most = requests
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, login: str) -> Turn:
        """Take one request of *login* out of its bucket."""
        now = self._clock()
        with self._lock:
            bucket = self._buckets.get(login)
            if bucket is None:
                self._drop_full(now)
                bucket = self._buckets[login] = _Bucket(level=float(self._most), at=now)
            bucket.level = min(self._most, bucket.level + (now - bucket.at) * self._most / self._window)
            bucket.at = now
            if bucket.level < 1:
                return Turn(granted=False, remaining=0, refilled=(1 - bucket.level) * self._window / self._most)
            bucket.level -= 1
            missing = self._most - bucket.level
            return Turn(granted=True, remaining=int(bucket.level), refilled=missing * self._window / self._most)

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

    def _drop_full(self, now: float) -> None:
        """Forget buckets that have long been full: they say no more than a new one."""
        if len(self._buckets) >= _MOST_BUCKETS:
            self._buckets = {login: bucket for login, bucket in self._buckets.items() if now - bucket.at < self._window}
