"""The entrance of a region where a case may not be read: told which one is right, before a byte is taken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.casebook import PASSWORD
from tests.house import running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.house import House


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house"), replication={"review": "1s"}) as house:
        yield house


def sftp_with_password(house: House, login: str, password: str, region: str) -> subprocess.CompletedProcess[str]:
    """Log in as a person would; a program in `PATH` answers the question for the password."""
    answer = house.directory / "answer"
    answer.write_text(f"#!/bin/sh\necho '{password}'\n")
    answer.chmod(0o700)
    command = [
        word.replace("=publickey", "=password").replace("=ERROR", "=INFO")
        for word in house.sftp_command(login, region)
        if word not in {"-b", "-"}
    ]
    return subprocess.run(
        [*command[:-1], "-o", "NumberOfPasswordPrompts=1", command[-1]],
        input="ls\n",
        env={**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        start_new_session=True,
    )


def test_https_upload_to_the_wrong_entrance_is_sent_to_the_right_one(house):
    """307 with the address of home; `curl` goes there with method and body, and the file lands."""
    path = house.directory / "a.txt"
    path.write_bytes(b"content\n")
    status, heads = house.curl("ann", "/cases/ACME-2/a%20b.txt?x=1", "-T", str(path), "-D", "-", region="us")
    location = re.search(rb"(?i)location: (\S+)", heads)
    assert status == 307
    assert location is not None
    assert location[1].decode() == f"https://127.0.0.1:{house.port('https', 'eu')}/cases/ACME-2/a%20b.txt?x=1"
    plain = house.curl_command("ann", "/cases/ACME-2/", "-T", str(path), "--location-trusted", "-k", region="us")
    done = subprocess.run(plain, capture_output=True, timeout=90, check=False)
    assert done.stdout.rpartition(b"\n")[2] == b"201", done
    assert [row["region"] for row in house.query("SELECT region FROM upload WHERE name = 'a.txt'")] == ["eu"]
    assert house.query("SELECT 1 FROM upload WHERE region != 'eu'") == []


def test_client_that_waits_for_100_sends_no_body(house):
    """`Expect: 100-continue` is answered by the redirect at once."""
    request = (
        "PUT /cases/ACME-2/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n"
        f"Expect: 100-continue\r\n{house.authorization('ann')}\r\n\r\n"
    )
    with house.wire("us") as wire:
        wire.sendall(request.encode())
        answer = wire.recv(4096)
    assert answer.startswith(b"HTTP/1.1 307 ")
    assert b"urn:mft:problem:temporary-redirect" in answer or b"ocation: https://" in answer


def test_reading_and_asking_at_the_wrong_entrance_are_sent_on_too(house):
    """Files and what the API says of a case; and what names no case at all."""
    for path in ("/files/ACME-2/to-support/", "/api/v1/cases/ACME-2", "/api/v1/cases/ACME-2/preflight"):
        assert house.curl("ann", path, region="us")[0] == 307, path
    assert house.curl("ann", "/files/ACME-1/to-support/", region="us")[0] == 200


def test_engineer_is_not_shown_another_way_in(house):
    """An engineer's entrance says where the engineer works: the case does not exist there."""
    assert house.curl("eve", "/files/ACME-2/to-support/", region="us")[0] == 404


def test_stranger_learns_nothing_of_where_a_case_is(house):
    """Another customer gets the answer of a case that does not exist, by every entrance."""
    for region in ("eu", "us"):
        assert house.curl("gus", "/files/ACME-2/to-support/", region=region)[0] == 404


def test_ssh_login_by_an_entrance_where_nothing_is_for_it_is_told_the_right_one(house):
    """A banner names host and port, then the password is refused, which counts as no failure; HTTPS redirects."""
    done = sftp_with_password(house, "ann", PASSWORD, "in")
    assert done.returncode != 0
    assert f"sftp to 127.0.0.1, port {house.port('sftp', 'eu')}" in done.stderr
    assert house.curl("ann", "/files/", region="in")[0] == 307
    assert house.events("login.denied", login="ann")[-1]["reason"] == "it is another entrance's"
    assert house.query("SELECT 1 FROM login_failure WHERE count > 0") == []
    assert sftp_with_password(house, "ann", PASSWORD, "us").returncode == 0


def test_ssh_login_for_one_case_by_the_wrong_entrance(house):
    """A login that names its case is told where that is; one with a key learns it as it is sent away."""
    done = sftp_with_password(house, "ann@ACME-2", PASSWORD, "us")
    assert done.returncode != 0
    assert "this case is served at another entrance" in done.stderr
    done = house.sftp("ann@ACME-2", "ls", region="us")
    assert done.returncode != 0
    assert "this case is served at another entrance" in done.stderr
    assert sftp_with_password(house, "ann@ACME-2", "wrong", "us").stderr.count("entrance") == 0


def test_copy_goes_when_the_case_system_changes_its_mind(house):
    """What the running server finds out by itself: the copy is withdrawn, its key shredded; the report proves it."""
    path = house.directory / "b.txt"
    path.write_bytes(b"content\n")
    assert house.curl("ann", "/cases/ACME-5/b.txt", "-T", str(path))[0] == 201
    house.until(lambda: house.events("copy.verified", case="ACME-5"), "the copy")
    house.system.change_case("ACME-5", {"classification": "eu-only"})
    house.until(lambda: house.events("copy.withdrawn", case="ACME-5"), "its end")
    assert house.events("key.shredded", case="ACME-5")[0]["region"] == "us"
    stored = house.events("upload.stored", case="ACME-5")[0]["object"]
    assert not list((house.data / "regions" / "us").rglob(f"*{stored}*"))
    assert house.curl("eve", "/files/ACME-5/to-support/b.txt") == (200, b"content\n")
    told = subprocess.run(
        [sys.executable, "-m", "mft", "residency", "report", "acme", "--config", str(house.config), "--json"],
        capture_output=True, timeout=90, check=False,
    )  # fmt: skip
    report = json.loads(told.stdout)
    assert (told.returncode, report["violations"], report["totals"]["pending"]) == (0, [], 0)
    assert [each["region"] for each in report["withdrawals"]] == ["us"]
