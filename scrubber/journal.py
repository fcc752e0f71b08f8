"""systemd journals: every object stays where it is, the text of fields is overwritten in the same length.

A field that the journal has compressed is unpacked, and where something is found in it, packed again to no more than
its room. Hashes of changed fields no longer fit: `journalctl` reads the file, `journalctl --verify` says so.

Format: systemd's JOURNAL_FILE_FORMAT.
"""

from __future__ import annotations

import importlib
import lzma
import struct
from typing import TYPE_CHECKING, Any

from scrubber.binary import BinaryScrubber
from scrubber.closed import WHOLE
from scrubber.coding import BROKEN, make_decoder
from scrubber.obstacle import ObstacleError
from scrubber.window import Part, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.stream import Stream
    from scrubber.walk import Walk

_DATA, _FIELD = 1, 2
_XZ, _LZ4, _ZSTD = 1, 2, 4
_COMPACT = 1 << 4
_OBJECT = 16
_LARGEST = 768 << 20
_EXPORT = "send what `journalctl -o export` or `journalctl --no-pager` prints"
_ROOM = 64 << 20


def walk_journal(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Scrub a journal file, object by object.

    Raises:
        ObstacleError: it is damaged, or a compressed field cannot be opened.
    """
    window = Window(walk, out, name)
    head = stream.peek(256)
    if len(head) < 240:
        raise ObstacleError(name, "the journal is damaged or cut off", advice=WHOLE)
    (incompatible,) = struct.unpack_from("<I", head, 12)
    (size,) = struct.unpack_from("<Q", head, 88)
    if not 208 <= size <= 4096 or size % 8:
        raise ObstacleError(name, "the journal is damaged", advice=WHOLE)
    window.add(bytearray(stream.read_exactly(size)), [])
    start = 72 if incompatible & _COMPACT else 64
    while header := stream.peek(_OBJECT):
        kind, flags, length = struct.unpack("<BB6xQ", header.ljust(_OBJECT, b"\0"))
        if kind == 0 or not _OBJECT <= length <= _LARGEST:
            break
        data = bytearray(stream.read_exactly(length + -length % 8))
        parts = []
        if kind == _DATA and flags & (_XZ | _LZ4 | _ZSTD):
            data[start:length] = _packed(walk, bytes(data[start:length]), flags, f"{name}!{window.offset}")
        elif kind in {_DATA, _FIELD}:
            parts.append(Part(start if kind == _DATA else 40, min(length, len(data))))
        window.add(data, parts)
    while data := bytearray(stream.read()):  # room for what is to come
        window.add(data, [Part(0, len(data))])
    window.flush()


def _packed(walk: Walk, old: bytes, flags: int, label: str) -> bytes:
    """Scrub a compressed field in its room."""
    try:
        plain = _unpacked(old, flags)
    except BROKEN as error:
        raise ObstacleError(label, "a compressed field of the journal cannot be opened", advice=_EXPORT) from error
    walk.expand(label, len(plain), produced=len(plain), consumed=len(old))
    scrubber = BinaryScrubber(walk.detector, walk.note_for(label))
    new = scrubber.feed(plain) + scrubber.finish()
    if new == plain:
        return old
    made = _repacked(new, flags)
    if len(made) > len(old):  # it holds what cannot stay and does not fit: all of it goes
        made = _repacked(plain.partition(b"=")[0] + b"=" + b"x" * (len(plain) - plain.find(b"=") - 1), flags)
    if len(made) > len(old):
        raise ObstacleError(label, "a compressed field of the journal cannot be written again", advice=_EXPORT)
    return made.ljust(len(old), b"\0")


def _unpacked(data: bytes, flags: int) -> bytes:
    if flags & _LZ4:
        raise ValueError("LZ4 is not read here")
    decoder: Any = make_decoder("zstd" if flags & _ZSTD else "xz")
    made, piece = bytearray(), data
    while not decoder.eof:
        got = decoder.decompress(piece, 1 << 20)
        made += got
        if (not got and decoder.needs_input) or len(made) > _ROOM:
            raise ValueError("it is cut off or too large")
        piece = b""
    return bytes(made)


def _repacked(data: bytes, flags: int) -> bytes:
    if flags & _XZ:
        return lzma.compress(data, check=lzma.CHECK_NONE)
    zstandard: Any = importlib.import_module("zstandard")
    made: bytes = zstandard.ZstdCompressor(level=19).compress(data)
    return made
