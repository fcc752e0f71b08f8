"""What a finder is: it looks around one anchor and gives spans with their replacements.

A finder is called for every anchor, thousands of times a megabyte: it gives a tuple, not an iterator, decides by the
bytes next to the anchor where it can, and remembers what it worked out for a text (`remembered`).
"""

from __future__ import annotations

from collections.abc import Callable

CACHED = 65_536
"""Texts remembered for each finder: some 10 MB at most."""

REACH = 20_000
"""Bytes that a finder may look at from an anchor's beginning on; the text engine has more in hand (`text.AHEAD`)."""

Found = tuple[int, int, bytes, bytes]
"""Start, end, canonical value (for the fingerprint), replacement."""

Finder = Callable[[bytes, int, int], Found | list[Found] | None]
"""Takes a buffer and where an anchor begins and ends in it; gives what it found, a list only for several.

An anchor of varying length may be shown several times with different ends: only one that can end in one way alone (of
fixed length, or closed by a `\\b`) lets its finder trust the end.
"""


def remembered(image: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Remember what *image* gave for each text; all is forgotten when `CACHED` texts are. Faster than `lru_cache`."""
    return _Images(image).__getitem__


class _Images(dict[bytes, bytes]):
    """A dictionary that fills itself."""

    def __init__(self, image: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._image = image

    def __missing__(self, text: bytes) -> bytes:
        if len(self) >= CACHED:
            self.clear()
        made = self[text] = self._image(text)
        return made
