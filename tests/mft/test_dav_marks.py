"""What WebDAV needs of the catalog: locks that hold for every worker, properties, copies, and names set free."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from mft.catalog.model import NODE_PROPERTIES, NODES, UPLOADS, WRITE_LOCKS
from mft.upload.service import Uploads
from mft.vfs.filesystem import CaseFileSystem, Rooms
from mft.vfs.locks import CatalogLocks
from mft.vfs.properties import LONGEST, MOST
from protocols.errors import (
    FileSystemError,
    LockConflictError,
    PermissionDeniedError,
    QuotaExceededError,
    RejectedError,
)
from protocols.filesystem import Copy, Lock, Locking, Properties
from protocols.path import parse_path
from protocols.session import Origin
from tests.core import Client, running_core

IN = "/ACME-1/to-support"
OUT = "/ACME-1/from-support"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A core for tests that each use names of their own."""
    with running_core(tmp_path_factory.mktemp("marks")) as core:
        yield core


def lock(place, login="ann", **facts):
    """Return a lock that lives for a while."""
    values = {"exclusive": True, "deep": True, "expires": time.time() + 600, "token": f"t:{time.monotonic_ns()}"}
    return Lock(place=place, login=login, **{**values, **facts})


def over_webdav(core, login):
    """Return a session of *login* that speaks WebDAV."""
    client = core.client(login)
    finder = client.filesystem._finder
    origin = Origin(protocol="webdav", peer="192.0.2.1", region="eu")
    rooms: Rooms = finder.rooms
    assert isinstance(rooms.uploads, Uploads)
    return Client(
        CaseFileSystem(rooms=rooms, reader=finder.reader, session_id=f"dav-{finder.session_id}", origin=origin)
    )


def test_filesystem_has_what_webdav_asks_for(shared):
    """The head finds every optional interface that it looks for."""
    filesystem = shared.client("ann").filesystem
    assert isinstance(filesystem, Copy)
    assert isinstance(filesystem, Locking)
    assert isinstance(filesystem, Properties)


def test_places_are_the_same_for_all_who_write_there(shared):
    """By title, by number or by the case's root, and whoever asks: one file has one place."""
    ann, bob = (shared.client(login).filesystem for login in ("ann", "bob"))
    paths = [f"{IN}/a/b", "/ACME-1 Cannot boot/to-support/a/b"]
    places = {who.lock_place(parse_path(path)) for who in (ann, bob) for path in paths}
    assert len(places) == 1
    assert places.pop().endswith("/upload/a/b")
    assert ann.lock_place(parse_path("/ACME-1/file")) == ann.lock_place(parse_path(f"{IN}/file"))
    for path in ("/", "/ACME-1", "/ACME-1/.meta", "/GLOBEX-1/to-support", "/nothing"):
        assert ann.lock_place(parse_path(path)) is None


def test_places_are_given_for_writing_to_those_who_may(shared):
    """Nobody locks what it may only read."""
    ann, eve = (shared.client(login).filesystem for login in ("ann", "eve"))
    assert eve.lock_place(parse_path(f"{OUT}/file"), changing=True)
    assert ann.lock_place(parse_path(f"{IN}/file"), changing=True)
    for who, path in ((ann, OUT), (eve, IN)):
        with pytest.raises(PermissionDeniedError):
            who.lock_place(parse_path(f"{path}/file"), changing=True)


def test_two_at_once_never_both_get_an_exclusive_lock(shared):
    """Of many who try for one place together, on connections of their own, one gets it."""
    place = shared.client("ann").filesystem.lock_place(parse_path(f"{IN}/contended"))
    tables = [CatalogLocks(shared.database, most=1000) for _ in range(6)]
    for round_ in range(10):
        taken, start = [], threading.Barrier(len(tables))

        def take(number, place=f"{place}{round_}", taken=taken, start=start):
            start.wait(20)
            try:
                tables[number].create(lock(place, token=f"{place}:{number}", deep=bool(number % 2)))
            except LockConflictError:
                return
            taken.append(number)

        threads = [threading.Thread(target=take, args=(number,)) for number in range(len(tables))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(taken) == 1


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ({"tail": ""}, {"tail": ""}, False),
        ({"tail": ""}, {"tail": "/below"}, False),
        ({"tail": "", "deep": False}, {"tail": "/below"}, True),
        ({"tail": "/below"}, {"tail": ""}, False),
        ({"tail": "/below"}, {"tail": "", "deep": False}, True),
        ({"tail": ""}, {"tail": "beside"}, True),
        ({"tail": "", "exclusive": False}, {"tail": "", "exclusive": False}, True),
        ({"tail": "", "exclusive": False}, {"tail": "", "exclusive": True}, False),
        ({"tail": "", "expires": 0.0}, {"tail": ""}, True),
    ],
)
def test_which_locks_stand_beside_one_another(shared, request, first, second, stands):
    """RFC 4918, section 6: by place, depth and scope; one that has expired is in nobody's way."""
    table = CatalogLocks(shared.database, most=1000)
    number = shared.client("ann").filesystem.lock_place(parse_path(IN)).split("/")[1]
    base = f"/{number}/upload/{abs(hash(request.node.name))}"
    table.create(lock(base + first.pop("tail"), **first))
    other = lock(base + second.pop("tail"), "bob", **second)
    if stands:
        table.create(other)
        assert table.find(other.token) == other
        return
    with pytest.raises(LockConflictError):
        table.create(other)
    assert table.find(other.token) is None


def test_locks_of_a_login_are_counted(shared):
    """One more than a login may have is refused; those of others are not counted, nor those that have expired."""
    place = shared.client("ann").filesystem.lock_place(parse_path(f"{IN}/counted"))
    table = CatalogLocks(shared.database, most=3)
    for number in range(3):
        table.create(lock(f"{place}{number}", "max"))
    with pytest.raises(QuotaExceededError):
        table.create(lock(f"{place}more", "max"))
    table.create(lock(f"{place}more", "una"))
    with shared.database.write() as connection:
        connection.execute(update(WRITE_LOCKS).where(WRITE_LOCKS.c.login == "max").values(expires_at=1.0))
    table.create(lock(f"{place}now", "max"))


def test_locks_are_refreshed_and_released(shared):
    """A refreshed lock lives on, a released one is gone, and what has expired comes not back."""
    place = shared.client("ann").filesystem.lock_place(parse_path(f"{IN}/refreshed"))
    table = CatalogLocks(shared.database, most=1000)
    held = lock(place)
    table.create(held)
    later = held.expires + 100
    assert table.refresh(held.token, later) == replace(held, expires=later)
    assert [each.token for each in table.held(f"{place}/below", below=False)] == [held.token]
    table.release([held.token, "no such token"])
    assert table.refresh(held.token, later) is None
    assert table.held(place, below=True) == []


def test_properties_follow_the_name_and_are_for_writers(shared):
    """They move with a file and go with it, and engineers, for whom nothing has scrubbed them, see none."""
    ann, bob, eve = (shared.client(login).filesystem for login in ("ann", "bob", "eve"))
    client = Client(ann)
    client.put(f"{IN}/named", b"x")
    ann.change_properties(parse_path(f"{IN}/named"), {"{urn:x}color": "<c>blue</c>", "{urn:x}size": "<s/>"})
    ann.change_properties(parse_path(f"{IN}/named"), {"{urn:x}size": None})
    client.rename(f"{IN}/named", f"{IN}/renamed")
    assert ann.properties(parse_path(f"{IN}/renamed")) == {"": {"{urn:x}color": "<c>blue</c>"}}
    assert ann.properties(parse_path(IN), children=True)["renamed"] == {"{urn:x}color": "<c>blue</c>"}
    assert eve.properties(parse_path(IN), children=True) == {}
    with pytest.raises(FileSystemError):
        bob.change_properties(parse_path(f"{IN}/renamed"), {"{urn:x}color": "<c>red</c>"})


def test_properties_have_an_end(shared):
    """Neither many nor long ones fill the catalog; what is refused changes nothing."""
    client = shared.client("ann")
    client.put(f"{IN}/many", b"x")
    path = parse_path(f"{IN}/many")
    client.filesystem.change_properties(path, {f"{{urn:x}}p{number}": "<p/>" for number in range(MOST)})
    for changes in ({"{urn:x}more": "<p/>"}, {"{urn:x}p1": "x" * (LONGEST + 1)}, {"x" * (LONGEST + 1): "<p/>"}):
        with pytest.raises(QuotaExceededError):
            client.filesystem.change_properties(path, changes)
    assert len(client.filesystem.properties(path)[""]) == MOST


def test_copy_stays_in_its_case(shared):
    """A copy is a deposit of its own, of what a reader gets; to another case nothing is copied."""
    client = shared.client("ann")
    client.put(f"{IN}/original", b"content")
    copied = parse_path(f"{IN}/copied")
    client.filesystem.copy(parse_path(f"{IN}/original"), copied)
    assert client.get(f"{IN}/copied") == b"content"
    with pytest.raises(FileSystemError):
        client.filesystem.copy(parse_path(f"{IN}/original"), copied)
    for target in ("/ACME-2/to-support/copied", "/nobody's"):
        with pytest.raises(RejectedError):
            client.filesystem.copy(parse_path(f"{IN}/original"), parse_path(target))
    with pytest.raises(PermissionDeniedError):
        client.filesystem.copy(parse_path(f"{IN}/original"), parse_path(f"{OUT}/copied"))


def test_removed_names_are_free_for_the_other_kind(shared):
    """Where a removed file or folder is still kept, a folder or file of its name may stand."""
    client = shared.client("eve")
    client.put(f"{OUT}/thing", b"one")
    client.remove(f"{OUT}/thing")
    client.mkdir(f"{OUT}/thing")
    client.remove(f"{OUT}/thing", directory=True)
    client.put(f"{OUT}/thing", b"two")
    client.mkdir(f"{OUT}/folder")
    client.mkdir(f"{OUT}/gone")
    client.remove(f"{OUT}/gone", directory=True)
    client.rename(f"{OUT}/folder", f"{OUT}/gone")
    assert {"thing", "gone"} <= set(client.names(OUT))
    assert client.get(f"{OUT}/thing") == b"two"
    with shared.database.read() as connection:
        kept = select(func.count()).where(NODES.c.name.like("thing%"), NODES.c.hidden_at.is_not(None))
        assert connection.execute(kept).scalar_one() == 2
        assert connection.execute(select(func.count()).select_from(NODE_PROPERTIES)).scalar_one() >= 0


@pytest.mark.parametrize("again", [b"content", b""])
def test_empty_file_followed_by_its_content_is_one_version(shared, again):
    """Explorer and Finder send an empty file before the real one: that leaves one version, the content's."""
    client = over_webdav(shared, "ann")
    name = f"placed{len(again)}"
    first = client.put(f"{IN}/{name}", b"")
    client.put(f"{IN}/{name}", again)
    rows = [row for row in shared.rows() if row.name == name]
    living = [row for row in rows if row.state == "landed"]
    assert [(row.version, row.size) for row in living] == [(1, len(again))]
    assert client.get(f"{IN}/{name}") == again
    if again:
        assert [event["upload"] for event in shared.events("upload.replaced")][-1] == first.id
        assert next(row for row in rows if row.id == first.id).state == "expired"


def test_empty_file_that_is_older_is_a_version(shared):
    """After a minute an empty file is what its sender meant it to be; and so it is by every other protocol."""
    client, sftp = over_webdav(shared, "ann"), shared.client("ann")
    first = client.put(f"{IN}/old", b"")
    with shared.database.write() as connection:
        connection.execute(update(UPLOADS).where(UPLOADS.c.id == first.id).values(landed_at=time.time() - 61))
    client.put(f"{IN}/old", b"content")
    sftp.put(f"{IN}/sent", b"")
    sftp.put(f"{IN}/sent", b"content")
    versions = [(row.name, row.version) for row in shared.rows() if row.name in {"old", "sent"}]
    assert sorted(versions) == [("old", 1), ("old", 2), ("sent", 1), ("sent", 2)]


def test_upload_that_broke_off_hides_nothing(shared):
    """Mounts send a file again from its start: what came is not kept in the way of the file that is there."""
    client = over_webdav(shared, "ann")
    client.put(f"{IN}/whole", b"the good one")
    client.cut(f"{IN}/whole", b"the beginning of")
    client.cut(f"{IN}/never", b"the beginning of")
    assert client.get(f"{IN}/whole") == b"the good one"
    assert client.stat(f"{IN}/whole").size == len(b"the good one")
    assert "never" not in client.names(IN)
    assert [row.state for row in shared.rows() if row.name == "never"] == ["expired"]
