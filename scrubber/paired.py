"""Find personal data whose name stands elsewhere: parts of a form, pairs of a list, heads of columns, bound values.

Sources: RFC 7578 (multipart/form-data), the answers of redis-cli to HGETALL, HAR 1.2 (params), SAML's attributes by
their OIDs (RFC 4519), HTML (input, th and td), Hibernate's logs of the values that it binds to a statement.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber.fields import Field, field_of, images, is_kind
from scrubber.finder import remembered
from scrubber.tables import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_INPUT = re.compile(
    rb"<input\b[^<>]{0,160}?\bname=[\"']"
    + _KEY
    + rb"[\"'][^<>]{0,160}?\bvalue=[\"'](?P<value>[^\"'<>\r\n]{1,240})[\"']",
    re.IGNORECASE,
)
_HEAD = re.compile(rb"<th\b[^<>]{0,80}>\s{0,20}(?:<[^<>]{1,60}>\s{0,20}){0,3}([^<>]{0,60})", re.IGNORECASE)
_CELL = re.compile(rb"<t[dh]\b[^<>]{0,80}>\s{0,20}(?P<value>[^<>]{0,240}?)\s{0,20}(?=</?[a-z])", re.IGNORECASE)
_BACK = 4096
"""Bytes before a row, or a bound value, in which its columns are looked for."""
_STATEMENT = re.compile(
    rb"insert\s+into\s+[\w.`\"\[\]]{1,80}\s*\((?P<columns>[^()]{2,2000})\)\s*values|update\s+[\w.`\"]{1,80}\s+set\s+(?P<set>[^\n]{2,2000})",
    re.IGNORECASE,
)
_SET = re.compile(rb"([\w.`\"]{1,64})\s*=\s*\?")
_BOUND = re.compile(
    rb"binding parameter [\[(](?P<number>[0-9]{1,3})(?:\] as \[\w+\]|:\w+\)) (?:-|<-) \[(?P<value>[^\]\r\n]{1,240})\]"
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

    def told(text: bytes, start: int, field: Field | None) -> Iterator[Found]:
        if field is not None and text and text == text.strip() and is_kind(field, text):
            yield start, start + len(text), text, made[field.kind](text)

    def find(buf: bytes, start: int, _end: int) -> Found | list[Found] | None:
        if buf[start] == 0x3C:
            pair = _INPUT.match(buf, start)
            if pair is not None:
                return list(told(pair["value"], pair.start("value"), field_of(pair["key"]))) or None
            cells = _row(buf, start)
            return [each for field, begin, text in cells for each in told(text, begin, field)] or None
        if buf.startswith(b"binding ", start):
            return [each for field, begin, text in _bound(buf, start) for each in told(text, begin, field)] or None
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


def _row(buf: bytes, start: int) -> Iterator[tuple[Field | None, int, bytes]]:
    """Give the cells of a row of HTML, with what the heads of their columns say that they hold."""
    before = buf[max(0, start - _BACK) : start]
    last = before.rfind(b"</th>")
    if last < 0 or b"</table" in before[last:]:
        return
    names = _HEAD.findall(before[max(0, before.rfind(b"<tr", 0, last)) :])
    end = buf.find(b"</tr", start, start + _BACK)
    fields = Columns([name.strip() for name in names]).fields
    cells = _CELL.finditer(buf, start, end if end > 0 else start + _BACK)
    for field, cell in zip(fields, cells, strict=False):
        yield field, cell.start("value"), cell["value"]


def _bound(buf: bytes, start: int) -> Iterator[tuple[Field | None, int, bytes]]:
    """Give the value that is bound to a place of the statement before it."""
    value = _BOUND.match(buf, start)
    statements = list(_STATEMENT.finditer(buf, max(0, start - _BACK), start)) if value is not None else []
    if value is None or not statements:
        return
    last = statements[-1]
    names = last["columns"].split(b",") if last["columns"] else _SET.findall(last["set"])
    number = int(value["number"])
    if 0 < number <= len(names):
        yield Columns(names).fields[number - 1], value.start("value"), value["value"]
