"""States that a person can see: each with its reason, and with what to do."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from mft.catalog.model import UPLOADS
from mft.catalog.states import UploadState
from mft.standing import find_status
from protocols.errors import NotFoundError

SPOT, META = "/ACME-1/to-support", "/ACME-1/.meta"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


def status(client, name):
    found = client.document(f"{META}/{name}.status.json")
    assert found["reason"]
    assert found["what_to_do"]
    return found


def test_from_the_first_byte_to_available(house):
    """The sender can follow a file all the way, by its name and by its id."""
    ann = house.client("ann")
    handle = ann.begin(f"{SPOT}/a.log")
    handle.write(0, b"0123456789")
    assert status(ann, "a.log")["state"] == "receiving"
    handle.abort("the connection was lost")
    interrupted = status(ann, "a.log")
    assert (interrupted["state"], interrupted["reason"]) == ("interrupted", "the connection was lost")
    assert interrupted["resume_at"] == 9
    assert "resume" in interrupted["what_to_do"]
    receipt = ann.resume(f"{SPOT}/a.log", b"0123456789abc")
    received = status(ann, "a.log")
    assert (received["state"], "resume_at" in received) == ("received", False)
    assert find_status(house.database, receipt.id, login="ann") == received
    with house.database.write() as connection:
        connection.execute(update(UPLOADS).values(state=UploadState.SCRUBBING))
    assert status(ann, "a.log")["state"] == "scanning"
    with house.database.write() as connection:
        connection.execute(update(UPLOADS).values(state=UploadState.LANDED))
    house.work()
    assert status(ann, "a.log")["state"] == "available"
    assert status(house.client("eve"), "a.log")["state"] == "available"


def test_partly_redacted(house):
    """The reason counts what was replaced, by rule, and holds nothing of it."""
    ann = house.client("ann")
    ann.put(f"{SPOT}/a.log", b"from ann@acme.example to bob@acme.example\n")
    house.work()
    found = status(ann, "a.log")
    assert found["state"] == "partly redacted"
    assert "2 passages were replaced" in found["reason"]
    assert "acme" not in found["reason"]
    assert house.client("eve").document(f"{META}/a.log.status.json")["state"] == "partly redacted"


def test_quarantined_and_rejected(house, tmp_path, nursery):
    """What is held back says why, and what its sender can do; nobody else learns that it is there."""
    ann = house.client("ann")
    ann.put(f"{SPOT}/a.png", PICTURE)
    house.work()
    found = status(ann, "a.png")
    assert found["state"] == "quarantined"
    assert "send it again" in found["what_to_do"]
    with pytest.raises(NotFoundError):
        house.client("eve").document(f"{META}/a.png.status.json")
    from tests.core import running_core

    (tmp_path / "strict").mkdir()
    with running_core(tmp_path / "strict", nursery, scrub={"on": {"obstacle": "reject"}}) as strict:
        ann = strict.client("ann")
        ann.put(f"{SPOT}/a.png", PICTURE)
        strict.work()
        found = status(ann, "a.png")
        assert found["state"] == "rejected"
        assert "make it anew" in found["what_to_do"]


def test_expired(house):
    """An upload that was never resumed is told of after it is gone, to its sender alone."""
    ann = house.client("ann")
    ann.cut(f"{SPOT}/a.log", b"0123456789")
    with house.database.write() as connection:
        connection.execute(update(UPLOADS).values(updated_at=time.time() - 30 * 86400))
    house.intake._sweep.run()
    found = status(ann, "a.log")
    assert (found["state"], found["reason"]) == ("expired", "not resumed in time")
    assert "again" in found["what_to_do"]
    assert ann.names(SPOT) == []
    for login in ("bob", "eve"):
        with pytest.raises(NotFoundError):
            house.client(login).document(f"{META}/a.log.status.json")
    ann.put(f"{SPOT}/a.log", b"again")
    assert status(ann, "a.log")["state"] == "received"


def test_a_part_says_what_it_waits_for(house):
    """A name that promises to be renamed is not looked into before."""
    ann = house.client("ann")
    ann.put(f"{SPOT}/a.log.part", b"x")
    house.work()
    found = status(ann, "a.log.part")
    assert (found["state"], "waits to be renamed" in found["reason"]) == ("received", True)


def test_the_status_of_another_senders_upload_is_nobodys_else(house):
    """By its id a deposit is known to its sender alone."""
    receipt = house.client("ann").put(f"{SPOT}/a.log", b"x")
    assert find_status(house.database, receipt.id, login="bob") is None
    assert find_status(house.database, "0" * 32, login="ann") is None
