"""From LANDED to the end: scrubbed, stored, copied, or kept back with its reason; and again after what goes wrong."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import select, update

from mft.catalog.model import BODIES, UPLOADS
from mft.intake import service as intake_service
from mft.receipts import verify_receipt
from mft.scrubbing.nursery import NurseryError
from protocols.errors import NotFoundError, PermissionDeniedError
from protocols.filesystem import WriteMode
from protocols.path import parse_path
from storage.errors import KeyUnavailableError, OutOfSpaceError
from tests.core import running_core, until

IN = "/ACME-1/to-support"
SECRET = b"user ok\npassword=hunter2-tr0ub4dor\n"


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what failed be tried again at once, and what a crash left be adopted at once."""
    monkeypatch.setattr(intake_service, "REST_SECONDS", 0.0)
    monkeypatch.setattr(intake_service, "ADOPT_SECONDS", 0.0)


def archive(members: dict[str, bytes], *, compress: bool = True) -> bytes:
    """Return a tar, gzip'd unless *compress* is false."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz" if compress else "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def test_clean_file_is_stored_as_it_is(house):
    """Nothing found: the very bytes, available to engineers, with a final receipt under the same id."""
    landed = house.client("ann").put(f"{IN}/a.log", b"all is well\n")
    house.work()
    assert house.client("eve").get(f"{IN}/a.log") == b"all is well\n"
    final = house.client("ann").document("/ACME-1/.meta/a.log.receipt.json")
    assert (final["id"], final["kind"], final["outcome"]) == (landed.id, "final", "accept")
    assert (final["size"], final["sha256"]) == (landed.document["size"], landed.document["sha256"])
    verify_receipt(final, house.parts.credentials.receipt_key.public_key())


@pytest.mark.parametrize("kind", ["plain", "gzip", "tar.gz", "zip"])
def test_secret_is_gone_from_every_kind_of_file(house, kind):
    """What engineers read has no secret, opens with the usual tools, and keeps the rest."""
    if kind == "plain":
        sent = SECRET
    elif kind == "gzip":
        sent = gzip.compress(SECRET)
    elif kind == "tar.gz":
        sent = archive({"etc/app.conf": SECRET, "etc/other": b"fine\n"})
    else:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("etc/app.conf", SECRET)
        sent = buffer.getvalue()
    house.client("ann").put(f"{IN}/bundle.{kind}", sent)
    house.work()
    got = house.client("eve").get(f"{IN}/bundle.{kind}")
    if kind == "gzip":
        got = gzip.decompress(got)
    elif kind == "tar.gz":
        with tarfile.open(fileobj=io.BytesIO(got)) as tar:
            assert tar.getnames() == ["etc/app.conf", "etc/other"]
            got = tar.extractfile("etc/app.conf").read()
    elif kind == "zip":
        with zipfile.ZipFile(io.BytesIO(got)) as packed:
            got = packed.read("etc/app.conf")
    assert b"hunter2" not in got
    assert got.startswith(b"user ok\npassword=")


def test_pseudonyms_are_the_same_within_a_case_and_others_in_another(house):
    """One address is one pseudonym in every file of a case, and another one in another case."""
    text = b"from host 203.0.113.77 came a packet\n"
    for path in (f"{IN}/a", f"{IN}/b", "/ACME-3/to-support/c"):
        house.client("ann").put(path, text)
    house.work()
    reader = house.client("max")
    first, second, third = (reader.get(path) for path in (f"{IN}/a", f"{IN}/b", "/ACME-3/to-support/c"))
    assert first == second != third
    assert b"203.0.113.77" not in first + third


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("bomb.gz", lambda: gzip.compress(bytes(100_000_000), 1)),
        ("broken.gz", lambda: gzip.compress(SECRET)[:-9]),
        ("broken.tar.gz", lambda: archive({"a": os.urandom(100_000)})[:50_000]),
    ],
    ids=["bomb", "broken-gzip", "broken-tar"],
)
def test_what_cannot_be_looked_into_is_quarantined(house, name, make):
    """A bomb or a broken archive is kept sealed with its reason, seen by its sender alone, and never published."""
    house.client("ann").put(f"{IN}/{name}", make())
    house.work()
    (row,) = house.rows()
    assert row.state == "quarantined"
    assert row.reason
    assert house.client("eve").names(IN) == []
    with pytest.raises(NotFoundError):
        house.client("eve").get(f"{IN}/{name}")
    status = house.client("ann").document(f"/ACME-1/.meta/{name}.status.json")
    assert (status["state"], status["reason"]) == ("quarantined", row.reason)
    assert house.client("ann").document(f"/ACME-1/.meta/{name}.receipt.json")["outcome"] == "quarantined"
    assert house.events("upload.quarantined")[0]["upload"] == row.id
    with house.database.read() as connection:
        assert [row[0] for row in connection.exec_driver_sql("SELECT state FROM stored_body")] == ["discarded"]


def test_hostile_member_names_stay_inside_the_archive(house):
    """Absolute names and `..` in a tar write nothing anywhere and come out made safe; a symbolic link stays a text."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("/etc/cron.d/evil", "../../evil", "ok.txt"):
            info = tarfile.TarInfo(name)
            info.size = 5
            tar.addfile(info, io.BytesIO(b"text\n"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo("link" + kind.decode())
            link.type, link.linkname = kind, "/etc/passwd"
            tar.addfile(link)
    house.client("ann").put(f"{IN}/evil.tar", packed.getvalue())
    house.work()
    (row,) = house.rows()
    if row.state == "stored":
        with tarfile.open(fileobj=io.BytesIO(house.client("eve").get(f"{IN}/evil.tar"))) as tar:
            assert not any(name.startswith(("/", "..")) for name in tar.getnames())
            assert not any(member.islnk() and member.linkname.startswith(("/", "..")) for member in tar.getmembers())
    else:
        assert row.state == "quarantined"
    assert not Path("/etc/cron.d/evil").exists()


def test_part_file_waits_for_its_final_name(house):
    """A name that its client will change is not scrubbed before it has."""
    house.client("ann").put(f"{IN}/a.log.filepart", SECRET)
    house.work()
    assert house.states() == ["landed"]
    house.client("ann").rename(f"{IN}/a.log.filepart", f"{IN}/a.log")
    house.work()
    assert house.states() == ["stored"]
    assert house.client("eve").names(IN) == ["a.log"]


def test_part_file_that_is_never_renamed_is_scrubbed_in_the_end(tmp_path, nursery):
    """Once it may no longer be resumed, it is what it is."""
    with running_core(tmp_path, nursery, landing={"resume_grace": 0}) as house:
        house.client("ann").put(f"{IN}/a.part", b"x")
        house.work()
        assert house.states() == ["stored"]


def test_every_version_is_stored_and_the_newest_is_shown(house):
    """Versions keep the order of their ends, also where an older one is scrubbed later."""
    for content in (b"one\n", b"two\n", b"three\n"):
        house.client("ann").put(f"{IN}/a", content)
    newest = house.rows()[-1].id
    house.intake._scrub_job(newest, "")
    assert house.client("eve").get(f"{IN}/a") == b"three\n"
    house.work()
    assert house.states() == ["stored"] * 3
    assert house.client("eve").get(f"{IN}/a") == b"three\n"


def test_names_that_are_one_when_scrubbed_stay_apart(house):
    """Two senders' names may come to the same: the later one is numbered."""
    house.client("ann").put(f"{IN}/report", b"hers\n")
    house.client("bob").mkdir(f"{IN}/d")
    house.work()
    assert house.client("eve").names(IN) == ["report"]


# -- copies ------------------------------------------------------------------------------------------------------------


def test_copies_are_made_verified_and_read_from_the_nearest(house):
    """A copy lies in each region of the rule, its source is noted, and a reader there gets it."""
    house.client("ann").put(f"{IN}/a", b"content\n")
    house.work()
    (copied,) = house.events("copy.verified")
    assert (copied["source"], copied["region"]) == ("eu", "us")
    house.client("eve", "us").get(f"{IN}/a")
    house.client("eve", "eu").get(f"{IN}/a")
    assert [event["served_from"] for event in house.events("file.opened")] == ["us", "eu"]


def test_contents_never_lie_where_residency_forbids(house):
    """An EU-only file leaves no byte in another region's directories."""
    house.client("ann").put("/ACME-2/to-support/a", b"content\n")
    house.work()
    stored = {
        name: [path for path in region.store.path.rglob("*") if path.is_file()]
        for name, region in house.config.regions.items()
    }
    assert stored["eu"]
    assert not stored["us"]
    assert not stored["in"]
    assert house.events("upload.stored")[0]["copies"] == []


def test_failed_copy_is_tried_again(tmp_path, nursery):
    """A region that takes nothing is tried again; failures are in the audit, and the file is available meanwhile."""
    with running_core(tmp_path, nursery, replication={"retry_first": "10ms", "retry_max": "10ms"}) as house:
        away = house.keys._wrappers.pop("us")
        house.client("ann").put(f"{IN}/a", b"content\n")
        house.work()
        assert house.client("eve", "us").get(f"{IN}/a") == b"content\n"
        assert house.events("file.opened")[0]["served_from"] == "eu"
        assert house.events("copy.failed")[0]["why"] == "KeyUnavailableError"
        house.keys._wrappers["us"] = away

        def copied() -> bool:
            house.work()
            return bool(house.events("copy.verified"))

        until(copied)


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_scrub_child_that_dies_is_tried_again_and_then_quarantined(house, monkeypatch):
    """Its death touches that file alone: counted, written down, and after a few the file is kept back."""
    house.client("ann").put(f"{IN}/a", SECRET)
    nursery = house.intake._scrubbing._nursery
    begin = nursery.begin

    def begin_and_kill(*arguments, **options):
        child = begin(*arguments, **options)
        nursery.kill(child._pid)
        return child

    with monkeypatch.context() as patched:
        patched.setattr(nursery, "begin", begin_and_kill)
        for _ in range(3):
            house.intake.start_due()
            assert house.states() == ["landed"]
        house.intake.start_due()
    assert house.states() == ["quarantined"]
    assert [event["attempt"] for event in house.events("scrub.failed")] == [1, 2, 3]
    house.client("ann").put(f"{IN}/b", SECRET)
    house.work()
    assert house.states() == ["quarantined", "stored"]


@pytest.mark.parametrize("error", [NurseryError, KeyUnavailableError, OutOfSpaceError])
def test_what_is_lacking_for_a_while_costs_no_file_an_attempt(house, monkeypatch, error):
    """Without nursery, keys or room a file waits, for however long; then it goes its way."""
    house.client("ann").put(f"{IN}/a", SECRET)

    def lacking(*_arguments: object, **_options: object) -> None:
        raise error("not now")

    with monkeypatch.context() as patched:
        patched.setattr(house.intake._scrubbing, "_run_child", lacking)
        for _ in range(6):
            house.intake.start_due()
        assert house.states() == ["landed"]
    if error is KeyUnavailableError:  # nothing is on its way that a key to be retired would have to wait for
        with house.database.read() as connection:
            assert set(connection.execute(select(BODIES.c.state)).scalars()) == {"discarded"}
    house.work()
    assert house.states() == ["stored"]
    assert house.rows()[0].attempts == 1


def test_what_a_dead_intake_left_half_scrubbed_is_taken_up(house):
    """An upload that is SCRUBBING and that nobody works on is begun again."""
    house.client("ann").put(f"{IN}/a", SECRET)
    house.intake._scrubbing._claim(house.rows()[0].id)
    assert house.states() == ["scrubbing"]
    house.work()
    assert house.states() == ["stored"]


def test_job_that_fails_between_scrub_and_settle_is_done_again(house, monkeypatch):
    """An object that was written but not recorded is never shown; the next attempt stores another, and one is shown."""
    house.client("ann").put(f"{IN}/a", SECRET)
    with monkeypatch.context() as patched:
        patched.setattr(house.intake._settling, "settle", lambda *_: 1 / 0)
        house.intake.start_due()
    assert house.states() == ["scrubbing"]
    assert house.client("eve").names(IN) == []
    house.work()
    assert house.states() == ["stored"]
    assert house.client("eve").names(IN) == ["a"]


def test_settling_twice_changes_nothing(house):
    """Steps may run twice: the second finds the upload where it should be."""
    house.client("ann").put(f"{IN}/a", b"x\n")
    upload_id = house.rows()[0].id
    outcome = house.intake._scrubbing.scrub(upload_id)
    house.intake._settling.settle(upload_id, outcome)
    before = house.rows()
    house.intake._settling.settle(upload_id, outcome)
    assert house.rows() == before
    assert len(house.events("upload.stored")) == 1


def test_landing_log_that_was_altered_is_quarantined(house):
    """A byte changed on the disk is found, named, and nothing of it is published."""
    house.client("ann").put(f"{IN}/a", os.urandom(600_000))
    (path,) = house.data.rglob("*.landing")
    with path.open("r+b") as file:
        file.seek(300_000)
        byte = file.read(1)[0]
        file.seek(300_000)
        file.write(bytes([byte ^ 1]))
    for _ in range(3):
        house.work()
    (row,) = house.rows()
    assert (row.state, "AlteredRecordError" in row.reason) == ("quarantined", True)
    assert house.client("eve").names(IN) == []


def test_pending_digest_is_filled_in(house):
    """Where OK was given without a digest, the final receipt has it."""
    content = os.urandom(500_000)
    house.client("ann").cut(f"{IN}/a", content[:300_000])
    house.client("ann").resume(f"{IN}/a", content)
    house.work()
    final = house.client("ann").document("/ACME-1/.meta/a.receipt.json")
    assert final["sha256"] == hashlib.sha256(content).hexdigest()


# -- the sweep ---------------------------------------------------------------------------------------------------------


def test_landing_is_destroyed_once_nobody_needs_it(tmp_path, nursery):
    """After the grace for resuming, the log goes; a quarantined file's stays."""
    with running_core(tmp_path, nursery, landing={"resume_grace": 0}) as house:
        house.client("ann").put(f"{IN}/a", b"x\n")
        house.client("ann").put(f"{IN}/b.gz", b"\x1f\x8b\x08 broken")
        house.work()
        assert sorted(house.states()) == ["quarantined", "stored"]
        house.intake._sweep.run()
        kept = [row.state for row in house.rows() if row.landing_gone_at is None]
        assert kept == ["quarantined"]
        assert len(list(house.data.rglob("*.landing"))) == 1
        assert house.client("ann").get(f"{IN}/a") == b"x\n"


def test_landing_stays_as_long_as_it_may_be_resumed(house):
    """Within the grace nothing is destroyed, also when the file is stored already."""
    house.client("ann").put(f"{IN}/a", b"begun, ")
    house.work()
    house.intake._sweep.run()
    handle = house.client("ann").begin(f"{IN}/a", WriteMode.RESUME)
    handle.write(7, b"and ended")
    handle.commit()
    house.work()
    assert house.client("eve").get(f"{IN}/a") == b"begun, and ended"


def test_partials_expire(tmp_path, nursery):
    """Past its time an interrupted upload is given up, and its bytes go."""
    with running_core(tmp_path, nursery, landing={"partial_ttl": "1s"}) as house:
        house.client("ann").cut(f"{IN}/a", b"x" * 1000)
        with house.database.write() as connection:
            connection.execute(update(UPLOADS).values(updated_at=time.time() - 5))
        house.intake._sweep.run()
        assert house.states() == ["expired"]
        assert len(house.events("upload.expired")) == 1
        house.intake._sweep.run()
        assert list(house.data.rglob("*.landing")) == []


def test_sweep_reads_where_a_dead_process_s_upload_stands(house):
    """An upload whose process died shows its sender where to go on, once it was measured."""
    handle = house.client("ann", uploads=house.uploads("w0:1:a")).begin(f"{IN}/a")
    handle.write(0, b"x" * 300_000)
    handle.sync()
    handle._writer.close()
    house.uploads("w0:2:b").recover(["w0", "w1"])
    house.intake._sweep.run()
    assert house.client("ann").stat(f"{IN}/a").size == 299_999


def test_heads_are_handed_out_as_often_as_is_said(tmp_path, nursery, monkeypatch):
    """Not with each sweep, but between two of them; a file that cannot be written stops nothing."""
    handed = tmp_path / "heads.jsonl"
    monkeypatch.setattr(intake_service, "LOOK_SECONDS", 0.15)
    with running_core(tmp_path, nursery, audit={"export_head": str(handed), "export_every": "0.1s"}) as house:
        house.client("ann").put(f"{IN}/a", b"x\n")
        sender, receiver = socket.socketpair()
        rounds = iter([False, False, False, True])
        with sender, receiver:
            house.intake.run(receiver, lambda: next(rounds))  # the first has a sweep, the next in half a minute
        chains = [json.loads(line)["chain"] for line in handed.read_text().splitlines()]
        assert chains.count("customer:acme") >= 2
        handed.write_text('{"at": "2026-')  # what a full disk has left
        time.sleep(0.1)
        house.intake._sweep.hand_out_heads()
        torn, *heads = handed.read_text().splitlines()
        assert torn == '{"at": "2026-'
        assert json.loads(heads[0])["chain"] == "customer:acme"
        handed.unlink()
        handed.mkdir()
        time.sleep(0.1)
        house.intake._sweep.hand_out_heads()


def test_upload_under_way_outlives_every_sweep(house):
    """What is being received is nobody's to clear up."""
    handle = house.client("ann").begin(f"{IN}/a")
    handle.write(0, b"x" * 1000)
    house.intake._sweep.run()
    handle.write(1000, b"y")
    handle.commit()
    house.work()
    assert house.client("eve").get(f"{IN}/a") == b"x" * 1000 + b"y"


def test_sender_cannot_read_back_a_quarantined_file_after_it_was_withheld(house):
    """Until it is decided otherwise, nobody reads it; the refusal is no internal error."""
    house.client("ann").put(f"{IN}/b.gz", b"\x1f\x8b\x08 broken")
    house.work()
    with contextlib.suppress(NotFoundError, PermissionDeniedError):
        handle = house.client("ann").filesystem.open_read(parse_path(f"{IN}/b.gz"))
        handle.close()


def test_data_that_moved_to_another_machine_go_on(tmp_path, nursery, monkeypatch):
    """What had landed is scrubbed under another host name too: a container has a new one at each start."""
    with running_core(tmp_path) as before:
        before.client("ann").put(f"{IN}/a", b"landed on the old machine\n")
        before.client("ann").cut(f"{IN}/b", b"begun on the old machine, ")
    monkeypatch.setattr("socket.gethostname", lambda: "another-machine")
    with running_core(tmp_path, nursery) as after:
        after.client("ann").resume(f"{IN}/b", b"begun on the old machine, and ended")
        after.work()
        assert after.client("eve").get(f"{IN}/a") == b"landed on the old machine\n"
        assert after.client("eve").get(f"{IN}/b") == b"begun on the old machine, and ended"
