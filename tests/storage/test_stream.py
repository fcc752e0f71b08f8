"""The stream: both ways against Tink, at every edge, at random offsets, and altered in every way."""

import io
import random

import pytest
import tink
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from storage import stream
from storage.errors import (
    AlteredHeaderError,
    AlteredSegmentError,
    MisplacedSegmentError,
    ObjectTooLargeError,
    StorageError,
    TamperedError,
    TrailingBytesError,
    TruncatedError,
    WrongKeyError,
)
from storage.memory import MemoryReader
from storage.stream import HEADER_BYTES, SEGMENT_BYTES, TAG_BYTES, StreamReader, StreamWriter, sealed_size

KEY = bytes(range(32))
AD = b"associated"
SMALL = 128
"""Segment size of most tests: the arithmetic is the same, and a loop over all bytes ends."""
ROOM = SMALL - TAG_BYTES
FIRST = ROOM - HEADER_BYTES


def seal(plain, *, segment=SMALL, key=KEY, ad=AD, step=None):
    out = bytearray()
    writer = StreamWriter(out.extend, key, ad, segment_bytes=segment)
    for start in range(0, len(plain), step or max(1, len(plain))):
        writer.write(plain[start : start + (step or len(plain))])
    writer.close()
    assert writer.written == len(out) == sealed_size(len(plain), segment)
    return bytes(out)


def unseal(sealed, *, segment=SMALL, key=KEY, ad=AD, sealed_bytes=None):
    reader = StreamReader(MemoryReader(sealed), key, ad, segment_bytes=segment, sealed_bytes=sealed_bytes)
    plain = reader.read(0, 1 << 30)
    assert len(plain) == reader.size
    return plain


def pattern(size):
    return random.Random(size).randbytes(size)


def edges(segment):
    room = segment - TAG_BYTES
    first = room - HEADER_BYTES
    exact = [0, 1, first, first + room, first + 2 * room, first + 9 * room]
    return sorted({size + d for size in exact for d in (-1, 0, 1) if size + d >= 0})


@pytest.fixture(scope="module")
def tink_primitive():
    streaming_aead.register()

    def make(segment):
        params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
            ciphertext_segment_size=segment, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
        )
        value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=params, key_value=KEY)
        data = tink_pb2.KeyData(
            type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
            value=value.SerializeToString(),
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        )
        entry = tink_pb2.Keyset.Key(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
        keyset = tink_pb2.Keyset(primary_key_id=1, key=[entry])
        handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))
        return handle.primitive(streaming_aead.StreamingAead)

    return make


SIZES = [(SMALL, size) for size in edges(SMALL)] + [(SEGMENT_BYTES, size) for size in edges(SEGMENT_BYTES)[:10]]


@pytest.mark.parametrize(("segment", "size"), SIZES)
def test_tink_reads_what_we_write(tink_primitive, segment, size):
    """Tink opens our stream, at every edge."""
    plain = pattern(size)
    source = io.BytesIO(seal(plain, segment=segment))
    with tink_primitive(segment).new_decrypting_stream(source, AD) as reader:
        assert reader.read() == plain


@pytest.mark.parametrize(("segment", "size"), SIZES)
def test_we_read_what_tink_writes(tink_primitive, segment, size):
    """We open Tink's stream, at every edge, and know its size."""
    plain = pattern(size)
    target = io.BytesIO()
    target.close = lambda: None
    with tink_primitive(segment).new_encrypting_stream(target, AD) as writer:
        writer.write(plain)
    assert unseal(target.getvalue(), segment=segment) == plain


@pytest.mark.parametrize("size", edges(SMALL))
def test_pieces_of_any_size_make_the_same_stream(size):
    """How the plaintext is cut into writes does not matter, nor into reads."""
    plain = pattern(size)
    for step in (1, 7, FIRST, ROOM, 1000):
        sealed = seal(plain, step=step)
        reader = StreamReader(MemoryReader(sealed), KEY, AD, segment_bytes=SMALL)
        assert b"".join(reader.read(o, step) for o in range(0, size + step, step)) == plain


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1500), st.lists(st.tuples(st.integers(0, 1600), st.integers(0, 1600)), max_size=8))
def test_random_access_is_slicing(size, cuts):
    """Reading at any offset gives what a slice of the plaintext gives."""
    plain = pattern(size)
    source = MemoryReader(b"junk" + seal(plain))
    reader = StreamReader(source, KEY, AD, offset=4, segment_bytes=SMALL)
    for offset, length in cuts:
        assert reader.read(offset, length) == plain[offset : offset + length]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1500), st.lists(st.tuples(st.integers(0, 1600), st.integers(0, 200)), max_size=8))
def test_immediate_reads_are_slicing_too(size, cuts):
    """In pieces, once the end is proven; what touches too many segments is left to `read`."""
    plain = pattern(size)
    reader = StreamReader(MemoryReader(b"junk" + seal(plain)), KEY, AD, offset=4, segment_bytes=SMALL)
    assert reader.read_immediate(0, 10) is None
    reader.read(0, 1)
    for offset, length in cuts:
        pieces = reader.read_immediate(offset, length)
        if pieces is None:
            assert length > ROOM
        else:
            assert b"".join(pieces) == plain[offset : offset + length]


def test_immediate_read_leaves_to_read_what_is_altered_or_not_at_hand():
    """It says no, never why, and what lay in its memory before is not given out for something else."""

    class Moody(MemoryReader):
        at_hand = True

        def read_immediate(self, into, offset):
            return super().read_immediate(into, offset) and self.at_hand

    plain = pattern(6 * ROOM)
    sealed = bytearray(seal(plain))
    sealed[3 * SMALL + 5] ^= 1
    source = Moody(bytes(sealed))
    reader = StreamReader(source, KEY, AD, segment_bytes=SMALL)
    assert reader.read(0, 5) == plain[:5]
    inside = 2 * ROOM - HEADER_BYTES
    assert b"".join(reader.read_immediate(inside, 9)) == plain[inside : inside + 9]
    assert reader.read_immediate(inside + ROOM, 9) is None
    assert reader.read_immediate(inside + ROOM - 1, 2) is None
    source.at_hand = False
    assert b"".join(reader.read_immediate(inside, 9)) == plain[inside : inside + 9]
    assert reader.read_immediate(inside + 2 * ROOM, 9) is None
    source.at_hand = True
    assert b"".join(reader.read_immediate(inside + 2 * ROOM, 9)) == plain[inside + 2 * ROOM :][:9]
    with pytest.raises(AlteredSegmentError):
        reader.read(inside + ROOM, 9)


def test_only_covering_segments_are_fetched():
    """A small read of a large stream touches its own segment, and the end once."""

    class Counting(MemoryReader):
        fetched = 0

        def read(self, offset, length):
            self.fetched += length
            return super().read(offset, length)

    plain = pattern(100 * ROOM)
    source = Counting(seal(plain))
    reader = StreamReader(source, KEY, AD, segment_bytes=SMALL)
    assert reader.read(50 * ROOM, 10) == plain[50 * ROOM : 50 * ROOM + 10]
    assert source.fetched <= HEADER_BYTES + 3 * SMALL
    source.fetched = 0
    assert reader.read(50 * ROOM, 10) == plain[50 * ROOM : 50 * ROOM + 10]
    assert source.fetched <= SMALL


@pytest.mark.parametrize("size", [0, 1, FIRST, FIRST + 1, FIRST + ROOM, FIRST + 2 * ROOM + 5])
@pytest.mark.parametrize("proven", [False, True])
def test_altered_byte_is_refused_wherever_it_is(size, proven):
    """Each byte of header, segments and tags counts, read whole or only at the start."""
    sealed = seal(pattern(size))
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 0x40
        with pytest.raises(TamperedError) as caught:
            unseal(bytes(altered), sealed_bytes=len(sealed) if proven else None)
        in_header = place < HEADER_BYTES
        if proven:
            assert isinstance(caught.value, AlteredHeaderError if in_header and size > FIRST else TamperedError)
            assert not isinstance(caught.value, WrongKeyError)
        if not in_header and (size > FIRST or proven):
            assert isinstance(caught.value, AlteredSegmentError)


@pytest.mark.parametrize("size", [0, 1, FIRST + 3 * ROOM, FIRST + 3 * ROOM + 1])
def test_truncation_at_every_byte_is_refused(size):
    """However many bytes are missing: nothing is read, and with the size known the reason is exact."""
    sealed = seal(pattern(size))
    for length in range(len(sealed)):
        with pytest.raises(TamperedError):
            unseal(sealed[:length])
        with pytest.raises(TruncatedError):
            unseal(sealed[:length], sealed_bytes=len(sealed))
        if length % SMALL == 0 and length:
            with pytest.raises(TruncatedError):
                unseal(sealed[:length])


def test_truncation_is_found_before_the_first_byte_is_given_out():
    """A reader of the beginning alone does not get it from a stream whose end was cut off."""
    sealed = seal(pattern(FIRST + 3 * ROOM))
    reader = StreamReader(MemoryReader(sealed[: 2 * SMALL]), KEY, AD, segment_bytes=SMALL)
    with pytest.raises(TruncatedError):
        reader.read(0, 1)


def test_trailing_bytes_are_named():
    """What follows the end is refused: a few bytes, a segment, a second stream."""
    sealed = seal(pattern(FIRST + ROOM))
    for more in (b"x", b"x" * 20, sealed[SMALL:], sealed, bytes(SMALL)):
        with pytest.raises(TamperedError):
            unseal(sealed + more)
        with pytest.raises(TrailingBytesError):
            unseal(sealed + more, sealed_bytes=len(sealed))
    reader = StreamReader(MemoryReader(sealed + bytes(SMALL)), KEY, AD, segment_bytes=SMALL)
    reader._end_seen = True
    with pytest.raises(TrailingBytesError):
        reader.read(FIRST, 1)


def test_segments_out_of_order_are_named():
    """Two segments exchanged, one repeated, and one left out are told from altered ones."""
    sealed = seal(pattern(FIRST + 5 * ROOM))
    pieces = [sealed[start : start + SMALL] for start in range(0, len(sealed), SMALL)]
    exchanged = [pieces[0], pieces[2], pieces[1], *pieces[3:]]
    repeated = [pieces[0], pieces[1], pieces[1], *pieces[3:]]
    left_out = [pieces[0], *pieces[2:]]
    for order in (exchanged, repeated, left_out):
        with pytest.raises(MisplacedSegmentError):
            unseal(b"".join(order))


def test_wrong_key_and_wrong_associated_data_are_named():
    """Another key or another object's associated data open nothing, and say so."""
    sealed = seal(pattern(FIRST + ROOM))
    for key, ad in ((bytes(32), AD), (KEY, b"other"), (KEY, b"")):
        with pytest.raises(WrongKeyError):
            unseal(sealed, key=key, ad=ad)


def test_segments_of_two_streams_do_not_mix():
    """A segment of another stream under the same key, data and place is refused."""
    one, two = seal(pattern(FIRST + 2 * ROOM)), seal(pattern(FIRST + 2 * ROOM))
    with pytest.raises(AlteredSegmentError):
        unseal(one[:SMALL] + two[SMALL : 2 * SMALL] + one[2 * SMALL :])


def test_unclosed_stream_reads_as_truncated():
    """A writer that died leaves something that nobody takes for whole."""
    out = bytearray()
    writer = StreamWriter(out.extend, KEY, AD, segment_bytes=SMALL)
    writer.write(pattern(5 * ROOM))
    with pytest.raises(TruncatedError):
        unseal(bytes(out))


def test_writer_refuses_what_it_cannot_number():
    """The nonce has 32 bits for the segment's number: one more is refused before a nonce repeats."""
    out = bytearray()
    writer = StreamWriter(out.extend, KEY, AD, segment_bytes=SMALL)
    writer._number = (1 << 32) - 1
    writer.write(bytes(FIRST))
    with pytest.raises(ObjectTooLargeError):
        writer.write(bytes(2 * ROOM))
    assert writer._segments._nonce((1 << 32) - 1, last=False)[-5:] == b"\xff\xff\xff\xff\0"


def test_closed_writer_takes_nothing():
    """After close a write is an error, and a second close changes nothing."""
    out = bytearray()
    writer = StreamWriter(out.extend, KEY, AD, segment_bytes=SMALL)
    writer.close()
    writer.close()
    with pytest.raises(StorageError):
        writer.write(b"x")
    assert unseal(bytes(out)) == b""


def test_no_nonce_and_no_salt_twice():
    """Two streams of one plaintext under one key share neither header nor ciphertext."""
    one, two = seal(pattern(ROOM)), seal(pattern(ROOM))
    assert one[:HEADER_BYTES] != two[:HEADER_BYTES]
    assert not set(zip(range(len(one)), one, strict=True)) >= set(zip(range(len(two)), two, strict=True))


def test_negative_offsets_are_errors():
    """An offset before the beginning is a mistake of the caller, not an empty read."""
    reader = StreamReader(MemoryReader(seal(b"abc")), KEY, AD, segment_bytes=SMALL)
    for offset, length in ((-1, 1), (0, -1)):
        with pytest.raises(ValueError):
            reader.read(offset, length)


def test_segment_key_is_derived_with_the_associated_data():
    """The first segment opens with the key that the documentation of the format derives."""
    sealed = seal(b"plain")
    header = sealed[:HEADER_BYTES]
    derived = stream._Segments(KEY, header, AD)
    assert derived.open(0, sealed[HEADER_BYTES:], last=True) == b"plain"
    with pytest.raises(InvalidTag):
        AESGCM(KEY).decrypt(header[33:] + b"\0\0\0\0\1", sealed[HEADER_BYTES:], AD)
