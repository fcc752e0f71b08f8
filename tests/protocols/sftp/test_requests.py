"""What each request does, packet for packet, without a socket."""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import LockedError, QuotaExceededError, UnavailableError
from protocols.path import parse_path
from protocols.session import Origin, Session
from protocols.sftp.attrs import parse_attributes
from protocols.sftp.requests import Requests
from protocols.sftp.settings import SilentObserver
from protocols.sftp.wire import (
    DATA_HEAD_BYTES,
    MAX_DATA,
    BrokenStreamError,
    Fields,
    OpenFlag,
    Reply,
    Request,
    Status,
    data_reply,
    string,
    uint32,
    uint64,
)
from tests.protocols.memory import MemoryFileSystem, MemoryTree

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.sftp.attrs import Names
    from protocols.sftp.requests import Packet

NO_ATTRIBUTES = uint32(0)
READ, WRITE, APPEND, CREAT, TRUNC, EXCL = OpenFlag
ORIGIN = Origin(protocol="sftp", peer="192.0.2.1", region="eu")


class Client:
    """Speaks SFTP to a `Requests`, one request at a time."""

    def __init__(self, tree: MemoryTree | None = None, login: str = "alice", **options: Any) -> None:
        self.tree = tree or MemoryTree("/in")
        self.session = Session(
            session_id="s-1",
            login=login,
            origin=ORIGIN,
            started=datetime.now(UTC),
            filesystem=MemoryFileSystem(self.tree, login),
            on_close=lambda reason: None,
        )
        self.requests = Requests(self.session, SilentObserver(), **options)
        self.greeting = self.send(bytes((Request.INIT,)) + uint32(3))

    def send(self, packet: bytes) -> bytes:
        (answer,) = self.requests.answer(deque([bytearray(packet)]))
        assert int.from_bytes(answer[:4], "big") == len(answer) - 4
        return answer[4:]

    def ask(self, kind: Request, *fields: bytes) -> tuple[int, Fields]:
        answer = self.send(bytes((kind,)) + uint32(7) + b"".join(fields))
        assert answer[1:5] == uint32(7)
        return answer[0], Fields(answer, 5)

    def status(self, kind: Request, *fields: bytes) -> Status:
        return self.status_and_text(kind, *fields)[0]

    def status_and_text(self, kind: Request, *fields: bytes) -> tuple[Status, str]:
        reply, answer = self.ask(kind, *fields)
        assert reply == Reply.STATUS
        return Status(answer.uint32()), answer.string().decode()

    def handle(self, kind: Request, *fields: bytes) -> bytes:
        reply, answer = self.ask(kind, *fields)
        assert reply == Reply.HANDLE, Fields(bytes(answer._view), 9).string()
        return answer.string()

    def open(self, path: str, flags: int) -> bytes:
        return self.handle(Request.OPEN, string(path.encode()), uint32(flags), NO_ATTRIBUTES)

    def open_status(self, path: str, flags: int) -> Status:
        return self.status(Request.OPEN, string(path.encode()), uint32(flags), NO_ATTRIBUTES)

    def write(self, handle: bytes, offset: int, data: bytes) -> Status:
        return self.status(Request.WRITE, string(handle), uint64(offset), string(data))

    def close(self, handle: bytes) -> Status:
        return self.status(Request.CLOSE, string(handle))

    def size(self, handle: bytes) -> int:
        reply, answer = self.ask(Request.FSTAT, string(handle))
        assert reply == Reply.ATTRS
        answer.uint32()
        return answer.uint64()


@pytest.fixture
def client() -> Client:
    """A client that has said INIT."""
    return Client()


def test_init_tells_version_3_and_what_is_there(client: Client) -> None:
    """The greeting names the extensions that are served, and no other."""
    fields = Fields(client.greeting, 1)
    assert (client.greeting[0], fields.uint32()) == (Reply.VERSION, 3)
    names = set()
    while fields._at < len(client.greeting):
        names.add(fields.string().decode())
        fields.string()
    assert "statvfs@openssh.com" in names
    assert "check-file-name" in names
    assert "vendor-id" not in names


@pytest.mark.parametrize("packet", [b"\x03", b"\x03\0\0\0", bytes((Request.INIT,)) + uint32(3)])
def test_a_packet_without_an_id_or_a_second_init_breaks_the_stream(client: Client, packet: bytes) -> None:
    """What no reply can be made to ends the channel."""
    with pytest.raises(BrokenStreamError):
        client.send(packet)


def test_a_request_before_init_breaks_the_stream() -> None:
    """Nothing is done before the greeting."""
    client = Client()
    fresh = Requests(client.session, SilentObserver())
    with pytest.raises(BrokenStreamError):
        fresh.answer(deque([bytearray(bytes((Request.MKDIR,)) + uint32(1) + string(b"/in/x") + NO_ATTRIBUTES)]))


def test_writes_in_any_order_make_the_file(client: Client) -> None:
    """Pipelined writes may overtake one another."""
    handle = client.open("/in/f", WRITE | CREAT | TRUNC)
    for offset, data in ((6, b"world"), (0, b"hel"), (3, b"lo ")):
        assert client.write(handle, offset, data) is Status.OK
    assert client.close(handle) is Status.OK
    assert client.tree.content("/in/f") == b"hello world"


def test_a_close_with_a_hole_fails_and_publishes_nothing(client: Client) -> None:
    """A file of which bytes in between are missing is not whole."""
    handle = client.open("/in/f", WRITE | CREAT | TRUNC)
    client.write(handle, 5, b"tail")
    assert client.close(handle) is Status.FAILURE
    assert client.tree.content("/in/f") is None
    assert client.tree.happened("aborted")


def test_a_close_after_a_failed_write_fails_though_the_client_does_not_care(client: Client) -> None:
    """One refused write is enough: what follows, and the close, are refused with the same reason."""
    handle = client.open("/in/f", WRITE | CREAT | TRUNC)
    assert client.write(handle, 0, b"begin") is Status.OK
    client.tree.quota = 0
    assert client.write(handle, 5, b"middle") is Status.FAILURE
    client.tree.quota = None
    assert client.write(handle, 11, b"end") is Status.FAILURE
    status, text = client.status_and_text(Request.CLOSE, string(handle))
    assert (status, "quota" in text) == (Status.FAILURE, True)
    assert client.tree.content("/in/f") is None
    assert client.status(Request.CLOSE, string(handle)) is Status.FAILURE


def test_a_failing_commit_reaches_the_client_and_is_aborted(client: Client) -> None:
    """CLOSE is the only place where a client learns it."""

    def fail(operation: str, path: object) -> None:
        if operation == "commit":
            raise UnavailableError("the catalog does not answer")

    handle = client.open("/in/f", WRITE | CREAT)
    client.write(handle, 0, b"data")
    client.tree.before = fail
    assert client.status_and_text(Request.CLOSE, string(handle)) == (Status.FAILURE, "the catalog does not answer")
    assert client.tree.content("/in/f") is None
    assert len(client.tree.happened("aborted")) == 1


def test_abandon_aborts_every_upload_once(client: Client) -> None:
    """What is open when the channel ends is interrupted, and a second end does nothing."""
    for name in ("a", "b"):
        client.write(client.open(f"/in/{name}", WRITE | CREAT), 0, b"data")
    client.requests.abandon("connection lost")
    client.requests.abandon("again")
    assert client.tree.happened("aborted") == [("/in/a", "connection lost"), ("/in/b", "connection lost")]
    assert client.tree.happened("landed") == []


@pytest.mark.parametrize(
    ("flags", "outcome"),
    [
        (READ, Status.OK),
        (0, Status.OK),
        (WRITE | CREAT | TRUNC, Status.OK),
        (WRITE | TRUNC, Status.OK),
        (READ | WRITE | CREAT | TRUNC, Status.OK),
        (WRITE | CREAT | EXCL, Status.FAILURE),
        (READ | WRITE, Status.PERMISSION_DENIED),
        (READ | WRITE | CREAT, Status.PERMISSION_DENIED),
        (WRITE | CREAT, Status.OK),
        (WRITE | CREAT | APPEND, Status.PERMISSION_DENIED),
    ],
)
def test_open_of_a_file_that_is_there(client: Client, flags: int, outcome: Status) -> None:
    """A whole file is read or replaced, never changed in place."""
    client.tree.add("/in/f", b"content")
    reply, fields = client.ask(Request.OPEN, string(b"/in/f"), uint32(flags), NO_ATTRIBUTES)
    assert (Status.OK if reply == Reply.HANDLE else fields.uint32()) == outcome


@pytest.mark.parametrize(
    ("flags", "outcome"),
    [
        (READ, Status.NO_SUCH_FILE),
        (WRITE, Status.NO_SUCH_FILE),
        (WRITE | TRUNC, Status.NO_SUCH_FILE),
        (READ | WRITE, Status.NO_SUCH_FILE),
        (WRITE | CREAT, Status.OK),
        (WRITE | CREAT | EXCL, Status.OK),
        (READ | WRITE | CREAT, Status.OK),
        (READ | WRITE | CREAT | TRUNC, Status.OK),
        (WRITE | CREAT | APPEND, Status.OK),
    ],
)
def test_open_of_a_file_that_is_not_there(client: Client, flags: int, outcome: Status) -> None:
    """Only CREAT and EXCL make one."""
    reply, fields = client.ask(Request.OPEN, string(b"/in/f"), uint32(flags), NO_ATTRIBUTES)
    assert (Status.OK if reply == Reply.HANDLE else fields.uint32()) == outcome


def _partial(tree: MemoryTree, content: bytes) -> None:
    client = Client(tree)
    client.write(client.open("/in/f", WRITE | CREAT | TRUNC), 0, content)
    client.requests.abandon("cut")


@pytest.mark.parametrize(
    ("flags", "offset"),
    [(WRITE | CREAT, 9), (WRITE | CREAT | APPEND, 9), (WRITE | CREAT | APPEND, 0), (READ | WRITE, 9)],
    ids=["write at", "append at what stat shows", "append at 0", "read and write"],
)
def test_a_partial_is_resumed_at_the_right_place(flags: int, offset: int) -> None:
    """`stat` shows 9 of the 10 bytes that came: who begins there overlaps, who appends blindly goes on after them."""
    client = Client()
    _partial(client.tree, b"0123456789")
    handle = client.open("/in/f", flags)
    whole = b"0123456789ABCDEF"
    client.write(handle, offset, whole[9:12] if offset else whole[10:12])
    client.write(handle, 12 if offset else 0, whole[12:])
    assert client.close(handle) is Status.OK
    assert client.tree.content("/in/f") == whole


def test_an_append_beyond_what_is_here_is_refused() -> None:
    """It would leave a hole that nobody would ever fill."""
    client = Client()
    _partial(client.tree, b"0123456789")
    handle = client.open("/in/f", WRITE | APPEND)
    assert client.write(handle, 11, b"x") is Status.FAILURE
    assert client.close(handle) is Status.FAILURE


def test_a_taken_over_upload_cannot_be_written_or_closed_by_its_first_holder() -> None:
    """Two writers never mix."""
    first = Client()
    old = first.open("/in/f", WRITE | CREAT | TRUNC)
    first.write(old, 0, b"0123456789")
    second = Client(first.tree)
    new = second.open("/in/f", WRITE | CREAT)
    assert first.write(old, 10, b"x") is Status.FAILURE
    assert first.close(old) is Status.FAILURE
    second.write(new, 10, b"end")
    assert second.close(new) is Status.OK
    assert first.tree.content("/in/f") == b"0123456789end"


def test_reading_an_upload_and_writing_a_download_are_refused(client: Client) -> None:
    """A handle does what it was opened for."""
    client.tree.add("/in/f", b"content")
    upload = client.open("/in/g", WRITE | CREAT | TRUNC)
    assert client.status(Request.READ, string(upload), uint64(0), uint32(1)) is Status.PERMISSION_DENIED
    assert client.write(client.open("/in/f", READ), 0, b"x") is Status.FAILURE


def test_read_is_short_at_the_end_and_then_eof(client: Client) -> None:
    """A read returns what there is, a read past it EOF, and no more than `MAX_DATA` at once."""
    client.tree.add("/in/f", bytes(MAX_DATA + 10))
    handle = client.open("/in/f", READ)
    reply, fields = client.ask(Request.READ, string(handle), uint64(0), uint32(0xFFFFFFFF))
    assert (reply, len(fields.string())) == (Reply.DATA, MAX_DATA)
    reply, fields = client.ask(Request.READ, string(handle), uint64(MAX_DATA), uint32(100))
    assert (reply, len(fields.string())) == (Reply.DATA, 10)
    for offset in (MAX_DATA + 10, 1 << 63, (1 << 64) - 1):
        assert client.status(Request.READ, string(handle), uint64(offset), uint32(1)) is Status.EOF


def test_stat_of_what_is_being_written_here_is_that_of_its_handle(client: Client) -> None:
    """sshfs remembers what it was told, and would show an empty file where a whole one lies by now."""
    handle = client.open("/in/f", WRITE | CREAT)
    client.write(handle, 0, b"0123456789")
    sizes = [
        parse_attributes(client.ask(kind, string(name))[1]).size
        for kind, name in ((Request.STAT, b"/in/f"), (Request.FSTAT, handle))
    ]
    assert sizes == [10, 10]
    assert client.session.filesystem.stat(parse_path("/in/f")).size < 10


def test_a_write_beyond_what_a_file_can_have_is_refused(client: Client) -> None:
    """An offset near 2^64 takes no memory."""
    handle = client.open("/in/f", WRITE | CREAT)
    assert client.write(handle, (1 << 64) - 1, b"x") is Status.FAILURE


def test_fsetstat_keeps_the_time_for_the_commit(client: Client) -> None:
    """OpenSSH's `put -p` sets times before it closes."""
    handle = client.open("/in/f", WRITE | CREAT)
    client.write(handle, 0, b"data")
    assert client.status(Request.FSETSTAT, string(handle), uint32(8) + uint32(1) + uint32(1234)) is Status.OK
    client.close(handle)
    assert client.tree.files["in", "f"].modified == 1234.0


@pytest.mark.parametrize("by_path", [False, True])
def test_upload_under_way_is_cut_to_a_size(client: Client, by_path: bool) -> None:
    """As `scp` does at its end, and `ftruncate` in a mounted folder: what lies behind is gone, the rest goes on."""
    handle = client.open("/in/f", WRITE | CREAT | TRUNC)
    client.write(handle, 0, b"0123456789")
    kind, name = (Request.SETSTAT, b"/in/f") if by_path else (Request.FSETSTAT, handle)
    assert client.status(kind, string(name), uint32(1) + uint64(4)) is Status.OK
    assert client.size(handle) == 4
    client.write(handle, 4, b"x")
    assert client.close(handle) is Status.OK
    assert client.tree.content("/in/f") == b"0123x"


@pytest.mark.parametrize("flags", [READ | WRITE | CREAT | TRUNC, READ | WRITE | CREAT | EXCL])
def test_what_was_written_is_read_by_the_same_handle(client: Client, flags: int) -> None:
    """As programs do in a mounted folder; paramiko's `w+`."""
    handle = client.open("/in/f", flags)
    client.write(handle, 0, b"0123456789")
    kind, answer = client.ask(Request.READ, string(handle), uint64(4), uint32(100))
    assert (kind, answer.string()) == (Reply.DATA, b"456789")
    assert client.status(Request.READ, string(handle), uint64(10), uint32(1)) is Status.EOF
    assert client.close(handle) is Status.OK
    assert client.tree.content("/in/f") == b"0123456789"


@pytest.mark.parametrize("flags", [WRITE | CREAT | TRUNC, READ | WRITE | CREAT])
def test_what_came_before_is_not_read_by_an_upload(client: Client, flags: int) -> None:
    """Who may only send does not learn by a resume what was sent; nor who did not ask to read."""
    client.write(client.open("/in/f", WRITE | CREAT), 0, b"0123")
    handle = client.open("/in/f", flags)
    assert client.status(Request.READ, string(handle), uint64(0), uint32(4)) is Status.PERMISSION_DENIED


def test_upload_that_was_made_longer_must_be_filled(client: Client) -> None:
    """Some clients say how long a file will be before they write it: what they then leave out was lost."""
    holed, whole = (client.open(name, WRITE | CREAT | TRUNC) for name in ("/in/holed", "/in/whole"))
    for handle in (holed, whole):
        assert client.status(Request.FSETSTAT, string(handle), uint32(1) + uint64(8)) is Status.OK
        client.write(handle, 0, b"0123")
    client.write(whole, 4, b"4567")
    assert client.close(holed) is Status.FAILURE
    assert client.close(whole) is Status.OK
    assert client.tree.content("/in/holed") is None
    assert client.tree.content("/in/whole") == b"01234567"


def test_whole_file_is_written_over_as_scp_does_it(client: Client) -> None:
    """OpenSSH's `scp` does not ask for TRUNC; it writes from the start, and cuts to the size at the end."""
    for content in (b"the first", b"second", b"", b"a third one"):
        handle = client.open("/in/f", WRITE | CREAT)
        for at, byte in enumerate(content):
            assert client.write(handle, at, bytes((byte,))) is Status.OK
        assert client.status(Request.FSETSTAT, string(handle), uint32(1) + uint64(len(content))) is Status.OK
        assert client.close(handle) is Status.OK
        assert client.tree.content("/in/f") == content


def test_whole_file_is_not_changed_in_part(client: Client) -> None:
    """What is written to its beginning alone is no file; what is opened and not touched stays as it is."""
    client.tree.add("/in/f", b"0123456789")
    part, behind, nothing = (client.open("/in/f", WRITE | CREAT) for _ in range(3))
    assert client.size(nothing) == 10
    assert client.close(nothing) is Status.OK
    assert client.write(behind, 5, b"abc") is Status.PERMISSION_DENIED
    assert client.close(behind) is Status.PERMISSION_DENIED
    assert client.write(part, 0, b"abc") is Status.OK
    assert client.close(part) is Status.PERMISSION_DENIED
    assert client.tree.content("/in/f") == b"0123456789"


def test_writing_over_what_may_only_be_read_fails_at_open(client: Client) -> None:
    """`scp` says so before it sends anything; and a failure when it begins is told at the end again."""
    client.tree.add("/in/f", b"0123456789")
    client.tree.quota = 12
    handle = client.open("/in/f", WRITE | CREAT)
    assert client.write(handle, 0, b"x" * 20) is Status.FAILURE
    assert client.close(handle) is Status.FAILURE
    client.tree.read_only.add(("in",))
    assert client.open_status("/in/f", WRITE | CREAT) is Status.PERMISSION_DENIED
    assert client.tree.content("/in/f") == b"0123456789"


def test_file_that_is_read_keeps_its_size(client: Client) -> None:
    """A size that changes nothing is no change; another is refused."""
    client.tree.add("/in/f", b"data")
    handle = client.open("/in/f", READ)
    for size, outcome in ((4, Status.OK), (0, Status.PERMISSION_DENIED), (9, Status.PERMISSION_DENIED)):
        assert client.status(Request.FSETSTAT, string(handle), uint32(1) + uint64(size)) is outcome


def test_setstat_sets_times_and_ignores_modes(client: Client) -> None:
    """`chmod` succeeds and does nothing, `touch -d` is kept, truncation is refused, what is missing is missing."""
    client.tree.add("/in/f", b"data")
    path = string(b"/in/f")
    assert client.status(Request.SETSTAT, path, uint32(4) + uint32(0o600)) is Status.OK
    assert client.status(Request.SETSTAT, path, uint32(8) + uint32(0) + uint32(77)) is Status.OK
    assert client.tree.files["in", "f"].modified == 77.0
    assert client.status(Request.SETSTAT, path, uint32(1) + uint64(0)) is Status.PERMISSION_DENIED
    assert client.status(Request.SETSTAT, string(b"/in/g"), uint32(4) + uint32(0o600)) is Status.NO_SUCH_FILE
    assert client.tree.content("/in/f") == b"data"


def test_readdir_has_every_name_once(client: Client) -> None:
    """A listing of several pages is complete, and begins with `.` and `..`."""
    wanted = [f"{number:05d}" for number in range(1000)]
    for name in wanted:
        client.tree.add(f"/in/{name}", b"")
    handle = client.handle(Request.OPENDIR, string(b"/in"))
    names, pages = [], 0
    while True:
        reply, fields = client.ask(Request.READDIR, string(handle))
        if reply == Reply.STATUS:
            assert fields.uint32() == Status.EOF
            break
        pages += 1
        for _ in range(fields.uint32()):
            names.append(fields.string().decode())
            fields.string()
            fields.uint32(), fields.uint64(), fields.uint64(), fields.uint32(), fields.uint64()
    assert names == [".", "..", *wanted]
    assert pages == 2
    assert client.close(handle) is Status.OK


def test_opendir_fails_at_once_for_what_is_no_directory(client: Client) -> None:
    """The error comes with OPENDIR, not with the first READDIR."""
    client.tree.add("/in/f", b"")
    assert client.status(Request.OPENDIR, string(b"/none")) is Status.NO_SUCH_FILE
    assert client.status(Request.OPENDIR, string(b"/in/f")) is Status.NO_SUCH_FILE


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", "/"),
        (b".", "/"),
        (b"..", "/"),
        (b"a//b/../c/.", "/a/c"),
        (b"/in/../../..", "/"),
        (b"//etc//passwd", "/etc/passwd"),
    ],
)
def test_realpath_is_within_the_tree(client: Client, sent: bytes, answer: str) -> None:
    """Relative paths begin at the root, and nothing leaves it."""
    reply, fields = client.ask(Request.REALPATH, string(sent))
    assert (reply, fields.uint32(), fields.string().decode()) == (Reply.NAME, 1, answer)


@pytest.mark.parametrize(
    "path", [b"/in/a\0b", b"/in/a\\b", b"/in/\xff\xfe", b"/in/" + b"n" * 300, b"/in/\r\n", b"/" * 5000]
)
def test_paths_that_cannot_be_are_refused_everywhere(client: Client, path: bytes) -> None:
    """Every request that takes a path refuses it, with a reason, and none fails in another way."""
    for kind, fields in (
        (Request.STAT, [string(path)]),
        (Request.LSTAT, [string(path)]),
        (Request.OPEN, [string(path), uint32(WRITE | CREAT), NO_ATTRIBUTES]),
        (Request.OPENDIR, [string(path)]),
        (Request.MKDIR, [string(path), NO_ATTRIBUTES]),
        (Request.RMDIR, [string(path)]),
        (Request.REMOVE, [string(path)]),
        (Request.REALPATH, [string(path)]),
        (Request.SETSTAT, [string(path), NO_ATTRIBUTES]),
        (Request.RENAME, [string(b"/in"), string(path)]),
        (Request.EXTENDED, [string(b"statvfs@openssh.com"), string(path)]),
    ):
        status, text = client.status_and_text(kind, *fields)
        assert status is Status.FAILURE
        assert "internal" not in text
        assert text.isprintable()


def test_links_are_refused(client: Client) -> None:
    """There are no links here, so there is nothing to follow out of the tree."""
    two = (string(b"/in/f"), string(b"/in/g"))
    assert client.status(Request.SYMLINK, *two) is Status.OP_UNSUPPORTED
    assert client.status(Request.READLINK, two[0]) is Status.OP_UNSUPPORTED
    assert client.status(Request.EXTENDED, string(b"hardlink@openssh.com"), *two) is Status.PERMISSION_DENIED


def test_rename_keeps_what_is_there_and_posix_rename_replaces_it(client: Client) -> None:
    """Version 3's own rename fails on an existing name; OpenSSH's extension does as rename(2)."""
    client.tree.add("/in/a", b"a")
    client.tree.add("/in/b", b"b")
    both = (string(b"/in/a"), string(b"/in/b"))
    assert client.status(Request.RENAME, *both) is Status.FAILURE
    assert client.tree.content("/in/b") == b"b"
    assert client.status(Request.EXTENDED, string(b"posix-rename@openssh.com"), *both) is Status.OK
    assert client.tree.content("/in/b") == b"a"


def test_remove_and_rmdir_take_each_their_own(client: Client) -> None:
    """A file is not a directory, and a directory that holds something stays."""
    client.tree.add("/in/f", b"")
    assert client.status(Request.REMOVE, string(b"/in")) is Status.PERMISSION_DENIED
    assert client.status(Request.RMDIR, string(b"/in/f")) is Status.NO_SUCH_FILE
    assert client.status(Request.RMDIR, string(b"/in")) is Status.FAILURE
    assert client.status(Request.REMOVE, string(b"/in/f")) is Status.OK
    assert client.status(Request.RMDIR, string(b"/in")) is Status.OK


def test_statvfs_and_limits_tell_what_there_is(client: Client) -> None:
    """Free room is the session's, in blocks; the limits are those that the server keeps."""
    client.tree.quota = 8192
    reply, fields = client.ask(Request.EXTENDED, string(b"statvfs@openssh.com"), string(b"/in"))
    numbers = [fields.uint64() for _ in range(11)]
    assert (reply, numbers[3] * numbers[1], numbers[10]) == (Reply.EXTENDED, 8192, 255)
    reply, fields = client.ask(Request.EXTENDED, string(b"limits@openssh.com"))
    assert [fields.uint64() for _ in range(4)] == [262144, 261120, 261120, 128]


def test_handles_are_bounded_and_unknown_ones_refused() -> None:
    """A client cannot hold files without end, and a bound open touches nothing."""
    client = Client(max_handles=2)
    client.tree.add("/in/f", b"old")
    first = client.open("/in/f", READ)
    client.open("/in/f", READ)
    assert client.open_status("/in/f", WRITE | CREAT | TRUNC) is Status.FAILURE
    assert client.tree.partials == {}
    client.close(first)
    client.open("/in/f", READ)
    for handle in (first, b"", b"\xff" * 300):
        assert client.close(handle) is Status.FAILURE
        assert client.write(handle, 0, b"x") is Status.FAILURE


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (QuotaExceededError("no room\x1b[31m left"), "no room?[31m left"),
        (LockedError("somebody writes it"), "somebody writes it"),
        (UnavailableError(""), "failure"),
    ],
)
def test_the_reason_of_a_known_error_is_sent(client: Client, error: Exception, text: str) -> None:
    """It is made printable, and there is always one."""

    def fail(operation: str, path: object) -> None:
        raise error

    client.tree.before = fail
    assert client.status_and_text(Request.STAT, string(b"/in")) == (Status.FAILURE, text)


def test_an_unknown_error_is_logged_once_and_named_by_its_session(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets the session's id, the log the rest."""

    def fail(operation: str, path: object) -> None:
        raise RuntimeError("the secret inside")

    client.tree.before = fail
    with caplog.at_level(logging.ERROR, logger="mft.sftp"):
        answer = client.status_and_text(Request.STAT, string(b"/in"))
    assert answer == (Status.FAILURE, "internal error, session s-1")
    assert [(record.message, record.session) for record in caplog.records] == [("internal_error", "s-1")]  # type: ignore[attr-defined]


def test_a_withdrawn_session_answers_nothing_more(client: Client) -> None:
    """What is queued when access is withdrawn stays unanswered."""
    client.session.revoke("case closed")
    batch = deque([bytearray(bytes((Request.STAT,)) + uint32(1) + string(b"/in"))])
    assert client.requests.answer(batch) == []
    assert len(batch) == 1


def test_a_turn_ends_after_a_megabyte_of_replies(client: Client) -> None:
    """Pipelined reads do not pile up in memory: the rest waits for the next turn."""
    client.tree.add("/in/f", bytes(MAX_DATA))
    handle = client.open("/in/f", READ)
    packet = bytes((Request.READ,)) + uint32(1) + string(handle) + uint64(0) + uint32(MAX_DATA)
    batch = deque(bytearray(packet) for _ in range(64))
    replies = client.requests.answer(batch)
    assert len(replies) == 5
    assert len(batch) == 59


def at_once(client: Client, batch: deque[Packet], takes: Callable[[int], bool] = lambda _: True) -> list[bytes]:
    """Return what is answered at once of *batch*."""
    sent = bytearray()
    some = client.requests.answer_at_once(batch, takes, lambda pieces: sent.extend(b"".join(pieces)))
    replies: list[bytes] = []
    while sent:
        end = 4 + int.from_bytes(sent[:4], "big")
        replies.append(bytes(sent[:end]))
        del sent[:end]
    assert some == bool(replies)
    return replies


def test_writes_with_nothing_to_wait_for_are_answered_at_once(client: Client) -> None:
    """Those at the front, and no further than where one has to wait, or is no write."""
    handle = client.open("/in/f", WRITE | CREAT)
    client.tree.at_once = 25

    def write(offset: int) -> bytearray:
        packet = bytes((Request.WRITE,)) + uint32(offset) + string(handle) + uint64(offset) + string(b"0123456789")
        return bytearray(packet)

    batch: deque[Packet] = deque([write(0), write(10), write(20), write(0)])
    assert [reply[5:9] for reply in at_once(client, batch)] == [uint32(0), uint32(10)]
    assert len(batch) == 2
    assert at_once(client, batch) == []
    assert len(client.requests.answer(batch)) == 2
    stat = bytearray(bytes((Request.STAT,)) + uint32(1) + string(b"/in"))
    for other in (stat, bytearray(bytes((Request.WRITE,)) + uint32(1)), bytearray(b"\6"), bytearray(b"\5")):
        assert at_once(client, deque([other])) == []


def test_reads_of_what_is_at_hand_are_answered_at_once(client: Client) -> None:
    """As far as it is at hand and the reply may be sent, the end of the file too; what is no file is not for here."""
    client.tree.add("/in/f", b"0123456789")
    handle = client.open("/in/f", READ)
    upload = client.open("/in/g", WRITE | CREAT)
    client.tree.at_once = 12

    def read(offset: int, length: int, name: bytes = handle) -> bytearray:
        return bytearray(bytes((Request.READ,)) + uint32(offset) + string(name) + uint64(offset) + uint32(length))

    batch: deque[Packet] = deque([read(2, 3), memoryview(read(7, 5)), read(8, 20)])
    assert at_once(client, batch) == [data_reply(2, b"234"), data_reply(7, b"789")]
    assert len(batch) == 1
    assert client.requests.answer(batch) == [data_reply(8, b"89")]
    for over in (read(10, 2), read(0, 0)):
        assert [reply[4:13] for reply in at_once(client, deque([over]))] == [
            bytes((Reply.STATUS,)) + over[1:5] + uint32(Status.EOF)
        ]
    for other in (read(0, 1, upload), read(0, 1, b"none")):
        assert at_once(client, deque([other])) == []
    asked: list[int] = []
    assert at_once(client, deque([read(0, 4)]), lambda size: bool(asked.append(size))) == []
    assert asked == [4 + DATA_HEAD_BYTES]


def test_a_download_is_closed_at_once_and_an_upload_is_not(client: Client) -> None:
    """To let a file go that was at hand waits for nobody; to commit one does."""
    client.tree.add("/in/f", b"0123456789")
    client.tree.at_once = 100
    download, upload = client.open("/in/f", READ), client.open("/in/g", WRITE | CREAT)

    def close(name: bytes) -> bytearray:
        return bytearray(bytes((Request.CLOSE,)) + uint32(1) + string(name))

    assert [reply[4:13] for reply in at_once(client, deque([close(download)]))] == [
        bytes((Reply.STATUS,)) + uint32(1) + uint32(Status.OK)
    ]
    assert at_once(client, deque([close(upload), close(download)])) == []
    assert client.requests.transfers == 1


def test_pages_that_are_made_are_answered_at_once() -> None:
    """The first was made with the opening, the next while the client looked; one that is not there yet waits."""
    begun: list[Future[Names]] = []
    made: list[Callable[[], Names]] = []

    def begin(call: Callable[[], Names]) -> Future[Names]:
        begun.append(Future())
        begun[-1].set_running_or_notify_cancel()
        made.append(call)
        return begun[-1]

    client = Client(begin=begin)
    for number in range(2000):
        client.tree.add(f"/in/{number:05d}", b"")
    handle = client.handle(Request.OPENDIR, string(b"/in"))
    packet = bytes((Request.READDIR,)) + uint32(1) + string(handle)
    batch: deque[Packet] = deque([bytearray(packet), bytearray(packet)])
    assert len(at_once(client, batch)) == 1
    assert at_once(client, batch) == []
    begun[0].set_result(made[0]())
    assert len(at_once(client, batch)) == 1
    unknown = bytearray(bytes((Request.READDIR,)) + uint32(1) + string(b"none"))
    assert at_once(client, deque([unknown])) == []


def test_nothing_is_answered_at_once_after_a_withdrawal(client: Client) -> None:
    """The mark is looked at before each request."""
    handle = client.open("/in/f", WRITE | CREAT)
    client.tree.at_once = 100
    client.session.revoke("case closed")
    packet = bytes((Request.WRITE,)) + uint32(1) + string(handle) + uint64(0) + string(b"0123456789")
    assert at_once(client, deque([bytearray(packet)])) == []


@given(kind=st.integers(0, 255), body=st.binary(max_size=64))
def test_no_packet_gets_an_internal_error(kind: int, body: bytes) -> None:
    """Whatever bytes come, the answer is a reply to their id, or the stream is broken."""
    client = Client()
    client.open("/in/f", WRITE | CREAT)
    try:
        answer = client.send(bytes((kind,)) + uint32(9) + body)
    except BrokenStreamError:
        assert kind == Request.INIT
        return
    assert answer[1:5] == uint32(9)
    assert b"internal error" not in answer
