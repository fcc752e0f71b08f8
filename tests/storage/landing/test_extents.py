"""The index of extents against a model that knows of every byte which record it is from."""

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.landing.extents import Extent, ExtentIndex


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.one_of(st.tuples(st.integers(0, 120), st.integers(1, 60)), st.tuples(st.integers(0, 150), st.none())),
        max_size=40,
    )
)
def test_later_records_win(steps):
    """Whatever is added and cut off: each byte is found in the record that wrote it last, at its place in it."""
    index, model, size = ExtentIndex(), {}, 0
    for number, (start, length) in enumerate(steps):
        if length is None:
            index.truncate(start)
            model = {at: from_ for at, from_ in model.items() if at < start}
            size = start
        else:
            index.add(Extent(start=start, length=length, position=number * 1000, number=number, skip=0))
            model.update({start + skip: (number, skip) for skip in range(length)})
            size = max(size, start + length)
        found = {
            extent.start + at: (extent.number, extent.skip + at)
            for extent in index.find(0, 1 << 40)
            for at in range(extent.length)
        }
        assert found == model
        assert all(extent.position == extent.number * 1000 for extent in index.find(0, 1 << 40))
        prefix = next(at for at in range(1000) if at not in model)
        assert (index.size, index.prefix) == (size, min(prefix, size))
        for at in (0, 30, 60):
            end = next(end for end in range(at, 1000) if end not in model)
            assert index.contiguous_end(at) == end
            assert [e.start for e in index.find(at, at + 20)] == [
                e.start for e in index.find(0, 1 << 40) if e.start < at + 20 and e.end > at
            ]


def test_sequential_file_takes_little_memory():
    """Four gigabytes in segments of 256 KiB are indexed in half a megabyte, so forty in five."""
    index = ExtentIndex()
    segment = 256 * 1024
    for number in range(4 * 1024 * 4):
        index.add(
            Extent(start=number * segment, length=segment, position=number * (segment + 60), number=number, skip=0)
        )
    assert index.prefix == 4 << 30
    assert sum(column.itemsize * len(column) for column in index._columns) < 500_000
