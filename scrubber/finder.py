"""What a finder is: it looks around one anchor and gives spans with their replacements."""

from __future__ import annotations

from collections.abc import Callable, Iterable

CACHED = 65_536
"""Pseudonyms remembered for each finder: some 10 MB at most."""

Found = tuple[int, int, bytes, bytes]
"""Start, end, canonical value (for the fingerprint), replacement."""

Finder = Callable[[bytes, int], Iterable[Found]]
"""Takes a buffer and where an anchor began in it."""
