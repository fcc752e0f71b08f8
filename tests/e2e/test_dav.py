"""WebDAV over the whole house: litmus, and the clients that people mount and copy by."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.house import PASSWORD, House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("dav"), pytest.mark.timeout(600)]

IN = "/dav/ACME-1/to-support"
OUT = "/dav/ACME-1/from-support"
SUITES = {"basic": 16, "copymove": 13, "props": 30, "locks": 41, "http": 3}
"""litmus 0.13: 103 in all."""
CONTENT = b"2026-11-22 12:00:00 everything is in order here\n" * 5000


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip a test where Debian's package of a program is not installed."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with one listener for people to mount."""
    with running_house(tmp_path_factory.mktemp("dav")) as house:
        yield house


def url(house: House, path: str) -> str:
    return f"https://localhost:{house.port('https')}{path}"


def uploads(house: House, name: str) -> list[tuple[int, int, str]]:
    """Return version, size and protocol of what was sent by that name and is kept."""
    rows = house.query("SELECT * FROM upload WHERE name = ? AND state != 'expired' ORDER BY version", name)
    return [(row["version"], row["size"], row["protocol"]) for row in rows]


def at_a_terminal(command: Sequence[str], answers: Sequence[tuple[bytes, bytes]], directory: Path) -> str:
    """Run *command* at a terminal; type each answer once what comes before it is shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(directory)
        os.execvpe(command[0], list(command), {**os.environ, "HOME": str(directory), "TERM": "dumb"})
    seen, at, waiting = b"", 0, list(answers)
    limit = time.monotonic() + 120
    try:
        while time.monotonic() < limit:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    data = os.read(terminal, 1 << 16)
                except OSError:  # its end of the terminal is closed
                    break
                seen += data
            if waiting and waiting[0][0] in seen[at:]:
                at = len(seen)
                os.write(terminal, waiting.pop(0)[1])
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return seen.decode(errors="replace")


@needs("litmus")
@pytest.mark.slow
def test_litmus_passes_every_test(house: House, tmp_path: Path) -> None:
    """All five suites, 103 tests, in a folder where its user has every verb: an engineer's, for the customer."""
    done = subprocess.run(
        ["litmus", "-k", url(house, OUT + "/"), "eve", PASSWORD],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    found = re.findall(r"summary for `(\w+)': of (\d+) tests run: (\d+) passed, (\d+) failed", done.stdout)
    assert {suite: int(passed) for suite, _, passed, _ in found} == SUITES, done.stdout[-4000:]
    assert sum(SUITES.values()) == 103
    assert "WARNING" not in done.stdout


@needs("cadaver")
def test_cadaver_sends_reads_locks_and_moves(house: House, tmp_path: Path) -> None:
    """A customer's session at a terminal: what it may do is done, what it may not is refused."""
    (tmp_path / "report.txt").write_bytes(CONTENT)
    lines = [
        "mkcol folder", "put report.txt cadaver.txt", "ls", "lock cadaver.txt", "discover cadaver.txt",
        "put report.txt cadaver.txt", "unlock cadaver.txt", "get cadaver.txt back.txt", "move cadaver.txt folder/",
        "propset folder/cadaver.txt color blue", "propget folder/cadaver.txt color",
        "copy folder/cadaver.txt copied.txt", "delete folder/cadaver.txt", "quit",
    ]  # fmt: skip
    answers = [(b"(y/n)", b"y\n"), (b"Username:", b"ann\n"), (b"Password:", PASSWORD.encode() + b"\n")]
    answers += [(b"> ", line.encode() + b"\n") for line in lines]
    seen = at_a_terminal(["cadaver", url(house, IN + "/")], answers, tmp_path)
    for line in ("Creating `folder': succeeded", "Locking `cadaver.txt': succeeded", "Scope: exclusive"):
        assert line in seen, seen
    assert "Unlocking `cadaver.txt': succeeded" in seen
    assert "Value of color is: blue" in seen
    assert "folder/cadaver.txt': failed:\r\n403" in seen  # customers take nothing back that has been received
    assert (tmp_path / "back.txt").read_bytes() == CONTENT
    assert uploads(house, "cadaver.txt") == [(1, len(CONTENT), "webdav")]
    assert uploads(house, "copied.txt")[0][1] == len(CONTENT)


@needs("rclone")
def test_rclone_copies_what_is_new_and_nothing_twice(house: House, tmp_path: Path) -> None:
    """A folder is copied with its times and checksums; the same again sends nothing."""
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    for number in range(5):
        (source / "deep" / "er" / f"rclone{number}.log").write_bytes(CONTENT[: number * 1000])
        os.utime(source / "deep" / "er" / f"rclone{number}.log", (1_600_000_000, 1_600_000_000))
    hidden = subprocess.run(["rclone", "obscure", PASSWORD], capture_output=True, text=True, check=True, timeout=30)
    environment = {
        **os.environ,
        "RCLONE_CONFIG": str(tmp_path / "rclone.conf"),
        "RCLONE_WEBDAV_URL": url(house, IN),
        "RCLONE_WEBDAV_USER": "ann",
        "RCLONE_WEBDAV_PASS": hidden.stdout.strip(),
        "RCLONE_WEBDAV_VENDOR": "owncloud",
    }
    (tmp_path / "rclone.conf").touch()
    trust = house.endpoints["certificate"]

    def rclone(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["rclone", "--ca-cert", trust, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)

    rclone("copy", str(source), ":webdav:")
    again = rclone("-v", "copy", str(source), ":webdav:")
    assert "Copied" not in again.stderr
    listed = {each["Path"]: each for each in json.loads(rclone("lsjson", "-R", "--files-only", ":webdav:").stdout)}
    for number in range(1, 5):
        row = listed[f"deep/er/rclone{number}.log"]
        assert (row["Size"], row["ModTime"][:19]) == (number * 1000, "2020-09-13T12:26:40")
    assert rclone("cat", ":webdav:deep/er/rclone4.log").stdout.encode() == CONTENT[:4000]
    assert json.loads(rclone("about", "--json", ":webdav:").stdout)["free"] > 0


def _may_mount() -> bool:
    return os.geteuid() == 0 and Path("/dev/fuse").exists()


@needs("mount.davfs")
@pytest.mark.skipif(not _may_mount(), reason="mounting needs root and /dev/fuse")
def test_davfs2_mounts_reads_and_writes(house: House) -> None:
    """A case's folder as a file system: what is written there arrives once, whole, and is read back at any offset."""
    with tempfile.TemporaryDirectory(prefix="mft-davfs2-") as directory:
        Path(directory).chmod(0o755)  # its daemon is another user, and looks for the certificate
        _use_a_mount(house, Path(directory))
    house.until(lambda: uploads(house, "mounted.log"), "the file")
    assert uploads(house, "mounted.log") == [(1, len(CONTENT), "webdav")]


def _use_a_mount(house: House, directory: Path) -> None:
    place = directory / "mount"
    place.mkdir()
    certificate, secrets, settings = (directory / name for name in ("certificate.pem", "secrets", "davfs2.conf"))
    certificate.write_bytes(Path(house.endpoints["certificate"]).read_bytes())
    certificate.chmod(0o644)
    secrets.write_text(f'{place} ann "{PASSWORD}"\n')
    secrets.chmod(0o600)
    settings.write_text(
        f"trust_server_cert {certificate}\nask_auth 0\nsecrets {secrets}\ndelay_upload 0\nuse_locks 1\n"
    )
    mounted = subprocess.run(
        ["mount.davfs", "-o", f"conf={settings}", url(house, "/dav/ACME-1/"), str(place)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if mounted.returncode != 0 and "fuse" in mounted.stderr:
        pytest.skip(f"FUSE does not work here: {mounted.stderr.strip()}")
    assert mounted.returncode == 0, mounted.stderr
    try:
        (place / "to-support" / "mounted.log").write_bytes(CONTENT)
        with (place / "to-support" / "mounted.log").open("rb") as file:
            file.seek(1000)
            assert file.read(500) == CONTENT[1000:1500]
        space = os.statvfs(place)
        assert space.f_blocks > 0
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=120, capture_output=True)


def test_engineers_read_parts_of_what_customers_sent(house: House) -> None:
    """Ranges of the scrubbed file, and no verb that changes it."""
    house.curl("ann", f"{IN}/ranges.log", "-T", str(_outbox(house)))
    row = house.until(
        lambda: house.query("SELECT * FROM upload WHERE name = 'ranges.log' AND state = 'stored'"), "the scrubbed file"
    )[0]
    status, body = house.curl("eve", f"{IN}/ranges.log", "-r", "100-199")
    assert (status, len(body)) == (206, 100)
    assert house.curl("eve", f"{IN}/ranges.log", "-X", "PROPFIND", "-H", "Depth: 0")[1].count(
        f"<D:getcontentlength>{row['scrubbed_size']}<".encode()
    )
    for method in ("DELETE", "LOCK", "MKCOL"):
        path = f"{IN}/new" if method == "MKCOL" else f"{IN}/ranges.log"
        body_of = ["--data-binary", LOCK_INFO] if method == "LOCK" else []
        assert house.curl("eve", path, "-X", method, *body_of)[0] == 403
    assert house.curl("eve", f"{IN}/ranges.log", "-X", "COPY", "-H", f"Destination: {url(house, IN)}/copy")[0] == 403


LOCK_INFO = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype></D:lockinfo>"
)


def _outbox(house: House) -> Path:
    path = house.directory / "outbox.log"
    path.write_bytes(CONTENT)
    return path


def test_locks_hold_in_every_worker(house: House) -> None:
    """Two workers serve one port: what one of them has locked is locked in the other."""
    answer = house.curl("ann", f"{IN}/locked.log", "-X", "LOCK", "--data-binary", LOCK_INFO)
    assert answer[0] == 201
    for _ in range(8):
        assert house.curl("bob", f"{IN}/locked.log", "-T", str(_outbox(house)))[0] == 423
    assert house.curl("ann", f"{IN}/locked.log", "-X", "PROPFIND", "-H", "Depth: 0")[0] == 207
    assert uploads(house, "locked.log") == []


def test_cases_of_others_are_not_there(house: House) -> None:
    """Neither listed, nor locked, nor copied from or to."""
    status, body = house.curl("ann", "/dav/", "-X", "PROPFIND", "-H", "Depth: 1")
    assert status == 207
    assert b"ACME-1" in body
    assert b"GLOBEX" not in body
    foreign = "/dav/GLOBEX-1/to-support/file"
    assert house.curl("ann", foreign, "-X", "PROPFIND", "-H", "Depth: 0")[0] == 404
    assert house.curl("ann", foreign, "-X", "LOCK", "--data-binary", LOCK_INFO)[0] in {403, 404, 409}
    house.curl("ann", f"{IN}/mine.log", "-T", str(_outbox(house)))
    for method in ("COPY", "MOVE"):
        for target, statuses in ((foreign, {404, 409}), ("/dav/ACME-2/to-support/mine.log", {422})):
            headers = ["-H", f"Destination: {url(house, target)}"]
            assert house.curl("ann", f"{IN}/mine.log", "-X", method, *headers)[0] in statuses


def test_metrics_and_audit_call_it_webdav(house: House) -> None:
    """Bytes and sessions are counted by what is spoken."""
    house.curl("ann", f"{IN}/counted.log", "-T", str(_outbox(house)))
    assert house.events("session.opened", protocol="webdav", login="ann")
    port = house.endpoints["operations"]["port"]
    done = subprocess.run(
        ["curl", "-sS", f"http://127.0.0.1:{port}/metrics"], capture_output=True, text=True, timeout=30, check=True
    )
    assert re.search(r'mft_transferred_bytes_total\{direction="in",protocol="webdav"\} [1-9]', done.stdout)
