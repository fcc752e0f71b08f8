"""The row of a new upload, and the key of the day that its own is wrapped by."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select

from mft.box import ZONE, is_box
from mft.catalog.fixed import Fixed
from mft.catalog.model import CASES, UNFILED, UPLOADS
from mft.catalog.states import UploadState
from mft.upload.allowance import cap_bytes, check_files, is_metered
from mft.upload.keystock import KeyStock
from mft.upload.landingkeys import LandingKeys, key_of_day
from mft.upload.place import find_node
from mft.upload.record import write_event
from mft.upload.resources import keep_resource
from mft.upload.room import FIRST_SLAB, reserve_quota
from protocols.errors import AlreadyExistsError, PermissionDeniedError
from protocols.filesystem import WriteMode
from protocols.resumable import UploadKind
from storage.keys.envelope import Region

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.upload.deposit import Deposit, UploadSettings
    from storage.keys.service import KeyService

# Made once: to build them anew costs as much as to run them, and the catalog is locked meanwhile.
_NEW_UPLOAD = Fixed(
    insert(UPLOADS),
    *("id", "case_id", "zone", "parent_id", "name", "login", "protocol", "peer", "session_id", "state", "region"),
    *("copies", "host", "worker", "landing_id", "landing_day", "landing_envelope", "announced", "reserved", "prefix"),
    *("part", "modified", "created_at", "updated_at"),
)


_PLACEMENT = Fixed(select(CASES.c.placement).where(CASES.c.id == bindparam("of")))


class _PlacedAnewError(Exception):
    """Since the case was entered another process has written down that it may lie elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An upload that has a row, and the key for its landing log."""

    id: str
    key: bytes = field(repr=False)
    reserved: int
    """Bytes of the quota."""
    is_metered: bool
    """Whether it counts against a token."""


class Beginnings:
    """Writes the rows of new uploads."""

    def __init__(self, *, database: Database, trail: AuditTrail, keys: KeyService, settings: UploadSettings) -> None:
        """Write into *database*, with keys of *keys*."""
        self._database = database
        self._trail = trail
        self._stock = KeyStock(keys)
        self._settings = settings
        self._landing_keys = LandingKeys(database=database, keys=keys, key_holder=settings.key_holder)

    def begin(self, deposit: Deposit, mode: WriteMode, length: int | None) -> Begun:
        """Write the row of a new upload, with its wrapped key; the landing log is made after it.

        Raises:
            AlreadyExistsError: CREATE, and the name is taken.
            PermissionDeniedError: a directory has the name, or RESUME of a file that is complete.
            QuotaExceededError: the case's quota does not hold it.
            RejectedError: the case may not lie where the upload was to land any more.
        """
        while True:
            try:
                begun = self._begin(deposit, mode, length)
            except _PlacedAnewError:
                deposit = replace(deposit, tree=deposit.lease.place_anew())
                continue
            if begun is not None:
                return begun

    def _begin(self, deposit: Deposit, mode: WriteMode, length: int | None) -> Begun | None:
        """Write the row; None where the day's landing key was destroyed meanwhile, as happens at midnight."""
        day, scope_key = self._landing_keys.today(deposit.home, deposit.tree.customer)
        fresh = self._stock.take(Region(deposit.home), f"landing:{day}", scope_key)
        upload_id = fresh.upload_id
        now = time.time()
        with self._database.write() as connection:
            if key_of_day(connection, deposit.home, day) is None:
                return None
            self._check_placement(connection, deposit)
            node = find_node(connection, deposit.parent_id, deposit.name)
            if node is not None and node.hidden_at is None:
                if node.is_directory:
                    raise PermissionDeniedError("a directory of that name is there")
                if mode is not WriteMode.REPLACE:
                    self._refuse_existing(mode)
            reserved = self._reserve(connection, deposit, length)
            _NEW_UPLOAD.run(
                connection,
                {
                    "id": upload_id,
                    "case_id": deposit.tree.id,
                    "zone": deposit.zone,
                    "parent_id": deposit.parent_id,
                    "name": deposit.name,
                    "login": deposit.login,
                    "protocol": deposit.protocol,
                    "peer": deposit.peer,
                    "session_id": deposit.session_id,
                    "state": str(UploadState.RECEIVING),
                    "region": deposit.home,
                    "copies": ",".join(deposit.copies),
                    "host": self._settings.host,
                    "worker": self._settings.worker,
                    "landing_id": upload_id,
                    "landing_day": day,
                    "landing_envelope": json.dumps(fresh.envelope.to_dict()),
                    "announced": length,
                    "reserved": reserved,
                    "prefix": 0,
                    "part": deposit.resource is not None and deposit.resource.kind is UploadKind.PART,
                    "modified": None if deposit.resource is None else deposit.resource.modified,
                    "created_at": now,
                    "updated_at": now,
                },
            )
            if deposit.resource is not None:
                keep_resource(connection, upload_id, deposit.resource)
            if deposit.zone == ZONE:
                connection.execute(
                    insert(UNFILED).values(
                        upload_id=upload_id,
                        customer=deposit.tree.customer,
                        login=deposit.login,
                        why=deposit.why_unfiled,
                    )
                )
            write_event(self._trail, connection, deposit, "upload.started", upload_id, announced=length)
            metered = is_metered(connection, deposit.login)
        return Begun(id=upload_id, key=fresh.key, reserved=reserved, is_metered=metered)

    @staticmethod
    def _check_placement(connection: Connection, deposit: Deposit) -> None:
        """See that an upload begins under the placement that the audit has: by it the proof of place judges."""
        tree = deposit.tree
        if not is_box(tree.number) and _PLACEMENT.scalar(connection, {"of": tree.id}) != tree.placement:
            raise _PlacedAnewError

    def _reserve(self, connection: Connection, deposit: Deposit, length: int | None) -> int:
        """Reserve what an upload needs at first: a part is no file, and a file of parts is given what these hold."""
        kind = None if deposit.resource is None else deposit.resource.kind
        first = 0 if kind is UploadKind.JOINED else FIRST_SLAB if length is None else length
        least = min(first, 1) if length is None else first
        is_part = kind is UploadKind.PART
        reserved = reserve_quota(
            connection, deposit.tree, self._settings.quotas, first, least=least, new_file=not is_part
        )
        if not is_part:
            check_files(connection, deposit.login)
        return cap_bytes(connection, deposit.login, reserved, least=least)

    @staticmethod
    def _refuse_existing(mode: WriteMode) -> None:
        if mode is WriteMode.CREATE:
            raise AlreadyExistsError("a file of that name is there")
        raise PermissionDeniedError(
            "the file is complete and can no longer be resumed; send it again from its start (a new version)"
        )
