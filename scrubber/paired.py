"""Find personal data whose name stands beside it as a value of its own: parts of a form, pairs of a list, parameters.

Sources: RFC 7578 (multipart/form-data), the answers of redis-cli to HGETALL, HAR 1.2 (params), SAML's attributes by
their OIDs (RFC 4519).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber.fields import Field, field_of, images, is_kind
from scrubber.finder import remembered

if TYPE_CHECKING:
    from scrubber.finder import Finder, Found
    from scrubber.pseudonym import Pseudonymizer

_KEY = rb"(?P<key>[\w.\-\[\]]{2,60})"
_FORMS = (
    re.compile(
        rb"form-data; name=\""
        + _KEY
        + rb"\"\r?\n(?:Content-[^\r\n]{3,80}\r?\n){0,3}\r?\n(?P<value>[^\r\n]{1,240})\r?\n--"
    ),
    re.compile(rb"[0-9]{1,4}\) \"" + _KEY + rb"\"\r?\n {0,3}[0-9]{1,4}\) \"(?P<value>[^\"\r\n]{1,240})\""),
    re.compile(
        rb"\\{0,3}\"name\\{0,3}\"\s{0,4}:\s{0,4}\\{0,3}\"" + _KEY + rb"\\{0,3}\",\s{0,40}"
        rb"\\{0,3}\"value\\{0,3}\"\s{0,4}:\s{0,4}\\{0,3}\"(?P<value>[^\"\\\r\n]{1,240})\\{0,3}\""
    ),
    re.compile(
        rb"Name=\"urn:oid:(?P<key>[0-9.]{7,40})\"[^<>\n]{0,200}>\s{0,20}<[\w:]{0,20}AttributeValue\b[^<>]{0,120}>\s{0,20}"
        rb"(?P<value>[^<>\n]{1,200}?)\s{0,20}</"
    ),
)
_ATTRIBUTES = {
    b"2.5.4.3": Field(kind="name"),
    b"2.5.4.4": Field(kind="name"),
    b"2.5.4.7": Field(kind="city"),
    b"2.5.4.9": Field(kind="street"),
    b"2.5.4.17": Field(kind="zip"),
    b"2.5.4.20": Field(kind="phone"),
    b"2.5.4.42": Field(kind="name"),
    b"2.16.840.1.113730.3.1.241": Field(kind="name"),
    b"0.9.2342.19200300.100.1.41": Field(kind="phone"),
}


def find_paired(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of values behind a name that is a value too."""
    made = {kind: remembered(image) for kind, image in images(pseudonyms).items()}

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        for form in _FORMS:
            pair = form.match(buf, start)
            if pair is None:
                continue
            key, text = pair["key"], pair["value"]
            field = _ATTRIBUTES.get(key) or field_of(key)
            if field is None or text != text.strip() or not is_kind(field, text):
                return None
            return *pair.span("value"), text, made[field.kind](text)
        return None

    return find
