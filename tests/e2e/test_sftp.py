"""SFTP with the programs that customers have, what an auditor says of it, and connections that do nothing."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.house import House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
IN = "/ACME-1/to-support"
SECONDS = 100
WORKERS, OF_ONE_LOGIN, OF_ONE_ADDRESS = 2, 6, 50
HALF_OPEN = 2000
CONTENT = hashlib.shake_256(b"sftp").digest(3_000_017)
QUANTUM = "does not provide protection against post-quantum attacks"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with two workers and low limits; each test uses names of its own."""
    limits = {"sessions_per_login": OF_ONE_LOGIN}
    waiting = {"unauthenticated_per_address": OF_ONE_ADDRESS}
    with running_house(tmp_path_factory.mktemp("house"), limits=limits, sftp=waiting) as house:
        yield house


def run(house: House, *command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a client in the house's directory."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=house.directory,
        env={**os.environ, "HOME": str(house.directory), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def ssh(house: House) -> list[str]:
    """Return the options of OpenSSH's programs, without the port."""
    return house.sftp_command("ann")[1 : house.sftp_command("ann").index("-P")]


def needs(*programs: str) -> None:
    """Skip the test where a program is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def test_auditor_has_nothing_against_it(house: House) -> None:
    """Of what is offered ssh-audit names nothing but key exchanges that a quantum computer could break."""
    if importlib.util.find_spec("ssh_audit") is None:
        pytest.skip("ssh-audit is not installed")
    target = f"127.0.0.1:{house.port('sftp')}"
    done = run(house, sys.executable, "-m", "ssh_audit", "-jj", "--skip-rate-test", target)
    report = json.loads(done.stdout)
    assert report["kex"]
    assert report["key"]
    assert report["cves"] == []
    for kind in ("kex", "key", "enc", "mac"):
        for each in report[kind]:
            notes = each["notes"]
            assert "fail" not in notes, each
            assert kind == "kex" or "warn" not in notes, each
            assert set(notes.get("warn", [])) <= {QUANTUM}, each
    assert any(each["algorithm"] == "kex-strict-s-v00@openssh.com" for each in report["kex"])


def test_house_answers_while_thousands_wait_half_open(house: House) -> None:
    """Two thousand connections say nothing, or their version and no more; who comes after them is served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < HALF_OPEN + 200:
        pytest.skip(f"this process may have {hard} open files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, HALF_OPEN + 200), hard))
    try:
        with half_open(house.port("sftp"), HALF_OPEN) as waiting:
            done = house.sftp("ann", f"ls -1 {IN}", "pwd")
            assert done.returncode == 0, done.stderr
            assert "/" in done.stdout
            house.until(lambda: sum(map(is_open, waiting)) <= WORKERS * OF_ONE_ADDRESS, "most of them to be let go")
        assert "connection_gave_way" in house.log.read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def half_open(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open *count* connections that go no further, every other one with a version."""
    waiting: list[socket.socket] = []
    try:
        for number in range(count):
            sock = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
            waiting.append(sock)
            if number % 2:
                with contextlib.suppress(OSError):
                    sock.sendall(b"SSH-2.0-waiting\r\n")
        yield waiting
    finally:
        for sock in waiting:
            sock.close()


def is_open(sock: socket.socket) -> bool:
    """Say whether the server still holds a connection."""
    sock.setblocking(False)
    try:
        while sock.recv(4096):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def test_sshfs_writes_and_reads_anywhere(house: House, tmp_path: Path) -> None:
    """A mounted folder: a file is copied in, read back from any offset, renamed, and listed."""
    needs("sshfs")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse is not to be had")
    place = tmp_path / "mount"
    place.mkdir()
    done = run(house, "sshfs", f"ann@127.0.0.1:{IN}", place, *ssh(house)[2:], "-p", house.port("sftp"))
    if done.returncode != 0 and "fuse" in done.stderr:
        pytest.skip(f"nothing may be mounted here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    try:
        (place / "mounted.bin").write_bytes(CONTENT)
        # sshfs may show for its 20 s of memory what it was told before the last write
        house.until(lambda: (place / "mounted.bin").stat().st_size == len(CONTENT), "its size")
        (place / "mounted.bin").rename(place / "renamed.bin")
        with (place / "renamed.bin").open("rb") as file:
            for offset in (2_999_000, 0, 1_234_567, 65_535):
                assert os.pread(file.fileno(), 70_000, offset) == CONTENT[offset : offset + 70_000]
        assert "renamed.bin" in {path.name for path in place.iterdir()}
        with pytest.raises(OSError, match=r"denied|permitted"):
            os.link(place / "renamed.bin", place / "linked.bin")
    finally:
        subprocess.run(["umount", "-l", place], check=True, timeout=SECONDS)
    assert house.query("SELECT size FROM upload WHERE name = 'renamed.bin'") or house.query(
        "SELECT name FROM node WHERE name = 'renamed.bin'"
    )


def test_rclone_copies_and_compares(house: House, tmp_path: Path) -> None:
    """There, there again without sending, compared by digest, and back."""
    needs("rclone")
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for number in range(4):
        (tree / "sub" / f"{number}.bin").write_bytes(CONTENT[number : 200_000 + number])
    remote = f":sftp,host=127.0.0.1,port={house.port('sftp')},user=ann,key_file={house.key},shell_type=unix:{IN}/rclone"
    assert run(house, "rclone", "copy", tree, remote, "--transfers", "4").returncode == 0
    again = run(house, "rclone", "copy", tree, remote, "-v", "--stats-one-line")
    assert again.returncode == 0, again.stderr
    assert "Copied (" not in again.stderr
    checked = run(house, "rclone", "check", tree, remote, "--download")
    assert checked.returncode == 0, checked.stderr
    back = tmp_path / "back"
    assert run(house, "rclone", "copy", remote, back).returncode == 0
    assert (back / "sub" / "3.bin").read_bytes() == CONTENT[3:200_003]


def test_lftp_mirrors_and_goes_on_with_what_was_cut(house: House, tmp_path: Path) -> None:
    """Several files at a time up and down; a cut upload by `put -c`, a cut download by `get -c`."""
    needs("lftp")
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(4):
        (tree / f"{number}.bin").write_bytes(CONTENT[number : 300_000 + number])
    (tmp_path / "whole.bin").write_bytes(CONTENT)
    with house.client("ann") as client, client.open(f"{IN}/lftp-cut.bin", "wb") as file:
        file.write(CONTENT[:1_000_000])
        file.flush()
        client.get_channel().get_transport().close()  # type: ignore[union-attr]
    (tmp_path / "half.bin").write_bytes(CONTENT[:500_000])
    house.until(lambda: house.query("SELECT 1 FROM upload WHERE state = 'interrupted'"), "the interruption")
    script = (
        f'set sftp:connect-program "ssh -a -x {" ".join(ssh(house))}"; set net:max-retries 2; '
        f"open -u ann, -p {house.port('sftp')} sftp://127.0.0.1; "
        f"mirror -R -P 4 {tree} {IN}/lftp; mirror -P 4 {IN}/lftp {tmp_path}/back; "
        f"put -c {tmp_path}/whole.bin -o {IN}/lftp-cut.bin; get -c {IN}/lftp-cut.bin -o {tmp_path}/half.bin"
    )
    done = run(house, "lftp", "-c", script)
    assert done.returncode == 0, done.stderr
    for number in range(4):
        assert (tmp_path / "back" / f"{number}.bin").read_bytes() == CONTENT[number : 300_000 + number]
    assert (tmp_path / "half.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("old", [["-O"], []], ids=["of-old", "over-sftp"])
def test_scp_goes_there_and_back(house: House, tmp_path: Path, old: list[str]) -> None:
    """Both protocols of scp, a folder with times; a file that is sent once more, shorter, is its next version."""
    needs("scp")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "one.bin").write_bytes(CONTENT)
    os.utime(tree / "one.bin", (1_700_000_000, 1_700_000_000))
    place = f"ann@127.0.0.1:{IN}/scp{'-'.join(old)}"
    command = ["scp", "-q", *old, *ssh(house), "-P", house.port("sftp"), "-r", "-p"]
    there = run(house, *command, tree, place)
    assert there.returncode == 0, there.stderr
    back = run(house, *command, place, tmp_path / "back")
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "back" / "one.bin").read_bytes() == CONTENT
    assert int((tmp_path / "back" / "one.bin").stat().st_mtime) == 1_700_000_000
    (tree / "one.bin").write_bytes(CONTENT[:1000])
    again = run(house, *command, tree / "one.bin", place)
    assert again.returncode == 0, again.stderr
    run(house, *command, f"{place}/one.bin", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == CONTENT[:1000]


def test_keys_change_every_megabyte_both_ways(house: House, tmp_path: Path) -> None:
    """OpenSSH asks for new keys in the middle of what it sends and of what it gets."""
    (tmp_path / "sent.bin").write_bytes(CONTENT * 3)
    command = house.sftp_command("ann", "eu", "-o", "RekeyLimit=1M")
    batch = f"put {tmp_path}/sent.bin {IN}/rekeyed.bin\nget {IN}/rekeyed.bin {tmp_path}/back.bin\n"
    done = subprocess.run(command, input=batch, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back.bin").read_bytes() == CONTENT * 3


def test_sessions_of_one_login_are_bounded(house: House) -> None:
    """More than `limits.sessions_per_login` of one login are refused; others still come in."""
    needs("sftp")
    with contextlib.ExitStack() as stack:
        refused = None
        for _ in range(WORKERS * OF_ONE_LOGIN + 1):
            try:
                stack.enter_context(house.client("bob"))
            except Exception as error:  # noqa: BLE001 - whatever paramiko makes of it
                refused = error
                break
        assert refused is not None
        told = (house.sftp("bob", "pwd").stderr for _ in range(60))  # the workers take turns, and each counts its own
        assert any("too many sessions are open for this login" in text for text in told)
        assert house.sftp("ann", "pwd").returncode == 0
    limit = time.monotonic() + SECONDS
    while house.sftp("bob", "pwd").returncode and time.monotonic() < limit:
        time.sleep(0.1)
    assert house.sftp("bob", "pwd").returncode == 0
