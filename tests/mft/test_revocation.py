"""Withdrawals: told to every process, and found where nobody tells."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from casemap.model import Role
from mft.catalog.model import REVOCATIONS
from mft.revocation import RevocationWatch, SessionSweep, Subject, announce, prune, sweep_interval
from protocols.session import BearerCredential, PasswordCredential
from tests.mft.gatehouse import PASSWORD, Gatehouse, origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mft.catalog.database import Database

PATIENCE = 10.0
"""Seconds until a test gives up; nothing is asserted about how much of it is used."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Gatehouse]:
    gatehouse = Gatehouse(tmp_path / "catalog.db")
    yield gatehouse
    gatehouse.close()


@pytest.fixture
def elsewhere(house: Gatehouse) -> Iterator[Gatehouse]:
    """The same installation as another process sees it."""
    gatehouse = Gatehouse(house.database.path)
    yield gatehouse
    gatehouse.close()


class Heard:
    """What a watch told, and a way to wait for it."""

    def __init__(self) -> None:
        self.rows: list[tuple[Subject, str, str]] = []
        self._changed = threading.Condition()

    def __call__(self, kind: Subject, subject: str, reason: str) -> None:
        with self._changed:
            self.rows.append((kind, subject, reason))
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[tuple[Subject, str, str]]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.rows) >= count, PATIENCE)
            return list(self.rows)


@pytest.fixture
def watching(house: Gatehouse) -> Iterator[Callable[..., RevocationWatch]]:
    watches: list[RevocationWatch] = []

    def start(on: Callable[[Subject, str, str], None], database: Database | None = None) -> RevocationWatch:
        watch = RevocationWatch(database or house.database, poll=0.01, on=on)
        watches.append(watch)
        watch.start()
        return watch

    yield start
    for watch in watches:
        watch.stop()


def tell(database: Database, subject: str, kind: Subject = Subject.PRINCIPAL) -> None:
    with database.write() as connection:
        announce(connection, kind, subject, "because")


def test_rows_are_told_once_in_order_and_from_now_on(house, elsewhere, watching):
    """What was written before the watch is not told; what comes after is, once, in the order of the numbers."""
    tell(house.database, "before")
    heard = Heard()
    watching(heard)
    for number in range(20):
        tell((house, elsewhere)[number % 2].database, f"login{number}")
    rows = heard.wait_for(20)
    assert [subject for _, subject, _ in rows] == [f"login{number}" for number in range(20)]
    assert rows[0] == (Subject.PRINCIPAL, "login0", "because")


def test_more_rows_than_one_look_takes_are_all_told(house, watching):
    """A thousand withdrawals at once are all told, though one look reads fewer."""
    heard = Heard()
    watching(heard)
    with house.database.write() as connection:
        for number in range(1200):
            announce(connection, Subject.CASE, f"CASE-{number}", "closed")
    assert heard.wait_for(1200)[-1][1] == "CASE-1199"


def test_withdrawal_that_is_rolled_back_is_not_told(house, watching):
    """A row is told when its transaction commits, and never if it does not."""
    heard = Heard()
    watching(heard)

    def fail() -> None:
        with house.database.write() as connection:
            announce(connection, Subject.PRINCIPAL, "never", "because")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    tell(house.database, "told")
    assert [subject for _, subject, _ in heard.wait_for(1)] == ["told"]


def test_callback_that_fails_is_called_again(house, watching, caplog):
    """A withdrawal is not lost to a fault of the callback, and the rows behind it do not wait."""
    heard = Heard()
    failures = iter([True, True])

    def stumble(kind: Subject, subject: str, reason: str) -> None:
        if subject == "hard" and next(failures, False):
            raise OSError("not now")
        heard(kind, subject, reason)

    with caplog.at_level(logging.CRITICAL, logger="mft.revocation"):
        watching(stumble)
        tell(house.database, "hard")
        tell(house.database, "easy")
        assert {subject for _, subject, _ in heard.wait_for(2)} == {"hard", "easy"}


def test_row_of_a_newer_release_is_passed_over(house, watching):
    """A kind that this release does not know is no reason to stop."""
    heard = Heard()
    watching(heard)
    with house.database.write() as connection:
        connection.execute(REVOCATIONS.insert().values(kind="planet", subject="x", reason="y", at=1.0))
    tell(house.database, "after")
    assert [subject for _, subject, _ in heard.wait_for(1)] == ["after"]


def test_prune_keeps_the_newest_number(house):
    """Old rows go, but the number of the newest is never given twice."""
    for subject in ("one", "two", "three"):
        tell(house.database, subject)
    with house.database.write() as connection:
        assert prune(connection, time.time() + 60) == 2
    tell(house.database, "four")
    with house.database.read() as connection:
        assert connection.execute(select(REVOCATIONS.c.serial).order_by(REVOCATIONS.c.serial)).scalars().all() == [3, 4]


def wait_until_revoked(session) -> str:
    gone = threading.Event()
    session.when_revoked(lambda _: gone.set())
    assert gone.wait(PATIENCE)
    return session.revoked


def test_disabled_account_loses_its_live_session_in_another_process(house, elsewhere, watching):
    """What one process withdraws ends the session that another holds open."""
    house.accounts.create("alice", roles={Role.ENGINEER}, password=PASSWORD, by="test")
    house.accounts.create("carol", roles={Role.ENGINEER}, password=PASSWORD, by="test")
    watching(elsewhere.authenticator.apply, elsewhere.database)
    session = elsewhere.log_in(PasswordCredential(login="alice", password=PASSWORD), origin())
    other = elsewhere.log_in(PasswordCredential(login="carol", password=PASSWORD), origin())
    house.accounts.disable("alice", by="test")
    assert wait_until_revoked(session) == "the account is disabled"
    assert other.revoked is None


def test_revoked_token_ends_the_sessions_that_it_opened(house, elsewhere, watching):
    """A token's withdrawal ends its sessions elsewhere, and not those of its owner's other token."""
    house.accounts.create("alice", roles={Role.ENGINEER}, by="test")
    minted, kept = (house.tokens.create("alice", by="test") for _ in range(2))
    watching(elsewhere.authenticator.apply, elsewhere.database)
    session, other = (elsewhere.log_in(BearerCredential(token=token.text), origin()) for token in (minted, kept))
    house.tokens.revoke(minted.token.id, by="test")
    assert wait_until_revoked(session) == "token.revoked"
    assert other.revoked is None


def test_new_token_or_key_ends_no_session(house, elsewhere, watching):
    """What only adds a way in disturbs nobody who is in."""
    house.accounts.create("alice", roles={Role.ENGINEER}, password=PASSWORD, by="test")
    heard = Heard()

    def apply(kind: Subject, subject: str, reason: str) -> None:
        elsewhere.authenticator.apply(kind, subject, reason)
        heard(kind, subject, reason)

    watching(apply, elsewhere.database)
    session = elsewhere.log_in(PasswordCredential(login="alice", password=PASSWORD), origin())
    from tests.mft.gatehouse import ED25519

    house.keys.add("alice", ED25519, by="test")
    house.tokens.create("alice", by="test")
    heard.wait_for(2)
    assert session.revoked is None


def test_sweep_ends_a_session_that_the_case_system_withdrew_in_silence(house):
    """Nobody told us, but the sweep asked."""
    from mft.auth.passwords import hash_password

    record = {
        "login": "bob",
        "roles": ["customer"],
        "customer": "acme",
        "password_hash": hash_password(PASSWORD, house.hasher),
    }
    house.cases.replace(record)
    session = house.log_in(PasswordCredential(login="bob", password=PASSWORD), origin())
    sweep = SessionSweep([house.authenticator.recheck], every=0.01)
    sweep.start()
    try:
        house.cases.replace(record | {"active": False})
        assert wait_until_revoked(session) == "the account is disabled"
    finally:
        sweep.stop()


def test_sweep_goes_on_when_one_recheck_fails(caplog):
    """One recheck's fault keeps neither the others nor the next round."""
    rounds = threading.Semaphore(0)

    def broken() -> None:
        raise OSError("not now")

    with caplog.at_level(logging.CRITICAL, logger="mft.revocation"):
        sweep = SessionSweep([broken, rounds.release], every=0.001)
        sweep.start()
        try:
            assert all(rounds.acquire(timeout=PATIENCE) for _ in range(3))
        finally:
            sweep.stop()


def test_sweep_comes_often_enough_for_the_bound():
    """Oldest answer and one interval together stay within the bound, and the interval is never absurd."""
    assert 15 + 30 + sweep_interval(bound=60, ttl=15, stale_if_error=30) <= 60
    assert sweep_interval(bound=600, ttl=15, stale_if_error=30) == 15
    assert sweep_interval(bound=45, ttl=15, stale_if_error=30) == 0.25


def test_watch_reads_on_after_the_catalog_failed_it(house, watching, caplog):
    """A look that fails is made again on a new connection; nothing is lost."""
    heard = Heard()
    watch = watching(heard)
    tell(house.database, "one")
    heard.wait_for(1)
    with caplog.at_level(logging.CRITICAL, logger="mft.revocation"):
        connection = watch._connection
        connection.connection.driver_connection.interrupt()
        connection.connection.driver_connection.set_progress_handler(lambda: 1, 1)
        tell(house.database, "two")
        assert [subject for _, subject, _ in heard.wait_for(2)] == ["one", "two"]
    assert watch.silent_for < PATIENCE


def test_watch_that_was_never_started_stops(house):
    """Stopping is safe whether or not the thread ever ran."""
    RevocationWatch(house.database, on=Heard()).stop()
    SessionSweep([], every=1.0).stop()
