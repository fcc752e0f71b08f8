"""`mft rebuild`: a lost catalog made again from what the stores hold; and a restore that finds what came after it."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tests.casebook import REGIONS
from tests.core import running_core

IN = "/ACME-1/to-support"
FIRST, SECOND = b"first version\n" * 1000, b"second version\n" * 1000


@pytest.fixture
def keyrings(tmp_path):
    """Keyrings that the configuration opens."""
    for region in REGIONS:
        path = tmp_path / f"{region}.pass"
        path.write_text("pass\n")
        path.chmod(0o600)
    return {"regions": {name: {"keyring": {"path": f"{name}.keyring"}} for name in REGIONS}}


@pytest.fixture
def mft(run, tmp_path):
    """Run a command with that configuration; it must end as *expected*."""

    def call(command, *arguments, expected=0):
        code, out, error = run(command, *arguments, "--config", tmp_path / "config.yaml")
        assert code == expected, (code, out, error)
        return out or error

    return call


def fill(core):
    """Two versions in a directory, a file of another case and one of an engineer, stored and copied."""
    client = core.client("ann")
    client.mkdir(f"{IN}/jupiter")
    client.put(f"{IN}/jupiter/a.log", FIRST)
    client.put(f"{IN}/jupiter/a.log", SECOND)
    core.client("bob").put("/ACME-2/to-support/b.log", b"password=hunter2-tr0ub4dor\nanother case\n")
    core.client("eve").put("/Acme Corp/ACME-1/from-support/fix.sh", b"echo fixed\n")
    core.work()
    core.work()
    assert set(core.states()) == {"stored"}


def lose_catalog(core):
    for path in core.config.catalog.path.parent.glob("catalog.db*"):
        path.unlink()


def views(core):
    """Return what people see, each where they look."""
    return {
        "eve": core.client("eve").get(f"{IN}/jupiter/a.log"),
        "una": core.client("una", "us").get(f"{IN}/jupiter/a.log"),
        "scrubbed": core.client("eve").get("/ACME-2/to-support/b.log"),
        "download": core.client("ann").get("/ACME-1/from-support/fix.sh"),
        "own size": core.client("ann").stat(f"{IN}/jupiter/a.log").size,
        "names": core.client("ann").names(f"{IN}/jupiter"),
        "sizes": sorted((row.id, row.version, row.size, row.sha256, row.scrubbed_sha256) for row in core.rows()),
    }


def test_lost_catalog_is_made_again_from_the_stores(tmp_path, nursery, keyrings, mft):
    """Cases, names, versions, sizes, digests, regions and receipts' ids; and the audit says that it was made so."""
    with running_core(tmp_path, nursery, **keyrings) as core:
        fill(core)
        before = views(core)
        core.database.close()
        lose_catalog(core)
    would = json.loads(mft("rebuild", "--dry-run", "--json"))
    assert len(would["entered"]) == 4
    told = json.loads(mft("rebuild", "--json"))
    assert (len(told["entered"]), told["passed"]) == (4, [])
    with running_core(tmp_path, nursery, **keyrings) as core:
        assert views(core) == before
        (event,) = core.events("catalog.rebuilt")
        assert event["objects"] == 4
        assert len(core.events("upload.rebuilt")) == 4
        core.client("ann").put(f"{IN}/jupiter/a.log", b"a third version\n")
        core.work()
        assert core.client("eve").get(f"{IN}/jupiter/a.log") == b"a third version\n"
        with sqlite3.connect(core.config.catalog.path) as catalog:
            assert catalog.execute("PRAGMA foreign_key_check").fetchall() == []
            receipts = catalog.execute("SELECT upload_id, kind FROM receipt").fetchall()
        catalog.close()
        assert {(row.id, kind) for row in core.rows()[:4] for kind in ("landed", "final")} <= set(receipts)
    assert json.loads(mft("rebuild", "--json"))["entered"] == []
    left = json.loads(mft("verify", "--deep", "--json", expected=3))
    assert {fault["flaw"] for fault in left["faults"]} == {"orphaned"}  # landing logs, whose keys were in the catalog
    mft("audit", "verify")


def test_restore_finds_what_was_stored_after_the_backup(tmp_path, nursery, keyrings, mft):
    """The catalog of then, and the objects of now: an upload that waited, and one that came later, are entered."""
    with running_core(tmp_path, nursery, **keyrings) as core:
        core.client("ann").put(f"{IN}/waited.log", FIRST)
        mft("backup", tmp_path / "backups", "--no-objects")
        core.client("ann").put(f"{IN}/later.log", SECOND)
        core.work()
        core.work()
        assert set(core.states()) == {"stored"}
        core.database.close()
        lose_catalog(core)
        for path in [core.data / "node", *(core.data / "credentials").iterdir()]:
            path.unlink()
    assert "2 objects that were stored since" in mft("restore", tmp_path / "backups")
    with running_core(tmp_path, nursery, **keyrings) as core:
        assert core.client("eve").get(f"{IN}/waited.log") == FIRST
        assert core.client("eve").get(f"{IN}/later.log") == SECOND
        assert core.states() == ["stored", "stored"]


def test_what_cannot_be_opened_is_passed_over_and_said(tmp_path, nursery, keyrings, mft):
    """A slot with a flipped bit everywhere: the others are entered, it is named; exit code 3."""
    with running_core(tmp_path, nursery, **keyrings) as core:
        fill(core)
        key = core.rows()[0].object_key
        for region in ("eu", "us"):
            path = core.config.regions[region].store.path / f"slots/{key[:2]}/{key}"
            data = bytearray(path.read_bytes())
            data[50] ^= 1
            path.write_bytes(data)
        core.database.close()
        lose_catalog(core)
    told = json.loads(mft("rebuild", "--json", expected=3))
    assert [each["object"] for each in told["passed"]] == [key]
    assert len(told["entered"]) == 3


def test_destroyed_case_is_not_brought_back(tmp_path, nursery, keyrings, mft):
    """What the ledger of destroyed keys names opens no more, and is not entered."""
    with running_core(tmp_path, nursery, **keyrings) as core:
        fill(core)
        with sqlite3.connect(core.config.catalog.path) as catalog:
            scope = catalog.execute("SELECT scope FROM case_record WHERE number = 'ACME-2'").fetchone()[0]
        catalog.close()
        from storage.keys.ledger import DestroyedKey, DestroyedKeys

        for region in ("eu", "us"):
            ledger = DestroyedKeys(core.config.regions[region].keys.ledger, region)
            ledger.add([DestroyedKey(kind="scope", name=f"case:{scope}", why="destruction 1")])
        core.database.close()
        lose_catalog(core)
    told = json.loads(mft("rebuild", "--json", expected=3))
    assert [each["why"] for each in told["passed"]] == ["its keys were destroyed"]
    assert {each["case"] for each in told["entered"]} == {"ACME-1"}
