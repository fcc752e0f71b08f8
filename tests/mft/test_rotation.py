"""Rotation of a region's keys: online, resumable, until nothing needs the old one; and keys that were destroyed."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from mft.catalog.model import CASE_KEYS, DESTROYED_KEYS, LANDING_KEYS, PSEUDONYM_BOOKS, UPLOADS
from mft.keydesk import KeyDesk, LocalDesk
from mft.keyledger import KeyLedgers
from mft.regionkeys import RegionKeys
from mft.rewrapping import DeskRewrapper, RotationError, Rotations
from mft.stores import open_stores
from protocols.errors import FileSystemError
from storage.errors import KeyDestroyedError, KeyringError, KeyUnavailableError, StorageError
from storage.keys.envelope import Envelope, Region
from storage.keys.keyring import Keyring
from storage.keys.ledger import DestroyedKey, DestroyedKeys
from storage.keys.service import LocalKeyService
from storage.keys.wrapped import region_key_of
from storage.slot import Slot
from storage.store import slot_name
from tests.core import running_core

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.scrubbing.nursery import Nursery
    from tests.core import Core

IN = "/ACME-1/to-support"
EU = Region("eu")


@pytest.fixture
def core(tmp_path: Path, nursery: Nursery) -> Iterator[Core]:
    """An installation with stored objects, a partial upload, pseudonyms, and a landed file."""
    with running_core(tmp_path, nursery) as running:
        client = running.client("ann")
        for number in range(4):
            client.put(f"{IN}/{number}.log", b"from 10.1.2.3\n" * 50)
        running.work()
        running.client("gus", "us").put("/GLOBEX-1/to-support/d.log", b"globex")
        running.work()
        client.cut(f"{IN}/half.bin", b"half")
        client.put(f"{IN}/landed.log", b"landed")
        yield running


class Desk:
    """The desk over the keys of a core, as the agent has it over its own."""

    def __init__(self, core: Core) -> None:
        self.keys = RegionKeys(core.config)
        for region, ring in core.keys._wrappers.items():
            self.keys.doors[region].put(ring)
        core.keys._ledgers = self.keys.ledgers
        self.desk = LocalDesk(KeyDesk(self.keys))
        self.rotations = Rotations(
            database=core.database,
            trail=core.parts.trail,
            stores=open_stores(core.config),
            rewrapper=DeskRewrapper(self.desk),
            settle=0.0,
        )

    def rotate(self, region: str = "eu") -> str:
        key = str(self.desk.ask("rotate", region=region)["key"])
        for _ in self.rotations.run(self.rotations.begin(region, key, by="test", reason="a test"), by="test"):
            pass
        return key


@pytest.fixture
def desk(core: Core) -> Desk:
    return Desk(core)


def ring(core: Core, region: str = "eu") -> Keyring:
    found = core.keys._wrappers[Region(region)]
    assert isinstance(found, Keyring)
    return found


def slots(core: Core, region: str = "eu") -> list[Slot]:
    root = core.config.regions[region].store.path
    return [
        Slot.parse(path.read_bytes(), object_key=path.name, region=Region(region))
        for path in sorted(root.glob("slots/*/*"))
    ]


def wrapped_everywhere(core: Core, region: str) -> list[bytes]:
    """Return every wrapped scope key of a region that lies anywhere."""
    with core.database.read() as connection:
        found = [
            bytes(row.wrapped)
            for table in (CASE_KEYS, LANDING_KEYS)
            for row in connection.execute(select(table).where(table.c.region == region))
            if row.wrapped is not None
        ]
        texts = [
            *connection.execute(select(PSEUDONYM_BOOKS.c.envelope)).scalars(),
            *connection.execute(
                select(UPLOADS.c.landing_envelope).where(UPLOADS.c.landing_gone_at.is_(None))
            ).scalars(),
        ]
    envelopes = [Envelope.from_dict(json.loads(text)) for text in texts if text]
    envelopes += [slot.envelope for slot in slots(core, region)]
    return found + [each.scope_key for each in envelopes if each.region == region]


def keys_in_use(core: Core, region: str = "eu") -> set[str]:
    return {region_key_of(each) for each in wrapped_everywhere(core, region)}


# -- rotation ------------------------------------------------------------------------------------------------------


def test_rotation_leaves_nothing_under_the_old_key(core, desk):
    """Tables and slots of the region alone; other regions stay as they are, and everything reads as before."""
    old, others = ring(core).current, keys_in_use(core, "us")
    assert keys_in_use(core) == {old}
    new = desk.rotate()
    assert keys_in_use(core) == {new} != {old}
    assert keys_in_use(core, "us") == others
    assert core.client("eve").get(f"{IN}/1.log").startswith(b"from ")
    core.client("ann").resume(f"{IN}/half.bin", b"half and whole")
    core.work()
    assert core.states().count("stored") == 7
    events = {event["kind"]: event for event in core.events()}
    assert events["keys.rewrapped"]["key"] == new
    assert events["keys.rewrapped"]["rewrapped"] > 5
    assert events["keys.rewrap_begun"]["why"] == "a test"


def test_old_key_is_retired_once_nothing_needs_it(core, desk):
    """Refused before; afterwards the keyring no longer has it, the ledger says so, and all is read."""
    old = ring(core).current
    with pytest.raises(RotationError, match="nothing was rotated"):
        desk.rotations.check_retirable("eu", old)
    new = desk.rotate()
    desk.rotations.check_retirable("eu", old)
    desk.desk.ask("retire", region="eu", key=old, why="retired")
    assert ring(core).key_ids == (new,)
    assert desk.keys.ledgers[EU].has("key", old)
    assert core.client("eve").get(f"{IN}/1.log").startswith(b"from ")
    assert Keyring.load(ring(core).path, "pass").key_ids == (new,)


def test_key_that_something_needs_is_not_retired(core, desk):
    """A slot that was put back by hand is found, counted, and exchanged by looking once more."""
    old = ring(core).current
    path = next(core.config.regions["eu"].store.path.glob("slots/*/*"))
    before = path.read_bytes()
    desk.rotate()
    path.chmod(0o600)
    path.write_bytes(before)
    with pytest.raises(RotationError, match="1 wrapped keys in 'eu' are under"):
        desk.rotations.check_retirable("eu", old)
    again = desk.rotations.begin("eu", ring(core).current, by="test", reason="")
    assert list(desk.rotations.run(again, by="test"))[-1].rewrapped == 1
    desk.rotations.check_retirable("eu", old)


def test_rotation_settles_before_its_old_key_may_go(core, desk):
    """What was begun a moment before is given its time, by the clock of the server."""
    old = ring(core).current
    desk.rotate()
    desk.rotations._settle = 60.0
    with pytest.raises(RotationError, match="try again in"):
        desk.rotations.check_retirable("eu", old)


@pytest.mark.parametrize("pages", range(7))
def test_rotation_goes_on_where_it_was_stopped(core, desk, pages, monkeypatch):
    """Ended at any page as by kill -9, another process finishes it; nothing is left behind."""
    monkeypatch.setattr("mft.rewrapping.PAGE", 2)
    key = str(desk.desk.ask("rotate", region="eu")["key"])
    begun = desk.rotations.begin("eu", key, by="test", reason="")
    run = desk.rotations.run(begun, by="test")
    for _ in range(pages):
        next(run)
    run.close()
    with pytest.raises(RotationError, match="is not finished"):
        desk.rotations.check_retirable("eu", "old")
    other = Desk(core)
    assert other.rotations.begin("eu", key, by="another", reason="") == begun
    assert list(other.rotations.run(begun, by="another"))[-1].stage == "finished"
    assert keys_in_use(core) == {key}


def test_newer_key_overtakes_a_rotation_that_was_stopped(core, desk):
    """Rotated again before the first was through: one pass takes everything to the newest."""
    first = str(desk.desk.ask("rotate", region="eu")["key"])
    run = desk.rotations.run(desk.rotations.begin("eu", first, by="test", reason=""), by="test")
    next(run)
    run.close()
    second = desk.rotate()
    assert keys_in_use(core) == {second}
    assert len(ring(core).key_ids) == 3


def work_off(core: Core) -> None:
    """Let intake work until nothing waits: it takes so many at a time."""
    left = core.states().count("landed")
    while left:
        core.work()
        before, left = left, core.states().count("landed")
        assert left < before


def test_uploads_and_downloads_run_while_keys_are_exchanged(core, desk):
    """Three rotations beside clients that write and read all the time: nothing fails, all is under the last key."""
    stop, failures, counts = threading.Event(), [], [0, 0]

    def keep(work: Any) -> None:
        try:
            while not stop.is_set():
                work()
        except (FileSystemError, StorageError) as error:
            failures.append(error)

    writer, reader = core.client("ann"), core.client("eve")

    def write() -> None:
        counts[0] += 1
        writer.put(f"{IN}/load-{counts[0]}.log", b"line\n" * 100)

    def read() -> None:
        counts[1] += 1
        assert reader.get(f"{IN}/{counts[1] % 4}.log").startswith(b"from ")

    threads = [threading.Thread(target=keep, args=(work,)) for work in (write, read)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            before = list(counts)
            last = desk.rotate()
            while min(counts[0] - before[0], counts[1] - before[1]) < 2 and not failures:
                stop.wait(0.01)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    again = desk.rotations.begin("eu", last, by="test", reason="")
    assert list(desk.rotations.run(again, by="test"))[-1].failed == 0
    assert keys_in_use(core) == {last}
    work_off(core)
    assert set(core.states()) == {"stored", "interrupted"}


def test_slot_that_was_destroyed_meanwhile_stays_gone(core, desk):
    """Between reading a slot and putting it back its object was destroyed: it does not come back."""
    path = next(core.config.regions["eu"].store.path.glob("slots/*/*"))
    from mft.catalog.model import BODIES

    rewrap, gone = desk.rotations._rewrapper.rewrap, []

    class Destroying:
        def rewrap(self, region, scope, wrapped, owner):
            if not gone and path.exists():
                with core.database.write() as connection:
                    connection.execute(update(BODIES).where(BODIES.c.key == path.name).values(state="destroyed"))
                gone.append(path.unlink())
            return rewrap(region, scope, wrapped, owner)

    desk.rotations._rewrapper = Destroying()
    desk.rotations._exchange_slot(_state(desk), open_stores(core.config)["eu"], slot_name(path.name))
    assert gone
    assert not path.exists()


def _state(desk):
    from mft.rewrapping import _State

    desk.desk.ask("rotate", region="eu")
    return _State(id=1, region="eu", target="", stage="slots", place="", counts=[0, 0, 0])


def test_altered_slot_is_counted_and_left(core, desk):
    """One that cannot be read does not stop the others; it is named and counted."""
    path = next(core.config.regions["eu"].store.path.glob("slots/*/*"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    key = str(desk.desk.ask("rotate", region="eu")["key"])
    last = list(desk.rotations.run(desk.rotations.begin("eu", key, by="test", reason=""), by="test"))[-1]
    assert last.failed == 1
    assert last.stage == "finished"


# -- landing keys ----------------------------------------------------------------------------------------------------


def send_back(core: Core, days: int) -> str:
    """Make today's landing key one of some days ago, with its uploads; return that day."""
    day = (dt.datetime.now(dt.UTC) - dt.timedelta(days=days)).date().isoformat()
    with core.database.write() as connection:
        connection.execute(update(LANDING_KEYS).values(day=day))
        connection.execute(update(UPLOADS).values(landing_day=day))
    return day


def test_landing_key_of_a_day_opens_nothing_once_it_is_destroyed(core, desk, tmp_path):
    """A backup of catalog and landing log, with the keyring of that day, opens nothing with the ledger there."""
    row = next(row for row in core.rows() if row.name == "landed.log")
    today = row.landing_day
    log = core.config.regions["eu"].landing / f"{row.landing_id}.landing"
    kept, envelope = tmp_path / "kept.landing", Envelope.from_dict(json.loads(row.landing_envelope))
    shutil.copy(log, kept)
    assert LocalKeyService({EU: ring(core)}).open_key(envelope)
    send_back(core, 2)
    core.intake._sweep.retire_landing_keys()
    assert not core.events("keys.landing_key_destroyed")  # uploads of that day still lie in landing
    with core.database.write() as connection:
        connection.execute(update(UPLOADS).values(landing_gone_at=1.0))
        connection.execute(update(LANDING_KEYS).values(day=today))
        connection.execute(update(UPLOADS).values(landing_day=today))
    core.intake._sweep.retire_landing_keys()
    assert not core.events("keys.landing_key_destroyed")  # today is not over
    with core.database.write() as connection:  # the day after tomorrow, seen from here
        connection.execute(update(LANDING_KEYS).values(day="2020-02-02"))
        connection.execute(update(UPLOADS).values(landing_day="2020-02-02"))
    core.intake._sweep.retire_landing_keys()
    assert {event["day"] for event in core.events("keys.landing_key_destroyed")} == {"2020-02-02"}
    assert {row.landing_envelope for row in core.rows()} == {""}
    assert desk.keys.ledgers[EU].has("scope", "landing:2020-02-02")
    made = LocalKeyService({EU: ring(core)}, ledgers=desk.keys.ledgers)
    with pytest.raises(KeyDestroyedError):
        made.open_key(Envelope.from_dict({**envelope.to_dict(), "scope": "landing:2020-02-02"}))


def test_clock_that_was_set_back_behind_a_destroyed_landing_key(core, desk):
    """Uploads of a day whose landing key is gone already get another key, and are stored."""
    with core.database.write() as connection:
        connection.execute(update(LANDING_KEYS).values(wrapped=None, destroyed_at=1.0))
    KeyLedgers.of(core.config, core.database).write()
    core.client("ann").put(f"{IN}/after.log", b"after")
    core.work()
    row = next(row for row in core.rows() if row.name == "after.log")
    assert row.landing_day.endswith(".2")
    assert row.state == "stored"


# -- the ledger ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path):
    return DestroyedKeys(tmp_path / "destroyed-keys", "eu")


def gone(name, kind="scope"):
    return DestroyedKey(kind=kind, name=name, why="a test")


def test_ledger_is_seen_by_others_at_once(ledger):
    """What one process adds another knows at its next look; what is there is not added again."""
    other = DestroyedKeys(ledger.path, "eu")
    assert not other.has("scope", "case:1")
    assert ledger.add([gone("case:1"), gone("0a", "key"), gone("case:1")]) == 2
    assert other.has("scope", "case:1")
    assert other.has("key", "0a")
    assert not other.has("key", "case:1")
    assert other.add([gone("case:1"), gone("case:2")]) == 1
    assert [each["name"] for each in ledger.entries()] == ["case:1", "0a", "case:2"]


def test_half_a_line_of_a_crash_is_taken_away(ledger):
    """It is not believed, and the next line begins where it began."""
    ledger.add([gone("case:1")])
    with ledger.path.open("ab") as file:
        file.write(b'{"at":"2026')
    other = DestroyedKeys(ledger.path, "eu")
    assert other.has("scope", "case:1")
    assert other.add([gone("case:2")]) == 1
    assert [each["name"] for each in DestroyedKeys(ledger.path, "eu").entries()] == ["case:1", "case:2"]


@pytest.mark.parametrize("damage", ["cut", "gone", "altered", "replaced", "reordered", "foreign"])
def test_ledger_that_was_tampered_with_opens_nothing(ledger, damage):
    """Fewer lines than were seen, other lines, another order, another region's: an error, not a key."""
    ledger.add([gone("case:1"), gone("case:2"), gone("case:3")])
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    reader = ledger
    if damage == "cut":
        ledger.path.write_bytes(lines[0])
    elif damage == "gone":
        ledger.path.unlink()
    elif damage == "replaced":
        ledger.path.unlink()
        DestroyedKeys(ledger.path, "eu").add([gone("case:1")])
    else:
        text = {
            "altered": lines[0].replace(b"case:1", b"case:9") + lines[1] + lines[2],
            "reordered": lines[0] + lines[2] + lines[1],
            "foreign": lines[0].replace(b'"eu"', b'"us"'),
        }[damage]
        ledger.path.write_bytes(text)
        reader = DestroyedKeys(ledger.path, "eu")
    with pytest.raises(KeyringError, match="ledger of destroyed keys"):
        reader.has("scope", "case:1")


def test_service_refuses_what_the_ledger_names(core, desk, ledger):
    """Keys of a destroyed scope are neither opened nor made, also not from what was kept unwrapped."""
    service = LocalKeyService({EU: ring(core)}, ledgers={EU: ledger})
    scope = service.new_scope(EU, "case:x")
    _key, envelope = service.new_key(EU, "case:x", scope, "object")
    ledger.add([gone("case:x")])
    for attempt in (
        lambda: service.open_key(envelope),
        lambda: service.new_key(EU, "case:x", scope, "other"),
        lambda: service.new_scope(EU, "case:x"),
        lambda: service.rewrap_scope(EU, "case:x", scope),
        lambda: service.move_key(envelope, EU, "case:y", service.new_scope(EU, "case:y")),
    ):
        with pytest.raises(KeyDestroyedError):
            attempt()


def test_old_keyring_put_back_opens_no_destroyed_scope_and_lacks_new_keys(core, desk, tmp_path):
    """A keyring of before a rotation, replayed: what was wrapped since does not open, and the error names the key."""
    old = tmp_path / "old.keyring"
    shutil.copy(ring(core).path, old)
    new = desk.rotate()
    replayed = LocalKeyService({EU: Keyring.load(old, "pass")})
    with pytest.raises(KeyUnavailableError, match=new):
        replayed.open_key(slots(core)[0].envelope)


def test_catalog_row_and_ledger_line_go_together(core, desk):
    """What stands in the catalog is added to the file, once, and again after the file was lost."""
    from mft.keyledger import note_destroyed

    with core.database.write() as connection:
        note_destroyed(connection, "eu", "case:z", why="a test")
        note_destroyed(connection, "eu", "case:z", why="again")
    assert KeyLedgers.of(core.config, core.database).write()
    path = core.config.regions["eu"].keys.ledger
    assert [each["name"] for each in DestroyedKeys(path, "eu").entries()] == ["case:z"]
    path.unlink()
    assert KeyLedgers.of(core.config, core.database).write()
    assert DestroyedKeys(path, "eu").has("scope", "case:z")
    with core.database.read() as connection:
        assert len(connection.execute(select(DESTROYED_KEYS)).all()) == 1


def test_nothing_at_the_desk_gives_out_a_key(core, desk):
    """Every answer of the desk, looked through for the keys that are behind it."""
    found = [desk.desk.ask("status")]
    scope_keys = wrapped_everywhere(core, "eu")
    for verb, more in (
        ("rewrap", {"scope": slots(core)[0].envelope.scope, "wrapped": base64.b64encode(scope_keys[0]).decode()}),
        ("rotate", {}),
        ("forget", {}),
    ):
        found.append(desk.desk.ask(verb, region="eu", **more))
    said = json.dumps(found)
    for each in ring(core)._keys.values():
        for form in (each.key.hex(), base64.b64encode(each.key).decode()):
            assert form not in said
    clear = core.keys._open_scope(EU, slots(core)[0].envelope.scope, slots(core)[0].envelope.scope_key)
    assert clear.hex() not in said
    assert base64.b64encode(clear).decode() not in said
