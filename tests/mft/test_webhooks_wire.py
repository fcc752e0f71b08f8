"""One attempt to deliver: signatures as the standard has them, addresses that may be called, answers of every kind."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from mft.config.secrets import parse_webhook_secret
from mft.credentials.certificate import make_certificate
from mft.webhooks.addresses import PinnedBackend, check_address, is_public, parse_networks
from mft.webhooks.errors import DeliveryError, ForbiddenAddressError, SignatureError
from mft.webhooks.post import MOST_ANSWER, GoneError, Poster
from mft.webhooks.signature import new_secret, secret_text, sign, signed_headers, verify
from tests.receiver import Receiver, running_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = parse_networks(["127.0.0.0/8"])
NOW = 1_800_000_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


# -- signatures ----------------------------------------------------------------------------------------------------


def test_signature_is_that_of_the_standards_own_example():
    """The example that the Standard Webhooks libraries are tested with."""
    secret = parse_webhook_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    found = sign(secret, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_any_of_several_secrets_and_signatures_is_enough():
    """While a secret is being changed either end may be the first."""
    old, new = new_secret(), new_secret()
    both = signed_headers([new, old], message_id="m", timestamp=NOW, body=b"x")
    for keys in ([old], [new], [new_secret(), old]):
        assert verify(keys, both, b"x", now=NOW, tolerance=300) == "m"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "other"},
        {"webhook-id": ""},
        {"webhook-id": "a b"},
        {"webhook-id": "x" * 129},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "١٢٣"},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1a,bm90aGluZw=="},
        {"webhook-signature": "é"},
    ],
)
def test_message_that_was_altered_is_refused(change):
    """Id, time and signature hold together."""
    secret = new_secret()
    headers = signed_headers([secret], message_id="m", timestamp=NOW, body=b"x") | change
    with pytest.raises(SignatureError):
        verify([secret], headers, b"x", now=NOW, tolerance=300)


def test_message_of_another_time_or_body_is_refused():
    """Five minutes either way, and not a byte changed."""
    secret = new_secret()
    headers = signed_headers([secret], message_id="m", timestamp=NOW, body=b"x")
    for now in (NOW - 300, NOW + 300):
        assert verify([secret], headers, b"x", now=now, tolerance=300)
    for now in (NOW - 301, NOW + 301):
        with pytest.raises(SignatureError, match="clock"):
            verify([secret], headers, b"x", now=now, tolerance=300)
    with pytest.raises(SignatureError, match="altered"):
        verify([secret], headers, b"y", now=NOW, tolerance=300)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"])
def test_secret_in_another_form_is_refused_without_showing_it(text):
    """A secret is `whsec_` and base64 of 24 bytes or more; a message about it does not hold it."""
    with pytest.raises(ValueError, match="whsec_ and base64") as caught:
        parse_webhook_secret(text)
    assert "c2hvcnQ" not in str(caught.value)
    assert parse_webhook_secret(secret_text(b"x" * 24)) == b"x" * 24


# -- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1",
        "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    ],
)  # fmt: skip
def test_addresses_inside_are_refused(address):
    """This machine, private and shared networks, links, clouds' metadata, multicast; in IPv6's clothes too."""
    found = ipaddress.ip_address(address)
    assert not is_public(found)
    with pytest.raises(ForbiddenAddressError, match="not a public address"):
        check_address(found, ())


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"]
)
def test_public_addresses_may_be_called(address):
    """Whatever anybody on the Internet could call."""
    check_address(ipaddress.ip_address(address), ())


def test_network_that_the_operator_named_may_be_called():
    """That one, in whatever form its address comes, and no other."""
    allowed = parse_networks(["10.1.0.0/16", "fd00:1::/32"])
    for good in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5"):
        check_address(ipaddress.ip_address(good), allowed)
    for bad in ("10.2.0.1", "fd00:2::5", "127.0.0.1"):
        with pytest.raises(ForbiddenAddressError):
            check_address(ipaddress.ip_address(bad), allowed)


def answers(*addresses: str) -> object:
    def resolve(_host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    return resolve


def test_name_with_one_address_inside_is_refused(monkeypatch, receiver):
    """A name that stands for a public and a private address is refused whole; nothing is connected to."""
    monkeypatch.setattr(socket, "getaddrinfo", answers("1.1.1.1", "127.0.0.1"))
    with pytest.raises(ForbiddenAddressError):
        Poster().post("https://both.example/", {}, b"{}")
    assert receiver.posts == []


def test_name_is_resolved_once_for_what_is_connected_to(monkeypatch, receiver):
    """A name that answers otherwise the second time gains nothing: what was judged is what is called."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, *rest: object, **more: object) -> object:
        if host != "rebinding.example":
            return real(host, *rest, **more)  # type: ignore[arg-type]
        asked.append(host)
        return answers("127.0.0.1" if len(asked) == 1 else "10.0.0.1")("", rest[0])  # type: ignore[operator]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = receiver.url.split(":")[2].split("/")[0]
    assert Poster(allowed=HERE).post(f"http://rebinding.example:{port}/", {}, b"{}") == 204
    assert asked == ["rebinding.example"]


def test_plain_http_does_not_leave_the_networks_that_are_allowed(monkeypatch):
    """A public address is called by https alone."""
    monkeypatch.setattr(socket, "getaddrinfo", answers("1.1.1.1"))
    with pytest.raises(ForbiddenAddressError, match="plain http"):
        Poster(allowed=HERE).post("http://public.example/", {}, b"{}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "0177.0.0.1"])
def test_this_machine_is_never_called_by_any_of_its_names(host, receiver):
    """However it is spelled."""
    port = receiver.url.split(":")[2].split("/")[0]
    with pytest.raises(DeliveryError):
        Poster().post(f"https://{host}:{port}/", {}, b"{}")
    assert receiver.posts == []


def test_sockets_of_this_machine_are_no_endpoints():
    """No address leads to a socket file."""
    with pytest.raises(ForbiddenAddressError):
        PinnedBackend(None, ()).connect_unix_socket("/run/x")  # type: ignore[arg-type]


# -- answers -------------------------------------------------------------------------------------------------------


def test_body_and_headers_arrive_as_they_are(receiver):
    """What was signed is what comes."""
    assert Poster(allowed=HERE).post(receiver.url + "?a=b", {"webhook-id": "m"}, b'{"x":1}') == 204
    (post,) = receiver.posts
    assert (post.path, post.body) == ("/hooks?a=b", b'{"x":1}')
    assert {name.lower(): value for name, value in post.headers.items()}["webhook-id"] == "m"


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_other_answers_are_failures(receiver, status):
    """Redirects are not followed; nothing else is taken for a yes."""
    receiver.status, receiver.headers = status, {"Location": receiver.url, "Retry-After": "60"}
    with pytest.raises(DeliveryError) as caught:
        Poster(allowed=HERE).post(receiver.url, {}, b"{}")
    assert caught.value.status == status
    assert len(receiver.posts) == 1
    if status >= 400:
        assert caught.value.retry_after == 60


def test_gone_is_told_apart(receiver):
    """410 means never again."""
    receiver.status = 410
    with pytest.raises(GoneError):
        Poster(allowed=HERE).post(receiver.url, {}, b"{}")


def test_long_answer_is_not_read_to_its_end(receiver):
    """What a receiver says does not matter, and cannot fill our memory."""
    receiver.status, receiver.body = 200, b"x" * (64 * MOST_ANSWER)
    assert Poster(allowed=HERE).post(receiver.url, {}, b"{}") == 200


def test_receiver_that_never_answers_is_given_up():
    """The whole attempt has an end, also where bytes drip."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(DeliveryError, match="in time"):
            Poster(allowed=HERE, timeout=0.2).post(f"http://127.0.0.1:{port}/", {}, b"{}")


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A receiver with TLS under a certificate of its own; its address by name and the certificate."""
    directory = tmp_path / "tls"
    directory.mkdir(mode=0o700)
    certificate, key = make_certificate(directory, "test", ("localhost",), dt.datetime.now(dt.UTC))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}/", certificate
        finally:
            server.shutdown()
            thread.join()


def test_certificate_is_verified(secure, monkeypatch):
    """One of an authority that nobody named is refused; with the authority, and by its name, it is good."""
    url, certificate = secure
    here = parse_networks(["127.0.0.0/8", "::1/128"])
    with pytest.raises(DeliveryError, match="TLS"):
        Poster(allowed=here).post(url, {}, b"{}")
    assert Poster(allowed=here, ca_file=certificate).post(url, {}, b"{}") == 200
    real = socket.getaddrinfo

    def resolve(host: str, *rest: object, **more: object) -> object:
        return real("127.0.0.1" if host == "other.example" else host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(DeliveryError, match="TLS"):
        Poster(allowed=here, ca_file=certificate).post(url.replace("localhost", "other.example"), {}, b"{}")


def test_messages_about_failures_hold_nothing_of_the_answer(receiver):
    """What a receiver writes does not come into our logs and lists."""
    receiver.status, receiver.body = 500, base64.b64encode(b"their secret")
    with pytest.raises(DeliveryError) as caught:
        Poster(allowed=HERE).post(receiver.url, {}, b"{}")
    assert str(caught.value) == "the receiver answers 500"
