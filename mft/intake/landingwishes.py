"""Which landing logs of a case are to lie elsewhere: the wishes that `mft.intake.carrying` carries out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, or_, select, update

from mft.catalog.model import LANDING_MOVES, UPLOADS
from mft.catalog.states import UploadState
from mft.holds import held_cases
from mft.upload.landingplaces import joined

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mft.casetree import CaseTree
    from mft.residency import Residency

_WAITING = (UploadState.LANDED, UploadState.QUARANTINED)
"""States of an upload whose log is all that there is of it, and which nobody is working on."""
_OVER = (UploadState.STORED, UploadState.REJECTED, UploadState.EXPIRED, UploadState.DESTROYED)


def wish_moves(connection: Connection, tree: CaseTree, residency: Residency, now: float) -> bool:
    """Write down which landing logs of a case are to lie elsewhere, and which need not any more; say if any is to go.

    Of a held case everything goes along that there still is, even what is over: it is kept as long as the hold stands.
    """
    held = UPLOADS.c.case_id.in_(held_cases())
    rows = connection.execute(
        select(UPLOADS.c.landing_id, UPLOADS.c.host)
        .where(
            UPLOADS.c.case_id == tree.id,
            UPLOADS.c.landing_gone_at.is_(None),
            UPLOADS.c.region.not_in(residency.regions),
            or_(UPLOADS.c.state.in_(_WAITING), UPLOADS.c.state.in_(_OVER) & held),
        )
        .distinct()
    ).all()
    wished = {row.landing_id: row.host for row in rows}
    moves = connection.execute(select(LANDING_MOVES).where(LANDING_MOVES.c.case_id == tree.id)).all()
    for move in moves:
        target = residency.home if move.landing_id in wished else None
        if move.target != target:
            left = joined(move.left_in, move.target)
            changes = {"target": target, "left_in": left, "attempts": 0, "due_at": now, "last_error": None}
            connection.execute(
                update(LANDING_MOVES).where(LANDING_MOVES.c.landing_id == move.landing_id).values(**changes)
            )
    known = {move.landing_id for move in moves}
    for landing_id, host in wished.items():
        if landing_id not in known:
            facts = {"case_id": tree.id, "host": host, "target": residency.home, "left_in": ""}
            connection.execute(insert(LANDING_MOVES).values(landing_id=landing_id, **facts, queued_at=now, due_at=now))
    return bool(wished)
