"""Reports as SARIF: the standard's own rules, every place and number of a report, and never a value."""

from __future__ import annotations

import io
import json
import re
import tarfile

import jsonschema_rs
import pytest

from scrubber.model import Obstacle, ScrubReport, Unseen
from scrubber.sarif import FINGERPRINT, to_sarif
from tests.scrubber.sarif_constraints import LOG

TEXT = b"login anna.berg@corp-mail.de from 81.2.69.77\npassword=hunter2-tr0ub4dor\n"
_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-F]{2})+")


def bundle():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("var/log/größe 1.log")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT))
    return packed.getvalue()


@pytest.fixture(scope="module")
def reports(scrubbed):
    plain = scrubbed(TEXT, "a.log")[1]
    changed = plain.to_dict() | {
        "name": "b.zip",
        "findings": [],
        "findings_omitted": 3,
        "obstacles": [Obstacle(member="b.zip!/x.7z", reason="it is encrypted", advice="Send it plain.").to_dict()],
        "unseen": [Unseen(member="b.zip!/y.png", reason="pixels").to_dict()],
    }
    return [plain, scrubbed(bundle(), "c.tar.gz")[1], ScrubReport.from_dict(changed)]


def check_log(log):
    """Hold a log to what the standard demands of the properties that we write (sections 3.13 to 3.58)."""
    assert (log["version"], log["$schema"].endswith("sarif-schema-2.1.0.json")) == ("2.1.0", True)
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"]
        assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
        for rule in driver["rules"]:
            assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
            assert rule["shortDescription"]["text"].endswith(".")
        for number, artifact in enumerate(run["artifacts"]):
            assert _REFERENCE.fullmatch(artifact["location"]["uri"])
            assert artifact.get("parentIndex", -1) < number
            assert artifact.get("length", 0) >= 0
        for result in run["results"]:
            assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["message"]["text"]
            place = result["locations"][0]["physicalLocation"]
            check_location(place["artifactLocation"], run)
            assert place["region"]["byteOffset"] >= 0
            assert place["region"]["byteLength"] > 0
            assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
        for invocation in run["invocations"]:
            assert isinstance(invocation["executionSuccessful"], bool)
            for told in invocation["toolExecutionNotifications"]:
                assert driver["notifications"][told["descriptor"]["index"]]["id"] == told["descriptor"]["id"]
                assert told["level"] in {"none", "note", "warning", "error"}
                assert told["message"]["text"]
                check_location(told["locations"][0]["physicalLocation"]["artifactLocation"], run)


def check_location(location, run):
    assert run["artifacts"][location["index"]]["location"]["uri"] == location["uri"]


def test_log_keeps_the_standards_rules(reports):
    """Indices point to what they name, references are references, levels are the standard's words."""
    check_log(to_sarif(reports))
    check_log(to_sarif([]))


_VALIDATOR = jsonschema_rs.validator_for(LOG, validate_formats=True)


def test_log_has_the_standards_form(reports):
    """Only properties that the standard's objects have, each with a value of its type; what is required is there."""
    for some in (reports, reports[:1], []):
        _VALIDATOR.validate(json.loads(json.dumps(to_sarif(some))))


@pytest.mark.parametrize(
    "path",
    [
        ("version",),
        ("runs", 0, "tool", "driver", "name"),
        ("runs", 0, "invocations", 0, "executionSuccessful"),
        ("runs", 0, "results", 0, "message"),
        ("runs", 0, "results", 0, "message", "text"),
        ("runs", 0, "results", 0, "locations", 0, "physicalLocation", "artifactLocation"),
        ("runs", 0, "tool", "driver", "rules", 0, "id"),
    ],
)
def test_form_is_not_kept_without_what_is_required(reports, path):
    """The constraints can fail: a property that the standard requires is missed, and one that it does not know, too."""
    log = json.loads(json.dumps(to_sarif(reports)))
    place = log
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    assert not _VALIDATOR.is_valid(log)
    log = json.loads(json.dumps(to_sarif(reports)))
    place = log
    for step in path[:-1]:
        place = place[step]
    place["unheard"] = 1
    assert not _VALIDATOR.is_valid(log)


def test_every_finding_is_a_result_in_its_place(reports):
    """Rule, bytes and fingerprint are the report's; a member stands below its container."""
    (run,) = to_sarif(reports)["runs"]
    findings = [finding for report in reports for finding in report.findings]
    assert len(run["results"]) == len(findings) > 4
    for result, finding in zip(run["results"], findings, strict=True):
        region = result["locations"][0]["physicalLocation"]["region"]
        assert (result["ruleId"], region["byteOffset"], region["byteLength"]) == (
            finding.rule,
            finding.offset,
            finding.length,
        )
        assert result["partialFingerprints"] == {FINGERPRINT: finding.fingerprint}
    inner = next(a for a in run["artifacts"] if "gr%C3%B6%C3%9Fe%201.log" in a["location"]["uri"])
    container = run["artifacts"][inner["parentIndex"]]
    assert container["location"]["uri"] == "c.tar.gz"
    assert "parentIndex" not in container


def test_what_was_held_back_or_not_looked_into_is_a_notification(reports):
    """An obstacle is an error with its advice, unseen content a warning, places left out a note."""
    (run,) = to_sarif(reports)["runs"]
    told = run["invocations"][0]["toolExecutionNotifications"]
    assert [(each["descriptor"]["id"], each["level"]) for each in told] == [
        ("quarantined", "error"),
        ("not-looked-into", "warning"),
        ("places-left-out", "note"),
    ]
    assert told[0]["message"]["text"] == "it is encrypted. Send it plain."
    assert run["invocations"][0]["executionSuccessful"] is False
    sized = {each["location"]["uri"] for each in run["artifacts"] if "length" in each and "hashes" in each}
    assert sized == {"a.log", "c.tar.gz"}  # of what was held back there is no output


def test_log_names_rules_engine_profile_and_key_and_no_value(reports):
    """Whoever reads it knows what was done with which rules under which key, and none of the values."""
    log = to_sarif(reports)
    first = log["runs"][0]["properties"]["reports"][0]
    assert (first["profile"], first["rules"], first["key"]) == ("support", reports[0].rules, reports[0].key)
    text = json.dumps(log)
    assert not any(word in text for word in ("anna.berg", "81.2.69.77", "hunter2"))
