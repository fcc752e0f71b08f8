"""The demo as a person starts it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mft.demo.cipherzip import encrypted_zip

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not all(shutil.which(program) for program in ("sftp", "curl", "tar")), reason="needs sftp, curl and tar"
    ),
]
ROLES = ("customer", "second_customer", "engineer", "engineer_eu", "engineer_us", "operator")
STEPS = 11


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "mft", "demo", *words]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run the whole story once."""
    root = tmp_path_factory.mktemp("demo") / "with a space"
    done = subprocess.run(
        _command("--once", "--data", str(root)),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    return root, done


@pytest.fixture(scope="module")
def connection(told: tuple[Path, subprocess.CompletedProcess[str]]) -> dict[str, Any]:
    """Return what the demo left in connection.json."""
    return json.loads((told[0] / "connection.json").read_text())


def test_demo_once_goes_well(told):
    """Every step of the story is right, and the exit status says so."""
    _root, done = told
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert f"all {STEPS} steps" in done.stdout


def test_demo_speaks_ascii_where_nothing_else_is_understood(told):
    """The narration holds nothing but ASCII when that is the output's encoding, and no colours in a file."""
    _root, done = told
    assert done.stdout.isascii()
    assert "\033" not in done.stdout
    assert "?" not in done.stdout


def test_demo_fits_a_screen(told):
    """The narration is neither too long nor too wide to be read at a glance."""
    lines = told[1].stdout.splitlines()
    assert len(lines) < 65
    assert max(map(len, lines)) <= 130


def test_demo_once_leaves_nothing_running(connection):
    """After the story no server listens any more."""
    protocols = connection["protocols"]
    for entrance in (*protocols["sftp"]["entrances"], *protocols["https"]["entrances"]):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((entrance["host"], entrance["port"]), timeout=5)


def test_connection_file_is_private(told):
    """Nobody else may read the credentials."""
    assert stat.S_IMODE((told[0] / "connection.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("role", ROLES)
def test_connection_has_what_each_role_logs_in_with(connection, role):
    """Every role has a login, a password, a key, a token and a description."""
    facts = connection["roles"][role]
    assert all(facts[name] for name in ("login", "password", "token", "description", "region"))
    assert len(facts["password"]) >= 12
    assert facts["key"] == facts["private_key"]
    assert Path(facts["private_key"]).read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert stat.S_IMODE(Path(facts["private_key"]).stat().st_mode) == 0o600


@pytest.mark.parametrize("protocol", ["sftp", "https"])
def test_connection_has_every_entrance(connection, protocol):
    """Each region has an entrance for each protocol, with examples."""
    described = connection["protocols"][protocol]
    entrances = {entrance["region"]: entrance for entrance in described["entrances"]}
    assert described["port"] == entrances["eu"]["port"]
    assert set(entrances) == {"eu", "us", "ap"}
    for entrance in entrances.values():
        assert entrance["host"] == "127.0.0.1"
        assert entrance["example_path"].startswith("/")
        assert f":{entrance['port']}/" in entrance["example_url"]


def test_connection_names_files_that_are_there(connection):
    """Whatever it names on the disk is there."""
    named = [
        connection["https"]["certificate"],
        connection["https"]["receipt_key"],
        connection["ssh"]["known_hosts"],
        connection["case_system"]["secret_file"],
        connection["data"],
        connection["configuration"],
        connection["catalog"],
    ]
    named += [path for region in connection["regions"].values() for path in region.values()]
    assert [path for path in named if not Path(path).exists()] == []


def test_connection_pins_the_certificate(connection):
    """The fingerprint is that of the certificate."""
    import hashlib

    der = ssl.PEM_cert_to_DER_cert(Path(connection["https"]["certificate"]).read_text())
    digest = hashlib.sha256(der).hexdigest()
    assert connection["https"]["fingerprint_sha256"].replace(":", "").lower() == digest


def test_connection_tells_cases_and_the_case_system(connection):
    """It names the cases with their folders, the case system, and the operator's addresses."""
    assert all(case["folder"].startswith(case["number"]) for case in connection["cases"])
    assert connection["case_system"]["admin_url"].startswith(connection["case_system"]["url"])
    assert set(connection["operations"]) == {"healthz", "readyz", "metrics"}
    assert connection["ssh"]["host_keys"]


@pytest.fixture
def kept(told: tuple[Path, subprocess.CompletedProcess[str]]) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Serve again what the story left, until told to end."""
    root, _done = told
    before = json.loads((root / "connection.json").read_text())
    process = subprocess.Popen(_command("--keep", "--data", str(root)), stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while (after := json.loads((root / "connection.json").read_text()))["started"] == before["started"]:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process, after
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_kept_demo_serves_what_is_there_until_interrupted(kept):
    """Served again, the data of the story is there under the same credentials; Ctrl-C ends it with status 0."""
    process, connection = kept
    roles = connection["roles"]
    entrance = next(each for each in connection["protocols"]["https"]["entrances"] if each["region"] == "us")
    request = urllib.request.Request(f"{entrance['files_url']}Acme%20Corp/CASE-1001/to-support/boot.log")
    request.add_header("Authorization", f"Bearer {roles['engineer_us']['token']}")
    context = ssl.create_default_context(cafile=connection["https"]["certificate"])
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        text = answer.read().decode()
    assert "[password:" in text
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "sftp -i" in output


def test_demo_refuses_a_directory_that_is_not_its_own(tmp_path):
    """A directory with something else in it is left alone."""
    (tmp_path / "thesis.txt").write_text("ten years of work")
    done = subprocess.run(
        _command("--once", "--data", str(tmp_path)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "not made by a demo" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_encrypted_zip_opens_with_its_password_alone():
    """What the demo sends as an encrypted zip is one."""
    packed = encrypted_zip("dump.csv", b"1,root\n" * 100, "correct horse")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.read("dump.csv", pwd=b"correct horse") == b"1,root\n" * 100
        with pytest.raises(RuntimeError, match="encrypted"):
            archive.read("dump.csv")


def test_demo_says_which_package_is_missing(tmp_path):
    """Without sftp and curl it names the packages to install."""
    done = subprocess.run(
        _command("--once", "--data", str(tmp_path / "demo")),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "openssh-client" in done.stderr
    assert "curl" in done.stderr
