"""What each figure is to reach, and whether it does: the table at the end of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS: Final = "mft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One line: a figure, what it must reach to be released, and what we want."""

    what: str
    seen: float
    ship: float
    aim: float
    less_is_better: bool = False
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Say which of both it reaches."""
        sign = -1 if self.less_is_better else 1
        if sign * self.seen >= sign * self.aim:
            return "aim"
        return "ship" if sign * self.seen >= sign * self.ship else "short"


SPEED: Final = {
    "SFTP down, aes256-gcm": (1.2, 1.6),
    "SFTP up, aes256-gcm": (1.1, 1.5),
    "SFTP down, what both agree on": (2.0, 2.5),
    "SFTP up, what both agree on": (2.0, 2.5),
    "SFTP down, 8 clients together": (1.5, 2.2),
    "SFTP up, 8 clients together": (1.5, 2.2),
    "HTTPS down": (0.9, 1.0),
    "HTTPS up": (0.9, 1.0),
    "FTPS down": (0.9, 1.2),
    "FTPS up": (0.9, 1.1),
    "WebDAV down": (0.8, 1.0),
    "WebDAV up": (0.8, 1.0),
}
"""How many times as fast as the peer, without the session's set-up."""
PROCESSOR: Final = {"SFTP down, aes256-gcm": (0.7, 0.4), "SFTP up, aes256-gcm": (0.95, 0.7)}
"""The server's processor seconds by the peer's, at most."""
LISTING: Final = (1.0, 2.0)
LONG_WAY: Final = (8.0, 15.0)
SMALL: Final = {"put": (0.35, 0.7), "get": (0.7, 1.2)}
IDLE_MB: Final = (1500.0, 300.0)
"""Of a thousand idle SFTP sessions, at most."""


def goals_of(report: dict[str, Any]) -> list[Goal]:
    """Return the lines for which *report* has figures."""
    return [*_transfers(report), *_others(report)]


def _transfers(report: dict[str, Any]) -> Iterator[Goal]:
    for comparison in report.get("transfers", []):
        title, row = comparison["title"], comparison["servers"].get(OURS)
        if row is None or row["net_ratio"] is None:
            continue
        if title in SPEED:
            ship, aim = SPEED[title]
            yield Goal(what=f"{title}: speed, net", seen=row["net_ratio"], ship=ship, aim=aim)
        if title in PROCESSOR:
            ship, aim = PROCESSOR[title]
            seen = row["processor_ratio"]
            yield Goal(what=f"{title}: CPU s/GiB", seen=seen, ship=ship, aim=aim, less_is_better=True)


def _others(report: dict[str, Any]) -> Iterator[Goal]:
    for comparison in report.get("listings", {}).get("folders", []):
        row = comparison["servers"].get(OURS)
        if row is not None and row["net_ratio"] is not None:
            ship, aim = LISTING
            yield Goal(what=f"ls of {comparison['title']}: speed, net", seen=row["net_ratio"], ship=ship, aim=aim)
    for row in report.get("wan", {}).get("rows", []):
        ship, aim = LONG_WAY
        yield Goal(what=f"100 ms, {row['loss']} % lost, {row['way']}", seen=row["ratio"], ship=ship, aim=aim)
    for what, seen in report.get("small", {}).get("ratios", {}).items():
        ship, aim = SMALL[what]
        yield Goal(what=f"files of 4 KiB, {what} -r: speed, net", seen=seen, ship=ship, aim=aim)
    idle = report.get("idle")
    if idle is not None:
        ship, aim = IDLE_MB
        seen = idle["megabytes_before"] + idle["kilobytes_each"]  # of a thousand: kB each are MB together
        yield Goal(what="1,000 idle SFTP sessions", seen=seen, ship=ship, aim=aim, less_is_better=True, unit=" MB")


def goal_lines(report: dict[str, Any]) -> list[str]:
    """Return the table; nothing where there is nothing to compare."""
    goals = goals_of(report)
    if not goals:
        return []
    width = max(len(goal.what) for goal in goals)
    lines = ["against what is wanted (times the peer's; CPU and memory: at most)"]
    lines += [f"  {'':<{width}} {'seen':>9} {'ship':>9} {'aim':>9}"]
    for goal in goals:
        digits = 0 if goal.unit else 2
        cells = (f"{value:.{digits}f}{goal.unit}" for value in (goal.seen, goal.ship, goal.aim))
        lines.append(f"  {goal.what:<{width}} " + " ".join(f"{cell:>9}" for cell in cells) + f"  {goal.verdict}")
    return lines
