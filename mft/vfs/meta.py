"""`.meta`: what the sender and the engineers may know of each file, as documents beside the files.

`NAME.status.json` says where an upload stands, `NAME.receipt.json` is its latest signed receipt, `NAME.report.json`
says what was removed from it. `scrubbed/` holds the files themselves as engineers see them.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mft.catalog.model import RECEIPTS, UPLOADS
from mft.catalog.states import WORDS, UploadState

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from mft.catalog.database import Database
    from mft.vfs.tree import Leaf

SCRUBBED = "scrubbed"
STATUS, RECEIPT, REPORT = ".status.json", ".receipt.json", ".report.json"
SUFFIXES = (STATUS, RECEIPT, REPORT)


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")


def _render(document: object) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def state_word(state: str, report: str | None) -> str:
    """Say where an upload stands in the words that people are shown."""
    if state == UploadState.STORED and report is not None and json.loads(report).get("findings_total"):
        return "partly redacted"
    return WORDS[UploadState(state)]


def status_of(row: Row[Any], *, name: str, sender: bool) -> dict[str, object]:
    """Describe an upload for its sender, or for somebody who sees only what is stored."""
    status: dict[str, object] = {
        "id": row.id,
        "name": name,
        "version": row.version,
        "state": state_word(row.state, row.report),
        "reason": row.reason,
        "received_at": _moment(row.landed_at),
        "finished_at": _moment(row.finished_at),
        "scrubbed": {"size": row.scrubbed_size, "sha256": row.scrubbed_sha256}
        if row.scrubbed_size is not None
        else None,
    }
    if sender:
        status["sent"] = {"size": row.size, "sha256": row.sha256 or "pending"}
        status["resume_at"] = max(0, (row.prefix or 0) - 1) if row.landed_at is None else None
    return {key: value for key, value in status.items() if value is not None}


def document_of(database: Database, leaf: Leaf, suffix: str, *, sender: bool) -> bytes | None:
    """Return the document *suffix* of a file, or None where there is none."""
    if leaf.upload_id is None:
        return None
    with database.read() as connection:
        row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == leaf.upload_id)).first()
        if row is None:
            return None
        if suffix == STATUS:
            return _render(status_of(row, name=leaf.name, sender=sender and leaf.own))
        if suffix == REPORT:
            return None if row.report is None else _render(json.loads(row.report))
        return _receipt(connection, row.id) if sender and leaf.own else None


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
