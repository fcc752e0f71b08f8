"""Whether each region's store can be used, tried again and again, and rid of what crashes left in it.

A region that is down stops nobody: it is said once in the log and in a gauge, and the server goes on with the others.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from mft.server import metrics
from storage.errors import StorageError
from storage.probe import probe
from storage.store import LeavesLeftovers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.store import ObjectStore

log = logging.getLogger(__name__)
LEFTOVER_SECONDS = 24 * 3600.0
"""How old what has no name must be before it is taken for left: longer than any upload to a store."""
_REAP_EVERY = 3600.0
_UP_EVERY = 300.0
_DOWN_EVERY = 15.0


class StoreWatch:
    """One thread for each store, so that one that does not answer keeps none of the others waiting."""

    def __init__(
        self, stores: Mapping[str, ObjectStore], *, up_every: float = _UP_EVERY, down_every: float = _DOWN_EVERY
    ) -> None:
        """Watch *stores* (by region): every so many seconds while they can be used, and oftener while not."""
        self._up_every, self._down_every = up_every, down_every
        self._stopped = threading.Event()
        self._healthy: dict[str, bool] = {}
        self._threads = [
            threading.Thread(target=self._run, args=each, name=f"store-{each[0]}", daemon=True)
            for each in stores.items()
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what waits for a store that does not answer ends with the process."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=1.0)

    def healthy(self, region: str) -> bool | None:
        """Say whether a region's store could be used when last tried; None before the first time."""
        return self._healthy.get(region)

    def _run(self, region: str, store: ObjectStore) -> None:
        reap_at = 0.0
        while not self._stopped.is_set():
            usable = self._try(region, store)
            if usable and time.monotonic() >= reap_at and self._reap(region, store):
                reap_at = time.monotonic() + _REAP_EVERY
            self._stopped.wait(self._up_every if usable else self._down_every)

    def _try(self, region: str, store: ObjectStore) -> bool:
        try:
            probe(store)
        except StorageError as error:
            self._note(region, error)
            return False
        except Exception:  # the border of this thread: whatever it is, the store is tried again
            log.exception("store.probe_failed", extra={"region": region})
            self._note(region, None, usable=False)
            return False
        self._note(region, None)
        return True

    def _note(self, region: str, error: StorageError | None, *, usable: bool = True) -> None:
        """Tell what has changed."""
        usable = usable and error is None
        before = self._healthy.get(region)
        self._healthy[region] = usable
        metrics.STORE_UP.labels(region).set(usable)
        if error is not None and before is not False:
            log.warning("store.unusable", extra={"region": region, "why": str(error)})
        elif usable and before is False:
            log.info("store.usable", extra={"region": region})

    def _reap(self, region: str, store: ObjectStore) -> bool:
        if not isinstance(store, LeavesLeftovers):
            return True
        try:
            gone = store.reap(LEFTOVER_SECONDS)
        except StorageError as error:
            log.warning("store.leftovers_stay", extra={"region": region, "why": str(error)})
            return False
        if gone:
            log.info("store.leftovers_gone", extra={"region": region, "count": gone})
        return True
