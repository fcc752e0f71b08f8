"""`mft keys`, `mft break-glass`, `mft shred` and `mft unseal` behind two persons, as an operator uses them."""

from __future__ import annotations

import json

import pytest
import yaml
from sqlalchemy import text

from storage.keys.envelope import Region
from storage.keys.keyring import Keyring
from storage.keys.ledger import DestroyedKey, DestroyedKeys
from tests.casebook import PASSWORD, REGIONS
from tests.core import running_core

IN = "/ACME-1/to-support"


@pytest.fixture
def house(tmp_path, nursery, run):
    """An installation with a stored object at home and in a copy, whose keyrings the configuration opens."""
    for region in REGIONS:
        path = tmp_path / f"{region}.pass"
        path.write_text("pass\n")
        path.chmod(0o600)
    keyrings = {name: {"keyring": {"path": f"{name}.keyring"}} for name in REGIONS}
    with running_core(tmp_path, nursery, regions=keyrings, break_glass={"approvals": 2}) as core:
        core.client("ann").put(f"{IN}/a.log", b"secret content")
        core.work()
        core.work()
        assert core.states() == ["stored"]
        for login in ("rel", "rob", "eng"):
            role = "engineer" if login == "eng" else "releaser"
            account = ("user", "add", login, "--role", role, "--password-stdin", "--config", tmp_path / "config.yaml")
            assert run(*account, stdin=PASSWORD.encode())[0] == 0
        yield core


@pytest.fixture
def mft(run, tmp_path):
    return lambda *arguments: run(*arguments, "--config", tmp_path / "config.yaml")


def test_keys_are_listed_rotated_and_kept_until_they_may_go(house, mft, tmp_path):
    """The new one is current and everything goes under it; the old one is refused its end until that has settled."""
    old = Keyring.load(tmp_path / "eu.keyring", "pass").current
    code, out, _ = mft("keys", "list", "eu")
    assert (code, old in out, "current" in out) == (0, True, True)
    code, out, error = mft("keys", "rotate", "eu", "--reason", "yearly")
    assert (code, error) == (0, "")
    assert "wrapped keys exchanged" in out
    ring = Keyring.load(tmp_path / "eu.keyring", "pass")
    assert ring.key_ids == (old, ring.current)
    code, out, _ = mft("keys", "status", "eu", "--count", "--json")
    (region,) = json.loads(out)["regions"]
    assert region["wrapped"].keys() == {ring.current}
    assert region["rotation"]["finished"]
    code, _, error = mft("keys", "retire", "eu", old)
    assert (code, "try again in" in error) == (1, True)
    (event,) = house.events("keys.rotated")
    assert (event["why"], event["key"], event["by"][:4]) == ("yearly", ring.current, "cli:")
    for each in ring._keys.values():
        assert each.key.hex() not in out


@pytest.mark.parametrize(
    "command",
    [("rotate", "eu"), ("retire", "eu"), ("passphrase", "eu", "--memory-kib", "128", "--new-passphrase-file")],
)
def test_nothing_is_done_to_keys_that_the_audit_cannot_tell_of(house, mft, tmp_path, command):
    """Where the catalog takes no event (it is full), keys and keyring are as they were."""
    path = tmp_path / "eu.keyring"
    if command[0] == "retire":
        command = (*command, Keyring.load(path, "pass").current)
        assert mft("keys", "rotate", "eu")[0] == 0
        with house.database.write() as connection:
            connection.execute(text("UPDATE key_rotation SET finished_at = 1"))
    elif command[0] == "passphrase":
        command = (*command, tmp_path / "us.pass")
    before = path.read_bytes()
    with house.database.write() as connection:
        connection.execute(
            text("CREATE TRIGGER full BEFORE INSERT ON audit_event BEGIN SELECT RAISE(FAIL, 'full'); END")
        )
    assert mft("keys", *command)[0] == 1
    assert path.read_bytes() == before
    with house.database.write() as connection:
        connection.execute(text("DROP TRIGGER full"))
    code, _, error = mft("keys", *command)
    assert code == 0, error
    assert path.read_bytes() != before
    assert house.events("keys.ordered")[-1]["what"] == command[0]


def test_passphrase_and_its_cost_are_changed(house, mft, tmp_path):
    """The new passphrase opens the same keys, the old one nothing; whoever changes it has to know the old one."""
    fresh = tmp_path / "fresh.pass"
    fresh.write_text("another one\n")
    fresh.chmod(0o600)
    before = Keyring.load(tmp_path / "eu.keyring", "pass").key_ids
    arguments = ("keys", "passphrase", "eu", "--new-passphrase-file", fresh, "--memory-kib", "128", "--iterations", "2")
    code, out, error = mft(*arguments)
    assert code == 0, error
    assert "another one" not in out + error
    ring = Keyring.load(tmp_path / "eu.keyring", "another one")
    assert ring.key_ids == before
    assert (ring._lock.cost.memory_kib, ring._lock.cost.iterations) == (128, 2)
    assert mft(*arguments)[0] == 1  # the configuration still names the old one


def test_ledger_from_elsewhere_is_played_again(house, mft, tmp_path):
    """What it names stands in the ledgers here afterwards; one that was altered is refused, and adds nothing."""
    kept = DestroyedKeys(tmp_path / "kept", "eu")
    kept.add([DestroyedKey(kind="scope", name="case:gone", why="destruction 1")])
    code, out, _ = mft("keys", "replay", kept.path)
    assert (code, out) == (0, "1 destroyed keys are in the ledgers\n")
    assert DestroyedKeys(house.config.regions["eu"].keys.ledger, "eu").has("scope", "case:gone")
    code, out, _ = mft("keys", "destroyed", "--json")
    assert [each["name"] for each in json.loads(out)] == ["case:gone"]
    kept.path.write_bytes(kept.path.read_bytes().replace(b"case:gone", b"case:other", 1)[:-1] + b" \n{}\n")
    assert mft("keys", "replay", kept.path)[0] == 1
    assert mft("keys", "replay", tmp_path / "nothing")[0] == 1


def test_what_cannot_be_is_said(house, mft):
    """A region that there is not, a key that there is not."""
    assert mft("keys", "rotate", "mars")[0] == 2
    code, _, error = mft("keys", "retire", "eu", "00")
    assert (code, "there is no key 00 in 'eu'" in error) == (1, True)
    assert mft("shred", "--reason", "x")[0] == 2
    code, _, error = mft("shred", "--customer", "acmee", "--reason", "x")
    assert (code, "nothing of a customer acmee lies here" in error) == (1, True)
    assert mft("break-glass", "request", "--login", "rel", "--reason", "x")[0] == 2


def test_locked_keyring_is_said_and_opens_nothing(house, mft, tmp_path):
    """A keyring that a person opens: locked, with what to do; the other regions are open."""
    config = tmp_path / "config.yaml"
    document = yaml.safe_load(config.read_text())
    document["regions"]["us"]["keyring"] = {"path": "us.keyring", "prompt": True}
    config.write_text(json.dumps(document))
    code, out, error = mft("keys", "status", "--json")
    assert code == 3
    states = {each["region"]: each["state"] for each in json.loads(out)["regions"]}
    assert states == {"eu": "open", "us": "unavailable", "in": "open"}
    assert "mft keys unlock us" in out + error


def test_unsealing_takes_two_persons(house, mft, tmp_path):
    """Alone it is refused and the audit has nothing opened; agreed on, it is done once."""
    row = house.rows()[0]
    why = ("--reason", "incident 7")
    code, _, error = mft("unseal", "--upload", row.id, "--output", "-", *why)
    assert (code, "2 persons must agree" in error) == (1, True)
    word = tmp_path / "word"
    word.write_text(PASSWORD + "\n")
    word.chmod(0o600)
    asked = ("--password-file", word, *why)
    code, out, error = mft("break-glass", "request", "--unseal", row.id, "--login", "rel", *asked)
    assert code == 0, error
    request = out.partition(":")[0]
    assert "1 more must agree" in out
    assert mft("unseal", "--upload", row.id, "--output", "-", "--request", request, *why)[0] == 1
    code, _, error = mft("break-glass", "approve", request, "--login", "eng", *asked)
    assert (code, "does not hold the role releaser" in error) == (1, True)
    code, out, error = mft("break-glass", "approve", request, "--login", "rob", *asked)
    assert (code, "may be done now" in out) == (0, True), error
    code, out, _ = mft("unseal", "--upload", row.id, "--output", "-", "--request", request, *why)
    assert (code, out) == (0, "secret content")
    assert mft("unseal", "--upload", row.id, "--output", "-", "--request", request, *why)[0] == 1
    kinds = [each["kind"] for each in house.events() if each["kind"].startswith(("break_glass", "object"))]
    assert [kind for kind in kinds if kind != "break_glass.refused"] == [
        *("break_glass.requested", "break_glass.approved", "break_glass.opened"),
        "object.unsealed",
    ]
    assert kinds.count("break_glass.refused") == 4


def test_shredding_takes_two_persons_and_leaves_nothing(house, mft, tmp_path):
    """Agreed on, the case's keys go in both regions; the ledgers name them, and the certificate the reason."""
    why = ("--reason", "they asked")
    assert mft("shred", "--case", "ACME-1", *why)[0] == 1
    assert house.states() == ["stored"]
    word = tmp_path / "word"
    word.write_text(PASSWORD + "\n")
    word.chmod(0o600)
    code, out, _ = mft(
        "break-glass", "request", "--shred-case", "ACME-1", "--login", "rel", "--password-file", word, *why
    )
    request = out.partition(":")[0]
    assert mft("break-glass", "approve", request, "--login", "rob", "--password-file", word, *why)[0] == 0
    code, out, error = mft("shred", "--case", "ACME-1", "--request", request, *why)
    assert code == 0, error
    assert "its keys are destroyed" in out
    assert house.states() == ["destroyed"]
    for region in ("eu", "us"):
        ledger = DestroyedKeys(house.config.regions[region].keys.ledger, region)
        assert [each["kind"] for each in ledger.entries()] == ["scope"]
    assert Region("eu") in house.keys._wrappers
