"""What names no case: listed, assigned to a case by its sender or by triage, and destroyed when its time is over.

An unfiled deposit lies sealed in its sender's home region, in the landing zone alone. Nothing scrubs or copies it, and
nobody but its sender reads it. Assigning makes it a version of a name in the case's upload zone, as if it had just been
received there; intake goes on with it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select, update

from mft.audit import customer_chain
from mft.box import ZONE
from mft.catalog.model import NODES, OWN_VERSIONS, UNFILED, UPLOADS
from mft.catalog.states import StateError, UploadState, move_upload
from mft.quotas import QuotaRules
from mft.upload.newest import show_own
from mft.upload.place import make_node
from mft.upload.room import reserve_quota
from protocols.errors import LockedError, NotFoundError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from mft.audit import AuditTrail
    from mft.casetree import CaseTree, EnteredCase
    from mft.catalog.database import Database

log = logging.getLogger(__name__)

PAGE = 200
_EXPIRED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfiledFile:
    """One deposit that names no case. Times are POSIX seconds, UTC."""

    id: str
    name: str
    size: int
    sha256: str | None
    customer: str
    login: str
    region: str
    why: str
    landed_at: float
    kept_until: float
    version: int

    @property
    def place(self) -> tuple[float, str]:
        """Where it stands in the list: what the next page begins after."""
        return self.kept_until, self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What became of it."""

    id: str
    case: str
    name: str
    version: int


class Unfiled:
    """The unfiled deposits of an installation. Who may ask is the caller's to decide."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        tree_of: Callable[[EnteredCase], CaseTree],
        quotas: QuotaRules | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Find a case's tree by *tree_of* (`CaseTrees.of`); *quotas* bound cases; *wake* tells intake."""
        self._database = database
        self._trail = trail
        self._tree_of = tree_of
        self._quotas = quotas or QuotaRules()
        self._wake = wake

    def page(
        self,
        *,
        customer: str | None = None,
        login: str | None = None,
        after: tuple[float, str] | None = None,
        limit: int = PAGE,
    ) -> tuple[UnfiledFile, ...]:
        """Return what waits, of one customer or login or of all, the one that ends first at the beginning.

        *after* is the `place` of the last one that was returned before.
        """
        wanted = _waiting()
        if customer is not None:
            wanted = wanted.where(UNFILED.c.customer == customer)
        if login is not None:
            wanted = wanted.where(UNFILED.c.login == login)
        if after is not None:
            until, last = after
            behind = and_(UNFILED.c.kept_until == until, UPLOADS.c.id > last)
            wanted = wanted.where(or_(UNFILED.c.kept_until > until, behind))
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(UNFILED.c.kept_until, UPLOADS.c.id).limit(limit)).all()
        return tuple(_file(row) for row in rows)

    def customers(self) -> tuple[str, ...]:
        """Return the ids of the customers of whose files any waits."""
        return self._distinct(UNFILED.c.customer)

    def senders(self, customer: str) -> tuple[str, ...]:
        """Return the logins of *customer* of whose files any waits."""
        return self._distinct(UNFILED.c.login, UNFILED.c.customer == customer)

    def _distinct(self, column: ColumnElement[str], *wanted: ColumnElement[bool]) -> tuple[str, ...]:
        statement = _waiting().where(*wanted).with_only_columns(column).distinct().order_by(column)
        with self._database.read() as connection:
            return tuple(connection.execute(statement).scalars())

    def named(self, customer: str, login: str, name: str | None = None) -> Iterator[UnfiledFile]:
        """Yield the newest that waits under each name of *login*'s, or under *name* alone, in the order of names."""
        wanted = _waiting().where(UNFILED.c.customer == customer, UNFILED.c.login == login)
        if name is not None:
            wanted = wanted.where(UPLOADS.c.name == name)
        wanted = wanted.order_by(UPLOADS.c.name, UPLOADS.c.version.desc()).limit(PAGE)
        last: tuple[str, int] | None = None
        shown: str | None = None
        while True:
            page = wanted
            if last is not None:
                older = and_(UPLOADS.c.name == last[0], UPLOADS.c.version < last[1])
                page = wanted.where(or_(UPLOADS.c.name > last[0], older))
            with self._database.read() as connection:
                rows = connection.execute(page).all()
            for row in rows:
                if row.name != shown:
                    shown = row.name
                    yield _file(row)
            if len(rows) < PAGE:
                return
            last = rows[-1].name, rows[-1].version

    def find(self, upload_id: str) -> UnfiledFile:
        """Return one that waits.

        Raises:
            NotFoundError: there is none of that id, or no more.
        """
        with self._database.read() as connection:
            row = connection.execute(_waiting().where(UPLOADS.c.id == upload_id)).first()
            if row is None:
                raise _gone(connection, upload_id)
        return _file(row)

    def assign(
        self,
        upload_id: str,
        entered: EnteredCase,
        *,
        by: str,
        parent_id: int | None = None,
        name: str | None = None,
    ) -> Assigned:
        """Make it a file of the case that *by* has *entered*: in its upload zone, or in *parent_id* there, as *name*.

        Raises:
            NotFoundError: there is none of that id.
            RejectedError: the case is closed, another customer's, or at home in another region; or it was assigned.
            AlreadyExistsError: a directory has its name there.
            QuotaExceededError: the case's quota does not hold it.
        """
        tree = self._tree_of(entered)
        with self._database.write() as connection:
            row = connection.execute(_waiting().where(UPLOADS.c.id == upload_id)).first()
            if row is None:
                raise _gone(connection, upload_id)
            _check(row, entered)
            reserve_quota(connection, tree, self._quotas, row.size, least=row.size, counts_for_customer=False)
            spot = (parent_id or tree.upload_root, name or row.name)
            assigned = self._move(connection, row, tree, spot, copies=entered.residency.copies)
            done = {"assigned_at": time.time(), "assigned_by": by, "assigned_to": tree.number}
            connection.execute(update(UNFILED).where(UNFILED.c.upload_id == upload_id).values(**done))
            self._trail.append(
                connection,
                customer_chain(tree.customer),
                "unfiled.assigned",
                upload=upload_id,
                case=tree.number,
                version=assigned.version,
                login=row.login,
                by=by,
            )
        self._wake()
        return assigned

    @staticmethod
    def _move(
        connection: Connection, row: Row[Any], tree: CaseTree, spot: tuple[int, str], *, copies: tuple[str, ...]
    ) -> Assigned:
        parent_id, name = spot
        node_id = make_node(
            connection, case_id=tree.id, parent_id=parent_id, name=name, owner=row.login, is_directory=False
        )
        version = connection.execute(
            update(NODES).where(NODES.c.id == node_id).values(versions=NODES.c.versions + 1).returning(NODES.c.versions)
        ).scalar_one()
        connection.execute(
            update(UPLOADS)
            .where(UPLOADS.c.id == row.id)
            .values(
                case_id=tree.id,
                zone="upload",
                parent_id=parent_id,
                name=name,
                node_id=node_id,
                version=version,
                copies=",".join(copies),
                updated_at=time.time(),
            )
        )
        leave_node(connection, row.node_id, row.login)
        show_own(connection, node_id, row.login, row.id)
        return Assigned(id=row.id, case=tree.number, name=name, version=version)


def leave_node(connection: Connection, node_id: int, login: str) -> None:
    """Let a name in a box show the newest deposit that still waits under it; hide it where none does."""
    newest = connection.execute(
        select(UPLOADS.c.id)
        .where(UPLOADS.c.node_id == node_id, UPLOADS.c.zone == ZONE, UPLOADS.c.state == UploadState.LANDED)
        .order_by(UPLOADS.c.version.desc())
        .limit(1)
    ).scalar()
    if newest is not None:
        show_own(connection, node_id, login, newest)
        return
    connection.execute(OWN_VERSIONS.delete().where(OWN_VERSIONS.c.node_id == node_id))
    connection.execute(update(NODES).where(NODES.c.id == node_id).values(hidden_at=time.time()))


def expire_unfiled(database: Database, trail: AuditTrail, now: float) -> int:
    """Give up what waited longer than the configuration says; return how many. The sweep destroys the bytes."""
    with database.read() as connection:
        rows = connection.execute(_waiting().where(UNFILED.c.kept_until < now).limit(_EXPIRED_AT_ONCE)).all()
    for row in rows:
        why = "nobody assigned it to a case in time"
        try:
            with database.write() as connection:
                move_upload(connection, row.id, UploadState.EXPIRED, reason=why, reserved=0, finished_at=now)
                leave_node(connection, row.node_id, row.login)
                chain = customer_chain(row.customer)
                trail.append(connection, chain, "unfiled.expired", upload=row.id, login=row.login, why=why)
        except StateError:
            log.info("unfiled.assigned_meanwhile", extra={"upload": row.id})
    return len(rows)


def _waiting() -> Select[Any]:
    return (
        select(UPLOADS, UNFILED.c.customer, UNFILED.c.why, UNFILED.c.kept_until)
        .join(UNFILED, UNFILED.c.upload_id == UPLOADS.c.id)
        .where(UPLOADS.c.zone == ZONE, UPLOADS.c.state == UploadState.LANDED)
    )


def _gone(connection: Connection, upload_id: str) -> NotFoundError | RejectedError | LockedError:
    """Say what is in the way of an assignment, or that there never was such a deposit."""
    row = connection.execute(
        select(UPLOADS.c.state, UNFILED.c.assigned_to)
        .join(UNFILED, UNFILED.c.upload_id == UPLOADS.c.id)
        .where(UPLOADS.c.id == upload_id)
    ).first()
    if row is None:
        return NotFoundError("there is no unfiled deposit of that id")
    if row.assigned_to is not None:
        return RejectedError(f"it was assigned to the case {row.assigned_to} already")
    if row.state == UploadState.EXPIRED:
        return NotFoundError("its time is over; it was destroyed")
    return LockedError("it has not been received in full; assign it when it has")


def _check(row: Row[Any], entered: EnteredCase) -> None:
    case, home = entered.case, entered.residency.home
    if case.customer != row.customer:
        raise RejectedError(f"the case {case.number} is not of the sender's customer, {row.customer}")
    if not case.is_open:
        raise RejectedError(f"the case {case.number} is closed")
    if home != row.region:
        raise RejectedError(
            f"it lies in the region {row.region}, and the home of the case {case.number} is {home}: nothing is carried "
            "over a border; ask its sender to send it to the case itself"
        )


def _file(row: Row[Any]) -> UnfiledFile:
    return UnfiledFile(
        id=row.id,
        name=row.name,
        size=row.size,
        sha256=row.sha256,
        customer=row.customer,
        login=row.login,
        region=row.region,
        why=row.why,
        landed_at=row.landed_at,
        kept_until=row.kept_until,
        version=row.version,
    )
