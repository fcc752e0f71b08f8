"""The server's own keys: made once, kept, and refused when damaged or open."""

from __future__ import annotations

import datetime as dt
import shutil
import ssl
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mft.config import parse_config
from mft.credentials import CredentialError, host_key_fingerprint, host_key_lines, load_credentials
from mft.credentials.files import make_directory

NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
FILES = (
    "ssh_host_ed25519_key",
    "ssh_host_ecdsa_key",
    "ssh_host_rsa_key",
    "tls.key",
    "tls.crt",
    "receipts.key",
    "tokens.key",
)


def configuration(directory, **parts):
    data = {
        "data": str(directory),
        "installation": "support.example",
        "listeners": [
            {"protocol": "https", "port": 0, "public_host": "files.example.com"},
            {"protocol": "sftp", "port": 0, "address": "0.0.0.0"},
        ],
        "regions": {"eu": {"keyring": {"passphrase": "x"}}},
        "lookup": {"table": {}},
        **parts,
    }
    return parse_config(data, base=Path("/"))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return a data directory whose credentials were made once for the whole run: an RSA key takes a while."""
    directory = tmp_path_factory.mktemp("made")
    load_credentials(configuration(directory), now=NOW)
    return directory


@pytest.fixture
def data(made, tmp_path):
    """Return a copy of that directory."""
    return shutil.copytree(made, tmp_path / "data")


def test_every_private_file_is_closed_to_others(made):
    """Files have mode 0600, their directory 0700."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (made / "credentials").iterdir()}
    assert set(FILES) <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((made / "credentials").stat().st_mode) == 0o700


def test_directories_that_are_made_are_closed_to_others(tmp_path):
    """The data directory too, when it was not there."""
    below = tmp_path / "data" / "credentials"
    make_directory(below)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (below.parent, below)] == [0o700, 0o700]


def test_credentials_survive_a_restart(data):
    """A second start loads what the first has made, and changes no file."""
    before = {path: path.read_bytes() for path in (data / "credentials").iterdir()}
    first = load_credentials(configuration(data), now=NOW)
    second = load_credentials(configuration(data), now=NOW + dt.timedelta(days=400))
    assert {path: path.read_bytes() for path in (data / "credentials").iterdir()} == before
    assert (first.fingerprint, first.token_key, first.receipt_key_id) == (
        second.fingerprint,
        second.token_key,
        second.receipt_key_id,
    )
    assert len(second.token_key) == 32


def test_two_starts_at_once_end_with_the_same_credentials(tmp_path):
    """Whoever comes second takes what the first has made."""
    barrier = threading.Barrier(2)

    def start(_):
        barrier.wait()
        return load_credentials(configuration(tmp_path), now=NOW)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(start, range(2))
    assert (one.token_key, one.fingerprint) == (other.token_key, other.fingerprint)
    assert not list((tmp_path / "credentials").glob(".*"))


def test_host_keys_are_what_openssh_reads(made):
    """`ssh-keygen` reads them and shows the fingerprint that we show."""
    for path in load_credentials(configuration(made), now=NOW).host_keys:
        shown = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True).stdout
        assert shown.split()[1] == host_key_fingerprint(path)
    lines = host_key_lines([made / "credentials" / "ssh_host_ed25519_key"])
    assert lines == [(made / "credentials" / "ssh_host_ed25519_key.pub").read_text().strip()]


def test_certificate_holds_the_names_that_clients_use(made):
    """Local names and the listeners' public ones, for 825 days."""
    certificate = x509.load_pem_x509_certificate((made / "credentials" / "tls.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "files.example.com"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert certificate.not_valid_after_utc == NOW + dt.timedelta(days=825)


def test_certificate_is_trusted_by_who_is_given_it(data):
    """A client that trusts the certificate itself completes a handshake with the public name."""
    (data / "credentials" / "tls.crt").unlink()
    credentials = load_credentials(configuration(data), now=dt.datetime.now(dt.UTC))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(credentials.certificate, credentials.certificate_key)
    client = ssl.create_default_context(cafile=str(credentials.certificate))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="files.example.com")
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near, far):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert near.getpeercert(binary_form=True) is not None
    assert far.version() == "TLSv1.3"


def test_fingerprint_is_what_openssl_shows(made):
    """The fingerprint printed at start can be compared with any tool's."""
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(made / "credentials" / "tls.crt")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert shown.partition("=")[2] == load_credentials(configuration(made), now=NOW).fingerprint


@pytest.mark.parametrize(
    ("days", "words"), [(0, None), (794, None), (796, "ends in 29 days"), (826, "ended on 2029-02-24")]
)
def test_end_of_the_certificate_is_announced(made, days, words):
    """A month ahead, and afterwards."""
    warnings = load_credentials(configuration(made), now=NOW + dt.timedelta(days=days)).warnings
    assert [words in warning for warning in warnings] == ([True] if words else [])


def test_new_public_name_is_announced(made):
    """A name that the certificate does not hold is named, and the certificate stays."""
    listeners = [{"protocol": "https", "port": 0, "public_host": "new.example.com"}]
    warnings = load_credentials(configuration(made, listeners=listeners), now=NOW).warnings
    assert len(warnings) == 1
    assert "new.example.com" in warnings[0]


def test_certificate_moved_away_is_made_anew_for_the_same_key(data):
    """Clients that pinned the public key need not be told."""
    certificate = data / "credentials" / "tls.crt"
    before = x509.load_pem_x509_certificate(certificate.read_bytes())
    certificate.unlink()
    load_credentials(configuration(data), now=NOW)
    after = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert after.public_key() == before.public_key()
    assert after.serial_number != before.serial_number


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"garbage\n", b"cut"])
def test_damaged_file_is_named_and_not_replaced(data, name, content):
    """Empty, other bytes, or cut in the middle: an error with the file's name, and the file untouched."""
    path = data / "credentials" / name
    broken = path.read_bytes()[: path.stat().st_size // 2] if content == b"cut" else content
    path.write_bytes(broken)
    with pytest.raises(CredentialError, match=name):
        load_credentials(configuration(data), now=NOW)
    assert path.read_bytes() == broken


@pytest.mark.parametrize("name", [name for name in FILES if name != "tls.crt"])
@pytest.mark.parametrize("mode", [0o604, 0o640])
def test_file_open_to_others_is_refused(data, name, mode):
    """A private key that others could have read is no private key."""
    (data / "credentials" / name).chmod(mode)
    with pytest.raises(CredentialError, match=rf"{name}: others can read it"):
        load_credentials(configuration(data), now=NOW)


def test_altered_token_key_is_found(data):
    """One changed character of the token key does not just end all tokens."""
    path = data / "credentials" / "tokens.key"
    words = path.read_bytes().split()
    words[1] = (b"B" if words[1][:1] != b"B" else b"C") + words[1][1:]
    path.write_bytes(b" ".join(words) + b"\n")
    with pytest.raises(CredentialError, match=r"tokens\.key"):
        load_credentials(configuration(data), now=NOW)


def test_certificate_of_another_key_is_refused(data):
    """A certificate and a key that do not belong together."""
    other = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (data / "credentials" / "tls.key").write_bytes(other.private_bytes(*form))
    with pytest.raises(CredentialError, match="another key"):
        load_credentials(configuration(data), now=NOW)


def test_certificate_whose_key_is_missing_is_refused(data):
    """A new key would not fit the certificate that is there."""
    (data / "credentials" / "tls.key").unlink()
    with pytest.raises(CredentialError, match=r"tls\.key: is missing"):
        load_credentials(configuration(data), now=NOW)


def test_operators_own_certificate_is_used(data, tmp_path):
    """A configured pair is loaded from where it lies."""
    for name in ("tls.crt", "tls.key"):
        (data / "credentials" / name).rename(tmp_path / name)
    https = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    credentials = load_credentials(configuration(data, https=https), now=NOW)
    assert credentials.certificate == tmp_path / "tls.crt"
    assert not (data / "credentials" / "tls.crt").exists()


def test_missing_certificate_of_the_operator_is_named(data, tmp_path):
    """A configured file that is not there is no traceback."""
    https = {"certificate": str(tmp_path / "no.crt"), "key": str(tmp_path / "no.key")}
    with pytest.raises(CredentialError, match=r"no\.crt"):
        load_credentials(configuration(data, https=https), now=NOW)


def test_no_secret_is_in_the_repr(made):
    """Printing the credentials shows no key."""
    credentials = load_credentials(configuration(made), now=NOW)
    assert repr(credentials.token_key) not in repr(credentials)
    assert "Ed25519PrivateKey" not in repr(credentials)
