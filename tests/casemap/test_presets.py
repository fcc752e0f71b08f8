"""The presets against the shapes of their case systems' answers, over HTTP."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from casemap.errors import (
    CaseNotFoundError,
    CursorError,
    CustomerNotFoundError,
    LookupAnswerError,
    LookupUnavailableError,
    PrincipalNotFoundError,
)
from casemap.lookup import every_case, every_customer
from casemap.model import CaseState, Role
from mft.config import parse_config
from mft.lookups import open_http_adapter
from tests.casemap import vendors
from tests.casemap.vendors import NAMES, PERSON, Vendor, serving

BASE = """
data: data
listeners: [{protocol: sftp, port: 2222}]
regions: {eu: {keyring: {passphrase_file: eu.pass}}}
lookup:
  type: declarative
  secret: word of the robot
  timeout: 5s
"""
EXTRA = {
    "servicenow": "auth: {client_id: robot}",
    "salesforce": "auth: {client_id: robot}",
    "zendesk": "auth: {user: robot}",
    "jira": "auth: {user: robot}\n  settings: {project: SUP}",
}
NUMBER = {"servicenow": "CS000100{}", "salesforce": "0000100{}", "zendesk": "3543{}", "jira": "SUP-{}"}
CUSTOMER = {
    "servicenow": "ACCT0000000",
    "salesforce": "0015g00000AbCdEAAV",
    "zendesk": "360000",
    "jira": "11",
}
NO_CUSTOMER = {"servicenow": "ACCT9", "salesforce": "0015g00000ZZZZZAAV", "zendesk": "99", "jira": "99"}


def configuration(url, preset, more=""):
    text = BASE + f"  url: {url}\n  preset: {preset}\n  {EXTRA[preset]}\n" + more
    return parse_config(yaml.safe_load(text), base=Path()).lookup


@pytest.fixture(scope="module")
def served():
    """Every vendor behind a server and a lookup, made once."""
    with ExitStack() as stack:
        made = {}
        for name in EXTRA:
            vendor = Vendor(getattr(vendors, name))
            url = stack.enter_context(serving(vendor))
            lookup = open_http_adapter(configuration(url, name))
            stack.callback(lookup.close)
            made[name] = (vendor, lookup)
        yield made


@pytest.fixture(params=sorted(EXTRA))
def preset(request):
    return request.param


@pytest.fixture
def vendor(preset, served):
    vendor = served[preset][0]
    vendor.answer, vendor.status, vendor.raw = getattr(vendors, preset), None, None
    return vendor


@pytest.fixture
def lookup(preset, vendor, served):
    return served[preset][1]


def number(preset, n):
    return NUMBER[preset].format(n)


def test_login_is_a_customers(preset, lookup):
    """Who logs in belongs to the customer, and has no password of ours."""
    found = lookup.principal(PERSON)
    assert (found.login, found.roles, found.customer) == (PERSON, {Role.CUSTOMER}, CUSTOMER[preset])
    assert (found.name, found.email, found.active, found.password_hash) == ("Alice Example", PERSON, True, None)


@pytest.mark.parametrize("login", ["nobody@acme.example", PERSON.upper(), "o'brien@x", 'a"b', "a^b", "*", "stray", "%"])
def test_login_of_nobody_is_not_found(lookup, login):
    """Neither another letter case nor what means something in a query language is anybody."""
    with pytest.raises(PrincipalNotFoundError):
        lookup.principal(login)


def test_case_has_what_the_record_says(preset, lookup):
    """Number, title, customer, state, times and priority are the contract's."""
    found = lookup.case(number(preset, 1))
    assert (found.number, found.title, found.customer) == (number(preset, 1), vendors.CASES[0][1], CUSTOMER[preset])
    assert (found.state, found.opened, found.priority) == (
        CaseState.OPEN,
        datetime(2026, 11, 1, 9, 30, tzinfo=UTC),
        2,
    )


def test_closed_case_says_so(preset, lookup):
    """A case that is done there is closed here."""
    assert lookup.case(number(preset, 3)).state is CaseState.CLOSED


@pytest.mark.parametrize("which", ["999999", "7", "CASE-1", "x'1", "1'"])
def test_case_that_is_nobodys_is_not_found(preset, lookup, which):
    """Neither an unknown number nor a case without a customer is there."""
    wanted = number(preset, 7) if which == "7" else which
    with pytest.raises(CaseNotFoundError):
        lookup.case(wanted)


def test_customer_has_a_name(preset, lookup):
    """The customer's name becomes a folder."""
    assert lookup.customer(CUSTOMER[preset]).name == NAMES[0]
    with pytest.raises(CustomerNotFoundError):
        lookup.customer(NO_CUSTOMER[preset])


@pytest.mark.parametrize("limit", [1, 2, 4, 100])
def test_lists_come_in_pages(preset, lookup, limit):
    """Each open case of the customer comes once, whatever the size of a page."""
    found = [case.number for case in every_case(lookup, CUSTOMER[preset], limit=limit)]
    assert sorted(found) == [number(preset, n) for n in (1, 2, 4, 5)]
    closed = [case.number for case in every_case(lookup, CUSTOMER[preset], state=CaseState.CLOSED, limit=limit)]
    assert closed == [number(preset, 3)]
    every = [case.number for case in every_case(lookup, CUSTOMER[preset], state=None, limit=limit)]
    assert sorted(every) == [number(preset, n) for n in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_list_of_everybodys_cases(preset, lookup, limit):
    """Without a customer the list holds everybody's, and not what is nobody's."""
    found = [case.number for case in every_case(lookup, None, limit=limit)]
    assert sorted(found) == [number(preset, n) for n in (1, 2, 4, 5, 6)]


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_customers_come_in_pages(lookup, limit):
    """Each customer comes once."""
    assert [each.name for each in every_customer(lookup, limit=limit)] == NAMES


def test_customer_that_is_not_there_has_no_list(preset, lookup):
    """A search that finds nothing is no proof that there is somebody."""
    with pytest.raises(CustomerNotFoundError):
        lookup.cases(NO_CUSTOMER[preset])


@pytest.mark.parametrize("cursor", ["no-place!", "a b", "'", "x" * 1025])
def test_place_that_is_none_is_refused(preset, lookup, cursor):
    """A cursor that no list gave out is an error, not the beginning."""
    with pytest.raises(CursorError):
        lookup.cases(CUSTOMER[preset], cursor=cursor)
    with pytest.raises(CursorError):
        lookup.customers(cursor=cursor)


@pytest.mark.parametrize("status", [500, 503, 429, 403])
def test_case_system_that_is_down_is_unavailable(preset, vendor, lookup, status):
    """No answer is never taken for an answer."""
    vendor.status = status
    for ask in (lambda: lookup.principal(PERSON), lambda: lookup.cases(CUSTOMER[preset])):
        with pytest.raises(LookupUnavailableError):
            ask()


@pytest.mark.parametrize("status", [204, 302, 400, 404, 418])
def test_status_that_says_nothing_is_nonsense(preset, vendor, lookup, status):
    """A bare 404 above all: it takes nobody's access."""
    lookup.principal(PERSON)
    vendor.status = status
    with pytest.raises(LookupAnswerError):
        lookup.case(number(preset, 1))
    with pytest.raises(LookupAnswerError):
        lookup.customers()


@pytest.mark.parametrize(
    "document", [{}, [], {"result": 7, "records": 7, "results": 7, "ticket": 7, "users": 7}, b"[", b"{}x"]
)
def test_answer_of_another_shape_is_nonsense_or_nothing(preset, vendor, lookup, document):
    """Whatever comes back, a list is never made of it, and a record never."""
    lookup.principal(PERSON)
    vendor.raw = document
    with pytest.raises((LookupAnswerError, CustomerNotFoundError)):
        lookup.cases(CUSTOMER[preset])
    with pytest.raises((LookupAnswerError, CaseNotFoundError)):
        lookup.case(number(preset, 1))


def test_secret_is_never_shown(preset, vendor):
    """Neither the settings nor an error nor what is told of an exchange shows it."""
    seen = []
    with serving(vendor) as url:
        config = configuration(url, preset)
        lookup = open_http_adapter(config, observe=seen.append)
        lookup.principal(PERSON)
        vendor.status = 403
        with pytest.raises(LookupUnavailableError) as caught:
            lookup.principal(PERSON)
        lookup.close()
    shown = f"{config!r}{caught.value!r}{seen!r}{vars(lookup)!r}"
    assert "word of the robot" not in shown
    assert seen[-1].status == 403


@pytest.mark.parametrize("preset", ["servicenow", "zendesk"])
def test_case_of_another_customer_in_the_list_is_nonsense(vendor, preset, lookup):
    """A list that leaves out the condition (as ServiceNow does with a field it does not know) is not used at all."""
    answer, other = vendor.answer, CUSTOMER[preset][:-1] + "1"
    vendor.answer = lambda path, query: answer(path, json.loads(json.dumps(query).replace(CUSTOMER[preset], other)))
    with pytest.raises(LookupAnswerError, match="another customer"):
        lookup.cases(CUSTOMER[preset])
