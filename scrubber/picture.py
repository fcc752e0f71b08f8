"""Pictures: their pixels cannot be read, what else is in them can go.

A picture is taken apart by its format and put together again from what is needed to show it. Comments, EXIF, XMP,
places, thumbnails, names of authors and programs go; so does whatever stands behind its end. What does not follow the
format from end to end is no picture, and an obstacle.

Formats: PNG (W3C, third edition), JPEG (ITU-T T.81, JFIF), GIF89a, WebP (RFC 9649), BMP, icons.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

from scrubber.closed import WHOLE
from scrubber.obstacle import ObstacleError
from scrubber.sniff import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.stream import Stream
    from scrubber.walk import Walk

_LARGEST = 64 << 20
_PNG_KEPT = frozenset(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB sBIT bKGD hIST pHYs acTL fcTL fdAT cICP".split())
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_WEBP_KEPT = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"))
_JPEG_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def walk_picture(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str, *, kind: Kind) -> None:
    """Write the picture in *stream* with its pixels alone, and note that they were not looked into.

    Raises:
        ObstacleError: it is damaged or too large, or the profile lets no picture pass.
    """
    data = stream.read_exactly(_LARGEST + 1)
    walk.leave_unseen(
        name, "pixels of pictures are not looked into", size=len(data), advice="describe in words what it shows"
    )
    if len(data) > _LARGEST:
        raise ObstacleError(name, "pictures of this size are not looked into", advice="send a smaller one")
    try:
        made = _STRIPPERS[kind](data)
    except (ValueError, IndexError, struct.error, zlib.error) as error:
        reason = "this begins as pictures do, and is none or a damaged one"
        raise ObstacleError(name, reason, advice=WHOLE) from error
    out(made)


def _strip_png(data: bytes) -> bytes:
    kept, at, packed = [data[:8]], 8, zlib.decompressobj()
    left = None
    while True:
        size, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + size]
        if len(chunk) != 12 + size or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise ValueError("a chunk is damaged")
        if kind == b"IHDR":
            left = _png_size(chunk[8:21])
        elif left is None:
            raise ValueError("there is no header")
        if kind == b"IDAT" and not packed.eof:
            left -= _inflated(packed, chunk[8:-4], left)
        elif not kind[0] & 0x20 and kind not in _PNG_KEPT:
            raise ValueError("a critical chunk of an unknown kind")
        if kind in _PNG_KEPT:
            kept.append(chunk)
        at += len(chunk)
        if kind == b"IEND":
            break
    if left or not packed.eof:
        raise ValueError("there are too few pixels")
    return b"".join(kept)


def _png_size(header: bytes) -> int:
    """Give the bytes that the pixels unpack to: a filter byte and the samples for each line of each pass."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _PNG_CHANNELS[color] if color in _PNG_CHANNELS else 0
    if not (bits and width and height) or width * height * bits > 1 << 33:
        raise ValueError("a size that no picture has")
    passes = (
        ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
        if interlaced
        else ((0, 0, 1, 1),)
    )
    total = 0
    for left, top, right, down in passes:
        columns, lines = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and lines > 0:
            total += lines * (1 + -(-columns * bits // 8))
    return total


def _inflated(decoder: zlib._Decompress, data: bytes, most: int) -> int:
    total = 0
    while data and not decoder.eof:
        made = len(decoder.decompress(data, 1 << 20))
        total += made
        data = decoder.unconsumed_tail
        if total > most or (not made and data):
            raise ValueError("there are too many pixels")
    return total


def _strip_jpeg(data: bytes) -> bytes:
    kept, at, scans = [data[:2]], 2, 0
    while True:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if data[at] != 0xFF or data[at + 1] in (0x00, 0xD8):
            raise ValueError("no marker where one must be")
        marker = data[at + 1]
        if marker == 0xD9:
            if not scans:
                raise ValueError("there is no picture in it")
            kept.append(b"\xff\xd9")
            return b"".join(kept)
        end = at + 2
        if marker not in _JPEG_ALONE:
            end += _jpeg_segment(data, end)
        if _jpeg_needed(marker, data[at + 4 : end]):
            kept.append(data[at:end])
        if marker == 0xDA:
            scans += 1
            following = _NEXT_MARKER.search(data, end)
            if following is None:
                raise ValueError("the picture is cut off")
            kept.append(data[end : following.start()])
            end = following.start()
        at = end


def _jpeg_segment(data: bytes, at: int) -> int:
    (size,) = struct.unpack_from(">H", data, at)
    if size < 2 or at + size > len(data):
        raise ValueError("a segment is cut off")
    return int(size)


def _jpeg_needed(marker: int, body: bytes) -> bool:
    if marker == 0xE0:
        return body.startswith(b"JFIF\0")
    if marker == 0xEE:
        return body.startswith(b"Adobe")
    return not (0xE1 <= marker <= 0xEF or marker == 0xFE)


def _strip_gif(data: bytes) -> bytes:
    at = 13 + _gif_colors(data[10])
    kept, images = [data[:at]], 0
    while data[at] != 0x3B:
        if data[at] == 0x21:
            end = _gif_blocks(data, at + 2)
            looped = data[at + 1] == 0xFF and data[at + 3 : at + 14] in (b"NETSCAPE2.0", b"ANIMEXTS1.0")
            if data[at + 1] == 0xF9 or looped:
                kept.append(data[at:end])
        elif data[at] == 0x2C:
            images += 1
            end = _gif_blocks(data, at + 10 + _gif_colors(data[at + 9]) + 1)
            kept.append(data[at:end])
        else:
            raise ValueError("a block of an unknown kind")
        at = end
    if not images:
        raise ValueError("there is no picture in it")
    return b"".join((*kept, b"\x3b"))


def _gif_colors(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_blocks(data: bytes, at: int) -> int:
    while size := data[at]:
        at += 1 + size
    return at + 1


def _strip_webp(data: bytes) -> bytes:
    (size,) = struct.unpack_from("<I", data, 4)
    end, at, kept = 8 + size, 12, []
    if end > len(data):
        raise ValueError("the picture is cut off")
    while at + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, at)
        chunk = data[at : at + 8 + size + size % 2]
        if at + 8 + size > end:
            raise ValueError("a chunk is cut off")
        if kind == b"VP8X":  # say that no profile, EXIF and XMP follow
            chunk = chunk[:8] + bytes((chunk[8] & ~0x2C,)) + chunk[9:]
        if kind in _WEBP_KEPT:
            kept.append(chunk)
        at += len(chunk)
    body = b"WEBP" + b"".join(kept)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _strip_bmp(data: bytes) -> bytes:
    (size,) = struct.unpack_from("<I", data, 2)
    start, _, width, height, _, bits, packed = struct.unpack_from("<IIiiHHI", data, 10)
    needed = start + (-(-width * bits // 32) * 4 * abs(height) if packed in (0, 3, 6) else 0)
    if not 26 <= start <= needed <= len(data) or width <= 0 or bits > 32 or size > len(data):
        raise ValueError("the picture is cut off")
    return data[: max(size, needed)]


def _strip_icon(data: bytes) -> bytes:
    (count,) = struct.unpack_from("<H", data, 4)
    reached = 6 + 16 * count
    for number in range(count):
        size, start = struct.unpack_from("<II", data, 6 + 16 * number + 8)
        image = data[start : start + size]
        if len(image) != size or not image.startswith((b"\x89PNG\r\n\x1a\n", b"\x28\0\0\0")):
            raise ValueError("a picture in it is cut off or of an unknown kind")
        reached = max(reached, start + size)
    return data[:reached]


_STRIPPERS: dict[Kind, Callable[[bytes], bytes]] = {
    Kind.PNG: _strip_png,
    Kind.JPEG: _strip_jpeg,
    Kind.GIF: _strip_gif,
    Kind.WEBP: _strip_webp,
    Kind.BMP: _strip_bmp,
    Kind.ICON: _strip_icon,
}


def walk_font(walk: Walk, stream: Stream, out: Callable[[bytes], object], name: str) -> None:
    """Pass a font on whose size is what its header says, and note that it was not looked into.

    Raises:
        ObstacleError: it is damaged or too large, or the profile lets no font pass.
    """
    data = stream.read_exactly(_LARGEST + 1)
    walk.leave_unseen(name, "fonts are not looked into", size=len(data), advice="leave it out")
    if data[:4] in (b"wOFF", b"wOF2"):
        reached = int.from_bytes(data[8:12], "big")
    else:
        tables = [data[12 + 16 * i : 28 + 16 * i] for i in range(int.from_bytes(data[4:6], "big"))]
        reached = max(int.from_bytes(t[8:12], "big") + int.from_bytes(t[12:16], "big") for t in tables)
    if not len(data) - 4 < reached <= len(data) <= _LARGEST:
        raise ObstacleError(name, "this begins as fonts do, and is none or a damaged one", advice="leave it out")
    out(data)
