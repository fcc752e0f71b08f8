"""What a name shows: to a login the newest version that it sent itself, to everybody else the newest that is stored.

Size and time of both are kept beside the name, so that a page of a listing reads names alone and no uploads. Whoever
changes which version a name shows, or the time of one, does it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from mft.catalog.fixed import Fixed
from mft.catalog.model import NODES, OWN_VERSIONS, UPLOADS
from mft.catalog.states import UploadState

if TYPE_CHECKING:
    from sqlalchemy import Connection

_WHEN = func.coalesce(UPLOADS.c.modified, UPLOADS.c.landed_at)
"""The client's time of a file, else when it came."""
# Made once: to build them anew costs as much as to run them, and the catalog is locked meanwhile.
_SENT = Fixed(select(UPLOADS.c.size, _WHEN.label("sent_at")).where(UPLOADS.c.id == bindparam("of")))
_SCRUBBED = Fixed(select(UPLOADS.c.scrubbed_size, _WHEN.label("shown_at")).where(UPLOADS.c.id == bindparam("of")))
_SHOWN = Fixed(update(NODES).where(NODES.c.id == bindparam("of")), "head_upload", "shown_size", "shown_at")
_NEW_OWN = upsert(OWN_VERSIONS)
_OWN = Fixed(
    _NEW_OWN.on_conflict_do_update(
        index_elements=["node_id", "login"],
        set_={name: _NEW_OWN.excluded[name] for name in ("upload_id", "size", "sent_at")},
    ),
    *("node_id", "login", "upload_id", "size", "sent_at"),
)


def show_own(connection: Connection, node_id: int, login: str, upload_id: str) -> None:
    """Have *login* see upload *upload_id*, which has landed, under the name of *node_id*."""
    row = _SENT.first(connection, {"of": upload_id})
    shown = {"upload_id": upload_id, "size": row.size, "sent_at": row.sent_at}
    _OWN.run(connection, {"node_id": node_id, "login": login, **shown})


def show_head(connection: Connection, node_id: int, upload_id: str) -> None:
    """Have everybody else see upload *upload_id*, which is stored, under the name of *node_id*."""
    row = _SCRUBBED.first(connection, {"of": upload_id})
    shown = {"head_upload": upload_id, "shown_size": row.scrubbed_size, "shown_at": row.shown_at}
    _SHOWN.run(connection, {"of": node_id, **shown})


def show_newest(connection: Connection, node_id: int) -> None:
    """Have everybody else see the newest version of *node_id* that is stored now, or nothing where none is."""
    stored = UPLOADS.c.state == UploadState.STORED
    newest = select(UPLOADS.c.id).where(UPLOADS.c.node_id == node_id, stored).order_by(UPLOADS.c.version.desc())
    upload_id = connection.execute(newest.limit(1)).scalar()
    if upload_id is not None:
        show_head(connection, node_id, upload_id)
        return
    nothing = {"head_upload": None, "shown_size": None, "shown_at": None}
    _SHOWN.run(connection, {"of": node_id, **nothing})


def show_time(connection: Connection, upload_id: str, modified: float) -> None:
    """Keep the client's time of upload *upload_id*, wherever it is shown."""
    connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(modified=modified))
    node_id = connection.execute(select(UPLOADS.c.node_id).where(UPLOADS.c.id == upload_id)).scalar()
    own = update(OWN_VERSIONS).where(OWN_VERSIONS.c.node_id == node_id, OWN_VERSIONS.c.upload_id == upload_id)
    connection.execute(own.values(sent_at=modified))
    head = update(NODES).where(NODES.c.id == node_id, NODES.c.head_upload == upload_id)
    connection.execute(head.values(shown_at=modified))
