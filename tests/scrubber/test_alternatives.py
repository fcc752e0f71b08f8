"""An expression's alternatives are written out without changing what it matches."""

from __future__ import annotations

import re

import pytest

from scrubber.alternatives import first_bytes, write_out
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


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        (rb"abc", b"a"),
        (rb"\b[0-9]{3}-", b"0123456789"),
        (rb"\.x", b"."),
        (rb"\b(?:ab|[cd]e|\+)f", b"abcd+".replace(b"b", b"")),
        (rb"(?:^|\n)[0-1]x", b"\n01"),
        (rb"(?:[xy]{2}-){5}", bytes(range(256))),
        (rb"a?b", bytes(range(256))),
        (rb"[a-c]*b", bytes(range(256))),
        (rb"a{0,3}b", bytes(range(256))),
        (rb"(?:a)?b", bytes(range(256))),
    ],
)
def test_first_bytes(pattern, first):
    """The bytes that a match may begin with are known, or all are given."""
    assert first_bytes(pattern) == frozenset(first)


def test_first_bytes_of_either_case():
    """Where case does not matter both letters are given."""
    assert first_bytes(b"k1", caseless=True) == frozenset(b"kK")


def test_every_shape_begins_with_its_first_bytes():
    """What a shape of the rules matches in the rules' examples begins with a byte that is known of it."""
    text = "\n".join(text for rule in load_rules().rules for text in rule.rule.examples).encode()
    shapes = {anchor for rule in load_rules().rules for anchor in rule.anchors if anchor.shape}
    assert shapes
    for anchor in shapes:
        first = first_bytes(anchor.pattern, caseless=anchor.caseless)
        assert len(first) < 256
        for match in re.finditer(anchor.pattern, text, re.IGNORECASE if anchor.caseless else 0):
            assert text[match.start()] in first
