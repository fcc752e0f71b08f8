"""Hold the compiled part to what Python finds, over texts of chance: a program, so that a sanitizer can be loaded.

Usage: python -m tests.scrubber.sieve_trial LIBRARY SEED TEXTS
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from scrubber import detector as detectors
from scrubber import sieve
from scrubber.compiled import open_library
from scrubber.detector import Detector
from scrubber.dictionary import Dictionary
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.terms import Terms
from scrubber.text import TextScrubber
from tests.scrubber.fragments import make_text

LEARNED = (
    *(("user", name) for name in (b"amberg", b"5bahn", b"bob")),
    *(("host", name) for name in (b"web01", b"db")),
    *(("domain", name) for name in (b"kunde-nord.de", b"a.b")),
    ("realm", b"nordkap"),
    ("person", b"anna berg"),
)
TERMS = Terms(deny=("Projekt-Falke", "kunde-nord.de", "pool 7"))
Outcome = tuple[bytes, list[tuple[str, int, int, bytes]]]


def make_detector(*, compiled: bool, settling: bool = False, terms: Terms = TERMS) -> Detector:
    """Give a detector that knows some names, with a dictionary of its own."""
    dictionary = Dictionary(settling=settling)
    for kind, name in LEARNED:
        dictionary.learn(kind, name)
    pseudonyms = Pseudonymizer(b"k" * 32, dictionary)
    return Detector(load_rules(), pseudonyms, terms=terms, known=[(b"Zq7-pl9_xw", "password")], compiled=compiled)


def outcome(detector: Detector, data: bytes, *, block: int = 1 << 20, same_length: bool = False) -> Outcome:
    """Scrub *data*; give what comes out, and what was noted."""
    noted: list[tuple[str, int, int, bytes]] = []
    scrubber = TextScrubber(
        detector,
        lambda found: noted.extend((rule.rule.id, *rest) for rule, *rest in found),
        block=block,
        same_length=same_length,
    )
    few, sieve._FEW = sieve._FEW, 0 if block > 100_000 else 3  # small texts too are written by the compiled part
    try:
        return scrubber.feed(data) + scrubber.finish(), noted
    finally:
        sieve._FEW = few


def main(library: str, seed: str, texts: str) -> None:
    """Compare; raise where they differ."""
    opened = open_library(Path(library))
    detectors.load_library = lambda: opened
    chance = random.Random(int(seed))
    pairs = [
        tuple(make_detector(compiled=compiled, settling=settling) for compiled in (True, False))
        for settling in (False, True)
    ]
    for number in range(int(texts)):
        data = make_text(chance, chance.randrange(1, 60))
        block = chance.choice((1 << 20, 2000))
        for compiled, pure in pairs:
            fast = outcome(compiled, data, block=block, same_length=number % 7 == 0)
            slow = outcome(pure, data, block=block, same_length=number % 7 == 0)
            if fast != slow:
                raise AssertionError(f"text {number} of seed {seed}: {data!r}\n{fast}\n{slow}")


if __name__ == "__main__":
    main(*sys.argv[1:])
