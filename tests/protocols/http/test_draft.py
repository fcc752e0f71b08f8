"""The IETF's resumable uploads, on the same addresses as tus."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from protocols.http import HttpSettings
from tests.protocols.http.house import UPLOADS, Answer, House, Wire, head, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "/files" + UPLOADS + "/a.log"
CONTENT = bytes(range(256)) * 400
PARTIAL = {"Content-Type": "application/partial-upload"}
TYPES = "https://iana.org/assignments/http-problem-types#"


@pytest.fixture(scope="module")
def shared(certificate: tuple[Path, Path]) -> Iterator[House]:
    """A head for tests that use names of their own."""
    with running(certificate, HttpSettings(linger=0.5, max_body=1 << 40)) as house:
        yield house


def begun(house: House, body: bytes, complete: str, name: str = "a.log", **headers: str) -> tuple[Answer, str]:
    """Make an upload; return the last answer, and the path that the interim one told."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    with house.wire() as wire:
        wire.send(
            head("PUT", f"/files{UPLOADS}/{name}", {"Upload-Complete": complete, **named}, length=len(body)) + body
        )
        interim = wire.answer("PUT")
        assert interim.status == 104, interim
        return wire.answer("PUT"), interim.headers["location"].removeprefix("https://localhost")


def append(house: House | Wire, path: str, offset: int, body: bytes, complete: str, **headers: Any) -> Answer:
    named = {key.replace("_", "-"): str(value) for key, value in headers.items()}
    return house.ask(
        "PATCH", path, {"Upload-Offset": str(offset), "Upload-Complete": complete, **PARTIAL, **named}, body
    )


def test_whole_file_lands_as_by_a_plain_put(house: House) -> None:
    """201 with the receipt, and an interim answer before that."""
    answer, _ = begun(house, CONTENT, "?1", Upload_Draft_Interop_Version="6")
    assert (answer.status, answer.headers["upload-complete"], answer.headers["location"]) == (201, "?1", FILE)
    assert answer.json["size"] == len(CONTENT)
    assert house.tree.content(f"{UPLOADS}/a.log") == CONTENT


@pytest.mark.parametrize("told", [{}, {"Upload-Incomplete": "?0"}, {"Upload-Complete": "yes"}])
def test_creation_that_does_not_say_whether_it_is_whole_is_refused(house: House, told: dict[str, str]) -> None:
    """Clients of version 3 of the draft say it otherwise, and would take 201 for the end of it."""
    headers = {"Upload-Draft-Interop-Version": "3", "Content-Disposition": 'inline; filename="a.log"', **told}
    answer = house.ask("POST", f"/tus{UPLOADS}/", headers, CONTENT[:100])
    assert answer.status == 400
    assert not house.tree.happened("landed")


def test_file_comes_in_pieces(house: House) -> None:
    """Each is acknowledged; the last one is answered as the creation would have been."""
    answer, path = begun(house, CONTENT[:100], "?0", Upload_Length=str(len(CONTENT)))
    assert (answer.status, answer.headers["upload-complete"], answer.headers["upload-offset"]) == (201, "?0", "100")
    assert "max-age=" in answer.headers["upload-limit"]
    asked = house.ask("HEAD", path)
    assert asked.status == 204
    assert asked.headers["upload-offset"] == "100"
    assert asked.headers["upload-complete"] == "?0"
    assert asked.headers["upload-length"] == str(len(CONTENT))
    assert asked.headers["cache-control"] == "no-store"
    middle = append(house, path, 100, CONTENT[100:200], "?0")
    assert (middle.status, middle.headers["upload-complete"]) == (204, "?0")
    last = append(house, path, 200, CONTENT[200:], "?1")
    assert (last.status, last.headers["upload-complete"], last.json["size"]) == (201, "?1", len(CONTENT))
    assert house.tree.content(f"{UPLOADS}/a.log") == CONTENT
    assert house.ask("HEAD", path).headers["upload-complete"] == "?1"


def test_upload_goes_on_after_a_cut(house: House) -> None:
    """From the address that the interim answer told."""
    with house.wire() as wire:
        wire.send(head("PUT", FILE, {"Upload-Complete": "?1"}, length=len(CONTENT)) + CONTENT[:3000])
        path = wire.answer("PUT").headers["location"].removeprefix("https://localhost")
        house.wait(lambda: house.tree.numbered != {})
        wire.goodbye()
    house.wait(lambda: bool(house.aborted()))
    asked = house.ask("HEAD", path)
    assert asked.headers["upload-length"] == str(len(CONTENT))
    offset = int(asked.headers["upload-offset"])
    assert offset <= 3000
    assert append(house, path, offset, CONTENT[offset:], "?1").status == 201
    assert house.tree.content(f"{UPLOADS}/a.log") == CONTENT


def test_length_alone_does_not_complete(house: House) -> None:
    """The client says when it is whole; nothing more need come then."""
    answer, path = begun(house, b"12345", "?0", Upload_Length="5")
    assert answer.headers["upload-offset"] == "5"
    assert house.ask("HEAD", path).headers["upload-complete"] == "?0"
    assert house.tree.content(f"{UPLOADS}/a.log") is None
    assert append(house, path, 5, b"", "?1").status == 201
    assert house.tree.content(f"{UPLOADS}/a.log") == b"12345"


def test_other_offset_is_refused_with_the_right_one(shared: House) -> None:
    """409, with its problem type."""
    _, path = begun(shared, b"12345", "?0", "offset")
    answer = append(shared, path, 3, b"x", "?0")
    assert (answer.status, answer.headers["upload-offset"]) == (409, "5")
    assert answer.json["type"] == TYPES + "mismatching-upload-offset"
    assert (answer.json["expected-offset"], answer.json["provided-offset"]) == (5, 3)


def test_lengths_that_contradict_each_other_are_refused(shared: House) -> None:
    """At the creation and later, with their problem type."""
    headers = {"Upload-Complete": "?1", "Upload-Length": "6"}
    answer = shared.ask("PUT", f"/files{UPLOADS}/length", headers, b"12345")
    assert (answer.status, answer.json["type"]) == (400, TYPES + "inconsistent-upload-length")
    _, path = begun(shared, b"12345", "?0", "length", Upload_Length="10")
    for headers in ({"Upload_Length": 11}, {}):
        answer = append(shared, path, 5, b"67", "?0" if headers else "?1", **headers)
        assert (answer.status, answer.json["type"]) == (400, TYPES + "inconsistent-upload-length")


def test_nothing_follows_a_complete_upload(shared: House) -> None:
    """410 for nothing more, 400 for more."""
    _, path = begun(shared, b"12345", "?1", "complete")
    gone = append(shared, path, 5, b"", "?1")
    assert (gone.status, gone.json["type"]) == (410, TYPES + "completed-upload")
    assert append(shared, path, 5, b"6", "?1").status == 400


def test_cancelled_upload_is_gone(shared: House) -> None:
    """204, then 410."""
    _, path = begun(shared, b"12345", "?0", "cancelled")
    assert shared.ask("DELETE", path).status == 204
    assert append(shared, path, 5, b"", "?1").status == 410


def test_piece_beyond_the_length_is_refused(shared: House) -> None:
    """413."""
    _, path = begun(shared, b"12345", "?0", "beyond", Upload_Length="6")
    assert append(shared, path, 5, b"67", "?0").status == 413


def test_digest_that_does_not_hold_counts_for_nothing(shared: House) -> None:
    """Of a piece, and of a whole file that comes in one."""
    wrong = f"sha-256=:{base64.b64encode(hashlib.sha256(b'x').digest()).decode()}:"
    answer, path = begun(shared, b"12345", "?1", "digest", Repr_Digest=wrong)
    assert answer.status == 400
    assert shared.tree.content(f"{UPLOADS}/digest") is None
    assert shared.ask("HEAD", path).headers["upload-offset"] == "0"
    assert append(shared, path, 0, b"12345", "?1", Content_Digest=wrong).status == 400
    right = f"sha-256=:{base64.b64encode(hashlib.sha256(b'12345').digest()).decode()}:"
    assert append(shared, path, 0, b"12345", "?1", Content_Digest=right).status == 201


def test_creation_at_a_folder_takes_the_name_from_the_disposition(shared: House) -> None:
    """As a form's part has it."""
    headers = {
        "Upload-Complete": "?1",
        "Content-Disposition": "inline; filename=\"x\"; filename*=UTF-8''n%C3%A4me.log",
    }
    with shared.wire() as wire:
        wire.send(head("POST", f"/tus{UPLOADS}/", headers, length=3) + b"abc")
        assert wire.answer("POST").status == 104
        assert wire.answer("POST").status == 201
    assert shared.tree.content(f"{UPLOADS}/näme.log") == b"abc"


def test_creation_at_a_folder_takes_the_name_from_the_metadata(shared: House) -> None:
    """As tus-js-client says it, where it speaks the draft."""
    headers = {"Upload-Complete": "?1", "Upload-Metadata": f"filename {base64.b64encode(b'js.log').decode()}"}
    with shared.wire() as wire:
        wire.send(head("POST", f"/tus{UPLOADS}/", headers, length=3) + b"abc")
        assert wire.answer("POST").status == 104
        assert wire.answer("POST").status == 201
    assert shared.tree.content(f"{UPLOADS}/js.log") == b"abc"
    nameless = {"Upload-Complete": "?1", "Upload-Metadata": "filetype"}
    assert shared.ask("POST", f"/tus{UPLOADS}/", nameless, b"abc").status == 400


def test_value_that_is_no_boolean_counts_for_nothing(shared: House) -> None:
    """The field is ignored: it is a plain PUT."""
    answer = shared.ask("PUT", f"/files{UPLOADS}/plain", {"Upload-Complete": "yes"}, b"abc")
    assert answer.status == 201
    assert "upload-complete" not in answer.headers


def test_options_tell_the_media_type_and_limits(shared: House) -> None:
    """A client learns before it sends."""
    answer = shared.ask("OPTIONS", "/tus/", authorization=None)
    assert "application/partial-upload" in answer.headers["accept-patch"]
    assert answer.headers["upload-limit"] == f"max-size={1 << 40}"
