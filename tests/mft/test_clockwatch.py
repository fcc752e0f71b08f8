"""A clock that jumps ahead destroys nothing for a day."""

from __future__ import annotations

import logging

import pytest

from mft.clockwatch import PAUSE, ClockWatch
from tests.core import running_core

DAY = 24 * 3600.0


class Clocks:
    """A clock on the wall that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.offset, self.ticks = 1_790_000_000.0, 0.0

    def pass_by(self, seconds: float) -> None:
        self.ticks += seconds

    def wall(self) -> float:
        return self.offset + self.ticks

    def running(self) -> float:
        return self.ticks


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def database(tmp_path):
    with running_core(tmp_path) as core:
        yield core.database


def watch(database, clocks):
    return ClockWatch(database, wall=clocks.wall, running=clocks.running)


def test_time_that_passes_is_no_jump(database, clocks):
    """For years, and where a time server corrects it."""
    clock = watch(database, clocks)
    for _ in range(40):
        clocks.pass_by(30 * DAY)
        clocks.offset += 5.0
        assert clock.is_steady()


def test_jump_ahead_stays_what_is_destroyed_for_a_day(database, clocks, caplog):
    """It is said once; after the day the clock is believed, and a next jump is one again."""
    clock = watch(database, clocks)
    assert clock.is_steady()
    clocks.offset += 400 * DAY
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert not clock.is_steady()
            clocks.pass_by(PAUSE / 4)
    assert [record.message for record in caplog.records] == ["clock.jumped"]
    assert not clock.is_steady()
    clocks.pass_by(PAUSE / 4)
    assert clock.is_steady()
    clocks.offset += 2 * DAY
    assert not clock.is_steady()


def test_clock_that_is_mended_is_believed_at_once(database, clocks):
    """Back to the time that it was; and a clock that was set back destroys nothing early."""
    clock = watch(database, clocks)
    clocks.offset += 400 * DAY
    assert not clock.is_steady()
    clocks.offset -= 400 * DAY
    assert clock.is_steady()
    clocks.offset -= 10 * DAY
    assert clock.is_steady()


def test_jump_while_the_server_was_off_is_one(database, clocks):
    """What was kept when it last ran tells; a short stop does not."""
    assert watch(database, clocks).is_steady()
    clocks.pass_by(3600.0)
    assert watch(database, clocks).is_steady()
    clocks.offset += 3 * DAY
    clock = watch(database, clocks)
    assert not clock.is_steady()
    clocks.pass_by(PAUSE)
    assert clock.is_steady()


def test_nothing_is_given_up_while_the_clock_is_not_believed(tmp_path, nursery):
    """A partial upload past its time stays until the clock is steady."""
    with running_core(tmp_path, nursery, landing={"partial_ttl": "1ms"}) as core:
        core.client("ann").cut("/ACME-1/to-support/part.log", b"the beginning\n")
        sweep = core._intake._sweep
        believed = [False]
        sweep._is_steady = lambda: believed[0]
        sweep.run()
        assert core.states() == ["interrupted"]
        believed[0] = True
        sweep.run()
        assert core.states() == ["expired"]
