"""What a path means in a layout of folders. Pure; nothing is looked up but by what the caller gives.

    a customer's /                     staff's /
    └── CASE-1001 Cannot boot          └── Acme Corp
        ├── to-support   (UPLOAD)          └── CASE-1001 Cannot boot
        ├── from-support (DOWNLOAD)            └── …
        └── .meta        (META)
    and for both /cases/CASE-1001/… and /CASE-1001/…, in every layout

A target says what a path *means*, not that it exists or may be seen: the application looks the case up, checks that it
belongs where the path says (`under`, `mine`), and asks its policy. So a case that stands in several folders is one
case, and nothing has to be listed to find it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from casemap.layout import CUSTOMER_TREE, DEFAULT_LAYOUT, FolderNode, LayoutSettings, Zone
from casemap.names import case_number_of, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from casemap.identifier import CaseNumber, CustomerId
    from casemap.layout import CaseFolder
    from casemap.model import Role
    from casemap.template import Segment

__all__ = [
    "DEFAULT_LAYOUT",
    "Branch",
    "CaseRootTarget",
    "FolderTarget",
    "LayoutSettings",
    "Target",
    "UnknownTarget",
    "Zone",
    "ZoneTarget",
    "resolve",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A folder on the way that is named after its cases: only those whose own name there is this one stand in it."""

    segment: Segment
    name: str
    customer: CustomerId | None = None
    """Whose folder it is, where it is a customer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTarget:
    """A directory above the cases."""

    node: FolderNode
    under: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRootTarget:
    """A case's folder: a directory of its zones."""

    number: CaseNumber
    under: tuple[Branch, ...] = ()
    """In which folders it stands. The case must belong in all of them, or it is not found."""
    folder: CaseFolder | None = field(default=None, compare=False)
    """How the layout shows it; None: it was named by its number alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneTarget:
    """A zone of a case, or what lies in it."""

    number: CaseNumber
    zone: Zone
    rest: tuple[str, ...] = ()
    """The path inside the zone; empty: the zone's own directory."""
    under: tuple[Branch, ...] = ()
    """As in `CaseRootTarget`."""
    folder: CaseFolder | None = field(default=None, compare=False)
    alias: bool = False
    """The path named no zone: it stands in the case's root, where a file is a deposit into the upload zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownTarget:
    """Nothing in this layout. Not found; for a drop at the root, what an application makes of files without a case."""

    parts: tuple[str, ...] = ()


Target = FolderTarget | CaseRootTarget | ZoneTarget | UnknownTarget


def _no_customer(_folder: str) -> None:
    return None


def resolve(
    parts: tuple[str, ...],
    role: Role,
    *,
    customer: CustomerId | None = None,
    layout: LayoutSettings = DEFAULT_LAYOUT,
    customer_of: Callable[[str], CustomerId | None] = _no_customer,
    zones_of: Callable[[CaseNumber], Mapping[Zone, str]] | None = None,
    only: CaseNumber | None = None,
) -> Target:
    """Return what the path of *parts* means to a login with *role* (`Principal.view`), of *customer* if it is one's.

    *customer_of* says whose folder a name is where customers have folders (`CustomerFolders.customer_of`); at the top,
    what is nobody's may be a case's number. *zones_of* says what a case's directories are called, where not all cases
    have the same. Parts that are no components (empty, `.`, `..`, with a slash or NUL) resolve to nothing.

    A session for one case *only* has that case's folder for its root; the longer ways to it lead there too, so that a
    path that somebody has written down works in both kinds of session.
    """
    if any(part in {"", ".", ".."} or "/" in part or "\0" in part for part in parts):
        return UnknownTarget(parts=parts)
    named = zones_of or (lambda _: layout.zones_of(None))
    if only is not None:
        inner = parts[1:] if parts[:1] == (layout.index,) else parts
        if inner and case_number_of(inner[0]) == only:
            return _in_case(only, inner[1:], (), None, named)
        return _in_case(only, parts, (), None, named)
    found = _walk(parts, layout.tree(role, customer).root, customer_of, named)
    if found is not None and not (isinstance(found, UnknownTarget) and parts[0] == layout.index):
        return found
    inner = parts[1:] if parts[0] == layout.index else parts
    if not inner:
        return FolderTarget(node=CUSTOMER_TREE.root)
    number = case_number_of(inner[0])
    return UnknownTarget(parts=parts) if number is None else _in_case(number, inner[1:], (), None, named, whole=parts)


def _walk(
    parts: tuple[str, ...],
    node: FolderNode,
    customer_of: Callable[[str], CustomerId | None],
    zones_of: Callable[[CaseNumber], Mapping[Zone, str]],
) -> Target | None:
    """Follow *parts* through the tree; None: the first of them is nothing there."""
    under: tuple[Branch, ...] = ()
    for place, part in enumerate(parts):
        literal = node.literals.get(folded(part))
        if literal is not None:
            node = literal[1]
            continue
        branch = _branch(node, part, customer_of)
        if branch is not None and node.group is not None:
            under, node = (*under, branch), node.group[1]
            continue
        number = None if node.case is None else node.case.segment.number_in(part)
        if number is not None:
            return _in_case(number, parts[place + 1 :], under, node.case, zones_of, whole=parts)
        return UnknownTarget(parts=parts) if place else None
    return FolderTarget(node=node, under=under)


def _branch(node: FolderNode, part: str, customer_of: Callable[[str], CustomerId | None]) -> Branch | None:
    """Return the folder that is named after its cases, or None if *part* is none."""
    if node.group is None:
        return None
    segment = node.group[0]
    if not segment.is_customer:
        return Branch(segment=segment, name=part)
    customer = customer_of(part)
    return None if customer is None else Branch(segment=segment, name=part, customer=customer)


def _in_case(
    number: CaseNumber,
    inner: tuple[str, ...],
    under: tuple[Branch, ...],
    folder: CaseFolder | None,
    zones_of: Callable[[CaseNumber], Mapping[Zone, str]],
    *,
    whole: tuple[str, ...] = (),
) -> Target:
    """Return what *inner* means in the case's folder."""
    if not inner:
        return CaseRootTarget(number=number, under=under, folder=folder)
    names = zones_of(number)
    for zone, name in names.items():
        if name == inner[0] and is_shown(folder, zone):
            return ZoneTarget(number=number, zone=zone, rest=inner[1:], under=under, folder=folder)
    if Zone.UPLOAD not in names or not is_shown(folder, Zone.UPLOAD):
        return UnknownTarget(parts=whole)
    return ZoneTarget(number=number, zone=Zone.UPLOAD, rest=inner, under=under, folder=folder, alias=True)


def is_shown(folder: CaseFolder | None, zone: Zone) -> bool:
    """Say whether the layout shows *zone* in *folder*."""
    return folder is None or folder.zones is None or zone in folder.zones
