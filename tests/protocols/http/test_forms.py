"""Forms of several files: what lands, and what the answer says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.errors import QuotaExceededError

if TYPE_CHECKING:
    from protocols.path import VirtualPath
    from tests.protocols.http.house import Answer, House

NAMES = ("one.log", "two.log", "three.log")


def form(*names: str, end: bytes = b"--b--\r\n") -> bytes:
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\ncontent of %b\r\n'
        % (name.encode(), name.encode())
        for name in names
    )
    return b"".join(parts) + end


def post(house: House, body: bytes) -> Answer:
    house.tree.directories |= {("upload", "issue", "4711")[:depth] for depth in (1, 2, 3)}
    with house.wire() as wire:
        return wire.ask("POST", "/cases/4711/", {"Content-Type": "multipart/form-data; boundary=b"}, body)


def landed(house: House) -> list[str]:
    return [path.rpartition("/")[2] for kind, path, _ in house.tree.events if kind == "landed"]


def test_form_of_several_files_has_one_answer(house: House) -> None:
    """All receipts come in one answer, in the order of the files."""
    answer = post(house, form(*NAMES))
    assert answer.status == 201
    assert [receipt["path"].rpartition("/")[2] for receipt in answer.json["receipts"]] == list(NAMES)
    assert landed(house) == list(NAMES)


def test_form_without_its_end_lands_nothing(house: House) -> None:
    """Two files came whole and the third did not: the sender cannot have been told of any, and sends the form again."""
    house.tree.add("/upload/issue/4711/one.log", b"there before")
    answer = post(house, form(*NAMES, end=b""))
    assert answer.status == 400
    assert landed(house) == []
    assert all(not partial.data for partial in house.tree.partials.values())
    assert house.tree.content("/upload/issue/4711/one.log") == b"there before"


def test_file_that_cannot_land_is_named_with_the_receipts_of_the_others(house: House) -> None:
    """What has landed before it stays, the answer says so, and whoever sends the form again doubles nothing."""

    def refuse(operation: str, path: VirtualPath) -> None:
        if operation == "commit" and path.name == "two.log":
            raise QuotaExceededError("the quota of this case is used up")

    house.tree.before = refuse
    answer = post(house, form(*NAMES))
    assert answer.status == 507
    assert "two.log: the quota of this case is used up" in answer.json["detail"]
    assert [receipt["path"].rpartition("/")[2] for receipt in answer.json["receipts"]] == ["one.log"]
    assert landed(house) == ["one.log"]

    house.tree.before = None
    assert post(house, form(*NAMES)).status == 201


def test_first_file_that_cannot_land_is_a_plain_refusal(house: House) -> None:
    """Nothing has landed, so there are no receipts to speak of."""

    def refuse(operation: str, _path: VirtualPath) -> None:
        if operation == "commit":
            raise QuotaExceededError("the quota of this case is used up")

    house.tree.before = refuse
    answer = post(house, form(*NAMES))
    assert (answer.status, answer.json["detail"]) == (507, "the quota of this case is used up")
    assert "receipts" not in answer.json
