"""What an upload is begun with: who sends what where, and what the installation says of uploads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mft.quotas import QuotaRules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mft.cases import Lease
    from mft.casetree import CaseTree
    from mft.config.units import FreeSpace
    from protocols.resumable import UploadKind


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """What an installation says of uploads; see the configuration for each."""

    installation: str
    host: str
    worker: str
    resume_grace: float
    free_space: FreeSpace
    landing: Mapping[str, Path]
    """The landing directory of each region."""
    catalog: Path
    """The directory of the catalog, which must keep room to commit."""
    upload_size: int | None = None
    quotas: QuotaRules = field(default_factory=QuotaRules)
    placeholder: float = 60.0
    """Seconds that an empty file by WebDAV waits for its content."""
    unfiled_retention: float = 30 * 86400.0
    """Seconds that a deposit without a case waits to be assigned to one."""
    partial_ttl: float = 7 * 86400.0
    """Seconds after which an upload that nobody goes on with is given up."""
    key_holder: Callable[[str, str], str | None] = lambda _region, _customer: None
    """Names, for a region and a customer, what holds the customer's own key for it; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What an upload is known by that has an address of its own."""

    kind: UploadKind
    dialect: str
    path: str
    described: str = ""
    length: int | None = None
    parts: tuple[str, ...] = ()
    modified: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Who sends what where."""

    tree: CaseTree
    home: str
    copies: tuple[str, ...]
    zone: str
    """`upload`, `download`, or `unfiled` for what names no case."""
    directories: tuple[str, ...]
    """Below the zone's root."""
    parent_id: int
    name: str
    login: str
    session_id: str
    protocol: str
    peer: str
    lease: Lease
    why_unfiled: str = ""
    """Why no case was found for it."""
    resource: Resource | None = None
    """What it has an address by, if it does."""
