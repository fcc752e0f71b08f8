"""Commands in a channel: legacy scp both ways, digests, and what looks for a shell; nothing is executed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from protocols.errors import QuotaExceededError
from protocols.sftp.commands import DigestCommand, SayCommand, ScpCommand, parse_command
from tests.contracts.head import MEGABYTE, PATIENCE, REPORT, until

if TYPE_CHECKING:
    import paramiko

    from protocols.path import VirtualPath
    from tests.protocols.sftp.rig import Rig

SHA256 = hashlib.sha256(REPORT).hexdigest()


@pytest.mark.parametrize(
    ("command", "parsed"),
    [
        ("md5sum /a", DigestCommand(program="md5sum", algorithm="md5", paths=("/a",))),
        ("sha256sum -b -- '-x y' \\$z", DigestCommand(program="sha256sum", algorithm="sha256", paths=("-x y", "$z"))),
        ("sha1sum", DigestCommand(program="sha1sum", algorithm="sha1")),
        ("echo 'abc' | md5sum", DigestCommand(program="md5sum", algorithm="md5", given=b"abc\n")),
        ("echo ${ShellId}%ComSpec%", SayCommand(text="%ComSpec%\n")),
        ("type sha256sum", SayCommand(text="sha256sum\n")),
        ("command -v bash", SayCommand(text="", status=1)),
        ("scp -t /in", ScpCommand(to_here=True, paths=("/in",))),
        (
            "scp -v -rp -d -t -- /in",
            ScpCommand(to_here=True, paths=("/in",), recursive=True, keeps_times=True, into_directory=True),
        ),
        ("scp -f '/a b' /c", ScpCommand(to_here=False, paths=("/a b", "/c"))),
    ],
)
def test_command_is_taken_apart(command: str, parsed: object) -> None:
    """As sh would part and unquote its words, and without one."""
    assert parse_command(command) == parsed


@pytest.mark.parametrize(
    "command",
    [
        "", "ls", "sh", "bash -c id", "md5sum /a; id", "md5sum /a && id", "md5sum $(id) | sh",
        "sha256sum < /etc/passwd",
        "md5sum /a > /b", "echo $(id)", "echo x | sh", "echo x; id | md5sum", "scp", "scp -t", "scp -t -f /a",
        "scp -t /a /b", "scp -S sh -t /a", "scp /a /b", "md5sum 'open", "md5sum --check /a", "rsync --server .",
        "type", "/usr/bin/md5sum /a", "cat /a", "x" * 20_000,
    ],
)  # fmt: skip
def test_any_other_command_is_refused(command: str) -> None:
    """Whatever else it is, and whatever is hung on to one that is known."""
    assert parse_command(command) is None


def ran(rig: Rig, command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run *command* by OpenSSH's client."""
    words = ["ssh", *rig.ssh_options(), "-p", str(rig.port), "alice@127.0.0.1", command]
    return subprocess.run(words, input=stdin, capture_output=True, timeout=PATIENCE, check=False)


def test_digest_of_a_file_is_told(rig: Rig) -> None:
    """In the form of coreutils, for each path; what is wrong goes to the errors and to the status."""
    done = ran(rig, "sha256sum /out/report.txt /out/none")
    assert done.stdout.decode() == f"{SHA256}  /out/report.txt\n"
    assert b"/out/none does not exist" in done.stderr
    assert done.returncode == 1


def test_digest_of_what_comes_in_is_told(rig: Rig) -> None:
    """What rclone asks to find out which digests there are."""
    assert ran(rig, "md5sum", b"").stdout == b"d41d8cd98f00b204e9800998ecf8427e  -\n"
    assert ran(rig, "sha256sum", REPORT).stdout.decode() == f"{SHA256}  -\n"


def test_shell_and_other_commands_are_refused(rig: Rig) -> None:
    """By a failed request; the connection goes on."""
    assert b"exec request failed" in ran(rig, "id").stderr
    transport = rig.transport()
    try:
        for ask in (lambda channel: channel.invoke_shell(), lambda channel: channel.get_pty()):
            channel = transport.open_session()
            with pytest.raises(Exception, match=r"(?i)rejected|closed|failed"):
                ask(channel)
        assert transport.is_active()
    finally:
        transport.close()


def scp(rig: Rig, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `scp -O`; a word that begins with a colon is a path on the server."""
    paths = [f"alice@127.0.0.1{word}" if word.startswith(":") else word for word in words]
    command = ["scp", "-O", *rig.ssh_options(), "-P", str(rig.port), *paths]
    return subprocess.run(command, cwd=rig.directory, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_legacy_scp_sends_files(rig: Rig) -> None:
    """Into a directory and under a name, with their times; the status is 0."""
    (rig.directory / "big").write_bytes(MEGABYTE)
    (rig.directory / "empty").touch()
    os.utime(rig.directory / "big", (1_600_000_000, 1_600_000_000))
    done = scp(rig, "-p", "big", "empty", ":/in")
    assert (done.returncode, done.stderr) == (0, "")
    assert scp(rig, "big", ":'/in/other name'").returncode == 0
    assert rig.tree.content("/in/big") == rig.tree.content("/in/other name") == MEGABYTE
    assert rig.tree.content("/in/empty") == b""
    assert rig.tree.files["in", "big"].modified == 1_600_000_000


def test_legacy_scp_sends_and_fetches_trees(rig: Rig) -> None:
    """A directory with what is below it, there and back, with times."""
    below = rig.directory / "tree" / "sub"
    below.mkdir(parents=True)
    (below / "file").write_bytes(REPORT)
    (rig.directory / "tree" / "big").write_bytes(MEGABYTE)
    assert scp(rig, "-r", "tree", ":/in").returncode == 0
    assert scp(rig, "-r", "tree", ":/in/renamed").returncode == 0
    assert rig.tree.content("/in/tree/sub/file") == rig.tree.content("/in/renamed/sub/file") == REPORT
    done = scp(rig, "-rp", ":/in/tree", "back")
    assert (done.returncode, done.stderr) == (0, "")
    assert (rig.directory / "back" / "sub" / "file").read_bytes() == REPORT
    assert (rig.directory / "back" / "big").read_bytes() == MEGABYTE


def test_legacy_scp_fetches_files(rig: Rig) -> None:
    """One, several, and those that a pattern fits."""
    rig.tree.add("/in/a.log", b"a")
    rig.tree.add("/in/b.log", MEGABYTE)
    rig.tree.add("/in/c.txt", b"c")
    done = scp(rig, ":/in/*.log", ":/out/report.txt", ".")
    assert (done.returncode, done.stderr) == (0, "")
    assert (rig.directory / "b.log").read_bytes() == MEGABYTE
    assert (rig.directory / "report.txt").read_bytes() == REPORT
    assert not (rig.directory / "c.txt").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((":/out/none", "."), "does not exist"),
        ((":/out", "."), "-r"),
        (("file", ":/out"), "read"),
        (("file", ":/none/file"), "scp: /none/file: "),
    ],
)
def test_legacy_scp_says_what_cannot_be(rig: Rig, words: tuple[str, str], told: str) -> None:
    """A status that is not 0 and a reason."""
    (rig.directory / "file").write_bytes(b"content")
    done = scp(rig, *words)
    assert done.returncode == 1
    assert told in done.stderr
    assert rig.tree.happened("landed") == []


@pytest.fixture
def sink(rig: Rig) -> paramiko.Channel:
    """A channel in which `scp -t` waits for files."""
    channel = rig.transport().open_session()
    channel.settimeout(PATIENCE)
    channel.exec_command("scp -r -t /in")
    assert channel.recv(1) == b"\0"
    return channel


@pytest.mark.parametrize("name", [b"..", b".", b"a/b", b"../up", b"a\0b", b"\xff", b"a\\b", b"n" * 256])
@pytest.mark.parametrize("kind", [b"C0644 3 ", b"D0755 0 "])
def test_name_that_is_none_is_refused_by_scp(rig: Rig, sink: paramiko.Channel, kind: bytes, name: bytes) -> None:
    """With a warning; nothing is made, and the next file is taken."""
    sink.sendall(kind + name + b"\n")
    assert sink.recv(1) == b"\1"
    while sink.recv(1) != b"\n":
        pass
    sink.sendall(b"C0644 3 good\nabc\0")
    until(lambda: rig.tree.content("/in/good") == b"abc")
    assert [path for path, _ in rig.tree.happened("landed")] == ["/in/good"]
    sink.get_transport().close()


@pytest.mark.parametrize("end", ["eof", "close", "reset"])
def test_file_that_does_not_come_whole_by_scp_is_no_file(rig: Rig, sink: paramiko.Channel, end: str) -> None:
    """However its channel ends before its last byte."""
    sink.sendall(b"C0644 100 cut\n" + b"x" * 99)
    assert sink.recv(1) == b"\0"
    until(lambda: rig.tree.received("alice", "/in/cut") == b"x" * 99)
    match end:
        case "eof":
            sink.shutdown_write()
        case "close":
            sink.close()
        case _:
            sink.get_transport().close()
    until(lambda: rig.tree.happened("aborted"))
    assert rig.tree.content("/in/cut") is None
    sink.get_transport().close()


def test_file_that_its_sender_could_not_read_is_no_file(rig: Rig, sink: paramiko.Channel) -> None:
    """All bytes come, and then that they are not those of the file."""
    sink.sendall(b"C0644 3 bad\nabc\1scp: bad: read: error\n")
    until(lambda: rig.tree.happened("aborted"))
    assert rig.tree.content("/in/bad") is None
    sink.get_transport().close()


@pytest.mark.parametrize("noise", [b"X\n", b"C0644 x y\n", b"C0644 -1 y\n", b"E\n", b"T1\n", b"C" + b"9" * 10_000])
def test_what_is_not_scp_ends_the_channel(rig: Rig, sink: paramiko.Channel, noise: bytes) -> None:
    """With status 1 and nothing made; the server goes on."""
    sink.sendall(noise)
    assert sink.recv_exit_status() == 1
    assert rig.tree.happened("landed") == []
    sink.get_transport().close()
    assert rig.sftp("ls /").returncode == 0


def test_quota_that_is_used_up_is_told_by_scp_and_the_next_file_is_taken(rig: Rig) -> None:
    """One file fails with its reason, others go on, the status says that not all went well."""

    def refuse(operation: str, path: VirtualPath) -> None:
        if operation == "write" and path.name == "one":
            raise QuotaExceededError("the quota of this case is used up")

    rig.tree.before = refuse
    for name in ("one", "two"):
        (rig.directory / name).write_bytes(MEGABYTE)
    done = scp(rig, "one", "two", ":/in")
    assert done.returncode == 1
    assert "quota" in done.stderr
    assert (rig.tree.content("/in/one"), rig.tree.content("/in/two")) == (None, MEGABYTE)
