"""The compiled part finds, replaces and notes what Python does and nothing else; where it is missing Python does it."""

from __future__ import annotations

import base64
import ctypes
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber import compiled, detector, encoded, sieve
from scrubber.dictionary import Dictionary
from scrubber.pseudonym import Pseudonymizer
from scrubber.replaced import Replaced, places_of, secrets_of
from scrubber.secondlook import is_distinctive
from scrubber.terms import Terms
from scrubber.text import TextScrubber
from tests.scrubber.fragments import ALL, JOINTS, make_text
from tests.scrubber.sieve_trial import make_detector, outcome
from tests.scrubber.test_boundaries import TEXTS
from tests.scrubber.truth.story import tell
from tests.scrubber.truth.tree import Page

SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")

pytestmark = pytest.mark.skipif(compiled.load_library() is None, reason="no C compiler was there at installation")


@pytest.fixture(scope="module")
def pairs():
    """Detectors with the compiled part and without, once for each way of settling pseudonyms."""
    return [
        tuple(make_detector(compiled=how, settling=settling) for how in (True, False)) for settling in (False, True)
    ]


@pytest.mark.parametrize("seed", range(40))
def test_texts_of_chance_come_out_the_same(pairs, seed):
    """Output and findings are those of Python, whatever the blocks, also where pseudonyms are settled."""
    chance = random.Random(seed)
    data = make_text(chance, 60)
    for fast, slow in pairs:
        for block in (1 << 20, 3000):
            same_length = seed % 4 == 0
            assert outcome(fast, data, block=block, same_length=same_length) == outcome(
                slow, data, block=block, same_length=same_length
            )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from((*ALL, *JOINTS)) | st.binary(max_size=6), max_size=30))
def test_any_text_comes_out_the_same(pairs, pieces):
    """Whatever stands beside whatever, the two agree."""
    fast, slow = pairs[0]
    data = b"".join(pieces)
    assert outcome(fast, data) == outcome(slow, data)


@pytest.mark.parametrize("name", TEXTS)
def test_texts_with_keys_views_and_long_values_come_out_the_same(pairs, name):
    """What only Python follows and what is compiled do not get into each other's way."""
    fast, slow = pairs[0]
    assert outcome(fast, TEXTS[name], block=40_000) == outcome(slow, TEXTS[name], block=40_000)


CELLS = {
    "first_name": ("Anna", "Łukasz", " Bob ", "null", "", "name-abcdefgh", "x" * 70, "O'Hara", "'Eve'", "{name}"),
    "phone": (
        *("+49 30 1234567", "+49 (0)30 123-4567", "(030) 1234567", "030/1234567", "+1 415 555 0134", "+999 12345678"),
        *(
            "+49 00 1234567",
            "000123456",
            "1111111",
            "+4930123456789012",
            "12345",
            "n/a",
            "(212) 555-0187",
            " +44 20 7946 0958",
        ),
    ),
    "password": ("hunter22", "${DB}", "", "[password:0123abcd]", "none", "geheim-12"),
    "city": ("Berlin", "00-238 Warszawa", "x", "São Paulo"),
    "note": (
        "call +49 30 7654321 now",
        "x+49 30 7654321",
        '"a, b"',
        "10.1.2.3",
        "v+1 415 555 0134.",
        "1\r2",
        "+49 30 765432199999",
    ),
}


@pytest.mark.parametrize("seed", range(12))
def test_tables_of_chance_come_out_the_same(pairs, seed):
    """Rows are read as Python reads them, plain or quoted, cut anywhere, and so are numbers to call in them."""
    chance = random.Random(seed)
    separator, end = chance.choice(",;\t|"), chance.choice(("\n", "\r\n"))
    names = chance.sample(sorted(CELLS), 4)
    rows = [[chance.choice(CELLS[name]) for name in names] for _ in range(150)]
    for row in rows:
        if chance.random() < 0.1:
            row[chance.randrange(4)] = chance.choice(('"x ""y"" z"', "+49 30 " + "7" * 1200, "a" + separator * 4))
    data = end.join(separator.join(row) for row in [names, *rows]).encode()
    for fast, slow in pairs:
        for block in (1 << 20, 3000):
            same_length = seed % 4 == 0
            assert outcome(fast, data, block=block, same_length=same_length) == outcome(
                slow, data, block=block, same_length=same_length
            )


NUMBERS = st.text("0123456789", min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(("+", " ", "-", ".", "/", " (", ")", "(0", "\n", "a")), NUMBERS), max_size=12)
)
def test_numbers_to_call_come_out_the_same(pairs, pieces):
    """Whatever its layout and its country's code, a number is found in both or in none, and becomes the same."""
    data = "".join(mark + digits for mark, digits in pieces).encode()
    for text in (data, b"phone;name\n+" + data + b";x\n" + data + b";y\n"):
        fast, slow = pairs[0]
        assert outcome(fast, text) == outcome(slow, text)


@pytest.mark.parametrize("plainly", [True, False], ids=["plainly", "by instructions"])
def test_digests_are_those_of_python(plainly):
    """HMAC-SHA256 is the same by the processor's own instructions, where it has them, and without."""
    library = compiled.load_library()
    chance = random.Random(5)
    made = ctypes.create_string_buffer(32)
    try:
        assert not (library.hmac_choose(plainly) and plainly)
        for size in (*range(140), 1000, 100_000):
            pseudonyms, value = Pseudonymizer(chance.randbytes(32)), chance.randbytes(size)
            library.hmac_try(*pseudonyms.pads, b"kind", value, size, made)
            assert made.raw == pseudonyms.digest("kind", value)
    finally:
        library.hmac_choose(False)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_told_of_many_is_what_python_tells(seed):
    """Fingerprints, and the secrets that the second look may remember, are those of the notes one by one."""
    found = make_detector(compiled=True)
    replaced: list[Replaced] = []

    def compare(noted):
        each = list(noted)
        for count in (0, 1, len(each), len(each) + 1):
            fingerprints = [found.pseudonyms.fingerprint(rule.kind, value) for rule, _, _, value in each[:count]]
            places = places_of(noted, count, found.pseudonyms)
            assert places == [
                (rule.rule.id, offset, length, known)
                for (rule, offset, length, _), known in zip(each[:count], fingerprints, strict=True)
            ]
        secrets = [(rule, value) for rule, value in secrets_of(noted) if is_distinctive(value)]
        assert secrets == [(rule, value) for rule, value in secrets_of(each) if is_distinctive(value)]
        if isinstance(noted, Replaced):
            replaced.append(noted)

    chance = random.Random(seed)
    lines = [
        "from 10.{0}.7.9 by 00:16:3E:aa:{0:02x}:0c for A.Berg{0}@Example.ORG password=Tulp{0}x key ghp_{1}\n".format(
            chance.randrange(100), "".join(chance.choices("aB3cD4eF5gH6", k=36))
        )
        for _ in range(60)
    ]
    for data in (make_text(chance, 60), "".join(lines).encode()):
        scrubber = TextScrubber(found, compare)
        scrubber.feed(data)
        scrubber.finish()
    assert any(len(noted) > 100 and list(secrets_of(noted)) for noted in replaced)


def test_allowed_terms_stay_in_both():
    """What a customer allows is left by the compiled part too."""
    terms = Terms(allow=("10.20.30.40", "*.kunde-nord.de", "amberg"))
    fast, slow = (make_detector(compiled=how, terms=terms) for how in (True, False))
    data = b" from 10.20.30.40 to 10.20.30.41, x@mail.kunde-nord.de and x@other.de, user amberg on web01\n"
    made, noted = outcome(fast, data)
    assert (made, noted) == outcome(slow, data)
    assert b"10.20.30.40" in made
    assert b"10.20.30.41" not in made


def test_every_address_of_a_network_keeps_its_neighbours(pairs):
    """Networks are mapped as in Python, private ones and public ones, to the last octet."""
    nets = ("10.1.2", "172.20.1", "192.168.77", "100.80.3", "169.254.9", "84.17.3", "84.17.4", "9.0.0")
    data = "".join(f"ip {net}.{last} up\n" for net in nets for last in range(256)).encode()
    for fast, slow in pairs:
        assert outcome(fast, data) == outcome(slow, data)


def test_nothing_is_remembered_beyond_measure(pairs):
    """More values than are remembered, block after block, give what Python gives."""
    chance = random.Random(5)
    lines = [f"lease 10.{chance.randrange(256)}.{n >> 8 & 255}.{n & 255} u{n}@kunde-nord.de\n" for n in range(20_000)]
    fast, slow = pairs[0]
    data = "".join(lines).encode()
    assert outcome(fast, data, block=200_000) == outcome(slow, data, block=200_000)


def test_names_without_end_are_left_to_python():
    """A block of nothing but a learned name over and over is more than is remembered: nothing is decided about it."""
    dictionary = Dictionary()
    dictionary.learn("host", b"aaa")
    fast = detector.Detector(make_detector(compiled=False).rules, Pseudonymizer(b"k" * 32, dictionary))
    assert fast._sieve.scan(b"aaa." * 300 + b"\n", b"") is not None
    assert fast._sieve.scan(b"".join(b"aaa.%06d." % n for n in range(400_000)), b"") is None


def test_what_the_compiled_part_gives_up_python_does(pairs, monkeypatch):
    """A block that it leaves alone comes out as Python has it."""
    fast, slow = pairs[0]
    data = make_text(random.Random(77), 200)
    monkeypatch.setattr(sieve.Sieve, "scan", lambda _sieve, _buf, _events: None)
    assert outcome(fast, data) == outcome(slow, data)


def test_logs_of_an_installation_come_out_the_same(pairs, scrubbed, monkeypatch):
    """Whole uploads, learning and second look and all, give the same output and the same report."""
    pages = tell(3, archives=False).files
    data = b"\n".join(page.data for _, page in sorted(pages.items()) if isinstance(page, Page))[:120_000]
    with_it = scrubbed(data, name="messages.log")
    monkeypatch.setattr(detector, "load_library", lambda: None)
    assert with_it == scrubbed(data, name="messages.log")


def test_a_library_of_another_source_is_not_taken(tmp_path, monkeypatch):
    """Where none was made for this source there is none."""
    monkeypatch.setattr(compiled, "library_path", lambda: tmp_path / "sieve-0.so")
    compiled.load_library.cache_clear()
    try:
        assert compiled.load_library() is None
        (tmp_path / "sieve-0.so").write_bytes(b"no library")
        compiled.load_library.cache_clear()
        assert compiled.load_library() is None
    finally:
        compiled.load_library.cache_clear()


def test_without_a_compiler_installing_goes_on(tmp_path, monkeypatch, capsys):
    """It says that all is done in Python, and does not fail."""
    monkeypatch.setattr(compiled, "library_path", lambda: tmp_path / "sieve-0.so")
    monkeypatch.setattr(compiled, "find_compiler", lambda: None)
    assert compiled.main() == 0
    assert "pure Python" in capsys.readouterr().out


def test_a_compiler_that_fails_is_told_of(tmp_path, monkeypatch, capsys):
    """What it says is shown, and nothing is left behind."""
    monkeypatch.setattr(compiled, "library_path", lambda: tmp_path / "sieve-0.so")
    monkeypatch.setattr(compiled, "find_compiler", lambda: "/bin/false")
    assert compiled.main() == 0
    assert "did not compile" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(3600)  # under the sanitizers the rules alone take most of a minute to compile
def test_no_byte_outside_is_touched(tmp_path):
    """Under the address and undefined behaviour sanitizers the compiled part agrees with Python and breaks no rule."""
    compiler = compiled.find_compiler()
    if compiler is None:
        pytest.skip("no C compiler here")
    preload = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    if not Path(preload).is_absolute():
        pytest.skip("the compiler has no sanitizers")
    library = tmp_path / "sieve.so"
    compiled.build_library(compiler, library, (*compiled.FLAGS, *SANITIZED))
    fuzzing = settings().max_examples > 1000
    seed, texts = (str(random.SystemRandom().randrange(1 << 30)), "20000") if fuzzing else ("11", "30")
    done = subprocess.run(
        [sys.executable, "-m", "tests.scrubber.sieve_trial", str(library), seed, texts],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def test_no_run_that_begins_as_text_is_passed_over(pairs):
    """Whatever is cut, spoilt or in another alphabet: what Python would decode is told, and where runs begin alone."""
    chance = random.Random(11)
    finder, kept = pairs[0][0]._sieve, 0
    for _ in range(2000):
        text = bytearray("pässwört=geheim für 日本語 🔑 und alle, die das lesen".encode()[chance.randrange(30) :])
        for _ in range(chance.choice((0, 0, 1, 3))):
            text[chance.randrange(len(text))] = chance.choice((chance.randrange(256), 0xE4, 0x7F, 0xC3))
        run = chance.choice((base64.b64encode(text).rstrip(b"="), text.hex().encode(), text.hex().upper().encode()))
        buf = b"x: " + run[: chance.randrange(38, len(run))] + b"\n" + chance.randbytes(20).hex().encode() + b" "
        sifted = finder.scan(buf, b"")
        told, starts = sifted.runs(), encoded.RunFinder(accelerated=False).starts(buf)
        assert set(told) <= set(starts)
        needed = {start for start in starts if encoded.find_run(buf, start) is not None}
        assert needed <= set(told), buf
        kept += len(needed)
    assert kept > 300


@pytest.mark.parametrize("name", ["DB_%s_PASSWORD", "PIN%s", "pass%s", "a%s1b22_token", "x_0%s"])
def test_keys_with_numbers_are_judged_as_in_python(pairs, name):
    """A key with a long number in its name is worth what one with another long number is."""
    text = "".join(f"{name % number}=geheim{number}77x\n" for number in (1, 12, 123, 999, 1234, 123456))
    for data in (text.encode(), text.replace("=", ": ").encode()):
        assert outcome(pairs[0][0], data) == outcome(pairs[0][1], data)


@pytest.mark.parametrize(
    "sign", [" to ", " -> ", '" => "', "'  \u2192 '", ", to ", "\tto ", " tomorrow ", "-> ", " - "]
)
def test_what_a_value_became_is_found_too(pairs, sign):
    """A value that a plain assignment gives may have another behind it."""
    data = f"\n api_key=geheim12{sign}neuer34x y\npassword='geheim12{sign}neuer34x'\n".encode()
    assert outcome(pairs[0][0], data) == outcome(pairs[0][1], data)
