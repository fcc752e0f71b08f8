"""Uploads from their first byte to LANDED. What happens to them after that is intake's.

Order everywhere: row (with the wrapped key) before file, durable file before state, state before deletion.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import false, not_, or_, select, update

from mft.casetree import case_tree
from mft.catalog.errors import CatalogError
from mft.catalog.model import CASES, UPLOADS
from mft.catalog.states import PARTIAL, UploadState, move_upload
from mft.faults import translated
from mft.upload.allowance import cap_bytes, is_metered
from mft.upload.arrival import Arrivals
from mft.upload.beginning import Beginnings
from mft.upload.deposit import Deposit, UploadSettings
from mft.upload.handle import LIVELY_SECONDS, UploadHandle
from mft.upload.joining import Joins
from mft.upload.landed import open_landing_key
from mft.upload.note import note_of
from mft.upload.numbered import NumberedUpload
from mft.upload.passwords import ArchivePasswords
from mft.upload.record import chain_of
from mft.upload.resources import Resources, has_resource
from mft.upload.resumption import Resumptions
from mft.upload.room import check_space, quota_of, raise_reservation, reserve_quota, room_left, space_of
from protocols.errors import LockedError, NotFoundError, QuotaExceededError, RejectedError
from protocols.filesystem import Receipt, SpaceReport, WriteMode
from protocols.resumable import Dialect, UploadKind
from storage.errors import LandingBusyError, LandingNotFoundError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from sqlalchemy import Connection, Row

    from mft.audit import AuditTrail
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.upload.room import MemoryBudget
    from protocols.filesystem import WriteHandle
    from storage.keys.service import KeyService
    from storage.landing import LandingWriter, LandingZone

__all__ = ["Deposit", "UploadSettings", "Uploads"]

log = logging.getLogger(__name__)

LITTER = ("._", "~$")
LITTER_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
UNRESUMED = frozenset({"webdav"})
"""Protocols whose clients send a file again from its first byte: a partial would only hide what is there whole."""
TAKE_OVER_SECONDS = 3.0
"""How long a resume waits for the older handle to let go of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interruption:
    """An upload that broke off."""

    upload_id: str
    epoch: int
    reason: str
    received: int
    durable: int | None
    """Bytes that a resume can build on; None: the sweep looks."""
    end: int
    """Where the farthest byte lies that came; 0: none did."""


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
        self._budget = budget
        self._settings = settings
        self._landed = landed
        self._beginnings = Beginnings(database=database, trail=trail, keys=keys, settings=settings)
        self._resumptions = Resumptions(database=database, trail=trail, settings=settings)
        self.passwords = ArchivePasswords(database=database, trail=trail, keys=keys, wake=landed)
        self.resources = Resources(database=database, trail=trail)
        self.joins = Joins(resources=self.resources, keys=keys, zones=zones, go_on=self._go_on)
        self._arrivals = Arrivals(database=database, trail=trail, sign=sign, settings=settings)
        self._open: dict[str, UploadHandle] = {}
        self._metered: set[str] = set()
        """Those of them that count against a token or a quota."""
        self._unrecorded: list[_Interruption] = []
        self._open_lock = threading.Lock()

    # -- opening ---------------------------------------------------------------------------------------------------

    def open(self, deposit: Deposit, mode: WriteMode, *, length: int | None) -> WriteHandle:
        """Begin an upload, or go on with this login's interrupted one; or take the password of one (NAME.password).

        Raises:
            AlreadyExistsError: CREATE, and the name is taken.
            PermissionDeniedError: RESUME of a file that is complete and past its grace.
            RejectedError: a name that never becomes a deposit.
            QuotaExceededError: too large, over quota, or the disk is nearly full.
        """
        if deposit.name.startswith(LITTER) or deposit.name.lower() in LITTER_NAMES:
            raise RejectedError("files that desktops leave behind are not taken")
        if self._unrecorded:
            self.record_interruptions()
        note = note_of(deposit, self.passwords)
        if note is not None:
            if deposit.resource is not None:
                raise RejectedError("a password comes in one piece: PUT it, or give it with its archive")
            return note
        return self._open_file(deposit, mode, length)

    def _open_file(self, deposit: Deposit, mode: WriteMode, length: int | None) -> UploadHandle:
        limit = self._settings.upload_size
        if length is not None and limit is not None and length > limit:
            raise QuotaExceededError(f"an upload may have {limit} bytes; this one has {length}")
        check_space(self._settings.free_space, (self._settings.landing[deposit.home],), coming=length or 0)
        check_space(self._settings.free_space, (self._settings.catalog,))  # its disk may be another, and a small one
        self._budget.take()
        try:
            with translated():
                return self._open_budgeted(deposit, mode, length)
        except BaseException:
            self._budget.give_back()
            raise

    def _open_budgeted(self, deposit: Deposit, mode: WriteMode, length: int | None) -> UploadHandle:
        if mode is WriteMode.RESUME:
            row = self._resumptions.find(deposit)
            if row is not None:
                return self._resume(deposit, row)
        begun = self._beginnings.begin(deposit, mode, length)
        part = deposit.resource is not None and deposit.resource.kind is UploadKind.PART  # its digest is nobody's
        with self._begun(begun.id, 0):
            writer = self._zones[deposit.home].create(begun.id, begun.key, hashed=not part)
        return self._handle(deposit, begun.id, 0, writer, begun.reserved, length=length, metered=begun.is_metered)

    def _resume(self, deposit: Deposit, row: Row[tuple[object, ...]]) -> UploadHandle:
        if row.state in PARTIAL:
            resumed = self._resumptions.take_over(deposit, row, held_here=self._lose(row.id))
        else:
            resumed = self._resumptions.reopen(deposit, row)
        with self._begun(resumed.id, resumed.epoch, held=max(1, resumed.reserved)):
            key = open_landing_key(self._keys, row)
            writer = self._resume_log(self._zones[row.region], row.landing_id, key, hashed=not row.part)
        return self._handle(deposit, resumed.id, resumed.epoch, writer, resumed.reserved)

    @contextlib.contextmanager
    def _begun(self, upload_id: str, epoch: int, *, held: int = 0) -> Iterator[None]:
        """Record that an upload of *held* bytes broke off if its log cannot be had: nobody holds it who would do so."""
        try:
            yield
        except BaseException:
            broken = _Interruption(
                upload_id=upload_id, epoch=epoch, reason="its log could not be had", received=0, durable=None, end=held
            )
            with contextlib.suppress(CatalogError):
                self._record(broken)
            raise

    def _lose(self, upload_id: str) -> bool:
        """Have this process's own handle of an upload let go; say whether there was one."""
        with self._open_lock:
            here = self._open.get(upload_id)
        if here is not None:
            here.lose()
        return here is not None

    @staticmethod
    def _resume_log(zone: LandingZone, landing_id: str, key: bytes, *, hashed: bool) -> LandingWriter:
        deadline = time.monotonic() + TAKE_OVER_SECONDS
        while True:
            try:
                return zone.resume(landing_id, key, hashed=hashed)
            except LandingNotFoundError:
                return zone.create(landing_id, key, hashed=hashed)  # the row came first, and the file never did
            except LandingBusyError:  # the older handle is being told to let go
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.05)

    def _handle(
        self,
        deposit: Deposit,
        upload_id: str,
        epoch: int,
        writer: LandingWriter,
        reserved: int,
        *,
        length: int | None = None,
        metered: bool | None = None,
    ) -> UploadHandle:
        handle = UploadHandle(
            uploads=self,
            upload_id=upload_id,
            epoch=epoch,
            writer=writer,
            lease=deposit.lease,
            limit=self._settings.upload_size,
            reserved=reserved,
            length=length,
        )
        quota = quota_of(self._settings.quotas, deposit.tree)
        if metered is None:
            with self._database.read() as connection:
                metered = is_metered(connection, deposit.login)
        with self._open_lock:
            self._open[upload_id] = handle
            if metered or quota.of_case or quota.of_customer:
                self._metered.add(upload_id)
        return handle

    # -- uploads with an address -----------------------------------------------------------------------------------

    @property
    def partial_ttl(self) -> float:
        """Seconds after which an upload that nobody goes on with is given up."""
        return self._settings.partial_ttl

    @property
    def limit(self) -> int | None:
        """Bytes that an upload may have; None: any number."""
        return self._settings.upload_size

    def begin_numbered(
        self, deposit: Deposit, mode: WriteMode, *, length: int | None, part_came: Callable[[str], None]
    ) -> NumberedUpload:
        """Begin an upload that has an address: *deposit*'s resource says what is known of it. Raises as `open` does."""
        handle = self.open(deposit, mode, length=length)
        if not isinstance(handle, UploadHandle) or deposit.resource is None:
            raise RejectedError("no upload of that name has an address")
        return self._numbered(handle, deposit.resource.kind, deposit.resource.length, part_came)

    def resume_numbered(
        self, deposit: Deposit, row: Row[Any], *, unverified: bool, part_came: Callable[[str], None]
    ) -> NumberedUpload:
        """Go on with the upload of *row*, which `Resources.find` has found; whoever was writing it loses it.

        Raises:
            LockedError: it is over, another session is just resuming it, or, by tus, just sending to it: of several
                requests for one place one has to win, and where each takes it from the one before none may.
        """
        if row.state not in PARTIAL or row.kind == UploadKind.JOINED:
            raise LockedError("nothing more can be sent to this upload")
        if row.dialect == Dialect.TUS and row.state == UploadState.RECEIVING and self._is_lively(row):
            raise LockedError("another request is just sending to this upload; ask where it stands in a moment")
        handle = self._go_on(deposit, row)
        try:
            if row.unverified_from is not None and handle.received > row.unverified_from:
                handle.truncate(row.unverified_from)
            if unverified:
                self.resources.distrust(row.id, handle.received)
        except BaseException:
            handle.abort("the server could not go on with it")
            raise
        return self._numbered(handle, UploadKind(row.kind), row.length, part_came)

    def _is_lively(self, row: Row[Any]) -> bool:
        """Say whether an upload's sender is at the other end still; of another worker's that it has only just begun."""
        with self._open_lock:
            here = self._open.get(row.id)
        return here.is_lively if here is not None else 0 <= time.time() - row.updated_at < LIVELY_SECONDS

    def received(self, row: Row[Any]) -> int:
        """Say how many bytes of an upload that is under way or interrupted are there for good."""
        with self._open_lock:
            here = self._open.get(row.id)
        prefix = row.prefix if here is None else max(here.durable, row.prefix or 0)
        if prefix is None:
            prefix = self._measure(row)
        return int(prefix if row.unverified_from is None else min(prefix, row.unverified_from))

    def _measure(self, row: Row[Any]) -> int:
        """Look into the landing log of an upload whose process died."""
        try:
            with translated():
                key = open_landing_key(self._keys, row)
                writer = self._zones[row.region].resume(row.landing_id, key, hashed=False)
        except (NotFoundError, LockedError):  # the row came first; or somebody just goes on with it
            return 0
        try:
            prefix = writer.prefix
        finally:
            writer.close()
        self.resources.measured(row.id, prefix)
        return prefix

    def end_numbered(self, row: Row[Any]) -> None:
        """Give an upload up, and its address; what was being written is let go."""
        self.resources.end(row)
        self._lose(row.id)

    def close(self) -> None:
        """Stop what runs on threads of its own."""
        self.joins.close()

    def _go_on(self, deposit: Deposit, row: Row[Any]) -> UploadHandle:
        self._budget.take()
        try:
            with translated():
                return self._resume(deposit, row)
        except BaseException:
            self._budget.give_back()
            raise

    def _numbered(
        self, handle: UploadHandle, kind: UploadKind, length: int | None, part_came: Callable[[str], None]
    ) -> NumberedUpload:
        return NumberedUpload(
            handle, self.resources, kind=kind, length=length, limit=self._settings.upload_size, part_came=part_came
        )

    # -- while it runs ---------------------------------------------------------------------------------------------

    def reserve(self, upload_id: str, held: int, wanted: int, least: int) -> int:
        """Raise a reservation from *held* to *wanted* bytes, or to *least* where no more is left; return it."""
        if upload_id not in self._metered:
            return wanted
        with self._database.write() as connection:
            row = connection.execute(select(UPLOADS.c.case_id, UPLOADS.c.login).where(UPLOADS.c.id == upload_id)).one()
            tree = case_tree(connection.execute(select(CASES).where(CASES.c.id == row.case_id)).one())
            more = reserve_quota(
                connection, tree, self._settings.quotas, wanted - held, least=max(0, least - held), new_file=False
            )
            wanted = held + cap_bytes(connection, row.login, more, least=max(0, least - held))
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

    def give_password(self, upload_id: str, password: str) -> None:
        """Keep the password of an upload that is under way here."""
        with self._database.read() as connection:
            login = connection.execute(select(UPLOADS.c.login).where(UPLOADS.c.id == upload_id)).scalar_one()
        self.passwords.give(upload_id, [password], login=login)

    def space(self, tree: CaseTree | None, region: str) -> SpaceReport:
        """Say how much room there is for more uploads to a case: its quota's, or the landing zone's (None)."""
        total, free = space_of(self._settings.landing[region])
        free = max(0, free - self._settings.free_space.needed(total))
        if tree is None:
            return SpaceReport(total=total, free=free)
        with self._database.read() as connection:
            left, files, quota = room_left(connection, tree, self._settings.quotas)
        if left is not None and quota is not None:
            free, total = min(free, left), quota
        return SpaceReport(total=total, free=0 if files == 0 else free)

    def files_left(self, tree: CaseTree) -> int | None:
        """Say how many files more quotas let a case have; None: any number."""
        with self._database.read() as connection:
            return room_left(connection, tree, self._settings.quotas)[1]

    def forget(self, handle: UploadHandle) -> None:
        """A handle has let go of its log: give its room back."""
        with self._open_lock:
            if self._open.get(handle.id) is handle:
                del self._open[handle.id]
                self._metered.discard(handle.id)
        self._budget.give_back()

    # -- ending ----------------------------------------------------------------------------------------------------

    def interrupt(self, handle: UploadHandle, writer: LandingWriter, reason: str) -> None:
        """Record that an upload broke off; what came is kept."""
        try:
            writer.sync()
        except StorageError as error:  # a full disk, say; what is durable is durable
            log.warning("upload.sync_failed", extra={"upload": handle.id, "why": str(error)})
        self._record(
            _Interruption(
                upload_id=handle.id,
                epoch=handle.epoch,
                reason=reason,
                received=writer.prefix,
                durable=writer.durable_prefix,
                end=writer.end,
            )
        )

    def record_interruptions(self) -> None:
        """Record what broke off while the catalog could not be written: on a full disk, say. Called again and again."""
        with self._open_lock:
            waiting, self._unrecorded = self._unrecorded, []
        for place, each in enumerate(waiting):
            try:
                self._record(each)
            except CatalogError:
                with self._open_lock:
                    self._unrecorded += waiting[place + 1 :]
                return

    def _record(self, broken: _Interruption) -> None:
        try:
            with self._database.write() as connection:
                self._write_interruption(connection, broken)
        except CatalogError:
            with self._open_lock:
                self._unrecorded.append(broken)
            raise

    def _write_interruption(self, connection: Connection, broken: _Interruption) -> None:
        row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == broken.upload_id)).first()
        if row is None or row.epoch != broken.epoch or row.state != UploadState.RECEIVING:
            return
        empty = broken.end == 0 and not has_resource(connection, broken.upload_id)
        over = empty or row.protocol in UNRESUMED
        move_upload(
            connection,
            row.id,
            UploadState.EXPIRED if over else UploadState.INTERRUPTED,
            reason=broken.reason,
            prefix=broken.durable,
            reserved=0 if over else broken.end,
            finished_at=time.time() if over else None,
        )
        self._trail.append(
            connection,
            chain_of(connection, row.case_id),
            "upload.interrupted",
            upload=row.id,
            login=row.login,
            received=broken.received,
            why=broken.reason,
        )

    def land(self, handle: UploadHandle, writer: LandingWriter, *, modified: float | None) -> Receipt:
        """Make a synced upload LANDED: row, version, event and receipt in one transaction; wake intake."""
        receipt, is_new = self._arrivals.land(handle.id, handle.epoch, writer, modified=modified)
        if is_new:
            self._landed()
        return receipt

    def recover(self, slots: Collection[str]) -> int:
        """Mark what dead processes left RECEIVING as interrupted; return how many.

        Those are earlier processes of this slot, and of slots that are not among the *slots* of today. Where the
        uploads may be resumed is read from their landing logs by the sweep.
        """
        own = self._settings.worker.split(":", 1)[0]
        others = [UPLOADS.c.worker.like(f"{slot}:%") for slot in slots if slot != own]
        with self._database.write() as connection:
            rows = connection.execute(
                select(UPLOADS.c.id, UPLOADS.c.case_id, UPLOADS.c.login, UPLOADS.c.protocol).where(
                    UPLOADS.c.state == UploadState.RECEIVING,
                    UPLOADS.c.host == self._settings.host,
                    UPLOADS.c.worker != self._settings.worker,
                    not_(or_(false(), *others)),
                )
            ).all()
            for row in rows:
                why = "the server process that received it ended"
                if row.protocol in UNRESUMED:
                    over = {"reserved": 0, "finished_at": time.time()}
                    move_upload(connection, row.id, UploadState.EXPIRED, reason=why, **over)
                else:
                    move_upload(connection, row.id, UploadState.INTERRUPTED, reason=why, prefix=None)
                chain = chain_of(connection, row.case_id)
                self._trail.append(connection, chain, "upload.interrupted", upload=row.id, login=row.login, why=why)
        return len(rows)
