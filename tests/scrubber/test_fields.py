"""What keys say of their values: every word of the lists is met where it stands before a value."""

import pytest

from scrubber.detector import Detector
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.words import load_words

VALUES = {
    "name": "Solveig Aasen",
    "street": "Lindenallee 14",
    "city": "Tromso",
    "zip": "70565",
    "house": "12 a",
    "birth": "1971-03-14",
    "national": "268115855823627",
    "passport": "C01X00T47",
    "licence": "B072RRE2I55",
    "plate": "KA-PA 777",
    "geo": "52.52437",
    "account": "1234987650",
    "phone": "030 55501177",
}
"""For each list of keys (rulesets/words-personal.yaml) a value that such a key can have."""


@pytest.mark.parametrize("kind", VALUES)
def test_every_key_of_the_lists_is_seen(kind):
    """A value goes whichever of the listed words its key is."""
    keys = sorted(word for word in load_words(f"keys_{kind}") if word.isascii())
    text = "".join(f'"{key}": "{VALUES[kind]}",\n' for key in keys).encode()
    found, _ = Detector(load_rules(), Pseudonymizer(bytes(32))).find(text)
    ends = {-end for _, _, end, _, _ in found}
    left = [
        key
        for key in keys
        if text.index(f'"{key}": "{VALUES[kind]}"'.encode()) + len(f'"{key}": "{VALUES[kind]}') not in ends
    ]
    assert left == []


@pytest.mark.parametrize("name", ["Kenji van-der-Meer", "Anna von-Berg"])
def test_particles_tied_by_hyphens_are_part_of_a_name(name):
    """A full name is one, too, where its particles are tied to it."""
    found, _ = Detector(load_rules(), Pseudonymizer(bytes(32))).find(f'employee: "{name}", phone: 1'.encode())
    assert [value for _, _, _, value, _ in found] == [name.encode()]
