"""What holds no further files: text, wide text, and binary data whose length must stay."""

from __future__ import annotations

import codecs
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from scrubber.binary import BinaryScrubber
from scrubber.buried import BuriedStreams
from scrubber.closed import UNKNOWN, WHOLE
from scrubber.detector import Detector
from scrubber.ebcdic import has_lines, tables_for
from scrubber.lane import TextLane, teller
from scrubber.obstacle import ObstacleError
from scrubber.secretsfile import reader_of, secrets_in
from scrubber.segments import SegmentedText
from scrubber.sniff import HEAD, Kind, entropy_within
from scrubber.stream import CHUNK, Stream
from scrubber.text import TextScrubber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.candidate import Noted
    from scrubber.walk import Walk

WIDE = {Kind.UTF16_LE: 2, Kind.UTF16_BE: 2, Kind.UTF32_LE: 4, Kind.UTF32_BE: 4}
"""Encodings of more than a byte, and the bytes of one code unit."""

EBCDIC = (Kind.EBCDIC, Kind.EBCDIC_LF)

_ERRORS = "surrogatepass"


def walk_text(
    walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, *, same_length: bool = False
) -> None:
    """Scrub text in UTF-8 or an encoding that has ASCII in it.

    Raises:
        ObstacleError: compressed or encrypted data follows the text.
    """
    out = walk.watch.follow(name, out)
    pieces = iter(partial(stream.read_exactly, CHUNK), b"")
    detector, pieces = _detector_for(walk, name, pieces)
    if walk.foresight is not None and not same_length and detector is walk.detector:
        _note_blanked(walk, name, walk.foresight.run_text(walk, name, pieces, out))
        return
    alone = walk.crew is None or same_length or detector is not walk.detector
    text = SegmentedText(walk, walk.crew, name, pieces) if walk.crew is not None and not alone else None
    if text is not None and text.is_long:
        blanked = text.run(out, walk.adder_for(name))
    else:
        lane = TextLane(detector, walk.note_for(name), name, same_length=same_length)
        for data in text.whole() if text is not None else pieces:
            walk.scanned += len(data)
            out(lane.feed(data))
        out(lane.finish())
        blanked = lane.blanked
    _note_blanked(walk, name, blanked)


def walk_ebcdic(
    walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, *, kind: Kind, same_length: bool = False
) -> None:
    """Scrub text in EBCDIC as one in ASCII's order, and write it back. Without line breaks its length stays.

    Raises:
        ObstacleError: compressed or encrypted data follows the text.
    """
    head = stream.peek(HEAD)
    same_length = same_length or not has_lines(head)
    there, back = tables_for(kind.value, head)
    turned = Stream(lambda n: stream.read(n).translate(there))
    walk_text(walk, turned, lambda data: out(data.translate(back)), name, same_length=same_length)


def _detector_for(walk: Walk, name: str, pieces: Iterator[bytes]) -> tuple[Detector, Iterator[bytes]]:
    """Give what scrubs a text called *name*, with the secrets that only its name explains, and its *pieces*."""
    if reader_of(name) is None:
        return walk.detector, pieces
    first = next(pieces, b"")
    known = secrets_in(name, first)
    pieces = chain((first,) if first else (), pieces)
    if not known:
        return walk.detector, pieces
    options, detector = walk.options, walk.detector
    known += [each for each in options.known if each[0] not in dict(known)]
    return Detector(detector.rules, detector.pseudonyms, terms=options.terms, known=known), pieces


def walk_binary(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, *, known: bool = False) -> None:
    """Scrub binary data; its length always stays.

    Raises:
        ObstacleError: it is not *known*, and compressed or encrypted.
    """
    scrubber = BinaryScrubber(walk.detector, walk.note_for(name))
    buried = BuriedStreams(teller(walk.detector))
    out = walk.watch.follow(name, out)
    while data := stream.read(CHUNK):
        walk.scanned += len(data)
        if not known and entropy_within(data):
            raise ObstacleError(name, UNKNOWN.reason, advice=UNKNOWN.advice)
        out(scrubber.feed(buried.feed(data)))
    out(scrubber.feed(buried.finish()) + scrubber.finish())
    _note_blanked(walk, name, buried.blanked)


def _note_blanked(walk: Walk, name: str, blanked: int) -> None:
    if blanked:
        reason = "compressed data in the midst of it held something to be replaced, and were blanked"
        walk.leave_unseen(name, reason, size=blanked, advice="send what is compressed as a file of its own")


def walk_wide(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, *, kind: Kind) -> None:
    """Scrub UTF-16 or UTF-32 as UTF-8 and write it back; findings are placed in the output.

    What a program added in another encoding, or an odd number of bytes later, reads as nonsense so. Therefore what
    comes out is looked at as binary data once more: plain, and wide from any byte on.

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
    strays = BinaryScrubber(walk.detector, note)
    buried = BuriedStreams(teller(walk.detector))

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
            text = widen(scrubber.feed(decode(data).encode("utf-8", _ERRORS)), final=False)
            out(strays.feed(buried.feed(text)))
        last = scrubber.feed(decode(b"", True).encode("utf-8", _ERRORS)) + scrubber.finish()
        out(strays.feed(buried.feed(widen(last, final=True)) + buried.finish()) + strays.finish())
    except UnicodeDecodeError as error:
        reason = "it begins as UTF-16 or UTF-32 text and is not"
        raise ObstacleError(name, reason, advice=WHOLE) from error
    _note_blanked(walk, name, buried.blanked)
