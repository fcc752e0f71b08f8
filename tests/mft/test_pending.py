"""Small uploads that wait in memory until they are whole: what they leave, and when others see them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from mft.upload.pending import PATIENCE_SECONDS, SMALL_BYTES, PendingUpload
from protocols.errors import LockedError, NotFoundError, OffsetMismatchError, PermissionDeniedError
from protocols.filesystem import WriteMode
from protocols.path import parse_path
from tests.core import running_core, until

if TYPE_CHECKING:
    from pathlib import Path

    from protocols.filesystem import WriteHandle
    from tests.core import Client, Core

IN = "/ACME-1/to-support"


def begin(client: Client, path: str = f"{IN}/a") -> WriteHandle:
    """Begin an upload as SFTP does."""
    return client.filesystem.open_write_later(parse_path(path))


def events(core: Core) -> list[str]:
    """Return the kinds of the uploads' events."""
    return [event["kind"] for event in core.events() if event["kind"].startswith("upload.")]


def test_small_file_is_written_down_when_it_is_whole(core: Core) -> None:
    """Nothing is there before its end; then its row, events and receipt are those of any upload."""
    client = core.client("ann")
    handle = begin(client)
    assert isinstance(handle, PendingUpload)
    handle.write(4, b"second")
    handle.write(0, b"one ")
    assert handle.received == 10
    assert core.rows() == []
    receipt = handle.commit(modified=1234.0)
    assert events(core) == ["upload.started", "upload.landed"]
    (row,) = core.rows()
    assert (row.state, row.size, row.modified, row.reserved) == ("landed", 10, 1234.0, 0)
    assert row.sha256 == receipt.document["sha256"] == hashlib.sha256(b"one second").hexdigest()
    assert client.get(f"{IN}/a") == b"one second"
    assert client.stat(f"{IN}/a").modified == 1234.0
    with pytest.raises(LockedError):
        handle.write(0, b"more")


def test_the_same_file_again_gets_the_first_receipt(core: Core) -> None:
    """A lost reply doubles no file, and what was begun is on record."""
    client = core.client("ann")
    receipts = []
    for _ in range(2):
        handle = begin(client)
        handle.write(0, b"the same")
        receipts.append(handle.commit())
    assert receipts[0].id == receipts[1].id
    assert events(core) == ["upload.started", "upload.landed", "upload.started", "upload.repeated"]


def test_the_audit_holds_with_several_events_signed_at_once(core: Core) -> None:
    """The chain is whole, and its head says where it stands."""
    client = core.client("ann")
    for number in range(3):
        handle = begin(client, f"{IN}/{number}")
        handle.write(0, b"%d" % number)
        handle.commit()
    positions = [event["n"] for event in core.events() if event["chain"] == "customer:acme"]
    assert positions == list(range(1, len(positions) + 1))


def test_file_that_grows_is_written_down(core: Core) -> None:
    """What is more than small goes on as any upload, with what waited."""
    client = core.client("ann")
    handle = begin(client)
    content = bytes(range(256)) * (SMALL_BYTES // 128)
    for offset in range(0, len(content), 32768):
        handle.write(offset, content[offset : offset + 32768])
    assert core.states() == ["receiving"]
    handle.commit()
    assert client.get(f"{IN}/a") == content
    assert core.states() == ["landed"]


@pytest.mark.parametrize("asks", ["stat", "list", "sync", "wait"])
def test_file_that_somebody_asks_after_is_written_down(core: Core, asks: str) -> None:
    """Its sender sees it under way, in any session; and everybody does after a moment."""
    client = core.client("ann")
    handle = begin(client)
    handle.write(0, b"beginning")
    same_process = core.client("ann", uploads=client.filesystem._finder.rooms.uploads)
    if asks == "stat":
        assert same_process.stat(f"{IN}/a").partial
    elif asks == "list":
        assert same_process.names(IN) == ["a"]
    elif asks == "sync":
        handle.sync()
    else:
        assert PATIENCE_SECONDS < 1
    until(lambda: core.states() == ["receiving"])
    handle.write(9, b" and end")
    handle.commit()
    assert core.states() == ["landed"]
    assert client.get(f"{IN}/a") == b"beginning and end"


def test_file_that_breaks_off_can_be_resumed(core: Core) -> None:
    """What came is kept for its sender."""
    client = core.client("ann")
    handle = begin(client)
    handle.write(0, b"beginning")
    handle.abort("the connection was lost")
    assert core.states() == ["interrupted"]
    client.resume(f"{IN}/a", b"beginning and end")
    assert client.get(f"{IN}/a") == b"beginning and end"


def test_file_with_a_hole_is_not_whole(core: Core) -> None:
    """It is kept as interrupted, and refused."""
    handle = begin(core.client("ann"))
    handle.write(5, b"end")
    with pytest.raises(OffsetMismatchError):
        handle.commit()
    assert core.states() == ["interrupted"]


def test_a_directory_of_the_name_is_refused_at_once(core: Core) -> None:
    """Whoever opens it is told, not whoever closes it."""
    client = core.client("ann")
    client.mkdir(f"{IN}/a")
    with pytest.raises(PermissionDeniedError):
        begin(client)
    assert core.rows() == []


def test_case_that_is_closed_meanwhile_takes_nothing(core: Core) -> None:
    """The right is asked about once more before anything lands."""
    client = core.client("ann")
    handle = begin(client)
    handle.write(0, b"late")
    core.system.change_case("ACME-1", {"state": "closed"})
    core.parts.cases.recheck_all()
    with pytest.raises(NotFoundError):
        handle.commit()
    assert "landed" not in core.states()


def test_memory_is_given_back(core: Core) -> None:
    """Whatever becomes of it, what it took of the budget is free again."""
    client, free = core.client("ann"), core.budget.free
    for end in ("commit", "abort", "grown"):
        handle = begin(client, f"{IN}/{end}")
        assert core.budget.free < free
        handle.write(0, b"x" * (SMALL_BYTES + 1 if end == "grown" else 1))
        if end == "abort":
            handle.abort("enough")
        else:
            handle.commit()
        assert core.budget.free == free


def test_what_counts_for_a_quota_is_written_down_at_once(tmp_path: Path) -> None:
    """A quota holds for what is under way: room is reserved when the file is opened."""
    with running_core(tmp_path, quotas={"case_bytes": 1 << 20}) as core:
        handle = begin(core.client("ann"))
        assert not isinstance(handle, PendingUpload)
        assert core.states() == ["receiving"]
        handle.abort("enough")


def test_other_ways_to_open_write_down_at_once(core: Core) -> None:
    """To resume, or to make sure that there was nothing, is a question to the catalog."""
    client = core.client("ann")
    waiting = begin(client)
    waiting.write(0, b"waits")
    handle = client.begin(f"{IN}/a", WriteMode.RESUME)
    assert [row.state for row in core.rows()] == ["receiving"]
    with pytest.raises(LockedError):
        waiting.write(5, b"more")
    handle.write(5, b" no more")
    handle.commit()
    assert client.get(f"{IN}/a") == b"waits no more"
