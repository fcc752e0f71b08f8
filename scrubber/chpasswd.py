"""Find passwords of logins, one a line: what `chpasswd` reads from a here-document, and cloud-init's list of them.

Source: cloud-init, "Set Passwords"; chpasswd(8).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber.gate import Strength, is_secret

if TYPE_CHECKING:
    from scrubber.finder import Finder, Found
    from scrubber.pseudonym import Pseudonymizer

_FAR = 4096
_LINE = re.compile(rb"[ \t]*(?:- )?[\"']?[a-z_][\w.\-]{0,31}:(?P<value>[^\s\"':][^\s\"']{2,255})[\"']?[ \t]*\r?")
_KEY = re.compile(rb"[ \t]*(?:expire|list|users):[ \t]*(?:\|[\-+]?|>[\-+]?|true|false|True|False)?[ \t]*\r?")
_MOST = 64


def find_chpasswd(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of what stands behind each login, up to the first line that is none."""

    def find(buf: bytes, start: int, _end: int) -> list[Found] | None:
        found: list[Found] = []
        at = buf.find(b"\n", start, start + _FAR) + 1
        for _ in range(_MOST):
            end = buf.find(b"\n", at, at + _FAR) if at else -1
            if end < 0:
                break
            line = _LINE.fullmatch(buf, at, end)
            if line is None and _KEY.fullmatch(buf, at, end) is None:
                break
            if line is not None and is_secret(line["value"], Strength.STRONG, quoted=True, prose=False):
                found.append((*line.span("value"), line["value"], pseudonyms.tag("password", line["value"])))
            at = end + 1
        return found or None

    return find
