"""The states of an upload and the only ways between them. Everything that affects an upload's state lives here."""

from __future__ import annotations

import enum
import functools
import time
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, update
from sqlalchemy.sql import ClauseElement

from mft.catalog.errors import CatalogError
from mft.catalog.fixed import Fixed, any_of
from mft.catalog.model import UPLOADS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection


class UploadState(enum.StrEnum):
    """Where an upload stands."""

    RECEIVING = "receiving"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"
    LANDED = "landed"
    SCRUBBING = "scrubbing"
    STORED = "stored"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    DESTROYED = "destroyed"


_S = UploadState
WAYS: Mapping[UploadState, frozenset[UploadState]] = {
    _S.RECEIVING: frozenset({_S.INTERRUPTED, _S.LANDED, _S.EXPIRED}),
    _S.INTERRUPTED: frozenset({_S.RECEIVING, _S.EXPIRED}),
    _S.LANDED: frozenset({_S.SCRUBBING, _S.QUARANTINED, _S.EXPIRED}),
    _S.SCRUBBING: frozenset({_S.STORED, _S.QUARANTINED, _S.REJECTED, _S.LANDED}),
    _S.QUARANTINED: frozenset({_S.STORED, _S.DESTROYED, _S.LANDED}),
    _S.STORED: frozenset({_S.DESTROYED, _S.QUARANTINED}),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.DESTROYED: frozenset(),
}
PARTIAL = frozenset({_S.RECEIVING, _S.INTERRUPTED})
"""Not whole: of no concern to anybody but the sender."""
WHOLE = frozenset({_S.LANDED, _S.SCRUBBING, _S.STORED, _S.QUARANTINED})
"""Received in full and kept."""
WORDS: Mapping[UploadState, str] = {
    _S.RECEIVING: "receiving",
    _S.INTERRUPTED: "interrupted",
    _S.EXPIRED: "expired",
    _S.LANDED: "received",
    _S.SCRUBBING: "scanning",
    _S.STORED: "available",
    _S.QUARANTINED: "quarantined",
    _S.REJECTED: "rejected",
    _S.DESTROYED: "destroyed",
}
"""What people are told."""


def destroy_uploads(connection: Connection, case_id: int, now: float) -> None:
    """Bring every upload of a case into its last state: what was kept is destroyed, what was partial expires."""
    for source, target in ((_S.STORED, _S.DESTROYED), (_S.QUARANTINED, _S.DESTROYED), (_S.INTERRUPTED, _S.EXPIRED)):
        connection.execute(
            update(UPLOADS)
            .where(UPLOADS.c.case_id == case_id, UPLOADS.c.state == source)
            .values(state=target, updated_at=now, finished_at=now)
        )


class StateError(CatalogError):
    """The upload is not in a state from which that is possible: somebody else was faster, or the upload is gone."""


@functools.cache
def _move(state: UploadState, columns: tuple[str, ...]) -> Fixed:
    """Return the statement that brings an upload into *state* and sets *columns*: made once for each of them."""
    sources = [source for source, targets in WAYS.items() if state in targets]
    statement = update(UPLOADS).where(UPLOADS.c.id == bindparam("of"), any_of(UPLOADS.c.state, sources))
    return Fixed(statement, *columns)


def move_upload(connection: Connection, upload_id: str, state: UploadState, /, **values: object) -> None:
    """Bring an upload into *state*, if its present state allows that, and set *values* with it.

    Raises:
        StateError: no way leads from its present state to *state*.
    """
    sources = [source for source, targets in WAYS.items() if state in targets]
    set_to = {"state": state, "updated_at": time.time(), **values}
    if any(isinstance(value, ClauseElement) for value in values.values()):
        statement = update(UPLOADS).where(UPLOADS.c.id == upload_id, UPLOADS.c.state.in_(sources))
        moved = connection.execute(statement.values(**set_to)).rowcount
    else:
        moved = _move(state, tuple(set_to)).run(connection, {"of": upload_id, **set_to, "state": str(state)})
    if moved != 1:
        raise StateError(f"upload {upload_id} cannot become {state}: it is gone or no longer in {sources}")


def move_uploads(connection: Connection, upload_ids: Collection[str], state: UploadState, /, **values: object) -> None:
    """Bring several uploads into *state*, as `move_upload` does one.

    Raises:
        StateError: no way leads from the present state of one of them to *state*.
    """
    sources = [source for source, targets in WAYS.items() if state in targets]
    statement = update(UPLOADS).where(UPLOADS.c.id.in_(upload_ids), UPLOADS.c.state.in_(sources))
    moved = connection.execute(statement.values(state=state, updated_at=time.time(), **values))
    if moved.rowcount != len(upload_ids):
        raise StateError(f"not all of {len(upload_ids)} uploads can become {state}")
