"""Logging in, end to end: credential, grant, session, and what the audit says of it."""

from __future__ import annotations

import base64
import datetime as dt
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from casemap.model import Role
from mft.auth.passwords import hash_password
from mft.catalog.errors import CatalogBusyError
from protocols.errors import AuthenticationError, EndedTokenError, ThrottledError, UnavailableError
from protocols.session import BearerCredential, Grant, PasswordCredential, PublicKeyCredential
from tests.mft.gatehouse import ED25519, OTHER_KEY, PASSWORD, Gatehouse, origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOB = base64.b64decode(ED25519.split()[1])
OTHER_BLOB = base64.b64decode(OTHER_KEY.split()[1])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Gatehouse]:
    gatehouse = Gatehouse(tmp_path / "catalog.db", account_failures=3, network_failures=8)
    gatehouse.accounts.create("alice", roles={Role.ENGINEER}, password=PASSWORD, by="test")
    gatehouse.keys.add("alice", ED25519, by="test")
    gatehouse.cases.replace(bob(gatehouse))
    yield gatehouse
    gatehouse.close()


def bob(house: Gatehouse, **changes: object) -> dict[str, object]:
    """Return the case system's record of a customer's login."""
    return {
        "login": "bob",
        "roles": ["customer"],
        "customer": "acme",
        "password_hash": hash_password(PASSWORD, house.hasher),
        "public_keys": [ED25519],
        "regions": ["eu"],
        **changes,
    }


def password(login: str, text: str = PASSWORD) -> PasswordCredential:
    return PasswordCredential(login=login, password=text)


def refusal(house: Gatehouse, credential: object, where: object = None) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        house.authenticator.check(credential, where or origin())
    return caught.value


@pytest.mark.parametrize("login", ["alice", "bob"])
@pytest.mark.parametrize("way", ["password", "key", "token", "bearer"])
def test_session_opens_by_every_way_for_local_and_looked_up_logins(house, login, way):
    """Password, key, token as password and bearer token each open a session that the audit knows."""
    token = house.tokens.create(login, by="test").text
    credential = {
        "password": password(login),
        "key": PublicKeyCredential(login=login, key=BLOB),
        "token": password(login, token),
        "bearer": BearerCredential(token=token),
    }[way]
    session = house.log_in(credential, origin())
    opened = house.events("session.opened")[-1]
    assert (session.login, opened["login"], opened["session"]) == (login, login, session.id)
    assert opened["chain"] == ("customer:acme" if login == "bob" else "system")
    assert opened["method"] == {"bearer": "token", "key": "publickey"}.get(way, way)
    assert session.filesystem.login == login
    session.close("disconnected")
    assert house.events("session.closed")[-1]["reason"] == "disconnected"
    assert len(house.registry) == 0
    assert PASSWORD not in house.everything_written()
    assert token not in house.everything_written()


def test_refusals_are_one_and_the_same_and_cost_one_run(house):
    """Wrong password, unknown or impossible login, disabled, expired: one text, one Argon2 run."""
    house.accounts.create("disabled", roles={Role.ENGINEER}, password=PASSWORD, by="test")
    house.accounts.disable("disabled", by="test")
    house.accounts.create(
        "expired",
        roles={Role.ENGINEER},
        password=PASSWORD,
        expires=house.clock.now() - dt.timedelta(seconds=1),
        by="test",
    )
    house.accounts.create("keyed", roles={Role.ENGINEER}, by="test")
    cases = {
        "alice": "wrong password",
        "nobody": "unknown login",
        "a/../b": "unknown login",
        "\ud800": "unknown login",
        "": "unknown login",
        "disabled": "the account is disabled",
        "expired": "the account has expired",
        "keyed": "the account has no password",
    }
    texts = set()
    for number, (login, reason) in enumerate(cases.items()):
        house.hasher.runs = 0
        text = "a wrong password" if login in {"alice", "nobody"} else PASSWORD
        error = refusal(house, password(login, text), origin(peer=f"192.0.2.{number}"))
        assert type(error) is AuthenticationError
        texts.add(str(error))
        assert house.hasher.runs == 1, login
        assert house.events("login.denied")[-1]["reason"] == reason
    assert texts == {"the login was not accepted"}


@pytest.mark.parametrize("login", ["alice", "nobody"])
def test_lockout_does_not_tell_whether_there_is_an_account(house, login):
    """Known and unknown logins are locked by the same number of failures, and then not looked at."""
    for number in range(3):
        assert (
            type(refusal(house, password(login, "a wrong one"), origin(peer=f"192.0.2.{number}")))
            is AuthenticationError
        )
    house.hasher.runs = 0
    locked = refusal(house, password(login), origin(peer="203.0.113.1"))
    assert isinstance(locked, ThrottledError)
    assert locked.retry_after == 900
    assert house.hasher.runs == 0
    assert [event["what"] for event in house.events("login.locked")] == ["account"]


def test_locked_account_still_takes_its_keys_and_tokens(house):
    """A stranger who locks an account out does not stop its machines."""
    token = house.tokens.create("alice", by="test").text
    for _ in range(3):
        refusal(house, password("alice", "a wrong one"), origin(peer="203.0.113.1"))
    house.log_in(PublicKeyCredential(login="alice", key=BLOB), origin())
    house.log_in(password("alice", token), origin())
    assert isinstance(refusal(house, password("alice")), ThrottledError)


def test_locked_network_is_not_listened_to(house):
    """After too many failures of one address, not even good credentials are looked at from there."""
    for number in range(8):
        refusal(house, password(f"login{number}", "a wrong one"))
    for credential in (password("alice"), PublicKeyCredential(login="alice", key=BLOB), BearerCredential(token="x")):
        assert isinstance(refusal(house, credential), ThrottledError)
    house.log_in(password("alice"), origin(peer="192.0.2.99"))


def test_success_lets_the_account_begin_anew(house):
    """Two mistakes, a success, two mistakes: never locked."""
    for _ in range(3):
        refusal(house, password("alice", "a wrong one"))
        refusal(house, password("alice", "a wrong one"))
        house.log_in(password("alice"), origin()).close()


def test_session_by_key_does_not_clear_the_count_of_passwords(house):
    """A machine that logs in by key every minute does not give a guesser new tries."""
    for _ in range(2):
        refusal(house, password("alice", "a wrong one"))
    house.log_in(PublicKeyCredential(login="alice", key=BLOB), origin()).close()
    refusal(house, password("alice", "a wrong one"))
    assert isinstance(refusal(house, password("alice")), ThrottledError)


def test_offered_keys_are_no_failures_and_no_sessions(house):
    """An agent may offer many keys: none is counted, and an offer alone opens nothing."""
    for _ in range(20):
        refusal(house, PublicKeyCredential(login="alice", key=OTHER_BLOB))
    house.authenticator.check(PublicKeyCredential(login="alice", key=BLOB), origin())
    assert len(house.registry) == 0
    assert house.events("session.opened") == []
    house.log_in(password("alice"), origin())


def test_key_of_another_login_opens_nothing(house):
    """A key opens its own account alone, and an unknown login is refused in the same words."""
    house.accounts.create("carol", roles={Role.ENGINEER}, by="test")
    house.keys.add("carol", OTHER_KEY, by="test")
    errors = {
        str(refusal(house, PublicKeyCredential(login=login, key=key)))
        for login, key in [
            ("alice", OTHER_BLOB),
            ("carol", BLOB),
            ("nobody", BLOB),
            ("alice", b""),
            ("alice", b"\0" * 51),
        ]
    }
    assert errors == {"the login was not accepted"}


def test_weak_key_in_the_case_system_opens_nothing(house):
    """A key that we would not take for an account is not taken from the case system either."""
    blob = b"\0\0\0\x07ssh-dss" + b"\0\0\0\x01\x01" * 4
    line = "ssh-dss " + base64.b64encode(blob).decode()
    house.cases.replace(bob(house, public_keys=[line, ED25519]))
    refusal(house, PublicKeyCredential(login="bob", key=blob))
    house.log_in(PublicKeyCredential(login="bob", key=BLOB), origin())


@pytest.mark.parametrize("fault", ["revoked", "expired", "mistyped", "another's", "orphan", "disabled owner"])
def test_token_is_refused_when_it_is_no_good(house, fault):
    """Every bad token is refused without an Argon2 run, and the audit says why; its holder learns that it has ended."""
    minted = house.tokens.create("alice", expires=house.clock.now() + dt.timedelta(hours=1), by="test")
    text, login = minted.text, "alice"
    if fault == "revoked":
        house.tokens.revoke(minted.token.id, by="test")
    elif fault == "expired":
        house.clock.seconds += 3600
    elif fault == "mistyped":
        text = text[:-1] + ("a" if text[-1] != "a" else "b")
    elif fault == "another's":
        login = "bob"
    elif fault == "orphan":
        house.accounts.remove("alice", by="test")
    else:
        house.accounts.disable("alice", by="test")
    house.hasher.runs = 0
    error = refusal(house, password(login, text))
    assert house.hasher.runs == 0
    told = {
        "revoked": "this token was revoked; ask for a new one",
        "expired": f"this token expired on {house.clock.now():%Y-%m-%d at %H:%M} UTC; ask for a new one",
    }
    assert str(error) == told.get(fault, "the login was not accepted")
    assert isinstance(error, EndedTokenError) == (fault in told)
    assert '"' not in str(error)
    reason = {
        "revoked": "the token was revoked",
        "expired": "the token has expired",
        "mistyped": "unknown token",
        "another's": "the token is another login's",
        "orphan": "the token's login is unknown",
        "disabled owner": "the account is disabled",
    }[fault]
    assert house.events("login.denied")[-1]["reason"] == reason


def test_case_system_that_is_down_lets_nobody_in_but_local_accounts(house):
    """Without an answer a looked-up login is unavailable, neither good nor bad; nothing is counted."""
    house.cases.down = True
    for _ in range(5):
        with pytest.raises(UnavailableError) as caught:
            house.authenticator.check(password("bob"), origin())
        assert caught.value.retry_after == 7.0
    house.log_in(password("alice"), origin())
    house.cases.down = False
    house.log_in(password("bob"), origin())


def test_local_account_hides_the_case_systems(house):
    """A disabled local account is not opened by the case system's record of the same login."""
    house.accounts.create("bob", roles={Role.ENGINEER}, by="test")
    house.accounts.disable("bob", by="test")
    refusal(house, password("bob"))


def test_denials_fold_into_one_counted_record(house):
    """The first denial is written at once, its repeats as one record with their number."""
    for _ in range(2):
        refusal(house, password("alice", "a wrong one"))
    for _ in range(4):
        refusal(house, PublicKeyCredential(login="nobody", key=BLOB))
    assert len(house.events("login.denied")) == 2
    house.authenticator.settle(everything=True)
    assert [event.get("repeated") for event in house.events("login.denied")] == [None, None, 1, 3]


def test_log_echoes_no_unknown_login(house, caplog):
    """A password typed into the login's field reaches the audit but no log line."""
    with caplog.at_level(logging.DEBUG, logger="mft"):
        refusal(house, password("hunter2-my-password", "x"))
        refusal(house, password("alice", "guess-of-a-password"))
    logged = "".join(repr(vars(record)) for record in caplog.records)
    assert "hunter2" not in logged
    assert "guess" not in logged
    assert "alice" in logged
    assert "hunter2-my-password" in house.everything_written()
    assert "guess-of-a-password" not in house.everything_written()


def test_token_in_the_place_of_the_login_is_not_written_anywhere(house):
    """`curl -u TOKEN:` must not bring a good token to rest in the audit."""
    token = house.tokens.create("alice", by="test").text
    refusal(house, password(token, ""))
    assert token not in house.everything_written()


@pytest.mark.parametrize(
    "change",
    [
        lambda house: house.accounts.disable("alice", by="test"),
        lambda house: house.accounts.remove("alice", by="test"),
        lambda house: house.accounts.set_password("alice", "quite another password", by="test"),
        lambda house: house.accounts.change("alice", lambda a: replace(a, regions=frozenset({"us"})), by="test"),
        lambda house: house.accounts.grant("alice", Role.RELEASER, by="test"),
    ],
    ids=["disabled", "removed", "password", "region", "roles"],
)
def test_grant_opens_nothing_when_rights_changed_since(house, change):
    """Between the check and the proof anything may be withdrawn: opening looks again."""
    grant = house.authenticator.check(password("alice"), origin())
    change(house)
    with pytest.raises(AuthenticationError):
        house.authenticator.open(grant, origin())
    assert len(house.registry) == 0


def test_grant_of_somebody_elses_making_opens_nothing(house):
    """A grant that this authenticator did not give is none."""
    with pytest.raises(AuthenticationError):
        house.authenticator.open(Grant(login="alice", subject=None), origin())


def test_session_is_not_added_for_rights_read_before_a_withdrawal(house):
    """A withdrawal that falls between reading rights and adding the session makes the login look again."""
    make = house.authenticator._filesystem_for

    def withdrawn_meanwhile(*args):
        if not house.events("account.changed"):
            house.accounts.disable("alice", by="test")
            house.authenticator.recheck("alice")  # the session is not there yet to be found
        return make(*args)

    house.authenticator._filesystem_for = withdrawn_meanwhile
    grant = house.authenticator.check(password("alice"), origin())
    with pytest.raises(AuthenticationError):
        house.authenticator.open(grant, origin())
    assert len(house.registry) == 0


def test_sessions_are_bounded_for_each_login_and_in_all(tmp_path):
    """The session above a bound is refused, audited, and room is there again when one closes."""
    house = Gatehouse(tmp_path / "catalog.db", total=3, per_login=2)
    for login in ("alice", "carol"):
        house.accounts.create(login, roles={Role.ENGINEER}, password=PASSWORD, by="test")
    first = house.log_in(password("alice"), origin())
    house.log_in(password("alice"), origin())
    with pytest.raises(UnavailableError, match="this login"):
        house.log_in(password("alice"), origin())
    house.log_in(password("carol"), origin())
    with pytest.raises(UnavailableError, match="too many sessions are open here"):
        house.log_in(password("carol"), origin())
    assert {event["reason"] for event in house.events("login.denied")} == {"too many sessions"}
    first.close()
    house.log_in(password("carol"), origin())
    house.close()


def test_session_that_the_audit_cannot_take_is_not_opened(house, monkeypatch):
    """No event, no session: it leaves the registry again."""
    grant = house.authenticator.check(password("alice"), origin())

    def busy():
        raise CatalogBusyError("somebody else writes")

    monkeypatch.setattr(house.database, "write", busy)
    with pytest.raises(UnavailableError):
        house.authenticator.open(grant, origin())
    assert len(house.registry) == 0


def test_refusal_stays_a_refusal_when_it_cannot_be_counted(house, monkeypatch):
    """A catalog that cannot be written turns no wrong password into anything else."""

    def busy():
        raise CatalogBusyError("somebody else writes")

    monkeypatch.setattr(house.database, "write", busy)
    assert type(refusal(house, password("alice", "a wrong one"))) is AuthenticationError


def test_revoked_login_loses_its_sessions_and_its_remembered_password(house):
    """Revoking a login ends all of its sessions with the reason, and no other's."""
    mine = [house.log_in(password("alice"), origin()) for _ in range(2)]
    other = house.log_in(password("bob"), origin())
    house.hasher.runs = 0
    assert house.authenticator.revoke_login("alice", "left the company") == 2
    assert [session.revoked for session in mine] == ["left the company"] * 2
    assert other.revoked is None
    mine[0].close()
    assert house.events("session.closed")[-1]["reason"] == "left the company"
    house.authenticator.check(password("alice"), origin())
    assert house.hasher.runs == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"active": False}, "the account is disabled"),
        ({"expires": "2026-01-01T00:00:00Z"}, "the account has expired"),
        ({"regions": ["us"]}, "the account's rights were changed"),
        ({"customer": "globex"}, "the account's rights were changed"),
        ({"clearance": 5}, "the account's rights were changed"),
        ({"password_hash": "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$" + "A" * 43}, "the password was changed"),
        (None, "the account was removed"),
        ({"name": "Robert", "email": "bob@acme.example", "public_keys": [OTHER_KEY]}, None),
    ],
)
def test_live_session_ends_when_the_case_system_withdraws(house, changes, reason):
    """The sweep ends what the case system took away in silence, and leaves alone what carries no rights."""
    record = bob(house)
    house.cases.replace(record)
    session = house.log_in(password("bob"), origin())
    house.cases.replace(*([record | changes] if changes is not None else []))
    house.authenticator.recheck()
    assert session.revoked == reason


def test_live_session_by_key_ends_when_the_key_goes(house):
    """A session is carried by the key that opened it: another key may go, this one may not."""
    session = house.log_in(PublicKeyCredential(login="bob", key=BLOB), origin())
    house.cases.replace(bob(house, public_keys=[OTHER_KEY, ED25519], password_hash=None))
    house.authenticator.recheck()
    assert session.revoked is None
    house.cases.replace(bob(house, public_keys=[OTHER_KEY]))
    house.authenticator.recheck()
    assert session.revoked == "the key was removed"


def test_live_session_by_token_ends_when_the_token_expires(house):
    """A token's end is the end of its sessions."""
    token = house.tokens.create("bob", expires=house.clock.now() + dt.timedelta(hours=1), by="test").text
    session = house.log_in(BearerCredential(token=token), origin())
    house.authenticator.recheck()
    assert session.revoked is None
    house.clock.seconds += 3600
    house.authenticator.recheck()
    assert session.revoked == "the token has expired"


def test_live_session_ends_when_rights_cannot_be_confirmed(house):
    """A case system that is silent for longer than the lookup may hide ends the sessions: it fails closed."""
    looked_up, local = house.log_in(password("bob"), origin()), house.log_in(password("alice"), origin())
    house.cases.down = True
    house.authenticator.recheck()
    assert looked_up.revoked == "the rights cannot be confirmed"
    assert local.revoked is None


def test_many_threads_log_in_and_out(house):
    """Sessions opened and closed by many threads leave none behind, and an event of each."""
    token = house.tokens.create("alice", by="test").text

    def come_and_go() -> None:
        for _ in range(5):
            house.log_in(BearerCredential(token=token), origin()).close()

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(house.registry) == 0
    assert len(house.events("session.opened")) == len(house.events("session.closed")) == 30
