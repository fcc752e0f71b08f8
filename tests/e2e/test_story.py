"""The main job with the programs that customers and engineers have: `sftp` and `curl`."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from casemap.names import safe_title
from mft.receipts import parse_public_key, verify_receipt
from tests.casebook import TITLE, key_pair
from tests.house import House, close, digest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (shutil.which("sftp") and shutil.which("curl")), reason="sftp or curl is not installed"),
]
IN = "ACME-1/to-support"
SECRET = b"login ok\npassword=hunter2-tr0ub4dor\nclient 203.0.113.9\n"


def local(house: House, name: str, content: bytes) -> Path:
    """Write a file for a client to send."""
    path = house.directory / name
    path.write_bytes(content)
    return path


def header(answer: bytes, name: str) -> str:
    """Return a header's value from what `curl -i` shows."""
    found = re.search(rf"^{name}: (.*?)\r?$", answer.decode("latin-1"), re.MULTILINE | re.IGNORECASE)
    assert found is not None, f"no {name} in {answer[:600]!r}"
    return found[1]


# -- sftp --------------------------------------------------------------------------------------------------------------


def test_sftp_shows_customers_their_cases_and_engineers_theirs(house: House) -> None:
    """Number and title, from the case system, in the listing of the real client."""
    ann = house.sftp("ann", "ls -1").stdout.splitlines()[1:]
    assert ann == ["ACME-1 Cannot boot", "ACME-2 EU only", "ACME-3 Secret", f"ACME-5 {safe_title(TITLE)}"]
    assert house.sftp("gus", "ls -1", region="us").stdout.splitlines()[1:] == ["GLOBEX-1 Theirs"]
    assert house.sftp("eve", "ls -1").stdout.splitlines()[1:] == ["Acme Corp", "Globex _ Initech"]
    assert "ACME-2" not in house.sftp("eve", 'ls -1 "/Acme Corp"', region="us").stdout


def test_sftp_puts_and_an_engineer_in_another_region_gets_it_scrubbed(house: House) -> None:
    """Put, stat, list, rename, and get by the customer; scrubbed for the engineer, from the copy near to her."""
    local(house, "app.log", SECRET)
    done = house.sftp(
        "ann", f"put -p app.log {IN}/app.log.part", f"rename {IN}/app.log.part {IN}/app.log", f"ls -l {IN}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"^-rw\S+ .* {len(SECRET)} .* \S*app\.log$", done.stdout, re.MULTILINE)
    house.until(house.settled)
    done = house.sftp("eve", f"get {IN}/app.log got.log", region="us")
    assert (done.returncode, done.stderr) == (0, "")
    got = (house.directory / "got.log").read_bytes()
    assert b"hunter2" not in got
    assert b"203.0.113.9" not in got
    assert got.startswith(b"login ok\npassword=")
    opened = house.events("file.opened", login="eve", case="ACME-1")[-1]
    assert (opened["served_from"], opened["listener"]) == ("us", "us")


def test_sftp_scrubs_the_members_of_a_bundle(house: House) -> None:
    """A tar.gz of a support tool comes out as one that opens, without its secrets."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in {"etc/app.conf": SECRET, "logs/old.gz": gzip.compress(SECRET)}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    local(house, "bundle.tgz", packed.getvalue())
    assert house.sftp("ann", f"put bundle.tgz {IN}/bundle.tgz").returncode == 0
    house.until(house.settled)
    assert house.sftp("eve", f"get {IN}/bundle.tgz bundle-got.tgz").returncode == 0
    with tarfile.open(house.directory / "bundle-got.tgz") as tar:
        conf = tar.extractfile("etc/app.conf").read()
        old = gzip.decompress(tar.extractfile("logs/old.gz").read())
    assert conf == old
    assert b"hunter2" not in conf


def test_sftp_upload_that_is_killed_is_not_published_and_reput_ends_it(house: House) -> None:
    """The client dies midway: nobody sees a file; the same login goes on in a new session."""
    content = os.urandom(1_500_000).hex().encode()
    local(house, "big.bin", content)
    command = house.sftp_command("ann", "eu", "-l", "4000", "-B", "32768")
    slow = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=house.directory)
    slow.stdin.write(f"put big.bin {IN}/big.bin\n".encode())
    slow.stdin.flush()
    house.until(lambda: house.query("SELECT 1 FROM upload WHERE name = 'big.bin'"), "the upload")
    time.sleep(1)
    os.kill(slow.pid, signal.SIGKILL)
    slow.wait()
    slow.stdin.close()
    house.until(lambda: house.query("SELECT 1 FROM upload WHERE name='big.bin' AND state='interrupted'"), "its end")
    assert house.sftp("eve", f"ls {IN}/big.bin").returncode == 1
    assert house.sftp("bob", f"ls {IN}/big.bin").returncode == 1
    done = house.sftp("ann", f"reput big.bin {IN}/big.bin")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = house.query("SELECT * FROM upload WHERE name = 'big.bin'")
    assert row["size"] == len(content)
    house.until(house.settled)
    (row,) = house.query("SELECT * FROM upload WHERE name = 'big.bin'")
    assert row["sha256"] == digest(content)


def test_sftp_reget_goes_on_with_a_download(house: House) -> None:
    """A half download is completed, of the scrubbed object."""
    content = b"a plain line without anything to hide\n" * 40_000
    local(house, "long.txt", content)
    house.sftp("ann", f"put long.txt {IN}/long.txt")
    house.until(house.settled)
    local(house, "half.txt", content[:500_001])
    assert house.sftp("eve", f"reget {IN}/long.txt half.txt").returncode == 0
    assert (house.directory / "half.txt").read_bytes() == content


def test_sftp_tree_goes_up_and_down(house: House) -> None:
    """`put -R` makes directories; `get -R` brings the same tree back to the engineer."""
    tree = house.directory / "tree"
    (tree / "sub" / "deep").mkdir(parents=True)
    (tree / "a.txt").write_bytes(b"a\n")
    (tree / "sub" / "deep" / "b.txt").write_bytes(b"b\n")
    done = house.sftp("ann", f"put -R tree {IN}/")
    assert done.returncode == 0, done.stderr
    house.until(house.settled)
    done = house.sftp("eve", f"get -R {IN}/tree tree-got")
    assert done.returncode == 0, done.stderr
    assert (house.directory / "tree-got" / "sub" / "deep" / "b.txt").read_bytes() == b"b\n"


def test_sftp_says_no_where_the_role_does(house: House) -> None:
    """No writing on the other side, no taking back, no folder of another: each with a word that says so."""
    local(house, "x", b"x\n")
    house.sftp("ann", f"put x {IN}/kept")
    for login, line, words in (
        ("ann", "put x ACME-1/from-support/x", "ermission denied"),
        ("eve", f"put x {IN}/x", "ermission denied"),
        ("ann", f"rm {IN}/kept", "ermission denied"),
        ("ann", "mkdir ACME-77", "o such file"),
        ("ann", "rename ACME-1 ACME-2", "ermission denied"),
        ("gus", f"ls {IN}", "ot found"),
    ):
        done = house.sftp(login, line, region="us" if login == "gus" else "eu")
        assert done.returncode == 1, line
        assert words in done.stderr + done.stdout, (line, done.stderr)


# -- curl --------------------------------------------------------------------------------------------------------------


def test_curl_gets_a_signed_receipt_and_the_final_one_at_the_same_id(house: House) -> None:
    """201 with the landed receipt; later the final one; both verify with the published key."""
    path = local(house, "report.log", SECRET)
    status, body = house.curl("ann", "/cases/ACME-1/", "-T", str(path))
    landed = json.loads(body)
    assert (status, landed["kind"], landed["size"], landed["sha256"]) == (201, "landed", len(SECRET), digest(SECRET))
    house.until(house.settled)
    status, body = house.curl("ann", landed["url"])
    final = json.loads(body)
    assert (status, final["kind"], final["id"]) == (200, "final", landed["id"])
    assert final["removed"]
    assert "hunter2" not in body.decode()
    status, body = house.curl("ann", "/.well-known/mft-receipt-key.json")
    assert status == 200
    for receipt in (landed, final):
        verify_receipt(receipt, parse_public_key(body))
    assert house.curl("bob", landed["url"])[0] == 404
    assert house.curl("eve", landed["url"])[0] == 404


def test_curl_reads_ranges_and_conditions(house: House) -> None:
    """HEAD, Range, If-Range and If-None-Match on a stored object."""
    content = b"".join(b"line %06d\n" % number for number in range(50_000))
    path = local(house, "ranged.txt", content)
    assert house.curl("ann", "/cases/ACME-1/", "-T", str(path))[0] == 201
    house.until(house.settled)
    where = "/files/ACME-1/to-support/ranged.txt"
    status, head = house.curl("eve", where, "-I")
    assert (status, header(head, "content-length")) == (200, str(len(content)))
    etag = header(head, "etag")
    assert house.curl("eve", where) == (200, content)
    assert house.curl("eve", where, "-r", "100000-100099") == (206, content[100_000:100_100])
    assert house.curl("eve", where, "-r", "-50") == (206, content[-50:])
    assert house.curl("eve", where, "-r", "100-199", "-H", f"If-Range: {etag}") == (206, content[100:200])
    assert house.curl("eve", where, "-r", "100-199", "-H", 'If-Range: "another"') == (200, content)
    assert house.curl("eve", where, "-H", f"If-None-Match: {etag}")[0] == 304
    assert house.curl("eve", where, "-r", f"{len(content)}-")[0] == 416


def test_curl_upload_without_length_and_from_a_pipe(house: House) -> None:
    """Chunks of unknown number are a file like any other."""
    done = subprocess.run(
        house.curl_command("ann", "/cases/ACME-1/piped.txt", "-T", "-"),
        input=b"piped\n" * 10_000,
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert done.stdout.endswith(b"\n201")
    house.until(house.settled)
    assert house.curl("eve", "/files/ACME-1/to-support/piped.txt") == (200, b"piped\n" * 10_000)


def test_same_file_twice_is_one_version(house: House) -> None:
    """A client that lost the answer sends again, and gets the first receipt."""
    path = local(house, "twice.txt", b"once\n" * 1000)
    first, second = (house.curl("ann", "/cases/ACME-1/", "-T", str(path)) for _ in range(2))
    assert first[0] == second[0] == 201
    assert json.loads(first[1]) == json.loads(second[1])


def test_documents_beside_a_file_tell_where_it_stands(house: House) -> None:
    """Status, report and receipt are readable by curl and by sftp."""
    path = local(house, "told.log", SECRET)
    house.curl("ann", "/cases/ACME-1/", "-T", str(path))
    house.until(house.settled)
    status = json.loads(house.curl("ann", "/files/ACME-1/.meta/told.log.status.json")[1])
    assert status["state"] == "partly redacted"
    report = house.curl("eve", "/files/ACME-1/.meta/told.log.report.json")[1]
    assert json.loads(report)["findings_total"] >= 2
    assert b"hunter2" not in report
    done = house.sftp("ann", "get ACME-1/.meta/told.log.receipt.json receipt.json")
    assert done.returncode == 0
    assert json.loads((house.directory / "receipt.json").read_bytes())["kind"] == "final"
    assert (
        house.curl("ann", "/files/ACME-1/.meta/scrubbed/told.log")[1] == house.curl("eve", f"/files/{IN}/told.log")[1]
    )


# -- the case system ---------------------------------------------------------------------------------------------------


def test_case_opens_and_closes_without_a_restart(house: House) -> None:
    """What the case system says holds within the configured time, also in a session that is open."""
    house.system.put_case({"number": "ACME-50", "title": "Brand new", "customer": "acme", "state": "open"})
    house.until(lambda: "ACME-50 Brand new" in house.sftp("ann", "ls -1").stdout, "the new case")
    with house.client("ann") as client:
        with client.open("/ACME-50/to-support/a.txt", "wb") as file:
            file.write(b"a\n")
        assert [entry.filename for entry in client.listdir_attr("/ACME-50/to-support")] == ["a.txt"]
        writing = client.open("/ACME-50/to-support/b.txt", "wb")
        writing.write(b"b" * 100_000)
        house.system.change_case("ACME-50", {"state": "closed"})
        house.until(lambda: not _exists(client, "/ACME-50"), "its end in an open session")
        with pytest.raises(FileNotFoundError):
            writing.write(b"b" * 100_000)
        with pytest.raises(FileNotFoundError):
            close(client, writing)
        assert not any(name.startswith("ACME-50") for name in client.listdir("/"))
    states = {row["name"]: row["state"] for row in house.query("SELECT name, state FROM upload")}
    assert states["b.txt"] == "interrupted"
    house.until(lambda: house.query("SELECT 1 FROM upload WHERE name = 'a.txt' AND state = 'stored'"), "what landed")


def _exists(client: object, path: str) -> bool:
    try:
        client.stat(path)  # type: ignore[attr-defined]
    except FileNotFoundError:
        return False
    return True


def test_download_ends_when_its_case_is_closed(house: House) -> None:
    """An engineer's open file gives nothing more."""
    house.system.put_case({"number": "ACME-51", "title": "x", "customer": "acme", "state": "open"})
    path = local(house, "much.txt", b"much to read here\n" * 500_000)
    assert house.curl("ann", "/cases/ACME-51/", "-T", str(path))[0] == 201
    house.until(house.settled)
    with house.client("eve") as client:
        reading = client.open("/ACME-51/to-support/much.txt", "rb")
        assert reading.read(18) == b"much to read here\n"
        house.system.change_case("ACME-51", {"state": "closed"})

        def ended() -> bool:
            try:
                reading.seek(0)
                reading.read(18)
            except OSError:
                return True
            return False

        house.until(ended, "the end of the download")


def test_revoked_login_is_cut_off(house: House) -> None:
    """A principal that the case system no longer knows as active loses its open sessions and gets no new ones."""
    house.system.put_principal({**house.system.principal("bob"), "login": "tmp"})
    with house.client("tmp") as client:
        assert client.listdir("/")
        house.system.change_principal("tmp", {"active": False})
        transport = client.get_channel().get_transport()
        house.until(lambda: not transport.is_active(), "the end of the session")
    assert house.sftp("tmp", "ls").returncode != 0
    assert house.curl("tmp", "/files/")[0] == 401
    assert house.events("session.closed", login="tmp")


# -- regions -----------------------------------------------------------------------------------------------------------


def test_eu_only_case_stays_in_the_eu(house: House) -> None:
    """No copy elsewhere, no entrance from elsewhere; the refusal is in the audit with its rule."""
    path = local(house, "eu.txt", b"stays\n")
    assert house.curl("ann", "/cases/ACME-2/", "-T", str(path))[0] == 201
    house.until(house.settled)
    assert house.curl("eve", "/files/ACME-2/to-support/eu.txt") == (200, b"stays\n")
    refused = house.curl("eve", "/files/ACME-2/to-support/eu.txt", region="us")
    assert refused[0] == 404
    event = house.until(lambda: house.events("access.denied", login="eve", target="ACME-2"), "the record")[0]
    assert event["region"] == "us"
    assert "residency" in event["why"]
    stored = house.events("upload.stored", case="ACME-2")[-1]
    assert (stored["region"], stored["copies"]) == ("eu", [])
    assert house.query("SELECT region FROM replica WHERE object_key = ?", stored["object"]) == [{"region": "eu"}]


def test_copies_are_verified_and_a_customer_of_the_us_has_its_home_there(house: House) -> None:
    """Home is the rule's; the copy is written down with where it came from and how long it took."""
    path = local(house, "us.txt", b"theirs\n")
    assert house.curl("gus", "/cases/GLOBEX-1/", "-T", str(path), region="us")[0] == 201
    house.until(house.settled)
    stored = house.events("upload.stored", case="GLOBEX-1")[-1]
    assert (stored["region"], stored["copies"]) == ("us", ["eu"])
    copied = house.events("copy.verified", object=stored["object"])
    assert [(event["source"], event["region"]) for event in copied] == [("us", "eu")]
    assert house.curl("eve", "/files/GLOBEX-1/to-support/us.txt") == (200, b"theirs\n")
    assert house.curl("eve", "/files/GLOBEX-1/to-support/us.txt", region="in")[0] == 404


# -- the operator ------------------------------------------------------------------------------------------------------


def test_operations_port_tells_health_and_numbers(house: House) -> None:
    """/healthz, /readyz and /metrics; no name of a customer, a case or a file becomes a label."""
    port = house.endpoints["operations"]["port"]

    def get(path: str) -> tuple[int, str]:
        done = subprocess.run(
            ["curl", "-sS", "-w", "\n%{http_code}", f"http://127.0.0.1:{port}{path}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    assert get("/healthz")[0] == 200
    assert json.loads(get("/readyz")[1])["status"] == "ready"
    path = local(house, "counted.txt", b"counted\n")
    assert house.curl("ann", "/cases/ACME-1/", "-T", str(path))[0] == 201
    house.until(lambda: "mft_uploads" in get("/metrics")[1], "the gauges")
    status, metrics = get("/metrics")
    assert status == 200
    for name in (
        "mft_connections",
        "mft_logins_total",
        "mft_http_answers_total",
        "mft_free_bytes",
        "mft_transferred_bytes",
    ):
        assert name in metrics
    assert not re.search(r"acme|ACME|ann\b|\.txt", metrics)


def test_users_tokens_and_keys_are_made_while_it_runs(house: House) -> None:
    """`mft user add` and a token open the door at once; a locked user is out at once."""

    def mft(*words: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mft", *words, "--config", str(house.config)],
            input=given,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    mft("user", "add", "olga", "--role", "engineer", "--password-stdin", given="a long enough password\n")
    mft("key", "add", "olga", str(_public(house)))
    assert house.sftp("olga", "ls -1").stdout.splitlines()[1:] == ["Acme Corp", "Globex _ Initech"]
    assert house.curl("olga", "/files/", password="a long enough password")[0] == 200
    token = json.loads(mft("token", "create", "olga", "--json"))["token"]
    assert house.curl("olga", "/files/", password=token)[0] == 200
    with house.client("olga") as client:
        mft("user", "disable", "olga")
        transport = client.get_channel().get_transport()
        house.until(lambda: not transport.is_active(), "the end of the session")
    assert house.curl("olga", "/files/", password=token)[0] == 401


def _public(house: House) -> Path:
    path = house.directory / "id_ed25519.pub"
    path.write_bytes(key_pair().export_public_key())
    return path


# -- the audit ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_event_occurs_and_every_chain_holds(house: House) -> None:
    """Session, decision, upload, download, denial and copy are written down, in whole chains, without a secret."""
    directory = f"/{IN}/events"
    with house.client("ann") as client:
        client.mkdir(directory)
        for _ in range(2):
            client.putfo(io.BytesIO(SECRET), f"{directory}/a.part")
        client.rename(f"{directory}/a.part", f"{directory}/a")
        torn = client.open(f"{directory}/torn", "wb")
        torn.write(SECRET * 1000)
        with pytest.raises(FileNotFoundError):
            client.stat("/GLOBEX-1")
    house.until(lambda: house.query("SELECT 1 FROM upload WHERE name = 'torn' AND state = 'interrupted'"), "its end")
    with house.client("ann") as client:
        torn = client.open(f"{directory}/torn", "ab")
        torn.write(b"the end\n")
        close(client, torn)
    house.until(house.settled)
    with house.client("eve") as client:
        client.getfo(f"{directory}/a", io.BytesIO())
    assert house.sftp("nobody", "ls").returncode != 0
    kinds = {event["kind"] for event in house.events()}
    assert kinds >= {
        "session.opened",
        "session.closed",
        "case.entered",
        "upload.started",
        "upload.interrupted",
        "upload.resumed",
        "upload.landed",
        "upload.repeated",
        "upload.stored",
        "file.opened",
        "file.renamed",
        "directory.made",
        "copy.verified",
        "access.denied",
        "login.denied",
    }
    verdict = house.verify_audit()
    assert verdict.faults == ()
    assert verdict.chains >= 2
    everything = json.dumps(house.events())
    assert "hunter2" not in everything
    done = subprocess.run(
        [sys.executable, "-m", "mft", "audit", "verify", "--config", str(house.config)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
