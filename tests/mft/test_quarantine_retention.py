"""How long the quarantine keeps what nobody decides about, what wins over that, and releases after a second look."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from mft.catalog.model import UPLOADS
from mft.holds import Holds
from mft.quarantine import Quarantine, Verdict
from tests.core import running_core

IN = "/ACME-1/to-support"
BROKEN = b"\x1f\x8b\x08\x00" + bytes(6) + b"no deflate stream" * 10
WORD = b"Tr0ub4dor-" + b"Qx7vLm2Kp9"


@pytest.fixture
def quarantined(house):
    """Put a file into quarantine, two days ago."""
    house.client("ann").put(f"{IN}/a.gz", BROKEN)
    house.work()
    with house.database.write() as connection:
        connection.execute(update(UPLOADS).values(finished_at=time.time() - 2 * 86400))
    return house


def expire(house, retention):
    house.intake._releasing._retention = retention
    house.intake._releasing.expire()
    (row,) = house.rows()
    return row


def test_past_its_time_it_is_destroyed_with_event_and_receipt(quarantined):
    """State, reason, event and final receipt say so; before its time, and without one, it stays."""
    assert expire(quarantined, 3 * 86400.0).state == "quarantined"
    assert expire(quarantined, None).state == "quarantined"
    row = expire(quarantined, 86400.0)
    assert row.state == "destroyed"
    assert "nobody decided" in row.reason
    (event,) = quarantined.events("upload.destroyed")
    assert (event["upload"], event["why"]) == (row.id, "quarantine.retention")
    assert quarantined.client("ann").document("/ACME-1/.meta/a.gz.receipt.json")["outcome"] == "destroyed"
    assert expire(quarantined, 86400.0).state == "destroyed"


def test_hold_and_decision_win(quarantined):
    """What is under a legal hold, or decided about, is not destroyed by its age."""
    house = quarantined
    holds = Holds(database=house.database, trail=house.parts.trail, lookup=house.parts.lookup)
    holds.set("ACME-1", reason="court order 12/26", by="test")
    assert expire(house, 86400.0).state == "quarantined"
    holds.release("ACME-1", reason="over", by="test")
    quarantine = Quarantine(database=house.database, trail=house.parts.trail, approvals=2)
    (row,) = house.rows()
    for login in ("rita", "rolf"):
        quarantine.vote(row.id, Verdict.RELEASE, login=login, reason="looked at by hand")
    assert expire(house, 86400.0).state == "quarantined"
    house.work()
    assert house.rows()[0].state == "stored"


def test_retention_is_the_configurations(tmp_path, nursery):
    """The key quarantine.retention is what intake goes by; by default ninety days."""
    with running_core(tmp_path, nursery, quarantine={"retention": "2d"}) as core:
        assert core.intake._releasing._retention == 2 * 86400.0


def test_secret_that_stands_bare_elsewhere_goes_in_a_second_run(house):
    """What the first run left is known in the second: the file is stored, and the secret is nowhere in it."""
    house.client("ann").put(f"{IN}/a.log", b"we saw " + WORD + b" go by\npassword=" + WORD + b"\n")
    house.work()
    (row,) = house.rows()
    assert row.state == "stored"
    got = house.client("eve").get(f"{IN}/a.log")
    assert WORD not in got
    assert got.startswith(b"we saw [password:")
    with house.database.read() as connection:
        states = [row[0] for row in connection.exec_driver_sql("SELECT state FROM stored_body ORDER BY state")]
    assert states == ["discarded", "stored"]


def test_what_the_second_look_held_back_is_released_by_two(house):
    """A secret that is part of a longer word is no word of its own: the file is held, and goes out when two agree."""
    sent = b"we saw x" + WORD + b"y go by\npassword=" + WORD + b"\n"
    house.client("ann").put(f"{IN}/a.log", sent)
    house.work()
    (row,) = house.rows()
    assert row.state == "quarantined"
    assert "second look" in row.reason
    assert "password.assignment" in row.reason
    assert WORD.decode() not in row.reason + row.report
    quarantine = Quarantine(database=house.database, trail=house.parts.trail, approvals=2)
    for login in ("rita", "rolf"):
        quarantine.vote(row.id, Verdict.RELEASE, login=login, reason="a test account")
    house.work()
    assert house.client("eve").get(f"{IN}/a.log") == sent
