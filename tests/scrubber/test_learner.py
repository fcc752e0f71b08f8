"""What a bundle says of its own users, hosts and domains is learned, and nothing else is."""

from __future__ import annotations

import re

import pytest

from scrubber.dictionary import Dictionary
from scrubber.learner import Learner, load_origins

ORIGINS = load_origins()
EXAMPLES = [
    pytest.param(text, id=f"{origin.id}-{number}") for origin in ORIGINS for number, text in enumerate(origin.examples)
]
COUNTER = [
    pytest.param(text, id=f"{origin.id}-{number}")
    for origin in ORIGINS
    for number, text in enumerate(origin.counter_examples)
]
MARK = re.compile("⟦(.*?):(.*?)⟧", re.DOTALL)


def learned(text: str, name: str = "x.txt", *, accelerated: bool = True) -> dict[bytes, str]:
    dictionary = Dictionary()
    member = Learner(dictionary, accelerated=accelerated).member(name)
    member.feed(text.encode())
    member.finish()
    return dict(dictionary.terms())


@pytest.mark.parametrize("accelerated", [True, False], ids=["vectorscan", "re"])
@pytest.mark.parametrize("text", EXAMPLES)
def test_example_is_learned(text, accelerated):
    """What is marked in an example is learned as what it is."""
    plain = MARK.sub(r"\2", text)
    wanted = {
        (value.lower().replace(",dc=", ".").encode(), kind.replace("dc", "domain"))
        for kind, value in MARK.findall(text)
    }
    assert wanted <= set(learned(plain, accelerated=accelerated).items())


@pytest.mark.parametrize("text", COUNTER)
def test_counter_example_teaches_nothing(text):
    """System accounts, vendors, placeholders and ordinary words are not learned."""
    assert learned(text) == {}
