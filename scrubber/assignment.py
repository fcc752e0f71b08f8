"""Read `key = value` in the dialects it is written in, from the place where a key's name was seen.

INI, properties, shell, YAML, JSON (also escaped within a string), XML elements and attributes, property lists,
name/value pairs, command lines, SQL, prose. What comes back is where the value stands; whether it is a secret is the
gate's business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from scrubber.gate import Strength, is_secret, strength

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_VALUE = 2048
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
    b'"': re.compile(rb'(?:[^"\\\n]|\\.){0,2048}(?=")'),
    b"'": re.compile(rb"(?:[^'\\\n]|\\.|''){0,2048}(?=')"),
    b"`": re.compile(rb"[^`\n]{0,2048}(?=`)"),
}
_OPEN = re.compile(_QUOTE)
_INLINE = re.compile(
    rb"(?:[^\s\"'`<>,;&|)}\]\\]|\\(?![\"'nrt])|[,;&|)}\]](?!\s|$|[\"'\\<)}\],;]|[\w.\-\[\]%]{1,48}\s?[=:])){1,1024}"
)
_BARE_ARGUMENT = re.compile(rb"[^\s\"'`|;&<>]{1,4096}")
_REST = re.compile(rb"[^\r\n]{1,4096}")
_LINE_START = re.compile(
    rb"[ \t]*(?:[#;]+[ \t]*|//[ \t]*)?"
    rb"(?:(?:export|set|setenv|env|ENV|ARG|-|\?)[ \t]+|-D)*[\"']?\Z"
)
_MORE_PAIRS = re.compile(rb"[\s,;&|][\"']?[A-Za-z_][\w.\-]{0,47}[\"']?\s{0,2}(?:=|: )")
_COMMENT = re.compile(rb"[ \t]+(?:#|;|//).*\Z", re.DOTALL)
_ELEMENT = re.compile(
    rb"(?:[ \t][^<>\n]{0,200})?>[ \t\r\n]{0,40}(?:<!\[CDATA\[)?(?P<value>[^<]{1,2048}?)[ \t\r\n]{0,40}(?:\]\]>)?</"
)
_PAIRED = (
    re.compile(
        rb"(?:" + _QUOTE + rb")[^<>\n]{0,120}?\b(?:value|val|content|data)=[\"'](?P<value>[^\"'<>\n]{1,2048})[\"']",
        re.IGNORECASE,
    ),
    re.compile(
        rb"[\"'][ \t]{0,8}[^<>\n]{0,80}>[ \t\r\n]{0,40}(?:<value>)?(?P<value>[^<>]{1,2048}?)[ \t\r\n]{0,40}</",
        re.IGNORECASE,
    ),
    re.compile(
        rb"(?P<q>\\{0,7}[\"'])\s{0,40},\s{0,40}\\{0,7}[\"'](?:value|val|content)\\{0,7}[\"']\s{0,8}:\s{0,8}"
        rb"\\{0,7}[\"'](?P<value>(?:[^\"'\\\n]|\\(?![\"'])){1,2048})",
        re.IGNORECASE,
    ),
    re.compile(rb"[\"']?[ \t]{0,8}\r?\n[ \t]{1,40}value:[ \t]{1,8}[\"']?(?P<value>[^\"'\r\n#]{1,2048})", re.IGNORECASE),
    re.compile(rb"</(?:key|name|Key|Name)>\s{0,40}<(?:string|value|Value|data)>(?P<value>[^<]{1,2048}?)</"),
)
_NAMED = re.compile(
    rb"(?:\b(?:name|key|id|property|field|variable|parameter|option)(?:\\{0,7}[\"'])?[ \t]{0,8}[=:][ \t]{0,8}"
    rb"(?:\\{0,7}[\"'])?|<(?:key|name)>\s{0,8})\Z",
    re.IGNORECASE,
)
_CALLED = re.compile(
    rb"(?:define|put|putString|set\w*|setProperty|add\w*|option|config|param\w*|header)"
    rb"\([ \t]{0,8}[\"']\Z",
    re.IGNORECASE,
)
_SECOND = re.compile(rb"[\"'][ \t]{0,8},[ \t]{0,8}(?P<q>[\"'])(?P<value>(?:[^\"'\\\n]|\\.){1,4096})(?P=q)")
_SPACE_QUOTED = re.compile(rb"[ \t]{1,8}(?P<q>[\"'])(?P<value>(?:[^\"'\\\n]|\\.){1,1024})(?P=q)")
_PROSE = re.compile(
    rb"[\"']?[ \t]{1,4}(?:is|was|are|ist|lautet|war|est|es|set to|changed to|reset to|now|=)(?:[ \t]{0,4}:)?[ \t]{1,4}"
    rb"[\"'`]?(?P<value>[^\s\"'`,]{4,256}?)(?=[.,;:!]?(?:[\s\"'`]|\Z))",
    re.IGNORECASE,
)
_FLAG_GAP = re.compile(rb"[\"']?,?[ \t]{1,8}(?P<q>[\"'])?")
_BLOCK = re.compile(rb"[|>][+\-0-9]{0,2}[ \t]*\r?\n(?P<indent>[ \t]+)(?P<value>[^\r\n]{1,2048})")
_ITEM = re.compile(rb"(?P<q>\\{0,7}[\"'])(?P<value>(?:[^\"'\\\n]|\\(?![\"'])){1,4096})(?P=q)")
_LIST = re.compile(rb"\[[^\]\n]{0,4096}\]")


_RUNNING_TEXT = re.compile(
    rb"[A-Za-z]{3,16} (?!is|was|are|ist|lau|war|est|es |set|cha|res|now|to |key|sec|tok|str|de |phr|pas|:|=)[A-Za-z]"
)
"""A keyword amid words ("Failed password for root") that no dialect takes for a key: it is passed over at once."""


_NAME_ENDS = {b'"', b"'", b">", b" ", b"=", b":"}
_CODE_LIKE = re.compile(rb"[(\[][\"')]|\(|\A[$={\[]")


class Value(NamedTuple):
    """Where a secret value stands; *wrap* is what its replacement must be put in to keep JSON valid."""

    start: int
    end: int
    wrap: bytes


class _Key(NamedTuple):
    """A key's name, where it ends, how far it is believed, and up to 256 bytes before it."""

    name: bytes
    end: int
    believed: Strength
    before: bytes

    @property
    def at_line_start(self) -> bool:
        line = self.before.rpartition(b"\n")[2]
        return _LINE_START.match(line) is not None and (len(self.before) < _LINE_BACK or b"\n" in self.before)


def values(buf: bytes, hit: int) -> Iterator[Value]:
    """Give the secret values that belong to the key whose name was seen at *hit*."""
    if buf[hit - 1 : hit] == b" " and _RUNNING_TEXT.match(buf, hit):
        return
    seg = buf[max(0, hit - _KEY_BACK) : hit]
    key_start = hit - (len(seg) - len(seg.rstrip(_KEY_CHARS)))
    right = _KEY_RIGHT.match(buf, hit)
    if right is None:
        return
    name = buf[key_start : right.end()]
    believed = strength(name)
    if believed is Strength.NONE:
        return
    key = _Key(name, right.end(), believed, buf[max(0, key_start - _LINE_BACK) : key_start])
    separator = _SEPARATOR.match(buf, key.end)
    if separator is not None and (separator["close"] is None or _NAMED.search(key.before[-48:]) is None):
        yield from _after_separator(buf, separator, key)
    else:
        yield from _without_separator(buf, key)


def _after_separator(buf: bytes, separator: re.Match[bytes], key: _Key) -> Iterator[Value]:
    start = separator.end()
    opening = _OPEN.match(buf, start)
    span = _quoted(buf, opening) if opening is not None else None
    if opening is not None:
        if span is not None and is_secret(buf[span[0] : span[1]], key.believed, quoted=True, prose=False):
            yield Value(*span, b"")
        if span is not None:
            return
        start = opening.end()
    first = buf[start : start + 1]
    if first == b"[" and separator["close"]:
        yield from _listed(buf, start, key)
    elif first in {b"{", b"["} and not buf[start + 1 : start + 2].isalnum():
        return
    elif first in {b"|", b">"} and (block := _BLOCK.match(buf, start)):
        if is_secret(block["value"], key.believed, quoted=True, prose=False):
            yield Value(*block.span("value"), b"")
    else:
        yield from _unquoted(buf, start, separator, key)


def _listed(buf: bytes, start: int, key: _Key) -> Iterator[Value]:
    listed = _LIST.match(buf, start)
    for item in _ITEM.finditer(buf, start, listed.end()) if listed else ():
        if is_secret(item["value"], key.believed, quoted=True, prose=False):
            yield Value(*item.span("value"), b"")


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


def _unquoted(buf: bytes, start: int, separator: re.Match[bytes], key: _Key) -> Iterator[Value]:
    op, close = separator["op"], separator["close"]
    spaced = separator.end() > separator.end("op")
    at_start = key.at_line_start
    if at_start and close is None and op in {b"=", b":", b":=", b"?="}:
        rest = _REST.match(buf, start)
        whole = _COMMENT.sub(b"", rest[0]).rstrip() if rest else b""
        one_word = not re.search(rb"\s", whole)
        if _is_whole_line(whole, key, tight=op != b"=" or not spaced, one_word=one_word):
            quoted = (
                one_word and key.believed is Strength.STRONG and not _CODE_LIKE.search(whole) and not whole.isdigit()
            )
            prose = op == b":" and key.name.istitle() and whole.isalpha() and whole.islower()
            if is_secret(whole, key.believed, quoted=quoted, prose=prose):
                yield Value(start, start + len(whole), b"")
            return
    inline = _INLINE.match(buf, start)
    if inline is None:
        return
    value = inline[0].rstrip(b".:!") if op.startswith(b":") and spaced else inline[0]
    goes_on = buf[inline.end() : inline.end() + 1] == b" " and not _MORE_PAIRS.match(buf, inline.end())
    prose = op == b":" and spaced and not close and (goes_on or not at_start)
    if is_secret(value, key.believed, quoted=False, prose=prose):
        wrap = b'"' if close is not None and close.endswith(b'"') and op == b":" else b""
        yield Value(start, start + len(value), wrap)


def _is_whole_line(whole: bytes, key: _Key, *, tight: bool, one_word: bool) -> bool:
    """Say whether all the rest of a line is the value, as in INI and properties, and not the first of several."""
    if not whole or _MORE_PAIRS.search(whole):
        return False
    if one_word:
        return whole[-1:] not in {b",", b";", b")"}
    if tight and (key.name.isupper() or key.name[:1] == b"-" or b":" in key.name):
        return False  # a shell's assignment before a command, an option
    words = whole.split()
    return (
        key.believed is Strength.STRONG
        and not key.before.endswith(b"-D")
        and len(words) <= 9
        and whole[-1:] not in {b",", b";", b"(", b"{", b".", b":"}
        and is_secret(words[0], key.believed, quoted=False, prose=True)
    )


def _without_separator(buf: bytes, key: _Key) -> Iterator[Value]:
    found: re.Match[bytes] | None = None
    quoted, prose = True, False
    last = key.before[-1:]
    if last == b"<" or (last == b":" and re.search(rb"<\w{1,20}:\Z", key.before[-22:])):
        found = _ELEMENT.match(buf, key.end)
    elif last in _NAME_ENDS and _NAMED.search(key.before[-48:]):
        found = next((match for match in (pattern.match(buf, key.end) for pattern in _PAIRED) if match), None)
    elif last in {b'"', b"'"} and _CALLED.search(key.before[-48:]):
        found = _SECOND.match(buf, key.end)
    elif key.believed >= Strength.MEDIUM and key.name[:1] == b"-":
        yield from _argument(buf, key)
        return
    elif key.believed >= Strength.MEDIUM:
        found = _SPACE_QUOTED.match(buf, key.end)
        if found is None:
            found, quoted, prose = _PROSE.match(buf, key.end), False, True
    if found is not None and is_secret(found["value"], key.believed, quoted=quoted, prose=prose):
        start, end = found.span("value")
        yield Value(start, end - (len(found["value"]) - len(found["value"].rstrip())), b"")


def _argument(buf: bytes, key: _Key) -> Iterator[Value]:
    """Read the argument of a long option: `--password VALUE`, `"--password", "VALUE"`."""
    gap = _FLAG_GAP.match(buf, key.end)
    if gap is None:
        return
    span = (_QUOTED[gap["q"]] if gap["q"] else _BARE_ARGUMENT).match(buf, gap.end())
    if span is None or span[0][:1] == b"-":
        return
    if is_secret(span[0], key.believed, quoted=bool(gap["q"]), prose=False):
        yield Value(*span.span(), b"")
