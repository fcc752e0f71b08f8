"""The built-in case registry: what it keeps, who learns of a change, and the registry as a lookup."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from casemap.errors import PrincipalNotFoundError
from casemap.lookup import every_case
from casemap.model import CaseState
from mft.audit import AuditTrail, verify_trail
from mft.catalog.database import Database
from mft.catalog.model import EVENTS, REGISTRY_CASES, REGISTRY_CUSTOMERS, REVOCATIONS
from mft.catalog.schema import upgrade
from mft.registry import (
    CaseExistsError,
    CaseRegister,
    CustomerExistsError,
    CustomerInUseError,
    CustomerRegister,
    EntryChangedError,
    InvalidEntryError,
    Journal,
    NoSuchCaseError,
    NoSuchCustomerError,
    PlaceError,
    RegistryLookup,
)
from tests.contracts.lookup import TABLE, CaseContract

REGIONS = ("eu-central", "eu-west")
START = datetime(2026, 11, 22, 9, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now.timestamp()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("catalog") / "catalog.db"
    upgrade(path)
    return path.read_bytes()


@pytest.fixture
def database(tmp_path, template):
    path = tmp_path / "catalog.db"
    path.write_bytes(template)
    database = Database(path)
    yield database
    database.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(database, clock):
    return Journal(
        database=database, trail=AuditTrail(sign=lambda _: "signed", host="here"), regions=REGIONS, clock=clock
    )


@pytest.fixture
def customers(journal):
    return CustomerRegister(journal)


@pytest.fixture
def cases(journal, customers):
    customers.add({"id": "acme", "name": "Acme Corp", "home_region": "eu-central"}, by="test")
    return CaseRegister(journal)


def fill(journal, table):
    """Write the table's records as the registry would have them after their time."""
    for record in table["customers"]:
        CustomerRegister(journal).add(record, by="test")
    register = CaseRegister(journal)
    for record in table["cases"]:
        journal.clock.now = datetime.fromisoformat(record.get("opened", "2026-01-01T00:00:00Z"))
        plain = {name: value for name, value in record.items() if name not in {"state", "opened", "closed"}}
        register.open(plain, by="test")
        if record["state"] == "closed":
            journal.clock.now = datetime.fromisoformat(record["closed"])
            register.close(record["number"], by="test")


class TestRegistryLookup(CaseContract):
    """The contract on `RegistryLookup`, but for logins."""

    @pytest.fixture(scope="class")
    @classmethod
    def lookup(cls, tmp_path_factory, template):
        path = tmp_path_factory.mktemp("registry") / "catalog.db"
        path.write_bytes(template)
        database = Database(path)
        trail = AuditTrail(sign=lambda _: "signed", host="here")
        fill(Journal(database=database, trail=trail, regions=REGIONS, clock=Clock()), TABLE)
        yield RegistryLookup(database)
        database.close()

    @pytest.mark.parametrize("login", ["alice@acme", "nobody", "..", ""])
    def test_nobody_logs_in_by_the_registry(self, lookup, login):
        """Logins are local accounts, which are asked first."""
        with pytest.raises(PrincipalNotFoundError):
            lookup.principal(login)


def told(database):
    with database.read() as connection:
        rows = connection.execute(select(REVOCATIONS).order_by(REVOCATIONS.c.serial)).all()
        bodies = connection.execute(select(EVENTS.c.body).order_by(EVENTS.c.id)).scalars().all()
    return [(row.kind, row.subject, row.reason) for row in rows], [json.loads(body) for body in bodies]


def test_every_change_is_announced_and_audited(database, customers, cases, journal):
    """Workers learn of each change by a numbered row, and the customer's chain tells who made it."""
    cases.open({"number": "C-1", "customer": "acme", "title": "a title"}, by="ann")
    cases.change("C-1", {"title": "another title", "clearance": 3}, by="bob")
    cases.close("C-1", by="cyd", why="solved")
    cases.reopen("C-1", by="dan")
    customers.change("acme", {"name": "Acme Ltd"}, by="eve")
    rows, events = told(database)
    assert rows == [
        ("customer", "acme", "customer.added"),
        ("case", "C-1", "case.opened"),
        ("case", "C-1", "case.changed"),
        ("case", "C-1", "case.closed"),
        ("case", "C-1", "case.reopened"),
        ("customer", "acme", "customer.changed"),
    ]
    assert [(event["kind"], event["by"], event["chain"]) for event in events] == [
        ("customer.added", "test", "customer:acme"),
        ("case.opened", "ann", "customer:acme"),
        ("case.changed", "bob", "customer:acme"),
        ("case.closed", "cyd", "customer:acme"),
        ("case.reopened", "dan", "customer:acme"),
        ("customer.changed", "eve", "customer:acme"),
    ]
    assert events[2]["changed"] == ["clearance", "title"]
    assert events[3]["why"] == "solved"
    assert "title" not in str(events).replace("'title'", "")
    with database.read() as connection:
        assert verify_trail(connection, lambda _, signature: signature == "signed").faults == ()


def test_change_that_changes_nothing_is_not_told(database, cases):
    """Setting what is set, and closing what is closed, writes nothing."""
    first = cases.open({"number": "C-1", "customer": "acme", "title": "x"}, by="ann")
    before = told(database)
    assert cases.change("C-1", {"title": "x", "kind": None}, by="ann") == first
    assert cases.reopen("C-1", by="ann") == first
    assert told(database) == before


def test_times_are_the_clocks(cases, clock):
    """A case opens and closes when it is opened and closed, whatever anybody says."""
    opened = cases.open({"number": "C-1", "customer": "acme"}, by="ann")
    clock.now += timedelta(hours=1)
    closed = cases.close("C-1", by="ann")
    clock.now += timedelta(hours=1)
    again = cases.reopen("C-1", by="ann")
    assert (opened.case.opened, opened.case.closed) == (START, None)
    assert (closed.case.closed, closed.updated) == (START + timedelta(hours=1), START + timedelta(hours=1))
    assert closed.case.state is CaseState.CLOSED
    assert (again.case.opened, again.case.closed, again.revision) == (START, None, 3)


@pytest.mark.parametrize("number", ["C-1", "c-1"])
def test_number_is_given_once(cases, number):
    """Not even after closing, and not in another letter case: keys and files hang on it."""
    cases.open({"number": "C-1", "customer": "acme"}, by="ann")
    cases.close("C-1", by="ann")
    with pytest.raises(CaseExistsError, match="C-1"):
        cases.open({"number": number, "customer": "acme"}, by="ann")


def test_customer_is_there_once(customers, cases):
    """No two ids differ in letter case alone."""
    with pytest.raises(CustomerExistsError):
        customers.add({"id": "ACME", "name": "x"}, by="ann")


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({}, "number"),
        ({"number": "no digit"}, "number"),
        ({"number": "../1"}, "number"),
        ({"number": "1" * 65}, "number"),
        ({"number": 7}, "number"),
        ({"titel": "x"}, "titel"),
        ({"title": "x" * 5000}, "title"),
        ({"title": ["x"]}, "title"),
        ({"priority": 6}, "priority"),
        ({"priority": "1"}, "priority"),
        ({"clearance": True}, "clearance"),
        ({"kind": "a\nb"}, "kind"),
        ({"home_region": "mars"}, "home_region"),
        ({"regions": ["eu-west", "mars"]}, "regions"),
        ({"regions": ["eu-west"], "home_region": "eu-central"}, "home_region"),
        ({"state": "closed"}, "state"),
        ({"opened": "2020-01-01T00:00:00Z"}, "opened"),
    ],
)
def test_record_that_cannot_be_is_refused(database, cases, record, field):
    """The field is named, and nothing is written."""
    before = told(database)
    wanted = {"number": "C-1", "customer": "acme", **record} if record else {"customer": "acme"}
    with pytest.raises(InvalidEntryError) as caught:
        cases.open(wanted, by="ann")
    assert caught.value.field == field
    assert told(database) == before


@pytest.mark.parametrize(
    "changes", [{"number": "C-2"}, {"customer": "bolt"}, {"closed": "2026-01-01T00:00:00Z"}, {"customer": None}]
)
def test_what_files_hang_on_stays(cases, changes):
    """Number, customer and times cannot be changed."""
    cases.open({"number": "C-1", "customer": "acme"}, by="ann")
    with pytest.raises(InvalidEntryError, match="cannot be changed"):
        cases.change("C-1", changes, by="ann")


def test_change_of_what_is_not_there_is_refused(customers, cases):
    """The error says what there is not."""
    with pytest.raises(NoSuchCaseError, match="C-9"):
        cases.close("C-9", by="ann")
    with pytest.raises(NoSuchCustomerError, match="bolt"):
        cases.open({"number": "C-1", "customer": "bolt"}, by="ann")
    with pytest.raises(NoSuchCustomerError):
        customers.change("bolt", {"name": "x"}, by="ann")


def test_change_on_an_old_reading_is_refused(cases):
    """Who names the revision that was read does not overwrite another's change."""
    first = cases.open({"number": "C-1", "customer": "acme"}, by="ann")
    second = cases.change("C-1", {"title": "x"}, by="bob", revision=first.revision)
    with pytest.raises(EntryChangedError):
        cases.change("C-1", {"title": "y"}, by="ann", revision=first.revision)
    with pytest.raises(EntryChangedError):
        cases.close("C-1", by="ann", revision=first.revision)
    assert cases.get("C-1").record == second.record


def test_customer_with_cases_is_not_removed(customers, cases):
    """What belongs to its cases must stay; one without any goes."""
    cases.open({"number": "C-1", "customer": "acme"}, by="ann")
    customers.add({"id": "bolt", "name": "Bolt"}, by="ann")
    cases.close("C-1", by="ann")
    with pytest.raises(CustomerInUseError):
        customers.remove("acme", by="ann")
    customers.remove("bolt", by="ann")
    assert [entry.customer.id for entry in customers.list().items] == ["acme"]


def test_place_that_is_none_is_refused(customers, cases):
    """Nothing that is no name is compared with names."""
    with pytest.raises(PlaceError):
        cases.list(after="' OR 1=1")
    with pytest.raises(PlaceError):
        customers.list(after="")


def test_page_of_a_long_list_is_read_by_its_index(database):
    """With 100,000 cases of a customer a page reads its own rows: the plan sorts nothing and scans nothing."""
    with database.write() as connection:
        stamp = {"revision": 1, "created_at": 0.0, "updated_at": 0.0}
        connection.execute(
            insert(REGISTRY_CUSTOMERS).values(
                id="acme", likeness="acme", document='{"id":"acme","name":"Acme"}', **stamp
            )
        )
        connection.exec_driver_sql(
            "INSERT INTO registry_case"
            " WITH RECURSIVE row(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM row WHERE n < 99999)"
            " SELECT printf('C-%06d', n), printf('c-%06d', n), 'acme', 'open',"
            ' printf(\'{"number":"C-%06d","customer":"acme","state":"open"}\', n),'
            " printf('C-%06d', n), '{\"customer\":\"acme\"}', 0, 1, 0, 0 FROM row"
        )
    lookup = RegistryLookup(database)
    page = lookup.cases("acme", cursor="C-050000", limit=10)
    assert [case.number for case in page.items] == [f"C-{n:06}" for n in range(50_001, 50_011)]
    assert page.next_cursor == "C-050010"
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(REGISTRY_CASES)).scalar() == 100_000
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM registry_case WHERE customer = 'acme' AND state = 'open'"
            " AND number > 'C-050000' ORDER BY number LIMIT 11"
        ).all()
    assert [row.detail for row in plan] == [
        "SEARCH registry_case USING INDEX ix_registry_case_customer_state (customer=? AND state=? AND number>?)"
    ]
    assert sum(1 for _ in zip(every_case(lookup, "acme"), range(1500), strict=False)) == 1500
