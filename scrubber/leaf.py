"""What holds no further files: text, wide text, and binary data whose length must stay."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from scrubber.binary import BinaryScrubber
from scrubber.closed import UNKNOWN, WHOLE
from scrubber.obstacle import ObstacleError
from scrubber.sniff import Kind, binary_within, entropy_within
from scrubber.stream import CHUNK
from scrubber.text import TextScrubber

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.candidate import Noted
    from scrubber.stream import Stream
    from scrubber.walk import Walk

WIDE = {Kind.UTF16_LE: 2, Kind.UTF16_BE: 2, Kind.UTF32_LE: 4, Kind.UTF32_BE: 4}
"""Encodings of more than a byte, and the bytes of one code unit."""

_ERRORS = "surrogatepass"


def walk_text(
    walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, *, same_length: bool = False
) -> None:
    """Scrub text in UTF-8 or an encoding that has ASCII in it.

    Raises:
        ObstacleError: compressed or encrypted data follows the text.
    """
    scrubber = TextScrubber(walk.detector, walk.note_for(name), same_length=same_length)
    out = walk.watch.follow(name, out)
    while data := stream.read(CHUNK):
        walk.scanned += len(data)
        if binary_within(data):
            reason = "binary data of an unknown kind follows the text in it"
            raise ObstacleError(name, reason, advice=UNKNOWN.advice)
        out(scrubber.feed(data))
    out(scrubber.finish())


def walk_binary(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, *, known: bool = False) -> None:
    """Scrub binary data; its length always stays.

    Raises:
        ObstacleError: it is not *known*, and compressed or encrypted.
    """
    scrubber = BinaryScrubber(walk.detector, walk.note_for(name))
    out = walk.watch.follow(name, out)
    while data := stream.read(CHUNK):
        walk.scanned += len(data)
        if not known and entropy_within(data):
            raise ObstacleError(name, UNKNOWN.reason, advice=UNKNOWN.advice)
        out(scrubber.feed(data))
    out(scrubber.finish())


def walk_wide(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, *, kind: Kind) -> None:
    """Scrub UTF-16 or UTF-32 as UTF-8 and write it back; findings are placed in the output.

    Raises:
        ObstacleError: it is not what it begins as.
    """
    pending: list[Noted] = []
    scrubber = TextScrubber(walk.detector, pending.extend)
    width = WIDE[kind]
    decode = codecs.getincrementaldecoder(kind.value)(_ERRORS).decode
    encode = codecs.getincrementalencoder(kind.value)(_ERRORS).encode
    narrow = codecs.getincrementaldecoder("utf-8")(_ERRORS).decode
    note = walk.note_for(name)
    at8 = at_wide = 0
    out = walk.watch.follow(name, out, wide=True)

    def widen(text8: bytes, *, final: bool) -> bytes:
        nonlocal at8, at_wide
        wide, mark = at_wide, at8
        noted: list[Noted] = []
        for rule, offset, length, value in pending:
            wide += len(text8[mark - at8 : offset - at8].decode("utf-8", "replace")) * width
            noted.append((rule, wide, length * width, value))
            mark = offset
        pending.clear()
        if noted:
            note(noted)
        text = encode(narrow(text8, final))
        at8 += len(text8)
        at_wide += len(text)
        return text

    try:
        while data := stream.read(CHUNK):
            walk.scanned += len(data)
            out(widen(scrubber.feed(decode(data).encode("utf-8", _ERRORS)), final=False))
        last = scrubber.feed(decode(b"", True).encode("utf-8", _ERRORS)) + scrubber.finish()
        out(widen(last, final=True))
    except UnicodeDecodeError as error:
        reason = "it begins as UTF-16 or UTF-32 text and is not"
        raise ObstacleError(name, reason, advice=WHOLE) from error
