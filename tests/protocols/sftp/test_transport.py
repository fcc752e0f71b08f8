"""What is offered in SSH itself, and what malformed SSH messages do."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
from asyncssh.constants import MSG_CHANNEL_REQUEST

from protocols.sftp.algorithms import PROFILES
from tests.contracts.head import PATIENCE

if TYPE_CHECKING:
    from tests.protocols.sftp.rig import Rig


def _offer(rig: Rig) -> list[list[str]]:
    """Return the name lists of the server's SSH_MSG_KEXINIT (RFC 4253, section 7.1)."""
    with socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE) as sock, sock.makefile("rb") as stream:
        assert stream.readline() == b"SSH-2.0-mft\r\n"
        sock.sendall(b"SSH-2.0-probe\r\n")
        packet = stream.read(int.from_bytes(stream.read(4), "big"))
    at, lists = 1 + 1 + 16, []
    for _ in range(8):
        length = int.from_bytes(packet[at : at + 4], "big")
        lists.append(packet[at + 4 : at + 4 + length].decode().split(","))
        at += 4 + length
    return lists


def test_the_offer_is_that_of_a_current_server(rig: Rig) -> None:
    """Post-quantum first, strict key exchange, AES-GCM before the rest, and nothing that is broken."""
    kex, host_key, encryption, _, mac, _, compression, _ = _offer(rig)
    assert kex[0] == "mlkem768x25519-sha256"
    assert "kex-strict-s-v00@openssh.com" in kex
    assert host_key == ["ssh-ed25519"]
    assert encryption[0] == "aes256-gcm@openssh.com"
    assert compression == ["none"]
    for name in [*kex, *host_key, *encryption, *mac]:
        assert not any(weak in name for weak in ("sha1", "md5", "cbc", "arcfour", "group1-", "ssh-dss", "umac-64"))


def test_the_profile_holds_no_sha_1() -> None:
    """Neither for users' keys: an RSA key signs with SHA-2."""
    for profile in PROFILES.values():
        assert "ssh-rsa" not in profile.signature


def test_client_without_our_macs_is_let_in_by_an_older_one(rig: Rig) -> None:
    """As libssh2 before 1.11, which is Debian 12's curl; nobody else is told of it."""
    assert all("-etm@" in name for name in _offer(rig)[4])

    async def log_in(macs: list[str]) -> str:
        options: dict[str, Any] = {"known_hosts": None, "config": None, "username": "alice"}
        options |= {"client_keys": [str(rig.key)], "encryption_algs": ["aes256-ctr"], "mac_algs": macs}
        async with asyncssh.connect("127.0.0.1", rig.port, **options) as connection:
            return str(connection.get_extra_info("send_mac"))

    assert asyncio.run(log_in(["hmac-sha2-512", "hmac-sha2-256", "hmac-sha1"])) == "hmac-sha2-512"
    both = ["hmac-sha2-256", "hmac-sha2-512-etm@openssh.com"]
    assert asyncio.run(log_in(both)) == "hmac-sha2-512-etm@openssh.com"


@pytest.mark.parametrize(
    ("request_type", "payload"),
    [
        *(
            ("subsystem", payload)
            for payload in (b"", b"\0", b"\0\0", b"\0\0\0", b"\0\0\0\xff", b"\xff" * 4, b"\xff" * 9000)
        ),
        *((name, b"\0\0\0") for name in ("exec", "env", "pty-req", "x11-req", "signal", "window-change", "no-such")),
    ],
)
def test_a_malformed_channel_request_ends_at_most_its_own_connection(
    rig: Rig, request_type: str, payload: bytes
) -> None:
    """Payloads of 0 to 3 bytes, and lengths that lie, take nobody else down."""

    async def send() -> None:
        options: dict[str, Any] = {
            "known_hosts": None,
            "config": None,
            "username": "alice",
            "client_keys": [str(rig.key)],
        }
        async with (
            asyncssh.connect("127.0.0.1", rig.port, **options) as bystander,
            bystander.start_sftp_client() as sftp,
            asyncssh.connect("127.0.0.1", rig.port, **options) as attacker,
        ):
            channel, _ = await attacker.create_session(asyncssh.SSHClientSession, subsystem="sftp", encoding=None)
            name = request_type.encode()
            body = len(name).to_bytes(4, "big") + name + b"\1" + payload
            channel.send_packet(MSG_CHANNEL_REQUEST, body)
            await sftp.stat("/in")
            assert await sftp.exists("/out/report.txt")

    asyncio.run(asyncio.wait_for(send(), PATIENCE))


@pytest.mark.parametrize("stream", [b"", b"\0\0\0\0", b"\xff\xff\xff\xff", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\1\3"])
def test_what_is_no_sftp_ends_the_channel(rig: Rig, stream: bytes) -> None:
    """A stream that no packet can be cut from ends with an exit status, and the connection goes on."""

    async def send() -> int | None:
        async with asyncssh.connect(
            "127.0.0.1", rig.port, known_hosts=None, config=None, username="alice", client_keys=[str(rig.key)]
        ) as connection:
            channel, _ = await connection.create_session(asyncssh.SSHClientSession, subsystem="sftp", encoding=None)
            channel.write(stream)
            channel.write_eof()
            await channel.wait_closed()
            async with connection.start_sftp_client() as sftp:
                assert await sftp.exists("/in")
            return channel.get_exit_status()

    assert asyncio.run(asyncio.wait_for(send(), PATIENCE)) == (1 if stream else 0)


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-1.5-old\r\n", b"\0" * 20_000, b"SSH-2.0-x\r\n" + b"\xff" * 5000]
)
def test_what_is_no_ssh_is_dropped(rig: Rig, garbage: bytes) -> None:
    """A web browser or a scanner gets a closed connection."""
    with socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE) as sock:
        sock.sendall(garbage)
        try:
            while sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
    client = rig.paramiko()
    assert client.listdir("/") == ["in", "out"]
    client.get_channel().get_transport().close()
