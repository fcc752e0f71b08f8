"""TLS as each door of a running server speaks it, asked by OpenSSL's own client: HTTPS, FTPS in both forms."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.house import PASSWORD, House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]
LISTENERS = [
    {"protocol": "https", "port": 0, "region": "eu"},
    {"protocol": "ftps", "port": 0, "region": "eu"},
    {"protocol": "ftps", "port": 0, "region": "us", "tls": "implicit"},
]
DOORS = ("https", "ftps explicit", "ftps implicit")
WEAK = "@SECLEVEL=0"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house, which no test changes."""
    with running_house(tmp_path_factory.mktemp("tls"), listeners=LISTENERS) as house:
        yield house


def client(house: House, door: str, *arguments: str, line: str = "Q\n", after: str = "") -> tuple[int, str]:
    """Run `openssl s_client` on a door, type *line* once it has shown *after*; return its status and all it says."""
    protocol, _, form = door.partition(" ")
    region = "us" if form == "implicit" else "eu"
    start = ["-starttls", "ftp"] if form == "explicit" else []
    command = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{house.port(protocol, region)}",
        "-servername",
        "localhost",
    ]
    trust = ["-CAfile", house.endpoints["certificate"]]
    with subprocess.Popen(
        [*command, *start, *trust, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        said = b""
        while after.encode() not in said and (more := os.read(running.stdout.fileno(), 65536)):
            said += more
        said += running.communicate(line.encode(), timeout=60)[0]
    return running.returncode, said.decode(errors="replace")


@pytest.mark.parametrize("door", DOORS)
def test_door_speaks_tls_of_today(house: House, door: str) -> None:
    """TLS 1.3 with AEAD, a certificate that is trusted, no compression, a ticket to resume by."""
    status, said = client(house, door, "-verify_return_error")
    assert status == 0, said
    assert "Verify return code: 0 (ok)" in said
    assert re.search(r"TLSv1\.3, Cipher is TLS_(AES_\d+_GCM|CHACHA20_POLY1305)_SHA", said), said
    assert "Compression: NONE" in said
    assert "Secure Renegotiation IS NOT supported" in said or "TLSv1.3" in said


@pytest.mark.parametrize("door", DOORS)
def test_door_refuses_what_is_old(house: House, door: str) -> None:
    """TLS 1.0 and 1.1, key exchange without forward secrecy, CBC, and suites without a cipher or a certificate."""
    for version in ("-tls1", "-tls1_1"):
        status, said = client(house, door, version, "-cipher", f"ALL:{WEAK}")
        assert status != 0, said
        assert "Cipher is (NONE)" in said
    for suites in ("AES128-GCM-SHA256", "ECDHE+AES:!AESGCM:!AESCCM", "eNULL", "aNULL", "DHE+AESGCM"):
        status, said = client(house, door, "-tls1_2", "-cipher", f"{suites}:{WEAK}")
        assert status != 0, (suites, said)
        assert "Cipher is (NONE)" in said, suites


@pytest.mark.parametrize("door", DOORS)
def test_door_takes_no_renegotiation(house: House, door: str) -> None:
    """TLS 1.2 is spoken with AEAD alone; a client that asks for a second handshake in it is refused."""
    greeting = "\n220 " if door == "ftps implicit" else ""  # what comes amid a handshake would end it by itself
    _, said = client(house, door, "-tls1_2", line="R\n", after=greeting)
    assert re.search(r"TLSv1\.2, Cipher is ECDHE-\w+-(AES\d+-GCM|CHACHA20-POLY1305)", said), said
    assert "Secure Renegotiation IS supported" in said
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said or "handshake failure" in said, said


def test_https_agrees_on_its_protocol_and_says_to_stay_with_tls(house: House) -> None:
    """ALPN chooses HTTP/1.1, and nothing where a client knows other ones only; HSTS is on refusals too."""
    assert "ALPN protocol: http/1.1" in client(house, "https", "-alpn", "h2,http/1.1")[1]
    assert "ALPN protocol" not in client(house, "https", "-alpn", "h2")[1]
    status, heads = house.curl("nobody", "/files/", "-D", "-")
    assert status == 401
    assert b"strict-transport-security: max-age=" in heads.lower()


@pytest.mark.parametrize("region", ["eu", "us"])
def test_data_connections_of_ftps_speak_the_same(house: House, region: str) -> None:
    """What a control connection refuses, its data connections refuse; without TLS they give nothing."""
    context = ssl.create_default_context(cafile=house.endpoints["certificate"])
    raw = socket.create_connection(("127.0.0.1", house.port("ftps", region)), timeout=60)
    replies = raw.makefile("rb") if region == "eu" else None
    if replies is not None:
        replies.readline()
        raw.sendall(b"AUTH TLS\r\n")
        assert replies.readline().startswith(b"234")
    with context.wrap_socket(raw, server_hostname="localhost") as control:
        lines = control.makefile("rb")

        def ask(line: str) -> str:
            control.sendall(line.encode() + b"\r\n")
            return lines.readline().decode()

        if region == "us":
            lines.readline()
        ask("USER ann")
        assert ask(f"PASS {PASSWORD}").startswith("230")
        ask("PBSZ 0")
        assert ask("PROT P").startswith("200")
        for minimum, maximum, good in (
            (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, False),
            (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, True),
        ):
            port = int(re.search(r"\|\|\|(\d+)\|", ask("EPSV"))[1])
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.set_ciphers(f"ALL:{WEAK}")
            with pytest.warns(DeprecationWarning, match="deprecated") if not good else contextlib.nullcontext():
                old.minimum_version, old.maximum_version = minimum, maximum
            with socket.create_connection(("127.0.0.1", port), timeout=60) as data:
                assert ask("NLST").startswith("150")
                if good:
                    with old.wrap_socket(data) as secure:
                        assert (secure.version(), secure.compression()) == ("TLSv1.3", None)
                        assert secure.recv(4096)
                else:
                    with pytest.raises(OSError):
                        old.wrap_socket(data)
            assert lines.readline()[:1] == (b"2" if good else b"4")
