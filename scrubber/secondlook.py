"""Look again, at the output: nothing that a sure rule finds, and no distinctive secret found before, may stand in it.

What the first look misses by a fault in a format, at a boundary or in a state becomes a stop here. Two looks: the sure
rules run over each member's output as it is written; and the secrets that were found are looked for, literally, in the
last output that is kept in memory, whatever stands around them there. Values never leave this object.
"""

from __future__ import annotations

import contextlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from scrubber import vectorscan
from scrubber.alternatives import write_out
from scrubber.checks import entropy
from scrubber.detector import Detector
from scrubber.replaced import DISTINCTIVE, secrets_of
from scrubber.rules import KNOWN_RULE, RuleSet
from scrubber.text import HISTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scrubber.candidate import Noted
    from scrubber.pseudonym import Pseudonymizer
    from scrubber.rules import CompiledRule

SURE = ("private-key.", "token.")
"""Rules whose matches are recognisable by themselves, wherever they stand; of them those that begin with a literal."""
_LITERAL = re.compile(rb"(?:\\b)?(?:[A-Za-z0-9_:<@=/ \-]|\\[.\-+]){2}")
"""The scan passes over these at 400 MB/s; an expression that begins with a class costs as much as all of them."""
HELD = 32 << 20
"""Bytes of output that wait to be searched for values found later."""
SHORTEST, LONGEST = DISTINCTIVE
MOST_VALUES = 20_000
_FEW = 4
_REMEMBERED = 200_000
_CUT = 4 << 10
"""Bytes at a cut whose surroundings are not all there. Pieces overlap by more than twice as many."""


class _Piece(NamedTuple):
    """A piece of a member's output, with what came before it."""

    member: str
    tail: bytes
    data: bytes
    final: bool


class SecondLook:
    """Reads the output of members as it is written; tells of each hit once for a member and a rule."""

    def __init__(
        self, rules: RuleSet, pseudonyms: Pseudonymizer, tell: Callable[[str, str], None], *, held: int = HELD
    ) -> None:
        """Tell *tell* of a member and a rule that still finds something in its output."""
        self._sure = sure_rules(rules)
        self._pseudonyms = pseudonyms
        self._suspicious = build_alarm(self._sure)
        self._detector: Detector | None = None
        self._tell = tell
        self._told: set[tuple[str, str]] = set()
        self.left: dict[bytes, str] = {}
        """The values found before that still stand in the output, with their kinds."""
        self._limit = held
        self._values: dict[bytes, CompiledRule] = {}
        self._seen: set[bytes] = set()
        self._pieces: list[_Piece] = []
        self._size = 0
        self._member = ""
        self._wide = False
        self._tail = b""

    def expect_none_of(self, known: Iterable[tuple[bytes, str]]) -> None:
        """Look for *known* secrets too, whatever they are like."""
        self._values.update((value, KNOWN_RULE) for value, _ in known)

    def learn(self, noted: Iterable[Noted]) -> None:
        """Remember the secrets among what was replaced, those that can hardly stand there by chance."""
        for rule, value in secrets_of(noted):
            if value not in self._seen:
                self._learn(rule, value)

    def _learn(self, rule: CompiledRule, value: bytes) -> None:
        if len(self._seen) < _REMEMBERED:
            self._seen.add(value)
        if len(self._values) < MOST_VALUES and is_distinctive(value):
            self._values[value] = rule

    def begin(self, member: str, *, wide: bool = False) -> None:
        """Begin with the output of *member*; *wide* text is UTF-16, and is read narrowed."""
        self._end_member()
        self._member, self._wide = member, wide

    def feed(self, data: bytes) -> None:
        """Take the next piece of output."""
        if self._wide:
            data = data.replace(b"\0", b"")
        self._pieces.append(_Piece(self._member, self._tail, data, final=False))
        self._size += len(data)
        self._tail = data[-HISTORY:] if len(data) >= HISTORY else (self._tail + data)[-HISTORY:]
        if self._size >= self._limit:
            self._search()

    def end(self) -> None:
        """Look through what is left."""
        self._end_member()
        self._search()

    def _end_member(self) -> None:
        """Mark the last piece of a member, whose end is no cut."""
        if self._pieces and self._pieces[-1].member == self._member:
            self._pieces[-1] = self._pieces[-1]._replace(final=True)
        elif self._tail:
            self._pieces.append(_Piece(self._member, self._tail, b"", final=True))
        self._tail = b""

    def _search(self) -> None:
        search = build_search(list(self._values)) if self._values else None
        for piece in self._pieces:
            text = piece.tail + piece.data
            if search is not None:
                for value in search(text):
                    self.left[value] = self._values[value].kind
                    self._hit(piece.member, self._values[value].rule.id)
            if self._suspicious(text):
                self._look(piece, text)
        self._pieces.clear()
        self._size = 0

    def _look(self, piece: _Piece, text: bytes) -> None:
        """Ask the sure rules; what touches a cut is decided in the piece before or after, which has it whole."""
        first = _CUT if len(piece.tail) == HISTORY else 0
        last = len(text) if piece.final else len(text) - _CUT
        if self._detector is None:  # rarely needed, so it is made then
            self._detector = Detector(self._sure, self._pseudonyms)
        for start, rank, negative_end, _, _ in self._detector.find(text)[0]:
            if first <= start and -negative_end <= last:
                self._hit(piece.member, self._detector.ranked[rank].rule.id)

    def _hit(self, member: str, rule: str) -> None:
        if (member, rule) not in self._told:
            self._told.add((member, rule))
            self._tell(member, rule)


@lru_cache(maxsize=4)
def sure_rules(rules: RuleSet) -> RuleSet:
    """Give the sure ones of *rules*: a look is made for every file, and they are the same for all."""
    return RuleSet(rules=tuple(rule for rule in rules.rules if is_sure(rule)), version=rules.version)


def is_sure(rule: CompiledRule) -> bool:
    """Say whether *rule*'s matches are recognisable by themselves, and cheap to look for."""
    return rule.rule.id.startswith(SURE) and all(
        not anchor.shape and _LITERAL.match(anchor.pattern) for anchor in rule.anchors
    )


def is_distinctive(value: bytes) -> bool:
    """Say whether *value* is long and mixed enough that it stands nowhere by chance: no word, name, path or number."""
    if not SHORTEST <= len(value) <= LONGEST or value.lower() == value or value.upper() == value:
        return False
    if _DIGIT.search(value) is None or _BETWEEN.search(value) is not None:
        return False
    return entropy(value) >= 3.5


_DIGIT, _BETWEEN = re.compile(rb"[0-9]"), re.compile(rb"[\s\[\]{}<>$%/\\]")


def build_search(values: list[bytes]) -> Callable[[bytes], set[bytes]]:
    """Give what says which of *values* stand in a text: with Vectorscan, or one after the other."""
    if len(values) > _FEW:
        try:
            return _literals(values)
        except ImportError:
            pass
    return lambda text: {value for value in values if value in text}


def _literals(values: list[bytes]) -> Callable[[bytes], set[bytes]]:
    hyperscan = vectorscan.load_module()
    database = hyperscan.Database()
    database.compile(
        expressions=[b"".join(b"\\x%02x" % byte for byte in value) for value in values],
        ids=list(range(len(values))),
        elements=len(values),
        flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(values),
    )
    scratch = hyperscan.Scratch(database)

    def search(text: bytes) -> set[bytes]:
        found: set[bytes] = set()

        def on_match(index: int, _start: int, _end: int, _flags: int, _context: object) -> None:
            found.add(values[index])

        if text:
            database.scan(text, match_event_handler=on_match, scratch=scratch)
        return found

    return search


@lru_cache(maxsize=4)
def build_alarm(rules: RuleSet) -> Callable[[bytes], bool]:
    """Give what says whether any anchor of *rules* begins in a text: far cheaper than to say where."""
    anchors = [anchor for rule in rules.rules for anchor in rule.anchors]
    try:
        hyperscan = vectorscan.load_module()
    except ImportError:
        return lambda _text: bool(anchors)
    if not anchors:
        return lambda _text: False
    single: int = hyperscan.HS_FLAG_SINGLEMATCH
    caseless: int = hyperscan.HS_FLAG_CASELESS
    written = [(number, each, anchor) for number, anchor in enumerate(anchors) for each in write_out(anchor.pattern)]
    database = vectorscan.compile_rules(
        [each for _, each, _ in written],
        [number for number, _, _ in written],
        [single | caseless if anchor.caseless else single for _, _, anchor in written],
    )

    def alarm(text: bytes) -> bool:
        hits: list[int] = []

        def on_match(index: int, _start: int, _end: int, _flags: int, _context: object) -> bool:
            hits.append(index)
            return True

        if text:
            with contextlib.suppress(hyperscan.ScanTerminated):
                database.scan(text, match_event_handler=on_match, scratch=hyperscan.Scratch(database))
        return bool(hits)

    return alarm
