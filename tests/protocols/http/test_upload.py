"""PUT over a real connection: what is refused, what lands, and what is kept of a transfer that broke off."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from protocols.errors import QuotaExceededError, RejectedError, UnavailableError
from protocols.http import HttpSettings
from protocols.http.body import next_piece
from protocols.http.status import TransferCutError
from tests.protocols.http.house import LOGIN, UPLOADS, head, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

    from protocols.path import VirtualPath
    from tests.protocols.http.house import House, Wire

FILE = f"{UPLOADS}/dump.bin"
CONTENT = os.urandom(1_500_000)
CHUNKED = {"Transfer-Encoding": "chunked"}


def chunked(data: bytes, size: int = 100_000) -> bytes:
    """Return *data* in chunks, the last one included."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def failing(operation: str, error: Exception, after: int = 0) -> Callable[[str, VirtualPath], None]:
    """Return a lever that raises at the given call of an operation."""
    calls = [0]

    def lever(called: str, _path: VirtualPath) -> None:
        if called == operation:
            calls[0] += 1
            if calls[0] > after:
                raise error

    return lever


def test_put_lands_and_answers_with_the_receipt(house: House) -> None:
    """201 carries the receipt, where the file is, and the ETag its sender sees."""
    answer = house.ask("PUT", FILE, body=CONTENT)
    assert (answer.status, answer.headers["content-type"]) == (201, "application/json")
    assert answer.json["size"] == len(CONTENT)
    assert answer.headers["location"] == FILE
    assert house.tree.content(FILE) == CONTENT
    assert house.ask("HEAD", FILE).headers["etag"] == answer.headers["etag"]


def test_put_in_the_tree_is_the_same_as_at_the_alias(house: House) -> None:
    """`/files/cases/…` deposits too; Location stays in the form that was used."""
    answer = house.ask("PUT", f"/files{UPLOADS}/gr%C3%B6%20%C3%9Fe", body=b"x")
    assert (answer.status, answer.headers["location"]) == (201, f"/files{UPLOADS}/gr%C3%B6%20%C3%9Fe")
    assert house.tree.content(f"{UPLOADS}/grö ße") == b"x"


@pytest.mark.parametrize("content", [b"", b"1", CONTENT[: 256 * 1024], CONTENT[: 256 * 1024 + 1], CONTENT])
def test_put_in_chunks_lands_whole(house: House, content: bytes) -> None:
    """Chunked bodies of any size arrive as they were sent, and the connection goes on."""
    with house.wire() as wire:
        wire.send(head("PUT", FILE, CHUNKED) + chunked(content))
        assert wire.answer().status == 201
        assert wire.ask("GET", FILE).body == content


def test_put_of_an_empty_file_lands(house: House) -> None:
    """Content-Length: 0 is an empty file."""
    assert house.ask("PUT", FILE).status == 201
    assert house.tree.content(FILE) == b""


def test_put_replaces_and_keeps_the_connection(house: House) -> None:
    """The same name again is a new version."""
    with house.wire() as wire:
        for content in (b"one", b"two"):
            assert wire.ask("PUT", FILE, body=content).status == 201
    assert house.tree.content(FILE) == b"two"


def test_put_keeps_the_clients_time(house: House) -> None:
    """X-OC-Mtime is kept and said to be."""
    answer = house.ask("PUT", FILE, {"X-OC-Mtime": "1500000000"}, b"x")
    assert answer.headers["x-oc-mtime"] == "accepted"
    assert house.ask("HEAD", FILE).headers["last-modified"] == "Fri, 14 Jul 2017 02:40:00 GMT"


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon", "1e99", ""])
def test_put_with_a_time_that_is_none_is_refused(house: House, value: str) -> None:
    """A time stamp that cannot be is a 400 before the body."""
    assert house.ask("PUT", FILE, {"X-OC-Mtime": value}, b"x").status == 400
    assert house.tree.content(FILE) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": "*"}, 412),
        ({"If-Match": '"a"'}, 412),
        ({"If-Match": "*"}, 201),
        ({"If-Unmodified-Since": "Tue, 14 Nov 2000 22:13:19 GMT"}, 412),
    ],
)
def test_put_over_a_file_obeys_preconditions(house: House, headers: dict[str, str], status: int) -> None:
    """A condition that does not hold leaves what is there."""
    house.tree.add(FILE, b"old")
    assert house.ask("PUT", FILE, headers, b"new").status == status
    assert house.tree.content(FILE) == (b"new" if status == 201 else b"old")


@pytest.mark.parametrize(("headers", "status"), [({"If-None-Match": "*"}, 201), ({"If-Match": "*"}, 412)])
def test_put_where_nothing_is_obeys_preconditions(house: House, headers: dict[str, str], status: int) -> None:
    """If-None-Match: * creates; If-Match: * does not."""
    assert house.ask("PUT", FILE, headers, b"new").status == status


def test_put_with_if_match_of_the_current_etag_replaces(house: House) -> None:
    """An optimistic update with the right tag goes through, with a stale one it does not."""
    etag = house.ask("PUT", FILE, body=b"one").headers["etag"]
    assert house.ask("PUT", FILE, {"If-Match": etag}, b"two").status == 201
    assert house.ask("PUT", FILE, {"If-Match": etag}, b"three").status == 412
    assert house.tree.content(FILE) == b"two"


@pytest.mark.parametrize(
    "target",
    ["/cases/4711/", "/cases/4711/up/", "/cases/4711", "/cases/", "/cases", "/files/", "/files", f"{UPLOADS}/.."],
)
def test_put_to_a_directory_is_400_with_a_reason(house: House, target: str) -> None:
    """A PUT needs a file name."""
    answer = house.ask("PUT", target, body=b"x")
    assert answer.status == 400
    assert "name" in answer.json["detail"]


def test_put_onto_a_directory_is_400(house: House) -> None:
    """The name of a directory is no file name."""
    assert house.ask("PUT", "/files/cases/4711/up", body=b"x").status == 400


@pytest.mark.parametrize("method", ["DELETE", "MKCOL", "MOVE", "POST", "PATCH", "PROPFIND", "TRACE"])
def test_other_methods_are_405_with_allow(house: House, method: str) -> None:
    """What is not offered says what is."""
    answer = house.ask(method, FILE)
    assert (answer.status, answer.headers["allow"]) == (405, "GET,HEAD,OPTIONS,POST,PUT")
    assert answer.headers["content-type"] == "application/problem+json"


def test_options_says_what_is_allowed(house: House) -> None:
    """OPTIONS needs no sign-in and says nothing about files."""
    answer = house.ask("OPTIONS", FILE, authorization=None)
    assert (answer.status, answer.headers["allow"]) == (204, "GET,HEAD,OPTIONS,POST,PUT")


def test_put_without_a_length_is_411(house: House) -> None:
    """A body whose end could not be proven is not begun."""
    with house.wire() as wire:
        wire.send(head("PUT", FILE))
        assert wire.answer().status == 411
    with house.wire() as wire:
        wire.send(head("PUT", FILE).replace(b"HTTP/1.1", b"HTTP/1.0") + b"as much as comes")
        assert wire.answer().status in {400, 411}
    assert house.tree.content(FILE) is None


def test_put_with_a_content_encoding_is_415(house: House) -> None:
    """No body is unpacked on the way in."""
    assert house.ask("PUT", FILE, {"Content-Encoding": "gzip"}, b"x").status == 415


def test_put_over_the_limit_is_413_by_either_framing(certificate: tuple[Path, Path]) -> None:
    """The largest size holds for announced and for chunked bodies."""
    with running(certificate, HttpSettings(max_body=1000, linger=0.5)) as house:
        assert house.ask("PUT", FILE, body=b"x" * 1000).status == 201
        assert house.ask("PUT", FILE, body=b"x" * 1001).status == 413
        with house.wire() as wire:
            wire.send(head("PUT", FILE, CHUNKED) + chunked(b"y" * 1001))
            assert wire.answer().status == 413
        assert house.tree.content(FILE) == b"x" * 1000
        assert len(house.aborted()) == 1


def test_put_over_the_quota_in_the_middle_is_507(house: House) -> None:
    """A quota that runs out gives 507 and publishes nothing."""
    house.tree.quota = 700_000
    with house.wire() as wire:
        wire.send(head("PUT", FILE, CHUNKED) + chunked(CONTENT))
        answer = wire.answer()
    assert (answer.status, answer.json["title"]) == (507, "Insufficient Storage")
    assert house.tree.content(FILE) is None
    assert [path for path, _ in house.aborted()] == [FILE]


@pytest.mark.parametrize(
    ("operation", "error", "status"),
    [
        ("open_write", RejectedError("no executables here"), 422),
        ("open_write", UnavailableError("the case system does not answer"), 503),
        ("write", QuotaExceededError("full"), 507),
        ("commit", UnavailableError("the catalog does not answer"), 503),
        ("commit", RuntimeError("bug"), 500),
        ("write", OSError(28, "No space left on device"), 500),
    ],
)
def test_put_that_the_filesystem_fails_is_answered_and_given_up(
    house: House, operation: str, error: Exception, status: int
) -> None:
    """Whatever fails, the client is told, nothing is published and the connection stays in step."""
    house.tree.before = failing(operation, error)
    assert house.ask("PUT", FILE, body=CONTENT).status == status
    assert house.tree.content(FILE) is None
    assert len(house.aborted()) == (0 if operation == "open_write" else 1)


def test_a_failure_after_the_commit_does_not_hide_it(house: House) -> None:
    """What has landed is answered with 201 even if it cannot be looked at."""
    house.tree.before = failing("stat", RuntimeError("bug"))
    answer = house.ask("PUT", FILE, body=b"x")
    assert answer.status == 201
    assert "etag" not in answer.headers


# --- Expect: 100-continue ---------------------------------------------------------------------------------------------


def patient(wire: Wire, target: str, *, authorization: str | None = None, length: int = 5, **more: str) -> None:
    """Send the head of an upload whose client waits for 100 Continue."""
    credential = {} if authorization is None else {"authorization": authorization}
    wire.send(head("PUT", target, {"Expect": "100-continue", **more}, length=length, **credential))


def test_expect_continue_is_answered_and_the_body_lands(house: House) -> None:
    """100 comes once everything is accepted, then the body is taken."""
    with house.wire() as wire:
        patient(wire, FILE)
        assert wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        assert not house.tree.happened("landed")
        wire.send(b"hello")
        assert wire.answer().status == 201
    assert house.tree.content(FILE) == b"hello"


@pytest.mark.parametrize(
    ("target", "authorization", "arrange", "status"),
    [
        (FILE, "Basic YW5uOndyb25n", None, 401),
        (f"{UPLOADS}/", None, None, 400),
        ("/cases/9999/up/x", None, None, 404),
        (FILE, None, lambda house: house.tree.read_only.add(("cases", "4711", "up")), 403),
        (FILE, None, lambda house: setattr(house.tree, "quota", 4), 507),
        (FILE, None, lambda house: setattr(house.authenticator, "throttled", True), 429),
    ],
)
def test_expect_continue_is_refused_before_the_body(
    house: House, target: str, authorization: str | None, arrange: Callable[[House], None] | None, status: int
) -> None:
    """No 100 is sent where the answer is known: the body never leaves the client."""
    if arrange is not None:
        arrange(house)
    with house.wire() as wire:
        patient(wire, target, authorization=authorization)
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert not house.tree.happened("landed")


def test_expect_continue_over_the_limit_is_413_before_the_body(certificate: tuple[Path, Path]) -> None:
    """A size over the limit is refused on its announcement."""
    with running(certificate, HttpSettings(max_body=10)) as house, house.wire() as wire:
        patient(wire, FILE, length=11)
        assert wire.answer().status == 413


def test_another_expectation_is_417(house: House) -> None:
    """Only 100-continue can be expected."""
    assert house.ask("PUT", FILE, {"Expect": "the-best"}, b"x").status == 417
    assert house.tree.content(FILE) is None


# --- Cuts: never published, kept for a resume -------------------------------------------------------------------------


def cut(house: House, wire: Wire, how: str) -> None:
    """End a connection in one of the ways connections end."""
    if how == "reset":
        wire.reset()
    elif how == "without close_notify":
        wire.drop()
    elif how == "politely":
        wire.goodbye()
    house.wait(lambda: bool(house.aborted()))


@pytest.mark.parametrize("how", ["reset", "without close_notify", "politely"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("sent", [0, 1, 700_000, len(CONTENT) - 1])
def test_a_cut_upload_is_never_published(house: House, how: str, framing: str, sent: int) -> None:
    """However the connection ends, and wherever, the file is not there; what came can be resumed."""
    wire = house.wire()
    if framing == "length":
        wire.send(head("PUT", FILE, length=len(CONTENT)) + CONTENT[:sent])
    else:
        wire.send(head("PUT", FILE, CHUNKED) + chunked(CONTENT[:sent])[: -len(b"0\r\n\r\n")])
    house.wait(lambda: house.tree.received(LOGIN, FILE) is not None)
    cut(house, wire, how)
    assert house.tree.content(FILE) is None
    kept = house.tree.received(LOGIN, FILE)
    assert kept == CONTENT[: len(kept)]
    assert not house.tree.happened("landed")


@pytest.mark.parametrize("end", [b"", b"0", b"0\r\n", b"0\r\n\r", b"ff\r\nabc"])
def test_chunks_without_their_proper_end_are_cut(house: House, end: bytes) -> None:
    """A clean TLS end in the middle of the chunk framing is a cut."""
    wire = house.wire()
    wire.send(head("PUT", FILE, CHUNKED) + b"5\r\nhello\r\n" + end)
    house.wait(lambda: house.tree.received(LOGIN, FILE) is not None)
    cut(house, wire, "politely")
    assert house.tree.content(FILE) is None


@pytest.mark.parametrize(
    "broken", [b"zz\r\n", b"5\r\nhelloXX", b"-5\r\nhello\r\n", b"5;\x00\r\nhello\r\n", b"\r\n\r\n"]
)
def test_broken_chunks_are_refused_at_once(house: House, broken: bytes) -> None:
    """Framing that makes no sense ends the upload with 400, without waiting for anything."""
    with house.wire() as wire:
        wire.send(head("PUT", FILE, CHUNKED) + b"5\r\nhello\r\n")
        house.wait(lambda: house.tree.received(LOGIN, FILE) is not None)
        wire.send(broken)
        assert wire.answer().status == 400
        assert wire.ended()
    house.wait(lambda: bool(house.aborted()))
    assert house.tree.content(FILE) is None


def test_a_silent_upload_is_given_up(certificate: tuple[Path, Path]) -> None:
    """A body that stops coming ends in 408; what came is kept."""
    with running(certificate, HttpSettings(body_timeout=0.2, linger=0.1)) as house, house.wire() as wire:
        wire.send(head("PUT", FILE, length=10) + b"hello")
        assert wire.answer().status == 408
        assert wire.ended()
        assert house.tree.received(LOGIN, FILE) == b"hello"
        assert house.tree.content(FILE) is None


# --- Resume by Content-Range ------------------------------------------------------------------------------------------


def interrupted(house: House, sent: int) -> int:
    """Leave an upload broken off after *sent* bytes; return where HEAD says to go on."""
    wire = house.wire()
    wire.send(head("PUT", FILE, length=len(CONTENT)) + CONTENT[:sent])
    house.wait(lambda: house.tree.received(LOGIN, FILE) is not None)
    cut(house, wire, "politely")
    answer = house.ask("HEAD", FILE)
    assert answer.status == 200
    return int(answer.headers["upload-offset"])


def part(first: int, last: int, total: int = len(CONTENT)) -> dict[str, str]:
    """Return the header of a part."""
    return {"Content-Range": f"bytes {first}-{last}/{total}"}


@pytest.mark.parametrize("sent", [1, 300_000, len(CONTENT) - 1])
def test_an_interrupted_upload_is_resumed_from_where_head_says(house: House, sent: int) -> None:
    """HEAD says how much is there; a part from there makes the file whole."""
    offset = interrupted(house, sent)
    answer = house.ask("PUT", FILE, part(offset, len(CONTENT) - 1), CONTENT[offset:])
    assert answer.status == 201
    assert house.tree.content(FILE) == CONTENT


def test_a_resume_in_chunks_works_too(house: House) -> None:
    """A part may be chunked; its length must still be what it says."""
    offset = interrupted(house, 500_000)
    with house.wire() as wire:
        wire.send(head("PUT", FILE, part(offset, len(CONTENT) - 1) | CHUNKED) + chunked(CONTENT[offset:]))
        assert wire.answer().status == 201
    assert house.tree.content(FILE) == CONTENT


@pytest.mark.parametrize("change", [-1, 1])
def test_a_part_in_chunks_of_another_length_is_refused(house: House, change: int) -> None:
    """A proper chunked end does not prove a part that is too short or too long."""
    offset = interrupted(house, 500_000)
    body = CONTENT[offset:-1] if change < 0 else CONTENT[offset:] + b"x"
    with house.wire() as wire:
        wire.send(head("PUT", FILE, part(offset, len(CONTENT) - 1) | CHUNKED) + chunked(body))
        assert wire.answer().status == 400
    assert house.tree.content(FILE) is None


def test_a_resume_behind_what_is_there_is_416_and_says_where(house: House) -> None:
    """A gap is refused with the place to go on from."""
    offset = interrupted(house, 500_000)
    answer = house.ask("PUT", FILE, part(800_000, len(CONTENT) - 1), CONTENT[800_000:])
    assert answer.status == 416
    assert int(answer.headers["upload-offset"]) in {offset, offset + 1}
    assert answer.headers["range"] == f"bytes=0-{int(answer.headers['upload-offset']) - 1}"
    assert house.tree.content(FILE) is None


def test_a_resume_of_nothing_is_416_from_zero(house: House) -> None:
    """Where nothing is, a later part has nothing to go on with, and leaves nothing behind."""
    answer = house.ask("PUT", FILE, part(10, len(CONTENT) - 1), CONTENT[10:])
    assert (answer.status, answer.headers["upload-offset"]) == (416, "0")
    assert house.tree.received(LOGIN, FILE) is None


def test_a_resume_of_a_whole_file_is_refused(house: House) -> None:
    """A stored file cannot be appended to."""
    house.tree.add(FILE, b"whole")
    assert house.ask("PUT", FILE, part(5, 9, 10), b"12345").status == 403
    assert house.tree.content(FILE) == b"whole"


def test_parts_one_after_another_make_a_file(house: House) -> None:
    """A part that does not end the file gets 202 and says how much is there; the last gets the receipt."""
    step = 400_000
    with house.wire() as wire:
        for first in range(0, len(CONTENT), step):
            piece = CONTENT[first : first + step]
            answer = wire.ask("PUT", FILE, part(first, first + len(piece) - 1), piece)
            if first + len(piece) < len(CONTENT):
                assert (answer.status, answer.headers["upload-offset"]) == (202, str(first + len(piece)))
                assert house.tree.content(FILE) is None
    assert answer.status == 201
    assert house.tree.content(FILE) == CONTENT


@pytest.mark.parametrize(
    "text",
    ["bytes 0-5/5", "bytes 5-4/10", "bytes 0-4/*", "bytes */5", "0-4/5", "bytes -1-4/5", "bytes 0-4/5, 5-6/7", "x"],
)
def test_a_content_range_that_makes_no_sense_is_400(house: House, text: str) -> None:
    """Including the end byte that is one too many, which real clients send."""
    assert house.ask("PUT", FILE, {"Content-Range": text}, b"12345").status == 400
    assert house.tree.received(LOGIN, FILE) is None


def test_a_part_told_as_lftp_tells_it_goes_on_with_what_is_there(house: House) -> None:
    """lftp's `put -c` says `Range: bytes=FIRST-LAST/TOTAL`: the part never takes the place of the whole."""
    offset = interrupted(house, 500_000)
    place = f"bytes={offset}-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert house.ask("PUT", FILE, {"Range": place}, CONTENT[offset:]).status == 201
    assert house.tree.content(FILE) == CONTENT


@pytest.mark.parametrize("text", ["bytes=5-", "bytes=5-9", "bytes=5-9/8", "bytes=5-9/*", "x=5-9/10", "5"])
def test_any_other_range_of_a_put_is_400(house: House, text: str) -> None:
    """Ignored, it would make of a part a file."""
    house.tree.add(FILE, b"whole")
    assert house.ask("PUT", FILE, {"Range": text}, b"12345").status == 400
    assert house.tree.content(FILE) == b"whole"


def test_a_part_whose_length_is_not_what_it_says_is_400(house: House) -> None:
    """Content-Length and Content-Range must agree before anything is opened."""
    assert house.ask("PUT", FILE, part(0, 9, 10), b"12345").status == 400
    assert house.tree.received(LOGIN, FILE) is None


def test_two_uploads_to_one_name_do_not_mix(house: House) -> None:
    """One of two at once wins whole; the other is told, and the file is never a mixture."""
    with house.wire() as first, house.wire() as second:
        first.send(head("PUT", FILE, length=len(CONTENT)) + CONTENT[:700_000])
        house.wait(lambda: bool(house.tree.received(LOGIN, FILE)))
        assert second.ask("PUT", FILE, body=b"other" * 100).status == 201
        first.send(CONTENT[700_000:])
        status = first.answer().status
    assert house.tree.content(FILE) == (CONTENT if status == 201 else b"other" * 100)


@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
def test_body_without_the_digest_that_was_sent_is_thrown_away(house: House, field: str) -> None:
    """400, nothing is published, and a resume does not build on it."""
    right = f"sha-256=:{base64.b64encode(hashlib.sha256(b'content').digest()).decode()}:"
    wrong = f"sha-256=:{base64.b64encode(hashlib.sha256(b'other').digest()).decode()}:"
    path = f"/files{UPLOADS}/digest"
    assert house.ask("PUT", path, {field: wrong}, b"content").status == 400
    assert house.tree.content(f"{UPLOADS}/digest") is None
    assert not house.tree.received("ann", f"{UPLOADS}/digest")
    assert house.ask("PUT", path, {field: "sha-256=nonsense"}, b"content").status == 400
    assert house.ask("PUT", path, {field: f"unixsum=:AAA=:, {right}"}, b"content").status == 201
    assert house.tree.content(f"{UPLOADS}/digest") == b"content"


@pytest.mark.parametrize(("field", "algorithm"), [("Content-MD5", "md5"), ("Digest", "md5"), ("Digest", "sha-256")])
def test_digests_of_older_kinds_must_hold_too(house: House, field: str, algorithm: str) -> None:
    """Who sends one wants it compared (RFC 1864, RFC 3230)."""
    told = "" if field == "Content-MD5" else f"{algorithm}="
    right, wrong = (
        told + base64.b64encode(hashlib.new(algorithm.replace("-", ""), each).digest()).decode()
        for each in (b"content", b"other")
    )
    path = f"/files{UPLOADS}/old-digest"
    for each in (wrong, f"{told}nonsense", "=" if field == "Content-MD5" else "none"):
        assert house.ask("PUT", path, {field: each}, b"content").status == 400
    assert house.tree.content(f"{UPLOADS}/old-digest") is None
    assert house.ask("PUT", path, {field: right}, b"content").status == 201
    if field == "Digest":
        assert house.ask("PUT", path, {"Content-Range": "bytes 0-3/7", field: right}, b"cont").status == 400


def test_both_digests_of_a_body_must_hold(house: House) -> None:
    """One that is right does not make up for the other."""
    right, wrong = (
        f"sha-256=:{base64.b64encode(hashlib.sha256(each).digest()).decode()}:" for each in (b"content", b"other")
    )
    path = f"/files{UPLOADS}/two-digests"
    for one, other in ((right, wrong), (wrong, right)):
        assert house.ask("PUT", path, {"Content-Digest": one, "Repr-Digest": other}, b"content").status == 400
    assert house.tree.content(f"{UPLOADS}/two-digests") is None
    assert house.ask("PUT", path, {"Content-Digest": right, "Repr-Digest": right}, b"content").status == 201


def test_digest_of_a_whole_file_with_a_part_of_it_is_refused(house: House) -> None:
    """It could not be compared, and who sends it relies on it; with a part that is all of the file it can."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(b'content').digest()).decode()}:"
    path = f"/files{UPLOADS}/part-digest"
    answer = house.ask("PUT", path, {"Content-Range": "bytes 0-3/7", "Repr-Digest": digest}, b"cont")
    assert answer.status == 400
    assert "Content-Digest" in answer.json["detail"]
    assert house.ask("PUT", path, {"Content-Range": "bytes 0-6/7", "Repr-Digest": digest}, b"content").status == 201


def test_method_told_in_a_header_of_head_sends_no_body(house: House) -> None:
    """A file of many gigabytes is not the answer to a question about it."""
    house.tree.add(FILE, CONTENT)
    answer = house.ask("POST", f"/files{FILE}", {"X-HTTP-Method-Override": "HEAD", "Content-Length": "0"})
    assert (answer.status, answer.body) == (200, b"")
    assert "etag" in answer.headers


def test_body_whose_connection_has_gone_before_it_is_waited_for_is_cut() -> None:
    """A request that was asked for behind another one: aiohttp says so by an error of its own."""

    async def begin() -> bytes:
        loop = asyncio.get_running_loop()
        gone = BaseProtocol(loop)
        request = SimpleNamespace(headers={}, protocol=gone, content=StreamReader(gone, 2**16, loop=loop))
        return await next_piece(cast("web.Request", request), 1.0)

    with pytest.raises(TransferCutError):
        asyncio.run(begin())
