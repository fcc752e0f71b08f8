"""The nursery and its children: what they get, what they may, and how they end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import pytest

from mft.keychannel import make_channel
from mft.scrubbing import nursery as nursery_module
from mft.scrubbing.child import Cage, Errand
from mft.scrubbing.nursery import ChildFailedError, Nursery, NurseryError
from storage.landing import LandingZone
from storage.store import new_object_key

KEY = bytes(range(32))
CAGE = Cage(memory=2**30, cpu=60, file_size=2**30)


@pytest.fixture
def zone(tmp_path):
    zone = LandingZone(tmp_path / "landing")
    (tmp_path / "scratch").mkdir()
    yield zone
    zone.close()


def errand(zone, tmp_path, content, **changes):
    """Land *content* and return the errand to scrub it."""
    writer = zone.create("upload", KEY)
    writer.write(0, content)
    writer.sync()
    records = writer.records
    writer.close()
    values = {
        "names": ("logs", "a.log"),
        "pseudonym_key": KEY,
        "cage": CAGE,
        "limits": {"depth": 8, "members": 1000, "max_ratio": 200},
        "scratch": str(tmp_path / "scratch"),
        "landing_id": "upload",
        "landing_key": KEY,
        "records": records,
        "size": len(content),
        "object_key": new_object_key(),
        "data_key": KEY,
    }
    return Errand(**{**values, **changes})


@contextlib.contextmanager
def started(nursery, zone, work, wall=60.0):
    descriptor = zone.open_fd("upload")
    try:
        child = nursery.begin(work, landing_fd=descriptor, wall=wall)
    finally:
        os.close(descriptor)
    with contextlib.closing(child):
        yield child


def test_errand_comes_through_as_it_was(tmp_path, zone):
    """Keys, cage and names survive the way through the socket."""
    work = errand(zone, tmp_path, b"x")
    assert Errand.from_json(work.to_json()) == work


def test_child_scrubs_and_reports(nursery, tmp_path, zone):
    """Ciphertext comes through the pipe, the report after it, and the digest of what went in is right."""
    content = b"password=hunter2-tr0ub4dor\n"
    with started(nursery, zone, errand(zone, tmp_path, content)) as child:
        sealed = b"".join(child.ciphertext())
        result = child.result()
    assert b"hunter2" not in sealed
    assert b"password" not in sealed
    assert result["report"]["sha256_in"] == hashlib.sha256(content).hexdigest()
    assert result["shown"] == ["logs", "a.log"]
    assert result["body"]["stored_size"] == len(sealed)


def test_names_alone_need_no_landing(nursery, tmp_path):
    """What is renamed after it was stored gets its shown name from a child too."""
    work = Errand(
        names=("mail of jane.doe@example.com",), pseudonym_key=KEY, cage=CAGE, limits={}, scratch=str(tmp_path)
    )
    with contextlib.closing(nursery.begin(work, landing_fd=None, wall=60.0)) as child:
        assert "jane" not in child.result()["shown"][0]


def test_child_that_takes_too_long_is_ended(nursery, tmp_path, zone):
    """At the end of its time its reader is told so, and it is gone."""
    with started(nursery, zone, errand(zone, tmp_path, b"x" * 100), wall=0.0) as child:
        with pytest.raises(ChildFailedError, match="longer than it may"):
            list(child.ciphertext())
        pid = child._pid
    limit = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    assert time.monotonic() < limit


@pytest.mark.parametrize(
    ("cage", "said"),
    [
        (Cage(memory=40 * 2**20, cpu=60, file_size=2**30), "memory|crashed"),
        (Cage(memory=2**30, cpu=0, file_size=2**30), "crashed"),
    ],
)
def test_child_over_its_limits_fails_alone(nursery, tmp_path, zone, cage, said):
    """Too little memory or processor time ends that child with a reason, and the next one is fine."""
    content = b"203.0.113.7 some words here\n" * 200_000
    with started(nursery, zone, errand(zone, tmp_path, content, cage=cage)) as child:
        for _ in child.ciphertext():
            pass
        with pytest.raises(ChildFailedError, match=said):
            child.result()
    work = Errand(names=("a",), pseudonym_key=KEY, cage=CAGE, limits={}, scratch=str(tmp_path))
    with contextlib.closing(nursery.begin(work, landing_fd=None, wall=60.0)) as child:
        assert child.result()["shown"] == ["a"]


def test_child_has_no_descriptor_but_its_own(nursery, tmp_path, zone):
    """While it works it holds the landing log and two pipes, nothing else that could lead anywhere."""
    content = b"some words to read here\n" * 2_000_000
    with started(nursery, zone, errand(zone, tmp_path, content)) as child:
        ciphertext = child.ciphertext()
        next(ciphertext)
        # 0, 1 and 2 are those of whoever started the tests, and may be anything, sockets too
        links = [path for path in Path(f"/proc/{child._pid}/fd").iterdir() if int(path.name) > 2]
        kinds = {str(link.readlink()) for link in links}
        list(ciphertext)
        child.result()
    assert not any(kind.startswith("socket:") for kind in kinds)
    files = {kind for kind in kinds if kind.startswith("/") and not kind.startswith("/dev/")}
    assert all(kind.endswith("upload.landing") or "scratch" in kind for kind in files)


def test_nursery_that_does_not_answer_is_an_error(monkeypatch, tmp_path):
    """Whoever asks is told after a while, and leaves no pipe open."""
    monkeypatch.setattr(nursery_module, "ANSWER_SECONDS", 0.1)
    here, there = make_channel()
    before = len(list(Path("/proc/self/fd").iterdir()))
    work = Errand(names=("a",), pseudonym_key=KEY, cage=CAGE, limits={}, scratch=str(tmp_path))
    with pytest.raises(NurseryError):
        Nursery(here).begin(work, landing_fd=None, wall=1.0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    here.close()
    there.close()
