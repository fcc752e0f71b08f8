"""The second look at the output: what it must find wherever it stands, and what must not alarm it."""

from __future__ import annotations

import io
import json
import random
import string
import tarfile

import pytest

from scrubber.model import Options
from scrubber.profile import PROFILES
from scrubber.pseudonym import TAG
from scrubber.rules import load_rules
from scrubber.secondlook import HELD, SecondLook, build_search, is_distinctive

RANDOM = random.Random(7)
TOKEN = b"gh" + b"p_" + "".join(RANDOM.choices(string.ascii_letters + string.digits, k=36)).encode()
PASSWORD = b"Tr0ub4dor-Qx7vLm2Kp9"
FILLER = b"2026-11-22 10:00:00 worker 17 finished its job without a word\n" * 600


@pytest.fixture
def look(pseudonyms):
    """Give a function that lets a second look read pieces: the (member, rule) pairs that it tells of."""

    def run(pieces, *, values=(), after=(), wide=False, held=HELD):
        told = []
        second = SecondLook(load_rules(), pseudonyms, lambda member, rule: told.append((member, rule)), held=held)
        rule = next(each for each in load_rules().rules if each.rule.id == "password.assignment")
        second.learn([(rule, 0, 0, value) for value in values])
        second.begin("a", wide=wide)
        for piece in pieces:
            second.feed(piece)
        second.learn([(rule, 0, 0, value) for value in after])
        second.begin("b")
        second.feed(b"nothing here\n")
        second.end()
        return told

    return run


def test_token_in_the_output_is_found_at_any_cut(look):
    """Wherever the pieces are cut, a token that is left is told of once, in its member."""
    text = FILLER + b"left over: " + TOKEN + b" there\n" + FILLER
    begin = text.index(TOKEN)
    for cut in range(begin - 2, begin + len(TOKEN) + 3, 3):
        assert look([text[:cut], text[cut:]]) == [("a", "token.github")], cut
    assert look([text[i : i + 5000] for i in range(0, len(text), 5000)], held=12_000) == [("a", "token.github")]
    assert look([TOKEN]) == [("a", "token.github")]


def test_private_key_in_the_output_is_found(look):
    """The beginning of a private key is enough."""
    key = b"-----BEGIN " + b"RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7vLm2Kp9Qx7vLm2Kp9\n"
    assert look([FILLER, key, FILLER]) == [("a", "private-key.pem")]


def test_longer_run_than_a_token_is_none_at_any_cut(look):
    """What a cut makes look like a token is not told of."""
    run = b"AK" + b"IA" + b"FR6EDT4SYWB5WKH7" + b"ZZQQ" * 6
    text = FILLER + b"id " + run + b" end\n" + FILLER
    begin = text.index(run)
    for cut in range(begin, begin + len(run) + 1):
        assert look([text[:cut], text[cut:]]) == [], cut


def test_value_found_before_or_after_is_found_where_nothing_says_what_it_is(look):
    """A password that was replaced in one place is found bare in another, earlier or later, over a cut, in UTF-16."""
    text = FILLER + b"used " + PASSWORD + b" again\n" + FILLER
    cut = text.index(PASSWORD) + 7
    for pieces in ([text], [text[:cut], text[cut:]]):
        assert look(pieces, values=[PASSWORD]) == [("a", "password.assignment")]
        assert look(pieces, after=[PASSWORD]) == [("a", "password.assignment")]
    assert look([text.decode().encode("utf-16-le")], values=[PASSWORD], wide=True) == [("a", "password.assignment")]


def test_values_that_may_stand_anywhere_are_not_looked_for(look):
    """Words, names, numbers and paths that served as passwords alarm nobody elsewhere."""
    common = [b"administrator1234", b"default-token-x7k2p-abcd", b"AAAAAAAAAAAAaaaa1111", b"correct horse battery 7X"]
    common += [b"/etc/Secrets/Key-2024-prod", b"1234567890123456789", b"hunter2"]
    assert not any(is_distinctive(value) for value in common)
    assert is_distinctive(PASSWORD)
    assert look([b" ".join(common)], values=common) == []


@pytest.mark.parametrize("number", [1, 40])
def test_search_finds_values_of_any_bytes(number):
    """Values are looked for literally, few or many, whatever characters they hold."""
    values = [bytes((65 + i % 26,)) + bytes(range(i + 32, i + 52)) for i in range(number)]
    search = build_search(values)
    assert search(b"..." + values[-1] + b"...") == {values[-1]}
    assert search(b"nothing") == set()


def test_upload_with_a_secret_left_is_held_back_and_the_reason_tells_no_value(scrubbed):
    """A token's value bare in another member than the one that names it holds the whole back."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in (("a.txt", b"we saw " + PASSWORD + b" go by\n"), ("b.conf", b"password=" + PASSWORD + b"\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    _, report = scrubbed(packed.getvalue(), "bundle.tar")
    (obstacle,) = report.obstacles
    assert obstacle.member == "bundle.tar!/a.txt"
    assert "second look" in obstacle.reason
    assert "password.assignment" in obstacle.reason
    assert PASSWORD.decode() not in json.dumps(report.to_dict())


def test_second_run_replaces_what_the_first_left(scrubbed):
    """What was left is given back to whoever runs it, and goes everywhere in a run that knows it, under one tag."""
    text = b"we saw " + PASSWORD + b" go by\npassword=" + PASSWORD + b"\nagain: " + PASSWORD + b"; done\n"
    left: list[tuple[bytes, str]] = []
    assert not scrubbed(text, left=left)[1].scannable
    assert left == [(PASSWORD, "password")]
    for profile in PROFILES.values():
        out, report = scrubbed(text, options=Options(known=tuple(left), profile=profile))
        assert report.scannable
        assert PASSWORD not in out
        assert len(set(TAG.findall(out))) == 1
        assert len(TAG.findall(out)) == 3
        assert report.counts["secret.known"] == 2


def test_nothing_is_given_back_where_something_else_is_in_the_way(scrubbed):
    """An upload with an obstacle of another kind is held back for that: there is nothing to run again."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in (
            ("a.txt", b"we saw " + PASSWORD + b" go by\npassword=" + PASSWORD + b"\n"),
            ("b.gz", b"\x1f\x8b\x08\x00" + bytes(6) + b"no deflate stream" * 10),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    left = []
    assert len(scrubbed(packed.getvalue(), left=left)[1].obstacles) == 2
    assert left == []


def test_pseudonyms_alarm_nobody(scrubbed):
    """The output of the rules' examples passes the second look, and so does a second scrubbing of it."""
    examples = [
        example.replace("⟦", "").replace("⟧", "") for rule in load_rules().rules for example in rule.rule.examples
    ]
    for at in range(0, len(examples), 50):
        out, report = scrubbed("\n\n".join(examples[at : at + 50]).encode(), learning=False)
        assert report.scannable, report.obstacles
        assert scrubbed(out, learning=False)[1].scannable
