"""Hold the compiled part to what Python finds, over texts of chance: a program, so that a sanitizer can be loaded.

Usage: python -m tests.scrubber.sieve_trial LIBRARY SEED TEXTS
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

from scrubber import detector as detectors
from scrubber import learner as learners
from scrubber import sieve
from scrubber.compiled import open_library
from scrubber.detector import Detector
from scrubber.dictionary import Dictionary
from scrubber.learner import Learner, load_origins
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


def learned(data: bytes, *, compiled: bool) -> list[tuple[bytes, str]]:
    """Give what *data* tells of who is who."""
    dictionary = Dictionary()
    Learner(dictionary, compiled=compiled).learn(data)
    return sorted(dictionary.terms())


def make_told(chance: random.Random, data: bytes) -> bytes:
    """Put examples of what is learned, some of them cut, between the parts of *data*."""
    origins, size = load_origins(), max(1, len(data) // 8)
    told = [chance.choice(chance.choice(origins).examples) for _ in range(8)]
    examples = [re.sub(r"⟦\w+:|⟧", "", each).encode() for each in told]
    pieces = [data[at * size :][:size] + each[chance.choice((0, 0, 3)) :] for at, each in enumerate(examples)]
    return (
        b"\n"
        + b"\n".join(pieces)
        + chance.choice((b"", b"\n", b" user ", b" for ", b"@", b"://", b".de", b" to a.b[1"))
    )


def main(library: str, seed: str, texts: str) -> None:
    """Compare; raise where they differ."""
    opened = open_library(Path(library))
    detectors.load_library = learners.load_library = lambda: opened
    chance = random.Random(int(seed))
    pairs = [
        tuple(make_detector(compiled=compiled, settling=settling) for compiled in (True, False))
        for settling in (False, True)
    ]
    for number in range(int(texts)):
        data = make_text(chance, chance.randrange(1, 60))
        told = make_told(chance, data)
        if learned(told, compiled=True) != learned(told, compiled=False):
            raise AssertionError(f"text {number} of seed {seed} teaches something else: {told!r}")
        block = chance.choice((1 << 20, 2000))
        for compiled, pure in pairs:
            fast = outcome(compiled, data, block=block, same_length=number % 7 == 0)
            slow = outcome(pure, data, block=block, same_length=number % 7 == 0)
            if fast != slow:
                raise AssertionError(f"text {number} of seed {seed}: {data!r}\n{fast}\n{slow}")


if __name__ == "__main__":
    main(*sys.argv[1:])
