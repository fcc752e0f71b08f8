"""Cutting a stream into packets, and packets into fields."""

from __future__ import annotations

import pytest

from protocols.sftp.wire import MAX_PACKET, Assembler, BrokenStreamError, Fields, MalformedError, string, uint32


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 1000])
def test_feed_returns_the_packets_whatever_the_pieces(step: int) -> None:
    """Packets come out whole and in order, however the stream is cut."""
    packets = [b"a", b"bcd" * 50, bytes(range(256))]
    stream = b"".join(string(packet) for packet in packets)
    assembler = Assembler()
    got = [bytes(packet) for at in range(0, len(stream), step) for packet in assembler.feed(stream[at : at + step])]
    assert got == packets


def test_feed_copies_no_packet_that_comes_in_one_piece() -> None:
    """It lies in what was fed; the others are whole whatever becomes of that."""
    stream = bytearray(b"".join(string(packet) for packet in (b"one", b"two", b"three")))
    assembler = Assembler()
    (one,) = assembler.feed(memoryview(stream)[:9])
    assert isinstance(one, memoryview)
    two, three = assembler.feed(memoryview(stream)[9:])
    assert bytes(two) == b"two"
    stream[:] = bytes(len(stream))
    assert bytes(one) == bytes(3)
    assert [bytes(two), bytes(three)] == [b"two", bytes(5)]


@pytest.mark.parametrize("length", [0, MAX_PACKET + 1, 0xFFFFFFFF])
def test_feed_refuses_a_length_that_no_packet_has(length: int) -> None:
    """A length of zero or beyond the bound ends the stream before memory is taken for it."""
    with pytest.raises(BrokenStreamError):
        Assembler().feed(uint32(length))


def test_fields_end_before_their_length_says() -> None:
    """A string longer than its packet is malformed, not read beyond the end."""
    with pytest.raises(MalformedError):
        Fields(uint32(10) + b"short").string()
    with pytest.raises(MalformedError):
        Fields(b"abc").uint32()
    with pytest.raises(MalformedError):
        Fields(uint32(0xFFFFFFFF)).view()
