"""FTPS with the programs that customers have: `curl`, `lftp`, and Python's ftplib."""

from __future__ import annotations

import contextlib
import ftplib
import io
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts.head import HeadCases, HeadError
from tests.e2e.test_contract import QUOTA, RealHead
from tests.e2e.test_contract import _as_in_the_cases as as_in_the_cases
from tests.house import PASSWORD, House, digest, running_house
from tests.protocols.ftp.rig import ImplicitFtp

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("ftps"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]
IN = "ACME-1/to-support"
LISTENERS = [
    {"protocol": "sftp", "port": 0, "region": "eu"},
    {"protocol": "https", "port": 0, "region": "eu"},
    {"protocol": "ftps", "port": 0, "region": "eu"},
    {"protocol": "ftps", "port": 0, "region": "us", "tls": "implicit"},
    {"protocol": "ftps", "port": 0, "region": "in"},
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with an entrance of explicit TLS in the EU and one of implicit TLS in the US."""
    directory = tmp_path_factory.mktemp("house")
    with running_house(
        directory, listeners=LISTENERS, limits={"case_quota": QUOTA}, ftps={"stall_timeout": "3s"}
    ) as house:
        yield house


def url(house: House, path: str = "", region: str = "eu") -> str:
    scheme = "ftps" if region == "us" else "ftp"
    return f"{scheme}://127.0.0.1:{house.port('ftps', region)}/{path}"


def curl(house: House, login: str, *arguments: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    """Run `curl` on FTPS; TLS is asked for, and the house's own certificate believed."""
    return subprocess.run(
        ["curl", "-sS", "-v", "--ssl-reqd", "--cacert", house.endpoints["certificate"], "--max-time", "80",
         "-u", f"{login}:{password}", *arguments],
        cwd=house.directory, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def lftp(house: House, login: str, *lines: str, region: str = "eu", password: str = PASSWORD) -> Any:
    """Run `lftp` on a script."""
    if shutil.which("lftp") is None:
        pytest.skip("lftp is not installed")
    script = [
        "set ftp:ssl-force yes",
        "set ftp:ssl-protect-data yes",
        f"set ssl:ca-file {house.endpoints['certificate']}",
        "set net:max-retries 1",
        "set net:timeout 30",
        "set cmd:fail-exit yes",
        f"open -u '{login},{password}' {url(house, region=region)}",
        *lines,
    ]
    return subprocess.run(
        ["lftp", "-c", "\n".join(script)],
        cwd=house.directory, capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, "HOME": str(house.directory)},
    )  # fmt: skip


def context(house: House) -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=house.endpoints["certificate"])
    found.check_hostname = False
    return found


@contextlib.contextmanager
def library(house: House, login: str, region: str = "eu", password: str = PASSWORD) -> Iterator[ftplib.FTP_TLS]:
    """Give a logged-in client of ftplib."""
    kind = ImplicitFtp if region == "us" else ftplib.FTP_TLS
    with kind(context=context(house), timeout=60) as ftp:
        ftp.connect("127.0.0.1", house.port("ftps", region))
        if region != "us":
            ftp.auth()
        ftp.sendcmd(f"USER {login}")
        ftp.sendcmd(f"PASS {password}")
        ftp.prot_p()
        yield ftp


def write(house: House, name: str, content: bytes) -> bytes:
    (house.directory / name).write_bytes(content)
    return content


# -- the customer's story ----------------------------------------------------------------------------------------------


def test_curl_sends_and_the_reply_names_the_receipt(house):
    """`curl -T` over `ftp://` with TLS lands in the case; 226 comes with the receipt that the API has too."""
    content = write(house, "app.log", b"login ok\npassword=hunter2-tr0ub4dor\n")
    done = curl(house, "ann", "-T", "app.log", url(house, f"{IN}/"))
    assert done.returncode == 0, done.stderr
    receipt = re.search(r"226 landed: (\d+) bytes, receipt (\w+)", done.stderr)
    assert int(receipt[1]) == len(content)
    status, body = house.curl("ann", f"/api/v1/receipts/{receipt[2]}")
    assert status == 200
    assert digest(content).encode() in body
    opened = house.events("session.opened", login="ann", protocol="ftps")[-1]
    assert opened["region"] == "eu"


def test_curl_sends_by_implicit_tls_and_an_engineer_gets_it_scrubbed(house):
    """`ftps://` is TLS from the first byte; what an engineer reads has no password in it."""
    write(house, "implicit.log", b"user ok\npassword=hunter2-tr0ub4dor\n")
    done = curl(house, "ann", "-T", "implicit.log", url(house, f"{IN}/", "us"))
    assert done.returncode == 0, done.stderr
    house.until(house.settled)
    got = curl(house, "eve", url(house, f"{IN}/implicit.log"))
    assert got.returncode == 0, got.stderr
    assert "user ok" in got.stdout
    assert "hunter2" not in got.stdout


def test_no_password_goes_in_clear(house):
    """A client that asks for no TLS is refused before it has said its password."""
    done = subprocess.run(
        ["curl", "-sS", "-v", "-u", f"ann:{PASSWORD}", url(house)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 67
    assert "530 nothing is taken in clear here" in done.stderr
    assert "PASS" not in done.stderr


def test_lftp_puts_lists_renames_and_mirrors(house):
    """The habits of lftp: put, ls, mv, mkdir, mirror up, and not a second time."""
    tree = house.directory / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a.txt").write_bytes(b"a\n")
    (tree / "sub" / "b c.txt").write_bytes(b"b\n")
    done = lftp(
        house,
        "ann",
        f"mirror -R tree {IN}/tree",
        f"put -O {IN} tree/a.txt -o one.log",
        f"mv {IN}/one.log {IN}/two.log",
        f"cls -1 {IN}/tree {IN}/tree/sub",
        f"ls {IN}",
    )
    assert done.returncode == 0, done.stderr
    assert "b c.txt" in done.stdout
    assert re.search(r"^-rw\S+ .* 2 .* two\.log$", done.stdout, re.MULTILINE)
    landed = len(house.events("upload.landed", case="ACME-1"))
    assert lftp(house, "ann", f"mirror -R tree {IN}/tree").returncode == 0
    assert len(house.events("upload.landed", case="ACME-1")) == landed


def test_lftp_and_curl_go_on_with_a_cut_upload(house):
    """What came before a cut is not sent again: `put -c` of lftp (REST), `curl -C -` (SIZE and APPE)."""
    content = os.urandom(150_000).hex().encode()
    for name, again in (
        ("cut-a.bin", lambda name: lftp(house, "ann", f"put -c -O {IN} {name}")),
        ("cut-b.bin", lambda name: curl(house, "ann", "-C", "-", "-T", name, url(house, f"{IN}/"))),
    ):
        write(house, name, content)
        with library(house, "ann") as ftp:
            ftp.voidcmd("TYPE I")
            data = ftp.transfercmd(f"STOR {IN}/{name}")
            data.sendall(content[:100_000])
            data.close()
            with pytest.raises(ftplib.error_temp, match="426 cut after"):
                ftp.voidresp()
            assert 0 < ftp.size(f"{IN}/{name}") < 100_000
        done = again(name)
        assert done.returncode == 0, done.stderr
        (row,) = house.query("SELECT * FROM upload WHERE name = ?", name)
        assert row["size"] == len(content)
        house.until(house.settled)
        (row,) = house.query("SELECT * FROM upload WHERE name = ?", name)
        assert row["sha256"] == digest(content)
        assert house.events("upload.resumed", upload=row["id"])


def test_lftp_goes_on_with_a_cut_download(house):
    """`get -c` sends REST."""
    content = write(house, "long.txt", b"a plain line without anything to hide\n" * 4000)
    assert lftp(house, "ann", f"put -O {IN} long.txt").returncode == 0
    house.until(house.settled)
    write(house, "half.txt", content[:50_001])
    done = lftp(house, "eve", f"get -c {IN}/long.txt -o half.txt")
    assert done.returncode == 0, done.stderr
    assert (house.directory / "half.txt").read_bytes() == content


def test_part_file_waits_for_its_name(house):
    """`xfer:use-temp-file`: a `.part` becomes a deposit under the name that it is given."""
    write(house, "parted.log", b"content\n")
    settings = "set xfer:use-temp-file yes; set xfer:temp-file-name *.part"
    done = lftp(house, "ann", settings, f"put -O {IN} parted.log")
    assert done.returncode == 0, done.stderr
    house.until(house.settled)
    assert house.events("upload.stored", case="ACME-1")
    assert "parted.log\n" in lftp(house, "eve", f"cls -1 {IN}").stdout.replace(f"{IN}/", "")


def test_token_of_a_case_uploads_by_its_own_commands(house, tmp_path):
    """What a mint shows for FTPS works as it is pasted, with the certificate pinned; listing is not in its rights."""
    status, body = house.curl(
        "ann", "/api/v1/cases/ACME-1/tokens", "-X", "POST", "-H", "Content-Type: application/json", "-d", "{}"
    )
    assert status == 201
    import json

    minted = json.loads(body)
    (tmp_path / "FILE").write_bytes(b"collected\n")
    for name in ("curl", "lftp"):
        if shutil.which(name):
            command = minted["ftps"][name]
            done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    assert [event["login"] for event in house.events("session.opened", protocol="ftps", case="ACME-1")]
    with library(house, "ACME-1", password=minted["password"]) as ftp, pytest.raises(ftplib.error_perm, match="550"):
        ftp.nlst("to-support")


def test_file_at_the_root_finds_its_case_by_its_name(house):
    """`put ACME-1_bundle.tgz` at the root, and a login that names its case."""
    with library(house, "ann") as ftp:
        ftp.storbinary("STOR ACME-1_bundle.txt", io.BytesIO(b"content\n"))
        answer = ftp.storbinary("STOR nobody-knows.txt", io.BytesIO(b"content\n"))
        assert "receipt" in answer
        assert "_unfiled" in [name for name, _ in ftp.mlsd("/")] or ftp.size("/_unfiled/nobody-knows.txt") == 8
        with pytest.raises(ftplib.error_perm, match="550"):
            ftp.storbinary("STOR /GLOBEX-1/to-support/theirs.txt", io.BytesIO(b"content\n"))
    assert house.query("SELECT 1 FROM upload WHERE name = 'ACME-1_bundle.txt' AND zone = 'upload'")
    with library(house, "ann@ACME-1") as ftp:
        assert "to-support" in ftp.nlst()
    with pytest.raises(ftplib.error_perm, match="530"), library(house, "ann@GLOBEX-1"):
        pass


def test_wrong_entrance_is_told_the_right_one(house):
    """A case that stays in the EU is shown the way there; a customer with nothing here is refused with it."""
    with library(house, "ann", "us") as ftp, pytest.raises(ftplib.error_perm) as caught:
        ftp.cwd("/ACME-2")
    assert f"ftp://127.0.0.1:{house.port('ftps')}" in str(caught.value)
    with pytest.raises(ftplib.error_perm) as caught, library(house, "ann@ACME-2", "us"):
        pass
    assert str(caught.value).startswith("530 this case is served at another entrance")


def test_withdrawn_login_loses_its_session_and_its_upload(house):
    """An upload that runs when access is withdrawn is cut, and kept as interrupted; the session ends with 421."""
    with library(house, "bob") as ftp:
        ftp.voidcmd("TYPE I")
        data = ftp.transfercmd(f"STOR {IN}/withdrawn.bin")
        data.sendall(b"x" * 300_000)
        house.until(lambda: house.query("SELECT 1 FROM upload WHERE name = 'withdrawn.bin'"), "the upload")
        house.system.change_principal("bob", {"active": False})
        try:
            with pytest.raises((ftplib.Error, EOFError, OSError)) as caught:
                ftp.voidresp()
            assert "421" in str(caught.value)
            data.close()
            house.until(
                lambda: house.query("SELECT 1 FROM upload WHERE name = 'withdrawn.bin' AND state = 'interrupted'")
            )
        finally:
            house.system.change_principal("bob", {"active": True})


def test_transfers_that_are_cut_are_never_whole(house):
    """RST, FIN without close_notify, and a lost control connection: each leaves an interrupted upload."""
    for number, end in enumerate(("reset", "fin", "control")):
        name = f"torn-{number}.bin"
        with library(house, "ann") as ftp:
            ftp.voidcmd("TYPE I")
            data = ftp.transfercmd(f"STOR {IN}/{name}")
            data.sendall(b"x" * 70_000)
            house.until(lambda name=name: house.query("SELECT 1 FROM upload WHERE name = ?", name), "the upload")
            raw = socket.socket(fileno=(ftp.sock if end == "control" else data).detach())
            if end == "reset":
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
            house.until(
                lambda name=name: house.query("SELECT 1 FROM upload WHERE name = ? AND state = 'interrupted'", name)
            )
            if end == "control":
                ftp.sock = None
            else:
                with pytest.raises(ftplib.error_temp, match="426"):
                    ftp.voidresp()
            data.close()


def test_metrics_and_entrances_tell_of_ftps(house):
    """What operators and integrations see: endpoints, counters, the ways of a preflight."""
    import urllib.request

    with library(house, "ann") as ftp:
        ftp.pwd()
    assert [each["tls"] for each in house.endpoints["listeners"] if each["protocol"] == "ftps"] == [
        "explicit", "implicit", "explicit",
    ]  # fmt: skip
    operations = house.endpoints["operations"]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{operations}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    assert re.search(r'mft_logins_total\{method="password",outcome="accepted",protocol="ftps"\}', text)
    assert re.search(r'mft_ftps_answers_total\{code="257",verb="PWD"\}', text)
    status, body = house.curl("ann", "/api/v1/cases/ACME-1/preflight")
    assert status == 200
    assert b'"ftps"' in body


# -- the cases of every head -------------------------------------------------------------------------------------------


class FtpsClient:
    """A `HeadClient` by ftplib."""

    def __init__(self, head: RealHead, login: str, password: str) -> None:
        self._open = head.ending.enter_context(contextlib.ExitStack())
        try:
            self.ftp = self._open.enter_context(library(head.house, login, password=password))
        except ftplib.all_errors as error:
            raise HeadError("denied", str(error)) from error
        self.real = head.tree.real

    @staticmethod
    @contextlib.contextmanager
    def translated() -> Iterator[None]:
        try:
            yield
        except ftplib.error_perm as error:
            text = str(error)
            missing = "does not exist" in text or "no such" in text.lower()
            denied = "530" in text or ("550" in text and not missing and "is there" not in text)
            raise HeadError("missing" if missing else "denied" if denied else "refused", text) from error
        except (ValueError, *ftplib.all_errors) as error:
            raise HeadError("refused", str(error)) from error

    def put(self, path: str, content: bytes) -> None:
        with self.translated():
            self.ftp.storbinary(f"STOR {self.real(path)}", io.BytesIO(content))

    def get(self, path: str) -> bytes:
        received: list[bytes] = []
        with self.translated():
            self.ftp.retrbinary(f"RETR {self.real(path)}", received.append)
        return b"".join(received)

    def names(self, path: str) -> list[str]:
        with self.translated():
            return as_in_the_cases([name for name, _ in self.ftp.mlsd(self.real(path))])

    def size(self, path: str) -> int:
        with self.translated():
            return self.ftp.size(self.real(path))

    def mkdir(self, path: str) -> None:
        with self.translated():
            self.ftp.mkd(self.real(path))

    def rename(self, source: str, target: str) -> None:
        with self.translated():
            self.ftp.rename(self.real(source), self.real(target))

    def cut(self, path: str, content: bytes) -> None:
        self.ftp.voidcmd("TYPE I")
        data = self.ftp.transfercmd(f"STOR {self.real(path)}")
        data.sendall(content)
        data.close()
        self.ftp.close()

    def resume(self, path: str, content: bytes) -> None:
        at = self.size(path)
        assert 0 < at < len(content)
        with self.translated():
            self.ftp.storbinary(f"STOR {self.real(path)}", io.BytesIO(content[at:]), rest=at)


class TestFtps(HeadCases):
    """FTPS. Customers take nothing back that has been received, so there is no remove."""

    lacks = frozenset({"remove"})
    test_an_error_nobody_foresaw_tells_the_client_nothing = None

    @pytest.fixture
    def head(self, house: House) -> Iterator[RealHead]:
        head = RealHead(house, FtpsClient)
        yield head
        head.close()
