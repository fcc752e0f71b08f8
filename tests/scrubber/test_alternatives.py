"""An expression's alternatives are written out without changing what it matches."""

from __future__ import annotations

import re

import pytest

from scrubber.alternatives import write_out
from scrubber.rules import load_rules


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        (rb"abc", [rb"abc"]),
        (rb"(?:a|b|c)x", [rb"(?:a|b|c)x"]),
        (rb"\b(?:ab|cd|ef|gh)[=:]", [rb"\bab[=:]", rb"\bcd[=:]", rb"\bef[=:]", rb"\bgh[=:]"]),
        (rb"(?:a(?:1|2|3|4)|b|c|d)x", [rb"a(?:1|2|3|4)x", rb"bx", rb"cx", rb"dx"]),
        (rb"(?:a|b|c|d)?x", [rb"(?:a|b|c|d)?x"]),
        (rb"(?:[|)]|\||\)|d)x", [rb"[|)]x", rb"\|x", rb"\)x", rb"dx"]),
        (rb"[^])(](?:a|b|c|d)", [rb"[^])(]a", rb"[^])(]b", rb"[^])(]c", rb"[^])(]d"]),
        (rb"(?:a|b)(?:1|2|3|4)", [rb"(?:a|b)1", rb"(?:a|b)2", rb"(?:a|b)3", rb"(?:a|b)4"]),
        (rb"(?:|a|b|c)x", [rb"x", rb"ax", rb"bx", rb"cx"]),
    ],
)
def test_written_out(pattern, written):
    """The first group of four or more that stands by itself is written out, whatever stands in it."""
    assert write_out(pattern) == written


def test_every_anchor_matches_as_before():
    """Whatever an anchor of the rules finds in the rules' examples, what it is written out as finds too."""
    text = "\n".join(text for rule in load_rules().rules for text in rule.rule.examples).encode()
    for anchor in {anchor for rule in load_rules().rules for anchor in rule.anchors}:
        flags = re.IGNORECASE if anchor.caseless else 0
        whole = {match.start() for match in re.finditer(anchor.pattern, text, flags)}
        parts = {match.start() for each in write_out(anchor.pattern) for match in re.finditer(each, text, flags)}
        assert whole <= parts
