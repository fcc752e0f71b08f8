"""`mft scrub` on folders: what arrives, what is held back, what is said, and what is left when it fails."""

from __future__ import annotations

import functools
import io
import json
import os
import stat
import sys
import tarfile

import pytest

from mft.cli import scrubfolder
from mft.cli.progress import ProgressBar
from scrubber import detector, engine

TEXT = b"login anna.berg@corp-mail.de from 81.2.69.77\npassword=hunter2-tr0ub4dor\n"
BROKEN = b"\x1f\x8b\x08\x00" + bytes(6) + b"no deflate stream at all" * 10


@pytest.fixture
def run(run):
    """Return a function that runs `mft scrub` in this process: (exit code, standard output, standard error)."""
    return functools.partial(run, "scrub")


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "src"
    (root / "var" / "log").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "a.log").write_bytes(TEXT)
    (root / "var" / "log" / "b.log").write_bytes(b"peer 81.2.69.77 said hello\n" * 50)
    (root / "var" / "run.sh").write_bytes(b"#!/bin/sh\necho hello\n")
    (root / "var" / "run.sh").chmod(0o750)
    with tarfile.open(root / "bundle.tar.gz", "w:gz") as archive:
        archive.add(root / "a.log", "inner/a.log")
    os.utime(root / "a.log", (1_700_000_000, 1_700_000_000))
    return root


def files_below(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}


def read_list(target):
    return json.loads((target / "quarantine.json").read_text())


@pytest.mark.parametrize("jobs", [1, 2])
def test_folder_keeps_its_paths_and_one_value_its_pseudonym(run, source, tmp_path, jobs):
    """Every file is there under its path, scrubbed, with mode and time; one address has one pseudonym."""
    target = tmp_path / "dst"
    code, out, error = run(source, target, "--key-file", tmp_path / "key", "--jobs", jobs)
    assert (code, out) == (0, "")
    assert files_below(target) == files_below(source) | {"quarantine.json"}
    assert (target / "empty").is_dir()
    assert (target / "var" / "run.sh").read_bytes() == (source / "var" / "run.sh").read_bytes()
    assert stat.S_IMODE((target / "var" / "run.sh").stat().st_mode) == 0o750
    assert (target / "a.log").stat().st_mtime == 1_700_000_000
    first, second = (target / "a.log").read_text(), (target / "var" / "log" / "b.log").read_text()
    assert not any(word in first + second + error for word in ("anna.berg", "81.2.69.77", "hunter2"))
    assert second.split()[1] in first
    with tarfile.open(target / "bundle.tar.gz") as archive:
        assert archive.extractfile("inner/a.log").read().decode() == first
    assert read_list(target)["quarantined"] == []
    assert "4 files" in error


def test_rules_are_made_ready_once_for_all_of_a_folder(run, tmp_path, monkeypatch):
    """What a folder's files have taught costs once, not for each of them; another folder's names are none of it."""
    made = []
    monkeypatch.setattr(engine, "Detector", lambda *args, **kw: made.append(args) or detector.Detector(*args, **kw))
    for place, name in (("one", "mrossi"), ("two", "qzwickel")):
        (tmp_path / place).mkdir()
        for number in range(6):
            (tmp_path / place / f"{number}.log").write_text(f"session opened for user {name}\n{name} mrossi {number}\n")
        made.clear()
        assert run(tmp_path / place, tmp_path / f"{place}.out", "--jobs", 1)[0] == 0
        assert len(made) == 1
    assert "mrossi" not in (tmp_path / "one.out" / "5.log").read_text()
    assert (tmp_path / "two.out" / "5.log").read_text().count("mrossi") == 1


def test_what_is_held_back_is_absent_and_listed(run, source, tmp_path):
    """Exit code 3; the rest arrives, and quarantine.json says of each missing file why it is missing."""
    (source / "var" / "bad.gz").write_bytes(BROKEN)
    target, report = tmp_path / "dst", tmp_path / "report.json"
    code, _, error = run(source, target, "--report", report)
    assert code == 3
    assert not (target / "var" / "bad.gz").exists()
    assert (target / "a.log").exists()
    (held,) = read_list(target)["quarantined"]
    assert held["path"] == "var/bad.gz"
    assert "damaged" in held["reason"]
    assert held["members"]
    assert "var/bad.gz" in error
    told = json.loads(report.read_text())
    assert told["quarantined"] == [held]
    assert {entry["path"] for entry in told["files"]} == files_below(source)
    assert "anna.berg" not in report.read_text()


def test_links_and_special_files_are_told_of(run, source, tmp_path):
    """A link within the folder stays one; what leads out, a pipe and another's list are left out, with a word."""
    (source / "var" / "link").symlink_to("../a.log")
    (source / "out").symlink_to("/etc/passwd")
    (source / "up").symlink_to("../../..")
    (source / "quarantine.json").write_text('{"theirs": 1}')
    os.mkfifo(source / "pipe")
    target = tmp_path / "dst"
    assert run(source, target)[0] == 0
    assert str((target / "var" / "link").readlink()) == "../a.log"
    assert {entry["path"] for entry in read_list(target)["left_out"]} == {"out", "up", "pipe", "quarantine.json"}
    assert not (target / "out").is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file_is_held_back(run, source, tmp_path):
    """What may not be read is listed, and the exit code says so."""
    (source / "a.log").chmod(0)
    assert run(source, tmp_path / "dst")[0] == 3
    assert "could not be read" in read_list(tmp_path / "dst")["quarantined"][0]["reason"]


def test_file_that_vanishes_is_held_back(source, tmp_path, monkeypatch, run):
    """A file that is gone when its turn comes is listed; the others arrive."""
    listed = scrubfolder.list_folder

    def and_then_it_vanishes(root):
        listing = listed(root)
        (source / "var" / "run.sh").unlink()
        return listing

    monkeypatch.setattr(scrubfolder, "list_folder", and_then_it_vanishes)
    assert run(source, tmp_path / "dst")[0] == 3
    (held,) = read_list(tmp_path / "dst")["quarantined"]
    assert (held["path"], held["reason"]) == ("var/run.sh", "it could not be read: No such file or directory")


def test_second_run_replaces_the_first(run, source, tmp_path):
    """The same DST again holds what this run made and nothing older; scrubbing DST itself changes nothing."""
    target, again, key = tmp_path / "dst", tmp_path / "again", tmp_path / "key"
    assert run(source, target, "--key-file", key)[0] == 0
    (source / "a.log").write_bytes(BROKEN)
    assert run(source, target, "--key-file", key)[0] == 3
    assert not (target / "a.log").exists()
    assert run(target, again, "--key-file", key)[0] == 0
    for name in files_below(target) - {"quarantine.json", "bundle.tar.gz"}:
        assert (again / name).read_bytes() == (target / name).read_bytes()


def test_places_that_would_lose_something_are_refused(run, source, tmp_path):
    """A DST with strange files, DST and SRC in one another, a file, a pipe, a report in SRC: exit code 2."""
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").write_text("mine")
    for arguments in (
        (source, strange),
        (source, source / "dst"),
        (source, tmp_path),
        (source, source),
        (source, strange / "thesis.txt"),
        (source, "-"),
        (source, tmp_path / "no" / "dst"),
        (source, tmp_path / "dst", "--report", source / "r.json"),
    ):
        assert run(*arguments)[0] == 2, arguments
    assert (strange / "thesis.txt").read_text() == "mine"
    assert not (tmp_path / "dst").exists()


def test_nothing_is_left_when_it_fails(run, source, tmp_path, monkeypatch):
    """A failure midway leaves neither DST nor pieces of it."""

    def fail(*_arguments):
        raise OSError(28, "No space left on device", str(tmp_path / "dst"))

    monkeypatch.setattr(scrubfolder, "_finish", fail)
    code, _, error = run(source, tmp_path / "dst")
    assert code == 1
    assert "No space left" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src"]


def test_file_goes_into_a_directory_under_its_name(run, source, tmp_path):
    """As with cp, a DST that is a directory takes the file."""
    (tmp_path / "there").mkdir()
    assert run(source / "a.log", tmp_path / "there")[0] == 0
    assert b"hunter2" not in (tmp_path / "there" / "a.log").read_bytes()


def test_directory_that_is_not_there_is_said_before_anything_is_read(run, source, tmp_path):
    """Of DST as of the report: wrong usage that names the directory, and nothing is written."""
    for arguments in ([tmp_path / "no" / "a.log"], [tmp_path / "a.log", "--report", tmp_path / "no" / "r.json"]):
        code, _, error = run(source / "a.log", *arguments)
        assert (code, f"there is no directory {tmp_path / 'no'}" in " ".join(error.split())) == (2, True)
    assert not (tmp_path / "a.log").exists()


def test_key_file_is_made_for_its_owner_alone(run, source, tmp_path):
    """A key file that is not there is made, and used again."""
    key = tmp_path / "key"
    first = run(source / "a.log", "-", "--key-file", key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "made a new key" in first[2]
    assert run(source / "a.log", "-", "--key-file", key)[1] == first[1]


def test_explanation_shows_rule_reason_and_masked_place(run, source, tmp_path):
    """Each place is told with its rule, why, and what stands there now; never the value."""
    code, out, _ = run(source / "a.log", tmp_path / "out", "--explain")
    assert code == 0
    assert "a.log at 6: email" in out
    assert "why: An e-mail address" in out
    assert "now: password=»[password:" in out
    assert not any(word in out for word in ("anna.berg", "81.2.69.77", "hunter2"))


def test_sarif_is_written_where_the_name_says_so(run, source, tmp_path):
    """FILE.sarif holds one run with the results of all files and what was held back."""
    (source / "bad.gz").write_bytes(BROKEN)
    report = tmp_path / "report.sarif"
    assert run(source, tmp_path / "dst", "--report", report)[0] == 3
    log = json.loads(report.read_text())
    assert log["version"] == "2.1.0"
    (one,) = log["runs"]
    places = {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in one["results"]}
    assert {"a.log", "var/log/b.log"} <= places
    assert any("inner/a.log" in place for place in places)
    assert one["invocations"][0]["executionSuccessful"] is False
    assert "anna.berg" not in report.read_text()


def test_secret_that_stands_bare_elsewhere_goes_too(run, tmp_path):
    """A password that is replaced in one place is replaced where nothing tells it, earlier in the file."""
    word = "Tr0ub4dor-" + "Qx7vLm2Kp9"
    (tmp_path / "a.log").write_text(f"we saw {word} go by\npassword={word}\n")
    code, out, error = run(tmp_path / "a.log", "-")
    assert code == 0
    assert word not in out + error
    assert out.startswith("we saw [password:")


def test_secrets_only_is_a_profile_of_the_command(run, source):
    """Under --profile secrets-only addresses stay."""
    _, out, error = run(source / "a.log", "-", "--profile", "secrets-only")
    assert "anna.berg@corp-mail.de from 81.2.69.77" in out
    assert "hunter2" not in out
    assert "profile secrets-only" in error


def test_process_that_dies_takes_only_its_file_with_it(source, tmp_path, monkeypatch, run):
    """The file on which a worker dies is held back; the others are scrubbed all the same."""
    attempt = scrubfolder.attempt_file

    def deadly(task, progress=None):
        if task.name == "a.log":
            os._exit(9)
        return attempt(task, progress)

    monkeypatch.setattr(scrubfolder, "attempt_file", deadly)
    assert run(source, tmp_path / "dst", "--jobs", 2)[0] == 3
    (held,) = read_list(tmp_path / "dst")["quarantined"]
    assert held["path"] == "a.log"
    assert "died" in held["reason"]
    assert files_below(tmp_path / "dst") == (files_below(source) | {"quarantine.json"}) - {"a.log"}


def test_bar_is_drawn_on_a_terminal_alone(monkeypatch):
    """On a terminal it shows how far; into a file it writes nothing."""

    class Screen(io.StringIO):
        terminal = True

        def isatty(self):
            return self.terminal

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    ProgressBar(2_000_000).show(1_000_000, "a.log")
    assert "50% 1.0 of 2.0 MB a.log" in screen.getvalue()
    quiet = Screen()
    quiet.terminal = False
    monkeypatch.setattr(sys, "stderr", quiet)
    bar = ProgressBar(10)
    bar.show(5)
    bar.clear()
    assert quiet.getvalue() == ""
