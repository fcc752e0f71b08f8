"""Whether the clock on the wall is to be believed about what cannot be undone.

A clock that jumps ahead (a dead battery, a wrong time server, a virtual machine that was resumed) makes everything old
at once: retention would be over, partial uploads and quarantine past their time. What is destroyed by time waits a day
after such a jump, so that somebody can look.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as upsert

from mft.catalog.model import INSTALLATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from mft.catalog.database import Database

log = logging.getLogger(__name__)
TOLERANCE = 3600.0
"""Seconds by which the clock may get ahead at once; time servers correct less."""
PAUSE = 24 * 3600.0
"""Seconds for which nothing is destroyed after a jump; also how long a server may have been off without one."""
_KEPT_EVERY = 600.0
_KEY = "clock"


def _running() -> float:
    """Return seconds that pass at one rate, while the machine sleeps too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ClockWatch:
    """Holds the clock on the wall against one that nobody sets. Safe for several threads."""

    def __init__(
        self, database: Database, *, wall: Callable[[], float] = time.time, running: Callable[[], float] = _running
    ) -> None:
        """Begin with what the server kept in *database* when it last ran: then the clock went on from there."""
        self._database = database
        self._wall, self._running = wall, running
        self._guard = threading.Lock()
        self._kept_at: float | None = None
        self._pause_ends: float | None = None
        last, now, ticks = self._last(), wall(), running()
        away = 0.0 if last is None else now - last
        self._base = (now, ticks)
        """The time that is believed, and when that was."""
        if last is not None and away > PAUSE:
            self._base = (last, ticks)

    def is_steady(self) -> bool:
        """Say whether what is due by the clock may be destroyed now."""
        with self._guard:
            now, ticks = self._wall(), self._running()
            ahead = now - (self._base[0] + ticks - self._base[1])
            if ahead > TOLERANCE and not self._has_waited(ahead, ticks):
                return False
            if abs(ahead) > TOLERANCE:  # it was set back; or ahead, and nobody has mended it in a day
                self._base = (now, ticks)
            self._pause_ends = None
            self._keep(now, ticks)
            return True

    def _has_waited(self, ahead: float, ticks: float) -> bool:
        if self._pause_ends is None:
            self._pause_ends = ticks + PAUSE
            facts = {"ahead_seconds": round(ahead), "nothing_destroyed_for_seconds": round(PAUSE)}
            log.error("clock.jumped", extra=facts)
        return ticks >= self._pause_ends

    def _last(self) -> float | None:
        with self._database.read() as connection:
            found = connection.execute(select(INSTALLATION.c.value).where(INSTALLATION.c.key == _KEY)).scalar()
        return None if found is None else float(found)

    def _keep(self, now: float, ticks: float) -> None:
        if self._kept_at is not None and ticks < self._kept_at + _KEPT_EVERY:
            return
        self._kept_at = ticks
        statement = upsert(INSTALLATION).values(key=_KEY, value=repr(now))
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": repr(now)}))
