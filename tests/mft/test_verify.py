"""`mft verify`: what is wrong with what is kept is found, named, and mended from a good copy; the last one is left."""

from __future__ import annotations

import json
import os
import time

import pytest
import yaml
from sqlalchemy import delete, select, update

from mft.catalog.model import BODIES, CASES, NODES, OBJECT_FAULTS, REPLICAS, UPLOADS
from mft.config.verify import VerifyConfig
from mft.regionkeys import open_keyring
from mft.server.verifying import VerifyRounds
from protocols.errors import DamagedError
from storage.errors import KeyringError
from storage.store import body_name, slot_name
from tests.casebook import REGIONS
from tests.core import running_core

IN = "/ACME-1/to-support"


@pytest.fixture
def kept(tmp_path, nursery):
    """An installation with two stored objects at home and in a copy, whose keyrings the configuration opens."""
    for region in REGIONS:
        path = tmp_path / f"{region}.pass"
        path.write_text("pass\n")
        path.chmod(0o600)
    keyrings = {name: {"keyring": {"path": f"{name}.keyring"}} for name in REGIONS}
    with running_core(tmp_path, nursery, regions=keyrings) as core:
        core.client("ann").put(f"{IN}/a.log", b"the first\n" * 60_000)
        core.client("ann").put(f"{IN}/b.log", b"another\n")
        core.work()
        core.work()
        assert core.states() == ["stored", "stored"]
        yield core


@pytest.fixture
def verify(run, tmp_path):
    """Run `mft verify --json` with that configuration: (exit code, document)."""

    def call(*arguments):
        code, out, error = run("verify", "--config", tmp_path / "config.yaml", "--json", *arguments)
        assert code in {0, 3, 4, 5}, error
        return code, json.loads(out)

    return call


def keys_of(core):
    return [row.object_key for row in core.rows()]


def path_of(core, name, region="eu"):
    return core.config.regions[region].store.path / name


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def flaws(document):
    return [(fault["flaw"], fault["region"], fault["subject"]) for fault in document["faults"]]


def test_sound_installation_has_no_faults(kept, verify):
    """Every object, copy and key was looked at, and every byte read; exit code 0, and an event says so."""
    code, document = verify("--deep")
    assert (code, document["faults"]) == (0, [])
    assert (document["objects"], document["copies"], document["names"]) == (2, 4, 8)
    assert document["bytes"] == 2 * sum(row.scrubbed_size for row in kept.rows())
    assert document["keys"] > 0
    assert kept.events("store.verified")[0]["deep"] is True


def test_probe_of_a_store_is_no_stranger(kept, verify):
    """What the server writes to see whether a store can be used is not found fault with."""
    kept.parts.stores["eu"].put("probes/0123", [b"x"])
    code, document = verify()
    assert (code, document["faults"]) == (0, [])


@pytest.mark.parametrize(
    ("region", "flaw", "harm", "deep"),
    [
        ("eu", "missing-body", lambda body, _slot: body.unlink(), False),
        ("us", "missing-slot", lambda _body, slot: slot.unlink(), False),
        ("us", "corrupt-slot", lambda _body, slot: flip(slot, 40), False),
        ("eu", "corrupt-body", lambda body, _slot: flip(body, 3), False),
        ("us", "corrupt-body", lambda body, _slot: flip(body, 300_000), True),
        ("eu", "wrong-size", lambda body, _slot: os.truncate(body, 1000), False),
    ],
)
def test_damage_is_named_and_mended_from_the_other_copy(kept, verify, region, flaw, harm, deep):
    """Without --repair it is said and left; with it the copy is whole again, and everything can be read."""
    key = keys_of(kept)[0]
    whole = kept.client("eve").get(f"{IN}/a.log")
    harm(path_of(kept, body_name(key), region), path_of(kept, slot_name(key), region))
    options = ["--deep"] if deep else []
    code, document = verify(*options)
    assert code == 3
    assert (flaw, region, key) in flaws(document)
    assert all(fault["case"] == "ACME-1" for fault in document["faults"])
    assert kept.events("object.fault_found")[0]["flaw"] == flaw
    code, document = verify("--repair", *options)
    assert code == 4
    assert all(fault["mended"] for fault in document["faults"])
    assert kept.events("object.mended")[-1]["region"] == region
    assert verify("--deep")[0] == 0
    assert kept.client("eve").get(f"{IN}/a.log") == whole
    with kept.database.read() as connection:
        assert connection.execute(select(OBJECT_FAULTS).where(OBJECT_FAULTS.c.ended_at.is_(None))).all() == []


def test_body_and_slot_are_mended_from_different_regions(kept, verify):
    """Where each region lacks another half, both are whole afterwards."""
    key = keys_of(kept)[0]
    path_of(kept, slot_name(key), "eu").unlink()
    flip(path_of(kept, body_name(key), "us"), 300_000)
    code, document = verify("--repair", "--deep")
    assert (code, document["left"]) == (4, 0)
    assert verify("--deep")[0] == 0


def test_last_copy_is_left_alone(kept, verify):
    """What is wrong in every region is not touched, and stays to be found."""
    key = keys_of(kept)[0]
    for region in ("eu", "us"):
        flip(path_of(kept, body_name(key), region), 300_000)
    before = [path_of(kept, body_name(key), region).read_bytes() for region in ("eu", "us")]
    for _ in range(2):
        code, document = verify("--repair", "--deep")
        assert (code, document["left"], document["mended"]) == (3, 2, 0)
        assert "no other region" in document["faults"][0]["note"]
    assert [path_of(kept, body_name(key), region).read_bytes() for region in ("eu", "us")] == before
    assert len(kept.events("object.fault_found")) == 2


def test_swapped_objects_are_told_apart(kept, verify):
    """Genuine files of another object are no copy of this one."""
    first, second = keys_of(kept)
    one, other = path_of(kept, slot_name(first)), path_of(kept, slot_name(second))
    kept_one = one.read_bytes()
    one.write_bytes(other.read_bytes())
    code, document = verify()
    assert code == 3
    assert flaws(document) == [("corrupt-slot", "eu", first)]
    assert "wrong object" in document["faults"][0]["detail"]
    one.write_bytes(kept_one)
    assert verify()[0] == 0


def test_replayed_older_object_is_not_what_the_catalog_says(kept, verify):
    """A whole genuine object, of which the catalog says something else."""
    key = keys_of(kept)[0]
    with kept.database.write() as connection:
        connection.execute(update(BODIES).where(BODIES.c.key == key).values(sha256="0" * 64))
    code, document = verify("--repair")
    assert (code, {fault["flaw"] for fault in document["faults"]}) == (3, {"other-content"})
    assert kept.client("eve").get(f"{IN}/a.log")


def _swap_objects(connection, one, other):
    connection.execute(update(UPLOADS).where(UPLOADS.c.id == one.id).values(object_key="0" * 32))
    connection.execute(update(UPLOADS).where(UPLOADS.c.id == other.id).values(object_key=one.object_key))
    connection.execute(update(UPLOADS).where(UPLOADS.c.id == one.id).values(object_key=other.object_key))


def _swap_bodies_too(connection, one, other):
    _swap_objects(connection, one, other)
    for upload, key in ((one, other.object_key), (other, one.object_key)):
        facts = {"upload_id": upload.id, "case_id": upload.case_id}
        connection.execute(update(BODIES).where(BODIES.c.key == key).values(**facts))


def _move_to_the_other_case(connection, one, other):
    here = {"case_id": one.case_id, "parent_id": one.parent_id}
    connection.execute(update(UPLOADS).where(UPLOADS.c.id == other.id).values(**here, name="x.log"))
    connection.execute(
        update(NODES).where(NODES.c.id == other.node_id).values(**here, name="x.log", shown_name="x.log")
    )
    connection.execute(update(BODIES).where(BODIES.c.upload_id == other.id).values(case_id=one.case_id))


def _show_as_ones_own(connection, one, other):
    connection.execute(update(NODES).where(NODES.c.id == one.node_id).values(head_upload=other.id))


@pytest.mark.parametrize(
    ("crossing", "name", "flaw"),
    [
        (_swap_objects, "a.log", "crossed"),
        (_swap_bodies_too, "a.log", "other-content"),
        (_move_to_the_other_case, "x.log", "other-content"),
        (_show_as_ones_own, "a.log", "crossed"),
    ],
)
def test_catalog_that_was_altered_gives_nobody_another_cases_file(kept, verify, crossing, name, flaw):
    """Who writes to the catalog and has no key: the reader gets nothing, the audit and `mft verify` tell of it."""
    kept.client("bob").put("/ACME-5/to-support/secret.log", b"of another case\n")
    kept.work()
    kept.work()
    rows = kept.rows()
    one, other = rows[0], rows[-1]
    with kept.database.write() as connection:
        crossing(connection, one, other)
    with pytest.raises(DamagedError):
        kept.client("eve").get(f"{IN}/{name}")
    (event,) = kept.events("object.tampering_found")
    assert (event["what"], event["login"], event["case"]) == ("wrong object", "eve", "ACME-1")
    code, document = verify()
    assert (code, flaw in {found for found, _, _ in flaws(document)}) == (3, True)


def test_orphans_are_left_for_a_day_and_go_with_repair_alone(kept, verify):
    """A body without a slot: said, kept while it is young, deleted when it is old and --repair is given."""
    orphan = path_of(kept, body_name("0" * 32))
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"left by a crash")
    assert flaws(verify()[1]) == [("orphaned", "eu", body_name("0" * 32))]
    code, document = verify("--repair")
    assert (code, document["faults"][0]["note"]) == (3, "it is left alone for a day")
    long_ago = time.time() - 2 * 86400
    os.utime(orphan, (long_ago, long_ago))
    assert verify()[0] == 3
    assert orphan.exists()
    assert verify("--repair")[0] == 4
    assert not orphan.exists()
    assert verify()[0] == 0


def test_genuine_object_that_the_catalog_forgot_is_never_deleted(kept, verify):
    """It could still be opened, so it is no orphan however old it is."""
    key = keys_of(kept)[1]
    with kept.database.write() as connection:
        connection.execute(update(UPLOADS).where(UPLOADS.c.object_key == key).values(object_key=None, state="rejected"))
        connection.execute(delete(REPLICAS).where(REPLICAS.c.object_key == key))
        connection.execute(delete(BODIES).where(BODIES.c.key == key))
    long_ago = time.time() - 20 * 86400
    for name in (slot_name(key), body_name(key)):
        os.utime(path_of(kept, name), (long_ago, long_ago))
    code, document = verify("--repair")
    assert code == 3
    assert sorted(flaws(document)) == [("unlisted", "eu", slot_name(key)), ("unlisted", "us", slot_name(key))]
    assert path_of(kept, body_name(key)).exists()


def test_copy_where_its_case_may_not_lie_is_taken_away(kept, verify):
    """Misplaced once the case stays in the EU: with --repair the copy goes, once the one at home was read."""
    kept.system.change_case("ACME-1", {"classification": "eu-only"})
    first, second = keys_of(kept)
    code, document = verify()
    assert code == 3
    assert set(flaws(document)) == {("misplaced", "us", first), ("misplaced", "us", second)}
    flip(path_of(kept, body_name(first)), 300_000)
    code, document = verify("--repair")
    assert code == 3
    told = {fault["subject"]: fault.get("note", "") for fault in document["faults"]}
    assert "last good copy" in told[first]
    assert path_of(kept, body_name(first), "us").exists()
    assert not path_of(kept, slot_name(second), "us").exists()
    assert not path_of(kept, body_name(second), "us").exists()
    assert kept.client("eve").get(f"{IN}/b.log") == b"another\n"


def test_region_without_its_keys_is_said_not_to_be_looked_into(kept, verify, tmp_path):
    """A wrong passphrase: exit code 5, nothing is called corrupt, nothing is touched."""
    (tmp_path / "us.pass").write_text("guess\n")
    code, document = verify("--repair", "--deep")
    assert (code, document["left"]) == (5, 0)
    assert [(fault["flaw"], fault["region"]) for fault in document["faults"]] == [("locked", "us")]


def test_keys_that_do_not_open_are_found(kept, verify):
    """A case's wrapped key with a flipped bit is named by its scope."""
    with kept.database.write() as connection:
        scope = connection.execute(select(CASES.c.scope).where(CASES.c.number == "ACME-1")).scalar_one()
        connection.exec_driver_sql("UPDATE case_key SET wrapped = zeroblob(69) WHERE region = 'eu'")
    code, document = verify()
    assert code == 3
    assert ("undecryptable", "eu", f"case:{scope}") in flaws(document)


def test_lost_keyring_is_not_replaced_by_a_new_one(kept):
    """Beside objects that it opens: what came under the new one would be lost once the old one is back."""
    path = kept.config.regions["eu"].keyring.path
    path.unlink()
    with pytest.raises(KeyringError, match="put it back from a backup"):
        open_keyring(kept.config, "eu")
    assert not path.exists()


def test_keyring_that_a_person_opens_is_locked_where_nobody_is(kept, run, tmp_path):
    """A nightly run has no terminal: that region's keys are not at hand, and the rest is looked at."""
    config = tmp_path / "config.yaml"
    document = yaml.safe_load(config.read_text())
    document["regions"]["us"]["keyring"] = {"path": "us.keyring", "prompt": True}
    config.write_text(json.dumps(document))
    code, out, error = run("verify", "--config", config)
    assert (code, "the keyring of 'us' is locked" in out, error.count("\n")) == (5, True, 1)
    assert run("verify", "--config", config, stdin=b"pass\n")[0] == 0


def test_landing_logs_that_are_gone_or_altered_are_found(kept, verify):
    """What was received and is not stored yet is looked for, and read to its end with --deep."""
    client = kept.client("ann")
    gone, altered = client.put(f"{IN}/c.log", b"c" * 1000).id, client.put(f"{IN}/d.log", b"d" * 1000).id
    landing = kept.config.regions["eu"].landing
    (landing / f"{gone}.landing").unlink()
    flip(landing / f"{altered}.landing", 400)
    assert ("missing-landing", "eu", gone) in flaws(verify()[1])
    assert set(flaws(verify("--deep")[1])) == {("missing-landing", "eu", gone), ("corrupt-landing", "eu", altered)}


def test_one_case_and_one_region_are_looked_at_alone(kept, verify, run, tmp_path):
    """What is outside of what was asked for is not looked at; what does not exist is said."""
    path_of(kept, body_name(keys_of(kept)[0]), "us").unlink()
    assert verify("--region", "eu")[0] == 0
    assert verify("--region", "us", "--case", "ACME-1")[0] == 3
    config = ("--config", tmp_path / "config.yaml")
    assert run("verify", *config, "--region", "mars")[0] == 2
    code, _, error = run("verify", *config, "--case", "ACME-77")
    assert (code, "ACME-77" in error) == (1, True)
    code, out, error = run("verify", *config)
    assert (code, "missing-body" in out, error.count("\n")) == (3, True, 1)
    assert "1 left wrong" in error


@pytest.mark.parametrize("how", ["altered", "gone"])
def test_file_of_which_no_whole_copy_is_left_says_so_to_its_reader(kept, how):
    """In words, and once in the log; not as a breakdown that nobody foresaw."""
    for region in ("eu", "us"):
        path = path_of(kept, body_name(next(row.object_key for row in kept.rows() if row.name == "b.log")), region)
        flip(path, path.stat().st_size - 1) if how == "altered" else path.unlink()
    with pytest.raises(DamagedError, match="no whole copy"):
        kept.client("eve").get(f"{IN}/b.log")
    assert len(kept.client("eve").get(f"{IN}/a.log")) == 600_000


def test_background_reads_everything_mends_and_rests(kept):
    """A pass mends what rotted; the next one is not due before its time, and one that was cut goes on where it was."""
    rounds = VerifyRounds(kept.parts, VerifyConfig(every=3600.0, bandwidth=None))
    flip(path_of(kept, body_name(keys_of(kept)[0])), 300_000)
    now = time.time()
    report = rounds.round(now)
    assert (report.objects, len(report.mended), len(report.left)) == (2, 1, 0)
    assert rounds.round(now + 60) is None
    assert rounds.round(now + 4000).faults == []
    rounds._notebook.move(min(keys_of(kept)))
    assert rounds.round(now).objects == 1
