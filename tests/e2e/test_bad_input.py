"""Bad input at the front door: a clear error to the client, a line in the audit where one is due, nothing lost."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import paramiko
import pytest
from paramiko.sftp import (
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_LSTAT,
    CMD_MKDIR,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_REALPATH,
    CMD_REMOVE,
    CMD_RENAME,
    CMD_RMDIR,
    CMD_SETSTAT,
    CMD_STAT,
    CMD_STATUS,
)

from mft.casesystem import Behaviour, Nonsense
from tests.house import PASSWORD, House, close, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
IN = "/ACME-1/to-support"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that soon gives up on a body that stops coming."""
    with running_house(tmp_path_factory.mktemp("house"), https={"body_idle_timeout": "4s"}) as house:
        yield house


def ask(house: House, method: str, target: bytes, *, login: str = "ann", region: str = "eu", body: bytes = b"") -> Any:
    """Send a request with a raw *target* to the HTTPS head; return status, headers of the problem, and body."""
    with house.wire(region) as tls:
        tls.sendall(
            method.encode()
            + b" "
            + target
            + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + house.authorization(login).encode()
            + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        answer = b""
        with contextlib.suppress(OSError):
            while piece := tls.recv(65536):
                answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, rest


def nameless(answer: tuple[int, bytes, bytes]) -> tuple[int, bytes, bytes]:
    """Return an answer without what differs between any two: the request's own number and the time."""
    status, head, body = answer
    head = re.sub(rb"(?im)^(x-request-id|date):.*$", b"", head)
    return status, head, re.sub(rb"urn:mft:request:[0-9a-f]+", b"", body)


# -- logging in --------------------------------------------------------------------------------------------------------


def test_wrong_password_and_unknown_login_are_one_answer_and_are_recorded(house: House) -> None:
    """The same bytes over HTTPS, the same failure over SFTP; the audit has each, without a secret."""
    answers = set()
    for login, password in (("ann", "not-the-password"), ("nobody-at-all", "not-the-password")):
        with house.wire() as tls:
            tls.sendall(f"GET /files/ HTTP/1.1\r\nHost: x\r\n{house.authorization(login, password)}\r\n\r\n".encode())
            answer = tls.recv(65536)
        answers.add(nameless((int(answer.split()[1]), *answer.partition(b"\r\n\r\n")[::2])))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401
    for login in ("ann", "nobody-at-all"):
        with socket.create_connection(("127.0.0.1", house.port("sftp"))) as connection:
            transport = paramiko.Transport(connection)
            with pytest.raises(paramiko.AuthenticationException, match="Authentication failed"):
                transport.connect(username=login, password="not-the-password")
            transport.close()
    denied = house.until(lambda: house.events("login.denied"), "the records")
    assert {event["login"] for event in denied} >= {"ann", "nobody-at-all"}
    assert "not-the-password" not in json.dumps(denied)


def test_password_in_the_url_is_refused(house: House) -> None:
    """Credentials belong in a header."""
    assert ask(house, "GET", b"/files/?token=abc")[0] == 400


# -- cases that are not yours ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_unknown_and_foreign_cases_are_byte_identical(house: House, method: str) -> None:
    """Another customer's case, a closed one and none at all: one answer, whatever is asked; each is recorded."""
    body = b"content" if method == "PUT" else b""
    answers = {
        nameless(ask(house, method, f"/cases/{number}/file".encode(), body=body))
        for number in ("GLOBEX-1", "ACME-9", "ACME-404", "NOBODY-1")
    }
    assert len(answers) == 1
    assert next(iter(answers))[0] == 404
    denied = {event["target"]: event for event in house.events("access.denied", login="ann")}
    assert {"GLOBEX-1", "ACME-9", "ACME-404", "NOBODY-1"} <= set(denied)
    assert denied["GLOBEX-1"]["chain"] == "system"


def test_sftp_cannot_tell_unknown_from_foreign_cases(house: House) -> None:
    """One status and one text for every operation."""
    with house.client("ann") as client:
        for operation in (client.stat, client.listdir, client.mkdir, client.remove, client.rmdir, client.open):
            answers = set()
            for number in ("GLOBEX-1", "ACME-9", "ACME-404"):
                with pytest.raises(OSError, match=r".*") as caught:
                    operation(f"/{number}/to-support")
                answers.add((caught.value.errno, str(caught.value)))
            assert len(answers) == 1, operation


# -- names -------------------------------------------------------------------------------------------------------------

HOSTILE = {
    "parent": (b"/cases/ACME-1/../../../../etc/passwd", {400, 404}),
    "parent, escaped": (b"/cases/ACME-1/%2e%2e/%2e%2e/etc/passwd", {400, 404}),
    "another case through the parent": (b"/cases/ACME-1/../GLOBEX-1/x", {400, 404}),
    "slash, escaped": (b"/cases/ACME-1/a%2fb", {400}),
    "backslash": (b"/cases/ACME-1/..%5c..%5cx", {400}),
    "NUL": (b"/cases/ACME-1/a%00.txt", {400}),
    "newline": (b"/cases/ACME-1/a%0ab", {400}),
    "300 bytes": (b"/cases/ACME-1/" + b"n" * 300, {400}),
    "300 bytes in 100 characters": (b"/cases/ACME-1/" + b"%E6%97%A5" * 100, {400}),
    "no UTF-8": (b"/cases/ACME-1/%ff%fe", {400}),
    "overlong": (b"/cases/ACME-1/%c0%ae%c0%ae", {400}),
    "surrogate": (b"/cases/ACME-1/%ed%a0%80", {400}),
    "right to left": (b"/cases/ACME-1/a%E2%80%AEtxt.exe", {400}),
    "no end of escape": (b"/cases/ACME-1/a%2", {400}),
    "100 levels": (b"/cases/ACME-1/" + b"d/" * 100 + b"x", {400}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_name_is_refused_by_https_and_nothing_lands(house: House, kind: str) -> None:
    """Each is a client's error with a reason, is inside no case, and begins no upload."""
    target, expected = HOSTILE[kind]
    before = house.query("SELECT count(*) AS n FROM upload")
    status, _head, body = ask(house, "PUT", target, body=b"content")
    assert status in expected, body
    assert json.loads(body)["detail"]
    assert house.query("SELECT count(*) AS n FROM upload") == before


HOSTILE_BYTES = {
    "NUL": (b"a\0b", "U+0000"),
    "newline": (b"new\nline", "U+000A"),
    "escape": (b"\x1b[2J", "U+001B"),
    "control of Latin-1": ("a\x85b".encode(), "U+0085"),
    "backslash": (b"..\\..\\x", "backslash"),
    "256 bytes": (b"n" * 256, "256 bytes"),
    "300 bytes in 100 characters": ("日".encode() * 100, "300 bytes"),
    "no UTF-8": (b"\xff\xfe", "UTF-8"),
    "overlong": (b"\xc0\xae\xc0\xae", "UTF-8"),
    "surrogate": (b"\xed\xa0\x80", "UTF-8"),
    "right to left": ("a\u202etxt.exe".encode(), "U+202E"),
    "zero width": ("a\u200bb".encode(), "U+200B"),
    "no character": ("a\uffff".encode(), "U+FFFF"),
    "spaces": (b"   ", "nothing but space"),
    "fillers": ("\u3164".encode(), "nothing but space"),
    "beyond a path's length": (b"x/" * 3000, "4096 bytes"),
}


@pytest.mark.parametrize("kind", HOSTILE_BYTES)
def test_hostile_name_is_refused_by_each_operation_of_sftp_and_nothing_lands(house: House, kind: str) -> None:
    """A status that says what is wrong, for whatever bytes stand where a name should be; the session goes on."""
    name, reason = HOSTILE_BYTES[kind]
    path = sftp_string(IN.encode() + b"/" + name)
    there = sftp_string(IN.encode() + b"/base")
    none = bytes(4)
    requests = {
        "open to write": (CMD_OPEN, path + b"\0\0\0\x1a" + none),
        "open to read": (CMD_OPEN, path + b"\0\0\0\1" + none),
        "opendir": (CMD_OPENDIR, path),
        "stat": (CMD_STAT, path),
        "lstat": (CMD_LSTAT, path),
        "setstat": (CMD_SETSTAT, path + none),
        "realpath": (CMD_REALPATH, path),
        "mkdir": (CMD_MKDIR, path + none),
        "rmdir": (CMD_RMDIR, path),
        "remove": (CMD_REMOVE, path),
        "rename to it": (CMD_RENAME, there + path),
        "rename it": (CMD_RENAME, path + there),
        "posix-rename": (CMD_EXTENDED, sftp_string(b"posix-rename@openssh.com") + there + path),
    }
    before = house.query("SELECT count(*) AS n FROM upload")
    with house.client("ann") as client:
        for operation, (number, body) in requests.items():
            answered, answer = exchange(client, number, body)
            assert (answered, answer.get_int()) == (CMD_STATUS, 4), operation
            assert reason in answer.get_text(), operation
        assert client.listdir("/")
    assert house.query("SELECT count(*) AS n FROM upload") == before


@pytest.mark.parametrize("name", [b"", b".", b"..", b"../..", b"./"])
def test_name_that_means_a_folder_is_no_file_by_sftp(house: House, name: bytes) -> None:
    """It cannot be opened, removed or renamed, the answer says that it is a folder, and nothing lands."""
    path = sftp_string(IN.encode() + b"/" + name)
    before = house.query("SELECT count(*) AS n FROM upload")
    with house.client("ann") as client:
        for number, body in (
            (CMD_OPEN, path + b"\0\0\0\x1a" + bytes(4)),
            (CMD_OPEN, path + b"\0\0\0\1" + bytes(4)),
            (CMD_REMOVE, path),
            (CMD_RMDIR, path),
            (CMD_RENAME, path + sftp_string(IN.encode() + b"/x")),
        ):
            answered, answer = exchange(client, number, body)
            assert (answered, answer.get_int()) == (CMD_STATUS, 3)
            assert re.search("folder|directory", answer.get_text())
    assert house.query("SELECT count(*) AS n FROM upload") == before


def sftp_string(text: bytes) -> bytes:
    """Encode a string as SFTP does."""
    return len(text).to_bytes(4) + text


def request(client: paramiko.SFTPClient, kind: int, path: bytes, flags: int) -> tuple[int, paramiko.Message]:
    """Send OPEN with a path of any bytes; return the answer as it is."""
    return exchange(client, kind, sftp_string(path) + flags.to_bytes(4) + bytes(4))


def exchange(client: paramiko.SFTPClient, kind: int, body: bytes) -> tuple[int, paramiko.Message]:
    """Send a request with any fields; return the answer as it is."""
    message = paramiko.Message()
    message.add_int(77)
    message.add_bytes(body)
    client._send_packet(kind, message)
    answer, data = client._read_packet()
    parsed = paramiko.Message(data)
    assert parsed.get_int() == 77
    return answer, parsed


@pytest.mark.parametrize(
    "path",
    [
        b"//ACME-1//to-support//slashes.txt",
        b"/ACME-1/./to-support/x/../slashes.txt",
        b"/../../ACME-1/to-support/slashes.txt",
    ],
)
def test_dots_and_slashes_stay_in_the_tree(house: House, path: bytes) -> None:
    """They mean what POSIX says, within the virtual tree, or nothing; never a path of the machine."""
    with house.client("ann") as client:
        kind, _answer = request(client, CMD_OPEN, path, 0x1A)
        assert kind == CMD_HANDLE
        (row,) = house.query(
            "SELECT u.name, n.name AS parent, c.number FROM upload u JOIN node n ON n.id = u.parent_id"
            " JOIN case_record c ON c.id = u.case_id ORDER BY u.created_at DESC LIMIT 1"
        )
        assert (row["name"], row["parent"], row["number"]) == ("slashes.txt", "", "ACME-1")
        for outside in ("/../../../../etc/passwd", "//etc/passwd", "//etc//passwd", "/ACME-1/../../etc"):
            with pytest.raises(FileNotFoundError):
                client.stat(outside)


def test_hostile_title_is_a_harmless_folder(house: House) -> None:
    """Slashes, controls and direction marks in a title never reach a client; the folder opens as it is shown."""
    with house.client("ann") as client:
        (folder,) = [name for name in client.listdir("/") if name.startswith("ACME-5")]
        assert folder.isprintable()
        assert not set(folder) & set("/\\\u202e")
        client.stat(f"/{folder}/to-support")
    entries = json.loads(house.curl("ann", "/files/")[1])["entries"]
    assert folder in {entry["name"] for entry in entries}


def test_zero_byte_file_is_a_file(house: House, tmp_path: Path) -> None:
    """It lands, is stored, and is read by the engineer, over both protocols."""
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert house.curl("ann", "/cases/ACME-1/", "-T", str(empty))[0] == 201
    with house.client("ann") as client:
        close(client, client.open(f"{IN}/empty-too.txt", "wb"))
    house.until(house.settled)
    assert house.curl("eve", f"/files{IN}/empty.txt") == (200, b"")
    with house.client("eve") as client, client.open(f"{IN}/empty-too.txt", "rb") as file:
        assert file.read() == b""


# -- uploads that do not end as they should ----------------------------------------------------------------------------


def test_two_uploads_to_one_name_at_once_are_two_versions(house: House) -> None:
    """Two clients, one name, at the same time: neither spoils the other."""
    with house.client("ann") as one, house.client("ann") as two:
        first, second = one.open(f"{IN}/same.txt", "wb"), two.open(f"{IN}/same.txt", "wb")
        for _ in range(5):
            first.write(b"first\n" * 10_000)
            second.write(b"second\n" * 10_000)
        close(two, second)
        close(one, first)
    house.until(house.settled)
    rows = house.query("SELECT version, size, state FROM upload WHERE name = 'same.txt' ORDER BY version")
    assert [(row["version"], row["size"], row["state"]) for row in rows] == [
        (1, 350_000, "stored"),
        (2, 300_000, "stored"),
    ]
    assert house.curl("eve", f"/files{IN}/same.txt") == (200, b"first\n" * 50_000)


def test_rename_while_it_lands(house: House) -> None:
    """A client that renames before the scrubber is done ends with the new name, and one version."""
    content = b"renamed while it landed\n" * 100_000
    with house.client("ann") as client:
        with client.open(f"{IN}/moving.log.part", "wb") as file:
            file.set_pipelined(True)
            file.write(content)
        client.rename(f"{IN}/moving.log.part", f"{IN}/moving.log")
        client.rename(f"{IN}/moving.log", f"{IN}/moved.log")
    house.until(house.settled)
    with house.client("eve") as client:
        house.until(lambda: "moved.log" in client.listdir(IN), "the new name")
        assert not {"moving.log", "moving.log.part"} & set(client.listdir(IN))
        with client.open(f"{IN}/moved.log", "rb") as file:
            file.prefetch()
            assert file.read() == content


def test_upload_that_falls_silent_is_kept_for_a_resume(house: House, tmp_path: Path) -> None:
    """A body that stops coming is given up after the configured silence: 408, interrupted, resumable, recorded."""
    content = b"x" * 700_000
    with house.wire() as tls:
        head = f"PUT /cases/ACME-1/silent.txt HTTP/1.1\r\nHost: x\r\n{house.authorization('ann')}\r\n"
        tls.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + content)
        assert b" 408 " in tls.recv(65536)
    (row,) = house.query("SELECT id, state, prefix FROM upload WHERE name = 'silent.txt'")
    assert (row["state"], row["prefix"]) == ("interrupted", len(content))
    assert house.events("upload.interrupted", upload=row["id"])[0]["received"] == len(content)
    path = tmp_path / "whole.txt"
    path.write_bytes(content + b"y" * 300_000)
    status, _ = house.curl("ann", "/cases/ACME-1/silent.txt", "-T", str(path), "-C", str(len(content) - 1))
    assert status == 201
    house.until(house.settled)
    assert house.curl("eve", f"/files{IN}/silent.txt")[1] == path.read_bytes()


def test_body_that_is_not_what_was_announced_is_no_file(house: House) -> None:
    """Too short, broken chunks, two lengths: none of them is published."""
    head = f"PUT /cases/ACME-1/liar.txt HTTP/1.1\r\nHost: x\r\n{house.authorization('ann')}\r\n"
    for rest in (
        "Content-Length: 1000\r\n\r\nshort",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "\r\nhello",
    ):
        with house.wire() as tls:
            tls.sendall((head + rest).encode())
            with socket.socket(fileno=tls.detach()) as raw:
                raw.settimeout(30)
                with contextlib.suppress(OSError):  # it may have hung up by now
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(65536):
                        pass
    ended = {"interrupted", "expired"}

    def states() -> set[str]:
        return {row["state"] for row in house.query("SELECT state FROM upload WHERE name = 'liar.txt'")}

    house.until(lambda: (found := states()) and found <= ended, "their end")  # the last may only begin by now
    assert house.curl("eve", f"/files{IN}/liar.txt")[0] == 404


def test_zip_bomb_is_kept_back_with_its_reason(house: House, tmp_path: Path) -> None:
    """It lands, is quarantined with a reason that its sender reads, and the house goes on."""
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(bytes(100_000_000), 1))
    status, body = house.curl("ann", "/cases/ACME-1/", "-T", str(bomb))
    assert status == 201
    upload_id = json.loads(body)["id"]
    house.until(lambda: house.upload(upload_id)["state"] == "quarantined", "the quarantine")
    status, body = house.curl("ann", f"/api/v1/deposits/{upload_id}")
    told = json.loads(body)
    assert (status, told["state"]) == (200, "quarantined")
    assert told["reason"]
    assert house.events("upload.quarantined", upload=upload_id)
    assert house.curl("eve", f"/files{IN}/bomb.gz")[0] == 404


# -- a full disk -------------------------------------------------------------------------------------------------------


def test_below_the_watermark_uploads_are_refused_and_reading_goes_on(tmp_path: Path) -> None:
    """507 and a reason; a failure over SFTP; not ready for the operator; nothing else breaks."""
    with running_house(tmp_path, landing={"free_space": "100%"}, ready=False) as house:
        status, body = house.curl("ann", "/cases/ACME-1/more.txt", "-T", str(house.config))
        assert (status, "space" in json.loads(body)["detail"]) == (507, True)
        with house.client("ann") as client, pytest.raises(OSError, match="short of space"):
            client.open(f"{IN}/more.txt", "wb")
        assert house.curl("eve", f"/files{IN}/")[0] == 200
        assert house.curl("eve", "/readyz")[0] == 503
        assert house.curl("eve", "/healthz")[0] == 200


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root to mount a small tmpfs")
def test_disk_that_fills_up_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """ENOSPC in the middle of an upload: a clear error, what had landed stays whole, and there is a life after it."""
    small = tmp_path / "landing"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        regions = {"eu": {"landing": str(small / "eu")}}
        with running_house(tmp_path, regions=regions, landing={"resume_grace": 0, "free_space": "1KiB"}) as house:
            good = tmp_path / "good.txt"
            good.write_bytes(b"acknowledged\n" * 200_000)
            assert house.curl("ann", "/cases/ACME-1/", "-T", str(good))[0] == 201
            with house.client("ann") as client:
                file = client.open(f"{IN}/too-big.bin", "wb")
                with pytest.raises(OSError, match="no room left"):
                    file.write(os.urandom(20_000_000))
                with pytest.raises(OSError, match="no room left"):
                    client._request(4, file.handle)
                file._closed = True
                house.until(house.settled)
                assert house.curl("eve", f"/files{IN}/good.txt") == (200, good.read_bytes())
                assert house.curl("eve", f"/files{IN}/too-big.bin")[0] == 404
            assert house.verify_audit().faults == ()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


# -- a case system that fails ------------------------------------------------------------------------------------------


@pytest.fixture
def misbehaving(house: House) -> Iterator[House]:
    """A house whose case system may be made to fail; it is good again afterwards."""
    yield house
    house.system.behaviour = Behaviour()
    good = {200}
    house.until(
        lambda: {house.curl("ann", "/files/ACME-1/")[0] for _ in range(8)} == good, "its return, for every worker"
    )


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(status=500),
        Behaviour(hang=True),
        Behaviour(latency_ms=10_000),
        Behaviour(nonsense=Nonsense.HTML),
        Behaviour(nonsense=Nonsense.WRONG_TYPES),
        Behaviour(nonsense=Nonsense.OTHER_RECORD),
        Behaviour(nonsense=Nonsense.HUGE),
    ],
    ids=["down", "hangs", "slow", "html", "types", "another's record", "huge"],
)
def test_case_system_that_fails_is_unavailable_and_never_open(misbehaving: House, behaviour: Behaviour) -> None:
    """503 with Retry-After once nothing fresh is remembered; never somebody else's case; good again when it is."""
    house = misbehaving
    assert house.curl("ann", "/files/ACME-1/")[0] == 200
    house.system.behaviour = behaviour

    def status() -> int:
        found, _body = house.curl("ann", "/files/ACME-1/")
        assert found in {200, 401, 503}, found
        return found

    house.until(lambda: status() == 503, "an answer that says so")
    assert house.curl("ann", "/files/GLOBEX-1/")[0] in {404, 503}


def test_sessions_under_way_outlive_a_short_outage(misbehaving: House) -> None:
    """An answer from before is used for as long as the configuration says, and no longer."""
    house = misbehaving
    with house.client("ann") as client:
        file = client.open(f"{IN}/bridged.txt", "wb")
        file.write(b"before\n")
        house.system.behaviour = Behaviour(status=500)
        file.write(b"during\n")
        house.system.behaviour = Behaviour()
        file.write(b"after\n")
        close(client, file)
    house.until(house.settled)
    assert house.curl("eve", f"/files{IN}/bridged.txt") == (200, b"before\nduring\nafter\n")


def test_engineer_s_and_sender_s_view_differ_as_they_should(house: House, tmp_path: Path) -> None:
    """The sender keeps name and size; the engineer has neither the secret name nor the secret."""
    path = tmp_path / "x"
    path.write_bytes(b"password=hunter2-tr0ub4dor\n")
    name = "dump of jane.doe@example.com.txt"
    assert house.curl("ann", "/cases/ACME-1/" + name.replace(" ", "%20"), "-T", str(path))[0] == 201
    house.until(house.settled)
    with house.client("ann") as client:
        assert client.stat(f"{IN}/{name}").st_size == path.stat().st_size
    with house.client("eve") as client:
        assert not any("jane" in each for each in client.listdir(IN))
    with pytest.raises(FileNotFoundError), house.client("eve") as client:
        client.stat(f"{IN}/{name}")


def test_client_that_speaks_no_protocol_is_let_go(house: House) -> None:
    """Noise on either port ends that connection and nothing else."""
    for protocol in ("sftp", "https"):
        for noise in (b"\0" * 1000, b"GET / HTTP/1.0\r\n\r\n", os.urandom(5000)):
            with socket.create_connection(("127.0.0.1", house.port(protocol)), timeout=60) as raw:
                raw.sendall(noise)
                with contextlib.suppress(OSError):
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(65536):
                        pass
    assert house.curl("ann", "/files/")[0] == 200
    assert base64.b64encode(PASSWORD.encode()) not in house.log.read_bytes()
