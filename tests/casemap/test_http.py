"""The HTTP lookup against a case system that is slow, down, or answers nonsense, and against worse."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from casemap.errors import (
    CaseMapError,
    CaseNotFoundError,
    LookupAnswerError,
    LookupSettingsError,
    LookupUnavailableError,
    PrincipalNotFoundError,
)
from casemap.http import HttpLookup, LookupSettings
from mft.casesystem import Behaviour, Nonsense, running_case_system
from tests.contracts.lookup import TABLE

SECRET = b"a secret of more than sixteen bytes"


@pytest.fixture(scope="module")
def running():
    with running_case_system(TABLE, secret=SECRET) as server:
        yield server


@pytest.fixture
def lookup(running):
    running.system.behaviour = Behaviour()
    lookup = HttpLookup(LookupSettings(url=running.url, secret=SECRET))
    yield lookup
    lookup.close()
    running.system.behaviour = Behaviour()


@pytest.fixture
def hasty(running):
    lookup = HttpLookup(settings(running.url))
    yield lookup
    lookup.close()
    running.system.behaviour = Behaviour()


def settings(url, **changes):
    return LookupSettings(**{"url": url, "secret": SECRET, "read_timeout": 0.2, "total_timeout": 0.4, **changes})


@contextmanager
def raw_server(serve):
    """Listen on a free port and call *serve* with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    serve(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


ANYWHERE = [
    Nonsense.HTML,
    Nonsense.NOT_FOUND_PAGE,
    Nonsense.NOT_JSON,
    Nonsense.BAD_UTF8,
    Nonsense.NAN,
    Nonsense.DEEP,
    Nonsense.REPEATED_KEY,
    Nonsense.LIST,
    Nonsense.EMPTY,
    Nonsense.WRONG_TYPES,
    Nonsense.OVERSIZE,
    Nonsense.REDIRECT,
    Nonsense.HUGE,
    Nonsense.COMPRESSED,
]
IN_RECORDS = [Nonsense.OTHER_RECORD]
IN_LISTS = [Nonsense.OTHER_CUSTOMER, Nonsense.DUPLICATES, Nonsense.CIRCLE, Nonsense.TOO_MANY]
BROKEN_OFF = [Nonsense.CUT, Nonsense.DRIP]


@pytest.mark.parametrize("kind", ANYWHERE + IN_RECORDS)
def test_record_that_is_nonsense_is_not_used(running, lookup, kind):
    """Each kind of nonsense instead of a record is an answer error, and the next good answer is good."""
    running.system.behaviour = Behaviour(nonsense=kind)
    for ask in (lambda: lookup.principal("erin"), lambda: lookup.case("CASE-1001"), lambda: lookup.customer("acme")):
        with pytest.raises(LookupAnswerError):
            ask()
    running.system.behaviour = Behaviour()
    assert lookup.principal("erin").login == "erin"


@pytest.mark.parametrize("kind", ANYWHERE + IN_LISTS)
def test_list_that_is_nonsense_is_not_used(running, lookup, kind):
    """Each kind of nonsense instead of a customer's list is an answer error."""
    running.system.behaviour = Behaviour(nonsense=kind)
    with pytest.raises(LookupAnswerError):
        lookup.cases("acme", limit=50)


def test_every_kind_of_nonsense_is_tried():
    """Nothing that the simulator can do is left out above."""
    assert set(ANYWHERE + IN_RECORDS + IN_LISTS + BROKEN_OFF) == set(Nonsense)


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(status=500),
        Behaviour(status=503),
        Behaviour(status=429),
        Behaviour(status=401),
        Behaviour(status=403),
        Behaviour(error_rate=1.0, error_status=502),
        Behaviour(hang=True),
        Behaviour(latency_ms=1000),
        *(Behaviour(nonsense=kind) for kind in BROKEN_OFF),
    ],
)
def test_case_system_that_is_down_is_unavailable(running, hasty, behaviour):
    """No answer is never taken for an answer."""
    running.system.behaviour = behaviour
    with pytest.raises(LookupUnavailableError) as caught:
        hasty.case("CASE-1001")
    assert caught.value.retry_after > 0


@pytest.mark.parametrize("status", [204, 206, 304, 307, 400, 404, 405, 410, 418])
def test_status_outside_the_contract_is_nonsense(running, lookup, status):
    """A bare 404 above all: it may come from any proxy, and would take everybody's access."""
    running.system.behaviour = Behaviour(status=status)
    with pytest.raises(LookupAnswerError):
        lookup.principal("erin")


def test_slow_answer_within_the_timeout_is_good(running, lookup):
    """Latency alone breaks nothing."""
    running.system.behaviour = Behaviour(latency_ms=50)
    assert lookup.case("CASE-1001").number == "CASE-1001"


def test_retry_after_is_passed_on(running, lookup):
    """What the case system asks for reaches the caller."""
    running.system.behaviour = Behaviour(status=503)
    with pytest.raises(LookupUnavailableError) as caught:
        lookup.case("CASE-1001")
    assert caught.value.retry_after == 7.0


def test_redirect_is_not_followed(running, lookup):
    """The simulator sees one request for one question."""
    running.system.requests.clear()
    running.system.behaviour = Behaviour(nonsense=Nonsense.REDIRECT)
    with pytest.raises(LookupAnswerError):
        lookup.case("CASE-1001")
    assert sum(running.system.requests.values()) == 1


def test_names_that_cannot_be_are_not_asked_for(running, lookup):
    """A hostile login or number never reaches the case system."""
    running.system.requests.clear()
    with pytest.raises(PrincipalNotFoundError):
        lookup.principal("../v1/cases")
    with pytest.raises(CaseNotFoundError):
        lookup.case("1/../../admin")
    assert not running.system.requests


def test_login_with_odd_characters_is_asked_for_whole(running, lookup):
    """What means something in a URL is escaped, and the signature covers it as sent."""
    running.system.put_principal({"login": "a?b#c%2f&d=é+", "roles": ["auditor"]})
    assert lookup.principal("a?b#c%2f&d=é+").login == "a?b#c%2f&d=é+"


def test_wrong_secret_is_refused_and_not_shown(running):
    """A wrong secret gives no access, and no error or repr shows either."""
    other = HttpLookup(settings(running.url, secret=b"another secret of our own"))
    with pytest.raises(LookupUnavailableError) as caught:
        other.principal("erin")
    other.close()
    shown = repr(settings(running.url)) + repr(vars(other)) + repr(caught.value) + str(caught.value)
    assert "secret of" not in shown


@pytest.mark.parametrize("skew", [-301, 301])
def test_clock_that_is_minutes_off_is_refused(running, skew):
    """A request signed more than five minutes ago, or ahead, is not answered."""
    late = HttpLookup(settings(running.url), clock=lambda: time.time() + skew)
    with pytest.raises(LookupUnavailableError):
        late.case("CASE-1001")
    late.close()


def test_nobody_listening_is_unavailable():
    """A refused connection is no answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    lookup = HttpLookup(settings(url))
    with pytest.raises(LookupUnavailableError):
        lookup.case("CASE-1001")
    lookup.close()


def test_headers_that_never_end_are_cut_off_by_the_deadline():
    """A byte of a header now and then restarts no clock: the exchange as a whole has an end."""

    def serve(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            connection.sendall(b"x")
            if threading.Event().wait(0.02):
                return

    with raw_server(serve) as url:
        lookup = HttpLookup(settings(url))
        with pytest.raises(LookupUnavailableError):
            lookup.case("CASE-1001")
        lookup.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    ],
)
def test_answer_that_is_not_http_is_an_error_of_ours(answer):
    """Whatever comes back, the caller sees one of this room's errors."""

    def serve(connection):
        connection.recv(4096)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.2)
        connection.recv(4096)

    with raw_server(serve) as url:
        lookup = HttpLookup(settings(url))
        with pytest.raises((LookupAnswerError, LookupUnavailableError)):
            lookup.case("CASE-1001")
        lookup.close()


def test_idle_connection_that_was_closed_is_replaced():
    """A server that closes idle connections costs no failed lookup."""
    body = b'{"number":"1","customer":"a","state":"open"}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def serve(connection):
        connection.recv(4096)
        connection.sendall(answer)  # keep-alive is promised, and the connection closed

    with raw_server(serve) as url:
        lookup = HttpLookup(settings(url))
        assert [lookup.case("1").number for _ in range(10)] == ["1"] * 10
        lookup.close()


def test_many_threads_share_few_connections(running):
    """More callers than connections wait their turn; all are answered."""
    lookup = HttpLookup(settings(running.url, connections=2, total_timeout=20.0, read_timeout=10.0))
    found, failed = [], []

    def ask():
        try:
            found.append(lookup.case("CASE-1001").number)
        except CaseMapError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lookup.close()
    assert (found, failed) == (["CASE-1001"] * 20, [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"url": "ftp://cases.example"}, "https"),
        ({"url": "cases.example"}, "https"),
        ({"url": "http://cases.example"}, "https"),
        ({"url": "https://user:word@cases.example"}, "password"),
        ({"url": "https://cases.example/?a=b"}, "https"),
        ({"url": "https://cases.example:99999"}, "ort"),
        ({"secret": b"short"}, "16 bytes"),
        ({"read_timeout": 0}, "above zero"),
        ({"max_body": -1}, "above zero"),
    ],
)
def test_settings_that_are_unsafe_or_impossible_are_refused(changes, reason):
    """The reason names what is wrong."""
    with pytest.raises(ValueError, match=reason):
        settings(**{"url": "https://cases.example", **changes})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the file of a self-signed certificate, and its key, for 127.0.0.1."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "case system")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    return file


@pytest.mark.parametrize(("trusted", "host"), [(True, "127.0.0.1"), (False, "127.0.0.1"), (True, "localhost")])
def test_certificate_must_be_trusted_and_of_that_host(certificate, trusted, host):
    """Over TLS it works with the authority that was given, and for the host that the certificate names, alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    body = b'{"number":"1","customer":"a","state":"open"}'

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body)

    with raw_server(serve) as plain:
        url = plain.replace("http://127.0.0.1", f"https://{host}")
        ca_file = certificate if trusted else None
        lookup = HttpLookup(LookupSettings(url=url, secret=SECRET, ca_file=ca_file))
        if trusted and host == "127.0.0.1":
            assert lookup.case("1").number == "1"
        else:
            with pytest.raises(LookupUnavailableError):
                lookup.case("1")
        lookup.close()


@pytest.mark.parametrize("shown", [True, False])
def test_case_system_that_asks_for_our_certificate_gets_it(certificate, shown):
    """With mutual TLS we are let in by the certificate of the configuration, and not without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    body = b'{"number":"1","customer":"a","state":"open"}'

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body)

    with raw_server(serve) as plain:
        ours = certificate if shown else None
        lookup = HttpLookup(
            LookupSettings(
                url=plain.replace("http:", "https:"), secret=SECRET, ca_file=certificate, client_certificate=ours
            )
        )
        if shown:
            assert lookup.case("1").number == "1"
        else:
            with pytest.raises(LookupUnavailableError):
                lookup.case("1")
        lookup.close()


def test_certificate_that_is_none_is_refused_at_once(certificate, tmp_path):
    """A file that holds no certificate, or not the key to it, is named."""
    (tmp_path / "x.pem").write_text("no certificate")
    for files in ({"client_certificate": tmp_path / "x.pem"}, {"ca_file": tmp_path / "x.pem"}):
        with pytest.raises(LookupSettingsError, match=r"x\.pem"):
            HttpLookup(LookupSettings(url="https://cases.example", secret=SECRET, **files))
    with pytest.raises(LookupSettingsError, match="certificate and its key"):
        HttpLookup(
            LookupSettings(
                url="https://cases.example",
                secret=SECRET,
                client_certificate=certificate,
                client_key=tmp_path / "missing",
            )
        )


def test_answer_that_announces_too_much_is_not_read():
    """50 MB are refused by their announcement, before they come."""

    def serve(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 52428800\r\n\r\n{")
        connection.settimeout(10)
        connection.recv(4096)  # until the client goes

    with raw_server(serve) as url:
        lookup = HttpLookup(LookupSettings(url=url, secret=SECRET, read_timeout=20, total_timeout=20))
        with pytest.raises(LookupAnswerError, match="larger than"):
            lookup.case("1")
        lookup.close()


def test_server_without_tls_is_unavailable():
    """An https address where no TLS is spoken is no answer."""

    def serve(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_server(serve) as url:
        lookup = HttpLookup(settings(url.replace("http:", "https:")))
        with pytest.raises(LookupUnavailableError):
            lookup.case("CASE-1001")
        lookup.close()
