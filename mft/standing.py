"""Where a deposit stands, in the words that people are shown: its state, the reason, and what they can do.

`receiving`, `interrupted`, `received`, `scanning`, then `available`, `partly redacted`, `quarantined` or `rejected`;
what was given up is `expired`, what was held and then destroyed is `destroyed`.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mft.box import ZONE
from mft.catalog.model import UNFILED, UPLOADS
from mft.catalog.states import WORDS, UploadState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from mft.catalog.database import Database

PARTLY_REDACTED = "partly redacted"
PART_SUFFIXES = (".part", ".filepart")
"""Endings of files that their client renames once they are whole: they wait for that."""
_REASONS: Mapping[str, str] = {
    "receiving": "it is under way",
    "interrupted": "the transfer broke off",
    "received": "it is whole, and waits to be looked into",
    "scanning": "it is being looked into",
    "available": "nothing had to be replaced",
    PARTLY_REDACTED: "something in it was replaced; its .report.json names each place",
    "quarantined": "it could not be looked into",
    "rejected": "it holds what is not taken here",
    "expired": "it was given up",
    "destroyed": "its time was over",
}
"""What is said where the upload itself holds no reason."""
_WHAT_TO_DO: Mapping[str, str] = {
    "receiving": "let the transfer come to its end",
    "interrupted": "resume the upload from `resume_at` (sftp: reput; curl: -C OFFSET -T), or send the file again",
    "received": "nothing; come back in a while",
    "scanning": "nothing; come back in a while",
    "available": "nothing; support can read it",
    PARTLY_REDACTED: "nothing; support can read the rest, which is what lies in `.meta/scrubbed/`",
    "quarantined": "send it again in a form that can be opened, not encrypted or damaged, or ask support to release it",
    "rejected": "take out what the reason names and send it again",
    "expired": "send the file again",
    "destroyed": "send the file again if it is still needed",
}


_NAME_ITS_CASE = (
    "move it (rename) into the to-support folder of its case, or tell support which case it is for; "
    "nobody reads it before, and after `kept_until` it is destroyed"
)


def state_word(state: str, report: str | None) -> str:
    """Say where an upload stands in the words that people are shown."""
    if state == UploadState.STORED and report is not None and json.loads(report).get("findings_total"):
        return PARTLY_REDACTED
    return WORDS[UploadState(state)]


def told_of(row: Row[Any], *, why_unfiled: str | None = None) -> tuple[str, str]:
    """Return the reason for an upload's state, and what its sender can do; *why_unfiled* where it has no case."""
    if why_unfiled is not None and row.state == UploadState.LANDED:
        return f"it belongs to no case: {why_unfiled}", _NAME_ITS_CASE
    word = state_word(row.state, row.report)
    return row.reason or _reason(row, word), _advice(row, word) or _WHAT_TO_DO[word]


def status_of(row: Row[Any], *, name: str, sender: bool, unfiled: Row[Any] | None = None) -> dict[str, object]:
    """Describe an upload for its sender, or for somebody who sees only what is stored.

    *unfiled* is its row of that table, where it has no case.
    """
    word = state_word(row.state, row.report)
    reason, what_to_do = told_of(row, why_unfiled=None if unfiled is None else unfiled.why)
    status: dict[str, object] = {
        "id": row.id,
        "name": name,
        "version": row.version,
        "state": word,
        "reason": reason,
        "what_to_do": what_to_do,
        "received_at": moment(row.landed_at),
        "finished_at": moment(row.finished_at),
        "scrubbed": {"size": row.scrubbed_size, "sha256": row.scrubbed_sha256}
        if row.scrubbed_size is not None
        else None,
    }
    if sender:
        status["sent"] = {"size": row.size, "sha256": row.sha256 or "pending"}
        resumable = row.state in {UploadState.RECEIVING, UploadState.INTERRUPTED}
        status["resume_at"] = max(0, (row.prefix or 0) - 1) if resumable else None
    if unfiled is not None and row.state == UploadState.LANDED:
        status["kept_until"] = moment(unfiled.kept_until)
    return {key: value for key, value in status.items() if value is not None}


def _advice(row: Row[Any], word: str) -> str:
    """Give what the scrubber says can be done about the first thing that held the file back."""
    if word not in {"quarantined", "rejected"} or row.report is None:
        return ""
    obstacles = json.loads(row.report).get("obstacles") or [{}]
    return str(obstacles[0].get("advice", ""))


def _reason(row: Row[Any], word: str) -> str:
    if word == PARTLY_REDACTED:
        counts = json.loads(row.report)["counts"]
        told = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
        return f"{sum(counts.values())} passages were replaced ({told})"
    if word == "received" and row.name.endswith(PART_SUFFIXES):
        return "its name says that it is not whole yet: it waits to be renamed"
    return _REASONS[word]


def status_in(connection: Connection, row: Row[Any], *, name: str, sender: bool) -> dict[str, object]:
    """Describe an upload, looking up what it takes besides its row."""
    unfiled = None
    if row.zone == ZONE:
        unfiled = connection.execute(select(UNFILED).where(UNFILED.c.upload_id == row.id)).first()
    return status_of(row, name=name, sender=sender, unfiled=unfiled)


def find_status(database: Database, upload_id: str, *, login: str) -> dict[str, object] | None:
    """Return where the deposit of that id stands, if *login* sent it; else None."""
    with database.read() as connection:
        row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id, UPLOADS.c.login == login)).first()
        return None if row is None else status_in(connection, row, name=row.name, sender=True)


def find_ended(connection: Connection, *, case_id: int, parent_id: int, name: str, login: str) -> Row[Any] | None:
    """Return the latest upload of *login* under a name that was given up, where nothing else is left of the name."""
    return connection.execute(
        select(UPLOADS)
        .where(
            UPLOADS.c.case_id == case_id,
            UPLOADS.c.login == login,
            UPLOADS.c.parent_id == parent_id,
            UPLOADS.c.name == name,
            UPLOADS.c.state.in_([UploadState.EXPIRED, UploadState.DESTROYED]),
        )
        .order_by(UPLOADS.c.created_at.desc())
        .limit(1)
    ).first()


def moment(seconds: float | None) -> str | None:
    """Write a time as these documents have it: ISO 8601, UTC, in milliseconds; None stays None."""
    if seconds is None:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
