"""Landing logs that may not lie where they do: carried to their case's home as they are, and taken away behind it.

What waits to be looked at, is held in quarantine or names no case has no other copy, so it follows the rules as stored
files do: a review writes what is wished, a job carries it out and asks once more. A row names every region in which
something of a log may lie before a byte is there, and stays until nothing is: a crash leaves nothing behind unnoticed.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, select, update

from mft.audit import customer_chain
from mft.box import case_or_none
from mft.catalog.model import LANDING_MOVES, RELEASES, UPLOADS
from mft.catalog.states import UploadState
from mft.upload.landingkeys import key_of_day
from mft.upload.landingplaces import joined, split
from storage.errors import LandingNotFoundError, StorageError
from storage.keys.envelope import Envelope, Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.placing import Placing
    from mft.intake.records import CaseBook
    from mft.intake.settings import IntakeSettings
    from mft.upload.landingkeys import LandingKeys
    from storage.keys.service import KeyService
    from storage.landing import LandingZone

log = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
"""How often a log that is being carried asks whether it may still go there."""
_BUSY = (UploadState.RECEIVING, UploadState.INTERRUPTED, UploadState.SCRUBBING)


class CarryForbiddenError(StorageError):
    """The log may not go there, or not any more."""


class CarryPausedError(StorageError):
    """It cannot be carried now: somebody is at work on it, or nobody can say where it may lie."""


class Carrying:
    """Carries landing logs of this machine from region to region."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        book: CaseBook,
        keys: KeyService,
        landing_keys: LandingKeys,
        zones: Mapping[str, LandingZone],
        placing: Placing,
        pace: Callable[[str, str], Callable[[int], None]],
        settings: IntakeSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Carry between *zones*, as far as *placing* says, as fast as *pace* (of a source and a target) lets pass."""
        self._database = database
        self._trail = trail
        self._book = book
        self._keys = keys
        self._landing_keys = landing_keys
        self._zones = zones
        self._placing = placing
        self._pace = pace
        self._settings = settings
        self._clock = clock

    def waiting(self, limit: int) -> list[str]:
        """Return the ids of logs that are to be carried or taken away, the longest due first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(LANDING_MOVES.c.landing_id)
                .where(LANDING_MOVES.c.due_at <= self._clock(), LANDING_MOVES.c.host == self._settings.host)
                .order_by(LANDING_MOVES.c.due_at)
                .limit(limit)
            )
            return list(rows.scalars())

    def carry(self, landing_id: str) -> str:
        """Do what is wished of one log; a failure is noted and comes up again later."""
        with self._database.read() as connection:
            move = connection.execute(select(LANDING_MOVES).where(LANDING_MOVES.c.landing_id == landing_id)).first()
        if move is None:
            return ""
        tree = self._book.tree(move.case_id)
        try:
            self._carry(move, tree)
        except CarryForbiddenError as error:
            log.info("intake.carry_forbidden", extra={"landing": landing_id, "why": str(error)})
            self._give_up(move)
            self._placing.flag(tree.number)
        except StorageError as error:
            self._note_failure(move, error)
        return ""

    def _carry(self, move: Row[Any], tree: CaseTree) -> None:
        rows = self._rows(move.landing_id)
        move = self._take_away(move, tree, rows)
        if move.target is None or not rows or rows[0].region == move.target:
            self._finish(move)
            return
        self._check_free(move, rows)
        self._permit(move, tree)
        source = rows[0].region
        self._zones[source].carry(move.landing_id, self._zones[move.target], self._watched(move, tree, source))
        self._permit(move, tree)
        moved = self._count(move, tree, rows)
        log.info("intake.landing_moved", extra={"landing": move.landing_id, "source": source, "region": move.target})
        self._finish(self._take_away(moved, tree, self._rows(move.landing_id)))

    def _rows(self, landing_id: str) -> Sequence[Row[Any]]:
        with self._database.read() as connection:
            return _uploads(connection, landing_id)

    def _check_free(self, move: Row[Any], rows: Sequence[Row[Any]]) -> None:
        """Return if nobody is at work on any upload of the log.

        Raises:
            CarryPausedError: somebody is; what becomes of it will be reviewed.
        """
        if any(row.state in _BUSY for row in rows):
            raise CarryPausedError("an upload of this log is being written or scrubbed")
        with self._database.read() as connection:
            if _is_decided(connection, [row.id for row in rows]):
                raise CarryPausedError(f"what was decided about {move.landing_id} is carried out first")

    def _permit(self, move: Row[Any], tree: CaseTree) -> None:
        """Return if the log may lie where it goes.

        Raises:
            CarryForbiddenError: it may not, or is to go elsewhere by now.
            CarryPausedError: nobody can say so now.
        """
        with self._database.read() as connection:
            target = connection.execute(
                select(LANDING_MOVES.c.target).where(LANDING_MOVES.c.landing_id == move.landing_id)
            ).scalar()
        if target != move.target:
            raise CarryForbiddenError("it is to lie elsewhere by now")
        allowed = self._placing.may_lie(tree, move.target)
        if allowed is None:
            raise CarryPausedError("the case system does not say where it may lie")
        if not allowed:
            raise CarryForbiddenError("the rules, or what the case system says now, do not let it lie there")

    def _watched(self, move: Row[Any], tree: CaseTree, source: str) -> Callable[[int], None]:
        wait = self._pace(source, move.target)
        due = time.monotonic() + CHECK_SECONDS

        def pace(count: int) -> None:
            nonlocal due
            wait(count)
            if time.monotonic() >= due:
                due = time.monotonic() + CHECK_SECONDS
                self._permit(move, tree)

        return pace

    def _count(self, move: Row[Any], tree: CaseTree, before: Sequence[Row[Any]]) -> Row[Any]:
        """Say that the log lies at its target now, unless anything happened to its uploads meanwhile.

        Raises:
            CarryPausedError: something did.
            KeyUnavailableError: a key is out of reach.
        """
        source = before[0].region
        day, scope_key = self._landing_keys.today(move.target, tree.customer)
        envelopes = {
            row.id: self._keys.move_key(
                Envelope.from_dict(json.loads(row.landing_envelope)), Region(move.target), f"landing:{day}", scope_key
            )
            for row in before
            if row.landing_envelope
        }
        with self._database.write() as connection:
            now = _uploads(connection, move.landing_id)
            same = [_standing(row) for row in now] == [_standing(row) for row in before]
            key_is_there = key_of_day(connection, move.target, day) is not None
            if not same or not key_is_there or _is_decided(connection, [row.id for row in now]):
                raise CarryPausedError("an upload of this log has changed meanwhile")
            changes = {"target": None, "left_in": source, "attempts": 0}
            counted = connection.execute(
                update(LANDING_MOVES)
                .where(LANDING_MOVES.c.landing_id == move.landing_id, LANDING_MOVES.c.target == move.target)
                .values(**changes)
            )
            if counted.rowcount != 1:
                raise CarryPausedError("it is to lie elsewhere by now")
            for row in now:
                moved = envelopes.get(row.id)
                connection.execute(
                    update(UPLOADS)
                    .where(UPLOADS.c.id == row.id)
                    .values(
                        region=move.target,
                        landing_day=day,
                        landing_envelope="" if moved is None else json.dumps(moved.to_dict()),
                    )
                )
                self._event(connection, tree, "landing.moved", row.id, source=source, region=move.target)
            return connection.execute(select(LANDING_MOVES).where(LANDING_MOVES.c.landing_id == move.landing_id)).one()

    def _take_away(self, move: Row[Any], tree: CaseTree, rows: Sequence[Row[Any]]) -> Row[Any]:
        """Remove what lies where the log does not belong, and return the wish as it is then; the audit says so."""
        home = {row.region for row in rows}
        gone = [region for region in split(move.left_in) if region not in home]
        for region in gone:
            self._zones[region].destroy(move.landing_id)
        here = LANDING_MOVES.c.landing_id == move.landing_id
        with self._database.write() as connection:
            for region in gone:
                for row in rows:
                    self._event(connection, tree, "landing.withdrawn", row.id, region=region)
            connection.execute(
                update(LANDING_MOVES).where(here, LANDING_MOVES.c.left_in == move.left_in).values(left_in="")
            )
            now = connection.execute(select(LANDING_MOVES).where(here)).first()
        return move if now is None else now

    def _finish(self, move: Row[Any]) -> None:
        """Forget the wish: nothing lies anywhere else. One that was changed meanwhile stays."""
        same = (LANDING_MOVES.c.landing_id == move.landing_id, LANDING_MOVES.c.left_in == move.left_in)
        wish = LANDING_MOVES.c.target.is_(None) if move.target is None else LANDING_MOVES.c.target == move.target
        with self._database.write() as connection:
            connection.execute(delete(LANDING_MOVES).where(*same, wish))

    def _give_up(self, move: Row[Any]) -> None:
        """Have what was carried taken away again."""
        left = joined(move.left_in, move.target)
        with self._database.write() as connection:
            connection.execute(
                update(LANDING_MOVES)
                .where(LANDING_MOVES.c.landing_id == move.landing_id, LANDING_MOVES.c.target == move.target)
                .values(target=None, left_in=left, due_at=self._clock())
            )

    def _note_failure(self, move: Row[Any], error: StorageError) -> None:
        attempts = move.attempts + 1
        wait = min(self._settings.retry_max, self._settings.retry_first * 2 ** min(attempts - 1, 20))
        paused = isinstance(error, CarryPausedError)
        level = logging.INFO if paused else logging.WARNING
        why = "no such log" if isinstance(error, LandingNotFoundError) else str(error)
        log.log(level, "intake.carry_failed", extra={"landing": move.landing_id, "attempt": attempts, "why": why})
        with self._database.write() as connection:
            connection.execute(
                update(LANDING_MOVES)
                .where(LANDING_MOVES.c.landing_id == move.landing_id)
                .values(attempts=attempts, due_at=self._clock() + wait, last_error=type(error).__name__)
            )

    def _event(self, connection: Connection, tree: CaseTree, kind: str, upload_id: str, **details: object) -> None:
        chain, case = customer_chain(tree.customer), case_or_none(tree.number)
        self._trail.append(connection, chain, kind, upload=upload_id, case=case, **details)


def _uploads(connection: Connection, landing_id: str) -> Sequence[Row[Any]]:
    wanted = select(UPLOADS).where(UPLOADS.c.landing_id == landing_id, UPLOADS.c.landing_gone_at.is_(None))
    return connection.execute(wanted.order_by(UPLOADS.c.id)).all()


def _standing(row: Row[Any]) -> tuple[object, ...]:
    return row.id, row.state, row.epoch, row.records, row.region, row.landing_envelope, row.case_id


def _is_decided(connection: Connection, ids: Sequence[str]) -> bool:
    waiting = select(RELEASES.c.upload_id).where(RELEASES.c.upload_id.in_(ids), RELEASES.c.done_at.is_(None))
    return connection.execute(waiting).first() is not None
