"""The client's rules: how many connections, whom to trust, which folder; and what a kernel is asked for."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time

import pytest
import typer

from mft.cli.remote import folder_of, server_at
from mft.client import crew
from mft.client.connection import DEAD, Line, Server, parse_fingerprint, trust
from mft.client.errors import ClientError, UnreachableError
from mft.client.getting import PIECE, _cut, _gaps, part_of
from mft.client.pace import FEWEST, FEWEST_FAR, INTERVAL, MOST, Pace
from mft.client.parcel import KEPT_SECONDS, LEAST_PART, MIB, SMALL, Memory, parcel_of
from protocols import tcp
from protocols.http import HttpSettings
from tests.protocols.http.house import make_certificate

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


def test_long_way_begins_with_more_connections_and_tries_more_at_once():
    """A near server is left as it is."""
    far, near = Pace(), Pace()
    near.meet(0.001)
    assert near.streams == FEWEST
    far.meet(0.1)
    assert far.streams == FEWEST_FAR
    far.look(0.0, 0)
    assert far.look(SECOND, 10**8) == FEWEST_FAR + 2
    assert far.look(2 * SECOND, 2 * 10**8) == FEWEST_FAR + 2
    far.meet(0.1)
    assert far.look(3 * SECOND, 3 * 10**8) == FEWEST_FAR + 2


def test_number_that_was_told_is_kept():
    """Whatever the rate, and however far."""
    pace = Pace(fixed=7)
    pace.meet(0.3)
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


@pytest.mark.parametrize(
    "url",
    [
        "http://host/",
        "https://",
        "host/cases",
        "https://ann:secret@host/",
        "ftp://host/",
        "https://host:99999/",
        "https://host:x/",
        "https://[::1/",
    ],
)
def test_address_that_is_none_or_tells_a_secret_is_refused(url, monkeypatch):
    """Before anything is asked for or sent."""
    monkeypatch.setenv("MFT_PASSWORD", "secret")
    with pytest.raises(typer.BadParameter) as caught:
        server_at(url, "ann", None, None, None, None)
    assert "secret" not in str(caught.value).replace("no secret", "")


@pytest.mark.parametrize(
    ("url", "path"),
    [("https://h/a b/\u00fc.log", "/a%20b/%C3%BC.log"), ("https://h/a%20b/c", "/a%20b/c"), ("https://h", "/")],
)
def test_address_as_people_write_it_is_one_that_can_be_sent(url, path, monkeypatch):
    """What is encoded already is left so."""
    monkeypatch.setenv("MFT_PASSWORD", "secret")
    assert server_at(url, "ann", None, None, None, "none")[1] == path


def test_authority_that_is_none_is_told_with_its_file(tmp_path, monkeypatch):
    """As wrong usage, not as whatever OpenSSL says of it."""
    monkeypatch.setenv("MFT_PASSWORD", "secret")
    (tmp_path / "ca.pem").write_text("x")
    with pytest.raises(typer.BadParameter, match=r"ca\.pem holds no certificate"):
        server_at("https://host/", "ann", None, tmp_path / "ca.pem", None, "none")


def test_bytes_that_are_sent_anew_are_no_progress(monkeypatch):
    """Else a line that loses each request would be tried for ever."""
    now = iter(range(10))
    monkeypatch.setattr(crew.time, "monotonic", lambda: next(now))
    meter = crew.Meter()
    meter.add(5)
    moved = meter.moved
    meter.add(-3)
    meter.add(3)
    assert meter.moved == moved
    meter.add(1)
    assert meter.moved > moved


@pytest.mark.parametrize("proxy", ["http://h:99999", "http://[::1", "ftp://h"])
def test_proxy_that_is_none_is_told(proxy):
    """Before anything is asked of it."""
    server = Server(host="h", port=1, authorization="x", context=trust(None, pinned=False), proxy=proxy)
    with Line(server) as line, pytest.raises(ClientError, match="a proxy is named"):
        line.ask("GET", "/")


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


def test_file_whose_name_is_no_text_is_told(tmp_path):
    """A name of a file system may be any bytes; one of a case is text."""
    name = os.fsdecode(b"\xff.bin")
    (tmp_path / name).touch()
    with pytest.raises(ClientError, match=r"^\\xff\.bin: the name is no text"):
        parcel_of(tmp_path / name, "/", name)


def test_refused_file_is_given_up_once(tmp_path):
    """Nothing of it is sent any more, whoever has a part of it under way."""
    source = tmp_path / "big"
    source.write_bytes(bytes(3 * SMALL))
    parcel = parcel_of(source, "/", "big")
    parcel.cut(Memory(tmp_path / "state", "host"))
    part = parcel.take()
    assert [parcel.give_up(), parcel.give_up()] == [True, False]
    parcel.give_back(part)
    assert parcel.take() is None


def test_what_is_sent_is_remembered_where_there_is_room(tmp_path):
    """Without it a later run sends anew; this one is not kept from sending."""
    source = tmp_path / "big"
    source.write_bytes(b"x")
    (tmp_path / "state").touch()
    memory = Memory(tmp_path / "state", "host")
    memory.keep(parcel_of(source, "/", "big"))
    assert memory.parts_of(parcel_of(source, "/", "big")) is None


def test_parts_are_sent_once_and_asked_again_after_a_break(tmp_path):
    """What the server has made meanwhile is taken first; what was given back must be asked where it stands."""
    source = tmp_path / "big"
    source.write_bytes(bytes(3 * LEAST_PART - 5))
    parcel = parcel_of(source, "/", "big")
    memory = Memory(tmp_path / "state", "host")
    parcel.cut(memory)
    first = parcel.take()
    unmade = parcel.take_unmade()
    assert first is parcel.parts[0]
    assert unmade is parcel.parts[1]
    assert parcel.take() is parcel.parts[2]  # nobody waits for one that is being made
    parcel.made(unmade, "/tus/1")
    assert (unmade.url, unmade.offset) == ("/tus/1", 0)
    assert parcel.take() is unmade
    assert parcel.take() is None
    memory.keep(parcel)
    parcel.give_back(unmade)
    assert parcel.take().offset is None
    again = parcel_of(source, "/", "big")
    again.cut(memory)
    assert [each.url for each in again.parts] == [None, "/tus/1", None]
    assert sum(each.length for each in again.parts) == source.stat().st_size
    memory.forget(parcel)
    assert memory.parts_of(again) is None


@pytest.mark.parametrize("size", [LEAST_PART + 1, 192 * MIB, 10 * 1024 * MIB, 1024 * 1024 * MIB])
def test_parts_become_smaller_and_fit_in_one_request(tmp_path, size):
    """Whoever sends the last ones is done soon after all others; their addresses are told in one header field."""
    source = tmp_path / "sparse"
    with source.open("wb") as file:
        file.truncate(size)
    parcel = parcel_of(source, "/", "sparse")
    parcel.cut(Memory(tmp_path / "state", "host"))
    lengths = [part.length for part in parcel.parts]
    assert sum(lengths) == size
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] <= max(LEAST_PART, size // 16 + MIB)
    assert len(f"final;{' '.join('/tus/' + 32 * 'f' for _ in lengths)}") < HttpSettings().max_line


@pytest.mark.parametrize("there", [[], [(0, 5 * MIB)], [(3, 9 * MIB + 1), (40 * MIB, 90 * MIB)]])
def test_what_is_missing_of_a_file_is_fetched_in_pieces(there):
    """Every byte of it once, and nothing else; none is so large that a break costs much."""
    size = 100 * MIB - 7
    pieces = list(_cut(_gaps(there, size), size))
    assert _gaps([*there, *pieces], size) == []
    assert sum(end - start for start, end in [*there, *pieces]) == size
    assert max(end - start for start, end in pieces) <= PIECE


def test_parts_are_announced_once_they_have_addresses(tmp_path):
    """So that the server can write the file as they come."""
    source = tmp_path / "big"
    source.write_bytes(bytes(2 * LEAST_PART))
    parcel = parcel_of(source, "/", "big")
    parcel.cut(Memory(tmp_path / "state", "host"))
    parcel.made(parcel.parts[0], "/tus/1")
    assert parcel.announce() == ()
    parcel.made(parcel.parts[1], "/tus/2")
    assert parcel.announce() == ("/tus/1", "/tus/2")
    assert parcel.announce() == ()


def test_part_that_two_had_made_lies_at_one_place(tmp_path):
    """The first counts: it may have been told already."""
    source = tmp_path / "big"
    source.write_bytes(bytes(2 * LEAST_PART))
    parcel = parcel_of(source, "/", "big")
    parcel.cut(Memory(tmp_path / "state", "host"))
    part = parcel.take_unmade()
    parcel.made(part, "/tus/1")
    parcel.address(part, "/tus/2")
    assert (part.url, part.offset) == ("/tus/1", 0)


def test_what_is_remembered_of_files_that_nobody_goes_on_with_is_let_go(tmp_path):
    """Servers have given their parts up long before."""
    source = tmp_path / "big"
    source.write_bytes(b"x")
    state = tmp_path / "state"
    memory = Memory(state, "host")
    memory.prune()
    memory.keep(parcel_of(source, "/", "old"))
    (state / "torn.new").touch()
    past = time.time() - KEPT_SECONDS - 60
    for each in state.iterdir():
        os.utime(each, (past, past))
    fresh = parcel_of(source, "/", "fresh")
    memory.keep(fresh)
    memory.prune()
    assert list(state.iterdir()) == [memory._file(fresh)]


@contextlib.contextmanager
def answering(directory, answers):
    """Say what was told to requests in their order, whatever they are; yield port, certificate, and the heads."""
    certificate, key = make_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    heads = []

    def serve(listener):
        with contextlib.suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as sock:
            file = sock.makefile("rb")
            for answer in answers:
                head = b"".join(iter(file.readline, b"\r\n"))
                file.read(3 if b"Content-Length: 3" in head else 0)
                heads.append(head)
                sock.sendall(answer)
            file.read()  # a close over what was not read would be a reset, which takes answers with it

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], certificate, heads


def line_to(port, certificate):
    context = trust(str(certificate), pinned=False)
    return Line(Server(host="localhost", port=port, authorization="Basic x", context=context))


def test_way_that_is_gone_is_noticed_before_patience_ends(tmp_path):
    """Else the connections that it took along are given up together with the transfer, and none is made anew."""
    answers = [b"HTTP/1.1 204 No Content\r\n\r\n"]
    with answering(tmp_path, answers) as (port, certificate, _), line_to(port, certificate) as line:
        line.ask("GET", "/")
        sock = line._connection.sock
        idle, interval, count = (
            sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert idle + interval * count <= DEAD <= crew.PATIENCE / 2
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DEAD * 1000


def test_answers_come_in_the_order_of_their_requests(tmp_path):
    """Requests go out before earlier ones are answered; one that ends its connection ends what was asked behind it."""
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nthree",
    ]
    with answering(tmp_path, answers) as (port, certificate, heads), line_to(port, certificate) as line:
        line.send("GET", "/1")
        line.send("PATCH", "/2", {"Upload-Offset": "0"}, [b"ab", b"c"], 3)
        line.send("GET", "/3")
        line.send("GET", "/4")
        assert [line.receive().body, line.receive().status, line.receive().body] == [b"one", 404, b"three"]
        with pytest.raises(UnreachableError):
            line.receive()
    assert [head.split(b" ", 2)[1] for head in heads] == [b"/1", b"/2", b"/3"]


@pytest.mark.parametrize(
    ("path", "headers"), [("/a b", {}), ("/a\r\nX: y", {}), ("/", {"X": "a\r\nY: b"}), ("/", {"X": "\u20ac"})]
)
def test_nothing_is_slipped_into_a_request(path, headers, tmp_path):
    """An address or a header with an end of line is not sent."""
    with (
        answering(tmp_path, []) as (port, certificate, heads),
        line_to(port, certificate) as line,
        pytest.raises(ClientError, match="cannot be sent"),
    ):
        line.ask("GET", path, headers)
    assert not heads


def beyond(port: int) -> Server:
    """Return a server that is reached by a proxy at *port*."""
    return Server(
        host="support.example",
        port=443,
        authorization="Basic x",
        context=trust(None, pinned=False),
        proxy=f"http://me:hidden@127.0.0.1:{port}",
    )


def test_proxy_that_makes_no_tunnel_is_named_as_what_is_wrong():
    """With what to do about it, and without the password that it was asked with."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse():
            with proxy.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        server = beyond(proxy.getsockname()[1])
        with Line(server) as line, pytest.raises(UnreachableError, match=r"407.*--proxy") as caught:
            line.ask("GET", "/")
        thread.join(20)
    assert "hidden" not in str(caught.value)


def test_proxy_that_is_not_there_is_named_as_what_is_wrong():
    """And not the server, which nobody asked."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        server = beyond(port)
        with Line(server) as line, pytest.raises(UnreachableError, match=f"proxy 127.0.0.1:{port}.*--proxy") as caught:
            line.ask("GET", "/")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", ["x", "x" * 255, "ü" * 127, "日" * 85])
def test_part_of_a_file_has_a_name_wherever_the_file_has_one(tmp_path, name):
    """With the notes beside it, and what they are written as."""
    part = part_of(tmp_path / name)
    part.with_name(part.name + ".json.new").touch()
    assert part != part_of(tmp_path / (name[:-1] + "y"))


def test_part_of_a_file_takes_no_other_files_name(tmp_path):
    """A folder may hold `x`, `x.part` and `x.part.json`, too."""
    there = frozenset(tmp_path / name for name in ("x", "x.part", "y", "y.part.json"))
    parts = {part_of(path, there) for path in there}
    assert len(parts) == 4
    assert not parts & there


def test_server_that_never_answered_is_given_up_soon(monkeypatch):
    """An address that is wrong is not tried for as long as a connection that broke."""
    monkeypatch.setattr(crew, "FIRST_PATIENCE", 0.1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = Server(
            host="127.0.0.1",
            port=closed.getsockname()[1],
            authorization="Basic x",
            context=trust(None, pinned=False),
        )
        hands = crew.Crew(server, crew.Meter(), streams=1)
        hands.add(lambda line: line.ask("GET", "/"))
        with pytest.raises(UnreachableError, match="gave up after 0 s"):
            hands.run(lambda *_: None)
