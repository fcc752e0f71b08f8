"""Verification, put together: for the intake process, which reads everything again and again, and for the command."""

from __future__ import annotations

import functools
import logging
import threading
import time
from typing import TYPE_CHECKING

from mft.intake.pace import Pace
from mft.policy import ResidencyError
from mft.server import metrics
from mft.verification.notebook import Notebook
from mft.verification.service import Verification, Wish
from protocols.errors import FileSystemError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mft.cases import Cases
    from mft.config.verify import VerifyConfig
    from mft.server.parts import Parts
    from mft.verification.fault import Report

log = logging.getLogger(__name__)
SETTLE_SECONDS = 60.0
"""How long after the start the background waits; less where passes come oftener."""
LOOK_SECONDS = 60.0
"""How often it looks whether a pass is due; less where passes come oftener."""
BACKGROUND = "background"


def regions_of(cases: Cases, number: str) -> frozenset[str] | None:
    """Return where a case may lie, as the case system and the rules say now; None: it cannot be said."""
    try:
        return frozenset(cases.placed(number).residency.regions)
    except (FileSystemError, ResidencyError):
        return None


def make_verification(
    parts: Parts, *, locked: Mapping[str, str], pace: Callable[[int], None], notebook: Notebook
) -> Verification:
    """Put a verification together for one round: what it asks of cases it asks once."""
    return Verification(
        database=parts.database,
        trail=parts.trail,
        stores=parts.stores,
        zones=parts.zones,
        landed=parts.landed,
        keys=parts.keys,
        locked=locked,
        allowed=functools.lru_cache(maxsize=4096)(functools.partial(regions_of, parts.cases)),
        host=parts.node,
        notebook=notebook,
        pace=pace,
    )


class _StoppedError(Exception):
    """The process ends: a round goes on where it was when there is one again."""


class VerifyRounds:
    """A thread that reads everything again and again, no faster than it may."""

    def __init__(self, parts: Parts, settings: VerifyConfig) -> None:
        """Read what *parts* hold, as *settings* say."""
        self._parts = parts
        self._settings = settings
        self._pace = Pace(settings.bandwidth, sleep=self._sleep)
        self._notebook = Notebook(database=parts.database, trail=parts.trail)
        self._counted = 0
        """Objects of the pass under way that are in the metrics."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verify", daemon=True)

    def start(self) -> None:
        """Begin, if there is to be a background at all."""
        if self._settings.every is not None:
            self._thread.start()

    def stop(self) -> None:
        """End at the next read."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        every = self._settings.every or SETTLE_SECONDS
        wait = min(every, SETTLE_SECONDS)
        while not self._stopped.wait(wait):
            wait = min(every, LOOK_SECONDS)
            try:
                self.round(time.time())
            except _StoppedError:
                return
            except Exception:  # the border of this thread: one bad round must not end it
                log.exception("verify.round_failed")

    def round(self, now: float) -> Report | None:
        """Do a pass, or the rest of one, if one is due at *now* (POSIX seconds)."""
        position, last = self._notebook.position(), self._notebook.last_pass()
        if not position and last is not None and now - last < (self._settings.every or 0):
            return None
        verification = make_verification(self._parts, locked={}, pace=self._paced, notebook=self._notebook)
        wish = Wish(
            regions=tuple(self._parts.config.regions),
            deep=True,
            repair=self._settings.repair,
            by=BACKGROUND,
            after=position,
        )
        self._counted = 0
        report = verification.run(wish, at=self._came_to)
        self._notebook.end_pass()
        facts = {"objects": report.objects, "left": len(report.left), "mended": len(report.mended)}
        log.info("verify.pass_ended", extra=facts)
        return report

    def _came_to(self, key: str, report: Report) -> None:
        self._notebook.move(key)
        metrics.CHECKED.inc(report.objects - self._counted)
        self._counted = report.objects
        self._paced(0)

    def _paced(self, count: int) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        self._pace(count)

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise _StoppedError
