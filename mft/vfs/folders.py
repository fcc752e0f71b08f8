"""The folders above the cases: a customer's `/`, staff's customers, and whatever else the layout has.

Listings go through the case system's list page by page and hold names, not cases. What is short comes in the order of
its names; what is long in the case system's order, so that its first page is there at once.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from casemap.names import folded, folder_name
from protocols.errors import NotFoundError
from protocols.filesystem import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from casemap.resolver import Branch, FolderTarget
    from casemap.template import Segment
    from mft.casetree import EnteredCase
    from mft.vfs.finding import Finder
    from protocols.filesystem import Row

SORTED = 1000
"""Longest listing that is sorted."""


class Folders:
    """The directories above the cases, as one session sees them."""

    def __init__(self, finder: Finder) -> None:
        """Look in the name of *finder*'s session."""
        self._finder = finder

    def pages(self, target: FolderTarget, extra: Row | None = None) -> Iterator[Sequence[Row]]:
        """Yield what a directory holds, some rows at a time, and *extra* among them.

        Raises:
            NotFoundError: it is named after cases, and this session sees none that belongs in it.
        """
        node = target.node
        if target.under and not self._exists(target):
            raise NotFoundError("no such file or directory")
        pages: Iterator[Sequence[Row]] = iter(([self._row(name) for name, _ in node.literals.values()],))
        if node.group is not None or node.case is not None:
            pages = chain(pages, self._quick(target) or self._named(target))
        return _with(_sorted(pages), extra)

    def entries(self, target: FolderTarget, extra: Row | None = None) -> Iterator[Entry]:
        """Yield the rows of `pages` as entries."""
        for page in self.pages(target, extra):
            for name, _, _, modified, writable in page:
                yield Entry(name=name, is_directory=True, modified=modified, writable=bool(writable))

    def stat(self, target: FolderTarget, name: str) -> Entry:
        """Describe a directory.

        Raises:
            NotFoundError: as in `entries`.
        """
        if target.under and not self._exists(target):
            raise NotFoundError("no such file or directory")
        return Entry(name=name, is_directory=True, modified=self._finder.rooms.since)

    def _exists(self, target: FolderTarget) -> bool:
        customer, rest = self._customer(target)
        pages = None if rest else self._finder.rooms.cases.lists.folders(self._finder.reader, customer)
        return next(self._cases(target), None) is not None if pages is None else any(pages)

    def _cases(self, target: FolderTarget) -> Iterator[EnteredCase]:
        """Yield the cases that belong below *target*."""
        finder = self._finder
        if len({branch.customer for branch in target.under} - {None}) > 1:
            return
        customer, rest = self._customer(target)
        for entered in finder.rooms.cases.lists.visible(finder.reader, customer):
            if not rest or finder.belongs(entered, rest):
                yield entered

    def _customer(self, target: FolderTarget) -> tuple[str | None, tuple[Branch, ...]]:
        """Return whose cases stand below *target*, and what else they have in common."""
        customer = next((branch.customer for branch in target.under if branch.customer is not None), None)
        rest = tuple(branch for branch in target.under if branch.customer is None)
        return customer or self._finder.reader.customer, rest

    def _quick(self, target: FolderTarget) -> Iterator[Sequence[Row]] | None:
        """Return the folders of *target* as the case system itself lists them; None: it or the layout is not for that.

        No two of those numbers differ in letter case alone (`casemap.lookup.FolderPage`), so no name needs a mark.
        """
        folder, node = target.node.case, target.node
        if node.group is not None or folder is None or folder.mine or not folder.segment.is_plain:
            return None
        customer, rest = self._customer(target)
        pages = None if rest else self._finder.rooms.cases.lists.folders(self._finder.reader, customer)
        since = self._finder.rooms.since
        # What `_row` makes, without a call for each of very many
        return (
            None
            if pages is None
            else ([(name, True, 0, opened or since, False) for name, opened in page] for page in pages)
        )

    def _named(self, target: FolderTarget) -> Iterator[Sequence[Row]]:
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
                    yield (self._row(common),)
            case = entered.case
            if name is not None and (not mine or self._finder.is_mine(case)):
                yield (self._row(cases.distinct(case.number, name(entered)), self._finder.opened(case)),)

    def _row(self, name: str, modified: float = 0.0) -> Row:
        return name, True, 0, modified or self._finder.rooms.since, False

    def _renderer(self, segment: Segment) -> Callable[[EnteredCase], str]:
        if segment.is_plain:  # what nearly every layout has, and what long listings hold
            return _folder_name
        return lambda entered: segment.render(self._finder.values(entered))


def _sorted(pages: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
    """Yield *pages*, in the order of names if they hold no more than `SORTED` rows."""
    first: list[Row] = []
    for page in pages:
        first += page
        if len(first) > SORTED:
            break
    else:
        first.sort()
    yield first
    yield from pages


def _with(pages: Iterator[Sequence[Row]], extra: Row | None) -> Iterator[Sequence[Row]]:
    """Yield *pages* with one more row among them, before the first whose name comes after its own."""
    for page in pages:
        place = None if extra is None else next((at for at, row in enumerate(page) if row[0] > extra[0]), None)
        if extra is None or place is None:
            yield page
        else:
            yield [*page[:place], extra, *page[place:]]
            extra = None
    if extra is not None:
        yield (extra,)


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
