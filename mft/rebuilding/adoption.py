"""Objects, entered into the catalog: case, keys, names, upload, replicas, receipts, event; each in one transaction."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_nothing

from mft.audit import SYSTEM, customer_chain
from mft.box import ZONE
from mft.catalog.model import BODIES, CASE_KEYS, CASES, NODES, RECEIPTS, REPLICAS, UPLOADS
from mft.catalog.states import UploadState
from mft.intake.naming import free_name
from mft.rebuilding.gathering import Found, Gathering, Passed
from mft.upload.newest import show_head, show_own
from mft.upload.place import make_node
from protocols.errors import FileSystemError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Row

    from mft.audit import AuditTrail
    from mft.catalog.database import Database

_OPEN = {UploadState.RECEIVING, UploadState.INTERRUPTED, UploadState.LANDED, UploadState.SCRUBBING}
"""States from which an upload has come to be stored, where the catalog is older than the object."""
REBUILT = "its catalog was lost: the entry was made from the stored object"
UNSCRUBBED = "released from quarantine, unscrubbed"


class Adoption:
    """Enters what is stored and not known."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        gathering: Gathering,
        sign: Callable[[Mapping[str, object]], dict[str, object]],
        installation: str,
        host: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Enter into *database* what *gathering* finds; sign receipts anew with *sign*."""
        self._database = database
        self._trail = trail
        self._gathering = gathering
        self._sign = sign
        self._installation = installation
        self._host = host
        self._clock = clock

    def run(self, regions: tuple[str, ...], *, by: str, dry: bool = False) -> tuple[list[Found], list[Passed]]:
        """Enter every object of *regions* that the catalog does not know; return those, and what was passed over.

        Doing it again does no harm. With *dry* nothing is entered.

        Raises:
            StorageError: a store does not answer.
        """
        taken: list[Found] = []
        passed: list[Passed] = []
        for key in self._gathering.objects(regions):
            with self._database.read() as connection:
                if connection.execute(select(BODIES.c.key).where(BODIES.c.key == key)).first() is not None:
                    continue
            found = self._gathering.look(key, regions)
            if isinstance(found, Found) and not dry:
                found = self._enter(found, by)
            if isinstance(found, Found):
                taken.append(found)
            else:
                passed.append(found)
        if not dry and (taken or passed):
            with self._database.write() as connection:
                self._trail.append(
                    connection,
                    SYSTEM,
                    "catalog.rebuilt",
                    by=by,
                    regions=list(regions),
                    objects=len(taken),
                    left=len(passed),
                    why="entered from the slots of stored objects; what was audited before is not in this chain",
                )
        return taken, passed

    def _enter(self, found: Found, by: str) -> Found | Passed:
        try:
            with self._database.write() as connection:
                case = self._case(connection, found)
                if isinstance(case, Passed):
                    return case
                row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == found.facts["upload"])).first()
                refused = self._refusal(connection, found, row)
                if refused is not None:
                    return Passed(key=found.key, why=refused)
                self._upload(connection, found, case, row)
                self._object(connection, found, case)
                self._show(connection, found)
                self._receipts(connection, found, case)
                self._trail.append(
                    connection,
                    customer_chain(case.customer),
                    "upload.rebuilt",
                    upload=found.facts["upload"],
                    case=case.number,
                    object=found.key,
                    regions=sorted(found.slots),
                    size=found.body.size,
                    sha256=found.body.sha256.hex(),
                    by=by,
                )
        except (FileSystemError, KeyError, TypeError, ValueError) as error:
            return Passed(key=found.key, why=f"its manifest cannot be entered: {error}")
        return found

    # -- the case ----------------------------------------------------------------------------------------------------

    def _case(self, connection: Connection, found: Found) -> Row[Any] | Passed:
        """Return the case of an object, made where there is none, with its keys of the object's regions."""
        row = connection.execute(select(CASES).where(CASES.c.scope == found.scope)).first()
        if row is not None and row.number.startswith("~destroyed/"):
            return Passed(key=found.key, why="its case was destroyed")
        if row is None:
            number, now = str(found.facts["case"]), self._clock()
            if connection.execute(select(CASES.c.id).where(CASES.c.number == number)).first() is not None:
                return Passed(key=found.key, why=f"a case {number} is there, of other keys")
            row = self._make_case(connection, found, number, now)
        for region, slot in found.slots.items():
            connection.execute(
                insert_or_nothing(CASE_KEYS)
                .values(
                    case_id=row.id,
                    region=region,
                    wrapped=slot.envelope.scope_key,
                    created_at=self._clock(),
                    withdrawn=False,
                )
                .on_conflict_do_nothing()
            )
        return row

    def _make_case(self, connection: Connection, found: Found, number: str, now: float) -> Row[Any]:
        facts = found.facts
        made = connection.execute(
            insert(CASES).values(
                number=number,
                customer=str(facts["customer"]),
                title="",
                home_region=found.home,
                scope=found.scope,
                kind=facts.get("kind"),
                classification=facts.get("classification"),
                created_at=now,
            )
        )
        case_id = int(made.inserted_primary_key[0])  # type: ignore[index]  # SQLAlchemy types it as optional
        roots = {}
        for column in ("upload_root", "download_root"):
            root = connection.execute(
                insert(NODES).values(
                    case_id=case_id, parent_id=None, name="", is_directory=True, owner="", created_at=now
                )
            )
            roots[column] = int(root.inserted_primary_key[0])  # type: ignore[index]  # the same
        connection.execute(update(CASES).where(CASES.c.id == case_id).values(**roots))
        self._trail.append(
            connection,
            customer_chain(str(facts["customer"])),
            "case.entered",
            case=number,
            home=found.home,
            why=REBUILT,
        )
        return connection.execute(select(CASES).where(CASES.c.id == case_id)).one()

    # -- the upload ----------------------------------------------------------------------------------------------------

    def _refusal(self, connection: Connection, found: Found, row: Row[Any] | None) -> str | None:
        """Say why an object is not that of its upload's row; None: it is, or there is no row."""
        if row is None or row.state in _OPEN:
            return None
        if row.state == UploadState.QUARANTINED:
            return None if found.facts.get("unscrubbed") is True else "its upload was quarantined"
        if row.state != UploadState.STORED:
            return f"its upload is {row.state}"
        if row.object_key in found.facts.get("replaces", ()):  # a rescan since: the catalog is of before it
            gone = update(BODIES).where(BODIES.c.key == row.object_key)
            connection.execute(gone.values(state="obsolete", reverse_map=None))
            connection.execute(REPLICAS.delete().where(REPLICAS.c.object_key == row.object_key))
            return None
        if row.reason != REBUILT or not self._is_newer(connection, found, row.object_key):
            return "another object of its upload is stored"
        connection.execute(update(BODIES).where(BODIES.c.key == row.object_key).values(state="discarded"))
        connection.execute(REPLICAS.delete().where(REPLICAS.c.object_key == row.object_key))
        return None

    @staticmethod
    def _is_newer(connection: Connection, found: Found, other: str) -> bool:
        """Say whether of two objects of one upload this is the later attempt: the one that was published."""
        made = connection.execute(select(BODIES.c.created_at).where(BODIES.c.key == other)).scalar_one()
        return _made_at(found) > float(made)

    def _upload(self, connection: Connection, found: Found, case: Row[Any], row: Row[Any] | None) -> None:
        facts, now = found.facts, self._clock()
        landed = _moment(facts.get("landed_at")) or now
        stored = {
            "state": UploadState.STORED,
            "reason": UNSCRUBBED if facts.get("unscrubbed") is True else REBUILT,
            "object_key": found.key,
            "size": int(facts["sent_size"]),
            "sha256": facts.get("sent_sha256"),
            "scrubbed_size": found.body.size,
            "scrubbed_sha256": found.body.sha256.hex(),
            "shown_path": json.dumps([list(pair) for pair in zip(_path(facts), _shown(facts), strict=True)]),
            "report": json.dumps({"counts": {}, "findings": [], "findings_total": 0}),
            "reserved": 0,
            "updated_at": now,
            "finished_at": now,
            "landed_at": landed,
        }
        zone = "download" if facts["zone"] == "download" else "upload"
        root = case.download_root if zone == "download" else case.upload_root
        parent_id, node_id = _nodes(connection, case.id, root, facts)
        version = int(facts["version"])
        if row is not None and row.zone != ZONE and row.node_id is not None:
            connection.execute(update(UPLOADS).where(UPLOADS.c.id == row.id).values(**stored))
            return
        placed = {"case_id": case.id, "zone": zone, "parent_id": parent_id, "node_id": node_id, "version": version}
        if row is not None:
            connection.execute(update(UPLOADS).where(UPLOADS.c.id == row.id).values(**stored, **placed))
        else:
            connection.execute(
                insert(UPLOADS).values(
                    id=facts["upload"],
                    name=str(facts["name"]),
                    login=str(facts["login"]),
                    protocol="",
                    peer="",
                    session_id="",
                    region=found.home,
                    host=self._host,
                    worker="",
                    landing_id=facts["upload"],
                    landing_day=dt.datetime.fromtimestamp(landed, dt.UTC).date().isoformat(),
                    landing_envelope="",
                    landing_gone_at=now,
                    modified=facts.get("modified"),
                    created_at=landed,
                    **stored,
                    **placed,
                )
            )
        counted = update(NODES).where(NODES.c.id == node_id, NODES.c.versions < version)
        connection.execute(counted.values(versions=version))

    @staticmethod
    def _object(connection: Connection, found: Found, case: Row[Any]) -> None:
        connection.execute(
            insert(BODIES).values(
                key=found.key,
                upload_id=found.facts["upload"],
                case_id=case.id,
                state="stored",
                size=found.body.size,
                stored_size=found.body.stored_size,
                sha256=found.body.sha256.hex(),
                region=found.home,
                created_at=_made_at(found),
            )
        )
        now = time.time()
        for region in found.slots:
            connection.execute(
                insert(REPLICAS).values(object_key=found.key, region=region, state="present", queued_at=now, due_at=now)
            )

    @staticmethod
    def _show(connection: Connection, found: Found) -> None:
        """Show the newest version to everybody, the newest of a login to it, and the names that were scrubbed."""
        row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == found.facts["upload"])).one()
        same = (UPLOADS.c.node_id == row.node_id) & (UPLOADS.c.state == UploadState.STORED)
        newest = select(UPLOADS.c.id).where(same).order_by(UPLOADS.c.version.desc()).limit(1)
        show_head(connection, row.node_id, connection.execute(newest).scalar_one())
        show_own(
            connection,
            row.node_id,
            row.login,
            connection.execute(newest.where(UPLOADS.c.login == row.login)).scalar_one(),
        )
        node = connection.execute(select(NODES).where(NODES.c.id == row.node_id)).one()
        for shown in reversed(_shown(found.facts)):
            if node.parent_id is None:
                return
            if node.shown_name is None:
                free = free_name(connection, node.parent_id, shown)
                connection.execute(update(NODES).where(NODES.c.id == node.id).values(shown_name=free))
            node = connection.execute(select(NODES).where(NODES.c.id == node.parent_id)).one()

    def _receipts(self, connection: Connection, found: Found, case: Row[Any]) -> None:
        """Sign both receipts anew, under the id that the sender has; those of then stay good for whoever kept them."""
        row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == found.facts["upload"])).one()
        claims: dict[str, object] = {
            "id": row.id,
            "url": f"/api/v1/receipts/{row.id}",
            "installation": self._installation,
            "case": case.number,
            "name": row.name,
            "version": row.version,
            "login": row.login,
            "size": row.size,
            "sha256": row.sha256 or "unknown",
            "landed_at": _text(row.landed_at),
            "reason": REBUILT,
        }
        stored = {
            "size": found.body.size,
            "sha256": found.body.sha256.hex(),
            "region": found.home,
            "copies": sorted(set(found.slots) - {found.home}),
        }
        for kind, more in (
            ("landed", {"region": found.home}),
            ("final", {"outcome": "stored", "finished_at": _text(row.finished_at), "stored": stored}),
        ):
            document = json.dumps(self._sign({**claims, "kind": kind, **more}))
            connection.execute(
                insert_or_nothing(RECEIPTS)
                .values(upload_id=row.id, kind=kind, document=document, created_at=self._clock())
                .on_conflict_do_nothing()
            )


def _path(facts: Mapping[str, Any]) -> list[str]:
    path = facts.get("path")
    return [str(name) for name in path] if isinstance(path, list) and path else [str(facts["name"])]


def _shown(facts: Mapping[str, Any]) -> list[str]:
    shown = facts.get("shown")
    path = _path(facts)
    if isinstance(shown, list) and len(shown) == len(path):
        return [str(name) for name in shown]
    return [f"file-{str(facts['upload'])[:8]}" for _ in path]  # what is not known to be scrubbed is not shown


def _nodes(connection: Connection, case_id: int, root: int, facts: Mapping[str, Any]) -> tuple[int, int]:
    """Return the directory and the node of a file, made where they are not there."""
    *directories, name = _path(facts)
    parent, owner = root, str(facts["login"])
    for directory in directories:
        parent = make_node(
            connection, case_id=case_id, parent_id=parent, name=directory, owner=owner, is_directory=True
        )
    node = make_node(connection, case_id=case_id, parent_id=parent, name=name, owner=owner, is_directory=False)
    return parent, node


def _made_at(found: Found) -> float:
    made = found.facts.get("made_at")
    return float(made) if isinstance(made, int | float) else 0.0


def _moment(text: object) -> float | None:
    return dt.datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None


def _text(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
