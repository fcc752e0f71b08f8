"""From the first byte to LANDED: what OK means, what a resume may do, and what is never published."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from mft.casesystem import Behaviour
from mft.catalog.model import LANDING_KEYS, RECEIPTS, UPLOADS
from mft.receipts import verify_receipt
from mft.upload import room
from protocols.errors import (
    AlreadyExistsError,
    LockedError,
    NotFoundError,
    OffsetMismatchError,
    PermissionDeniedError,
    QuotaExceededError,
    UnavailableError,
)
from protocols.filesystem import WriteMode
from storage.errors import KeyUnavailableError
from tests.core import running_core

IN = "/ACME-1/to-support"
BIG = bytes(range(256)) * 4096


def test_receipt_says_what_landed_and_is_signed(core):
    """Size, digest, case and time, under the upload's id, and the catalog keeps it as it was given out."""
    receipt = core.client("ann").put(f"{IN}/a", BIG)
    document = dict(receipt.document)
    assert (document["kind"], document["id"], document["case"], document["login"]) == (
        "landed",
        receipt.id,
        "ACME-1",
        "ann",
    )
    assert (document["size"], document["sha256"]) == (len(BIG), hashlib.sha256(BIG).hexdigest())
    verify_receipt(document, core.parts.credentials.receipt_key.public_key())
    with core.database.read() as connection:
        kept = connection.execute(select(RECEIPTS.c.document).where(RECEIPTS.c.upload_id == receipt.id)).scalar_one()
    assert json.loads(kept) == document


def test_events_tell_the_story_in_order(core):
    """Each change has its event, in the customer's chain."""
    core.client("ann").cut(f"{IN}/a", b"beginning")
    core.client("ann").resume(f"{IN}/a", b"beginning and end")
    kinds = [event["kind"] for event in core.events() if event["kind"].startswith("upload.")]
    assert kinds == ["upload.started", "upload.interrupted", "upload.resumed", "upload.landed"]
    assert {event["chain"] for event in core.events()} == {"customer:acme"}


def test_zero_bytes_are_a_file(core):
    """An upload of nothing lands like any other."""
    core.client("ann").put(f"{IN}/empty", b"")
    assert core.client("ann").stat(f"{IN}/empty").size == 0
    assert core.client("ann").get(f"{IN}/empty") == b""


def test_bytes_may_come_in_any_order(core):
    """Pieces out of order make the file; a digest that is not ready is pending, never wrong."""
    handle = core.client("ann").begin(f"{IN}/a")
    half = len(BIG) // 2
    handle.write(half, BIG[half:])
    assert handle.received == 0
    handle.write(0, BIG[:half])
    receipt = handle.commit(length=len(BIG))
    assert receipt.document["sha256"] in {"pending", hashlib.sha256(BIG).hexdigest()}
    assert core.client("ann").get(f"{IN}/a") == BIG


def test_what_is_being_sent_can_be_read_by_its_sender(core):
    """Whether or not it waits in memory yet; what has not come is told, and what comes then takes its place."""
    handle = core.client("ann").begin(f"{IN}/a")
    handle.write(0, BIG)
    assert handle.read(0, 100) == BIG[:100]
    assert handle.read(len(BIG) - 3, 100) == BIG[-3:]
    assert handle.read(len(BIG), 100) == b""
    handle.write(5, b"again")
    assert handle.read(3, 9) == BIG[3:5] + b"again" + BIG[10:12]
    handle.write(len(BIG) + 10, b"x")
    with pytest.raises(OffsetMismatchError):
        handle.read(len(BIG), 11)
    handle.abort("done")
    with pytest.raises(LockedError):
        handle.read(0, 1)


@pytest.mark.parametrize("offset", [(1 << 62) - 2, 1 << 62, (1 << 63) - 10])
def test_offset_that_no_file_has_is_refused_by_name(core, offset):
    """It is the client's mistake, and told as that; what came before it stays."""
    handle = core.client("ann").begin(f"{IN}/a")
    handle.write(0, BIG)
    with pytest.raises(OffsetMismatchError):
        handle.write(offset, b"xyz")
    with pytest.raises(QuotaExceededError):
        handle.truncate(offset + 3)
    assert handle.received == len(BIG)
    handle.abort("done")


@pytest.mark.parametrize(("offset", "length"), [(10, None), (0, len(BIG) + 1), (0, len(BIG) - 1)])
def test_commit_with_a_hole_or_another_length_keeps_a_partial(core, offset, length):
    """What is not whole is refused at the end, kept for a resume, and never shown as a file."""
    handle = core.client("ann").begin(f"{IN}/a")
    handle.write(offset, BIG)
    with pytest.raises(OffsetMismatchError):
        handle.commit(length=length)
    handle.abort("as heads do")
    assert core.states() in (["interrupted"], ["expired"])
    assert core.events("upload.landed") == []
    with pytest.raises(LockedError):
        handle.write(0, b"more")


def test_commit_ends_the_handle(core):
    """After the commit nothing is written, and an abort changes nothing."""
    handle = core.client("ann").begin(f"{IN}/a")
    handle.write(0, b"x")
    handle.commit()
    handle.abort("late")
    with pytest.raises(LockedError):
        handle.write(1, b"y")
    with pytest.raises(LockedError):
        handle.commit()
    assert core.states() == ["landed"]


def test_aborted_before_the_first_byte_leaves_nothing(core):
    """An upload without a byte is not kept for a resume."""
    handle = core.client("ann").begin(f"{IN}/a")
    handle.abort("gone")
    assert core.states() == ["expired"]
    assert core.client("ann").names(IN) == []


def test_create_refuses_what_is_there_and_replace_makes_a_version(core):
    """CREATE is for new names alone; REPLACE adds a version."""
    client = core.client("ann")
    client.put(f"{IN}/a", b"one", WriteMode.CREATE)
    with pytest.raises(AlreadyExistsError):
        client.begin(f"{IN}/a", WriteMode.CREATE)
    assert client.put(f"{IN}/a", b"two!").document["version"] == 2
    assert client.get(f"{IN}/a") == b"two!"


def test_two_uploads_to_one_name_at_once_are_two_versions(core):
    """Neither disturbs the other; they are versions in the order of their ends."""
    first, second = core.client("ann").begin(f"{IN}/a"), core.client("ann").begin(f"{IN}/a")
    first.write(0, b"first")
    second.write(0, b"second")
    assert second.commit().document["version"] == 1
    assert first.commit().document["version"] == 2
    assert core.client("ann").get(f"{IN}/a") == b"first"


# -- the same again ----------------------------------------------------------------------------------------------------


def test_same_file_again_gets_the_first_receipt(core):
    """A lost reply must not double a file: same login, name and bytes are one version."""
    first = core.client("ann").put(f"{IN}/a", BIG)
    again = core.client("ann").put(f"{IN}/a", BIG)
    assert again.id == first.id
    assert again.document == first.document
    assert core.states() == ["landed", "expired"]
    assert len(core.events("upload.repeated")) == 1


def test_same_bytes_of_a_colleague_or_after_another_version_are_new(core):
    """Somebody else's identical file is theirs; going back to an old content is a change."""
    core.client("ann").put(f"{IN}/a", b"one")
    assert core.client("bob").put(f"{IN}/a", b"one").document["version"] == 2
    core.client("ann").put(f"{IN}/a", b"two")
    assert core.client("ann").put(f"{IN}/a", b"one").document["version"] == 4


# -- resuming ----------------------------------------------------------------------------------------------------------


def test_resume_in_a_new_session_and_another_process(core):
    """A partial belongs to login, case and path: a later session goes on with it, in whatever process."""
    core.client("ann").cut(f"{IN}/a", BIG)
    receipt = core.client("ann").resume(f"{IN}/a", BIG + b"tail")
    assert receipt.document["size"] == len(BIG) + 4
    assert core.client("ann").get(f"{IN}/a") == BIG + b"tail"
    assert len(core.rows()) == 1


def test_nobody_resumes_what_another_login_began(core):
    """A colleague's resume finds nothing and begins anew."""
    core.client("ann").cut(f"{IN}/a", BIG)
    with pytest.raises(NotFoundError):
        core.client("bob").stat(f"{IN}/a")
    core.client("bob").put(f"{IN}/a", b"his", WriteMode.RESUME)
    assert core.client("bob").get(f"{IN}/a") == b"his"
    assert core.client("ann").stat(f"{IN}/a").size == len(BIG) - 1


def test_resume_takes_over_from_a_session_that_hangs(core):
    """The older handle's next write fails, and it cannot commit; the newer one ends whole."""
    uploads = core.uploads()
    old = core.client("ann", uploads=uploads).begin(f"{IN}/a")
    old.write(0, BIG)
    old.sync()
    new = core.client("ann", uploads=uploads).begin(f"{IN}/a", WriteMode.RESUME)
    assert new.received == len(BIG)
    with pytest.raises(LockedError):
        old.write(len(BIG), b"old")
    with pytest.raises(LockedError):
        old.commit()
    old.abort("gone")
    new.write(len(BIG), b"new")
    new.commit()
    assert core.client("ann").get(f"{IN}/a") == BIG + b"new"


def test_resume_takes_over_from_another_process(core):
    """A row tells the other worker; until it lets go the resume waits, and then it goes on."""
    here, there = core.uploads("w0:1:a"), core.uploads("w1:2:b")
    old = core.client("ann", uploads=here).begin(f"{IN}/a")
    old.write(0, BIG)
    old.sync()

    def tell() -> None:
        while not (rows := core.rows()) or rows[0].epoch == 0:
            time.sleep(0.01)
        here.taken_over(rows[0].id, rows[0].epoch)

    teller = threading.Thread(target=tell)
    teller.start()
    new = core.client("ann", uploads=there).begin(f"{IN}/a", WriteMode.RESUME)
    teller.join()
    new.write(new.received, b"new")
    new.commit()
    with pytest.raises(LockedError):
        old.commit()
    assert core.client("ann").get(f"{IN}/a") == BIG + b"new"


def test_closed_file_is_resumed_within_its_grace(core):
    """An honest CLOSE may have been a Ctrl-C: the sender goes on where it ended, as a further version."""
    core.client("ann").put(f"{IN}/a", BIG)
    handle = core.client("ann").begin(f"{IN}/a", WriteMode.RESUME)
    assert handle.received == len(BIG)
    handle.write(len(BIG), b"the rest")
    assert handle.commit().document["version"] == 2
    assert core.client("ann").get(f"{IN}/a") == BIG + b"the rest"
    assert [row.size for row in core.rows()] == [len(BIG), len(BIG) + 8]


def test_file_under_its_reopening_is_still_its_sender_s(core):
    """While a closed file is being resumed the sender still finds it, and what intake reads of it does not change."""
    first = core.client("ann").put(f"{IN}/a", BIG)
    handle = core.client("ann").begin(f"{IN}/a", WriteMode.RESUME)
    handle.write(10, b"overwritten, and sealed as another record")
    handle.sync()
    (row,) = [row for row in core.rows() if row.id == first.id]
    reader = core.parts.landed.open(row)
    assert reader.read(0, row.size) == BIG
    reader.close()
    handle.abort("gone")


def test_closed_file_is_not_resumed_after_its_grace(tmp_path):
    """Past it the refusal says what to do."""
    with running_core(tmp_path, landing={"resume_grace": 0}) as core:
        core.client("ann").put(f"{IN}/a", BIG)
        with pytest.raises(PermissionDeniedError, match="send it again from its start"):
            core.client("ann").begin(f"{IN}/a", WriteMode.RESUME)


def test_upload_of_a_dead_process_is_interrupted_and_resumable(core):
    """What a killed worker was receiving becomes an interrupted upload when its slot starts again."""
    dead = core.uploads("w0:1:a")
    handle = core.client("ann", uploads=dead).begin(f"{IN}/a")
    handle.write(0, BIG)
    handle.sync()
    handle._writer.close()  # as the kernel does for a process that is gone
    assert core.uploads("w0:2:b").recover(["w0", "w1"]) == 1
    assert core.uploads("w1:3:c").recover(["w0", "w1"]) == 0
    (row,) = core.rows()
    assert (row.state, row.prefix) == ("interrupted", None)
    assert core.events("upload.interrupted")[0]["why"] == "the server process that received it ended"
    assert core.client("ann").stat(f"{IN}/a").partial  # also before the sweep has measured it
    handle = core.client("ann").begin(f"{IN}/a", WriteMode.RESUME)
    assert handle.received == len(BIG)
    handle.write(len(BIG), b"tail")
    handle.commit()
    assert core.client("ann").get(f"{IN}/a") == BIG + b"tail"


def test_upload_of_a_slot_that_is_no_more_is_interrupted(core):
    """With fewer workers than before, what the last one was receiving is not left as if it were."""
    handle = core.client("ann", uploads=core.uploads("w7:1:a")).begin(f"{IN}/a")
    handle.write(0, BIG)
    handle._writer.close()
    assert core.uploads("w0:2:b").recover(["w0", "w7"]) == 0
    assert core.uploads("w0:2:b").recover(["w0", "w1"]) == 1
    assert core.states() == ["interrupted"]


def test_upload_without_its_file_is_begun_anew_by_a_resume(core):
    """The row comes before the file: where a crash left only the row, a resume starts from nothing."""
    handle = core.client("ann").begin(f"{IN}/a")
    handle._writer.close()
    (row,) = core.rows()
    core.parts.zones["eu"].destroy(row.landing_id)
    assert core.uploads("w1:2:b").recover(["w0", "w1"]) == 1
    resumed = core.client("ann").begin(f"{IN}/a", WriteMode.RESUME)
    assert resumed.received == 0
    resumed.write(0, b"x")
    resumed.commit()
    assert core.client("ann").get(f"{IN}/a") == b"x"


# -- room --------------------------------------------------------------------------------------------------------------


def test_quota_is_reserved_at_open_and_settled_at_close(tmp_path):
    """Two uploads cannot together take more than there is; what one gives up the other may have."""
    with running_core(tmp_path, limits={"case_quota": 1000}) as core:
        client = core.client("ann")
        first = client.begin(f"{IN}/a", length=800)
        with pytest.raises(QuotaExceededError, match="200 are left"):
            client.begin(f"{IN}/b", length=300)
        first.abort("gone")
        client.put(f"{IN}/b", b"x" * 300)
        with pytest.raises(QuotaExceededError):
            client.put(f"{IN}/c", b"x" * 701)
        client.put(f"{IN}/d", b"x" * 700)
        with pytest.raises(QuotaExceededError):
            client.put(f"{IN}/e", b"x")


def test_write_needs_no_thread_while_right_quota_and_disk_are_in_hand(core):
    """Beyond what is reserved, and once it has ended, it has to ask somebody."""
    handle = core.client("ann").begin(f"{IN}/a")
    assert handle.is_immediate(1000)
    assert not handle.is_immediate(1 << 40)
    handle.write(0, b"x")
    core.parts.cases.recheck_all()
    assert not handle.is_immediate(1000)
    handle.write(1, b"x")
    assert handle.is_immediate(1000)
    handle.commit()
    assert not handle.is_immediate(1000)


def test_upload_over_the_largest_size_is_refused(tmp_path):
    """At open where the length is told, else at the byte that is too many; nothing is published."""
    with running_core(tmp_path, limits={"upload_size": 1000}) as core:
        client = core.client("ann")
        with pytest.raises(QuotaExceededError):
            client.begin(f"{IN}/a", length=1001)
        handle = client.begin(f"{IN}/a")
        handle.write(0, b"x" * 1000)
        with pytest.raises(QuotaExceededError):
            handle.write(1000, b"x")
        handle.abort("as heads do")
        assert core.events("upload.landed") == []


def test_uploads_are_refused_below_the_watermark(tmp_path):
    """With less free space than the configuration keeps back, nothing new is taken, and reading goes on."""
    with running_core(tmp_path) as core:
        core.client("ann").put(f"{IN}/a", b"x")
    with running_core(tmp_path, landing={"free_space": "100%"}) as core:
        with pytest.raises(QuotaExceededError, match="short of space"):
            core.client("ann").begin(f"{IN}/b")
        assert core.client("ann").names(IN) == ["a"]


def test_catalog_on_a_small_disk_of_its_own_bounds_no_upload(core, monkeypatch):
    """What is announced must fit into the landing zone; the catalog's disk needs no more than its watermark."""
    here = core.config.catalog.path.parent

    def statvfs(path):
        blocks = 2_000_000 if path == here else 1 << 40
        return SimpleNamespace(f_bavail=blocks, f_blocks=blocks, f_frsize=1)

    monkeypatch.setattr(room.os, "statvfs", statvfs)
    core.client("ann").begin(f"{IN}/a", length=1 << 30).abort("enough")
    with pytest.raises(QuotaExceededError, match="short of space"):
        core.client("ann").begin(f"{IN}/b", length=1 << 50)


# -- when things fail --------------------------------------------------------------------------------------------------


def test_upload_without_keys_is_refused_and_leaves_no_row(core, monkeypatch):
    """While the key agent is away, a client is told to try again; nothing is begun that could not be sealed."""

    def away(*_arguments: object) -> None:
        raise KeyUnavailableError("the key agent does not answer")

    monkeypatch.setattr(core.keys, "new_keys", away)
    with pytest.raises(UnavailableError):
        core.client("ann").begin(f"{IN}/a")
    assert core.rows() == []
    assert core.budget.free == core.config.limits.transfer_memory


def test_upload_while_the_case_system_is_down_is_refused_clearly(core):
    """No answer is no leave: unavailable, not forbidden, and nothing is begun."""
    client = core.client("ann")
    core.system.behaviour = Behaviour(status=500)
    deadline = time.monotonic() + 20
    while True:  # an answer from before is believed for a bounded while
        try:
            client.put(f"{IN}/{time.monotonic()}", b"x")
        except UnavailableError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_failing_catalog_at_commit_loses_nothing(core, monkeypatch):
    """A commit that cannot be recorded is no OK; the bytes are kept and can be resumed."""
    client = core.client("ann")
    handle = client.begin(f"{IN}/a")
    handle.write(0, BIG)
    monkeypatch.setattr(core.parts.trail, "append", _fail)
    with pytest.raises(RuntimeError):
        handle.commit()
    monkeypatch.undo()
    assert core.states() == ["receiving"]  # not even the interruption could be recorded
    core.client("ann").resume(f"{IN}/a", BIG + b"!")
    assert core.client("ann").get(f"{IN}/a") == BIG + b"!"


def _fail(*_arguments: object, **_details: object) -> None:
    raise RuntimeError("the disk is on fire")


def test_keys_of_uploads_are_wrapped_and_each_its_own(core):
    """The catalog holds a landing key for region and day and an envelope for each upload, and no key in clear."""
    core.client("ann").put(f"{IN}/a", b"x")
    core.client("ann").put(f"{IN}/b", b"x")
    with core.database.read() as connection:
        assert len(connection.execute(select(LANDING_KEYS)).all()) == 1
        envelopes = list(connection.execute(select(UPLOADS.c.landing_envelope)).scalars())
    keys = [core.parts.landed.key_of(row) for row in core.rows()]
    assert len(set(envelopes)) == len(set(keys)) == 2
    catalog = b"".join(path.read_bytes() for path in core.data.glob("catalog.db*"))
    assert not any(key in catalog or key.hex().encode() in catalog for key in keys)


def test_plaintext_is_nowhere_in_the_data(core):
    """Neither landing logs nor catalog hold a byte of what was sent."""
    core.client("ann").put(f"{IN}/a", b"a marker that nothing else holds" * 1000)
    core.client("ann").cut(f"{IN}/b", b"a marker that nothing else holds" * 1000)
    files = [path for path in core.data.rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".landing"]) == 2
    assert not any(b"marker that nothing" in path.read_bytes() for path in files)


def test_row_of_another_epoch_is_not_committed(core):
    """Whoever lost the upload cannot land it, also where nobody told the handle."""
    handle = core.client("ann").begin(f"{IN}/a")
    handle.write(0, b"x")
    with core.database.write() as connection:
        connection.execute(update(UPLOADS).values(epoch=5))
    with pytest.raises(LockedError):
        handle.commit()
    assert core.events("upload.landed") == []


def test_upload_that_is_sent_again_from_its_start_is_what_its_sender_sees(core):
    """Cut and then sent whole: name, size and content are those of the whole file, in listings too."""
    ann = core.client("ann")
    ann.cut("/cases/ACME-1/to-support/again.log", b"x" * 1000)
    ann.put("/cases/ACME-1/to-support/again.log", b"y" * 2000)
    assert ann.stat("/cases/ACME-1/to-support/again.log").size == 2000
    assert ann.names("/cases/ACME-1/to-support").count("again.log") == 1
    assert ann.get("/cases/ACME-1/to-support/again.log") == b"y" * 2000
    ann.cut("/cases/ACME-1/to-support/again.log", b"z" * 100)
    assert ann.stat("/cases/ACME-1/to-support/again.log").size == 99
