"""Layouts: several templates as one tree of folders, who sees which, and what the directories of a case are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from casemap.model import Role
from casemap.names import folded, parsed_number, safe_title
from casemap.template import NUMBER, Field, Segment, TemplateError, parse_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from casemap.model import Case


class Zone(Enum):
    """The parts of a case's folder."""

    UPLOAD = "upload"
    """Customers write; staff reads."""
    DOWNLOAD = "download"
    """Engineers write; customers read."""
    META = "meta"
    """Nobody writes: receipts, states, scrub reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFolder:
    """The folders of cases that stand in one directory."""

    segment: Segment
    zones: frozenset[Zone] | None = None
    """Which directories of the case are there; None: all."""
    mine: bool = False
    """Only the cases that the login has been given."""


@dataclass(slots=True, kw_only=True)
class FolderNode:
    """A directory above the cases, as the templates have it. Made once and not changed after."""

    literals: dict[str, tuple[str, FolderNode]] = field(default_factory=dict)
    """Directories of fixed names, by their `folded` form."""
    group: tuple[Segment, FolderNode] | None = None
    """Directories that are named after something of the cases in them."""
    case: CaseFolder | None = None


class FolderTree:
    """The templates of one layout as a tree."""

    def __init__(
        self,
        templates: Iterable[str],
        *,
        mine: Iterable[str] = (),
        zones: Mapping[str, Zone] | None = None,
    ) -> None:
        """Read *templates*, and those in *mine*, which hold only a login's own cases; *zones* names directories.

        Raises:
            LayoutError: one of them is no template, or two cannot stand beside each other.
        """
        self.root = FolderNode()
        self.reserved: frozenset[str] = frozenset()
        """What no customer's folder may be called, `folded`: what stands beside them."""
        for own, texts in ((False, templates), (True, mine)):
            for index, text in enumerate(texts):
                try:
                    self._add(text, mine=own, zones=zones or {})
                except TemplateError as error:
                    raise LayoutError(str(error), index=index, mine=own, template=text) from error

    def _add(self, text: str, *, mine: bool, zones: Mapping[str, Zone]) -> None:
        template = parse_template(text)
        way = [self.root]
        for segment in template.groups:
            way.append(_child(way[-1], segment))
        fresh = CaseFolder(segment=template.case, zones=_shown_zones(template.inner, zones), mine=mine)
        node = way[-1]
        node.case = fresh if node.case is None else _joined(node.case, fresh)
        for each in way:
            _check_neighbours(each)
            if each.group is not None and each.group[0].is_customer:
                self.reserved |= frozenset(each.literals)


def _child(node: FolderNode, segment: Segment) -> FolderNode:
    name = segment.literal
    if name is not None:
        return node.literals.setdefault(folded(name), (name, FolderNode()))[1]
    if node.group is None:
        node.group = (segment, FolderNode())
    elif node.group[0] != segment:
        raise TemplateError(f"has {segment} where another template has {node.group[0]}: one would hide the other")
    return node.group[1]


def _check_neighbours(node: FolderNode) -> None:
    """Refuse folders beside one another of which a name could mean two."""
    if node.group is not None and not node.group[0].is_customer and (node.literals or node.case):
        raise TemplateError(f"has other folders beside {node.group[0]}, where one could hide another; put them deeper")
    if node.case is None:
        return
    if node.group is not None and node.case.segment.pieces[0] != Field(NUMBER):
        raise TemplateError("has cases beside customers, where a case's folder can only begin with {case.number}")
    for name, _ in node.literals.values():
        if node.case.segment.number_in(name) is not None:
            raise TemplateError(f"has cases beside {name!r}, which could be one of them")


def _shown_zones(inner: str | None, zones: Mapping[str, Zone]) -> frozenset[Zone] | None:
    if inner is None:
        return None
    if inner not in zones:
        known = ", ".join(zones)
        raise TemplateError(f"has {inner!r} after the case's folder, where only {known} can stand")
    return frozenset({zones[inner], Zone.META})


def _joined(one: CaseFolder, other: CaseFolder) -> CaseFolder:
    if one.segment != other.segment or one.mine != other.mine:
        raise TemplateError("has cases where another template has them already, under other names")
    if one.zones is None or other.zones is None:
        return CaseFolder(segment=one.segment, mine=one.mine)
    return CaseFolder(segment=one.segment, mine=one.mine, zones=one.zones | other.zones)


class LayoutError(ValueError):
    """A layout is none; says why, and which template is at fault."""

    def __init__(self, reason: str, *, index: int, mine: bool, template: str) -> None:
        """Say *reason* of template number *index* of `paths`, or of `mine`."""
        super().__init__(f"a template that {reason}")
        self.index = index
        self.mine = mine
        self.template = template


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRule:
    """A layout, and who sees it."""

    tree: FolderTree
    role: Role | None = None
    """`CUSTOMER`, or `ENGINEER` for all staff, as `Principal.view` has it; None: both."""
    customer: str | None = None
    """Pattern of the customer whose login it is; None: anybody."""

    def fits(self, role: Role, customer: str | None) -> bool:
        """Say whether a login of *role*, of *customer* if it is one's, sees it."""
        if self.role is not None and self.role is not role:
            return False
        return self.customer is None or (customer is not None and fnmatchcase(customer, self.customer))


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorySet:
    """What the directories of some cases are called. Patterns that are None fit every case."""

    upload: str | None
    """None: these cases have none."""
    download: str | None
    customer: str | None = None
    case: str | None = None
    kind: str | None = None
    classification: str | None = None

    def fits(self, case: Case) -> bool:
        """Say whether it is for *case*."""
        return all(
            wanted is None or (value is not None and fnmatchcase(value, wanted))
            for wanted, value in (
                (self.customer, case.customer),
                (self.case, case.number),
                (self.kind, case.kind),
                (self.classification, case.classification),
            )
        )


def _check_name(name: str) -> None:
    if not name or safe_title(name.removeprefix(".")) != name.removeprefix("."):
        raise ValueError(f"{name!r} cannot be the name of a folder")


CUSTOMER_TREE = FolderTree(["/{case.number} {case.title}"])
STAFF_TREE = FolderTree(["/{customer.name}/{case.number} {case.title}"])
"""The built-in layouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutSettings:
    """What the folders are called, and how they lie."""

    upload: str = "to-support"
    download: str = "from-support"
    meta: str = ".meta"
    index: str = "cases"
    """Beside the other folders of the root, unlisted: every case directly by its number."""
    rules: tuple[FolderRule, ...] = ()
    """Who sees which layout; the first that fits. Where none does, the built-in ones hold."""
    sets: tuple[DirectorySet, ...] = ()
    """Other names for the directories of some cases; the first that fits."""

    def __post_init__(self) -> None:
        """Refuse names that are not safe or not distinct.

        Raises:
            ValueError: with a reason that may be shown.
        """
        for name in (self.upload, self.download, self.meta, self.index):
            _check_name(name)
        if parsed_number(self.index.split(" ", 1)[0]) is not None:
            raise ValueError(f"{self.index!r} could be a case's folder")
        for upload, download in ((self.upload, self.download), *((each.upload, each.download) for each in self.sets)):
            given = [name for name in (upload, download, self.meta) if name is not None]
            for name in given:
                _check_name(name)
            if len({folded(name) for name in given}) != len(given):
                raise ValueError("the folders inside a case must have different names")

    def tree(self, role: Role, customer: str | None) -> FolderTree:
        """Return the folders that a login of *role* (`Principal.view`), of *customer* if it is one's, sees."""
        view = Role.CUSTOMER if role is Role.CUSTOMER else Role.ENGINEER
        for rule in self.rules:
            if rule.fits(view, customer):
                return rule.tree
        return CUSTOMER_TREE if view is Role.CUSTOMER else STAFF_TREE

    def zones_of(self, case: Case | None) -> dict[Zone, str]:
        """Return what the directories of *case* are called; None: of a case that no set is for."""
        found = None if case is None else next((each for each in self.sets if each.fits(case)), None)
        upload, download = (self.upload, self.download) if found is None else (found.upload, found.download)
        names = {Zone.UPLOAD: upload, Zone.DOWNLOAD: download, Zone.META: self.meta}
        return {zone: name for zone, name in names.items() if name is not None}

    def name_of(self, zone: Zone) -> str:
        """Return what *zone* is called where no set says otherwise."""
        return {Zone.UPLOAD: self.upload, Zone.DOWNLOAD: self.download, Zone.META: self.meta}[zone]

    def zone_of(self, name: str) -> Zone | None:
        """Return which zone is called *name* where no set says otherwise, or None."""
        return {self.upload: Zone.UPLOAD, self.download: Zone.DOWNLOAD, self.meta: Zone.META}.get(name)

    @property
    def reserved(self) -> frozenset[str]:
        """What no customer's folder may be called, `folded` (for `CustomerFolders`)."""
        return frozenset({folded(self.index)})


DEFAULT_LAYOUT = LayoutSettings()
