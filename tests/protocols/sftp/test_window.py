"""Windows that grow with the round trip, and no further than memory allows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from protocols.sftp import connection
from protocols.sftp.window import GrowingWindow, WindowBudget
from tests.protocols.sftp.rig import Rig

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def window(way: float | None, budget: WindowBudget, most: int = 16 * MIB) -> GrowingWindow:
    """Return a window of 2 MiB on a way of *way* seconds, at time 0."""
    return GrowingWindow(2 * MIB, most=most, budget=budget, round_trip=lambda: way, now=0.0)


def fill(grown: GrowingWindow, way: float, *, rate: float = 1 << 40, trips: int = 12) -> int:
    """Have a client send a window in each of *trips* round trips, *rate* bytes a second at most."""
    for trip in range(1, trips + 1):
        grown.took(min(grown.size, int(rate * way)), trip * way * 1.001)
    return grown.size


def test_window_that_is_used_up_in_each_round_trip_grows_to_the_most() -> None:
    """It doubles, as a fast sender over a long way needs."""
    assert fill(window(0.1, WindowBudget(64 * MIB)), 0.1) == 16 * MIB


def test_window_grows_to_twice_what_is_under_way_and_no_further() -> None:
    """A line of 30 MiB a second holds 3 MiB over 100 ms."""
    assert 5 * MIB < fill(window(0.1, WindowBudget(64 * MIB)), 0.1, rate=30 * MIB) <= 6 * MIB


@pytest.mark.parametrize("way", [None, 0.0001])
def test_window_stays_small_nearby_and_where_nobody_knows(way: float | None) -> None:
    """What fits a processor's cache is quickest there."""
    assert fill(window(way, WindowBudget(64 * MIB)), way or 0.1) == 2 * MIB


def test_slow_sender_has_no_use_for_more() -> None:
    """However long the way is."""
    assert fill(window(0.3, WindowBudget(64 * MIB)), 0.3, rate=MIB) == 2 * MIB


def test_all_windows_share_one_budget_and_give_it_back() -> None:
    """What one has taken another cannot have, until the first is closed."""
    budget = WindowBudget(20 * MIB)
    first, second = window(0.1, budget), window(0.1, budget)
    assert fill(first, 0.1) == 16 * MIB
    assert fill(second, 0.1) == 8 * MIB
    first.close()
    first.close()
    assert budget.left == 14 * MIB
    second.close()
    assert budget.left == 20 * MIB


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "aes256-ctr"])
def test_upload_over_a_long_way_is_whole_and_has_a_wider_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cipher: str
) -> None:
    """The short way and asyncssh's own both go by the wider window; the budget is whole again afterwards."""
    widened: list[int] = []
    really = connection.Connection.widen

    def widen(self: connection.Connection, channel: object, size: int) -> None:
        widened.append(size)
        really(self, channel, size)  # type: ignore[arg-type]

    monkeypatch.setattr(connection.Connection, "widen", widen)
    monkeypatch.setattr(connection.Connection, "round_trip", lambda _self: 0.006)
    rig = Rig(tmp_path, window=32 * 1024, largest_window=MIB, window_memory=700 * 1024)
    try:
        content = os.urandom(6_000_001)
        (tmp_path / "big").write_bytes(content)
        command = rig.sftp_command()
        command[1:1] = ["-c", cipher]
        monkeypatch.setattr(rig, "sftp_command", lambda: command)
        done = rig.sftp(f"put {tmp_path / 'big'} /in/big")
        assert done.returncode == 0, done.stderr
        assert rig.tree.content("/in/big") == content
        assert widened
        assert widened == sorted(widened)
        assert widened[-1] <= 732 * 1024
    finally:
        rig.stop()
    assert rig.server._budget.left == 700 * 1024
