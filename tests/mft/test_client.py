"""The client's rules: how many connections, whom to trust, which folder; and what a kernel is asked for."""

from __future__ import annotations

import socket

import pytest
import typer

from mft.cli.remote import folder_of, server_at
from mft.client.connection import parse_fingerprint
from mft.client.errors import ClientError
from mft.client.pace import FEWEST, INTERVAL, MOST, Pace
from protocols import tcp

SECOND = INTERVAL + 0.1


def reached(rate_of, *, looks=60):
    """Run a pace against a link whose rate depends on the number of connections; return all numbers."""
    pace, now, done, seen = Pace(), 0.0, 0, []
    pace.look(now, done)
    for _ in range(looks):
        now += SECOND
        done += int(rate_of(pace.streams) * SECOND)
        seen.append(pace.look(now, done))
    return seen


def test_connections_are_added_as_long_as_each_brings_a_tenth():
    """Where the rate grows with them, all are used, and no more than the most."""
    seen = reached(lambda streams: 1e6 * 1.2**streams)
    assert max(seen) == seen[-1] == MOST
    assert seen[0] == FEWEST + 1


def test_connections_stay_few_where_more_bring_nothing():
    """A full link gets one try now and then, and no crowd."""
    seen = reached(lambda streams: 1e8)
    assert max(seen) <= FEWEST + 8
    worse = reached(lambda streams: 1e8 / streams)
    assert max(worse) <= FEWEST + 1


def test_number_that_was_told_is_kept():
    """Whatever the rate."""
    pace = Pace(fixed=7)
    assert {pace.look(second * SECOND, 10**9 * second) for second in range(20)} == {7}


def test_fingerprint_is_read_in_every_form():
    """With colons, in capitals, with its algorithm; nothing else is one."""
    digits = "ab" * 32
    for text in (digits, digits.upper(), "SHA256:" + ":".join(["ab"] * 32)):
        assert parse_fingerprint(text) == bytes.fromhex(digits)
    for text in ("", "abc", "zz" * 32, digits + "ab"):
        with pytest.raises(ClientError):
            parse_fingerprint(text)


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/cases/ACME-1/", "/cases/ACME-1/"),
        ("/files/ACME-1/up%20there/", "/ACME-1/up there/"),
        ("/files/", "/"),
        ("/filesystem/", "/filesystem/"),
        ("/", "/"),
    ],
)
def test_folder_of_an_address(path, folder):
    """The tree's own addresses lose their prefix, the others are folders of it."""
    assert folder_of(path) == folder


@pytest.mark.parametrize("url", ["http://host/", "https://", "host/cases", "https://ann:secret@host/", "ftp://host/"])
def test_address_that_is_none_or_tells_a_secret_is_refused(url, monkeypatch):
    """Before anything is asked for or sent."""
    monkeypatch.setenv("MFT_PASSWORD", "secret")
    with pytest.raises(typer.BadParameter) as caught:
        server_at(url, "ann", None, None, None, None)
    assert "secret" not in str(caught.value).replace("no secret", "")


def test_kernel_is_asked_and_never_in_the_way():
    """A connection works whether or not it may have what is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as sock:
        tcp.tune(sock)
        assert tcp.round_trip(sock) < tcp.LONG_WAY
        assert tcp.widen_buffers(sock) is False
        sock.sendall(b"x")
        with listener.accept()[0] as other:
            assert other.recv(1) == b"x"


def test_shortcomings_are_told(tmp_path, monkeypatch):
    """Small buffers and a missing BBR, each with what it costs."""
    (tmp_path / "ipv4").mkdir()
    (tmp_path / "ipv4/tcp_available_congestion_control").write_text("reno cubic\n")
    (tmp_path / "ipv4/tcp_wmem").write_text("4096\t16384\t4194304\n")
    (tmp_path / "ipv4/tcp_rmem").write_text("4096\t131072\t67108864\n")
    monkeypatch.setattr(tcp, "_SYSCTL", tmp_path)
    told = tcp.shortcomings()
    assert len(told) == 2
    assert "BBR" in told[0]
    assert "336 Mbit/s" in told[1]
    (tmp_path / "ipv4/tcp_wmem").write_text("4096\t16384\t67108864\n")
    (tmp_path / "ipv4/tcp_available_congestion_control").write_text("reno bbr\n")
    assert tcp.shortcomings() == []
