"""Tell a person what a report says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrubber.rules import known_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scrubber.model import ScrubReport

_SHOWN = 20


def summarize(report: ScrubReport, *, places: int = 5) -> str:
    """Give a few lines of text: what was replaced, up to *places* places of it, and what could not be looked into."""
    lines = [
        f"{report.bytes_in:,} bytes in, {report.bytes_out:,} bytes out, members looked into: {report.members:,}",
        *count_lines(report.counts),
        *_places(report, places),
        *_unseen(report),
        *_obstacles(report),
        f"profile {report.profile}, key {report.key}, rules {report.rules}, engine {report.engine}",
    ]
    return "\n".join(lines) + "\n"


def count_lines(counts: Mapping[str, int]) -> list[str]:
    """Give a line for each rule that found something, the most frequent first."""
    if not counts:
        return ["nothing was replaced"]
    described = known_rules()
    lines = [f"{sum(counts.values()):,} replaced:"]
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        rule = described.get(name)
        about = f"{rule.category}: {rule.description}" if rule else ""
        lines.append(f"  {count:>8,}  {name:<24}  {about}".rstrip())
    return lines


def _places(report: ScrubReport, places: int) -> list[str]:
    shown = report.findings[:places]
    lines = [f"  {f.member} at {f.offset}: {f.rule}, {f.length} bytes, {f.fingerprint}" for f in shown]
    left = len(report.findings) + report.findings_omitted - len(shown)
    if shown and left:
        lines.append(f"  and {left:,} more places")
    return lines


def _unseen(report: ScrubReport) -> list[str]:
    if not report.unseen:
        return []
    lines = ["passed on without having been looked into:"]
    lines += [f"  {unseen.member}: {unseen.reason}" for unseen in report.unseen[:_SHOWN]]
    if len(report.unseen) > _SHOWN:
        lines.append(f"  and {len(report.unseen) - _SHOWN:,} more")
    return lines


def _obstacles(report: ScrubReport) -> list[str]:
    if not report.obstacles:
        return []
    lines = ["could not be looked into, so nothing of it is passed on:"]
    for obstacle in report.obstacles[:_SHOWN]:
        lines.append(f"  {obstacle.member}: {obstacle.reason}")
        if obstacle.advice:
            lines.append(f"    {obstacle.advice}")
    if len(report.obstacles) > _SHOWN:
        lines.append(f"  and {len(report.obstacles) - _SHOWN:,} more")
    return lines
