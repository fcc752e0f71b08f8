"""Write reports as SARIF 2.1.0 (OASIS Standard, 27 March 2020), the format that code scanners and their viewers share.

One run for all reports given. A result is a replaced place in the *output*, by bytes; a member of an archive is an
artifact of its own below its container; what was held back, or not looked into, is a notification of the invocation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scrubber.rules import known_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrubber.model import Finding, Obstacle, ScrubReport, Unseen

VERSION = "2.1.0"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "keyedValue/v1"
"""The name of the fingerprint: HMAC-SHA256 of the value under the report's key, cut to 48 bits."""
_LEVELS = {"secret": "error", "personal": "warning"}
_NOTIFICATIONS = (
    ("quarantined", "It could not be looked into; nothing of it is passed on."),
    ("not-looked-into", "It was passed on without having been looked into, as the profile allows."),
    ("places-left-out", "More places were replaced than are listed."),
)


def to_sarif(reports: Sequence[ScrubReport]) -> dict[str, Any]:
    """Give one SARIF log for *reports*, as plain JSON values."""
    rules = _Rules(reports)
    artifacts = _Artifacts()
    results: list[dict[str, Any]] = []
    notifications: list[dict[str, Any]] = []
    for report in reports:
        artifacts.add_top(report)
        results += [_result(finding, rules, artifacts) for finding in report.findings]
        notifications += [_quarantined(each, artifacts) for each in report.obstacles]
        notifications += [_unseen(each, artifacts) for each in report.unseen]
        if report.findings_omitted:
            text = f"{report.findings_omitted} more places were replaced; the counts are of all of them."
            notifications.append(_notification(2, "note", text, artifacts.location(report.name)))
    run = {
        "tool": {
            "driver": {
                "name": "mft scrub",
                "version": reports[0].engine if reports else "",
                "rules": rules.described,
                "notifications": [{"id": name, "shortDescription": {"text": text}} for name, text in _NOTIFICATIONS],
            }
        },
        "invocations": [
            {
                "executionSuccessful": all(report.scannable for report in reports),
                "toolExecutionNotifications": notifications,
            }
        ],
        "artifacts": artifacts.described,
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {"reports": [_properties(report) for report in reports]},
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _properties(report: ScrubReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "engine": report.engine,
        "rules": report.rules,
        "profile": report.profile,
        "key": report.key,
        "counts": dict(report.counts),
        "bytesScanned": report.bytes_scanned,
    }


class _Rules:
    """The rules that found something, with their places in the list."""

    def __init__(self, reports: Sequence[ScrubReport]) -> None:
        known = known_rules()
        names = sorted({name for report in reports for name in report.counts})
        self.index = {name: number for number, name in enumerate(names)}
        self.level: dict[str, str] = {}
        self.described: list[dict[str, Any]] = []
        for name in names:
            rule = known.get(name)
            category = rule.category if rule is not None else "personal"
            self.level[name] = _LEVELS[category]
            text = rule.description if rule is not None else "A rule of another version."
            self.described.append(
                {
                    "id": name,
                    "shortDescription": {"text": text},
                    "defaultConfiguration": {"level": _LEVELS[category]},
                    "properties": {"category": category},
                }
            )


class _Artifacts:
    """Files and members, each once; a member after the container that it is in (section 3.24.3)."""

    def __init__(self) -> None:
        self.described: list[dict[str, Any]] = []
        self._index: dict[str, int] = {}

    def add_top(self, report: ScrubReport) -> None:
        """Add the upload itself, with size and digest of its output where there is one."""
        top = self.described[self._add(report.name)]
        if not report.scannable:
            return
        top["length"] = report.bytes_out
        top["hashes"] = {"sha-256": report.sha256_out}

    def location(self, member: str) -> dict[str, Any]:
        """Give an artifactLocation."""
        return {"uri": _uri(member), "index": self._add(member)}

    def _add(self, member: str) -> int:
        if member in self._index:
            return self._index[member]
        artifact: dict[str, Any] = {"location": {"uri": _uri(member)}}
        container, mark, _ = member.rpartition("!")
        if mark and container:
            artifact["parentIndex"] = self._add(container)
        self._index[member] = len(self.described)
        self.described.append(artifact)
        return self._index[member]


def _uri(member: str) -> str:
    """Write a member chain as a relative reference (RFC 3986): `bundle.tar!/var/log/x` stays readable."""
    text = quote(member.encode("utf-8", "replace"), safe="/!~@$&'()*+,;=-._")
    return text if not text.startswith("//") else "/." + text


def _result(finding: Finding, rules: _Rules, artifacts: _Artifacts) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index[finding.rule],
        "level": rules.level[finding.rule],
        "message": {"text": f"A value that rule {finding.rule} finds was replaced."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": artifacts.location(finding.member),
                    "region": {"byteOffset": finding.offset, "byteLength": finding.length},
                }
            }
        ],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
    }


def _quarantined(obstacle: Obstacle, artifacts: _Artifacts) -> dict[str, Any]:
    text = f"{obstacle.reason}. {obstacle.advice}" if obstacle.advice else obstacle.reason
    return _notification(0, "error", text, artifacts.location(obstacle.member))


def _unseen(unseen: Unseen, artifacts: _Artifacts) -> dict[str, Any]:
    return _notification(1, "warning", unseen.reason, artifacts.location(unseen.member))


def _notification(index: int, level: str, text: str, location: dict[str, Any]) -> dict[str, Any]:
    return {
        "descriptor": {"id": _NOTIFICATIONS[index][0], "index": index},
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": {"artifactLocation": location}}],
    }
