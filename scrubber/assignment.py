"""Read `key = value` in the dialects it is written in, from the place where a key's name was seen.

INI, properties, shell, YAML, JSON (also escaped within a string), XML elements and attributes, property lists, name/value pairs,
command lines, SQL, prose. What comes back is where the value stands; whether it is a secret is the gate's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from scrubber.gate import Strength, is_secret, strength

MAX_VALUE = 8192
_KEY_BACK = 64
_LINE_BACK = 256
_KEY_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

_KEY_RIGHT = re.compile(
    rb"[A-Za-z0-9_.\-\x80-\xff]{1,64}(?: (?:key|secret|token|string|de passe|phrase)\b)?", re.IGNORECASE
)
_QUOTE = rb"\\{0,7}[\"'`]|&quot;|&\#3[49];|&apos;|%22|%27"
_SEPARATOR = re.compile(
    rb"(?P<close>" + _QUOTE + rb")?\]?[ \t]{0,40}(?P<op>:=|=>|={1,3}|\?=|:(?!:)|%3[AaDd]|&\#61;|\((?=[\"']))[ \t]{0,40}"
    rb"(?:\r?\n[ \t]{1,40}(?=[\"']))?"
)
_QUOTED = {
    b'"': re.compile(rb'(?:[^"\\\n]|\\.){0,8192}(?=")'),
    b"'": re.compile(rb"(?:[^'\\\n]|\\.|''){0,8192}(?=')"),
    b"`": re.compile(rb"[^`\n]{0,8192}(?=`)"),
}
_OPEN = re.compile(_QUOTE)
_INLINE = re.compile(
    rb"(?:[^\s\"'`<>,;&|)}\]\\]|\\(?![\"'nrt])|[,;&|)}\]](?!\s|$|[\"'\\<)}\],;]|[\w.\-\[\]%]{1,48}\s?[=:]))+"
)
_BARE_ARGUMENT = re.compile(rb"[^\s\"'`|;&<>]{1,4096}")
_REST = re.compile(rb"[^\r\n]{1,4096}")
_LINE_START = re.compile(
    rb"[ \t]*(?:[#;]+[ \t]*|//[ \t]*)?(?:export[ \t]+|set[ \t]+|setenv[ \t]+|env[ \t]+|ENV[ \t]+|ARG[ \t]+|-[ \t]+|-D|\?[ \t]+)*[\"']?\Z"
)
_MORE_PAIRS = re.compile(rb"[\s,;&|][\"']?[A-Za-z_][\w.\-]{0,47}[\"']?\s{0,2}(?:=|: )")
_COMMENT = re.compile(rb"[ \t]+(?:#|;|//).*\Z", re.DOTALL)
_ELEMENT = re.compile(
    rb"(?:[ \t][^<>\n]{0,200})?>[ \t\r\n]{0,40}(?:<!\[CDATA\[)?(?P<value>[^<]{1,8192}?)[ \t\r\n]{0,40}(?:\]\]>)?</"
)
_PAIRED = (
    re.compile(
        rb"(?:" + _QUOTE + rb")[^<>\n]{0,120}?\b(?:value|val|content|data)=[\"'](?P<value>[^\"'<>\n]{1,8192})[\"']",
        re.IGNORECASE,
    ),
    re.compile(
        rb"[\"'][ \t]{0,8}[^<>\n]{0,80}>[ \t\r\n]{0,40}(?:<value>)?(?P<value>[^<>]{1,8192}?)[ \t\r\n]{0,40}</",
        re.IGNORECASE,
    ),
    re.compile(
        rb"(?P<q>\\{0,7}[\"'])\s{0,40},\s{0,40}\\{0,7}[\"'](?:value|val|content)\\{0,7}[\"']\s{0,8}:\s{0,8}\\{0,7}[\"'](?P<value>(?:[^\"'\\\n]|\\(?![\"'])){1,8192})",
        re.IGNORECASE,
    ),
    re.compile(rb"[\"']?[ \t]{0,8}\r?\n[ \t]{1,40}value:[ \t]{1,8}[\"']?(?P<value>[^\"'\r\n#]{1,8192})", re.IGNORECASE),
    re.compile(rb"</(?:key|name|Key|Name)>\s{0,40}<(?:string|value|Value|data)>(?P<value>[^<]{1,8192}?)</"),
)
_NAMED = re.compile(
    rb"(?:\b(?:name|key|id|property|field|variable|parameter|option)(?:\\{0,7}[\"'])?[ \t]{0,8}[=:][ \t]{0,8}(?:\\{0,7}[\"'])?|<(?:key|name)>\s{0,8})\Z",
    re.IGNORECASE,
)
_CALLED = re.compile(
    rb"(?:define|put|putString|set\w*|setProperty|add\w*|option|config|param\w*|header|addHeader|setHeader)\([ \t]{0,8}[\"']\Z",
    re.IGNORECASE,
)
_SECOND = re.compile(rb"[\"'][ \t]{0,8},[ \t]{0,8}(?P<q>[\"'])(?P<value>(?:[^\"'\\\n]|\\.){1,4096})(?P=q)")
_SPACE_QUOTED = re.compile(rb"[ \t]{1,8}(?P<q>[\"'])(?P<value>(?:[^\"'\\\n]|\\.){1,1024})(?P=q)")
_PROSE = re.compile(
    rb"[\"']?[ \t]{1,4}(?:is|was|are|ist|lautet|war|est|es|set to|changed to|reset to|now|=)(?:[ \t]{0,4}:)?[ \t]{1,4}[\"'`]?(?P<value>[^\s\"'`,]{4,256}?)(?=[.,;:!]?(?:[\s\"'`]|\Z))",
    re.IGNORECASE,
)
_FLAG_GAP = re.compile(rb"[\"']?,?[ \t]{1,8}(?P<q>[\"'])?")
_BLOCK = re.compile(rb"[|>][+\-0-9]{0,2}[ \t]*\r?\n(?P<indent>[ \t]+)(?P<value>[^\r\n]{1,8192})")
_ITEM = re.compile(rb"(?P<q>\\{0,7}[\"'])(?P<value>(?:[^\"'\\\n]|\\(?![\"'])){1,4096})(?P=q)")
_LIST = re.compile(rb"\[[^\]\n]{0,4096}\]")


_RUNNING_TEXT = re.compile(
    rb"[A-Za-z]{3,16} (?!is|was|are|ist|lau|war|est|es |set|cha|res|now|to |key|sec|tok|str|de |phr|pas|:|=)[A-Za-z]"
)
"""A keyword amid words ("Failed password for root") that no dialect takes for a key: it is passed over at once."""


class Value(NamedTuple):
    """Where a secret value stands; *wrap* is what its replacement must be put in to keep JSON valid."""

    start: int
    end: int
    wrap: bytes


def values(buf: bytes, hit: int) -> Iterator[Value]:
    """Give the secret values that belong to the key whose name was seen at *hit*."""
    if _RUNNING_TEXT.match(buf, hit) and buf[hit - 1 : hit] == b" ":
        return
    seg = buf[max(0, hit - _KEY_BACK) : hit]
    key_start = hit - (len(seg) - len(seg.rstrip(_KEY_CHARS)))
    right = _KEY_RIGHT.match(buf, hit)
    if right is None:
        return
    key_end = right.end()
    name = buf[key_start:key_end]
    believed = strength(name)
    if believed is Strength.NONE:
        return
    before = buf[max(0, key_start - _LINE_BACK) : key_start]
    separator = _SEPARATOR.match(buf, key_end)
    if separator is not None:
        if separator["close"] is None or _NAMED.search(before[-48:]) is None:
            yield from _after_separator(buf, separator, before, believed, name)
            return
    yield from _without_separator(buf, key_start, key_end, before, believed, name)


def _after_separator(
    buf: bytes, separator: re.Match[bytes], before: bytes, believed: Strength, name: bytes
) -> Iterator[Value]:
    start = separator.end()
    opening = _OPEN.match(buf, start)
    if opening is not None:
        span = _quoted(buf, opening)
        if span is not None:
            if is_secret(buf[span[0] : span[1]], believed, quoted=True, prose=False):
                yield Value(*span, b"")
            return
    first = buf[start : start + 1]
    if first == b"[" and separator["close"]:
        listed = _LIST.match(buf, start)
        for item in _ITEM.finditer(buf, start, listed.end()) if listed else ():
            if is_secret(item["value"], believed, quoted=True, prose=False):
                yield Value(*item.span("value"), b"")
        return
    if first in b"{[" and not buf[start + 1 : start + 2].isalnum():
        return
    if first in b"|>":
        block = _BLOCK.match(buf, start)
        if block and is_secret(block["value"], believed, quoted=True, prose=False):
            yield Value(*block.span("value"), b"")
        return
    yield from _unquoted(buf, start, separator, before, believed, name)


def _quoted(buf: bytes, opening: re.Match[bytes]) -> tuple[int, int] | None:
    """Give the span between *opening* and the same quote again, on the same line."""
    mark = opening[0]
    plain = _QUOTED.get(mark)
    if plain is not None:
        match = plain.match(buf, opening.end())
        return match.span() if match else None
    end = buf.find(mark, opening.end(), opening.end() + MAX_VALUE)
    line = buf.find(b"\n", opening.end(), opening.end() + MAX_VALUE)
    return (opening.end(), end) if end >= 0 and not 0 <= line < end else None


def _unquoted(
    buf: bytes, start: int, separator: re.Match[bytes], before: bytes, believed: Strength, name: bytes
) -> Iterator[Value]:
    op = separator["op"]
    line = before.rpartition(b"\n")[2]
    spaced = separator.end() - separator.end("op") > 0
    at_start = _LINE_START.match(line) is not None and (len(before) < _LINE_BACK or b"\n" in before)
    if at_start and separator["close"] is None and op in (b"=", b":", b":=", b"?="):
        rest = _REST.match(buf, start)
        whole = _COMMENT.sub(b"", rest[0]).rstrip() if rest else b""
        if (
            b" " not in whole
            and b"\t" not in whole
            and not _MORE_PAIRS.search(whole)
            and whole[-1:] not in (b",", b";", b")")
        ):
            quoted = believed is Strength.STRONG and b"(" not in whole and not whole[:1] in (b"$", b"=", b"{", b"[")
            if is_secret(
                whole,
                believed,
                quoted=quoted and not whole.isdigit(),
                prose=op == b":" and name[:1].isupper() and whole.isalpha() and whole.islower(),
            ):
                yield Value(start, start + len(whole), b"")
            return
        if (
            op == b"="
            and believed is Strength.STRONG
            and not _MORE_PAIRS.search(whole)
            and 1 <= whole.count(b" ") <= 8
            and whole[-1:] not in (b",", b";", b"(", b"{")
        ):
            if is_secret(whole, believed, quoted=False, prose=False) and is_secret(
                whole.split()[0], believed, quoted=False, prose=False
            ):
                yield Value(start, start + len(whole), b"")
            return
    inline = _INLINE.match(buf, start)
    if inline is None:
        return
    value = inline[0].rstrip(b".:!") if op.startswith(b":") and spaced else inline[0]
    follows = buf[inline.end() : inline.end() + 2]
    prose = (
        op == b":"
        and spaced
        and not separator["close"]
        and (follows[:1] == b" " or not at_start)
        and not _MORE_PAIRS.match(buf, inline.end())
    )
    if is_secret(value, believed, quoted=False, prose=prose):
        yield Value(
            start,
            start + len(value),
            b'"' if separator["close"] and separator["close"][-1:] == b'"' and op == b":" else b"",
        )


def _without_separator(
    buf: bytes, key_start: int, key_end: int, before: bytes, believed: Strength, name: bytes
) -> Iterator[Value]:
    found: re.Match[bytes] | None = None
    quoted, prose = True, False
    last = before[-1:]
    if last == b"<" or (last == b":" and re.search(rb"<\w{1,20}:\Z", before[-22:])):
        found = _ELEMENT.match(buf, key_end)
    elif last in (b'"', b"'", b">", b" ", b"=", b":") and _NAMED.search(before[-48:]):
        found = next((match for match in (pattern.match(buf, key_end) for pattern in _PAIRED) if match), None)
    elif last in (b'"', b"'") and _CALLED.search(before[-48:]):
        found = _SECOND.match(buf, key_end)
    elif name[:1] == b"-" and believed >= Strength.MEDIUM:
        yield from _argument(buf, key_end, believed)
        return
    elif believed >= Strength.MEDIUM:
        found = _SPACE_QUOTED.match(buf, key_end)
        if found is None:
            found, quoted, prose = _PROSE.match(buf, key_end), False, True
    if found is not None and is_secret(found["value"], believed, quoted=quoted, prose=prose):
        start, end = found.span("value")
        yield Value(start, end - (len(found["value"]) - len(found["value"].rstrip())), b"")


def _argument(buf: bytes, key_end: int, believed: Strength) -> Iterator[Value]:
    """Read the argument of a long option: `--password VALUE`, `"--password", "VALUE"`."""
    gap = _FLAG_GAP.match(buf, key_end)
    if gap is None:
        return
    if gap["q"]:
        span = _QUOTED[gap["q"]].match(buf, gap.end())
    else:
        span = _BARE_ARGUMENT.match(buf, gap.end())
    if span is None or span[0][:1] == b"-":
        return
    if is_secret(span[0], believed, quoted=bool(gap["q"]), prose=False):
        yield Value(*span.span(), b"")
