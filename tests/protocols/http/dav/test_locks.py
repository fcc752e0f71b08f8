"""Write locks: who is kept from what, by which token, and for how long."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from protocols.http.dav.conditions import canonical_if
from protocols.http.status import ProblemError
from tests.protocols.http.dav.folder import BOB, SHARED, lock_info
from tests.protocols.http.house import BASIC, head

if TYPE_CHECKING:
    from tests.protocols.http.dav.folder import Folder
    from tests.protocols.http.house import House


def test_lock_keeps_others_from_every_change(folder: Folder) -> None:
    """Who has not the token changes nothing: not the file, not its name, not its properties."""
    folder.ask("PUT", "file", body=b"one")
    folder.ask("PUT", "other", body=b"x")
    token = folder.lock("file")
    for login in (BOB, BASIC):
        for method, name, headers in (
            ("PUT", "file", {}),
            ("DELETE", "file", {}),
            ("MOVE", "file", {"Destination": folder.url("new")}),
            ("COPY", "other", {"Destination": folder.url("file")}),
            ("PROPPATCH", "file", {}),
        ):
            answer = folder.ask(method, name, headers, b"two" if method == "PUT" else b"", login=login)
            assert answer.status == 423, method
            assert b"lock-token-submitted" in answer.body
    assert folder.ask("PUT", "file", {"If": f"(<{token}>)"}, b"two").status == 204
    assert folder.content("file") == b"two"


def test_token_of_somebody_else_opens_nothing(folder: Folder) -> None:
    """A token is shown to everybody; it is good for whoever took the lock alone."""
    folder.ask("PUT", "file", body=b"one")
    token = folder.lock("file")
    assert token.encode() in folder.ask("PROPFIND", "file", {"Depth": "0"}, login=BOB).body
    assert folder.ask("PUT", "file", {"If": f"(<{token}>)"}, b"two", login=BOB).status in {412, 423}
    assert folder.ask("UNLOCK", "file", {"Lock-Token": f"<{token}>"}, login=BOB).status == 403
    assert folder.ask("LOCK", "file", {"If": f"(<{token}>)"}, login=BOB).status in {403, 412}
    assert folder.content("file") == b"one"


@pytest.mark.parametrize("token", ["urn:uuid:00000000-0000-0000-0000-000000000000", "DAV:no-lock", "nonsense"])
def test_token_that_nobody_gave_out_opens_nothing(folder: Folder, token: str) -> None:
    """A made-up token is none, to write and to unlock by."""
    folder.ask("PUT", "file", body=b"one")
    folder.lock("file")
    assert folder.ask("PUT", "file", {"If": f"(<{token}>)"}, b"two").status == 412
    assert folder.ask("UNLOCK", "file", {"Lock-Token": f"<{token}>"}).status == 409
    assert folder.ask("UNLOCK", "file").status == 400


def test_lock_that_has_expired_is_none(folder: Folder) -> None:
    """Who goes away without unlocking is in nobody's way for longer than the time that the lock was given for."""
    folder.ask("PUT", "file", body=b"one")
    folder.lock("file", Timeout="Second-1")
    assert folder.ask("PUT", "file", body=b"two", login=BOB).status == 423
    limit = time.monotonic() + 20
    while folder.ask("PUT", "file", body=b"two", login=BOB).status == 423:
        assert time.monotonic() < limit
        time.sleep(0.1)
    assert folder.content("file") == b"two"


def test_no_lock_is_for_ever(folder: Folder) -> None:
    """A client gets an hour at most, whatever it asks for, and may have it again."""
    for timeout in ("Infinite", "Second-4294967295", "nonsense"):
        answer = folder.ask("LOCK", "file", {"Timeout": timeout}, lock_info())
        left = int(re.findall(rb"Second-(\d+)", answer.body)[0])
        assert 3500 < left <= 3600
        token = answer.headers["lock-token"]
        refreshed = folder.ask("LOCK", "file", {"If": f"({token})", "Timeout": "Second-100"})
        assert refreshed.status == 200
        assert int(re.findall(rb"Second-(\d+)", refreshed.body)[0]) <= 100
        assert folder.ask("UNLOCK", "file", {"Lock-Token": token}).status == 204


def test_shared_locks_stand_beside_one_another(folder: Folder) -> None:
    """Several may hold a shared lock, each writes with its own; nobody gets an exclusive one."""
    folder.ask("PUT", "file", body=b"one")
    mine, bobs = folder.lock("file", SHARED), folder.lock("file", SHARED, login=BOB)
    assert folder.ask("LOCK", "file", {}, lock_info()).status == 423
    assert folder.ask("PUT", "file", {"If": f"(<{mine}>)"}, b"two").status == 204
    assert folder.ask("PUT", "file", {"If": f"(<{bobs}>)"}, b"three", login=BOB).status == 204
    assert folder.ask("PUT", "file", {}, b"four").status == 423


def test_lock_on_a_folder_reaches_down(folder: Folder) -> None:
    """A deep lock covers what the folder holds and will hold; a shallow one the folder's list of names alone."""
    folder.ask("MKCOL", "one")
    folder.ask("PUT", "one/file", body=b"one")
    token = folder.lock("one")
    for name in ("one/file", "one/new"):
        assert folder.ask("PUT", name, body=b"two", login=BOB).status == 423
    tagged = {"If": f"<{folder.url('one/')}> (<{token}>)"}
    assert folder.ask("PUT", "one/new", tagged, b"two").status == 201
    folder.ask("UNLOCK", "one", {"Lock-Token": f"<{token}>"})
    folder.lock("one", Depth="0")
    assert folder.ask("PUT", "one/file", body=b"three", login=BOB).status == 204
    assert folder.ask("PUT", "one/newer", body=b"three", login=BOB).status == 423


def test_folder_with_a_locked_file_is_not_removed(folder: Folder) -> None:
    """A lock deep inside keeps the whole folder, and everything in it, where it is."""
    folder.ask("MKCOL", "one")
    for name in ("a", "locked", "z"):
        folder.ask("PUT", f"one/{name}", body=b"x")
    token = folder.lock("one/locked")
    answer = folder.ask("DELETE", "one", login=BOB)
    assert answer.status == 423
    assert folder.url("one/locked").encode() in answer.body
    assert len(folder.hrefs("one")) == 3
    assert folder.ask("DELETE", "one", {"If": f"<{folder.url('one/locked')}> (<{token}>)"}).status == 204
    assert token not in folder.house.tree.locks.all


def test_locks_do_not_move_with_a_file(folder: Folder) -> None:
    """A lock is on an address: whoever moves its file ends it."""
    folder.ask("PUT", "file", body=b"x")
    token = folder.lock("file")
    assert folder.ask("MOVE", "file", {"Destination": folder.url("new"), "If": f"(<{token}>)"}).status == 201
    assert folder.ask("PUT", "new", body=b"y", login=BOB).status == 204
    assert folder.ask("PUT", "file", body=b"y", login=BOB).status == 201


def test_locked_name_stands_for_its_file(folder: Folder) -> None:
    """A name that is locked before it has a file is listed, is empty, is nobody else's, and is no upload."""
    before = len(folder.house.tree.happened("landed"))
    token = folder.lock("new")
    assert folder.hrefs() == [folder.url("new")]
    assert folder.ask("GET", "new").body == b""
    assert folder.ask("PROPFIND", "new", {"Depth": "0"}).status == 207
    assert folder.ask("PUT", "new", body=b"theirs", login=BOB).status == 423
    assert folder.content("new") is None
    assert len(folder.house.tree.happened("landed")) == before
    assert folder.ask("PUT", "new", {"If": f"(<{token}>)"}, b"content").status == 204
    assert folder.content("new") == b"content"
    assert folder.hrefs() == [folder.url("new")]


def test_locked_name_without_a_file_goes_with_its_lock(folder: Folder) -> None:
    """Who unlocks without having sent anything leaves nothing."""
    token = folder.lock("new")
    assert folder.ask("UNLOCK", "new", {"Lock-Token": f"<{token}>"}).status == 204
    assert folder.hrefs() == []
    assert folder.ask("PROPFIND", "new", {"Depth": "0"}).status == 404


def test_lock_taken_while_a_body_is_under_way_wins(folder: Folder) -> None:
    """What was allowed when it began is not, once somebody has locked the file before it ended."""
    folder.ask("PUT", "file", body=b"one")
    with folder.house.wire() as wire:
        wire.send(head("PUT", folder.url("file"), length=10) + b"hello")
        folder.house.wait(lambda: ("ann", (folder.name, "file")) in folder.house.tree.partials)
        folder.lock("file", login=BOB)
        wire.send(b"world")
        assert wire.answer("PUT").status == 423
    assert folder.content("file") == b"one"


def test_locks_of_a_login_have_an_end(folder: Folder) -> None:
    """Who locks and locks is stopped, and nobody else is."""
    folder.house.tree.locks.all.clear()
    folder.house.tree.locks.most = 5
    try:
        for number in range(5):
            folder.lock(f"file{number}")
        assert folder.ask("LOCK", "one more", {}, lock_info()).status == 400  # a blank in an address
        answer = folder.ask("LOCK", "more", {}, lock_info())
        assert answer.status == 507
        folder.lock("bobs", login=BOB)
    finally:
        folder.house.tree.locks.most = 100


def test_nothing_is_locked_where_one_may_only_read(house: House) -> None:
    """A lock is for who may write there; a name that cannot be one is locked by nobody."""
    for path in ("/dav/out/report.txt", "/dav/out/new", "/dav/out"):
        assert house.ask("LOCK", path, {}, lock_info()).status == 403
    assert house.ask("LOCK", "/dav/none/new", {}, lock_info()).status == 409
    assert house.ask("LOCK", "/dav/", {}, lock_info()).status == 403


def test_owner_of_a_lock_is_shown_and_has_an_end(folder: Folder) -> None:
    """What a client has shown of itself is shown as text, and cannot fill the catalog."""
    answer = folder.ask("LOCK", "file", {}, lock_info(owner="&lt;b&gt;me&lt;/b&gt;"))
    assert b"&lt;b&gt;me" in answer.body
    assert b"&lt;b&gt;me" in folder.ask("PROPFIND", "file", {"Depth": "0"}, login=BOB).body
    assert folder.ask("LOCK", "more", {}, lock_info(owner="x" * 5000)).status == 400


@pytest.mark.parametrize(
    "text",
    ["nonsense", "(", ")", "()", "(<a>", "<a>", "(Not)", "((<a>))", "(<a> [b])", "<a> <b>", '("etag")', "(<a>) x"],
)
def test_if_headers_that_are_none_are_refused(folder: Folder, text: str) -> None:
    """A condition that cannot be read is not taken for one that holds."""
    with pytest.raises(ProblemError) as caught:
        canonical_if(text, lambda tag: tag)
    assert caught.value.status == 400
    folder.ask("PUT", "file", body=b"one")
    assert folder.ask("PUT", "file", {"If": text}, b"two").status == 400
    assert folder.content("file") == b"one"


def test_if_headers_are_read_however_they_are_spaced() -> None:
    """Parts that stand close together are told apart, and tags are given their names."""
    text = '</a>(<t:1>["e"])(not<t:2>) </b> ( Not [W/"x y"] <t:3>)'.replace("x y", "xy")
    assert canonical_if(text, str.upper) == '</A> (<t:1> ["e"]) (Not <t:2>) </B> (Not [W/"xy"] <t:3>)'
    with pytest.raises(ProblemError):
        canonical_if("(<a>)" * 100, str)
