"""Where a text is cut, by its reader or into blocks, never changes the outcome: all rules, keys, lines, notations."""

from __future__ import annotations

import base64
import json
import random
from functools import lru_cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber.detector import Detector
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.text import TextScrubber

DETECTOR = Detector(load_rules(), Pseudonymizer(b"k" * 32))
FILLER = b"2026-11-22T01:02:03Z DEBUG [worker] processed a batch, nothing to see here at all\n"


def run(data: bytes, cuts: list[int], block: int) -> tuple[bytes, list[tuple[str, int, int, bytes]]]:
    noted: list[tuple[str, int, int, bytes]] = []
    scrubber = TextScrubber(
        DETECTOR, lambda found: noted.extend((rule.rule.id, *rest) for rule, *rest in found), block=block
    )
    edges = [0, *sorted(cuts), len(data)]
    out = b"".join(scrubber.feed(data[low:high]) for low, high in pairwise(edges))
    return out + scrubber.finish(), noted


def examples() -> bytes:
    """Give every example and counter-example of every rule, in an order of chance, with something between them."""
    chance = random.Random(7)
    texts = [
        text.replace("⟦", "").replace("⟧", "").encode()
        for rule in DETECTOR.ranked
        for text in (*rule.rule.examples, *rule.rule.counter_examples)
    ]
    chance.shuffle(texts)
    return b"".join(text + b"\n" + FILLER * chance.randrange(6) for text in texts)


def key(size: int, end: bytes) -> bytes:
    body = base64.b64encode(random.Random(size).randbytes(size))
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    label = b"RSA PRIVATE " + b"KEY-----"
    return end.join([b"-----BEGIN " + label, *lines, b"-----END " + label]) + b"\n"


LINE = b'{"ip":"10.20.30.40","password":"geheim123","mail":"anna.berg@kunde-nord.de"},'
LOG = "".join(f"from 10.20.30.{n % 250} user=u{n} password=geheim{n}\n" for n in range(900))
TEXTS = {
    "all rules": examples(),
    "long key": FILLER * 300 + key(90_000, b"\n") + FILLER * 600,
    "long key in one line": FILLER * 300 + b'{"k":"' + key(60_000, b"\\n").rstrip() + b'"}\n' + FILLER * 600,
    "long line": b"[" + LINE * 1800 + b"]",
    "json in json": FILLER * 250 + json.dumps(json.dumps(LOG)).encode() + b"\n" + FILLER * 500,
    "base64": FILLER * 300 + base64.b64encode(LOG.encode()) + b"\n" + FILLER * 600,
    "base64 in lines": FILLER * 300 + base64.encodebytes(LOG.encode()) + b"\n" + FILLER * 600,
    "hex": FILLER * 300 + LOG.encode().hex().encode() + b"\n" + FILLER * 600,
}


@lru_cache(maxsize=len(TEXTS))
def whole(name: str) -> tuple[bytes, list[tuple[str, int, int, bytes]]]:
    return run(TEXTS[name], [], 1 << 30)


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_cut_and_block_never_change_the_outcome(name, data):
    """The same output and the same findings come out, however the text is fed and blocked."""
    text = TEXTS[name]
    assert len(text) > 100_000
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12))
    block = data.draw(st.integers(1000, 80_000))
    assert run(text, cuts, block) == whole(name)


@pytest.mark.parametrize("name", ["all rules", "json in json", "base64 in lines"])
def test_second_scrub_of_what_was_cut_changes_nothing(name):
    """What came out of a long text has nothing left for any rule."""
    out, noted = whole(name)
    assert noted
    assert run(out, [], 1 << 16)[0] == out
