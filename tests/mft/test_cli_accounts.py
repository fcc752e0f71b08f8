"""`mft user`, `role`, `key` and `token`, as an operator uses them."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from sqlalchemy import select

import mft.cli
from casemap.model import Role
from mft.audit import verify_trail
from mft.auth.accounts import Accounts
from mft.auth.passwords import Passwords
from mft.auth.throttle import Throttle
from mft.auth.tokens import Tokens
from mft.catalog.database import Database
from mft.catalog.model import ACCOUNTS, EVENTS, FAILURES, REVOCATIONS
from mft.cli.ledger import open_ledger
from mft.config import load_config
from mft.credentials import load_credentials
from mft.signers import head_checker
from protocols.errors import ThrottledError
from tests.mft.gatehouse import ED25519, OTHER_KEY, PASSWORD

CONFIG = """
data: data
listeners: [{protocol: sftp, port: 2222}]
regions:
  eu: {keyring: {passphrase_file: eu.pass}}
  us: {keyring: {passphrase_file: us.pass}}
residency: {home: eu}
lookup: {table: cases.yaml}
"""


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A configuration that nothing ever ran with, in the current directory."""
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MFT_CONFIG", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A server's data with its keys and one account, made once: an RSA host key and Argon2 take their time."""
    home = tmp_path_factory.mktemp("made")
    (home / "config.yaml").write_text(CONFIG, encoding="utf-8")
    with open_ledger(home / "config.yaml") as (_, ledger, _):
        Accounts(ledger).create("alice", roles={Role.ENGINEER}, password=PASSWORD, by="cli:template")
    return home / "data"


@pytest.fixture
def installation(empty, template):
    """The same with the server's keys and the account of alice, an engineer."""
    shutil.copytree(template, empty / "data")
    return empty


@pytest.fixture
def run(installation, monkeypatch, capfd):
    """Return a function that runs `mft` in this process: (exit code, standard output, standard error)."""

    def run(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["mft", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            mft.cli.main()
        except SystemExit as exit_:
            code = exit_.code or 0
        else:
            code = 0
        out, error = capfd.readouterr()
        return code, out, error

    return run


def rows(installation, statement):
    database = Database(installation / "data" / "catalog.db")
    try:
        with database.read() as connection:
            return connection.execute(statement).all()
    finally:
        database.close()


def test_account_is_made_as_the_options_say(run, installation):
    """What the options say stands in the catalog, and of the password only its hash."""
    options = ("--name", "Bella", "--region", "eu", "--clearance", "3", "--expires", "2099-01-01", "--password-stdin")
    assert run("user", "add", "bella", "--role", "engineer", *options, stdin=PASSWORD) == (0, "bella: made\n", "")
    (account,) = rows(installation, select(ACCOUNTS).where(ACCOUNTS.c.login == "bella"))
    assert (account.login, account.roles, account.name, account.regions, account.clearance) == (
        "bella",
        "engineer",
        "Bella",
        "eu",
        3,
    )
    assert account.password_hash.startswith("$argon2id$")
    code, out, _ = run("user", "show", "bella", "--json")
    assert code == 0
    assert json.loads(out)["expires"] == "2099-01-01T00:00:00+00:00"
    assert "password_hash" not in out


def test_audit_of_the_commands_verifies_and_says_who(run, installation):
    """What the commands write stands in the signed chain, with the system's user, and announced."""
    run("role", "grant", "alice", "releaser")
    run("user", "disable", "alice")
    settings = load_config(installation / "config.yaml", os.environ)
    key = load_credentials(settings, now=dt.datetime.now(dt.UTC)).receipt_key.public_key()
    database = Database(installation / "data" / "catalog.db")
    with database.read() as connection:
        verdict = verify_trail(connection, head_checker(key))
    database.close()
    assert (verdict.events, verdict.faults) == (3, ())
    assert all(json.loads(row.body)["by"].startswith("cli:") for row in rows(installation, select(EVENTS.c.body)))
    assert len(rows(installation, select(REVOCATIONS))) == 3


def test_commands_work_while_the_catalog_is_in_use(run, installation):
    """A server that has the catalog open does not keep an operator out."""
    database = Database(installation / "data" / "catalog.db")
    with database.read() as connection:
        connection.execute(select(ACCOUNTS)).all()
        assert run("user", "disable", "alice")[0] == 0
    database.close()
    assert rows(installation, select(ACCOUNTS.c.active))[0].active is False


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("user", "add", "a/b", "--role", "engineer", "--no-password"), 1, "the login"),
        (("user", "add", "bob", "--role", "wizard", "--no-password"), 1, "no role 'wizard'"),
        (("user", "add", "bob", "--role", "customer", "--no-password"), 1, "needs the id of its customer"),
        (("user", "add", "bob", "--role", "engineer", "--region", "mars", "--no-password"), 2, "no region 'mars'"),
        (("user", "add", "bob", "--role", "engineer", "--expires", "soon", "--no-password"), 2, "neither a duration"),
        (("user", "add", "bob", "--role", "engineer", "--password-stdin"), 1, "at least 12 characters"),
        (("user", "add", "bob", "--role", "engineer"), 2, "--password-file"),
        (("user", "add", "bob", "--no-password"), 2, "--role"),
        (("user", "add", "alice", "--role", "engineer", "--no-password"), 1, "already"),
        (("user", "show", "nobody"), 1, "no account 'nobody'"),
        (("user", "disable", "nobody"), 1, "no account 'nobody'"),
        (("role", "grant", "alice", "customer"), 1, "stands alone"),
        (("role", "revoke", "alice", "engineer"), 1, "disable the account"),
        (("key", "add", "alice", "missing.pub"), 1, "missing.pub"),
        (("key", "remove", "alice", "SHA256:none"), 1, "no key"),
        (("token", "revoke", "none"), 1, "no token"),
        (("user", "list", "--config", "elsewhere.yaml"), 1, "elsewhere.yaml"),
    ],
)
def test_mistake_is_told_in_one_sentence(run, arguments, code, said):
    """Whatever is wrong is said on standard error without a traceback, and nothing is printed as if it had worked."""
    found, out, error = run(*arguments, stdin="short")
    assert found == code
    assert said in re.sub(r"\s+", " ", error)
    assert "Traceback" not in error
    assert out == ""


def test_password_comes_from_a_file_that_is_not_open_to_all(run, installation):
    """A password file is read to its first line's end, and refused when everyone could have read it."""
    file = installation / "secret"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    file.chmod(0o644)
    arguments = ("user", "add", "bob", "--role", "engineer", "--password-file", file)
    code, _, error = run(*arguments)
    assert code == 1
    assert "everyone can read it" in error
    file.chmod(0o600)
    assert run(*arguments)[0] == 0
    ((hashed,),) = rows(installation, select(ACCOUNTS.c.password_hash).where(ACCOUNTS.c.login == "bob"))
    from argon2 import PasswordHasher

    assert PasswordHasher().verify(hashed, PASSWORD)


def test_password_is_no_argument_of_any_command(run):
    """No command takes a password where a list of processes would show it."""
    for command in ("add", "password"):
        _, out, _ = run("user", command, "--help")
        assert not re.search(r"--password\s", out)


def test_hash_of_a_password_logs_in_where_a_table_holds_it(run, installation):
    """What is printed is a hash that the same password is good for, also one beyond ASCII; a weak one gets none."""
    word = "überaus lange Losung"
    code, out, error = run("user", "hash", "bella", "--password-stdin", stdin=f"{word}\n")
    assert (code, error) == (0, "")
    passwords = Passwords(remember=0)
    assert passwords.verify("bella", word, out.strip())
    assert not passwords.verify("bella", PASSWORD, out.strip())
    assert run("user", "show", "bella")[0] != 0
    code, out, error = run("user", "hash", "bella", "--password-stdin", stdin="short\n")
    assert (code, out) == (1, "")
    assert "at least 12 characters" in error


def test_password_is_changed_and_taken_away(run, installation):
    """A new password replaces the old one; without one the account has none."""
    (before,) = rows(installation, select(ACCOUNTS.c.password_hash))[0]
    assert run("user", "password", "alice", "--password-stdin", stdin="another long password")[0] == 0
    (after,) = rows(installation, select(ACCOUNTS.c.password_hash))[0]
    assert after != before
    assert run("user", "password", "alice", "--no-password")[0] == 0
    assert rows(installation, select(ACCOUNTS.c.password_hash))[0].password_hash is None


@pytest.mark.parametrize(
    "command", [("password", "alice", "--password-stdin"), ("enable", "alice"), ("add", "bob", "--role", "engineer")]
)
def test_account_that_an_administrator_sees_to_is_not_locked(run, installation, command):
    """What failed before was another password, or no account at all; the network's failures stay counted."""
    login = command[1]
    with open_ledger(installation / "config.yaml") as (settings, ledger, secret_key):
        throttle = Throttle(ledger.database, settings.auth.throttle, key=secret_key)
        attempt = throttle.attempt("192.0.2.7", login)
        for _ in range(settings.auth.throttle.account_failures):
            with ledger.database.write() as connection:
                throttle.failed(connection, attempt)
        with pytest.raises(ThrottledError):
            throttle.refuse_locked(attempt)
        stdin = "another long password" if "--password-stdin" in command else ""
        more = ("--no-password",) if command[0] == "add" else ()
        assert run("user", *command, *more, stdin=stdin)[0] == 0
        throttle.refuse_locked(attempt)
    assert [row.count for row in rows(installation, select(FAILURES.c.count))] == [10]


def test_user_is_changed_listed_disabled_and_removed(run):
    """The life of an account, as the lists show it."""
    assert run("user", "change", "alice", "--expires", "30d")[0] == 0
    assert json.loads(run("user", "show", "alice", "--json")[1])["expires"] is not None
    assert run("user", "change", "alice", "--name", "Al\x1bice", "--never-expires", "--region", "us")[0] == 0
    code, out, _ = run("user", "list")
    assert code == 0
    assert "\x1b" not in out
    assert "alice  engineer  -         active" in out
    shown = json.loads(run("user", "show", "alice", "--json")[1])
    assert (shown["expires"], shown["regions"]) == (None, ["us"])
    run("user", "disable", "alice")
    assert "disabled" in run("user", "list")[1]
    run("user", "enable", "alice")
    assert json.loads(run("user", "list", "--json")[1])[0]["active"] is True
    assert run("user", "remove", "alice", stdin="n\n")[0] == 1
    assert run("user", "remove", "alice", "--yes")[0] == 0
    assert json.loads(run("user", "list", "--json")[1]) == []


def test_roles_are_granted_listed_and_revoked(run):
    """Roles come and go, and the list says who has them."""
    assert run("role", "grant", "alice", "releaser")[1] == "alice: engineer, releaser\n"
    assert re.search(r"^releaser +alice$", run("role", "list")[1], re.MULTILINE)
    assert run("role", "revoke", "alice", "engineer")[1] == "alice: releaser\n"


def test_keys_are_added_listed_and_removed(run, installation):
    """A file of keys is taken as a whole or not at all."""
    file = installation / "keys.pub"
    file.write_text(f"# laptop\n{ED25519}\n\nssh-dss AAAA old\n", encoding="utf-8")
    code, out, error = run("key", "add", "alice", file)
    assert (code, out) == (1, "")
    assert "line 4: DSA" in error
    file.write_text(f"# laptop\n{ED25519}\n{OTHER_KEY}\n", encoding="utf-8")
    code, out, _ = run("key", "add", "alice", file)
    assert code == 0
    fingerprints = re.findall(r"SHA256:\S+", out)
    assert len(fingerprints) == 2
    assert run("key", "remove", "alice", fingerprints[0])[0] == 0
    listed = run("key", "list", "alice")[1]
    assert fingerprints[0] not in listed
    assert fingerprints[1] in listed


def test_token_is_shown_once_and_opens(run, installation):
    """Standard output holds the token alone, which the server's key recognises, and no list shows it again."""
    code, out, error = run("token", "create", "alice", "--label", "robot", "--expires", "30d")
    assert code == 0
    text = out.removesuffix("\n")
    assert re.fullmatch(r"mftt_[a-z2-7]{39}", text)
    assert text not in error
    with open_ledger(installation / "config.yaml") as (_, ledger, key):
        token = Tokens(ledger, key=key).find(text)
    assert token.login == "alice"
    assert run("token", "revoke", token.id)[0] == 0
    listed = run("token", "list", "alice")[1]
    assert re.search(rf"^{token.id} +alice +revoked .* robot$", listed, re.MULTILINE)
    assert text not in listed


def test_token_for_a_login_of_the_case_system_says_so(run):
    """A login that is no local account gets its token, with the remark that the case system must know it."""
    code, out, error = run("token", "create", "bob@acme.example", "--json")
    assert (code, error) == (0, "")
    assert json.loads(out)["login"] == "bob@acme.example"
    assert "case system must know it" in run("token", "create", "bob@acme.example")[2]


def test_configuration_comes_from_the_environment(run, installation, monkeypatch):
    """Without `--config`, `MFT_CONFIG` names the file."""
    monkeypatch.chdir("/")
    monkeypatch.setenv("MFT_CONFIG", str(installation / "config.yaml"))
    assert "alice" in run("user", "list")[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's directory")
def test_data_of_another_user_is_refused(run, installation):
    """Run as the wrong user, a command would leave files that the server cannot open: it says so instead."""
    os.chown(installation / "data", 65534, 65534)
    code, _, error = run("user", "list")
    assert code == 1
    assert "run this as that user" in error


def test_account_is_made_at_a_shell_before_the_server_ever_ran(empty):
    """As a real process, the command makes catalog and keys where there are none, and the account in them."""
    done = subprocess.run(
        [sys.executable, "-m", "mft", "user", "add", "carol", "--role", "engineer", "--password-stdin"],
        input=PASSWORD + "\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=empty,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "carol: made\n", "")
    assert [account.login for account in rows(empty, select(ACCOUNTS.c.login))] == ["carol"]
    assert (empty / "data" / "credentials" / "tokens.key").exists()
