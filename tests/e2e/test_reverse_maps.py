"""A customer's reverse map, from its key to what a pseudonym stands for, with the real clients."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.house import MFT, running_house

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with running_house(tmp_path_factory.mktemp("house"), scrub={"reverse_map": True}) as running:
        yield running


def mft(*words):
    return subprocess.run([*MFT, *words], capture_output=True, text=True, timeout=60, check=True).stdout


def test_customer_registers_a_key_and_reads_its_map(house):
    """Staff can neither register a key nor see the map; the customer asks its file what an address was."""
    key = house.directory / "reverse-key"
    mft("reverse", "new", str(key))
    body = json.dumps({"public_key": key.with_name("reverse-key.pub").read_text()})
    wish = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", body]
    assert house.curl("eve", "/api/v1/reverse-key", *wish)[0] == 403
    assert house.curl("ann", "/api/v1/reverse-key")[0] == 404
    status, answer = house.curl("ann", "/api/v1/reverse-key", *wish)
    assert (status, json.loads(answer)["used"]) == (200, True)
    assert house.curl("bob", "/api/v1/reverse-key")[1] == answer
    private = json.dumps({"public_key": key.read_text()})
    refused = house.curl("ann", "/api/v1/reverse-key", *wish[:-1], private)
    assert (refused[0], b"private key" in refused[1]) == (422, True)
    (house.directory / "a.log").write_text("from host 203.0.113.77 now\n")
    assert house.sftp("ann", "put a.log /ACME-1/to-support/a.log").returncode == 0
    house.until(lambda: house.sftp("ann", "get /ACME-1/.meta/a.log.reverse a.log.reverse").returncode == 0, "the map")
    assert house.sftp("eve", "get /ACME-1/to-support/a.log shown.log").returncode == 0
    pseudonym = (house.directory / "shown.log").read_text().split()[2]
    told = mft("reverse", "read", str(house.directory / "a.log.reverse"), pseudonym, "--key", str(key))
    assert told == f"{pseudonym}\t203.0.113.77\n"
    assert house.sftp("eve", "get /ACME-1/.meta/a.log.reverse other").returncode != 0
    assert house.curl("ann", "/api/v1/reverse-key", "-X", "DELETE")[0] == 204
