"""Bodies: header, digest, whose they are."""

import hashlib

import pytest

from storage.body import HEADER_BYTES, BodyReader, BodyWriter, SealedBody
from storage.errors import StorageError, TamperedError, UnknownFormatError, WrongKeyError, WrongObjectError
from storage.memory import MemoryReader
from storage.store import ObjectKey, new_object_key
from storage.stream import SEGMENT_BYTES

KEY = bytes(range(32))
ONE, TWO = ObjectKey("0" * 31 + "1"), ObjectKey("0" * 31 + "2")


def body(plain, *, object_key=ONE, key=KEY, segment=128):
    out = bytearray()
    writer = BodyWriter(out.extend, key, object_key, segment_bytes=segment)
    writer.write(plain)
    info = writer.close()
    assert info.stored_size == len(out)
    return bytes(out), info


def read(stored, *, object_key=ONE, key=KEY, stored_size=None):
    reader = BodyReader(MemoryReader(stored), key, object_key, stored_size=stored_size)
    plain = reader.read(0, 1 << 30)
    reader.close()
    return plain


@pytest.mark.parametrize("size", [0, 1, 1000, SEGMENT_BYTES, 3 * SEGMENT_BYTES + 7])
@pytest.mark.parametrize("segment", [128, SEGMENT_BYTES])
def test_body_reads_back(size, segment):
    """What was written is read; size and digest are of the plaintext."""
    plain = bytes(i * 7 & 0xFF for i in range(256)) * (size // 256 + 1)
    plain = plain[:size]
    stored, info = body(plain, segment=segment)
    assert (info.size, info.sha256) == (size, hashlib.sha256(plain).digest())
    assert read(stored) == plain == read(stored, stored_size=info.stored_size)


@pytest.mark.parametrize("sizes", [[], [0], [1, 0, 3], [70_000, 5, 600_000], [1] * 300])
def test_sealed_body_can_be_pulled(sizes):
    """The iterable gives the same body although its memory is reused between pieces."""
    chunks = [bytes([n % 251]) * size for n, size in enumerate(sizes)]
    sealed = SealedBody((memoryview(chunk) for chunk in chunks), KEY, ONE)
    with pytest.raises(StorageError):
        _ = sealed.info
    stored = b"".join(bytes(piece) for piece in sealed)
    assert sealed.info.stored_size == len(stored)
    assert read(stored) == b"".join(chunks)


def test_altered_byte_is_refused_wherever_it_is():
    """Each byte of the header and of the stream counts."""
    stored, info = body(b"x" * 100)
    for place in range(len(stored)):
        altered = bytearray(stored)
        altered[place] ^= 1
        with pytest.raises(TamperedError):
            read(bytes(altered))
        with pytest.raises(TamperedError) as caught:
            read(bytes(altered), stored_size=info.stored_size)
        assert not isinstance(caught.value, WrongKeyError)


def test_swapped_bodies_are_named():
    """The body of another object is refused by its header, and with a forged header by its key."""
    one, _ = body(b"first" * 50)
    two, _ = body(b"second" * 50, object_key=TWO)
    with pytest.raises(WrongObjectError):
        read(two)
    with pytest.raises(TamperedError):
        read(one[:HEADER_BYTES] + two[HEADER_BYTES:])


def test_other_format_or_version_is_named():
    """Something else, or a body of a later version, is not taken for one of ours."""
    stored, _ = body(b"x")
    later = stored[:8] + b"\x02" + stored[9:]
    for data in (later, b"mft slot" + stored[8:], b"PK\x03\x04" + bytes(100)):
        with pytest.raises(UnknownFormatError):
            read(data)
    for length in range(HEADER_BYTES):
        with pytest.raises(TamperedError):
            read(stored[:length])


def test_segment_size_out_of_range_is_refused():
    """A header cannot make its reader hold gigabytes."""
    stored, _ = body(b"x")
    for size in (0, 16, 1 << 31):
        with pytest.raises(UnknownFormatError):
            read(stored[:12] + size.to_bytes(4, "big") + stored[16:])
        with pytest.raises(StorageError):
            body(b"x", segment=size)


def test_wrong_key_is_named():
    """Another object's key opens nothing."""
    stored, _ = body(b"x" * 1000, object_key=new_object_key())
    key = stored[16:32].hex()
    with pytest.raises(WrongKeyError):
        read(stored, object_key=ObjectKey(key), key=bytes(32))
