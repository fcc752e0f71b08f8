"""Which cases exist for a session, asked anew as long as the session lasts.

Everything that opens, lists or writes goes through `Cases.enter`: the case system's answer, narrowed by policy. A
case that a session may not know of raises the same error as one that does not exist, and leaves a record.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from casemap.cached import CachedLookup
from casemap.errors import (
    CaseMapError,
    CaseNotFoundError,
    CustomerNotFoundError,
    LookupAnswerError,
    LookupUnavailableError,
)
from casemap.identifier import CaseNumber, CustomerId
from casemap.lookup import MAX_LIMIT
from casemap.model import Case, CaseState
from casemap.names import CustomerFolders
from mft import policy
from mft.audit import SYSTEM, customer_chain
from mft.box import box_number, is_box
from mft.caselists import CaseLists
from mft.casetree import CaseTrees, EnteredCase
from mft.catalog.model import CASES
from mft.entrances import Signpost, directions
from mft.retention import LifeRules
from protocols.errors import (
    ElsewhereError,
    FileSystemError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemap.lookup import CaseLookup
    from casemap.model import Customer
    from mft.audit import AuditTrail, Folding
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.entrances import Entrance
    from mft.policy import Reader, ResidencyRules
    from mft.residency import Account


_FEW = 100
"""Cases that are looked at before a login is sent to another entrance."""


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
        life: LifeRules | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Ask *lookup* (which caches); open handles ask again every *recheck* seconds; *life* is of closed cases."""
        self._life = life or LifeRules()
        self._clock = clock
        self._lookup = lookup
        self.rules = rules
        self._database = database
        self._trail = trail
        self._folding = folding
        self._recheck = recheck
        self._generation = 0
        self._folders: tuple[frozenset[str], tuple[Customer, ...], CustomerFolders] | None = None
        self.trees = CaseTrees(database, trail)
        """What the catalog keeps of each."""
        self._noting = threading.Lock()
        self.signpost = Signpost(listening=())
        """Which way to the entrances of other regions; until somebody says, nobody is shown one."""
        self._noted: set[str] = set()
        """Closed cases of which the catalog knows since when."""
        self.lists = CaseLists(
            lookup=lookup,
            rules=rules,
            database=database,
            life=self._life,
            judge=self.judge,
            note_state=self._note_state,
            clock=clock,
        )

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
        self._note_state(entered.case)
        decision = self._decide(reader, entered)
        if not decision.allowed:
            foreign = reader.part is policy.Part.CUSTOMER and reader.customer != case.customer
            chain = SYSTEM if foreign else customer_chain(case.customer)
            self.deny(reader, chain, target=number, why=decision.reason)
            self._show_the_way(reader, entered)
            raise NotFoundError("no such file or directory")
        return entered

    def _show_the_way(self, reader: Reader, entered: EnteredCase, what: str = "this case") -> None:
        """Raise where a case is there for *reader*, if nothing stands against it but the entrance.

        Raises:
            ElsewhereError: it is, at another entrance of this installation.
        """
        ways = self._ways(reader, entered)
        if ways:
            authorities = {protocol: way.authority for protocol, way in ways.items()}
            raise ElsewhereError(directions(what, ways), authorities=authorities)

    def _ways(self, reader: Reader, entered: EnteredCase) -> dict[str, Entrance]:
        residency = entered.residency
        if reader.part is not policy.Part.CUSTOMER or reader.listener in residency.readers:
            return {}  # by which entrance an engineer comes says where the engineer works: no other one is offered
        order = [region for region in self.rules.nearest.get(residency.home, ()) if region in residency.readers]
        regions = [region for region in (residency.home, *order) if region in residency.readers]
        if reader.regions is not None:
            regions = [region for region in regions if region in reader.regions] or regions
        open_to = [
            region for region in regions if self._decide(dataclasses.replace(reader, listener=region), entered).allowed
        ]
        return self.signpost.to(open_to)

    def check_entrance(self, reader: Reader) -> None:
        """Return if *reader*, who logs in for all that is there, may find something by this entrance.

        A customer whose files are at home elsewhere, and who has no open case that could be entered here (of the first
        hundred), is better told where than shown an empty tree.

        Raises:
            ElsewhereError: everything is at another entrance of this installation.
        """
        if reader.part is not policy.Part.CUSTOMER or reader.customer is None or reader.case is not None:
            return
        customer = CustomerId(reader.customer)
        case = Case(number=box_number(reader.login), title="", customer=customer, state=CaseState.OPEN)
        try:
            entered = self._place(case)
            ways = self._ways(reader, entered)
            if not ways:
                return
            page = self._lookup.cases(customer, state=CaseState.OPEN, limit=_FEW)
        except (CaseMapError, FileSystemError, policy.ResidencyError):
            return
        if page.next_cursor is None and not any(self.sees(reader, each) for each in page.items):
            self._show_the_way(reader, entered, "what there is for you")

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
        entered = _boxed(placed)
        decision = self._decide(reader, placed)
        if not decision.allowed:
            self.deny(reader, customer_chain(customer), target=case.number, why=decision.reason)
            self._show_the_way(reader, placed, "what names no case")
            raise PermissionDeniedError(f"files that name no case are not taken here: {decision.reason}")
        return entered

    def placed_box(self, number: str, customer: str) -> EnteredCase:
        """Return where a box lies now: in its home region alone.

        Raises:
            RejectedError: no region may hold it.
            UnavailableError: the case system does not say where its customer is at home.
        """
        owner = CustomerId(customer)
        case = Case(number=CaseNumber(number), title="", customer=owner, state=CaseState.OPEN)
        try:
            return _boxed(self._place(case))
        except NotFoundError as error:
            raise UnavailableError(f"the case system does not know the customer {customer}") from error
        except policy.ResidencyError as error:
            raise RejectedError(str(error)) from error

    def _enter_box(self, reader: Reader, number: str) -> EnteredCase:
        if number != box_number(reader.login):
            self.deny(reader, SYSTEM, target=number, why="the box is another login's")
            raise NotFoundError("no such file or directory")
        return self.box(reader)

    def sees(self, reader: Reader, case: Case) -> bool:
        """Say whether *case*, as the case system just said it is, exists for *reader*; nothing is recorded."""
        try:
            return self._decide(reader, self._place(case)).allowed
        except policy.ResidencyError:
            return False

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

    def lease(self, reader: Reader, number: str, *, writing: bool = False, home: str | None = None) -> Lease:
        """Return what an open handle asks on every turn.

        One for *writing* ends when the case is closed, and when it may not lie in *home*, where it lands, any more.
        """
        return Lease(cases=self, reader=reader, number=number, writing=writing, home=home)

    def forget(self, number: str) -> None:
        """Read from the catalog again what it keeps of a case: it was closed, or its files were destroyed."""
        self.trees.forget(number)
        with self._noting:
            self._noted.discard(number)

    def enter_anew(self, reader: Reader, number: str) -> EnteredCase:
        """Enter a case with nothing remembered of it: the record of where it may lie says something else.

        Raises:
            NotFoundError, UnavailableError: as in `enter`.
        """
        known = self.peek(number)
        self.forget(number)
        if isinstance(self._lookup, CachedLookup):
            self._lookup.forget_case(number)
            if known is not None:
                self._lookup.forget_customer(known.customer)
        return self.enter(reader, number)

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

    def judge(
        self, reader: Reader, case: Case, at: dt.datetime | None = None
    ) -> tuple[EnteredCase | None, policy.Decision]:
        """Say where *case* lies (None: nowhere) and whether it exists for *reader*, and why. Nothing is recorded.

        *at* is when it is asked for; None: now.
        """
        try:
            entered = self._place(case, at)
        except policy.ResidencyError as error:
            return None, policy.Decision(allowed=False, reason=str(error), hidden=True)
        return entered, self._decide(reader, entered, at)

    def account(self, number: str, at: dt.datetime) -> tuple[Case, Account]:
        """Say where a case may lie and be read from at *at*, and which rules were looked at. Nothing is recorded.

        Raises:
            NotFoundError: there is no such case.
            UnavailableError: as in `enter`.
        """
        try:
            case = self._lookup.case(number)
        except CaseNotFoundError:
            raise NotFoundError(f"there is no case {number}") from None
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error
        return case, self.rules.explain(_facts(case, self._home_of(case)), at)

    def _place(self, case: Case, at: dt.datetime | None = None) -> EnteredCase:
        facts = _facts(case, self._home_of(case))
        return EnteredCase(case=case, residency=self.rules.place(facts, at or self._now()))

    def _home_of(self, case: Case) -> str | None:
        """Return the region that the case system names, for the case or else for its customer."""
        return case.home_region or self.customer(case.customer).home_region

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock(), dt.UTC)

    def _note_state(self, case: Case) -> None:
        """Have whoever has something of a closed case open ask again, and keep since when it is closed."""
        noted = case.number in self._noted
        if case.is_open != noted:
            if not case.is_open and not self._is_readable(case):
                self.recheck_all()
            return
        with self._noting:
            (self._noted.discard if case.is_open else self._noted.add)(case.number)
        self.recheck_all()
        unknown = CASES.c.closed_at.is_not(None) if case.is_open else CASES.c.closed_at.is_(None)
        since = None if case.is_open else self._clock() if case.closed is None else case.closed.timestamp()
        with self._database.read() as connection:
            row = connection.execute(select(CASES.c.id).where(CASES.c.number == case.number, unknown)).first()
        if row is not None:
            with self._database.write() as connection:
                connection.execute(update(CASES).where(CASES.c.id == row.id).values(closed_at=since))

    def _is_readable(self, case: Case) -> bool:
        """Say whether a closed case is within its time for reading."""
        if case.is_open or not self._life.longest_read:
            return False
        life = self._life.of(
            customer=case.customer, case=case.number, kind=case.kind, classification=case.classification
        )
        if case.closed is not None:
            return life.is_readable(closed_at=case.closed.timestamp(), now=self._clock())
        with self._database.read() as connection:
            noticed = connection.execute(select(CASES.c.closed_at).where(CASES.c.number == case.number)).scalar()
        return noticed is not None and life.is_readable(closed_at=noticed, now=self._clock())

    def _decide(self, reader: Reader, entered: EnteredCase, at: dt.datetime | None = None) -> policy.Decision:
        readable = self._is_readable(entered.case)
        facts = _facts(entered.case, entered.residency.home, readable=readable)
        return policy.may_enter(reader, facts, entered.residency, at or dt.datetime.now(dt.UTC))


def _same(some: tuple[Customer, ...], others: tuple[Customer, ...]) -> bool:
    """Say whether two lists are one: what was remembered is the same objects, so this looks into none of them."""
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def _boxed(placed: EnteredCase) -> EnteredCase:
    """Return the same with no region but its home: what names no case is copied nowhere."""
    return dataclasses.replace(placed, residency=dataclasses.replace(placed.residency, copies=(), on_demand=()))


def _facts(case: Case, home: str | None, *, readable: bool = False) -> policy.CaseFacts:
    return policy.CaseFacts(
        number=case.number,
        customer=case.customer,
        open=case.is_open,
        readable=readable,
        kind=case.kind,
        classification=case.classification,
        clearance=case.clearance,
        home=home,
        regions=None if case.regions is None else frozenset(case.regions),
    )


class Lease:
    """A right that is looked at again and again while a handle is open."""

    def __init__(
        self, *, cases: Cases, reader: Reader, number: str, writing: bool = False, home: str | None = None
    ) -> None:
        """Hold the right of *reader* to be in case *number*, which was just checked; to write there with *writing*."""
        self._writing = writing
        self._home = home
        self._cases = cases
        self._reader = reader
        self._number = number
        self._due = self._next()
        self._generation = cases._generation  # noqa: SLF001 - the two are one mechanism

    def check(self) -> None:
        """Return if the right still stands; cheap, to be called on every turn.

        Raises:
            NotFoundError: it was withdrawn.
            RejectedError: what is being written may not lie where it lands any more.
            UnavailableError: the case system has been silent for longer than may be bridged.
        """
        generation = self._cases._generation  # noqa: SLF001 - the two are one mechanism
        if time.monotonic() < self._due and generation == self._generation:
            return
        self._hold(self._cases.enter(self._reader, self._number))
        self._generation = generation
        self._due = self._next()

    def place_anew(self) -> CaseTree:
        """Ask again where the case may lie, with nothing remembered; return what the catalog keeps of it from then on.

        Raises:
            NotFoundError, RejectedError, UnavailableError: as in `check`.
        """
        entered = self._cases.enter_anew(self._reader, self._number)
        self._hold(entered)
        return self._cases.trees.of(entered)

    def _hold(self, entered: EnteredCase) -> None:
        if self._writing and entered.is_closed:
            raise NotFoundError("the case was closed")
        if self._home is not None and self._home not in entered.residency.regions:
            raise RejectedError("where files of this case may lie was changed meanwhile; send the file again")

    @property
    def is_fresh(self) -> bool:
        """Whether `check` would return at once, without asking anybody."""
        return time.monotonic() < self._due and self._cases._generation == self._generation  # noqa: SLF001 - the same

    def _next(self) -> float:
        return time.monotonic() + self._cases._recheck  # noqa: SLF001 - the two are one mechanism
