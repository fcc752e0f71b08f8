"""Rules of residency: what they match, what rests on them, hours in a zone, and the account that is given of it."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo

import pytest

from mft.residency import CaseFacts, Hours, ResidencyError, ResidencyRule, ResidencyRules

REGIONS = frozenset({"eu", "us", "in"})
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NIGHT = Hours(start=22 * 60, end=6 * 60, zone="Europe/Berlin")


def facts(**changes: object) -> CaseFacts:
    return CaseFacts(**{"number": "A-1", "customer": "acme", "open": True, **changes})  # type: ignore[arg-type]


def berlin(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("hours", "when", "holds"),
    [
        (NIGHT, "2026-11-22T22:00", True),
        (NIGHT, "2026-11-22T21:59", False),
        (NIGHT, "2026-11-23T05:59", True),
        (NIGHT, "2026-11-23T06:00", False),
        (Hours(start=0, end=1440, zone="Europe/Berlin"), "2026-11-22T23:59", True),
        (Hours(start=540, end=1020, zone="Europe/Berlin", days=frozenset({"mon"})), "2026-11-23T09:00", True),
        (Hours(start=540, end=1020, zone="Europe/Berlin", days=frozenset({"mon"})), "2026-11-24T09:00", False),
        (Hours(start=1320, end=360, zone="Europe/Berlin", days=frozenset({"mon"})), "2026-11-24T03:00", True),
        (Hours(start=1320, end=360, zone="Europe/Berlin", days=frozenset({"mon"})), "2026-11-23T03:00", False),
    ],
)
def test_hours_hold_by_the_clock_on_the_wall(hours, when, holds):
    """The start counts, the end does not; a night belongs to the day on which it begins."""
    assert hours.hold(berlin(when)) is holds


def test_hours_follow_summer_time():
    """Nine in Berlin is another hour of UTC in July than in November."""
    office = Hours(start=540, end=1020, zone="Europe/Berlin")
    assert office.hold(dt.datetime(2026, 7, 1, 7, 0, tzinfo=dt.UTC))
    assert not office.hold(dt.datetime(2026, 11, 2, 7, 0, tzinfo=dt.UTC))


def test_rule_with_hours_changes_readers_and_nothing_else():
    """Where files lie does not depend on the clock, whatever it says."""
    rules = ResidencyRules(
        regions=REGIONS,
        home="eu",
        rules=(
            ResidencyRule(customer="acme", hours=NIGHT, readers=("in",), reason="night shift"),
            ResidencyRule(customer="acme", home="eu", copies=("in",), reason="contract"),
        ),
    )
    day = rules.place(facts(), berlin("2026-11-22T12:00"))
    night = rules.place(facts(), berlin("2026-11-22T23:00"))
    assert (day.readers, night.readers) == (frozenset({"eu", "in"}), frozenset({"in"}))
    assert (day.home, day.copies, day.rule) == (night.home, night.copies, night.rule) == ("eu", ("in",), day.rule)
    assert (day.who_reads, night.who_reads) == ("residency.rules[1]", "residency.rules[0]")
    assert rules.place(facts()).readers == frozenset({"eu", "in"})


def test_rule_with_hours_below_one_that_fits_is_not_reached():
    """The first rule that fits holds, hours or not."""
    rules = ResidencyRules(
        regions=REGIONS,
        home="eu",
        rules=(ResidencyRule(customer="acme"), ResidencyRule(customer="acme", hours=NIGHT, readers=("us",))),
    )
    assert rules.place(facts(), berlin("2026-11-22T23:00")).readers == frozenset({"eu"})


def test_copies_on_demand_may_lie_and_be_read_and_are_narrowed():
    """They count among the regions that may hold a case, and never widen what the case system allows."""
    rules = ResidencyRules(regions=REGIONS, home="eu", copies=("us",), on_demand=("in",))
    placed = rules.place(facts())
    assert (placed.regions, placed.readers) == (("eu", "us", "in"), REGIONS)
    narrowed = rules.place(facts(regions=frozenset({"eu", "us"})))
    assert (narrowed.on_demand, narrowed.regions) == ((), ("eu", "us"))


def test_case_that_no_rule_fits_is_refused_where_others_are():
    """Default deny, for who wants it: nothing of it may be stored."""
    rules = ResidencyRules(
        regions=REGIONS, home="eu", refuses_others=True, rules=(ResidencyRule(customer="acme", home="us"),)
    )
    assert rules.place(facts()).home == "us"
    with pytest.raises(ResidencyError, match="no rule of residency fits case A-1"):
        rules.place(facts(customer="globex"))


def test_account_tells_every_rule_and_what_rests_on_it():
    """Each condition with what was wanted and found; the notes say where home and readers come from."""
    rules = ResidencyRules(
        regions=REGIONS,
        home="eu",
        rules=(
            ResidencyRule(classification="eu-*", home="eu", copies=()),
            ResidencyRule(customer="acme", hours=NIGHT, readers=("us",)),
            ResidencyRule(customer="a*", copies=("us",), on_demand=("in",), reason="contract"),
        ),
    )
    made = rules.explain(facts(home="us", regions=frozenset({"us", "eu"})), berlin("2026-11-22T23:00"))
    told = [(each.fits, each.decides, [(p.name, p.found, p.fits) for p in each.points]) for each in made.considered]
    assert told == [
        (False, (), [("classification", None, False)]),
        (True, ("readers",), [("customer", "acme", True), ("hours", "sun 23:00", True)]),
        (True, ("placement",), [("customer", "acme", True)]),
    ]
    assert made.residency is not None
    assert made.residency.home == "us"
    assert any("the case system names it" in note for note in made.notes)
    assert any(note.startswith("no copy to in: the case system lets") for note in made.notes)
    assert json.loads(json.dumps(made.to_dict()))["readers"] == ["us"]


def test_account_of_a_refused_case_says_why():
    """A home that is not there is named, and no place given."""
    made = ResidencyRules(regions=REGIONS, home="eu").explain(facts(home="mars"), berlin("2026-11-22T12:00"))
    assert made.residency is None
    assert "'mars'" in str(made.refusal)
    assert made.to_dict()["home"] is None
