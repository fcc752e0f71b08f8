"""How far this node is from each region's store, measured again and again: readers are served from the nearest."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from mft.server import metrics
from storage.errors import StorageError

if TYPE_CHECKING:
    from mft.objects import Objects

log = logging.getLogger(__name__)
FIRST_EVERY = 1.0
"""Seconds between the first measurements, until averages count."""
FIRST = 3


class Distances:
    """One thread for each region, so that a store that does not answer keeps none of the others waiting."""

    def __init__(self, objects: Objects, *, every: float) -> None:
        """Measure the stores of *objects* every so many seconds."""
        self._objects = objects
        self._every = every
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(region,), name=f"distance-{region}", daemon=True)
            for region in objects.regions
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what waits for a store that does not answer ends with the process."""
        self._stopped.set()

    def _run(self, region: str) -> None:
        count = 0
        while not self._stopped.is_set():
            try:
                seconds = self._objects.measure(region)
            except StorageError as error:
                log.debug("store.distance_unknown", extra={"region": region, "why": type(error).__name__})
            except Exception:  # the border of this thread: whatever it is, it is measured again
                log.exception("store.distance_failed", extra={"region": region})
            else:
                if seconds is not None:
                    metrics.STORE_SECONDS.labels(region).set(seconds)
            count += 1
            self._stopped.wait(FIRST_EVERY if count < FIRST else self._every)
