"""Copies in other regions: made from ciphertext, verified by reading back, tried again until they succeed."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, select, update

from mft.audit import customer_chain
from mft.catalog.model import BODIES, REPLICAS, UPLOADS
from mft.intake.pace import Pace
from storage.errors import StorageError
from storage.keys.envelope import Region
from storage.store import ObjectKey

if TYPE_CHECKING:
    from mft.audit import AuditTrail
    from mft.cases import CaseTree
    from mft.catalog.database import Database
    from mft.intake.records import CaseBook
    from mft.intake.settings import IntakeSettings
    from mft.objects import Objects

log = logging.getLogger(__name__)


class Copying:
    """Makes copies, as many at once as the settings say."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        book: CaseBook,
        objects: Objects,
        settings: IntakeSettings,
    ) -> None:
        """Copy within *objects*."""
        self._database = database
        self._trail = trail
        self._book = book
        self._objects = objects
        self._settings = settings
        self._turns = threading.Semaphore(settings.copy_workers)
        self._pace = Pace(settings.copy_rate)

    def copy(self, object_key: str, region: str) -> str:
        """Copy an object to a region and verify it there; a failure is noted and comes up again later."""
        with self._turns:
            self._copy(object_key, region)
        return ""

    def _copy(self, object_key: str, region: str) -> None:
        key = ObjectKey(object_key)
        with self._database.read() as connection:
            row = connection.execute(
                select(REPLICAS, BODIES.c.case_id, UPLOADS.c.region.label("home"))
                .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
                .join(UPLOADS, UPLOADS.c.id == BODIES.c.upload_id)
                .where(REPLICAS.c.object_key == object_key, REPLICAS.c.region == region)
            ).first()
        if row is None or row.state != "wanted":
            return
        tree = self._book.tree(row.case_id)
        started = time.monotonic()
        try:
            scope_key = self._book.scope_key(tree, region)
            store = self._objects.copying_store(row.home, region, self._pace)
            store.copy(key, Region(region), tree.key_scope, scope_key)
        except StorageError as error:
            self._note_copy_failure(row, tree, error)
            return
        with self._database.write() as connection:
            connection.execute(
                update(REPLICAS)
                .where(REPLICAS.c.object_key == object_key, REPLICAS.c.region == region)
                .values(state="present", verified_at=time.time(), last_error=None)
            )
            self._trail.append(
                connection,
                customer_chain(tree.customer),
                "copy.verified",
                object=object_key,
                case=tree.number,
                source=row.home,
                region=region,
                milliseconds=int((time.monotonic() - started) * 1000),
            )

    def _note_copy_failure(self, row: Row[Any], tree: CaseTree, error: StorageError) -> None:
        attempts = row.attempts + 1
        wait = min(self._settings.retry_max, self._settings.retry_first * 2 ** min(attempts - 1, 20))
        level, word = (logging.WARNING, "intake.copy_failed")
        if attempts >= self._settings.copy_attempts:
            level, word = (logging.ERROR, "intake.copy_stuck")
        log.log(level, word, extra={"object": row.object_key, "region": row.region, "attempt": attempts})
        with self._database.write() as connection:
            connection.execute(
                update(REPLICAS)
                .where(REPLICAS.c.object_key == row.object_key, REPLICAS.c.region == row.region)
                .values(attempts=attempts, due_at=time.time() + wait, last_error=type(error).__name__)
            )
            self._trail.append(
                connection,
                customer_chain(tree.customer),
                "copy.failed",
                object=row.object_key,
                case=tree.number,
                source=row.home,
                region=row.region,
                attempt=attempts,
                why=type(error).__name__,
            )
