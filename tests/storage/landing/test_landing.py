"""Landing logs: any order, crashes at any byte, full disks, tampering, and who may write."""

import errno
import hashlib
import os
import random
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import (
    AlteredRecordError,
    HoleError,
    LandingBusyError,
    LandingClosedError,
    LandingError,
    LandingExistsError,
    LandingNotFoundError,
    OutOfSpaceError,
    RolledBackError,
    StoreUnavailableError,
    TamperedError,
    UnknownFormatError,
    WrongKeyError,
)
from storage.landing import LandingReader, LandingZone
from storage.landing import log as landing_log
from storage.landing.record import HEADER_BYTES, LOG_HEADER_BYTES, SEGMENT_BYTES, TAG_BYTES

KEY = bytes(range(32))
MARKER = b"PLAINTEXT-MARKER-7f3a"


@pytest.fixture
def zone(tmp_path):
    zone = LandingZone(tmp_path / "landing")
    yield zone
    zone.close()


def path_of(zone, upload_id="u"):
    return zone._directory / f"{upload_id}.landing"


def pattern(size, seed=0):
    return random.Random(seed + size).randbytes(size)


def land(zone, *writes, upload_id="u"):
    """Write each (offset, data), sealing after every one; return the number of records."""
    writer = zone.create(upload_id, KEY)
    for offset, data in writes:
        writer.write(offset, data)
        writer.flush()
    writer.sync()
    writer.close()
    return writer.records


def content(zone, upload_id="u", **known):
    reader = zone.open(upload_id, KEY, **known)
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


@pytest.mark.parametrize("size", [0, 1, 4096, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 1_500_000])
@pytest.mark.parametrize("step", [32_768, 261_120, 1_000_000])
def test_sequential_upload_reads_back(zone, size, step):
    """What was written in order is read, in pieces of any size, and its digest is known at the end."""
    data = pattern(size)
    writer = zone.create("u", KEY)
    for start in range(0, size, step):
        writer.write(start, memoryview(data)[start : start + step])
        assert (writer.prefix, writer.end) == (min(size, start + step),) * 2
        assert writer.buffered < SEGMENT_BYTES
    writer.sync()
    assert writer.durable_prefix == size
    assert writer.buffered == 0
    assert writer.digest(patience_seconds=60) == hashlib.sha256(data).digest()
    writer.close()
    assert writer.records == -(-size // SEGMENT_BYTES)
    reader = zone.open("u", KEY, records=writer.records, size=size)
    assert b"".join(reader.read(o, step) for o in range(0, size + 1, step)) == data
    assert (reader.size, reader.prefix, reader.read(size, 1)) == (size, size, b"")
    reader.close()
    assert writer.log_size == zone.log_size("u")


WRITES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 700), st.integers(1, 300)),
        st.sampled_from(["flush", "sync", "resume", "digest"]),
        st.tuples(st.just("truncate"), st.integers(0, 900)),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(WRITES)
def test_random_writes_match_a_model(tmp_path_factory, steps):
    """Overlapping writes in any order, truncations, flushes and resumes give what a byte array gives."""
    zone = LandingZone(tmp_path_factory.mktemp("landing"))
    writer = zone.create("u", KEY)
    model, written, size = bytearray(2000), bytearray(2000), 0
    for count, step in enumerate(steps):
        if step == "resume":
            writer.close()
            writer = zone.resume("u", KEY, records=writer.records)
            assert writer.durable_prefix == writer.prefix
        elif step == "digest":
            whole = all(written[:size])
            assert writer.digest(patience_seconds=60) == (hashlib.sha256(model[:size]).digest() if whole else None)
        elif isinstance(step, str):
            getattr(writer, step)()
        elif step[0] == "truncate":
            writer.truncate(step[1])
            written[step[1] :] = bytes(2000 - step[1])
            size = step[1]
        else:
            offset, length = step
            data = pattern(length, count)
            writer.write(offset, data)
            model[offset : offset + length] = data
            written[offset : offset + length] = b"\1" * length
            size = max(size, offset + length)
        hole = written.find(0)
        assert (writer.end, writer.prefix) == (size, hole)
        assert writer.durable_prefix <= writer.prefix
        assert writer.read(max(0, hole - 90), min(hole, 90)) == model[max(0, hole - 90) : hole]
        if hole < size:
            with pytest.raises(HoleError):
                writer.read(hole, 1)
    writer.sync()
    assert writer.durable_prefix == writer.prefix
    writer.close()
    reader = zone.open("u", KEY, records=writer.records, size=size)
    assert reader.prefix == written.find(0)
    for offset in range(0, size, 97):
        end = min(offset + 150, size)
        if all(written[offset:end]):
            assert reader.read(offset, 150) == model[offset:end]
        else:
            with pytest.raises(HoleError):
                reader.read(offset, 150)
    reader.close()
    zone.close()


@pytest.mark.parametrize("cut", range(HEADER_BYTES + 5 + TAG_BYTES + 1))
def test_tail_torn_at_any_byte_loses_only_the_last_record(zone, cut):
    """A record of which only the first bytes reached the disk is cut off; a resume goes on from before it."""
    records = land(zone, (0, b"first"), (5, b"again"))
    path = path_of(zone)
    whole = path.stat().st_size
    os.truncate(path, whole - (HEADER_BYTES + 5 + TAG_BYTES) + cut)
    complete = cut == HEADER_BYTES + 5 + TAG_BYTES
    assert content(zone) == (b"firstagain" if complete else b"first")
    writer = zone.resume("u", KEY)
    assert writer.prefix == writer.durable_prefix == (10 if complete else 5)
    assert writer.records == (records if complete else records - 1)
    writer.write(writer.prefix, b"more")
    assert (
        writer.digest(patience_seconds=60) == hashlib.sha256(b"firstagainmore" if complete else b"firstmore").digest()
    )
    writer.close()
    assert content(zone) == (b"firstagainmore" if complete else b"firstmore")


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"\1\0\0\0" * 50, b"x" * 300_000])
def test_garbage_at_the_tail_is_cut(zone, garbage):
    """Blocks that the disk never wrote, or wrote something else into, end the log."""
    land(zone, (0, b"first"))
    with path_of(zone).open("ab") as file:
        file.write(garbage)
    writer = zone.resume("u", KEY)
    assert (writer.prefix, writer.log_size) == (5, zone.log_size("u"))
    writer.close()


def test_log_whose_header_never_reached_the_disk_is_empty(zone):
    """A crash right after create leaves an upload of no bytes, which can go on."""
    for left in (b"", b"mft la", bytes(LOG_HEADER_BYTES)):
        zone.create("u", KEY).close()
        path_of(zone).write_bytes(left)
        assert content(zone) == b""
        writer = zone.resume("u", KEY)
        writer.write(0, b"data")
        writer.close()
        assert content(zone) == b"data"
        zone.destroy("u")


def test_altered_byte_is_never_read(zone):
    """Whatever byte of a committed log is changed, it is refused when it is opened or read."""
    records = land(zone, (0, b"first"), (5, b"again"), (2, b"over"))
    path = path_of(zone)
    good = path.read_bytes()
    assert content(zone, records=records, size=10) == b"fiovergain"
    for place in range(len(good)):
        altered = bytearray(good)
        altered[place] ^= 0x04
        path.write_bytes(altered)
        with pytest.raises(TamperedError):
            content(zone, records=records, size=10)


def test_altered_byte_of_a_plain_sequence_is_never_read(zone):
    """The same where no record hides another, and records are opened only when they are read."""
    records = land(zone, (0, b"first"), (5, b"again"))
    path = path_of(zone)
    good = path.read_bytes()
    for place in range(len(good)):
        altered = bytearray(good)
        altered[place] ^= 0x80
        path.write_bytes(altered)
        with pytest.raises((TamperedError, HoleError)):
            content(zone, records=records, size=10)


def test_synced_record_that_is_altered_is_not_taken_for_a_torn_one(zone):
    """Where a later record proves that an earlier one was on the disk, nothing is cut off."""
    writer = zone.create("u", KEY)
    for number in range(4):
        writer.write(number * 100, pattern(100))
        writer.sync()
    writer.close()
    path = path_of(zone)
    good = path.read_bytes()
    record = HEADER_BYTES + 100 + TAG_BYTES
    for place in range(LOG_HEADER_BYTES, LOG_HEADER_BYTES + 2 * record, 7):
        altered = bytearray(good)
        altered[place] ^= 1
        path.write_bytes(altered)
        try:
            zone.resume("u", KEY).close()
        except AlteredRecordError:
            pass
        else:
            with pytest.raises(AlteredRecordError):
                content(zone)
        assert path.read_bytes() == altered


def test_long_tail_is_not_cut(zone, monkeypatch):
    """More bytes than a writer ever leaves unsynced are not taken for a torn tail."""
    land(zone, (0, b"first"))
    monkeypatch.setattr(landing_log, "_MAX_TORN_BYTES", 1000)
    with path_of(zone).open("ab") as file:
        file.write(bytes(2000))
    with pytest.raises(AlteredRecordError):
        zone.resume("u", KEY)
    assert zone.log_size("u") > 2000


def test_rolled_back_log_is_refused(zone):
    """A log with fewer records or other bytes than the catalog knows of is not read, and not resumed."""
    records = land(zone, (0, b"first"), (5, b"again"))
    path = path_of(zone)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(RolledBackError):
        content(zone, records=records)
    with pytest.raises(RolledBackError):
        zone.resume("u", KEY, records=records)
    with pytest.raises(RolledBackError):
        content(zone, records=1, size=10)
    assert content(zone, records=1, size=5) == b"first"


def test_reader_keeps_to_the_committed_records(zone):
    """What was appended after the commit is not seen by who reads the committed file."""
    writer = zone.create("u", KEY)
    writer.write(0, b"first")
    writer.sync()
    records = writer.records
    writer.write(0, b"other and more")
    writer.close()
    assert content(zone, records=records, size=5) == b"first"
    assert content(zone) == b"other and more"


def test_wrong_key_or_upload_is_named_and_cuts_nothing(zone):
    """Another key, or another upload's log under this name, is refused; the bytes stay."""
    land(zone, (0, b"data"))
    before = path_of(zone).read_bytes()
    with pytest.raises(WrongKeyError):
        zone.resume("u", bytes(32))
    with pytest.raises(WrongKeyError):
        zone.open("u", bytes(32))
    path_of(zone, "v").write_bytes(before)
    with pytest.raises(WrongKeyError):
        zone.resume("v", KEY)
    path_of(zone, "w").write_bytes(b"mft land\x02" + before[9:])
    with pytest.raises(UnknownFormatError):
        zone.resume("w", KEY)
    assert path_of(zone).read_bytes() == before


def test_exchanged_records_are_refused(zone):
    """Two genuine records of one length in each other's place do not pass."""
    records = land(zone, (0, b"aaaaa"), (5, b"bbbbb"))
    data = path_of(zone).read_bytes()
    one = data[LOG_HEADER_BYTES : LOG_HEADER_BYTES + HEADER_BYTES + 5 + TAG_BYTES]
    two = data[LOG_HEADER_BYTES + len(one) :]
    path_of(zone).write_bytes(data[:LOG_HEADER_BYTES] + two + one)
    with pytest.raises(TamperedError):
        content(zone, records=records, size=10)


def test_full_disk_keeps_what_was_accepted(zone, monkeypatch):
    """After ENOSPC the bytes wait in memory; once there is room again nothing is missing."""
    data = pattern(3 * SEGMENT_BYTES)
    writer = zone.create("u", KEY)
    writer.write(0, data[: SEGMENT_BYTES + 100])
    pwrite = os.pwrite

    def full(fd, chunk, offset):
        if len(chunk) > 1000:
            return pwrite(fd, memoryview(chunk)[:1000], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutOfSpaceError):
        writer.write(SEGMENT_BYTES + 100, data[SEGMENT_BYTES + 100 :])
    with pytest.raises(OutOfSpaceError):
        writer.flush()
    monkeypatch.undo()
    at = writer.prefix
    assert SEGMENT_BYTES + 100 <= at < len(data)
    writer.write(at, data[at:])
    writer.sync()
    assert writer.digest(patience_seconds=60) == hashlib.sha256(data).digest()
    writer.close()
    assert content(zone, records=writer.records, size=len(data)) == data


def test_process_that_dies_on_a_full_disk_can_be_resumed(zone, monkeypatch):
    """Half a record at the end of a full disk does not stand in the way of a later resume."""
    writer = zone.create("u", KEY)
    writer.write(0, b"kept")
    writer.flush()
    pwrite = os.pwrite

    def full(fd, chunk, offset):
        if len(chunk) > 20:
            return pwrite(fd, memoryview(chunk)[:20], offset)
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    def refuse(*_arguments):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(os, "ftruncate", refuse)
    writer.write(4, b"lost")
    with pytest.raises(OutOfSpaceError):
        writer.close()
    monkeypatch.undo()
    again = zone.resume("u", KEY)
    assert again.prefix == 4
    again.write(4, b" and found")
    again.close()
    assert content(zone) == b"kept and found"


def test_disk_that_fails_to_sync_is_never_trusted_again(zone, monkeypatch):
    """After a failing fdatasync no later sync of the handle claims durability."""
    writer = zone.create("u", KEY)
    writer.write(0, b"data")

    def broken(fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(StoreUnavailableError):
        writer.sync()
    monkeypatch.undo()
    with pytest.raises(StoreUnavailableError):
        writer.sync()
    assert writer.durable_prefix == 0
    writer.close()


def test_log_is_synced_on_the_way(zone, monkeypatch):
    """Every so many bytes the log is synced without being asked, and records carry the mark."""
    synced = threading.Event()
    fdatasync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (fdatasync(fd), synced.set()))
    monkeypatch.setattr("storage.landing.writer.SYNC_BYTES", SEGMENT_BYTES)
    writer = zone.create("u", KEY)
    writer.write(0, bytes(2 * SEGMENT_BYTES))
    assert synced.wait(30)
    with writer._sync_lock:
        pass
    assert writer.durable_prefix >= SEGMENT_BYTES
    writer.close()


def test_writer_waits_for_a_slow_disk(zone, monkeypatch):
    """A writer does not run further ahead of the disk than a torn tail may be long."""
    go_on = threading.Event()
    fdatasync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (go_on.wait(30), fdatasync(fd)))
    monkeypatch.setattr("storage.landing.writer.SYNC_BYTES", SEGMENT_BYTES)
    monkeypatch.setattr("storage.landing.writer.MAX_UNSYNCED_BYTES", 3 * SEGMENT_BYTES)
    writer = zone.create("u", KEY)
    writer.write(0, bytes(3 * SEGMENT_BYTES))
    assert writer.congested
    done = threading.Event()
    thread = threading.Thread(target=lambda: (writer.write(3 * SEGMENT_BYTES, b"x"), done.set()))
    thread.start()
    assert not done.wait(0.1)
    go_on.set()
    assert done.wait(30)
    thread.join()
    writer.close()


def test_threads_write_one_handle(zone):
    """Pieces written by several threads at once all arrive."""
    data = pattern(2_000_000)
    writer = zone.create("u", KEY)

    def write(first):
        for start in range(first * 10_000, len(data), 40_000):
            writer.write(start, data[start : start + 10_000])

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.prefix == writer.end == len(data)
    assert writer.digest(patience_seconds=60) == hashlib.sha256(data).digest()
    writer.close()
    assert content(zone, records=writer.records, size=len(data)) == data


def test_rewrite_behind_the_frontier_corrects_the_digest(zone, monkeypatch):
    """Bytes that were hashed and then written again count with their last value, from the nearest checkpoint on."""
    monkeypatch.setattr("storage.landing.digest.CHECKPOINT_BYTES", SEGMENT_BYTES)
    data = bytearray(pattern(6 * SEGMENT_BYTES))
    writer = zone.create("u", KEY)
    writer.write(0, data)
    assert writer.digest(patience_seconds=60) == hashlib.sha256(data).digest()
    for place in (5 * SEGMENT_BYTES + 7, 2 * SEGMENT_BYTES, 0):
        data[place : place + 10] = b"rewritten!"
        writer.write(place, b"rewritten!")
        assert writer.digest(patience_seconds=60) == hashlib.sha256(data).digest()
    writer.truncate(SEGMENT_BYTES + 3)
    assert writer.digest(patience_seconds=60) == hashlib.sha256(data[: SEGMENT_BYTES + 3]).digest()
    writer.close()


def test_digest_far_behind_is_pending(zone, monkeypatch):
    """A long lag is not made up for while somebody waits; a missing byte leaves no digest at all."""
    monkeypatch.setattr("storage.landing.digest.CATCH_UP_BYTES", SEGMENT_BYTES)
    writer = zone.create("u", KEY)
    writer.write(10, bytes(3 * SEGMENT_BYTES))
    assert writer.digest() is None
    writer.write(0, bytes(10))
    assert writer.digest() is None
    assert writer.prefix == writer.end
    writer.close()


def test_write_into_the_waiting_buffer_is_one_record(zone):
    """Small overlapping writes that touch one another are sealed once."""
    writer = zone.create("u", KEY)
    for offset, data in ((100, b"middle"), (102, b"DD"), (106, b" end"), (100, b"M")):
        writer.write(offset, data)
    writer.write(0, b"x" * 100)
    writer.close()
    assert writer.records == 2
    assert content(zone) == b"x" * 100 + b"MiDDle end"


def test_small_writes_in_reverse_order(zone):
    """The worst order makes many records and still the right file."""
    data = pattern(3000)
    writer = zone.create("u", KEY)
    for start in reversed(range(0, 3000, 10)):
        writer.write(start, data[start : start + 10])
    assert writer.digest(patience_seconds=60) == hashlib.sha256(data).digest()
    writer.close()
    assert content(zone, records=writer.records, size=3000) == data


def test_one_writer_at_a_time(zone, tmp_path):
    """A second handle is refused, in this process and in another, until the first is closed."""
    writer = zone.create("u", KEY)
    writer.write(0, b"data")
    with pytest.raises(LandingBusyError):
        zone.resume("u", KEY)
    program = (
        "import sys, pathlib; from storage.landing import LandingZone; from storage.errors import LandingBusyError\n"
        "zone = LandingZone(pathlib.Path(sys.argv[1]))\n"
        "try: zone.resume('u', bytes(range(32)))\n"
        "except LandingBusyError: sys.exit(7)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "landing")]
    assert subprocess.run(command, check=False).returncode == 7
    writer.close()
    assert subprocess.run(command, check=False).returncode == 0


def test_killed_writer_can_be_resumed_elsewhere(zone, tmp_path):
    """What a process flushed before it was killed is there for the next."""
    program = (
        "import sys, os, pathlib; from storage.landing import LandingZone\n"
        "writer = LandingZone(pathlib.Path(sys.argv[1])).create('u', bytes(range(32)))\n"
        "writer.write(0, b'flushed'); writer.flush(); writer.write(7, b'waiting')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "landing")]
    assert subprocess.run(command, check=False).returncode == -9
    writer = zone.resume("u", KEY)
    assert writer.prefix == 7
    writer.close()
    assert content(zone) == b"flushed"


def test_closed_writer_takes_nothing(zone):
    """After close every verb is refused, close itself is not."""
    writer = zone.create("u", KEY)
    writer.close()
    writer.close()
    for verb in (lambda: writer.write(0, b"x"), writer.flush, writer.sync, writer.digest, lambda: writer.truncate(1)):
        with pytest.raises(LandingClosedError):
            verb()


def test_zone_knows_its_uploads(zone):
    """Ids are listed, destroyed for good, and never a path."""
    land(zone, (0, b"x"), upload_id="one")
    land(zone, (0, b"x"), upload_id="two")
    (zone._directory / "stray.txt").write_text("x")
    assert sorted(zone.ids()) == ["one", "two"]
    with pytest.raises(LandingExistsError):
        zone.create("one", KEY)
    zone.destroy("one")
    zone.destroy("one")
    assert list(zone.ids()) == ["two"]
    for verb in (zone.open, zone.resume):
        with pytest.raises(LandingNotFoundError):
            verb("one", KEY)
    with pytest.raises(LandingNotFoundError):
        zone.log_size("one")
    for name in ("", ".", "../x", "a/b", "a b", "é", "a\n", "-a", "x" * 200):
        with pytest.raises(LandingError):
            zone.create(name, KEY)


def test_no_plaintext_on_the_disk(zone, tmp_path):
    """No byte of what was uploaded can be found in any file of the directory."""
    writer = zone.create("u", KEY)
    for number in range(300):
        writer.write(number * 5000, MARKER * 200)
    writer.truncate(1_000_000)
    writer.sync()
    writer.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert MARKER not in files[0].read_bytes()
    assert files[0].stat().st_mode & 0o777 == 0o600


def test_same_bytes_are_sealed_differently_each_time(zone):
    """No nonce is used twice, not even for the same record of the same upload after a torn write."""
    land(zone, (0, b"same"))
    first = path_of(zone).read_bytes()
    os.truncate(path_of(zone), len(first) - 1)
    writer = zone.resume("u", KEY)
    writer.write(0, b"same")
    writer.close()
    second = path_of(zone).read_bytes()
    assert len(first) == len(second)
    assert first[-24:] != second[-24:]
    assert first[LOG_HEADER_BYTES + 48 : LOG_HEADER_BYTES + 60] != second[LOG_HEADER_BYTES + 48 : LOG_HEADER_BYTES + 60]


def test_child_reads_from_a_descriptor_alone(zone):
    """A descriptor and one key are enough; the reader owns the descriptor."""
    records = land(zone, (0, b"for the child"))
    fd = zone.open_fd("u")
    zone.destroy("u")
    reader = LandingReader.from_fd(fd, "u", KEY, records, 13)
    assert reader.read(4, 100) == b"the child"
    reader.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_negative_and_absurd_offsets_are_errors(zone):
    """What no file has is a mistake of the caller."""
    writer = zone.create("u", KEY)
    for offset in (-1, 1 << 62, 1 << 64):
        with pytest.raises(ValueError):
            writer.write(offset, b"x")
        with pytest.raises(ValueError):
            writer.truncate(offset + 1 if offset > 0 else offset)
    writer.write(0, b"")
    writer.write(5, b"x")
    assert (writer.end, writer.prefix) == (6, 0)
    writer.close()
    reader = zone.open("u", KEY)
    with pytest.raises(ValueError):
        reader.read(-1, 1)
    with pytest.raises(HoleError):
        reader.read(0, 6)
    reader.close()


def test_zone_whose_disk_is_not_mounted_is_not_empty(zone, tmp_path):
    """Nothing lands below the mount point, and no log is taken for lost or destroyed; with the disk all is back."""
    land(zone, (0, b"landed"))
    place, away = tmp_path / "landing", tmp_path / "away"
    place.rename(away)
    place.mkdir()
    later = LandingZone(place, make=False)
    for each in (zone, later):
        for question in (
            lambda each=each: each.create("v", KEY),
            lambda each=each: each.resume("u", KEY),
            lambda each=each: each.open("u", KEY),
            lambda each=each: each.log_size("u"),
            lambda each=each: each.destroy("u"),
            lambda each=each: list(each.ids()),
            lambda each=each: each.carry("u", zone, lambda _count: None),
        ):
            with pytest.raises(StoreUnavailableError, match="is its disk mounted"):
                question()
    assert list(place.iterdir()) == []
    place.rmdir()
    away.rename(place)
    assert content(later) == b"landed"
    later.close()
