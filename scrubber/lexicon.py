"""Find a case's own names wherever they stand: what its dictionary learned and what its customer denies.

All literals are looked for in one pass, whatever the case of their letters, and count as whole words alone. A learned
domain takes the names below it along.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from scrubber.finder import remembered
from scrubber.hostnames import is_fqdn, is_public_domain, words
from scrubber.pseudonym import DOMAIN_PSEUDONYM, WORD_PSEUDONYM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scrubber.candidate import Candidate
    from scrubber.pseudonym import Pseudonymizer
    from scrubber.terms import Terms

_WORD = frozenset((*b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", *range(0x80, 0x100)))
"""What a word goes on with: letters and digits, and whatever is beyond ASCII and no `_SIGN`."""
_SIGN = (
    rb"(?:\xc2[\x80-\xa9\xab\xac\xae-\xb4\xb6-\xb9\xbb-\xbf]|\xe2[\x80-\xaf][\x80-\xbf]|"
    rb"[\xe3-\xed][\x80-\xbf]{2}|\xef[\xbc\xbd][\x80-\xbf]|\xf0\x9f[\x80-\xbf]{2})"
)
"""What is beyond ASCII and goes on with no word of another script: quotes, dashes, arrows, Chinese, kana, Hangul."""
_SIGN_AFTER = re.compile(_SIGN)
_SIGN_BEFORE = re.compile(_SIGN + rb"\Z")
_ESCAPE_BEFORE = re.compile(rb"(?:\\[nrtbfv]|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|%[0-9A-Fa-f]{2}|#[0-7]{3})\Z")
_LABEL_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_LABEL_AFTER = re.compile(rb"(?:-{1,8}[A-Za-z0-9_]{1,62}){1,20}(?=\.[A-Za-z0-9_])")
"""What a label goes on with behind a hyphen, in a name of several."""
_LABELS_AFTER = re.compile(rb"(?:\.[A-Za-z0-9_][A-Za-z0-9_\-]{0,62}){1,10}")
_REVERSED = frozenset((b"com", b"org", b"net", b"io", b"eu", b"dev", b"app", b"java", b"javax", b"lib"))
"""How names of packages begin."""
_TURNED = frozenset((b"com", b"org", b"net"))
"""What is followed by no site's name but where it is turned round, as in packages: logging.level.com.site.shop."""
_TOP_LEVEL = frozenset((b"com", b"net", b"org", b"edu", b"gov", b"biz", b"info")) | words("private_suffixes")
"""How hosts' full names end, beside countries."""
_WORDS_OF_NAMES = frozenset(("identity.user", "identity.host", "identity.realm"))
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}[A-Za-z0-9_]")
_ESCAPED_LETTER = re.compile(rb"\\[nrtbfv]\Z")


@dataclass(frozen=True, slots=True)
class Literal:
    """A name or term to look for, in small letters."""

    text: bytes
    rule: str
    image: Callable[[bytes], bytes]
    below: bool
    """Whether names below it belong to it."""
    label: str = ""
    """Which one label of a host's full name it is, if it is one: nothing of the name stays where it stands in one."""


class Lexicon:
    """The literals under one key, compiled. One for each thread."""

    def __init__(self, literals: Sequence[Literal], full: Callable[[bytes], bytes] = bytes) -> None:
        """Compile; see `build_lexicon`. *full* makes the pseudonym of a host's full name."""
        self.literals = tuple(literals)
        self._full = full
        self._scan: Callable[[bytes], list[int]] | None = None

    def __bool__(self) -> bool:
        """Say whether there is anything to look for."""
        return bool(self.literals)

    def find(self, buf: bytes, ranks: Mapping[str, int]) -> list[Candidate]:
        """Give the whole words of the dictionary in *buf*, in no order; some may overlap. *ranks* has each rule's."""
        if self._scan is None:
            self._scan = _scanner([literal.text for literal in self.literals])
        return self.confirm(buf, self._scan(buf), ranks)

    def full_name(self, name: bytes, *, realm: bool) -> bytes | None:
        """Give the pseudonym of *name* in which a label was learned, None where it is no host's full name."""
        return self._full(name) if _is_full_name(name.lower(), realm=realm) else None

    def confirm(self, buf: bytes, events: Iterable[int], ranks: Mapping[str, int]) -> list[Candidate]:
        """Give those of *events* that are whole words; an event is a literal's end, shifted by 20 bits, and number."""
        found: list[Candidate] = []
        append, word, size = found.append, _WORD, len(buf)
        literals = [
            (len(literal.text), ranks[literal.rule], literal.image, literal.below, literal.label, literal.text)
            for literal in self.literals
        ]
        learned = [literal.rule in _WORDS_OF_NAMES for literal in self.literals]
        for event in events:
            end = event >> 20
            if end < size and buf[end] in word and not (buf[end] >= 0x80 and _SIGN_AFTER.match(buf, end)):
                continue
            length, rank, image, below, label, value = literals[event & 0xFFFFF]
            start = end - length
            if start and buf[start - 1] in word and not _begins_word(buf, start):
                continue
            if end < size and buf[end] == 0x2D and _in_pseudonym(buf, start, end):
                continue
            if start and buf[start - 1] == 0x2E and learned[event & 0xFFFFF] and _in_package(buf, start, end):
                continue
            if below:
                start, end = _whole_host(buf, start, end)
                if start < 0:
                    continue
                value = buf[start:end].lower()
            elif label:
                name = _name_of_label(buf, start, end, realm=label == "realm")
                if name is not None:
                    value = buf[slice(*name)]
                    append((name[0], ranks["identity.domain"], -name[1], value.lower(), self._full(value)))
                    continue
            append((start, rank, -end, value, image(buf[start:end])))
        return found


def build_lexicon(
    pseudonyms: Pseudonymizer, terms: Terms, known: Sequence[tuple[bytes, str]] = (), *, personal: bool = True
) -> Lexicon:
    """Compile what *pseudonyms*' dictionary has learned and what *terms* denies; what they allow is left out.

    *known* secrets are looked for too, each with its kind; nothing else of it unless it is to be *personal*.
    """
    secrets = [
        Literal(value.lower(), "secret.known", _always(pseudonyms.tag(kind, value)), False) for value, kind in known
    ]
    if not personal:
        return Lexicon(secrets)
    images: dict[str, Callable[[bytes], bytes]] = {
        "user": remembered(lambda text: pseudonyms.word("user", text)),
        "host": remembered(pseudonyms.host),
        "domain": remembered(pseudonyms.host),
        "realm": remembered(lambda text: pseudonyms.word("host", text)),
        "person": remembered(pseudonyms.person),
    }
    deny = remembered(lambda text: pseudonyms.word("term", text))
    allowed = {term.encode().lower() for term in terms.allow}
    learned = [
        (value, kind) for value, kind in pseudonyms.dictionary.terms() if kind != "program" and value not in allowed
    ]
    literals = [
        Literal(value, f"identity.{kind}", images[kind], kind == "domain", kind if kind in {"host", "realm"} else "")
        for value, kind in learned
    ]
    distinguished = remembered(lambda text: _distinguished(text, images["domain"]))
    literals += [
        Literal(b"dc=" + value.replace(b".", b",dc="), "identity.domain", distinguished, False)
        for value, kind in learned
        if kind == "domain"
    ]
    literals += [Literal(term.encode().lower(), "terms.deny", deny, False) for term in terms.deny]
    return Lexicon([*literals, *secrets], images["domain"])


def _always(image: bytes) -> Callable[[bytes], bytes]:
    return lambda _text: image


def _begins_word(buf: bytes, start: int) -> bool:
    r"""Say whether what stands before a word ends an escape (`\\nweb01`, `%2Fweb01`) or is a sign beyond ASCII."""
    before = _ESCAPE_BEFORE if buf[start - 1] < 0x80 else _SIGN_BEFORE
    return before.search(buf[max(0, start - 6) : start]) is not None


def _in_pseudonym(buf: bytes, start: int, end: int) -> bool:
    window = buf[max(0, start - 16) : end + 16]
    low = max(0, start - 16)
    return any(m.start() + low <= start and end <= m.end() + low for m in WORD_PSEUDONYM.finditer(window))


def _whole_host(buf: bytes, start: int, end: int) -> tuple[int, int]:
    """Give the span of the whole name below a learned domain, (-1, -1) where that is a pseudonym already."""
    if start and buf[start - 1] == 0x2E:
        begin = _labels_start(buf, start)
        if begin < start and _ESCAPED_LETTER.search(buf[max(0, begin - 1) : begin + 1]):
            begin += 1
        start = begin
    if buf[end - 8 : end].lower() == b".example" and DOMAIN_PSEUDONYM.fullmatch(buf, start, end):
        return -1, -1
    return start, end


def _name_of_label(buf: bytes, start: int, end: int, *, realm: bool) -> tuple[int, int] | None:
    """Give the span of the host's full name in which a word is a label, or a label's beginning, if it is in one."""
    after = buf[end : end + 1]
    if after == b"-":
        rest = _LABEL_AFTER.match(buf, end)
        return None if rest is None else _full_name(buf, start, rest.end(), realm=realm)
    alone = after != b"." and buf[max(0, start - 1) : start] != b"."
    return None if alone else _full_name(buf, start, end, realm=realm)


def _full_name(buf: bytes, start: int, end: int, *, realm: bool) -> tuple[int, int] | None:
    """Give the span of the host's full name in which a label stands, if it is one and nobody's public name.

    A *realm* is what somebody registered: one label follows it. Names of packages and files stay as they are.
    """
    begin = _labels_start(buf, start) if start and buf[start - 1] == 0x2E else start
    rest = _LABELS_AFTER.match(buf, end)
    stop = rest.end() if rest else end
    if (realm and buf.count(b".", end, stop) != 1) or not _is_full_name(buf[begin:stop].lower(), realm=realm):
        return None
    return begin, stop


def _is_full_name(name: bytes, *, realm: bool) -> bool:
    """Say whether *name*, in small letters, is a host's full name, and not a public one, a package's or a file's."""
    if DOMAIN_PSEUDONYM.search(name) or not is_fqdn(name) or is_public_domain(name):
        return False
    labels = name.split(b".")
    if labels[0] in _REVERSED:
        return False
    if not realm:
        return len(labels) >= 3
    return (len(labels[-1]) == 2 or labels[-1] in _TOP_LEVEL) and _TURNED.isdisjoint(labels[-3:-2])


def _in_package(buf: bytes, start: int, end: int) -> bool:
    """Say whether a word stands in a package's name, which begins as a domain ends: de.site.shop.Order."""
    begin = _labels_start(buf, start)
    before = buf[begin:start].lower().split(b".")[:-1]
    if not before:
        return False
    first = before[0]
    if first in _REVERSED or before[-1] in _TURNED:
        return True
    if len(first) != 2 or not first.isalpha():
        return False
    rest = _LABELS_AFTER.match(buf, end)
    labels = buf[begin : rest.end() if rest else end].lower().split(b".")
    return len(labels) > 2 < len(labels[-1]) and labels[-1] not in _TOP_LEVEL


def _distinguished(text: bytes, image: Callable[[bytes], bytes]) -> bytes:
    """Give a domain's pseudonym as it is written in a distinguished name (RFC 2247), its attributes as they were."""
    parts = [part.partition(b"=") for part in text.split(b",")]
    made = image(b".".join(label for _, _, label in parts))
    return b",".join(parts[0][0] + b"=" + label for label in made.split(b"."))


def _labels_start(buf: bytes, start: int) -> int:
    """Give where the labels before *start* begin, each with its dot: from the last one backwards."""
    end, least = start, max(0, start - 200)
    while end > least and buf[end - 1] == 0x2E:
        dot = buf.rfind(b".", least, end - 1)
        label = buf[max(dot + 1, least) : end - 1]
        name = label[len(label.rstrip(_LABEL_CHARS)) :][-63:].lstrip(b"-")
        if not name:
            break
        end -= len(name) + 1
        if len(name) < len(label):
            break
        end = max(dot + 1, least)
    return end + 2 if end < start and _PERCENT.match(buf, end - 1) else end


@lru_cache(maxsize=4)
def _compile(literals: tuple[bytes, ...]) -> tuple[Any, Any]:
    """Compile once for all files of a folder. Give the module and the database."""
    hyperscan: Any = importlib.import_module("hyperscan")
    database = hyperscan.Database()
    database.compile(
        expressions=list(literals),
        ids=list(range(len(literals))),
        elements=len(literals),
        flags=hyperscan.HS_FLAG_CASELESS,
        literal=True,
    )
    return hyperscan, database


def _scanner(literals: list[bytes]) -> Callable[[bytes], list[int]]:
    """Build what gives `end << 20 | index` for each literal in a buffer."""
    if not literals:
        return lambda _buf: []
    try:
        hyperscan, database = _compile(tuple(literals))
    except ImportError:
        return _re_scanner(literals)
    scratch = hyperscan.Scratch(database)

    def scan(buf: bytes) -> list[int]:
        events: list[int] = []
        append = events.append

        def on_match(index: int, _start: int, end: int, _flags: int, _context: object) -> None:
            append(end << 20 | index)

        if buf:
            database.scan(buf, match_event_handler=on_match, scratch=scratch)
        return events

    return scan


def _re_scanner(literals: list[bytes]) -> Callable[[bytes], list[int]]:
    """Build the same from the standard library, slower."""
    index = {text: number for number, text in enumerate(literals)}
    lengths = sorted({len(text) for text in literals}, reverse=True)
    starts = re.compile(
        b"(?=(" + b"|".join(re.escape(text) for text in sorted(index, key=len, reverse=True)) + b"))", re.IGNORECASE
    )

    def scan(buf: bytes) -> list[int]:
        events = []
        low = buf.lower()
        for match in starts.finditer(low):
            at = match.start()
            for length in lengths:
                number = index.get(low[at : at + length])
                if number is not None:
                    events.append((at + length) << 20 | number)
        return events

    return scan
