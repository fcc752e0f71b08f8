"""Every rule finds its examples, leaves its counter-examples, and is described."""

from __future__ import annotations

import re
from random import Random

import pytest

from scrubber.anchor import Anchor
from scrubber.anchors import AnchorSet, HyperscanScanner
from scrubber.detector import Detector
from scrubber.errors import RuleError
from scrubber.rules import CompiledRule, load_rules, parse_rule
from scrubber.text import TextScrubber
from tests.scrubber.samples import fill

RULES = load_rules().rules
TOKENS = [rule for rule in RULES if rule.rule.id.startswith("token.")]


def plain(rule: CompiledRule, text: str) -> str:
    """Fill the short forms in a token's example; others are what they are."""
    return fill(text, Random(rule.rule.id)) if rule in TOKENS else text


EXAMPLES = [
    pytest.param(rule, plain(rule, text), id=f"{rule.rule.id}-{n}")
    for rule in RULES
    for n, text in enumerate(rule.rule.examples)
]
COUNTER = [
    pytest.param(rule, plain(rule, text), id=f"{rule.rule.id}-{n}")
    for rule in RULES
    for n, text in enumerate(rule.rule.counter_examples)
]
ACCELERATED = [pytest.param(True, id="vectorscan"), pytest.param(False, id="re")]


@pytest.fixture(scope="module", params=ACCELERATED)
def detector(request, pseudonyms):
    return Detector(load_rules(), pseudonyms, accelerated=request.param)


def run(detector: Detector, text: bytes) -> tuple[bytes, list[str]]:
    hits: list[str] = []
    scrubber = TextScrubber(detector, lambda noted: hits.extend(rule.rule.id for rule, _, _, _ in noted))
    return scrubber.feed(text) + scrubber.finish(), hits


@pytest.mark.parametrize(("rule", "text"), EXAMPLES)
def test_example_goes_and_its_surroundings_stay(detector, rule: CompiledRule, text: str):
    """What is marked in an example is replaced by that rule, and nothing beside it changes."""
    plain = text.replace("⟦", "").replace("⟧", "").encode()
    out, hits = run(detector, plain)
    assert rule.rule.id in hits or (rule in TOKENS and hits)
    for marked in re.findall("⟦(.*?)⟧", text, re.DOTALL):
        assert marked.encode() not in out
    if not rule.block:
        for kept in re.split("⟦.*?⟧", text, flags=re.DOTALL):
            assert kept.encode() in out
    assert out.count(b"\n") == plain.count(b"\n")


@pytest.mark.parametrize(("rule", "text"), EXAMPLES)
def test_second_scrub_changes_nothing(detector, rule: CompiledRule, text: str):
    """A scrubbed example has nothing left for any rule."""
    once, _ = run(detector, text.replace("⟦", "").replace("⟧", "").encode())
    assert run(detector, once) == (once, [])


@pytest.mark.parametrize(("rule", "text"), COUNTER)
def test_counter_example_stays(detector, rule: CompiledRule, text: str):
    """A rule leaves its counter-examples alone."""
    assert rule.rule.id not in run(detector, text.encode())[1]


@pytest.mark.parametrize("rule", TOKENS, ids=lambda rule: rule.rule.id)
def test_token_row_agrees_with_itself(pseudonyms, rule: CompiledRule):
    """A row's anchor stands where its expression needs it, and its expression takes the whole of its example."""
    finder = rule.build(pseudonyms)
    for turn in range(20):
        text = fill(rule.rule.examples[0], Random(f"{rule.rule.id} {turn}"))
        marked = [
            (found.start() - 2 * n, found.end() - 2 * n - 2) for n, found in enumerate(re.finditer("⟦.*?⟧", text))
        ]
        data = text.replace("⟦", "").replace("⟧", "").encode()
        hits = [finder(data, *found.span()) for anchor in rule.anchors for found in re.finditer(anchor.pattern, data)]
        spans = {hit[:2] for hit in hits if hit}
        assert spans & set(marked)


class Stuck(Random):
    """Always draws an x."""

    def choice(self, seq):
        return "x" if "x" in seq else seq[-1]


UNPROVEN = [rule for rule in TOKENS if rule.check in {"varied", "mixed", "digit"}]


@pytest.mark.parametrize("rule", UNPROVEN, ids=lambda rule: rule.rule.id)
def test_token_of_one_character_stays(pseudonyms, rule: CompiledRule):
    """A placeholder that has a token's form and no random characters is no token."""
    finder = rule.build(pseudonyms)
    data = fill(rule.rule.examples[0], Stuck()).replace("⟦", "").replace("⟧", "").encode()
    hits = [finder(data, *found.span()) for anchor in rule.anchors for found in re.finditer(anchor.pattern, data)]
    assert not any(hits)


def test_issuers_are_many():
    """There are more than two hundred formats, each with its own name."""
    assert len({rule.rule.id for rule in TOKENS}) > 200


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule.id)
def test_rule_has_description_and_examples(rule: CompiledRule):
    """A reader of a report can look up what a rule means."""
    assert rule.rule.description.endswith(".")
    assert rule.rule.examples


@pytest.mark.parametrize(
    "change",
    [{"category": "odd"}, {"anchors": []}, {"pattern": "("}, {"check": "none"}, {"colour": "red"}, {"finder": "none"}],
    ids=lambda change: next(iter(change)),
)
def test_wrong_rule_is_refused(change, pseudonyms):
    """A rule that is written wrongly names itself, at the latest when it is built."""
    good = {"id": "x.y", "category": "secret", "description": "X.", "anchors": ["x"], "pattern": "xy"}
    assert parse_rule(good).rule.id == "x.y"
    with pytest.raises(RuleError, match=r"x\.y"):
        parse_rule(good | change).build(pseudonyms)


def test_anchor_that_is_too_large_is_named_with_its_rule_and_the_reason():
    """Of all anchors that are compiled together, the one that Vectorscan refuses is told, and whose it is."""
    anchors = [
        Anchor(pattern=b"abc", rule="fine"),
        Anchor(pattern=rb"(?:a|b )[^\n]{0,900}x[^\n]{0,900}y", rule="wide.one"),
    ]
    with pytest.raises(RuleError, match=r"wide\.one.*900.*too large"):
        HyperscanScanner(AnchorSet(anchors))


def test_scanners_agree_on_every_example(pseudonyms):
    """With Vectorscan and with the standard library the outcome is the same."""
    block = "\n".join(text for rule in RULES for text in (*rule.rule.examples, *rule.rule.counter_examples)).encode()
    fast, slow = (run(Detector(load_rules(), pseudonyms, accelerated=how), block) for how in (True, False))
    assert fast == slow
