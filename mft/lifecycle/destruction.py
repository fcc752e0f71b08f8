"""The destruction of a case's files.

One transaction is the end of them: it writes the manifest, shreds the case's keys and overwrites every name, and from
then on nothing of it can be read by anybody. What is left is clearing away: bodies, slots and landing logs in every
region, each deletion to be repeated at will. Once nothing is left the certificate is signed. A crash leaves a case
either whole or destroyed; what is not cleared yet is cleared in the next round.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import secrets
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, insert, or_, select, update

from mft.audit import customer_chain
from mft.catalog.model import (
    ARCHIVE_PASSWORDS,
    BODIES,
    CASE_KEYS,
    CASES,
    DESTRUCTIONS,
    NODE_PROPERTIES,
    NODES,
    OWN_VERSIONS,
    PSEUDONYM_BOOKS,
    RECEIPTS,
    RELEASE_VOTES,
    RELEASES,
    REPLICAS,
    RESCAN_FILES,
    TOKENS,
    UPLOADS,
    WRITE_LOCKS,
)
from mft.catalog.states import UploadState, destroy_uploads
from mft.holds import hold_on
from mft.keyledger import note_destroyed
from mft.revocation import Subject, announce
from mft.upload.landingplaces import places_of
from storage.errors import ObjectLockedError, StorageError
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.keyledger import KeyLedgers
    from mft.objects import Objects
    from storage.landing import LandingZone

log = logging.getLogger(__name__)
UNDER_WAY = (UploadState.RECEIVING, UploadState.LANDED, UploadState.SCRUBBING)
"""States in which somebody works on an upload: its case waits."""
_GONE = f"{UploadState.DESTROYED}"


class NotDestroyedError(Exception):
    """The case was left alone: a hold, work under way, or it is not what it was; says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a case is destroyed: stands in its manifest and certificate."""

    rule: str
    reason: str
    retention: float
    closed_at: float
    due_at: float


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")


class Destruction:
    """Destroys the files of cases, and says so under a signature."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        objects: Objects,
        zones: Mapping[str, LandingZone],
        sign: Callable[[Mapping[str, object]], dict[str, object]],
        installation: str,
        ledgers: KeyLedgers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Clear *objects* and *zones* (by region), add to *ledgers*; sign certificates with *sign*."""
        self._ledgers = ledgers
        self._database = database
        self._trail = trail
        self._objects = objects
        self._zones = zones
        self._sign = sign
        self._installation = installation
        self._clock = clock

    def destroy(self, case_id: int, verdict: Verdict, *, by: str) -> str:
        """End a case's files, clear them away, and return the destruction's id.

        What cannot be cleared now (a region that does not answer) is left to `clear_all`.

        Raises:
            NotDestroyedError: it was left alone, whole.
        """
        destruction_id = self._end(case_id, verdict, by=by)
        self._database.truncate_journal()
        self._ledgers.write()
        self._clear_one(destruction_id)
        return destruction_id

    def clear_all(self) -> int:
        """Go on with destructions that were begun and not finished; return how many are finished now."""
        with self._database.read() as connection:
            waiting = connection.execute(
                select(DESTRUCTIONS.c.id).where(DESTRUCTIONS.c.finished_at.is_(None)).order_by(DESTRUCTIONS.c.begun_at)
            ).scalars()
            ids = list(waiting)
        self._ledgers.write()
        self._clear_stragglers()
        return sum(self._clear_one(each) for each in ids)

    # -- the one transaction -----------------------------------------------------------------------------------------

    def _end(self, case_id: int, verdict: Verdict, *, by: str) -> str:
        now, destruction_id = self._clock(), secrets.token_hex(16)
        with self._database.write() as connection:
            case = connection.execute(select(CASES).where(CASES.c.id == case_id)).one()
            self._check(connection, case)
            manifest = _begin(connection, self._trail, case, verdict, destruction_id, by=by, now=now)
            for each in (*manifest["keys"], *manifest["pseudonyms"]):
                why = f"destruction {destruction_id}"
                note_destroyed(connection, each["region"], each["scope"], why=why, at=now)
            announce(connection, Subject.CASE, case.number, "case.destroyed", at=now)
        log.info("lifecycle.destruction_begun", extra={"destruction": destruction_id, "case": case.number})
        return destruction_id

    @staticmethod
    def _check(connection: Connection, case: Row[Any]) -> None:
        if connection.execute(select(DESTRUCTIONS.c.id).where(DESTRUCTIONS.c.case_id == case.id)).first() is not None:
            raise NotDestroyedError("it was destroyed by somebody else meanwhile")
        hold = hold_on(connection, case.number)
        if hold is not None:
            raise NotDestroyedError(f"legal hold {hold.id}, set by {hold.set_by}: {hold.reason}")
        busy = connection.execute(
            select(UPLOADS.c.id).where(UPLOADS.c.case_id == case.id, UPLOADS.c.state.in_(UNDER_WAY)).limit(1)
        ).first()
        if busy is not None:
            raise NotDestroyedError("an upload of it is under way")

    # -- clearing away -----------------------------------------------------------------------------------------------

    def _clear_one(self, destruction_id: str) -> bool:
        with self._database.read() as connection:
            row = connection.execute(select(DESTRUCTIONS).where(DESTRUCTIONS.c.id == destruction_id)).one()
        manifest = json.loads(row.manifest)
        left = 0
        for each in manifest["objects"]:
            left += not self._tried(row.id, partial(self._objects.destroy, ObjectKey(each["key"])))
        for each in manifest["landing"]:
            left += not self._tried(row.id, partial(self._clear_landing, each["region"], each["id"]))
        if not self._ledgers.write():
            return False  # no certificate of what a backup could still bring back
        if left:
            log.error("lifecycle.not_cleared", extra={"destruction": row.id, "case": row.number, "left": left})
            return False
        self._finish(row, manifest)
        return True

    def _clear_landing(self, region: str, landing_id: str) -> None:
        self._zones[region].destroy(landing_id)

    @staticmethod
    def _tried(destruction_id: str, clear: Callable[[], None]) -> bool:
        try:
            clear()
        except (StorageError, OSError, KeyError) as error:
            # A lock names the day on which the object can go; every round until then tries.
            why = str(error) if isinstance(error, ObjectLockedError) else type(error).__name__
            log.warning("lifecycle.clearing_failed", extra={"destruction": destruction_id, "why": why})
            return False
        return True

    def _finish(self, row: Row[Any], manifest: Mapping[str, Any]) -> None:
        now = self._clock()
        certificate = self._sign(
            {
                "kind": "destruction",
                "id": row.id,
                "installation": self._installation,
                "case": row.number,
                "customer": row.customer,
                "begun_at": _moment(row.begun_at),
                "finished_at": _moment(now),
                **manifest,
            }
        )
        keys = [each["key"] for each in manifest["objects"]]
        with self._database.write() as connection:
            done = connection.execute(
                update(DESTRUCTIONS)
                .where(DESTRUCTIONS.c.id == row.id, DESTRUCTIONS.c.finished_at.is_(None))
                .values(finished_at=now, certificate=json.dumps(certificate))
            )
            if done.rowcount != 1:
                return  # another process was faster
            of_case = BODIES.c.case_id == row.case_id
            connection.execute(
                update(REPLICAS)
                .where(REPLICAS.c.object_key.in_(select(BODIES.c.key).where(of_case)))
                .values(state="destroyed")
            )
            connection.execute(
                update(UPLOADS)
                .where(UPLOADS.c.case_id == row.case_id, UPLOADS.c.landing_gone_at.is_(None))
                .values(landing_gone_at=now)
            )
            self._trail.append(
                connection,
                customer_chain(row.customer),
                "case.destroyed",
                case=row.number,
                destruction=row.id,
                rule=manifest["rule"],
                why=manifest["reason"] or None,
                files=len(manifest["files"]),
                objects=keys[:1000],
                certificate=certificate["signature"]["value"],  # type: ignore[index]  # what signing has added
            )
        log.info("lifecycle.destroyed", extra={"destruction": row.id, "case": row.number})

    def _clear_stragglers(self) -> None:
        """Delete what a copy that was under way has put down after its object was destroyed: it opens nothing."""
        with self._database.read() as connection:
            late = connection.execute(
                select(REPLICAS.c.object_key, REPLICAS.c.region)
                .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
                .join(DESTRUCTIONS, DESTRUCTIONS.c.case_id == BODIES.c.case_id)
                .where(DESTRUCTIONS.c.finished_at.is_not(None), REPLICAS.c.state != "destroyed")
            ).all()
        for each in late:
            if self._tried("late copy", partial(self._objects.destroy, ObjectKey(each.object_key))):
                with self._database.write() as connection:
                    connection.execute(
                        update(REPLICAS)
                        .where(REPLICAS.c.object_key == each.object_key, REPLICAS.c.region == each.region)
                        .values(state="destroyed")
                    )


def end_again(connection: Connection, trail: AuditTrail, case: Row[Any], *, why: str, by: str, now: float) -> bool:
    """End a case that a restored backup still has, and that was destroyed since; say whether there was anything to end.

    Legal holds do not stand in the way: its keys are gone. What is left of it is cleared away like any other's.
    """
    if connection.execute(select(DESTRUCTIONS.c.id).where(DESTRUCTIONS.c.case_id == case.id)).first() is not None:
        return False
    destruction_id = secrets.token_hex(16)
    closed = now if case.closed_at is None else case.closed_at
    verdict = Verdict(rule="restore", reason=why, retention=0, closed_at=closed, due_at=now)
    _begin(connection, trail, case, verdict, destruction_id, by=by, now=now)
    return True


def _begin(
    connection: Connection,
    trail: AuditTrail,
    case: Row[Any],
    verdict: Verdict,
    destruction_id: str,
    *,
    by: str,
    now: float,
) -> dict[str, Any]:
    """Take from a case its keys, names and tokens; return the manifest of what there was."""
    manifest = {**_manifest(connection, case), **_told(verdict), "by": by}
    connection.execute(
        insert(DESTRUCTIONS).values(
            id=destruction_id,
            case_id=case.id,
            number=case.number,
            customer=case.customer,
            manifest=json.dumps(manifest),
            begun_at=now,
        )
    )
    _shred(connection, case, now)
    _overwrite(connection, case, destruction_id, now)
    end_tokens(connection, trail, case.number, case.customer, now=now, why="the case was destroyed")
    trail.append(
        connection,
        customer_chain(case.customer),
        "case.destruction_begun",
        case=case.number,
        destruction=destruction_id,
        rule=verdict.rule,
        why=verdict.reason or None,
        by=by,
        files=len(manifest["files"]),
        objects=len(manifest["objects"]),
        keys=manifest["keys"],
    )
    return manifest


def end_tokens(connection: Connection, trail: AuditTrail, number: str, customer: str, *, now: float, why: str) -> int:
    """Withdraw the tokens of a case; return how many those were."""
    found = connection.execute(
        select(TOKENS.c.id, TOKENS.c.login).where(TOKENS.c.case_number == number, TOKENS.c.revoked_at.is_(None))
    ).all()
    for each in found:
        connection.execute(update(TOKENS).where(TOKENS.c.id == each.id).values(revoked_at=now))
        announce(connection, Subject.TOKEN, each.id, "token.revoked", at=now)
        trail.append(
            connection, customer_chain(customer), "token.revoked", token=each.id, login=each.login, case=number, why=why
        )
    return len(found)


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "reason": verdict.reason,
        "retention_seconds": int(verdict.retention),
        "closed_at": _moment(verdict.closed_at),
        "due_at": _moment(verdict.due_at),
    }


def _manifest(connection: Connection, case: Row[Any]) -> dict[str, Any]:
    """Say what there is of a case, without a name."""
    uploads = connection.execute(
        select(UPLOADS).where(UPLOADS.c.case_id == case.id).order_by(UPLOADS.c.created_at, UPLOADS.c.id)
    ).all()
    bodies = connection.execute(select(BODIES).where(BODIES.c.case_id == case.id).order_by(BODIES.c.key)).all()
    held: dict[str, list[str]] = {}
    for row in connection.execute(
        select(REPLICAS.c.object_key, REPLICAS.c.region)
        .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
        .where(BODIES.c.case_id == case.id, REPLICAS.c.state == "present")
        .order_by(REPLICAS.c.region)
    ):
        held.setdefault(row.object_key, []).append(row.region)
    keys = connection.execute(
        select(CASE_KEYS.c.region)
        .where(CASE_KEYS.c.case_id == case.id, CASE_KEYS.c.wrapped.is_not(None))
        .order_by(CASE_KEYS.c.region)
    ).scalars()
    books = connection.execute(
        select(PSEUDONYM_BOOKS.c.scope, PSEUDONYM_BOOKS.c.region)
        .where(_books_of(connection, case))
        .order_by(PSEUDONYM_BOOKS.c.id)
    ).all()
    return {
        "files": [
            {
                "upload": row.id,
                "version": row.version,
                "state": row.state,
                "size": row.size,
                "sha256": row.sha256,
                "object": row.object_key,
                "landed_at": None if row.landed_at is None else _moment(row.landed_at),
            }
            for row in uploads
        ],
        "objects": [
            {"key": row.key, "sha256": row.sha256, "size": row.size, "regions": held.get(row.key, [])} for row in bodies
        ],
        "keys": [{"scope": f"case:{case.scope}", "region": region} for region in keys],
        "pseudonyms": [{"scope": each.scope, "region": each.region} for each in books],
        "landing": [
            {"id": landing_id, "region": region}
            for landing_id, region in sorted(
                {(row.landing_id, row.region) for row in uploads if row.landing_gone_at is None}
                | places_of(connection, case.id)
            )
        ],
    }


def _shred(connection: Connection, case: Row[Any], now: float) -> None:
    """Forget every key of a case: of its objects, of what still lies in landing, of its pseudonyms with their names."""
    gone = {"wrapped": None, "destroyed_at": now, "withdrawn": False}
    connection.execute(update(CASE_KEYS).where(CASE_KEYS.c.case_id == case.id).values(**gone))
    connection.execute(update(UPLOADS).where(UPLOADS.c.case_id == case.id).values(landing_envelope=""))
    connection.execute(
        update(BODIES).where(BODIES.c.case_id == case.id).values(book_id=None, taught=None, reverse_map=None)
    )
    uploads = select(UPLOADS.c.id).where(UPLOADS.c.case_id == case.id)
    connection.execute(
        delete(ARCHIVE_PASSWORDS).where(
            or_(ARCHIVE_PASSWORDS.c.case_id == case.id, ARCHIVE_PASSWORDS.c.upload_id.in_(uploads))
        )
    )
    connection.execute(delete(PSEUDONYM_BOOKS).where(_books_of(connection, case)))


def _books_of(connection: Connection, case: Row[Any]) -> ColumnElement[bool]:
    """Say which pseudonyms end with a case: its own, and its customer's where it is the customer's last."""
    others = select(CASES.c.id).where(
        CASES.c.customer == case.customer, CASES.c.id != case.id, CASES.c.number.not_like("~%")
    )
    own: ColumnElement[bool] = PSEUDONYM_BOOKS.c.case_id == case.id
    if connection.execute(others.limit(1)).first() is not None:
        return own
    return or_(own, PSEUDONYM_BOOKS.c.customer == case.customer)


_NOTHING_SHOWN = {"head_upload": None, "shown_size": None, "shown_at": None}


def _overwrite(connection: Connection, case: Row[Any], destruction_id: str, now: float) -> None:
    """Overwrite every name, and give the case's number free: a case of that number would be a new one."""
    uploads = select(UPLOADS.c.id).where(UPLOADS.c.case_id == case.id)
    nodes = select(NODES.c.id).where(NODES.c.case_id == case.id)
    connection.execute(delete(NODE_PROPERTIES).where(NODE_PROPERTIES.c.node_id.in_(nodes)))
    connection.execute(delete(WRITE_LOCKS).where(WRITE_LOCKS.c.case_id == case.id))
    connection.execute(delete(OWN_VERSIONS).where(OWN_VERSIONS.c.upload_id.in_(uploads)))
    connection.execute(delete(RECEIPTS).where(RECEIPTS.c.upload_id.in_(uploads)))
    connection.execute(delete(RELEASE_VOTES).where(RELEASE_VOTES.c.upload_id.in_(uploads)))
    connection.execute(update(RELEASES).where(RELEASES.c.upload_id.in_(uploads)).values(reason="", done_at=now))
    connection.execute(
        update(NODES)
        .where(NODES.c.case_id == case.id, NODES.c.parent_id.is_not(None))
        .values(name=f"{_GONE}-" + NODES.c.id.cast(NODES.c.name.type), shown_name=None, hidden_at=now, **_NOTHING_SHOWN)
    )
    connection.execute(
        update(UPLOADS)
        .where(UPLOADS.c.case_id == case.id)
        .values(name=_GONE, shown_path=None, report=None, modified=None, reserved=0, updated_at=now)
    )
    connection.execute(update(RESCAN_FILES).where(RESCAN_FILES.c.upload_id.in_(uploads)).values(told=None))
    destroy_uploads(connection, case.id, now)
    bodies = select(BODIES.c.key).where(BODIES.c.case_id == case.id)
    connection.execute(update(REPLICAS).where(REPLICAS.c.object_key.in_(bodies)).values(state="destroying"))
    connection.execute(update(BODIES).where(BODIES.c.case_id == case.id).values(state=_GONE))
    connection.execute(
        update(CASES).where(CASES.c.id == case.id).values(number=f"~destroyed/{destruction_id}", title="")
    )
