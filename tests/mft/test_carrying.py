"""Landing logs follow the rules too: what waits in quarantine, in a box or half received lies where it may alone."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from mft.catalog.model import LANDING_MOVES
from mft.demo.cipherzip import encrypted_zip
from mft.holds import Holds
from mft.intake import service as intake_service
from mft.provenance import make_report, read_history
from mft.quarantine import Quarantine, Verdict
from mft.verification.landings import Landings
from protocols.errors import FileSystemError
from storage.errors import StoreUnavailableError
from storage.store import new_object_key
from tests.core import running_core, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.core import Core

IN = "/ACME-1/to-support"
PASSPHRASE = "sesam-öffne-dich"
BROKEN = b"\x1f\x8b\x08\x00" + bytes(6) + b"no deflate stream" * 10
RULES: dict[str, Any] = {
    "residency": {
        "rules": [
            {"match": {"classification": "eu-only"}, "home": "eu", "copies": []},
            {
                "match": {"classification": "us-only"},
                "home": "us",
                "metadata_regions": ["eu"],
                "reason": "the contract",
            },
        ],
    },
    "replication": {"retry_first": "10ms", "retry_max": "10ms"},
    "lookup": {"ttl": 0, "negative_ttl": 0, "stale_if_error": 0},
}


@pytest.fixture
def house(tmp_path: Path, nursery: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Core]:
    monkeypatch.setattr(intake_service, "REST_SECONDS", 0.0)
    with running_core(tmp_path, nursery, **RULES) as house:
        yield house


def change(house: Core, **facts: object) -> None:
    house.system.change_case("ACME-1", facts)
    house.intake.placing.flag("ACME-1")


def settle(house: Core) -> None:
    """Let everything happen that waits."""
    house.intake.placing.review_flagged()
    until(lambda: house.work() or not moves(house))


def moves(house: Core) -> list[Any]:
    with house.database.read() as connection:
        return list(connection.execute(select(LANDING_MOVES)))


def logs(house: Core) -> dict[str, int]:
    """Say for each region how many landing logs, whole or on their way, lie there."""
    zones = {name: region.landing for name, region in house.config.regions.items()}
    counts = {name: len([path for path in zone.iterdir() if path.is_file()]) for name, zone in zones.items()}
    return {name: count for name, count in counts.items() if count}


def report(house: Core) -> dict[str, Any]:
    with house.database.read() as connection:
        history = read_history(connection, "acme")
    return make_report(history, customer="acme", now=dt.datetime.now(dt.UTC))


def quarantine(house: Core) -> Any:
    """Put a file into quarantine and return its row."""
    house.client("ann").put(f"{IN}/a.gz", BROKEN)
    house.work()
    (row,) = house.rows()
    assert row.state == "quarantined"
    return row


def test_quarantined_file_goes_with_its_case_to_a_new_home(house):
    """Its log is carried as it is, opens under a key of there, is gone from here; report and audit say when and why."""
    before = quarantine(house)
    sealed = (house.config.regions["eu"].landing / f"{before.id}.landing").read_bytes()
    change(house, classification="us-only")
    settle(house)
    (row,) = house.rows()
    assert (row.state, row.region, logs(house)) == ("quarantined", "us", {"us": 1})
    assert (house.config.regions["us"].landing / f"{row.id}.landing").read_bytes() == sealed
    assert house.parts.landed.open(row).read(0, row.size) == BROKEN
    (moved,), (gone,) = house.events("landing.moved"), house.events("landing.withdrawn")
    assert (moved["upload"], moved["source"], moved["region"]) == (row.id, "eu", "us")
    assert (gone["upload"], gone["region"]) == (row.id, "eu")
    made = report(house)
    stays = [(stay["region"], stay["how"], stay["ended"]) for stay in made["objects"][0]["stays"]]
    assert stays == [("eu", "landed", "withdrawn"), ("us", "moved", None)]
    assert (made["violations"], made["totals"]["withdrawals"], made["totals"]["pending"]) == ([], 1, 0)


def test_quarantined_file_is_released_at_its_new_home(house):
    """Two releasers decide after it was moved: it is stored there, byte for byte, and nowhere else."""
    quarantine(house)
    change(house, classification="us-only")
    settle(house)
    deciders = Quarantine(database=house.database, trail=house.parts.trail, approvals=2)
    for login in ("rita", "rolf"):
        deciders.vote(house.rows()[0].id, Verdict.RELEASE, login=login, reason="looked at by hand")
    settle(house)
    assert house.states() == ["stored"]
    assert house.client("eve", "us").get(f"{IN}/a.gz") == BROKEN
    assert not any(path.is_file() for path in house.config.regions["eu"].store.path.rglob("*"))


def test_attempt_that_was_left_keeps_no_key_of_the_region_that_a_quarantined_file_left(house):
    """A try to store it that failed, before it was held back, is given up at once: the key it was for is shredded."""
    row = quarantine(house)
    scrubbing = house.intake._scrubbing
    scrubbing._new_body(row, scrubbing._book.tree(row.case_id), new_object_key())
    change(house, classification="us-only")
    settle(house)
    house.intake._sweep.clear_attempts()
    house.intake.placing.flag("ACME-1")
    settle(house)
    assert [event["region"] for event in house.events("key.shredded")] == ["eu"]


def test_what_is_decided_is_carried_out_before_the_log_is_moved(house):
    """A decision that came first is not lost to a move: the file is stored at the new home, from where it lay."""
    row = quarantine(house)
    house.system.change_case("ACME-1", {"classification": "us-only"})
    house.intake.placing.review("ACME-1")
    deciders = Quarantine(database=house.database, trail=house.parts.trail, approvals=2)
    for login in ("rita", "rolf"):
        deciders.vote(row.id, Verdict.RELEASE, login=login, reason="looked at by hand")
    house.intake._carrying.carry(row.landing_id)
    assert (house.rows()[0].region, moves(house)[0].last_error) == ("eu", "CarryPausedError")
    settle(house)
    assert house.states() == ["stored"]
    assert house.client("eve", "us").get(f"{IN}/a.gz") == BROKEN


def test_quarantined_file_stays_where_it_may(house):
    """A case that only loses its copies keeps what lies at home."""
    quarantine(house)
    change(house, classification="eu-only")
    settle(house)
    assert (house.rows()[0].region, logs(house), house.events("landing.moved")) == ("eu", {"eu": 1}, [])


def test_carrying_goes_on_after_the_disk_has_failed_midway(house):
    """What a failed attempt left is replaced; the log is in one region before and in one after, never lost."""
    quarantine(house)
    house.system.change_case("ACME-1", {"classification": "us-only"})
    house.intake.placing.review("ACME-1")
    left = itertools.count()

    def pace(_source: str, _target: str) -> Any:
        def wait(_count: int) -> None:
            if next(left) < 2:
                raise StoreUnavailableError("the disk failed")

        return wait

    house.intake._carrying._pace = pace
    house.intake._carrying.carry(house.rows()[0].landing_id)
    assert (house.rows()[0].region, logs(house)) == ("eu", {"eu": 1, "us": 1})
    assert moves(house)[0].last_error == "StoreUnavailableError"
    settle(house)
    (row,) = house.rows()
    assert (row.region, logs(house)) == ("us", {"us": 1})
    assert house.parts.landed.open(row).read(0, row.size) == BROKEN


def test_log_that_was_not_taken_away_before_a_crash_is_taken_away_after_it(house):
    """The row that says where something is left outlives the process; verification counts it as no stranger's."""
    row = quarantine(house)
    house.system.change_case("ACME-1", {"classification": "us-only"})
    house.intake.placing.review("ACME-1")
    eu = house.parts.zones["eu"]
    destroy, eu.destroy = eu.destroy, _fail
    house.intake._carrying.carry(row.landing_id)
    assert (house.rows()[0].region, logs(house), moves(house)[0].left_in) == ("us", {"eu": 1, "us": 1}, "eu")
    looking = Landings(
        database=house.database, zones=house.parts.zones, landed=house.parts.landed, host=house.parts.node,
        locked=frozenset(), pace=lambda _count: None,
    )  # fmt: skip
    assert list(looking.strangers("eu")) == []
    eu.destroy = destroy
    settle(house)
    assert logs(house) == {"us": 1}
    with house.database.write() as connection:
        connection.execute(update(LANDING_MOVES).values(left_in=""))
    eu.create(row.landing_id, bytes(32)).close()
    assert list(looking.strangers("eu")) == [row.landing_id]


def _fail(_upload_id: str) -> None:
    raise StoreUnavailableError("the disk failed")


def test_move_that_is_not_wished_any_more_is_undone(house):
    """The rule is taken back while the log is on its way: it stays where it was, and nothing is left elsewhere."""
    row = quarantine(house)
    house.system.change_case("ACME-1", {"classification": "us-only"})
    house.intake.placing.review("ACME-1")

    def pace(_source: str, _target: str) -> Any:
        return lambda _count: house.system.change_case("ACME-1", {"classification": "eu-only"})

    house.intake._carrying._pace = pace
    house.intake._carrying.carry(row.landing_id)
    assert house.rows()[0].region == "eu"
    settle(house)
    assert (house.rows()[0].region, logs(house), house.events("landing.moved")) == ("eu", {"eu": 1}, [])
    assert house.parts.landed.open(house.rows()[0]).read(0, row.size) == BROKEN


def test_box_goes_with_its_customer_to_a_new_home(house):
    """What names no case lies at its sender's home alone, wherever that is; it can be assigned there."""
    house.client("ann").put("/notes.log", b"something\n")
    assert logs(house) == {"eu": 1}
    house.system.put_customer({"id": "acme", "name": "Acme Corp", "home_region": "us"})
    for _number in house.intake.placing.review_all():
        pass
    settle(house)
    (row,) = house.rows()
    assert (row.state, row.region, logs(house)) == ("landed", "us", {"us": 1})
    (waiting,) = house.unfiled.page()
    assert waiting.region == "us"
    entered = house.parts.cases.placed("ACME-1")
    house.unfiled.assign(row.id, entered, by="tina")
    settle(house)
    assert house.states() == ["stored"]
    assert house.client("eve", "us").get(f"{IN}/notes.log") == b"something\n"
    assert not any(path.is_file() for path in house.config.regions["eu"].store.path.rglob("*"))


def test_upload_that_is_being_received_is_taken_from_its_handle(house):
    """It ends as expired, its log is gone at once, what comes after it is refused, and its sender begins anew."""
    handle = house.client("ann").begin(f"{IN}/a")
    handle.write(0, b"first")
    change(house, classification="us-only")
    settle(house)
    (row,) = house.rows()
    assert (row.state, row.reason, logs(house)) == ("expired", "it may not lie there any more", {})
    with pytest.raises(FileSystemError):
        handle.commit()
    handle.abort("refused")
    house.client("ann", "us").put(f"{IN}/a", b"anew\n")
    settle(house)
    assert house.states() == ["expired", "stored"]


def test_held_case_loses_nothing_when_it_moves(house):
    """What a hold keeps of uploads that are over goes along instead of being cleared away."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    house.work()
    holds = Holds(database=house.database, trail=house.parts.trail, lookup=house.parts.lookup)
    holds.set("ACME-1", reason="order 12/26", by="test")
    change(house, classification="us-only")
    settle(house)
    (row,) = house.rows()
    assert (row.state, row.region, row.landing_gone_at, logs(house)) == ("stored", "us", None, {"us": 1})
    assert house.parts.landed.open(row).read(0, row.size) == b"content\n"


def test_password_goes_with_its_archive(house):
    """One that waits for its archive is wrapped for the new home, and opens the archive there: eu's key is shredded."""
    house.client("ann").put(f"{IN}/first", b"content\n")
    settle(house)
    house.client("ann").put(f"{IN}/bundle.zip.password", PASSPHRASE.encode())
    change(house, classification="us-only")
    settle(house)
    until(lambda: house.work() or len(house.events("key.shredded")) > 0)
    house.client("ann", "us").put(f"{IN}/bundle.zip", encrypted_zip("app.conf", b"plain text\n", PASSPHRASE))
    settle(house)
    assert [row.state for row in house.rows() if row.name == "bundle.zip"] == ["stored"]
