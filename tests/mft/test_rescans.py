"""What is stored is scrubbed once more by the rules of now: tightened, held back or left, and whole after any crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from mft.catalog.model import BODIES, NODES, REPLICAS, UPLOADS
from mft.holds import Holds
from mft.quarantine import Quarantine, Verdict
from mft.receipts import verify_receipt
from mft.rescans import RescanError, Rescans, RescanUnknownError
from mft.reversemaps import ReverseMapsError, join_maps, split_maps
from mft.upload.passwords import ArchivePasswords
from protocols.errors import NotFoundError, RejectedError
from storage.store import body_name, slot_name
from tests.core import running_core

if TYPE_CHECKING:
    from pathlib import Path

    from mft.rescans import Rescan
    from mft.scrubbing.nursery import Nursery
    from tests.core import Core

IN = "/ACME-1/to-support"
TEXT = b"from host 203.0.113.77 came Bluebird\npassword=hunter2-tr0ub4dor\n"
CLEAN = b"all is well\n"
LOOSE: dict[str, Any] = {"scrub": {"profile": "secrets-only"}}


def rescans(house: Core) -> Rescans:
    return Rescans(database=house.database, trail=house.parts.trail)


def order(house: Core, *, dry_run: bool = False) -> Rescan:
    """Order a rescan, have it done, and return it."""
    found = rescans(house).order("ACME-1", by="olga", reason="new words", dry_run=dry_run)
    for _ in found.files:
        house.work()
    return rescans(house).find(found.id)


def stored_in(house: Core, region: str, key: str) -> bool:
    """Say whether anything of an object lies in the store of a region."""
    names = {each.name for each in house.parts.stores[region].list()}
    return bool({body_name(key), slot_name(key)} & names)


def send_loosely(directory: Path, nursery: Nursery) -> None:
    """Have two files stored by rules that leave addresses alone."""
    with running_core(directory, nursery, **LOOSE) as house:
        house.client("ann").put(f"{IN}/a.log", TEXT)
        house.client("ann").put(f"{IN}/b.log", CLEAN)
        house.work()
        assert b"203.0.113.77" in house.client("eve").get(f"{IN}/a.log")


def test_what_is_stored_is_tightened(tmp_path, nursery):
    """What today's rules find goes; object, copies, receipt, report, tag and audit follow; the old object is gone."""
    send_loosely(tmp_path, nursery)
    with running_core(tmp_path, nursery) as house:
        before, _ = house.rows()
        tag = house.client("eve").stat(f"{IN}/a.log").etag
        first = house.client("ann").document("/ACME-1/.meta/a.log.receipt.json")
        done = order(house)
        assert (dict(done.states), done.finished_at is not None) == ({"tightened": 1, "unchanged": 1}, True)
        assert done.removed
        got = house.client("eve").get(f"{IN}/a.log")
        assert b"203.0.113.77" not in got
        assert b"came Bluebird\npassword=" in got
        assert house.client("eve").get(f"{IN}/b.log") == CLEAN
        after, same = house.rows()
        assert after.object_key != before.object_key
        assert (after.sha256, after.revision, same.revision) == (before.sha256, 1, 0)
        seen = house.client("eve").stat(f"{IN}/a.log")
        assert seen.etag != tag
        assert seen.size == len(got)
        final = house.client("ann").document("/ACME-1/.meta/a.log.receipt.json")
        verify_receipt(final, house.parts.credentials.receipt_key.public_key())
        assert final["amends"] == first["signature"]["value"]
        assert (final["id"], final["sha256"]) == (first["id"], first["sha256"])
        assert final["stored"]["sha256"] == after.scrubbed_sha256 != first["stored"]["sha256"]
        assert final["removed"].items() >= first["removed"].items()
        report = house.client("ann").document("/ACME-1/.meta/a.log.report.json")
        assert report["rescans"][0]["removed"] == dict(done.removed)
        assert report["findings_total"] == sum(report["counts"].values())
        (event,) = house.events("upload.rescanned")
        assert (event["object"], event["replaced"]) == (after.object_key, before.object_key)
        house.work()
        assert stored_in(house, "us", after.object_key)
        house.intake._replacing.clear()
        assert not any(stored_in(house, region, before.object_key) for region in ("eu", "us", "in"))
        assert [each["object"] for each in house.events("object.destroyed")] == [before.object_key]
        assert house.events("case.rescanned")[0]["states"] == {"tightened": 1, "unchanged": 1}
        assert house.client("eve").get(f"{IN}/a.log") == got
        assert dict(order(house).states) == {"unchanged": 2}


def test_pseudonyms_are_those_of_the_case(tmp_path, nursery):
    """An address that a rescan replaces has the pseudonym that the case's other files have for it."""
    send_loosely(tmp_path, nursery)
    with running_core(tmp_path, nursery) as house:
        house.client("ann").put(f"{IN}/later.log", TEXT)
        house.work()
        order(house)
        assert house.client("eve").get(f"{IN}/a.log") == house.client("eve").get(f"{IN}/later.log")


def test_dry_run_says_what_would_change_and_changes_nothing(tmp_path, nursery):
    """By rule and count, in every file; no object, row or receipt is another one after it."""
    send_loosely(tmp_path, nursery)
    with running_core(tmp_path, nursery) as house:
        with house.database.read() as connection:
            before = [connection.execute(select(table)).all() for table in (UPLOADS, BODIES, REPLICAS, NODES)]
        done = order(house, dry_run=True)
        with house.database.read() as connection:
            after = [connection.execute(select(table)).all() for table in (UPLOADS, BODIES, REPLICAS, NODES)]
        assert after == before
        assert dict(done.states) == {"tightened": 1, "unchanged": 1}
        assert sum(done.removed.values()) == 1
        assert order(house).removed == done.removed


def test_names_are_shown_by_the_rules_of_now(tmp_path, nursery):
    """A name that has to go by today's words is shown as scrubbed now, and the old one leads nowhere."""
    with running_core(tmp_path, nursery) as house:
        house.client("ann").put(f"{IN}/Bluebird.log", CLEAN)
        house.work()
        assert house.client("eve").names(IN) == ["Bluebird.log"]
    (tmp_path / "terms.txt").write_text("Bluebird\n")
    with running_core(tmp_path, nursery, scrub={"terms": "terms.txt"}) as house:
        assert dict(order(house).states) == {"tightened": 1}
        (shown,) = house.client("eve").names(IN)
        assert "Bluebird" not in shown
        assert house.client("eve").get(f"{IN}/{shown}") == CLEAN
        with pytest.raises(NotFoundError):
            house.client("eve").get(f"{IN}/Bluebird.log")
        assert house.client("ann").names(IN) == ["Bluebird.log"]


def test_legal_hold_refuses_all_but_a_dry_run(tmp_path, nursery):
    """Of a held case nothing is replaced, as that destroys; what was replaced before the hold is not cleared away."""
    send_loosely(tmp_path, nursery)
    with running_core(tmp_path, nursery) as house:
        holds = Holds(database=house.database, trail=house.parts.trail, lookup=house.parts.lookup)
        waiting = rescans(house).order("ACME-1", by="olga")
        holds.set("ACME-1", reason="a lawsuit", by="law")
        with pytest.raises(RescanError, match="legal hold"):
            rescans(house).order("ACME-1", by="olga")
        house.work()
        house.work()
        assert dict(rescans(house).find(waiting.id).states) == {"left": 2}
        assert dict(order(house, dry_run=True).states) == {"tightened": 1, "unchanged": 1}
        holds.release("ACME-1", reason="settled", by="law")
        old = house.rows()[0].object_key
        assert dict(order(house).states) == {"tightened": 1, "unchanged": 1}
        holds.set("ACME-1", reason="another", by="law")
        assert house.intake._replacing.clear() == 0
        assert stored_in(house, "eu", old)


def test_what_the_rules_of_now_do_not_let_through_is_held_back(tmp_path, nursery):
    """It is read by nobody, and two releasers decide: back as it was, or destroyed with its object."""
    with running_core(tmp_path, nursery, **LOOSE) as house:
        for name in ("a.log", "b.log"):
            house.client("ann").put(f"{IN}/{name}", b"from host 203.0.113.77\n")
        house.client("ann").put(f"{IN}/a.log", CLEAN + b"from host 203.0.113.78\n")
        house.work()
    with running_core(tmp_path, nursery, scrub={"on": {"personal": "quarantine"}}) as house:
        assert dict(order(house).states) == {"quarantined": 3}
        assert house.states() == ["quarantined"] * 3
        assert house.client("eve").names(IN) == []
        passwords = ArchivePasswords(database=house.database, trail=house.parts.trail, keys=house.keys)
        with pytest.raises(RejectedError, match="rescan"):
            passwords.give(house.rows()[0].id, ["s3same"], login="ann")
        receipt = house.client("ann").document("/ACME-1/.meta/b.log.receipt.json")
        assert (receipt["outcome"], "today's rules" in receipt["reason"]) == ("quarantined", True)
        quarantine = Quarantine(database=house.database, trail=house.parts.trail, approvals=2)
        wishes = {row.id: Verdict.DESTROY if row.name == "b.log" else Verdict.RELEASE for row in house.rows()[:2]}
        for upload, wish in wishes.items():
            for login in ("rita", "ralf"):
                quarantine.vote(upload, wish, login=login, reason="looked at")
        house.work()
        assert house.states() == ["stored", "destroyed", "quarantined"]
        assert house.client("eve").get(f"{IN}/a.log") == b"from host 203.0.113.77\n"
        gone = house.rows()[1].object_key
        house.intake._replacing.clear()
        assert not any(stored_in(house, region, gone) for region in ("eu", "us"))
        assert house.events("upload.released")[0]["voters"] == ["ralf", "rita"]


def test_released_files_and_those_of_engineers_are_left_alone(tmp_path, nursery):
    """What two people released as it is stays so, and an engineer's file is no part of an order."""
    with running_core(tmp_path, nursery) as house:
        house.client("ann").put(f"{IN}/cut.gz", b"\x1f\x8b\x08\x00" + bytes(6) + b"no stream" * 9)
        house.client("eve").put("/ACME-1/from-support/fix.txt", b"from host 203.0.113.77\n")
        house.work()
        quarantine = Quarantine(database=house.database, trail=house.parts.trail, approvals=2)
        for login in ("rita", "ralf"):
            quarantine.vote(house.rows()[0].id, Verdict.RELEASE, login=login, reason="looked at")
        house.work()
        done = order(house)
        assert dict(done.states) == {"left": 1}
        assert "released" in (done.files[0].why or "")


def test_crash_at_each_step_leaves_one_whole_object(tmp_path, nursery, monkeypatch):
    """Cut off before, within and after each step, a version is read as it was or as it is to be, and then finished."""
    send_loosely(tmp_path, nursery)
    with running_core(tmp_path, nursery) as house:
        old = house.rows()[0].object_key
        rescanning, replacing = house.intake._rescanning, house.intake._replacing

        class CutError(Exception):
            pass

        def cut(*_: object, **__: object) -> None:
            raise CutError

        found = rescans(house).order("ACME-1", by="olga")
        monkeypatch.setattr("mft.intake.service.REST_SECONDS", 0.0)
        for owner, name in (
            (rescanning, "_note_body"),
            (house.parts.objects, "fetch"),
            (replacing, "settle"),
            (replacing, "_note"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, cut)
                house.work()
            assert house.rows()[0].object_key == old
            assert b"203.0.113.77" in house.client("eve").get(f"{IN}/a.log")
            assert b"203.0.113.77" in house.client("max", "us").get(f"{IN}/a.log")
        house.work()
        house.work()
        assert dict(rescans(house).find(found.id).states) == {"tightened": 1, "unchanged": 1}
        with monkeypatch.context() as patch:
            patch.setattr(house.parts.objects, "destroy", cut)
            with pytest.raises(CutError):
                replacing.clear()
        assert replacing.clear() == 1
        assert b"203.0.113.77" not in house.client("eve").get(f"{IN}/a.log")
        assert len(house.events("upload.rescanned")) == 1


def test_unreadable_object_is_left_as_it_is(tmp_path, nursery):
    """One whose bytes were altered fails by itself; the others are done."""
    send_loosely(tmp_path, nursery)
    with running_core(tmp_path, nursery) as house:
        row = house.rows()[0]
        for region in ("eu", "us"):
            path = house.config.regions[region].store.path / body_name(row.object_key)
            data = bytearray(path.read_bytes())
            data[-20] ^= 1
            path.write_bytes(bytes(data))
        done = order(house)
        assert dict(done.states) == {"failed": 1, "unchanged": 1}
        assert house.rows()[0].object_key == row.object_key


def test_order_is_refused_for_what_is_not_there(house):
    """No case of that number, none of that id; and a reason is one line of text."""
    with pytest.raises(RescanUnknownError):
        rescans(house).order("NOPE-1", by="olga")
    with pytest.raises(RescanUnknownError):
        rescans(house).find("0" * 32)
    house.client("ann").put(f"{IN}/a.log", CLEAN)
    with pytest.raises(RescanError, match="printable"):
        rescans(house).order("ACME-1", by="olga", reason="a\nb")
    assert rescans(house).order("ACME-1", by="olga").finished_at is not None


def test_order_under_way_is_gone_on_with(tmp_path, nursery):
    """A second order while one is under way is the first."""
    send_loosely(tmp_path, nursery)
    with running_core(tmp_path, nursery) as house:
        first = rescans(house).order("ACME-1", by="olga")
        assert rescans(house).order("ACME-1", by="otto").id == first.id
        assert rescans(house).order("ACME-1", by="otto", dry_run=True).id != first.id


def test_command_says_that_nobody_carries_it_out(house, run, monkeypatch):
    """Without a server the order stands, and the command says so at once; `--show` has it; bad input is named."""
    monkeypatch.setattr("mft.cli.rescan._STILL_SECONDS", 0.0)
    house.client("ann").put(f"{IN}/a.log", CLEAN)
    house.work()
    at = ("--config", house.data.parent / "config.yaml")
    code, _, error = run("rescan", "ACME-1", *at)
    assert (code, "no server runs" in error) == (1, True)
    code, out, _ = run("rescan", "ACME-1", "--no-wait", *at)
    assert (code, "1 files" in out, "still to be looked at" in out) == (0, True, True)
    house.work()
    code, out, _ = run("rescan", "ACME-1", "--show", *at)
    assert (code, "as they are" in out) == (0, True)
    assert run("rescan", "NOPE-1", *at)[0] == 1
    assert run("rescan", "ACME-1", "--wait", "soon", *at)[0] == 2


def test_several_reverse_maps_are_one_file():
    """They come apart as they went in; a file that is cut off is refused."""
    assert join_maps([None, None]) is None
    assert join_maps([b"one", None]) == b"one"
    three = join_maps([join_maps([b"one", b"two"]), b"three"])
    assert three is not None
    assert split_maps(three) == [b"one", b"two", b"three"]
    with pytest.raises(ReverseMapsError):
        split_maps(three[:-1])
