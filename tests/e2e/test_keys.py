"""Keys of a house that runs: a keyring that a person opens, a Vault that goes away, keys exchanged under load."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost
from tests.house import MFT, running_house
from tests.vault import running_vault, token_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.house import House
    from tests.vault import VaultServer

pytestmark = pytest.mark.e2e
IN = "/cases/ACME-1"
PASSPHRASE = "a person knows it"


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultServer]:
    with running_vault() as server:
        yield server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, vault: VaultServer) -> Iterator[House]:
    """At home a keyring file; in the US one that a person opens; in India Vault's keys."""
    directory = tmp_path_factory.mktemp("keys")
    token = token_file(directory)
    cost = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
    Keyring.create(directory / "us.keyring", Region("us"), PASSPHRASE, cost=cost)
    regions = {
        "us": {"keyring": {"path": "us.keyring", "passphrase_file": None, "prompt": True}},
        "in": {
            "keyring": {"passphrase_file": None},
            "keys": {
                "type": "vault",
                "timeout": "5s",
                "cache": 0,
                "vault": {"url": vault.url, "key": "mft-in", "token_file": str(token), "create": True},
            },
        },
    }
    rules = {
        "residency": {"copies": ["us", "in"], "rules": []},
        "replication": {"retry_first": "100ms", "retry_max": "1s"},
    }
    with running_house(directory, regions=regions, **rules) as running:
        yield running


def mft(house: House, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MFT, *arguments, "--config", str(house.config)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=dict(os.environ),
        cwd=Path(__file__).parents[2],
    )


def open_all(house: House) -> None:
    """See to it that each region's keys are open, whichever test came before."""
    done = mft(house, "keys", "unlock", "us", stdin=PASSPHRASE + "\n")
    assert done.returncode == 0, done.stderr
    house.until(lambda: set(states(house).values()) == {"open"}, "all regions' keys")


def states(house: House) -> dict[str, str]:
    answer = json.loads(mft(house, "keys", "status", "--json").stdout)
    return {each["region"]: each["state"] for each in answer["regions"]}


def put(house: House, name: str, content: str) -> int:
    path = house.directory / f"up-{name}"
    path.write_text(content)
    return house.curl("ann", f"{IN}/{name}", "-T", str(path))[0]


def present(house: House, region: str) -> int:
    return int(house.query("SELECT count(*) AS n FROM replica WHERE region = ? AND state = 'present'", region)[0]["n"])


def test_region_whose_keyring_is_locked_waits_for_a_person(house: House) -> None:
    """The house is open without it; once somebody gives the passphrase its copies are made."""
    assert states(house) == {"eu": "open", "us": "unavailable", "in": "open"}
    assert put(house, "first.log", "first\n") == 201
    house.until(lambda: present(house, "in") == 1, "the copy under Vault's key")
    assert present(house, "us") == 0
    wrong = mft(house, "keys", "unlock", "us", stdin="guess\n")
    assert wrong.returncode == 1
    assert "passphrase does not open" in wrong.stderr
    done = mft(house, "keys", "unlock", "us", stdin=PASSPHRASE + "\n")
    assert (done.returncode, done.stdout) == (0, "us: open\n"), done.stderr
    house.until(lambda: present(house, "us") == 1, "the copy that waited")
    assert PASSPHRASE not in house.log.read_text() + done.stdout + done.stderr
    assert {event["region"] for event in house.events("keys.unlocked")} == {"us"}


def test_region_whose_vault_is_sealed_is_out_of_reach_alone(house: House, vault: VaultServer) -> None:
    """Uploads at home go on; its copies wait, and are made when it answers again."""
    open_all(house)
    house.until(lambda: house.settled() and present(house, "us") == present(house, "in"), "copies that waited")
    before = present(house, "in")
    vault.sealed = True
    assert put(house, "sealed.log", "meanwhile\n") == 201
    assert states(house)["in"] == "unavailable"
    house.until(lambda: present(house, "us") == before + 1, "the other copy")
    assert present(house, "in") == before
    vault.sealed = False
    house.until(lambda: present(house, "in") == before + 1, "the copy that waited")


@contextlib.contextmanager
def running(stop: threading.Event, *works: Callable[[], None]) -> Iterator[None]:
    """Let *works* run on threads of their own until the block ends."""
    threads = [threading.Thread(target=each) for each in works]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in threads:
            each.join()


def test_keys_are_exchanged_while_files_come_and_go(house: House) -> None:
    """Uploads and downloads beside two rotations at the agent's desk: none fails, and the server was not restarted."""
    open_all(house)
    assert put(house, "read.log", "read\n") == 201
    house.until(house.settled, "what is read meanwhile")
    agent = next(number for number, name in house.processes().items() if name == "mft-keyagent")
    stop, bad, counts = threading.Event(), [], [0, 0]

    def write() -> None:
        while not stop.is_set():
            counts[0] += 1
            status = put(house, f"load-{counts[0]}.log", "line\n" * 100)
            if status != 201:
                bad.append(status)

    def read() -> None:
        while not stop.is_set():
            counts[1] += 1
            status, _body = house.curl("ann", "/files/ACME-1%20Cannot%20boot/to-support/read.log")
            if status != 200:
                bad.append(status)

    with running(stop, write, read):
        for region in ("eu", "in"):
            done = mft(house, "keys", "rotate", region, "--reason", "a test")
            assert done.returncode == 0, done.stderr
            seen = list(counts)
            house.until(lambda seen=seen: min(counts[0] - seen[0], counts[1] - seen[1]) >= 1, "more traffic")
    assert not bad
    assert min(counts) >= 2
    house.until(house.settled, "what came meanwhile")
    assert next(number for number, name in house.processes().items() if name == "mft-keyagent") == agent
    for region in ("eu", "in"):
        again = mft(house, "keys", "rewrap", region)
        assert again.returncode == 0, again.stderr
        found = json.loads(mft(house, "keys", "status", region, "--count", "--json").stdout)["regions"][0]
        assert list(found["wrapped"]) == [key["id"] for key in found["keys"] if key["current"]]
    assert house.curl("ann", "/files/ACME-1%20Cannot%20boot/to-support/read.log")[1] == b"read\n"
    assert len(yaml.safe_load(house.config.read_text())["regions"]) == 3


def test_desk_is_closed_to_other_users(house: House) -> None:
    """The socket of those who administer keys lets in the server's own user alone."""
    socket = house.data / "run" / "keys.sock"
    assert socket.stat().st_mode & 0o077 == 0


def test_operator_shreds_what_a_releaser_asked_for(house: House) -> None:
    """Over the API, with the request of somebody else; without one, or for another case, it is refused."""
    open_all(house)
    word = "a long enough password"
    for login, role in (("op", "operator"), ("rel", "releaser")):
        made = mft(house, "user", "add", login, "--role", role, "--password-stdin", stdin=word)
        assert made.returncode == 0, made.stderr
    assert put(house, "other.log", "of another case\n") == 201
    path = house.directory / "doomed.log"
    path.write_text("doomed\n")
    assert house.curl("ann", "/cases/ACME-5/doomed.log", "-T", str(path))[0] == 201
    house.until(house.settled, "the file")
    asked = mft(
        house, "break-glass", "request", "--shred-case", "ACME-5", "--login", "rel", "--reason", "they asked",
        "--password-stdin", stdin=word,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    request = asked.stdout.partition(":")[0]

    def shred(case: str, request: str) -> tuple[int, bytes]:
        body = json.dumps({"case": case, "reason": "they asked", "request": request})
        order = ("-X", "POST", "-H", "Content-Type: application/json", "-d", body)
        return house.curl("op", "/api/v1/lifecycle/shred", *order, password=word)

    assert shred("ACME-5", "0" * 16)[0] == 409
    assert shred("ACME-1", request)[0] == 409
    assert shred("ACME-404", request)[0] == 404
    status, body = shred("ACME-5", request)
    assert status == 200
    assert [each["case"] for each in json.loads(body)["destroyed"]] == ["ACME-5"]
    assert shred("ACME-5", request)[0] in {404, 409}
    ledger = [json.loads(line) for line in (house.data / "regions" / "eu" / "destroyed-keys").read_text().splitlines()]
    assert [each["kind"] for each in ledger] == ["scope"]
