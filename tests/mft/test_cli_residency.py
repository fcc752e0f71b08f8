"""`mft residency`: what it tells, in words and as JSON, and its exit codes."""

from __future__ import annotations

import json

import pytest

CONFIG = """
data: data
listeners: [{protocol: sftp, port: 2222}]
regions:
  eu: {keyring: {passphrase_file: eu.pass}}
  us: {keyring: {passphrase_file: us.pass}}
residency:
  home: eu
  otherwise: refuse
  rules:
    - match: {customer: acme, hours: {start: "22:00", end: "06:00", zone: Europe/Berlin}}
      readers: [us]
      reason: night shift
    - match: {customer: acme}
      copies: [us]
      priority: 2
      reason: the contract
lookup:
  type: static
  table:
    customers: [{id: acme, name: Acme}, {id: globex, name: Globex}]
    principals:
      - {login: ann, roles: [customer], customer: acme}
      - {login: eve, roles: [engineer], regions: [eu]}
    cases:
      - {number: A-1, title: T, customer: acme, state: open, kind: outage}
      - {number: G-1, title: T, customer: globex, state: open}
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("eu", "us"):
        (tmp_path / f"{name}.pass").write_text("a passphrase\n")
        (tmp_path / f"{name}.pass").chmod(0o600)
    return tmp_path / "config.yaml"


def test_explain_tells_rule_regions_and_why(config, run):
    """Every rule is named, with what fits and what does not, and what rests on it."""
    code, out, _ = run("residency", "explain", "A-1", "--config", config, "--at", "2026-11-22T12:00+01:00")
    assert code == 0
    for words in (
        "A-1 of acme (kind outage)",
        "home       eu",
        "copies     us",
        "rule       residency.rules[1]: the contract",
        "residency.rules[0]: does not fit (night shift)",
        "no  hours 22:00-06:00 Europe/Berlin: it has sun 12:00",
        "residency.rules[1]: fits, decides placement and readers (the contract)",
    ):
        assert words in out


def test_explain_measures_the_regions_that_may_be_read(config, run):
    """On demand each store is asked, and the order of reading by each entrance is told with what it took to answer."""
    code, out, _ = run("residency", "explain", "A-1", "--config", config, "--at", "2026-11-22T12:00Z", "--json")
    told = json.loads(out)["reading"]
    assert (code, told) == (
        0,
        {"by": "measured", "answer_seconds": {}, "order": {"eu": ["eu", "us"], "us": ["us", "eu"]}},
    )
    asked = ("--config", config, "--at", "2026-11-22T12:00Z", "--measure")
    told = json.loads(run("residency", "explain", "A-1", *asked, "--json")[1])["reading"]
    assert (told["by"], set(told["order"]["us"])) == ("measured from here", {"eu", "us"})
    assert all(0 < seconds < 60 for seconds in told["answer_seconds"].values())
    assert " ms)" in next(
        line for line in run("residency", "explain", "A-1", *asked)[1].splitlines() if "read by eu" in line
    )


def test_explain_at_another_hour_with_a_principal(config, run):
    """At night the readers are others, and the login is told by which entrance it gets in."""
    arguments = ("--config", config, "--at", "2026-11-22T23:00+01:00", "--principal", "ann", "--json")
    code, out, _ = run("residency", "explain", "A-1", *arguments)
    told = json.loads(out)
    assert (code, told["home"], told["readers"], told["readers_rule"]) == (0, "eu", ["us"], "residency.rules[0]")
    assert [(each["region"], each["allowed"]) for each in told["principal"]["entrances"]] == [
        ("eu", False),
        ("us", True),
    ]
    _, out, _ = run("residency", "explain", "A-1", *arguments[:-3], "--principal", "eve", "--json")
    assert not any(each["allowed"] for each in json.loads(out)["principal"]["entrances"])


def test_explain_says_what_is_refused_and_what_is_not_there(config, run):
    """A case that no rule fits: exit code 3; no such case or login: 4; a time that is none: 2."""
    code, out, _ = run("residency", "explain", "G-1", "--config", config)
    assert (code, "no rule of residency fits case G-1" in out) == (3, True)
    code, _, error = run("residency", "explain", "X-1", "--config", config)
    assert (code, "there is no case X-1" in error) == (4, True)
    code, _, error = run("residency", "explain", "A-1", "--config", config, "--principal", "zoe")
    assert (code, "nobody has the login zoe" in error) == (4, True)
    assert run("residency", "explain", "A-1", "--config", config, "--at", "noon")[0] == 2
