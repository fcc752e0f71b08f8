"""What WebDAV adds to HTTP: properties, folders, copies and moves; and what it must not do on the way."""

from __future__ import annotations

import base64
import hashlib
import threading
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.protocols.http.dav.folder import BOB
from tests.protocols.http.house import BASIC, head

if TYPE_CHECKING:
    from tests.protocols.http.dav.folder import Folder
    from tests.protocols.http.house import House

ALLPROP = b'<D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>'
BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<D:propfind xmlns:D="DAV:"><D:prop><D:x>&b;</D:x></D:prop></D:propfind>"""
FOREIGN = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x>&a;</x></D:prop></D:set></D:propertyupdate>"""


def update(text: str) -> bytes:
    """Return a PROPPATCH that sets what *text* says."""
    return f'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop>{text}</D:prop></D:set></D:propertyupdate>'.encode()


def named(*names: str) -> bytes:
    """Return a PROPFIND for *names* of DAV."""
    return f'<D:propfind xmlns:D="DAV:"><D:prop>{"".join(f"<D:{n}/>" for n in names)}</D:prop></D:propfind>'.encode()


# -- what everybody is told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/dav", "/dav/", "/dav/none/of/this"])
def test_options_answers_without_sign_in(house: House, path: str) -> None:
    """Windows asks what is spoken here before it has a login; the answer is the same for what is not there."""
    answer = house.ask("OPTIONS", path, authorization=None)
    assert answer.status == 200
    assert answer.headers["dav"] == "1, 2"
    assert answer.headers["ms-author-via"] == "DAV"
    assert "LOCK" in answer.headers["allow"]


@pytest.mark.parametrize("method", ["PROPFIND", "LOCK", "MKCOL", "COPY", "MOVE", "DELETE", "PUT", "GET", "PROPPATCH"])
def test_everything_else_asks_for_a_login(folder: Folder, method: str) -> None:
    """Without a login nobody learns anything."""
    answer = folder.house.ask(method, folder.url("x"), authorization=None)
    assert answer.status == 401
    assert any(value.startswith("Basic") for name, value in answer.lines if name == "www-authenticate")


def test_root_has_the_tree_for_windows(house: House) -> None:
    """Explorer looks at `/` before it looks at `/dav`."""
    answer = house.ask("PROPFIND", "/", {"Depth": "1"})
    assert answer.status == 207
    assert b"<D:href>/dav/</D:href>" in answer.body
    assert house.ask("PROPFIND", "/", {"Depth": "1"}, authorization=None).status == 401


# -- listings ----------------------------------------------------------------------------------------------------------


def test_listing_everything_below_is_refused(folder: Folder) -> None:
    """A listing has an end: its depth is 0 or 1, and the answer names the condition."""
    answer = folder.ask("PROPFIND", "", {"Depth": "infinity"})
    assert answer.status == 403
    assert b"propfind-finite-depth" in answer.body
    assert folder.ask("PROPFIND", "", {"Depth": "2"}).status == 400


@pytest.mark.parametrize("headers", [{}, {"Depth": "infinity"}])
def test_file_has_nothing_below_it(folder: Folder, headers: dict[str, str]) -> None:
    """Any depth of a file is the file: webdav4 and fsspec ask so whether one is there."""
    folder.ask("PUT", "file", body=b"x")
    answer = folder.ask("PROPFIND", "file", headers)
    assert answer.status == 207
    assert answer.body.count(b"<D:response>") == 1
    assert folder.ask("PROPFIND", "none", headers).status == 404


def test_folder_without_a_depth_is_told_with_what_lies_in_it(folder: Folder) -> None:
    """As webdav4 and fsspec ask whether one is there; nothing below that is walked."""
    folder.ask("MKCOL", "one")
    folder.ask("PUT", "one/deep", body=b"x")
    answer = folder.ask("PROPFIND", "", {})
    assert (answer.status, answer.body.count(b"<D:response>")) == (207, 2)


def test_depth_counts_where_it_has_a_meaning(folder: Folder) -> None:
    """webdavclient3 sends `Depth: 1` with PROPPATCH, for which the standard has none."""
    folder.ask("PUT", "file", body=b"x")
    change = b'<D:set><D:prop><x xmlns="urn:x">v</x></D:prop></D:set>'
    body = b'<D:propertyupdate xmlns:D="DAV:">' + change + b"</D:propertyupdate>"
    assert folder.ask("PROPPATCH", "file", {"Depth": "1"}, body).status == 207
    assert folder.ask("MKCOL", "new", {"Depth": "1"}).status == 201
    assert folder.ask("DELETE", "new", {"Depth": "0"}).status == 400


@pytest.mark.parametrize("method", ["DELETE", "MOVE"])
def test_root_stays_where_it_is(folder: Folder, method: str) -> None:
    """It has no parent from which it could be taken."""
    folder.ask("PUT", "file", body=b"x")
    destination = {"Destination": folder.url("elsewhere/")} if method == "MOVE" else {}
    assert folder.house.ask(method, "/dav/", destination).status == 403
    assert folder.content("file") == b"x"


def test_listing_of_many_pages_has_every_row_once(folder: Folder) -> None:
    """Two thousand names, in their order, with their sizes, in one document that ends."""
    for number in range(2000):
        folder.house.tree.add(f"/{folder.name}/n{number:04}&<x>", b"12345")
    answer = folder.ask("PROPFIND", "", {"Depth": "1"}, named("getcontentlength", "getetag"))
    text = answer.body.decode()
    assert text.count("<D:getcontentlength>5</D:getcontentlength>") == 2000
    assert text.count("<D:getetag>") == 2000
    assert text.endswith("</D:multistatus>\n")
    assert folder.hrefs() == [folder.url(f"n{number:04}%26%3Cx%3E") for number in range(2000)]


def test_what_is_asked_for_and_not_there_is_told_apart(folder: Folder) -> None:
    """A property that is not kept comes back under 404, and quota only where it is named."""
    body = b"""<D:propfind xmlns:D="DAV:" xmlns:x="urn:x"><D:prop>
        <D:quota-available-bytes/><D:quota-used-bytes/><x:none/></D:prop></D:propfind>"""
    text = folder.ask("PROPFIND", "", {"Depth": "0"}, body).body.decode()
    assert "<D:quota-available-bytes>1073741824</D:quota-available-bytes>" in text
    found, _, missing = text.partition("HTTP/1.1 200 OK")
    assert "quota-used-bytes" in found
    assert "x:none" in missing
    assert "404" in missing
    assert "quota" not in folder.ask("PROPFIND", "", {"Depth": "0"}, ALLPROP).body.decode()


def test_names_of_properties_are_told_without_values(folder: Folder) -> None:
    """`propname` has names alone."""
    folder.ask("PUT", "file", body=b"x")
    body = b'<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>'
    text = folder.ask("PROPFIND", "file", {"Depth": "0"}, body).body.decode()
    assert "<D:getcontentlength/>" in text
    assert "<D:getetag/>" in text


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("PROPFIND", BOMB, 400),
        ("PROPPATCH", FOREIGN, 400),
        ("LOCK", BOMB, 400),
        ("PROPFIND", b"<not closed", 400),
        ("PROPFIND", b"\xff\xfe\x00", 400),
        ("PROPFIND", b'<D:propfind xmlns:D="DAV:"/>', 400),
        ("PROPFIND", b"<a>" * 300_000, 413),
        ("PROPPATCH", b"x" * 300_000, 413),
        ("PROPPATCH", b"", 400),
        ("PROPPATCH", b"<wrong/>", 400),
        ("LOCK", b"<wrong/>", 400),
        ("MKCOL", b"<some/>", 415),
    ],
)
def test_documents_that_are_none_are_refused(folder: Folder, method: str, body: bytes, status: int) -> None:
    """No entity is looked at, no document is too large, and no answer shows how this is made."""
    folder.ask("PUT", "file", body=b"x")
    answer = folder.ask(method, "new" if method == "MKCOL" else "file", {"Depth": "0"}, body)
    assert answer.status == status
    for word in (b"Traceback", b"root:", b"wsgidav", b"WsgiDAV", b".py"):
        assert word not in answer.body
    assert answer.json["detail"] != answer.json["title"]


# -- properties --------------------------------------------------------------------------------------------------------


def test_properties_stay_with_a_file_that_moves_and_are_copied(folder: Folder) -> None:
    """What a client wants said of a file is said of it under its new name, and of its copy."""
    folder.ask("PUT", "one", body=b"x")
    assert folder.ask("PROPPATCH", "one", {}, update('<c xmlns="urn:x">blue &amp; green</c>')).status == 207
    folder.ask("MOVE", "one", {"Destination": folder.url("two")})
    folder.ask("COPY", "two", {"Destination": folder.url("three")})
    for name in ("two", "three"):
        answer = folder.ask("PROPFIND", name, {"Depth": "0"}, ALLPROP)
        assert b"blue &amp; green" in answer.body
    assert folder.ask("PROPFIND", "", {"Depth": "1"}, ALLPROP).body.count(b"blue &amp; green") == 2


def test_live_properties_cannot_be_set_and_nothing_else_is(folder: Folder) -> None:
    """One property that cannot be set keeps the others of its request from being set."""
    folder.ask("PUT", "file", body=b"x")
    answer = folder.ask("PROPPATCH", "file", {}, update('<D:getetag>1</D:getetag><c xmlns="urn:x">blue</c>'))
    assert answer.status == 207
    assert b"403" in answer.body
    assert b"424" in answer.body
    assert b"wsgidav" not in answer.body
    assert b"blue" not in folder.ask("PROPFIND", "file", {"Depth": "0"}, ALLPROP).body


def test_time_that_windows_sets_is_kept(folder: Folder) -> None:
    """Explorer sets the time of what it has sent by a property of its own."""
    folder.ask("PUT", "file", body=b"x")
    name = "Win32LastModifiedTime"
    text = f'<w:{name} xmlns:w="urn:schemas-microsoft-com:">Tue, 03 Nov 2020 10:11:12 GMT</w:{name}>'
    assert folder.ask("PROPPATCH", "file", {}, update(text)).status == 207
    answer = folder.ask("PROPFIND", "file", {"Depth": "0"}, named("getlastmodified"))
    assert b"Tue, 03 Nov 2020 10:11:12 GMT" in answer.body


# -- copies and moves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("", 400),
        ("https://elsewhere.example/dav/x", 502),
        ("/files/x", 502),
        ("/davenport/x", 502),
        ("nonsense", 502),
        ("{}", 403),
        ("{}/", 403),
        ("{}/child", 403),
        ("https://localhost{}", 403),
        ("/dav/none/of/this", 409),
        ("/dav/out/x", 403),
        ("/dav/back%5Cslash", 400),
        ("/dav/a%2Fb", 400),
    ],
)
def test_destinations_that_cannot_be_are_refused(folder: Folder, method: str, target: str, status: int) -> None:
    """Onto itself, into itself, to another server, out of the tree: nothing happens, and the source stays."""
    folder.ask("MKCOL", "source")
    headers = {"Destination": target.format(folder.url("source"))} if target else {}
    assert folder.ask(method, "source", headers).status == status
    assert folder.hrefs() == [folder.url("source/")]


@pytest.mark.parametrize("name", ["what?now", "semi;colon", "100%", "a#b", "ümläut 日本語", "plus+sign"])
def test_odd_names_are_moved_and_copied_as_they_are(folder: Folder, name: str) -> None:
    """What a name holds is never taken for a part of an address."""
    from urllib.parse import quote

    folder.ask("PUT", "file", body=b"x")
    assert folder.ask("MOVE", "file", {"Destination": folder.url(quote(name))}).status == 201
    assert folder.ask("COPY", quote(name), {"Destination": folder.url("c" + quote(name))}).status == 201
    assert folder.content(name) == b"x"
    assert folder.content("c" + name) == b"x"
    assert folder.content("file") is None


def test_overwriting_is_asked_for(folder: Folder) -> None:
    """With `Overwrite: F` what is there stays; without it a folder that is in the way goes with what it holds."""
    folder.ask("PUT", "file", body=b"x")
    folder.ask("MKCOL", "there")
    folder.ask("PUT", "there/kept", body=b"y")
    for method in ("COPY", "MOVE"):
        answer = folder.ask(method, "file", {"Destination": folder.url("there"), "Overwrite": "F"})
        assert answer.status == 412
    assert folder.content("there/kept") == b"y"
    assert folder.ask("MOVE", "file", {"Destination": folder.url("there")}).status == 204
    assert folder.content("there") == b"x"
    assert folder.content("there/kept") is None


def test_folder_is_copied_whole_or_alone(folder: Folder) -> None:
    """Depth says whether what a folder holds goes with it."""
    folder.ask("MKCOL", "one")
    folder.ask("MKCOL", "one/inner")
    folder.ask("PUT", "one/inner/file", body=b"x")
    assert folder.ask("COPY", "one", {"Destination": folder.url("two")}).status == 201
    assert folder.ask("COPY", "one", {"Destination": folder.url("three"), "Depth": "0"}).status == 201
    assert folder.content("two/inner/file") == b"x"
    assert folder.hrefs("three") == []


def test_what_cannot_be_removed_is_named(folder: Folder) -> None:
    """Of a folder that holds something that may not go, the answer says what."""
    folder.ask("MKCOL", "one")
    folder.ask("MKCOL", "one/kept")
    folder.house.tree.add(f"/{folder.name}/one/kept/file", b"x")
    folder.house.tree.read_only.add((folder.name, "one", "kept"))
    answer = folder.ask("DELETE", "one")
    assert answer.status == 207
    assert f"{folder.url('one/kept/file')}</D:href>".encode() in answer.body
    assert b"403" in answer.body
    assert folder.content("one/kept/file") == b"x"


def test_where_one_may_only_read_nothing_is_changed(house: House) -> None:
    """Every verb that changes something is denied in a folder that is read-only."""
    for method, path, headers in (
        ("PUT", "/dav/out/new", {}),
        ("MKCOL", "/dav/out/new", {}),
        ("DELETE", "/dav/out/report.txt", {}),
        ("MOVE", "/dav/out/report.txt", {"Destination": "/dav/out/other"}),
        ("COPY", "/dav/out/report.txt", {"Destination": "/dav/out/other"}),
    ):
        assert house.ask(method, path, headers).status == 403
    assert house.ask("PROPPATCH", "/dav/out/report.txt", {}, update('<c xmlns="urn:x">b</c>')).status == 403
    assert house.tree.content("/out/report.txt") == b"report"


@pytest.mark.parametrize(
    ("operation", "method", "headers"),
    [
        ("rename", "MOVE", {"Destination": "/dav/elsewhere"}),
        ("copy", "COPY", {"Destination": "/dav/elsewhere"}),
        ("remove", "DELETE", {}),
        ("mkdir", "MKCOL", {}),
        ("commit", "PUT", {}),
        ("change_properties", "PROPPATCH", {}),
        ("scandir", "PROPFIND", {"Depth": "1"}),
    ],
)
def test_errors_nobody_foresaw_tell_nothing(
    folder: Folder, operation: str, method: str, headers: dict[str, str]
) -> None:
    """The text of an unknown error stays in the log, by whichever way it comes."""
    folder.ask("PUT", "file", body=b"x")

    def fail(called: str, path: object) -> None:
        if called == operation and folder.name in str(path):
            raise RuntimeError("/secret/path of the machine")

    folder.house.tree.before = fail
    name = {"MKCOL": "new", "PROPFIND": ""}.get(method, "file")
    try:
        answer = folder.ask(method, name, headers, update('<c xmlns="urn:x">b</c>') if method == "PROPPATCH" else b"")
    finally:
        folder.house.tree.before = None
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert b"RuntimeError" not in answer.body


# -- uploads -----------------------------------------------------------------------------------------------------------


def test_checksums_are_compared(folder: Folder) -> None:
    """A file whose checksum is not the announced one is not published; the right ones are, of every kind."""
    content = b"content" * 1000
    wrong = folder.ask("PUT", "file", {"OC-Checksum": "SHA1:" + "0" * 40}, content)
    assert wrong.status == 400
    assert "OC-Checksum" in wrong.json["detail"]
    assert folder.content("file") is None
    right = f"MD5:{hashlib.md5(content).hexdigest()} ADLER32:{zlib.adler32(content):08x} WHATEVER:00"
    assert folder.ask("PUT", "file", {"OC-Checksum": right}, content).status == 201
    assert folder.ask("PUT", "file", {"OC-Checksum": "nonsense"}, content).status == 400
    digest = {"Repr-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"}
    assert folder.ask("PUT", "file", digest, b"other").status == 400
    assert folder.content("file") == content


def test_time_of_a_client_is_kept(folder: Folder) -> None:
    """`X-OC-Mtime` is accepted, and shown."""
    answer = folder.ask("PUT", "file", {"X-OC-Mtime": "1600000000"}, b"x")
    assert answer.headers["x-oc-mtime"] == "accepted"
    assert b"Sun, 13 Sep 2020 12:26:40 GMT" in folder.ask("PROPFIND", "file", {"Depth": "0"}).body
    assert folder.ask("PUT", "file", {"X-OC-Mtime": "yesterday"}, b"x").status == 400


def test_part_of_a_file_is_no_file(folder: Folder) -> None:
    """`Content-Range` is refused before a byte of the body: RFC 9110 leaves nothing else to a server of whole files."""
    for headers in ({"Content-Range": "bytes 0-0/2"}, {"Range": "bytes=0-0/2"}):
        answer = folder.ask("PUT", "file", headers, b"x")
        assert answer.status == 400
        assert folder.content("file") is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_address_of_a_folder_ends_in_a_slash(folder: Folder, method: str) -> None:
    """Who asks without one is sent there; lftp takes the folder for a file otherwise, and writes beside it."""
    folder.ask("MKCOL", "d")
    answer = folder.ask(method, "d?x=1")
    assert (answer.status, answer.headers["location"]) == (301, folder.url("d/?x=1"))
    assert folder.ask(method, "d/").status == 200
    assert folder.house.ask(method, "/files" + folder.url("d").removeprefix("/dav")).status == 200


@pytest.mark.parametrize("end", ["reset", "drop", "goodbye"])
@pytest.mark.parametrize("chunked", [False, True])
def test_cut_puts_never_replace_a_good_file(folder: Folder, end: str, *, chunked: bool) -> None:
    """Whatever ends the connection in the middle, the file that was there is the one that is there."""
    folder.ask("PUT", "file", body=b"the good one")
    before = len(folder.house.aborted())
    with folder.house.wire() as wire:
        framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "1000"}
        wire.send(head("PUT", folder.url("file"), framing))
        wire.send(b"5\r\nhello\r\n" if chunked else b"hello")
        folder.house.wait(lambda: ("ann", (folder.name, "file")) in folder.house.tree.partials)
        getattr(wire, end)() if end != "drop" else wire.drop()
        folder.house.wait(lambda: len(folder.house.aborted()) > before)
    assert folder.content("file") == b"the good one"


def test_conditions_of_a_put_hold(folder: Folder) -> None:
    """ETags keep a client from overwriting what it has not seen."""
    etag = folder.ask("PUT", "file", body=b"one").headers["etag"]
    assert folder.ask("PUT", "file", {"If-Match": '"other"'}, b"two").status == 412
    assert folder.ask("PUT", "file", {"If-None-Match": "*"}, b"two").status == 412
    assert folder.ask("PUT", "file", {"If": '(["other"])'}, b"two").status == 412
    assert folder.ask("PUT", "file", {"If-Match": etag}, b"three").status == 204
    assert folder.content("file") == b"three"


def test_uploads_that_stall_keep_nobody_waiting(folder: Folder) -> None:
    """More uploads than there are threads fall silent, and everybody else is served."""
    wires = [folder.house.wire() for _ in range(12)]
    try:
        for number, wire in enumerate(wires):
            wire.send(head("PUT", folder.url(f"file{number}"), length=100) + b"begun")
        folder.house.wait(lambda: sum(parts[0] == folder.name for _, parts in folder.house.tree.partials) == 12)
        done = threading.Event()

        def others() -> None:
            assert folder.ask("PROPFIND", "", {"Depth": "1"}, login=BOB).status == 207
            assert folder.ask("PUT", "other", body=b"x", login=BOB).status == 201
            done.set()

        thread = threading.Thread(target=others)
        thread.start()
        assert done.wait(20), "somebody had to wait"
        thread.join()
    finally:
        before = len(folder.house.aborted())
        for wire in wires:
            wire.drop()
        folder.house.wait(lambda: len(folder.house.aborted()) >= before + 12)


def test_connection_serves_files_and_webdav_by_sessions_of_their_own(house: House) -> None:
    """A session says what it speaks, also where one connection speaks both."""
    with house.wire() as wire:
        wire.ask("GET", "/files/", authorization=BASIC)
        wire.ask("PROPFIND", "/dav/", {"Depth": "0"}, authorization=BASIC)
    origins = [session.origin.protocol for session in house.authenticator.opened[-2:]]
    assert origins == ["https", "webdav"]
    house.wait(lambda: len(house.exchanges) > 1)
    assert [exchange.protocol for exchange in house.exchanges[-2:]] == ["https", "webdav"]
