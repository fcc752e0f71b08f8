"""Where something of a landing log may lie besides where its uploads say: it is being moved, or is to be taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from mft.catalog.model import LANDING_MOVES

if TYPE_CHECKING:
    from sqlalchemy import Connection


def places_of(connection: Connection, case_id: int) -> set[tuple[str, str]]:
    """Return those places of a case's logs, each as the log's id and the region."""
    moves = connection.execute(select(LANDING_MOVES).where(LANDING_MOVES.c.case_id == case_id)).all()
    return {(move.landing_id, region) for move in moves for region in split(joined(move.left_in, move.target))}


def split(regions: str) -> list[str]:
    """Return the regions of a text as `LandingMove.left_in` has them."""
    return [region for region in regions.split(",") if region]


def joined(regions: str, region: str | None) -> str:
    """Return such a text with *region* in it too."""
    return ",".join(dict.fromkeys([*split(regions), *([] if region is None else [region])]))
