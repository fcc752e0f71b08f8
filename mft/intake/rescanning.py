"""What is stored of a case, scrubbed once more: one version through a scrub child into a fresh sealed object.

The sealed body is fetched into a file without a name, as the child reaches no store; it is opened in the child alone.
What is to become of the object that comes of it is settled elsewhere (`mft.intake.replacing`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import tempfile
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from mft.catalog.model import BODIES, RESCAN_FILES, UPLOADS
from mft.catalog.states import UploadState
from mft.holds import hold_on
from mft.intake.naming import safe_names
from mft.intake.records import tree_in
from mft.intake.replacing import HELD, change_of, file_of
from mft.intake.scrubbing import LACKING, checked, discard_body, facts_of
from mft.intake.settling import UNSCRUBBED
from mft.policy import Outcome, judge_inbound
from mft.rescans import FileState
from mft.scrubbing.child import Errand
from mft.scrubbing.nursery import ChildFailedError
from storage.body import BodyInfo
from storage.encrypted import SealedPut
from storage.errors import StorageError, TamperedError
from storage.keys.envelope import Region
from storage.slot import Manifest, seal_manifest
from storage.store import ObjectKey, new_object_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row

    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.placing import Placing
    from mft.intake.pseudonyms import PseudonymBooks
    from mft.intake.records import CaseBook
    from mft.intake.scrubbing import Scrubbing
    from mft.intake.settings import IntakeSettings
    from mft.objects import Objects
    from mft.scrubbing.nursery import Child, Nursery
    from storage.keys.envelope import Envelope
    from storage.keys.service import KeyService

log = logging.getLogger(__name__)
_REST_SECONDS = 5.0
"""How long a file whose child failed is left alone, times the attempts so far."""
_REPORTED = 1000


class _DiscardedError(Exception):
    """What the child wrote must not become an object."""


class Rescanning:
    """Scrubs what is stored once more, as orders ask for it; each attempt begins anew."""

    def __init__(
        self,
        *,
        database: Database,
        keys: KeyService,
        book: CaseBook,
        books: PseudonymBooks,
        objects: Objects,
        nursery: Nursery,
        placing: Placing,
        scrubbing: Scrubbing,
        settings: IntakeSettings,
    ) -> None:
        """Scrub as *scrubbing* does, and in its turns; fetch from *objects* and store there."""
        self._database = database
        self._keys = keys
        self._book = book
        self._books = books
        self._objects = objects
        self._nursery = nursery
        self._placing = placing
        self._scrubbing = scrubbing
        self._settings = settings

    def waiting(self, limit: int) -> list[tuple[str, str]]:
        """Return files that wait in orders: the id of the order, that of the upload."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(RESCAN_FILES.c.rescan_id, RESCAN_FILES.c.upload_id)
                .where(RESCAN_FILES.c.state == FileState.WAITING.value, RESCAN_FILES.c.due_at <= time.time())
                .order_by(RESCAN_FILES.c.due_at)
                .limit(limit)
            )
            return [(row.rescan_id, row.upload_id) for row in rows]

    def look(self, rescan_id: str, upload_id: str) -> str:
        """Scrub one stored version once more; return what came of it, as JSON."""
        with self._database.read() as connection:
            found = connection.execute(file_of(rescan_id, upload_id)).first()
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
        if found is None or row is None or found.state != FileState.WAITING.value:
            return json.dumps({"state": ""})
        why = self._why_left(row, found)
        if why is not None:
            return json.dumps({"state": FileState.LEFT.value, "why": why})
        try:
            with self._scrubbing.turns:
                told = self._look(row, found)
        except TamperedError as error:
            log.error("rescan.object_tampered", extra={"upload": row.id, "what": error.what})  # noqa: TRY400 - no trace
            told = {"state": FileState.FAILED.value, "why": "what is stored was altered", "object": None}
        except (ChildFailedError, *LACKING, StorageError) as error:
            return self._later(found, error)
        # What a job remembers is ids and words: the rest waits in the row.
        with self._database.write() as connection:
            connection.execute(change_of(rescan_id, upload_id).values(told=json.dumps(told)))
        return json.dumps({"state": told["state"], "object": told["object"]})

    def _why_left(self, row: Row[Any], found: Row[Any]) -> str | None:
        if row.state != UploadState.STORED or row.object_key != found.object_key:
            return f"it is {row.state}" if row.state != UploadState.STORED else "it was replaced meanwhile"
        if row.reason == UNSCRUBBED:
            return "two people have released it from quarantine as it is"
        with self._database.read() as connection:
            number = tree_in(connection, row.case_id).number
            if not found.dry_run and hold_on(connection, number) is not None:
                return HELD
        return None

    def _look(self, row: Row[Any], found: Row[Any]) -> dict[str, Any]:
        tree = self._book.tree(row.case_id)
        with self._database.read() as connection:
            body = connection.execute(select(BODIES).where(BODIES.c.key == row.object_key)).one()
        home = self._placing.home_for(tree, body.region or row.region)
        with tempfile.TemporaryFile(dir=self._settings.scratch[home]) as sealed:
            fetched = self._objects.fetch(ObjectKey(row.object_key), body.region or row.region, sealed)
            source = {"stored": row.object_key, "stored_key": fetched.data_key, "size": fetched.stored_size}
            told = self._scrub(row, tree, home, source, sealed.fileno(), dry_run=found.dry_run)
            if told.pop("again"):  # secrets that stand elsewhere with nothing to tell them: now they are known
                self._discard(told["object"])
                told = self._scrub(row, tree, home, source, sealed.fileno(), dry_run=found.dry_run, again=True)
        return told

    def _scrub(
        self,
        row: Row[Any],
        tree: CaseTree,
        home: str,
        source: dict[str, Any],
        sealed_fd: int,
        *,
        dry_run: bool,
        again: bool = False,
    ) -> dict[str, Any]:
        object_key = new_object_key()
        scope_key = self._book.scope_key(tree, home)
        data_key, envelope = self._keys.new_key(Region(home), tree.key_scope, scope_key, object_key)
        treatment = self._scrubbing.treatment(tree)
        book = self._books.open(tree, home, treatment.scope)
        errand = Errand(
            **source,
            names=self._book.path_of(row),
            profile=treatment.profile,
            deny=treatment.terms.deny,
            allow=treatment.terms.allow,
            pseudonym_key=book.key,
            dictionary=book.names,
            recipient=self._scrubbing.recipient(tree),
            cage=self._settings.cage,
            limits=dict(self._settings.limits),
            scratch=str(self._settings.scratch[home]),
            object_key=object_key,
            data_key=data_key,
            again=again,
        )
        if not dry_run:
            self._note_body(row, object_key, home)
        child = self._nursery.begin(errand, landing_fd=sealed_fd, wall=self._settings.wall)
        with contextlib.closing(child):
            if dry_run:
                for _ in child.ciphertext():
                    pass
                result = checked(child.result(), errand)
                state, why = self._judge(row, result)
            else:
                result, state, why = self._store(row, tree, errand, child, envelope=envelope)
        if state is FileState.TIGHTENED and not dry_run and not result.get("again"):
            self._scrubbing.note_taught(object_key, book, child)
        report = result["report"]
        kept = {
            **report,
            "findings": report["findings"][:_REPORTED],
            "profile_rule": treatment.rule,
            "profile_reason": treatment.reason,
        }
        return {
            "state": state.value,
            "why": why,
            "object": None if dry_run else object_key,
            "region": home,
            "removed": report["counts"],
            "report": kept,
            "names": result["names"],
            "shown": safe_names(result["shown"]),
            "body": result["body"],
            "again": bool(result.get("again")),
        }

    def _store(
        self, row: Row[Any], tree: CaseTree, errand: Errand, child: Child, *, envelope: Envelope
    ) -> tuple[dict[str, Any], FileState, str | None]:
        """Store what the child writes, where it is to stand in the place of what is there."""
        result: dict[str, Any] = {}
        judged: list[tuple[FileState, str | None]] = []
        object_key, sealed = ObjectKey(errand.object_key), hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            for piece in child.ciphertext():
                sealed.update(piece)
                yield piece
            result.update(checked(child.result(), errand))
            result["body"]["sealed_sha256"] = sealed.hexdigest()
            judged.append(self._judge(row, result))
            if judged[0][0] is not FileState.TIGHTENED:
                raise _DiscardedError

        def manifest() -> bytes:
            body = result["body"]
            info = BodyInfo(size=body["size"], sha256=bytes.fromhex(body["sha256"]), stored_size=body["stored_size"])
            facts = facts_of(row, tree, result) | {
                "home": envelope.region,
                "sent_sha256": row.sha256,
                "replaces": self._replaced(row),
            }
            return seal_manifest(errand.data_key, object_key, Manifest(body=info, facts=facts))

        put = SealedPut(object_key=object_key, ciphertext=pieces(), envelope=envelope, sealed_manifest=manifest)
        with contextlib.suppress(_DiscardedError):
            self._objects.store_at(envelope.region).put_sealed(put)
        return (result, *judged[0])

    def _judge(self, row: Row[Any], result: dict[str, Any]) -> tuple[FileState, str | None]:
        report = result["report"]
        if report["sha256_in"] != row.scrubbed_sha256:
            return FileState.FAILED, "what was read back is not what was stored"
        obstacles = [obstacle["reason"] for obstacle in report["obstacles"]]
        judged = judge_inbound(self._settings.rules, obstacles=obstacles, found=result["categories"])
        if judged.outcome not in {Outcome.ACCEPT, Outcome.REDACT}:
            return FileState.QUARANTINED, judged.reason
        if any(report["counts"].values()) or self._is_shown_otherwise(row, result):
            return FileState.TIGHTENED, None
        return FileState.UNCHANGED, None

    @staticmethod
    def _is_shown_otherwise(row: Row[Any], result: dict[str, Any]) -> bool:
        """Whether a name of its path is scrubbed to another one than when it was stored."""
        before = dict(json.loads(row.shown_path or "[]"))
        pairs = zip(result["names"], safe_names(result["shown"]), strict=True)
        return any(before.get(name, shown) != shown for name, shown in pairs)

    def _note_body(self, row: Row[Any], object_key: ObjectKey, region: str) -> None:
        told = {"key": object_key, "upload_id": row.id, "case_id": row.case_id, "region": region}
        replaces = json.dumps(self._replaced(row))
        with self._database.write() as connection:
            connection.execute(
                insert(BODIES).values(**told, replaces=replaces, state="writing", created_at=time.time())
            )

    def _replaced(self, row: Row[Any]) -> list[str]:
        """Name every object of an upload that the next one stands in the place of, the newest first."""
        with self._database.read() as connection:
            before = connection.execute(select(BODIES.c.replaces).where(BODIES.c.key == row.object_key)).scalar()
        return [row.object_key, *json.loads(before or "[]")]

    def _discard(self, object_key: str | None) -> None:
        if object_key is not None:
            with self._database.write() as connection:
                discard_body(connection, ObjectKey(object_key))

    def _later(self, found: Row[Any], error: Exception) -> str:
        """Put a file off; give it up where its child has failed as often as it may."""
        attempts, why = found.attempts, type(error).__name__
        if isinstance(error, ChildFailedError):
            attempts, why = attempts + 1, str(error)
        log.warning("rescan.put_off", extra={"upload": found.upload_id, "attempt": attempts, "why": why})
        if attempts >= self._settings.attempts:
            return json.dumps({"state": FileState.FAILED.value, "why": why})
        due = time.time() + _REST_SECONDS * max(1, attempts)
        with self._database.write() as connection:
            connection.execute(change_of(found.rescan_id, found.upload_id).values(attempts=attempts, due_at=due))
        return json.dumps({"state": ""})
