"""Every decision, as a table of facts and outcomes."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mft.policy import (
    RIGHTS,
    Action,
    Area,
    CaseFacts,
    Part,
    Reader,
    Residency,
    ResidencyError,
    ResidencyRule,
    ResidencyRules,
    Scope,
    judge_outbound,
    may,
    may_enter,
    may_remove,
)

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
REGIONS = frozenset({"eu", "us", "in"})
CASE = CaseFacts(number="A-1", customer="acme", open=True)
HERE = Residency(home="eu", copies=("us",), readers=frozenset({"eu", "us"}), rule="rule", reason="")
ANN = Reader(login="ann", part=Part.CUSTOMER, customer="acme", listener="eu")
EVE = Reader(login="eve", part=Part.ENGINEER, listener="eu")


def facts(**changes: object) -> CaseFacts:
    return CaseFacts(**{"number": "A-1", "customer": "acme", "open": True, **changes})  # type: ignore[arg-type]


def reader(base: Reader, **changes: object) -> Reader:
    values = {name: getattr(base, name) for name in Reader.__dataclass_fields__}
    return Reader(**{**values, **changes})


@pytest.mark.parametrize(
    ("who", "case", "reason"),
    [
        (ANN, facts(), "rule"),
        (EVE, facts(), "rule"),
        (reader(ANN, customer="globex"), facts(), "another customer"),
        (reader(ANN, customer=None), facts(), "another customer"),
        (ANN, facts(open=False), "closed"),
        (EVE, facts(open=False), "closed"),
        (EVE, facts(clearance=1), "clearance 1 is needed"),
        (reader(EVE, clearance=1), facts(clearance=1), "rule"),
        (ANN, facts(clearance=1), "rule"),
        (reader(EVE, listener="in"), facts(), "not from region in"),
        (reader(ANN, listener="in"), facts(), "not from region in"),
        (reader(EVE, regions=frozenset({"in"})), facts(), "none of the principal's regions"),
        (reader(EVE, regions=frozenset({"us"})), facts(), "rule"),
        (reader(EVE, part=Part.STAFF), facts(), "sees no case"),
        (reader(ANN, active=False), facts(), "not active"),
        (reader(ANN, expires=NOW), facts(), "expired"),
        (reader(ANN, expires=NOW + dt.timedelta(seconds=1)), facts(), "rule"),
    ],
)
def test_case_exists_for_whom_it_should(who, case, reason):
    """A no is always hidden and says to the audit why; a yes names the rule that it rests on."""
    decision = may_enter(who, case, HERE, NOW)
    assert reason in decision.reason
    assert decision.allowed == (reason == "rule")
    assert decision.hidden == (not decision.allowed)


def test_rights_are_the_table():
    """Customers fill the upload side, engineers the download side, both look at the rest, staff sees nothing."""
    writes = {
        (part, area) for part, areas in RIGHTS.items() for area, actions in areas.items() if Action.WRITE in actions
    }
    assert writes == {(Part.CUSTOMER, Area.UPLOAD), (Part.ENGINEER, Area.DOWNLOAD)}
    for part in (Part.CUSTOMER, Part.ENGINEER):
        assert all(may(part, Action.READ, area).allowed for area in Area)
    assert not any(may(Part.STAFF, action, area).allowed for action in Action for area in Area)


@pytest.mark.parametrize(
    ("part", "own", "partial", "allowed"),
    [
        (Part.CUSTOMER, True, True, True),
        (Part.CUSTOMER, True, False, False),
        (Part.CUSTOMER, False, True, False),
        (Part.CUSTOMER, False, False, False),
        (Part.ENGINEER, True, False, True),
        (Part.ENGINEER, False, False, False),
    ],
)
def test_removing_is_for_one_s_own(part, own, partial, allowed):
    """Customers take back what is not whole yet, engineers what they left."""
    assert may_remove(part, own=own, partial=partial).allowed is allowed


# -- residency ---------------------------------------------------------------------------------------------------------


def test_first_rule_that_fits_decides():
    """Patterns as in a shell; what a rule leaves out is the case system's, then the installation's."""
    rules = ResidencyRules(
        regions=REGIONS,
        home="eu",
        copies=("us",),
        rules=(
            ResidencyRule(classification="eu-*", home="eu", copies=(), reason="contract"),
            ResidencyRule(customer="us-*", home="us"),
            ResidencyRule(customer="us-special", home="in"),
        ),
    )
    eu = rules.place(facts(classification="eu-only", home="us"))
    assert (eu.home, eu.copies, eu.readers, eu.reason) == ("eu", (), frozenset({"eu"}), "contract")
    us = rules.place(facts(customer="us-special"))
    assert (us.home, us.copies, us.rule) == ("us", (), "residency.rules[1]")
    assert rules.place(facts(home="in")).home == "in"
    assert rules.place(facts()).copies == ("us",)
    assert rules.place(facts(home="us")).copies == ()


def test_home_that_this_installation_has_not_is_refused():
    """Nothing may be stored for such a case, rather than somewhere else."""
    rules = ResidencyRules(regions=REGIONS, home="eu")
    with pytest.raises(ResidencyError, match="no region of this installation"):
        rules.place(facts(home="mars"))


def test_case_system_narrows_where_files_may_lie():
    """Copies outside are dropped; a home outside is refused."""
    rules = ResidencyRules(regions=REGIONS, home="eu", copies=("us", "in"))
    assert rules.place(facts(regions=frozenset({"eu", "in"}))).copies == ("in",)
    with pytest.raises(ResidencyError, match="may lie in"):
        rules.place(facts(regions=frozenset({"us"})))


@given(
    home=st.sampled_from(sorted(REGIONS)),
    copies=st.sets(st.sampled_from(sorted(REGIONS))),
    allowed=st.none() | st.frozensets(st.sampled_from(sorted(REGIONS))),
    listener=st.sampled_from(sorted(REGIONS)),
)
def test_nothing_lies_or_is_read_outside(home, copies, allowed, listener):
    """Whatever the rules: home first, no copy twice, none outside what is allowed, and reads from what holds it."""
    rules = ResidencyRules(regions=REGIONS, home=home, copies=tuple(copies), nearest={listener: tuple(sorted(REGIONS))})
    try:
        residency = rules.place(facts(regions=allowed))
    except ResidencyError:
        assert allowed is not None
        assert home not in allowed
        return
    assert residency.regions[0] == home
    assert len(set(residency.regions)) == len(residency.regions)
    assert allowed is None or set(residency.regions) <= allowed
    order = rules.read_order(residency, listener)
    assert sorted(order) == sorted(residency.regions)
    assert listener not in residency.regions or order[0] == listener


def test_outbound_files_go_as_they_are_or_not_at_all():
    """A forbidden finding refuses the file; nothing else changes it."""
    assert judge_outbound(rules_found=["token.github"], refused=()).outcome.value == "accept"
    judged = judge_outbound(rules_found=["email", "token.github"], refused=("token.*",))
    assert judged.outcome.value == "reject"
    assert "token.github" in str(judged.reason)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({Scope.UPLOAD}, {Action.STAT, Action.WRITE, Action.MKDIR, Action.RENAME, Action.REMOVE}),
        ({Scope.LIST}, {Action.STAT, Action.LIST}),
        ({Scope.READ}, {Action.STAT, Action.LIST, Action.READ}),
        (set(), set()),
    ],
)
def test_a_token_s_scopes_narrow_what_its_customer_may(scopes, allowed):
    """A token may do in the upload folder what its scopes say, and with none of them nothing."""
    decided = {action for action in Action if may(Part.CUSTOMER, action, Area.UPLOAD, frozenset(scopes)).allowed}

    assert decided == allowed


def test_scopes_never_widen_a_part():
    """No scope gives what the part has not."""
    every = frozenset(Scope)

    assert not any(may(Part.STAFF, action, area, every).allowed for action in Action for area in Area)
    assert not may(Part.CUSTOMER, Action.WRITE, Area.DOWNLOAD, every).allowed
