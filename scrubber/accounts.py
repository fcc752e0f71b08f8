"""Find payment card numbers and IBANs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber import checks
from scrubber.nationals import is_in_dump, is_in_made

if TYPE_CHECKING:
    from scrubber.finder import Finder, Found
    from scrubber.pseudonym import Pseudonymizer

_CARD = re.compile(
    rb"[0-9]{13,19}(?![0-9])|[0-9]{4}([ \-])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}(?![0-9])|"
    rb"3[0-9]{3}([ \-])[0-9]{6}\2[0-9]{4,5}(?![0-9])"
)
_CALLED = re.compile(
    rb"[a-z_ .\-]{3,32}[\"']{0,2}[ \t]{0,4}[:=#]?[ \t]{0,4}[\"']?"
    rb"(?P<value>[0-9]{12,19}|[0-9]{4}(?:[ \-][0-9]{2,7}){2,4})(?![0-9A-Za-z_]|[.\-][0-9])",
    re.IGNORECASE,
)
"""A number that is called a card's."""
_NUMBER_BEFORE = re.compile(rb"[0-9A-Za-z]\Z|[0-9][.\-]\Z|[.$+]\Z|[a-z]-\Z")
_NUMBER_AFTER = re.compile(rb"[A-Za-z]|[.\-][0-9]")
_COUNTED = re.compile(
    rb"(?:trace|span|parent|event|message|snowflake|correlation|transaction|sequence|job|offset|lsn|scn|nonce|guild|channel)"
    rb"[_. -]?(?:id|no|num|number)?(?:\\{0,3}[\"'])?[ \t]*[:=]?[ \t]*(?:\\{0,3}[\"'])?\Z",
    re.IGNORECASE,
)
"""What counts in numbers as long as a card's: an identifier of traces and messages, a place in a log."""
_LIKE_A_COUNTER = 17
_UNDERSCORE = 0x5F
_IBAN = re.compile(rb"[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]{4}){2,7}(?:[ \-]?[A-Z0-9]{1,3})?", re.IGNORECASE)


def find_card(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of payment card numbers, plain or in groups; any of a card's form where it is called one."""

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        start += buf[start] == _UNDERSCORE
        if not 0x30 <= buf[start] < 0x3A:
            return by_name(buf, start)
        match = _CARD.match(buf, start)
        if match is None or _NUMBER_BEFORE.search(buf[max(0, start - 2) : start]):
            return None
        if len(match[0]) >= _LIKE_A_COUNTER and _COUNTED.search(buf, max(0, start - 48), start):
            return None
        if _NUMBER_AFTER.match(buf, match.end()) or not checks.card(match[0]) or is_in_made(buf, start):
            return None
        if not is_in_dump(buf, start, match.end()):
            return start, match.end(), re.sub(rb"\D", b"", match[0]), pseudonyms.card(match[0])
        return None

    def by_name(buf: bytes, start: int) -> Found | None:
        called = _CALLED.match(buf, start)
        if called is None or buf[start - 1 : start].isalnum() or not checks.called_card(called["value"]):
            return None
        return *called.span("value"), re.sub(rb"\D", b"", called["value"]), pseudonyms.card(called["value"])

    return find


def find_iban(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of IBANs (ISO 13616), plain or in groups of four."""

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        start += buf[start] == _UNDERSCORE
        match = _IBAN.match(buf, start)
        if match is None or buf[start - 1 : start].isalnum():
            return None
        size = checks.iban_length(match[0])
        count, end = 0, start
        while end < match.end() and count < size:
            count += buf[end : end + 1].isalnum()
            end += 1
        text = buf[start:end]
        if count == size > 0 and not buf[end : end + 1].isalnum() and checks.iban(text):
            return start, end, re.sub(rb"[ \-]", b"", text).upper(), pseudonyms.iban(text)
        return None

    return find
