"""What releasers have decided about a quarantined upload, carried out: stored as it is and flagged, or destroyed."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update

from mft.audit import customer_chain
from mft.catalog.model import BODIES, RELEASES, REPLICAS, UPLOADS
from mft.catalog.states import StateError, UploadState, move_upload
from mft.holds import held_cases, hold_on
from mft.intake.records import tree_in
from mft.intake.scrubbing import RELEASED, Undone
from mft.quarantine import Verdict, forget_decision
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Row

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.intake.scrubbing import Scrubbing
    from mft.intake.settings import IntakeSettings
    from mft.intake.settling import Settling

log = logging.getLogger(__name__)
_PAGE = 200


class Releasing:
    """Carries decisions out; each step may be done again."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        scrubbing: Scrubbing,
        settling: Settling,
        settings: IntakeSettings,
        is_steady: Callable[[], bool] = lambda: True,
    ) -> None:
        """Copy by *scrubbing*'s children, publish by *settling*; nothing is over unless the clock *is_steady*."""
        self._database = database
        self._trail = trail
        self._scrubbing = scrubbing
        self._settling = settling
        self._retention = settings.quarantine_retention
        self._is_steady = is_steady

    def expire(self) -> None:
        """Destroy what waited for a decision longer than the quarantine keeps it; a hold or a decision stays it."""
        if self._retention is None or not self._is_steady():
            return
        decided = select(RELEASES.c.upload_id).where(RELEASES.c.done_at.is_(None))
        with self._database.read() as connection:
            due = connection.execute(
                select(UPLOADS.c.id)
                .where(
                    UPLOADS.c.state == UploadState.QUARANTINED,
                    UPLOADS.c.finished_at < time.time() - self._retention,
                    UPLOADS.c.case_id.not_in(held_cases()),
                    UPLOADS.c.id.not_in(decided),
                )
                .limit(_PAGE)
            ).scalars()
            ids = list(due)
        for upload_id in ids:
            self._expire(upload_id)

    def _expire(self, upload_id: str) -> None:
        try:
            with self._database.write() as connection:
                decided = select(RELEASES).where(RELEASES.c.upload_id == upload_id, RELEASES.c.done_at.is_(None))
                row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
                held = hold_on(connection, tree_in(connection, row.case_id).number) is not None
                if held or connection.execute(decided).first() is not None:
                    return
                self._end(connection, row, "nobody decided about it in time, and the quarantine keeps nothing longer")
                self._event(connection, row, "upload.destroyed", why="quarantine.retention")
        except StateError:
            log.info("intake.alreadysettled", extra={"upload": upload_id})

    def waiting(self, limit: int) -> list[str]:
        """Return uploads about which is decided and nothing done."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(RELEASES.c.upload_id)
                .join(UPLOADS, UPLOADS.c.id == RELEASES.c.upload_id)
                .where(
                    RELEASES.c.done_at.is_(None),
                    or_(RELEASES.c.wish != Verdict.DESTROY, UPLOADS.c.case_id.not_in(held_cases())),
                )
                .order_by(RELEASES.c.decided_at)
                .limit(limit)
            )
            return [row.upload_id for row in rows]

    def copy(self, upload_id: str) -> str:
        """Make an object of an upload that is to be released, byte for byte; return how it went, as JSON."""
        with self._database.read() as connection:
            decided = connection.execute(select(RELEASES).where(RELEASES.c.upload_id == upload_id)).first()
        if decided is None or decided.done_at is not None or decided.wish != Verdict.RELEASE:
            return json.dumps({"outcome": ""})
        with self._database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
        if row is not None and row.object_key is not None:  # a rescan held it back: what is stored of it is there
            return json.dumps({"outcome": RELEASED, "object": row.object_key})
        outcome = self._scrubbing.copy_as_it_is(upload_id)
        if isinstance(outcome, Undone):
            return json.dumps({"outcome": "failed", "reason": outcome.reason})
        return json.dumps({"outcome": RELEASED, "object": outcome})

    def settle(self, upload_id: str, outcome_json: str) -> str:
        """Bring the upload into its last state, in one transaction."""
        told = json.loads(outcome_json)
        try:
            with self._database.write() as connection:
                decided = connection.execute(select(RELEASES).where(RELEASES.c.upload_id == upload_id)).first()
                if decided is None or decided.done_at is not None:
                    return ""
                row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
                self._carry_out(connection, row, decided, told)
        except StateError:
            log.info("intake.alreadysettled", extra={"upload": upload_id})
            with self._database.write() as connection:
                self._done(connection, upload_id)
        else:
            self._settling.stored(upload_id)
        return ""

    def _carry_out(self, connection: Connection, row: Row[Any], decided: Row[Any], told: dict[str, Any]) -> None:
        if decided.wish == Verdict.DESTROY:
            if hold_on(connection, tree_in(connection, row.case_id).number) is not None:
                return  # a legal hold wins: what was decided waits until it is released
            self._destroy(connection, row, decided)
        elif told["outcome"] == RELEASED and row.object_key is not None:
            self._settling.readmit(connection, row, voters=json.loads(decided.voters))
        elif told["outcome"] == RELEASED:
            self._settling.release(connection, row, ObjectKey(told["object"]), voters=json.loads(decided.voters))
        else:
            forget_decision(connection, row.id)
            self._event(connection, row, "quarantine.release_failed", why=told.get("reason"))
            return
        self._done(connection, row.id)

    def _destroy(self, connection: Connection, row: Row[Any], decided: Row[Any]) -> None:
        self._end(connection, row, "it was destroyed after quarantine")
        self._event(connection, row, "upload.destroyed", voters=json.loads(decided.voters))

    def _end(self, connection: Connection, row: Row[Any], reason: str) -> None:
        move_upload(connection, row.id, UploadState.DESTROYED, reason=reason, finished_at=time.time())
        if row.object_key is not None:
            gone = update(BODIES).where(BODIES.c.key == row.object_key, BODIES.c.state == "stored")
            connection.execute(gone.values(state="obsolete", reverse_map=None))
            lies = update(REPLICAS).where(REPLICAS.c.object_key == row.object_key, REPLICAS.c.state != "withdrawn")
            connection.execute(lies.values(state="destroying"))
        self._settling.receipt(connection, row, tree_in(connection, row.case_id), outcome="destroyed", reason=reason)

    def _event(self, connection: Connection, row: Row[Any], kind: str, **details: object) -> None:
        tree = tree_in(connection, row.case_id)
        chain = customer_chain(tree.customer)
        self._trail.append(connection, chain, kind, upload=row.id, case=tree.number, **details)

    @staticmethod
    def _done(connection: Connection, upload_id: str) -> None:
        connection.execute(update(RELEASES).where(RELEASES.c.upload_id == upload_id).values(done_at=time.time()))
