"""Fields behind a chunked body (RFC 9112, section 7.1.2), which the parser drops: read from the last bytes that came.

They are looked for where the body ended and nothing has come behind it: a client that waits for its answer.
"""

from __future__ import annotations

import re

LONGEST = 2048
"""Bytes that are kept of what came last."""
_SECTION = re.compile(rb".*\r\n0+[ \t]*(?:;[^\r\n]*)?\r\n((?:[^\r\n]+\r\n)+)\r\n", re.DOTALL)
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x20-\x7e\t]*?)[ \t]*\r\n")


def keep_last(kept: bytes, data: bytes) -> bytes:
    """Return the last bytes of a stream of which *kept* were the last, and *data* have come."""
    return data[-LONGEST:] if len(data) >= LONGEST else (kept + data)[-LONGEST:]


def parse_trailer(last: bytes) -> dict[str, str]:
    """Return the fields of a trailer section by lower-case name, from the *last* bytes of a request.

    Empty where there is no such section, or where something is in it that is no field.
    """
    section = _SECTION.fullmatch(last)
    if section is None:
        return {}
    fields: dict[str, str] = {}
    at = 0
    while at < len(section[1]):
        field = _FIELD.match(section[1], at)
        if field is None:
            return {}
        fields[field[1].decode("ascii").lower()] = field[2].decode("ascii")
        at = field.end()
    return fields
