"""How a browser is told to save what it gets."""

from __future__ import annotations

from urllib.parse import quote

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !#$&+-.^_`|~()[]{}=@,")
"""Characters of a quoted file name that no client reads in a way of its own."""


def content_disposition(name: str) -> str:
    """Return the header that makes a browser save *name* (RFC 6266, with RFC 8187 for what is not plain ASCII)."""
    plain = "".join(character if character in _PLAIN else "_" for character in name)
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
