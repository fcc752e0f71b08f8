"""Checking passwords: what it costs, what is remembered, what is refused."""

from __future__ import annotations

import threading

import pytest
from argon2 import PasswordHasher, Type

from mft.auth.passwords import Passwords, hash_password
from tests.mft.gatehouse import CHEAP, PASSWORD, Clock, CountingHasher


@pytest.fixture
def hasher():
    return CountingHasher()


@pytest.fixture
def clock():
    return Clock(0.0)


@pytest.fixture
def passwords(hasher, clock):
    return Passwords(hasher=hasher, clock=clock, remember=300.0)


@pytest.fixture
def hashed(hasher):
    return hash_password(PASSWORD, hasher)


@pytest.mark.parametrize(
    ("offered", "against"),
    [
        ("wrong password here", "right"),
        (PASSWORD, None),
        (PASSWORD, "nonsense"),
        (PASSWORD, "$argon2id$v=19$m=64,t=1,p=1$AAAA"),
        (PASSWORD, "$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$" + "A" * 43),
        (PASSWORD, "$argon2id$v=19$m=64,t=1000,p=1$c29tZXNhbHQ$" + "A" * 43),
        (PASSWORD, "argon2i"),
        ("", "right"),
        ("x" * 1025, "right"),
        ("\ud800" * 20, "right"),
    ],
)
def test_refusal_costs_one_run_whatever_is_wrong(passwords, hasher, hashed, offered, against):
    """Wrong, unknown, unusable, too dear, empty or huge: each fails after exactly one Argon2 run."""
    if against == "right":
        against = hashed
    elif against == "argon2i":
        against = PasswordHasher(**CHEAP, type=Type.I).hash(PASSWORD)
    hasher.runs = 0
    assert passwords.verify("alice", offered, against) is False
    assert hasher.runs == 1


def test_dummy_costs_what_a_real_hash_costs(passwords, hasher, hashed):
    """The hash that stands in for nobody has the parameters of our own hashes."""
    from argon2 import extract_parameters

    ours, nobody = extract_parameters(hashed), extract_parameters(passwords._nobody)
    assert (nobody.memory_cost, nobody.time_cost, nobody.parallelism, nobody.hash_len) == (
        ours.memory_cost,
        ours.time_cost,
        ours.parallelism,
        ours.hash_len,
    )


def test_good_password_is_remembered_for_its_time(passwords, hasher, hashed, clock):
    """A verified password costs nothing for five minutes, and one run after them."""
    for moment, runs in [(0, 1), (10, 1), (299, 1), (300, 2)]:
        clock.seconds = moment
        assert passwords.verify("alice", PASSWORD, hashed)
        assert hasher.runs == runs


def test_remembered_password_opens_nothing_else(passwords, hasher, hashed):
    """Another login, another password or another hash is checked anew."""
    passwords.verify("alice", PASSWORD, hashed)
    assert passwords.verify("alicia", PASSWORD, hashed)
    assert not passwords.verify("alice", PASSWORD + "x", hashed)
    assert not passwords.verify("alice", PASSWORD, hash_password("another password", hasher))
    assert hasher.runs == 4


def test_forgotten_password_is_checked_anew(passwords, hasher, hashed):
    """After a revocation the password costs a run again; other logins are left alone."""
    passwords.verify("alice", PASSWORD, hashed)
    passwords.verify("bob", PASSWORD, hashed)
    passwords.forget("alice")
    passwords.verify("alice", PASSWORD, hashed)
    passwords.verify("bob", PASSWORD, hashed)
    assert hasher.runs == 3


def test_memory_holds_no_password(passwords, hashed):
    """What is remembered is a keyed hash: the password is nowhere in it."""
    passwords.verify("alice", PASSWORD, hashed)
    assert passwords._memory._kept
    assert PASSWORD not in repr(passwords._memory._kept)


def test_two_run_at_once_and_no_more(hashed):
    """Of many checks at once, two run."""
    hasher = CountingHasher()
    passwords = Passwords(hasher=hasher, parallel=2)
    start = threading.Barrier(12)

    def check(number: int) -> None:
        start.wait()
        assert not passwords.verify(f"login{number}", "no such password", hashed)

    threads = [threading.Thread(target=check, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hasher.runs == 12
    assert hasher.most <= 2


def test_nothing_is_remembered_when_the_time_is_zero(hasher, hashed):
    """With the memory switched off every check costs a run."""
    passwords = Passwords(hasher=hasher, remember=0.0)
    passwords.verify("alice", PASSWORD, hashed)
    passwords.verify("alice", PASSWORD, hashed)
    assert hasher.runs == 2
