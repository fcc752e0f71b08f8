"""The lifecycle, put together: for the intake process, which looks every so often, and for commands."""

from __future__ import annotations

import functools
import logging
import threading
from typing import TYPE_CHECKING

from mft.keyledger import KeyLedgers
from mft.lifecycle.destruction import Destruction
from mft.lifecycle.service import Lifecycle
from mft.receipts import sign_receipt
from mft.server.parts import life_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from casemap.cached import CachedLookup
    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.config.model import Config
    from mft.credentials.load import Credentials
    from mft.objects import Objects
    from storage.landing import LandingZone

log = logging.getLogger(__name__)
SETTLE_SECONDS = 30.0
"""How long after the start the first round waits; less where rounds come oftener."""


def make_lifecycle(
    *,
    config: Config,
    credentials: Credentials,
    database: Database,
    trail: AuditTrail,
    lookup: CachedLookup,
    objects: Objects,
    zones: Mapping[str, LandingZone],
) -> Lifecycle:
    """Put the lifecycle together."""
    return Lifecycle(
        database=database,
        trail=trail,
        lookup=lookup,
        rules=life_rules(config),
        destruction=Destruction(
            database=database,
            trail=trail,
            objects=objects,
            zones=zones,
            sign=functools.partial(sign_receipt, key=credentials.receipt_key),
            installation=config.installation,
            ledgers=KeyLedgers.of(config, database),
        ),
    )


class LifecycleRounds:
    """A thread that makes a round every so often."""

    def __init__(self, lifecycle: Lifecycle, *, every: float, is_steady: Callable[[], bool]) -> None:
        """Make a round of *lifecycle* every *every* seconds, while the clock *is_steady*."""
        self._lifecycle = lifecycle
        self._every = every
        self._is_steady = is_steady
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lifecycle", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the round that is under way."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        wait = min(self._every, SETTLE_SECONDS)
        while not self._stopped.wait(wait):
            wait = self._every
            try:
                if not self._is_steady():
                    continue
                done = self._lifecycle.run(by="lifecycle")
            except Exception:  # the border of this thread: one bad round must not end it
                log.exception("lifecycle.round_failed")
                continue
            facts = {"destroyed": len(done.destroyed), "finished": done.finished, "revoked": done.tokens}
            log.info("lifecycle.round", extra=facts)
