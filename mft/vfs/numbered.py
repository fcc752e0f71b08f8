"""Uploads with an address of their own, for one session: each request is checked as if the file were opened by name."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mft.catalog.states import PARTIAL, UploadState
from mft.faults import translated
from mft.upload.deposit import Resource
from mft.upload.resources import JoinedMeanwhileError
from protocols.errors import FileSystemError, GoneError, QuotaExceededError, RejectedError
from protocols.path import parse_path
from protocols.resumable import Dialect, UploadKind, UploadStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Row

    from mft.upload.deposit import Deposit
    from mft.upload.numbered import NumberedUpload
    from mft.upload.service import Uploads
    from protocols.path import VirtualPath
    from protocols.resumable import UploadOrder

log = logging.getLogger(__name__)


class NumberedUploadsOfSession:
    """The `NumberedUploads` of one session."""

    def __init__(self, uploads: Uploads, *, login: str, place: Callable[[VirtualPath], Deposit]) -> None:
        """Keep them in *uploads*; *place* says, for a path, what a deposit there is, or why there may be none."""
        self._uploads = uploads
        self._login = login
        self._place = place

    def begin_upload(self, order: UploadOrder) -> NumberedUpload:
        """Make an upload and open it at its first byte."""
        with translated():
            return self._begin(order, ())

    def join_uploads(self, order: UploadOrder, parts: Sequence[str]) -> UploadStatus:
        """Make a file of parts; see `protocols.resumable.NumberedUploads`."""
        resources = self._uploads.resources
        with translated():
            before = resources.joined_before(parts, self._login)
            if before is not None:
                return self.upload_status(before)
            rows = resources.check_parts(parts, self._login)
            deposit = self._place(order.path)
            allowed = [deposit.home, *deposit.copies]
            if any(row.region not in allowed for row in rows):
                raise RejectedError(
                    "the parts lie in a region where this case's files may not; begin them in the case's own folder"
                )
            length = _total(rows)
            limit = self._uploads.limit
            if limit is not None and length is not None and length > limit:
                raise QuotaExceededError(f"an upload may have {limit} bytes; this one has {length}")
            try:
                upload = self._begin(replace(order, kind=UploadKind.JOINED, length=length), parts)
            except JoinedMeanwhileError:
                return self.upload_status(resources.joined_before(parts, self._login) or "")
            upload.abort("its parts are to come, or to be joined")
            return self.upload_status(upload.id)

    def upload_status(self, upload_id: str) -> UploadStatus:
        """Say where an upload stands; see `protocols.resumable.NumberedUploads`."""
        with translated():
            row = self._find(upload_id)
            deposit = self._checked(row)
            if row.landed_as is None and row.kind == UploadKind.JOINED:
                try:
                    self._join(row, deposit)
                except GoneError:
                    row = self._uploads.resources.find(upload_id, self._login)
                    if row.landed_as is None:  # else it has landed just now, and let its parts go
                        raise
            elif self._should_have_landed(row):
                self._uploads.resume_numbered(deposit, row, unverified=False, part_came=self._part_came).commit(
                    length=row.length
                )
                row = self._uploads.resources.find(upload_id, self._login)
            return self._status(row)

    def resume_upload(self, upload_id: str, *, unverified: bool = False) -> NumberedUpload:
        """Open an upload where it stands; see `protocols.resumable.NumberedUploads`."""
        with translated():
            row = self._find(upload_id)
            deposit = self._checked(row)
            return self._uploads.resume_numbered(deposit, row, unverified=unverified, part_came=self._part_came)

    def remove_upload(self, upload_id: str) -> None:
        """Give an upload up, and its address."""
        with translated():
            row = self._uploads.resources.find(upload_id, self._login)
            self._checked(row)
            self._uploads.end_numbered(row)

    def _begin(self, order: UploadOrder, parts: Sequence[str]) -> NumberedUpload:
        resource = Resource(
            kind=order.kind,
            dialect=order.dialect.value,
            path=str(order.path),
            described=order.described,
            length=order.length,
            parts=tuple(parts),
            modified=order.modified,
        )
        deposit = replace(self._place(order.path), resource=resource)
        upload = self._uploads.begin_numbered(deposit, order.mode, length=order.length, part_came=self._part_came)
        if order.password is not None:
            try:
                upload.give_password(order.password)
            except BaseException:
                upload.abort("its password was refused")
                raise
        return upload

    def _find(self, upload_id: str) -> Row[Any]:
        """Return an upload that may be gone on with.

        Raises:
            GoneError: its time is over, also where the sweep has not been there yet; besides what `find` raises.
        """
        row = self._uploads.resources.find(upload_id, self._login)
        idle = row.landed_as is None and row.state == UploadState.INTERRUPTED and not self._should_have_landed(row)
        if idle and row.updated_at + self._uploads.partial_ttl < time.time():
            raise GoneError("the upload was not gone on with in time; begin a new one")
        return row

    def _checked(self, row: Row[Any]) -> Deposit:
        """Return the deposit of an upload as it would be begun now: its sender may have lost the right to it.

        Raises:
            GoneError: its path means another place now.
        """
        deposit = self._place(parse_path(row.path))
        same = deposit.tree.id == row.case_id and deposit.parent_id == row.parent_id and deposit.name == row.name
        if not same or row.region not in [deposit.home, *deposit.copies]:
            raise GoneError("the place that it was for is another one now; begin a new upload")
        return deposit

    @staticmethod
    def _should_have_landed(row: Row[Any]) -> bool:
        """Say whether every byte is there and nobody made it land: a process died between the two."""
        return (
            row.landed_as is None
            and row.kind == UploadKind.WHOLE
            and row.dialect == Dialect.TUS
            and row.state == UploadState.INTERRUPTED
            and row.length is not None
            and row.prefix == row.length
            and row.unverified_from is None
        )

    def _join(self, row: Row[Any], deposit: Deposit) -> None:
        """Have a file made of its parts, as far as they are there, if nobody does that."""
        if row.state != UploadState.INTERRUPTED:
            return
        parts = self._uploads.resources.parts_of(row)
        if self._uploads.joins.ready(row, parts):
            length = _total(parts)
            if row.length is None and length is not None:
                self._uploads.resources.set_length(row.id, length)
            self._uploads.joins.begin(deposit, row, parts)

    def _part_came(self, part_id: str) -> None:
        """Have the file made that waits for a part; what stands against that is told to who asks for the file."""
        try:
            with translated():
                row = self._uploads.resources.waiting_for(part_id)
                if row is not None:
                    self._join(row, self._checked(row))
        except FileSystemError:
            log.debug("upload.join_refused", extra={"upload": part_id})

    def _status(self, row: Row[Any]) -> UploadStatus:
        landed = row.landed_as is not None
        kind = UploadKind(row.kind)
        if landed:
            offset = row.length if row.length is not None else row.size
        else:
            offset = 0 if kind is UploadKind.JOINED else self._uploads.received(row)
        return UploadStatus(
            id=row.id,
            kind=kind,
            dialect=Dialect(row.dialect),
            path=parse_path(row.path),
            offset=offset,
            length=row.length if row.length is not None or not landed else row.size,
            complete=landed or (kind is UploadKind.PART and offset == row.length),
            described=row.described,
            parts=tuple(json.loads(row.parts)) if row.parts else (),
            expires=row.updated_at + self._uploads.partial_ttl if not landed and row.state in PARTIAL else None,
            receipt=self._uploads.resources.receipt(row) if landed else None,
        )


def _total(rows: Sequence[Row[Any]]) -> int | None:
    """Add up parts; None where the length of one is not known."""
    lengths = [row.length for row in rows]
    return None if None in lengths else sum(lengths)
