"""Find everything in one buffer: scan for anchors, confirm each, give candidates in the order in which they win."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from scrubber.anchors import INDEX_BITS, Anchor, build_scanner
from scrubber.pseudonym import TAG, Pseudonymizer

if TYPE_CHECKING:
    from scrubber.rules import CompiledRule, RuleSet


class Candidate(NamedTuple):
    """A span that a rule wants replaced. Sorting puts the earliest first, then the most specific, then the longest."""

    start: int
    order: int  # negative priority; the rule's place in the rule set breaks ties
    negative_end: int
    rule: CompiledRule
    value: bytes
    replacement: bytes

    @property
    def end(self) -> int:
        """Give where the span ends."""
        return -self.negative_end


class Detector:
    """The rules under one key. Holds scratch space and a cache: one for each thread."""

    def __init__(self, rules: RuleSet, pseudonyms: Pseudonymizer, *, accelerated: bool = True) -> None:
        self.pseudonyms = pseudonyms
        self.rules = rules
        owners = [(rule, anchor) for rule in rules.rules for anchor in rule.anchors]
        anchors = [anchor for _, anchor in owners]
        self._tag = len(anchors)
        self._scanner = build_scanner([*anchors, Anchor(pattern=rb":[0-9a-f]{8}\]")], accelerated=accelerated)
        finders = {rule.rule.id: rule.build(pseudonyms) for rule in rules.rules}
        self._handlers = [(rule, -rule.priority, finders[rule.rule.id]) for rule, _ in owners]

    def find(self, buf: bytes) -> list[Candidate]:
        """Give the candidates in *buf*, sorted."""
        found: list[Candidate] = []
        append = found.append
        handlers = self._handlers
        tags: list[int] = []
        mask = (1 << INDEX_BITS) - 1
        for event in set(self._scanner.scan(buf)):
            index = event & mask
            if index == self._tag:
                tags.append(event >> INDEX_BITS)
                continue
            rule, order, finder = handlers[index]
            for begin, end, value, replacement in finder(buf, event >> INDEX_BITS):
                append(Candidate(begin, order, -end, rule, value, replacement))
        if tags and found:
            found = _without_tags(buf, sorted(tags), found)
        found.sort()
        return found


def _without_tags(buf: bytes, tags: list[int], found: list[Candidate]) -> list[Candidate]:
    """Leave alone what was replaced before: a candidate that touches a tag goes."""
    starts: list[int] = []
    ends: list[int] = []
    for hit in tags:
        begin = buf.rfind(b"[", max(0, hit - 64), hit)
        if begin >= 0 and TAG.fullmatch(buf, begin, hit + 10):
            starts.append(begin)
            ends.append(hit + 10)
    return [c for c in found if (after := bisect_right(ends, c.start)) == len(ends) or starts[after] >= c.end]
