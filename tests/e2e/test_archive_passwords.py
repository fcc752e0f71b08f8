"""An encrypted archive and its password, by every way that a sender has, with the real clients."""

from __future__ import annotations

import io
import json
import urllib.parse
import zipfile

import pytest

from mft.demo.cipherzip import encrypted_zip

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
PASSPHRASE = "sesam öffne dich"
ARCHIVE = encrypted_zip("app.conf", b"password=" + b"hunter2-" + b"tr0ub4dor\n", PASSPHRASE)


def state(house, name):
    status, body = house.curl("ann", f"/files/ACME-1/.meta/{name}.status.json")
    return json.loads(body)["state"] if status == 200 else ""


def opened(house, name):
    """Return what support reads of the archive's member, once it is there."""
    house.until(lambda: state(house, name) in {"partly redacted", "quarantined"}, name)
    target = house.directory / f"got-{name}"
    assert house.sftp("eve", f"get /ACME-1/to-support/{name} {target.name}").returncode == 0
    with zipfile.ZipFile(io.BytesIO(target.read_bytes())) as archive:
        return archive.read("app.conf")


def local(house, name, content=ARCHIVE):
    path = house.directory / name
    path.write_bytes(content)
    return path


def test_password_in_a_header_of_the_upload(house):
    """curl sends it with the file, percent-encoded beyond ASCII."""
    path = local(house, "header.zip")
    header = f"Archive-Password: {urllib.parse.quote(PASSPHRASE)}"
    status, _ = house.curl("ann", "/cases/ACME-1/", "-H", header, "-T", str(path))
    assert status == 201
    assert b"hunter2" not in opened(house, "header.zip")
    status, answer = house.curl("ann", "/cases/ACME-1/", "-H", "Archive-Password: %ff", "-T", str(path))
    assert (status, b"percent-encoded" in answer) == (400, True)


def test_password_in_a_field_of_the_form(house):
    """Behind the file as well as before it."""
    path = local(house, "form.zip")
    status, _ = house.curl("ann", "/cases/ACME-1/", "-F", f"file=@{path}", "-F", f"password={PASSPHRASE}")
    assert status == 201
    assert b"hunter2" not in opened(house, "form.zip")


def test_password_in_a_file_beside_the_archive(house):
    """OpenSSH's sftp puts both; nobody sees the second."""
    local(house, "beside.zip")
    local(house, "beside.zip.password", PASSPHRASE.encode() + b"\n")
    done = house.sftp(
        "ann",
        "put beside.zip.password /ACME-1/to-support/beside.zip.password",
        "put beside.zip /ACME-1/to-support/beside.zip",
        "ls -1 /ACME-1/to-support",
    )
    assert done.returncode == 0, done.stderr
    assert ".password" not in done.stdout.split("ls -1")[1]
    assert b"hunter2" not in opened(house, "beside.zip")


def test_password_given_to_the_api_while_it_is_held_back(house):
    """A wrong one leaves it there, the right one opens it; nobody else may give one, and no record has it."""
    path = local(house, "held.zip")
    status, receipt = house.curl("ann", "/cases/ACME-1/", "-T", str(path))
    assert status == 201
    deposit = f"/api/v1/deposits/{json.loads(receipt)['id']}/password"

    def give(login, password):
        body = json.dumps({"password": password})
        return house.curl(login, deposit, "-H", "Content-Type: application/json", "-d", body)[0]

    house.until(lambda: state(house, "held.zip") == "quarantined")
    assert (give("bob", PASSPHRASE), give("eve", PASSPHRASE), give("ann", "")) == (404, 404, 422)
    assert give("ann", "not this one") == 202
    house.until(lambda: state(house, "held.zip") == "quarantined" and house.settled())
    assert give("ann", PASSPHRASE) == 202
    house.until(lambda: state(house, "held.zip") == "partly redacted")
    assert b"hunter2" not in opened(house, "held.zip")
    assert give("ann", PASSPHRASE) == 409
    assert house.query("SELECT * FROM archive_password WHERE upload_id IS NOT NULL") == []
    told = json.dumps(house.events()).encode() + house.log.read_bytes()
    assert b"sesam" not in told
    assert b"not this one" not in told
