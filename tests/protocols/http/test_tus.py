"""tus 1.0.0 and its extensions, by the letter, over one connection."""

from __future__ import annotations

import base64
import hashlib
import threading
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from protocols.errors import NoSpaceError
from protocols.http import HttpSettings
from tests.protocols.http.house import UPLOADS, Answer, House, Wire, head, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from protocols.path import VirtualPath

FOLDER = "/tus" + UPLOADS + "/"
STREAM = {"Content-Type": "application/offset+octet-stream"}
CONTENT = bytes(range(256)) * 400
OTHER = "Basic " + base64.b64encode(b"bob:his secret").decode()


def coded(**pairs: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


def tus(wire: Wire | House, method: str, target: str, body: bytes = b"", **headers: Any) -> Answer:
    """Ask as a client of tus does; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): str(value) for name, value in headers.items() if name != "authorization"}
    options = {"authorization": headers["authorization"]} if "authorization" in headers else {}
    return wire.ask(method, target, {"Tus-Resumable": "1.0.0", **named}, body, **options)


def made(house: House, length: int = len(CONTENT), name: str = "a.log", **headers: Any) -> str:
    """Make an upload and return its path."""
    answer = tus(house, "POST", FOLDER, Upload_Length=length, Upload_Metadata=coded(filename=name), **headers)
    assert answer.status == 201, answer.body
    return path_of(answer)


def path_of(answer: Answer) -> str:
    place = answer.headers["location"]
    assert place.startswith("https://localhost/tus/")
    return place.removeprefix("https://localhost")


def sent(house: House, path: str, offset: int, body: bytes, **headers: Any) -> Answer:
    length = {} if body else {"Content_Length": 0}
    return tus(house, "PATCH", path, body, Upload_Offset=offset, **{**STREAM, **length, **headers})


@pytest.fixture(scope="module")
def shared(certificate: tuple[Path, Path]) -> Iterator[House]:
    """A head for tests that leave it as they found it, or use names of their own."""
    with running(certificate, HttpSettings(linger=0.5, max_body=1 << 40)) as house:
        house.authenticator.passwords["bob"] = "his secret"
        yield house


def test_options_tell_what_is_known_without_sign_in(shared: House) -> None:
    """Every extension is named, and every algorithm."""
    answer = shared.ask("OPTIONS", "/tus/", authorization=None)
    assert answer.status == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "checksum-trailer",
        "termination",
        "concatenation",
        "concatenation-unfinished",
    }
    assert {"sha1", "sha256"} <= set(answer.headers["tus-checksum-algorithm"].split(","))
    assert answer.headers["tus-max-size"] == str(1 << 40)
    assert "application/partial-upload" in answer.headers["accept-patch"]


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_nothing_is_done_without_sign_in(shared: House, method: str) -> None:
    """Every method asks who it is."""
    path = FOLDER if method == "POST" else made(shared, name=f"sign-in-{method}")
    answer = tus(shared, method, path, authorization=None)
    assert (answer.status, answer.headers["tus-resumable"]) == (401, "1.0.0")


def test_file_lands_with_its_last_byte(house: House) -> None:
    """HEAD tells where it stands in between, and the file is there once it is whole."""
    path = made(house)
    assert sent(house, path, 0, CONTENT[:1000]).headers["upload-offset"] == "1000"
    asked = tus(house, "HEAD", path)
    assert (asked.status, asked.headers["upload-offset"], asked.headers["upload-length"]) == (200, "1000", "102400")
    assert asked.headers["cache-control"] == "no-store"
    assert asked.headers["upload-metadata"] == coded(filename="a.log")
    assert parsedate_to_datetime(asked.headers["upload-expires"])
    assert house.tree.content(f"{UPLOADS}/a.log") is None
    last = sent(house, path, 1000, CONTENT[1000:])
    assert (last.status, last.headers["upload-offset"], last.headers["tus-resumable"]) == (204, "102400", "1.0.0")
    assert house.tree.content(f"{UPLOADS}/a.log") == CONTENT
    assert tus(house, "HEAD", path).headers["upload-offset"] == "102400"
    assert sent(house, path, 102400, b"").status == 204


def test_whole_address_is_taken_as_the_target(shared: House) -> None:
    """As RFC 9112, section 3.2.2, has it; a proxy may send on what it was asked for as it is."""
    path = made(shared, name="absolute")
    assert tus(shared, "HEAD", f"https://there.example{path}").headers["upload-offset"] == "0"


def test_first_bytes_may_come_with_the_creation(house: House) -> None:
    """Creation-with-upload, to its end or not."""
    whole = tus(house, "POST", FOLDER, CONTENT, Upload_Length=102400, Upload_Metadata=coded(name="w"), **STREAM)
    assert (whole.status, whole.headers["upload-offset"]) == (201, "102400")
    assert house.tree.content(f"{UPLOADS}/w") == CONTENT
    half = tus(house, "POST", FOLDER, CONTENT[:5], Upload_Length=102400, Upload_Metadata=coded(name="h"), **STREAM)
    assert half.headers["upload-offset"] == "5"
    assert sent(house, path_of(half), 5, CONTENT[5:]).status == 204
    assert house.tree.content(f"{UPLOADS}/h") == CONTENT


def test_empty_file_lands_at_its_creation(house: House) -> None:
    """Nothing is missing of it."""
    made(house, 0, "empty")
    assert house.tree.content(f"{UPLOADS}/empty") == b""


def test_length_may_be_told_later(house: House) -> None:
    """Deferred, HEAD says so; told once, it stays."""
    answer = tus(house, "POST", FOLDER, Upload_Defer_Length=1, Upload_Metadata=coded(filename="later"))
    path = path_of(answer)
    assert tus(house, "HEAD", path).headers["upload-defer-length"] == "1"
    assert sent(house, path, 0, b"12345").status == 204
    assert house.tree.content(f"{UPLOADS}/later") is None
    assert sent(house, path, 5, b"678", Upload_Length=10).status == 204
    assert tus(house, "HEAD", path).headers["upload-length"] == "10"
    assert sent(house, path, 8, b"9", Upload_Length=11).status == 400
    assert sent(house, path, 8, b"90").status == 204
    assert house.tree.content(f"{UPLOADS}/later") == b"1234567890"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
def test_piece_with_a_wrong_checksum_is_thrown_away(house: House, algorithm: str) -> None:
    """460, and the upload stands where it stood."""
    path = made(house)
    right = base64.b64encode(hashlib.new(algorithm, CONTENT).digest()).decode()
    assert sent(house, path, 0, CONTENT[:7]).status == 204
    wrong = sent(house, path, 7, CONTENT[7:], Upload_Checksum=f"{algorithm} {right}")
    assert (wrong.status, wrong.headers["tus-resumable"]) == (460, "1.0.0")
    assert tus(house, "HEAD", path).headers["upload-offset"] == "7"
    assert house.tree.content(f"{UPLOADS}/a.log") is None
    right = base64.b64encode(hashlib.new(algorithm, CONTENT[7:]).digest()).decode()
    assert sent(house, path, 7, CONTENT[7:], Upload_Checksum=f"{algorithm} {right}").status == 204
    assert house.tree.content(f"{UPLOADS}/a.log") == CONTENT


@pytest.mark.parametrize("told", ["sha3 YQ==", "sha1", "sha1 YQ==", "sha1 !!", ""])
def test_checksum_that_is_none_is_refused(shared: House, told: str) -> None:
    """Before a byte is taken."""
    path = made(shared, name="no-checksum")
    assert sent(shared, path, 0, CONTENT, Upload_Checksum=told).status == 400
    assert tus(shared, "HEAD", path).headers["upload-offset"] == "0"


@pytest.mark.parametrize("good", [True, False])
def test_checksum_may_come_behind_the_body(house: House, good: bool) -> None:
    """In a trailer of a chunked body; a body that holds what looks like one deceives nobody."""
    path = made(house, 40)
    body = b"12345\r\n0\r\nUpload-Checksum: sha1 xxxxxxxx"
    assert len(body) == 40
    digest = hashlib.sha1(body if good else b"").digest()
    trailer = f"Upload-Checksum: sha1 {base64.b64encode(digest).decode()}\r\n"
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Transfer-Encoding": "chunked",
        "Trailer": "Upload-Checksum",
        **STREAM,
    }
    with house.wire() as wire:
        wire.send(head("PATCH", path, headers) + b"28\r\n" + body + b"\r\n0\r\n" + trailer.encode() + b"\r\n")
        answer = wire.answer("PATCH")
    assert answer.status == (204 if good else 460)
    assert house.tree.content(f"{UPLOADS}/a.log") == (body if good else None)


def test_announced_trailer_that_does_not_come_counts_for_nothing(house: House) -> None:
    """Nothing of the piece is kept."""
    path = made(house, 5)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Transfer-Encoding": "chunked"}
    with house.wire() as wire:
        wire.send(head("PATCH", path, {**headers, "Trailer": "upload-checksum", **STREAM}))
        wire.send(b"5\r\n12345\r\n0\r\n\r\n")
        assert wire.answer("PATCH").status == 400
    assert tus(house, "HEAD", path).headers["upload-offset"] == "0"


def test_piece_that_breaks_off_before_its_checksum_is_thrown_away(house: House) -> None:
    """Only what can be compared counts."""
    path = made(house)
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Upload-Checksum": f"sha256 {digest}", **STREAM}
    with house.wire() as wire:
        wire.send(head("PATCH", path, headers, length=len(CONTENT)) + CONTENT[:5000])
        house.wait(lambda: next(iter(house.tree.numbered.values())).unverified == 0)
        wire.reset()
    house.wait(lambda: bool(house.tree.happened("aborted")[1:]))
    assert tus(house, "HEAD", path).headers["upload-offset"] == "0"
    assert sent(house, path, 0, CONTENT, Upload_Checksum=f"sha256 {digest}").status == 204


def test_piece_that_breaks_off_is_kept_as_far_as_it_came(house: House) -> None:
    """HEAD tells what may be relied on, and the rest completes the file."""
    path = made(house)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", **STREAM}
    with house.wire() as wire:
        wire.send(head("PATCH", path, headers, length=len(CONTENT)) + CONTENT[:5000])
        house.wait(lambda: any(each.total_bytes >= 5000 and not each._size for each in _bodies(house)))
        wire.goodbye()
    house.wait(lambda: bool(house.tree.happened("aborted")[1:]))
    offset = int(tus(house, "HEAD", path).headers["upload-offset"])
    assert 0 < offset <= 5000
    assert sent(house, path, offset, CONTENT[offset:]).status == 204
    assert house.tree.content(f"{UPLOADS}/a.log") == CONTENT


def test_what_came_before_anybody_read_it_is_kept_of_a_connection_that_is_gone(house: House) -> None:
    """It has been received: a line that lets little through at a time must still get on."""
    path = made(house)
    may_open = threading.Event()

    def waits(operation: str, _path: VirtualPath) -> None:
        if operation == "open_write":
            may_open.wait(20)

    house.tree.before = waits
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", **STREAM}
    with house.wire() as wire:
        wire.send(head("PATCH", path, headers, length=len(CONTENT)) + CONTENT[:5000])
        house.wait(lambda: any(each.total_bytes == 5000 for each in _bodies(house)))
        (connection,) = [each for each in house.server._serving.values() if _bodies(house)]
        wire.reset()
        house.wait(connection.lost.is_set)
    may_open.set()
    house.wait(lambda: bool(house.tree.happened("aborted")[1:]))
    assert tus(house, "HEAD", path).headers["upload-offset"] == "5000"


def _bodies(house: House) -> list[Any]:
    return [connection._body for connection in house.server._serving.values() if connection._body is not None]


def test_upload_that_is_ended_is_gone(house: House) -> None:
    """Termination: 204, then 410, and its name is free."""
    path = made(house)
    assert tus(house, "DELETE", path).status == 204
    for method in ("HEAD", "DELETE"):
        assert tus(house, method, path).status == 410
    assert sent(house, path, 0, CONTENT).status == 410


def test_upload_of_another_login_is_not_there(shared: House) -> None:
    """404 for each method, as for one that never was."""
    path = made(shared, name="not yours")
    for target in (path, "/tus/" + "0" * 32):
        for method in ("HEAD", "DELETE"):
            assert tus(shared, method, target, authorization=OTHER).status == 404
        assert sent(shared, target, 0, b"x", authorization=OTHER).status == 404
    joined = tus(
        shared,
        "POST",
        FOLDER,
        Upload_Concat=f"final;{path}",
        Upload_Metadata=coded(filename="stolen"),
        authorization=OTHER,
    )
    assert joined.status == 404


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (412, {"Tus-Resumable": "0.2.2"}),
        (415, {"Content-Type": "application/octet-stream"}),
        (409, {"Upload-Offset": "1"}),
        (409, {"Upload-Offset": "102400"}),
        (400, {"Upload-Offset": "-1"}),
        (400, {"Upload-Offset": "0x1"}),
        (400, {"Upload-Offset": ""}),
        (400, {"Upload-Offset": "1e3"}),
        (409, {"Upload-Offset": "9" * 30}),
        (409, {"Upload-Offset": str(1 << 63)}),
        (400, {"Upload-Length": "102401"}),
    ],
)
def test_piece_that_does_not_fit_is_refused(shared: House, status: int, changes: dict[str, str]) -> None:
    """With the status that the protocol has for it, and nothing is kept."""
    path = made(shared, name="misfit")
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", **STREAM, **changes}
    answer = shared.ask("PATCH", path, headers, b"abc")
    assert answer.status == status
    assert answer.headers["tus-resumable"] == "1.0.0"
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"
    assert tus(shared, "HEAD", path).headers["upload-offset"] == "0"


def test_piece_beyond_the_end_is_refused(shared: House) -> None:
    """Announced or not: 413, and what stood before stays."""
    path = made(shared, 10, "short")
    assert sent(shared, path, 0, b"12345678901").status == 413
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Transfer-Encoding": "chunked", **STREAM}
    with shared.wire() as wire:
        wire.send(head("PATCH", path, headers) + b"b\r\n12345678901\r\n0\r\n\r\n")
        assert wire.answer("PATCH").status == 413
    assert tus(shared, "HEAD", path).headers["upload-offset"] == "0"


def test_body_without_a_length_is_refused(shared: House) -> None:
    """411: its end would not be proven."""
    path = made(shared, 10, "lengthless")
    with shared.wire() as wire:
        wire.send(head("PATCH", path, {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", **STREAM}))
        assert wire.answer("PATCH").status == 411


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, {}),
        (400, {"Upload-Length": "1", "Upload-Defer-Length": "1"}),
        (400, {"Upload-Defer-Length": "2"}),
        (400, {"Upload-Length": "-1"}),
        (400, {"Upload-Length": "many"}),
        (413, {"Upload-Length": str((1 << 40) + 1)}),
        (413, {"Upload-Length": "9" * 40}),
        (400, {"Upload-Length": "1", "Upload-Metadata": "filename"}),
        (400, {"Upload-Length": "1", "Upload-Metadata": "filename !!!"}),
        (400, {"Upload-Length": "1", "Upload-Metadata": "filename YQ==,filename YQ=="}),
        (400, {"Upload-Length": "1", "Upload-Metadata": "filename YQ==,,x YQ=="}),
        (400, {"Upload-Length": "1", "Upload-Metadata": "filename gICA"}),
        (400, {"Upload-Length": "1", "Upload-Metadata": coded(filename="../../etc/passwd")}),
        (400, {"Upload-Length": "1", "Upload-Metadata": coded(filename="..")}),
        (400, {"Upload-Length": "1", "Upload-Metadata": coded(filename="a\\b")}),
        (400, {"Upload-Length": "1", "Upload-Metadata": coded(filename="a\nb")}),
        (400, {"Upload-Length": "1", "Upload-Metadata": coded(filename="x" * 300)}),
        (400, {"Upload-Length": "1", "Upload-Metadata": coded(relativePath="a/../b", filename="b")}),
        (400, {"Upload-Length": "1", "Upload-Metadata": coded(filename="a", modified="never")}),
        (400, {"Upload-Length": "1", "Upload-Metadata": coded(filename="a", case="4711")}),
        (400, {"Upload-Concat": "parts"}),
        (400, {"Upload-Concat": "final"}),
        (400, {"Upload-Concat": "final;/files/x"}),
        (400, {"Upload-Concat": "final;/tus/../../etc"}),
        (400, {"Upload-Concat": "final;/tus/" + "0" * 32, "Upload-Length": "3"}),
        (404, {"Upload-Concat": "final;/tus/" + "0" * 32, "Upload-Metadata": coded(filename="a")}),
    ],
)
def test_creation_that_makes_no_sense_is_refused(shared: House, status: int, headers: dict[str, str]) -> None:
    """It says what is wrong, and nothing is made."""
    named = headers if "Upload-Metadata" in headers else {"Upload-Metadata": coded(filename="a"), **headers}
    before = len(shared.tree.numbered)
    answer = shared.ask("POST", FOLDER, {"Tus-Resumable": "1.0.0", **named})
    assert answer.status == status
    assert answer.json["detail"]
    assert len(shared.tree.numbered) == before


def test_creation_without_a_name_is_refused(shared: House) -> None:
    """A file has one."""
    answer = tus(shared, "POST", FOLDER, Upload_Length=1)
    assert (answer.status, "filename" in answer.json["detail"]) == (400, True)


def test_creation_with_bytes_of_another_type_is_refused(shared: House) -> None:
    """415, as for PATCH."""
    answer = tus(
        shared,
        "POST",
        FOLDER,
        b"abc",
        Upload_Length=3,
        Upload_Metadata=coded(filename="t"),
        Content_Type="text/plain",
    )
    assert answer.status == 415


def test_case_may_stand_in_the_metadata(house: House) -> None:
    """Then the address of all creations is one."""
    answer = tus(
        house, "POST", "/tus/", b"abc", Upload_Length=3, Upload_Metadata=coded(filename="n", case="4711"), **STREAM
    )
    assert answer.status == 201
    assert house.tree.content("/cases/4711/n") == b"abc"


def test_folders_are_made_as_the_path_has_them(house: House) -> None:
    """Of a folder that is sent, each file says where in it it lies."""
    metadata = coded(filename="c.log", relativePath="a/b/c.log")
    answer = tus(house, "POST", FOLDER, b"abc", Upload_Length=3, Upload_Metadata=metadata, **STREAM)
    assert answer.status == 201
    assert house.tree.content(f"{UPLOADS}/a/b/c.log") == b"abc"


def test_method_may_come_in_a_header(house: House) -> None:
    """Where a proxy drops PATCH, HEAD and DELETE."""
    path = made(house, 3)
    override = "X_HTTP_Method_Override"
    assert tus(house, "POST", path, b"ab", Upload_Offset=0, **{override: "PATCH", **STREAM}).status == 204
    assert tus(house, "POST", path, **{override: "head"}).headers["upload-offset"] == "2"
    assert tus(house, "POST", path, **{override: "DELETE"}).status == 204
    assert tus(house, "POST", path, **{override: "MELT"}).status == 400
    assert tus(house, "POST", path).status == 405


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_address_of_no_upload_is_not_found(house: House, method: str) -> None:
    """Whatever it looks like, there is none; where uploads are made, the method is what is wrong."""
    for address in ("/tus/0000", "/tus/none", f"/tus{UPLOADS}/none"):
        assert tus(house, method, address).status == 404, address
    assert tus(house, method, "/tus/").status == 405


def test_parts_become_a_file_in_their_order(house: House) -> None:
    """Parallel parts, joined; asked for again after a lost reply, it is the same file."""
    parts = []
    for start in (0, 1000, 5000):
        end = {0: 1000, 1000: 5000}.get(start, len(CONTENT))
        answer = tus(house, "POST", FOLDER, Upload_Length=end - start, Upload_Concat="partial")
        parts.append(path_of(answer))
        assert sent(house, parts[-1], 0, CONTENT[start:end]).status == 204
        asked = tus(house, "HEAD", parts[-1])
        assert (asked.headers["upload-concat"], asked.headers["upload-offset"]) == ("partial", str(end - start))
    final = {"Upload_Concat": "final;" + " ".join(parts), "Upload_Metadata": coded(filename="joined")}
    answer = tus(house, "POST", FOLDER, **final)
    assert (answer.status, answer.headers["upload-offset"]) == (201, str(len(CONTENT)))
    assert house.tree.content(f"{UPLOADS}/joined") == CONTENT
    asked = tus(house, "HEAD", path_of(answer))
    assert asked.headers["upload-offset"] == asked.headers["upload-length"] == str(len(CONTENT))
    assert asked.headers["upload-concat"] == "final;" + " ".join(f"https://localhost{part}" for part in parts)
    assert tus(house, "POST", FOLDER, **final).headers["location"] == answer.headers["location"]
    assert sent(house, path_of(answer), len(CONTENT), b"x").status == 403


def test_file_of_unfinished_parts_waits_for_them(house: House) -> None:
    """Concatenation-unfinished: HEAD tells no offset before it is there."""
    parts = [
        path_of(tus(house, "POST", FOLDER, Upload_Length=3, Upload_Concat="partial")),
        path_of(tus(house, "POST", FOLDER, Upload_Defer_Length=1, Upload_Concat="partial")),
    ]
    joined = tus(house, "POST", FOLDER, Upload_Concat="final;" + " ".join(parts), Upload_Metadata=coded(filename="j"))
    assert joined.status == 201
    assert "upload-offset" not in tus(house, "HEAD", path_of(joined)).headers
    assert sent(house, parts[1], 0, b"def", Upload_Length=3).status == 204
    assert "upload-offset" not in tus(house, "HEAD", path_of(joined)).headers
    assert sent(house, parts[0], 0, b"abc").status == 204
    assert tus(house, "HEAD", path_of(joined)).headers["upload-offset"] == "6"
    assert house.tree.content(f"{UPLOADS}/j") == b"abcdef"


def test_parts_that_cannot_be_joined_are_refused(house: House) -> None:
    """Given twice, or no parts at all."""
    whole = made(house, 3)
    part = path_of(tus(house, "POST", FOLDER, Upload_Length=3, Upload_Concat="partial"))
    for urls in (f"{part} {part}", f"{part} {whole}"):
        answer = tus(house, "POST", FOLDER, Upload_Concat=f"final;{urls}", Upload_Metadata=coded(filename="j"))
        assert answer.status == 422


def test_newer_request_takes_an_upload_over(house: House) -> None:
    """One writer at a time: the older one's bytes end where they were."""
    path = made(house)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", **STREAM}
    with house.wire() as wire:
        wire.send(head("PATCH", path, headers, length=len(CONTENT)))
        house.wait(lambda: next(iter(house.tree.numbered.values())).partial.holder is not None)
        assert sent(house, path, 0, CONTENT).status == 204
        wire.send(CONTENT)
        assert wire.answer("PATCH").status == 423
    assert house.tree.content(f"{UPLOADS}/a.log") == CONTENT


def test_disk_that_may_have_room_later_is_told_apart_from_a_quota(house: House) -> None:
    """507: clients of tus try again after 5xx, and give up after 4xx."""
    path = made(house)

    def fails(operation: str, _path: VirtualPath) -> None:
        if operation == "write":
            raise NoSpaceError("the server has no room left")

    house.tree.before = fails
    assert sent(house, path, 0, CONTENT).status == 507
    house.tree.before = None
    assert sent(house, path, 0, CONTENT).status == 204


def test_quota_that_ends_at_the_last_byte_is_told(house: House) -> None:
    """413, what came is kept, and the rest completes it once there is room."""
    path = made(house)
    house.tree.quota = len(CONTENT) - 1
    assert sent(house, path, 0, CONTENT).status == 413
    house.tree.quota = None
    offset = int(tus(house, "HEAD", path).headers["upload-offset"])
    assert house.tree.content(f"{UPLOADS}/a.log") is None
    assert sent(house, path, offset, CONTENT[offset:]).status == 204
    assert house.tree.content(f"{UPLOADS}/a.log") == CONTENT


def test_refusal_comes_before_the_body(shared: House) -> None:
    """A client that waits for 100 Continue is told at once."""
    path = made(shared, name="patient")
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "7", "Expect": "100-continue", **STREAM}
    with shared.wire() as wire:
        wire.send(head("PATCH", path, headers, length=10))
        assert wire.answer("PATCH").status == 409
    with shared.wire() as wire:
        wire.send(head("PATCH", path, {**headers, "Upload-Offset": "0"}, length=3))
        assert wire.answer("PATCH").status == 100
        wire.send(b"abc")
        assert wire.answer("PATCH").status == 204


def test_place_without_the_right_to_write_is_refused(shared: House) -> None:
    """403, at the creation."""
    shared.tree.read_only.add(("cases", "4711", "down"))
    answer = tus(shared, "POST", "/tus/cases/4711/down/", Upload_Length=1, Upload_Metadata=coded(filename="x"))
    assert answer.status == 403
