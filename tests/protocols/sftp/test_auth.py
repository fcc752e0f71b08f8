"""Logging in: what is accepted, what is refused, and that an offered key proves nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import asyncssh
import paramiko
import pytest

from protocols.errors import EndedTokenError, UnavailableError
from protocols.session import PublicKeyCredential
from tests.contracts.head import PASSWORD, PATIENCE, until
from tests.protocols.sftp.rig import Rig

if TYPE_CHECKING:
    from pathlib import Path


def _connect(rig: Rig, **options: Any) -> None:
    async def connect() -> None:
        defaults: dict[str, Any] = {
            "known_hosts": None,
            "config": None,
            "username": "alice",
            "client_keys": None,
            "agent_path": None,
        }
        async with (
            asyncssh.connect("127.0.0.1", rig.port, **(defaults | options)) as connection,
            connection.start_sftp_client() as sftp,
        ):
            assert await sftp.exists("/in")

    asyncio.run(connect())


def test_a_key_logs_in(rig: Rig) -> None:
    """The session is opened once, for the key that was proven, at the listener's region."""
    _connect(rig, client_keys=[str(rig.key)])
    (session,) = rig.accounts.opened
    assert session.login == "alice"
    assert (session.origin.protocol, session.origin.peer, session.origin.region) == ("sftp", "127.0.0.1", "eu-central")
    until(lambda: rig.tree.happened("closed"))


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_a_password_logs_in(rig: Rig, method: str) -> None:
    """By the password method and by its keyboard-interactive form."""
    _connect(rig, password=PASSWORD, preferred_auth=method)
    assert len(rig.accounts.opened) == 1


@pytest.mark.parametrize("login", ["alice", "nobody"])
def test_a_wrong_password_or_key_is_refused(rig: Rig, login: str) -> None:
    """Nothing is opened, whoever it was."""
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        _connect(rig, username=login, password="wrong", client_keys=[stranger])
    assert rig.accounts.opened == []


def test_an_offered_key_opens_nothing(rig: Rig) -> None:
    """Offering somebody's public key, and then failing to sign, is no login, nor does it help the next attempt."""
    public = asyncssh.import_public_key(asyncssh.read_private_key(rig.key).export_public_key())

    class Impostor(asyncssh.SSHKeyPair):
        """Offers alice's key and signs with another."""

        def __init__(self) -> None:
            super().__init__(public.algorithm, public.algorithm, public.sig_algorithms, (), public.public_data, b"")
            self._other = asyncssh.generate_private_key("ssh-ed25519")

        async def sign_async(self, data: bytes) -> bytes:
            return self._other.sign(data, b"ssh-ed25519")

        def sign(self, data: bytes) -> bytes:
            return self._other.sign(data, b"ssh-ed25519")

    with pytest.raises(asyncssh.PermissionDenied):
        _connect(rig, client_keys=[Impostor()], password="wrong")
    assert any(isinstance(credential, PublicKeyCredential) for credential in rig.accounts.checked)
    assert rig.accounts.opened == []


def test_a_key_without_its_signature_does_not_lend_its_login(rig: Rig) -> None:
    """Alice's public key, signed with another and followed by bob's password, is a session of bob's."""
    public = asyncssh.read_private_key(rig.key).public_data

    class Forged(paramiko.Ed25519Key):
        """Says that it is alice's key."""

        def asbytes(self) -> bytes:
            return public

    other = rig.directory / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(other)
    transport = paramiko.Transport(("127.0.0.1", rig.port))
    transport.start_client(timeout=PATIENCE)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey("alice", Forged(filename=str(other)))
    assert rig.accounts.opened == []
    transport.auth_password("bob", PASSWORD, fallback=False)
    transport.open_session(timeout=PATIENCE).invoke_subsystem("sftp")
    assert [session.login for session in rig.accounts.opened] == ["bob"]
    transport.close()


def test_a_key_that_fails_is_followed_by_a_password(rig: Rig) -> None:
    """A client that asks for the authentication service before each attempt, as paramiko does, is not cut off."""
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.MissingHostKeyPolicy())
        client.connect(
            "127.0.0.1",
            rig.port,
            username="bob",
            key_filename=str(rig.key),
            password=PASSWORD,
            look_for_keys=False,
            allow_agent=False,
        )
        assert client.open_sftp().listdir("/") == ["in", "out"]


def test_a_throttled_login_looks_like_a_wrong_password(rig: Rig) -> None:
    """Throttling tells nobody that there is something to throttle."""
    rig.accounts.throttled = True
    with pytest.raises(asyncssh.PermissionDenied):
        _connect(rig, password=PASSWORD)


def test_an_account_source_that_does_not_answer_is_said(rig: Rig) -> None:
    """A right password is not called wrong because something behind is down."""
    rig.accounts.failure = UnavailableError("logins cannot be checked now; try again")
    with pytest.raises(asyncssh.DisconnectError, match="logins cannot be checked now"):
        _connect(rig, password=PASSWORD)


def test_an_unknown_failure_of_the_account_source_tells_nothing(rig: Rig) -> None:
    """Its text stays in the log."""
    rig.accounts.failure = RuntimeError("the secret inside")
    with pytest.raises(asyncssh.DisconnectError, match=r"^internal error \(error 11\)$"):
        _connect(rig, password=PASSWORD)


@pytest.mark.parametrize(
    "login", ["", "a" * 300, "a\nb", "alice\0", "../../etc", "user@CASE-1", "\u202ealice", "日本", "'; drop--"]
)
def test_odd_logins_are_refused_and_harm_nothing(rig: Rig, login: str) -> None:
    """The server lives on, whatever somebody calls himself."""
    transport = paramiko.Transport(("127.0.0.1", rig.port))
    with pytest.raises((paramiko.SSHException, EOFError)):
        transport.connect(username=login, password=PASSWORD)
    transport.close()
    _connect(rig, password=PASSWORD)
    assert [session.login for session in rig.accounts.opened] == ["alice"]


def test_control_characters_in_a_login_never_reach_the_accounts(rig: Rig) -> None:
    """A login that cannot be one is refused at the edge."""
    transport = paramiko.Transport(("127.0.0.1", rig.port))
    with pytest.raises((paramiko.SSHException, EOFError)):
        transport.connect(username="ali\x01ce", password=PASSWORD)
    transport.close()
    assert rig.accounts.checked == []


def test_attempts_in_one_connection_are_bounded(tmp_path: Path) -> None:
    """The connection ends after the last allowed attempt."""
    rig = Rig(tmp_path, max_auth_attempts=3)
    try:
        transport = paramiko.Transport(("127.0.0.1", rig.port))
        transport.start_client(timeout=PATIENCE)
        for _ in range(3):
            with pytest.raises(paramiko.AuthenticationException):
                transport.auth_password("alice", "wrong", fallback=False)
        with pytest.raises((paramiko.SSHException, EOFError)):
            transport.auth_password("alice", PASSWORD, fallback=False)
        until(lambda: not transport.is_active())
        transport.close()
        assert len(rig.accounts.checked) == 3
        assert rig.accounts.opened == []
    finally:
        rig.stop()


def test_a_connection_that_does_not_log_in_is_ended(tmp_path: Path) -> None:
    """The login grace time bounds who says nothing."""
    rig = Rig(tmp_path, login_grace=0.2)
    try:
        with socket.create_connection(("127.0.0.1", rig.port), timeout=PATIENCE) as sock:
            while sock.recv(4096):
                pass
        until(lambda: rig.server.connections == 0)
    finally:
        rig.stop()


def test_the_banner_is_shown(tmp_path: Path) -> None:
    """A client sees it before it authenticates."""
    rig = Rig(tmp_path, banner="for customers of Example only\r\n")
    try:
        transport = rig.transport()
        assert transport.get_banner() == b"for customers of Example only\r\n"
        transport.close()
    finally:
        rig.stop()


def test_a_token_that_has_ended_says_so_to_its_holder(rig: Rig) -> None:
    """As a banner, before the refusal, which has no room for words."""
    rig.accounts.failure = EndedTokenError("this token was revoked; ask for a new one")
    transport = paramiko.Transport(("127.0.0.1", rig.port))
    transport.banner_timeout = transport.auth_timeout = PATIENCE
    try:
        transport.start_client(timeout=PATIENCE)
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password("alice", "a token", fallback=False)
        assert transport.get_banner() == b"this token was revoked; ask for a new one\r\n"
    finally:
        transport.close()


def test_forwarding_is_refused(rig: Rig) -> None:
    """The server is nobody's way into another network."""
    transport = rig.transport()
    with pytest.raises(paramiko.ChannelException):
        transport.open_channel("direct-tcpip", ("127.0.0.1", rig.port), ("127.0.0.1", 1), timeout=PATIENCE)
    with pytest.raises(paramiko.SSHException):
        transport.open_session(timeout=PATIENCE).request_x11()
    transport.close()


def test_channels_of_one_connection_are_bounded(tmp_path: Path) -> None:
    """Too many channels are refused; a closed one makes room."""
    rig = Rig(tmp_path, max_channels=2)
    try:
        transport = rig.transport()
        channels = []
        for _ in range(2):
            channel = transport.open_session(timeout=PATIENCE)
            channel.invoke_subsystem("sftp")
            channels.append(channel)
        with pytest.raises(paramiko.ChannelException):
            transport.open_session(timeout=PATIENCE)
        channels[0].shutdown_write()
        assert channels[0].recv_exit_status() == 0
        transport.open_session(timeout=PATIENCE).close()
        transport.close()
    finally:
        rig.stop()
