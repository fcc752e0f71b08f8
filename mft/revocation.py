"""Rights that were changed or withdrawn: told to every process, and looked for where nobody tells.

Whoever changes a right writes a numbered row in the transaction of the change (`announce`). Each process reads on from
the last number that it saw (`RevocationWatch`). What a case system withdraws in silence is found by asking again
(`SessionSweep`).
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from mft.catalog.database import open_engine
from mft.catalog.errors import CatalogError
from mft.catalog.model import REVOCATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from mft.catalog.database import Database

LOG = logging.getLogger(__name__)
POLL = 0.25
"""Seconds between two looks at the catalog."""
REVOKED = "revoked:"
"""How the reason begins where the sessions of a principal end whatever its rights are by now."""
_BATCH = 500


class Subject(enum.StrEnum):
    """What a row is about; its subject is the login, the token's id, the case's number or the customer's id."""

    PRINCIPAL = "principal"
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    CASE = "case"
    CUSTOMER = "customer"
    """Its record, or which cases it has, changed."""
    UPLOAD = "upload"
    """Not a right: a session elsewhere has taken the upload over; the reason names its epoch."""


def announce(connection: Connection, kind: Subject, subject: str, reason: str, *, at: float | None = None) -> None:
    """Tell every process, once the write transaction of *connection* commits, that a right of *subject* was changed."""
    moment = time.time() if at is None else at
    connection.execute(insert(REVOCATIONS).values(kind=kind.value, subject=subject, reason=reason, at=moment))


def prune(connection: Connection, before: float) -> int:
    """Delete rows older than *before* (POSIX seconds); return how many. The newest stays, or its number came again."""
    newest = select(func.max(REVOCATIONS.c.serial)).scalar_subquery()
    found = connection.execute(delete(REVOCATIONS).where(REVOCATIONS.c.at < before, REVOCATIONS.c.serial < newest))
    return found.rowcount


class RevocationWatch:
    """A thread that calls back for each new row.

    A look costs one PRAGMA while nothing was written. A callback that fails is called again at the next look: a
    withdrawal must not be lost to a passing fault. `silent_for` tells for how long the catalog could not be read.
    """

    def __init__(self, database: Database, *, poll: float = POLL, on: Callable[[Subject, str, str], None]) -> None:
        """Call *on* with (kind, subject, reason) for every row written from now on, on the watch's own thread."""
        self._engine = open_engine(database.path, read_only=True, pool_size=1)
        self._poll = poll
        self._on = on
        self._stopped = threading.Event()
        self._turn = threading.Event()
        self._connection: Connection | None = None
        self._version: int | None = None
        self._again: list[tuple[Subject, str, str]] = []
        self._last_look = time.monotonic()
        with database.read() as connection:
            self._serial: int = connection.execute(select(func.max(REVOCATIONS.c.serial))).scalar() or 0
        self._thread = threading.Thread(target=self._run, name="revocation-watch", daemon=True)

    def start(self) -> None:
        """Begin; rows that were written since construction are told first."""
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the thread."""
        self._stopped.set()
        self._turn.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._engine.dispose()

    def nudge(self) -> None:
        """Look now: this process has just written a row. Others see it at their next look."""
        self._turn.set()

    @property
    def silent_for(self) -> float:
        """Seconds since the catalog was last looked at with success: above the bound, nothing here may be trusted."""
        return time.monotonic() - self._last_look

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._look()
            except (CatalogError, SQLAlchemyError):
                LOG.exception("revocation.unreadable")
                self._disconnect()
            self._turn.wait(self._poll)
            self._turn.clear()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # or the pool would give the same one again
            self._connection.close()
        self._connection = self._version = None

    def _look(self) -> None:
        again, self._again = self._again, []
        for row in again:
            self._tell(*row)
        for kind, subject, reason in self._news():
            try:
                known = Subject(kind)
            except ValueError:  # written by a newer release that shares this catalog
                LOG.warning("revocation.unknown", extra={"kind": kind})
                continue
            self._tell(known, subject, reason)
        self._last_look = time.monotonic()

    def _news(self) -> list[tuple[str, str, str]]:
        # Only another connection's commits change `data_version` (sqlite.org/pragma.html), hence one of our own.
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            version: int = self._connection.exec_driver_sql("PRAGMA data_version").scalar_one()
            if version == self._version:
                return []
            rows = self._connection.execute(
                select(REVOCATIONS.c.serial, REVOCATIONS.c.kind, REVOCATIONS.c.subject, REVOCATIONS.c.reason)
                .where(REVOCATIONS.c.serial > self._serial)
                .order_by(REVOCATIONS.c.serial)
                .limit(_BATCH)
            ).all()
        if rows:
            self._serial = rows[-1].serial
        if len(rows) < _BATCH:  # else there is more of this version to read
            self._version = version
        return [(row.kind, row.subject, row.reason) for row in rows]

    def _tell(self, kind: Subject, subject: str, reason: str) -> None:
        try:
            self._on(kind, subject, reason)
        except Exception:  # the border of this thread: it must outlive whatever the callback meets
            LOG.exception("revocation.failed", extra={"kind": kind.value})
            self._again.append((kind, subject, reason))


class SessionSweep:
    """A thread that has the rights of live sessions asked for again and again.

    A right that a case system withdraws in silence lives on for at most the lookup's ttl, its stale-if-error and one
    interval of this sweep together: see `sweep_interval`.
    """

    def __init__(self, rechecks: Sequence[Callable[[], None]], *, every: float) -> None:
        """Call each of *rechecks* every *every* seconds; one that fails does not keep the others from their turn."""
        self._rechecks = tuple(rechecks)
        self._every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="session-sweep", daemon=True)

    def start(self) -> None:
        """Begin with a first round at once."""
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the thread."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            for recheck in self._rechecks:
                try:
                    recheck()
                except Exception:  # the border of this thread
                    LOG.exception("sweep.failed")
            self._stopped.wait(self._every)


def sweep_interval(*, bound: float, ttl: float, stale_if_error: float) -> float:
    """Return how often to sweep, in seconds, so that a withdrawn right ends within *bound*.

    An answer may be *ttl* + *stale_if_error* old when it is last believed; the rest of *bound* is the sweep's, halved
    to leave time for the work itself. At least a quarter of a second, at most *ttl*.
    """
    return max(POLL, min(ttl, (bound - ttl - stale_if_error) / 2))
