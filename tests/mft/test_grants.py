"""Grants: engineers who see some customers' cases, or some cases, and no others."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt

import pytest

from casemap.cached import CachedLookup, CacheSettings
from casemap.model import CaseGrant, Role, parse_principal
from mft.auth.errors import InvalidAccountError, NoSuchAccountError, NoSuchGrantError
from mft.auth.grants import Grants
from mft.policy import CaseFacts, Part, Reader, ResidencyRules, may_enter
from mft.registry import CaseRegister, CustomerRegister, Journal, RegistryLookup
from protocols.errors import NotFoundError
from protocols.session import PublicKeyCredential
from tests.casebook import REGIONS
from tests.mft.gatehouse import ED25519, Gatehouse, origin

RULES = ResidencyRules(regions=frozenset({"eu"}), home="eu")
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
BLOB = base64.b64decode(ED25519.split()[1])
ACME, GLOBEX = CaseGrant(customer="acme"), CaseGrant(customer="globex")


def decided(grants, *, customer="acme", case="C-1", clearance=0, own=0):
    facts = CaseFacts(number=case, customer=customer, open=True, clearance=clearance)
    grants = None if grants is None else frozenset(grants)
    reader = Reader(login="eve", part=Part.ENGINEER, listener="eu", clearance=own, grants=grants)
    return may_enter(reader, facts, RULES.place(facts), NOW)


@pytest.mark.parametrize(
    ("grants", "case", "allowed"),
    [
        (None, {}, True),
        ([], {}, False),
        ([ACME], {}, True),
        ([ACME], {"customer": "globex"}, False),
        ([ACME, GLOBEX], {"customer": "globex"}, True),
        ([CaseGrant(case="C-1")], {"customer": "globex"}, True),
        ([CaseGrant(case="C-1")], {"case": "C-2"}, False),
        ([CaseGrant(customer="acme", case="C-1")], {"customer": "globex"}, False),
        ([ACME], {"clearance": 10}, False),
        ([ACME], {"clearance": 10, "own": 10}, True),
        ([CaseGrant(customer="acme", clearance=10)], {"clearance": 10}, True),
        ([CaseGrant(customer="acme", clearance=5)], {"clearance": 10, "own": 50}, False),
        ([CaseGrant(customer="acme", clearance=5), CaseGrant(case="C-1", clearance=10)], {"clearance": 10}, True),
    ],
)
def test_grants_decide_who_may_enter(grants, case, allowed):
    """Without limits everything as before; with them what one grant names, at its clearance, and a no is hidden."""
    decision = decided(grants, **case)
    assert decision.allowed is allowed
    assert decision.hidden is not allowed


@pytest.fixture
def gate(tmp_path):
    house = Gatehouse(tmp_path / "catalog.db")
    yield house
    house.close()


def test_live_session_ends_when_its_limits_change(gate):
    """The next one has them: a grant given, taken away, and all lifted are each such a change."""
    gate.accounts.create("eve", roles={Role.ENGINEER}, by="test")
    gate.keys.add("eve", ED25519, by="test")
    grants = Grants(gate.ledger)
    raised = dataclasses.replace(ACME, clearance=7)
    changes = [
        (lambda: grants.add("eve", ACME, by="root"), frozenset({ACME})),
        (lambda: grants.add("eve", raised, by="root"), frozenset({raised})),
        (lambda: grants.remove("eve", ACME, by="root"), frozenset()),
        (lambda: grants.lift("eve", by="root"), None),
    ]
    for change, wanted in changes:
        session = gate.log_in(PublicKeyCredential(login="eve", key=BLOB), origin())
        change()
        gate.authenticator.recheck("eve")
        assert session.revoked == "the account's rights were changed"
        assert gate.accounts.principal("eve").grants == wanted
    assert [event["kind"] for event in gate.events() if event["kind"].startswith("grant.")] == [
        "grant.added",
        "grant.added",
        "grant.removed",
        "grant.lifted",
    ]


def test_grants_that_cannot_be_are_refused(gate):
    """They are staff's, name something, and are taken away as they were given."""
    gate.accounts.create("eve", roles={Role.ENGINEER}, by="test")
    gate.accounts.create("ann", roles={Role.CUSTOMER}, customer="acme", by="test")
    gate.accounts.create("olga", roles={Role.OPERATOR}, by="test")
    grants = Grants(gate.ledger)
    for login, grant, error in (
        ("eve", CaseGrant(), InvalidAccountError),
        ("eve", CaseGrant(customer="../x"), InvalidAccountError),
        ("eve", CaseGrant(case="no number"), InvalidAccountError),
        ("eve", CaseGrant(customer="acme", clearance=101), InvalidAccountError),
        ("ann", ACME, InvalidAccountError),
        ("olga", ACME, InvalidAccountError),
        ("nobody", ACME, NoSuchAccountError),
    ):
        with pytest.raises(error):
            grants.add(login, grant, by="root")
    with pytest.raises(NoSuchGrantError):
        grants.remove("eve", ACME, by="root")
    assert grants.list() == ()
    assert gate.accounts.principal("eve").grants is None
    grants.add("eve", ACME, by="root")
    gate.accounts.remove("eve", by="root")
    assert grants.list() == ()


def test_case_system_cannot_speak_of_grants():
    """They are no part of the lookup contract: what it says there is nothing."""
    record = {"login": "eve", "roles": ["engineer"], "grants": [{"customer": "acme"}]}
    assert parse_principal(record).grants is None


def test_limited_engineer_finds_no_other_case(core):
    """Not in lists, quick or not, not by its number, not by a path: what no grant names is not there."""
    journal = Journal(database=core.database, trail=core.parts.trail, regions=REGIONS)
    for customer in ("acme", "globex"):
        CustomerRegister(journal).add({"id": customer, "name": customer.title(), "home_region": "eu"}, by="test")
    for number, customer in (("A-1", "acme"), ("A-2", "acme"), ("G-1", "globex"), ("G-2", "globex")):
        CaseRegister(journal).open({"number": number, "customer": customer}, by="test")
    core.ask(CachedLookup(RegistryLookup(core.database), CacheSettings(ttl=0, negative_ttl=0)))

    def client(*grants: CaseGrant):
        made = core.client("eve")
        finder = made.filesystem._finder
        finder.reader = dataclasses.replace(finder.reader, grants=frozenset(grants))
        return made

    assert client().names("/") == []
    by_customer = client(ACME)
    assert by_customer.names("/") == ["Acme"]
    assert by_customer.names("/cases") == by_customer.names("/Acme") == ["A-1", "A-2"]
    by_case = client(CaseGrant(case="G-2"), CaseGrant(customer="globex", case="A-1"))
    assert by_case.names("/") == ["Globex"]
    assert by_case.names("/cases") == by_case.names("/Globex") == ["G-2"]
    for denied in ("/cases/G-1", "/Globex/G-1", "/cases/A-1/to-support", "/Acme"):
        with pytest.raises(NotFoundError):
            by_case.stat(denied)
    with pytest.raises(NotFoundError):
        by_customer.names("/Globex")
    assert any(event["why"] == "no grant speaks of the case" for event in core.events("access.denied"))
