"""Encoders: what they make depends on what they are given, not on how it was cut."""

from __future__ import annotations

import random

import pytest

from scrubber.coding import make_decoder, make_encoder

_CHANCE = random.Random(5)
DATA = b"".join(b"%x user %d on dbsrv01\n" % (_CHANCE.getrandbits(32), _CHANCE.randrange(99)) for _ in range(40_000))


@pytest.mark.parametrize("name", ["deflate", "zstd", "bzip2", "xz", "lzma"])
def test_output_is_the_same_however_the_text_is_cut(name):
    """Pieces of any size, also none; and it can be read again."""
    chance = random.Random(7)
    made = set()
    for most in (len(DATA), 5_000, 300_000, 1 << 18):
        encoder, at, out = make_encoder(name), 0, b""
        while at < len(DATA):
            size = most if most == 1 << 18 else chance.randint(0, most)
            out += encoder.compress(DATA[at : at + size])
            at += size
        made.add(out + encoder.flush())
    assert len(made) == 1
    assert make_decoder(name).decompress(made.pop()[:], len(DATA) + 1).startswith(DATA[:100_000])


def test_encoder_of_nothing_makes_an_empty_stream():
    """No piece at all is a stream too."""
    decoder = make_decoder("deflate")
    assert decoder.decompress(make_encoder("deflate").flush()) == b""
    assert decoder.eof
