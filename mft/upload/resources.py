"""What uploads with an address of their own are known by: rows beside theirs, and who may find them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from mft.catalog.fixed import Fixed
from mft.catalog.model import RECEIPTS, UPLOAD_RESOURCES, UPLOADS
from mft.catalog.states import PARTIAL, UploadState, move_upload
from mft.upload.record import chain_of
from protocols.errors import GoneError, LockedError, NotFoundError, OffsetMismatchError, RejectedError
from protocols.filesystem import Receipt
from protocols.resumable import UploadKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.upload.deposit import Resource

FINISHED_SECONDS = 24 * 3600.0
"""How long the address of an upload that has landed answers: its client may not have got the last reply."""
_NOTHING = "there is no such upload"


class JoinedMeanwhileError(Exception):
    """Another request has just asked for the same file of the same parts."""


def keep_resource(connection: Connection, upload_id: str, resource: Resource) -> None:
    """Write the row of a new upload's address, in the transaction of the upload's own.

    Raises:
        JoinedMeanwhileError: there is one for the file of these parts.
    """
    parts = json.dumps(resource.parts) if resource.kind is UploadKind.JOINED else None
    if parts is not None:
        into = select(UPLOAD_RESOURCES.c.joined_into).where(UPLOAD_RESOURCES.c.upload_id == resource.parts[0])
        same = select(UPLOAD_RESOURCES.c.upload_id).where(
            UPLOAD_RESOURCES.c.upload_id == into.scalar_subquery(),
            UPLOAD_RESOURCES.c.parts == parts,
            UPLOAD_RESOURCES.c.ended_at.is_(None),
        )
        if connection.execute(same).first() is not None:
            raise JoinedMeanwhileError
    connection.execute(
        insert(UPLOAD_RESOURCES).values(
            upload_id=upload_id,
            kind=resource.kind.value,
            dialect=resource.dialect,
            path=resource.path,
            described=resource.described,
            length=resource.length,
            parts=parts,
        )
    )
    if parts is not None:
        connection.execute(
            update(UPLOAD_RESOURCES)
            .where(UPLOAD_RESOURCES.c.upload_id.in_(resource.parts))
            .values(joined_into=upload_id)
        )


_LANDING = Fixed(
    update(UPLOAD_RESOURCES).where(UPLOAD_RESOURCES.c.upload_id == bindparam("of")), "landed_as", "unverified_from"
)


def note_landing(connection: Connection, upload_id: str, receipt_id: str) -> None:
    """Keep under which id an upload with an address has its receipt; of others nothing is kept."""
    _LANDING.run(connection, {"of": upload_id, "landed_as": receipt_id, "unverified_from": None})


def has_resource(connection: Connection, upload_id: str) -> bool:
    """Say whether an upload has an address: then it is kept as long as it is empty."""
    wanted = select(UPLOAD_RESOURCES.c.upload_id).where(
        UPLOAD_RESOURCES.c.upload_id == upload_id, UPLOAD_RESOURCES.c.ended_at.is_(None)
    )
    return connection.execute(wanted).first() is not None


class Resources:
    """The rows of one catalog."""

    def __init__(self, *, database: Database, trail: AuditTrail) -> None:
        """Read and change *database*."""
        self._database = database
        self._trail = trail

    def find(self, upload_id: str, login: str) -> Row[Any]:
        """Return an upload with what its address says.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
            GoneError: it is over.
        """
        with self._database.read() as connection:
            row = connection.execute(_rows().where(UPLOADS.c.id == upload_id, UPLOADS.c.login == login)).first()
        if row is None:
            raise NotFoundError(_NOTHING)
        if row.ended_at is not None:
            raise GoneError("the upload was ended by its sender; begin a new one")
        if row.landed_as is not None:
            if time.time() - (row.finished_at or row.landed_at or row.updated_at) > FINISHED_SECONDS:
                raise GoneError("the upload was completed some time ago; its receipt is kept")
        elif row.joined_into is not None and row.state not in PARTIAL:
            raise GoneError("the part lies in its file now")
        elif row.state not in PARTIAL:
            raise GoneError("the upload was not gone on with in time, and is given up; begin a new one")
        return row

    def parts_of(self, row: Row[Any]) -> list[Row[Any]]:
        """Return the rows of a joined upload's parts, in its order.

        Raises:
            GoneError: one was given up.
        """
        ids: list[str] = json.loads(row.parts)
        with self._database.read() as connection:
            found = {each.id: each for each in connection.execute(_rows().where(UPLOADS.c.id.in_(ids)))}
        for each in ids:
            part = found.get(each)
            if part is None or part.state not in PARTIAL or part.ended_at is not None:
                raise GoneError(f"the part {each} is gone; send it, and join the parts again")
        return [found[each] for each in ids]

    def check_parts(self, ids: Sequence[str], login: str) -> list[Row[Any]]:
        """Return the rows of what a file is to be made of.

        Raises:
            NotFoundError, GoneError: one is not there.
            RejectedError: one is no part, or is given twice, or is a part of another file.
        """
        if not ids:
            raise RejectedError("a file is made of one part at least")
        if len(set(ids)) != len(ids):
            raise RejectedError("a part is given twice; send it twice, or once")
        rows = [self.find(each, login) for each in ids]
        for row in rows:
            if row.kind != UploadKind.PART:
                raise RejectedError("only what was begun as a part can be joined")
        return rows

    def joined_before(self, ids: Sequence[str], login: str) -> str | None:
        """Return the upload that was made of just these parts: a request whose reply was lost comes again.

        Raises:
            RejectedError: some of them belong to another file.
        """
        with self._database.read() as connection:
            wanted = select(UPLOAD_RESOURCES.c.joined_into, UPLOAD_RESOURCES.c.upload_id).where(
                UPLOAD_RESOURCES.c.upload_id.in_(list(ids)), UPLOAD_RESOURCES.c.joined_into.is_not(None)
            )
            found = {row.joined_into for row in connection.execute(wanted)}
            files = connection.execute(
                _rows().where(UPLOADS.c.id.in_(found), UPLOADS.c.login == login, UPLOAD_RESOURCES.c.ended_at.is_(None))
            ).all()
        for row in files:
            if json.loads(row.parts) == list(ids):
                return str(row.id)
            if row.landed_as is not None or (row.state in PARTIAL and self._can_become(row)):
                raise RejectedError("a part belongs to another file already")
        return None

    def _can_become(self, row: Row[Any]) -> bool:
        """Say whether all parts of a file are there, or may still come: else it keeps none from another one."""
        try:
            return bool(self.parts_of(row))
        except GoneError:
            return False

    def distrust(self, upload_id: str, offset: int) -> None:
        """Keep that what comes behind *offset* is not to be trusted yet."""
        self._set(upload_id, unverified_from=offset)

    def trust(self, upload_id: str) -> None:
        """Take that back."""
        self._set(upload_id, unverified_from=None)

    def set_length(self, upload_id: str, length: int) -> None:
        """Keep the length of a file of which it was not known.

        Raises:
            OffsetMismatchError: another one was told.
        """
        with self._database.write() as connection:
            known = connection.execute(
                select(UPLOAD_RESOURCES.c.length).where(UPLOAD_RESOURCES.c.upload_id == upload_id)
            ).scalar_one()
            if known is not None and known != length:
                raise OffsetMismatchError(f"the file was said to have {known} bytes, and now {length}")
            connection.execute(
                update(UPLOAD_RESOURCES).where(UPLOAD_RESOURCES.c.upload_id == upload_id).values(length=length)
            )
            connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(announced=length))

    def move_reservations(self, row: Row[Any], parts: Sequence[Row[Any]]) -> int:
        """Give what the parts hold of quotas to the file that they are copied into; return how much that is."""
        ids = [part.id for part in parts]
        with self._database.write() as connection:
            held = sum(
                amount for (amount,) in connection.execute(select(UPLOADS.c.reserved).where(UPLOADS.c.id.in_(ids)))
            )
            connection.execute(update(UPLOADS).where(UPLOADS.c.id.in_(ids)).values(reserved=0))
            connection.execute(update(UPLOADS).where(UPLOADS.c.id == row.id).values(reserved=UPLOADS.c.reserved + held))
        return int(held)

    def end_parts(self, parts: Sequence[Row[Any]], into: str) -> None:
        """Let parts go whose bytes lie in a file that has landed."""
        with self._database.write() as connection:
            for part in parts:
                move_upload(
                    connection,
                    part.id,
                    UploadState.EXPIRED,
                    reason=f"joined into {into}",
                    reserved=0,
                    finished_at=time.time(),
                )

    def end(self, row: Row[Any]) -> None:
        """Give an upload and its address up, on its sender's word; of one that has landed the address alone.

        Raises:
            LockedError: it is just landing.
        """
        now = time.time()
        with self._database.write() as connection:
            connection.execute(
                update(UPLOAD_RESOURCES).where(UPLOAD_RESOURCES.c.upload_id == row.id).values(ended_at=now)
            )
            if row.landed_as is not None:
                return
            ended = connection.execute(
                update(UPLOADS)
                .where(UPLOADS.c.id == row.id, UPLOADS.c.state.in_(list(PARTIAL)))
                .values(
                    state=UploadState.EXPIRED,
                    epoch=UPLOADS.c.epoch + 1,
                    reason="ended by its sender",
                    reserved=0,
                    updated_at=now,
                    finished_at=now,
                )
            )
            if ended.rowcount != 1:
                raise LockedError("the upload is just being completed")
            chain = chain_of(connection, row.case_id)
            self._trail.append(connection, chain, "upload.discarded", upload=row.id, login=row.login)

    def receipt(self, row: Row[Any]) -> Receipt:
        """Return the landed receipt of an upload that has one."""
        with self._database.read() as connection:
            document = connection.execute(
                select(RECEIPTS.c.document).where(RECEIPTS.c.upload_id == row.landed_as, RECEIPTS.c.kind == "landed")
            ).scalar_one()
        return Receipt(id=row.landed_as, document=json.loads(document))

    def waiting_for(self, part_id: str) -> Row[Any] | None:
        """Return the upload that was asked to be made of a part, and has not landed yet."""
        with self._database.read() as connection:
            into = select(UPLOAD_RESOURCES.c.joined_into).where(UPLOAD_RESOURCES.c.upload_id == part_id)
            return connection.execute(
                _rows().where(
                    UPLOADS.c.id == into.scalar_subquery(),
                    UPLOADS.c.state.in_(list(PARTIAL)),
                    UPLOAD_RESOURCES.c.ended_at.is_(None),
                )
            ).first()

    def measured(self, upload_id: str, prefix: int) -> None:
        """Keep how much of an interrupted upload is there, where nobody knew."""
        with self._database.write() as connection:
            connection.execute(
                update(UPLOADS)
                .where(
                    UPLOADS.c.id == upload_id, UPLOADS.c.state == UploadState.INTERRUPTED, UPLOADS.c.prefix.is_(None)
                )
                .values(prefix=prefix)
            )

    def _set(self, upload_id: str, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(UPLOAD_RESOURCES).where(UPLOAD_RESOURCES.c.upload_id == upload_id).values(**values)
            )


def _rows() -> Any:  # noqa: ANN401 - a select of two tables
    extra = [column for column in UPLOAD_RESOURCES.c if column.name != "upload_id"]
    return select(UPLOADS, *extra).join(UPLOAD_RESOURCES, UPLOAD_RESOURCES.c.upload_id == UPLOADS.c.id)
