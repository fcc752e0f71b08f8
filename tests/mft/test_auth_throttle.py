"""Counting failed logins."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from mft.auth.throttle import Throttle
from mft.catalog.database import Database
from mft.catalog.model import FAILURES
from mft.catalog.schema import upgrade
from mft.config import ThrottleConfig
from protocols.errors import ThrottledError
from tests.mft.gatehouse import KEY, START, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = ThrottleConfig(
    account_failures=3, account_window=60.0, network_failures=5, network_window=60.0, lockout=600.0
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    upgrade(tmp_path / "catalog.db")
    opened = Database(tmp_path / "catalog.db")
    yield opened
    opened.close()


@pytest.fixture
def throttle(database: Database, clock: Clock) -> Throttle:
    return Throttle(database, SETTINGS, key=KEY, clock=clock)


def fail(throttle: Throttle, database: Database, peer: str, login: str | None = None) -> tuple[str, ...]:
    with database.write() as connection:
        return throttle.failed(connection, throttle.attempt(peer, login))


def is_locked(throttle: Throttle, peer: str, login: str | None = None) -> bool:
    try:
        throttle.refuse_locked(throttle.attempt(peer, login))
    except ThrottledError:
        return True
    return False


def test_account_is_locked_after_its_failures_from_anywhere(throttle, database):
    """Failures from several networks lock the account everywhere, and no other account."""
    for number in range(2):
        assert fail(throttle, database, f"192.0.2.{number}", "alice") == ()
    assert not is_locked(throttle, "203.0.113.9", "alice")
    assert fail(throttle, database, "192.0.2.7", "alice") == ("account",)
    assert is_locked(throttle, "203.0.113.9", "alice")
    assert is_locked(throttle, "203.0.113.9", "ALICE")
    assert not is_locked(throttle, "203.0.113.9", "bob")
    assert not is_locked(throttle, "203.0.113.9")


def test_network_is_locked_after_failures_of_any_account(throttle, database):
    """One address that tries many logins is locked for all, and its neighbours are not."""
    locked = [fail(throttle, database, "192.0.2.1", f"login{number}") for number in range(5)]
    assert locked == [(), (), (), (), ("network",)]
    assert is_locked(throttle, "192.0.2.1", "somebody-else")
    assert not is_locked(throttle, "192.0.2.2", "somebody-else")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("", "somewhere", False),
    ],
)
def test_network_is_a_64_or_one_ipv4_address(throttle, one, other, same):
    """IPv6 counts by /64, IPv4 by address however it is written; what is no address counts as it is."""
    assert (throttle.attempt(one).network == throttle.attempt(other).network) is same


def test_lock_tells_when_it_ends_and_ends(throttle, database, clock):
    """The refusal says how long; after that the account may fail as often as before."""
    for _ in range(3):
        fail(throttle, database, "192.0.2.1", "alice")
    clock.seconds += 100
    with pytest.raises(ThrottledError) as caught:
        throttle.refuse_locked(throttle.attempt("203.0.113.9", "alice"))
    assert caught.value.retry_after == 500
    clock.seconds += 500
    assert not is_locked(throttle, "203.0.113.9", "alice")
    assert fail(throttle, database, "198.51.100.1", "alice") == ()
    assert fail(throttle, database, "198.51.100.2", "alice") == ()
    assert fail(throttle, database, "198.51.100.3", "alice") == ("account",)


def test_failures_of_an_old_window_do_not_count(throttle, database, clock):
    """Two mistakes an hour never lock anybody."""
    for _ in range(5):
        for _ in range(2):
            assert fail(throttle, database, "192.0.2.1", "alice") == ()
        clock.seconds += 61


def test_success_clears_the_account_and_not_the_network(throttle, database):
    """Who logs in at last has a clean account; the address keeps its count."""
    fail(throttle, database, "192.0.2.1", "alice")
    fail(throttle, database, "192.0.2.1", "alice")
    with database.write() as connection:
        throttle.succeeded(connection, "alice")
    assert fail(throttle, database, "192.0.2.1", "alice") == ()
    assert fail(throttle, database, "192.0.2.1", "alice") == ()
    assert fail(throttle, database, "192.0.2.1", "bob") == ("network",)


def test_lock_of_a_wrong_clock_holds_nobody(throttle, database, clock):
    """A lock that was set while the clock stood a day ahead does not last that day."""
    clock.seconds = START + 86_400
    for _ in range(3):
        fail(throttle, database, "192.0.2.1", "alice")
    clock.seconds = START
    assert not is_locked(throttle, "203.0.113.9", "alice")
    assert fail(throttle, database, "198.51.100.1", "alice") == ()


def test_catalog_tells_no_login(throttle, database):
    """The counts hold a keyed hash of the login: an unknown one may be a password typed into the wrong field."""
    fail(throttle, database, "192.0.2.1", "hunter2-is-my-password")
    with database.read() as connection:
        subjects = connection.execute(select(FAILURES.c.subject)).scalars().all()
    assert len(subjects) == 2
    assert not any("hunter2" in subject for subject in subjects)


def test_purge_drops_what_is_over_and_keeps_locks(throttle, database, clock):
    """Old counts go; a lock stays for its time."""
    for _ in range(3):
        fail(throttle, database, "192.0.2.1", "alice")
    fail(throttle, database, "192.0.2.2", "bob")
    clock.seconds += 100
    throttle.purge()
    with database.read() as connection:
        assert len(connection.execute(select(FAILURES.c.subject)).all()) == 1
    assert is_locked(throttle, "203.0.113.9", "alice")


def test_nothing_is_counted_when_switched_off(database, clock):
    """A throttle that is off counts nothing and locks nobody."""
    throttle = Throttle(database, ThrottleConfig(enabled=False, account_failures=1), key=KEY, clock=clock)
    assert fail(throttle, database, "192.0.2.1", "alice") == ()
    assert not is_locked(throttle, "192.0.2.1", "alice")


def _fail_elsewhere(path: Path, times: int) -> None:
    database = Database(path)
    throttle = Throttle(database, SETTINGS, key=KEY, clock=Clock())
    for number in range(times):
        fail(throttle, database, f"198.51.100.{number}", "alice")
    database.close()


def test_workers_count_together(throttle, database):
    """Failures in two other processes lock the account in this one."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fail_elsewhere, args=(database.path, times)) for times in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert is_locked(throttle, "203.0.113.9", "alice")
