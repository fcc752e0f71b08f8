"""What the case system says of many cases: from its lists, where they hold enough of them, else case by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casemap.errors import CaseMapError
from casemap.lookup import MAX_LIMIT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from casemap.cached import CachedLookup
    from casemap.model import Case

FEWEST = 4
"""Cases of one customer for which a list is worth its while."""
CASES_A_PAGE = 20
"""One page of a list may be asked for each so many cases: a customer may have very many that are not asked about."""


class CaseAnswers:
    """Answers for a page of the plan. A case that no list holds is asked for by its number."""

    def __init__(self, lookup: CachedLookup, wanted: Iterable[tuple[str, str]]) -> None:
        """Look for *wanted*, pairs of customer and case number, in the lists of *lookup*.

        Lists may be remembered ones, and only help: what is to be destroyed is asked for with `anew`.
        """
        self._lookup = lookup
        self._listed: dict[str, Case] = {}
        numbers: dict[str, set[str]] = {}
        for customer, number in wanted:
            numbers.setdefault(customer, set()).add(number)
        for customer, cases in numbers.items():
            if len(cases) >= FEWEST:
                self._gather(customer, cases)

    def of(self, number: str) -> Case:
        """Return the case as it is now, or was as far as a list is remembered.

        Raises:
            CaseNotFoundError, LookupUnavailableError, LookupAnswerError: as `CaseLookup.case`.
        """
        listed = self._listed.get(number)
        return self.anew(number) if listed is None else listed

    def is_listed(self, number: str) -> bool:
        """Say whether `of` answers from a list."""
        return number in self._listed

    def anew(self, number: str) -> Case:
        """Ask the case system now: nothing is destroyed on an answer that is remembered.

        Raises:
            CaseNotFoundError, LookupUnavailableError, LookupAnswerError: as `CaseLookup.case`.
        """
        self._lookup.forget_case(number)
        return self._lookup.case(number)

    def _gather(self, customer: str, numbers: Collection[str]) -> None:
        missing = set(numbers)
        cursor: str | None = None
        for _ in range(1 + len(numbers) // CASES_A_PAGE):
            try:
                page = self._lookup.cases(customer, state=None, cursor=cursor, limit=MAX_LIMIT)
            except CaseMapError:  # each is asked for by its number, and what is wrong is said of it then
                return
            for case in page.items:
                if case.number in missing:
                    missing.discard(case.number)
                    self._listed[case.number] = case
            cursor = page.next_cursor
            if cursor is None or not missing:
                return
