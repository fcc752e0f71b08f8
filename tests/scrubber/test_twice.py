"""What was scrubbed is left alone: scrubbing it once more changes nothing."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubber.detector import Detector
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.text import TextScrubber
from tests.scrubber.truth import values
from tests.scrubber.truth.story import tell

DETECTOR = Detector(load_rules(), Pseudonymizer(b"k" * 32))
MAKERS = (
    values.card,
    values.iban,
    values.ssn,
    values.nino,
    values.dni,
    values.nir,
    values.pesel,
    values.cpf,
    values.codice_fiscale,
    values.personnummer,
    values.steuer_id,
    values.public_ipv4,
    values.ipv6,
    values.mac,
)
BEFORE = st.sampled_from(("", "IBAN ", '"name": "', "from ", "SIN ", "x=", "(", "\n", "\t", ", "))
BETWEEN = st.sampled_from((" ", ", ", "\n", '", "', ";", "\t", " | ", ")", " - "))
NUMBERS = st.from_regex(r"\A[1-9][0-9]{1,4}(?:[ .\-/][0-9]{2,4}){1,5}\Z")
LARGEST = 60_000


def scrub(text: bytes) -> bytes:
    scrubber = TextScrubber(DETECTOR, lambda _: None)
    return scrubber.feed(text) + scrubber.finish()


@pytest.mark.parametrize("seed", [23])
def test_texts_of_a_seed_are_scrubbed_once(seed):
    """No pseudonym of any kind is found again, in whatever stands around it."""
    texts = {
        path: node.data
        for path, node in tell(seed).files.items()
        if len(node.data) < LARGEST and b"\0" not in node.data and not path.startswith("refused")
    }
    changed = [path for path, text in texts.items() if (once := scrub(text)) != scrub(once)]
    assert changed == []


@given(
    st.integers(0, 1 << 30),
    st.lists(st.tuples(BEFORE, st.sampled_from(MAKERS) | NUMBERS, BETWEEN), min_size=1, max_size=6),
)
def test_any_values_are_scrubbed_once(seed, parts):
    """Pseudonyms beside one another, and groups of one, make no number of another kind."""
    rng = Random(seed)
    text = "".join(before + (what if isinstance(what, str) else what(rng)) + after for before, what, after in parts)
    once = scrub(text.encode())
    assert scrub(once) == once
