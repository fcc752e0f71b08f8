"""Runs of base64 and hexadecimal digits longer than what is decoded at once."""

from __future__ import annotations

import base64
import random
from itertools import pairwise

import pytest

from scrubber import encoded
from scrubber.detector import Detector
from scrubber.pseudonym import TAG, Pseudonymizer
from scrubber.rules import load_rules
from scrubber.text import TextScrubber

DETECTOR = Detector(load_rules(), Pseudonymizer(b"k" * 32))
LINE = b"nothing else of interest to be found in here, not at all %06d\n"
SECRET = b"password=geheim%06d-rot von anna.berg@kunde-nord.de\n"


def scrubbed(data: bytes, cuts: list[int]) -> tuple[bytes, int]:
    noted: list[object] = []
    scrubber = TextScrubber(DETECTOR, noted.extend, block=1 << 16)
    edges = [0, *sorted(cuts), len(data)]
    out = b"".join(scrubber.feed(data[low:high]) for low, high in pairwise(edges))
    return out + scrubber.finish(), len(noted)


def text(lines: int, every: int) -> bytes:
    return b"".join(SECRET % n if every and n % every == 0 else LINE % n for n in range(lines))


def base64_in_lines(data: bytes) -> bytes:
    return base64.encodebytes(data).rstrip(b"\n")


FORMS = {
    "base64": (base64.b64encode, base64.b64decode),
    "url-safe": (lambda data: base64.urlsafe_b64encode(data + b"\xc3\xbf\xc3\xbe~~~"), base64.urlsafe_b64decode),
    "lines": (base64_in_lines, base64.b64decode),
    "hex": (lambda data: data.hex().encode(), lambda data: bytes.fromhex(data.decode())),
    "utf-16": (
        lambda data: base64.b64encode(data.decode().encode("utf-16-le")),
        lambda data: base64.b64decode(data).decode("utf-16-le").encode(),
    ),
}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Call a run long from 64 KiB on, so that less is scrubbed here."""
    monkeypatch.setattr(encoded, "LONGEST", 64 << 10)


@pytest.mark.parametrize("name", FORMS)
def test_nothing_is_missed_in_a_long_run(name):
    """Secrets go from all of a long run, wherever it is cut; it decodes to text, and what follows is scrubbed too."""
    encode, decode = FORMS[name]
    plain = text(2500, 62)
    before, after = b'{"data": "', b'"}\nlogin by anna.berg@kunde-nord.de password=geheim123-rot\n'
    data = before + encode(plain) + after
    chance = random.Random(1)
    out, found = scrubbed(data, [chance.randrange(len(data)) for _ in range(9)])
    assert out == scrubbed(data, [])[0]
    end = out.index(b'"}', len(before))
    said = decode(out[len(before) : end])
    assert said.count(b"\n") == plain.count(b"\n")
    assert b"geheim" not in said + out[end:]
    assert b"anna.berg" not in said + out[end:]
    assert len(TAG.findall(said)) == 41
    assert found >= 42


@pytest.mark.parametrize("name", FORMS)
def test_long_run_without_a_finding_stays_byte_for_byte(name):
    """Alphabet, width and padding are kept."""
    data = b"data: " + FORMS[name][0](text(1801, 0)) + b"\nend\n"
    assert scrubbed(data, []) == (data, 0)


def test_second_run_changes_nothing():
    """What came out is left alone."""
    out, _ = scrubbed(base64.b64encode(text(1800, 50)), [])
    assert scrubbed(out, [])[0] == out
