"""Every habit by which customers send files to other vendors, with the programs that they use, ends in one deposit."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.house import MFT, PASSWORD, House, digest, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that takes `upload.php`, too."""
    with running_house(tmp_path_factory.mktemp("habits"), deposit={"upload_php": True}) as house:
        yield house


def local(house: House, name: str, content: str) -> str:
    path = house.directory / name
    path.write_text(content)
    return str(path)


def mft(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*MFT, *arguments, "--config", str(house.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def landed(house: House, receipt: dict[str, Any]) -> dict[str, Any]:
    """Return the row of what a receipt is for, with the number of its case."""
    (row,) = house.query(
        "SELECT u.*, c.number FROM upload u JOIN case_record c ON c.id = u.case_id WHERE u.id = ?", receipt["id"]
    )
    return row


PUTS = [
    ("/cases/ACME-1/", "put.log"),
    ("/", "ACME-1_put.log"),
    ("/home/", "ACME-1-put.log"),
    ("/upload/issue/ACME-1/", "oracle.log"),
    ("/files/", "sosreport_ACME-1.log"),
    ("/files/pub/incoming/ACME-1/", "juniper.log"),
    ("/incoming/upload.php?file=ACME-1_suse.log", "any.log"),
]


@pytest.mark.parametrize(("address", "name"), PUTS)
def test_curl_puts_a_file(house, address, name):
    """`curl -T`: 201 with a receipt that names the case."""
    status, body = house.curl("ann", address, "-T", local(house, name, f"by {address}"))
    assert status == 201, body
    row = landed(house, json.loads(body))
    assert (row["number"], row["zone"], row["protocol"]) == ("ACME-1", "upload", "https")
    assert row["size"] == len(f"by {address}")


POSTS = [
    ("/cases/ACME-1/attachments", []),
    ("/cases/ACME-1/", []),
    ("/support/v1/cases/ACME-1/attachments", ["-F", "isPrivate=false"]),
    ("/rest/api/2/issue/ACME-1/attachments", ["-H", "X-Atlassian-Token: no-check"]),
    ("/upload/issue/ACME-1/", []),
    ("/", ["-F", "case=ACME-1"]),
    ("/home/", ["-F", "case=ACME-1"]),
]


@pytest.mark.parametrize(("address", "more"), POSTS)
def test_curl_posts_a_form(house, address, more):
    """`curl -F file=@…`: the same, however long the file is."""
    content = address * 100_000
    name = f"form{POSTS.index((address, more))}.log"
    status, body = house.curl("ann", address, *more, "-F", f"file=@{local(house, name, content)}")
    assert status == 201, body
    row = landed(house, json.loads(body))
    assert (row["number"], row["name"], row["size"]) == ("ACME-1", name, len(content))


def test_a_form_of_several_files(house):
    """Each gets a receipt."""
    files = [f"file=@{local(house, f'several{number}.log', str(number))}" for number in range(3)]
    status, body = house.curl("ann", "/cases/ACME-1/attachments", *(word for each in files for word in ("-F", each)))
    assert status == 201, body
    receipts = json.loads(body)["receipts"]
    assert [receipt["name"] for receipt in receipts] == ["several0.log", "several1.log", "several2.log"]


def test_a_form_that_is_cut_is_nothing(house):
    """A body of its announced length without the closing boundary, and one that breaks off, leave nothing."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="cut.log"\r\n\r\ncontent\r\n'
    for body, length in ((head, len(head)), (head + b"--b", len(head) + 100)):
        with house.wire() as wire:
            request = (
                "POST /cases/ACME-1/attachments HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n"
                f"{house.authorization('ann')}\r\n\r\n"
            )
            wire.sendall(request.encode() + body)
            if length == len(body):
                assert b" 400 " in wire.recv(65536).partition(b"\r\n")[0]
    house.until(
        lambda: {row["state"] for row in house.query("SELECT state FROM upload WHERE name = 'cut.log'")} == {"expired"},
        "the end of both",
    )
    assert house.curl("ann", "/files/ACME-1/to-support/cut.log")[0] == 404
    assert not house.query("SELECT id FROM upload WHERE name = 'cut.log' AND landed_at IS NOT NULL")


@pytest.mark.parametrize(
    "filename", ["../evil.log", "..", ".", "a/b.log", "a\\b.log", "", "a\u202eb.log", "a\u200bb.log", "x" * 256]
)
def test_a_form_with_a_hostile_name(house, filename):
    """Only what can be the name of one file is taken; the answer says why not."""
    raw = filename.encode()
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + raw + b'"\r\n\r\nx\r\n--b--\r\n'
    with house.wire() as wire:
        request = (
            "POST /cases/ACME-1/attachments HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n"
            f"{house.authorization('ann')}\r\n\r\n"
        )
        wire.sendall(request.encode() + body)
        answer = wire.recv(65536)
    assert b" 400 " in answer.partition(b"\r\n")[0], answer


def test_a_case_that_is_not_yours(house):
    """By every form it is not found, in the same words whether or not there is such a case."""
    name = local(house, "foreign.log", "x")
    for case in ("GLOBEX-1", "NOSUCH-1", "ACME-9"):
        for address, option in (
            (f"/cases/{case}/attachments", f"-Ffile=@{name}"),
            (f"/support/v1/cases/{case}/attachments", f"-Ffile=@{name}"),
            (f"/upload/issue/{case}/", f"-T{name}"),
            (f"/{case}_foreign.log", f"-T{name}"),
        ):
            status, body = house.curl("ann", address, option)
            assert (status, json.loads(body)["detail"]) == (404, "no such file or directory")


def test_a_form_of_another_site(house):
    """A page elsewhere cannot send a file with the sign-in that a browser remembers."""
    file = f"file=@{local(house, 'csrf.log', 'x')}"
    for header in ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Origin: null"):
        status, _ = house.curl("ann", "/cases/ACME-1/attachments", "-H", header, "-F", file)
        assert status == 403


def test_sftp_by_every_habit(house):
    """OpenSSH's `sftp`: a name that begins with the number, a directory of the number, another vendor's directory."""
    local(house, "ACME-1_sftp.log", "one")
    local(house, "plain.log", "two")
    done = house.sftp(
        "ann",
        "put ACME-1_sftp.log",
        "ls -l ACME-1_sftp.log",
        "mkdir ACME-1",
        "cd ACME-1",
        "put plain.log",
        "cd /pub/incoming",
        "mkdir ACME-1",
        "cd ACME-1",
        "put plain.log third.log",
        "cd /ACME-1/to-support",
        "ls -1",
    )
    assert done.returncode == 0, done.stderr
    assert {"ACME-1_sftp.log", "plain.log", "third.log"} <= set(done.stdout.split())


def test_what_names_no_case_from_drop_to_engineer(house):
    """Dropped, shown with its reason and end, listed by triage, assigned at a shell, read by an engineer."""
    local(house, "nocase.log", "hello from nobody's case")
    done = house.sftp("ann", "put nocase.log", "ls -1", "get _unfiled/.meta/nocase.log.status.json status.json")
    assert done.returncode == 0, done.stderr
    assert "_unfiled" in done.stdout
    status = json.loads((house.directory / "status.json").read_text())
    assert status["state"] == "received"
    assert "holds no case's number" in status["reason"]
    assert "kept_until" in status

    listed = mft(house, "unfiled", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    (waiting,) = [each for each in json.loads(listed.stdout) if each["name"] == "nocase.log"]
    assert (waiting["login"], waiting["customer"], waiting["region"]) == ("ann", "acme", "eu")
    refused = mft(house, "unfiled", "assign", waiting["id"], "GLOBEX-1")
    assert (refused.returncode, "not of the sender's customer" in refused.stderr) == (1, True), refused.stderr
    assigned = mft(house, "unfiled", "assign", waiting["id"], "ACME-1")
    assert assigned.returncode == 0, assigned.stderr
    house.until(lambda: house.upload(waiting["id"])["state"] == "stored", "the scrubbing")
    with house.client("eve") as client, client.open("/ACME-1/to-support/nocase.log") as file:
        assert file.read() == b"hello from nobody's case"
    assert "nocase.log" not in mft(house, "unfiled", "list").stdout
    (event,) = house.events("unfiled.assigned")
    assert event["by"].startswith("cli:")


def test_a_receipt_is_verified_offline(house):
    """With the published key and no server; one that was altered is not genuine."""
    status, body = house.curl("ann", "/cases/ACME-1/", "-T", local(house, "receipt.log", "x"))
    assert status == 201
    status, key = house.curl("ann", "/.well-known/mft-receipt-key.json")
    assert status == 200
    receipt, public = house.directory / "receipt.json", house.directory / "key.json"
    receipt.write_bytes(body)
    public.write_bytes(key)
    command = [*MFT, "receipt", "verify", str(receipt), "--key", str(public)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "genuine" in done.stdout) == (0, True), done.stderr
    receipt.write_bytes(body.replace(b'"size": 1', b'"size": 2'))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "not genuine" in done.stderr) == (1, True)


def test_engineers_reach_older_versions(house):
    """The same name twice: the newest in its place, each by its number below `.meta/versions`."""
    for content in ("older", "newer"):
        status, _ = house.curl("ann", "/cases/ACME-2/versions.log", "-T", local(house, "v.log", content))
        assert status == 201
    house.until(house.settled, "the scrubbing")
    with house.client("eve") as client:
        folder = "/ACME-2/.meta/versions/versions.log"
        assert client.listdir(folder) == ["1", "2"]
        for path, content in ((f"{folder}/1", b"older"), ("/ACME-2/to-support/versions.log", b"newer")):
            with client.open(path) as file:
                assert file.read() == content


def test_a_wrong_password_is_told_before_the_body(house):
    """A client that expects 100-continue gets 401 instead, for a file and for a form."""
    for method, name, kind in (("PUT", "x.log", "text/plain"), ("POST", "", "multipart/form-data; boundary=b")):
        with house.wire() as wire:
            request = (
                f"{method} /{name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
                f"Content-Length: 1000000\r\nExpect: 100-continue\r\n{house.authorization('ann', 'wrong')}\r\n\r\n"
            )
            wire.sendall(request.encode())
            assert b" 401 " in wire.recv(65536).partition(b"\r\n")[0]


def test_the_credential_is_the_case(house):
    """With a token of the case, or the case in the login, the root is that case, whatever a name holds."""
    asked = ["-X", "POST", "-H", "Content-Type: application/json", "-d", "{}"]
    status, body = house.curl("ann", "/api/v1/cases/ACME-1/tokens", *asked)
    assert status == 201, body
    token = json.loads(body)["password"]
    for number, (login, secret) in enumerate((("ACME-1", token), ("ann@ACME-1", PASSWORD))):
        for address, name in (("/", f"cisco{number}.log"), ("/home/", f"GLOBEX-1_cisco{number}.log")):
            status, body = house.curl(login, address, "-T", local(house, name, name), password=secret)
            assert status == 201, body
            assert landed(house, json.loads(body))["number"] == "ACME-1"
        file = f"file=@{local(house, f'form-cisco{number}.log', 'x')}"
        status, body = house.curl(login, "/", "-F", file, password=secret)
        assert (status, landed(house, json.loads(body))["number"]) == (201, "ACME-1")
        status, _ = house.curl(login, "/upload/issue/ACME-2/", "-T", local(house, "x.log", "x"), password=secret)
        assert status == 404
    status, _ = house.curl("ACME-2", "/", "-T", local(house, "x.log", "x"), password=token)
    assert status == 401


def test_triage_by_the_api(house):
    """Who has that role sees what names no case, assigns it, and reads none of it; its sender sees its state."""
    status, body = house.curl("ann", "/", "-T", local(house, "triaged.log", "to be found"))
    assert status == 201, body
    upload = json.loads(body)["id"]
    status, body = house.curl("ann", f"/api/v1/deposits/{upload}")
    shown = json.loads(body)
    assert (status, shown["state"], shown["case"]) == (200, "received", None)
    assert "belongs to no case" in shown["reason"]
    assert shown["kept_until"]
    assert shown["what_to_do"]

    house.system.put_principal({**house.system.principal("eve"), "login": "trish", "roles": ["triage"]})
    status, body = house.curl("trish", "/api/v1/unfiled")
    assert status == 200, body
    assert upload in {each["id"] for each in json.loads(body)["items"]}
    assert house.curl("trish", f"/api/v1/deposits/{upload}")[0] in {403, 404}
    assert house.curl("bob", f"/api/v1/unfiled/{upload}")[0] == 404
    asked = ["-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps({"case": "ACME-1"})]
    status, body = house.curl("trish", f"/api/v1/unfiled/{upload}/assign", *asked)
    assert (status, json.loads(body)["case"]) == (200, "ACME-1"), body
    house.until(lambda: json.loads(house.curl("ann", f"/api/v1/deposits/{upload}")[1])["state"] == "available", "it")
    assert [event["by"] for event in house.events("unfiled.assigned", upload=upload)] == ["trish"]


def test_triage_by_sftp(house):
    """Who has that role walks through what names no case, and moves a file into the case that it is for."""
    assert house.curl("bob", "/", "-T", local(house, "sorted.log", "to be sorted"))[0] == 201
    house.system.put_principal({**house.system.principal("eve"), "login": "tess", "roles": ["triage"]})
    seen = house.sftp("tess", "ls -1 /_unfiled/acme", "ls -1 /_unfiled/acme/bob", "-get /_unfiled/acme/bob/sorted.log")
    assert "/_unfiled/acme/bob/sorted.log" in seen.stdout
    assert "Permission denied" in seen.stderr
    status, told = house.curl("tess", "/files/_unfiled/acme/bob/.meta/sorted.log.status.json")
    assert (status, json.loads(told)["why"]) == (200, "its name holds no case's number")
    moved = house.sftp("tess", "rename /_unfiled/acme/bob/sorted.log /cases/ACME-1/sorted.log")
    assert moved.returncode == 0, moved.stderr
    house.until(lambda: "sorted.log" in house.sftp("eve", "ls -1 /ACME-1/to-support").stdout, "the engineers' file")


def test_a_cut_drop_goes_on_where_it_stood(house):
    """`HEAD` says from where, and `curl -C` or `sftp`'s `reput` goes on, at the root as in a folder."""
    content = b"0123456789" * 50_000
    for number, name in enumerate(("cut-nocase.bin", "ACME-1_cut.bin")):
        part = house.directory / "part"
        part.write_bytes(content[:300_000])
        asked = ["-T", str(part), "-H", f"Content-Range: bytes 0-299999/{len(content)}"]
        status, body = house.curl("ann", f"/{name}", *asked)
        assert (status, json.loads(body)) == (202, {"received": 300_000})
        (house.directory / name).write_bytes(content)
        if number:
            done = house.sftp("ann", f"reput {name}")
            assert done.returncode == 0, done.stderr
        else:
            status, head = house.curl("ann", f"/{name}", "-I")
            (offset,) = [line for line in head.decode().lower().splitlines() if line.startswith("upload-offset:")]
            at = offset.partition(":")[2].strip()
            assert (status, 0 < int(at) < len(content)) == (200, True)
            status, body = house.curl("ann", "/", "-C", at, "-T", str(house.directory / name))
            assert status == 201, body
        (row,) = house.query("SELECT size, sha256 FROM upload WHERE name = ? AND landed_at IS NOT NULL", name)
        assert row["size"] == len(content)
        assert row["sha256"] in {None, digest(content)}
