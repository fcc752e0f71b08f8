"""How long a closed case is read and kept: rules, and what follows from them at a moment. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mft.casematch import CaseMatch


class Stage(enum.Enum):
    """Where a case stands in its life."""

    OPEN = "open"
    READABLE = "readable"
    """Closed, and still to be read: nothing is written to it."""
    SHUT = "shut"
    """Closed, and there for nobody; kept."""
    DUE = "due"
    """Past its retention: to be destroyed, unless a hold stands against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeRule(CaseMatch):
    """One rule; what is None is not looked at, or is as the rules' defaults say. The first that fits decides."""

    read_after_close: float | None = None
    retention: float | None = None
    keep_for_ever: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What the rules say of one case. Times in seconds."""

    read_after_close: float
    retention: float | None
    """After its closing and its last upload; None: kept for ever."""
    rule: str
    reason: str

    def due_at(self, *, closed_at: float, last_upload_at: float | None) -> float | None:
        """Return when a case that was closed then is to be destroyed (POSIX seconds); None: never.

        Its last upload counts too, if that came later: a wrong closing date alone destroys nothing that is fresh.
        """
        if self.retention is None:
            return None
        return max(closed_at, last_upload_at or 0.0) + self.retention

    def stage(self, *, closed_at: float | None, last_upload_at: float | None, now: float) -> Stage:
        """Say where a case stands; *closed_at* is None while it is open."""
        if closed_at is None:
            return Stage.OPEN
        due = self.due_at(closed_at=closed_at, last_upload_at=last_upload_at)
        if due is not None and due <= now:
            return Stage.DUE
        return Stage.READABLE if self.is_readable(closed_at=closed_at, now=now) else Stage.SHUT

    def is_readable(self, *, closed_at: float, now: float) -> bool:
        """Say whether a case that was closed then can still be read."""
        return now < closed_at + self.read_after_close


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeRules:
    """The rules of an installation, in order, and what holds where none speaks. As made: a closed case is gone."""

    read_after_close: float = 0.0
    retention: float | None = None
    rules: tuple[LifeRule, ...] = ()

    def of(self, *, customer: str, case: str, kind: str | None, classification: str | None) -> Life:
        """Return what holds for one case."""
        number, rule = next(
            (
                (index, rule)
                for index, rule in enumerate(self.rules)
                if rule.fits(customer=customer, case=case, kind=kind, classification=classification)
            ),
            (-1, LifeRule()),
        )
        retention = rule.retention if rule.retention is not None else self.retention
        return Life(
            read_after_close=self.read_after_close if rule.read_after_close is None else rule.read_after_close,
            retention=None if rule.keep_for_ever else retention,
            rule=f"lifecycle.rules[{number}]" if number >= 0 else "lifecycle (no rule fits)",
            reason=rule.reason,
        )

    @property
    def longest_read(self) -> float:
        """The longest time that any closed case can be read."""
        return max([self.read_after_close, *(rule.read_after_close or 0.0 for rule in self.rules)])

    @property
    def destroys(self) -> bool:
        """Whether anything is ever destroyed by these rules."""
        return self.retention is not None or any(rule.retention is not None for rule in self.rules)
