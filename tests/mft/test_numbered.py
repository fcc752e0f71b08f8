"""Uploads with addresses, over the real catalog and landing: across workers, deaths, rights and quotas."""

from __future__ import annotations

import hashlib
import time

import pytest
from sqlalchemy import select, update

from mft.catalog.model import UPLOAD_RESOURCES, UPLOADS
from mft.catalog.states import UploadState
from mft.upload.handle import LIVELY_SECONDS
from protocols.errors import GoneError, LockedError, NotFoundError, QuotaExceededError, RejectedError
from protocols.filesystem import WriteMode
from protocols.path import parse_path
from protocols.resumable import Dialect, UploadKind, UploadOrder
from tests.core import running_core

IN = "/ACME-1/to-support"
BIG = bytes(range(256)) * 4096
WHOLE = len(BIG)


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """One installation; each test has names of its own."""
    with running_core(tmp_path_factory.mktemp("core")) as core:
        yield core


def order(name, length=WHOLE, **options):
    return UploadOrder(path=parse_path(f"{IN}/{name}"), length=length, **options)


def begin(fs, name, length=WHOLE, **options):
    handle = fs.begin_upload(order(name, length, **options))
    handle.abort("begun")
    return handle.id


def send(fs, upload, offset, data, *, whole=False):
    handle = fs.resume_upload(upload)
    assert handle.received == offset
    handle.write(offset, data)
    if whole:
        return handle.commit(length=offset + len(data))
    handle.sync()
    handle.abort("more to come")
    return None


def fs_of(core, login="ann", **options):
    return core.client(login, **options).filesystem


def landed(fs, upload):
    limit = time.monotonic() + 60
    while not (status := fs.upload_status(upload)).complete:
        assert time.monotonic() < limit
        time.sleep(0.01)
    return status


def test_upload_is_kept_while_it_is_empty_and_goes_on_in_another_worker(core):
    """It is the same upload for whoever has its address."""
    upload = begin(fs_of(core), "across")
    status = fs_of(core).upload_status(upload)
    assert (status.offset, status.length, status.complete, status.path) == (
        0,
        len(BIG),
        False,
        parse_path(f"{IN}/across"),
    )
    assert status.expires > time.time() + 6 * 86400
    send(fs_of(core), upload, 0, BIG[:1000])
    assert fs_of(core).upload_status(upload).offset == 1000
    receipt = send(fs_of(core), upload, 1000, BIG[1000:], whole=True)
    status = fs_of(core).upload_status(upload)
    assert (status.complete, status.offset, status.expires, status.receipt.id) == (True, len(BIG), None, receipt.id)
    assert core.client("ann").get(f"{IN}/across") == BIG


def test_upload_of_anybody_else_is_not_there(core):
    """Not for a colleague of the same customer, and not for another customer."""
    upload = begin(fs_of(core), "mine")
    for login in ("bob", "gus", "eve"):
        other = fs_of(core, login)
        for call in (other.upload_status, other.resume_upload, other.remove_upload):
            with pytest.raises(NotFoundError):
                call(upload)
        with pytest.raises(NotFoundError):
            other.join_uploads(order("stolen", None), [upload])
    with pytest.raises(NotFoundError):
        fs_of(core).upload_status("0" * 32)


def test_upload_ends_with_the_right_to_its_case(core):
    """Who may not enter the case any more finds no upload there."""
    upload = begin(fs_of(core), "withdrawn")
    with pytest.raises(NotFoundError):
        fs_of(core, only="ACME-2").upload_status(upload)


def test_ended_upload_is_gone_and_its_writer_loses_it(core):
    """Its bytes and its address are over."""
    fs = fs_of(core)
    upload = begin(fs, "ended")
    handle = fs.resume_upload(upload)
    fs.remove_upload(upload)
    with pytest.raises(LockedError):
        handle.write(0, b"late")
    for call in (fs.upload_status, fs.resume_upload, fs.remove_upload):
        with pytest.raises(GoneError):
            call(upload)
    with pytest.raises(NotFoundError):
        fs.stat(parse_path(f"{IN}/ended"))


def test_of_several_requests_for_one_place_the_first_wins(core):
    """In each worker; who would take it from the one before leaves nobody a success."""
    fs, elsewhere = (fs_of(core, uploads=core.uploads(f"{slot}:1:a")) for slot in ("w5", "w6"))
    upload = begin(fs, "raced")
    first = fs.resume_upload(upload)
    for other in (fs, elsewhere):
        with pytest.raises(LockedError, match="just sending"):
            other.resume_upload(upload)
    first.write(0, BIG)
    first.commit(length=WHOLE)
    assert core.client("ann").get(f"{IN}/raced") == BIG


def test_sender_that_has_fallen_silent_loses_its_upload(core):
    """Its connection may stand for long after it is gone."""
    fs = fs_of(core)
    upload = begin(fs, "silent")
    silent = fs.resume_upload(upload)
    silent.write(0, BIG[:1000])
    silent._handle._moved -= LIVELY_SECONDS
    with pytest.raises(LockedError, match="just sending"):
        fs_of(core, uploads=core.uploads("w6:2:a")).resume_upload(upload)  # knows only when it began
    send(fs, upload, 1000, BIG[1000:], whole=True)
    with pytest.raises(LockedError):
        silent.write(1000, b"late")
    assert core.client("ann").get(f"{IN}/silent") == BIG


def test_bytes_without_their_checksum_count_for_nothing_after_a_death(core):
    """What was written when the process died is cut off before anybody goes on."""
    uploads = core.uploads("w7:1:a")
    fs = fs_of(core, uploads=uploads)
    upload = begin(fs, "unverified")
    send(fs, upload, 0, BIG[:1000])
    handle = fs.resume_upload(upload, unverified=True)
    handle.write(1000, b"\xff" * 600_000)
    handle.sync()
    handle._handle._writer.close()  # as by kill -9: no word to the catalog
    core.uploads("w7:2:b").recover(["w7"])
    later = fs_of(core)
    assert later.upload_status(upload).offset == 1000
    send(later, upload, 1000, BIG[1000:], whole=True)
    assert core.client("ann").get(f"{IN}/unverified") == BIG


def test_offset_after_a_death_is_what_the_log_holds(core):
    """The catalog does not know it: it is measured."""
    fs = fs_of(core, uploads=core.uploads("w8:1:a"))
    upload = begin(fs, "died")
    handle = fs.resume_upload(upload)
    handle.write(0, BIG[:700_000])
    handle.sync()
    handle._handle._writer.close()
    core.uploads("w8:2:b").recover(["w8"])
    assert fs_of(core).upload_status(upload).offset == 700_000
    send(fs_of(core), upload, 700_000, BIG[700_000:], whole=True)


def test_file_whose_process_died_before_it_landed_lands_when_it_is_asked_for(core):
    """Every byte is there: whoever asks is never told so of a file that is not."""
    fs = fs_of(core)
    upload = begin(fs, "unlanded")
    send(fs, upload, 0, BIG)
    with core.database.read() as connection:
        assert connection.execute(select(UPLOADS.c.landed_at).where(UPLOADS.c.id == upload)).scalar_one() is None
    status = fs_of(core).upload_status(upload)
    assert status.complete
    assert core.client("ann").get(f"{IN}/unlanded") == BIG


def test_draft_upload_with_every_byte_waits_for_its_clients_word(core):
    """Its length does not complete it."""
    fs = fs_of(core)
    upload = begin(fs, "draft", dialect=Dialect.DRAFT)
    send(fs, upload, 0, BIG)
    assert not fs.upload_status(upload).complete


def test_same_file_again_has_the_first_receipt(core):
    """A lost reply doubles nothing, by this way either."""
    fs = fs_of(core)
    first = send(fs, begin(fs, "twice"), 0, BIG, whole=True)
    again = begin(fs, "twice")
    assert send(fs, again, 0, BIG, whole=True).id == first.id
    assert fs.upload_status(again).receipt.id == first.id


def parts_of(core, name, cuts, *, lengths=True):
    fs = fs_of(core)
    made = []
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(BIG)], strict=True)):
        length = end - start if lengths else None
        made.append((begin(fs, f"{name}-part-{number}", length, kind=UploadKind.PART), start, end))
    return made


def test_parts_are_joined_and_gone(core):
    """Received by several workers at a time; the digest of the whole is in its receipt."""
    parts = parts_of(core, "joined", [300_000, 300_001, 900_000])
    for upload, start, end in reversed(parts):
        send(fs_of(core), upload, 0, BIG[start:end], whole=True)
    assert [row.name for row in fs_of(core).scandir(parse_path(IN)) if "part-" in row.name] == []
    fs = fs_of(core)
    ids = [upload for upload, _, _ in parts]
    status = fs.join_uploads(order("joined", None), ids)
    status = landed(fs, status.id)
    assert status.receipt.document["sha256"] == hashlib.sha256(BIG).hexdigest()
    assert (status.offset, status.length, status.parts) == (len(BIG), len(BIG), tuple(ids))
    assert core.client("ann").get(f"{IN}/joined") == BIG
    with pytest.raises(GoneError):
        wait_gone(fs, ids[0])
    assert fs.join_uploads(order("joined", None), ids).id == status.id


def wait_gone(fs, upload):
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        fs.upload_status(upload)
        time.sleep(0.01)


def test_file_that_lands_while_it_is_asked_for_is_not_told_to_be_gone(core, monkeypatch):
    """Its parts are let go before the question is through."""
    fs = fs_of(core)
    parts = parts_of(core, "meanwhile", [500_000])
    upload = fs.join_uploads(order("meanwhile", None), [each[0] for each in parts]).id
    before = fs._numbered._find(upload)
    for part, start, end in parts:
        send(fs, part, 0, BIG[start:end], whole=True)
    landed(fs, upload)
    with core.database.read() as connection:
        states = select(UPLOADS.c.state).where(UPLOADS.c.id.in_([each[0] for each in parts]))
        while {state for (state,) in connection.execute(states)} != {UploadState.EXPIRED}:
            time.sleep(0.01)
            connection.rollback()
    monkeypatch.setattr(fs._numbered, "_find", lambda _upload: before)
    assert fs.upload_status(upload).complete


def test_join_waits_for_its_last_part(core):
    """Which completes the file without anybody asking for it again."""
    parts = parts_of(core, "waits", [500_000])
    fs = fs_of(core)
    send(fs, parts[0][0], 0, BIG[:500_000], whole=True)
    upload = fs.join_uploads(order("waits", None), [each[0] for each in parts]).id
    assert not fs.upload_status(upload).complete
    send(fs, parts[1][0], 0, BIG[500_000:], whole=True)
    limit = time.monotonic() + 60
    while not any(row.name == "waits" and not row.partial for row in fs.scandir(parse_path(IN))):
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert core.client("ann").get(f"{IN}/waits") == BIG


def until(holds):
    limit = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_file_is_written_as_its_parts_come(core):
    """In one worker or another; little is left to do once the last one is there."""
    parts = parts_of(core, "by-and-by", [300_000, 600_000])
    joining, elsewhere = core.uploads("w3:2:a"), core.uploads("w4:2:a")
    send(fs_of(core), parts[0][0], 0, BIG[:300_000], whole=True)
    fs = fs_of(core, uploads=joining)
    upload = fs.join_uploads(order("by-and-by", None), [each[0] for each in parts]).id
    until(lambda: upload in joining._open and joining._open[upload].received == 300_000)
    send(fs_of(core, uploads=elsewhere), parts[1][0], 0, BIG[300_000:600_000], whole=True)
    until(lambda: joining._open[upload].received == 600_000)
    send(fs, parts[2][0], 0, BIG[600_000:], whole=True)
    assert landed(fs, upload).receipt.document["sha256"] == hashlib.sha256(BIG).hexdigest()
    joining.close()
    elsewhere.close()


def test_join_goes_on_in_another_worker(core):
    """Where one died with half of it written."""
    parts = parts_of(core, "halfway", [500_000])
    for upload, start, end in parts[:1]:
        send(fs_of(core), upload, 0, BIG[start:end], whole=True)
    dying = core.uploads("w3:1:a")
    upload = fs_of(core, uploads=dying).join_uploads(order("halfway", None), [each[0] for each in parts]).id
    until(lambda: upload in dying._open and dying._open[upload].received == 500_000)
    dying.close()
    assert upload not in dying._open
    send(fs_of(core), parts[1][0], 0, BIG[500_000:], whole=True)
    assert landed(fs_of(core), upload).length == len(BIG)
    assert core.client("ann").get(f"{IN}/halfway") == BIG


def test_parts_count_for_no_file_and_once_for_bytes(tmp_path):
    """A quota of one file and just its bytes is enough for it in parts; not for a byte more."""
    with running_core(tmp_path, quotas={"case_bytes": len(BIG) + 1000, "case_files": 1}) as core:
        parts = parts_of(core, "full", [500_000])
        fs = fs_of(core)
        for upload, start, end in parts:
            send(fs, upload, 0, BIG[start:end], whole=True)
        with pytest.raises(QuotaExceededError):
            begin(fs, "more-part", 2000, kind=UploadKind.PART)
        landed(fs, fs.join_uploads(order("full", None), [each[0] for each in parts]).id)
        with pytest.raises(QuotaExceededError):
            begin(fs, "second", 10)


def test_file_that_is_asked_for_twice_at_a_time_is_one(core, monkeypatch):
    """Neither request knew of the other when it looked."""
    parts = parts_of(core, "at-once", [400_000])
    ids = [each[0] for each in parts]
    fs = fs_of(core, uploads=core.uploads("w9:1:a"))
    resources = fs._numbered._uploads.resources
    look, first = resources.joined_before, []

    def late(asked, login):
        if not first:
            first.append(fs_of(core).join_uploads(order("at-once", None), ids).id)
            return None
        return look(asked, login)

    monkeypatch.setattr(resources, "joined_before", late)
    assert fs.join_uploads(order("at-once", None), ids).id == first[0]


def test_file_that_lost_a_part_keeps_the_others_from_no_other(core):
    """The lost one is sent again, and all are joined anew."""
    parts = parts_of(core, "lost", [400_000])
    fs = fs_of(core)
    send(fs, parts[0][0], 0, BIG[:400_000], whole=True)
    fs.join_uploads(order("lost", None), [each[0] for each in parts])
    again = begin(fs, "lost-again", WHOLE - 400_000, kind=UploadKind.PART)
    with pytest.raises(RejectedError, match="another file"):
        fs.join_uploads(order("lost", None), [parts[0][0], again])
    fs.remove_upload(parts[1][0])
    upload = fs.join_uploads(order("lost", None), [parts[0][0], again]).id
    send(fs, again, 0, BIG[400_000:], whole=True)
    assert landed(fs, upload).receipt.document["sha256"] == hashlib.sha256(BIG).hexdigest()


def test_what_is_no_part_is_not_joined(core):
    """Nor what belongs to another file already."""
    fs = fs_of(core)
    whole = begin(fs, "whole")
    part = begin(fs, "lone-part", 10, kind=UploadKind.PART)
    other = begin(fs, "other-part", 10, kind=UploadKind.PART)
    for ids in ([], [part, part], [part, whole]):
        with pytest.raises(RejectedError):
            fs.join_uploads(order("wrong", None), ids)
    fs.join_uploads(order("first", None), [part])
    with pytest.raises(RejectedError):
        fs.join_uploads(order("second", None), [part, other])


def test_abandoned_upload_expires(core):
    """After its time it is gone, and says so."""
    fs = fs_of(core)
    upload = begin(fs, "abandoned")
    with core.database.write() as connection:
        connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload).values(state="expired"))
    with pytest.raises(GoneError):
        fs.upload_status(upload)


def test_upload_is_over_before_the_sweep_says_so(core):
    """What its address promised in time holds to the second, to look and to go on."""
    fs = fs_of(core)
    upload = begin(fs, "late")
    long_ago = time.time() - 8 * 86400  # by default a week is waited
    with core.database.write() as connection:
        connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload).values(updated_at=long_ago))
    for late in (fs.upload_status, fs.resume_upload):
        with pytest.raises(GoneError):
            late(upload)
    fs.remove_upload(upload)


def test_finished_upload_answers_for_a_day(core):
    """Then its address is over, and its file stays."""
    fs = fs_of(core)
    upload = begin(fs, "finished")
    send(fs, upload, 0, BIG[::-1], whole=True)
    with core.database.write() as connection:
        connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload).values(landed_at=time.time() - 25 * 3600))
    with pytest.raises(GoneError):
        fs.upload_status(upload)
    assert core.client("ann").get(f"{IN}/finished") == BIG[::-1]


def test_name_taken_is_refused_where_nothing_may_be_replaced(core):
    """As with every other way to send."""
    fs = fs_of(core)
    send(fs, begin(fs, "taken"), 0, BIG, whole=True)
    with pytest.raises(Exception, match="is there"):
        fs.begin_upload(order("taken", mode=WriteMode.CREATE))


def test_length_is_told_once(core):
    """And checked against what may be had."""
    fs = fs_of(core)
    upload = begin(fs, "later", None)
    handle = fs.resume_upload(upload)
    handle.announce(10)
    handle.abort("told")
    with core.database.read() as connection:
        kept = connection.execute(select(UPLOAD_RESOURCES.c.length).where(UPLOAD_RESOURCES.c.upload_id == upload))
        assert kept.scalar_one() == 10
