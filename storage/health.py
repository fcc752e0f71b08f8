"""Which stores are ailing: a breaker for each region, so that readers do not wait again and again for one that is down.

Nobody is left out for good: an ailing region is asked last, and in its order again once it has had its rest.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.keys.envelope import Region

FAILURES = 3
"""In a row, after which a region is ailing."""
REST_SECONDS = 20.0
"""How long it is asked last after that."""


class StoreHealth:
    """What a process has met of its stores. Safe for many threads."""

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        rest: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call a region ailing for *rest* seconds after so many *failures* in a row."""
        self._most = failures
        self._rest = rest
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[Region, int] = {}
        self._ailing_until: dict[Region, float] = {}

    def failed(self, region: Region) -> None:
        """Note that a region did not answer."""
        with self._lock:
            count = self._failures.get(region, 0) + 1
            self._failures[region] = count
            if count >= self._most:
                self._ailing_until[region] = self._clock() + self._rest

    def succeeded(self, region: Region) -> None:
        """Note that it did."""
        if region not in self._failures:
            return
        with self._lock:
            self._failures.pop(region, None)
            self._ailing_until.pop(region, None)

    def is_ailing(self, region: Region) -> bool:
        """Say whether it is asked last."""
        until = self._ailing_until.get(region)
        return until is not None and self._clock() < until

    def order(self, regions: Sequence[Region]) -> tuple[Region, ...]:
        """Return *regions* as they stand, those that are ailing behind the others."""
        if not self._ailing_until:
            return tuple(regions)
        return tuple(sorted(regions, key=self.is_ailing))
