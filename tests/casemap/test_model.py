"""Records from outside: what is refused, and that the error says where."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemap.errors import InvalidRecordError, LookupAnswerError
from casemap.model import Principal, Role, parse_case, parse_customer, parse_principal
from casemap.static import StaticLookup
from casemap.wire import load_answer, parse_case_page, parse_customer_page
from tests.contracts.lookup import HASH, KEY, NOT_LOGINS, NOT_NUMBERS, TABLE

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PRINCIPAL = {"login": "erin", "roles": ["engineer"]}
CASE = {"number": "CASE-1", "customer": "acme", "state": "open"}
CUSTOMER = {"id": "acme", "name": "Acme"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("login", login) for login in NOT_LOGINS),
        ("login", None),
        ("login", 7),
        ("login", ["erin"]),
        ("roles", None),
        ("roles", []),
        ("roles", "engineer"),
        ("roles", ["root"]),
        ("roles", ["Engineer"]),
        ("roles", [7]),
        ("roles", ["customer", "engineer"]),
        ("roles", ["engineer"] * 257),
        ("customer", "acme"),
        ("name", 7),
        ("name", "x" * 4097),
        ("email", "nobody"),
        ("email", "a b@example.com"),
        ("email", "a@b\n"),
        ("password_hash", "secret"),
        ("password_hash", "$2b$12$abcdefghijklmnopqrstuv"),
        ("password_hash", "$argon2i$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$x"),
        ("password_hash", HASH + "\n"),
        ("public_keys", KEY),
        ("public_keys", ["ssh-ed25519"]),
        ("public_keys", [f'command="sh" {KEY}']),
        ("public_keys", [KEY.replace("ssh-ed25519", "ssh-rsa")]),
        ("public_keys", ["ssh-ed25519 !!!!"]),
        ("public_keys", [f"{KEY}\n{KEY}"]),
        ("public_keys", [KEY + "x" * 17_000]),
        ("regions", "eu"),
        ("regions", ["EU"]),
        ("regions", [".."]),
        ("clearance", -1),
        ("clearance", 101),
        ("clearance", 1.0),
        ("clearance", True),
        ("clearance", "1"),
        ("active", 1),
        ("active", "yes"),
        ("expires", "tomorrow"),
        ("expires", "2026-11-22T10:00:00"),
        ("expires", "2026-11-22"),
        ("expires", "0001-01-01T00:00:00+23:00"),
        ("expires", 1_795_000_000),
        ("expires", "2" * 100),
    ],
)
def test_principal_with_a_wrong_field_is_refused(field, value):
    """The error names the field by its path."""
    with pytest.raises(InvalidRecordError) as caught:
        parse_principal({**PRINCIPAL, field: value}, at="principals[3]")
    assert caught.value.field.startswith(f"principals[3].{field}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("number", number) for number in NOT_NUMBERS),
        ("number", None),
        ("number", 1001),
        ("title", 7),
        ("title", ["x"]),
        ("title", "x" * 4097),
        ("customer", None),
        ("customer", "../other"),
        ("state", None),
        ("state", "Open"),
        ("state", "resolved"),
        ("opened", "yesterday"),
        ("kind", ""),
        ("kind", "x" * 65),
        ("classification", " secret"),
        ("classification", "a\u202eb"),
        ("clearance", -1),
        ("home_region", "EU Central"),
        ("regions", [7]),
        ("priority", 0),
        ("priority", 6),
        ("priority", math.nan),
    ],
)
def test_case_with_a_wrong_field_is_refused(field, value):
    """The error names the field."""
    with pytest.raises(InvalidRecordError) as caught:
        parse_case({**CASE, field: value})
    assert caught.value.field.startswith(field)


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        "x",
        7,
        {1: "x"},
        {**CASE, "home_region": "eu", "regions": ["us"]},
    ],
)
def test_case_that_is_none_is_refused(record):
    """Anything but an object, and an object that contradicts itself."""
    with pytest.raises(InvalidRecordError):
        parse_case(record)


def test_customer_login_needs_its_customer():
    """A customer's login that belongs to nobody would belong to everybody."""
    with pytest.raises(InvalidRecordError, match="customer"):
        parse_principal({"login": "a", "roles": ["customer"]})


def test_no_error_shows_a_hash_or_key():
    """A refused hash is not repeated; a principal's repr shows neither hash nor keys."""
    with pytest.raises(InvalidRecordError) as caught:
        parse_principal({**PRINCIPAL, "password_hash": "plain-text-password"})
    assert "plain-text" not in str(caught.value)
    assert "plain-text" not in repr(caught.value)
    shown = repr(parse_principal({**PRINCIPAL, "password_hash": HASH, "public_keys": [KEY]}))
    assert HASH not in shown
    assert KEY not in shown


def test_unknown_fields_are_ignored_unless_strict():
    """A contract may grow; a table that people write may not hold typos."""
    assert parse_principal({**PRINCIPAL, "shoe_size": 44}).login == "erin"
    with pytest.raises(InvalidRecordError, match="did you mean 'clearance'"):
        parse_principal({**PRINCIPAL, "clearence": 4}, strict=True)
    with pytest.raises(InvalidRecordError, match="known are"):
        parse_customer({**CUSTOMER, "zzz": 4}, strict=True)


def test_lone_surrogates_of_a_title_are_replaced():
    """A title that no file or database could hold becomes one that they can."""
    assert parse_case({**CASE, "title": json.loads(r'"a\ud800b\ude00\ud83d\ude00"')}).title == "a\ufffdb\ufffd😀"


def test_principal_is_current_while_active_and_not_expired():
    """The moment of expiry is already too late."""
    found = parse_principal({**PRINCIPAL, "expires": "2026-11-22T10:00:00Z"})
    before, at = (parse_case({**CASE, "opened": f"2026-11-22T{when}Z"}).opened for when in ("09:59:59", "10:00:00"))
    assert found.is_current(before)
    assert not found.is_current(at)
    assert not Principal(login="x", roles=frozenset({Role.AUDITOR}), customer=None, active=False).is_current(before)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        *TABLE["cases"][0],
        *TABLE["principals"][0],
        *TABLE["customers"][0],
        "regions",
        "public_keys",
        "items",
        "next_cursor",
    ]
)


@unhurried
@given(st.dictionaries(FIELDS, JSON | st.sampled_from(["open", "CASE-1", "acme", ["customer"]])))
def test_no_record_raises_anything_else(record):
    """Whatever JSON can say, a record is made or refused with a reason."""
    for parse in (
        parse_principal,
        parse_case,
        parse_customer,
        lambda data: parse_case_page(data, customer=None, state=None, cursor=None),
        lambda data: parse_customer_page(data, cursor=None),
    ):
        try:
            parse(record)
        except (InvalidRecordError, LookupAnswerError) as error:
            assert str(error)  # noqa: PT017 (either outcome is right)


@unhurried
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0e+-.\\u dnNaI', max_size=40).map(str.encode))
def test_no_body_raises_anything_else(body):
    """Whatever bytes come, they are JSON or an answer error."""
    try:
        load_answer(body)
    except LookupAnswerError as error:
        assert error.__cause__ is not None  # noqa: PT017 (either outcome is right)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a":1,"a":2}', b'[{"b":{"a":1,"a":1}}]', b"NaN", b"[Infinity]", b"\xff", b"\xef\xbb\xbf{}"]
)
def test_body_that_parsers_read_differently_is_refused(body):
    """Repeated keys, NaN, a byte order mark: none of it is guessed at."""
    with pytest.raises(LookupAnswerError):
        load_answer(body)


def test_body_with_a_huge_number_is_refused():
    """A number of a million digits costs no minute of conversion."""
    with pytest.raises(LookupAnswerError):
        load_answer(b"1" * 1_000_000)


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"customer": []}, "customer"),
        ({"customers": {}}, "customers"),
        ({"customers": [7]}, "customers[0]"),
        ({"customers": [CUSTOMER, CUSTOMER]}, "customers[1]"),
        ({"customers": [CUSTOMER, {"id": "ACME", "name": "x"}]}, "customers[1]"),
        ({"cases": [CASE]}, "cases[0].customer"),
        ({"customers": [CUSTOMER], "cases": [CASE, {**CASE, "number": "case-1"}]}, "cases[1]"),
        (
            {"customers": [CUSTOMER], "cases": [CASE, {**CASE, "number": "CASE-2", "customer": "bolt"}]},
            "cases[1].customer",
        ),
        ({"customers": [CUSTOMER], "cases": [{**CASE, "titel": "x"}]}, "cases[0].titel"),
        ({"principals": [{"login": "a", "roles": ["customer"], "customer": "acme"}]}, "principals[0].customer"),
        ({"principals": [PRINCIPAL, {**PRINCIPAL, "login": "Erin"}]}, "principals[1]"),
        ({"principals": [PRINCIPAL, {**PRINCIPAL, "login": "\uff45rin"}]}, "principals[1]"),
        ({"principals": [{**PRINCIPAL, "active": "no"}]}, "principals[0].active"),
    ],
)
def test_table_with_a_mistake_is_refused_by_its_path(table, path):
    """Duplicates, names that a person takes for one, strangers and typos: each is found and named."""
    with pytest.raises(InvalidRecordError) as caught:
        StaticLookup(table, at="lookup.table")
    assert caught.value.field == f"lookup.table.{path}"


def test_empty_table_knows_nobody():
    """An empty list, and none at all, are good tables."""
    assert StaticLookup({}).cases(None).items == ()
    assert StaticLookup({"cases": None, "customers": []}).customers().items == ()
