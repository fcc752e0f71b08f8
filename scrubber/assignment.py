"""Read `key = value` in the dialects it is written in, from the place where a key's name was seen.

INI, properties, shell, YAML, JSON (also escaped within a string), XML elements and attributes, property lists,
name/value pairs, command lines, SQL, prose. What comes back is where the value stands; whether it is a secret is the
gate's business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from scrubber import dialects
from scrubber.gate import Strength, is_secret, strength

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    def is_word(self) -> bool:
        """Say whether the name may be a word of a sentence, and not only a program's: Password, and not db_password."""
        return (
            self.name.isalpha() and (self.name.islower() or self.name.istitle() or self.name.isupper())
        ) or b" " in self.name

    @property
    def at_line_start(self) -> bool:
        line = self.before.rpartition(b"\n")[2]
        return dialects.LINE_START.match(line) is not None and (
            len(self.before) < dialects.LINE_BACK or b"\n" in self.before
        )


def values(buf: bytes, hit: int) -> Iterator[Value]:
    """Give the secret values that belong to the key whose name was seen at *hit*."""
    if (
        buf[hit - 1 : hit] == b" "
        and dialects.RUNNING_TEXT.match(buf, hit)
        and buf[max(0, hit - 4) : hit].lower() not in dialects.SETTERS
    ):
        return
    seg = buf[max(0, hit - dialects.KEY_BACK) : hit]
    key_start = hit - (len(seg) - len(seg.rstrip(dialects.KEY_CHARS)))
    right = dialects.KEY_RIGHT.match(buf, hit)
    if right is None:
        return
    name = buf[key_start : right.end()]
    believed = strength(name)
    if believed is Strength.NONE:
        return
    key = _Key(name, right.end(), believed, buf[max(0, key_start - dialects.LINE_BACK) : key_start])
    separator = dialects.SEPARATOR.match(buf, key.end)
    if separator is not None and (separator["close"] is None or dialects.NAMED.search(key.before[-48:]) is None):
        yield from _after_separator(buf, separator, key)
    else:
        yield from _without_separator(buf, key)


def _after_separator(buf: bytes, separator: re.Match[bytes], key: _Key) -> Iterator[Value]:
    start = separator.end()
    if separator["op"] == b":" and dialects.RESOURCE.search(key.before):
        return
    opening = dialects.OPEN.match(buf, start)
    span = _quoted(buf, opening) if opening is not None else None
    if opening is not None:
        if span is not None and is_secret(buf[span[0] : span[1]], key.believed, quoted=True, prose=False):
            yield Value(*span, b"")
        if span is not None:
            return
        start = opening.end()
    first = buf[start : start + 1]
    nested = _nested(buf, start, key)
    if nested is not None:
        yield from nested
    elif first == b"[" and separator["close"]:
        yield from _listed(buf, start, key)
    elif first in {b"{", b"["} and not buf[start + 1 : start + 2].isalnum():
        return
    elif first in {b"|", b">"} and (block := dialects.BLOCK.match(buf, start)):
        if is_secret(block["value"], key.believed, quoted=True, prose=False):
            yield Value(*block.span("value"), b"")
    else:
        yield from _unquoted(buf, start, separator, key)


def _nested(buf: bytes, start: int, key: _Key) -> list[Value] | None:
    """Read a value one level down: `{"value": X}`, `value: X` or a list's items on the following lines."""
    found = dialects.INNER.match(buf, start) or dialects.INDENTED.match(buf, start)
    if found is not None:
        good = is_secret(found["value"], key.believed, quoted=True, prose=False)
        return [Value(*found.span("value"), b"")] if good else []
    if key.name[-1:] not in b"sS" or key.name.lower().endswith((b"secrets", b"pass")):
        return None
    block = dialects.ITEMS.match(buf, start)
    if block is None:
        return None
    return [
        Value(*item.span("value"), b"")
        for item in dialects.ITEM_OF_BLOCK.finditer(buf, start, block.end())
        if is_secret(item["value"], key.believed, quoted=True, prose=False)
    ]


def _listed(buf: bytes, start: int, key: _Key) -> Iterator[Value]:
    listed = dialects.LIST.match(buf, start)
    for item in dialects.ITEM.finditer(buf, start, listed.end()) if listed else ():
        if is_secret(item["value"], key.believed, quoted=True, prose=False):
            yield Value(*item.span("value"), b"")


def _quoted(buf: bytes, opening: re.Match[bytes]) -> tuple[int, int] | None:
    """Give the span between *opening* and the same quote again, on the same line."""
    mark = opening[0]
    plain = dialects.QUOTED.get(mark)
    if plain is not None:
        match = plain.match(buf, opening.end())
        return match.span() if match else None
    end = buf.find(mark, opening.end(), opening.end() + dialects.MAX_VALUE)
    line = buf.find(b"\n", opening.end(), opening.end() + dialects.MAX_VALUE)
    return (opening.end(), end) if end >= 0 and not 0 <= line < end else None


def _unquoted(buf: bytes, start: int, separator: re.Match[bytes], key: _Key) -> Iterator[Value]:
    op, close = separator["op"], separator["close"]
    if op in {b"==", b"==="}:  # compared with what is no literal
        return
    spaced = separator.end() > separator.end("op")
    at_start = key.at_line_start
    if at_start and close is None and op in {b"=", b":", b":=", b"?="}:
        rest = dialects.REST.match(buf, start)
        whole = dialects.COMMENT.sub(b"", rest[0]).rstrip() if rest else b""
        one_word = not re.search(rb"\s", whole)
        if _is_whole_line(whole, key, tight=op != b"=" or not spaced, one_word=one_word):
            quoted = (
                one_word
                and key.believed is Strength.STRONG
                and not dialects.CODE_LIKE.search(whole)
                and not whole.isdigit()
            )
            if is_secret(whole, key.believed, quoted=quoted, prose=False):
                yield Value(start, start + len(whole), b"")
            return
    inline = dialects.INLINE.match(buf, start)
    if inline is None:
        return
    inner = _inner(buf, inline, key)
    if inner is not None:
        if is_secret(buf[inner.start : inner.end], key.believed, quoted=True, prose=False):
            yield inner
        return
    value = inline[0].rstrip(b".:!") if op.startswith(b":") and spaced else inline[0]
    goes_on = buf[inline.end() : inline.end() + 1] == b" " and not dialects.MORE_PAIRS.match(buf, inline.end())
    prose = op == b":" and spaced and not close and (goes_on or (not at_start and key.is_word))
    if is_secret(value, key.believed, quoted=False, prose=prose):
        wrap = b'"' if close is not None and close.endswith(b'"') and op == b":" else b""
        yield Value(start, start + len(value), wrap)


def _inner(buf: bytes, inline: re.Match[bytes], key: _Key) -> Value | None:
    """Give a value within braces, as ODBC quotes it, or before other options: username=bob,password=X,_netdev."""
    start, end = inline.span()
    if inline[0][:1] == b"{" and buf[end : end + 1] == b"}":
        return Value(start + 1, end, b"")
    others = dialects.OPTION_AFTER.search(inline[0]) if key.before[-1:] == b"," else None
    return Value(start, start + others.start(), b"") if others is not None else None


def _is_whole_line(whole: bytes, key: _Key, *, tight: bool, one_word: bool) -> bool:
    """Say whether all the rest of a line is the value, as in INI and properties, and not the first of several."""
    if not whole or dialects.MORE_PAIRS.search(whole):
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
    last = key.before[-1:]
    if last in dialects.NAME_ENDS and dialects.NAMED.search(key.before[-48:]):
        yield from _paired(buf, key)
    elif key.name[:1] == b"-" and last != b"<":
        yield from _argument(buf, key)
    else:
        yield from _beside(buf, key)


def _paired(buf: bytes, key: _Key) -> Iterator[Value]:
    """Read the value of a pair whose other half is the key's name, on either side: `{"name": KEY, "value": X}`."""
    found = next((match for match in (pattern.match(buf, key.end) for pattern in dialects.PAIRED) if match), None)
    group = "value"
    if found is None:
        begin = key.end - len(key.name)
        found = dialects.PAIRED_BEFORE.search(buf, max(0, begin - dialects.PAIR_BACK), begin)
        group = "value" if found is None or found["value"] is not None else "attribute"
    if found is not None and is_secret(found[group], key.believed, quoted=True, prose=False):
        start, end = found.span(group)
        yield Value(start, end - (len(found[group]) - len(found[group].rstrip())), b"")


def _beside(buf: bytes, key: _Key) -> Iterator[Value]:
    """Read a value that stands beside the key without a separator: an element, an argument, a word, a sentence."""
    found: re.Match[bytes] | None = None
    quoted, prose = True, False
    last = key.before[-1:]
    if last == b"<" or (last == b":" and re.search(rb"<\w{1,20}:\Z", key.before[-22:])):
        found = dialects.ELEMENT.match(buf, key.end)
    elif last in {b'"', b"'"} and dialects.VARIABLE.search(key.before[-24:]):
        found = dialects.DEFAULT.match(buf, key.end)
    elif last in {b'"', b"'"} and dialects.CALLED.search(key.before[-48:]):
        found = dialects.SECOND.match(buf, key.end)
    elif key.believed >= Strength.MEDIUM and dialects.SET.search(key.before[-64:]):
        found, quoted = dialects.SET_VALUE.match(buf, key.end), False
    elif key.believed >= Strength.MEDIUM:
        found = dialects.SPACE_QUOTED.match(buf, key.end)
        if found is not None and key.name.lower() in dialects.OBJECTS and buf[found.end() : found.end() + 1] == b" ":
            return  # Secret "db" created
        if found is None:
            found, quoted, prose = dialects.PROSE.match(buf, key.end), False, True
    if found is not None and is_secret(found["value"], key.believed, quoted=quoted, prose=prose):
        start, end = found.span("value")
        yield Value(start, end - (len(found["value"]) - len(found["value"].rstrip())), b"")


def _argument(buf: bytes, key: _Key) -> Iterator[Value]:
    """Read the argument of a long option: `--password VALUE`, `"--password", "VALUE"`."""
    gap = dialects.FLAG_GAP.match(buf, key.end)
    if gap is None:
        return
    span = (dialects.QUOTED[gap["q"]] if gap["q"] else dialects.BARE_ARGUMENT).match(buf, gap.end())
    if span is None or span[0][:1] == b"-":
        return
    if is_secret(span[0], key.believed, quoted=bool(gap["q"]), prose=False):
        yield Value(*span.span(), b"")
