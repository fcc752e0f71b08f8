"""Every decision: who may do what, in which regions a case may lie and be read, and what becomes of a scrubbed file.

Pure: facts in, decisions out, each with the rule and the reason that it rests on. The scrubber finds and the store
places; only this module decides. The case system says who may; policy may only narrow it.
"""

from __future__ import annotations

import enum
import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mft.residency import CaseFacts, Residency, ResidencyError, ResidencyRule, ResidencyRules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from casemap.model import CaseGrant

__all__ = ["CaseFacts", "Residency", "ResidencyError", "ResidencyRule", "ResidencyRules"]
"""Of `mft.residency`, which evaluates them; everything else here is public by its name."""


class Action(enum.Enum):
    """What somebody wants to do with something in a case."""

    STAT = "stat"
    """To learn of one thing, by its name, that it is there."""
    LIST = "list"
    READ = "read"
    WRITE = "write"
    MKDIR = "mkdir"
    RENAME = "rename"
    REMOVE = "remove"


class Area(enum.Enum):
    """The parts of a case's folder."""

    ROOT = "root"
    UPLOAD = "upload"
    DOWNLOAD = "download"
    META = "meta"


class Part(enum.Enum):
    """The parts that people play."""

    CUSTOMER = "customer"
    ENGINEER = "engineer"
    STAFF = "staff"
    """Operators, auditors: they run the house and see no case's files."""


class Scope(enum.StrEnum):
    """What the token of one case is for. Whoever comes by another way has no scopes, and is not narrowed by them."""

    UPLOAD = "upload"
    LIST = "list"
    """To see what came by this token, and where it stands."""
    READ = "read"
    """To read what the case's customer may read."""


_LOOK = frozenset({Action.STAT, Action.LIST, Action.READ})
_FILL = _LOOK | {Action.WRITE, Action.MKDIR, Action.RENAME, Action.REMOVE}
RIGHTS: Mapping[Part, Mapping[Area, frozenset[Action]]] = {
    Part.CUSTOMER: {Area.ROOT: _LOOK, Area.UPLOAD: _FILL, Area.DOWNLOAD: _LOOK, Area.META: _LOOK},
    Part.ENGINEER: {Area.ROOT: _LOOK, Area.UPLOAD: _LOOK, Area.DOWNLOAD: _FILL, Area.META: _LOOK},
    Part.STAFF: {area: frozenset() for area in Area},
}
"""Who may do what where. Removing is narrowed further by `may_remove`."""
_ENTER = {Area.ROOT: frozenset({Action.STAT, Action.LIST})}
SCOPE_RIGHTS: Mapping[Scope, Mapping[Area, frozenset[Action]]] = {
    Scope.UPLOAD: _ENTER | {Area.UPLOAD: _FILL - {Action.LIST, Action.READ}},
    Scope.LIST: _ENTER | {Area.UPLOAD: frozenset({Action.STAT, Action.LIST}), Area.META: _LOOK},
    Scope.READ: dict.fromkeys(Area, _LOOK),
}
"""What each scope of a token leaves of its customer's rights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A yes or a no, and why."""

    allowed: bool
    reason: str
    hidden: bool = False
    """A no that must look as if the thing did not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What a session may do less than the person could."""

    case: str | None = None
    """The number of the one case that it is for; None: every case that the person may enter."""
    scopes: frozenset[Scope] | None = None
    """None: all that the part may do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What policy needs to know of who asks."""

    login: str
    part: Part
    customer: str | None = None
    clearance: int = 0
    regions: frozenset[str] | None = None
    """Regions that the person may work from; None: every region."""
    listener: str
    """Region of the listener that the session came in by."""
    active: bool = True
    expires: datetime | None = None
    case: str | None = None
    """The number of the one case that the session is for; None: every case that the person may enter."""
    scopes: frozenset[Scope] | None = None
    """Of a case's token; None: all that the part may do."""
    grants: frozenset[CaseGrant] | None = None
    """The cases that an engineer is limited to; None: it is not limited."""
    triage: bool = False
    """It looks after what names no case."""

    @property
    def is_limited_to_numbers(self) -> bool:
        """Whether a grant tells cases apart by their numbers."""
        return any(grant.case is not None for grant in self.grants or ())

    def clearance_for(self, case: CaseFacts) -> int | None:
        """Return what may be seen of *case* is at or below; None: it is not granted."""
        if self.grants is None:
            return self.clearance
        return max(
            (
                self.clearance if grant.clearance is None else grant.clearance
                for grant in self.grants
                if grant.fits(customer=case.customer, case=case.number)
            ),
            default=None,
        )

    def may_know_customer(self, customer: str) -> bool:
        """Say whether there is that customer for it, besides the names that its cases show."""
        if self.part is Part.CUSTOMER:
            return self.customer == customer
        return self.grants is None or any(grant.customer == customer for grant in self.grants)


def may_enter(reader: Reader, case: CaseFacts, residency: Residency, now: datetime) -> Decision:
    """Say whether *case* exists for *reader* at all: a no is always hidden."""
    clearance = reader.clearance_for(case)
    checks: Sequence[tuple[bool, str]] = (
        (not reader.active, "the principal is not active"),
        (reader.expires is not None and reader.expires <= now, "the principal has expired"),
        (reader.part is Part.STAFF, "the role sees no case"),
        (reader.case is not None and reader.case != case.number, "the session is for another case"),
        (not case.open and not case.readable, "the case is closed"),
        (
            reader.part is Part.CUSTOMER and reader.customer != case.customer,
            "the case belongs to another customer",
        ),
        (reader.part is Part.ENGINEER and clearance is None, "no grant speaks of the case"),
        (
            reader.part is Part.ENGINEER and clearance is not None and clearance < case.clearance,
            f"clearance {case.clearance} is needed",
        ),
        (
            reader.listener not in residency.readers,
            f"{residency.who_reads}: not from region {reader.listener}",
        ),
        (
            reader.regions is not None and not reader.regions & residency.readers,
            f"{residency.who_reads}: none of the principal's regions may read it",
        ),
    )
    for refused, why in checks:
        if refused:
            return Decision(allowed=False, reason=why, hidden=True)
    return Decision(allowed=True, reason=residency.rule)


def may_sort(reader: Reader, now: datetime) -> Decision:
    """Say whether *reader* sees what everybody sent without a case, and may assign it: a no is always hidden."""
    checks: Sequence[tuple[bool, str]] = (
        (not reader.triage or reader.part is Part.CUSTOMER, "the role does not sort what names no case"),
        (not reader.active, "the principal is not active"),
        (reader.expires is not None and reader.expires <= now, "the principal has expired"),
        (reader.case is not None, "the session is for one case"),
        (reader.scopes is not None, "the token is not for that"),
    )
    why = next((why for refused, why in checks if refused), None)
    return Decision(allowed=why is None, reason=why or "triage sorts what names no case", hidden=why is not None)


def may_read_unsorted(reader: Reader, region: str, *, allowed: bool) -> Decision:
    """Say whether somebody who sorts may read the bytes of what lies, unscrubbed, in *region*.

    *allowed* is what the installation says (`unfiled.triage_reads`).
    """
    if not allowed:
        why = "what names no case is unscrubbed, and read by its sender alone; assign it to its case, and read it there"
        return Decision(allowed=False, reason=why)
    if reader.listener != region or (reader.regions is not None and region not in reader.regions):
        return Decision(allowed=False, reason=f"it lies unscrubbed in {region}, and is read from nowhere else")
    return Decision(allowed=True, reason="unfiled.triage_reads")


def may_change(action: Action, *, closed: bool) -> Decision:
    """Say whether *action* may be done in a case that may be entered: a closed one is read, and nothing else."""
    if closed and action not in _LOOK:
        return Decision(allowed=False, reason="the case is closed: it can still be read, and no more be changed")
    return Decision(allowed=True, reason="it is open" if not closed else "it is read")


def may(part: Part, action: Action, area: Area, scopes: frozenset[Scope] | None = None) -> Decision:
    """Say whether *part* may do *action* in *area* of a case that it may enter, narrowed by a token's *scopes*."""
    if action not in RIGHTS[part][area]:
        return Decision(allowed=False, reason=f"{part.value}s may not {action.value} here")
    if scopes is not None and not any(action in SCOPE_RIGHTS[scope].get(area, ()) for scope in scopes):
        names = ", ".join(sorted(scopes)) or "nothing"
        return Decision(allowed=False, reason=f"this token is for {names}; it may not {action.value} here")
    return Decision(allowed=True, reason=f"{part.value}s may {action.value} in {area.value}")


def may_remove(part: Part, *, own: bool, partial: bool) -> Decision:
    """Say whether a file may be removed: customers take back own interrupted uploads, engineers own files."""
    if not own:
        return Decision(allowed=False, reason="somebody else sent it")
    if part is Part.CUSTOMER and not partial:
        return Decision(allowed=False, reason="what has been received is kept; ask support to remove it")
    return Decision(allowed=True, reason="one's own")


class Outcome(enum.Enum):
    """What becomes of a scrubbed file."""

    ACCEPT = "accept"
    REDACT = "redact"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The outcome for one file, and why."""

    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubRules:
    """What an installation does about what the scrubber finds in customers' files."""

    secret: Outcome = Outcome.REDACT
    personal: Outcome = Outcome.REDACT
    obstacle: Outcome = Outcome.QUARANTINE
    """What could not be looked into is never let through: QUARANTINE or REJECT."""


def judge_inbound(rules: ScrubRules, *, obstacles: Sequence[str], found: Mapping[str, int]) -> Judgement:
    """Decide on a customer's file; *found* counts findings by category, `secret` and `personal`."""
    if obstacles:
        more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
        return Judgement(outcome=rules.obstacle, reason=obstacles[0] + more)
    for category, wanted in (("secret", rules.secret), ("personal", rules.personal)):
        if found.get(category) and wanted is not Outcome.REDACT:
            what = "keys, tokens or passwords" if category == "secret" else "personal data"
            return Judgement(outcome=wanted, reason=f"it holds {what}, which are not taken here")
    return Judgement(outcome=Outcome.REDACT if any(found.values()) else Outcome.ACCEPT)


def judge_outbound(*, rules_found: Sequence[str], refused: Sequence[str]) -> Judgement:
    """Decide on an engineer's file: not a byte is altered; it goes as it is or not at all."""
    for rule in rules_found:
        if any(fnmatch.fnmatchcase(rule, pattern) for pattern in refused):
            return Judgement(outcome=Outcome.REJECT, reason=f"it holds what must not go to a customer: {rule}")
    return Judgement(outcome=Outcome.ACCEPT)
