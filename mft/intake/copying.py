"""Copies in other regions: made from ciphertext, verified by reading back, tried again; and taken away again.

Whether a copy may be is asked when it begins, while its bytes flow, before its slot is written and before it counts:
one that was under way when the rules changed does not come to be.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, func, select, update

from mft.audit import customer_chain
from mft.catalog.model import BODIES, CASES, REPLICAS, UPLOADS
from mft.intake.pace import Pace
from mft.intake.placing import is_recorded
from mft.intake.turns import Turns
from storage.errors import StorageError
from storage.keys.envelope import Region
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from mft.audit import AuditTrail
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.placing import Placing
    from mft.intake.records import CaseBook
    from mft.intake.settings import IntakeSettings
    from mft.objects import Objects

log = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
"""How often a copy whose bytes flow asks whether it is still wanted."""


class CopyForbiddenError(StorageError):
    """The copy may not be there, or is not wanted any more."""


class CopyPausedError(StorageError):
    """Nobody can say now whether the copy may be: what there is of it stays, and it goes on later."""


class Copying:
    """Makes copies and takes them away, as many at once as the settings say."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        book: CaseBook,
        objects: Objects,
        placing: Placing,
        settings: IntakeSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Copy within *objects*, as far as *placing* says that it may be."""
        self._database = database
        self._trail = trail
        self._book = book
        self._objects = objects
        self._placing = placing
        self._settings = settings
        self._clock = clock
        self._turns = Turns(settings.copy_workers)
        self._pace = Pace(settings.copy_rate)
        self._links = {link: Pace(rate) for link, rate in settings.copy_links.items()}

    def copy(self, object_key: str, region: str) -> str:
        """Do what is wished of an object in a region; a failure is noted and comes up again later."""
        row = self._row(object_key, region)
        if row is None:
            return ""
        tree = self._book.tree(row.case_id)
        if row.state == "leaving":
            self._withdraw(row, tree)
        elif row.state == "wanted":
            with self._turns.taken(row.priority):
                self._copy(row, tree)
        return ""

    def pace_between(self, source: str, target: str) -> Callable[[int], None]:
        """Return what waits as long as the limits of copies ask for, called with the bytes of each piece."""
        link = self._links.get((source, target))

        def pace(count: int) -> None:
            self._pace(count)
            if link is not None:
                link(count)

        return pace

    def _row(self, object_key: str, region: str) -> Row[Any] | None:
        with self._database.read() as connection:
            return connection.execute(
                select(
                    REPLICAS,
                    BODIES.c.case_id,
                    BODIES.c.sealed_sha256,
                    CASES.c.priority,
                    func.coalesce(BODIES.c.region, UPLOADS.c.region).label("home"),
                )
                .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
                .join(UPLOADS, UPLOADS.c.id == BODIES.c.upload_id)
                .join(CASES, CASES.c.id == BODIES.c.case_id)
                .where(REPLICAS.c.object_key == object_key, REPLICAS.c.region == region)
            ).first()

    # -- making ----------------------------------------------------------------------------------------------------

    def _copy(self, row: Row[Any], tree: CaseTree) -> None:
        key, region = ObjectKey(row.object_key), row.region
        started = time.monotonic()
        try:
            self._permit(row, tree)
            source = self._source(row)
            scope_key = self._book.scope_key(tree, region)
            store = self._objects.copying_store(source, region, self._paced(row, tree, source))
            store.copy(
                key,
                Region(region),
                tree.key_scope,
                scope_key,
                expected=None if row.sealed_sha256 is None else bytes.fromhex(row.sealed_sha256),
                permit=lambda: self._permit(row, tree),
            )
            self._permit(row, tree)
        except CopyForbiddenError as error:
            self._give_up(row, tree, str(error))
            return
        except StorageError as error:
            self._note_failure(row, tree, error, "copy.failed")
            return
        if not self._count(row, tree, source, int((time.monotonic() - started) * 1000)):
            self._give_up(row, tree, "it was withdrawn while it was made")

    def _count(self, row: Row[Any], tree: CaseTree, source: str, milliseconds: int) -> bool:
        """Say that the copy is there, unless it is not wanted any more, or may not be by what another process noted."""
        with self._database.write() as connection:
            if not is_recorded(connection, tree, row.region):
                return False
            counted = connection.execute(
                update(REPLICAS)
                .where(
                    REPLICAS.c.object_key == row.object_key,
                    REPLICAS.c.region == row.region,
                    REPLICAS.c.state == "wanted",
                )
                .values(state="present", verified_at=self._clock(), withdrawn_at=None, last_error=None)
            )
            if counted.rowcount != 1:
                return False
            self._trail.append(
                connection,
                customer_chain(tree.customer),
                "copy.verified",
                object=row.object_key,
                case=tree.number,
                source=source,
                region=row.region,
                milliseconds=milliseconds,
            )
        self._placing.flag(tree.number)  # with this one whole, another may have to go
        return True

    def _permit(self, row: Row[Any], tree: CaseTree) -> None:
        """Return if the copy may be made.

        Raises:
            CopyForbiddenError: it may not.
            CopyPausedError: nobody can say so now.
        """
        if not self._is_wanted(row):
            raise CopyForbiddenError("it is not wanted any more")
        allowed = self._placing.may_lie(tree, row.region)
        if allowed is None:
            raise CopyPausedError("the case system does not say where the case may lie")
        if not allowed:
            raise CopyForbiddenError("the rules, or what the case system says now, do not let it lie there")

    def _is_wanted(self, row: Row[Any]) -> bool:
        with self._database.read() as connection:
            state = connection.execute(
                select(REPLICAS.c.state).where(REPLICAS.c.object_key == row.object_key, REPLICAS.c.region == row.region)
            ).scalar()
        return state == "wanted"

    def _source(self, row: Row[Any]) -> str:
        """Return where to read it: where it is whole, its home first, another one at each further try."""
        with self._database.read() as connection:
            present = list(
                connection.execute(
                    select(REPLICAS.c.region)
                    .where(REPLICAS.c.object_key == row.object_key, REPLICAS.c.state == "present")
                    .order_by(REPLICAS.c.queued_at, REPLICAS.c.region)
                ).scalars()
            )
        if not present:
            raise CopyForbiddenError("it is whole nowhere that is known")
        present.sort(key=lambda region: region != row.home)
        return str(present[row.attempts % len(present)])

    def _paced(self, row: Row[Any], tree: CaseTree, source: str) -> Callable[[int], None]:
        """Return what is called with the bytes of each piece: it waits as long as the limits ask for."""
        wait = self.pace_between(source, row.region)
        due = time.monotonic() + CHECK_SECONDS

        def pace(count: int) -> None:
            nonlocal due
            wait(count)
            if time.monotonic() >= due:
                due = time.monotonic() + CHECK_SECONDS
                self._permit(row, tree)

        return pace

    def _give_up(self, row: Row[Any], tree: CaseTree, why: str) -> None:
        """Take away what was written of a copy that may not be, and have its case reviewed."""
        log.info("intake.copy_forbidden", extra={"object": row.object_key, "region": row.region, "why": why})
        try:
            self._objects.withdraw(ObjectKey(row.object_key), row.region)
        except StorageError as error:
            self._note_failure(row, tree, error, "copy.failed", state="leaving")
        else:
            wait = self._clock() + self._settings.retry_first
            with self._database.write() as connection:
                connection.execute(
                    update(REPLICAS)
                    .where(
                        REPLICAS.c.object_key == row.object_key,
                        REPLICAS.c.region == row.region,
                        REPLICAS.c.state == "wanted",
                    )
                    .values(due_at=wait)
                )
        self._placing.flag(tree.number)

    # -- taking away -----------------------------------------------------------------------------------------------

    def _withdraw(self, row: Row[Any], tree: CaseTree) -> None:
        try:
            self._objects.withdraw(ObjectKey(row.object_key), row.region)
        except StorageError as error:
            self._note_failure(row, tree, error, "copy.withdrawal_failed")
            return
        now = self._clock()
        with self._database.write() as connection:
            gone = connection.execute(
                update(REPLICAS)
                .where(
                    REPLICAS.c.object_key == row.object_key,
                    REPLICAS.c.region == row.region,
                    REPLICAS.c.state == "leaving",
                )
                .values(state="withdrawn", withdrawn_at=now, last_error=None)
            )
            if gone.rowcount != 1:
                return
            self._trail.append(
                connection,
                customer_chain(tree.customer),
                "copy.withdrawn",
                object=row.object_key,
                case=tree.number,
                region=row.region,
            )
        self._placing.flag(tree.number)  # it may be allowed there again by now

    def _note_failure(
        self, row: Row[Any], tree: CaseTree, error: StorageError, event: str, *, state: str | None = None
    ) -> None:
        attempts = row.attempts + 1
        wait = min(self._settings.retry_max, self._settings.retry_first * 2 ** min(attempts - 1, 20))
        level, word = (logging.WARNING, "intake.copy_failed")
        if attempts >= self._settings.copy_attempts:
            level, word = (logging.ERROR, "intake.copy_stuck")
        log.log(level, word, extra={"object": row.object_key, "region": row.region, "attempt": attempts})
        changes: dict[str, object] = {} if state is None else {"state": state}
        with self._database.write() as connection:
            connection.execute(
                update(REPLICAS)
                .where(
                    REPLICAS.c.object_key == row.object_key,
                    REPLICAS.c.region == row.region,
                    REPLICAS.c.state == row.state,
                )
                .values(attempts=attempts, due_at=self._clock() + wait, last_error=type(error).__name__, **changes)
            )
            self._trail.append(
                connection,
                customer_chain(tree.customer),
                event,
                object=row.object_key,
                case=tree.number,
                source=row.home,
                region=row.region,
                attempt=attempts,
                why=type(error).__name__,
            )
