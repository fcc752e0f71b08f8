"""Small files of one sender and case at once: one job, one child, a few transactions, a verdict and a receipt each.

What goes wrong with one of them makes nothing of all: they are put back as they were, no attempt counted, and are done
one by one from then on (`Batching.apart`), where what failed is seen and counted as ever.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import time
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select

from mft.catalog.model import BODIES, UPLOADS
from mft.catalog.states import UploadState, move_uploads
from mft.intake.pseudonyms import OvertakenError
from mft.intake.scrubbing import discard_body, facts_of
from mft.intake.waiting import SMALL_BYTES
from mft.policy import Outcome
from mft.scrubbing.answer import check_scrubbed
from mft.scrubbing.batch import BATCH_BYTES, BATCH_FILES, Part
from mft.scrubbing.child import Errand
from mft.scrubbing.nursery import ChildFailedError
from storage.body import BodyInfo
from storage.encrypted import SealedPut
from storage.keys.envelope import Envelope, Region
from storage.slot import Manifest, seal_manifest
from storage.store import ObjectKey, new_object_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.placing import Placing
    from mft.intake.pseudonyms import PseudonymBook, PseudonymBooks
    from mft.intake.records import CaseBook
    from mft.intake.scrubbing import Scrubbing
    from mft.intake.settings import IntakeSettings
    from mft.intake.settling import Settling
    from mft.objects import Objects
    from mft.scrubbing.batch import Scrubbed
    from mft.scrubbing.nursery import Nursery
    from mft.upload.landed import LandedFiles
    from storage.keys.service import KeyService
    from storage.landing import LandingZone

log = logging.getLogger(__name__)

SETTLED_TOGETHER = 8
"""Uploads of one transaction: whoever sends meanwhile waits for it."""
STORED_AT_ONCE = 8
_STORED = {Outcome.ACCEPT, Outcome.REDACT}


@dataclass(slots=True, kw_only=True)
class _File:
    """One upload of a batch, as far as it has come."""

    row: Row[Any]
    object_key: ObjectKey
    names: tuple[str, ...] = ()
    data_key: bytes = field(default=b"", repr=False)
    envelope: Envelope
    result: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = Outcome.ACCEPT
    reason: str | None = None


class Batching:
    """Scrubs and settles small files of one sender and case together."""

    def __init__(
        self,
        *,
        database: Database,
        keys: KeyService,
        book: CaseBook,
        books: PseudonymBooks,
        zones: Mapping[str, LandingZone],
        landed: LandedFiles,
        objects: Objects,
        nursery: Nursery,
        placing: Placing,
        scrubbing: Scrubbing,
        settling: Settling,
        settings: IntakeSettings,
    ) -> None:
        """Do together what *scrubbing* and *settling* do with one."""
        self._database = database
        self._keys = keys
        self._book = book
        self._books = books
        self._zones = zones
        self._landed = landed
        self._objects = objects
        self._nursery = nursery
        self._placing = placing
        self._scrubbing = scrubbing
        self._settling = settling
        self._settings = settings
        self._storing = futures.ThreadPoolExecutor(STORED_AT_ONCE, thread_name_prefix="batch-store")
        self.apart: set[str] = set()
        """Uploads that came out of a batch undone: each is to be done by itself."""

    def groups(self, waiting: Sequence[Row[Any]]) -> tuple[list[list[str]], list[str]]:
        """Say which of the *waiting* uploads can be done together, and which are to be done one by one.

        A row has id, case_id, zone, region, login, size, attempts, state, and `has_password`. Only what one login sent
        to one case is together: a file that takes its child over reaches nothing but what its own sender has sent.
        """
        alike: dict[tuple[int, str, str, str], list[Row[Any]]] = {}
        single = []
        for row in waiting:
            if self._fits(row):
                alike.setdefault((row.case_id, row.zone, row.region, row.login), []).append(row)
            else:
                single.append(row.id)
        together = [group for rows in alike.values() for group in _portions(rows)]
        single += [group[0] for group in together if len(group) == 1]
        return [group for group in together if len(group) > 1], single

    def _fits(self, row: Row[Any]) -> bool:
        most = SMALL_BYTES if self._settings.ahead is None else min(SMALL_BYTES, self._settings.ahead - 1)
        return (
            row.size <= most
            and row.attempts == 0
            and row.state == UploadState.LANDED
            and not row.has_password
            and row.id not in self.apart
            and all(scanner.region != row.region for scanner in self._settings.scanners)
        )

    def run(self, upload_ids: Sequence[str]) -> None:
        """Bring uploads of one case from LANDED to their end; what cannot be done together is left for one by one."""
        files: list[_File] = []
        with self._scrubbing.turns:
            try:
                files = self._begin(upload_ids)
                if files:
                    self._finish(files)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is met again one by one, and told then
                log.info("intake.batch_undone", extra={"files": len(upload_ids), "why": type(error).__name__})
                self.apart.update(upload_ids)
                self._put_back(upload_ids)
                return
        if any(each.outcome in _STORED for each in files):
            self._settling.stored(files[0].row.id)

    def _begin(self, upload_ids: Sequence[str]) -> list[_File]:
        """Count an attempt of each that still waits, and write down that its object is about to be made."""
        with self._database.read() as connection:
            waits = (UPLOADS.c.id.in_(upload_ids), UPLOADS.c.state == UploadState.LANDED, UPLOADS.c.attempts == 0)
            rows = connection.execute(select(UPLOADS).where(*waits).order_by(UPLOADS.c.landed_at)).all()
        if not rows:
            return []
        tree = self._book.tree(rows[0].case_id)
        region = self._placing.home_for(tree, rows[0].region)
        scope_key = self._book.scope_key(tree, region)
        object_keys = [new_object_key() for _ in rows]
        made = self._keys.new_keys(Region(region), tree.key_scope, scope_key, object_keys)
        files = [
            _File(row=row, object_key=object_key, data_key=data_key, envelope=envelope)
            for row, object_key, (data_key, envelope) in zip(rows, object_keys, made, strict=True)
        ]
        now = time.time()
        bodies = [
            {
                "key": each.object_key,
                "upload_id": each.row.id,
                "case_id": tree.id,
                "region": region,
                "state": "writing",
                "created_at": now,
            }
            for each in files
        ]
        with self._database.write() as connection:
            move_uploads(connection, [row.id for row in rows], UploadState.SCRUBBING, attempts=1)
            connection.execute(insert(BODIES), bodies)
        return files

    def _finish(self, files: Sequence[_File]) -> None:
        tree, region = self._book.tree(files[0].row.case_id), files[0].envelope.region
        book = self._books.open(tree, region, self._scrubbing.treatment(tree).scope)
        taught = self._scrub(files, tree, region, book)
        while True:
            lesson = self._books.lesson_for(book.id, taught)
            try:
                for begin in range(0, len(files), SETTLED_TOGETHER):
                    with self._database.write() as connection:
                        for each in files[begin : begin + SETTLED_TOGETHER]:
                            self._scrubbing.keep(connection, each.row, tree, each.object_key, each.result)
                            told = {"outcome": each.outcome.value, "reason": each.reason, "object": each.object_key}
                            self._settling.conclude(connection, each.row.id, told)
                        self._books.keep(connection, files[begin].object_key, lesson)
                    lesson = None  # all of it was kept with the first of them
            except OvertakenError:
                continue
            return

    def _scrub(self, files: Sequence[_File], tree: CaseTree, region: str, book: PseudonymBook) -> bytes:
        """Run the child, store what is to be stored; return what the files have taught together, sealed."""
        errand = self._errand(files, tree, region, book)
        with self._logs(files) as logs:
            child = self._nursery.begin_batch(errand, landing_fds=logs, wall=self._settings.wall)
        with contextlib.closing(child):
            done = child.results(len(files))
        for each, scrubbed in zip(files, done, strict=True):
            check_scrubbed(scrubbed.document, each.names)
            each.result = scrubbed.document
            each.result["body"]["sealed_sha256"] = hashlib.sha256(scrubbed.body).hexdigest()
            each.outcome, each.reason = self._scrubbing.judgement(each.row, each.result)
            if each.outcome not in _STORED and each.result.get("taught"):
                raise ChildFailedError("what the others have learned comes from a file that is not published")
        self._store_all(files, done, tree, region)
        return child.names

    def _store_all(self, files: Sequence[_File], done: Sequence[Scrubbed], tree: CaseTree, region: str) -> None:
        """Store them in portions, side by side: what waits for the disk waits for many in the time of one."""
        kept = [(each, scrubbed) for each, scrubbed in zip(files, done, strict=True) if each.outcome in _STORED]
        puts = [self._put_of(each, tree, region, scrubbed.body) for each, scrubbed in kept]
        store = self._objects.store_at(Region(region))
        begun = [
            self._storing.submit(store.put_sealed, *puts[start::STORED_AT_ONCE])
            for start in range(min(STORED_AT_ONCE, len(puts)))
        ]
        futures.wait(begun)
        for each in begun:
            each.result()
        for file, scrubbed in kept:
            if scrubbed.reverse_map:
                self._books.note_reverse_map(file.object_key, scrubbed.reverse_map)

    def _errand(self, files: Sequence[_File], tree: CaseTree, region: str, book: PseudonymBook) -> Errand:
        treatment = self._scrubbing.treatment(tree)
        parts = []
        for each, landing_key in zip(files, self._landed.keys_of([each.row for each in files]), strict=True):
            each.names = self._book.path_of(each.row)
            part = Part(
                names=each.names,
                landing_id=each.row.landing_id,
                landing_key=landing_key,
                records=each.row.records,
                size=each.row.size,
                object_key=each.object_key,
                data_key=each.data_key,
            )
            parts.append(part.to_plain())
        return Errand(
            names=("batch",),
            profile=treatment.profile,
            deny=treatment.terms.deny,
            allow=treatment.terms.allow,
            pseudonym_key=book.key,
            dictionary=book.names,
            recipient=self._scrubbing.recipient(tree),
            cage=self._settings.cage,
            limits=dict(self._settings.limits),
            scratch=str(self._settings.scratch[region]),
            landing_id=files[0].row.landing_id,
            outbound=files[0].row.zone == "download",
            batch=tuple(parts),
        )

    @contextlib.contextmanager
    def _logs(self, files: Sequence[_File]) -> Iterator[list[int]]:
        """Give descriptors of the landing logs, to be handed down."""
        opened: list[int] = []
        try:
            for each in files:
                opened.append(self._zones[each.row.region].open_fd(each.row.landing_id))  # noqa: PERF401 - each is closed if one fails
            yield opened
        finally:
            for descriptor in opened:
                os.close(descriptor)

    @staticmethod
    def _put_of(each: _File, tree: CaseTree, region: str, body: bytes) -> SealedPut:
        told = each.result["body"]
        info = BodyInfo(size=told["size"], sha256=bytes.fromhex(told["sha256"]), stored_size=told["stored_size"])
        manifest = Manifest(body=info, facts=facts_of(each.row, tree, each.result) | {"home": region})
        return SealedPut(
            object_key=each.object_key,
            ciphertext=[body],
            envelope=each.envelope,
            sealed_manifest=functools.partial(seal_manifest, each.data_key, each.object_key, manifest),
        )

    def _put_back(self, upload_ids: Sequence[str]) -> None:
        """Let those that were not settled wait again, as if nobody had tried."""
        try:
            with self._database.write() as connection:
                half = (UPLOADS.c.id.in_(upload_ids), UPLOADS.c.state == UploadState.SCRUBBING, UPLOADS.c.attempts == 1)
                left = list(connection.execute(select(UPLOADS.c.id).where(*half)).scalars())
                if not left:
                    return
                move_uploads(connection, left, UploadState.LANDED, attempts=0)
                begun = select(BODIES.c.key).where(BODIES.c.upload_id.in_(left), BODIES.c.state == "writing")
                for key in connection.execute(begun).scalars().all():
                    discard_body(connection, ObjectKey(key))
        except Exception:
            self._scrubbing.uncount(upload_ids)
            raise


def _portions(rows: Sequence[Row[Any]]) -> Iterator[list[str]]:
    """Cut uploads of one kind into batches."""
    portion: list[str] = []
    size = 0
    for row in rows:
        if portion and (len(portion) == BATCH_FILES or size + row.size > BATCH_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(row.id)
        size += row.size
    if portion:
        yield portion
