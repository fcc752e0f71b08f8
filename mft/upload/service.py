"""Uploads from their first byte to LANDED. What happens to them after that is intake's.

Order everywhere: row (with the wrapped key) before file, durable file before state, state before deletion.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, false, insert, not_, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from mft.audit import customer_chain
from mft.catalog.model import CASES, LANDING_KEYS, NODES, OWN_VERSIONS, RECEIPTS, REVOCATIONS, UPLOADS
from mft.catalog.states import PARTIAL, StateError, UploadState, move_upload
from mft.faults import translated
from mft.upload.handle import UploadHandle
from mft.upload.place import find_node, make_node
from mft.upload.room import FIRST_SLAB, check_space, quota_used, raise_reservation, reserve_quota
from protocols.errors import (
    AlreadyExistsError,
    LockedError,
    PermissionDeniedError,
    QuotaExceededError,
    RejectedError,
)
from protocols.filesystem import Receipt, SpaceReport, WriteMode
from storage.errors import LandingBusyError, LandingNotFoundError, StorageError
from storage.keys.envelope import Envelope, Region

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from mft.audit import AuditTrail
    from mft.cases import CaseTree, Lease
    from mft.catalog.database import Database
    from mft.config.units import FreeSpace
    from mft.upload.room import MemoryBudget
    from storage.keys.service import KeyService
    from storage.landing import LandingWriter, LandingZone

log = logging.getLogger(__name__)

LITTER = ("._", "~$")
LITTER_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
TAKE_OVER_SECONDS = 3.0
"""How long a resume waits for the older handle to let go of the log."""
SAME_AGAIN_SECONDS = 24 * 3600.0
"""A login that sends the same name and digest within this time gets its first receipt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """What an installation says of uploads; see the configuration for each."""

    installation: str
    host: str
    worker: str
    resume_grace: float
    free_space: FreeSpace
    landing: Mapping[str, Path]
    """The landing directory of each region."""
    catalog: Path
    """The directory of the catalog, which must keep room to commit."""
    upload_size: int | None = None
    case_quota: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Who sends what where."""

    tree: CaseTree
    home: str
    copies: tuple[str, ...]
    zone: str
    """`upload` or `download`."""
    directories: tuple[str, ...]
    """Below the zone's root."""
    parent_id: int
    name: str
    login: str
    session_id: str
    protocol: str
    peer: str
    lease: Lease


class Uploads:
    """The deposits of one process."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        keys: KeyService,
        zones: Mapping[str, LandingZone],
        sign: Callable[[Mapping[str, object]], dict[str, object]],
        budget: MemoryBudget,
        settings: UploadSettings,
        landed: Callable[[], None],
    ) -> None:
        """Receive into *zones* (by region); call *landed* after each commit to wake intake."""
        self._database = database
        self._trail = trail
        self._keys = keys
        self._zones = zones
        self._sign = sign
        self._budget = budget
        self._settings = settings
        self._landed = landed
        self._open: dict[str, UploadHandle] = {}
        self._open_lock = threading.Lock()

    # -- opening ---------------------------------------------------------------------------------------------------

    def open(self, deposit: Deposit, mode: WriteMode, *, length: int | None) -> UploadHandle:
        """Begin an upload, or go on with this login's interrupted one.

        Raises:
            AlreadyExistsError: CREATE, and the name is taken.
            PermissionDeniedError: RESUME of a file that is complete and past its grace.
            RejectedError: a name that never becomes a deposit.
            QuotaExceededError: too large, over quota, or the disk is nearly full.
        """
        if deposit.name.startswith(LITTER) or deposit.name.lower() in LITTER_NAMES:
            raise RejectedError("files that desktops leave behind are not taken")
        limit = self._settings.upload_size
        if length is not None and limit is not None and length > limit:
            raise QuotaExceededError(f"an upload may have {limit} bytes; this one has {length}")
        check_space(
            self._settings.free_space,
            (self._settings.landing[deposit.home], self._settings.catalog),
            coming=length or 0,
        )
        self._budget.take()
        try:
            with translated():
                return self._open_budgeted(deposit, mode, length)
        except BaseException:
            self._budget.give_back()
            raise

    def _open_budgeted(self, deposit: Deposit, mode: WriteMode, length: int | None) -> UploadHandle:
        if mode is WriteMode.RESUME:
            row = self._resumable(deposit)
            if row is not None:
                return self._resume(deposit, row)
        return self._begin(deposit, mode, length)

    def _begin(self, deposit: Deposit, mode: WriteMode, length: int | None) -> UploadHandle:
        upload_id = secrets.token_hex(16)
        day = dt.datetime.now(dt.UTC).date().isoformat()
        key, envelope = self._keys.new_key(
            Region(deposit.home), f"landing:{day}", self._landing_key(deposit.home, day), upload_id
        )
        now = time.time()
        with self._database.write() as connection:
            node = find_node(connection, deposit.parent_id, deposit.name)
            if node is not None and node.hidden_at is None:
                if node.is_directory:
                    raise PermissionDeniedError("a directory of that name is there")
                if mode is not WriteMode.REPLACE:
                    self._refuse_existing(mode)
            reserved = reserve_quota(
                connection,
                deposit.tree.id,
                self._settings.case_quota,
                FIRST_SLAB if length is None else length,
                least=1 if length is None else length,
            )
            connection.execute(
                insert(UPLOADS).values(
                    id=upload_id,
                    case_id=deposit.tree.id,
                    zone=deposit.zone,
                    parent_id=deposit.parent_id,
                    name=deposit.name,
                    login=deposit.login,
                    protocol=deposit.protocol,
                    peer=deposit.peer,
                    session_id=deposit.session_id,
                    state=UploadState.RECEIVING,
                    region=deposit.home,
                    copies=",".join(deposit.copies),
                    host=self._settings.host,
                    worker=self._settings.worker,
                    landing_id=upload_id,
                    landing_day=day,
                    landing_envelope=json.dumps(envelope.to_dict()),
                    announced=length,
                    reserved=reserved,
                    prefix=0,
                    created_at=now,
                    updated_at=now,
                )
            )
            self._event(connection, deposit, "upload.started", upload_id, announced=length)
        writer = self._zones[deposit.home].create(upload_id, key)
        return self._handle(deposit, upload_id, 0, writer, reserved)

    @staticmethod
    def _refuse_existing(mode: WriteMode) -> None:
        if mode is WriteMode.CREATE:
            raise AlreadyExistsError("a file of that name is there")
        raise PermissionDeniedError(
            "the file is complete and can no longer be resumed; send it again from its start (a new version)"
        )

    def _landing_key(self, region: str, day: str) -> bytes:
        wanted = and_(LANDING_KEYS.c.region == region, LANDING_KEYS.c.day == day)
        with self._database.read() as connection:
            row = connection.execute(select(LANDING_KEYS.c.wrapped).where(wanted)).first()
        if row is None or row.wrapped is None:
            fresh = self._keys.new_scope(Region(region), f"landing:{day}")
            with self._database.write() as connection:
                connection.execute(
                    upsert(LANDING_KEYS)
                    .values(region=region, day=day, wrapped=fresh, created_at=time.time())
                    .on_conflict_do_nothing()
                )
                row = connection.execute(select(LANDING_KEYS.c.wrapped).where(wanted)).one()
        return bytes(row.wrapped)

    # -- resuming --------------------------------------------------------------------------------------------------

    def _resumable(self, deposit: Deposit) -> Row[tuple[object, ...]] | None:
        """Return the newest upload of this login and path that a resume may go on with."""
        with self._database.read() as connection:
            row = connection.execute(
                select(UPLOADS)
                .where(
                    UPLOADS.c.case_id == deposit.tree.id,
                    UPLOADS.c.login == deposit.login,
                    UPLOADS.c.parent_id == deposit.parent_id,
                    UPLOADS.c.name == deposit.name,
                    UPLOADS.c.state.in_([*PARTIAL, UploadState.LANDED, UploadState.SCRUBBING, UploadState.STORED]),
                    UPLOADS.c.landing_gone_at.is_(None),
                )
                .order_by(UPLOADS.c.created_at.desc())
                .limit(1)
            ).first()
        if row is None or row.state in PARTIAL:
            return row
        fresh = time.time() - (row.landed_at or 0) <= self._settings.resume_grace
        return row if fresh else None

    def _resume(self, deposit: Deposit, row: Row[tuple[object, ...]]) -> UploadHandle:
        resume = self._take_over if row.state in PARTIAL else self._reopen
        upload_id, epoch, reserved = resume(deposit, row)
        envelope = Envelope.from_dict(json.loads(row.landing_envelope))
        key = self._keys.open_key(envelope)
        writer = self._resume_log(self._zones[row.region], row.landing_id, key)
        return self._handle(deposit, upload_id, epoch, writer, reserved)

    @staticmethod
    def _resume_log(zone: LandingZone, landing_id: str, key: bytes) -> LandingWriter:
        deadline = time.monotonic() + TAKE_OVER_SECONDS
        while True:
            try:
                return zone.resume(landing_id, key)
            except LandingNotFoundError:
                return zone.create(landing_id, key)  # the row came first, and the file never did
            except LandingBusyError:  # the older handle is being told to let go
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.05)

    def _take_over(self, deposit: Deposit, row: Row[tuple[object, ...]]) -> tuple[str, int, int]:
        epoch = row.epoch + 1
        with self._open_lock:
            here = self._open.get(row.id)
        if here is not None:
            here.lose()
        with self._database.write() as connection:
            taken = connection.execute(
                update(UPLOADS)
                .where(UPLOADS.c.id == row.id, UPLOADS.c.epoch == row.epoch, UPLOADS.c.state.in_(list(PARTIAL)))
                .values(
                    state=UploadState.RECEIVING,
                    epoch=epoch,
                    session_id=deposit.session_id,
                    protocol=deposit.protocol,
                    peer=deposit.peer,
                    worker=self._settings.worker,
                    reason=None,
                    updated_at=time.time(),
                )
            )
            if taken.rowcount != 1:
                raise LockedError("another session is resuming this upload")
            if row.state == UploadState.RECEIVING and here is None:
                connection.execute(
                    insert(REVOCATIONS).values(kind="upload", subject=row.id, reason=f"epoch {epoch}", at=time.time())
                )
            self._event(connection, deposit, "upload.resumed", row.id, epoch=epoch)
        return row.id, epoch, row.reserved

    def _reopen(self, deposit: Deposit, row: Row[tuple[object, ...]]) -> tuple[str, int, int]:
        """Begin a further upload that goes on in the landing log of one that was closed a short while ago."""
        upload_id, now = secrets.token_hex(16), time.time()
        copied = (
            "case_id", "zone", "parent_id", "name", "login", "region", "landing_id", "landing_day", "landing_envelope",
        )  # fmt: skip
        with self._database.write() as connection:
            reserved = reserve_quota(
                connection, deposit.tree.id, self._settings.case_quota, row.size + FIRST_SLAB, least=row.size
            )
            connection.execute(
                insert(UPLOADS).values(
                    **{name: getattr(row, name) for name in copied},
                    id=upload_id,
                    protocol=deposit.protocol,
                    peer=deposit.peer,
                    session_id=deposit.session_id,
                    state=UploadState.RECEIVING,
                    copies=",".join(deposit.copies),
                    host=self._settings.host,
                    worker=self._settings.worker,
                    reserved=reserved,
                    prefix=row.size,
                    created_at=now,
                    updated_at=now,
                )
            )
            self._event(connection, deposit, "upload.reopened", upload_id, of=row.id)
        return upload_id, 0, reserved

    def _handle(
        self, deposit: Deposit, upload_id: str, epoch: int, writer: LandingWriter, reserved: int
    ) -> UploadHandle:
        handle = UploadHandle(
            uploads=self,
            upload_id=upload_id,
            epoch=epoch,
            writer=writer,
            lease=deposit.lease,
            limit=self._settings.upload_size,
            reserved=reserved,
        )
        with self._open_lock:
            self._open[upload_id] = handle
        return handle

    # -- while it runs ---------------------------------------------------------------------------------------------

    def reserve(self, upload_id: str, held: int, wanted: int, least: int) -> int:
        """Raise a reservation from *held* to *wanted* bytes, or to *least* where no more is left; return it."""
        if self._settings.case_quota is None:
            return wanted
        with self._database.write() as connection:
            row = connection.execute(select(UPLOADS.c.case_id).where(UPLOADS.c.id == upload_id)).one()
            more = reserve_quota(connection, row.case_id, self._settings.case_quota, wanted - held, least=least - held)
            wanted = held + more
            raise_reservation(connection, upload_id, wanted)
        return wanted

    def note_progress(self, upload_id: str, epoch: int, prefix: int) -> None:
        """Tell the catalog where a resume could go on."""
        with self._database.write() as connection:
            connection.execute(
                update(UPLOADS)
                .where(UPLOADS.c.id == upload_id, UPLOADS.c.epoch == epoch)
                .values(prefix=prefix, updated_at=time.time())
            )

    def taken_over(self, upload_id: str, epoch: int) -> None:
        """Let go of an upload that a session elsewhere resumed as *epoch*."""
        with self._open_lock:
            handle = self._open.get(upload_id)
        if handle is not None and handle.epoch < epoch:
            handle.lose()

    def wake(self) -> None:
        """Tell intake that there may be something to do."""
        self._landed()

    def space(self, tree: CaseTree, region: str) -> SpaceReport:
        """Say how much room there is for more uploads to a case: its quota's, or the landing zone's."""
        state = os.statvfs(self._settings.landing[region])
        total, free = state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize
        free = max(0, free - self._settings.free_space.needed(total))
        quota = self._settings.case_quota
        if quota is not None:
            with self._database.read() as connection:
                free = min(free, max(0, quota - quota_used(connection, tree.id)))
            total = quota
        return SpaceReport(total=total, free=free)

    def forget(self, handle: UploadHandle) -> None:
        """A handle has let go of its log: give its room back."""
        with self._open_lock:
            if self._open.get(handle.id) is handle:
                del self._open[handle.id]
        self._budget.give_back()

    # -- ending ----------------------------------------------------------------------------------------------------

    def interrupt(self, handle: UploadHandle, writer: LandingWriter, reason: str) -> None:
        """Record that an upload broke off; what came is kept."""
        try:
            writer.sync()
        except StorageError:  # a full disk, say; what is durable is durable
            log.warning("upload.sync_failed", extra={"upload": handle.id})
        empty = writer.end == 0
        state = UploadState.EXPIRED if empty else UploadState.INTERRUPTED
        with self._database.write() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == handle.id)).first()
            if row is None or row.epoch != handle.epoch or row.state != UploadState.RECEIVING:
                return
            move_upload(
                connection,
                handle.id,
                state,
                reason=reason,
                prefix=writer.durable_prefix,
                reserved=0 if empty else writer.end,
                finished_at=time.time() if empty else None,
            )
            chain = self._chain(connection, row.case_id)
            self._trail.append(
                connection,
                chain,
                "upload.interrupted",
                upload=handle.id,
                login=row.login,
                received=writer.prefix,
                why=reason,
            )

    def land(self, handle: UploadHandle, writer: LandingWriter, *, modified: float | None) -> Receipt:
        """Make a synced upload LANDED: row, version, event and receipt in one transaction; wake intake."""
        digest = writer.digest()
        sha256 = digest.hex() if digest is not None else None
        with self._database.write() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == handle.id)).first()
            if row is None or row.epoch != handle.epoch or row.state != UploadState.RECEIVING:
                raise StateError("the upload was taken over or ended elsewhere")
            again = self._same_again(connection, row, writer.end, sha256)
            if again is not None:
                return self._keep_first(connection, row, again)
            receipt = self._land_row(connection, row, writer, sha256=sha256, modified=modified)
        self._landed()
        return receipt

    def _same_again(
        self, connection: Connection, row: Row[tuple[object, ...]], size: int, sha256: str | None
    ) -> str | None:
        """Return the upload that this one repeats: a lost reply must not double a file."""
        if sha256 is None:
            return None
        node = find_node(connection, row.parent_id, row.name)
        if node is None or node.hidden_at is not None:
            return None
        first = connection.execute(
            select(UPLOADS.c.id)
            .join(OWN_VERSIONS, OWN_VERSIONS.c.upload_id == UPLOADS.c.id)
            .where(
                OWN_VERSIONS.c.node_id == node.id,
                OWN_VERSIONS.c.login == row.login,
                UPLOADS.c.sha256 == sha256,
                UPLOADS.c.size == size,
                UPLOADS.c.landed_at > time.time() - SAME_AGAIN_SECONDS,
                UPLOADS.c.state.in_([UploadState.LANDED, UploadState.SCRUBBING, UploadState.STORED]),
            )
        ).first()
        return None if first is None else str(first.id)

    def _keep_first(self, connection: Connection, row: Row[tuple[object, ...]], first: str) -> Receipt:
        move_upload(
            connection,
            row.id,
            UploadState.EXPIRED,
            reason=f"the same file again: {first}",
            reserved=0,
            finished_at=time.time(),
        )
        chain = self._chain(connection, row.case_id)
        self._trail.append(connection, chain, "upload.repeated", upload=row.id, login=row.login, first=first)
        found = connection.execute(
            select(RECEIPTS.c.document).where(RECEIPTS.c.upload_id == first, RECEIPTS.c.kind == "landed")
        ).one()
        return Receipt(id=first, document=json.loads(found.document))

    def _land_row(
        self,
        connection: Connection,
        row: Row[tuple[object, ...]],
        writer: LandingWriter,
        *,
        sha256: str | None,
        modified: float | None,
    ) -> Receipt:
        now = time.time()
        node_id = make_node(
            connection, case_id=row.case_id, parent_id=row.parent_id, name=row.name, owner=row.login, is_directory=False
        )
        version = connection.execute(
            update(NODES).where(NODES.c.id == node_id).values(versions=NODES.c.versions + 1).returning(NODES.c.versions)
        ).scalar_one()
        move_upload(
            connection,
            row.id,
            UploadState.LANDED,
            node_id=node_id,
            version=version,
            size=writer.end,
            records=writer.records,
            reserved=0,
            prefix=writer.end,
            sha256=sha256,
            modified=modified,
            landed_at=now,
            reason=None,
        )
        own = upsert(OWN_VERSIONS).values(node_id=node_id, login=row.login, upload_id=row.id)
        connection.execute(own.on_conflict_do_update(index_elements=["node_id", "login"], set_={"upload_id": row.id}))
        chain = self._chain(connection, row.case_id)
        case_number = self._case_number(connection, row.case_id)
        document = self._sign(
            {
                "kind": "landed",
                "id": row.id,
                "url": f"/api/v1/receipts/{row.id}",
                "installation": self._settings.installation,
                "case": case_number,
                "name": row.name,
                "version": version,
                "login": row.login,
                "size": writer.end,
                "sha256": sha256 or "pending",
                "region": row.region,
                "landed_at": dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="milliseconds"),
            }
        )
        connection.execute(
            insert(RECEIPTS).values(upload_id=row.id, kind="landed", document=json.dumps(document), created_at=now)
        )
        self._trail.append(
            connection,
            chain,
            "upload.landed",
            upload=row.id,
            login=row.login,
            case=case_number,
            zone=row.zone,
            node=node_id,
            version=version,
            size=writer.end,
            sha256=sha256,
            region=row.region,
            session=row.session_id,
        )
        return Receipt(id=row.id, document=document)

    def recover(self, slots: Collection[str]) -> int:
        """Mark what dead processes left RECEIVING as interrupted; return how many.

        Those are earlier processes of this slot, and of slots that are not among the *slots* of today. Where the
        uploads may be resumed is read from their landing logs by the sweep.
        """
        own = self._settings.worker.split(":", 1)[0]
        others = [UPLOADS.c.worker.like(f"{slot}:%") for slot in slots if slot != own]
        with self._database.write() as connection:
            rows = connection.execute(
                select(UPLOADS.c.id, UPLOADS.c.case_id, UPLOADS.c.login).where(
                    UPLOADS.c.state == UploadState.RECEIVING,
                    UPLOADS.c.host == self._settings.host,
                    UPLOADS.c.worker != self._settings.worker,
                    not_(or_(false(), *others)),
                )
            ).all()
            for row in rows:
                why = "the server process that received it ended"
                move_upload(connection, row.id, UploadState.INTERRUPTED, reason=why, prefix=None)
                chain = self._chain(connection, row.case_id)
                self._trail.append(connection, chain, "upload.interrupted", upload=row.id, login=row.login, why=why)
        return len(rows)

    # -- words -----------------------------------------------------------------------------------------------------

    def _event(self, connection: Connection, deposit: Deposit, kind: str, upload_id: str, **details: object) -> None:
        self._trail.append(
            connection,
            customer_chain(deposit.tree.customer),
            kind,
            upload=upload_id,
            case=deposit.tree.number,
            zone=deposit.zone,
            login=deposit.login,
            session=deposit.session_id,
            protocol=deposit.protocol,
            peer=deposit.peer,
            region=deposit.home,
            **details,
        )

    @staticmethod
    def _chain(connection: Connection, case_id: int) -> str:
        row = connection.execute(select(CASES.c.customer).where(CASES.c.id == case_id)).one()
        return customer_chain(row.customer)

    @staticmethod
    def _case_number(connection: Connection, case_id: int) -> str:
        return str(connection.execute(select(CASES.c.number).where(CASES.c.id == case_id)).scalar_one())


def discard_partial(
    database: Database, trail: AuditTrail, row: Row[tuple[object, ...]], chain: str, *, reason: str
) -> None:
    """Give an interrupted upload up: its bytes are reaped by the sweep."""
    with database.write() as connection:
        move_upload(connection, row.id, UploadState.EXPIRED, reason=reason, reserved=0, finished_at=time.time())
        trail.append(connection, chain, "upload.discarded", upload=row.id, login=row.login, why=reason)
