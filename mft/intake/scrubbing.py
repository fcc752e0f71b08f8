"""One upload through a scrub child into a sealed object."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from mft.catalog.errors import CatalogBusyError, CatalogDiskError
from mft.catalog.fixed import Fixed
from mft.catalog.model import ARCHIVE_PASSWORDS, BODIES, UPLOADS
from mft.catalog.states import UploadState, move_upload
from mft.intake.ahead import Foreknown
from mft.intake.naming import safe_names
from mft.intake.records import CaseBook, chain_of, moment
from mft.policy import Outcome, judge_inbound, judge_outbound
from mft.recipients import find_recipient
from mft.scrubbing.answer import AnswerError, check_scrubbed
from mft.scrubbing.child import Errand
from mft.scrubbing.nursery import ChildFailedError, NurseryError, ShortageError
from mft.scrubbing.sealednames import NamesUnreadableError, open_names
from protocols.errors import RejectedError, UnavailableError
from storage.body import BodyInfo
from storage.encrypted import SealedPut
from storage.errors import KeyUnavailableError, OutOfSpaceError, StoreUnavailableError, TamperedError
from storage.keys.envelope import Envelope, Region
from storage.slot import Manifest, seal_manifest
from storage.store import ObjectKey, new_object_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mft.audit import AuditTrail
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.ahead import Ahead
    from mft.intake.placing import Placing
    from mft.intake.pseudonyms import PseudonymBook, PseudonymBooks
    from mft.intake.scanning import Scanning
    from mft.intake.settings import IntakeSettings
    from mft.objects import Objects
    from mft.scrubbing.nursery import Child, Nursery
    from mft.treatment import Treatment
    from mft.upload.landed import LandedFiles
    from storage.keys.service import KeyService
    from storage.landing import LandingZone

log = logging.getLogger(__name__)

REPORT_FINDINGS = 1000
"""Findings kept one by one with an upload; the counts are of all."""
LACKING = (
    CatalogBusyError,
    CatalogDiskError,
    KeyUnavailableError,
    NurseryError,
    OutOfSpaceError,
    RejectedError,
    ShortageError,
    StoreUnavailableError,
    UnavailableError,
)
"""What a later try may find mended, without anything being wrong with the file."""
_UNKNOWN = Foreknown()
# Made once: to build them anew costs as much as to run them, and the catalog is locked meanwhile.
_OF_UPLOAD = Fixed(update(UPLOADS).where(UPLOADS.c.id == bindparam("of")), "report", "sha256", "shown_path")
_OF_BODY = Fixed(
    update(BODIES).where(BODIES.c.key == bindparam("of")), "size", "stored_size", "sha256", "sealed_sha256"
)
NOTHING_TO_DO, AGAIN, RELEASED = "gone", "again", "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """Nothing was made, and why."""

    reason: str


class _DiscardedError(Exception):
    """What the child wrote must not become an object."""


class Scrubbing:
    """Runs scrub children, as many at once as the settings say."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        keys: KeyService,
        book: CaseBook,
        books: PseudonymBooks,
        zones: Mapping[str, LandingZone],
        landed: LandedFiles,
        objects: Objects,
        nursery: Nursery,
        scanning: Scanning,
        ahead: Ahead,
        settings: IntakeSettings,
        placing: Placing,
    ) -> None:
        """Read from *zones* (by region), write to *objects*, once *scanning* has nothing against it."""
        self._placing = placing
        self._scanning = scanning
        self._ahead = ahead
        self._database = database
        self._trail = trail
        self._keys = keys
        self._book = book
        self._books = books
        self._zones = zones
        self._landed = landed
        self._objects = objects
        self._nursery = nursery
        self._settings = settings
        self.turns = threading.Semaphore(settings.workers)
        """Whoever has a child at work has one of them."""
        self._uncounted: set[str] = set()
        """Uploads whose last attempt the catalog has counted, and should not have."""
        self._counted: set[str] = set()
        """Uploads of which this process has had an attempt counted, and not forgiven it."""

    def scrub(self, upload_id: str) -> str:
        """Scrub an upload into a fresh object; return the outcome, as JSON of ids and words."""
        with self.turns:
            return json.dumps(self._scrub(upload_id))

    def forgive(self, upload_id: str) -> None:
        """Put an upload back, without counting the attempt: what it failed of is no fault of the file.

        Where the catalog has no room to say so it is remembered here.
        """
        if upload_id not in self._counted:
            return
        self._counted.discard(upload_id)
        try:
            with self._database.write() as connection:
                row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
                if row is not None and row.state == UploadState.SCRUBBING:  # else it was put back, or is done
                    move_upload(connection, upload_id, UploadState.LANDED, attempts=row.attempts - 1)
        except Exception:  # noqa: BLE001 - whatever the catalog lacks, the caller has said it
            self._uncounted.add(upload_id)
            log.warning("intake.attempt_uncounted", extra={"upload": upload_id})

    def uncount(self, upload_ids: Iterable[str]) -> None:
        """Remember that the last attempt of some uploads does not count, which the catalog could not be told."""
        self._uncounted.update(upload_ids)

    def _scrub(self, upload_id: str) -> dict[str, Any]:
        self._counted.discard(upload_id)
        row = self._claim(upload_id)
        if row is None:
            return {"outcome": NOTHING_TO_DO}
        if row.attempts > self._settings.attempts:
            tried = f"it could not be scrubbed in {self._settings.attempts} attempts"
            reason = f"{tried}: {row.reason}" if row.reason else tried
            return {"outcome": Outcome.QUARANTINE.value, "reason": reason}
        try:
            refused, told = self._scanning.ask(row)
        except LACKING as error:
            self._put_off(row, error)
            raise
        if refused is not None:
            return {"outcome": Outcome.QUARANTINE.value, "reason": refused, "scanners": told}
        with contextlib.closing(self._ahead.take(row)) as known:
            return self._scrub_one(row, known) | {"scanners": told}

    def _scrub_one(self, row: Row[Any], known: Foreknown, *, again: bool = False) -> dict[str, Any]:
        tree, object_key = self._book.tree(row.case_id), new_object_key()
        try:
            region = self._new_body(row, tree, object_key)
            result = self._run_child(row, tree, object_key, region, known=known, again=again)
        except ChildFailedError as error:
            self._give_back(row, str(error))
            return {"outcome": AGAIN}
        except LACKING as error:
            self._put_off(row, error, begun=object_key)
            raise
        except TamperedError as error:
            log.error("intake.landing_tampered", extra={"upload": row.id, "what": error.what})  # noqa: TRY400 - no trace
            return {"outcome": Outcome.QUARANTINE.value, "reason": "what landed was altered on the disk"}
        if result.get("again"):  # secrets that stand elsewhere with nothing to tell them: now they are known
            with self._database.write() as connection:
                discard_body(connection, object_key)
            return self._scrub_one(row, known, again=True)
        return self._judge(row, object_key, result | {"ahead": bool(known.names)})

    def copy_as_it_is(self, upload_id: str) -> ObjectKey | Undone:
        """Make an object of a quarantined upload, byte for byte: nothing is looked for, nothing removed."""
        with self._database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
        if row is None or row.state != UploadState.QUARANTINED:
            return Undone(reason="it is not in quarantine any more")
        tree, object_key = self._book.tree(row.case_id), new_object_key()
        try:
            region = self._new_body(row, tree, object_key)
            with self.turns:
                result = self._run_child(row, tree, object_key, region)
        except (ChildFailedError, RejectedError, UnavailableError) as error:
            return Undone(reason=str(error))
        except TamperedError:
            return Undone(reason="what landed was altered on the disk")
        outcome = self._judge(row, object_key, result)
        return object_key if outcome["outcome"] == Outcome.ACCEPT.value else Undone(reason=str(outcome["reason"]))

    def _new_body(self, row: Row[Any], tree: CaseTree, object_key: ObjectKey) -> str:
        """Write down that an object is about to be made, and return in which region: the case's home of now.

        Raises:
            RejectedError: no region here may hold it.
            UnavailableError: the case system does not say where it may lie.
        """
        region = self._placing.home_for(tree, row.region)
        told = {"key": object_key, "upload_id": row.id, "case_id": row.case_id, "region": region}
        with self._database.write() as connection:
            connection.execute(insert(BODIES).values(**told, state="writing", created_at=time.time()))
        return region

    def _claim(self, upload_id: str) -> Row[Any] | None:
        """Count an attempt and return the row, or None if there is nothing to do."""
        with self._database.write() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
            if row is None or row.state not in {UploadState.LANDED, UploadState.SCRUBBING}:
                self._uncounted.discard(upload_id)
                return None
            attempts = row.attempts + (upload_id not in self._uncounted)
            if row.state == UploadState.LANDED:
                move_upload(connection, upload_id, UploadState.SCRUBBING, attempts=attempts)
            else:
                connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(attempts=attempts))
            claimed = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
        self._uncounted.discard(upload_id)
        self._counted.add(upload_id)
        return claimed

    def _run_child(
        self,
        row: Row[Any],
        tree: CaseTree,
        object_key: ObjectKey,
        region: str,
        *,
        known: Foreknown = _UNKNOWN,
        again: bool = False,
    ) -> dict[str, Any]:
        scope_key = self._book.scope_key(tree, region)
        data_key, envelope = self._keys.new_key(Region(region), tree.key_scope, scope_key, object_key)
        treatment = self.treatment(tree)
        book = self._books.open(tree, region, treatment.scope)
        passwords = self._passwords_of(row)
        learned = _readable(known.names, book)
        notes = known.notes if learned and not again else None
        errand = Errand(
            names=self._book.path_of(row),
            profile=treatment.profile,
            deny=treatment.terms.deny,
            allow=treatment.terms.allow,
            pseudonym_key=book.key,
            dictionary=book.names,
            learned=learned,
            notes_key=b"" if notes is None else notes.key,
            notes_end=0 if notes is None else notes.end,
            passwords=tuple(passwords.values()),
            recipient=self.recipient(tree),
            cage=self._settings.cage,
            limits=dict(self._settings.limits),
            scratch=str(self._settings.scratch[region]),
            landing_id=row.landing_id,
            landing_key=self._landed.key_of(row),
            records=row.records,
            size=row.size,
            object_key=object_key,
            data_key=data_key,
            outbound=row.zone == "download",
            as_it_is=row.state == UploadState.QUARANTINED,
            again=again,
        )
        landing_fd = self._zones[row.region].open_fd(row.landing_id)
        try:
            child = self._nursery.begin(
                errand,
                landing_fd=landing_fd,
                notes_fd=None if notes is None else notes.fd,
                wall=self._settings.wall,
            )
        finally:
            os.close(landing_fd)
        with contextlib.closing(child):
            result = self._store(row, errand, tree, child, envelope=envelope)
        if errand.teaches:
            self.note_taught(object_key, book, child)
        return result | {"tried": list(passwords)}

    def _passwords_of(self, row: Row[Any]) -> dict[str, tuple[str, str]]:
        """Return what the sender gave to open it: by id its key and itself sealed, as an errand has them."""
        with self._database.read() as connection:
            kept = connection.execute(
                select(ARCHIVE_PASSWORDS)
                .where(ARCHIVE_PASSWORDS.c.upload_id == row.id)
                .order_by(ARCHIVE_PASSWORDS.c.created_at.desc())
            ).all()
        given = {}
        for each in kept:
            key = self._keys.open_key(Envelope.from_dict(json.loads(each.envelope)))
            given[str(each.id)] = (base64.b64encode(key).decode(), base64.b64encode(each.sealed).decode())
        return given

    def recipient(self, tree: CaseTree) -> bytes:
        """Return the key of whom the case's pseudonyms may be told, empty where there is none."""
        if not self._settings.reverse_map:
            return b""
        with self._database.read() as connection:
            found = find_recipient(connection, tree.customer)
        return b"" if found is None else found.public

    def note_taught(self, object_key: ObjectKey, book: PseudonymBook, child: Child) -> None:
        """Lay beside the object what its upload taught, to be kept once it is published, and its reverse map.

        Raises:
            ChildFailedError: it is none of that case's.
        """
        if not child.names and not child.reverse_map:
            return
        try:
            open_names(child.names, book.key)
        except NamesUnreadableError as error:
            raise ChildFailedError("the scrubber gave back names that cannot be read") from error
        facts = {"taught": child.names or None, "book_id": book.id if child.names else None}
        noted = update(BODIES).where(BODIES.c.key == object_key)
        noted = noted.values(**facts, reverse_map=child.reverse_map or None)
        with self._database.write() as connection:
            connection.execute(noted)

    def treatment(self, tree: CaseTree) -> Treatment:
        """Return how a case's files are scrubbed, by the rules of now."""
        return self._settings.treatments.of(
            customer=tree.customer, case=tree.number, kind=tree.kind, classification=tree.classification
        )

    def _store(
        self,
        row: Row[Any],
        errand: Errand,
        tree: CaseTree,
        child: Child,
        *,
        envelope: Envelope,
    ) -> dict[str, Any]:
        """Store what the child writes, unless its result says that it must not become an object."""
        result: dict[str, Any] = {}
        object_key = ObjectKey(errand.object_key)
        sealed = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            for piece in child.ciphertext():
                sealed.update(piece)
                yield piece
            result.update(checked(child.result(), errand))
            result["body"]["sealed_sha256"] = sealed.hexdigest()
            if self.judgement(row, result)[0] not in {Outcome.ACCEPT, Outcome.REDACT}:
                raise _DiscardedError

        def manifest() -> bytes:
            body = result["body"]
            info = BodyInfo(size=body["size"], sha256=bytes.fromhex(body["sha256"]), stored_size=body["stored_size"])
            facts = facts_of(row, tree, result) | {"home": envelope.region}
            return seal_manifest(errand.data_key, object_key, Manifest(body=info, facts=facts))

        put = SealedPut(object_key=object_key, ciphertext=pieces(), envelope=envelope, sealed_manifest=manifest)
        with contextlib.suppress(_DiscardedError):
            self._objects.store_at(envelope.region).put_sealed(put)
        return result

    def judgement(self, row: Row[Any], result: dict[str, Any]) -> tuple[Outcome, str | None]:
        """Return what becomes of an upload of which a child has said *result*, and why."""
        report = result["report"]
        if row.sha256 is not None and row.sha256 != report["sha256_in"]:
            return Outcome.QUARANTINE, "what was read back is not what was received"
        if row.state == UploadState.QUARANTINED:
            return Outcome.ACCEPT, None
        if row.zone == "download":
            judged = judge_outbound(rules_found=sorted(report["counts"]), refused=self._settings.outbound_refuse)
        else:
            obstacles = [obstacle["reason"] for obstacle in report["obstacles"]]
            judged = judge_inbound(self._settings.rules, obstacles=obstacles, found=result["categories"])
        return judged.outcome, judged.reason

    def _judge(self, row: Row[Any], object_key: ObjectKey, result: dict[str, Any]) -> dict[str, Any]:
        """Keep report and digest with the upload; return the outcome."""
        outcome, reason = self.judgement(row, result)
        tree = self._book.tree(row.case_id)
        with self._database.write() as connection:
            self.keep(connection, row, tree, object_key, result)
        return {"outcome": outcome.value, "reason": reason, "object": object_key, "tried": result["tried"]}

    def keep(
        self, connection: Connection, row: Row[Any], tree: CaseTree, object_key: ObjectKey, result: dict[str, Any]
    ) -> None:
        """Keep report and digest with an upload, and with its object what that is, or that it is none."""
        report, body = result["report"], result["body"]
        treatment = self.treatment(tree)
        kept = {
            **report,
            "findings": report["findings"][:REPORT_FINDINGS],
            "findings_total": sum(report["counts"].values()),
            "learned_ahead": result.get("ahead", False),
            "profile_rule": treatment.rule,
            "profile_reason": treatment.reason,
        }
        values = {
            "report": json.dumps(kept),
            "sha256": row.sha256 or report["sha256_in"],
            "shown_path": json.dumps(list(zip(result["names"], safe_names(result["shown"]), strict=True))),
        }
        _OF_UPLOAD.run(connection, {"of": row.id, **values})
        if self.judgement(row, result)[0] in {Outcome.ACCEPT, Outcome.REDACT}:
            facts = {name: body[name] for name in ("size", "stored_size", "sha256", "sealed_sha256")}
            _OF_BODY.run(connection, {"of": object_key, **facts})
        else:
            discard_body(connection, object_key)

    def _give_back(self, row: Row[Any], reason: str) -> None:
        """A child failed: count it, and let the loop try again or give up."""
        log.warning("intake.child_failed", extra={"upload": row.id, "attempt": row.attempts, "why": reason})
        with self._database.write() as connection:
            move_upload(connection, row.id, UploadState.LANDED, reason=reason)
            chain = chain_of(connection, row.case_id)
            self._trail.append(connection, chain, "scrub.failed", upload=row.id, attempt=row.attempts, why=reason)

    def _put_off(self, row: Row[Any], error: Exception, *, begun: ObjectKey | None = None) -> None:
        """What it takes is not at hand, through no fault of this file: the attempt does not count.

        Without a key nothing was written of the object that was *begun*: a key that is to be retired need not wait for
        it. Of others something may lie in a store that does not answer now.
        """
        log.warning("intake.put_off", extra={"upload": row.id, "why": type(error).__name__})
        with self._database.write() as connection:
            move_upload(connection, row.id, UploadState.LANDED, attempts=row.attempts - 1)
            if begun is not None and isinstance(error, KeyUnavailableError):
                discard_body(connection, begun)


def discard_body(connection: Connection, object_key: ObjectKey) -> None:
    """Give up an object that was not published, with what its upload taught; the sweep deletes its bytes."""
    gone = {"state": "discarded", "taught": None, "book_id": None, "reverse_map": None}
    connection.execute(update(BODIES).where(BODIES.c.key == object_key).values(**gone))


def _readable(learned: bytes, book: PseudonymBook) -> bytes:
    """Give what a child has learned ahead, if it is that book's; the scope may be another one by now."""
    try:
        open_names(learned, book.key)
    except NamesUnreadableError:
        return b""
    return learned


def checked(result: dict[str, Any], errand: Errand) -> dict[str, Any]:
    """Give what a child said, if it can be meant.

    Raises:
        ChildFailedError: it cannot.
    """
    try:
        check_scrubbed(result, errand.names)
    except AnswerError as error:
        raise ChildFailedError(f"the scrubber failed on this file: {error}") from error
    return result


def facts_of(row: Row[Any], tree: CaseTree, result: dict[str, Any]) -> dict[str, object]:
    """Say in an object's manifest what a catalog can be rebuilt from (`mft.rebuilding`)."""
    return {
        "kind": tree.kind,
        "classification": tree.classification,
        "path": result["names"],
        "shown": safe_names(result["shown"]),
        "modified": row.modified,
        "unscrubbed": row.state == UploadState.QUARANTINED,
        "made_at": time.time(),
        "case": tree.number,
        "customer": tree.customer,
        "upload": row.id,
        "name": row.name,
        "version": row.version,
        "zone": row.zone,
        "login": row.login,
        "landed_at": moment(row.landed_at),
        "sent_size": row.size,
        "sent_sha256": result["report"]["sha256_in"],
    }
