"""Drops: files sent to the root, or to a directory that other vendors' instructions name instead of it.

A name that holds the number of one case of the sender's is a deposit into that case. A number at its beginning that is
no case of the sender's is not found, whether or not anybody else has it. A name that holds none, or those of two cases,
goes to the sender's box of what is unfiled: nothing here is guessed, and nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from casemap.grammar import numbers_in
from casemap.model import Role
from casemap.names import case_number_of
from casemap.resolver import CaseRootTarget, UnknownTarget, Zone, ZoneTarget
from mft.box import box_number
from mft.vfs.finding import NOTHING
from mft.vfs.tree import find_leaf, list_leaves
from protocols.errors import NotFoundError
from protocols.path import VirtualPath

if TYPE_CHECKING:
    from casemap.identifier import CaseNumber
    from casemap.resolver import Target
    from mft.vfs.drops import DropSettings
    from mft.vfs.finding import Finder
    from protocols.filesystem import Row

MOST_NUMBERS = 8
"""Numbers in one name that are looked up; a name with more could mean anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropFolderTarget:
    """A directory that means the root, or the empty box: there, with nothing in it to list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsortedTarget:
    """What triage sees of everybody's boxes, and where in it."""

    parts: tuple[str, ...]
    """Of what is below the box's directory: a customer's id, a login, a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTarget:
    """A file at the root: what it means depends on its name, and on whether it is being sent or looked for."""

    name: str
    wrong: str = ""
    """What stood where a case's number should."""
    folder: CaseRootTarget | None = None
    """The case's folder that the name would be, if there were that case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a drop goes."""

    target: ZoneTarget
    why_unfiled: str = ""


class Drops:
    """Finds out what paths at the root mean to one session."""

    def __init__(self, finder: Finder, settings: DropSettings) -> None:
        """Decide in the name of *finder*'s session."""
        self._finder = finder
        self._settings = settings
        self._box = box_number(finder.reader.login)

    def target(self, path: VirtualPath) -> Target | DropTarget | DropFolderTarget | UnsortedTarget:
        """Say what *path* means."""
        parts = path.parts
        if self._finder.role is not Role.CUSTOMER:
            sorts = parts[:1] == (self._settings.box,) and self._finder.sorts
            return UnsortedTarget(parts=parts[1:]) if sorts else self._finder.resolve(path)
        inside = self._inside(parts)
        if self._finder.reader.case is not None:
            return self._of_one_case(path, inside)
        if parts[:1] == (self._settings.box,):
            return self._in_box(parts[1:])
        if inside is not None:
            return self._in_drop_folder(inside)
        return self._at_root(path) if len(parts) == 1 else self._finder.resolve(path)

    def place(self, drop: DropTarget) -> Placed:
        """Say where a file that is being sent goes.

        Raises:
            NotFoundError: its name begins with the number of a case that is not the sender's, or is none.
            UnavailableError: the case system does not answer.
        """
        found = numbers_in(drop.name, self._settings.grammars, separators=self._settings.separators)
        cases = self._own(found.every)
        if len(found.every) > MOST_NUMBERS or len(cases) > 1:
            return self._unfiled(drop, f"its name could mean more than one case: {', '.join(found.every[:3])}")
        if cases and (cases[0] in found.first or not found.first):
            return Placed(target=ZoneTarget(number=cases[0], zone=Zone.UPLOAD, rest=(drop.name,), alias=True))
        if found.first:
            self._finder.enter(CaseRootTarget(number=found.first[0]))  # not found, and on the record
            raise NotFoundError(NOTHING)
        wrong = f"{drop.wrong!r} is no case's number" if drop.wrong else "its name holds no case's number"
        return self._unfiled(drop, wrong)

    def find(self, drop: DropTarget) -> ZoneTarget:
        """Say where a file that was dropped earlier lies.

        Raises:
            NotFoundError: this login sent none of that name.
        """
        found = numbers_in(drop.name, self._settings.grammars, separators=self._settings.separators)
        boxes = [self._box] if self._finder.rooms.cases.trees.known(self._box) is not None else []
        for number in [*self._own(found.every), *boxes]:
            target = ZoneTarget(number=number, zone=Zone.UPLOAD, rest=(drop.name,), alias=True)
            spot = self._finder.spot(target)
            leaf = find_leaf(self._finder.rooms.database, spot.place, spot.name)
            if leaf is not None and (leaf.own or leaf.node_id is None):
                return target
        if drop.folder is not None:
            self._finder.enter(drop.folder)  # a case's folder that is not there for this login, and on the record
        raise NotFoundError(NOTHING)

    def box_row(self) -> Row | None:
        """Return the row of the box in the root, where there is something in it."""
        if self._finder.role is not Role.CUSTOMER:
            return (self._settings.box, True, 0, self._finder.rooms.since, False) if self._finder.sorts else None
        if self._finder.rooms.cases.trees.known(self._box) is None:
            return None
        spot = self._finder.spot(ZoneTarget(number=self._box, zone=Zone.UPLOAD, rest=("any",)))
        if next(list_leaves(self._finder.rooms.database, spot.place), None) is None:
            return None
        return self._settings.box, True, 0, self._finder.rooms.since, True

    def _own(self, numbers: tuple[CaseNumber, ...]) -> list[CaseNumber]:
        cases = self._finder.rooms.cases
        return [number for number in numbers[:MOST_NUMBERS] if cases.glimpse(self._finder.reader, number) is not None]

    def _unfiled(self, drop: DropTarget, why: str) -> Placed:
        return Placed(target=ZoneTarget(number=self._box, zone=Zone.UPLOAD, rest=(drop.name,)), why_unfiled=why)

    def _inside(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return what is below the drop folder that *parts* begin with; None if they begin with none."""
        for length in range(min(len(parts), 4), 0, -1):
            if parts[:length] in self._settings.folders:
                return parts[length:]
        return None

    def _in_drop_folder(self, inside: tuple[str, ...]) -> Target | DropTarget | DropFolderTarget:
        match inside:
            case ():
                return DropFolderTarget()
            case (name,):
                return self._at_root(VirtualPath((name,)))
            case (wrong, name) if case_number_of(wrong) is None:
                return DropTarget(name=name, wrong=wrong)
            case _:
                return self._finder.resolve(VirtualPath((self._finder.rooms.layout.index, *inside)))

    def _of_one_case(self, path: VirtualPath, inside: tuple[str, ...] | None) -> Target | DropFolderTarget:
        """In a session for one case every drop is a deposit into that case, whatever its name holds."""
        if inside is None:
            return self._finder.resolve(path)
        if not inside:
            return DropFolderTarget()
        index = () if len(inside) == 1 else (self._finder.rooms.layout.index,)
        return self._finder.resolve(VirtualPath((*index, *inside)))

    def _at_root(self, path: VirtualPath) -> Target | DropTarget:
        """Tell a case's folder, and whatever else a layout has at the root, from a file that is dropped there."""
        target = self._finder.resolve(path)
        match target:
            case CaseRootTarget(number=number):
                there = self._finder.rooms.cases.glimpse(self._finder.reader, number) is not None
                return target if there else DropTarget(name=path.name, folder=target)
            case UnknownTarget():
                return DropTarget(name=path.name)
            case _:
                return target

    def _in_box(self, rest: tuple[str, ...]) -> Target | DropFolderTarget:
        if not rest and self._finder.rooms.cases.trees.known(self._box) is None:
            return DropFolderTarget()
        if rest[:1] == (self._finder.rooms.layout.meta,):
            return ZoneTarget(number=self._box, zone=Zone.META, rest=rest[1:])
        return ZoneTarget(number=self._box, zone=Zone.UPLOAD, rest=rest)
