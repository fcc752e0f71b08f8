"""Bytes that are received where they will be sealed: as good as those that were copied there."""

import contextlib
import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.landing import LandingZone
from storage.landing.record import SEGMENT_BYTES

KEY = bytes(range(32))
DATA = random.Random(8).randbytes(5 * SEGMENT_BYTES + 777)


@pytest.fixture(scope="module")
def zone(tmp_path_factory):
    zone = LandingZone(tmp_path_factory.mktemp("landing"))
    yield zone
    zone.close()


@pytest.fixture
def writer(zone):
    writer = zone.create("u", KEY)
    yield writer
    writer.close()
    zone.destroy("u")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lent", "copied", "lent and left", "lent, synced", "lent, but copied"]),
        st.one_of(st.integers(1, 5000), st.integers(SEGMENT_BYTES - 2, SEGMENT_BYTES), st.just(SEGMENT_BYTES // 2)),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_what_is_lent_and_what_is_copied_make_one_file(zone, steps):
    """In whatever order: the file and its digest are what was sent."""
    writer = zone.create("mixed", KEY)
    try:
        for how, wanted in steps:
            offset = writer.end
            data = DATA[offset : offset + wanted]
            view = None if how == "copied" else writer.lend(offset)
            if view is None:
                writer.write(offset, data)
                continue
            size = min(len(view), len(data))
            if how == "lent, but copied":
                view[:size] = bytes(size)
                writer.write(offset, data[:size])
                continue
            view[:size] = data[:size]
            if how == "lent, synced":
                writer.sync()
            if how != "lent and left":
                writer.write(offset, view[:size])
        size = writer.end
        writer.sync()
        assert writer.digest(patience_seconds=60) == hashlib.sha256(DATA[:size]).digest()
        with contextlib.closing(zone.open("mixed", KEY)) as reader:
            assert reader.size == size
            assert b"".join(reader.read(at, SEGMENT_BYTES) for at in range(0, size, SEGMENT_BYTES)) == DATA[:size]
    finally:
        writer.close()
        zone.destroy("mixed")


def test_nothing_is_lent_behind_a_hole_or_in_what_is_there(writer):
    """Only where the last bytes ended is there memory to receive into."""
    writer.write(0, DATA[:1000])
    assert writer.lend(999) is None
    assert writer.lend(1001) is None
    assert len(writer.lend(1000)) == SEGMENT_BYTES - 1000
    writer.write(5000, DATA[:10])
    assert writer.lend(1000) is None


def test_a_closed_handle_lends_nothing(zone):
    """Its memory may be another upload's by now."""
    writer = zone.create("closed", KEY)
    writer.close()
    assert writer.lend(0) is None
    zone.destroy("closed")


def test_writer_whose_digest_nobody_wants_computes_none(zone):
    """Begun or gone on with: every byte is there, and no thread was asked for."""
    writer = zone.create("unhashed", KEY, hashed=False)
    try:
        writer.write(0, DATA[:900_000])
        assert writer.digest() is None
        writer.close()
        writer = zone.resume("unhashed", KEY, hashed=False)
        writer.write(900_000, DATA[900_000:900_001])
        while (left := len(DATA) - writer.end) > 0:
            view = writer.lend(writer.end)
            size = min(len(view), left)
            view[:size] = DATA[writer.end : writer.end + size]
            writer.write(writer.end, view[:size])
        assert (writer.digest(), writer.prefix) == (None, len(DATA))
        assert writer.read(0, len(DATA)) == DATA
        writer.close()
        writer = zone.resume("unhashed", KEY)
        assert writer.digest() == hashlib.sha256(DATA).digest()
    finally:
        writer.close()
        zone.destroy("unhashed")
