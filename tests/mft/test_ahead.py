"""Uploads that are read while they come in: what it is good for, and when it is dropped."""

from __future__ import annotations

import json
import os

import pytest

from mft.intake.ahead import final_name
from mft.upload import handle as handle_module
from protocols.filesystem import WriteMode
from tests.core import running_core, until

IN = "/ACME-1/to-support"
FILLING = b"2026-11-03 10:00:00 INFO all is well and nothing is told here\n" * 9000
EARLY = b"2026-11-03 09:00:00 INFO qzwickel has come\n" + FILLING
LATE = FILLING + b"Nov  3 10:00:01 srv sshd[7]: Accepted password for qzwickel from 10.1.2.3 port 4711 ssh2\n"


@pytest.fixture
def eager(tmp_path, nursery, monkeypatch):
    """An installation that reads ahead from half a mebibyte on, and notes progress at each write."""
    monkeypatch.setattr(handle_module, "PROGRESS_SECONDS", 0.0)
    with running_core(tmp_path, nursery, scrub={"ahead": "512KiB"}) as core:
        yield core
        core.intake.close()


def begin(house, name="big.log"):
    """Send the first part of an upload and let intake look at it."""
    handle = house.client("ann").begin(f"{IN}/{name}")
    handle.write(0, EARLY)
    handle.sync()
    handle.write(len(EARLY), b"and on\n")
    house.intake.look_ahead()
    return handle


def report(house):
    """Return the report of the newest upload."""
    return json.loads(house.rows()[-1].report)


def test_names_are_learned_while_the_upload_comes_in(eager):
    """What is told at an upload's end is replaced at its beginning, by what was learned before it landed."""
    handle = begin(eager)
    assert [event["received"] >= len(EARLY) for event in eager.events("scrub.ahead")] == [True]
    handle.write(len(EARLY) + 7, LATE)
    handle.commit()
    eager.work()
    got = eager.client("eve").get(f"{IN}/big.log")
    assert b"qzwickel" not in got
    assert got.startswith(b"2026-11-03 09:00:00 INFO user-")
    assert report(eager)["learned_ahead"] is True
    assert eager.events("scrub.ahead_dropped") == []


def test_what_is_replaced_is_looked_for_while_the_upload_comes_in(eager):
    """What was noted before the upload landed is not looked for again, but where a name was learned too late."""
    handle = eager.client("ann").begin(f"{IN}/big.log")
    large = b"".join(b"2026-11-03 10:00:%02d INFO from 81.7.%d.9\n" % (n % 60, n % 199) for n in range(200_000))
    handle.write(0, EARLY + large)
    handle.sync()
    handle.write(len(EARLY + large), b"and on\n")
    eager.intake.look_ahead()
    until(lambda: os.fstat(_reading(eager).notes.fd).st_size > 0)
    handle.write(len(EARLY + large) + 7, LATE)
    handle.commit()
    eager.work()
    got = eager.client("eve").get(f"{IN}/big.log")
    assert b"qzwickel" not in got
    assert b"from 81.7." not in got
    assert got.count(b"\n") == (EARLY + large + b"and on\n" + LATE).count(b"\n")
    assert "foreseen" in report(eager)


def test_what_was_learned_is_known_to_the_next_upload_of_the_case(eager):
    """The case's dictionary takes it in with the upload's publishing."""
    handle = begin(eager)
    handle.write(len(EARLY) + 7, LATE)
    handle.commit()
    eager.work()
    eager.client("ann").put(f"{IN}/note.txt", b"ask qzwickel about it\n")
    eager.work()
    assert b"qzwickel" not in eager.client("eve").get(f"{IN}/note.txt")


def test_write_below_what_was_read_drops_it(eager):
    """A beginning that is written again is read again: nothing of what it said before is used."""
    handle = begin(eager)
    until(lambda: _reading(eager) is not None)
    handle.write(len(EARLY) + 7, LATE)
    handle.sync()
    until(lambda: _wrote_again(eager, handle))
    handle.commit()
    eager.work()
    assert [event["why"] for event in eager.events("scrub.ahead_dropped")] == ["what was read has changed since"]
    assert report(eager)["learned_ahead"] is False
    assert b"qzwickel" not in eager.client("eve").get(f"{IN}/big.log")


def _reading(house):
    return house.intake._ahead._reading


def _wrote_again(house, handle):
    """Write the first byte again until the child has seen it: it may not have read it yet."""
    handle.write(0, EARLY[:1])
    handle.sync()
    house.intake.look_ahead()
    return _reading(house) is None


def test_broken_upload_lets_go_of_it(eager):
    """An interruption ends the child; the resumed upload is tried anew and read in the end."""
    handle = begin(eager)
    handle.abort("the connection was lost")
    eager.intake.look_ahead()
    assert [event["why"] for event in eager.events("scrub.ahead_dropped")] == [
        "the upload did not land as it was begun"
    ]
    eager.client("ann").resume(f"{IN}/big.log", EARLY + b"and on\n" + LATE)
    eager.work()
    assert eager.states() == ["stored"]
    assert b"qzwickel" not in eager.client("eve").get(f"{IN}/big.log")


def test_zip_is_not_read_ahead(eager):
    """What has its directory at its end is given up at once, and another upload may have the turn."""
    handle = eager.client("ann").begin(f"{IN}/a.zip")
    handle.write(0, b"PK\x03\x04" + bytes(600_000))
    handle.sync()
    handle.write(600_004, b"x")
    eager.intake.look_ahead()
    until(lambda: (eager.intake.look_ahead(), eager.events("scrub.ahead_dropped"))[1])
    assert eager.events("scrub.ahead_dropped")[0]["why"] == "it can only be read once it is whole"
    begin(eager)
    assert len(eager.events("scrub.ahead")) == 2
    handle.abort("over")


def test_renamed_part_file_keeps_what_was_learned(eager):
    """A client's own part-file name is its final one with an ending."""
    handle = begin(eager, "big.log.filepart")
    handle.write(len(EARLY) + 7, LATE)
    handle.commit()
    eager.client("ann").rename(f"{IN}/big.log.filepart", f"{IN}/big.log")
    eager.work()
    assert report(eager)["learned_ahead"] is True


def test_other_name_drops_what_was_learned(eager):
    """Some files are known by their name, so what was learned under another one is not used."""
    handle = begin(eager, "a.log.part")
    handle.write(len(EARLY) + 7, LATE)
    handle.commit()
    eager.client("ann").rename(f"{IN}/a.log.part", f"{IN}/b.log")
    eager.work()
    assert report(eager)["learned_ahead"] is False
    assert b"qzwickel" not in eager.client("eve").get(f"{IN}/b.log")


def test_small_upload_and_switched_off_are_not_read_ahead(tmp_path, nursery, monkeypatch):
    """Below `scrub.ahead`, and where that is null, nothing begins before an upload has landed."""
    monkeypatch.setattr(handle_module, "PROGRESS_SECONDS", 0.0)
    for number, ahead in enumerate((None, "1GiB")):
        directory = tmp_path / str(number)
        directory.mkdir()
        with running_core(directory, nursery, scrub={"ahead": ahead}) as house:
            begin(house).commit()
            house.work()
            assert house.events("scrub.ahead") == []
            assert report(house)["learned_ahead"] is False


def test_secrets_alone_need_no_names(tmp_path, nursery, monkeypatch):
    """Where personal data stay there is nothing to learn."""
    monkeypatch.setattr(handle_module, "PROGRESS_SECONDS", 0.0)
    with running_core(tmp_path, nursery, scrub={"ahead": "512KiB", "profile": "secrets-only"}) as house:
        begin(house).commit()
        assert house.events("scrub.ahead") == []


def test_killed_child_is_no_harm(eager):
    """A child that dies costs what it had read, and nothing else."""
    handle = begin(eager)
    _reading(eager).child._nursery.kill(_reading(eager).child._pid)
    until(lambda: (eager.intake.look_ahead(), eager.events("scrub.ahead_dropped"))[1])
    handle.write(len(EARLY) + 7, LATE)
    handle.commit()
    eager.work()
    assert eager.states() == ["stored"]
    assert report(eager)["learned_ahead"] is False


def test_reopened_file_is_read_again(eager):
    """A file that goes on after its closing is another upload: what the shorter one taught is not used for it."""
    handle = begin(eager)
    handle.commit()
    again = eager.client("ann").begin(f"{IN}/big.log", WriteMode.RESUME)
    again.write(again.received, LATE)
    again.commit()
    eager.work()
    assert b"qzwickel" not in eager.client("eve").get(f"{IN}/big.log")


@pytest.mark.parametrize(
    ("name", "final"),
    [("a.log", "a.log"), ("a.log.part", "a.log"), ("a.filepart", "a"), (".part", ".part"), ("a.PART", "a.PART")],
)
def test_final_name_is_without_the_ending(name, final):
    """Part-file names end as WinSCP's and others' do."""
    assert final_name(name) == final
