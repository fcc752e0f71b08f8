"""Announcements of the case system: taken once, checked before anything is done, and what each of them asks for."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from mft.audit import AuditTrail
from mft.casesystem import running_case_system
from mft.casesystem.announcer import Announcer
from mft.catalog.database import Database
from mft.catalog.model import REVOCATIONS
from mft.webhooks.errors import MalformedAnnouncementError, RepeatedIdError, SignatureError
from mft.webhooks.inbox import MOST_BODY, MOST_SUBJECTS, Inbox, parse_announcement
from mft.webhooks.signature import new_secret, secret_text, signed_headers, verify
from tests.casebook import records
from tests.core import _empty_catalog
from tests.receiver import Receiver, running_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = new_secret()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "catalog.db"
    path.write_bytes(_empty_catalog())
    made = Database(path)
    yield made
    made.close()


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(database=database, trail=AuditTrail(sign=lambda _: "signed", host="here"), keys=[SECRET])


def message(kind: str, message_id: str = "msg_1", **data: Any) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"type": kind, "timestamp": "2026-11-22T00:00:00Z", "data": data}).encode()
    return signed_headers([SECRET], message_id=message_id, timestamp=int(time.time()), body=body), body


def rows(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as connection:
        found = connection.execute(select(REVOCATIONS).order_by(REVOCATIONS.c.serial))
        return [(row.kind, row.subject, row.reason) for row in found]


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("case.opened", {"case": "C-1"}, [("case", "C-1", "case.opened")]),
        ("case.closed", {"cases": ["C-1", "C-2", "C-1"]}, [("case", f"C-{n}", "case.closed") for n in (1, 2)]),
        ("case.reassigned", {"case": "C-1", "login": "x"}, [("case", "C-1", "case.reassigned")]),
        ("principal.changed", {"login": "ann"}, [("principal", "ann", "principal.changed")]),
        ("principal.revoked", {"login": "ann"}, [("principal", "ann", "revoked: principal.revoked")]),
        ("access.revoked", {"login": "ann"}, [("principal", "ann", "revoked: access.revoked")]),
        (
            "access.revoked",
            {"login": "ann", "case": "C-1"},
            [("principal", "ann", "access.revoked"), ("case", "C-1", "access.revoked")],
        ),
        ("customer.changed", {"customer": "acme"}, [("customer", "acme", "customer.changed")]),
    ],
)
def test_each_announcement_tells_every_process(inbox, database, kind, data, told):
    """A numbered row for each subject; those of a revocation end sessions whatever is answered next."""
    taken = inbox.take(*message(kind, **data))
    assert rows(database) == told
    assert (taken.repeated, taken.subjects) == (False, len(told))


def test_repeated_announcement_does_nothing(inbox, database):
    """The same id and body: yes, and nothing more; another body: a conflict."""
    inbox.take(*message("case.changed", case="C-1"))
    assert inbox.take(*message("case.changed", case="C-1")).repeated
    with pytest.raises(RepeatedIdError):
        inbox.take(*message("case.changed", case="C-2"))
    assert len(rows(database)) == 1


def test_unsigned_announcement_does_nothing(inbox, database):
    """The signature is looked at before anything of the body."""
    headers, body = message("case.changed", case="C-1")
    with pytest.raises(SignatureError):
        inbox.take({}, body)
    with pytest.raises(SignatureError):
        inbox.take(headers, b"not json")
    shut = Inbox(database=database, trail=AuditTrail(sign=lambda _: "", host="here"), keys=[])
    with pytest.raises(SignatureError, match="no secret"):
        shut.take(headers, body)
    assert rows(database) == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000, b'{"type": "case.closed"}',
        b'{"type": "case.closed", "data": []}', b'{"type": "case.closed", "data": {}}',
        b'{"type": 7, "data": {"case": "C-1"}}', b'{"type": "case.closed", "data": {"case": ["C-1"]}}',
        b'{"type": "case.closed", "data": {"cases": "C-1"}}',
        b'{"type": "case.closed", "data": {"case": "~unfiled/ann"}}',
        b'{"type": "case.closed", "data": {"case": ".."}}', b'{"type": "principal.revoked", "data": {"case": "C-1"}}',
        b'{"type": "principal.revoked", "data": {"login": "a/b"}}',
        b'{"type": "customer.changed", "data": {"customer": ""}}',
        b'{"type": "case.closed", "data": {"case": "C-1\\u0000"}}',
    ],
)  # fmt: skip
def test_announcement_that_says_nothing_is_refused_with_what_is_expected(body):
    """Wrong types, wrong names, no names: nothing of it is guessed."""
    with pytest.raises(MalformedAnnouncementError) as caught:
        parse_announcement(body)
    assert str(caught.value)


def test_announcement_has_bounds():
    """So many subjects, so many bytes, and not more."""
    many = {"type": "case.closed", "data": {"cases": [f"C-{n}" for n in range(MOST_SUBJECTS + 1)]}}
    with pytest.raises(MalformedAnnouncementError, match=str(MOST_SUBJECTS)):
        parse_announcement(json.dumps(many).encode())
    with pytest.raises(MalformedAnnouncementError, match=str(MOST_BODY)):
        parse_announcement(b" " * (MOST_BODY + 1))


def test_simulator_announces_what_is_changed_in_it(receiver):
    """A case opened, closed, given away; a login revoked: each is told as the contract has it, signed."""
    secret = new_secret()
    changes = [
        ("POST", "/admin/cases", {"number": "ACME-60", "customer": "acme", "state": "open"}),
        ("PATCH", "/admin/cases/ACME-60", {"title": "Other"}),
        ("PATCH", "/admin/cases/ACME-60", {"customer": "globex"}),
        ("PATCH", "/admin/cases/ACME-60", {"state": "closed"}),
        ("PATCH", "/admin/principals/bob", {"active": False}),
        ("DELETE", "/admin/cases/ACME-60", None),
    ]
    with running_case_system(records(), announcer=Announcer(receiver.url, secret_text(secret))) as running:
        for method, path, body in changes:
            request = urllib.request.Request(
                running.url + path,
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
            urllib.request.urlopen(request, timeout=30).close()
    told = []
    for post in receiver.posts:
        headers = {name.lower(): value for name, value in post.headers.items()}
        verify([secret], headers, post.body, now=time.time(), tolerance=300)
        announced = parse_announcement(post.body)
        told.append((announced.kind.value, *announced.cases, *announced.logins))
    assert told == [
        ("case.opened", "ACME-60"),
        ("case.changed", "ACME-60"),
        ("case.reassigned", "ACME-60"),
        ("case.closed", "ACME-60"),
        ("principal.revoked", "bob"),
        ("case.removed", "ACME-60"),
    ]
