"""Tell a person what a report says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrubber.rules import load_rules

if TYPE_CHECKING:
    from scrubber.model import ScrubReport

_SHOWN = 20


def summarize(report: ScrubReport, *, places: int = 5) -> str:
    """Give a few lines of text: what was replaced, up to *places* places of it, and what could not be looked into."""
    lines = [
        f"{report.bytes_in:,} bytes in, {report.bytes_out:,} bytes out, members looked into: {report.members:,}",
        *_counts(report),
        *_places(report, places),
        *_obstacles(report),
        f"rules {report.rules}, engine {report.engine}",
    ]
    return "\n".join(lines) + "\n"


def _counts(report: ScrubReport) -> list[str]:
    if not report.counts:
        return ["nothing was replaced"]
    described = {rule.rule.id: rule.rule for rule in load_rules().rules}
    lines = [f"{report.total:,} replaced:"]
    for name, count in sorted(report.counts.items(), key=lambda item: (-item[1], item[0])):
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


def _obstacles(report: ScrubReport) -> list[str]:
    if not report.obstacles:
        return []
    lines = ["could not be looked into, so nothing of it is passed on:"]
    lines += [f"  {obstacle.member}: {obstacle.reason}" for obstacle in report.obstacles[:_SHOWN]]
    if len(report.obstacles) > _SHOWN:
        lines.append(f"  and {len(report.obstacles) - _SHOWN:,} more")
    return lines
