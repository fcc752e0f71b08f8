"""`mft backup` and `mft restore`: everything before is there again, what was destroyed since stays destroyed."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3

import pytest

from mft.backup import writing
from mft.keyledger import note_destroyed
from mft.rescans import Rescans
from mft.server.lifecycle import make_lifecycle
from storage.store import ObjectKey, body_name, slot_name
from tests.casebook import REGIONS
from tests.core import running_core

IN = "/ACME-1/to-support"
OLD = b"before the backup\n" * 1000


@pytest.fixture
def keyrings(tmp_path):
    """Keyrings below `data` that the configuration opens."""
    for region in REGIONS:
        path = tmp_path / f"{region}.pass"
        path.write_text("pass\n")
        path.chmod(0o600)
    lifecycle = {"retention": "1ms", "read_after_close": "0s"}
    return {
        "regions": {name: {"keyring": {"path": f"{name}.keyring"}} for name in REGIONS},
        "lifecycle": lifecycle,
    }


@pytest.fixture
def full(tmp_path, nursery, keyrings):
    """An installation with stored files, one that only landed, one that was cut."""
    with running_core(tmp_path, nursery, **keyrings) as core:
        core.client("ann").put(f"{IN}/a.log", OLD)
        core.client("ann").put("/ACME-2/to-support/other.log", b"another case\n")
        core.work()
        core.work()
        core.client("ann").put(f"{IN}/waits.log", b"landed alone\n")
        core.client("ann").cut(f"{IN}/cut.log", b"the beginning of something\n")
        yield core


@pytest.fixture
def mft(run, tmp_path):
    """Run a command with that configuration; it must end as *expected*."""

    def call(command, *arguments, expected=0):
        code, out, error = run(command, *arguments, "--config", tmp_path / "config.yaml")
        assert code == expected, (code, out, error)
        return out + error

    return call


def lose_data(tmp_path):
    """Have the disk of the data directory, and the keyrings, be gone."""
    shutil.rmtree(tmp_path / "data")
    for region in REGIONS:
        (tmp_path / f"{region}.keyring").unlink(missing_ok=True)


def reopened(tmp_path, nursery, keyrings):
    return running_core(tmp_path, nursery, **keyrings)


def test_everything_before_the_backup_is_there_after_a_loss(full, mft, tmp_path, nursery, keyrings):
    """Stored files, a landed one that is scrubbed afterwards, a cut one that is resumed, receipts and the audit."""
    told = mft("backup", tmp_path / "backups", "--json")
    made = json.loads(told)
    full.client("ann").put(f"{IN}/later.log", b"after the backup\n")
    receipts = full.rows()
    full.database.close()
    lose_data(tmp_path)
    mft("restore", tmp_path / "backups")
    with reopened(tmp_path, nursery, keyrings) as core:
        assert core.client("eve").get(f"{IN}/a.log") == OLD
        assert core.client("una", "us").get(f"{IN}/a.log") == OLD
        assert {row.id for row in core.rows()} == {row.id for row in receipts if row.name != "later.log"}
        core.work()
        assert core.client("eve").get(f"{IN}/waits.log") == b"landed alone\n"
        assert core.client("ann").resume(f"{IN}/cut.log", b"the beginning of something\nand its end\n")
        assert core.events("installation.restored")[0]["name"] == made["path"].rpartition("/")[2]
        assert not (core.data / "restoring").exists()
    mft("audit", "verify")
    mft("verify", "--deep")


def test_wrapped_keys_lie_in_a_part_of_their_own(full, mft, tmp_path):
    """The catalog in a backup holds no wrapped key, not even in free pages; credentials and keyrings are closed."""
    mft("backup", tmp_path / "backups")
    (backup,) = (tmp_path / "backups").iterdir()
    with sqlite3.connect(full.config.catalog.path) as live:
        wrapped = [row[0] for row in live.execute("SELECT wrapped FROM case_key WHERE wrapped IS NOT NULL")]
        envelopes = [row[0] for row in live.execute("SELECT landing_envelope FROM upload")]
    live.close()
    content = (backup / "catalog.db").read_bytes()
    assert wrapped
    assert not any(each in content for each in wrapped)
    assert not any(json.loads(each)["key"].encode() in content for each in envelopes)
    assert (backup / "wrapped-keys.jsonl").read_text().count("\n") >= len(wrapped) + len(envelopes)
    region_key = full.keys._wrappers["eu"]._keys
    every = b"".join(path.read_bytes() for path in backup.rglob("*") if path.is_file())
    assert not any(key.key in every for key in region_key.values())
    assert not [path for path in backup.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]


def test_bodies_of_the_backup_before_are_linked(full, mft, tmp_path):
    """A second backup costs no second copy of what never changes, and is whole without the first."""
    mft("backup", tmp_path / "backups")
    told = json.loads(mft("backup", tmp_path / "backups", "--json"))
    assert told["linked"] > 0
    first, second = sorted((tmp_path / "backups").iterdir())
    name = f"objects/{body_name(full.rows()[0].object_key)}"
    assert (first / name).samefile(second / name)
    shutil.rmtree(first)
    assert "0 things are wrong" in mft("restore", tmp_path / "backups", "--drill")


def test_drill_restores_and_leaves_nothing(full, mft, tmp_path):
    """A drill reads all of it back, names what is wrong, and touches nothing of the server."""
    mft("backup", tmp_path / "backups")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert "0 things are wrong" in mft("restore", tmp_path / "backups", "--drill")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert full.client("eve").get(f"{IN}/a.log") == OLD


def test_restore_refuses_what_is_not_empty(full, mft, tmp_path):
    """Nothing is overwritten: a catalog, credentials, any file in the data directory."""
    mft("backup", tmp_path / "backups")
    assert "never overwrites a catalog" in mft("restore", tmp_path / "backups", expected=1)
    full.database.close()
    lose_data(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "something").write_text("kept")
    assert "restore into an empty data directory" in mft("restore", tmp_path / "backups", expected=1)
    assert [path.name for path in (tmp_path / "data").iterdir() if path.is_file()] == ["something"]


@pytest.mark.parametrize("victim", ["catalog.db", "wrapped-keys.jsonl", "files.jsonl", "backup.json", "objects"])
def test_altered_backup_is_refused_before_anything_is_written(full, mft, tmp_path, victim):
    """A flipped bit anywhere, or another server's signature."""
    mft("backup", tmp_path / "backups")
    (backup,) = (tmp_path / "backups").iterdir()
    path = (
        next(each for each in (backup / victim).rglob("*") if each.is_file())
        if victim == "objects"
        else backup / victim
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    full.database.close()
    lose_data(tmp_path)
    told = mft("restore", tmp_path / "backups", expected=1)
    assert str(backup) in told
    assert not (tmp_path / "data" / "catalog.db").exists()


def test_what_was_destroyed_since_stays_destroyed(full, mft, tmp_path, nursery, keyrings):
    """By its certificate, kept elsewhere: keys, names and files are gone after the restore, and the ledger knows."""
    mft("backup", tmp_path / "backups")
    full.system.change_case("ACME-2", {"state": "closed"})
    lifecycle = make_lifecycle(
        config=full.config,
        credentials=full.parts.credentials,
        database=full.database,
        trail=full.parts.trail,
        lookup=full.parts.lookup,
        objects=full.parts.objects,
        zones=full.parts.zones,
    )
    assert len(lifecycle.run(by="test").destroyed) == 1
    (row,) = [each for each in lifecycle.certificates() if each.certificate]
    certificates = tmp_path / "certificates.jsonl"
    certificates.write_text(row.certificate + "\n")
    full.database.close()
    lose_data(tmp_path)
    told = mft("restore", tmp_path / "backups", "--destroyed", certificates)
    assert "ACME-2: it was destroyed since, and is so again" in told
    ledger = (tmp_path / "data" / "regions" / "eu" / "destroyed-keys").read_text()
    assert "case:" in ledger
    with reopened(tmp_path, nursery, keyrings) as core:
        assert {each.name for each in core.rows() if each.state == "destroyed"} == {"destroyed"}
        assert core.client("eve").get(f"{IN}/a.log") == OLD
        with sqlite3.connect(core.config.catalog.path) as live:
            assert live.execute("SELECT count(*) FROM case_key WHERE destroyed_at IS NOT NULL").fetchone()[0] > 0
        live.close()


def test_drill_shows_what_a_restore_would_destroy_again(full, mft, tmp_path):
    """The ledgers in place count in a drill as in a restore; it touches none of them, and finds the rest sound."""
    mft("backup", tmp_path / "backups")
    shred = ("shred", "--case", "ACME-2", "--reason", "their order")
    mft(*shred)
    ledgers = {each: each.read_bytes() for each in (tmp_path / "data").glob("regions/*/destroyed-keys")}
    assert ledgers
    told = mft("restore", tmp_path / "backups", "--drill")
    assert "ACME-2: it was destroyed since, and is so again" in told
    assert "0 things are wrong" in told
    assert {each: each.read_bytes() for each in ledgers} == ledgers


def test_what_is_stored_while_a_backup_is_made_is_not_lost_to_it(full, mft, tmp_path, nursery, keyrings, monkeypatch):
    """Landed when the catalog was copied, stored a moment later: the backup has the log that its catalog needs."""
    landing = writing.Backups._landing

    def meanwhile(backups, *arguments):
        full.work()
        full.work()
        return landing(backups, *arguments)

    monkeypatch.setattr(writing.Backups, "_landing", meanwhile)
    mft("backup", tmp_path / "backups")
    assert full.states().count("landed") == 0
    assert "0 things are wrong" in mft("restore", tmp_path / "backups", "--drill")
    full.database.close()
    lose_data(tmp_path)
    mft("restore", tmp_path / "backups")
    with reopened(tmp_path, nursery, keyrings) as core:
        core.work()
        assert core.client("eve").get(f"{IN}/waits.log") == b"landed alone\n"


def test_what_is_replaced_while_a_backup_is_made_is_in_it_in_its_new_form(
    tmp_path, nursery, keyrings, mft, monkeypatch
):
    """The catalog's copy names an object that a rescan has replaced since: both are taken anew, nothing is missing."""
    with running_core(tmp_path, nursery, **keyrings, scrub={"profile": "secrets-only"}) as core:
        core.client("ann").put(f"{IN}/a.log", b"from host 203.0.113.77\n")
        core.work()
        core.work()
        before = core.rows()[0].object_key
    with running_core(tmp_path, nursery, **keyrings) as core:
        gather, rounds = writing.Backups._objects, []

        def meanwhile(backups, *arguments):
            if not rounds:
                Rescans(database=core.database, trail=core.parts.trail).order("ACME-1", by="olga")
                core.work()
                core.work()
                core.intake._replacing.clear()
            rounds.append(core.rows()[0].object_key)
            return gather(backups, *arguments)

        monkeypatch.setattr(writing.Backups, "_objects", meanwhile)
        made = json.loads(mft("backup", tmp_path / "backups", "--json"))
        after = core.rows()[0].object_key
        assert (made["missing"], made["outrun"], rounds) == ([], [], [after, after])
        names = {path.name for path in (tmp_path / "backups").rglob("*") if path.is_file()}
        assert after in names
        assert before not in names
    assert "0 things are wrong" in mft("restore", tmp_path / "backups", "--drill")


def test_what_outruns_a_backup_is_named(full, mft, tmp_path, monkeypatch):
    """Bounded: where something goes away in every round, the command ends, and says which and what to do."""
    monkeypatch.setattr(writing.Backups, "_is_named", lambda *_: False)
    key = ObjectKey(full.rows()[0].object_key)
    full.parts.stores["us"].delete(slot_name(key))
    told = mft("backup", tmp_path / "backups", expected=3)
    assert f"us/{key} was not there; was replaced or destroyed meanwhile: make it again" in told
    monkeypatch.undo()
    assert f"us/{key} was not there; `mft verify` says why" in mft("backup", tmp_path / "backups", expected=3)


def test_backup_beside_the_end_of_a_key_is_none(full, mft, tmp_path, monkeypatch):
    """What its catalog's keys are wrapped by would not be in its keyrings."""
    belongings = writing.Backups._belongings

    def meanwhile(backups, *arguments):
        with full.database.write() as connection:
            note_destroyed(connection, "eu", "00" * 8, kind="key", why="retired")
        belongings(backups, *arguments)

    monkeypatch.setattr(writing.Backups, "_belongings", meanwhile)
    assert "was retired while the backup was made" in mft("backup", tmp_path / "backups", expected=1)
    assert list((tmp_path / "backups").iterdir()) == []
    assert mft("backup", tmp_path / "backups")


def test_two_backups_do_not_clear_each_other_away(full, mft, tmp_path, monkeypatch):
    """One directory takes one at a time; the other says so."""
    mft("backup", tmp_path / "backups")
    told = []
    belongings = writing.Backups._belongings

    def meanwhile(backups, *arguments):
        told.append(mft("backup", tmp_path / "backups", expected=1))
        belongings(backups, *arguments)

    monkeypatch.setattr(writing.Backups, "_belongings", meanwhile)
    mft("backup", tmp_path / "backups")
    assert ["another backup is being made in" in each for each in told] == [True]
    assert "0 things are wrong" in mft("restore", tmp_path / "backups", "--drill")


@pytest.mark.parametrize(
    "failure",
    [OSError(errno.ENOSPC, "No space left on device"), sqlite3.OperationalError("database or disk is full")],
)
def test_backup_on_a_full_disk_says_so_and_leaves_nothing(full, mft, tmp_path, monkeypatch, failure):
    """What was written of it goes: it may be what has filled the disk that the catalog is on."""
    mft("backup", tmp_path / "backups")
    if isinstance(failure, sqlite3.OperationalError):
        failure.sqlite_errorcode = sqlite3.SQLITE_FULL

    def refuse(*_arguments):
        raise failure

    monkeypatch.setattr(writing, "write_document", refuse)
    assert "no space left in" in mft("backup", tmp_path / "backups", expected=1)
    monkeypatch.undo()
    assert len(list((tmp_path / "backups").iterdir())) == 1
    mft("backup", tmp_path / "backups")


def test_backup_goes_into_a_directory_of_its_own(full, mft, tmp_path):
    """A directory with something else is refused; what is no backup is said; a cut one is cleared away."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert "holds something else" in mft("backup", tmp_path / "mine", expected=1)
    assert "is no backup" in mft("restore", tmp_path / "mine", expected=1)
    (tmp_path / "backups" / ".partial-2026").mkdir(parents=True)
    mft("backup", tmp_path / "backups", "--no-objects")
    (backup,) = (tmp_path / "backups").iterdir()
    assert not (backup / "objects").exists()
