"""Where files lie follows where they may lie: withdrawn, asked for, moved, and never put down too late."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from casemap.cached import CachedLookup, CacheSettings
from mft.casesystem import Behaviour
from mft.catalog.model import BODIES, CASE_KEYS, CASES, PSEUDONYM_BOOKS, REPLICAS
from mft.intake import copying as copying_module
from mft.intake import service as intake_service
from mft.provenance import make_report, read_history
from protocols.errors import NotFoundError, RejectedError
from protocols.path import parse_path
from storage.errors import StoreUnavailableError
from tests.core import running_core, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.core import Core

IN = "/ACME-1/to-support"
RULES: dict[str, Any] = {
    "residency": {
        "on_demand": ["in"],
        "rules": [
            {"match": {"classification": "eu-only"}, "home": "eu", "copies": [], "reason": "the contract"},
            {"match": {"classification": "us-only"}, "home": "us", "metadata_regions": ["eu"]},
            {"match": {"kind": "outage"}, "home": "eu", "copies": ["us"], "priority": 1},
        ],
    },
    "replication": {"retry_first": "10ms", "retry_max": "10ms"},
    "lookup": {"ttl": 0, "negative_ttl": 0, "stale_if_error": 0},
}


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_service, "REST_SECONDS", 0.0)
    monkeypatch.setattr(copying_module, "CHECK_SECONDS", 0.0)


@pytest.fixture
def house(tmp_path: Path, nursery: Any) -> Iterator[Core]:
    with running_core(tmp_path, nursery, **RULES) as house:
        yield house


def change(house: Core, number: str = "ACME-1", **facts: object) -> None:
    """Change a case in the case system, which announces it."""
    house.system.change_case(number, facts)
    house.intake.placing.flag(number)


def settle(house: Core) -> None:
    """Let everything happen that waits."""
    house.intake.placing.review_flagged()
    until(lambda: house.work() or not waiting(house))


def waiting(house: Core) -> list[Any]:
    with house.database.read() as connection:
        return list(connection.execute(select(REPLICAS).where(REPLICAS.c.state.in_(["wanted", "leaving"]))))


def states(house: Core) -> dict[str, str]:
    with house.database.read() as connection:
        return {row.region: row.state for row in connection.execute(select(REPLICAS))}


def files(house: Core, region: str) -> list[Path]:
    return [path for path in house.config.regions[region].store.path.rglob("*") if path.is_file()]


def keys(house: Core) -> dict[str, bool]:
    """Say for each region with a key of a case whether it is still there."""
    with house.database.read() as connection:
        return {row.region: row.wrapped is not None for row in connection.execute(select(CASE_KEYS))}


def test_copy_is_withdrawn_when_the_case_may_not_lie_there_any_more(house):
    """Body and slot are deleted there, the case's key of that region is shredded, and the audit says so."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    settle(house)
    assert (len(files(house, "us")), keys(house)) == (2, {"eu": True, "us": True})
    change(house, classification="eu-only")
    settle(house)
    assert files(house, "us") == []
    assert states(house) == {"eu": "present", "us": "withdrawn"}
    assert keys(house) == {"eu": True, "us": False}
    (placed,), (gone,), (shredded,) = (house.events(kind) for kind in ("case.placed", "copy.withdrawn", "key.shredded"))
    assert (placed["copies"], placed["rule"], placed["why"]) == ([], "residency.rules[0]", "the contract")
    assert (gone["region"], shredded["region"]) == ("us", "us")
    with pytest.raises(NotFoundError):
        house.client("eve", "us").get(f"{IN}/a")
    assert house.client("eve").get(f"{IN}/a") == b"content\n"


def test_copy_comes_back_under_a_fresh_key_when_it_may(house):
    """What was shredded stays so: the copy is wrapped under another key of the case."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    settle(house)
    with house.database.read() as connection:
        before = dict(connection.execute(select(CASE_KEYS.c.region, CASE_KEYS.c.wrapped)).all())
    change(house, classification="eu-only")
    settle(house)
    change(house, classification=None)
    settle(house)
    with house.database.read() as connection:
        after = dict(connection.execute(select(CASE_KEYS.c.region, CASE_KEYS.c.wrapped)).all())
    assert (states(house)["us"], before["eu"] == after["eu"], before["us"] == after["us"]) == ("present", True, False)
    assert house.client("eve", "us").get(f"{IN}/a") == b"content\n"
    assert house.events("file.opened")[-1]["served_from"] == "us"


def test_file_goes_with_its_case_to_a_new_home(house):
    """Copied there first, then withdrawn; later uploads land there, under pseudonyms that stay the same."""
    secret = b"mail ann.example@acme.example now\n"
    house.client("ann").put(f"{IN}/a", secret)
    settle(house)
    first = house.client("eve").get(f"{IN}/a")
    change(house, classification="us-only")
    settle(house)
    assert files(house, "eu") == []
    assert keys(house) == {"eu": False, "us": True}
    assert not any(house.config.regions["eu"].landing.rglob("*.landing"))
    house.client("ann", "us").put(f"{IN}/b", secret)
    settle(house)
    assert house.client("eve", "us").get(f"{IN}/a") == house.client("eve", "us").get(f"{IN}/b") == first
    with house.database.read() as connection:
        assert connection.execute(select(PSEUDONYM_BOOKS.c.region)).scalars().all() == ["us"]
    assert files(house, "eu") == []


def test_upload_whose_case_moved_before_it_was_scrubbed_is_stored_at_its_new_home(house):
    """It landed where it could then; what is made of it lies where it may now."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    change(house, classification="us-only")
    settle(house)
    assert (files(house, "eu"), len(files(house, "us"))) == ([], 2)
    assert house.events("upload.stored")[0]["region"] == "us"


def test_upload_that_begins_when_a_case_has_come_back_is_no_violation(house):
    """Another process has noted that it moved, and not yet that it came back: who begins an upload notes that first."""
    client = house.client("ann")
    client.put(f"{IN}/a", b"content\n")
    change(house, classification="us-only")
    house.intake.placing.review_flagged()
    house.system.change_case("ACME-1", {"classification": None})
    client.put(f"{IN}/b", b"content\n")
    assert [event["home"] for event in house.events("case.placed")] == ["us", "eu"]
    with house.database.read() as connection:
        history = read_history(connection, "acme")
    assert make_report(history, customer="acme", now=dt.datetime.now(dt.UTC))["violations"] == []


def test_upload_that_another_process_knows_may_not_lie_here_is_refused(house):
    """What is remembered of a case in one process does not stand against what another one has noted of it."""
    client, fresh = house.client("ann"), house.parts.lookup
    remembering = CachedLookup(fresh, CacheSettings(ttl=20.0, stale_if_error=20.0))
    house.ask(remembering)
    client.put(f"{IN}/a", b"content\n")
    house.ask(fresh)
    house.system.change_case("ACME-1", {"classification": "us-only"})
    house.intake.placing.review("ACME-1")
    house.ask(remembering)
    with pytest.raises((NotFoundError, RejectedError)):
        client.put(f"{IN}/b", b"content\n")


def test_upload_under_way_ends_when_it_may_not_lie_there_any_more(house):
    """The next write is refused with the reason, and what came is let go of."""
    handle = house.client("ann").begin(f"{IN}/a")
    handle.write(0, b"some")
    change(house, classification="us-only", regions=["us"])
    house.parts.cases.recheck_all()
    with pytest.raises((NotFoundError, RejectedError)):
        handle.write(4, b"more")
    handle.abort("refused")
    house.intake.placing.flag("ACME-1")
    settle(house)
    assert house.states() == ["expired"]


def test_copy_under_way_when_the_rule_changes_does_not_come_to_be(house, monkeypatch):
    """The change comes between two pieces, and again between the body and its slot: nothing stays, nothing counts."""
    for moment in ("piece", "slot"):
        house.client("ann").put(f"{IN}/{moment}", b"content of it\n" * 100)
        real = house.parts.objects.copying_store

        def changing(home: str, target: str, pace: Any, *, real: Any = real, moment: str = moment) -> Any:
            def paced(count: int) -> None:
                if moment == "piece":
                    house.system.change_case("ACME-1", {"classification": "eu-only"})
                pace(count)

            store = real(home, target, paced)
            if moment == "slot":
                copy = store.copy

                def late(*arguments: Any, permit: Any, **more: Any) -> Any:
                    def refused() -> None:
                        house.system.change_case("ACME-1", {"classification": "eu-only"})
                        permit()

                    return copy(*arguments, permit=refused, **more)

                monkeypatch.setattr(store, "copy", late)
            return store

        monkeypatch.setattr(house.parts.objects, "copying_store", changing)
        settle(house)
        assert files(house, "us") == []
        assert house.events("copy.verified") == []
        monkeypatch.undo()
        monkeypatch.setattr(intake_service, "REST_SECONDS", 0.0)
        monkeypatch.setattr(copying_module, "CHECK_SECONDS", 0.0)
        change(house, classification="eu-only")
        settle(house)
        house.system.change_case("ACME-1", {"classification": None})


def test_copy_waits_while_nobody_can_say_where_it_may_lie(house):
    """A case system that is silent stops copies, keeps what landed where it is, and takes nothing away."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    working = house.intake._settings
    house.intake._settings = dataclasses.replace(working, copy_workers=0)
    house.work()
    house.intake._settings = working
    house.client("ann").put(f"{IN}/b", b"more\n")
    house.system.behaviour = Behaviour(status=500)
    for _ in range(4):
        house.work()
    assert (files(house, "us"), house.states()) == ([], ["stored", "landed"])
    assert (states(house)["us"], house.events("copy.failed")[0]["why"]) == ("wanted", "CopyPausedError")
    house.system.behaviour = Behaviour()
    settle(house)
    assert states(house) == {"eu": "present", "us": "present"}


def test_copy_is_made_by_what_is_written_down(house):
    """A copy that is allowed again by what the case system says now, and not by the audit, is noted there first."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    working = house.intake._settings
    house.intake._settings = dataclasses.replace(working, copy_workers=0)
    house.work()  # stored, and a copy is wanted in us
    house.intake._settings = working
    with house.database.write() as connection:  # another process noted it elsewhere, no more
        told = connection.execute(select(CASES.c.placement).where(CASES.c.number == "ACME-1")).scalar_one()
        elsewhere = json.dumps(json.loads(told) | {"copies": ["in"]}, sort_keys=True)
        connection.execute(update(CASES).where(CASES.c.number == "ACME-1").values(placement=elsewhere))
    [(key, region)] = house.intake._waiting_copies()
    house.intake._copy_job(key, region)
    kinds = [event["kind"] for event in house.events() if event["kind"] in {"case.placed", "copy.verified"}]
    assert (region, kinds) == ("us", ["case.placed", "copy.verified"])
    settle(house)
    assert states(house) == {"eu": "present", "us": "present"}


def test_copy_goes_where_the_engineer_works_who_gets_the_case(house):
    """On demand, if the rules let it lie there, and only where none of the engineer's regions has one."""
    house.system.put_principal({"login": "raj", "roles": ["engineer"], "regions": ["in"]})
    house.client("ann").put(f"{IN}/a", b"content\n")
    settle(house)
    assert set(states(house)) == {"eu", "us"}
    change(house, assignee="una")
    settle(house)
    assert set(states(house)) == {"eu", "us"}
    change(house, assignee="raj")
    settle(house)
    assert states(house)["in"] == "present"
    house.client("ann").put(f"{IN}/b", b"more\n")
    settle(house)
    assert len(files(house, "in")) == 4
    change(house, classification="eu-only")
    settle(house)
    assert files(house, "in") == []


def test_withdrawal_is_tried_until_the_region_answers(house, monkeypatch):
    """A region that is down keeps bytes that open nothing: its key is gone at once, and the rest follows."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    settle(house)

    def down(*_: object) -> None:
        raise StoreUnavailableError("down")

    monkeypatch.setattr(house.parts.objects, "withdraw", down)
    change(house, classification="eu-only")
    for _ in range(3):
        house.work()
    assert (states(house)["us"], keys(house)["us"]) == ("leaving", False)
    assert house.events("copy.withdrawal_failed")[0]["why"] == "StoreUnavailableError"
    monkeypatch.undo()
    settle(house)
    assert (states(house)["us"], files(house, "us")) == ("withdrawn", [])


def test_body_is_copied_byte_for_byte_and_its_digest_is_known(house):
    """Ciphertext is never made anew: the bodies of all regions are the same, and the catalog has their digest."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    settle(house)
    bodies = [path.read_bytes() for region in ("eu", "us") for path in files(house, region) if "bodies" in path.parts]
    with house.database.read() as connection:
        (digest,) = connection.execute(select(BODIES.c.sealed_sha256)).scalars()
    assert [hashlib.sha256(body).hexdigest() for body in bodies] == [digest, digest]


def test_urgent_cases_are_copied_first(house):
    """The rule's priority goes before the case system's, and that before the order in which files came."""
    house.system.change_case("ACME-5", {"priority": 2})
    house.system.change_case("ACME-3", {"kind": "outage"})
    for number in ("ACME-1", "ACME-5", "ACME-3"):
        house.client("ann").put(f"/{number}/to-support/a", b"content\n")
    working = house.intake._settings
    house.intake._settings = dataclasses.replace(working, copy_workers=0)
    house.work()
    house.intake._settings = working
    settle(house)
    assert [event["case"] for event in house.events("copy.verified")] == ["ACME-3", "ACME-5", "ACME-1"]


def test_case_without_a_place_keeps_what_it_has_and_gets_nothing_more(house):
    """A home that is not there is somebody's mistake: nothing is copied, and nothing is destroyed for it."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    change(house, home_region="mars")
    for _ in range(3):
        house.work()
    assert (files(house, "eu"), files(house, "us")) == ([], [])
    assert house.states() == ["landed"]
    change(house, home_region=None)
    settle(house)
    assert states(house) == {"eu": "present", "us": "present"}


def test_review_of_everything_finds_what_nobody_announced(house):
    """A change that was made in silence, or in the configuration while the server was down."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    settle(house)
    house.system.change_case("ACME-1", {"classification": "eu-only"})
    assert list(house.intake.placing.review_all()) == ["ACME-1"]
    settle(house)
    assert files(house, "us") == []


def test_copy_is_made_from_another_region_when_home_is_gone(house):
    """What is whole somewhere is a source, one after the other."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    settle(house)
    for path in files(house, "eu"):
        path.unlink()
    house.system.put_principal({"login": "raj", "roles": ["engineer"], "regions": ["in"]})
    change(house, assignee="raj")
    settle(house)
    assert house.events("copy.verified")[-1]["source"] == "us"
    assert house.client("eve", "in").get(f"{IN}/a") == b"content\n"


class Flagging:
    """A region's store whose readers answer twice and then never again."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.left = 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, name: str) -> Any:
        return self._inner.open(name) if name.startswith("slots/") else FlaggingReader(self, self._inner.open(name))


class FlaggingReader:
    """One of its readers."""

    def __init__(self, store: Flagging, inner: Any) -> None:
        self._store, self._inner = store, inner
        self.size = inner.size

    def read(self, offset: int, length: int) -> bytes:
        self._store.left -= 1
        if self._store.left < 0:
            raise StoreUnavailableError("it has gone down")
        return bytes(self._inner.read(offset, length))

    def close(self) -> None:
        self._inner.close()


def test_client_does_not_notice_that_a_region_fails_in_mid_read(house):
    """The nearest copy goes down while it is read; every offset is served on from another region."""
    content = "".join(f"{number:09}\n" for number in range(60_000)).encode()
    house.client("ann").put(f"{IN}/a", content)
    settle(house)
    house.parts.objects._stores["us"] = Flagging(house.parts.objects._stores["us"])
    handle = house.client("eve", "us").filesystem.open_read(parse_path(f"{IN}/a"))
    for offset in (0, 599_000, 300_000, 10):
        assert handle.read(offset, 500) == content[offset : offset + 500]
    handle.close()
    assert house.events("file.opened")[-1]["served_from"] == "us"
    assert house.parts.objects._stores["us"].left < 0
