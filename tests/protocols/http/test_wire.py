"""What must not get through: smuggling, disguised paths, injected headers, slow and oversized heads, floods."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from protocols.http import HttpSettings, server_context
from tests.protocols.http.house import BASIC, UPLOADS, head, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.protocols.http.house import House, Wire

FILE = f"{UPLOADS}/a"


def raw(*lines: str) -> bytes:
    """Return a request head of just these lines."""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


AUTH = f"Authorization: {BASIC}"
PUT = f"PUT {FILE} HTTP/1.1"


@pytest.mark.parametrize(
    "request_bytes",
    [
        raw(PUT, "Host: x", AUTH, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        raw(PUT, "Host: x", AUTH, "Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n",
        raw(PUT, "Host: x", AUTH, "Content-Length: 5", "Content-Length: 6") + b"hello",
        raw(PUT, "Host: x", AUTH, "Content-Length: 5, 5") + b"hello",
        raw(PUT, "Host: x", AUTH, "Content-Length: +5") + b"hello",
        raw(PUT, "Host: x", AUTH, "Content-Length: -5") + b"hello",
        raw(PUT, "Host: x", AUTH, "Content-Length: 0x5") + b"hello",
        raw(PUT, "Host: x", AUTH, "Content-Length: 99999999999999999999999") + b"hello",
        raw(PUT, "Host: x", AUTH, "Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
        raw(PUT, "Host: x", AUTH, "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
        raw(PUT, "Host: x", AUTH, "Transfer-Encoding : chunked") + b"0\r\n\r\n",
        raw(PUT, "Host: x", AUTH, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        raw(PUT, "Host: x", AUTH, " folded: line", "Content-Length: 0"),
        raw(PUT, "Host: x", AUTH, "Bad\x00Name: 1", "Content-Length: 0"),
        raw(PUT, "Host: x", AUTH, "Name: a\x00b", "Content-Length: 0"),
        raw(PUT, AUTH, "Content-Length: 0"),
        raw(PUT, "Host: x", "Host: y", AUTH, "Content-Length: 0"),
        raw("PUT /files/a b HTTP/1.1", "Host: x", AUTH, "Content-Length: 0"),
        raw("GET  HTTP/1.1", "Host: x"),
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ],
)
def test_ambiguous_or_malformed_requests_are_400_and_end_the_connection(house: House, request_bytes: bytes) -> None:
    """Two readings of one request are one too many: nothing lands and nothing behind it is read."""
    with house.wire() as wire:
        wire.send(request_bytes + head("GET", "/files/"))
        answer = wire.answer()
        assert (answer.version, answer.status) == ("HTTP/1.1", 400)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["server"] == "mft"
        assert "aiohttp" not in str(answer.lines) + answer.body.decode()
        assert wire.ended()
    assert house.tree.happened("landed") == []


@pytest.mark.parametrize("method", ["FOO", "get", "PLAY", "X-NEW-ONE"])
def test_method_that_nobody_knows_is_501_and_what_came_before_it_is_answered(house: House, method: str) -> None:
    """The server is at a loss with the method, not the client with HTTP (RFC 9110, section 9.1); the end is told."""
    with house.wire() as wire:
        wire.send(head("GET", "/files/") + head(method, "/files/", length=5) + b"hello" + head("GET", "/files/"))
        assert wire.answer().status == 200
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (501, "close")
        assert wire.ended()


@pytest.mark.parametrize("target", ["/files/", FILE, "/dav/", "/tus/", f"/tus/{'0' * 32}", "/"])
@pytest.mark.parametrize("method", ["TRACE", "SEARCH", "PURGE"])
def test_method_that_is_known_and_of_no_use_is_405_and_the_connection_goes_on(
    house: House, method: str, target: str
) -> None:
    """With what would be of use (RFC 9110, section 15.5.6)."""
    with house.wire() as wire:
        answer = wire.ask(method, target)
        assert answer.status == 405
        assert "OPTIONS" in answer.headers["allow"]
        assert wire.ask("GET", "/files/").status == 200


def test_folder_that_is_there_is_not_made_again(house: House) -> None:
    """405 says what would be of use there."""
    answer = house.ask("MKCOL", "/dav/cases/")
    assert (answer.status, "PROPFIND" in answer.headers["allow"], "MKCOL" in answer.headers["allow"]) == (
        405,
        True,
        False,
    )


def test_tunnel_is_refused_and_nothing_behind_it_is_read(house: House) -> None:
    """CONNECT has no body that ends somewhere."""
    with house.wire() as wire:
        wire.send(raw("CONNECT other:443 HTTP/1.1", "Host: other:443", AUTH) + head("GET", "/files/"))
        answer = wire.answer()
        assert (answer.status, "GET" in answer.headers["allow"]) == (405, True)
        assert wire.ended()


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (501, ["Host: x", "Transfer-Encoding: gzip, chunked"]),
        (501, ["Host: x", "Transfer-Encoding: , chunked"]),
        (400, ["Host: a b", "Transfer-Encoding: chunked"]),
        (400, ["Host: x@y", "Transfer-Encoding: chunked"]),
        (400, ["Host: x/y", "Transfer-Encoding: chunked"]),
        (400, ["Host: x:y", "Transfer-Encoding: chunked"]),
    ],
)
def test_what_the_parser_lets_through_and_two_servers_read_in_two_ways_is_refused(
    house: House, status: int, lines: list[str]
) -> None:
    """A transfer coding that is not undone here, and a Host that is none: nothing lands, nothing behind it is read."""
    with house.wire() as wire:
        wire.send(raw(PUT, AUTH, *lines) + b"5\r\nhello\r\n0\r\n\r\n" + head("GET", "/files/"))
        assert wire.answer().status == status
        assert wire.ended()
    assert house.tree.happened("landed") == []


@pytest.mark.parametrize(
    ("version", "status", "lines"),
    [
        ("1.0", 400, ["Host: x", "Transfer-Encoding: chunked"]),
        ("0.9", 505, ["Host: x", "Content-Length: 5"]),
        ("1.0", 201, ["Content-Length: 5"]),
    ],
)
def test_old_versions_are_read_as_they_were_meant(house: House, version: str, status: int, lines: list[str]) -> None:
    """HTTP/1.0 knows no transfer coding (RFC 9112, section 6.1), HTTP/0.9 no PUT and no status line."""
    body = b"5\r\nhello\r\n0\r\n\r\n" if "Transfer-Encoding: chunked" in lines else b"hello"
    with house.wire() as wire:
        wire.send(raw(f"PUT {FILE} HTTP/{version}", AUTH, *lines) + body)
        assert wire.answer().status == status
        assert wire.ended()
    assert len(house.tree.happened("landed")) == (status == 201)


@pytest.mark.parametrize("host", ["localhost:443", "[::1]:8443", "", "support.example.", "a_b.example"])
def test_hosts_of_every_form_are_taken(house: House, host: str) -> None:
    """A name, an address, with a port or without; an empty one is allowed by the letter."""
    with house.wire() as wire:
        wire.send(raw("GET /files/ HTTP/1.1", f"Host: {host}", AUTH))
        assert wire.answer().status == 200


@pytest.mark.parametrize(
    "chunks",
    [
        b"5;" + b"x" * 200_000 + b"\r\nhello\r\n",
        (b"1;" + b"x" * 100 + b"\r\na\r\n") * 3000,
        b"5\r\nhello\r\n" + b"0;" + b"x" * 200_000,
    ],
    ids=["one", "many", "last"],
)
def test_chunks_that_are_extensions_for_the_most_part_are_refused(house: House, chunks: bytes) -> None:
    """Nobody reads them, and the parser has no limit for them: 400, nothing lands, and the connection ends."""
    with house.wire() as wire:
        with contextlib.suppress(OSError):
            wire.send(raw(PUT, "Host: x", AUTH, "Transfer-Encoding: chunked") + chunks + b"\r\n0\r\n\r\n")
        assert wire.answer().status == 400
        assert wire.ended()
    assert house.tree.happened("landed") == []


def test_small_chunks_and_extensions_are_taken(house: House) -> None:
    """A chunk for each byte, some of them with an extension, and the next request close behind."""
    with house.wire() as wire:
        wire.send(raw(PUT, "Host: x", AUTH, "Transfer-Encoding: chunked"))
        wire.send(b"1\r\na\r\n" * 60_000 + b"1;name=value\r\na\r\n" * 2000 + b"0;last\r\n\r\n" + head("GET", "/files/"))
        assert wire.answer().status == 201
        assert wire.answer().status == 200
    assert house.tree.content(FILE.removeprefix("/files")) == b"a" * 62_000


def test_server_itself_may_be_asked_for_its_options(house: House) -> None:
    """`OPTIONS *` is about no address, and asks for no sign-in (RFC 9110, section 9.3.7)."""
    with house.wire() as wire:
        wire.send(raw("OPTIONS * HTTP/1.1", "Host: x"))
        answer = wire.answer()
        assert (answer.status, answer.body) == (204, b"")
        assert "PUT" in answer.headers["allow"]


def test_connection_of_an_upgrade_that_is_not_made_ends(house: House) -> None:
    """What comes behind may be of another protocol: it is answered as HTTP/1.1, and nothing more is read."""
    with house.wire() as wire:
        wire.send(raw("GET /files/ HTTP/1.1", "Host: x", AUTH, "Connection: Upgrade", "Upgrade: h2c"))
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.ended()


def test_line_feeds_alone_do_not_end_a_head(house: House) -> None:
    """A bare LF is no line end: it is refused, not guessed at."""
    with house.wire() as wire:
        wire.send(raw(PUT, "Host: x", AUTH, "Content-Length: 5\nTransfer-Encoding: chunked") + b"hello")
        assert wire.answer().status == 400


@pytest.mark.parametrize(
    "target",
    [
        "/files/..%2f..%2fetc/passwd",
        "/files/a%2Fb",
        "/files/a%5cb",
        "/files/a\\..\\b",
        "/files/a%00b",
        "/files/%ff%fe",
        "/files/a%0d%0aX-Evil:%201",
        "/files/%e2%80%ae.txt",
        "/files/" + "n" * 300,
        "/files/" + "a/" * 70 + "x",
        "/files/%",
        "/files/%zz",
        "/files/%2",
        "/cases/4711/up/%c0%ae%c0%ae",
        "/cases/4711/up/%ed%a0%80",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_paths_that_cannot_be_are_400(house: House, method: str, target: str) -> None:
    """What no name can hold is refused by either method, before anything is looked at."""
    seen: list[str] = []
    house.tree.before = lambda operation, _path: seen.append(operation)
    assert house.ask(method, target, body=b"x" if method == "PUT" else b"").status == 400
    assert seen == []


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/files/../../../etc/passwd", "/etc/passwd"),
        ("/files/%2e%2e/%2E%2e/etc/passwd", "/etc/passwd"),
        ("/files//cases///4711//up//a", FILE),
        ("/files/cases/./4711/down/../up/a", FILE),
        ("/files/cases/4711/up/%252e%252e", f"{UPLOADS}/%2e%2e"),
        ("/cases/4711/../../../x/y", "/cases/x/y"),
        ("/cases/..", "/cases"),
        ("https://elsewhere.example/files/cases/4711/up/a", FILE),
        ("/files/cases/4711/up/a?query=1&x", FILE),
        ("/files/cafe%CC%81", "/café"),
    ],
)
def test_paths_are_decoded_once_and_stay_in_the_tree(house: House, target: str, path: str) -> None:
    """Dots and slashes are resolved in the virtual tree; an alias is not left; nothing is decoded twice."""
    seen: list[str] = []
    house.tree.before = lambda _operation, asked: seen.append(str(asked))
    house.ask("HEAD", target)
    assert seen == [path]


@pytest.mark.parametrize(
    "target", ["/%66iles/cases/4711/up/a", "/filesystem/a", "//files/a", "/FILES/a", "/etc/passwd", "/files%2fa", "*"]
)
def test_prefixes_in_disguise_are_not_found(house: House, target: str) -> None:
    """A prefix is what it is, in plain letters."""
    seen: list[str] = []
    house.tree.before = lambda operation, _path: seen.append(operation)
    assert house.ask("GET", target).status in {400, 404}
    assert seen == []


@pytest.mark.parametrize("byte", [b"\xff", b"\xc3\xa9", b"#x", b"\x7f"])
def test_raw_bytes_in_the_target_are_never_a_500(house: House, byte: bytes) -> None:
    """A target need not be a URL for the answer to be one."""
    with house.wire() as wire:
        wire.send(raw(f"GET {FILE}X HTTP/1.1", "Host: x", AUTH).replace(b"X HTTP", byte + b" HTTP"))
        assert wire.answer().status in {400, 404}


def test_a_name_cannot_inject_a_header(house: House) -> None:
    """Line ends in a name are refused on the way in, so that none comes out."""
    answer = house.ask("PUT", f"{UPLOADS}/a%0d%0aSet-Cookie:%20x=1", body=b"x")
    assert answer.status == 400
    assert "set-cookie" not in answer.headers
    assert b"Set-Cookie" not in answer.body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (raw("GET /files/" + "a" * 9000 + " HTTP/1.1", "Host: x"), 431),
        (raw("GET /files/ HTTP/1.1", "Host: x", "X: " + "a" * 9000), 431),
        (raw("GET /files/ HTTP/1.1", "Host: x", *(f"X{number}: 1" for number in range(100))), 400),
    ],
)
def test_heads_over_the_limits_are_refused(house: House, request_bytes: bytes, status: int) -> None:
    """Long lines and many headers end the connection."""
    with house.wire() as wire:
        wire.send(request_bytes)
        assert wire.answer().status == status
        assert wire.ended()


def trickle(wire: Wire, data: bytes) -> int:
    """Send byte by byte; return how many went out before the connection was cut."""
    for sent, byte in enumerate(data):
        try:
            wire.send(bytes([byte]))
            time.sleep(0.01)
            if not wire.silent(0.001):
                return sent
        except OSError:
            return sent
    return len(data)


def test_a_head_that_trickles_is_cut(certificate: tuple[Path, Path]) -> None:
    """Bytes now and then do not keep a connection whose head never ends, at the first request or a later one."""
    with running(certificate, HttpSettings(head_timeout=0.3)) as house:
        for warm_up in (False, True):
            with house.wire() as wire:
                if warm_up:
                    assert wire.ask("GET", "/files/").status == 200
                assert trickle(wire, head("GET", "/files/", {"X": "y" * 5000})) < 5000


def test_an_idle_connection_is_ended(certificate: tuple[Path, Path]) -> None:
    """Who asks nothing is let go, before a first request and after one."""
    with running(certificate, HttpSettings(idle_timeout=0.3)) as house:
        with house.wire() as wire:
            assert wire.ended()
        with house.wire() as wire:
            assert wire.ask("GET", "/files/").status == 200
            assert wire.ended()


def test_a_handshake_that_never_ends_is_dropped(certificate: tuple[Path, Path]) -> None:
    """A TCP connection without TLS does not hold its place."""
    with running(certificate, HttpSettings(handshake_timeout=0.3)) as house:
        with socket.create_connection(("127.0.0.1", house.port)) as mute:
            house.wait(lambda: house.server.connections == 1)
            mute.settimeout(20)
            assert mute.recv(1) == b""
        house.wait(lambda: house.server.connections == 0)


def test_plain_http_gets_no_answer_in_the_clear(house: House) -> None:
    """TLS always."""
    with socket.create_connection(("127.0.0.1", house.port)) as plain:
        plain.settimeout(20)
        plain.sendall(head("GET", "/files/"))
        data = b""
        with contextlib.suppress(ConnectionError):
            while more := plain.recv(100):
                data += more
        assert b"HTTP" not in data


def test_connections_over_the_limit_wait(certificate: tuple[Path, Path]) -> None:
    """A full house lets the next one in when somebody leaves."""
    with running(certificate, HttpSettings(max_connections=2)) as house:
        first, second = house.wire(), house.wire()
        assert first.ask("GET", "/files/").status == 200
        waiting = socket.create_connection(("127.0.0.1", house.port))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        waiting.settimeout(0.3)
        with pytest.raises(TimeoutError):
            context.wrap_socket(waiting, do_handshake_on_connect=True)
        waiting.close()
        assert house.server.connections == 2
        second.goodbye()
        assert house.ask("GET", "/files/").status == 200
        first.goodbye()


def test_many_connections_leave_nothing_behind(house: House) -> None:
    """Connections that come and go in every manner are all accounted for."""
    for number in range(60):
        wire = house.wire()
        if number % 2:
            wire.send(head("GET", "/files/") if number % 3 else head("PUT", FILE, length=9))
        (wire.reset, wire.drop, wire.goodbye)[number % 3]()
    house.wait(lambda: house.server.connections == 0)
    assert len(house.tree.happened("closed")) == len(house.authenticator.opened)


def test_random_bytes_are_never_a_500(house: House) -> None:
    """Noise gets a 400 or an end, and the head goes on serving."""
    for _ in range(20):
        with house.wire() as wire:
            with contextlib.suppress(OSError):
                wire.send(os.urandom(3000) + b"\r\n\r\n")
            with contextlib.suppress(EOFError, OSError):
                assert wire.answer().status == 400
    assert house.ask("GET", "/files/").status == 200
    assert all(exchange.status == 200 for exchange in house.exchanges)


def test_the_tls_profile_is_modern(house: House, certificate: tuple[Path, Path]) -> None:
    """TLS 1.1 and static RSA are refused; HTTP/1.1 is what ALPN agrees on."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", house.port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain)
    new = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    new.check_hostname, new.verify_mode = False, ssl.CERT_NONE
    new.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", house.port)) as plain, new.wrap_socket(plain) as tls:
        assert (tls.version(), tls.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    assert server_context(*certificate).minimum_version is ssl.TLSVersion.TLSv1_2


def test_several_listeners_name_their_regions(house: House, certificate: tuple[Path, Path]) -> None:
    """Sessions know which region's listener they reached."""
    from tests.protocols.http.house import Wire

    other = socket.create_server(("127.0.0.1", 0))
    port = other.getsockname()[1]
    house.run(house.server.start(other, "us", server_context(*certificate)))
    with Wire(port) as wire:
        assert wire.ask("GET", "/files/").status == 200
    assert house.ask("GET", "/files/").status == 200
    assert [session.origin.region for session in house.authenticator.opened] == ["us", "eu"]
