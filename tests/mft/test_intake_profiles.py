"""Uploads under the profile and with the words that the configuration has for their case; what is kept of it."""

from __future__ import annotations

import json

from tests.core import running_core

IN = "/ACME-1/to-support"
TEXT = b"from host 203.0.113.77 came Bluebird\npassword=hunter2-tr0ub4dor\n"


def test_profile_and_words_of_the_case_hold(tmp_path, nursery):
    """The first rule for the customer decides what goes; report, event and status say which it was."""
    (tmp_path / "terms.txt").write_text("Bluebird\n")
    rules = [
        {"match": {"customer": "nobody"}, "profile": "strict"},
        {"match": {"customer": "acme", "case": "ACME-1"}, "profile": "secrets-only", "reason": "their own lab"},
        {"match": {"customer": "acme"}, "terms": "terms.txt"},
    ]
    with running_core(tmp_path, nursery, scrub={"rules": rules}) as house:
        house.client("ann").put(f"{IN}/a.log", TEXT)
        house.client("ann").put("/ACME-3/to-support/b.log", TEXT)
        house.work()
        first = house.client("max").get(f"{IN}/a.log")
        second = house.client("max").get("/ACME-3/to-support/b.log")
        report = house.client("ann").document("/ACME-1/.meta/a.log.report.json")
        events = {event["case"]: event for event in house.events("upload.stored")}
    assert b"hunter2" not in first + second
    assert b"from host 203.0.113.77 came Bluebird" in first
    assert b"203.0.113.77" not in second
    assert b"Bluebird" not in second
    assert (report["profile"], report["profile_rule"]) == ("secrets-only", "scrub.rules[1]")
    assert events["ACME-1"]["profile_reason"] == "their own lab"
    assert events["ACME-3"]["profile"] == "support"
    assert events["ACME-3"]["profile_rule"] == "scrub.rules[2]"


def test_report_can_be_read_as_sarif(house):
    """Beside the report there is the same as SARIF, for whoever may read the report; no listing has it."""
    house.client("ann").put(f"{IN}/a.log", TEXT)
    house.client("ann").put(f"{IN}/b.gz", b"\x1f\x8b\x08\x00" + bytes(6) + b"no deflate stream" * 10)
    house.work()
    log = house.client("ann").document("/ACME-1/.meta/a.log.report.sarif")
    report = house.client("ann").document("/ACME-1/.meta/a.log.report.json")
    assert log["version"] == "2.1.0"
    assert len(log["runs"][0]["results"]) == len(report["findings"])
    assert "a.log.report.sarif" not in house.client("ann").names("/ACME-1/.meta")
    held = house.client("ann").document("/ACME-1/.meta/b.gz.report.sarif")
    assert held["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert "hunter2" not in json.dumps([log, held])


def test_sender_is_told_what_can_be_done(house):
    """The advice of what held a file back stands in its status."""
    house.client("ann").put(f"{IN}/key.pfx", b"\x30\x82\x0a\x0b\x02\x01\x03\x30" + bytes(range(256)) * 10)
    house.work()
    status = house.client("ann").document("/ACME-1/.meta/key.pfx.status.json")
    assert status["state"] == "quarantined"
    assert status["what_to_do"]
