"""Proof of place: where each object of a customer and its key slots have been, from the audit, and by which rule.

A stay is one region's time with one object (body and key slot), or with one upload's landing log. It rests on events of
the customer's chain, which are named with their hashes; the report is signed with the receipts' key. Whoever has the
report and that key can check it without us, and with an export of the chain can hold it against that.

What began while the rules in force did not name the region is a violation. What the rules stopped naming while it lay
there is a withdrawal: when that was decided, when it was gone, and in how many seconds.
"""

from __future__ import annotations

import bisect
import csv
import datetime as dt
import hashlib
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mft.audit import customer_chain
from mft.catalog.model import CASES, EVENTS, HEADS, UPLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

KIND = "residency"
COLUMNS = ("case", "object", "upload", "holds", "region", "since", "until", "how", "ended", "rule", "allowed")
_TOLD = frozenset(
    {
        "case.entered", "case.placed", "case.destroyed", "case.destruction_begun", "copy.verified", "copy.withdrawn",
        "key.shredded", "key.moved", "landing.moved", "landing.withdrawn", "object.destroyed", "upload.started",
        "upload.reopened", "upload.rescanned",
        "upload.stored",
    }
)  # fmt: skip
_PAGE = 2000


class ReportError(Exception):
    """A report that contradicts itself, or the audit that it is held against; says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of the customer's chain."""

    position: int
    hash: str
    body: Mapping[str, Any]

    @property
    def at(self) -> str:
        """When, in UTC: ISO 8601 in one width, so that texts sort as times do."""
        return str(self.body["at"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Where a case could lie from a time on."""

    since: str
    event: int
    home: str
    copies: tuple[str, ...]
    on_demand: tuple[str, ...]
    rule: str
    why: str | None

    @property
    def regions(self) -> frozenset[str]:
        """Every region that it names."""
        return frozenset((self.home, *self.copies, *self.on_demand))


@dataclass(slots=True, kw_only=True)
class Stay:
    """One region's time with something."""

    region: str
    holds: str
    """`object` (body and key slot) or `landing`."""
    since: str
    how: str
    until: str | None = None
    ended: str | None = None
    source: str | None = None
    object: str | None = None
    """Of an object: which. One upload may have had several, each in place of the one before."""
    events: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Thing:
    """An object, or an upload that has not become one."""

    case: str | None
    upload: str
    object: str | None = None
    size: int | None = None
    sha256: str | None = None
    stays: list[Stay] = field(default_factory=list)


class History:
    """What a chain tells of places. Feed it events in their order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.rules: dict[str, list[Rule]] = {}
        self.keys: list[dict[str, object]] = []
        self.things: dict[str, Thing] = {}
        """By upload."""
        self.hashes: dict[int, str] = {}
        self._objects: dict[str, Thing] = {}

    def take(self, event: Event) -> None:
        """Take one event."""
        kind = str(event.body["kind"])
        if kind in _TOLD:
            self.hashes[event.position] = event.hash
            getattr(self, f"_{kind.replace('.', '_')}")(event)

    def _case_entered(self, event: Event) -> None:
        body = event.body
        rule = Rule(
            since=event.at,
            event=event.position,
            home=str(body["home"]),
            copies=tuple(body.get("copies", ())),
            on_demand=tuple(body.get("on_demand", ())),
            rule=str(body["rule"]),
            why=body.get("why"),
        )
        self.rules.setdefault(str(body["case"]), []).append(rule)

    _case_placed = _case_entered

    def _upload_started(self, event: Event) -> None:
        upload = str(event.body["upload"])
        thing = self.things.setdefault(upload, Thing(case=event.body.get("case"), upload=upload))
        region = str(event.body["region"])
        thing.stays.append(Stay(region=region, holds="landing", since=event.at, how="landed", events=[event.position]))

    _upload_reopened = _upload_started

    def _upload_stored(self, event: Event) -> None:
        body = event.body
        upload = str(body["upload"])
        thing = self.things.setdefault(upload, Thing(case=body.get("case"), upload=upload))
        thing.case = body.get("case")
        thing.object, thing.size, thing.sha256 = str(body["object"]), int(body["size"]), str(body["sha256"])
        self._objects[thing.object] = thing
        stay = Stay(region=str(body["region"]), holds="object", since=event.at, how="stored", object=thing.object)
        stay.events.append(event.position)
        thing.stays.append(stay)

    _upload_rescanned = _upload_stored

    def _object_destroyed(self, event: Event) -> None:
        """End the stays of an object that another one stands in place of."""
        key = str(event.body["object"])
        thing = self._objects.get(key)
        for stay in () if thing is None else thing.stays:
            if (stay.object, stay.until) == (key, None):
                self._end(stay, event, "destroyed")

    def _copy_verified(self, event: Event) -> None:
        thing = self._objects.get(str(event.body["object"]))
        if thing is not None:
            thing.stays.append(
                Stay(
                    region=str(event.body["region"]),
                    holds="object",
                    since=event.at,
                    how="copied",
                    source=str(event.body["source"]),
                    object=str(event.body["object"]),
                    events=[event.position],
                )
            )

    def _copy_withdrawn(self, event: Event) -> None:
        key = str(event.body["object"])
        thing = self._objects.get(key)
        for stay in () if thing is None else thing.stays:
            if (stay.object, stay.region, stay.until) == (key, event.body["region"], None):
                self._end(stay, event, "withdrawn")

    def _landing_moved(self, event: Event) -> None:
        body = event.body
        upload = str(body["upload"])
        thing = self.things.setdefault(upload, Thing(case=body.get("case"), upload=upload))
        thing.stays.append(
            Stay(
                region=str(body["region"]),
                holds="landing",
                since=event.at,
                how="moved",
                source=str(body["source"]),
                events=[event.position],
            )
        )

    def _landing_withdrawn(self, event: Event) -> None:
        thing = self.things.get(str(event.body["upload"]))
        for stay in () if thing is None else thing.stays:
            if (stay.holds, stay.region, stay.until) == ("landing", event.body["region"], None):
                self._end(stay, event, "withdrawn")

    def _key_shredded(self, event: Event) -> None:
        body = event.body
        self.keys.append(
            {"case": body["case"], "region": body["region"], "shredded": event.at, "event": event.position}
        )

    def _key_moved(self, event: Event) -> None:
        body = event.body
        told = {"case": body["case"], "region": body["region"], "moved": event.at, "event": event.position}
        self.keys.append({**told, "source": body["source"]})

    def _case_destruction_begun(self, event: Event) -> None:
        for key in event.body.get("keys", ()):
            told = {"case": event.body["case"], "region": key["region"], "shredded": event.at}
            self.keys.append({**told, "event": event.position})

    def _case_destroyed(self, event: Event) -> None:
        for thing in self.things.values():
            if thing.case == event.body["case"]:
                for stay in thing.stays:
                    if stay.until is None:
                        self._end(stay, event, "destroyed")

    @staticmethod
    def _end(stay: Stay, event: Event, how: str) -> None:
        stay.until, stay.ended = event.at, how
        stay.events.append(event.position)

    def landing_gone(self, upload: str, at: str) -> None:
        """Note when an upload's landing log was cleared away; the catalog knows that, the chain does not."""
        thing = self.things.get(upload)
        for stay in () if thing is None else thing.stays:
            if stay.holds == "landing" and stay.until is None:
                stay.until, stay.ended = at, "cleared"


def rule_at(rules: Sequence[Rule], at: str) -> Rule | None:
    """Return the rule in force at a time."""
    index = bisect.bisect_right([rule.since for rule in rules], at)
    return rules[index - 1] if index else None


def read_history(connection: Connection, customer: str) -> History:
    """Read a customer's chain from the catalog."""
    history, last = History(), 0
    while True:
        rows = connection.execute(
            select(EVENTS.c.position, EVENTS.c.hash, EVENTS.c.body)
            .where(EVENTS.c.chain == customer_chain(customer), EVENTS.c.position > last)
            .order_by(EVENTS.c.position)
            .limit(_PAGE)
        ).all()
        for row in rows:
            history.take(Event(position=row.position, hash=row.hash, body=json.loads(row.body)))
        if not rows:
            break
        last = rows[-1].position
    cleared = connection.execute(
        select(UPLOADS.c.id, UPLOADS.c.landing_gone_at)
        .join(CASES, CASES.c.id == UPLOADS.c.case_id)
        .where(CASES.c.customer == customer, UPLOADS.c.landing_gone_at.is_not(None))
    )
    for upload, seconds in cleared:
        history.landing_gone(upload, _text(dt.datetime.fromtimestamp(seconds, dt.UTC)))
    return history


def make_report(
    history: History,
    *,
    customer: str,
    now: dt.datetime,
    begin: dt.datetime | None = None,
    end: dt.datetime | None = None,
    case: str | None = None,
) -> dict[str, object]:
    """Say where everything of *customer* was between *begin* and *end*, as claims to be signed."""
    first = _text(begin) if begin is not None else ""
    last = _text(min(end, now) if end is not None else now)
    things = []
    for thing in history.things.values():
        if case is not None and thing.case != case:
            continue
        stays = [stay for stay in thing.stays if stay.since < last and (stay.until is None or stay.until > first)]
        if stays:
            things.append(_thing(thing, stays, history.rules.get(thing.case or "", []), last))
    named = {str(thing["case"]) for thing in things}
    claims: dict[str, object] = {
        "customer": customer,
        "generated_at": _text(now),
        "from": first or None,
        "to": last,
        "cases": [
            {"case": number, "rules": [_rule(rule) for rule in history.rules.get(number, [])]}
            for number in sorted(named)
        ],
        "keys": [key for key in history.keys if key["case"] in named],
        "objects": things,
    }
    claims.update(_judged(things))
    used = {position for thing in things for stay in thing["stays"] for position in stay["events"]}
    used |= {rule.event for number in named for rule in history.rules.get(number, [])}
    claims["events"] = {str(position): history.hashes[position] for position in sorted(used)}
    return claims


def signed_report(
    connection: Connection,
    sign: Callable[[Mapping[str, object]], dict[str, object]],
    *,
    installation: str,
    report_id: str,
    customer: str,
    now: dt.datetime,
    begin: dt.datetime | None = None,
    end: dt.datetime | None = None,
    case: str | None = None,
) -> dict[str, Any] | None:
    """Make a report and have *sign* sign it as a receipt; None: nothing was ever written of that customer."""
    head = head_of(connection, customer)
    if head is None:
        return None
    history = read_history(connection, customer)
    claims = make_report(history, customer=customer, now=now, begin=begin, end=end, case=case)
    return sign({"kind": KIND, "id": report_id, "installation": installation, "chain": head, **claims})


def head_of(connection: Connection, customer: str) -> dict[str, object] | None:
    """Return where the customer's chain stands, signed; None: nothing was ever written there."""
    row = connection.execute(select(HEADS).where(HEADS.c.chain == customer_chain(customer))).first()
    if row is None:
        return None
    return {"chain": row.chain, "position": row.position, "hash": row.hash, "signature": row.signature}


def _text(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "since": rule.since,
        "event": rule.event,
        "home": rule.home,
        "copies": list(rule.copies),
        "on_demand": list(rule.on_demand),
        "rule": rule.rule,
        "why": rule.why,
    }


def _thing(thing: Thing, stays: Iterable[Stay], rules: Sequence[Rule], last: str) -> dict[str, Any]:
    return {
        "case": thing.case,
        "upload": thing.upload,
        "object": thing.object,
        "size": thing.size,
        "sha256": thing.sha256,
        "stays": [_stay(stay, rules, last) for stay in stays],
    }


def _stay(stay: Stay, rules: Sequence[Rule], last: str) -> dict[str, Any]:
    rule = rule_at(rules, stay.since)
    until = None if stay.until is None or stay.until > last else stay.until
    withdrawn = next(
        (
            later.since
            for later in rules
            if later.since > stay.since
            and stay.region not in later.regions
            and (until is None or later.since < until)
            and later.since < last
        ),
        None,
    )
    return {
        "region": stay.region,
        "holds": stay.holds,
        "since": stay.since,
        "until": until,
        "how": stay.how,
        "ended": None if until is None else stay.ended,
        "source": stay.source,
        "rule": None if rule is None else rule.rule,
        "allowed": rule is None or stay.region in rule.regions,
        "forbidden_since": withdrawn,
        "events": stay.events,
    }


def _judged(things: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Return what follows from the stays: violations, withdrawals and totals. Who verifies does it again."""
    violations, withdrawals, now_in = [], [], dict[str, int]()
    for thing in things:
        for stay in thing["stays"]:
            told = {
                "object": thing["object"],
                "upload": thing["upload"],
                "case": thing["case"],
                "region": stay["region"],
                "holds": stay["holds"],
            }
            if not stay["allowed"]:
                violations.append({**told, "since": stay["since"], "until": stay["until"], "rule": stay["rule"]})
            elif stay["forbidden_since"] is not None:
                took = None if stay["until"] is None else _seconds(stay["forbidden_since"], stay["until"])
                decided = {"decided": stay["forbidden_since"], "gone": stay["until"], "seconds": took}
                withdrawals.append({**told, **decided})
            if stay["holds"] == "object" and stay["until"] is None:
                now_in[stay["region"]] = now_in.get(stay["region"], 0) + 1
    return {
        "violations": violations,
        "withdrawals": withdrawals,
        "totals": {
            "objects": sum(thing["object"] is not None for thing in things),
            "uploads": len(things),
            "stays": sum(len(thing["stays"]) for thing in things),
            "regions": now_in,
            "violations": len(violations),
            "withdrawals": len(withdrawals),
            "pending": sum(each["gone"] is None for each in withdrawals),
        },
    }


def _seconds(begin: str, end: str) -> int:
    return int((dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(begin)).total_seconds())


# -- for who verifies --------------------------------------------------------------------------------------------------


def check_report(claims: Mapping[str, Any]) -> None:
    """Hold a report against itself: each stay against the rules that it gives, the sums against the stays.

    Raises:
        ReportError: names what does not fit.
    """
    try:
        rules = {
            each["case"]: [
                Rule(
                    since=rule["since"],
                    event=rule["event"],
                    home=rule["home"],
                    copies=tuple(rule["copies"]),
                    on_demand=tuple(rule["on_demand"]),
                    rule=rule["rule"],
                    why=rule["why"],
                )
                for rule in each["rules"]
            ]
            for each in claims["cases"]
        }
        for thing in claims["objects"]:
            for stay in thing["stays"]:
                here = {name: stay[name] for name in ("region", "holds", "since", "how", "until", "ended", "source")}
                again = _stay(Stay(**here, events=stay["events"]), rules.get(thing["case"], []), claims["to"])
                if again != stay:
                    raise ReportError(f"the stay of {thing['upload']} in {stay['region']} does not follow its rules")
        for name, value in _judged(claims["objects"]).items():
            if claims[name] != value:
                raise ReportError(f"{name} does not follow from the objects")
    except (KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"it is no report of residency: {type(error).__name__} at {error}") from error


def check_events(claims: Mapping[str, Any], lines: Iterable[str]) -> int:
    """Hold the events that a report rests on against an export of the chain; return how many those were.

    Args:
        claims: of the report.
        lines: of the export: an object of `position`, `previous`, `hash` and `body` each, the head last.

    Raises:
        ReportError: the export is broken, is another chain's, or lacks an event or has another one.
    """
    wanted, previous = dict(claims["events"]), "0" * 64
    chain, found = customer_chain(claims["customer"]), 0
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            position, body, link = row["position"], row.get("body"), row["hash"]
        except (ValueError, KeyError, TypeError) as error:
            raise ReportError(f"line {number} is no line of an export of the audit") from error
        if body is None:
            continue  # the head
        if row["previous"] != previous or hashlib.sha256(f"{previous}{body}".encode()).hexdigest() != link:
            raise ReportError(f"the export's chain is broken at position {position}")
        if json.loads(body).get("chain") != chain:
            raise ReportError(f"the export is of another chain than {chain}")
        previous = link
        if wanted.pop(str(position), link) != link:
            raise ReportError(f"the report rests on another event at position {position} than the export has")
        found += str(position) in claims["events"]
    if wanted:
        raise ReportError(f"the export lacks {len(wanted)} of the events that the report rests on")
    return found


def as_csv(claims: Mapping[str, Any]) -> str:
    """Write a line for each stay, with a line of heads."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in _rows(claims):
        writer.writerow(["" if value is None else value for value in row])
    return out.getvalue()


def _rows(claims: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for thing in claims["objects"]:
        for stay in thing["stays"]:
            told = {**stay, **{name: thing[name] for name in ("case", "object", "upload")}}
            yield tuple(
                "yes" if told[name] is True else "no" if told[name] is False else told[name] for name in COLUMNS
            )
