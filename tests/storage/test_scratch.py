"""Temporary data: like a file in every way, and never in clear on the disk."""

import io
import os
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import AlteredSegmentError, OutOfSpaceError
from storage.scratch import PAGE_BYTES, SealedScratch

MARKER = b"PLAINTEXT-MARKER-7f3a"
MOST = 6 * PAGE_BYTES

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "read", "seek", "truncate"]), st.integers(0, 12 * PAGE_BYTES), st.integers(0, 2)
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_it_behaves_like_a_file(tmp_path_factory, operations):
    """Any sequence of operations gives what a file in memory gives."""
    model = io.BytesIO()
    with SealedScratch(tmp_path_factory.getbasetemp(), MOST) as scratch:
        for count, (verb, number, whence) in enumerate(operations):
            if verb == "write":
                data = bytes([count + 1]) * (number // 4)
                assert scratch.write(data) == model.write(data)
            elif verb == "read":
                assert scratch.read(number) == model.read(number)
            elif verb == "seek":
                offset = -min(number, (0, model.tell(), len(model.getvalue()))[whence]) if number % 3 == 0 else number
                assert scratch.seek(offset, whence) == model.seek(offset, whence)
            else:
                assert scratch.truncate(number) == number
                model.truncate(number)
                if number > len(model.getvalue()):
                    at = model.tell()
                    model.seek(0, 2)
                    model.write(bytes(number - len(model.getvalue())))
                    model.seek(at)
            assert scratch.tell() == model.tell()
        scratch.seek(0)
        assert scratch.read() == model.getvalue()


def test_no_plaintext_and_no_name_on_the_disk(tmp_path):
    """What exceeds memory is sealed, in a file without a name."""
    with SealedScratch(tmp_path, 0) as scratch:
        for _ in range(100):
            scratch.write(MARKER * 3000)
        assert list(tmp_path.iterdir()) == []
        size = scratch._file.size
        assert size > 5_000_000
        assert MARKER not in scratch._file.pread(size, 0)
        scratch.seek(0)
        assert scratch.read(len(MARKER)) == MARKER


def test_small_data_never_leave_memory(tmp_path):
    """Up to the limit no file is made."""
    with SealedScratch(tmp_path, MOST) as scratch:
        scratch.write(bytes(MOST))
        assert scratch._file is None


def test_limit_holds_where_there_is_no_directory():
    """Without a directory more than the limit is refused as lack of space."""
    with SealedScratch(None, MOST) as scratch:
        scratch.write(bytes(MOST))
        with pytest.raises(OutOfSpaceError):
            scratch.write(b"x")


def test_altered_file_is_refused(tmp_path):
    """A page that was altered, exchanged or put back to an older state does not open."""
    with SealedScratch(tmp_path, 0) as scratch:
        scratch.write(b"a" * PAGE_BYTES * 10)
        slot = PAGE_BYTES + 16
        one, two = scratch._file.pread(slot, 0), scratch._file.pread(slot, slot)
        for wrong in (two, one[:-1] + bytes([one[-1] ^ 1])):
            scratch._file.pwrite(wrong, 0)
            scratch.seek(0)
            with pytest.raises(AlteredSegmentError):
                scratch.read(1)
        scratch._file.pwrite(one, 0)
        scratch.seek(0)
        scratch.write(b"b")
        scratch.seek(5 * PAGE_BYTES)
        scratch.read(5 * PAGE_BYTES)
        scratch._file.pwrite(one, 0)
        scratch.seek(0)
        with pytest.raises(AlteredSegmentError):
            scratch.read(1)


def test_full_disk_is_named(tmp_path, monkeypatch):
    """A disk that is full says so, and nothing in memory is lost."""

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    with SealedScratch(tmp_path, 0) as scratch:
        scratch.write(MARKER)
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OutOfSpaceError):
            scratch.write(bytes(10 * PAGE_BYTES))
        monkeypatch.undo()
        scratch.seek(0)
        assert scratch.read(len(MARKER)) == MARKER


def test_archive_can_be_made_in_it(tmp_path):
    """The standard library's zip files work on it, which seek and rewrite."""
    with SealedScratch(tmp_path, 0) as scratch:
        with zipfile.ZipFile(scratch, "w") as archive:
            archive.writestr("a.txt", MARKER * 50_000)
        with zipfile.ZipFile(scratch) as archive:
            assert archive.read("a.txt") == MARKER * 50_000


def test_closed_scratch_takes_nothing(tmp_path):
    """After close every verb is an error, and close again is none."""
    scratch = SealedScratch(tmp_path, 0)
    scratch.close()
    scratch.close()
    for verb in (scratch.read, scratch.tell, lambda: scratch.seek(0), lambda: scratch.write(b"x"), scratch.truncate):
        with pytest.raises(ValueError):
            verb()
    with SealedScratch(tmp_path, 0) as other:
        for wrong in (lambda: other.seek(-1), lambda: other.truncate(-1)):
            with pytest.raises(ValueError):
                wrong()
