"""Which cases exist for a session, asked anew as long as the session lasts.

Everything that opens, lists or writes goes through `Cases.enter`: the case system's answer, narrowed by policy. A
case that a session may not know of raises the same error as one that does not exist, and leaves a record.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_nothing

from casemap.errors import (
    CaseMapError,
    CaseNotFoundError,
    CustomerNotFoundError,
    LookupAnswerError,
    LookupUnavailableError,
)
from casemap.identifier import CustomerId
from casemap.lookup import MAX_LIMIT, every_case
from casemap.model import Case, CaseState
from casemap.names import CustomerFolders
from mft import policy
from mft.audit import SYSTEM, customer_chain
from mft.box import box_number, is_box
from mft.catalog.model import CASE_KEYS, CASES, NODES
from protocols.errors import NotFoundError, PermissionDeniedError, RejectedError, UnavailableError
from storage.keys.envelope import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from casemap.lookup import CaseLookup
    from casemap.model import Customer
    from mft.audit import AuditTrail, Folding
    from mft.catalog.database import Database
    from mft.policy import Reader, Residency, ResidencyRules
    from storage.keys.service import KeyService


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredCase:
    """A case that a session may enter, as it stood a moment ago."""

    case: Case
    residency: Residency


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTree:
    """What the catalog keeps of a case: the roots of its zones and the name of its keys."""

    id: int
    number: str
    customer: str
    scope: str
    upload_root: int
    download_root: int

    @property
    def key_scope(self) -> str:
        """Name of the case's key scope, in every region."""
        return f"case:{self.scope}"


class Cases:
    """The case system's answers, narrowed by policy."""

    def __init__(
        self,
        *,
        lookup: CaseLookup,
        rules: ResidencyRules,
        database: Database,
        trail: AuditTrail,
        folding: Folding,
        recheck: float = 1.0,
    ) -> None:
        """Ask *lookup* (which caches); open handles ask again every *recheck* seconds."""
        self._lookup = lookup
        self.rules = rules
        self._database = database
        self._trail = trail
        self._folding = folding
        self._recheck = recheck
        self._generation = 0
        self._folders: tuple[frozenset[str], tuple[Customer, ...], CustomerFolders] | None = None
        self._trees: dict[str, CaseTree] = {}
        self._trees_lock = threading.Lock()

    def enter(self, reader: Reader, number: str) -> EnteredCase:
        """Return the case, if it exists for *reader*.

        Raises:
            NotFoundError: there is no such case, or none that this reader may know of (which is audited).
            UnavailableError: the case system does not answer and nothing fresh enough is remembered.
        """
        if is_box(number):
            return self._enter_box(reader, number)
        case = self._ask(reader, number)
        try:
            entered = self._place(case)
        except policy.ResidencyError as error:
            self.deny(reader, customer_chain(case.customer), target=number, why=str(error))
            raise NotFoundError("no such file or directory") from error
        decision = self._decide(reader, entered)
        if not entered.case.is_open:
            self.recheck_all()  # whoever has something of it open learns of it on the next turn
        if not decision.allowed:
            foreign = reader.part is policy.Part.CUSTOMER and reader.customer != case.customer
            chain = SYSTEM if foreign else customer_chain(case.customer)
            self.deny(reader, chain, target=number, why=decision.reason)
            raise NotFoundError("no such file or directory")
        return entered

    def _ask(self, reader: Reader, number: str) -> Case:
        try:
            return self._lookup.case(number)
        except CaseNotFoundError:
            self.deny(reader, SYSTEM, target=number, why="no such case")
            raise NotFoundError("no such file or directory") from None
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error

    def glimpse(self, reader: Reader, number: str) -> EnteredCase | None:
        """Return the case if it exists for *reader*, without a record of it if not: for what names no case outright.

        Raises:
            UnavailableError: as in `enter`.
        """
        try:
            entered = self._place(self._lookup.case(number))
        except (CaseNotFoundError, NotFoundError, policy.ResidencyError):
            return None
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error
        return entered if self._decide(reader, entered).allowed else None

    def placed(self, number: str) -> EnteredCase:
        """Return a case, open or not, for those who may know of every case: operators and triage.

        Raises:
            NotFoundError: there is none.
            RejectedError: it has no home here.
            UnavailableError: as in `enter`.
        """
        try:
            return self._place(self._lookup.case(number))
        except CaseNotFoundError:
            raise NotFoundError(f"there is no case {number}") from None
        except policy.ResidencyError as error:
            raise RejectedError(str(error)) from error
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error

    def box(self, reader: Reader) -> EnteredCase:
        """Return where files of *reader* that name no case wait: in its home region alone, as a case of its own.

        Raises:
            NotFoundError: staff has none.
            PermissionDeniedError: residency does not let it in by this entrance.
        """
        if reader.part is not policy.Part.CUSTOMER or reader.customer is None:
            raise NotFoundError("no such file or directory")
        customer = CustomerId(reader.customer)
        case = Case(number=box_number(reader.login), title="", customer=customer, state=CaseState.OPEN)
        try:
            placed = self._place(case)
        except policy.ResidencyError as error:
            self.deny(reader, customer_chain(customer), target=case.number, why=str(error))
            raise PermissionDeniedError("no region of this server may take what names no case; name one") from error
        entered = EnteredCase(case=case, residency=dataclasses.replace(placed.residency, copies=()))
        decision = self._decide(reader, placed)
        if not decision.allowed:
            self.deny(reader, customer_chain(customer), target=case.number, why=decision.reason)
            raise PermissionDeniedError(f"files that name no case are not taken here: {decision.reason}")
        return entered

    def _enter_box(self, reader: Reader, number: str) -> EnteredCase:
        if number != box_number(reader.login):
            self.deny(reader, SYSTEM, target=number, why="the box is another login's")
            raise NotFoundError("no such file or directory")
        return self.box(reader)

    def visible(self, reader: Reader, customer: str | None) -> Iterator[EnteredCase]:
        """Yield the open cases of *customer* (None: of all) that exist for *reader*, in the case system's order."""
        try:
            for case in every_case(self._lookup, customer) if reader.case is None else self._one_case(reader.case):
                if customer is not None and case.customer != customer:
                    continue
                try:
                    entered = self._place(case)
                except policy.ResidencyError:
                    continue
                if self._decide(reader, entered).allowed:
                    yield entered
        except CustomerNotFoundError:
            return
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error

    def _one_case(self, number: str) -> Iterator[Case]:
        """Yield that case, if there is such a one."""
        with contextlib.suppress(CaseNotFoundError):
            yield self._lookup.case(number)

    def customers(self) -> Iterator[Customer]:
        """Yield every customer, in the case system's order."""
        cursor: str | None = None
        try:
            while True:
                page = self._lookup.customers(cursor=cursor, limit=MAX_LIMIT)
                yield from page.items
                cursor = page.next_cursor
                if cursor is None:
                    return
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error

    def customer_folders(self, reserved: frozenset[str]) -> CustomerFolders:
        """Return the names of all customers' folders; *reserved* are names, `folded`, that mean something else there.

        They depend on all customers, so they are made anew only when the list that the case system gave is another.
        """
        customers = tuple(self.customers())
        known = self._folders
        if known is not None and known[0] == reserved and _same(known[1], customers):
            return known[2]
        folders = CustomerFolders(customers, reserved=reserved)
        self._folders = (reserved, customers, folders)
        return folders

    def peek(self, number: str) -> Case | None:
        """Return a case for what it is called alone: whoever is told of it has to enter it. None: it cannot be said."""
        try:
            return self._lookup.case(number)
        except CaseMapError:
            return None

    def customer(self, customer: str) -> Customer:
        """Return one customer.

        Raises:
            NotFoundError: there is none of that id.
        """
        try:
            return self._lookup.customer(customer)
        except CustomerNotFoundError:
            raise NotFoundError("no such file or directory") from None
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error

    def lease(self, reader: Reader, number: str) -> Lease:
        """Return what an open handle asks on every turn."""
        return Lease(cases=self, reader=reader, number=number)

    def recheck_all(self) -> None:
        """Make every open handle ask again on its next turn: something was withdrawn."""
        self._generation += 1

    def deny(self, reader: Reader, chain: str, *, target: str, why: str) -> None:
        """Record that *reader* was refused; repeats within a minute are counted, not written."""
        details: dict[str, object] = {
            "login": reader.login,
            "region": reader.listener,
            "target": target,
            "why": why,
        }
        if self._folding.first(chain, "access.denied", f"{reader.login}\0{target}", details):
            with self._database.write() as connection:
                self._trail.append(connection, chain, "access.denied", **details)

    def tree(self, entered: EnteredCase) -> CaseTree:
        """Return what the catalog keeps of the case, making it when the case is entered for the first time."""
        return self.known_tree(entered.case.number) or self._remember(self._make(entered))

    def known_tree(self, number: str) -> CaseTree | None:
        """Return what the catalog keeps of a case that was entered before, or None."""
        with self._trees_lock:
            known = self._trees.get(number)
        if known is not None:
            return known
        found = self._find(number)
        return None if found is None else self._remember(found)

    def _remember(self, tree: CaseTree) -> CaseTree:
        with self._trees_lock:
            self._trees[tree.number] = tree
        return tree

    def _find(self, number: str) -> CaseTree | None:
        with self._database.read() as connection:
            row = connection.execute(select(CASES).where(CASES.c.number == number)).first()
        return None if row is None else _tree(row)

    def _make(self, entered: EnteredCase) -> CaseTree:
        case, now = entered.case, time.time()
        with self._database.write() as connection:
            row = connection.execute(select(CASES).where(CASES.c.number == case.number)).first()
            if row is not None:
                return _tree(row)
            made = connection.execute(
                insert(CASES).values(
                    number=case.number,
                    customer=case.customer,
                    title=case.title,
                    home_region=entered.residency.home,
                    scope=secrets.token_hex(16),
                    created_at=now,
                )
            )
            case_id = int(made.inserted_primary_key[0])  # type: ignore[index]  # SQLAlchemy types it as optional
            roots = {column: self._root(connection, case_id, now) for column in ("upload_root", "download_root")}
            connection.execute(update(CASES).where(CASES.c.id == case_id).values(**roots))
            self._trail.append(
                connection,
                customer_chain(case.customer),
                "case.entered",
                case=case.number,
                home=entered.residency.home,
                copies=list(entered.residency.copies),
                rule=entered.residency.rule,
                why=entered.residency.reason or None,
            )
            row = connection.execute(select(CASES).where(CASES.c.id == case_id)).one()
            return _tree(row)

    @staticmethod
    def _root(connection: Connection, case_id: int, now: float) -> int:
        made = connection.execute(
            insert(NODES).values(case_id=case_id, parent_id=None, name="", is_directory=True, owner="", created_at=now)
        )
        return int(made.inserted_primary_key[0])  # type: ignore[index]  # SQLAlchemy types it as optional

    def _place(self, case: Case) -> EnteredCase:
        home = case.home_region or self.customer(case.customer).home_region
        return EnteredCase(case=case, residency=self.rules.place(_facts(case, home)))

    def _decide(self, reader: Reader, entered: EnteredCase) -> policy.Decision:
        facts = _facts(entered.case, entered.residency.home)
        return policy.may_enter(reader, facts, entered.residency, dt.datetime.now(dt.UTC))


def _same(some: tuple[Customer, ...], others: tuple[Customer, ...]) -> bool:
    """Say whether two lists are one: what was remembered is the same objects, so this looks into none of them."""
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def _facts(case: Case, home: str | None) -> policy.CaseFacts:
    return policy.CaseFacts(
        number=case.number,
        customer=case.customer,
        open=case.is_open,
        kind=case.kind,
        classification=case.classification,
        clearance=case.clearance,
        home=home,
        regions=None if case.regions is None else frozenset(case.regions),
    )


def _tree(row: Row[tuple[object, ...]]) -> CaseTree:
    return CaseTree(
        id=row.id,
        number=row.number,
        customer=row.customer,
        scope=row.scope,
        upload_root=row.upload_root,
        download_root=row.download_root,
    )


class Lease:
    """A right that is looked at again and again while a handle is open."""

    def __init__(self, *, cases: Cases, reader: Reader, number: str) -> None:
        """Hold the right of *reader* to be in case *number*, which was just checked."""
        self._cases = cases
        self._reader = reader
        self._number = number
        self._due = self._next()
        self._generation = cases._generation  # noqa: SLF001 - the two are one mechanism

    def check(self) -> None:
        """Return if the right still stands; cheap, to be called on every turn.

        Raises:
            NotFoundError: it was withdrawn.
            UnavailableError: the case system has been silent for longer than may be bridged.
        """
        generation = self._cases._generation  # noqa: SLF001 - the two are one mechanism
        if time.monotonic() < self._due and generation == self._generation:
            return
        self._cases.enter(self._reader, self._number)
        self._generation = generation
        self._due = self._next()

    @property
    def is_fresh(self) -> bool:
        """Whether `check` would return at once, without asking anybody."""
        return time.monotonic() < self._due and self._cases._generation == self._generation  # noqa: SLF001 - the same

    def _next(self) -> float:
        return time.monotonic() + self._cases._recheck  # noqa: SLF001 - the two are one mechanism


def case_key(
    connection_of: Database, keys: KeyService, tree: CaseTree, region: str, clock: Callable[[], float] = time.time
) -> bytes:
    """Return the case's scope key in *region*, wrapped, making it when it is first needed there."""
    wanted = (CASE_KEYS.c.case_id == tree.id) & (CASE_KEYS.c.region == region)
    with connection_of.read() as connection:
        row = connection.execute(select(CASE_KEYS.c.wrapped, CASE_KEYS.c.destroyed_at).where(wanted)).first()
    if row is None:
        fresh = keys.new_scope(Region(region), tree.key_scope)
        with connection_of.write() as connection:
            connection.execute(
                insert_or_nothing(CASE_KEYS)
                .values(case_id=tree.id, region=region, wrapped=fresh, created_at=clock())
                .on_conflict_do_nothing()
            )
            row = connection.execute(select(CASE_KEYS.c.wrapped, CASE_KEYS.c.destroyed_at).where(wanted)).one()
    if row.wrapped is None:
        raise NotFoundError("the keys of this case have been destroyed")
    return bytes(row.wrapped)
