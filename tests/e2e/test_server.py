"""`mft serve` as a program: what it refuses to start with, how it stops, and what it brings back."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from mft.config import load_config
from mft.server.directories import make_directories
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost
from tests.casebook import write_configuration
from tests.house import MFT, House, close

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def serve(config: Path) -> subprocess.CompletedProcess[str]:
    """Start it and wait for it to give up."""
    return subprocess.run(
        [*MFT, "serve", "--config", str(config)], capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"lookup": {"tll": "1s"}}, ["lookup.tll", "ttl"]),
        ({"workers": {"protocol": "many"}}, ["workers.protocol", "whole number"]),
        ({"residency": {"home": "mars"}}, ["residency.home", "mars"]),
        ({"lookup": {"secret_file": "nowhere.secret"}}, ["nowhere.secret"]),
        ({"listeners": [{"protocol": "sftp", "port": 1, "address": "203.0.113.1", "region": "eu"}]}, ["203.0.113.1"]),
    ],
    ids=["typo", "type", "region", "missing file", "address"],
)
def test_wrong_configuration_is_refused_with_its_place(tmp_path: Path, overrides: dict, words: list[str]) -> None:
    """It ends with a status, and says which key, what was expected, and the nearest right one; no trace."""
    config = write_configuration(tmp_path, "http://127.0.0.1:9", b"s" * 32, overrides)
    done = serve(config)
    assert done.returncode != 0
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_passphrase_keeps_it_shut(tmp_path: Path) -> None:
    """A keyring that its passphrase does not open is no reason to serve without it."""
    config = write_configuration(tmp_path, "http://127.0.0.1:9", b"s" * 32, {})
    loaded = load_config(config, {})
    make_directories(loaded)
    cost = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
    Keyring.create(loaded.regions["us"].keyring.path, Region("us"), "another passphrase", cost=cost)
    done = serve(config)
    assert done.returncode != 0
    assert f"the passphrase does not open {loaded.regions['us'].keyring.path}" in done.stderr
    assert "Traceback" not in done.stderr


def test_keyring_of_another_region_keeps_it_shut(tmp_path: Path) -> None:
    """A file that was put in the wrong place is not used as if it were the region's own."""
    config = write_configuration(tmp_path, "http://127.0.0.1:9", b"s" * 32, {})
    loaded = load_config(config, {})
    make_directories(loaded)
    passphrase = (tmp_path / "us.pass").read_text().strip()
    cost = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
    Keyring.create(loaded.regions["us"].keyring.path, Region("eu"), passphrase, cost=cost)
    done = serve(config)
    assert done.returncode != 0
    assert f"{loaded.regions['us'].keyring.path} is the keyring of 'eu', not of 'us'" in done.stderr


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ("catalog.db", "catalog.db is damaged (file is not a database): move it away"),
        ("credentials/receipts.key", "receipts.key: it is not a private key in PEM"),
        ("regions/us/store", "regions/us/store: it should be a directory"),
    ],
)
def test_file_that_is_spoilt_is_told_in_a_line(tmp_path: Path, spoilt: str, told: str) -> None:
    """What is wrong and what to do, and no trace."""
    config = write_configuration(tmp_path, "http://127.0.0.1:9", b"s" * 32, {})
    path = tmp_path / "data" / spoilt
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no such thing as was here " * 200)
    path.chmod(0o600)
    done = serve(config)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("lost", ["gone", "emptied"])
def test_lost_catalog_is_not_replaced_by_an_empty_one(tmp_path: Path, lost: str) -> None:
    """Beside objects that it knew: who forgot to mount its disk would see no file, and sweeps would find leftovers."""
    config = write_configuration(tmp_path, "http://127.0.0.1:9", b"s" * 32, {})
    slot = tmp_path / "data/regions/us/store/slots/00" / ("00" * 16)
    slot.parent.mkdir(parents=True)
    slot.touch()
    if lost == "emptied":
        (tmp_path / "data/catalog.db").touch()
    done = serve(config)
    assert done.returncode == 1
    assert "the store of 'us' holds objects" in done.stderr
    assert "mft rebuild" in done.stderr


def test_second_server_on_the_same_data_is_refused(house: House) -> None:
    """One data directory, one server: the second says so, and the first goes on."""
    done = serve(house.config)
    assert done.returncode != 0
    assert "another server is running" in done.stderr
    assert house.curl("ann", "/files/")[0] == 200


@pytest.mark.parametrize("name", ["mft-nursery", "mft-keyagent", "mft-intake", "mft-w0", "mft-w1"])
def test_process_that_dies_is_started_again(house: House, name: str) -> None:
    """Each comes back under another id, its death is counted, and the house works as before."""

    def pid() -> int:
        return next((pid for pid, each in house.processes().items() if each == name), 0)

    before = house.until(pid, name)
    os.kill(before, signal.SIGKILL)
    house.until(lambda: pid() not in {0, before}, f"another {name}")
    path = house.directory / f"{name}.txt"
    path.write_bytes(f"after {name}\n".encode())
    house.until(lambda: house.curl("ann", "/cases/ACME-1/", "-T", str(path))[0] == 201, "an upload")
    house.until(house.settled)
    assert house.curl("eve", f"/files/ACME-1/to-support/{name}.txt") == (200, path.read_bytes())


def test_sigterm_drains_and_a_restart_has_everything(house: House) -> None:
    """An upload under way may end, new connections are not taken, the status is 0, and the next start finds all."""
    content = b"ends during the drain\n" * 50_000
    with house.client("ann") as client:
        file = client.open("/ACME-1/to-support/drained.txt", "wb")
        file.write(content[:500_000])
        house.process.send_signal(signal.SIGTERM)
        house.until(lambda: "worker.draining" in house.last_words(), "the drain")
        file.write(content[500_000:])
        close(client, file)
    assert house.process.wait(60) == 0
    host_key = (house.data / "credentials").joinpath("tls.crt").read_bytes()
    house.start()
    assert (house.data / "credentials").joinpath("tls.crt").read_bytes() == host_key
    house.until(house.settled)
    assert house.curl("eve", "/files/ACME-1/to-support/drained.txt") == (200, content)
    opened = {event["session"] for event in house.events("session.opened")}
    assert opened
    assert house.verify_audit().faults == ()


def test_nothing_in_the_data_is_open_to_others(house: House) -> None:
    """Whatever the server makes is closed to other users, but for what is public."""
    public = {".pub", ".crt"}
    assert [path for path in house.data.rglob("*") if path.stat().st_mode & 0o077 and path.suffix not in public] == []
