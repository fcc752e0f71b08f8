"""What scrubbing changes in a text, by lines: made of a text and its scrubbed form, and put on the text again.

It holds places and the new form of lines that change, packed; of lines that stay it holds nothing.
"""

from __future__ import annotations

import struct
import zlib
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NEW = 256 << 20
"""Bytes that a patch may unpack to."""
_LEVEL = 1
_HEAD = struct.Struct("<II")
_CHANGE = 3
"""Numbers of a change: where it begins and ends in the old text, and how long its new form is."""


def make_patch(old: bytes, new: bytes) -> bytes:
    """Give what makes *new* of *old*."""
    before, after = old.split(b"\n"), new.split(b"\n")
    if len(before) == len(after):
        changes = list(_changes(before, after))
    else:
        head = _same(before, after)
        tail = _same(before[head:][::-1], after[head:][::-1])
        start = sum(map(len, before[:head])) + head
        middle = b"\n".join(before[head : len(before) - tail])
        changes = [(start, start + len(middle), b"\n".join(after[head : len(after) - tail]))]
    numbers = [number for start, end, made in changes for number in (start, end, len(made))]
    packed = struct.pack(f"<{len(numbers)}I", *numbers) + b"".join(made for _, _, made in changes)
    return _HEAD.pack(len(changes), len(old)) + zlib.compress(packed, _LEVEL)


def apply_patch(old: bytes, patch: bytes) -> bytes:
    """Undo `make_patch`: give the new text.

    Raises:
        ValueError: *patch* is none, or of another text.
    """
    try:
        count, size = _HEAD.unpack_from(patch)
        unpacking = zlib.decompressobj()
        packed = memoryview(unpacking.decompress(patch[_HEAD.size :], MAX_NEW))
        numbers = struct.unpack_from(f"<{_CHANGE * count}I", packed)
    except (struct.error, zlib.error) as error:
        raise ValueError("these bytes are no patch") from error
    view, done, at = memoryview(old), 0, 4 * _CHANGE * count
    made: list[memoryview] = []
    for start, end, length in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        if not done <= start <= end:
            break
        made.append(view[done:start])
        made.append(packed[at : at + length])
        done, at = end, at + length
    else:
        if unpacking.eof and size == len(old) and done <= size and at == len(packed):
            return b"".join([*made, view[done:]])
    raise ValueError("a patch of another text")


def _changes(before: list[bytes], after: list[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Give the runs of lines that differ: begin and end in the old text, and the new form."""
    at = 0
    for differ, lines in groupby(zip(before, after, strict=True), key=lambda pair: pair[0] != pair[1]):
        pairs = list(lines)
        end = at + sum(len(old) + 1 for old, _ in pairs)
        if differ:
            yield at, end - 1, b"\n".join([new for _, new in pairs])
        at = end


def _same(before: list[bytes], after: list[bytes]) -> int:
    """Count the first lines that are the same; one stays on either side, so that there is a middle."""
    most = max(0, min(len(before), len(after)) - 1)
    return next((number for number in range(most) if before[number] != after[number]), most)
