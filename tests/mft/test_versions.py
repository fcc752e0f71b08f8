"""Versions: one name sent twice keeps both, in the order of their closes."""

from __future__ import annotations

import threading

import pytest

from mft.policy import Scope
from protocols.errors import IsADirectoryPathError, NotADirectoryPathError, NotFoundError, PermissionDeniedError

SPOT = "/ACME-1/to-support"
VERSIONS = "/ACME-1/.meta/versions"


def test_the_same_name_twice_keeps_both(house):
    """Engineers see the newest, and reach each older one by its number."""
    ann, eve = house.client("ann"), house.client("eve")
    for content in (b"first", b"second", b"third"):
        ann.put(f"{SPOT}/a.log", content)
    house.work()
    assert eve.names(SPOT) == ["a.log"]
    assert eve.get(f"{SPOT}/a.log") == b"third"
    assert eve.names(VERSIONS) == ["a.log"]
    assert eve.names(f"{VERSIONS}/a.log") == ["1", "2", "3"]
    assert [eve.get(f"{VERSIONS}/a.log/{number}") for number in (1, 2, 3)] == [b"first", b"second", b"third"]
    assert eve.stat(f"{VERSIONS}/a.log/2").size == 6
    assert eve.stat(f"{VERSIONS}/a.log").is_directory
    assert "versions" in eve.names("/ACME-1/.meta")


def test_versions_below_a_directory(house):
    """The path below `versions` is the path below the upload folder."""
    ann, eve = house.client("ann"), house.client("eve")
    ann.mkdir(f"{SPOT}/node")
    ann.put(f"{SPOT}/node/a.log", b"first")
    ann.put(f"{SPOT}/node/a.log", b"second")
    house.work()
    assert eve.names(VERSIONS) == ["node"]
    assert eve.names(f"{VERSIONS}/node") == ["a.log"]
    assert eve.names(f"{VERSIONS}/node/a.log") == ["1", "2"]
    assert eve.get(f"{VERSIONS}/node/a.log/1") == b"first"


def test_a_version_that_is_not_there(house):
    """What is no number of a version is not found."""
    ann = house.client("ann")
    ann.put(f"{SPOT}/a.log", b"first")
    house.work()
    for name in ("0", "4", "01", "-1", "1.5", "x", "\u0661", "99999999999999999999"):
        with pytest.raises(NotFoundError):
            ann.get(f"{VERSIONS}/a.log/{name}")


def test_versions_cannot_be_changed_or_mistaken(house):
    """They are read only; a file is no directory and a directory no file."""
    ann = house.client("ann")
    ann.put(f"{SPOT}/a.log", b"first")
    house.work()
    for path in (f"{VERSIONS}/a.log/1", f"{VERSIONS}/a.log/2", f"{VERSIONS}/b.log"):
        with pytest.raises(PermissionDeniedError):
            ann.put(path, b"x")
    with pytest.raises(NotADirectoryPathError):
        ann.names(f"{VERSIONS}/a.log/1")
    with pytest.raises(IsADirectoryPathError):
        ann.get(f"{VERSIONS}/a.log")


def test_what_engineers_may_not_read_is_no_version_for_them(house):
    """A version in quarantine keeps its number, and is there for its sender alone."""
    ann, eve, bob = house.client("ann"), house.client("eve"), house.client("bob")
    ann.put(f"{SPOT}/a.bin", b"plain text")
    ann.put(f"{SPOT}/a.bin", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    house.work()
    assert sorted(house.states()) == ["quarantined", "stored"]
    assert ann.names(f"{VERSIONS}/a.bin") == ["1", "2"]
    assert eve.names(f"{VERSIONS}/a.bin") == bob.names(f"{VERSIONS}/a.bin") == ["1"]
    for other in (eve, bob):
        with pytest.raises(NotFoundError):
            other.get(f"{VERSIONS}/a.bin/2")
    assert eve.get(f"{SPOT}/a.bin") == b"plain text"


def test_two_senders_of_one_name(house):
    """Each sees what it sent; support sees the newest of both, and every version."""
    ann, bob, eve = (house.client(login) for login in ("ann", "bob", "eve"))
    ann.put(f"{SPOT}/a.log", b"from ann")
    bob.put(f"{SPOT}/a.log", b"from bob, later")
    house.work()
    assert ann.stat(f"{SPOT}/a.log").size == 8
    assert eve.get(f"{SPOT}/a.log") == b"from bob, later"
    assert eve.names(f"{VERSIONS}/a.log") == ann.names(f"{VERSIONS}/a.log") == ["1", "2"]


def test_the_same_content_within_a_day_is_one_version(house):
    """A repeat gets the first receipt; other content does not, and the old content after it is new again."""
    ann = house.client("ann")
    first = ann.put(f"{SPOT}/a.log", b"same")
    assert ann.put(f"{SPOT}/a.log", b"same").id == first.id
    house.work()
    assert ann.put(f"{SPOT}/a.log", b"same").id == first.id
    assert ann.put(f"{SPOT}/a.log", b"other").document["version"] == 2
    assert ann.put(f"{SPOT}/a.log", b"same").document["version"] == 3


def test_closes_at_once_have_an_order(core):
    """Of many uploads of one name that end together each gets a number of its own, none is lost or counted twice."""
    clients = [core.client("ann") for _ in range(8)]
    handles = [client.begin(f"{SPOT}/a.log") for client in clients]
    for number, handle in enumerate(handles):
        handle.write(0, f"content {number}".encode())
    start = threading.Barrier(len(handles))
    receipts = []

    def close(handle):
        start.wait(30)
        receipts.append(handle.commit().document)

    threads = [threading.Thread(target=close, args=(handle,)) for handle in handles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(receipt["version"] for receipt in receipts) == list(range(1, 9))
    in_order = sorted(core.events("upload.landed"), key=lambda event: event["version"])
    assert in_order == core.events("upload.landed")


def test_the_newest_is_the_last_closed_however_scrubbing_went(house):
    """A version that is scrubbed later does not push a newer one aside."""
    ann, eve = house.client("ann"), house.client("eve")
    early = ann.begin(f"{SPOT}/a.log")
    early.write(0, b"begun first, closed last")
    ann.put(f"{SPOT}/a.log", b"begun last, closed first")
    assert early.commit().document["version"] == 2
    house.work()
    assert eve.get(f"{SPOT}/a.log") == b"begun first, closed last"


def test_a_token_that_may_not_read_reads_no_version(house):
    """The ways to a file's bytes through `.meta` ask for the same right as the plain one."""
    ann = house.client("ann")
    ann.put(f"{SPOT}/a.log", b"content")
    house.work()
    narrowed = house.client("ann", only="ACME-1", scopes=frozenset({Scope.UPLOAD, Scope.LIST}))
    assert narrowed.names("/.meta/versions/a.log") == ["1"]
    for path in ("/to-support/a.log", "/.meta/versions/a.log/1", "/.meta/scrubbed/a.log"):
        with pytest.raises(PermissionDeniedError):
            narrowed.get(path)
