"""What is over: partials past their time, landing logs that nobody needs, keys of days gone by, what crashes left.

State before deletion: a row says that something is gone before it goes. What has no row at all is left alone for a
day.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, select, update

from mft.audit import SYSTEM, export_heads
from mft.catalog.model import BODIES, LANDING_KEYS, UPLOADS
from mft.catalog.states import PARTIAL, StateError, UploadState, move_upload
from mft.holds import held_cases
from mft.intake.records import chain_of
from mft.keyledger import note_destroyed
from mft.policy import Residency
from mft.revocation import prune
from mft.unfiled import expire_unfiled
from mft.upload.passwords import expire_passwords
from storage.errors import LandingError, LandingNotFoundError, StorageError, StoreUnavailableError
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sqlalchemy import ColumnElement

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.intake.settings import IntakeSettings
    from mft.keyledger import KeyLedgers
    from mft.objects import Objects
    from mft.upload.landed import LandedFiles
    from storage.landing import LandingZone

log = logging.getLogger(__name__)

STRANGER_SECONDS = 24 * 3600.0
"""How long what has no row is left alone."""
REVOCATION_SECONDS = 7 * 24 * 3600.0
_NEEDED = [*PARTIAL, UploadState.LANDED, UploadState.SCRUBBING, UploadState.QUARANTINED]
_ENDED = [UploadState.STORED, UploadState.REJECTED, UploadState.EXPIRED, UploadState.DESTROYED]
_PAGE = 500


class Sweep:
    """Clears up, again and again; each part of it may be cut short at any moment."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        zones: Mapping[str, LandingZone],
        landed: LandedFiles,
        objects: Objects,
        ledgers: KeyLedgers,
        settings: IntakeSettings,
        is_steady: Callable[[], bool] = lambda: True,
    ) -> None:
        """Clear up *zones* (by region) and what attempts left in *objects*; what is due by a clock that *is_steady*."""
        self._database = database
        self._trail = trail
        self._zones = zones
        self._landed = landed
        self._objects = objects
        self._ledgers = ledgers
        self._settings = settings
        self._is_steady = is_steady
        self._heads_due = 0.0

    def run(self) -> None:
        """Do one round."""
        self.measure_partials()
        if self._is_steady():
            self.expire_partials()
            expire_unfiled(self._database, self._trail, time.time())
        self.clear_landing()
        self.clear_attempts()
        self.retire_landing_keys()
        with self._database.write() as connection:
            prune(connection, time.time() - REVOCATION_SECONDS)
            expire_passwords(connection)

    def hand_out_heads(self) -> None:
        """Append the signed heads of the audit's chains to their file, as often as the settings say."""
        path = self._settings.heads
        if path is None or time.monotonic() < self._heads_due:
            return
        self._heads_due = time.monotonic() + self._settings.heads_every
        with self._database.read() as connection:
            lines = export_heads(connection).encode()
        try:
            _append(path, lines)
        except OSError as error:
            log.warning("audit.heads_kept_back", extra={"file": str(path), "why": error.strerror})

    def measure_partials(self) -> None:
        """Read from their logs where uploads that a dead process left may be resumed."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(UPLOADS).where(UPLOADS.c.state == UploadState.INTERRUPTED, UPLOADS.c.prefix.is_(None))
            ).all()
        for row in rows:
            try:
                prefix, end = self._measure(row)
            except StoreUnavailableError:
                continue
            with self._database.write() as connection:
                connection.execute(
                    update(UPLOADS)
                    .where(UPLOADS.c.id == row.id, UPLOADS.c.epoch == row.epoch, UPLOADS.c.prefix.is_(None))
                    .values(prefix=prefix, reserved=end)
                )

    def _measure(self, row: Row[Any]) -> tuple[int, int]:
        """Return where an upload may be resumed, and how many bytes of it there are: no more stay reserved."""
        try:
            writer = self._zones[row.region].resume(row.landing_id, self._landed.key_of(row))
        except LandingNotFoundError:
            return 0, 0
        except LandingError:
            log.warning("sweep.partial_unreadable", extra={"upload": row.id})
            return 0, 0
        try:
            return int(writer.prefix), int(writer.end)
        finally:
            writer.close()

    def expire_partials(self) -> None:
        """Give up partial uploads past their time."""
        before = time.time() - self._settings.partial_ttl
        with self._database.read() as connection:
            rows = connection.execute(
                select(UPLOADS)
                .where(
                    UPLOADS.c.state == UploadState.INTERRUPTED,
                    UPLOADS.c.updated_at < before,
                    UPLOADS.c.case_id.not_in(held_cases()),
                )
                .limit(_PAGE)
            ).all()
        for row in rows:
            try:
                with self._database.write() as connection:
                    why = "not resumed in time"
                    move_upload(
                        connection, row.id, UploadState.EXPIRED, reason=why, reserved=0, finished_at=time.time()
                    )
                    chain = chain_of(connection, row.case_id)
                    self._trail.append(connection, chain, "upload.expired", upload=row.id, login=row.login, why=why)
            except StateError:
                continue

    def clear_landing(self) -> None:
        """Destroy landing logs that no upload needs any more, once a closed file can no longer be resumed."""
        grace = time.time() - self._settings.resume_grace
        needed = select(UPLOADS.c.landing_id).where(UPLOADS.c.state.in_(_NEEDED))
        closed_lately = select(UPLOADS.c.landing_id).where(UPLOADS.c.landed_at > grace)
        with self._database.read() as connection:
            rows = connection.execute(
                select(UPLOADS.c.landing_id, UPLOADS.c.region)
                .where(
                    UPLOADS.c.state.in_(_ENDED),
                    UPLOADS.c.landing_gone_at.is_(None),
                    UPLOADS.c.host == self._settings.host,
                    UPLOADS.c.landing_id.not_in(needed),
                    UPLOADS.c.landing_id.not_in(closed_lately),
                    UPLOADS.c.case_id.not_in(held_cases()),
                )
                .distinct()
                .limit(_PAGE)
            ).all()
        for row in rows:
            try:
                self._zones[row.region].check_is_there()
            except StorageError:
                continue  # it is said where uploads to it are refused
            with self._database.write() as connection:
                gone = update(UPLOADS).where(UPLOADS.c.landing_id == row.landing_id).values(landing_gone_at=time.time())
                connection.execute(gone)
            self._zones[row.region].destroy(row.landing_id)

    def clear_attempts(self) -> None:
        """Delete what attempts to store have left that came to nothing."""
        before = time.time() - STRANGER_SECONDS
        with self._database.read() as connection:
            rows = connection.execute(
                select(BODIES.c.key, BODIES.c.state, func.coalesce(BODIES.c.region, UPLOADS.c.region).label("region"))
                .join(UPLOADS, UPLOADS.c.id == BODIES.c.upload_id)
                .where(
                    (BODIES.c.state == "discarded") | ((BODIES.c.state == "writing") & (BODIES.c.created_at < before))
                )
                .limit(_PAGE)
            ).all()
        for row in rows:
            home = Residency(home=row.region, copies=(), readers=frozenset(), rule="", reason="")
            try:
                self._objects.store(home).delete(ObjectKey(row.key))
            except StorageError:
                log.warning("sweep.attempt_left", extra={"object": row.key})
                continue
            with self._database.write() as connection:
                connection.execute(delete(BODIES).where(BODIES.c.key == row.key))

    def retire_landing_keys(self) -> None:
        """Destroy the landing key of each day gone by whose last landing log is gone."""
        today = dt.datetime.now(dt.UTC).date().isoformat()
        alive = (
            select(func.count())
            .where(
                UPLOADS.c.region == LANDING_KEYS.c.region,
                UPLOADS.c.landing_day == LANDING_KEYS.c.day,
                UPLOADS.c.landing_gone_at.is_(None),
            )
            .scalar_subquery()
        )
        over = (LANDING_KEYS.c.day < today) & LANDING_KEYS.c.wrapped.is_not(None) & (alive == 0)
        with self._database.read() as connection:
            days = connection.execute(select(LANDING_KEYS.c.region, LANDING_KEYS.c.day).where(over)).all()
        for region, day in days:
            self._retire_landing_key(region, day, over)
        self._ledgers.write()

    def _retire_landing_key(self, region: str, day: str, over: ColumnElement[bool]) -> None:
        """Destroy one, wherever it lies: its row, each envelope that holds it, and by the ledger every copy."""
        now = time.time()
        with self._database.write() as connection:
            gone = connection.execute(
                update(LANDING_KEYS)
                .where(LANDING_KEYS.c.region == region, LANDING_KEYS.c.day == day, over)
                .values(wrapped=None, destroyed_at=now)
            )
            if gone.rowcount != 1:
                return  # an upload of that day has begun meanwhile
            connection.execute(
                update(UPLOADS)
                .where(UPLOADS.c.region == region, UPLOADS.c.landing_day == day)
                .values(landing_envelope="")
            )
            note_destroyed(connection, region, f"landing:{day}", why="the day's last upload has left", at=now)
            self._trail.append(connection, SYSTEM, "keys.landing_key_destroyed", region=region, day=day)


def _append(path: Path, lines: bytes) -> None:
    """Add *lines* to a file for good; a line that was cut short before them is ended.

    Raises:
        OSError: it cannot be written, or there is no room.
    """
    with path.open("ab+") as file:
        if (end := file.seek(0, os.SEEK_END)) > 0:
            file.seek(end - 1)
            lines = lines if file.read(1) == b"\n" else b"\n" + lines
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
