"""Proof of place: what a report tells, that it holds by itself and against the audit, and what alterations show."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from mft.catalog.model import EVENTS
from mft.intake import service as intake_service
from mft.provenance import Event, History, ReportError, check_events, check_report, make_report, read_history
from mft.receipts import public_key_document
from tests.core import running_core
from tests.mft.test_placing import RULES, change, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.core import Core

NOW = "2026-11-22T12:00:00.000000+00:00"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, nursery: Any) -> Iterator[Core]:
    """A house in which files of a case were stored, copied, withdrawn and moved."""
    rest, intake_service.REST_SECONDS = intake_service.REST_SECONDS, 0.0
    with running_core(tmp_path_factory.mktemp("house"), nursery, **RULES) as house:
        house.client("ann").put("/ACME-1/to-support/a", b"content\n")
        settle(house)
        change(house, classification="eu-only")
        settle(house)
        change(house, classification="us-only")
        settle(house)
        yield house
    intake_service.REST_SECONDS = rest


def export(house: Core, path: Path) -> Path:
    """Write the customer's chain as the API exports it."""
    with house.database.read() as connection:
        rows = connection.execute(
            select(EVENTS).where(EVENTS.c.chain == "customer:acme").order_by(EVENTS.c.position)
        ).all()
    lines = [{"position": row.position, "previous": row.previous, "hash": row.hash, "body": row.body} for row in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_report_tells_every_stay_with_its_rule(told, run, tmp_path):
    """Stored, copied, withdrawn, moved: regions over time, the rule in force, no violation; it verifies offline."""
    config = told.data.parent / "config.yaml"
    code, out, _ = run("residency", "report", "acme", "--config", config, "--json")
    assert code == 0
    made = json.loads(out)
    (thing,) = made["objects"]
    stays = [(each["holds"], each["region"], each["how"], each["ended"]) for each in thing["stays"]]
    assert stays == [
        ("landing", "eu", "landed", "cleared"),
        ("object", "eu", "stored", "withdrawn"),
        ("object", "us", "copied", "withdrawn"),
        ("object", "us", "copied", None),
    ]
    assert [rule["rule"] for rule in made["cases"][0]["rules"]] == [
        "residency (no rule fits)", "residency.rules[0]", "residency.rules[1]",
    ]  # fmt: skip
    assert [(each["region"], "shredded" in each) for each in made["keys"]] == [
        ("us", True), ("us", False), ("eu", True),
    ]  # fmt: skip
    assert made["totals"]["regions"] == {"us": 1}
    assert (made["violations"], made["totals"]["pending"]) == ([], 0)
    assert {each["region"] for each in made["withdrawals"]} == {"eu", "us"}

    report, key = tmp_path / "report.json", tmp_path / "key.json"
    report.write_text(out)
    key.write_text(json.dumps(public_key_document(told.parts.credentials.receipt_key.public_key())))
    code, out, _ = run("residency", "verify", report, "--key", key, "--audit", export(told, tmp_path / "audit.jsonl"))
    assert code == 0
    assert "genuine" in out
    assert "events are those of the audit" in out
    report.write_text(report.read_text().replace('"region": "us"', '"region": "eu"', 1))
    code, _, error = run("residency", "verify", report, "--key", key)
    assert (code, "altered since it was signed" in error) == (1, True)


def test_report_in_words_and_as_csv(told, run):
    """For who reads it, and for who counts in a table; a customer of whom nothing is known is said to be none."""
    config = told.data.parent / "config.yaml"
    code, out, _ = run("residency", "report", "acme", "--config", config)
    assert (code, "violations: none; withdrawals still to be done: 0" in out) == (0, True)
    code, out, _ = run("residency", "report", "acme", "--config", config, "--csv")
    assert (code, len(out.splitlines())) == (0, 5)
    assert out.startswith("case,object,upload,holds,region,since,until,how,ended,rule,allowed\n")
    assert run("residency", "report", "nobody", "--config", config)[0] == 4
    code, out, _ = run("residency", "report", "acme", "--config", config, "--to", "2020-01-01", "--json")
    assert (code, json.loads(out)["objects"]) == (0, [])


def test_status_shows_what_waits(told, run):
    """A line for each region."""
    code, out, _ = run("residency", "status", "--config", told.data.parent / "config.yaml", "--json")
    assert code == 0
    assert sorted((row["region"], row["waiting"], row["leaving"]) for row in json.loads(out)) == [
        ("eu", 0, 0), ("in", 0, 0), ("us", 0, 0),
    ]  # fmt: skip


# -- histories that are made up ----------------------------------------------------------------------------------------


def event(n: int, kind: str, **facts: object) -> Event:
    at = f"2026-11-22T10:00:{n:02}.000000+00:00"
    return Event(position=n, hash=f"{n:064x}", body={"at": at, "kind": kind, "case": "A-1", **facts})


def claims(*events: Event) -> dict[str, Any]:
    history = History()
    for each in events:
        history.take(each)
    return make_report(history, customer="acme", now=dt.datetime.fromisoformat(NOW))


STORED = {"upload": "u1", "object": "o1", "size": 1, "sha256": "00"}


def test_stay_that_no_rule_let_begin_is_a_violation():
    """The report is made of what happened, not of what should have: a copy outside is named."""
    made = claims(
        event(1, "case.entered", home="eu", copies=["us"], rule="r0"),
        event(2, "upload.stored", region="eu", **STORED),
        event(3, "copy.verified", object="o1", source="eu", region="in"),
    )
    (broken,) = made["violations"]
    assert (broken["region"], broken["rule"], made["totals"]["violations"]) == ("in", "r0", 1)
    check_report(made)


def test_withdrawal_that_is_not_done_is_pending():
    """What is forbidden and still there is told as such, and what is gone with the seconds that it took."""
    made = claims(
        event(1, "case.entered", home="eu", copies=["us", "in"], rule="r0"),
        event(2, "upload.stored", region="eu", **STORED),
        event(3, "copy.verified", object="o1", source="eu", region="us"),
        event(4, "copy.verified", object="o1", source="eu", region="in"),
        event(5, "case.placed", home="eu", copies=[], rule="r1"),
        event(9, "copy.withdrawn", object="o1", region="us"),
    )
    assert [(each["region"], each["seconds"]) for each in made["withdrawals"]] == [("us", 4), ("in", None)]
    assert (made["totals"]["pending"], made["violations"]) == (1, [])


def test_destroyed_case_lies_nowhere_any_more():
    """Every stay ends with the case, landing logs included."""
    made = claims(
        event(1, "case.entered", home="eu", copies=[], rule="r0"),
        event(2, "upload.started", region="eu", upload="u1"),
        event(3, "upload.stored", region="eu", **STORED),
        event(4, "case.destruction_begun", keys=[{"region": "eu", "scope": "case:x"}]),
        event(5, "case.destroyed", objects=["o1"]),
    )
    assert [stay["ended"] for stay in made["objects"][0]["stays"]] == ["destroyed", "destroyed"]
    assert (made["totals"]["regions"], made["keys"][0]["region"]) == ({}, "eu")


def hide(made: dict[str, Any]) -> None:
    made["violations"] = []


def whiten(made: dict[str, Any]) -> None:
    made["objects"][0]["stays"][1]["allowed"] = True


def shrink(made: dict[str, Any]) -> None:
    made["totals"]["objects"] = 0


def lose(made: dict[str, Any]) -> None:
    del made["objects"][0]["stays"][0]["since"]


@pytest.mark.parametrize("alter", [hide, whiten, shrink, lose])
def test_report_that_contradicts_itself_is_refused(alter: Callable[[dict[str, Any]], None]):
    """Even with a good signature: what follows from the stays is worked out again."""
    made = claims(
        event(1, "case.entered", home="eu", copies=[], rule="r0"),
        event(2, "upload.stored", region="eu", **STORED),
        event(3, "copy.verified", object="o1", source="eu", region="in"),
    )
    altered = copy.deepcopy(made)
    alter(altered)
    check_report(made)
    with pytest.raises(ReportError):
        check_report(altered)


def test_report_that_rests_on_other_events_than_the_audit_has_is_refused(told, tmp_path):
    """An export with an event altered, left out, or of another chain does not bear the report."""
    lines = export(told, tmp_path / "audit.jsonl").read_text().splitlines()
    with told.database.read() as connection:
        history = read_history(connection, "acme")
    made = make_report(history, customer="acme", now=dt.datetime.now(dt.UTC))
    assert check_events(made, lines) == len(made["events"])  # type: ignore[arg-type]
    for broken in (lines[:-3], lines[1:], [line.replace("ACME-1", "ACME-7") for line in lines], ["{}"]):
        with pytest.raises(ReportError):
            check_events(made, broken)
    with pytest.raises(ReportError, match="another chain"):
        check_events({**made, "customer": "globex"}, lines)
