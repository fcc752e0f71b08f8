"""Where a case's files may lie and from where they are read: one pure evaluation of an installation's rules.

Facts in, a `Residency` out, and on request an account of every rule that was looked at. Two questions are kept apart:

- *placement* (home, copies, copies on demand): the first rule without hours that fits. No clock decides where a byte
  lies, so a clock that jumps moves none.
- *readers*: the first rule that fits now, hours included; where that is one with hours, its readers hold in place of
  the placement's.

Default deny: what no rule names is in no list, and `otherwise: refuse` takes no case that no rule fits.
"""

from __future__ import annotations

import fnmatch
import functools
import zoneinfo
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mft.casematch import CaseMatch

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60


class ResidencyError(Exception):
    """No rule gives the case a home that this installation has; nothing of it may be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """What policy needs to know of a case."""

    number: str
    customer: str
    open: bool
    kind: str | None = None
    classification: str | None = None
    clearance: int = 0
    home: str | None = None
    """The home region that the case system names, for the case or else for its customer."""
    regions: frozenset[str] | None = None
    """Where the case system lets its files lie; None: it leaves that to the rules."""
    readable: bool = False
    """Closed, and still within the time for which the rules of its life let it be read."""


@functools.cache
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A time of day in a zone, up to and not with its end; one that ends before it starts ends on the next day."""

    start: int
    """Minutes after midnight."""
    end: int
    """The same; 1440 is the next midnight."""
    zone: str
    """An IANA zone: what a clock on a wall there shows, summer time included."""
    days: frozenset[str] = frozenset(DAYS)
    """Those on which it starts, of `DAYS`."""

    def hold(self, at: dt.datetime) -> bool:
        """Say whether *at* (with a zone of its own) lies within."""
        wall = at.astimezone(_zone(self.zone))
        minute = wall.hour * 60 + wall.minute
        today, yesterday = DAYS[wall.weekday()], DAYS[wall.weekday() - 1]
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        return (today in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)

    def __str__(self) -> str:
        """Write it as people do."""
        days = "" if len(self.days) == len(DAYS) else " " + ",".join(day for day in DAYS if day in self.days)
        return f"{_clock(self.start)}-{_clock(self.end)}{days} {self.zone}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One condition of a rule, held against a case."""

    name: str
    wanted: str
    found: str | None
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidencyRule(CaseMatch):
    """One rule of residency; what is None is not looked at. Names may be globs."""

    hours: Hours | None = None
    """When it holds; None: always. One with hours says only who reads."""
    home: str | None = None
    copies: tuple[str, ...] | None = None
    on_demand: tuple[str, ...] | None = None
    readers: tuple[str, ...] | None = None
    priority: int | None = None
    reason: str = ""

    def fits_case(self, case: CaseFacts) -> bool:
        """Say whether it speaks of *case*, whatever the hour."""
        return self.fits(customer=case.customer, case=case.number, kind=case.kind, classification=case.classification)

    def points(self, case: CaseFacts, at: dt.datetime) -> Iterator[Point]:
        """Yield each of its conditions, and whether it holds for *case* at *at*."""
        found = (
            ("customer", self.customer, case.customer),
            ("case", self.case, case.number),
            ("kind", self.kind, case.kind),
            ("classification", self.classification, case.classification),
        )
        for name, wanted, value in found:
            if wanted is not None:
                fits = value is not None and fnmatch.fnmatchcase(value, wanted)
                yield Point(name=name, wanted=wanted, found=value, fits=fits)
        if self.hours is not None:
            wall = at.astimezone(_zone(self.hours.zone))
            shown = f"{DAYS[wall.weekday()]} {wall:%H:%M}"
            yield Point(name="hours", wanted=str(self.hours), found=shown, fits=self.hours.hold(at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Residency:
    """Where a case may lie and be read from, and which rule says so."""

    home: str
    copies: tuple[str, ...]
    """Where copies always go."""
    on_demand: tuple[str, ...] = ()
    """Where copies may go once an engineer who works there has the case."""
    readers: frozenset[str]
    rule: str
    reason: str
    readers_rule: str = ""
    """The rule that says who reads, where it is another one; empty: the same."""
    priority: int | None = None
    """1 (first) to 5: how soon its copies are made; None: as urgent as the case is."""

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region that may hold it, home first."""
        return (self.home, *self.copies, *self.on_demand)

    @property
    def who_reads(self) -> str:
        """The name of the rule that says from where it is read."""
        return self.readers_rule or self.rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One rule as it was looked at, in the order of the configuration."""

    rule: str
    reason: str
    points: tuple[Point, ...]
    fits: bool
    decides: tuple[str, ...] = ()
    """`placement`, `readers`: what rests on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An evaluation with all that it rests on."""

    at: dt.datetime
    considered: tuple[Considered, ...]
    residency: Residency | None
    refusal: str | None
    """Why nothing of the case may be stored; None: it may."""
    notes: tuple[str, ...]
    """In sentences: where each part of the answer comes from, and what was left out."""

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it; times in RFC 3339."""
        placed = self.residency
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "home": None if placed is None else placed.home,
            "copies": [] if placed is None else list(placed.copies),
            "on_demand": [] if placed is None else list(placed.on_demand),
            "readers": [] if placed is None else sorted(placed.readers),
            "rule": None if placed is None else placed.rule,
            "readers_rule": None if placed is None else placed.who_reads,
            "reason": None if placed is None else placed.reason or None,
            "priority": None if placed is None else placed.priority,
            "refused": self.refusal,
            "notes": list(self.notes),
            "rules": [
                {
                    "rule": each.rule,
                    "reason": each.reason or None,
                    "fits": each.fits,
                    "decides": list(each.decides),
                    "conditions": [
                        {"name": point.name, "wanted": point.wanted, "found": point.found, "fits": point.fits}
                        for point in each.points
                    ],
                }
                for each in self.considered
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidencyRules:
    """The rules of an installation, in order, and what holds where none speaks."""

    regions: frozenset[str]
    home: str
    copies: tuple[str, ...] = ()
    on_demand: tuple[str, ...] = ()
    readers: tuple[str, ...] | None = None
    refuses_others: bool = False
    """Whether a case that no rule fits is refused, and not placed by the four fields above."""
    rules: tuple[ResidencyRule, ...] = ()
    nearest: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each region the others, nearest first."""

    @property
    def look_at_numbers(self) -> bool:
        """Whether a rule tells cases apart by their numbers."""
        return any(rule.case is not None for rule in self.rules)

    def place(self, case: CaseFacts, at: dt.datetime | None = None) -> Residency:
        """Say where *case* is at home, where copies go and from which regions it is read.

        The home is the rule's, else the one that the case system names, else the installation's. Default
        deny: a copy goes where the rule says and nowhere else, and only regions that may hold it read it, unless a
        rule widens it.

        Args:
            case: what is known of it.
            at: when, for rules with hours; None: none of those is looked at, which changes readers alone.

        Raises:
            ResidencyError: the home is no region of this installation, or not one that the case system allows; or no
                rule fits, and others are refused.
        """
        index, rule = self._placing(case)
        named = _name(index)
        if index < 0 and self.refuses_others:
            raise ResidencyError(f"no rule of residency fits case {case.number}, and others are refused")
        home = rule.home or case.home or self.home
        if home not in self.regions:
            raise ResidencyError(
                f"case {case.number} has its home in {home!r}, which is no region of this installation"
            )
        if case.regions is not None and home not in case.regions:
            raise ResidencyError(
                f"case {case.number} may lie in {sorted(case.regions)}, and {named} puts it in {home!r}"
            )

        def allowed(wished: tuple[str, ...], taken: tuple[str, ...]) -> tuple[str, ...]:
            kept = (region for region in wished if case.regions is None or region in case.regions)
            return tuple(region for region in dict.fromkeys(kept) if region not in taken)

        copies = allowed(rule.copies if rule.copies is not None else self.copies, (home,))
        on_demand = allowed(rule.on_demand if rule.on_demand is not None else self.on_demand, (home, *copies))
        timed, reading = self._reading(case, at)
        readers = rule.readers if rule.readers is not None else self.readers
        if reading is not None:
            readers = reading.readers
        return Residency(
            home=home,
            copies=copies,
            on_demand=on_demand,
            readers=frozenset(readers) if readers is not None else frozenset((home, *copies, *on_demand)),
            rule=named,
            reason=rule.reason,
            readers_rule="" if reading is None else _name(timed),
            priority=rule.priority,
        )

    def explain(self, case: CaseFacts, at: dt.datetime) -> Account:
        """Do what `place` does, and say of every rule what of it fits and what rests on it."""
        refusal, residency = None, None
        try:
            residency = self.place(case, at)
        except ResidencyError as error:
            refusal = str(error)
        placing, _ = self._placing(case)
        timed, _ = self._reading(case, at)
        considered = []
        for index, rule in enumerate(self.rules):
            points = tuple(rule.points(case, at))
            decides = (("placement",) if index == placing else ()) + (
                ("readers",) if index == (timed if timed >= 0 else placing) else ()
            )
            considered.append(
                Considered(
                    rule=_name(index),
                    reason=rule.reason,
                    points=points,
                    fits=all(point.fits for point in points),
                    decides=decides,
                )
            )
        notes = () if residency is None else tuple(self._notes(case, residency))
        return Account(at=at, considered=tuple(considered), residency=residency, refusal=refusal, notes=notes)

    def read_order(self, residency: Residency, listener: str) -> tuple[str, ...]:
        """Order the regions that may hold a case by their distance from *listener*'s region."""
        order = (listener, *self.nearest.get(listener, ()), *residency.regions)
        return tuple(dict.fromkeys(region for region in order if region in residency.regions))

    def _placing(self, case: CaseFacts) -> tuple[int, ResidencyRule]:
        for index, rule in enumerate(self.rules):
            if rule.hours is None and rule.fits_case(case):
                return index, rule
        return -1, ResidencyRule()

    def _reading(self, case: CaseFacts, at: dt.datetime | None) -> tuple[int, ResidencyRule | None]:
        """Return the rule with hours that says who reads *case* at *at*; None: the one that places it does."""
        for index, rule in enumerate(self.rules):
            if not rule.fits_case(case):
                continue
            if rule.hours is None:
                break  # whatever stands below a rule that fits is not reached
            if at is not None and rule.hours.hold(at):
                return index, rule
        return -1, None

    def _notes(self, case: CaseFacts, residency: Residency) -> Iterator[str]:
        index, rule = self._placing(case)
        if rule.home is not None:
            source = f"{residency.rule} names it"
        elif case.home is not None:
            source = "the case system names it, for the case or its customer"
        else:
            source = "residency.home, as neither a rule nor the case system names one"
        yield f"home {residency.home}: {source}"
        told = rule.copies if rule.copies is not None else self.copies
        wished = [*told, *(rule.on_demand if rule.on_demand is not None else self.on_demand)]
        for region in dict.fromkeys(wished):
            if region not in residency.regions:
                yield f"no copy to {region}: the case system lets the case lie in {_list(case.regions or ())} alone"
        if residency.readers_rule:
            yield f"readers {_list(residency.readers)}: {residency.readers_rule}, at this hour"
        elif rule.readers is not None or (index < 0 and self.readers is not None):
            yield f"readers {_list(residency.readers)}: {residency.rule} names them"
        else:
            yield f"readers {_list(residency.readers)}: every region that may hold it, as no rule names others"


def _list(regions: frozenset[str] | tuple[()]) -> str:
    return ", ".join(sorted(regions)) or "none"


def _name(index: int) -> str:
    return f"residency.rules[{index}]" if index >= 0 else "residency (no rule fits)"
