"""What clients ask beyond version 3: OpenSSH's extensions, and digests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from protocols.errors import QuotaExceededError
from protocols.sftp.wire import Fields, OpenFlag, Reply, Request, Status, string, uint32, uint64
from tests.protocols.sftp.test_requests import NO_ATTRIBUTES, Client

if TYPE_CHECKING:
    from protocols.path import VirtualPath
    from tests.protocols.sftp.rig import Rig

CONTENT = bytes(range(256)) * 4000
NEW = OpenFlag.WRITE | OpenFlag.CREAT | OpenFlag.TRUNC
OPENSSH = {
    "posix-rename@openssh.com": "1",
    "statvfs@openssh.com": "2",
    "fstatvfs@openssh.com": "2",
    "hardlink@openssh.com": "1",
    "fsync@openssh.com": "1",
    "lsetstat@openssh.com": "1",
    "limits@openssh.com": "1",
    "expand-path@openssh.com": "1",
    "copy-data": "1",
    "home-directory": "1",
    "users-groups-by-id@openssh.com": "1",
}


@pytest.fixture
def client() -> Client:
    client = Client()
    client.tree.add("/in/file", CONTENT)
    return client


def opened(client: Client, path: bytes, flags: OpenFlag) -> bytes:
    return client.handle(Request.OPEN, string(path), uint32(flags), NO_ATTRIBUTES)


def extended(client: Client, name: str, *fields: bytes) -> Fields:
    kind, answer = client.ask(Request.EXTENDED, string(name.encode()), *fields)
    assert kind == Reply.EXTENDED
    return answer


def one_name(client: Client, name: str, text: bytes) -> bytes:
    kind, answer = client.ask(Request.EXTENDED, string(name.encode()), string(text))
    assert (kind, answer.uint32()) == (Reply.NAME, 1)
    return answer.string()


def test_all_of_openssh_s_extensions_are_told_with_their_versions(client: Client) -> None:
    """The eleven of its PROTOCOL file."""
    fields = Fields(client.greeting, 5)
    told = {}
    while fields._at < len(client.greeting):
        name = fields.string().decode()
        told[name] = fields.string().decode()
    assert told.items() >= OPENSSH.items()


@pytest.mark.parametrize(
    ("text", "path"),
    [(b"~", b"/"), (b"~/in/./x", b"/in/x"), (b"~alice/in", b"/in"), (b"in/../y", b"/y"), (b"/~", b"/~"), (b"", b"/")],
)
def test_expand_path_knows_who_is_at_home_where(client: Client, text: bytes, path: bytes) -> None:
    """A tilde is the root of one's own tree; elsewhere in a path it is a letter."""
    assert one_name(client, "expand-path@openssh.com", text) == path


@pytest.mark.parametrize("name", [b"", b"alice"])
def test_home_directory_is_the_root(client: Client, name: bytes) -> None:
    """Of whoever asks."""
    assert one_name(client, "home-directory", name) == b"/"


def test_others_homes_are_not_told(client: Client) -> None:
    """Nobody learns so which logins there are."""
    assert client.status(Request.EXTENDED, string(b"home-directory"), string(b"bob")) is Status.NO_SUCH_FILE
    assert client.status(Request.EXTENDED, string(b"expand-path@openssh.com"), string(b"~bob/x")) is Status.NO_SUCH_FILE


def test_users_and_groups_have_names_where_they_are_shown(client: Client) -> None:
    """Everything belongs to 0; other numbers have no name."""
    ids = string(uint32(0) + uint32(1000)), string(uint32(0))
    answer = extended(client, "users-groups-by-id@openssh.com", *ids)
    assert answer.string() == string(b"mft") + string(b"")
    assert answer.string() == string(b"mft")
    broken = string(b"users-groups-by-id@openssh.com"), string(b"abc"), string(b"")
    assert client.status(Request.EXTENDED, *broken) is Status.BAD_MESSAGE


@pytest.mark.parametrize(("start", "length"), [(0, 0), (1000, 0), (0, 300_000), (5, 10), (5_000_000, 0)])
def test_copy_data_copies_on_the_server(client: Client, start: int, length: int) -> None:
    """From one handle to another, up to the end where no length is given."""
    source, target = opened(client, b"/in/file", OpenFlag.READ), opened(client, b"/in/copy", NEW)
    fields = string(source), uint64(start), uint64(length), string(target), uint64(0)
    assert client.status(Request.EXTENDED, string(b"copy-data"), *fields) is Status.OK
    assert client.status(Request.CLOSE, string(target)) is Status.OK
    assert client.tree.content("/in/copy") == CONTENT[start : start + length if length else None]


@pytest.mark.parametrize(("start", "length"), [(0, len(CONTENT) + 1), (len(CONTENT), 1), (2**64 - 1, 1)])
def test_copy_of_more_than_there_is_says_so(client: Client, start: int, length: int) -> None:
    """SSH_FX_EOF, as OpenSSH's server answers; a file that lacks what was to be in it is none."""
    source, target = opened(client, b"/in/file", OpenFlag.READ), opened(client, b"/in/copy", NEW)
    fields = string(source), uint64(start), uint64(length), string(target), uint64(0)
    assert client.status(Request.EXTENDED, string(b"copy-data"), *fields) is Status.EOF
    assert client.status(Request.CLOSE, string(target)) is Status.FAILURE
    assert client.tree.content("/in/copy") is None


def test_copy_that_breaks_off_is_no_file(client: Client) -> None:
    """A read that fails midway: the copy says so, and its CLOSE, and nothing of that name is there."""
    source, target = opened(client, b"/in/file", OpenFlag.READ), opened(client, b"/in/copy", NEW)
    reads = []

    def fail(operation: str, _path: VirtualPath) -> None:
        if operation == "read":
            reads.append(operation)
            if len(reads) > 2:
                raise QuotaExceededError("too much was read")

    client.tree.before = fail
    fields = string(source), uint64(0), uint64(0), string(target), uint64(0)
    assert client.status(Request.EXTENDED, string(b"copy-data"), *fields) is Status.FAILURE
    assert client.status(Request.CLOSE, string(target)) is Status.FAILURE
    assert client.tree.content("/in/copy") is None


def test_copy_within_what_is_not_open_for_it_is_refused(client: Client) -> None:
    """A handle to read from and one to write to, nothing else."""
    target = string(opened(client, b"/in/copy", NEW))
    fields = target, uint64(0), uint64(0), target, uint64(0)
    assert client.status(Request.EXTENDED, string(b"copy-data"), *fields) is Status.FAILURE


@pytest.mark.parametrize("name", ["check-file-handle", "check-file"])
def test_check_file_of_an_open_file(client: Client, name: str) -> None:
    """The first algorithm that is known, over the range that was asked for, a digest for each block."""
    handle = string(opened(client, b"/in/file", OpenFlag.READ))
    answer = extended(client, name, handle, string(b"crc32,md5,sha256"), uint64(10), uint64(2000), uint32(1000))
    assert (answer.string(), answer.string()) == (b"check-file", b"md5")
    blocks = hashlib.md5(CONTENT[10:1010]).digest() + hashlib.md5(CONTENT[1010:2010]).digest()
    assert bytes(answer._take(32)) == blocks


def test_check_file_by_name(client: Client) -> None:
    """The whole file, where neither length nor block is given."""
    fields = string(b"/in/file"), string(b"sha256"), uint64(0), uint64(0), uint32(0)
    answer = extended(client, "check-file-name", *fields)
    assert (answer.string(), answer.string()) == (b"check-file", b"sha256")
    assert bytes(answer._take(32)) == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((b"/in/file", b"whirlpool", 0, 0), Status.OP_UNSUPPORTED),
        ((b"/in/file", b"sha256", 0, 100), Status.FAILURE),
        ((b"/in/file", b"sha256", 1 << 62, 0), Status.FAILURE),
        ((b"/in/none", b"sha256", 0, 0), Status.NO_SUCH_FILE),
        ((b"/in", b"sha256", 0, 0), Status.PERMISSION_DENIED),
    ],
    ids=["algorithm", "short block", "behind the end", "no file", "directory"],
)
def test_check_file_says_what_cannot_be(client: Client, fields: tuple[bytes, bytes, int, int], status: Status) -> None:
    """A status, and the session goes on."""
    path, algorithm, start, block = fields
    asked = string(path), string(algorithm), uint64(start), uint64(0), uint32(block)
    assert client.status(Request.EXTENDED, string(b"check-file-name"), *asked) is status
    assert client.status(Request.MKDIR, string(b"/in/on"), NO_ATTRIBUTES) is Status.OK


def test_openssh_s_cp_and_paramiko_s_check(rig: Rig) -> None:
    """The clients that have these extensions use them."""
    done = rig.sftp("cp /out/report.txt /in/copy", "ls -l /in/copy")
    assert done.returncode == 0, done.stderr
    assert rig.tree.content("/in/copy") == rig.tree.content("/out/report.txt")
    client = rig.paramiko()
    try:
        with client.open("/out/report.txt") as file:
            assert file.check("sha256") == hashlib.sha256(rig.tree.content("/out/report.txt") or b"").digest()
    finally:
        client.get_channel().get_transport().close()  # type: ignore[union-attr]
