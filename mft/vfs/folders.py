"""The folders above the cases: a customer's `/`, staff's customers, and whatever else the layout has.

Listings go through the case system's list page by page and hold names, not cases. What is short comes in the order of
its names; what is long in the case system's order, so that its first page is there at once.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from casemap.names import folded, folder_name
from protocols.errors import NotFoundError
from protocols.filesystem import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemap.resolver import FolderTarget
    from casemap.template import Segment
    from mft.cases import EnteredCase
    from mft.vfs.finding import Finder

SORTED = 1000
"""Longest listing that is sorted."""


class Folders:
    """The directories above the cases, as one session sees them."""

    def __init__(self, finder: Finder) -> None:
        """Look in the name of *finder*'s session."""
        self._finder = finder

    def entries(self, target: FolderTarget) -> Iterator[Entry]:
        """Yield what a directory holds.

        Raises:
            NotFoundError: it is named after cases, and this session sees none that belongs in it.
        """
        node = target.node
        if target.under and not self._exists(target):
            raise NotFoundError("no such file or directory")
        rows: Iterator[Entry] = (Entry(name=name, is_directory=True) for name, _ in node.literals.values())
        if node.group is not None or node.case is not None:
            rows = chain(rows, self._named(target))
        first = list(islice(rows, SORTED + 1))
        if len(first) <= SORTED:
            first.sort(key=lambda entry: entry.name)
        yield from chain(first, rows)

    def stat(self, target: FolderTarget, name: str) -> Entry:
        """Describe a directory.

        Raises:
            NotFoundError: as in `entries`.
        """
        if target.under and not self._exists(target):
            raise NotFoundError("no such file or directory")
        return Entry(name=name, is_directory=True)

    def _exists(self, target: FolderTarget) -> bool:
        return next(self._cases(target), None) is not None

    def _cases(self, target: FolderTarget) -> Iterator[EnteredCase]:
        """Yield the cases that belong below *target*."""
        finder = self._finder
        customers = {branch.customer for branch in target.under if branch.customer is not None}
        if len(customers) > 1:
            return
        customer = customers.pop() if customers else finder.reader.customer
        rest = tuple(branch for branch in target.under if branch.customer is None)
        for entered in finder.rooms.cases.visible(finder.reader, customer):
            if not rest or finder.belongs(entered, rest):
                yield entered

    def _named(self, target: FolderTarget) -> Iterator[Entry]:
        """Yield the folders of *target* that are named after cases: of them, or of what they have in common."""
        folder = target.node.case
        group = None if target.node.group is None else self._renderer(target.node.group[0])
        name = None if folder is None else self._renderer(folder.segment)
        mine = folder is not None and folder.mine
        seen: set[str] = set()
        cases = _Names()
        for entered in self._cases(target):
            if group is not None:
                common = group(entered)
                if common not in seen and folded(common) not in seen:
                    seen.update((common, folded(common)))
                    yield Entry(name=common, is_directory=True)
            case = entered.case
            if name is not None and (not mine or self._finder.is_mine(case)):
                opened = 0.0 if case.opened is None else case.opened.timestamp()
                yield Entry(name=cases.distinct(case.number, name(entered)), is_directory=True, modified=opened)

    def _renderer(self, segment: Segment) -> Callable[[EnteredCase], str]:
        if segment.is_plain:  # what nearly every layout has, and what long listings hold
            return _folder_name
        return lambda entered: segment.render(self._finder.values(entered))


def _folder_name(entered: EnteredCase) -> str:
    return folder_name(entered.case)


class _Names:
    """Keeps folders apart whose cases' numbers differ in letter case alone: some clients take them for one."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        """Of the numbers so far a hash each, not the numbers: there may be very many."""

    def distinct(self, number: str, name: str) -> str:
        """Return *name*, with a mark at its end if a folder of that number came before. It resolves all the same."""
        if number.isdecimal():
            return name
        mark = hash(number.casefold())
        if mark not in self._seen:
            self._seen.add(mark)
            return name
        ending = f" ({sum(letter.isupper() << place for place, letter in enumerate(number)):x})"
        return name.encode()[: 255 - len(ending)].decode("utf-8", "ignore").rstrip(". ") + ending
