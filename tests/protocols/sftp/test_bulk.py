"""The short way of bulk data: taken where it can be, and never anything but what asyncssh would have done."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from asyncssh.crypto.cipher import GCMCipher

from protocols.sftp import bulk, connection
from protocols.sftp.bulk import names, sender
from tests.contracts.head import PATIENCE, until
from tests.protocols.sftp.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    really = bulk.BulkReceiver._open_run

    def counting(self, *arguments):
        before = self._connection._recv_seq
        after = really(self, *arguments)
        count[0] += self._connection._recv_seq - before
        return after

    monkeypatch.setattr(bulk.BulkReceiver, "_open_run", counting)
    return count


@pytest.fixture
def sealed(monkeypatch):
    """Count the bytes that were sent the short way."""
    count = [0]
    really = bulk.BulkSender._seal

    def counting(self, *arguments):
        sent = really(self, *arguments)
        count[0] += sent
        return sent

    monkeypatch.setattr(bulk.BulkSender, "_seal", counting)
    return count


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("at_once", [0, 1_500_000])
def test_upload_is_whole_whatever_the_cipher(rig, taken, cipher, at_once):
    """AES-GCM goes the short way, the others asyncssh's; on the loop or on threads; all arrive byte for byte."""
    rig.tree.at_once = at_once
    content = os.urandom(3_000_001)
    assert send(rig, content, "-c", cipher) == content
    assert (taken[0] > 40) == ("gcm" in cipher)


def test_client_that_has_aes_gcm_uses_it(rig, taken):
    """OpenSSH's own order begins with a cipher that costs three times as much."""
    content = os.urandom(3_000_001)
    assert send(rig, content) == content
    assert taken[0] > 40


def test_client_decides_where_the_operator_says_so(tmp_path, taken):
    """With the server's choice off the client gets what it puts first."""
    rig = Rig(tmp_path, chooses_cipher=False)
    try:
        content = os.urandom(1_000_001)
        assert send(rig, content, "-c", f"{CIPHERS[2]},{CIPHERS[0]}") == content
        assert taken[0] == 0
    finally:
        rig.stop()


def test_bytes_come_in_any_pieces(rig, taken):
    """A network that hands over odd pieces, down to single bytes, changes nothing."""
    cuts = itertools.cycle((1, 3, 4, 5, 17, 1000, 33_000, 7, 70_001, 2))
    with dribbling(rig.port, cuts) as port:
        content = os.urandom(2_000_003)
        assert send(rig, content, "-c", CIPHERS[0], "-o", f"Port={port}") == content
    assert taken[0] > 30


@pytest.mark.parametrize("at", [100_000, 1_000_000, 2_500_000])
@pytest.mark.parametrize("at_once", [0, 8_000_000])
def test_one_altered_byte_ends_the_connection(rig, at, at_once):
    """What came before it counts, as it would for asyncssh; nothing after it does, and no file comes of it."""
    rig.tree.at_once = at_once
    (rig.directory / "big").write_bytes(os.urandom(3_000_001))
    with dribbling(rig.port, itertools.repeat(65_536), alter=at) as port:
        done = subprocess.run(
            [rig.sftp_command()[0], "-c", CIPHERS[0], "-o", f"Port={port}", *rig.sftp_command()[1:]],
            input=f"put {rig.directory / 'big'} /in/altered\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode != 0
    until(lambda: rig.tree.happened("aborted"))
    assert rig.tree.happened("landed") == []


def test_no_nonce_is_used_twice(rig, monkeypatch):
    """Each packet of either way has a nonce of its own under its key, whoever sealed it."""
    seen = set()
    really = GCMCipher.encrypt_and_sign
    sealing = sender.AESGCM

    def noting(self, header, data):
        assert (self._key, self._iv) not in seen
        seen.add((self._key, self._iv))
        return really(self, header, data)

    class Noting:
        def __init__(self, key):
            self._key, self._aead = key, sealing(key)

        def encrypt_into(self, nonce, *arguments):
            assert (self._key, nonce) not in seen
            seen.add((self._key, nonce))
            return self._aead.encrypt_into(nonce, *arguments)

    monkeypatch.setattr(GCMCipher, "encrypt_and_sign", noting)
    monkeypatch.setattr(sender, "AESGCM", Noting)
    rig.tree.at_once = 1_500_000
    content = os.urandom(3_000_001)
    assert send(rig, content, "-c", CIPHERS[0], "-o", "RekeyLimit=1M") == content
    assert len(seen) > 100


@contextlib.contextmanager
def dribbling(port: int, cuts: Iterator[int], alter: int = -1) -> Iterator[int]:
    """Forward one connection to *port*, what the client sends in pieces of *cuts* bytes, byte *alter* altered.

    Yields where it listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_forward, args=(listener, port, cuts, alter))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def _forward(listener: socket.socket, port: int, cuts: Iterator[int], alter: int) -> None:
    client, _ = listener.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_pass_on, args=(server, client, itertools.repeat(1 << 16)))
        back.start()
        _pass_on(client, server, cuts, alter)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket, cuts: Iterator[int], alter: int = -1) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while data := bytearray(source.recv(next(cuts))):
            if passed <= alter < passed + len(data):
                data[alter - passed] ^= 1
            passed += len(data)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def test_short_way_is_found_again_after_new_keys(rig, taken):
    """Keys change every megabyte; most of the data still goes the short way."""
    content = os.urandom(4_000_000)
    assert send(rig, content, "-c", CIPHERS[0], "-o", "RekeyLimit=1M") == content
    assert taken[0] > 30


def test_asyncssh_does_it_all_when_a_name_is_missing(rig, monkeypatch):
    """A later asyncssh may lack a name that is used: then nothing is taken, and all still works."""
    monkeypatch.setattr(connection, "has_connection_names", lambda _connection: False)
    monkeypatch.setattr(bulk.BulkReceiver, "buffer_updated", lambda *_: pytest.fail("taken all the same"))
    content = os.urandom(1_000_000)
    assert send(rig, content, "-c", CIPHERS[0]) == content


def test_this_release_of_asyncssh_has_every_name(rig, taken):
    """If this fails after an update of asyncssh, uploads still work, slowly: mend `protocols.sftp.bulk`."""
    send(rig, os.urandom(500_000), "-c", CIPHERS[0])
    assert taken[0] > 0


@pytest.mark.parametrize("at_once", [0, 1_500_000, 4_000_000])
def test_downloads_go_the_short_way_too(rig, sealed, at_once):
    """A large reply is sealed here, read on the loop or on threads, and the client takes it for asyncssh's own."""
    rig.tree.at_once = at_once
    content = os.urandom(3_000_001)
    assert send(rig, content, "-c", CIPHERS[0]) == content
    assert sealed[0] > len(content)


@pytest.mark.parametrize("at_once", [0, 4_000_000])
def test_asyncssh_does_it_all_when_a_name_of_a_channel_is_missing(rig, monkeypatch, taken, sealed, at_once):
    """A channel is looked at when its first packet comes: without its names transfers go on as if nothing were."""
    monkeypatch.setattr(names, "_CHANNEL_FIELDS", (*names._CHANNEL_FIELDS, "_no_such_name"))
    rig.tree.at_once = at_once
    content = os.urandom(3_000_001)
    assert send(rig, content, "-c", CIPHERS[0]) == content
    assert taken[0] == sealed[0] == 0


@pytest.mark.parametrize("cipher", CIPHERS)
def test_reads_at_hand_arrive_whole_whatever_the_cipher(rig, cipher):
    """What is read on the loop lies in memory that is used again: each cipher's way has done with it by then."""
    rig.tree.at_once = 8_000_000
    content = os.urandom(6_000_001)
    assert send(rig, content, "-c", cipher, "-o", "RekeyLimit=2M") == content


def test_many_files_at_once_do_not_mix(rig):
    """Several sessions share one loop's buffers; each file is what it was."""
    rig.tree.at_once = 4_000_000
    contents = [os.urandom(2_000_000 + number) for number in range(4)]
    for number, content in enumerate(contents):
        (rig.directory / f"many{number}").write_bytes(content)
    clients = []
    for number in range(len(contents)):
        batch = (
            f"put {rig.directory}/many{number} /in/many{number}\nget /in/many{number} {rig.directory}/back{number}\n"
        )
        client = subprocess.Popen(rig.sftp_command(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert client.stdin is not None
        client.stdin.write(batch.encode())
        client.stdin.close()
        clients.append(client)
    assert [client.wait(PATIENCE) for client in clients] == [0] * len(contents)
    assert [(rig.directory / f"back{number}").read_bytes() for number in range(len(contents))] == contents


def test_transport_that_keeps_what_it_cannot_send_is_given_the_memory(rig, sealed):
    """A client that reads slowly makes the transport wait: what waits there is not written over."""
    rig.tree.at_once = 8_000_000
    content = os.urandom(6_000_000)
    rig.tree.add("/out/slow", content)
    with contextlib.closing(rig.paramiko()) as client, client.open("/out/slow") as file:
        file.prefetch(len(content))
        got = b""
        while data := file.read(100_000):
            got += data
    assert got == content
    assert sealed[0] > 0
