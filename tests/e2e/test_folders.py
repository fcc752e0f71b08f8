"""Login forms and layouts over a whole house, with the real clients."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.house import MFT, House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
LAYOUT = {
    "folders": [
        {
            "match": {"role": "engineer"},
            "paths": [
                "/by-customer/{customer.name}/{case.number} {case.title}",
                "/by-status/{case.state}/{case.number}",
            ],
            "mine": ["/my-cases/{case.number}"],
        },
        {"match": {"role": "customer", "customer": "globex"}, "paths": ["/open cases/{case.number} {case.title}"]},
    ]
}
FORMS = ("ann@ACME-1", "ACME-1@ann")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running house with layouts of its own."""
    with running_house(tmp_path_factory.mktemp("house"), layout=LAYOUT) as running:
        yield running


def token_of(house: House, login: str) -> str:
    """Return a token that `mft token create` makes."""
    command = [*MFT, "token", "create", login, "--config", str(house.config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return str(json.loads(done.stdout)["token"])


@pytest.mark.parametrize("login", FORMS)
def test_sftp_login_with_a_case_lands_in_it(house, login):
    """With a key: the root is the case's folder, and a file put there is a deposit into the case."""
    name = f"{login.replace('@', '-')}.log"
    (house.directory / name).write_text("one\n")
    done = house.sftp(login, "ls -1", f"put {name}", "ls -1 to-support")
    assert done.returncode == 0, done.stderr
    assert {"from-support", "to-support"} <= set(done.stdout.split())
    assert name in done.stdout
    whole = house.sftp("ann", "ls -1 /ACME-1/to-support")
    assert name in whole.stdout
    assert house.events("session.opened", login="ann", case="ACME-1")


@pytest.mark.parametrize("login", FORMS)
def test_https_login_with_a_case_lands_in_it(house, login):
    """With a password, by Basic: the same tree."""
    status, body = house.curl(login, "/files/")
    assert status == 200
    assert [each["name"] for each in json.loads(body)["entries"]] == [".meta", "from-support", "to-support"]


def test_case_alone_is_a_login_for_a_token(house):
    """On HTTPS and, as a password, on SFTP; a password that is none is wrong."""
    token = token_of(house, "ann")
    assert house.curl("ACME-1", "/files/", password=token)[0] == 200
    assert house.curl("ACME-1", "/files/")[0] == 401
    assert house.curl("GLOBEX-1", "/files/", password=token)[0] == 401


@pytest.mark.parametrize("login", ["ann@GLOBEX-1", "GLOBEX-1@ann", "ann@ACME-404", "ann@ACME-9", "nobody@ACME-1"])
def test_case_that_is_not_theirs_is_refused_like_a_wrong_password(house, login):
    """Unknown, somebody else's and closed look alike, on both protocols."""
    status, body = house.curl(login, "/files/")
    wrong, words = house.curl("ann", "/files/", password="wrong")
    assert status == wrong == 401
    assert json.loads(body)["detail"] == json.loads(words)["detail"]
    assert house.sftp(login, "ls").returncode != 0


def test_session_for_one_case_does_not_reach_another(house):
    """Not by any path, though the account may."""
    done = house.sftp("ann@ACME-1", "-ls /ACME-2/to-support", "-ls /cases/ACME-2", "-put /etc/hostname /cases/ACME-2/x")
    assert "to-support" not in done.stdout.replace("/ACME-2/to-support", "")
    assert house.curl("ann@ACME-1", "/cases/ACME-2/x", "-T", "/etc/hostname")[0] == 404


def test_engineers_see_the_layout_of_the_configuration(house):
    """The same case by every way, and none where it does not belong."""
    done = house.sftp("eve", "ls -1", 'ls -1 "/by-customer/Acme Corp"', "ls -1 /by-status", "-ls -1 /my-cases")
    assert done.returncode == 0, done.stderr
    for name in ("by-customer", "by-status", "my-cases", "ACME-1 Cannot boot", "open"):
        assert name in done.stdout
    assert house.curl("eve", "/files/by-status/open/ACME-1/")[0] == 200
    assert house.curl("eve", "/files/by-status/closed/ACME-1/")[0] == 404
    assert house.curl("eve", "/files/my-cases/ACME-1/")[0] == 404
    assert house.curl("gus", "/files/open%20cases/")[0] == 200


def test_wrong_template_keeps_the_server_from_starting(house, tmp_path):
    """The key's path and what is allowed are said."""
    text = house.config.read_text().replace("{case.state}", "{case.status}")
    broken = tmp_path / "config.yaml"
    broken.write_text(text)
    command = [sys.executable, "-m", "mft", "config", "check", str(broken)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "layout.folders[0].paths[1]" in said
    assert "{case.state}" in said
