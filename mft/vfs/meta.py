"""`.meta`: what the sender and the engineers may know of each file, as documents beside the files.

`NAME.status.json` says where an upload stands, `NAME.receipt.json` is its latest signed receipt, `NAME.report.json`
says what was removed from it, `NAME.report.sarif` the same as SARIF, `NAME.reverse` holds, sealed to the customer, what
its pseudonyms stand for. `scrubbed/` holds the files themselves as engineers see them.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mft.catalog.model import BODIES, RECEIPTS, UPLOADS
from mft.standing import find_ended, state_word, status_in, status_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mft.catalog.database import Database
    from mft.vfs.tree import Leaf, Place

__all__ = [
    "RECEIPT",
    "REPORT",
    "SARIF",
    "SCRUBBED",
    "STATUS",
    "SUFFIXES",
    "document_of",
    "ended_status",
    "latest_receipt",
    "state_word",
    "status_of",
]

SCRUBBED = "scrubbed"
STATUS, RECEIPT, REPORT = ".status.json", ".receipt.json", ".report.json"
SARIF = ".report.sarif"
"""The report in the format that code scanners share. It can be read, and is made then; no listing has it."""
REVERSE = ".reverse"
"""What pseudonyms stand for, sealed to the customer; only its logins see it."""
SUFFIXES = (STATUS, RECEIPT, REPORT, REVERSE)


def _render(document: object) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def document_of(database: Database, leaf: Leaf, suffix: str, *, sender: bool) -> bytes | None:
    """Return the document *suffix* of a file, or None where there is none."""
    if leaf.upload_id is None:
        return None
    with database.read() as connection:
        row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == leaf.upload_id)).first()
        if row is None:
            return None
        if suffix == STATUS:
            return _render(status_in(connection, row, name=leaf.name, sender=sender and leaf.own))
        if suffix == REVERSE:
            return _reverse_map(connection, row.object_key) if sender else None
        if suffix in {REPORT, SARIF}:
            report = None if row.report is None else json.loads(row.report)
            return None if report is None else _render(report if suffix == REPORT else _sarif(report))
        return _receipt(connection, row.id) if sender and leaf.own else None


def _sarif(report: dict[str, Any]) -> dict[str, Any]:
    from scrubber.model import ScrubReport  # noqa: PLC0415 - rarely asked for; loads the rules
    from scrubber.sarif import to_sarif  # noqa: PLC0415

    if report.get("released"):
        return to_sarif([])
    known = {each.name for each in fields(ScrubReport)}
    kept = {name: value for name, value in report.items() if name in known}
    left_out = sum(report["counts"].values()) - len(report["findings"])
    return to_sarif([ScrubReport.from_dict(kept | {"findings_omitted": max(0, left_out)})])


def ended_status(database: Database, place: Place, name: str) -> bytes | None:
    """Return the status of what *place*'s login sent as *name* and what was given up, where nothing is left of it."""
    with database.read() as connection:
        row = find_ended(connection, case_id=place.case_id, parent_id=place.node_id, name=name, login=place.login)
        return None if row is None else _render(status_in(connection, row, name=name, sender=True))


def _reverse_map(connection: Connection, object_key: str | None) -> bytes | None:
    if object_key is None:
        return None
    kept = connection.execute(select(BODIES.c.reverse_map).where(BODIES.c.key == object_key)).scalar()
    return None if kept is None else bytes(kept)


def _receipt(connection: Connection, upload_id: str) -> bytes | None:
    found = latest_receipt(connection, upload_id)
    return None if found is None else _render(found)


def latest_receipt(connection: Connection, upload_id: str) -> dict[str, Any] | None:
    """Return the final receipt of an upload, or the landed one as long as there is no final one."""
    rows = connection.execute(
        select(RECEIPTS.c.kind, RECEIPTS.c.document).where(RECEIPTS.c.upload_id == upload_id)
    ).all()
    documents: dict[str, dict[str, Any]] = {row.kind: json.loads(row.document) for row in rows}
    return documents.get("final") or documents.get("landed")
