"""Find everything in one buffer: scan for anchors, confirm each, give candidates in the order in which they win."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from scrubber.anchors import INDEX_BITS, INDEX_MASK, LENGTH_MASK, START_SHIFT, Anchor, build_scanner
from scrubber.lexicon import Lexicon, build_lexicon
from scrubber.pseudonym import TAG, Pseudonymizer
from scrubber.rules import LEARNED_RULES
from scrubber.terms import Allowed, Terms

if TYPE_CHECKING:
    from scrubber.finder import Finder
    from scrubber.rules import CompiledRule, RuleSet

_NO_TERMS = Terms()

Candidate = tuple[int, int, int, bytes, bytes]
"""Start, rank of the rule, the negative end, value, replacement.

Sorting puts the earliest first, then the most specific, then the longest. A plain tuple: one is made for every finding.
"""


class Detector:
    """The rules under one key. Holds scratch space and a cache: one for each thread."""

    def __init__(
        self, rules: RuleSet, pseudonyms: Pseudonymizer, *, terms: Terms = _NO_TERMS, accelerated: bool = True
    ) -> None:
        self.pseudonyms = pseudonyms
        self.rules = rules
        personal = any(rule.rule.category == "personal" for rule in rules.rules)
        every = (*rules.rules, *LEARNED_RULES) if personal else rules.rules
        self.ranked: list[CompiledRule] = sorted(every, key=lambda rule: (-rule.priority, rule.rule.id))
        self.lexicon: Lexicon | None = build_lexicon(pseudonyms, terms) if personal else None
        self._learned = {rule.rule.id: rank for rank, rule in enumerate(self.ranked) if not rule.anchors}
        self._allowed = Allowed(terms) if terms.allow else None
        handlers: list[tuple[int, Finder]] = []
        anchors: list[Anchor] = []
        for rank, rule in enumerate(self.ranked):
            if not rule.anchors:
                continue
            finder = rule.build(pseudonyms)
            anchors += rule.anchors
            handlers += [(rank, finder)] * len(rule.anchors)
        self._tag_ends: list[int] = []
        anchors.append(Anchor(pattern=rb":[0-9a-f]{8}\]"))
        handlers.append((0, self._see_tag))
        self._handlers = handlers
        self._scanner = build_scanner(anchors, accelerated=accelerated)

    def _see_tag(self, _buf: bytes, _start: int, end: int) -> None:
        self._tag_ends.append(end)

    def find(self, buf: bytes) -> list[Candidate]:
        """Give the candidates in *buf*, sorted."""
        found: list[Candidate] = []
        append = found.append
        handlers = self._handlers
        for event in self._scanner.scan(buf):
            rank, finder = handlers[event & INDEX_MASK]
            start = event >> START_SHIFT
            hit = finder(buf, start, start + (event >> INDEX_BITS & LENGTH_MASK))
            if hit is None:
                continue
            if isinstance(hit, list):
                found += [(begin, rank, -end, value, replacement) for begin, end, value, replacement in hit]
            else:
                begin, end, value, replacement = hit
                append((begin, rank, -end, value, replacement))
        if self.lexicon:
            learned = self._learned
            found += [
                (begin, learned[name], -end, value, new) for name, begin, end, value, new in self.lexicon.find(buf)
            ]
        if self._allowed is not None:
            found = [c for c in found if self.ranked[c[1]].rule.category == "secret" or c[3] not in self._allowed]
        if self._tag_ends:
            tags, self._tag_ends = sorted(self._tag_ends), []
            found = _without_tags(buf, tags, found)
        found.sort()
        return found


def _without_tags(buf: bytes, tags: list[int], found: list[Candidate]) -> list[Candidate]:
    """Leave alone what was replaced before: a candidate that touches a tag goes."""
    starts: list[int] = []
    ends: list[int] = []
    for end in tags:
        begin = buf.rfind(b"[", max(0, end - 74), end - 10)
        if begin >= 0 and TAG.fullmatch(buf, begin, end):
            starts.append(begin)
            ends.append(end)
    return [c for c in found if (after := bisect_right(ends, c[0])) == len(ends) or starts[after] >= -c[2]]
