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
from scrubber.vocabulary import is_type

if TYPE_CHECKING:
    from collections.abc import Iterator


class Value(NamedTuple):
    """Where a secret value stands; *wrap* is what its replacement must be put in to keep JSON valid."""

    start: int
    end: int
    wrap: bytes


_BEFORE_TYPES, _BEHIND_TYPED = frozenset((b" ", b":")), frozenset((b":", b"?"))
"""What stands before a type, and behind the name whose type it is."""
_FLOW, _FLOW_ENDS = frozenset((b"{", b",")), frozenset((b",", b"}"))
"""What stands around an entry of a mapping in one line, as YAML writes it: {name: bob, password: X}."""
_BLANK = re.compile(rb"\s")
_OPENINGS = frozenset((b'"', b"'", b"`", b"\\", b"&", b"%"))
"""How `dialects.OPEN` begins."""
_REFERENCES = frozenset((b"$", b"#", b"@", b"%"))
"""How `dialects.REFERENCE` begins."""
_PREFIXES = frozenset(
    (
        b"N",
        b"b",
        b"r",
        b"u",
        b"U",
        b"R",
        b"f",
        b"@",
        b"<",
        b"S",
        b"O",
        b"J",
        b"P",
        b"s",
        b"q",
        b"n",
        b"M",
        b"E",
        b"m",
        b"c",
        b"p",
    )
)
"""How `dialects.MARKED` begins."""
_BELOW = frozenset((b"{", b" ", b"\t", b"\r", b"\n", b""))
"""How what is read one level down begins: `dialects.INNER`, `INDENTED`, `ITEMS`."""
_PHRASE_WORDS = 7
"""Words that a passphrase has at most."""
_WITHIN_LINES = frozenset(b"&,:.([{<=@$%~^!`)]}\\")
"""What no beginning of a line that `dialects.LINE_START` knows ends with."""


class _Key:
    """A key's name, where it ends, how far it is believed, and up to 256 bytes before it."""

    __slots__ = ("before", "believed", "end", "name")

    def __init__(self, name: bytes, end: int, believed: Strength, before: bytes) -> None:
        self.name = name
        self.end = end
        self.believed = believed
        self.before = before

    @property
    def is_word(self) -> bool:
        """Say whether the name may be a word of a sentence, and not only a program's: Password, and not db_password."""
        return (
            self.name.isalpha() and (self.name.islower() or self.name.istitle() or self.name.isupper())
        ) or b" " in self.name

    @property
    def is_named(self) -> bool:
        """Say whether the name is the value of what says that it is a name: name="password", <key>password."""
        before = self.before[-48:]
        return before.rstrip(b" \t\r\n\"'\\")[-1:] in dialects.NAMERS and dialects.NAMED.search(before) is not None

    @property
    def at_line_start(self) -> bool:
        before = self.before
        line = before[before.rfind(b"\n") + 1 :]
        if not line:
            return True
        if line[-1] in _WITHIN_LINES:
            return False
        return dialects.LINE_START.match(line) is not None and (
            len(before) < dialects.LINE_BACK or len(line) < len(before)
        )


class ValueReader:
    """Reads one buffer after the other. A key's name seen again, by another of its words, is not read again."""

    __slots__ = ("_buf", "_end", "_hit", "_start")

    def __init__(self) -> None:
        """Begin with no buffer."""
        self._buf = b""
        self._hit = self._start = self._end = -1

    def values(self, buf: bytes, hit: int) -> list[Value]:
        """Give the secret values that belong to the key whose name was seen at *hit*."""
        if hit and buf[hit - 1] == 0x20 and dialects.RUNNING_TEXT.match(buf, hit):
            return []
        right = dialects.KEY_RIGHT_PLAIN.match(buf, hit) or dialects.KEY_RIGHT.match(buf, hit)
        if right is None:
            return []
        end = right.end()
        seg = buf[max(0, hit - dialects.KEY_BACK) : hit]
        start = hit - len(seg) + len(seg.rstrip(dialects.KEY_CHARS))
        if start == self._start and end == self._end and hit > self._hit and buf is self._buf:
            return []
        self._buf, self._start, self._end, self._hit = buf, start, end, hit
        name = buf[start:end]
        believed = strength(name)
        if believed is Strength.NONE:
            return []
        key = _Key(name, end, believed, buf[max(0, start - dialects.LINE_BACK) : start])
        separator = None if dialects.NO_SEPARATOR.match(buf, end) else dialects.SEPARATOR.match(buf, end)
        if separator is not None and not _is_named(buf, separator, key):
            found = _after_separator(buf, separator, key)
        else:
            found = list(_without_separator(buf, key))
        found = [each for each in found if not (_is_type(buf, each, key) or _is_itself(buf, each, key))]
        return [*found, *_changed(buf, found[0], key)] if len(found) == 1 else found


def _is_type(buf: bytes, value: Value, key: _Key) -> bool:
    """Say whether a value is a type that is called after what the key is: credential: BearerTokenCredential."""
    quoted = buf[value.start - 1 : value.start] in _OPENINGS
    kind = None if quoted else dialects.TYPE_NAME.match(buf, value.start)
    if kind is not None and key.name.lower().rstrip(b"s").endswith(kind["kind"].lower()):
        return True
    if not quoted and buf[value.start - 1 : value.start] not in _BEFORE_TYPES:
        return False
    if buf[key.end : key.end + 1] not in _BEHIND_TYPED:
        return False  # a key within quotes is no name of a variable
    given = dialects.ANNOTATION.match(buf, value.start)
    return given is not None and is_type(given[0].rstrip(b"?[]"))


def _is_itself(buf: bytes, value: Value, key: _Key) -> bool:
    """Say whether a value without quotes is the key's own name: self.privateKey = privateKey, login=login_."""
    if buf[value.start - 1 : value.start] in _OPENINGS:
        return False
    return buf[value.start : value.end].strip(b"_") == key.name.rpartition(b".")[2].strip(b"_")


def _is_named(buf: bytes, separator: re.Match[bytes], key: _Key) -> bool:
    """Say whether the key is one half of a pair, whose other half stands elsewhere than behind the separator."""
    within = separator["close"] is not None or buf[separator.end() : separator.end() + 1] == b"<"
    return within and key.is_named


def _after_separator(  # noqa: PLR0911 - a table of what a value may begin with
    buf: bytes, separator: re.Match[bytes], key: _Key
) -> list[Value]:
    start = separator.end()
    if separator["op"] == b"(" and (
        key.name.lower() in dialects.OBJECTS or (key.name == b"pass" and dialects.SEVERAL_WORDS.match(buf, start))
    ):
        return []  # credentials('name-of-one'); pass("Third test"), of Perl's tests
    if separator["op"] == b":" and (dialects.RESOURCE.search(key.before) or dialects.DECLARED.search(key.before)):
        return []
    reference = _reference(buf, start, key)
    if reference is not None:
        return reference
    joined = dialects.JOINED.match(buf, start)
    start = joined.end() if joined else start
    first = buf[start : start + 1]
    opening = _opening(buf, start, first)
    if opening is not None:
        tripled = dialects.TRIPLED.get(buf[start : start + 3])
        span = _quoted(buf, opening) if tripled is None else _between(tripled.match(buf, start + 3))
        if span is not None:
            return _literal(buf, span, key, first)
        start = opening.end()
        first = buf[start : start + 1]
    nested = _nested(buf, start, key) if first in _BELOW else None
    if nested is not None:
        return nested
    if first == b"[" and separator["close"]:
        return list(_listed(buf, start, key))
    if first in {b"{", b"["} and (not buf[start + 1 : start + 2].isalnum() or dialects.FLOW.match(buf, start)):
        return list(_mapped(buf, start, key)) if dialects.OF_SECRETS.search(key.name) else []
    if first in {b"|", b">"} and (block := dialects.BLOCK.match(buf, start)):
        good = is_secret(block["value"], key.believed, quoted=True, prose=False)
        return [Value(*block.span("value"), b"")] if good else []
    return _unquoted(buf, start, separator, key)


def _reference(buf: bytes, start: int, key: _Key) -> list[Value] | None:
    """Give what stands in for a value that is elsewhere, nothing where nothing does; None for no reference."""
    first = buf[start : start + 1]
    if key.before[-2:] == b"${" and first in {b"-", b"?", b"+"}:  # in a shell's ${NAME:-default}, ${NAME:?message}
        default = dialects.DEFAULT_VALUE.match(buf, start + 1) if first == b"-" else None
    elif first in _REFERENCES and dialects.REFERENCE.match(buf, start):
        opening = dialects.DEFAULTED.match(buf, start)
        default = dialects.DEFAULT_VALUE.match(buf, opening.end()) if opening else None
    else:
        return None
    good = default is not None and is_secret(default[0], key.believed, quoted=True, prose=False)
    return [Value(*default.span(), b"")] if default is not None and good else []


def _opening(buf: bytes, start: int, first: bytes) -> re.Match[bytes] | None:
    if first in _OPENINGS:
        return dialects.OPEN.match(buf, start)
    return dialects.MARKED.match(buf, start) if first in _PREFIXES else None


def _literal(buf: bytes, span: tuple[int, int], key: _Key, first: bytes) -> list[Value]:
    """Judge what stands between quotes; between a shell's backticks a command may stand."""
    if first == b"`" and dialects.COMMAND.fullmatch(buf, *span):
        return []
    good = is_secret(buf[span[0] : span[1]], key.believed, quoted=True, prose=False)
    return [Value(*span, b"")] if good else []


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
    if listed is not None and b"\n" in listed[0] and key.believed is not Strength.STRONG:
        return
    for item in dialects.ITEM.finditer(buf, start, listed.end()) if listed else ():
        if is_secret(item["value"], key.believed, quoted=True, prose=False):
            yield Value(*item.span("value"), b"")


def _mapped(buf: bytes, start: int, key: _Key) -> Iterator[Value]:
    mapped = dialects.MAP.match(buf, start)
    for item in dialects.ITEM_OF_MAP.finditer(buf, start, mapped.end()) if mapped else ():
        if is_secret(item["value"], key.believed, quoted=True, prose=False):
            yield Value(*item.span("value"), b"")


def _between(match: re.Match[bytes] | None) -> tuple[int, int] | None:
    return None if match is None else match.span("value")


def _quoted(buf: bytes, opening: re.Match[bytes]) -> tuple[int, int] | None:
    """Give the span between *opening* and the same quote again, on the same line."""
    mark = opening["mark"]
    plain = dialects.QUOTED.get(mark)
    if plain is not None:
        match = plain.match(buf, opening.end())
        return match.span() if match else None
    end = buf.find(mark, opening.end(), opening.end() + dialects.MAX_VALUE)
    line = buf.find(b"\n", opening.end(), opening.end() + dialects.MAX_VALUE)
    return (opening.end(), end) if end >= 0 and not 0 <= line < end else None


def _unquoted(  # noqa: C901, PLR0911 - a table of what a value may be
    buf: bytes, start: int, separator: re.Match[bytes], key: _Key
) -> list[Value]:
    op, close = separator["op"], separator["close"]
    spaced = separator.end() > separator.end("op")
    at_start = key.at_line_start
    verdict = spaced and at_start and key.name == b"PASS" and op == b":" and dialects.VERDICT.match(buf, start)
    if verdict or _leads_nowhere(op, key):
        return []
    if at_start and close is None and op in {b"=", b":", b":=", b"?="}:
        rest = dialects.REST.match(buf, start)
        whole = rest[0] if rest else b""
        if whole.endswith(b"\\") and (lines := dialects.CONTINUED.match(buf, start)):
            if (one := dialects.ONE_OF_SEVERAL.match(buf, start)) is None:
                return _literal(buf, lines.span(), key, b"")
            whole = one[0]
        if b"#" in whole or b";" in whole or b"//" in whole:
            whole = dialects.COMMENT.sub(b"", whole)
        whole = whole.rstrip()
        one_word = _BLANK.search(whole) is None
        if _is_whole_line(whole, key, tight=op != b"=" or not spaced, one_word=one_word):
            quoted = (
                one_word
                and key.believed is Strength.STRONG
                and not dialects.CODE_LIKE.search(whole)
                and not whole.isdigit()
            )
            good = is_secret(whole, key.believed, quoted=quoted, prose=False)
            return [Value(start, start + len(whole), b"")] if good else []
    inline = dialects.INLINE_PLAIN.match(buf, start) or dialects.INLINE.match(buf, start)
    if inline is None:
        return []
    if _is_operand(buf, inline):
        return []
    inner = _inner(buf, inline, key)
    if inner is not None:
        good = is_secret(buf[inner.start : inner.end], key.believed, quoted=True, prose=False)
        return [inner] if good else []
    value = inline[0].rstrip(b".:!") if spaced and op.startswith(b":") else inline[0]
    if value[-1:] == b"[" and buf.startswith(b"\\r][\\n]", inline.end()):
        value = value[:-1]  # how Apache's HttpClient logs the end of a line
    prose = op in dialects.UNSURE
    if op == b":" and spaced and not close:
        goes_on = buf[inline.end() : inline.end() + 1] == b" " and not dialects.MORE_PAIRS.match(buf, inline.end())
        in_flow = buf[inline.end() : inline.end() + 1] in _FLOW_ENDS and key.before.rstrip(b" ")[-1:] in _FLOW
        prose = goes_on or (not at_start and key.is_word and not in_flow)
    elsewhere = op in dialects.UNSURE and dialects.ELSEWHERE.fullmatch(value)
    if not elsewhere and is_secret(value, key.believed, quoted=False, prose=prose):
        wrap = b'"' if close is not None and close.endswith(b'"') and op == b":" else b""
        return [Value(start, start + len(value), wrap)]
    return []


def _leads_nowhere(op: bytes, key: _Key) -> bool:
    """Say whether an operator compares with, or types, what is no literal, or pipes a value to a command."""
    if op == b"|":
        return dialects.CELL_BEFORE.search(key.before) is None
    return op in {b"==", b"==="} or dialects.TYPE_GIVEN.match(op) is not None


def _inner(buf: bytes, inline: re.Match[bytes], key: _Key) -> Value | None:
    """Give a value within braces, as ODBC quotes it, or before other options: username=bob,password=X,_netdev."""
    start = inline.start()
    if inline[0][:1] == b"{":
        braced = dialects.BRACED.match(buf, start)
        return Value(*braced.span("value"), b"") if braced else None
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
    first, second, *_ = words = whole.split()
    return (
        key.believed is Strength.STRONG
        and not key.before.endswith(b"-D")
        and len(words) <= 9
        and whole[-1:] not in {b",", b";", b"(", b"{", b".", b":"}
        and first[-1:] not in {b",", b";"}
        and second.lower() not in dialects.GOES_ON
        and dialects.ONE_WORD.search(key.name) is None
        and (is_secret(first, key.believed, quoted=False, prose=True) or (not tight and _is_phrase(words)))
    )


def _is_phrase(words: list[bytes]) -> bool:
    """Say whether several plain words are a passphrase, and no sentence about one."""
    return 3 <= len(words) <= _PHRASE_WORDS and all(
        word.isalpha() and word.islower() and word not in dialects.GOES_ON for word in words
    )


def _changed(buf: bytes, old: Value, key: _Key) -> Iterator[Value]:
    """Read what a value became, behind the old one: "old" -> "new", from old to new."""
    if buf[old.end : old.end + 1] not in dialects.BEFORE_CHANGE:
        return
    new = dialects.AND_THEN.match(buf, old.end)
    if new is not None and is_secret(new["value"], key.believed, quoted=True, prose=False):
        yield Value(*new.span("value"), b"")


def _without_separator(buf: bytes, key: _Key) -> Iterator[Value]:
    last = key.before[-1:]
    if last in dialects.NAME_ENDS and key.is_named:
        yield from _paired(buf, key)
    elif key.name[:1] == b"-" and last != b"<":
        yield from _argument(buf, key)
    elif key.name == b"community" and key.before.endswith(b"set "):
        return  # of BGP: a list of them, in a routing policy
    else:
        yield from _beside(buf, key)


def _paired(buf: bytes, key: _Key) -> Iterator[Value]:
    """Read the value of a pair whose other half is the key's name, on either side: `{"name": KEY, "value": X}`."""
    in_form = key.before[-6:].lower().endswith((b'name="', b"name='"))
    pairs = dialects.PAIRED if in_form else dialects.PAIRED[:-1]
    found = next((match for match in (pattern.match(buf, key.end) for pattern in pairs) if match), None)
    group = "value"
    if found is None:
        begin = key.end - len(key.name)
        found = dialects.PAIRED_BEFORE.search(buf, max(0, begin - dialects.PAIR_BACK), begin)
        group = "value" if found is None or found["value"] is not None else "attribute"
    if found is not None and is_secret(found[group], key.believed, quoted=True, prose=False):
        start, end = found.span(group)
        yield Value(start, end - (len(found[group]) - len(found[group].rstrip())), b"")


def _beside(buf: bytes, key: _Key) -> Iterator[Value]:  # noqa: C901 - a table of what may stand before a key
    """Read a value that stands beside the key without a separator: an element, an argument, a word, a sentence."""
    found: re.Match[bytes] | None = None
    quoted, prose = True, False
    last = key.before[-1:]
    if last == b"<" or (last == b":" and re.search(rb"<\w{1,20}:\Z", key.before[-22:])):
        found = dialects.ELEMENT.match(buf, key.end) or dialects.ATTRIBUTE.match(buf, key.end)
    elif last == b"{":
        found = dialects.TUPLE.match(buf, key.end)
    elif last in {b'"', b"'"} and dialects.VARIABLE.search(key.before[-24:]):
        found = dialects.DEFAULT.match(buf, key.end)
    elif last in {b'"', b"'"} and (key.before[-2:-1] == b"[" or dialects.CALLED.search(key.before[-48:])):
        found = dialects.SECOND.match(buf, key.end)
    elif last in {b'"', b"'"} and key.before[-2:-1] in {b"", b"\n"}:
        found, quoted, prose = dialects.ROW.match(buf, key.end), False, True
    elif (
        key.believed >= Strength.MEDIUM
        and dialects.SET.search(key.before[-64:])
        and not buf.startswith(b" to ", key.end)
    ):
        found, quoted = dialects.SET_VALUE.match(buf, key.end), False
    elif last == b"/" and (found := dialects.TYPED.match(buf, key.end)):
        pass
    elif key.believed >= Strength.MEDIUM:
        found = None if _is_verb(key) else dialects.SPACE_QUOTED.match(buf, key.end)
        if found is not None and (_is_object(buf, found.end(), key) or _is_shown(found[0], key)):
            return
        if found is None:
            found, quoted, prose = _in_words(buf, key), False, True
    if found is not None and is_secret(found["value"], key.believed, quoted=quoted, prose=prose):
        start, end = found.span("value")
        yield Value(start, end - (len(found["value"]) - len(found["value"].rstrip())), b"")


def _is_verb(key: _Key) -> bool:
    """Say whether the key is what somebody does: you can pass "x"."""
    return key.name.lower() == b"pass" and dialects.VERB_BEFORE.search(key.before[-16:]) is not None


def _is_shown(text: bytes, key: _Key) -> bool:
    """Say whether what is to be passed is a piece of a program, as Markdown marks it: Pass `--x` to."""
    return key.name.lower() == b"pass" and b"`" in text[:3]


def _is_operand(buf: bytes, inline: re.Match[bytes]) -> bool:
    """Say whether what follows makes a word without quotes a variable of a program: servername || hostname."""
    return inline[0].isalpha() and dialects.OPERATOR_AFTER.match(buf, inline.end()) is not None


def _in_words(buf: bytes, key: _Key) -> re.Match[bytes] | None:
    """Find a value that a sentence gives away, or that stands alone with its key on a line."""
    found = dialects.PROSE.match(buf, key.end) or dialects.FROM_TO.match(buf, key.end)
    if found is None and dialects.SET_BEFORE.search(key.before[-32:]):
        found = dialects.SET_TO.match(buf, key.end)
    if key.name in dialects.COMMANDS and dialects.LOGIN_AFTER.match(buf, key.end):
        return None
    if found is None and key.name.lower() not in dialects.OBJECTS and key.at_line_start:
        found = dialects.COLUMN.match(buf, key.end)
    return found


def _is_object(buf: bytes, end: int, key: _Key) -> bool:
    """Say whether what ends at *end* is a secret's name: Secret "db" created, in secret 'x', loaded ike secret 'x'."""
    goes_on = buf[end : end + 1] == b" "
    told = key.before[-4:] == b" in " or dialects.LOADED.search(key.before[-16:]) is not None
    return key.name.lower() in dialects.OBJECTS and (goes_on or told)


def _argument(buf: bytes, key: _Key) -> Iterator[Value]:
    """Read the argument of a long option: `--password VALUE`, `"--password", "VALUE"`."""
    gap = dialects.FLAG_GAP.match(buf, key.end)
    if gap is None:
        return
    if dialects.USAGE_AFTER.match(buf, key.end):
        return
    span = (dialects.QUOTED[gap["q"]] if gap["q"] else dialects.BARE_ARGUMENT).match(buf, gap.end())
    if span is None or span[0][:1] == b"-":
        return
    if is_secret(span[0], key.believed, quoted=bool(gap["q"]), prose=False):
        yield Value(*span.span(), b"")
