"""Durable jobs: begun once, gone on with after a crash, forgotten in the end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mft.catalog.schema import upgrade

PROGRAM = """
import json, os, sys, time
from pathlib import Path
from mft.jobs import DurableJobs

path, log, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def write(word):
    with log.open("a") as file:
        file.write(word + "\\n")

def work(first, second):
    def one():
        write(f"one {first} {second}")
        return "1"
    def two():
        write(f"two {first} {second}")
        if mode == "die":
            os.kill(os.getpid(), 9)
        if mode == "fail":
            raise RuntimeError("no")
        return "2"
    jobs.step("one", one)
    jobs.step("two", two)
    write(f"done {first} {second}")

jobs = DurableJobs(path, {"work": work})
jobs.launch()
for job in sys.argv[4:]:
    jobs.start("work", job, job, "x")
deadline = time.monotonic() + 60
while jobs.live("work") and time.monotonic() < deadline:
    time.sleep(0.05)
print(json.dumps({"live": sorted(jobs.live("work")), "forgotten": jobs.forget(before=time.time() + 10)}))
jobs.stop(patience=5)
"""


@pytest.fixture
def catalog(tmp_path):
    upgrade(tmp_path / "catalog.db")
    return tmp_path / "catalog.db"


def run(catalog, mode, *jobs):
    """Run jobs in a process of their own, as intake does; return its status and what it told."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(catalog), str(catalog.with_name("log")), mode, *jobs],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else done.stderr
    return done.returncode, told


def words(catalog):
    path = catalog.with_name("log")
    return path.read_text().splitlines() if path.exists() else []


def test_job_that_a_crash_cut_off_goes_on_at_its_next_step(catalog):
    """After kill -9 in the second step the first is not done again, and the second is; nobody starts it anew."""
    assert run(catalog, "die", "a")[0] == -9
    assert words(catalog) == ["one a x", "two a x"]
    status, told = run(catalog, "live")
    assert (status, told["live"]) == (0, [])
    assert words(catalog) == ["one a x", "two a x", "two a x", "done a x"]


def test_job_is_begun_once_and_history_is_forgotten(catalog):
    """The same name twice is one job; what has ended can be forgotten."""
    status, told = run(catalog, "live", "a", "a", "b")
    assert (status, told["live"]) == (0, [])
    assert sorted(words(catalog)) == ["done a x", "done b x", "one a x", "one b x", "two a x", "two b x"]
    assert told["forgotten"] == 2


def test_job_that_fails_is_over_and_a_new_name_begins_anew(catalog):
    """A failure ends a job; the engine leaves that name alone, so who tries again gives another."""
    assert run(catalog, "fail", "a")[1]["live"] == []
    before = time.monotonic()
    run(catalog, "live", "b")
    assert [word for word in words(catalog) if word.startswith("done")] == ["done b x"]
    assert time.monotonic() > before


def test_arguments_lie_in_no_pickle(catalog):
    """What the engine keeps is JSON: to open a catalog runs nobody's code."""
    run(catalog, "live", "some-upload-id")
    data = b"".join(path.read_bytes() for path in catalog.parent.glob("catalog.db*"))
    assert b"\x80\x04\x95" not in data
    assert b"gASV" not in data
