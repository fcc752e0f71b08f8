"""Every rule finds its examples, leaves its counter-examples, and is described."""

from __future__ import annotations

import re

import pytest

from scrubber.detector import Detector
from scrubber.errors import RuleError
from scrubber.rules import CompiledRule, load_rules, parse_rule
from scrubber.text import TextScrubber

RULES = load_rules().rules
EXAMPLES = [
    pytest.param(rule, text, id=f"{rule.rule.id}-{n}") for rule in RULES for n, text in enumerate(rule.rule.examples)
]
COUNTER = [
    pytest.param(rule, text, id=f"{rule.rule.id}-{n}")
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
    assert rule.rule.id in hits
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
def test_wrong_rule_is_refused(change):
    """A rule that is written wrongly names itself."""
    good = {"id": "x.y", "category": "secret", "description": "X.", "anchors": ["x"], "pattern": "xy"}
    assert parse_rule(good).rule.id == "x.y"
    with pytest.raises(RuleError, match=r"x\.y"):
        parse_rule(good | change)


def test_scanners_agree_on_every_example(pseudonyms):
    """With Vectorscan and with the standard library the outcome is the same."""
    block = "\n".join(text for rule in RULES for text in (*rule.rule.examples, *rule.rule.counter_examples)).encode()
    fast, slow = (run(Detector(load_rules(), pseudonyms, accelerated=how), block) for how in (True, False))
    assert fast == slow
