"""Reading an upload while somebody else still writes it: what is given out is what lands, or nothing is."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import AlteredRecordError, RewrittenError, RolledBackError, WrongKeyError
from storage.landing import LandingFollower, LandingZone
from storage.landing.record import HEADER_BYTES, LOG_HEADER_BYTES, SEGMENT_BYTES

KEY = bytes(range(32))
DATA = random.Random(7).randbytes(3 * SEGMENT_BYTES + 1000)


@pytest.fixture
def zone(tmp_path):
    zone = LandingZone(tmp_path / "landing")
    yield zone
    zone.close()


@pytest.fixture
def writer(zone):
    writer = zone.create("u", KEY)
    yield writer
    writer.close()


@pytest.fixture
def follower(zone, writer):
    follower = LandingFollower(zone.open_fd("u"), "u", KEY)
    yield follower
    follower.close()


def read_all(follower):
    """Read what there is from the beginning."""
    pieces, offset = [], 0
    while piece := follower.read(offset, 100_000):
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


def test_follower_sees_what_is_flushed(writer, follower):
    """It reads no further than the log goes, and goes on once that goes on."""
    assert read_all(follower) == b""
    for end in (10, SEGMENT_BYTES, len(DATA)):
        writer.write(writer.end, DATA[writer.end : end])
        writer.sync()
        follower.look()
        assert read_all(follower) == DATA[:end]
    follower.conclude(writer.records, len(DATA))


def test_follower_stops_at_a_hole_until_it_is_filled(writer, follower):
    """Bytes behind a hole are not given out before the hole is closed."""
    writer.write(0, DATA[:1000])
    writer.write(2000, DATA[2000:3000])
    writer.sync()
    follower.look()
    assert read_all(follower) == DATA[:1000]
    writer.write(1000, DATA[1000:2000])
    writer.sync()
    follower.look()
    assert read_all(follower) == DATA[:3000]


def test_follower_ends_where_what_it_gave_is_written_again(writer, follower):
    """One byte below what was read is enough; what was not read yet may change."""
    writer.write(0, DATA[:5000])
    writer.sync()
    follower.look()
    follower.read(0, 3000)
    writer.write(3000, b"new")
    writer.sync()
    follower.look()
    assert follower.read(3000, 3) == b"new"
    writer.write(2999, b"x")
    writer.sync()
    with pytest.raises(RewrittenError):
        follower.look()


def test_follower_ends_where_what_it_gave_is_cut_off(writer, follower):
    """A truncation below what was read."""
    writer.write(0, DATA[:5000])
    writer.sync()
    follower.look()
    follower.read(0, 5000)
    writer.truncate(4999)
    writer.sync()
    with pytest.raises(RewrittenError):
        follower.look()


def test_follower_is_told_another_ending(writer, follower):
    """Fewer records or bytes than landed, or more, are not the file that landed."""
    writer.write(0, DATA[:5000])
    writer.sync()
    follower.look()
    records = writer.records
    with pytest.raises(RolledBackError):
        follower.conclude(records + 1, 5000)
    with pytest.raises(RolledBackError):
        follower.conclude(records, 4000)
    writer.write(5000, b"more")
    writer.sync()
    follower.look()
    with pytest.raises(RewrittenError):
        follower.conclude(records, 5000)


def test_follower_of_a_hole_is_not_concluded(writer, follower):
    """What landed has no hole."""
    writer.write(10, DATA[10:1000])
    writer.sync()
    with pytest.raises(RolledBackError):
        follower.conclude(writer.records, 1000)


def test_record_under_way_waits(zone, writer, follower):
    """Of a record that is half in the log nothing is given out, and once it is whole it is."""
    writer.write(0, DATA[:SEGMENT_BYTES])
    writer.sync()
    path = zone._directory / "u.landing"
    whole = path.read_bytes()
    for cut in (0, 5, LOG_HEADER_BYTES, LOG_HEADER_BYTES + HEADER_BYTES - 1, len(whole) - 1):
        path.write_bytes(whole[:cut])
        follower.look()
        assert follower.prefix == 0
    path.write_bytes(whole)
    follower.look()
    assert read_all(follower) == DATA[:SEGMENT_BYTES]


def test_altered_record_is_refused(zone, writer, follower):
    """A bit that was turned on the disk is found when it is read."""
    writer.write(0, DATA[:SEGMENT_BYTES])
    writer.sync()
    path = zone._directory / "u.landing"
    altered = bytearray(path.read_bytes())
    altered[-1] ^= 1
    path.write_bytes(altered)
    follower.look()
    with pytest.raises(AlteredRecordError):
        follower.read(0, 10)


def test_other_uploads_key_is_refused(zone, writer):
    """The log says whose it is before anything is read."""
    writer.write(0, DATA[:SEGMENT_BYTES])
    writer.sync()
    follower = LandingFollower(zone.open_fd("u"), "u", bytes(32))
    with pytest.raises(WrongKeyError):
        follower.look()
    follower.close()


_WRITES = st.lists(
    st.tuples(st.sampled_from(["write", "read", "truncate"]), st.integers(0, 4000), st.integers(1, 1500)),
    min_size=1,
    max_size=20,
)


@given(steps=_WRITES)
@settings(max_examples=60, deadline=None)
def test_what_was_given_out_is_what_lands_or_it_says_so(tmp_path_factory, steps):
    """Whatever is written in whatever order: a reader that reached the end read the file that landed."""
    zone = LandingZone(tmp_path_factory.mktemp("landing"))
    writer = zone.create("u", KEY)
    follower = LandingFollower(zone.open_fd("u"), "u", KEY)
    read = bytearray()
    try:
        for number, (what, offset, length) in enumerate(steps):
            if what == "write":
                writer.write(offset, random.Random(number).randbytes(length))
            elif what == "truncate":
                writer.truncate(offset)
            writer.sync()
            follower.look()
            read += follower.read(len(read), length)
        follower.conclude(writer.records, writer.end)
    except (RewrittenError, RolledBackError):
        return
    finally:
        landed = zone.open("u", KEY)
        end = landed.prefix
        content = landed.read(0, end)
        landed.close()
        writer.close()
        follower.close()
        zone.close()
    assert bytes(read) == content[: len(read)]
