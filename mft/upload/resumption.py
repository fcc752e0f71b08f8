"""Going on with an upload that broke off, or that was closed a short while ago."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from mft.box import ZONE
from mft.catalog.model import REVOCATIONS, UNFILED, UPLOADS
from mft.catalog.states import PARTIAL, UploadState
from mft.upload.allowance import cap_bytes, check_files
from mft.upload.record import write_event
from mft.upload.room import FIRST_SLAB, reserve_quota
from protocols.errors import LockedError

if TYPE_CHECKING:
    from sqlalchemy import Row

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.upload.deposit import Deposit, UploadSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The upload that a resume writes into."""

    id: str
    epoch: int
    reserved: int
    """Bytes of the quota."""


class Resumptions:
    """Finds what may be gone on with, and takes it over."""

    def __init__(self, *, database: Database, trail: AuditTrail, settings: UploadSettings) -> None:
        """Read and change *database*."""
        self._database = database
        self._trail = trail
        self._settings = settings

    def find(self, deposit: Deposit) -> Row[tuple[object, ...]] | None:
        """Return the newest upload of this login and path that a resume may go on with."""
        with self._database.read() as connection:
            row = connection.execute(
                select(UPLOADS)
                .where(
                    UPLOADS.c.case_id == deposit.tree.id,
                    UPLOADS.c.login == deposit.login,
                    UPLOADS.c.parent_id == deposit.parent_id,
                    UPLOADS.c.name == deposit.name,
                    UPLOADS.c.region.in_([deposit.home, *deposit.copies]),  # what may not lie there any more is let go
                    UPLOADS.c.state.in_([*PARTIAL, UploadState.LANDED, UploadState.SCRUBBING, UploadState.STORED]),
                    UPLOADS.c.landing_gone_at.is_(None),
                    UPLOADS.c.part.is_(False),
                )
                .order_by(UPLOADS.c.created_at.desc())
                .limit(1)
            ).first()
        if row is None or row.state in PARTIAL:
            return row
        fresh = time.time() - (row.landed_at or 0) <= self._settings.resume_grace
        return row if fresh else None

    def take_over(self, deposit: Deposit, row: Row[tuple[object, ...]], *, held_here: bool) -> Resumed:
        """Go on with an upload that is under way or interrupted; *held_here*: its older handle is this process's.

        Raises:
            LockedError: another session is just doing that.
        """
        epoch = row.epoch + 1
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
            if row.state == UploadState.RECEIVING and not held_here:
                connection.execute(
                    insert(REVOCATIONS).values(kind="upload", subject=row.id, reason=f"epoch {epoch}", at=time.time())
                )
            write_event(self._trail, connection, deposit, "upload.resumed", row.id, epoch=epoch)
        return Resumed(id=row.id, epoch=epoch, reserved=row.reserved)

    def reopen(self, deposit: Deposit, row: Row[tuple[object, ...]]) -> Resumed:
        """Begin a further upload that goes on in the landing log of one that was closed a short while ago.

        Raises:
            LockedError: the log was moved to another region, or cleared away, since *row* was read.
        """
        upload_id, now = secrets.token_hex(16), time.time()
        copied = (
            "case_id", "zone", "parent_id", "name", "login", "region", "landing_id", "landing_day", "landing_envelope",
        )  # fmt: skip
        place = (UPLOADS.c.region == row.region, UPLOADS.c.landing_gone_at.is_(None))
        with self._database.write() as connection:
            if connection.execute(select(UPLOADS.c.id).where(UPLOADS.c.id == row.id, *place)).first() is None:
                raise LockedError("the file was just moved or cleared away; send it again")
            reserved = reserve_quota(
                connection, deposit.tree, self._settings.quotas, row.size + FIRST_SLAB, least=row.size
            )
            check_files(connection, deposit.login)
            reserved = cap_bytes(connection, deposit.login, reserved, least=row.size)
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
            if row.zone == ZONE:
                waiting = connection.execute(select(UNFILED).where(UNFILED.c.upload_id == row.id)).one()
                connection.execute(
                    insert(UNFILED).values(
                        upload_id=upload_id, customer=waiting.customer, login=waiting.login, why=waiting.why
                    )
                )
            write_event(self._trail, connection, deposit, "upload.reopened", upload_id, of=row.id)
        return Resumed(id=upload_id, epoch=0, reserved=reserved)
