"""What happens to an upload after it has landed: scrub, decide, store, copy.

The upload's row is the authority: a sweep starts a job for every LANDED upload that has none, so nothing depends on a message
that might get lost; the message only makes it quick. Each attempt to store takes a fresh object key, and each step may run twice.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select, update

from mft.audit import customer_chain
from mft.cases import CaseTree, case_key
from mft.catalog.model import BODIES, CASES, NODES, RECEIPTS, REPLICAS, UPLOADS
from mft.catalog.states import StateError, UploadState, move_upload
from mft.policy import Outcome, Residency, judge_inbound, judge_outbound
from mft.scrubbing.child import Cage, Errand
from mft.scrubbing.nursery import ChildFailedError, NurseryError
from storage.body import BodyInfo
from storage.errors import LandingNotFoundError, StorageError, TamperedError
from storage.keys.envelope import Envelope, Region
from storage.slot import Manifest, seal_manifest
from storage.store import ObjectKey, new_object_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.config.work import ScrubPolicyConfig
    from mft.jobs import Jobs
    from mft.objects import Objects
    from mft.scrubbing.nursery import Nursery
    from mft.upload.landed import LandedFiles
    from storage.keys.service import KeyService
    from storage.landing import LandingZone

log = logging.getLogger(__name__)

REPORT_FINDINGS = 1000
"""Findings kept one by one with an upload; the counts are of all."""
PART_SUFFIXES = (".part", ".filepart")
"""Names of files that a client will rename once they are complete; they are scrubbed under their final name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """What an installation says of scrubbing and copying; see the configuration for each."""

    installation: str
    host: str
    cage: Cage
    wall: float
    workers: int
    attempts: int
    limits: Mapping[str, int]
    policy: ScrubPolicyConfig
    outbound_refuse: tuple[str, ...]
    copy_workers: int
    retry_first: float
    retry_max: float
    part_grace: float


class _Discarded(Exception):  # noqa: N818 - not an error: what the child wrote is not wanted
    """The ciphertext must not become an object."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__("discarded")
        self.result = result


class Intake:
    """The one process that takes landed files into the store."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        keys: KeyService,
        zones: Mapping[str, LandingZone],
        landed: LandedFiles,
        objects: Objects,
        nursery: Nursery,
        sign: Callable[[Mapping[str, object]], dict[str, object]],
        scratch: Mapping[str, Path],
        settings: IntakeSettings,
    ) -> None:
        """Take from *zones* (by region) into *objects*; scratch files go to *scratch*, the home region's own directory."""
        self._database = database
        self._trail = trail
        self._keys = keys
        self._zones = zones
        self._landed = landed
        self._objects = objects
        self._nursery = nursery
        self._sign = sign
        self._scratch = scratch
        self._settings = settings
        self._scrub_turns = threading.Semaphore(settings.workers)
        self._copy_turns = threading.Semaphore(settings.copy_workers)
        self.jobs: Jobs | None = None
        """Set once, before the first job runs."""

    @property
    def kinds(self) -> Mapping[str, Callable[..., None]]:
        """The kinds of jobs, for the job engine."""
        return {"scrub": self.scrub_job, "copy": self.copy_job}

    # -- jobs ------------------------------------------------------------------------------------------------------

    def scrub_job(self, upload_id: str) -> None:
        """Scrub one upload and settle what becomes of it."""
        if self.jobs is None:
            raise RuntimeError("the job engine runs before intake has it")
        with self._scrub_turns:
            outcome = self.jobs.step("scrub", lambda: self._scrub(upload_id))
        self.jobs.step("settle", lambda: self._settle(upload_id, outcome))

    def copy_job(self, object_key: str, region: str) -> None:
        """Copy one object to one region."""
        if self.jobs is None:
            raise RuntimeError("the job engine runs before intake has it")
        with self._copy_turns:
            self.jobs.step("copy", lambda: self._copy(object_key, region))

    # -- scrubbing -------------------------------------------------------------------------------------------------

    def _scrub(self, upload_id: str) -> str:
        """Scrub an upload into a fresh object; return the outcome as JSON of ids and words."""
        row = self._claim(upload_id)
        if row is None:
            return json.dumps({"outcome": "gone"})
        if row.attempts > self._settings.attempts:
            reason = f"it could not be scrubbed in {self._settings.attempts} attempts"
            return json.dumps({"outcome": Outcome.QUARANTINE.value, "reason": row.reason or reason})
        tree = self._tree(row.case_id)
        object_key = new_object_key()
        with self._database.write() as connection:
            connection.execute(
                insert(BODIES).values(
                    key=object_key, upload_id=row.id, case_id=row.case_id, state="writing", created_at=time.time()
                )
            )
        try:
            result = self._run_child(row, tree, object_key)
        except ChildFailedError as error:
            self._give_back(row, str(error))
            return json.dumps({"outcome": "again"})
        except TamperedError as error:
            log.error("intake.landing_tampered", extra={"upload": row.id, "what": error.what})  # noqa: TRY400
            return json.dumps({"outcome": Outcome.QUARANTINE.value, "reason": "what landed was altered on the disk"})
        return self._judge(row, object_key, result)

    def _claim(self, upload_id: str) -> Row[Any] | None:
        """Count an attempt and return the row, or None if there is nothing to do."""
        with self._database.write() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
            if row is None or row.state not in {UploadState.LANDED, UploadState.SCRUBBING}:
                return None
            if row.state == UploadState.LANDED:
                move_upload(connection, upload_id, UploadState.SCRUBBING, attempts=row.attempts + 1)
            else:
                counted = update(UPLOADS).where(UPLOADS.c.id == upload_id).values(attempts=row.attempts + 1)
                connection.execute(counted)
            return connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()

    def _run_child(self, row: Row[Any], tree: CaseTree, object_key: ObjectKey) -> dict[str, Any]:
        scope_key = case_key(self._database, self._keys, tree, row.region)
        data_key, envelope = self._keys.new_key(Region(row.region), tree.key_scope, scope_key, object_key)
        errand = Errand(
            names=self._path_of(row),
            pseudonym_key=self._pseudonym_key(tree, row.region, scope_key),
            cage=self._settings.cage,
            limits=dict(self._settings.limits),
            scratch=str(self._scratch[row.region]),
            landing_id=row.landing_id,
            landing_key=self._landed.key_of(row),
            records=row.records,
            size=row.size,
            object_key=object_key,
            data_key=data_key,
            outbound=row.zone == "download",
        )
        landing_fd = self._zones[row.region].open_fd(row.landing_id)
        try:
            child = self._nursery.begin(errand, landing_fd=landing_fd, wall=self._settings.wall)
        finally:
            os.close(landing_fd)
        with contextlib.closing(child):
            found: dict[str, Any] = {}

            def pieces() -> Iterator[bytes]:
                yield from child.ciphertext()
                found.update(child.result())
                if self._unwanted(row, found):
                    raise _Discarded(found)

            residency = _home_only(row.region)
            store = self._objects.store(residency)
            facts = {
                "case": tree.number,
                "customer": tree.customer,
                "upload": row.id,
                "name": row.name,
                "version": row.version,
                "zone": row.zone,
                "login": row.login,
                "landed_at": dt.datetime.fromtimestamp(row.landed_at, dt.UTC).isoformat(),
                "sent_size": row.size,
                "sent_sha256": row.sha256,
            }
            try:
                store.put_body(object_key, pieces())
            except _Discarded as discarded:
                return discarded.result
            body = BodyInfo(**found["body"])
            facts["sent_sha256"] = found["report"]["sha256_in"]
            sealed = seal_manifest(data_key, object_key, Manifest(body=body, facts=facts))
            store.put_slot(envelope, sealed)
            return found

    def _unwanted(self, row: Row[Any], result: dict[str, Any]) -> bool:
        return self._judgement(row, result)[0] not in {Outcome.ACCEPT, Outcome.REDACT}

    def _judgement(self, row: Row[Any], result: dict[str, Any]) -> tuple[Outcome, str | None]:
        report = result["report"]
        if row.sha256 is not None and row.sha256 != report["sha256_in"]:
            return Outcome.QUARANTINE, "what was read back is not what was received"
        if row.zone == "download":
            judged = judge_outbound(rules_found=sorted(report["counts"]), refused=self._settings.outbound_refuse)
        else:
            judged = judge_inbound(
                obstacles=[obstacle["reason"] for obstacle in report["obstacles"]], findings=sum(report["counts"].values())
            )
        return judged.outcome, judged.reason

    def _judge(self, row: Row[Any], object_key: ObjectKey, result: dict[str, Any]) -> str:
        """Keep report and digest with the upload; return the outcome."""
        outcome, reason = self._judgement(row, result)
        report = result["report"]
        kept = {
            **report,
            "findings": report["findings"][:REPORT_FINDINGS],
            "findings_total": sum(report["counts"].values()),
        }
        with self._database.write() as connection:
            connection.execute(
                update(UPLOADS)
                .where(UPLOADS.c.id == row.id)
                .values(report=json.dumps(kept), sha256=row.sha256 or report["sha256_in"])
            )
            if outcome in {Outcome.ACCEPT, Outcome.REDACT}:
                body = result["body"]
                connection.execute(
                    update(BODIES)
                    .where(BODIES.c.key == object_key)
                    .values(size=body["size"], stored_size=body["stored_size"], sha256=body["sha256"])
                )
            else:
                connection.execute(update(BODIES).where(BODIES.c.key == object_key).values(state="discarded"))
        return json.dumps(
            {"outcome": outcome.value, "reason": reason, "object": object_key, "shown": _shown(result["shown"])}
        )

    def _give_back(self, row: Row[Any], reason: str) -> None:
        """A child failed: count it, and let the sweep try again or give up."""
        log.warning("intake.child_failed", extra={"upload": row.id, "attempt": row.attempts, "why": reason})
        with self._database.write() as connection:
            move_upload(connection, row.id, UploadState.LANDED, reason=reason)
            chain = self._chain(connection, row.case_id)
            self._trail.append(connection, chain, "scrub.failed", upload=row.id, attempt=row.attempts, why=reason)

    # -- settling --------------------------------------------------------------------------------------------------

    def _settle(self, upload_id: str, outcome_json: str) -> str:
        """Bring an upload into the state that its outcome asks for, with event and receipt, in one transaction."""
        told = json.loads(outcome_json)
        if told["outcome"] in {"gone", "again"}:
            return ""
        outcome = Outcome(told["outcome"])
        try:
            with self._database.write() as connection:
                row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
                if outcome in {Outcome.ACCEPT, Outcome.REDACT}:
                    self._publish(connection, row, outcome, ObjectKey(told["object"]), told["shown"])
                else:
                    self._withhold(connection, row, outcome, told["reason"])
        except StateError:
            log.info("intake.already_settled", extra={"upload": upload_id})
        return ""

    def _publish(
        self, connection: Connection, row: Row[Any], outcome: Outcome, object_key: ObjectKey, shown: list[str]
    ) -> None:
        now = time.time()
        body = connection.execute(select(BODIES).where(BODIES.c.key == object_key)).one()
        move_upload(
            connection,
            row.id,
            UploadState.STORED,
            object_key=object_key,
            scrubbed_size=body.size,
            scrubbed_sha256=body.sha256,
            finished_at=now,
            reason=None,
        )
        connection.execute(update(BODIES).where(BODIES.c.key == object_key).values(state="stored"))
        connection.execute(
            insert(REPLICAS).values(
                object_key=object_key, region=row.region, state="present", queued_at=now, due_at=now, verified_at=now
            )
        )
        copies = [region for region in row.copies.split(",") if region]
        for region in copies:
            connection.execute(
                insert(REPLICAS).values(
                    object_key=object_key, region=region, state="wanted", queued_at=now, due_at=now
                )
            )
        self._show(connection, row, shown)
        tree = self._tree_in(connection, row.case_id)
        report = json.loads(row.report)
        self._receipt(
            connection,
            row,
            tree,
            outcome=outcome.value,
            stored={"size": body.size, "sha256": body.sha256, "region": row.region, "copies": copies},
            removed=report["counts"],
        )
        self._trail.append(
            connection,
            customer_chain(tree.customer),
            "upload.stored",
            upload=row.id,
            case=tree.number,
            outcome=outcome.value,
            object=object_key,
            region=row.region,
            copies=copies,
            size=body.size,
            sha256=body.sha256,
            removed=report["counts"],
        )

    def _show(self, connection: Connection, row: Row[Any], shown: list[str]) -> None:
        """Make the new version the newest of its node, and the node and its directories visible under scrubbed names."""
        node = connection.execute(select(NODES).where(NODES.c.id == row.node_id)).one()
        head = connection.execute(select(UPLOADS.c.version).where(UPLOADS.c.id == node.head_upload)).first()
        if head is None or head.version < row.version:
            connection.execute(update(NODES).where(NODES.c.id == node.id).values(head_upload=row.id))
        for name in reversed(shown):
            if node.shown_name is None and node.parent_id is not None:
                free = self._free_name(connection, node.parent_id, name)
                connection.execute(update(NODES).where(NODES.c.id == node.id).values(shown_name=free))
            if node.parent_id is None:
                return
            node = connection.execute(select(NODES).where(NODES.c.id == node.parent_id)).one()

    @staticmethod
    def _free_name(connection: Connection, parent_id: int, name: str) -> str:
        """Two names may be one once they are scrubbed: number the later ones."""
        stem, dot, suffix = name.rpartition(".")
        number, candidate = 1, name
        while connection.execute(
            select(NODES.c.id).where(NODES.c.parent_id == parent_id, NODES.c.shown_name == candidate)
        ).first():
            number += 1
            candidate = f"{stem} ({number}){dot}{suffix}" if stem else f"{name} ({number})"
        return candidate

    def _withhold(self, connection: Connection, row: Row[Any], outcome: Outcome, reason: str | None) -> None:
        state = UploadState.QUARANTINED if outcome is Outcome.QUARANTINE else UploadState.REJECTED
        move_upload(connection, row.id, state, reason=reason, finished_at=time.time())
        tree = self._tree_in(connection, row.case_id)
        self._receipt(connection, row, tree, outcome=state.value, reason=reason)
        self._trail.append(
            connection,
            customer_chain(tree.customer),
            f"upload.{state.value}",
            upload=row.id,
            case=tree.number,
            why=reason,
        )

    def _receipt(self, connection: Connection, row: Row[Any], tree: CaseTree, **claims: object) -> None:
        now = time.time()
        sha256 = connection.execute(select(UPLOADS.c.sha256).where(UPLOADS.c.id == row.id)).scalar_one()
        document = self._sign(
            {
                "kind": "final",
                "id": row.id,
                "installation": self._settings.installation,
                "case": tree.number,
                "name": row.name,
                "version": row.version,
                "login": row.login,
                "size": row.size,
                "sha256": sha256 or "unknown",
                "landed_at": _moment(row.landed_at),
                "finished_at": _moment(now),
                **{name: value for name, value in claims.items() if value is not None},
            }
        )
        connection.execute(
            insert(RECEIPTS)
            .prefix_with("OR REPLACE")
            .values(upload_id=row.id, kind="final", document=json.dumps(document), created_at=now)
        )

    # -- copying ---------------------------------------------------------------------------------------------------

    def _copy(self, object_key: str, region: str) -> str:
        """Copy an object to a region and verify it there; a failure is noted and comes up again later."""
        key = ObjectKey(object_key)
        with self._database.read() as connection:
            row = connection.execute(
                select(REPLICAS, BODIES.c.case_id, UPLOADS.c.region.label("home"))
                .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
                .join(UPLOADS, UPLOADS.c.id == BODIES.c.upload_id)
                .where(REPLICAS.c.object_key == object_key, REPLICAS.c.region == region)
            ).first()
        if row is None or row.state != "wanted":
            return ""
        tree = self._tree(row.case_id)
        started = time.monotonic()
        try:
            scope_key = case_key(self._database, self._keys, tree, region)
            store = self._objects.store(
                Residency(home=row.home, copies=(region,), readers=frozenset(), rule="", reason="")
            )
            store.copy(key, Region(region), tree.key_scope, scope_key)
        except StorageError as error:
            self._note_copy_failure(row, tree, error)
            return ""
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
        return ""

    def _note_copy_failure(self, row: Row[Any], tree: CaseTree, error: StorageError) -> None:
        attempts = row.attempts + 1
        wait = min(self._settings.retry_max, self._settings.retry_first * 2 ** min(attempts - 1, 20))
        log.warning("intake.copy_failed", extra={"object": row.object_key, "region": row.region, "attempt": attempts})
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

    # -- names -----------------------------------------------------------------------------------------------------

    def show_renamed(self) -> int:
        """Give every stored file and directory that was renamed its scrubbed name; return how many."""
        children = NODES.alias("child")
        with self._database.read() as connection:
            rows = connection.execute(
                select(NODES).where(
                    NODES.c.shown_name.is_(None),
                    NODES.c.hidden_at.is_(None),
                    NODES.c.parent_id.is_not(None),
                    NODES.c.head_upload.is_not(None)
                    | (
                        NODES.c.is_directory
                        & select(children.c.id)
                        .where(children.c.parent_id == NODES.c.id, children.c.shown_name.is_not(None))
                        .exists()
                    ),
                )
            ).all()
        for row in rows:
            tree = self._tree(row.case_id)
            with self._database.read() as connection:
                home = connection.execute(select(CASES.c.home_region).where(CASES.c.id == row.case_id)).scalar_one()
                outbound = self._root_of(connection, row) == tree.download_root
            shown = row.name if outbound else self._scrub_name(tree, home, row.name)
            with self._database.write() as connection:
                free = self._free_name(connection, row.parent_id, shown)
                connection.execute(
                    update(NODES).where(NODES.c.id == row.id, NODES.c.name == row.name).values(shown_name=free)
                )
        return len(rows)

    def _scrub_name(self, tree: CaseTree, region: str, name: str) -> str:
        scope_key = case_key(self._database, self._keys, tree, region)
        errand = Errand(
            names=(name,),
            pseudonym_key=self._pseudonym_key(tree, region, scope_key),
            cage=self._settings.cage,
            limits=dict(self._settings.limits),
            scratch=str(self._scratch[region]),
        )
        with contextlib.closing(self._nursery.begin(errand, landing_fd=None, wall=60.0)) as child:
            return _shown(child.result()["shown"])[0]

    @staticmethod
    def _root_of(connection: Connection, row: Row[Any]) -> int:
        node = row
        while node.parent_id is not None:
            node = connection.execute(select(NODES).where(NODES.c.id == node.parent_id)).one()
        return int(node.id)

    # -- what the catalog knows ------------------------------------------------------------------------------------

    def _path_of(self, row: Row[Any]) -> tuple[str, ...]:
        """Return the path of an upload's node below its zone's root."""
        names: list[str] = []
        with self._database.read() as connection:
            node = connection.execute(select(NODES).where(NODES.c.id == row.node_id)).one()
            while node.parent_id is not None:
                names.append(node.name)
                node = connection.execute(select(NODES).where(NODES.c.id == node.parent_id)).one()
        return tuple(reversed(names))

    def _pseudonym_key(self, tree: CaseTree, region: str, scope_key: bytes) -> bytes:
        """Return the case's pseudonym key, a leaf under its scope key at home: shredded with the case."""
        with self._database.read() as connection:
            row = connection.execute(select(CASES.c.pseudonym_envelope).where(CASES.c.id == tree.id)).one()
        if row.pseudonym_envelope is None:
            _key, envelope = self._keys.new_key(Region(region), tree.key_scope, scope_key, "pseudonym")
            with self._database.write() as connection:
                connection.execute(
                    update(CASES)
                    .where(CASES.c.id == tree.id, CASES.c.pseudonym_envelope.is_(None))
                    .values(pseudonym_envelope=json.dumps(envelope.to_dict()))
                )
                row = connection.execute(select(CASES.c.pseudonym_envelope).where(CASES.c.id == tree.id)).one()
        return self._keys.open_key(Envelope.from_dict(json.loads(row.pseudonym_envelope)))

    def _tree(self, case_id: int) -> CaseTree:
        with self._database.read() as connection:
            return self._tree_in(connection, case_id)

    @staticmethod
    def _tree_in(connection: Connection, case_id: int) -> CaseTree:
        row = connection.execute(select(CASES).where(CASES.c.id == case_id)).one()
        return CaseTree(
            id=row.id,
            number=row.number,
            customer=row.customer,
            scope=row.scope,
            upload_root=row.upload_root,
            download_root=row.download_root,
        )

    def _chain(self, connection: Connection, case_id: int) -> str:
        return customer_chain(self._tree_in(connection, case_id).customer)


def _home_only(region: str) -> Residency:
    return Residency(home=region, copies=(), readers=frozenset(), rule="", reason="")


def _shown(names: list[str]) -> list[str]:
    """Scrubbed names are still names: nothing in them may part a path."""
    return [name.replace("/", "_") or "_" for name in names]


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")


__all__ = ["Intake", "IntakeSettings", "LandingNotFoundError", "NurseryError"]
