"""What every `CaseLookup` must do.

A test module makes a subclass of `LookupContract` with a fixture `lookup` over `TABLE`.
"""

import unicodedata
from datetime import UTC, datetime

import pytest

from casemap.errors import (
    CaseNotFoundError,
    CursorError,
    CustomerNotFoundError,
    PrincipalNotFoundError,
)
from casemap.lookup import every_case, every_customer
from casemap.model import CaseState, Role

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f erin@example.com"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b7dWRWJTmaaJObG"
HOSTILE_TITLE = "../../etc/passwd\0\n\u202egnp.exe\u200b \\ <b>"
TABLE = {
    "customers": [
        {"id": "acme", "name": "Acme Corp", "home_region": "eu-central", "tags": ["gold", "eu-only"]},
        {"id": "bolt", "name": "Bolt & Söhne"},
        *({"id": f"c-{n:02}", "name": "Many Ltd"} for n in range(9)),
    ],
    "principals": [
        {
            "login": "alice@acme",
            "roles": ["customer"],
            "customer": "acme",
            "name": "Alice",
            "email": "alice@acme.example",
            "password_hash": HASH,
            "clearance": 1,
            "expires": "2027-01-01T00:00:00+01:00",
        },
        {"login": "zoë", "roles": ["customer"], "customer": "bolt", "active": False},
        {"login": "erin", "roles": ["engineer", "releaser"], "public_keys": [KEY], "regions": ["us-east"]},
    ],
    "cases": [
        {
            "number": "CASE-1001",
            "title": "Cannot boot",
            "customer": "acme",
            "state": "open",
            "opened": "2026-11-01T09:30:00Z",
            "kind": "outage",
            "classification": "export controlled",
            "clearance": 1,
            "home_region": "eu-central",
            "regions": ["eu-central", "eu-west"],
            "priority": 1,
        },
        {"number": "CASE-1002", "title": HOSTILE_TITLE, "customer": "acme", "state": "open"},
        {
            "number": "CASE-1003",
            "title": "Old",
            "customer": "acme",
            "state": "closed",
            "opened": "2026-01-01T00:00:00Z",
            "closed": "2026-02-01T00:00:00Z",
        },
        {"number": "CASE-2001", "customer": "bolt", "state": "open"},
        *({"number": f"M-{n:03}", "title": "x", "customer": "c-00", "state": "open"} for n in range(25)),
    ],
}
NOT_LOGINS = [
    "",
    ".",
    "..",
    "a/b",
    "a\\b",
    "a:b",
    "a b",
    "a\0",
    "a\n",
    "\u202eecila",
    "al\u200bice",
    "x" * 256,
    "\ud800",
]
NOT_NUMBERS = ["", "CASE", "..", "1..2", "CASE-1/2", "CASE-1\0", "CASE-1\n", " CASE-1", "CASE-1 ", "-1", "1-", "١٢٣"]
NOT_NUMBERS += ["9" * 65, "COM1", "com1.log"]


class CaseContract:
    """Cases for a fixture `lookup`, a lookup that holds the customers and cases of `TABLE`."""

    def test_case_has_what_the_record_says(self, lookup):
        """Every field of a case arrives."""
        found = lookup.case("CASE-1001")
        assert (found.number, found.title, found.customer, found.state) == (
            "CASE-1001",
            "Cannot boot",
            "acme",
            CaseState.OPEN,
        )
        assert (found.opened, found.closed) == (datetime(2026, 11, 1, 9, 30, tzinfo=UTC), None)
        assert (found.kind, found.classification, found.clearance) == ("outage", "export controlled", 1)
        assert (found.home_region, found.regions, found.priority) == ("eu-central", {"eu-central", "eu-west"}, 1)

    def test_title_arrives_as_it_was_typed(self, lookup):
        """A hostile title is data here; it is made safe where it becomes a name."""
        assert lookup.case("CASE-1002").title == HOSTILE_TITLE

    def test_case_that_is_closed_is_still_found(self, lookup):
        """A closed case is found by its number, and says so."""
        found = lookup.case("CASE-1003")
        assert (found.is_open, found.closed) == (False, datetime(2026, 2, 1, tzinfo=UTC))

    @pytest.mark.parametrize("number", ["CASE-9999", "case-1001", *NOT_NUMBERS])
    def test_unknown_case_is_not_found(self, lookup, number):
        """What is no case, and what can be none, is not found."""
        with pytest.raises(CaseNotFoundError):
            lookup.case(number)

    def test_customer_has_what_the_record_says(self, lookup):
        """Every field of a customer arrives."""
        found = lookup.customer("acme")
        assert (found.id, found.name, found.home_region, found.tags) == (
            "acme",
            "Acme Corp",
            "eu-central",
            {"gold", "eu-only"},
        )

    @pytest.mark.parametrize("customer", ["nobody", "", "..", "a/b", "ACME"])
    def test_unknown_customer_is_not_found(self, lookup, customer):
        """What is no customer is not found, nor does it have a list of cases."""
        with pytest.raises(CustomerNotFoundError):
            lookup.customer(customer)
        with pytest.raises(CustomerNotFoundError):
            lookup.cases(customer)

    def test_list_holds_the_open_cases_of_that_customer_alone(self, lookup):
        """Closed cases and those of others are not in a customer's list."""
        assert {case.number for case in every_case(lookup, "acme")} == {"CASE-1001", "CASE-1002"}
        assert list(every_case(lookup, "c-01")) == []

    def test_list_in_other_states(self, lookup):
        """Closed cases can be asked for, and all."""
        closed = {case.number for case in every_case(lookup, "acme", state=CaseState.CLOSED)}
        every = {case.number for case in every_case(lookup, "acme", state=None)}
        assert (closed, every) == ({"CASE-1003"}, {"CASE-1001", "CASE-1002", "CASE-1003"})

    def test_list_of_everybodys_cases(self, lookup):
        """Without a customer the list is whole."""
        assert len(list(every_case(lookup, None))) == 28

    @pytest.mark.parametrize("limit", [1, 7, 25, 26, 1000])
    def test_pages_make_the_list(self, lookup, limit):
        """Whatever the size of a page, each case comes once, and no page is longer than asked for."""
        first = lookup.cases("c-00", limit=limit)
        numbers = [case.number for case in every_case(lookup, "c-00", limit=limit)]
        assert sorted(numbers) == [f"M-{n:03}" for n in range(25)]
        assert len(first.items) <= limit
        assert (first.next_cursor is None) == (limit >= 25)

    def test_pages_of_customers_make_the_list(self, lookup):
        """Customers are listed in pages too."""
        assert sorted(each.id for each in every_customer(lookup, limit=4)) == [
            "acme",
            "bolt",
            *(f"c-{n:02}" for n in range(9)),
        ]

    @pytest.mark.parametrize("cursor", ["", "no/such-place!", "a b", "é", "x" * 1025, "\n"])
    def test_place_that_is_none_is_refused(self, lookup, cursor):
        """A cursor that the list did not give out is an error, not the beginning."""
        with pytest.raises(CursorError):
            lookup.cases("acme", cursor=cursor)
        with pytest.raises(CursorError):
            lookup.customers(cursor=cursor)

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    def test_page_of_impossible_size_is_the_callers_mistake(self, lookup, limit):
        """No page has no items or thousands."""
        with pytest.raises(ValueError, match="1 to 1000"):
            lookup.cases("acme", limit=limit)
        with pytest.raises(ValueError, match="1 to 1000"):
            lookup.customers(limit=limit)


class LookupContract(CaseContract):
    """Cases for a fixture `lookup`, a lookup that holds `TABLE`."""

    def test_principal_has_what_the_record_says(self, lookup):
        """Every field of a customer's login arrives."""
        found = lookup.principal("alice@acme")
        assert (found.login, found.roles, found.customer, found.view) == (
            "alice@acme",
            {Role.CUSTOMER},
            "acme",
            Role.CUSTOMER,
        )
        assert (found.name, found.email, found.password_hash, found.clearance) == (
            "Alice",
            "alice@acme.example",
            HASH,
            1,
        )
        assert (found.regions, found.active, found.expires) == (None, True, datetime(2026, 12, 31, 23, tzinfo=UTC))

    def test_staff_has_roles_keys_and_regions(self, lookup):
        """Every field of an engineer's login arrives."""
        found = lookup.principal("erin")
        assert (found.roles, found.customer, found.view) == ({Role.ENGINEER, Role.RELEASER}, None, Role.ENGINEER)
        assert (found.public_keys, found.regions, found.password_hash) == ((KEY,), {"us-east"}, None)

    def test_principal_is_found_in_any_normal_form(self, lookup):
        """A login typed on a Mac is the same login; that it is not active is for the caller to see."""
        found = lookup.principal(unicodedata.normalize("NFD", "zoë"))
        assert (found.login, found.active) == ("zoë", False)

    @pytest.mark.parametrize("login", ["nobody", "ALICE@ACME", *NOT_LOGINS])
    def test_unknown_login_is_not_found(self, lookup, login):
        """What nobody has, and what nobody can have, is not found."""
        with pytest.raises(PrincipalNotFoundError):
            lookup.principal(login)
