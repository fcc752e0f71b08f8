"""The layout: which folder of a login's tree is which case, and which part of it. Pure; nothing is looked up.

    a customer's /                     staff's /
    └── CASE-1001 Cannot boot          └── Acme Corp
        ├── to-support   (UPLOAD)          └── CASE-1001 Cannot boot
        ├── from-support (DOWNLOAD)            └── …
        └── .meta        (META)
    and for both /cases/CASE-1001/…; staff also /CASE-1001/…

A target says what a path *means*, not that it exists or may be seen: the application looks the case up, checks that it
is the customer's (and the one of the folder above it, `under`), and asks its policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from casemap.model import Role
from casemap.names import case_number_of, folded, parsed_number, safe_title

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemap.identifier import CaseNumber, CustomerId


class Zone(Enum):
    """The parts of a case's folder."""

    UPLOAD = "upload"
    """Customers write; staff reads."""
    DOWNLOAD = "download"
    """Engineers write; customers read."""
    META = "meta"
    """Nobody writes: receipts, states, scrub reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutSettings:
    """What the folders are called."""

    upload: str = "to-support"
    download: str = "from-support"
    meta: str = ".meta"
    index: str = "cases"
    """Beside the other folders of the root, unlisted: every case directly by its number."""

    def __post_init__(self) -> None:
        """Refuse names that are not safe or not distinct.

        Raises:
            ValueError: with a reason that may be shown.
        """
        names = (self.upload, self.download, self.meta, self.index)
        for name in names:
            if not name or safe_title(name.removeprefix(".")) != name.removeprefix("."):
                raise ValueError(f"{name!r} cannot be the name of a folder")
        if parsed_number(self.index.split(" ", 1)[0]) is not None:
            raise ValueError(f"{self.index!r} could be a case's folder")
        if len({folded(name) for name in names[:3]}) != 3:
            raise ValueError("the folders inside a case must have three different names")

    def name_of(self, zone: Zone) -> str:
        """Return what *zone* is called."""
        return {Zone.UPLOAD: self.upload, Zone.DOWNLOAD: self.download, Zone.META: self.meta}[zone]

    def zone_of(self, name: str) -> Zone | None:
        """Return which zone is called *name*, or None."""
        return {self.upload: Zone.UPLOAD, self.download: Zone.DOWNLOAD, self.meta: Zone.META}.get(name)

    @property
    def reserved(self) -> frozenset[str]:
        """What no customer's folder may be called, `folded` (for `CustomerFolders`)."""
        return frozenset({folded(self.index)})


DEFAULT_LAYOUT = LayoutSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class RootTarget:
    """A directory of all the case folders that this login may see: a customer's `/`, and `/cases` for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomersTarget:
    """Staff's `/`: a directory of customers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerTarget:
    """A directory of one customer's case folders."""

    customer: CustomerId


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRootTarget:
    """A case's folder: a directory of its zones."""

    number: CaseNumber
    under: CustomerId | None = None
    """The customer in whose folder it stands. If given, the case must be that customer's, or it is not found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneTarget:
    """A zone of a case, or what lies in it."""

    number: CaseNumber
    zone: Zone
    rest: tuple[str, ...] = ()
    """The path inside the zone; empty: the zone's own directory."""
    under: CustomerId | None = None
    """As in `CaseRootTarget`."""
    alias: bool = False
    """The path named no zone: it stands in the case's root, where a file is a deposit into the upload zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownTarget:
    """Nothing in this layout. Not found; for a drop at the root, what an application makes of files without a case."""

    parts: tuple[str, ...] = ()


Target = RootTarget | CustomersTarget | CustomerTarget | CaseRootTarget | ZoneTarget | UnknownTarget


def _no_customer(_folder: str) -> None:
    return None


def resolve(
    parts: tuple[str, ...],
    role: Role,
    *,
    layout: LayoutSettings = DEFAULT_LAYOUT,
    customer_of: Callable[[str], CustomerId | None] = _no_customer,
    only: CaseNumber | None = None,
) -> Target:
    """Return what the path of *parts* means to a login with *role* (`Principal.view`).

    *customer_of* says whose folder a name in staff's root is (`CustomerFolders.customer_of`); what is nobody's may be a
    case's number. Parts that are no components (empty, `.`, `..`, with a slash or NUL) resolve to nothing.

    A session for one case *only* has that case's folder for its root; the longer ways to it lead there too, so that a
    path that somebody has written down works in both kinds of session.
    """
    if any(part in {"", ".", ".."} or "/" in part or "\0" in part for part in parts):
        return UnknownTarget(parts=parts)
    if only is not None:
        inner = parts[1:] if parts[:1] == (layout.index,) else parts
        return _in_case(inner if inner and case_number_of(inner[0]) == only else (only, *parts), parts, None, layout)
    if not parts:
        return RootTarget() if role is Role.CUSTOMER else CustomersTarget()
    if parts[0] == layout.index:
        return _in_case(parts[1:], parts, None, layout) if parts[1:] else RootTarget()
    customer = None if role is Role.CUSTOMER else customer_of(parts[0])
    if customer is None:
        return _in_case(parts, parts, None, layout)
    return _in_case(parts[1:], parts, customer, layout) if parts[1:] else CustomerTarget(customer=customer)


def _in_case(
    inner: tuple[str, ...], whole: tuple[str, ...], under: CustomerId | None, layout: LayoutSettings
) -> Target:
    """Return what *inner* means, whose first part should be a case's folder."""
    number = case_number_of(inner[0])
    if number is None:
        return UnknownTarget(parts=whole)
    if len(inner) == 1:
        return CaseRootTarget(number=number, under=under)
    zone = layout.zone_of(inner[1])
    if zone is None:
        return ZoneTarget(number=number, zone=Zone.UPLOAD, rest=inner[1:], under=under, alias=True)
    return ZoneTarget(number=number, zone=zone, rest=inner[2:], under=under)
