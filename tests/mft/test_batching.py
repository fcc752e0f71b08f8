"""Small files of a case are done together, and each of them is dealt with as if it were alone."""

from __future__ import annotations

import gzip
import sqlite3
import time

import pytest
from sqlalchemy import update

from mft.catalog.model import UPLOADS
from mft.intake import service as intake_service
from mft.intake.waiting import PATIENCE, SMALL_BYTES
from mft.scrubbing.answer import AnswerError, write_answer
from mft.scrubbing.batch import BATCH_FILES, read_batch
from protocols.errors import NotFoundError
from tests.core import running_core

IN = "/ACME-1/to-support"


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what failed be tried again at once."""
    monkeypatch.setattr(intake_service, "REST_SECONDS", 0.0)
    monkeypatch.setattr(intake_service, "ADOPT_SECONDS", 0.0)


def line(number: int) -> bytes:
    """Return a file that names a user and a secret of its own."""
    return b"login for user=walter%d from 203.0.113.%d password=hunter%d-tr0ub4dor\n" % (number, number, number)


def scrubs(house) -> list[str]:
    """Return the jobs that were started for uploads."""
    return [each for each in house.jobs.started if each.startswith("scrub:")]


def test_small_files_of_a_case_share_a_job_and_have_receipts_of_their_own(house):
    """Files that wait together are one job; each has its digest, its receipt and its event."""
    sender = house.client("ann")
    for number in range(5):
        sender.put(f"{IN}/{number}.log", line(number))
    house.work()
    assert len(scrubs(house)) == 1
    assert house.states() == ["stored"] * 5
    assert len({row.object_key for row in house.rows()}) == 5
    assert len(house.events("upload.stored")) == 5
    for number in range(5):
        final = sender.document(f"/ACME-1/.meta/{number}.log.receipt.json")
        assert (final["kind"], final["outcome"], final["size"]) == ("final", "redact", len(line(number)))
        got = house.client("eve").get(f"{IN}/{number}.log")
        assert b"hunter" not in got
        assert got.startswith(b"login for user=")


def test_a_batch_teaches_its_case_as_single_files_do(house):
    """What one of a batch calls a user, later files call so too."""
    for number in range(3):
        house.client("ann").put(f"{IN}/{number}.log", line(number))
    house.work()
    house.client("ann").put(f"{IN}/late.log", line(1))
    house.work()
    reader = house.client("eve")
    assert reader.get(f"{IN}/late.log") == reader.get(f"{IN}/1.log")


def test_all_of_a_batch_know_what_any_of_it_teaches(house):
    """A name that the last file tells of is replaced in the first, which only mentions it."""
    house.client("ann").put(f"{IN}/first.log", b"then waldemar left\n")
    house.client("ann").put(f"{IN}/last.log", b"login for user=waldemar from 203.0.113.9\n")
    house.work()
    assert len(scrubs(house)) == 1
    reader = house.client("eve")
    assert b"waldemar" not in reader.get(f"{IN}/last.log")
    assert b"waldemar" not in reader.get(f"{IN}/first.log")


def test_cases_and_large_files_are_kept_apart(house):
    """A batch is of one case; what is large, or of another case, has a job of its own."""
    sender = house.client("ann")
    for number in range(2):
        sender.put(f"{IN}/{number}.log", line(number))
        sender.put(f"/ACME-3/to-support/{number}.log", line(number))
    sender.put(f"{IN}/large.log", line(7) + bytes(SMALL_BYTES))
    house.work()
    assert len(scrubs(house)) == 3
    assert house.states() == ["stored"] * 5


def test_one_that_is_withheld_harms_no_other(house):
    """A broken archive among good files is quarantined alone, with its reason."""
    house.client("ann").put(f"{IN}/0.log", line(0))
    house.client("ann").put(f"{IN}/broken.gz", gzip.compress(line(1))[:-9])
    house.client("ann").put(f"{IN}/2.log", line(2))
    for _ in range(3):
        house.work()
    assert sorted(house.states()) == ["quarantined", "stored", "stored"]
    (kept,) = [row for row in house.rows() if row.state == "quarantined"]
    assert (kept.name, kept.reason is not None) == ("broken.gz", True)
    with pytest.raises(NotFoundError):
        house.client("eve").get(f"{IN}/broken.gz")


def test_one_that_brings_the_child_down_is_counted_alone(tmp_path, nursery):
    """Where one file is more than a child may take, the others are done one by one, and only its attempts count."""
    with running_core(tmp_path, nursery, scrub={"attempts": 2, "cpu": 5, "wall": "5s"}) as house:
        house.client("ann").put(f"{IN}/0.log", line(0))
        house.client("ann").put(f"{IN}/1.log", line(1))
        landed = house.parts.zones["eu"].log_size(house.rows()[0].landing_id)
        assert landed
        path = house.parts.zones["eu"]._path(house.rows()[0].landing_id)
        torn = bytearray(path.read_bytes())
        torn[-20] ^= 1
        path.write_bytes(torn)
        for _ in range(4):
            house.work()
        bad, good = house.rows()
        assert (good.state, good.attempts) == ("stored", 1)
        assert bad.state == "quarantined"


def test_what_a_dead_intake_left_of_a_batch_is_taken_up(house, monkeypatch):
    """A batch of which the process died before it was settled is done again, one by one."""
    for number in range(3):
        house.client("ann").put(f"{IN}/{number}.log", line(number))

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(house.intake._batching._settling, "conclude", killed)
        with pytest.raises(SystemExit):
            house.work()
    assert house.states() == ["scrubbing"] * 3
    house.attach(house.intake._batching._nursery)
    for _ in range(2):
        house.work()
    assert house.states() == ["stored"] * 3
    with sqlite3.connect(house.config.catalog.path) as catalog:
        assert catalog.execute("SELECT count(*) FROM stored_body WHERE state = 'stored'").fetchone() == (3,)


@pytest.mark.parametrize("cut", [0, 3, 9, -1])
def test_an_answer_that_is_not_whole_is_none(cut):
    """A child that ends early has said nothing, however much of it came."""
    answer = write_answer({"files": 1})
    frame = len(answer).to_bytes(4, "big") + (3).to_bytes(4, "big") + answer + b"abc"
    last = len(answer).to_bytes(4, "big") + bytes(4) + answer
    done, names = read_batch(frame + last, 1)
    assert ([each.body for each in done], names) == ([b"abc"], b"")
    with pytest.raises(AnswerError):
        read_batch((frame + last)[:cut], 1)


def test_many_files_are_cut_into_batches(house):
    """No child has more files than it may have descriptors."""
    for number in range(BATCH_FILES + 3):
        house.client("ann").put(f"{IN}/{number}.txt", b"%d\n" % number)
    for _ in range(3):
        house.work()
    assert len(scrubs(house)) == 2
    assert house.states() == ["stored"] * (BATCH_FILES + 3)


def test_files_of_two_senders_never_share_a_child(house):
    """What takes a child over reaches nothing that its sender did not send."""
    for number in range(4):
        house.client("ann").put(f"{IN}/{number}.log", line(number))
    with house.database.write() as connection:
        connection.execute(
            update(UPLOADS).where(UPLOADS.c.id.in_([row.id for row in house.rows()[:2]])).values(login="anton")
        )
    house.work()
    assert len(scrubs(house)) == 2
    assert house.states() == ["stored"] * 4


def test_a_burst_is_left_alone_while_it_comes_and_nobody_else_waits_for_it(house, monkeypatch):
    """Small files of a login that sends many wait until no more come; large ones, and others' files, do not."""
    monkeypatch.setattr("mft.intake.waiting.BURST_FILES", 3)
    monkeypatch.setattr("mft.intake.waiting.BURST_SECONDS", 3600.0)
    for number in range(3):
        house.client("ann").put(f"{IN}/{number}.log", line(number))
    house.client("ann").put(f"{IN}/large.log", line(7) + bytes(SMALL_BYTES))
    house.client("bob").put(f"{IN}/other.log", line(8))
    house.work()
    assert {row.name: row.state for row in house.rows()} == {
        **dict.fromkeys(["0.log", "1.log", "2.log"], "landed"),
        **dict.fromkeys(["large.log", "other.log"], "stored"),
    }
    monkeypatch.setattr("mft.intake.waiting.BURST_SECONDS", 0.0)
    house.work()
    assert house.states() == ["stored"] * 5


def test_a_burst_that_does_not_end_waits_for_so_long_and_no_longer(house, monkeypatch):
    """What has waited for its time is done though more comes, and in one batch."""
    monkeypatch.setattr("mft.intake.waiting.BURST_FILES", 3)
    monkeypatch.setattr("mft.intake.waiting.BURST_SECONDS", 3600.0)
    for number in range(5):
        house.client("ann").put(f"{IN}/{number}.log", line(number))
    with house.database.write() as connection:
        old = time.time() - PATIENCE - 1
        early = UPLOADS.c.name.in_(["0.log", "1.log"])
        connection.execute(update(UPLOADS).where(early).values(landed_at=old))
    house.work()
    assert len(scrubs(house)) == 1
    assert house.states() == ["stored", "stored", "landed", "landed", "landed"]
