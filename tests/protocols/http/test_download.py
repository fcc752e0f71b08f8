"""GET and HEAD over a real connection."""

from __future__ import annotations

import base64
import email
import hashlib
import html
import io
import os
import re
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from protocols.errors import DamagedError, LockedError, PermissionDeniedError, UnavailableError
from protocols.http import HttpSettings
from protocols.http.disposition import content_disposition
from tests.protocols.http.house import UPLOADS, head, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from protocols.path import VirtualPath
    from tests.protocols.http.house import House

FILE = f"/files{UPLOADS}/log.txt"
CONTENT = bytes(range(256)) * 4096  # 1 MiB: several pieces
ETAG = '"' + hashlib.sha256(CONTENT).hexdigest() + '"'


@pytest.fixture
def stored(house: House) -> House:
    """A head with a file of several pieces."""
    house.tree.add(f"{UPLOADS}/log.txt", CONTENT)
    return house


def test_get_gives_the_file_with_headers_that_make_it_harmless(stored: House) -> None:
    """A download is whole, and nothing in it can act in our origin."""
    answer = stored.ask("GET", FILE)
    assert (answer.status, answer.body) == (200, CONTENT)
    wanted = {
        "etag": ETAG,
        "accept-ranges": "bytes",
        "content-length": str(len(CONTENT)),
        "content-type": "application/octet-stream",
        "content-disposition": 'attachment; filename="log.txt"',
        "last-modified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "private, no-store",
        "strict-transport-security": "max-age=31536000",
        "server": "mft",
    }
    assert {name: answer.headers.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("at_once", [0, 700_000, 1 << 40])
def test_get_is_whole_however_much_of_it_is_at_hand(stored: House, at_once: int) -> None:
    """What is sent from memory that is used again at once is what the file has there, to a slow client too."""
    content = os.urandom(3_000_001)
    stored.tree.at_once = at_once
    stored.tree.add(f"{UPLOADS}/random", content)
    with stored.wire(receive_buffer=8192) as wire:
        assert wire.ask("GET", f"/files{UPLOADS}/random").body == content
        part = wire.ask("GET", f"/files{UPLOADS}/random", {"Range": "bytes=17-1400000"})
        assert (part.status, part.body) == (206, content[17:1_400_001])


def test_get_works_at_the_deposit_alias_too(stored: House) -> None:
    """`/cases/CASE/…` and `/files/cases/CASE/…` are the same file."""
    assert stored.ask("GET", f"{UPLOADS}/log.txt").body == CONTENT


def test_head_describes_and_sends_nothing(stored: House) -> None:
    """HEAD has the headers of GET, ignores Range and opens no file."""
    opened: list[str] = []
    stored.tree.before = lambda operation, _path: opened.append(operation)
    with stored.wire() as wire:
        answer = wire.ask("HEAD", FILE, {"Range": "bytes=0-9"})
        assert (answer.status, answer.headers["content-length"], answer.headers["etag"]) == (
            200,
            str(len(CONTENT)),
            ETAG,
        )
        assert wire.silent()
    assert opened == ["stat"]


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=1000-", 1000, len(CONTENT) - 1),
        ("bytes=-5", len(CONTENT) - 5, len(CONTENT) - 1),
        ("bytes=-99999999999", 0, len(CONTENT) - 1),
        ("bytes=262143-262144", 262143, 262144),
        ("BYTES=5-99999999999", 5, len(CONTENT) - 1),
        ("bytes=5-" + "9" * 30, 5, len(CONTENT) - 1),
    ],
)
def test_get_of_a_range_gives_just_that(stored: House, wanted: str, first: int, last: int) -> None:
    """A single range is answered with 206 and exactly its bytes."""
    answer = stored.ask("GET", FILE, {"Range": wanted})
    assert (answer.status, answer.body) == (206, CONTENT[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-5,5-6",
        "bytes=" + "0-0," * 64 + "1-1",
        "bytes=0-1,5-2",
        "bytes=5-2",
        "bytes=a-b",
        "lines=0-1",
        "bytes=-",
        "bytes 0-1",
        "bytes=" + "9" * 41 + "-",
    ],
)
def test_get_of_a_range_that_is_not_served_gives_the_whole(stored: House, wanted: str) -> None:
    """Ranges that overlap, are very many or malformed are ignored, as the standard allows."""
    answer = stored.ask("GET", FILE, {"Range": wanted})
    assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.parametrize("wanted", [f"bytes={len(CONTENT)}-", "bytes=9999999999-99999999999", "bytes=-0"])
def test_get_of_a_range_outside_is_416_and_says_the_size(stored: House, wanted: str) -> None:
    """A range with no byte in the file is refused with the file's size."""
    answer = stored.ask("GET", FILE, {"Range": wanted})
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


@pytest.mark.parametrize(
    ("condition", "status"),
    [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Tue, 14 Nov 2023 22:13:20 GMT", 200)],
)
def test_if_range_holds_only_for_the_strong_etag(stored: House, condition: str, status: int) -> None:
    """A resumed download never splices two versions: dates and weak tags get the whole file."""
    assert stored.ask("GET", FILE, {"Range": "bytes=1-2", "If-Range": condition}).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f"W/{ETAG}"}, 304),
        ({"If-None-Match": f'"a", {ETAG}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"a"'}, 200),
        ({"If-None-Match": '"a"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 304),
        ({"If-Modified-Since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"a"'}, 412),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Unmodified-Since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 412),
        ({"If-Unmodified-Since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 200),
        ({"If-Match": '"a"', "If-None-Match": ETAG, "Range": "bytes=9999999-"}, 412),
        ({"If-None-Match": ETAG, "Range": "bytes=9999999-"}, 304),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_preconditions_are_evaluated_in_the_standards_order(
    stored: House, method: str, headers: dict[str, str], status: int
) -> None:
    """If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, then Range."""
    with stored.wire() as wire:
        answer = wire.ask(method, FILE, headers)
        assert answer.status == status
        assert wire.ask("GET", FILE, {"Range": "bytes=0-0"}).body == b"\0", "the connection is out of step"


def test_get_of_an_empty_file(stored: House) -> None:
    """An empty file is an answer of no bytes; a range of it is not."""
    stored.tree.add(f"{UPLOADS}/empty", b"")
    answer = stored.ask("GET", f"/files{UPLOADS}/empty")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "0", b"")
    assert stored.ask("GET", f"/files{UPLOADS}/empty", {"Range": "bytes=0-"}).status == 416


def test_get_of_what_is_not_there_is_a_problem_document(stored: House) -> None:
    """Errors are problem+json with the request's id."""
    answer = stored.ask("GET", "/files/cases/4711/nothing")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json["status"] == 404
    assert answer.json["title"] == "Not Found"
    assert answer.json["instance"].endswith(answer.headers["x-request-id"])


def test_get_of_a_file_with_a_slash_behind_it_is_404(stored: House) -> None:
    """A slash at the end asks for a directory."""
    assert stored.ask("GET", FILE + "/").status == 404


def test_a_read_error_in_the_middle_cuts_the_connection(stored: House) -> None:
    """Half a file is never followed by a proper end."""
    reads: list[int] = []

    def fail_later(operation: str, _path: VirtualPath) -> None:
        if operation == "read":
            reads.append(1)
            if len(reads) == 2:
                raise UnavailableError("the store does not answer")

    stored.tree.before = fail_later
    with stored.wire() as wire:
        wire.send(head("GET", FILE))
        status, headers, _, _ = wire.answer_head()
        assert (status, headers["content-length"]) == (200, str(len(CONTENT)))
        with pytest.raises((EOFError, OSError)):
            wire.take(len(CONTENT))
    stored.wait(lambda: len(stored.exchanges) == 1)
    assert stored.exchanges[0].status == 499


def test_an_error_before_the_first_byte_is_an_answer(stored: House) -> None:
    """What fails at the first piece is still told as it is, with Retry-After."""

    def fail(operation: str, _path: VirtualPath) -> None:
        if operation == "read":
            raise UnavailableError("the store does not answer", retry_after=6.2)

    stored.tree.before = fail
    answer = stored.ask("GET", FILE)
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(
    ("error", "status"),
    [(PermissionDeniedError("no"), 403), (LockedError("busy"), 423), (UnavailableError("down"), 503)],
)
def test_errors_of_the_filesystem_have_their_statuses(stored: House, error: Exception, status: int) -> None:
    """The table of the design holds, and the text reaches the client."""

    def fail(_operation: str, _path: VirtualPath) -> None:
        raise error

    stored.tree.before = fail
    answer = stored.ask("GET", FILE)
    assert (answer.status, answer.json["detail"]) == (status, str(error))


def test_an_unknown_error_is_not_told(stored: House, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets a number, the log gets the rest, once."""

    def fail(_operation: str, _path: VirtualPath) -> None:
        raise RuntimeError("secret inner workings")

    stored.tree.before = fail
    answer = stored.ask("GET", FILE)
    assert answer.status == 500
    assert b"inner workings" not in answer.body
    assert answer.headers["x-request-id"] in answer.json["detail"]
    assert [record.message for record in caplog.records if record.exc_info] == ["http.failed"]


def test_listing_shows_entries_as_json(stored: House) -> None:
    """A directory is listed with or without the slash."""
    stored.tree.add(f"{UPLOADS}/a", b"1")
    for target in (f"/files{UPLOADS}", f"/files{UPLOADS}/", f"{UPLOADS}/"):
        answer = stored.ask("GET", target)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["path"] == UPLOADS
        assert [(row["name"], row["type"], row["size"]) for row in answer.json["entries"]] == [
            ("a", "file", 1),
            ("log.txt", "file", len(CONTENT)),
        ]


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_listing_is_a_page_of_links_to_who_prefers_one(house: House) -> None:
    """Names are escaped in link and text, sizes are those of what GET gives, and nothing in a page can act."""
    names = ['<a href="x">&amp;', "a b%2f#?.log", "javascript:alert(1)"]
    for name in names:
        house.tree.add(f"{UPLOADS}/{name}", b"12345")
    house.tree.directories.add(tuple(f"{UPLOADS}/sub".strip("/").split("/")))
    answer = house.ask("GET", f"/files{UPLOADS}/", BROWSER)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; base-uri 'none'")
    text = answer.body.decode()
    links = re.findall(r'<a href="([^"]*)">([^<]*)</a> +(.*)', text)
    assert [unquote(link) for link, _, _ in links if link not in {"../", "sub/"}] == sorted(names)
    assert all(not set(link) & set(":<>\"&'") for link, _, _ in links)
    assert [html.unescape(name) for _, name, _ in links if name not in {"../", "sub/"}] == sorted(names)
    assert {rest for link, _, rest in links if link == "sub/"} == {f"14-Nov-2023 22:13 {'-':>19}"}
    assert f"14-Nov-2023 22:13 {'5':>19}" in {rest for _, _, rest in links}
    assert text.count("<a ") == len(names) + 2
    assert '<a href="../">' not in house.ask("GET", "/files/", BROWSER).body.decode()


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({}, False),
        ({"Accept": "*/*"}, False),
        ({"Accept": "*/*", "User-Agent": "curl/8.5.0"}, False),
        ({"Accept": "*/*", "User-Agent": "lftp/4.9.2"}, True),
        ({"Accept": "*/*", "User-Agent": "Wget/1.21.4"}, True),
        ({"User-Agent": "rclone/v1.60.1"}, True),
        ({"Accept": "application/json", "User-Agent": "lftp/4.9.2"}, False),
        ({"Accept": "application/json;q=0.5, text/html"}, True),
        ({"Accept": "text/html;q=nonsense, */*;q=0.1"}, False),
        ({"Accept": "text/*;q=0.2, application/json;q=0.1"}, True),
        ({"Accept": ",;=,"}, False),
    ],
)
def test_listing_takes_the_form_that_is_preferred(house: House, headers: dict[str, str], page: bool) -> None:
    """By Accept; where that leaves it open, JSON, but for programs that read pages alone."""
    for method in ("GET", "HEAD"):
        answer = house.ask(method, f"/files{UPLOADS}/", headers)
        assert answer.headers["content-type"].startswith("text/html" if page else "application/json")
        assert answer.headers["vary"] == "Accept, User-Agent"


def test_page_of_many_entries_is_streamed_whole_and_lies_behind_a_slash(house: House) -> None:
    """Its links are relative: without the slash a browser is sent to the address that has it, query included."""
    for number in range(600):
        house.tree.add(f"{UPLOADS}/{number:05}", b"")
    answer = house.ask("GET", f"/files{UPLOADS}?x=1", BROWSER)
    assert (answer.status, answer.headers["location"]) == (301, f"/files{UPLOADS}/?x=1")
    assert house.ask("HEAD", "/files", BROWSER).headers["location"] == "/files/"
    text = house.ask("GET", f"/files{UPLOADS}/", BROWSER).body.decode()
    assert re.findall(r'<a href="(\d+)">', text) == [f"{number:05}" for number in range(600)]
    assert text.endswith("</html>\n")


def test_listing_of_many_entries_is_streamed_whole(house: House) -> None:
    """Pages are joined into one valid document."""
    for number in range(1025):
        house.tree.add(f"{UPLOADS}/{number:05}", b"")
    answer = house.ask("GET", f"/files{UPLOADS}/")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert [row["name"] for row in answer.json["entries"]] == [f"{number:05}" for number in range(1025)]


def test_listing_of_exactly_one_page_and_of_nothing(house: House) -> None:
    """The edges of a page make valid documents too."""
    assert house.ask("GET", f"/files{UPLOADS}/").json["entries"] == []
    for number in range(256):
        house.tree.add(f"{UPLOADS}/{number:05}", b"")
    assert len(house.ask("GET", f"/files{UPLOADS}/").json["entries"]) == 256


def test_listing_of_what_is_not_there_is_404(house: House) -> None:
    """A missing directory, and a file asked for as one, are not found."""
    assert house.ask("GET", "/files/cases/9999/").status == 404


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.txt", 'attachment; filename="a b.txt"'),
        (
            'x"; filename=evil.exe',
            "attachment; filename=\"x__ filename=evil.exe\"; filename*=UTF-8''x%22%3B%20filename%3Devil.exe",
        ),
        ("größe.log", "attachment; filename=\"gr__e.log\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.log"),
        ("a\r\nX: y", "attachment; filename=\"a__X_ y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
        ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
    ],
)
def test_content_disposition_cannot_be_broken_out_of(name: str, header: str) -> None:
    """A hostile name stays inside its quotes, and no line ends."""
    assert content_disposition(name) == header


def test_names_of_all_kinds_come_back_as_they_were(house: House) -> None:
    """What a name means in a URL, in JSON and in a header does not change it."""
    names = [
        "größe ☃.log",
        "a+b c%20d.txt",
        "<img src=x onerror=alert(1)>",
        "quote\"'`",
        "semi;colon&amp=1",
        "-rf",
        "...",
    ]
    for name in names:
        quoted = "".join(f"%{byte:02x}" for byte in name.encode())
        assert house.ask("PUT", f"{UPLOADS}/{quoted}", body=name.encode()).status == 201
        answer = house.ask("GET", f"{UPLOADS}/{quoted}")
        assert (answer.status, answer.body) == (200, name.encode())
    listing = house.ask("GET", f"{UPLOADS}/")
    assert sorted(row["name"] for row in listing.json["entries"]) == sorted(names)


def test_many_requests_on_one_connection(house: House) -> None:
    """A thousand requests use one connection and one session."""
    house.tree.add(f"{UPLOADS}/small", b"payload")
    with house.wire() as wire:
        for number in range(1000):
            method = "HEAD" if number % 3 == 0 else "GET"
            assert wire.ask(method, f"{UPLOADS}/small").status == 200
    assert len(house.authenticator.opened) == 1


def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    """Requests sent together are answered one after another."""
    for number in range(20):
        house.tree.add(f"{UPLOADS}/{number}", str(number).encode())
    with house.wire() as wire:
        wire.send(b"".join(head("GET", f"{UPLOADS}/{number}") for number in range(20)))
        assert [wire.answer().body for _ in range(20)] == [str(number).encode() for number in range(20)]


def test_a_client_that_stops_reading_is_cut(certificate: tuple[Path, Path]) -> None:
    """Who takes nothing for the send time-out loses the connection, and the file is closed."""
    with running(certificate, HttpSettings(send_timeout=0.3)) as house:
        house.tree.add(f"{UPLOADS}/big", os.urandom(8 << 20))
        with house.wire(receive_buffer=4096) as wire:
            wire.send(head("GET", f"{UPLOADS}/big"))
            house.wait(lambda: len(house.exchanges) == 1)
            assert house.exchanges[0].status == 499
            assert wire.answer_head()[0] == 200
            with pytest.raises((EOFError, OSError)):
                wire.take(8 << 20)


def test_several_ranges_come_in_parts(stored: House) -> None:
    """Each with its own head, in the order that was asked for; what lies outside is left out."""
    wanted = f"bytes=700000-700009, 0-3,-5,{len(CONTENT)}-{len(CONTENT) + 5}"
    answer = stored.ask("GET", FILE, {"Range": wanted})
    assert answer.status == 206
    message = email.message_from_bytes(
        b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.body
    )
    found = [(part["Content-Range"], part.get_payload(decode=True)) for part in message.get_payload()]
    size = len(CONTENT)
    assert found == [
        (f"bytes 700000-700009/{size}", CONTENT[700000:700010]),
        (f"bytes 0-3/{size}", CONTENT[:4]),
        (f"bytes {size - 5}-{size - 1}/{size}", CONTENT[-5:]),
    ]


def test_one_of_several_ranges_that_is_in_the_file_comes_alone(stored: House) -> None:
    """As if it had been asked for alone."""
    answer = stored.ask("GET", FILE, {"Range": f"bytes=0-3,{len(CONTENT)}-"})
    assert (answer.status, answer.body) == (206, CONTENT[:4])
    assert answer.headers["content-range"] == f"bytes 0-3/{len(CONTENT)}"


def test_digest_comes_where_it_is_wanted(stored: House) -> None:
    """For HEAD, GET and a part of a file: always the whole file's."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()}:"
    wish = {"Want-Repr-Digest": "sha-512=3, sha-256=10"}
    for method, headers in (("HEAD", {}), ("GET", {}), ("GET", {"Range": "bytes=0-1"})):
        assert stored.ask(method, FILE, {**wish, **headers}).headers["repr-digest"] == digest
    assert "repr-digest" not in stored.ask("HEAD", FILE).headers
    assert "repr-digest" not in stored.ask("HEAD", FILE, {"Want-Repr-Digest": "sha-256=0"}).headers


@pytest.fixture(scope="module")
def folder(certificate: tuple[Path, Path]) -> Iterator[House]:
    """A head with a folder of files, and one that is not whole."""
    with running(certificate) as house:
        for path, content in TREE.items():
            house.tree.directories.add(tuple(f"cases/4711/up/{path}".split("/")[:-1]))
            house.tree.add(f"{UPLOADS}/{path}", content)
        with house.wire() as wire:
            wire.send(head("PUT", f"/files{UPLOADS}/cut", length=100) + b"beginning")
            house.wait(lambda: bool(house.tree.partials))
        yield house


TREE = {"a.log": b"a" * 1000, "sub/b.log": CONTENT, "sub/deep/c.log": b"", "sub/ümläut 1": b"odd"}


@pytest.mark.parametrize("query", ["?archive=zip", "?archive=zip&compression=deflate", ""])
def test_folder_comes_as_a_zip(folder: House, query: str) -> None:
    """Every file in it, and a word about what is left out."""
    answer = folder.ask("GET", f"/files{UPLOADS}/{query}", {} if query else {"Accept": "application/zip"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="up.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        names = {name for name in archive.namelist() if not name.endswith("/")}
        assert names == {*TREE, "LEFT-OUT.txt"}
        assert all(archive.read(name) == content for name, content in TREE.items())
        assert b"cut" in archive.read("LEFT-OUT.txt")
        kinds = {name: stat.filemode(archive.getinfo(name).external_attr >> 16) for name in ("sub/", "a.log")}
        assert kinds == {"sub/": "drwx------", "a.log": "-rw-------"}
    assert ("deflate" in query) == (len(answer.body) < len(CONTENT))


def test_folder_comes_as_a_tar(folder: House) -> None:
    """The same, for tar."""
    answer = folder.ask("GET", f"/files{UPLOADS}/?archive=tar")
    assert answer.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        found = {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}
    assert {name: found[name] for name in TREE} == TREE
    assert b"cut" in found["LEFT-OUT.txt"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_file_that_is_damaged_is_left_out_of_an_archive(folder: House, kind: str) -> None:
    """One file of which no whole copy is left does not keep its reader from all the others."""

    def fail(operation: str, path: VirtualPath) -> None:
        if operation == "read" and path.name == "b.log":
            raise DamagedError("no whole copy is left")

    folder.tree.before = fail
    try:
        answer = folder.ask("GET", f"/files{UPLOADS}/?archive={kind}")
    finally:
        folder.tree.before = None
    assert answer.status == 200
    found = unpacked(kind, answer.body)
    assert set(TREE) - set(found) == {"sub/b.log"}
    assert b"sub/b.log: no whole copy is left" in found["LEFT-OUT.txt"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("modified", [0, 253_402_300_000])
def test_any_time_of_a_client_goes_into_an_archive(house: House, kind: str, modified: int) -> None:
    """A zip knows the years from 1980 to 2107, and clients give any other."""
    name = f"time-{kind}-{modified}"
    assert house.ask("PUT", f"/files{UPLOADS}/{name}", {"X-OC-Mtime": str(modified)}, b"x").status == 201
    answer = house.ask("GET", f"/files{UPLOADS}/?archive={kind}")
    assert unpacked(kind, answer.body)[name] == b"x"


def unpacked(kind: str, archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive."""
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            return {name: zipped.read(name) for name in zipped.namelist() if not name.endswith("/")}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tape:
        return {each.name: tape.extractfile(each).read() for each in tape if each.isfile()}


def test_archive_that_is_not_made_here_is_refused(folder: House) -> None:
    """It says which are."""
    answer = folder.ask("GET", f"/files{UPLOADS}/?archive=rar")
    assert (answer.status, "zip" in answer.json["detail"]) == (400, True)
    assert folder.ask("GET", "/files/none/?archive=zip").status == 404


def test_method_may_come_in_a_header(folder: House) -> None:
    """PUT, GET and HEAD, where a proxy lets only POST pass."""
    path = f"/files{UPLOADS}/by-post"
    assert folder.ask("POST", path, {"X-HTTP-Method-Override": "PUT"}, b"abc").status == 201
    assert folder.ask("POST", path, {"X-HTTP-Method-Override": "GET"}).body == b"abc"
    assert folder.ask("POST", path, {"X-HTTP-Method-Override": "MELT"}).status == 400
    assert folder.ask("POST", path, {}, b"abc").status == 405
