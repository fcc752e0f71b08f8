"""The cases that every protocol head must pass, over the filesystem in memory.

A head's test module subclasses `HeadCases` and provides a `head` fixture. The tree has `/in` to write in and `/out`,
which is read-only and holds `report.txt`; `alice` and `bob` log in with `PASSWORD`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.protocols.memory import MemoryAuthenticator, MemoryTree

PASSWORD = "correct horse battery"
REPORT = b"report\n" * 1000
"""What `/out/report.txt` holds."""
PATIENCE = 20.0
"""Seconds after which a test that waits for something fails."""
MEGABYTE = bytes(range(256)) * 4096


class HeadError(Exception):
    """A head said no; drivers raise it in place of their client's own errors."""

    def __init__(self, kind: Literal["missing", "denied", "refused"], message: str = "") -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class HeadClient(Protocol):
    """One logged-in client."""

    def put(self, path: str, content: bytes) -> None: ...
    def get(self, path: str) -> bytes: ...
    def names(self, path: str) -> list[str]: ...
    def size(self, path: str) -> int: ...
    def mkdir(self, path: str) -> None: ...
    def rename(self, source: str, target: str) -> None: ...
    def remove(self, path: str) -> None: ...

    def cut(self, path: str, content: bytes) -> None:
        """Send *content* as the beginning of something longer, and lose the connection."""

    def resume(self, path: str, content: bytes) -> None:
        """Send what is missing of *content*, from where the server says that it stands."""


class Head(Protocol):
    """A running server."""

    tree: MemoryTree
    accounts: MemoryAuthenticator

    def client(self, login: str = "alice", password: str = PASSWORD) -> HeadClient:
        """Log in, or raise `HeadError("denied")`; the head's fixture closes the client."""


def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "it did not come"
        time.sleep(0.01)


class HeadCases:
    """Run by each head."""

    lacks: ClassVar[frozenset[str]] = frozenset()
    """Verbs that the protocol does not have: `mkdir`, `rename`, `remove`, `resume`."""

    @pytest.fixture
    def head(self) -> Head:
        raise NotImplementedError

    def need(self, verb: str) -> None:
        if verb in self.lacks:
            pytest.skip(f"the protocol has no {verb}")

    @pytest.mark.parametrize("content", [b"", b"x", MEGABYTE], ids=["empty", "byte", "megabyte"])
    def test_put_then_get_returns_the_same_bytes(self, head: Head, content: bytes) -> None:
        """What was put is what is got."""
        client = head.client()
        client.put("/in/file.bin", content)
        assert head.tree.content("/in/file.bin") == content
        assert client.get("/in/file.bin") == content
        assert client.size("/in/file.bin") == len(content)

    def test_put_again_replaces_the_content(self, head: Head) -> None:
        """A second put of a name is a new version from its first byte."""
        client = head.client()
        client.put("/in/file", b"a long first version")
        client.put("/in/file", b"short")
        assert client.get("/in/file") == b"short"

    def test_names_lists_a_directory(self, head: Head) -> None:
        """A listing has every name once, without `.` and `..`."""
        for name in ("b", "a", "c"):
            head.tree.add(f"/in/{name}", b"")
        assert head.client().names("/in") == ["a", "b", "c"]
        assert head.client().names("/") == ["in", "out"]

    @pytest.mark.parametrize(
        "name", ["two words", "quote'\"s", "ümläut-日本語", "-dash", "percent%20", "q?uery#hash", "a" * 255]
    )
    def test_odd_names_come_back_as_they_were_sent(self, head: Head, name: str) -> None:
        """Whatever may be a name is one in every protocol."""
        client = head.client()
        client.put(f"/in/{name}", b"content")
        assert client.names("/in") == [name]
        assert client.get(f"/in/{name}") == b"content"

    @pytest.mark.parametrize(
        "path", ["/in/../../../out/report.txt", "//out//report.txt", "/out/./report.txt", "/../out/report.txt"]
    )
    def test_dots_and_slashes_stay_within_the_tree(self, head: Head, path: str) -> None:
        """`..`, `.` and repeated slashes are resolved in the virtual tree, or refused; they never leave it."""
        assert head.client().get(path) == REPORT

    @pytest.mark.parametrize(
        "name", ["back\\slash", "..\\..\\up", "a" * 256, "new\nline", "esc\x1b[31m", "zero\u200bwidth", "\u202ebidi"]
    )
    def test_names_that_cannot_be_names_are_refused(self, head: Head, name: str) -> None:
        """A backslash, a control or invisible character, or too long a name is refused with nothing created."""
        with pytest.raises(HeadError) as caught:
            head.client().put(f"/in/{name}", b"content")
        assert caught.value.kind == "refused"
        assert head.tree.happened("landed") == []

    def test_get_of_what_is_not_there_is_missing(self, head: Head) -> None:
        """A file and a directory that are not there are missing."""
        client = head.client()
        for path in ("/in/none", "/none/at/all"):
            with pytest.raises(HeadError) as caught:
                client.get(path)
            assert caught.value.kind == "missing"
        with pytest.raises(HeadError) as caught:
            client.names("/none")
        assert caught.value.kind == "missing"

    def test_put_into_what_is_not_there_is_missing(self, head: Head) -> None:
        """No directory is made by the way."""
        with pytest.raises(HeadError) as caught:
            head.client().put("/none/file", b"content")
        assert caught.value.kind == "missing"

    def test_put_where_one_may_only_read_is_denied(self, head: Head) -> None:
        """A read-only directory stays as it is."""
        with pytest.raises(HeadError) as caught:
            head.client().put("/out/report.txt", b"forged")
        assert caught.value.kind == "denied"
        assert head.tree.content("/out/report.txt") == REPORT

    def test_put_over_quota_is_refused_and_nothing_is_published(self, head: Head) -> None:
        """A file that does not fit does not appear, not even its beginning."""
        head.tree.quota = len(MEGABYTE) // 2
        with pytest.raises(HeadError) as caught:
            head.client().put("/in/file", MEGABYTE)
        assert caught.value.kind == "refused"
        assert head.tree.content("/in/file") is None

    def test_an_upload_that_is_cut_is_not_published(self, head: Head) -> None:
        """A connection that is lost in the middle leaves nothing that anybody else could take for a file."""
        head.client().cut("/in/file", MEGABYTE)
        until(lambda: head.tree.happened("aborted"))
        assert head.tree.content("/in/file") is None
        assert head.client("bob").names("/in") == []
        with pytest.raises(HeadError) as caught:
            head.client("bob").get("/in/file")
        assert caught.value.kind == "missing"

    def test_a_cut_upload_leaves_the_version_before_it(self, head: Head) -> None:
        """A replacement that breaks off never puts a torn file in place of a good one."""
        head.client().put("/in/file", b"the good one")
        head.client().cut("/in/file", MEGABYTE)
        until(lambda: head.tree.happened("aborted"))
        assert head.tree.content("/in/file") == b"the good one"

    def test_a_cut_upload_is_resumed_in_a_new_session(self, head: Head) -> None:
        """What came before the cut need not be sent again, and the whole is right."""
        self.need("resume")
        content = MEGABYTE + b"and a tail"
        head.client().cut("/in/file", MEGABYTE)
        until(lambda: head.tree.happened("aborted"))
        head.client().resume("/in/file", content)
        assert head.tree.content("/in/file") == content

    def test_a_wrong_password_and_an_unknown_login_look_alike(self, head: Head) -> None:
        """Nobody learns from the answer which logins exist."""
        answers = []
        for login, password in (("alice", "wrong"), ("nobody", PASSWORD), ("", PASSWORD), ("alice", "")):
            with pytest.raises(HeadError) as caught:
                head.client(login, password)
            answers.append(str(caught.value))
        assert len(set(answers)) == 1
        assert head.accounts.opened == []

    def test_withdrawn_access_ends_a_session(self, head: Head) -> None:
        """A session that is open when access is withdrawn can do nothing more."""
        client = head.client()
        assert client.get("/out/report.txt") == REPORT
        head.accounts.revoke("alice")
        with pytest.raises(HeadError):
            client.get("/out/report.txt")

    def test_an_error_nobody_foresaw_tells_the_client_nothing(self, head: Head) -> None:
        """The text of an unknown error stays in the log."""

        def fail(operation: str, path: object) -> None:
            if operation == "open_read":
                raise RuntimeError("/secret/path of the machine")

        client = head.client()
        head.tree.before = fail
        with pytest.raises(HeadError) as caught:
            client.get("/out/report.txt")
        assert "secret" not in str(caught.value)

    def test_mkdir_makes_one_directory(self, head: Head) -> None:
        """A directory appears, and a second time it is refused."""
        self.need("mkdir")
        client = head.client()
        client.mkdir("/in/new")
        assert client.names("/in") == ["new"]
        with pytest.raises(HeadError) as caught:
            client.mkdir("/in/new")
        assert caught.value.kind == "refused"

    def test_rename_moves_a_file(self, head: Head) -> None:
        """The old name is gone, the new one has the content."""
        self.need("rename")
        client = head.client()
        client.put("/in/file.part", b"content")
        client.rename("/in/file.part", "/in/file")
        assert client.names("/in") == ["file"]
        assert client.get("/in/file") == b"content"
        with pytest.raises(HeadError) as caught:
            client.rename("/in/none", "/in/other")
        assert caught.value.kind == "missing"

    def test_rename_into_a_read_only_directory_is_denied(self, head: Head) -> None:
        """The target's permission counts as the source's does."""
        self.need("rename")
        client = head.client()
        client.put("/in/file", b"content")
        with pytest.raises(HeadError) as caught:
            client.rename("/in/file", "/out/file")
        assert caught.value.kind == "denied"

    def test_remove_removes_a_file(self, head: Head) -> None:
        """The name is gone; where one may only read it is denied."""
        self.need("remove")
        client = head.client()
        client.put("/in/file", b"content")
        client.remove("/in/file")
        assert client.names("/in") == []
        with pytest.raises(HeadError) as caught:
            client.remove("/out/report.txt")
        assert caught.value.kind == "denied"
