"""Text in blocks: nothing hides on a boundary, and where the blocks are cut never changes the outcome."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber.detector import Detector
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.sniff import looks_like_text
from scrubber.text import AHEAD, BLOCK, HISTORY, TextScrubber

KEY = Pseudonymizer(b"k" * 32)
DETECTOR = Detector(load_rules(), KEY)


def run(data: bytes, cut: int = BLOCK, *, block: int = BLOCK) -> bytes:
    scrubber = TextScrubber(DETECTOR, lambda *_: None, block=block)
    return b"".join(scrubber.feed(data[at : at + cut]) for at in range(0, len(data), cut)) + scrubber.finish()


def filler(size: int) -> bytes:
    line = b"2026-11-22T01:02:03Z DEBUG [worker] processed a batch, nothing to see here at all\n"
    return (line * (size // len(line) + 1))[:size]


SECRETS = [
    b"\nuser=app password=hunter2-geheim end\n",
    b"\nfrom 10.20.30.40 port 22\n",
    b"\nmail anna.berg@kunde-nord.de sent\n",
    b"\nAuthorization: Bearer mF9B5f41JqMabcdefghij\n",
    b'\n{"a":"b","client_secret":"wJalrXUtnFEMIK7MDENG"}\n',
    b"\n<password>geheim12345</password>\n",
]
MARKS = [b"hunter2-geheim", b"10.20.30.40", b"anna.berg", b"mF9B5f41JqM", b"wJalrXUtnFEMIK7MDENG", b"geheim12345"]


def plant_at_every_offset(block: int, around: int) -> None:
    base = filler(block + 3 * AHEAD)
    for secret, mark in zip(SECRETS, MARKS, strict=True):
        expected = run(b"x\n" + secret)[2:]
        for at in range(around - len(secret) - 2, around + 3):
            out = run(base[:at] + secret + base[at:], 1 << 14, block=block)
            assert mark not in out
            assert expected in out


@pytest.mark.parametrize("back", [0, AHEAD, AHEAD + HISTORY], ids=["block", "decided", "history"])
def test_secret_is_found_at_every_offset_around_a_boundary(back):
    """A secret planted at any offset around a boundary of blocks is found, and the same replacement is made."""
    plant_at_every_offset(1 << 16, (1 << 16) - back)


@pytest.mark.slow
@pytest.mark.parametrize("back", [0, AHEAD, AHEAD + HISTORY], ids=["block", "decided", "history"])
def test_secret_is_found_at_every_offset_around_a_full_block(back):
    """The same at the size of block that is used."""
    plant_at_every_offset(BLOCK, BLOCK - back)


def test_cut_never_changes_the_outcome():
    """The same text gives the same output, whichever way it is fed."""
    randomly = random.Random(5)
    lines = []
    for _ in range(6000):
        lines.append(filler(randomly.randrange(300)) + b"\n")
        lines.append(randomly.choice(SECRETS))
    data = b"".join(lines)
    assert len(data) > BLOCK
    whole = run(data, len(data))
    for cut in (997, 65_536, BLOCK, BLOCK + 1):
        assert run(data, cut) == whole
    assert run(whole) == whole


def test_line_without_end_is_scrubbed():
    """A line of several megabytes hides nothing, and its length does not matter."""
    record = b'{"ip":"10.20.30.40","password":"geheim123"},'
    out = run(b"[" + record * 30_000 + b"]")
    assert b"10.20.30.40" not in out
    assert b"geheim123" not in out
    assert out.count(b'"password":"[password:') == 30_000


def pem(size: int, end: bytes = b"\n", label: bytes = b"RSA PRIVATE KEY") -> tuple[bytes, list[bytes]]:
    body = base64.b64encode(random.Random(size).randbytes(size))
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return b"-----BEGIN " + label + b"-----" + end + end.join(
        lines
    ) + end + b"-----END " + label + b"-----" + end, lines


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\\n", b"\\\\n", b"\n    ", b"\n> ", b" ", b"&#10;"], ids=repr)
@pytest.mark.parametrize(
    "label", [b"RSA PRIVATE KEY", b"OPENSSH PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"PGP PRIVATE KEY BLOCK"]
)
def test_private_key_goes_in_every_dress(end, label):
    """A key with any label and line end is removed, what stands around it stays, and so does the number of lines."""
    key, lines = pem(1200, end, label)
    data = b'before {"a":"' + key + b'","b":1}\nafter\n'
    out = run(data)
    assert not any(line in out for line in lines)
    assert b"PRIVATE KEY" not in out
    assert out.startswith(b'before {"a":"[private-key:pem:')
    assert out.endswith(b'"b":1}\nafter\n')
    assert out.count(b"\n") == data.count(b"\n")


def test_logged_key_goes_and_the_prefixes_stay():
    """A key that a logger wrote line by line goes; each line keeps its time and host."""
    key, lines = pem(1200)
    prefix = b"Nov 22 01:02:03 web1 app[77]: "
    data = b"".join(prefix + line + b"\n" for line in key.splitlines())
    out = run(data + prefix + b"done\n")
    assert not any(line in out for line in lines)
    assert out.count(prefix) == len(key.splitlines()) + 1
    assert out.endswith(prefix + b"done\n")


@pytest.mark.parametrize("end", [b"\n", b"\\n"], ids=["lines", "one line"])
def test_key_of_a_megabyte_goes(end):
    """A key longer than any block is followed to its end."""
    key, lines = pem(1 << 20, end)
    out = run(filler(BLOCK - AHEAD - 100) + b"\n" + key + b"\npassword=geheim123\nafter\n", 1 << 16)
    assert not any(line in out for line in lines[:-1:97])
    assert b"geheim123" not in out
    assert out.endswith(b"after\n")


def test_key_without_end_does_not_eat_the_log():
    """A key that breaks off ends where its lines stop being a key's."""
    key, lines = pem(600)
    out = run(key.split(b"-----END")[0] + b"2026-11-22 ERROR could not write the rest of it\n")
    assert not any(line in out for line in lines)
    assert b"ERROR could not write the rest of it" in out


def test_very_long_secret_is_swallowed_to_its_end():
    """A value longer than any look-ahead leaves nothing of itself."""
    value = base64.b64encode(random.Random(1).randbytes(300_000))
    out = run(b"x-auth-token: " + value + b" \nafter\n", 1 << 16)
    assert not any(value[at : at + 32] in out for at in range(0, len(value) - 32, 997))
    assert out.endswith(b"\nafter\n")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=4000))
def test_any_bytes_pass_through(data):
    """Arbitrary bytes never fail, and a second pass changes nothing more."""
    once = run(data)
    assert run(once) == once


PIECES = (
    b"password token = : \" ' \\ \n :// @ "
    b"MIIEpAIBAAKCAQEA <password> </password> [ ] { } Cookie: a=b; ::1 fe80::1 +49_89_1234567"
)
FRAGMENTS = st.sampled_from([*SECRETS, *MARKS, b"\n", *(piece.replace(b"_", b" ") for piece in PIECES.split(b" "))])


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAGMENTS, max_size=30).map(b" ".join))
def test_mixed_fragments_are_stable(data):
    """Whatever is put together of the rules' own pieces, a second scrub changes nothing.

    Markers of keys alone, without their keys, are not among them: glued together they may need a second pass to settle.
    """
    once = run(data)
    assert run(once) == once


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp866", "Ошибка подключения: доступ запрещён для пользователя\n"),
        ("cp737", "Σφάλμα σύνδεσης με τον διακομιστή\n"),
        ("cp862", "שגיאה בחיבור לשרת הנתונים\n" * 2),
    ],
)
def test_short_text_in_an_encoding_of_dos_is_text(encoding, text):
    """Letters beyond ASCII alone, with blanks and without a control: no binary data is like that."""
    assert looks_like_text(text.encode(encoding))


def test_noise_is_no_text():
    """However short it is, what is compressed or encrypted does not pass."""
    chance = random.Random(7)
    assert not any(looks_like_text(chance.randbytes(size)) for size in range(40, 2000))
