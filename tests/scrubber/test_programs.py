"""Programs of the rules' expressions match what `re` matches, group by group; what they cannot is left to it."""

from __future__ import annotations

import ctypes
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubber.anchor import Anchor
from scrubber.anchors import AnchorSet, HyperscanScanner
from scrubber.compiled import load_library
from scrubber.learner import load_origins
from scrubber.programs import make_program
from scrubber.rules import load_rules

pytestmark = pytest.mark.skipif(load_library() is None, reason="no C compiler was there at installation")

GROUPS = 32
RULES = [
    *((rule.rule.id, rule.expression, rule.flags, rule.rule) for rule in load_rules().rules if rule.expression),
    *((f"learns {origin.id}", origin.expression, origin.flags, origin) for origin in load_origins()),
]
TEXTS = {
    name: [text.replace("⟦", "").replace("⟧", "").encode() for text in (*told.examples, *told.counter_examples)]
    for name, _, _, told in RULES
}
Spans = list[tuple[int, int]]


def matched(expression: bytes, flags: int, buf: bytes, start: int, stop: int) -> Spans | None:
    """Give the groups' spans, as the compiled part has them."""
    program = make_program(expression, flags)
    assert program is not None
    library = load_library()
    spans = (ctypes.c_int64 * (2 * GROUPS))()
    result = library.sieve_try(
        program.code, program.size, program.sets, len(program.sets) // 32, buf, len(buf), start, stop, spans
    )
    assert result >= 0
    groups = re.compile(expression, flags).groups
    return [(spans[2 * n], spans[2 * n + 1]) for n in range(groups + 1)] if result else None


def expected(expression: bytes, flags: int, buf: bytes, start: int, stop: int) -> Spans | None:
    match = re.compile(expression, flags).match(buf, start, stop)
    return [match.span(n) for n in range(match.re.groups + 1)] if match else None


@pytest.mark.parametrize(("name", "expression", "flags"), [rule[:3] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_every_rule_matches_as_with_re(name, expression, flags):
    """Examples, counter-examples and others' texts, whole and damaged, are matched alike at each byte."""
    chance = random.Random(name)
    others = [text for texts in TEXTS.values() for text in texts]
    for text in (*TEXTS[name], chance.choice(others)):
        damaged = bytearray(text or b"x")
        damaged[chance.randrange(len(damaged))] = chance.choice(chance.choice(others) or b"x")
        for part in (text, bytes(damaged)):
            buf = b"\nx " + part[:300] + b"\n" + chance.choice(others)[:80]
            for start in range(min(len(buf), 40)):
                stop = min(len(buf), chance.choice((len(buf), start + 50)))
                assert matched(expression, flags, buf, start, stop) == expected(expression, flags, buf, start, stop)


PIECES = st.sampled_from(
    [
        *(
            rb"a",
            rb"b",
            rb"[ab]",
            rb"[^a]",
            rb".",
            rb"\w",
            rb"\W",
            rb"\d",
            rb"\s",
            rb"\b",
            rb"\B",
            rb"^",
            rb"$",
            rb"\Z",
        ),
        *(
            rb"a*",
            rb"a+?",
            rb"[ab]{1,3}",
            rb".{0,4}?",
            rb"(?:ab|b|c)",
            rb"(a|ab)(b|)",
            rb"(?=a)",
            rb"(?!ab)",
            rb"(?<=b)",
        ),
        *(
            rb"(?<!a)",
            rb"(?:a|b){1,3}",
            rb"(?:ab)*",
            rb"(?:ab){0,2}?",
            rb"(c)?",
            rb"(?:(a)|b)+",
            rb"(?i:B)",
            rb"(?!(a)b)",
        ),
        *(rb"(?=(a+))", rb"(?:a(?!b)|b){2}", rb"(?<=(?:ab|ba))", rb"(?s:.)", rb"\A", rb"(?:a+b)+?", rb"(ab?){1,2}"),
    ]
)


@given(
    st.lists(PIECES, min_size=1, max_size=6).map(b"".join),
    st.lists(st.sampled_from([b"a", b"b", b"c", b"A", b"B", b"\n", b" ", b"1"]), max_size=12).map(b"".join),
    st.sampled_from([0, re.IGNORECASE, re.MULTILINE]),
)
def test_any_expression_matches_as_with_re(expression, text, flags):
    """Whatever an expression is put together from, all groups stand where `re` has them."""
    if re.compile(expression, flags).groups >= GROUPS or make_program(expression, flags) is None:
        return
    for start in range(len(text) + 1):
        assert matched(expression, flags, text, start, len(text)) == expected(expression, flags, text, start, len(text))


@pytest.mark.parametrize("expression", [rb"(?>a+)b", rb"a++", rb"(a)(?(1)b|c)", rb"(?:a*)*", rb"(?i)(a)\1"])
def test_what_is_rarely_written_is_left_to_re(expression):
    """There is no program that would mean something else."""
    assert make_program(expression) is None


@pytest.mark.parametrize("expression", [rb"(a)b", rb"a(?=b)", rb"^a"])
def test_what_looks_around_has_no_program_backwards(expression):
    """Nor what keeps what it matched."""
    assert make_program(expression) is not None
    assert make_program(expression, backwards=True) is None


def test_heads_are_matched_as_with_re():
    """An anchor of which only the rest is scanned for begins where `re` says, and is none where its head is missing."""
    pytest.importorskip("hyperscan")
    headed = [anchor for origin in load_origins() for anchor in origin.anchors if anchor.head]
    signs = (
        b"@",
        b"://",
        b"user ",
        b"[Uu]ser ",
        b"\\buser ",
        b"\\b[Uu]ser ",
        b"passw",
        b"authorization",
        b"\\bbearer ",
        b"\\x27[a-z]",
        b"[\\[{<(`",
    )
    headed += [a for origin in load_origins() for a in origin.anchors if a.before or a.pattern.startswith(signs)]
    headed += [a for rule in load_rules().rules for a in rule.anchors if a.pattern.startswith(signs)]
    headed.append(Anchor(pattern=rb"[<(][a-z]{1,9}(?:x|yy)?@[a-z]", head=rb"[<(][a-z]{1,9}(?:x|yy)?", caseless=True))
    anchors, chance = AnchorSet(headed), random.Random(5)
    quick, plain = HyperscanScanner(anchors, load_library()), HyperscanScanner(anchors)
    pieces = [
        b" web01",
        b"kunde",
        b".de",
        b".de ",
        b".com,",
        b"@10.1.2.3",
        b"a" * 70,
        b"(anna",
        b"@zeus7:~",
        b"/",
        b"=",
    ]
    pieces += [
        b" NORD",
        b"ADS\\m",
        b"<Xyy",
        b"@q",
        b"\n",
        b"-",
        b".",
        b"://",
        b"\xe4",
        b"ab@10.0.0.1",
        b"\0",
        b"https",
        b"x",
        b"postgres",
        b" for ",
        b"'",
        b'"',
        b"mrossi",
        b"jane_doe7",
        b"Anna ",
        b"Berg, ",
        b"User ",
        b"\xc3\x96zg\xc3\xbcr ",
        b"van der ",
        b"Bearer ",
        b"proxy-AuthoriZation: ",
        b"{",
        b"}",
        b"\\",
        b"> ",
    ]
    for size in (0, 1, *(chance.randrange(80) for _ in range(600))):
        text = b"".join(chance.choices(pieces, k=size))
        assert sorted(quick.scan(text)) == sorted(plain.scan(text)), text
    text = b" anna@10.1.2.3 from web01.kunde.de\n<qyy@zeus"
    assert len(set(quick.scan(text))) >= 3
    named = b" Anna Berg, 'mrossi' (jane_doe7) =\"mrossi\" > \xc3\x96zg\xc3\xbcr van der Berg"
    assert sorted(quick.scan(named)) == sorted(plain.scan(named))
    assert len(set(quick.scan(named))) >= 5


def test_what_goes_back_without_end_is_given_up():
    """An expression that would try for minutes ends soon, and says that it does not know."""
    program = make_program(rb"(?:a|b|ab)+c")
    assert program is not None
    text = b"ab" * 200
    sets, spans = program.sets, (ctypes.c_int64 * (2 * GROUPS))()
    assert load_library().sieve_try(program.code, program.size, sets, len(sets) // 32, text, 400, 0, 400, spans) < 0
