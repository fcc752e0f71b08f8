"""The cases that a session sees in a list: the case system's pages, each narrowed by policy."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from casemap.errors import CaseNotFoundError, CustomerNotFoundError, LookupAnswerError, LookupUnavailableError
from casemap.lookup import MAX_LIMIT, FolderLists, case_with_traits, every_case
from casemap.names import folder_name
from mft.casetree import EnteredCase
from mft.catalog.model import CASES
from protocols.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from casemap.lookup import CaseLookup, FolderPage
    from casemap.model import Case
    from mft.catalog.database import Database
    from mft.policy import Decision, Reader, Residency, ResidencyRules
    from mft.retention import LifeRules


class CaseLists:
    """Lists of cases, made page by page."""

    def __init__(
        self,
        *,
        lookup: CaseLookup,
        rules: ResidencyRules,
        database: Database,
        life: LifeRules,
        judge: Callable[[Reader, Case], tuple[EnteredCase | None, Decision]],
        note_state: Callable[[Case], None],
        clock: Callable[[], float],
    ) -> None:
        """Take lists from *lookup*; *judge* says of each case whether it is seen, *note_state* hears of each state."""
        self._lookup = lookup
        self._rules = rules
        self._database = database
        self._life = life
        self._judge = judge
        self._note_state = note_state
        self._clock = clock

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
        return self._rules.look_at_numbers or reader.is_limited_to_numbers

    def _enterable(self, reader: Reader, case: Case) -> Residency | None:
        entered, decision = self._judge(reader, case)
        return entered.residency if entered is not None and decision.allowed else None

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
                case = self._lookup.case(number)
                self._note_state(case)
                entered, decision = self._judge(reader, case)
            except (CaseNotFoundError, NotFoundError):
                continue
            if entered is not None and entered.is_closed and decision.allowed:
                yield entered


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
