"""Logins that name a case: how they are read, and that the session is for that case alone."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mft.auth.loginform import Claim, accounts_of, parse_login
from mft.auth.passwords import hash_password
from mft.revocation import Subject
from protocols.errors import (
    AlreadyExistsError,
    AuthenticationError,
    FileSystemError,
    NotFoundError,
    ThrottledError,
)
from protocols.session import BearerCredential, PasswordCredential, PublicKeyCredential
from tests.core import Core, running_core
from tests.mft.gatehouse import ED25519, PASSWORD, Gatehouse, origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOB = base64.b64decode(ED25519.split()[1])
FORMS = ("alice@corp.example@CASE-1", "CASE-1@alice@corp.example")


def claim(login: str | None, case: str | None = None) -> Claim:
    return Claim(login=login, case=case)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("alice", [claim("alice")]),
        ("alice@corp.example", [claim("alice@corp.example")]),
        ("alice@CASE-1", [claim("alice@CASE-1"), claim("alice", "CASE-1")]),
        ("CASE-1", [claim("CASE-1"), claim(None, "CASE-1")]),
        ("CASE-1@alice@corp", [claim("CASE-1@alice@corp"), claim("alice@corp", "CASE-1")]),
        ("a@corp@CASE-1", [claim("a@corp@CASE-1"), claim("a@corp", "CASE-1")]),
        ("1@2", [claim("1@2"), claim("1", "2"), claim("2", "1")]),
        ("@CASE-1", [claim("@CASE-1")]),
        ("CASE-1@", [claim("CASE-1@")]),
        ("a@CASE-1/..", []),
        ("a:b@CASE-1", []),
        ("a@CASE\0-1", []),
        ("", []),
    ],
)
def test_login_is_read_in_every_way_it_can_be(text, claims):
    """The whole text as an account comes first, then the case behind, then the case in front."""
    assert list(parse_login(text)) == claims


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9@._ -]{1,20}", fullmatch=True))
def test_no_way_to_read_a_login_adds_to_it(text):
    """Accounts and cases are parts of the text in its normal form; nothing is made up, and nothing empty is named."""
    for each in parse_login(text):
        assert each.login is None or each.login
        assert each.case is None or (each.case in text and any(letter.isdigit() for letter in each.case))
    assert len(accounts_of(parse_login(text))) <= 3


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Gatehouse]:
    gatehouse = Gatehouse(tmp_path / "catalog.db", account_failures=3, network_failures=50)
    record = {
        "login": "alice@corp.example",
        "roles": ["customer"],
        "customer": "acme",
        "password_hash": hash_password(PASSWORD, gatehouse.hasher),
        "public_keys": [ED25519],
    }
    gatehouse.cases.replace(record)
    gatehouse.entered.add(("alice@corp.example", "CASE-1"))
    yield gatehouse
    gatehouse.close()


def password(login: str, text: str = PASSWORD) -> PasswordCredential:
    return PasswordCredential(login=login, password=text)


@pytest.mark.parametrize("login", FORMS)
def test_session_of_a_login_with_a_case_is_on_record_for_it(house, login):
    """Password, key and token open it alike, and the audit names the case."""
    token = house.tokens.create("alice@corp.example", by="test").text
    for credential in (password(login), password(login, token), PublicKeyCredential(login=login, key=BLOB)):
        session = house.log_in(credential, origin())
        assert session.login == "alice@corp.example"
    opened = house.events("session.opened")
    assert [event["case"] for event in opened] == ["CASE-1"] * 3


def test_case_alone_opens_by_a_token_only(house):
    """A token says whose it is; a password for nobody is wrong."""
    token = house.tokens.create("alice@corp.example", by="test").text
    assert house.log_in(password("CASE-1", token), origin()).login == "alice@corp.example"
    for credential in (password("CASE-1"), PublicKeyCredential(login="CASE-1", key=BLOB)):
        with pytest.raises(AuthenticationError):
            house.authenticator.check(credential, origin())


def test_case_of_somebody_else_is_refused_like_a_wrong_password(house):
    """The same words and the same work, whether the case, the account or the password is wrong."""
    token = house.tokens.create("alice@corp.example", by="test").text
    wrong = [
        password("alice@corp.example@CASE-2"),
        password("CASE-2@alice@corp.example"),
        password("alice@corp.example", "wrong"),
        password("nobody@CASE-1"),
    ]
    said, work = set(), []
    for credential in wrong:
        house.passwords.forget("alice@corp.example")
        before = house.hasher.runs
        with pytest.raises(AuthenticationError) as caught:
            house.authenticator.check(credential, origin())
        said.add(str(caught.value))
        work.append(house.hasher.runs - before)
    for credential in (password("CASE-2", token), password("alice@corp.example@CASE-2", token)):
        with pytest.raises(AuthenticationError) as caught:
            house.authenticator.check(credential, origin())
        said.add(str(caught.value))
    assert len(said) == 1
    assert work == [1, 1, 1, 1]


def test_key_that_is_only_offered_does_not_tell_which_cases_there_are(house):
    """Whoever has not proven a key gets one answer for every case; the session is refused after the proof."""
    for case in ("CASE-1", "CASE-2"):
        grant = house.authenticator.check(PublicKeyCredential(login=f"alice@corp.example@{case}", key=BLOB), origin())
        assert grant.login == "alice@corp.example"
    with pytest.raises(AuthenticationError):
        house.authenticator.open(grant, origin())
    assert house.events("session.opened") == []


def test_account_called_like_a_login_with_a_case_is_that_account(house):
    """An account goes before a reading of its name, so no case that somebody opens takes a login over."""
    other = hash_password("another password", house.hasher)
    house.cases.replace(
        {"login": "alice@CASE-1", "roles": ["customer"], "customer": "acme", "password_hash": other},
    )
    house.entered.add(("alice", "CASE-1"))
    session = house.log_in(password("alice@CASE-1", "another password"), origin())
    assert session.login == "alice@CASE-1"
    assert "case" not in house.events("session.opened")[0]


def test_failures_count_for_the_account_whatever_case_is_behind_it(house):
    """A guesser gets no new tries by naming another case, and learns nothing from when it is locked."""
    for login in ("alice@corp.example", "nobody"):
        for number in range(3):
            with pytest.raises(AuthenticationError):
                house.authenticator.check(password(f"{login}@CASE-{number + 10}", "wrong"), origin())
        for form in (f"{login}@CASE-99", f"CASE-98@{login}", login):
            with pytest.raises(ThrottledError):
                house.authenticator.check(password(form, "wrong"), origin())


def test_success_forgets_the_failures_of_that_spelling(house):
    """Somebody who mistypes now and then is not locked out in the end."""
    for _ in range(4):
        with pytest.raises(AuthenticationError):
            house.authenticator.check(password(FORMS[0], "wrong"), origin())
        house.log_in(password(FORMS[0]), origin()).close()


def test_session_for_a_case_ends_with_the_case(house):
    """When the case is withdrawn its own sessions end, and those of the whole account stay."""
    scoped = house.log_in(password(FORMS[0]), origin())
    whole = house.log_in(password("alice@corp.example"), origin())
    house.authenticator.apply(Subject.CASE, "CASE-1", "changed")
    assert scoped.revoked is None
    house.entered.clear()
    house.authenticator.apply(Subject.CASE, "CASE-2", "closed")
    assert scoped.revoked is None
    house.authenticator.apply(Subject.CASE, "CASE-1", "closed")
    assert scoped.revoked == "closed"
    assert whole.revoked is None


def test_recheck_ends_a_session_whose_case_was_withdrawn_unannounced(house):
    """What nobody announced ends by the sweep."""
    scoped = house.log_in(password(FORMS[1]), origin())
    house.entered.clear()
    house.authenticator.recheck()
    assert scoped.revoked is not None


def test_bearer_token_is_for_no_case(house):
    """Without a login there is nothing that could name one."""
    token = house.tokens.create("alice@corp.example", by="test").text
    house.log_in(BearerCredential(token=token), origin())
    assert "case" not in house.events("session.opened")[0]


# -- what the session sees ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Iterator[Core]:
    with running_core(tmp_path_factory.mktemp("core")) as running:
        yield running


def test_root_of_a_session_for_one_case_is_its_folder(core):
    """It lists what lies in the case, and a file put there is a deposit into it."""
    ann = core.client("ann", only="ACME-1")
    assert ann.names("/") == [".meta", "from-support", "to-support"]
    ann.put("/2026-11-22.log", b"one")
    assert ann.names("/to-support") == ["2026-11-22.log"]
    assert core.client("ann").names("/ACME-1/to-support") == ["2026-11-22.log"]


@pytest.mark.parametrize(
    "way", ["/to-support", "/ACME-1/to-support", "/ACME-1 Old title/to-support", "/cases/ACME-1/to-support"]
)
def test_longer_ways_lead_to_the_same_folder(core, way):
    """A path that works in an unscoped session works in this one."""
    ann = core.client("ann", only="ACME-1")
    assert ann.stat(way).is_directory
    with pytest.raises(AlreadyExistsError):
        ann.mkdir(way)


@pytest.mark.parametrize("way", ["/ACME-2/to-support", "/cases/ACME-2/to-support", "/GLOBEX-1", "/cases/ACME-2"])
def test_other_cases_are_not_there(core, way):
    """Not even the account's own."""
    ann = core.client("ann", only="ACME-1")
    for call in (ann.names, ann.stat, ann.get):
        with pytest.raises(NotFoundError):
            call(way)
    with pytest.raises(FileSystemError):
        ann.put(f"{way}/file", b"one")
