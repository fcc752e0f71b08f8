"""What the catalog keeps of a case that was entered: the roots of its zones, its keys, and where it may lie."""

from __future__ import annotations

import functools
import json
import secrets
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_nothing

from mft.audit import customer_chain
from mft.box import case_or_none, is_box
from mft.catalog.model import CASE_KEYS, CASES, NODES
from protocols.errors import NotFoundError
from storage.keys.envelope import Region

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from casemap.model import Case
    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.policy import Residency
    from storage.keys.service import KeyService


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredCase:
    """A case that a session may enter, as it stood a moment ago."""

    case: Case
    residency: Residency

    @property
    def is_closed(self) -> bool:
        """Whether it can only be read: it is closed, and its time for reading is not over."""
        return not self.case.is_open

    @property
    def priority(self) -> int:
        """How soon its copies are made, 1 (first) to 5: its rule says, else the case system."""
        return self.residency.priority or self.case.priority


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTree:
    """What the catalog keeps of a case: the roots of its zones and the name of its keys."""

    id: int
    number: str
    customer: str
    scope: str
    upload_root: int
    download_root: int
    kind: str | None = None
    classification: str | None = None
    priority: int = 3
    placement: str | None = None
    """Where it may lie, as the audit has it: `placement_text`."""

    @property
    def key_scope(self) -> str:
        """Name of the case's key scope, in every region."""
        return f"case:{self.scope}"


class CaseTrees:
    """The trees of all cases, remembered once they were read."""

    def __init__(self, database: Database, trail: AuditTrail) -> None:
        """Keep them in *database*; what is made or placed anew is in *trail*."""
        self._database = database
        self._trail = trail
        self._trees: dict[str, CaseTree] = {}
        self._lock = threading.Lock()

    def forget(self, number: str) -> None:
        """Read from the catalog again what it keeps of a case: it was closed, or its files were destroyed."""
        with self._lock:
            self._trees.pop(number, None)

    def of(self, entered: EnteredCase) -> CaseTree:
        """Return what the catalog keeps of the case, making it when the case is entered for the first time."""
        tree = self.known(entered.case.number) or self._remember(self._make(entered))
        case, placement = entered.case, placement_text(entered.residency)
        told = (case.kind, case.classification, entered.priority, placement)
        if told == (tree.kind, tree.classification, tree.priority, tree.placement):
            return tree
        with self._database.write() as connection:
            note_placement(connection, self._trail, tree, entered)
            traits = {"kind": case.kind, "classification": case.classification}
            connection.execute(update(CASES).where(CASES.c.id == tree.id).values(**traits))
        return self._remember(
            replace(
                tree,
                kind=case.kind,
                classification=case.classification,
                priority=entered.priority,
                placement=placement,
            )
        )

    def known(self, number: str) -> CaseTree | None:
        """Return what the catalog keeps of a case that was entered before, or None."""
        with self._lock:
            known = self._trees.get(number)
        if known is not None:
            return known
        found = self._find(number)
        return None if found is None else self._remember(found)

    def _remember(self, tree: CaseTree) -> CaseTree:
        with self._lock:
            self._trees[tree.number] = tree
        return tree

    def _find(self, number: str) -> CaseTree | None:
        with self._database.read() as connection:
            row = connection.execute(select(CASES).where(CASES.c.number == number)).first()
        return None if row is None else case_tree(row)

    def _make(self, entered: EnteredCase) -> CaseTree:
        case, now = entered.case, time.time()
        with self._database.write() as connection:
            row = connection.execute(select(CASES).where(CASES.c.number == case.number)).first()
            if row is not None:
                return case_tree(row)
            made = connection.execute(
                insert(CASES).values(
                    number=case.number,
                    customer=case.customer,
                    title=case.title,
                    home_region=entered.residency.home,
                    scope=secrets.token_hex(16),
                    kind=case.kind,
                    classification=case.classification,
                    priority=entered.priority,
                    placement=placement_text(entered.residency),
                    created_at=now,
                )
            )
            case_id = int(made.inserted_primary_key[0])  # type: ignore[index]  # SQLAlchemy types it as optional
            roots = {column: self._root(connection, case_id, now) for column in ("upload_root", "download_root")}
            connection.execute(update(CASES).where(CASES.c.id == case_id).values(**roots))
            self._trail.append(
                connection,
                customer_chain(case.customer),
                "box.made" if is_box(case.number) else "case.entered",
                case=case_or_none(case.number),
                **placement_facts(entered.residency),
            )
            row = connection.execute(select(CASES).where(CASES.c.id == case_id)).one()
            return case_tree(row)

    @staticmethod
    def _root(connection: Connection, case_id: int, now: float) -> int:
        made = connection.execute(
            insert(NODES).values(case_id=case_id, parent_id=None, name="", is_directory=True, owner="", created_at=now)
        )
        return int(made.inserted_primary_key[0])  # type: ignore[index]  # SQLAlchemy types it as optional


def case_tree(row: Row[tuple[object, ...]]) -> CaseTree:
    """Return what the catalog's *row* keeps of a case."""
    return CaseTree(
        id=row.id,
        number=row.number,
        customer=row.customer,
        scope=row.scope,
        upload_root=row.upload_root,
        download_root=row.download_root,
        kind=row.kind,
        classification=row.classification,
        priority=row.priority,
        placement=row.placement,
    )


def note_placement(connection: Connection, trail: AuditTrail, tree: CaseTree, entered: EnteredCase) -> bool:
    """Write down where a case may lie from now on, and how urgent it is; say whether the first has changed.

    It is in the audit before anything is put where it could not lie before.
    """
    told, priority = placement_text(entered.residency), entered.priority
    row = connection.execute(select(CASES.c.placement, CASES.c.priority).where(CASES.c.id == tree.id)).one()
    if (row.placement, row.priority) != (told, priority):
        changes = {"placement": told, "home_region": entered.residency.home, "priority": priority}
        connection.execute(update(CASES).where(CASES.c.id == tree.id).values(**changes))
    if row.placement == told or is_box(tree.number):
        return False
    facts = placement_facts(entered.residency)
    trail.append(connection, customer_chain(tree.customer), "case.placed", case=tree.number, **facts)
    return True


def placement_facts(residency: Residency) -> dict[str, object]:
    """Say where a case may lie and which rule says so, as the audit has it. Readers by the hour are no part of it."""
    return {
        "home": residency.home,
        "copies": list(residency.copies),
        "on_demand": list(residency.on_demand) or None,
        "rule": residency.rule,
        "why": residency.reason or None,
    }


@functools.lru_cache(maxsize=1024)
def placement_text(residency: Residency) -> str:
    """Write the same as the catalog keeps it, to be compared. Remembered: it is asked for with every file."""
    return json.dumps(placement_facts(residency), sort_keys=True)


def case_key(
    connection_of: Database, keys: KeyService, tree: CaseTree, region: str, clock: Callable[[], float] = time.time
) -> bytes:
    """Return the case's scope key in *region*, wrapped, making it when it is first needed there."""
    wanted = (CASE_KEYS.c.case_id == tree.id) & (CASE_KEYS.c.region == region)
    with connection_of.read() as connection:
        row = connection.execute(select(CASE_KEYS.c.wrapped, CASE_KEYS.c.withdrawn).where(wanted)).first()
    if row is None or (row.wrapped is None and row.withdrawn):
        fresh, now = keys.new_scope(Region(region), tree.key_scope, owner=tree.customer), clock()
        with connection_of.write() as connection:
            connection.execute(
                insert_or_nothing(CASE_KEYS)
                .values(case_id=tree.id, region=region, wrapped=fresh, created_at=now)
                .on_conflict_do_nothing()
            )
            connection.execute(
                update(CASE_KEYS)
                .where(wanted, CASE_KEYS.c.wrapped.is_(None), CASE_KEYS.c.withdrawn)
                .values(wrapped=fresh, created_at=now, destroyed_at=None, withdrawn=False)
            )
            row = connection.execute(select(CASE_KEYS.c.wrapped).where(wanted)).one()
    if row.wrapped is None:
        raise NotFoundError("the keys of this case have been destroyed")
    return bytes(row.wrapped)
