"""From a path to a place: which case, entered anew; which zone; which directory, in whose view."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from casemap.identifier import CustomerId
from casemap.model import Role
from casemap.names import folded, parsed_number, safe_title
from casemap.resolver import CaseRootTarget, LayoutSettings, Zone, ZoneTarget, resolve
from casemap.template import CUSTOMER_NAME, NUMBER, TITLE
from mft.audit import customer_chain
from mft.box import case_or_none
from mft.policy import Action, Area, Part, Scope, may, may_change, may_remove, may_sort
from mft.vfs.drops import DropSettings
from mft.vfs.tree import Place, find_leaf, walk_place
from protocols.errors import NotFoundError, PermissionDeniedError
from protocols.filesystem import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from casemap.identifier import CaseNumber
    from casemap.model import Case
    from casemap.names import CustomerFolders
    from casemap.resolver import Branch, Target
    from mft.audit import AuditTrail
    from mft.cases import Cases
    from mft.casetree import CaseTree, EnteredCase
    from mft.catalog.database import Database
    from mft.objects import Objects
    from mft.policy import Reader
    from mft.unfiled import Unfiled
    from mft.upload.landed import LandedFiles
    from mft.upload.room import MemoryBudget
    from mft.upload.service import Uploads
    from mft.vfs.readahead import ReadAhead
    from mft.vfs.tree import Leaf
    from protocols.path import VirtualPath
    from protocols.session import Origin

AREAS = {Zone.UPLOAD: Area.UPLOAD, Zone.DOWNLOAD: Area.DOWNLOAD, Zone.META: Area.META}
NOTHING = "no such file or directory"
PLAIN: Mapping[str, Callable[[Case], str | None]] = {
    "case.state": lambda case: case.state.value,
    "case.kind": lambda case: case.kind,
    "case.classification": lambda case: case.classification,
    "case.priority": lambda case: str(case.priority),
    "case.assignee": lambda case: case.assignee,
    "case.year": lambda case: None if case.opened is None else f"{case.opened.year:04}",
    "case.month": lambda case: None if case.opened is None else f"{case.opened.year:04}-{case.opened.month:02}",
    "customer.id": lambda case: case.customer,
}
"""The fields of a template that the case itself has."""


def template_values(
    cases: Cases, entered: EnteredCase, *, view: Role, reserved: frozenset[str]
) -> Callable[[str], str | None]:
    """Return what the fields of a template are for a case; *reserved* is what no customer's folder may be called."""
    case = entered.case

    def value_of(name: str) -> str | None:
        if name == NUMBER:
            return case.number
        if name == TITLE:
            return case.title
        if name == CUSTOMER_NAME and view is Role.CUSTOMER:
            return safe_title(cases.customer(case.customer).name) or case.customer
        if name == CUSTOMER_NAME:
            return cases.customer_folders(reserved).name_of(case.customer) or f"({case.customer})"
        if name == "case.region":
            return entered.residency.home
        return PLAIN[name](case)

    return value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the filesystem of every session is made of."""

    database: Database
    trail: AuditTrail
    cases: Cases
    uploads: Uploads
    landed: LandedFiles
    objects: Objects
    read_ahead: ReadAhead
    budget: MemoryBudget
    layout: LayoutSettings
    unfiled: Unfiled
    drops: DropSettings = field(default_factory=DropSettings)
    most_locks: int = 1000
    """Write locks that a login may have at once."""
    since: float = field(default_factory=time.time)
    """When the service began (POSIX seconds): the time of directories of which nobody knows another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A path inside a zone that was entered: the directory that holds it, and its name there."""

    entered: EnteredCase
    tree: CaseTree
    zone: Zone
    place: Place
    name: str
    directories: tuple[str, ...]


class Finder:
    """Finds places for one session, and says no in its name."""

    def __init__(self, *, rooms: Rooms, reader: Reader, session_id: str, origin: Origin) -> None:
        """Find for *reader*, who came in by *origin*."""
        self.rooms = rooms
        self.reader = reader
        self.session_id = session_id
        self.origin = origin
        self._customer = None if reader.customer is None else CustomerId(reader.customer)
        self._only = None if reader.case is None else parsed_number(reader.case)
        self.role = Role.CUSTOMER if reader.part is Part.CUSTOMER else Role.ENGINEER

    @property
    def sorts(self) -> bool:
        """Whether this session sees what everybody sent without a case."""
        return may_sort(self.reader, dt.datetime.now(dt.UTC)).allowed

    def resolve(self, path: VirtualPath) -> Target:
        """Say what *path* means to this session, not whether it is there."""
        return resolve(
            path.parts,
            self.role,
            customer=self._customer,
            layout=self.rooms.layout,
            customer_of=self._customer_of,
            zones_of=self._zones_of,
            only=self._only,
        )

    def _customer_of(self, folder: str) -> CustomerId | None:
        if self.role is not Role.CUSTOMER:
            return self._folders().customer_of(folder)
        own = None if self.reader.customer is None else self.rooms.cases.customer(self.reader.customer)
        return own.id if own is not None and folded(folder) in {folded(safe_title(own.name)), folded(own.id)} else None

    def _folders(self) -> CustomerFolders:
        """Return the names of all customers' folders."""
        tree = self.rooms.layout.tree(self.role, None)
        return self.rooms.cases.customer_folders(self.rooms.layout.reserved | tree.reserved)

    def _zones_of(self, number: CaseNumber) -> Mapping[Zone, str]:
        layout = self.rooms.layout
        return layout.zones_of(self.rooms.cases.peek(number) if layout.sets else None)

    def opened(self, case: Case) -> float:
        """Return the time of directories that are always there: when the case was opened, if the case system says."""
        return self.rooms.since if case.opened is None else case.opened.timestamp()

    # -- what a case is called -----------------------------------------------------------------------------------------

    def values(self, entered: EnteredCase) -> Callable[[str], str | None]:
        """Return what the fields of a template are for a case."""
        layout = self.rooms.layout
        reserved = layout.reserved | layout.tree(self.role, None).reserved
        return template_values(self.rooms.cases, entered, view=self.role, reserved=reserved)

    def is_mine(self, case: Case) -> bool:
        """Say whether *case* was given to this session's login."""
        return case.assignee is not None and case.assignee == self.reader.login

    def belongs(self, entered: EnteredCase, under: tuple[Branch, ...]) -> bool:
        """Say whether a case stands in these folders, letter case aside."""
        values = self.values(entered)
        return all(
            entered.case.customer == branch.customer
            if branch.customer is not None
            else folded(branch.segment.render(values)) == folded(branch.name)
            for branch in under
        )

    def enter(self, target: CaseRootTarget | ZoneTarget, action: Action = Action.LIST) -> EnteredCase:
        """Enter the case of *target*, and check that the session may do *action* there.

        Raises:
            NotFoundError: there is no such case, as far as this session may know.
            PermissionDeniedError: it may not do that there.
        """
        entered = self.rooms.cases.enter(self.reader, target.number)
        mine = target.folder is None or not target.folder.mine or self.is_mine(entered.case)
        if not mine or not self.belongs(entered, target.under):
            raise NotFoundError(NOTHING)
        area = AREAS[target.zone] if isinstance(target, ZoneTarget) else Area.ROOT
        decision = may(self.reader.part, action, area, self.reader.scopes)
        if not decision.allowed:
            chain = customer_chain(entered.case.customer)
            self.rooms.cases.deny(self.reader, chain, target=f"{target.number}/{area.value}", why=decision.reason)
            raise PermissionDeniedError(decision.reason)
        decision = may_change(action, closed=entered.is_closed)
        if not decision.allowed:
            raise PermissionDeniedError(decision.reason)
        return entered

    def place_of(self, entered: EnteredCase, zone: Zone) -> tuple[CaseTree, Place]:
        """Return a zone's own directory, in the view that this session has of it."""
        tree = self.rooms.cases.trees.of(entered)
        root = tree.download_root if zone is Zone.DOWNLOAD else tree.upload_root
        sender = may(self.reader.part, Action.WRITE, AREAS[zone]).allowed
        own_only = self.reader.scopes is not None and Scope.READ not in self.reader.scopes
        return tree, Place(case_id=tree.id, node_id=root, login=self.reader.login, sender=sender, own_only=own_only)

    def spot(self, target: ZoneTarget, action: Action = Action.READ) -> Spot:
        """Return where *target* stands; it need not be there, but its directory must."""
        entered = self.enter(target, action)
        tree, root = self.place_of(entered, target.zone)
        *directories, name = target.rest
        place = walk_place(self.rooms.database, root, tuple(directories))
        if place is None:
            raise NotFoundError(NOTHING)
        return Spot(
            entered=entered, tree=tree, zone=target.zone, place=place, name=name, directories=tuple(directories)
        )

    def changes(self, target: ZoneTarget) -> Changes:
        """Return what the reader may do to own entries where *target* lies."""
        entered = self.enter(target, Action.STAT)

        def allowed(action: Action) -> bool:
            here = may(self.reader.part, action, AREAS[target.zone], self.reader.scopes)
            return here.allowed and may_change(action, closed=entered.is_closed).allowed

        removes = allowed(Action.REMOVE)
        return Changes(
            rename=allowed(Action.RENAME),
            remove_files=removes and may_remove(self.reader.part, own=True, partial=False).allowed,
            remove_directories=removes,
        )

    def leaf(self, spot: Spot) -> Leaf:
        """Return what is there.

        Raises:
            NotFoundError: nothing.
        """
        leaf = find_leaf(self.rooms.database, spot.place, spot.name)
        if leaf is None:
            raise NotFoundError(NOTHING)
        return leaf

    def event(self, connection: Connection, spot: Spot, kind: str, **details: object) -> None:
        """Record what this session did at *spot*, in the transaction of *connection*."""
        self.rooms.trail.append(
            connection,
            customer_chain(spot.tree.customer),
            kind,
            login=self.reader.login,
            session=self.session_id,
            protocol=self.origin.protocol,
            peer=self.origin.peer,
            case=case_or_none(spot.tree.number),
            zone=spot.zone.value,
            **details,
        )
