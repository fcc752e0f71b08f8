"""What a report says of the aims."""

from __future__ import annotations

from typing import Any

from bench.goals import Goal, goal_lines, goals_of


def report() -> dict[str, Any]:
    """Return figures such as a run has."""
    rows = {"mft": {"net_ratio": 1.3, "processor_ratio": 0.8}, "openssh": {"net_ratio": 1.0, "processor_ratio": 1.0}}
    return {
        "transfers": [
            {"title": "SFTP down, aes256-gcm", "servers": rows},
            {"title": "HTTPS up", "servers": {"nginx": rows["openssh"]}},
        ],
        "idle": {"sessions": 200, "megabytes_before": 190.0, "kilobytes_each": 100.0, "megabytes": 210.0},
    }


def test_each_figure_is_held_against_what_must_be_and_what_we_want() -> None:
    """Speed at least, processor time and memory at most; what was not measured has no line."""
    found = {goal.what: goal.verdict for goal in goals_of(report())}
    assert found == {
        "SFTP down, aes256-gcm: speed, net": "ship",
        "SFTP down, aes256-gcm: CPU s/GiB": "short",
        "1,000 idle SFTP sessions": "aim",
    }
    assert goal_lines(report())[-1].split() == [
        "1,000",
        "idle",
        "SFTP",
        "sessions",
        "290",
        "MB",
        "1500",
        "MB",
        "300",
        "MB",
        "aim",
    ]
    assert goal_lines({}) == []


def test_less_is_better_where_it_is() -> None:
    """A limit is reached from above."""
    assert Goal(what="x", seen=0.4, ship=0.7, aim=0.4, less_is_better=True).verdict == "aim"
    assert Goal(what="x", seen=0.71, ship=0.7, aim=0.4, less_is_better=True).verdict == "short"
    assert Goal(what="x", seen=0.9, ship=0.9, aim=1.0).verdict == "ship"
