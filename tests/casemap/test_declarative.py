"""The declarative adapter: templates, tokens, mappings of one's own, and what is refused."""

import threading
from pathlib import Path

import pytest
import yaml

from casemap.declarative.template import Template, UnaskableError
from casemap.errors import (
    CaseNotFoundError,
    LookupAnswerError,
    LookupSettingsError,
    LookupUnavailableError,
)
from casemap.lookup import every_case
from mft.config import ConfigError, parse_config
from mft.lookups import open_http_adapter
from tests.casemap import vendors
from tests.casemap.test_presets import BASE, configuration
from tests.casemap.vendors import PERSON, Vendor, serving


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("a{x}b", {"x": "1"}, "a1b"),
        ("a{x}b", {}, None),
        ("a[ and {x}]b", {"x": "1"}, "a and 1b"),
        ("a[ and {x}]b", {}, "ab"),
        ("a[ and {x} or {y}]b", {"x": "1"}, "ab"),
        ("{{a}}[[b]]", {}, "{a}[b]"),
        ("'{x:soql}'", {"x": "o'bri\\en"}, "'o\\'bri\\\\en'"),
        ('"{x:jql}"', {"x": 'a"b'}, '"a\\"b"'),
        ("{u.account.id}", {"u.account.id": "7"}, "7"),
        ("", {}, ""),
    ],
)
def test_template_is_filled(text, values, filled):
    """Values stand in their places; what is absent takes its brackets, or the whole, with it."""
    assert Template(text).fill(values) == filled


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{x:digits}", "1a"),
        ("{x:digits}", ""),
        ("{x:word}", "a'b"),
        ("{x:sysparm}", "a^b"),
        ("{x:sysparm}", "javascript:1"),
    ],
)
def test_value_that_cannot_stand_there_is_not_asked_for(text, value):
    """A filter refuses what would mean something else there."""
    with pytest.raises(UnaskableError):
        Template(text).fill({"x": value})


@pytest.mark.parametrize("value", ["..", ".", ""])
def test_value_is_never_a_step_in_a_path(value):
    """A segment that leads elsewhere is not asked for, and a slash in a value is no slash of the path."""
    assert Template("/a/{x}/b").path({"x": "c/../d?e#f"}) == "/a/c%2F..%2Fd%3Fe%23f/b"
    with pytest.raises(UnaskableError):
        Template("/a/{x}/b").path({"x": value})


@pytest.mark.parametrize("text", ["{x", "a}", "[a", "a]", "[a[b]]c", "{x:nothing}", "{1}", "{x y}"])
def test_template_that_is_none_is_refused(text):
    """A bracket that is not matched is a mistake, not a character."""
    with pytest.raises(LookupSettingsError):
        Template(text)


OWN = """
  url: {url}
  auth: {{type: basic, user: robot}}
  requests:
    principal:
      path: /people
      query: {{name: "{{login}}"}}
      record: people
      fields: {{login: id, roles: roles, customer: company.id, public_keys: keys}}
    case:
      path: /cases/{{number}}
      missing: gone
      fields: {{number: nr, title: about, customer: company, state: status}}
      values: {{state: {{"1": open, "2": closed}}}}
    customer: {{path: "/companies/{{customer}}", fields: {{id: id, name: name}}}}
    cases:
      path: /cases
      query: {{company: "{{customer}}", status: "{{state}}", page: "{{page}}"}}
      items: cases
      paging: page
      states: {{open: "1", closed: "2"}}
      max_limit: 2
    customers: {{path: /companies}}
"""


def own_api(path, query):
    """A case system that nobody has heard of."""
    rows = [{"nr": n, "about": f"case {n}", "company": 5, "status": 2 if n == 3 else 1} for n in range(1, 7)]
    if path == "/people":
        if query["name"] != "bob":
            return 200, {"people": []}
        keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f bob"]
        return 200, {"people": [{"id": "bob", "roles": ["customer"], "company": {"id": 5}, "keys": keys}]}
    if path == "/cases":
        chosen = [row for row in rows if query.get("status", str(row["status"])) == str(row["status"])]
        chosen = [row for row in chosen if query.get("company", "5") == "5"]
        start = (int(query["page"]) - 1) * 2
        return 200, {"cases": chosen[start : start + 2]}
    if path.startswith("/cases/"):
        found = [row for row in rows if str(row["nr"]) == path.removeprefix("/cases/")]
        return (200, found[0]) if found else (404, {"gone": True})
    if path.startswith("/companies/"):
        return 200, {"id": 5, "name": "Five"}
    return 200, [{"id": 5, "name": "Five"}]


def own(there, **changes):
    data = yaml.safe_load(BASE + OWN.format(url=there))
    for name, value in changes.items():
        where, _, key = name.rpartition("__")
        place = data["lookup"]
        for part in where.split("__") if where else ():
            place = place[part]
        place[key] = value
    return parse_config(data, base=Path()).lookup


@pytest.fixture
def vendor():
    return Vendor(own_api)


@pytest.fixture
def url(vendor):
    with serving(vendor) as url:
        yield url


def test_mapping_of_ones_own_needs_no_preset(vendor, url):
    """Everything can be said in the configuration."""
    lookup = open_http_adapter(own(url + "/"))
    assert lookup.principal("bob").customer == "5"
    assert len(lookup.principal("bob").public_keys) == 1
    assert lookup.case("3").state.value == "closed"
    with pytest.raises(CaseNotFoundError):
        lookup.case("99")
    assert [case.number for case in every_case(lookup, "5")] == ["1", "2", "4", "5", "6"]
    assert [case.number for case in every_case(lookup, None, state=None)] == [str(n) for n in range(1, 7)]
    assert [each.name for each in lookup.customers().items] == ["Five"]
    lookup.close()


def test_preset_is_changed_key_by_key(url, vendor):
    """What the configuration says of a preset changes that and nothing else."""
    vendor.answer = vendors.zendesk
    more = """
  headers: {X-Tenant: seven}
  requests:
    case:
      fields: {kind: null, classification: subject}
      values: {priority: {high: "1"}}
"""
    lookup = open_http_adapter(configuration(url, "zendesk", more))
    found = lookup.case("35431")
    assert (found.kind, found.classification, found.priority) == (None, "Cannot boot after update", 1)
    assert lookup.case("35435").priority == 3
    assert lookup.principal(PERSON).customer == "360000"
    assert vendor.asked[0][3]["X-Tenant"] == "seven"
    lookup.close()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"nr": 1, "about": ["x"], "company": 5, "status": 1}, "title"),
        ({"nr": 1, "about": "x", "company": {"id": 5}, "status": 1}, "customer"),
        ({"nr": 1, "about": "x", "company": 5, "status": 9}, "does not foresee"),
        ({"nr": 1, "about": "x", "company": 5}, "does not foresee"),
        ({"nr": 1, "about": "x" * 5000, "company": 5, "status": 1}, "title"),
        ({"about": "x", "company": 5, "status": 1}, "number"),
        ({"nr": 2, "about": "x", "company": 5, "status": 1}, "another record"),
        ([{"nr": 1}, {"nr": 1}], "more than one"),
        ("x", "something else than a record"),
    ],
)
def test_record_of_wrong_types_is_nonsense(vendor, url, record, reason):
    """What the mapping makes of an answer is checked like any answer, and the reason names the field."""
    lookup = open_http_adapter(own(url))
    vendor.raw = record
    with pytest.raises(LookupAnswerError, match=reason):
        lookup.case("1")
    lookup.close()


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([{"nr": 1, "about": "x", "company": 6, "status": 1}], "another customer"),
        ([{"nr": 1, "about": "x", "company": 5, "status": 1}] * 2, "twice"),
        ([{"nr": n, "about": "x", "company": 5, "status": 1} for n in range(1, 5)], "4 items; 2"),
        ([7], "no list of records"),
        (None, "no list of records"),
    ],
)
def test_list_that_is_nonsense_is_not_used(vendor, url, items, reason):
    """Not even in part."""
    lookup = open_http_adapter(own(url))
    vendor.raw = {"cases": items}
    with pytest.raises(LookupAnswerError, match=reason):
        lookup.cases("5")
    lookup.close()


def test_list_that_runs_in_a_circle_is_nonsense(vendor, url):
    """A next page that is this one ends the list with an error."""
    lookup = open_http_adapter(
        own(url, requests__cases__paging="cursor", requests__cases__next="again", requests__cases__query={})
    )
    vendor.raw = {"cases": [{"nr": 1, "about": "x", "company": 5, "status": 1}], "again": "here"}
    page = lookup.cases("5")
    with pytest.raises(LookupAnswerError, match="circle"):
        lookup.cases("5", cursor=page.next_cursor)
    vendor.raw = {"cases": [], "again": "here"}
    with pytest.raises(LookupAnswerError, match="circle"):
        lookup.cases(None)
    lookup.close()


def test_huge_answer_is_refused_early(vendor, url):
    """50 MB are not read to find out that they are too many."""
    vendor.raw = b" " * (50 << 20) + b"{}"
    lookup = open_http_adapter(own(url))
    with pytest.raises(LookupAnswerError, match="larger than"):
        lookup.case("1")
    lookup.close()


@pytest.fixture
def servicenow():
    vendor = Vendor(vendors.servicenow)
    with serving(vendor) as url:
        yield vendor, url


def test_token_is_fetched_once_and_kept(servicenow):
    """Many questions at once need one token."""
    vendor, url = servicenow
    lookup = open_http_adapter(configuration(url, "servicenow"))
    threads = [threading.Thread(target=lookup.principal, args=(PERSON,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lookup.customers()
    assert vendor.tokens == 1
    lookup.close()


def test_token_that_is_refused_is_fetched_anew_once(servicenow):
    """A token that was withdrawn costs nobody a failed lookup; a client that is refused is not asked for ever."""
    vendor, url = servicenow
    lookup = open_http_adapter(configuration(url, "servicenow"))
    lookup.principal(PERSON)
    vendor.current = "withdrawn"
    assert lookup.principal(PERSON).login == PERSON
    assert vendor.tokens == 2
    vendor.admits = lambda _: False
    asked = len(vendor.asked)
    with pytest.raises(LookupUnavailableError, match="refuses our credentials"):
        lookup.principal(PERSON)
    assert len(vendor.asked) - asked == 3  # refused, a new token, refused
    lookup.close()


def test_token_is_not_used_beyond_its_life(servicenow, monkeypatch):
    """Shortly before its end a token is fetched anew, by our clock."""
    vendor, url = servicenow
    lookup = open_http_adapter(configuration(url, "servicenow"))
    now = [1000.0]
    lookup._credentials._clock = lambda: now[0]
    for at, tokens in ((1000.0, 1), (1000.0 + 1700, 1), (1000.0 + 1780, 2)):
        now[0] = at
        lookup.principal(PERSON)
        assert vendor.tokens == tokens
    lookup.close()


@pytest.mark.parametrize("token", [None, "", "a b", "a\nb", "é", 7, "x" * 20_000])
def test_token_that_is_none_is_no_answer(servicenow, token):
    """What cannot stand in a header is not put there."""
    vendor, url = servicenow
    vendor.token = lambda _: (200, {"access_token": token})
    lookup = open_http_adapter(configuration(url, "servicenow"))
    with pytest.raises(LookupUnavailableError, match="no token"):
        lookup.principal(PERSON)
    lookup.close()


def test_client_that_is_refused_says_what_to_check(servicenow):
    """The error names the configuration's keys, not the secret."""
    _, url = servicenow
    text = (BASE + f"  url: {url}\n  preset: servicenow\n  auth: {{client_id: somebody}}\n").replace("robot", "wrong")
    lookup = open_http_adapter(parse_config(yaml.safe_load(text), base=Path()).lookup)
    with pytest.raises(LookupUnavailableError, match=r"lookup\.auth") as caught:
        lookup.principal(PERSON)
    assert "word of" not in str(caught.value)
    lookup.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"requests__case__path": "cases/{number}"}, "lookup.requests.case.path"),
        ({"requests__case__path": "/cases/{login}"}, "{login} is not known here"),
        ({"requests__case__path": "/cases/{number"}, "'{' is not matched"),
        ({"requests__case__record": "a[?"}, "lookup.requests.case.record: is not a JMESPath"),
        ({"requests__case__fields": {"nummer": "a"}}, "lookup.requests.case.fields.nummer"),
        ({"requests__case__values": {"kind": {"a": "b"}}}, "lookup.requests.case.values.kind"),
        ({"requests__cases__paging": "cursor"}, "lookup.requests.cases.next"),
        ({"requests__customers": None}, "lookup.requests.customers.path"),
        ({"auth": {"type": "basic"}}, "lookup.auth.user"),
        ({"auth": {"type": "basic", "user": "a:b"}}, "colon"),
        ({"auth": {"type": "oauth2", "client_id": "a"}}, "lookup.auth.token_url"),
        ({"auth": {"type": "oauth2", "client_id": "a", "token_url": "http://elsewhere.example/"}}, "https://"),
        ({"settings": {"project": "X"}}, "lookup.settings.project"),
        ({"preset": "jira"}, "lookup.settings.project"),
    ],
)
def test_mapping_that_cannot_be_is_refused_at_once(changes, said):
    """Nothing is asked; the error names the key."""
    with pytest.raises(LookupSettingsError) as caught:
        open_http_adapter(own("http://127.0.0.1:9", **changes))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"preset": "remedy"}, "lookup.preset"),
        ({"requests__cased": {}}, "lookup.requests.cased"),
        ({"requests__case__feilds": {}}, "lookup.requests.case.feilds"),
        ({"requests__case__paging": "pages"}, "lookup.requests.case.paging"),
        ({"secret": None}, "lookup.secret_file"),
        ({"client_key": "x.pem"}, "lookup.client_certificate"),
        ({"url": "https://a:b@c.example"}, "lookup.url"),
    ],
)
def test_configuration_that_is_wrong_names_the_key(changes, path):
    """Before any adapter is made."""
    with pytest.raises(ConfigError) as caught:
        own("http://127.0.0.1:9", **changes)
    assert path in [fault.path for fault in caught.value.faults]
