"""The short way of bulk data: taken where it can be, and never anything but what asyncssh would have done."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from protocols.sftp import bulk, connection
from tests.contracts.head import PATIENCE

if TYPE_CHECKING:
    from tests.protocols.sftp.rig import Rig

CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr")


def send(rig: Rig, content: bytes, *options: str) -> bytes:
    """Upload *content* with OpenSSH's `sftp` under *options*, and return what the server then holds."""
    local, back = rig.directory / "big", rig.directory / "back"
    local.write_bytes(content)
    command = rig.sftp_command()
    done = subprocess.run(
        [command[0], *options, *command[1:]],
        input=f"put {local} /in/big\nget /in/big {back}\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return back.read_bytes()


@pytest.fixture
def taken(monkeypatch):
    """Count the packets that went the short way."""
    count = [0]
    really = bulk.BulkReceiver._open

    def counting(self, packet):
        opened = really(self, packet)
        count[0] += opened is not None
        return opened

    monkeypatch.setattr(bulk.BulkReceiver, "_open", counting)
    return count


@pytest.mark.parametrize("cipher", CIPHERS)
def test_upload_is_whole_whatever_the_cipher(rig, taken, cipher):
    """AES-GCM goes the short way, the others asyncssh's; all arrive byte for byte."""
    content = os.urandom(3_000_001)
    assert send(rig, content, "-c", cipher) == content
    assert (taken[0] > 40) == ("gcm" in cipher)


def test_short_way_is_found_again_after_new_keys(rig, taken):
    """Keys change every megabyte; most of the data still goes the short way."""
    content = os.urandom(8_000_000)
    assert send(rig, content, "-c", CIPHERS[0], "-o", "RekeyLimit=1M") == content
    assert taken[0] > 60


def test_asyncssh_does_it_all_when_a_name_is_missing(rig, monkeypatch):
    """A later asyncssh may lack a name that is used: then nothing is taken, and all still works."""
    monkeypatch.setattr(connection, "is_possible", lambda _connection: False)
    monkeypatch.setattr(bulk.BulkReceiver, "feed", lambda *_: pytest.fail("taken all the same"))
    content = os.urandom(1_000_000)
    assert send(rig, content, "-c", CIPHERS[0]) == content


def test_this_release_of_asyncssh_has_every_name(rig, taken):
    """If this fails after an update of asyncssh, uploads still work, slowly: mend `protocols.sftp.bulk`."""
    send(rig, os.urandom(500_000), "-c", CIPHERS[0])
    assert taken[0] > 0


def test_downloads_go_the_short_way_too(rig, monkeypatch):
    """A large reply is sealed here, packet by packet, and the client takes it for asyncssh's own."""
    sealed = [0]
    really = bulk.BulkSender._seal

    def counting(self, number, data, out):
        sealed[0] += 1
        return really(self, number, data, out)

    monkeypatch.setattr(bulk.BulkSender, "_seal", counting)
    content = os.urandom(3_000_001)
    assert send(rig, content, "-c", CIPHERS[0]) == content
    assert sealed[0] > 40
