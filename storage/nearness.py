"""Which of several regions is nearest, by how long their stores take to answer.

What is configured is the order among equals: a region goes before another that stands ahead of it only once it has
answered clearly sooner for a while, and falls back only once it has clearly lost its lead. Two that are about as near
do not change places at every measurement.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from storage.errors import ObjectNotFoundError
from storage.probe import PROBES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.keys.envelope import Region
    from storage.store import ObjectStore

WEIGHT = 0.25
"""Of the newest measurement in the moving average; the older ones together have the rest."""
SAMPLES = 3
"""Measurements after which an average counts."""
LEAD = 0.7
"""A region goes ahead once its average is less than so much of the other's …"""
LEAST_GAIN = 0.010
"""… and that is worth so many seconds a request."""
HOLD = 0.9
"""It stays ahead while its average is less than so much of the other's."""
_TRIES = 3
_ASKED = f"{PROBES}nearness"
"""A name that nothing ever has: to look for it costs a round trip, and no byte is moved."""


def measure(store: ObjectStore, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds that a store takes to say that it does not have something: the best of a few tries.

    What is slower than the best was held up, here or there, and says nothing of the distance.

    Raises:
        StorageError: it does not answer.
    """
    tries = []
    for _ in range(_TRIES):
        begun = clock()
        with contextlib.suppress(ObjectNotFoundError):
            store.stat(_ASKED)
        tries.append(clock() - begun)
    return min(tries)


class Nearness:
    """What a process has measured. Safe for many threads."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self._lock = threading.Lock()
        self._averages: dict[Region, float] = {}
        self._counts: dict[Region, int] = {}
        self._ahead: set[tuple[Region, Region]] = set()
        """Pairs of which the first goes before the second, against the configuration."""

    def note(self, region: Region, seconds: float) -> None:
        """Take in one measurement of a region."""
        with self._lock:
            before = self._averages.get(region, seconds)
            self._averages[region] = before + WEIGHT * (seconds - before)
            self._counts[region] = self._counts.get(region, 0) + 1

    def seconds(self, region: Region) -> float | None:
        """Return the moving average of a region; None before it counts."""
        with self._lock:
            return self._average(region)

    def order(self, regions: Sequence[Region]) -> tuple[Region, ...]:
        """Return *regions*, which come in the configured order, nearest first. Those not measured keep their places."""
        if len(regions) < 2:
            return tuple(regions)
        ordered: list[Region] = []
        with self._lock:
            for region in regions:
                place = len(ordered)
                while place and self._goes_ahead(region, ordered[place - 1]):
                    place -= 1
                ordered.insert(place, region)
        return tuple(ordered)

    def _goes_ahead(self, region: Region, other: Region) -> bool:
        mine, theirs = self._average(region), self._average(other)
        pair = (region, other)
        if mine is None or theirs is None:
            return False
        gains = mine < LEAD * theirs and theirs - mine >= LEAST_GAIN
        ahead = gains or (pair in self._ahead and mine < HOLD * theirs)
        if ahead:
            self._ahead.add(pair)
        else:
            self._ahead.discard(pair)
        return ahead

    def _average(self, region: Region) -> float | None:
        return self._averages[region] if self._counts.get(region, 0) >= SAMPLES else None
