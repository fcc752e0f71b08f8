"""The published JSON Schema of the lookup contract says what our own parser says."""

import dataclasses
import json
from pathlib import Path

import jsonschema_rs
import pytest

from casemap.errors import InvalidRecordError
from casemap.model import Case, Customer, Principal, parse_case, parse_customer, parse_principal
from tests.contracts.lookup import HASH, KEY, TABLE

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "lookup-contract.schema.json").read_text(encoding="utf-8"))
PRINCIPAL = {"login": "erin", "roles": ["engineer"]}
CUSTOMER = {"id": "acme", "name": "Acme"}
CASE = {"number": "CASE-1", "customer": "acme", "state": "open"}
PARSERS = {"principal": parse_principal, "customer": parse_customer, "case": parse_case}
KINDS = {"principal": Principal, "customer": Customer, "case": Case}


def is_valid(kind, record):
    schema = {"$schema": SCHEMA["$schema"], "$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}
    return jsonschema_rs.validator_for(schema).is_valid(record)


def is_parsed(kind, record):
    try:
        PARSERS[kind](record)
    except InvalidRecordError:
        return False
    return True


@pytest.mark.parametrize("kind", sorted(PARSERS))
def test_schema_has_the_models_fields(kind):
    """No field is missing, and none is made up; `grants` is ours alone, set by `mft grant`."""
    fields = {field.name for field in dataclasses.fields(KINDS[kind])} - {"grants"}
    assert set(SCHEMA["$defs"][kind]["properties"]) == fields


@pytest.mark.parametrize("kind", sorted(PARSERS))
def test_good_records_are_valid(kind):
    """The table of the lookups' contract is valid, record by record and as pages."""
    records = TABLE[f"{kind}s"]
    assert all(is_valid(kind, record) for record in records)
    if kind != "principal":
        assert is_valid(f"{kind}_page", {"items": records, "next_cursor": None})


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        *(("principal", {**PRINCIPAL, **more}) for more in (
            {},
            {"login": ""},
            {"login": "a b"},
            {"login": "a/b"},
            {"login": "a:b"},
            {"login": "x" * 256},
            {"login": 7},
            {"login": None},
            {"roles": []},
            {"roles": ["customer"]},
            {"roles": ["customer"], "customer": "acme"},
            {"roles": ["customer", "engineer"], "customer": "acme"},
            {"roles": ["boss"]},
            {"roles": "engineer"},
            {"customer": "acme"},
            {"clearance": 101},
            {"clearance": "1"},
            {"clearance": True},
            {"active": "yes"},
            {"active": None},
            {"email": "nobody"},
            {"password_hash": "secret"},
            {"password_hash": HASH},
            {"public_keys": [KEY]},
            {"public_keys": KEY},
            {"public_keys": ["x"]},
            {"regions": ["eu", "US"]},
            {"regions": []},
            {"expires": "2027-01-01"},
            {"expires": "2027-01-01T00:00:00"},
            {"expires": "2027-01-01T00:00:00Z"},
            {"more": [1]},
        )),
        *(("customer", {**CUSTOMER, **more}) for more in (
            {},
            {"id": "a..b"},
            {"id": "-a"},
            {"id": "x" * 65},
            {"name": None},
            {"name": "x" * 4097},
            {"home_region": "EU"},
            {"tags": ["gold", ""]},
            {"tags": ["gold"] * 257},
        )),
        *(("case", {**CASE, **more}) for more in (
            {},
            {"number": "CASE"},
            {"number": 7},
            {"number": "1\n"},
            {"state": "pending"},
            {"state": None},
            {"customer": None},
            {"title": ["x"]},
            {"title": None},
            {"priority": 0},
            {"priority": 1.5},
            {"kind": " x"},
            {"kind": "x" * 65},
            {"opened": 1795336200},
            {"opened": "2026-11-01T09:30:00.123+01:00"},
            {"assignee": "a b"},
        )),
    ],
)  # fmt: skip
def test_schema_and_parser_agree(kind, record):
    """What one takes the other takes, and what one refuses the other refuses."""
    assert is_valid(kind, record) == is_parsed(kind, record)
