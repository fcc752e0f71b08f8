"""One port for HTTPS and SFTP: each client gets what it speaks."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.house import running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.house import House

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("shared_port"), pytest.mark.timeout(240)]
IN = "/ACME-1/to-support"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with one listener."""
    listeners = [{"protocol": "https", "port": 0, "region": "eu", "sftp": True}]
    with running_house(tmp_path_factory.mktemp("house"), listeners=listeners) as house:
        yield house


def test_both_protocols_are_served_on_one_port(house: House) -> None:
    """A file goes in by `sftp` and by `curl`, on the port that is told for both."""
    assert house.port("sftp") == house.port("https")
    sent = house.directory / "sent.txt"
    sent.write_bytes(b"content\n")
    done = house.sftp("ann", f"put {sent} {IN}/by-sftp.txt", f"ls -1 {IN}")
    assert done.returncode == 0, done.stderr
    assert house.curl("ann", "/cases/ACME-1/by-https.txt", "-T", str(sent))[0] == 201
    landed = {row["name"] for row in house.query("SELECT name FROM upload")}
    assert landed == {"by-sftp.txt", "by-https.txt"}


def test_silent_client_is_greeted_as_one_of_ssh(house: House) -> None:
    """Some wait for the server's version before they say theirs."""
    with socket.create_connection(("127.0.0.1", house.port("https")), timeout=60) as client:
        assert client.recv(100).startswith(b"SSH-2.0-mft")


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.0\r\n\r\n", b"SSX-2.0-x\r\n", b"\0" * 100, b"S\0"])
def test_what_is_neither_is_let_go(house: House, noise: bytes) -> None:
    """The connection ends, and the next one is served."""
    with socket.create_connection(("127.0.0.1", house.port("https")), timeout=60) as client:
        client.sendall(noise)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    assert house.curl("ann", "/files/")[0] == 200


def test_setting_belongs_to_https(house: House) -> None:
    """Elsewhere it is a fault that names its place."""
    config = yaml.safe_load(house.config.read_text())
    config["listeners"] = [{"protocol": "sftp", "port": 0, "region": "eu", "sftp": True}]
    wrong = house.directory / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "mft", "config", "check", str(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "listeners[0].sftp" in done.stdout + done.stderr
