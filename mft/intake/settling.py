"""What becomes of a scrubbed upload: stored and shown, quarantined or rejected; with event and final receipt."""

from __future__ import annotations

import json
import logging
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from mft.audit import customer_chain
from mft.catalog.fixed import Fixed
from mft.catalog.model import BODIES, NODES, RECEIPTS, REPLICAS, UPLOADS
from mft.catalog.states import StateError, UploadState, move_upload
from mft.intake.naming import free_name
from mft.intake.pseudonyms import ContradictedError, OvertakenError
from mft.intake.records import moment, tree_in
from mft.intake.scrubbing import AGAIN, NOTHING_TO_DO, RELEASED, discard_body
from mft.policy import Outcome
from mft.upload.newest import show_head, show_newest
from mft.upload.passwords import forget_passwords, has_passwords
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mft.audit import AuditTrail
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.pseudonyms import PseudonymBooks
    from mft.intake.settings import IntakeSettings

log = logging.getLogger(__name__)
# Made once: to build them anew costs as much as to run them, and the catalog is locked meanwhile.
_UPLOAD = Fixed(select(UPLOADS).where(UPLOADS.c.id == bindparam("of")))
_BODY = Fixed(select(BODIES).where(BODIES.c.key == bindparam("of")))
_OF_BODY = Fixed(update(BODIES).where(BODIES.c.key == bindparam("of")), "state")
_NEW_REPLICA = Fixed(insert(REPLICAS), "object_key", "region", "state", "queued_at", "due_at", "verified_at")
_SHOWN_AS = Fixed(update(NODES).where(NODES.c.id == bindparam("of")), "shown_name")
_NODE = Fixed(select(NODES).where(NODES.c.id == bindparam("of")))
_VERSION = Fixed(select(UPLOADS.c.version).where(UPLOADS.c.id == bindparam("of")))
_DIGEST = Fixed(select(UPLOADS.c.sha256).where(UPLOADS.c.id == bindparam("of")))
_FINAL_RECEIPT = Fixed(insert(RECEIPTS).prefix_with("OR REPLACE"), "upload_id", "kind", "document", "created_at")
UNSCRUBBED = "released from quarantine, unscrubbed"
READMITTED = "released from quarantine, as it was scrubbed before"


class Settling:
    """Brings uploads into their last state."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        sign: Callable[[Mapping[str, object]], dict[str, object]],
        books: PseudonymBooks,
        settings: IntakeSettings,
        stored: Callable[[str], None],
    ) -> None:
        """Sign final receipts with *sign*; keep in *books* what published uploads have taught.

        *stored* is called with the number of a case of which something was stored or withheld.
        """
        self._stored = stored
        self._books = books
        self._database = database
        self._trail = trail
        self._sign = sign
        self._settings = settings

    def settle(self, upload_id: str, outcome_json: str) -> str:
        """Bring an upload into the state that its outcome asks for, with event and receipt, in one transaction."""
        told = json.loads(outcome_json)
        if told["outcome"] in {NOTHING_TO_DO, AGAIN}:
            return ""
        outcome = Outcome(told["outcome"])
        try:
            if outcome in {Outcome.ACCEPT, Outcome.REDACT}:
                self._publish_with_names(upload_id, outcome.value, ObjectKey(told["object"]), told)
                self.stored(upload_id)
            else:
                with self._database.write() as connection:
                    row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
                    self._withhold(connection, row, outcome, told)
                self.stored(upload_id)
        except StateError:
            log.info("intake.alreadysettled", extra={"upload": upload_id})
        return ""

    def _publish_with_names(self, upload_id: str, outcome: str, object_key: ObjectKey, told: Mapping[str, Any]) -> None:
        """Publish an upload and keep what it taught, both or neither; have it scrubbed again if the two would differ.

        Merging takes time, so it is done before the transaction, and done again where another upload was faster.
        """
        while True:
            try:
                lesson = self._books.lesson(object_key)
                with self._database.write() as connection:
                    row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
                    forget_passwords(connection, told.get("tried", ()))
                    self._publish(connection, row, outcome, object_key, told=told)
                    self._books.keep(connection, object_key, lesson)
            except OvertakenError:
                continue
            except ContradictedError:
                self._scrub_again(upload_id, object_key)
            return

    def _scrub_again(self, upload_id: str, object_key: ObjectKey) -> None:
        """Put an upload back whose pseudonyms are not those of the uploads that were published meanwhile."""
        log.info("intake.pseudonyms_contradicted", extra={"upload": upload_id})
        with self._database.write() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
            if row.state != UploadState.SCRUBBING:
                raise StateError("it was settled by somebody else")
            move_upload(connection, upload_id, UploadState.LANDED, attempts=row.attempts - 1)
            discard_body(connection, object_key)

    def stored(self, upload_id: str) -> None:
        """Have reviewed where what was just stored or withheld may lie: that may have changed since it began."""
        with self._database.read() as connection:
            case_id = connection.execute(select(UPLOADS.c.case_id).where(UPLOADS.c.id == upload_id)).scalar_one()
            self._stored(tree_in(connection, case_id).number)

    def conclude(self, connection: Connection, upload_id: str, told: Mapping[str, Any]) -> None:
        """Do the same as `settle`, of several at once, in the transaction of *connection*, which keeps their names too.

        Raises:
            StateError: it was settled by somebody else.
        """
        row = _UPLOAD.first(connection, {"of": upload_id})
        outcome = Outcome(told["outcome"])
        if outcome in {Outcome.ACCEPT, Outcome.REDACT}:
            self._publish(connection, row, outcome.value, ObjectKey(told["object"]), told=told)
        else:
            self._withhold(connection, row, outcome, told)

    def release(self, connection: Connection, row: Row[Any], object_key: ObjectKey, *, voters: list[str]) -> None:
        """Publish a quarantined upload as it is, because *voters* have decided so; that is said wherever it is seen."""
        self._publish(connection, row, RELEASED, object_key, reason=UNSCRUBBED, voters=voters)

    def readmit(self, connection: Connection, row: Row[Any], *, voters: list[str]) -> None:
        """Publish a version once more that a rescan had held back: as it was stored, because *voters* decided so."""
        move_upload(connection, row.id, UploadState.STORED, reason=READMITTED, finished_at=time.time())
        show_newest(connection, row.node_id)
        tree = tree_in(connection, row.case_id)
        body = connection.execute(select(BODIES).where(BODIES.c.key == row.object_key)).one()
        home = body.region or row.region
        self.receipt(
            connection,
            row,
            tree,
            outcome=RELEASED,
            reason=READMITTED,
            stored={"size": body.size, "sha256": body.sha256, "region": home, "copies": []},
            removed=json.loads(row.report or "{}").get("counts", {}),
        )
        self._trail.append(
            connection,
            customer_chain(tree.customer),
            "upload.released",
            upload=row.id,
            case=tree.number,
            voters=voters,
            object=row.object_key,
        )

    def _publish(
        self,
        connection: Connection,
        row: Row[Any],
        outcome: str,
        object_key: ObjectKey,
        *,
        reason: str | None = None,
        voters: list[str] | None = None,
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        now = time.time()
        body = _BODY.first(connection, {"of": object_key})
        home = body.region or row.region
        move_upload(
            connection,
            row.id,
            UploadState.STORED,
            object_key=object_key,
            scrubbed_size=body.size,
            scrubbed_sha256=body.sha256,
            finished_at=now,
            reason=reason,
        )
        _OF_BODY.run(connection, {"of": object_key, "state": "stored"})
        replica = {"object_key": object_key, "queued_at": now, "due_at": now}
        _NEW_REPLICA.run(connection, {**replica, "region": home, "state": "present", "verified_at": now})
        # As decided when it began; where that has changed since, a review of the case says otherwise.
        copies = [region for region in row.copies.split(",") if region and region != home]
        for region in copies:
            _NEW_REPLICA.run(connection, {**replica, "region": region, "state": "wanted", "verified_at": None})
        self._show(connection, row)
        tree = tree_in(connection, row.case_id)
        report = json.loads(row.report)
        self.receipt(
            connection,
            row,
            tree,
            outcome=outcome,
            reason=reason,
            stored={"size": body.size, "sha256": body.sha256, "region": home, "copies": copies},
            removed=report["counts"],
        )
        self._trail.append(
            connection,
            customer_chain(tree.customer),
            "upload.stored",
            upload=row.id,
            case=tree.number,
            outcome=outcome,
            voters=voters,
            object=object_key,
            region=home,
            copies=copies,
            size=body.size,
            sha256=body.sha256,
            removed=report["counts"],
            profile=report.get("profile"),
            profile_rule=report.get("profile_rule"),
            profile_reason=report.get("profile_reason") or None,
            scanners=told.get("scanners") or None,
        )

    def _show(self, connection: Connection, row: Row[Any]) -> None:
        """Make the version the newest of its node; show the node and its directories under scrubbed names."""
        node = _NODE.first(connection, {"of": row.node_id})
        head = _VERSION.first(connection, {"of": node.head_upload})
        if head is None or head.version < row.version:
            show_head(connection, node.id, row.id)
        for name, shown in reversed(json.loads(row.shown_path)):
            if node.name != name:
                return  # renamed meanwhile: `Naming` shows it under its new name
            if node.shown_name is None and node.parent_id is not None:
                free = free_name(connection, node.parent_id, shown)
                _SHOWN_AS.run(connection, {"of": node.id, "shown_name": free})
            if node.parent_id is None:
                return
            node = _NODE.first(connection, {"of": node.parent_id})

    def _withhold(self, connection: Connection, row: Row[Any], outcome: Outcome, told: Mapping[str, Any]) -> None:
        reason: str | None = told["reason"]
        forget_passwords(connection, told.get("tried", ()))
        if outcome is Outcome.QUARANTINE and has_passwords(connection, row.id):
            move_upload(connection, row.id, UploadState.LANDED, attempts=0)  # one came while it was looked into
            return
        state = UploadState.QUARANTINED if outcome is Outcome.QUARANTINE else UploadState.REJECTED
        move_upload(connection, row.id, state, reason=reason, finished_at=time.time())
        tree = tree_in(connection, row.case_id)
        report = json.loads(row.report) if row.report else {}
        self.receipt(connection, row, tree, outcome=state.value, reason=reason)
        self._trail.append(
            connection,
            customer_chain(tree.customer),
            f"upload.{state.value}",
            upload=row.id,
            case=tree.number,
            why=reason,
            profile=report.get("profile"),
            profile_rule=report.get("profile_rule"),
            profile_reason=report.get("profile_reason") or None,
            scanners=told.get("scanners") or None,
        )

    def receipt(self, connection: Connection, row: Row[Any], tree: CaseTree, **claims: object) -> None:
        """Sign the final receipt of an upload that comes to its end in the transaction of *connection*."""
        now = time.time()
        sha256 = _DIGEST.scalar(connection, {"of": row.id})
        document = self._sign(
            {
                "kind": "final",
                "id": row.id,
                "url": f"/api/v1/receipts/{row.id}",
                "installation": self._settings.installation,
                "case": tree.number,
                "name": row.name,
                "version": row.version,
                "login": row.login,
                "size": row.size,
                "sha256": sha256 or "unknown",
                "landed_at": moment(row.landed_at),
                "finished_at": moment(now),
                **{name: value for name, value in claims.items() if value is not None},
            }
        )
        receipt = {"upload_id": row.id, "kind": "final", "document": json.dumps(document), "created_at": now}
        _FINAL_RECEIPT.run(connection, receipt)
