"""What a whole upload becomes: a version of its name, with event and landed receipt, in one transaction."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from mft.box import ZONE
from mft.catalog.fixed import Fixed, any_of
from mft.catalog.model import NODES, OWN_VERSIONS, RECEIPTS, UNFILED, UPLOADS
from mft.catalog.states import StateError, UploadState, move_upload
from mft.upload.newest import show_own
from mft.upload.passwords import bind_waiting, hand_on
from mft.upload.place import find_node, make_node
from mft.upload.record import chain_of, number_of
from mft.upload.resources import note_landing
from protocols.filesystem import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Row

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.upload.deposit import UploadSettings
    from storage.landing import LandingWriter

PLACING = "webdav"
"""The protocol whose clients send an empty file before its content."""
SAME_AGAIN_SECONDS = 24 * 3600.0
"""A login that sends the same name and digest within this time gets its first receipt."""
# Made once: to build them anew costs as much as to run them, and the catalog is locked meanwhile.
_UPLOAD = Fixed(select(UPLOADS).where(UPLOADS.c.id == bindparam("of")))
_SHOWN = (
    select(UPLOADS.c.id, UPLOADS.c.version)
    .join(OWN_VERSIONS, OWN_VERSIONS.c.upload_id == UPLOADS.c.id)
    .where(
        OWN_VERSIONS.c.node_id == bindparam("node"),
        OWN_VERSIONS.c.login == bindparam("of"),
        UPLOADS.c.landed_at > bindparam("since"),
    )
)
_SAME = Fixed(
    _SHOWN.where(
        UPLOADS.c.sha256 == bindparam("digest"),
        UPLOADS.c.size == bindparam("bytes"),
        any_of(UPLOADS.c.state, [UploadState.LANDED, UploadState.SCRUBBING, UploadState.STORED]),
    )
)
_EMPTY = Fixed(
    _SHOWN.where(
        UPLOADS.c.node_id == bindparam("node"),
        UPLOADS.c.protocol == PLACING,
        UPLOADS.c.size == 0,
        any_of(UPLOADS.c.state, [UploadState.LANDED]),
    )
)
_NEXT_VERSION = Fixed(
    update(NODES).where(NODES.c.id == bindparam("of")).values(versions=NODES.c.versions + 1).returning(NODES.c.versions)
)
_NEW_RECEIPT = Fixed(insert(RECEIPTS), "upload_id", "kind", "document", "created_at")


class Arrivals:
    """Makes uploads LANDED."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        sign: Callable[[Mapping[str, object]], dict[str, object]],
        settings: UploadSettings,
    ) -> None:
        """Sign receipts with *sign*."""
        self._database = database
        self._trail = trail
        self._sign = sign
        self._settings = settings

    def land(
        self, upload_id: str, epoch: int, writer: LandingWriter, *, modified: float | None
    ) -> tuple[Receipt, bool]:
        """Make a synced upload LANDED; return its receipt, and whether there is something new for intake.

        Versions are counted in the order of these transactions: of two closes at once one is the first.

        Raises:
            StateError: it was taken over, or ended elsewhere.
        """
        digest = writer.digest()
        sha256 = digest.hex() if digest is not None else None
        with self._database.write() as connection:
            row = _UPLOAD.first(connection, {"of": upload_id})
            if row is None or row.epoch != epoch or row.state != UploadState.RECEIVING:
                raise StateError("the upload was taken over or ended elsewhere")
            again = self._same_again(connection, row, writer.end, sha256)
            if again is not None:
                receipt = self._keep_first(connection, row, again)
            else:
                modified = row.modified if modified is None else modified
                receipt = self._land_row(connection, row, writer, sha256=sha256, modified=modified)
            note_landing(connection, row.id, receipt.id)
        return receipt, again is None

    def _same_again(
        self, connection: Connection, row: Row[tuple[object, ...]], size: int, sha256: str | None
    ) -> str | None:
        """Return the upload that this one repeats: a lost reply must not double a file."""
        if sha256 is None:
            return None
        node = find_node(connection, row.parent_id, row.name)
        if node is None or node.hidden_at is not None:
            return None
        since = time.time() - SAME_AGAIN_SECONDS
        wanted = {"node": node.id, "of": row.login, "digest": sha256, "bytes": size, "since": since}
        first = _SAME.first(connection, wanted)
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
        hand_on(connection, row.id, first)
        chain = chain_of(connection, row.case_id)
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
        version = self._take_place(connection, row, node_id, now) or _NEXT_VERSION.scalar(connection, {"of": node_id})
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
        bind_waiting(connection, row)
        show_own(connection, node_id, row.login, row.id)
        chain = chain_of(connection, row.case_id)
        case_number = number_of(connection, row.case_id)
        unfiled = self._keep_unfiled(connection, row, chain, now) if row.zone == ZONE else None
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
                "landed_at": _moment(now),
                **({} if unfiled is None else {"unfiled": unfiled}),
            }
        )
        receipt = {"upload_id": row.id, "kind": "landed", "document": json.dumps(document), "created_at": now}
        _NEW_RECEIPT.run(connection, receipt)
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

    def _take_place(self, connection: Connection, row: Row[tuple[object, ...]], node_id: int, now: float) -> int | None:
        """Have an upload take the place of the empty file that its sender put there for it; return its version.

        Explorer and Finder send an empty file, lock it, and then send the content: that is one version. None: there is
        no such file, or it has been there for too long.
        """
        wanted = {"node": node_id, "of": row.login, "since": now - self._settings.placeholder}
        empty = _EMPTY.first(connection, wanted)
        if empty is None:
            return None
        move_upload(
            connection,
            empty.id,
            UploadState.EXPIRED,
            reason=f"an empty file that stood for its content: {row.id}",
            node_id=None,
            finished_at=now,
        )
        chain = chain_of(connection, row.case_id)
        self._trail.append(connection, chain, "upload.replaced", upload=empty.id, login=row.login, by=row.id)
        return int(empty.version)

    def _keep_unfiled(
        self, connection: Connection, row: Row[tuple[object, ...]], chain: str, now: float
    ) -> dict[str, object]:
        """Begin the time that a deposit without a case waits; return what its receipt says of that."""
        kept_until = now + self._settings.unfiled_retention
        why = connection.execute(
            update(UNFILED).where(UNFILED.c.upload_id == row.id).values(kept_until=kept_until).returning(UNFILED.c.why)
        ).scalar_one()
        until = _moment(kept_until)
        self._trail.append(
            connection,
            chain,
            "unfiled.received",
            upload=row.id,
            login=row.login,
            why=why,
            kept_until=until,
        )
        return {"why": why, "kept_until": until}


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
