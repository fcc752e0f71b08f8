"""What a rescan has made, put in the place of what was there.

Row before file: an object is named before its first byte is written. Durable file before state: one transaction puts
the new object in the old one's place, with report, receipt and event. State before deletion: the old object goes after
that, its slots (and with them its key) first, in every region; a legal hold that was set meanwhile keeps it. A crash
leaves either the old object or the new one; what it left half done is done again.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, insert, select, update

from mft.audit import customer_chain
from mft.catalog.model import BODIES, NODES, RECEIPTS, REPLICAS, RESCAN_FILES, RESCANS, UPLOADS
from mft.catalog.states import UploadState, move_upload
from mft.holds import held_cases, hold_on
from mft.intake.naming import free_name
from mft.intake.pseudonyms import ContradictedError, OvertakenError
from mft.intake.records import moment, tree_in
from mft.intake.scrubbing import discard_body
from mft.policy import Outcome
from mft.rescans import FileState
from mft.reversemaps import join_maps
from mft.upload.newest import show_head, show_newest
from storage.errors import ObjectLockedError, StorageError
from storage.store import ObjectKey

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Update

    from mft.audit import AuditTrail
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.placing import Placing
    from mft.intake.pseudonyms import PseudonymBooks
    from mft.intake.records import CaseBook
    from mft.intake.settling import Settling
    from mft.objects import Objects

log = logging.getLogger(__name__)
HELD = "a legal hold was set: what a rescan replaces would be destroyed"
_PAGE = 200


class Replacing:
    """Settles what rescans have come to, and clears away what they have replaced; each step may be done again."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        book: CaseBook,
        books: PseudonymBooks,
        objects: Objects,
        placing: Placing,
        settling: Settling,
    ) -> None:
        """Sign receipts as *settling* does; have *placing* review the copies of what was replaced."""
        self._database = database
        self._trail = trail
        self._book = book
        self._books = books
        self._objects = objects
        self._placing = placing
        self._settling = settling

    def settle(self, rescan_id: str, upload_id: str, told_json: str) -> str:
        """Put what came of it on record, in one transaction; the last file of an order ends it."""
        told = json.loads(told_json)
        if not told["state"]:
            return ""
        with self._database.read() as connection:
            kept = connection.execute(select(RESCAN_FILES.c.told).where(*_this(rescan_id, upload_id))).scalar()
        whole: dict[str, Any] = json.loads(kept) if kept else {}
        if "why" not in told and whole.get("object") != told["object"]:
            return ""  # another attempt has put its own in this place
        told = whole | told
        while True:
            try:
                self._settle(rescan_id, upload_id, told)
            except OvertakenError:
                continue
            except ContradictedError:  # its pseudonyms are not those of what was published meanwhile
                with self._database.write() as connection:
                    discard_body(connection, ObjectKey(told["object"]))
                return ""
            return ""

    def _settle(self, rescan_id: str, upload_id: str, told: dict[str, Any]) -> None:
        state = FileState(told["state"])
        new = told.get("object")
        lesson = self._books.lesson(ObjectKey(new)) if new and state is FileState.TIGHTENED else None
        with self._database.write() as connection:
            found = connection.execute(file_of(rescan_id, upload_id)).one()
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
            if found.state != FileState.WAITING.value:
                state = FileState.LEFT  # another was faster; its word stands
            elif not found.dry_run and state in {FileState.TIGHTENED, FileState.QUARANTINED}:
                state, told = self._carry_out(connection, row, found, told)
            if new and state is not FileState.TIGHTENED:
                discard_body(connection, ObjectKey(new))
            elif state is FileState.TIGHTENED and new:
                self._books.keep(connection, ObjectKey(new), lesson)
            if found.state == FileState.WAITING.value:
                self._note(connection, found, state, told)
        if state is FileState.TIGHTENED and new:
            self._placing.flag(self._book.tree(row.case_id).number)

    def _carry_out(
        self, connection: Connection, row: Row[Any], found: Row[Any], told: dict[str, Any]
    ) -> tuple[FileState, dict[str, Any]]:
        """Change the upload, unless something stands against it by now; return what became of it."""
        tree = tree_in(connection, row.case_id)
        state, why = FileState(told["state"]), None
        if row.state != UploadState.STORED or row.object_key != found.object_key:
            why = "it was changed meanwhile"
        elif hold_on(connection, tree.number) is not None:
            why = HELD
        elif state is FileState.TIGHTENED and not self._is_whole(connection, told["object"]):
            why = "its new object was given up: the case may not lie there any more"
        if why is not None:
            return FileState.LEFT, {**told, "why": why, "removed": {}}
        if state is FileState.TIGHTENED:
            self._replace(connection, row, tree, found, told)
        else:
            self._withhold(connection, row, tree, found, told)
        return state, told

    @staticmethod
    def _is_whole(connection: Connection, object_key: str) -> bool:
        state = connection.execute(select(BODIES.c.state).where(BODIES.c.key == object_key)).scalar()
        return bool(state == "writing")

    def _replace(
        self, connection: Connection, row: Row[Any], tree: CaseTree, found: Row[Any], told: dict[str, Any]
    ) -> None:
        now, new, body = time.time(), told["object"], told["body"]
        report = _merged(json.loads(row.report or "{}"), told["report"], at=moment(now))
        connection.execute(
            update(UPLOADS)
            .where(UPLOADS.c.id == row.id)
            .values(
                object_key=new,
                scrubbed_size=body["size"],
                scrubbed_sha256=body["sha256"],
                report=json.dumps(report),
                shown_path=json.dumps(list(zip(told["names"], told["shown"], strict=True))),
                revision=row.revision + 1,
                updated_at=now,
            )
        )
        copies = self._exchange(connection, row, new, told, now)
        self._show(connection, row, told)
        amended = connection.execute(
            select(RECEIPTS.c.document).where(RECEIPTS.c.upload_id == row.id, RECEIPTS.c.kind == "final")
        ).scalar()
        before: dict[str, Any] = json.loads(amended) if amended else {}
        outcome = before.get("outcome")
        if outcome not in {Outcome.REDACT.value, Outcome.ACCEPT.value} or any(told["removed"].values()):
            outcome = Outcome.REDACT.value
        self._settling.receipt(
            connection,
            row,
            tree,
            outcome=outcome,
            stored={"size": body["size"], "sha256": body["sha256"], "region": told["region"], "copies": copies},
            removed=report["counts"],
            rescanned={"id": found.rescan_id, "at": moment(now), "removed": told["removed"]},
            amends=(before.get("signature") or {}).get("value"),
        )
        self._trail.append(
            connection,
            customer_chain(tree.customer),
            "upload.rescanned",
            upload=row.id,
            case=tree.number,
            rescan=found.rescan_id,
            object=new,
            replaced=row.object_key,
            region=told["region"],
            copies=copies,
            size=body["size"],
            sha256=body["sha256"],
            removed=told["removed"],
            profile=report.get("profile"),
            profile_rule=report.get("profile_rule"),
            profile_reason=report.get("profile_reason") or None,
        )

    @staticmethod
    def _exchange(connection: Connection, row: Row[Any], new: str, told: dict[str, Any], now: float) -> list[str]:
        """Have the new object stored and wanted wherever the old one is, and the old one taken away; return where."""
        old = row.object_key
        maps = dict(
            connection.execute(select(BODIES.c.key, BODIES.c.reverse_map).where(BODIES.c.key.in_([old, new]))).all()
        )
        facts = {name: told["body"][name] for name in ("size", "stored_size", "sha256", "sealed_sha256")}
        both = join_maps([maps.get(old), maps.get(new)])
        connection.execute(update(BODIES).where(BODIES.c.key == new).values(state="stored", reverse_map=both, **facts))
        connection.execute(update(BODIES).where(BODIES.c.key == old).values(state="obsolete", reverse_map=None))
        held = connection.execute(
            select(REPLICAS.c.region).where(REPLICAS.c.object_key == old, REPLICAS.c.state.in_(["present", "wanted"]))
        ).scalars()
        copies = sorted(region for region in held if region != told["region"])
        times = {"queued_at": now, "due_at": now}
        connection.execute(
            insert(REPLICAS).values(object_key=new, region=told["region"], state="present", verified_at=now, **times)
        )
        for region in copies:
            connection.execute(insert(REPLICAS).values(object_key=new, region=region, state="wanted", **times))
        connection.execute(
            update(REPLICAS)
            .where(REPLICAS.c.object_key == old, REPLICAS.c.state != "withdrawn")
            .values(state="destroying")
        )
        return copies

    @staticmethod
    def _show(connection: Connection, row: Row[Any], told: dict[str, Any]) -> None:
        """Show the new size, and names that are scrubbed to others now."""
        head = connection.execute(select(NODES.c.head_upload).where(NODES.c.id == row.node_id)).scalar()
        if head == row.id:
            show_head(connection, row.node_id, row.id)
        before = dict(json.loads(row.shown_path or "[]"))
        node = connection.execute(select(NODES).where(NODES.c.id == row.node_id)).one()
        for name, shown in reversed(list(zip(told["names"], told["shown"], strict=True))):
            if node.name != name or node.parent_id is None:
                return  # renamed meanwhile: `Naming` shows it by the rules of now
            if node.shown_name is not None and before.get(name, shown) != shown:
                free = free_name(connection, node.parent_id, shown)
                connection.execute(update(NODES).where(NODES.c.id == node.id).values(shown_name=free))
            node = connection.execute(select(NODES).where(NODES.c.id == node.parent_id)).one()

    def _withhold(
        self, connection: Connection, row: Row[Any], tree: CaseTree, found: Row[Any], told: dict[str, Any]
    ) -> None:
        """Hold a stored version back: its object stays, sealed, and nobody reads it until releasers have decided."""
        reason = f"a rescan by today's rules held it back: {told['why']}"
        move_upload(connection, row.id, UploadState.QUARANTINED, reason=reason, finished_at=time.time())
        show_newest(connection, row.node_id)
        self._settling.receipt(connection, row, tree, outcome=UploadState.QUARANTINED.value, reason=reason)
        self._trail.append(
            connection,
            customer_chain(tree.customer),
            "upload.quarantined",
            upload=row.id,
            case=tree.number,
            rescan=found.rescan_id,
            why=reason,
        )

    def _note(self, connection: Connection, found: Row[Any], state: FileState, told: dict[str, Any]) -> None:
        now = time.time()
        removed = told.get("removed") or {}
        connection.execute(
            change_of(found.rescan_id, found.upload_id).values(
                state=state.value, why=told.get("why"), removed=json.dumps(removed), finished_at=now, told=None
            )
        )
        waiting = connection.execute(
            select(func.count()).where(
                RESCAN_FILES.c.rescan_id == found.rescan_id, RESCAN_FILES.c.state == FileState.WAITING.value
            )
        ).scalar_one()
        if waiting:
            return
        connection.execute(update(RESCANS).where(RESCANS.c.id == found.rescan_id).values(finished_at=now))
        states: Counter[str] = Counter(
            connection.execute(
                select(RESCAN_FILES.c.state).where(RESCAN_FILES.c.rescan_id == found.rescan_id)
            ).scalars()
        )
        tree = tree_in(connection, found.case_id)
        self._trail.append(
            connection,
            customer_chain(tree.customer),
            "case.rescanned",
            case=tree.number,
            rescan=found.rescan_id,
            dry_run=found.dry_run or None,
            states=dict(sorted(states.items())),
        )

    # -- clearing away -----------------------------------------------------------------------------------------------

    def clear(self) -> int:
        """Destroy objects that others stand in the place of, in every region, slots first; return how many are gone."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(BODIES.c.key, BODIES.c.case_id, BODIES.c.upload_id)
                .where(BODIES.c.state == "obsolete", BODIES.c.case_id.not_in(held_cases()))
                .limit(_PAGE)
            ).all()
        return sum(self._clear_one(row) for row in rows)

    def _clear_one(self, row: Row[Any, Any, Any]) -> bool:
        try:
            self._objects.destroy(ObjectKey(row.key))
        except (StorageError, OSError) as error:
            # A lock names the day on which the body can go; its slots are gone, so that nobody can read it.
            why = str(error) if isinstance(error, ObjectLockedError) else type(error).__name__
            log.warning("rescan.object_left", extra={"object": row.key, "why": why})
            return False
        with self._database.write() as connection:
            gone = connection.execute(
                update(BODIES).where(BODIES.c.key == row.key, BODIES.c.state == "obsolete").values(state="destroyed")
            )
            if gone.rowcount != 1:
                return False
            connection.execute(update(REPLICAS).where(REPLICAS.c.object_key == row.key).values(state="destroyed"))
            tree = tree_in(connection, row.case_id)
            chain = customer_chain(tree.customer)
            self._trail.append(
                connection, chain, "object.destroyed", object=row.key, upload=row.upload_id, case=tree.number
            )
        return True


def _merged(before: dict[str, Any], fresh: dict[str, Any], *, at: str) -> dict[str, Any]:
    """Make the report of what is stored now: counts of every pass, the places of the last one."""
    counts: Counter[str] = Counter(before.get("counts", {}))
    counts.update(fresh["counts"])
    passes = [*before.get("rescans", ()), {"at": at, "removed": fresh["counts"], "rules": fresh.get("rules")}]
    first = {"sha256_in": before["sha256_in"], "bytes_in": before.get("bytes_in")} if "sha256_in" in before else {}
    return {
        **fresh,
        **{name: value for name, value in first.items() if value is not None},
        "counts": dict(sorted(counts.items())),
        "findings_total": sum(counts.values()),
        "rescans": passes,
    }


def file_of(rescan_id: str, upload_id: str) -> Select[Any]:
    """Select one file of an order, with what the order says of it."""
    return (
        select(RESCAN_FILES, RESCANS.c.dry_run, RESCANS.c.case_id)
        .join(RESCANS, RESCANS.c.id == RESCAN_FILES.c.rescan_id)
        .where(*_this(rescan_id, upload_id))
    )


def _this(rescan_id: str, upload_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return RESCAN_FILES.c.rescan_id == rescan_id, RESCAN_FILES.c.upload_id == upload_id


def change_of(rescan_id: str, upload_id: str) -> Update:
    """Begin a change of one file of an order."""
    return update(RESCAN_FILES).where(*_this(rescan_id, upload_id))
