"""OpenSSH's own programs as clients."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.contracts.head import MEGABYTE, PATIENCE, REPORT, until

if TYPE_CHECKING:
    from tests.protocols.sftp.rig import Rig


def test_sftp_does_what_people_do_with_it(rig: Rig) -> None:
    """List, put, get, rename, make and remove in one batch, each as it should be."""
    (rig.directory / "big").write_bytes(MEGABYTE)
    (rig.directory / "empty").write_bytes(b"")
    done = rig.sftp(
        "ls -la /",
        "cd in",
        "pwd",
        "put -p big",
        "put empty",
        "ls -l big",
        "get big back",
        "get /out/report.txt report",
        "mkdir sub",
        "rename big sub/renamed",
        "ls -1 /in/sub",
        "rm empty",
        "rm sub/renamed",
        "rmdir sub",
        "df",
    )
    assert done.returncode == 0, done.stderr
    assert "Remote working directory: /in" in done.stdout
    assert re.search(r"drwxr-xr-x    [1?] mft      mft", done.stdout)  # who knows owners' names draws the line itself
    assert "\n/in/sub/renamed" in done.stdout
    assert (rig.directory / "back").read_bytes() == MEGABYTE
    assert (rig.directory / "report").read_bytes() == REPORT
    assert [path for path, _ in rig.tree.happened("landed")] == ["/in/big", "/in/empty"]
    assert ("in", "sub") not in rig.tree.directories


def test_sftp_keeps_times_with_p(rig: Rig) -> None:
    """`put -p` keeps the modification time beside the file."""
    source = rig.directory / "file"
    source.write_bytes(b"content")
    os.utime(source, (1_600_000_000, 1_600_000_000))
    assert rig.sftp("put -p file /in/file").returncode == 0
    assert rig.tree.files["in", "file"].modified == 1_600_000_000


@pytest.mark.parametrize(
    "line",
    [
        "put file /in/none/file",
        "put file /out/file",
        "get /in/none",
        "ls /none",
        "cd /none",
        "mkdir /out/new",
        "rm /out/report.txt",
        "rename /out/report.txt /out/other",
        "ln -s /out/report.txt /in/link",
        "ln /out/report.txt /in/link",
    ],
)
def test_sftp_fails_on_what_is_refused(rig: Rig, line: str) -> None:
    """A refusal makes the batch fail and leaves everything as it was."""
    (rig.directory / "file").write_bytes(b"content")
    assert rig.sftp(line).returncode == 1
    assert rig.tree.content("/out/report.txt") == REPORT
    assert rig.tree.happened("landed") == []


def test_reput_goes_on_in_a_new_connection(rig: Rig) -> None:
    """`reput` appends from the size that `stat` shows, and ends in a whole file."""
    (rig.directory / "big").write_bytes(MEGABYTE + b"tail")
    client = rig.paramiko()
    file = client.open("/in/big", "wb")
    file.write(MEGABYTE)
    client.get_channel().get_transport().close()
    until(lambda: rig.tree.happened("aborted"))
    done = rig.sftp("ls -l /in/big", "reput big /in/big")
    assert done.returncode == 0, done.stderr
    assert str(len(MEGABYTE) - 1) in done.stdout
    assert rig.tree.content("/in/big") == MEGABYTE + b"tail"


def test_reget_goes_on_where_the_local_file_ends(rig: Rig) -> None:
    """`reget` reads from the middle."""
    (rig.directory / "report").write_bytes(REPORT[:1000])
    assert rig.sftp("reget /out/report.txt report").returncode == 0
    assert (rig.directory / "report").read_bytes() == REPORT


def test_a_listing_of_ten_thousand_is_complete(rig: Rig) -> None:
    """A large directory lists whole, in order."""
    names = [f"file-{number:05d}" for number in range(10_000)]
    for name in names:
        rig.tree.add(f"/in/{name}", b"")
    done = rig.sftp("ls -1 /in")
    assert [line.removeprefix("/in/") for line in done.stdout.splitlines()[1:]] == names


@pytest.mark.parametrize("scp", [["scp"], ["scp", "-p"]], ids=["scp", "scp -p"])
def test_scp_over_sftp_ends_with_success(rig: Rig, scp: list[str]) -> None:
    """Today's scp asks for an exit status of 0."""
    (rig.directory / "file").write_bytes(MEGABYTE)
    command = [*scp, *rig.ssh_options(), "-P", str(rig.port)]
    where = "alice@127.0.0.1:/in/file with 'quote"
    up = subprocess.run([*command, "file", where], cwd=rig.directory, timeout=PATIENCE, check=False)
    down = subprocess.run([*command, where, "back"], cwd=rig.directory, timeout=PATIENCE, check=False)
    assert (up.returncode, down.returncode) == (0, 0)
    assert (rig.directory / "back").read_bytes() == MEGABYTE


@pytest.mark.parametrize(
    "arguments",
    [[], ["id"], ["-s", "netconf"], ["-tt", "id"], ["-N", "-R", "0:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes"]],
    ids=["shell", "exec", "subsystem", "pty", "remote forwarding"],
)
def test_nothing_but_sftp_runs(rig: Rig, arguments: list[str]) -> None:
    """No shell, no command, no other subsystem, no forwarding."""
    options, command = (arguments, []) if "-N" in arguments else (arguments[:-1], arguments[-1:])
    done = subprocess.run(
        ["ssh", *rig.ssh_options(), *options, "-p", str(rig.port), "alice@127.0.0.1", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    assert b"uid=" not in done.stdout


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])
def test_every_cipher_of_a_client_carries_the_bytes(rig: Rig, cipher: str) -> None:
    """Up and down give the same bytes whatever the client prefers."""
    (rig.directory / "file").write_bytes(MEGABYTE)
    command = rig.sftp_command()
    command[1:1] = ["-o", f"Ciphers={cipher}"]
    subprocess.run(
        command, input=b"put file /in/file\nget /in/file back\n", cwd=rig.directory, timeout=PATIENCE, check=True
    )
    assert (rig.directory / "back").read_bytes() == MEGABYTE


def test_a_rekey_in_the_middle_of_a_transfer_harms_nothing(rig: Rig) -> None:
    """New keys every 256 KiB, asked for by the client."""
    (rig.directory / "file").write_bytes(MEGABYTE)
    command = rig.sftp_command()
    command[1:1] = ["-o", "RekeyLimit=256K"]
    subprocess.run(
        command, input=b"put file /in/file\nget /in/file back\n", cwd=rig.directory, timeout=PATIENCE, check=True
    )
    assert (rig.directory / "back").read_bytes() == MEGABYTE
