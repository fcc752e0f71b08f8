"""Find what a Kubernetes Secret holds: each value under its `data` and `stringData`, whatever its name.

As YAML and as JSON, with the fields in any order: `kubectl get -o yaml` writes `data` before `kind`. Certificates and
names of namespaces stay.

Source: Kubernetes, "Secret v1 core".
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from scrubber.pseudonym import TAG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrubber.finder import Finder, Found
    from scrubber.pseudonym import Pseudonymizer

_NEAR = 12 << 10
"""Bytes on either side of `kind` in which the fields of its object are looked for."""
_LINE = re.compile(rb"(?P<indent>[ ]*)(?P<key>[\w.\-]+|\"[^\"\n]+\"):[ ]*(?P<value>[^\r\n]*)")
_JSON_FIELDS = re.compile(rb"\"(?:data|stringData)\"\s*:\s*\{(?P<body>[^{}]{1,12000})\}")
_JSON_PAIR = re.compile(rb"\"(?P<key>[^\"\n]{1,253})\"\s*:\s*\"(?P<value>(?:[^\"\\\n]|\\.){1,8000})\"")
_JSON_KIND = re.compile(rb"\"kind\"\s*:\s*\"(?P<kind>\w+)\"")
_FIELDS = (b"data", b"stringData")
_OPEN_KEYS = (b"namespace", b"ca.crt", b"tls.crt", b"ca-bundle.crt", b"service-ca.crt")
_EMPTY = (b"", b'""', b"''", b"null", b"~", b"{}", b"|", b"|-", b"|+", b">", b">-")
_REFERENCE = re.compile(rb"[\"']?(?:\$\{|\{\{|<[^<>]*>|\$\(|ref\+|\*{3}).*")


def find_cluster_secret(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of all values of a Secret, from its `kind` outwards."""

    def find(buf: bytes, start: int, _end: int) -> list[Found] | None:
        spans = _in_json(buf, start) if buf[start : start + 1] == b'"' else _in_yaml(buf, start)
        found: list[Found] = []
        for begin, end, key in spans:
            value = buf[begin:end]
            if not _stays(key, value):
                found.append((begin, end, value, pseudonyms.tag("password", value)))
        return found or None

    return find


def _stays(key: bytes, value: bytes) -> bool:
    if key in _OPEN_KEYS or TAG.search(value) or _REFERENCE.fullmatch(value):
        return True
    try:
        plain = base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return False
    return plain.startswith(b"-----BEGIN CERT") and b"PRIVATE KEY" not in plain


def _in_yaml(buf: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Read the lines of the document, or of the list's item, in which `kind: Secret` stands at *start*."""
    line = buf.rfind(b"\n", 0, start) + 1
    lead = buf[line:start]
    if lead.strip(b" -"):
        return
    depth = len(lead)
    low, high = _bounds(buf, line, depth)
    at, inside = low, -1
    while at < high:
        stop = buf.find(b"\n", at)
        stop = high if stop < 0 else stop
        match = _LINE.match(buf, at, stop)
        indent = len(match["indent"]) if match else -1
        if match is not None and inside >= 0 and indent > depth:
            inside = indent if inside == depth else inside
            value = match["value"].rstrip()
            if indent == inside and value not in _EMPTY:
                begin = match.start("value")
                quoted = value[:1] in {b'"', b"'"} and value[-1:] == value[:1] and len(value) > 2
                yield begin + quoted, begin + len(value) - quoted, match["key"].strip(b'"')
        elif match is not None and indent <= depth:
            inside = depth if match["key"] in _FIELDS and indent == depth and not match["value"].strip() else -1
        at = stop + 1


def _bounds(buf: bytes, line: int, depth: int) -> tuple[int, int]:
    """Give where the object around *line* begins and ends: at a document's mark, a list's item, or another kind."""
    low, high = max(0, line - _NEAR), min(len(buf), line + _NEAR)
    edge = re.compile(rb"^(?:---|\.\.\.|[ ]{0,%d}- |[ ]{%d}kind:)[^\n]*\n?" % (max(0, depth - 2), depth), re.MULTILINE)
    before = 0
    for match in edge.finditer(buf, low, line):
        mark = match[0].lstrip(b" ").startswith(b"- ")
        before = match.start() if mark else match.end()
    after = edge.search(buf, buf.find(b"\n", line) + 1 or len(buf), high)
    start = before or (0 if low == 0 else buf.find(b"\n", low) + 1)
    return start, after.start() if after else high


def _in_json(buf: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Read the `data` nearest to the kind at *start*, with no other object's kind between."""
    low, high = max(0, start - _NEAR), min(len(buf), start + _NEAR)
    for kind in _JSON_KIND.finditer(buf, low, start):
        low = kind.end()
    this = _JSON_KIND.match(buf, start)
    after = _JSON_KIND.search(buf, this.end() if this else start + 1, high)
    high = after.start() if after else high
    for fields in _JSON_FIELDS.finditer(buf, low, high):
        for pair in _JSON_PAIR.finditer(buf, *fields.span("body")):
            yield *pair.span("value"), pair["key"]
