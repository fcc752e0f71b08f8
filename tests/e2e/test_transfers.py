"""Large files over HTTPS by the real programs: `mft put` and `mft get`, clients of tus, and curl."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import io
import json
import math
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.house import PASSWORD, House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

BIG = hashlib.shake_256(b"transfers").digest(20 * 1024 * 1024 + 321)
TUS_JS = Path(__file__).parents[2] / ".venv" / "tusjs" / "node_modules" / "tus-js-client"
SCRIPT = """
import fs from 'node:fs'
import { createRequire } from 'node:module'
const tus = createRequire(process.argv[2] + '/')('tus-js-client')
const [, , , file, endpoint, authorization, name, parallel] = process.argv
const size = fs.statSync(file).size
const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint, uploadSize: size, chunkSize: 3 * 1024 * 1024,
  headers: { Authorization: authorization }, metadata: { filename: name, filetype: 'text/plain' },
  onError: error => { console.error(String(error)); process.exit(1) },
  onSuccess: () => { console.log(upload.url); process.exit(0) },
})
upload.start()
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house; each test sends names of its own."""
    with running_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several parts."""
    path = tmp_path_factory.mktemp("files") / "big.bin"
    path.write_bytes(BIG)
    return path


def basic(login: str) -> str:
    return House.authorization(login).partition(": ")[2]


def mft(
    house: House, *arguments: object, secret: str = PASSWORD, trusted: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `mft put` or `mft get`."""
    command, *rest = map(str, arguments)
    trust = ["--cacert", house.endpoints["certificate"]] if trusted else []
    return subprocess.run(
        [sys.executable, "-m", "mft", command, *trust, *rest],
        env={**os.environ, "MFT_PASSWORD": secret, "XDG_STATE_HOME": str(house.directory / "state"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def sent(house: House, name: str, case: str = "ACME-1") -> bytes:
    """Return what its sender reads back."""
    status, body = house.curl("ann", f"/files/{case}/to-support/{name}")
    assert status == 200
    return body


def test_file_goes_there_and_back(house: House, big: Path, tmp_path: Path) -> None:
    """By several connections, joined, and with the digest that the receipt has."""
    put = mft(house, "put", "-u", "ann", big, house.url("/cases/ACME-1/there.bin"))
    assert put.returncode == 0, put.stderr
    assert hashlib.sha256(BIG).hexdigest() in put.stdout
    parts = house.query("SELECT count(*) AS n FROM upload WHERE part")[0]["n"]
    assert parts == 6
    assert not list((house.directory / "state" / "mft" / "uploads").glob("*.json"))
    house.until(house.settled, "the end of scrubbing")
    got = mft(house, "get", "-u", "ann", house.url("/files/ACME-1/to-support/there.bin"), tmp_path / "here.bin")
    assert got.returncode == 0, got.stderr
    assert (tmp_path / "here.bin").read_bytes() == BIG
    assert [each.name for each in tmp_path.iterdir()] == ["here.bin"]


def test_folder_goes_there_and_back(house: House, tmp_path: Path) -> None:
    """With its folders, and with odd names."""
    source = tmp_path / "logs"
    files = {"a.log": b"a", "sub/ümläut 1.log": b"b" * 9_000_000, "sub/deep/empty": b"", "x" * 255: b"x"}
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    put = mft(house, "put", "-u", "ann", source, house.url("/cases/ACME-5/"))
    assert put.returncode == 0, put.stderr
    house.until(house.settled, "the end of scrubbing")
    got = mft(house, "get", "-u", "ann", house.url("/cases/ACME-5/to-support/logs/"), tmp_path / "back")
    assert got.returncode == 0, got.stderr
    assert {name: (tmp_path / "back" / name).read_bytes() for name in files} == files


def test_folder_is_told_from_a_file_without_a_slash(house: House, tmp_path: Path) -> None:
    """It is fetched as a folder, never as an empty file; a case's address is a folder in any form."""
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a").write_bytes(b"a")
    (source / "link").symlink_to("sub")
    os.mkfifo(source / "pipe")
    put = mft(house, "put", "-u", "ann", source, house.url("/cases/ACME-5"))
    assert put.returncode == 0, put.stderr
    assert [line.rpartition("/")[2] for line in put.stderr.splitlines()] == [
        "link, a symbolic link",
        "pipe, neither a file nor a folder",
    ]
    here = tmp_path / "here"
    here.mkdir()
    got = mft(house, "get", "-u", "ann", house.url("/files/ACME-5/to-support/tree"), here)
    assert got.returncode == 0, got.stderr
    assert (here / "tree" / "sub" / "a").read_bytes() == b"a"
    pipe = mft(house, "put", "-u", "ann", source / "pipe", house.url("/cases/ACME-5/"))
    assert (pipe.returncode, "neither a file nor a folder" in pipe.stderr) == (2, True)
    slash = mft(house, "put", "-u", "ann", source / "sub" / "a", house.url("/files/ACME-5/to-support"))
    assert (slash.returncode, "ends with a slash" in slash.stderr) == (6, True)


def test_interrupted_command_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C is 130, with a sentence and without a traceback."""
    file = tmp_path / "f"
    file.write_bytes(b"x")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        for command in (["put", str(file), address + "cases/A-1/"], ["get", address + "files/f", str(tmp_path / "g")]):
            before = signal.signal(
                signal.SIGINT, signal.SIG_DFL
            )  # what a shell starts with & ignores it, and hands that on
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "mft", *command, "-u", "ann"],
                    env={**os.environ, "MFT_PASSWORD": PASSWORD, "XDG_STATE_HOME": str(tmp_path)},
                    stderr=subprocess.PIPE,
                    text=True,
                )
            finally:
                signal.signal(signal.SIGINT, before)
            with silent.accept()[0] as held:
                held.recv(1, socket.MSG_PEEK)
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=60)[1] == "mft: interrupted; run the same command again to go on\n"
            assert process.returncode == 130
    assert not (tmp_path / "g").exists()


def test_put_goes_on_after_its_process_and_the_server_died(house: House, big: Path) -> None:
    """What had come is not sent again."""
    url = house.url("/cases/ACME-1/killed.bin")
    command = [sys.executable, "-m", "mft", "put", "-u", "ann", "--streams", "1"]
    process = subprocess.Popen(
        [*command, "--cacert", house.endpoints["certificate"], str(big), url],
        env={**os.environ, "MFT_PASSWORD": PASSWORD, "XDG_STATE_HOME": str(house.directory / "state")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    folder = house.directory / "state" / "mft" / "uploads"
    try:
        house.until(
            lambda: any(json.loads(each.read_text())["parts"][1]["url"] for each in folder.glob("*.json")), "a part"
        )
    finally:
        process.kill()
        process.wait(20)
    (kept,) = folder.glob("*.json")
    first = json.loads(kept.read_text())["parts"][0]["url"]
    house.kill()
    house.start()
    again = mft(house, "put", "-u", "ann", big, house.url("/cases/ACME-1/killed.bin"))
    assert again.returncode == 0, again.stderr
    assert sent(house, "killed.bin") == BIG
    (row,) = house.query("SELECT reason FROM upload WHERE id = ?", first.rpartition("/")[2])
    assert row["reason"].startswith("joined into")


def test_get_goes_on_with_what_is_there(house: House, big: Path, tmp_path: Path) -> None:
    """Ranges of just this version are kept; those of another one are not."""
    assert mft(house, "put", "-u", "ann", big, house.url("/cases/ACME-1/again.bin")).returncode == 0
    house.until(house.settled, "the end of scrubbing")
    url = house.url("/files/ACME-1/to-support/again.bin")
    status, head = house.curl("ann", "/files/ACME-1/to-support/again.bin", "-I")
    etag = next(line.split(": ", 1)[1] for line in head.decode().splitlines() if line.lower().startswith("etag"))
    target = tmp_path / "again.bin"
    part = bytearray(BIG)
    part[8 * 1024 * 1024 :] = bytes(len(BIG) - 8 * 1024 * 1024)
    (tmp_path / "again.bin.part").write_bytes(part)
    notes = {"etag": etag.strip(), "size": len(BIG), "there": [[0, 8 * 1024 * 1024]]}
    (tmp_path / "again.bin.part.json").write_text(json.dumps(notes))
    assert status == 200
    got = mft(house, "get", "-u", "ann", url, target)
    assert got.returncode == 0, got.stderr
    assert target.read_bytes() == BIG
    (tmp_path / "again.bin.part").write_bytes(bytes(len(BIG)))
    (tmp_path / "again.bin.part.json").write_text(json.dumps({**notes, "etag": '"other"', "there": [[0, len(BIG)]]}))
    assert mft(house, "get", "-u", "ann", url, target).returncode == 0
    assert target.read_bytes() == BIG


def test_server_is_trusted_by_its_fingerprint_alone(house: House, tmp_path: Path) -> None:
    """Another one, or none, ends it before a password is sent."""
    pem = Path(house.endpoints["certificate"]).read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    file = tmp_path / "pinned"
    file.write_bytes(b"x")
    where = (file, house.url("/cases/ACME-1/"))
    assert mft(house, "put", "-u", "ann", "--fingerprint", digest, *where, trusted=False).returncode == 0
    for options in (("--fingerprint", "0" * 64), ()):
        ended = mft(house, "put", "-u", "ann", *options, *where, trusted=False)
        assert ended.returncode == 1
        assert "certificate" in ended.stderr


def test_refusals_have_an_exit_code_and_a_reason(house: House, tmp_path: Path) -> None:
    """A case that is not there, a wrong password, a secret in the address, a server that is away."""
    file = tmp_path / "f"
    file.write_bytes(b"x")
    nowhere = mft(house, "put", "-u", "ann", file, house.url("/cases/GLOBEX-1/"))
    assert (nowhere.returncode, "404" in nowhere.stderr) == (6, True)
    assert mft(house, "put", "-u", "ann", file, house.url("/cases/ACME-1/"), secret="wrong one").returncode == 6
    assert mft(house, "get", "-u", "ann", house.url("/files/ACME-1/to-support/none"), tmp_path / "n").returncode == 6
    secret = mft(house, "put", file, house.url("/").replace("https://", "https://ann:pw@"))
    assert secret.returncode == 2
    assert not list(tmp_path.glob("n*"))


def test_file_that_is_not_taken_keeps_no_other_from_going(house: House, tmp_path: Path) -> None:
    """Each is told, and the exit code says that something was refused."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("Thumbs.db", "a.log", "tab\there", "z.log"):
        (folder / name).write_text(f"this is {name!r}\n")
    done = mft(house, "put", "-u", "ann", "--streams", 1, folder, house.url("/cases/ACME-1/"))
    assert done.returncode == 6
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == ["mixed/a.log", "mixed/z.log"]
    assert sorted(done.stderr.count(each) for each in ("status 400", "status 422")) == [1, 1]


def test_pipes_take_and_give_whole_files(house: House, tmp_path: Path) -> None:
    """`-` is standard input where the address has a name, and standard output of a file that is whole."""
    address = house.url("/files/ACME-1/to-support/piped.txt")
    trust = ["-u", "ann", "--cacert", house.endpoints["certificate"]]
    environment = {**os.environ, "MFT_PASSWORD": PASSWORD, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "mft"]
    put = subprocess.run([*command, "put", *trust, "-", address], input=b"by pipe\n", env=environment, check=False)
    assert put.returncode == 0
    got = subprocess.run([*command, "get", *trust, address, "-"], capture_output=True, env=environment, check=False)
    assert (got.returncode, got.stdout) == (0, b"by pipe\n")
    assert not list(tmp_path.iterdir())
    assert mft(house, "put", "-u", "ann", "-", house.url("/cases/ACME-1/")).returncode == 2
    assert mft(house, "get", "-u", "ann", house.url("/files/ACME-1/to-support/"), "-").returncode == 2


def test_link_is_followed_and_not_replaced(house: House, tmp_path: Path) -> None:
    """Who links a name to another place wants the file there."""
    (tmp_path / "source").write_bytes(b"x")
    assert mft(house, "put", "-u", "ann", tmp_path / "source", house.url("/cases/ACME-1/linked")).returncode == 0
    place = tmp_path / "place"
    place.touch()
    (tmp_path / "link").symlink_to(place)
    got = mft(house, "get", "-u", "ann", house.url("/files/ACME-1/to-support/linked"), tmp_path / "link")
    assert got.returncode == 0, got.stderr
    assert place.read_bytes() == b"x"
    assert (tmp_path / "link").is_symlink()


def test_device_is_not_replaced_by_a_file(house: House, tmp_path: Path) -> None:
    """Who means to throw a file away names /dev/null, and may be root."""
    source = tmp_path / "thrown-away"
    source.write_bytes(b"x")
    assert mft(house, "put", "-u", "ann", source, house.url("/cases/ACME-1/")).returncode == 0
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = mft(house, "get", "-u", "ann", house.url("/files/ACME-1/to-support/thrown-away"), pipe)
    assert (got.returncode, "it is no file" in got.stderr) == (1, True)
    assert pipe.is_fifo()


def test_scrubbed_at_home_nothing_else_leaves(house: House, tmp_path: Path) -> None:
    """What is sent holds no secret; what cannot be looked into stays, and the exit code says so."""
    (tmp_path / "app.log").write_text("login ok\npassword=Tr0ub4dor&3horse\n")
    done = mft(house, "put", "-u", "ann", "--scrub", tmp_path / "app.log", house.url("/cases/ACME-1/home.log"))
    assert done.returncode == 0, done.stderr
    body = sent(house, "home.log")
    assert b"login ok" in body
    assert b"Tr0ub4dor" not in body
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "passwd").write_text("quillfeather:x:1001:1001:Quill:/home/quillfeather:/bin/bash\n")
    (folder / "z.log").write_text("session of quillfeather ended\n")
    (folder / "cipher.bin").write_bytes(os.urandom(4000))
    done = mft(house, "put", "-u", "ann", "--scrub", folder, house.url("/cases/ACME-1/"))
    assert (done.returncode, "held back, not sent: bundle/cipher.bin: " in done.stderr) == (3, True)
    assert b"quillfeather" not in sent(house, "bundle/z.log")
    assert house.curl("ann", "/files/ACME-1/to-support/bundle/cipher.bin")[0] == 404


def test_put_goes_through_a_proxy(house: House, tmp_path: Path) -> None:
    """By CONNECT, with its login; the server's certificate is checked all the same. One that is none is told."""
    file = tmp_path / "proxied"
    file.write_bytes(b"by way of a proxy")
    with running_proxy() as (port, asked):
        proxy = f"http://pat:pr%20oxy@127.0.0.1:{port}"
        done = mft(house, "put", "-u", "ann", file, house.url("/cases/ACME-1/"), HTTPS_PROXY=proxy, no_proxy="")
        assert done.returncode == 0, done.stderr
        secret = base64.b64encode(b"pat:pr oxy").decode()
        assert asked[0].startswith(b"CONNECT ")
        assert f"Proxy-Authorization: Basic {secret}".encode() in asked[0]
        assert b"Authorization: Basic " + basic("ann").encode() not in asked[0]
    assert sent(house, "proxied") == b"by way of a proxy"
    wrong = mft(house, "get", "-u", "ann", "--proxy", "nonsense://x", house.url("/files/"), tmp_path / "x")
    assert wrong.returncode == 1
    assert "proxy" in wrong.stderr


def test_line_that_breaks_again_and_again_lets_a_file_through(house: House, tmp_path: Path) -> None:
    """Each connection is cut long before all is through: what a request brings is less then, and what came is kept."""
    content = hashlib.shake_256(b"breaking").digest(4_000_000)
    file = tmp_path / "sent"
    file.write_bytes(content)
    with running_proxy(cut_after=1_000_000) as (port, asked):
        way = ("--proxy", f"http://127.0.0.1:{port}", "-u", "ann")
        done = mft(house, "put", *way, file, house.url("/cases/ACME-1/broken.bin"))
        assert done.returncode == 0, done.stderr
        assert 2 < len(asked) < 40
        house.until(house.settled, "the end of scrubbing")
        asked.clear()
        done = mft(house, "get", *way, house.url("/files/ACME-1/to-support/broken.bin"), tmp_path / "got")
        assert done.returncode == 0, done.stderr
        assert 2 < len(asked) < 40
    assert (tmp_path / "got").read_bytes() == content


def test_line_that_lets_hardly_anything_through_gets_a_file_there(house: House, tmp_path: Path) -> None:
    """Whatever comes of a chunk counts once one broke off, however little it is."""
    content = hashlib.shake_256(b"crumbs").digest(150_000)
    file = tmp_path / "sent"
    file.write_bytes(content)
    with running_proxy(cut_after=10_000) as (port, asked):
        way = ("--proxy", f"http://127.0.0.1:{port}", "-u", "ann")
        done = mft(house, "put", *way, file, house.url("/cases/ACME-1/crumbs.bin"))
        assert done.returncode == 0, done.stderr
        assert 15 < len(asked) < 60
    assert sent(house, "crumbs.bin") == content


@contextlib.contextmanager
def running_proxy(*, cut_after: float = math.inf) -> Iterator[tuple[int, list[bytes]]]:
    """Run a proxy that knows CONNECT alone; give its port, and the heads that it was sent.

    It cuts each tunnel that has carried *cut_after* bytes in one direction.
    """
    asked: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := source.recv(int(min(1 << 16, cut_after - carried))):
                target.sendall(data)
                carried += len(data)
                if carried == cut_after:
                    source.shutdown(socket.SHUT_RDWR)
                    break  # what waits there could still be read
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            asked.append(head)
            host, _, port = head.split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(20)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.filterwarnings("ignore")  # it leaves connections open
def test_tuspy_sends_in_chunks(house: House, big: Path) -> None:
    """The Python client, a chunk at a time."""
    client = pytest.importorskip("tusclient.client")
    name = "tuspy.bin"
    headers = {"Authorization": basic("ann")}
    previous = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = house.endpoints["certificate"]
    try:
        tus = client.TusClient(house.url("/tus/cases/ACME-1/"), headers=headers)
        uploader = tus.uploader(str(big), chunk_size=7 * 1024 * 1024, metadata={"filename": name}, upload_checksum=True)
        uploader.upload()
    finally:
        if previous is None:
            del os.environ["REQUESTS_CA_BUNDLE"]
    assert sent(house, name) == BIG


@pytest.mark.filterwarnings("ignore")  # it sends larger pieces than its own library likes
def test_aiotus_sends_a_file(house: House, big: Path) -> None:
    """The asynchronous Python client."""
    aiotus = pytest.importorskip("aiotus")
    context = ssl.create_default_context(cafile=house.endpoints["certificate"])

    async def upload() -> object:
        with big.open("rb") as file:
            return await aiotus.upload(
                house.url("/tus/"),
                file,
                {"filename": b"aiotus.bin", "case": b"ACME-1"},
                headers={"Authorization": basic("ann")},
                config=aiotus.RetryConfiguration(ssl=context),
            )

    assert asyncio.run(upload())
    assert sent(house, "aiotus.bin") == BIG


def test_tus_js_client_sends_a_file(house: House, big: Path, tmp_path: Path) -> None:
    """The client of the portals, in chunks."""
    if not TUS_JS.exists():
        pytest.skip("tus-js-client is not installed: no npm")
    script = tmp_path / "send.mjs"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [
            "node",
            str(script),
            str(TUS_JS.parent.parent),
            str(big),
            house.url("/tus/cases/ACME-1/"),
            basic("ann"),
            "js.bin",
        ],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": house.endpoints["certificate"]},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sent(house, "js.bin") == BIG


def test_curl_speaks_tus_and_gets_zips_ranges_and_digests(house: House, tmp_path: Path) -> None:
    """Each with nothing but what everybody has."""
    metadata = "filename " + base64.b64encode(b"curl.log").decode()
    options = ("-D", "-", "-o", "/dev/null", "-H", "Tus-Resumable: 1.0.0")
    status, head = house.curl(
        "ann",
        "/tus/cases/ACME-2/",
        "-X",
        "POST",
        *options,
        "-H",
        "Upload-Length: 6",
        "-H",
        f"Upload-Metadata: {metadata}",
    )
    assert status == 201
    place = next(line.split(": ", 1)[1] for line in head.decode().splitlines() if line.startswith("Location"))
    path = "/" + place.strip().split("/", 3)[3]
    stream = ("-H", "Content-Type: application/offset+octet-stream", "--data-binary", "abcdef")
    status, _ = house.curl("ann", path, "-X", "PATCH", *options, "-H", "Upload-Offset: 0", *stream)
    assert status == 204
    assert sent(house, "curl.log", "ACME-2") == b"abcdef"
    house.until(house.settled, "the end of scrubbing")
    status, body = house.curl("ann", "/files/ACME-2/to-support/curl.log", "-r", "0-1,4-5")
    assert status == 206
    assert body.count(b"Content-Range: bytes") == 2
    digest = base64.b64encode(hashlib.sha256(b"abcdef").digest()).decode()
    _, head = house.curl("ann", "/files/ACME-2/to-support/curl.log", "-I", "-H", "Want-Repr-Digest: sha-256=1")
    assert f"sha-256=:{digest}:" in head.decode()
    status, body = house.curl("ann", "/files/ACME-2/?archive=zip")
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.read("to-support/curl.log") == b"abcdef"


def test_upload_that_many_send_at_once_is_whole_or_told_otherwise(house: House) -> None:
    """Two workers get one piece of an upload several times: 204 is for one at most, and what lands is the file."""
    content = BIG[: 3 * 1024 * 1024]
    status, head = house.curl(
        "ann", "/tus/cases/ACME-1/", "-X", "POST", "-D", "-", "-H", "Tus-Resumable: 1.0.0",
        "-H", f"Upload-Length: {len(content)}", "-H", "Upload-Metadata: filename cmFjZS5iaW4=",
    )  # fmt: skip
    assert status == 201
    place = next(line for line in head.decode().splitlines() if line.lower().startswith("location")).split(": ", 1)[1]
    place = "/tus/" + place.rpartition("/")[2]
    tus = f"Host: localhost\r\nTus-Resumable: 1.0.0\r\n{house.authorization('ann')}\r\n"

    def ask(method: str, fields: str = "", body: bytes = b"") -> http.client.HTTPResponse:
        with house.wire() as tls:
            tls.sendall(f"{method} {place} HTTP/1.1\r\n{tus}{fields}\r\n".encode())
            with contextlib.suppress(OSError):  # it has said no already
                tls.sendall(body)
            answer = http.client.HTTPResponse(tls, method=method)
            answer.begin()
            return answer

    def send(offset: int) -> int:
        fields = f"Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n"
        return ask("PATCH", f"{fields}Content-Length: {len(content) - offset}\r\n", content[offset:]).status

    with ThreadPoolExecutor(6) as many:
        answers = list(many.map(lambda _: send(0), range(6)))
    assert set(answers) <= {204, 409, 423}
    assert answers.count(204) <= 1
    offset = int(ask("HEAD").headers["Upload-Offset"])
    if offset < len(content):
        assert 204 not in answers
        assert send(offset) == 204
    assert sent(house, "race.bin") == content
    assert len(house.query("SELECT id FROM upload WHERE name = 'race.bin' AND version IS NOT NULL")) == 1


def test_etag_that_is_read_is_taken_with_the_next_version(house: House, tmp_path: Path) -> None:
    """A sender reads what was made of its file: that ETag, and the one of the 201, stand for the same version."""
    file = tmp_path / "f"
    path = "/files/ACME-1/to-support/etag.txt"
    for content, expected in ((b"one", 201), (b"two", 201), (b"three", 412)):
        file.write_bytes(content)
        if content == b"two":
            house.until(house.settled, "the end of scrubbing")
            head = house.curl("ann", path, "-I")[1].decode()
            etag = re.search(r"(?im)^etag: (\S+)", head)[1]
        condition = [] if content == b"one" else ["-H", f"If-Match: {etag}"]
        assert house.curl("ann", path, "-T", str(file), *condition)[0] == expected
    assert sent(house, "etag.txt") == b"two"


def test_commands_start_fast(house: House) -> None:
    """Help costs no more than any other command's."""
    began = time.process_time()
    done = subprocess.run([sys.executable, "-m", "mft", "put", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--scrub" in done.stdout
    assert time.process_time() - began < 5
