"""Local accounts, and their keys."""

from __future__ import annotations

import subprocess
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from casemap.model import CaseGrant, Role
from mft.auth.audited import unaudited
from mft.auth.errors import (
    AccountExistsError,
    InvalidAccountError,
    NoSuchAccountError,
    NoSuchKeyError,
    PasswordRuleError,
    PublicKeyError,
)
from mft.auth.grants import Grants
from mft.auth.sshkeys import parse_public_key
from mft.catalog.model import ACCOUNTS, REVOCATIONS
from tests.mft.gatehouse import ED25519, OTHER_KEY, PASSWORD, START, Gatehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENGINEER = frozenset({Role.ENGINEER})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Gatehouse]:
    gatehouse = Gatehouse(tmp_path / "catalog.db")
    yield gatehouse
    gatehouse.close()


def revocations(house: Gatehouse) -> list[tuple[str, str, str]]:
    with house.database.read() as connection:
        rows = connection.execute(
            select(REVOCATIONS.c.kind, REVOCATIONS.c.subject, REVOCATIONS.c.reason).order_by(REVOCATIONS.c.serial)
        )
        return [tuple(row) for row in rows]


def test_principal_has_what_the_account_was_given(house):
    """What an account was made with is what its principal has."""
    house.accounts.create(
        "bob@acme.example",
        roles={Role.CUSTOMER},
        customer="acme",
        name="Bob",
        password=PASSWORD,
        regions={"eu", "us"},
        clearance=3,
        by="test",
    )
    house.keys.add("bob@acme.example", ED25519, by="test")
    principal = house.accounts.principal("bob@acme.example")
    assert principal.roles == {Role.CUSTOMER}
    assert principal.customer == "acme"
    assert principal.name == "Bob"
    assert principal.regions == {"eu", "us"}
    assert principal.clearance == 3
    assert principal.active
    assert principal.password_hash.startswith("$argon2id$")
    assert principal.public_keys == (" ".join(ED25519.split()[:2]),)


@pytest.mark.parametrize(
    "login",
    [
        "",
        " ",
        "a b",
        "a/b",
        "a\\b",
        "a\0",
        "a\nb",
        "a:b",
        ".hidden",
        "-rf",
        "@",
        "..",
        "x" * 129,
        "a\u200bb",
        "a\u202eb",
    ],
)
def test_login_is_refused_when_it_could_be_mistaken(house, login):
    """A login with separators, invisible characters or too many of them is refused with a reason."""
    with pytest.raises(InvalidAccountError, match="login"):
        house.accounts.create(login, roles=ENGINEER, by="test")


@pytest.mark.parametrize("twin", ["Zoë", "ZOË", unicodedata.normalize("NFD", "zoë"), "\uff5aoë"])
def test_second_login_is_refused_when_both_normalise_to_one(house, twin):
    """Two logins that people would take for one cannot both exist."""
    house.accounts.create("zoë", roles=ENGINEER, by="test")
    with pytest.raises(AccountExistsError):
        house.accounts.create(twin, roles=ENGINEER, by="test")
    assert [account.login for account in house.accounts.list()] == ["zoë"]


@pytest.mark.parametrize(
    ("roles", "customer"),
    [(set(), None), ({Role.CUSTOMER}, None), ({Role.ENGINEER}, "acme"), ({Role.CUSTOMER, Role.ENGINEER}, "acme")],
)
def test_account_is_refused_when_roles_and_customer_contradict(house, roles, customer):
    """A customer has a customer's id and no role of staff; staff have no customer."""
    with pytest.raises(InvalidAccountError):
        house.accounts.create("x", roles=roles, customer=customer, by="test")
    assert house.accounts.list() == ()


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaaaa", "alice@example.com", "x" * 1025, "tab\there and more"]
)
def test_password_is_refused_when_it_is_easily_guessed(house, password):
    """A password that is short, monotonous, the login itself, huge, or holds controls is refused and not echoed."""
    with pytest.raises(PasswordRuleError) as caught:
        house.accounts.create("alice@example.com", roles=ENGINEER, password=password, by="test")
    assert password not in str(caught.value)
    assert house.accounts.list() == ()


def test_every_change_is_numbered_and_told_to_the_audit(house):
    """Each change leaves one revocation row and one event that says who made it, and no secret."""
    house.accounts.create("alice", roles=ENGINEER, by="root")
    house.accounts.set_password("alice", PASSWORD, by="root")
    house.keys.add("alice", ED25519, by="root")
    house.accounts.grant("alice", Role.RELEASER, by="root")
    house.accounts.revoke("alice", Role.RELEASER, by="root")
    house.accounts.disable("alice", by="root")
    house.accounts.enable("alice", by="root")
    house.keys.remove("alice", parse_public_key(ED25519).fingerprint, by="root")
    house.accounts.remove("alice", by="root")
    kinds = [event["kind"] for event in house.events()]
    assert kinds == [
        "account.created",
        "account.password_set",
        "account.key_added",
        "account.changed",
        "account.changed",
        "account.changed",
        "account.changed",
        "account.key_removed",
        "account.removed",
    ]
    assert [reason for _, _, reason in revocations(house)] == kinds
    assert {(kind, subject) for kind, subject, _ in revocations(house)} == {("principal", "alice")}
    assert {event["by"] for event in house.events()} == {"root"}
    assert PASSWORD not in house.everything_written()
    assert "$argon2id$" not in house.everything_written()


def test_customers_changes_stand_in_the_customers_chain(house):
    """What happens to a customer's account is told in that customer's chain."""
    house.accounts.create("bob", roles={Role.CUSTOMER}, customer="acme", by="root")
    house.accounts.create("eve", roles=ENGINEER, by="root")
    assert [event["chain"] for event in house.events()] == ["customer:acme", "system"]


def test_change_that_changes_nothing_leaves_no_trace(house):
    """Enabling an enabled account is no event and disconnects nobody."""
    house.accounts.create("alice", roles=ENGINEER, by="root")
    house.accounts.enable("alice", by="root")
    assert len(house.events()) == 1


def test_change_cannot_rename_or_date_an_account(house):
    """Whatever an edit does to login and times, they stay."""
    made = house.accounts.create("alice", roles=ENGINEER, by="root")
    house.clock.seconds += 60
    changed = house.accounts.change(
        "alice", lambda account: replace(account, login="mallory", name="A", created=house.clock.now()), by="root"
    )
    assert (changed.login, changed.created, changed.name) == ("alice", made.created, "A")
    assert changed.updated.timestamp() == START + 60


def test_last_role_is_kept(house):
    """An account cannot lose its only role, nor one that it has not."""
    house.accounts.create("alice", roles=ENGINEER, by="root")
    with pytest.raises(InvalidAccountError, match="disable"):
        house.accounts.revoke("alice", Role.ENGINEER, by="root")
    with pytest.raises(InvalidAccountError, match="not the role"):
        house.accounts.revoke("alice", Role.AUDITOR, by="root")


def test_removed_account_takes_its_tokens_along(house):
    """Who gets the login later does not inherit the tokens."""
    house.accounts.create("alice", roles=ENGINEER, by="root")
    minted = house.tokens.create("alice", by="root")
    house.accounts.remove("alice", by="root")
    house.accounts.create("alice", roles=ENGINEER, by="root")
    assert house.tokens.get(minted.token.id).revoked is not None


@pytest.mark.parametrize("act", ["disable", "enable", "remove", "get"])
def test_unknown_account_is_an_error(house, act):
    """Acting on an account that is not there says so."""
    with pytest.raises(NoSuchAccountError, match="nobody"):
        getattr(house.accounts, act)("nobody", **({} if act == "get" else {"by": "root"}))


def test_password_is_kept_as_argon2id_only(house):
    """The catalog holds an Argon2id hash and not the password."""
    house.accounts.create("alice", roles=ENGINEER, password=PASSWORD, by="root")
    house.accounts.set_password("alice", PASSWORD + "!", by="root")
    with house.database.read() as connection:
        hashed = connection.execute(select(ACCOUNTS.c.password_hash)).scalar_one()
    assert hashed.startswith("$argon2id$v=19$")
    assert PASSWORD.encode() not in b"".join(
        path.read_bytes() for path in house.database.path.parent.iterdir() if path.is_file()
    )


def _generate(directory: Path, *options: str) -> tuple[str, str]:
    """Have ssh-keygen make a key; return its public line and the fingerprint that ssh-keygen shows."""
    file = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "a comment", "-f", file, *options], check=True)
    public = file.with_suffix(".pub")
    shown = subprocess.run(["ssh-keygen", "-lf", public], check=True, capture_output=True, text=True).stdout
    return public.read_text(), shown.split()[1]


@pytest.mark.parametrize(
    "options",
    [("-t", "ed25519"), ("-t", "ecdsa", "-b", "256"), ("-t", "ecdsa", "-b", "521"), ("-t", "rsa", "-b", "2048")],
    ids=" ".join,
)
def test_key_has_the_fingerprint_that_openssh_shows(tmp_path, options):
    """Keys of every modern type are taken, and named as ssh-keygen names them."""
    line, shown = _generate(tmp_path, *options)
    key = parse_public_key(line)
    assert key.fingerprint == shown
    assert key.comment == "a comment"
    assert line.startswith(key.line)


def test_short_rsa_key_is_refused_with_its_length(tmp_path):
    """An RSA key below 2048 bits is refused, and the reason says how long it is."""
    line, _ = _generate(tmp_path, "-t", "rsa", "-b", "1024")
    with pytest.raises(PublicKeyError, match="1024 bits"):
        parse_public_key(line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ssh-dss AAAAB3NzaC1kc3MAAACBAP== x", "DSA"),
        (f'command="/bin/sh" {ED25519}', "options"),
        (f"restrict {ED25519}", "options"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA x", "certificate"),
        ("ssh-ed25519", "not an OpenSSH"),
        ("ssh-ed25519 !!!! x", "base64"),
        (ED25519.replace("ssh-ed25519 ", "ssh-rsa ", 1), "not of the type"),
        (ED25519.split()[0] + " " + ED25519.split()[1][:-8], "cut short"),
        (f"{ED25519}\n{OTHER_KEY}", "not an OpenSSH"),
        ("", "not an OpenSSH"),
        ("ssh-ed25519 " + "A" * 20000, "not an OpenSSH"),
    ],
)
def test_line_is_refused_when_it_is_no_plain_key(line, reason):
    """What is no single plain public key is refused with the reason."""
    with pytest.raises(PublicKeyError, match=reason):
        parse_public_key(line)


def test_key_with_a_tail_is_refused():
    """Bytes after a key's end are no part of a key."""
    import base64

    blob = base64.b64decode(ED25519.split()[1]) + b"\0\0\0\0"
    with pytest.raises(PublicKeyError, match="after its end"):
        parse_public_key("ssh-ed25519 " + base64.b64encode(blob).decode())


def test_key_is_listed_until_it_is_removed(house):
    """Keys are added once each, listed with comment, and removed by fingerprint."""
    house.accounts.create("alice", roles=ENGINEER, by="root")
    added = house.keys.add("alice", ED25519, by="root")
    assert house.keys.add("alice", ED25519, by="root") == added
    house.keys.add("alice", OTHER_KEY, by="root")
    assert {key.comment for key in house.keys.list("alice")} == {"alice@laptop", "alice@desktop"}
    house.keys.remove("alice", added.fingerprint, by="root")
    assert [key.comment for key in house.keys.list("alice")] == ["alice@desktop"]
    with pytest.raises(NoSuchKeyError):
        house.keys.remove("alice", added.fingerprint, by="root")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("UPDATE account SET clearance = 50 WHERE login = 'bob'", "bob: clearance is 50, not 3"),
        ("UPDATE account SET roles = 'engineer,releaser' WHERE login = 'bob'", "bob: roles is"),
        ("UPDATE account SET regions = NULL WHERE login = 'bob'", "bob: regions is None, not ['eu']"),
        ("UPDATE account SET customer = 'globex' WHERE login = 'ann'", "ann: customer is globex, not acme"),
        ("UPDATE account SET active = 1 WHERE login = 'gone'", "gone: active is True, not False"),
        ("UPDATE account SET limited = 0 WHERE login = 'bob'", "bob: the limit to its grants was taken away"),
        ("UPDATE account SET password_hash = 'of another' WHERE login = 'ann'", "ann: its password was replaced"),
        ("UPDATE account_key SET login = 'bob'", "bob: no event tells of its SSH key SHA256:"),
        ("UPDATE account SET login = 'mallory' WHERE login = 'gone'", "mallory: no event tells that it was made"),
    ],
)
def test_rights_that_were_written_past_the_server_are_told(house, harm, told):
    """What the server does, and nothing else, is what the audit's events tell of accounts."""
    house.accounts.create("bob", roles=ENGINEER, regions={"eu"}, clearance=2, password=PASSWORD, by="test")
    house.accounts.change("bob", lambda account: replace(account, clearance=3), by="test")
    house.accounts.create("ann", roles={Role.CUSTOMER}, customer="acme", by="test")
    house.accounts.set_password("ann", PASSWORD, by="test")
    house.keys.add("ann", ED25519, by="test")
    house.keys.add("ann", OTHER_KEY, by="test")
    house.keys.remove("ann", parse_public_key(OTHER_KEY).fingerprint, by="test")
    house.accounts.create("gone", roles=ENGINEER, by="test")
    house.accounts.remove("gone", by="test")
    house.accounts.create("gone", roles=ENGINEER, by="test")
    house.accounts.disable("gone", by="test")
    Grants(house.ledger).add("bob", CaseGrant(customer="acme"), by="test")
    with house.database.write() as connection:
        assert unaudited(connection) == []
        connection.exec_driver_sql(harm)
        (fault,) = unaudited(connection)
    assert fault.what.startswith(told)
