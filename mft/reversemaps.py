"""Several reverse maps of one upload as one file: each object that stood for it was pseudonymised with one of its own.

A single map is its sealed bytes as they are. Several are a mark, then for each four bytes of its length (big-endian)
and its sealed bytes. Nothing of them can be read here: each is sealed to the customer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MARK = b"mft reverse maps v1\n"


class ReverseMapsError(ValueError):
    """A file of several maps is cut off."""


def join_maps(maps: Iterable[bytes | None]) -> bytes | None:
    """Put *maps*, each one or several, into one; None where there are none."""
    single = [each for kept in maps if kept for each in split_maps(kept)]
    if len(single) < 2:
        return single[0] if single else None
    return MARK + b"".join(len(each).to_bytes(4, "big") + each for each in single)


def split_maps(kept: bytes) -> list[bytes]:
    """Return the sealed maps in *kept*, the oldest first.

    Raises:
        ReverseMapsError: it is cut off.
    """
    if not kept.startswith(MARK):
        return [kept]
    found, at = [], len(MARK)
    while at < len(kept):
        size = int.from_bytes(kept[at : at + 4], "big")
        each = kept[at + 4 : at + 4 + size]
        if len(each) < size or not size:
            raise ReverseMapsError("the file of reverse maps is cut off")
        found.append(each)
        at += 4 + size
    return found
