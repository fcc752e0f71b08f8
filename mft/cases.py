"""Which cases exist for a session, asked anew as long as the session lasts.

Everything that opens, lists or writes goes through `Cases.enter`: the case system's answer, narrowed by policy. A
case that a session may not know of raises the same error as one that does not exist, and leaves a record.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import secrets
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_nothing

from casemap.errors import (
    CaseMapError,
    CaseNotFoundError,
    CustomerNotFoundError,
    LookupAnswerError,
    LookupUnavailableError,
)
from casemap.identifier import CustomerId
from casemap.lookup import MAX_LIMIT, FolderLists, case_with_traits, every_case
from casemap.model import Case, CaseState
from casemap.names import CustomerFolders, folder_name
from mft import policy
from mft.audit import SYSTEM, customer_chain
from mft.box import box_number, case_or_none, is_box
from mft.catalog.model import CASE_KEYS, CASES, NODES
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
from storage.keys.envelope import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from casemap.lookup import CaseLookup, FolderPage
    from casemap.model import Customer
    from mft.audit import AuditTrail, Folding
    from mft.catalog.database import Database
    from mft.entrances import Entrance
    from mft.policy import Reader, Residency, ResidencyRules
    from mft.residency import Account
    from storage.keys.service import KeyService


_FEW = 100
"""Cases that are looked at before a login is sent to another entrance."""


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
        self._trees: dict[str, CaseTree] = {}
        self._trees_lock = threading.Lock()
        self.signpost = Signpost(listening=())
        """Which way to the entrances of other regions; until somebody says, nobody is shown one."""
        self._noted: set[str] = set()
        """Closed cases of which the catalog knows since when."""

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
        entered = EnteredCase(case=case, residency=dataclasses.replace(placed.residency, copies=()))
        decision = self._decide(reader, placed)
        if not decision.allowed:
            self.deny(reader, customer_chain(customer), target=case.number, why=decision.reason)
            self._show_the_way(reader, placed, "what names no case")
            raise PermissionDeniedError(f"files that name no case are not taken here: {decision.reason}")
        return entered

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

    def visible(self, reader: Reader, customer: str | None) -> Iterator[EnteredCase]:
        """Yield the open cases of *customer* (None: of all) that exist for *reader*, in the case system's order."""
        judged = _Verdicts(lambda case: self._enterable(reader, case), by_number=self._looks_at_numbers(reader))
        listed: set[str] = set()
        try:
            for case in every_case(self._lookup, customer) if reader.case is None else self._one_case(reader.case):
                if customer is not None and case.customer != customer:
                    continue
                if self._life.longest_read:
                    listed.add(case.number)
                residency = judged.residency(case)
                if residency is not None:
                    yield EnteredCase(case=case, residency=residency)
            yield from self._still_readable(reader, customer, listed)
        except CustomerNotFoundError:
            return
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error

    def folders(self, reader: Reader, customer: str | None) -> Iterator[Sequence[tuple[str, float]]] | None:
        """Do what `visible` does, where the case system can list folders alone: pages of names and opening times.

        None: it cannot, or what *reader* may see depends on more than such a list tells.
        """
        if reader.case is not None or self._looks_at_numbers(reader) or not isinstance(self._lookup, FolderLists):
            return None
        try:
            first = self._lookup.folders(customer)
        except CustomerNotFoundError:
            return iter(())
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error
        return None if first is None else self._folder_pages(self._lookup, reader, customer, first)

    def _folder_pages(
        self, lookup: FolderLists, reader: Reader, customer: str | None, first: FolderPage
    ) -> Iterator[Sequence[tuple[str, float]]]:
        page: FolderPage | None = first
        listed: set[str] = set()
        while page is not None:
            # Rights are asked for anew for each page: a listing may take as long as its client likes.
            alike = {row[3]: row[0] for row in page.rows}
            seen = {
                traits
                for traits, number in alike.items()
                if self._enterable(reader, case_with_traits(number, traits)) is not None
            }
            if self._life.longest_read:
                listed.update(row[0] for row in page.rows)
            yield [(folder, opened) for _number, folder, opened, traits in page.rows if traits in seen]
            try:
                page = lookup.folders(customer, cursor=page.next_cursor) if page.next_cursor is not None else None
            except CustomerNotFoundError:
                return
            except (LookupUnavailableError, LookupAnswerError) as error:
                raise UnavailableError("the case system does not answer; try again in a moment") from error
        rest = (entered.case for entered in self._still_readable(reader, customer, listed))
        yield [(folder_name(case), case.opened.timestamp() if case.opened else 0.0) for case in rest]

    def _looks_at_numbers(self, reader: Reader) -> bool:
        """Say whether two cases of *reader*'s may differ though nothing of them differs but their numbers."""
        return self.rules.look_at_numbers or reader.is_limited_to_numbers

    def _enterable(self, reader: Reader, case: Case) -> Residency | None:
        try:
            entered = self._place(case)
        except policy.ResidencyError:
            return None
        return entered.residency if self._decide(reader, entered).allowed else None

    def _one_case(self, number: str) -> Iterator[Case]:
        """Yield that case, if there is such a one."""
        with contextlib.suppress(CaseNotFoundError):
            yield self._lookup.case(number)

    def _still_readable(self, reader: Reader, customer: str | None, listed: set[str]) -> Iterator[EnteredCase]:
        """Yield the closed cases that can still be read, of those that have had a folder and were not *listed*."""
        if not self._life.longest_read or reader.case is not None:
            return
        since = self._clock() - self._life.longest_read
        lately = or_(CASES.c.closed_at.is_(None), CASES.c.closed_at > since)
        wanted = select(CASES.c.number).where(lately, CASES.c.number.not_like("~%")).order_by(CASES.c.number)
        if customer is not None:
            wanted = wanted.where(CASES.c.customer == customer)
        with self._database.read() as connection:
            numbers = list(connection.execute(wanted).scalars())
        for number in numbers:
            if number in listed:
                continue
            try:
                entered = self._place(self._lookup.case(number))
            except (CaseNotFoundError, NotFoundError, policy.ResidencyError):
                continue
            self._note_state(entered.case)
            if entered.is_closed and self._decide(reader, entered).allowed:
                yield entered

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
        with self._trees_lock:
            self._trees.pop(number, None)
            self._noted.discard(number)

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
        tree = self.known_tree(entered.case.number) or self._remember(self._make(entered))
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
        with self._trees_lock:
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


class _Verdicts:
    """What was decided on cases of a list, for those that no decision can tell apart; for a page's length."""

    def __init__(self, decide: Callable[[Case], Residency | None], *, by_number: bool) -> None:
        """Remember what *decide* says; with *by_number* each case is one of its own."""
        self._decide = decide
        self._by_number = by_number
        self._left = 0
        self._known: dict[object, Residency | None] = {}

    def residency(self, case: Case) -> Residency | None:
        """Return where the case may lie, or None if it is not to be seen."""
        if self._left == 0:  # rights are asked for anew for each page: a listing may take as long as its client likes
            self._known.clear()
            self._left = MAX_LIMIT
        self._left -= 1
        if not case.is_open:
            return self._decide(case)
        alike = (
            case.number if self._by_number else None,
            case.customer,
            case.kind,
            case.classification,
            case.clearance,
            case.home_region,
            case.regions,
        )
        if alike not in self._known:
            self._known[alike] = self._decide(case)
        return self._known[alike]


def _same(some: tuple[Customer, ...], others: tuple[Customer, ...]) -> bool:
    """Say whether two lists are one: what was remembered is the same objects, so this looks into none of them."""
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


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


def placement_text(residency: Residency) -> str:
    """Write the same as the catalog keeps it, to be compared."""
    return json.dumps(placement_facts(residency), sort_keys=True)


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
        entered = self._cases.enter(self._reader, self._number)
        if self._writing and entered.is_closed:
            raise NotFoundError("the case was closed")
        if self._home is not None and self._home not in entered.residency.regions:
            raise RejectedError("where files of this case may lie was changed meanwhile; send the file again")
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
