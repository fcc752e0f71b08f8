"""Pages of the registry's lists: what comes after a name, in the order of names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from casemap.identifier import check_customer_id
from casemap.lookup import MAX_LIMIT, Page
from mft.registry.errors import PlaceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, Connection, Row, Select

E = TypeVar("E")


def page_of(
    connection: Connection,
    query: Select[tuple[object, ...]],
    name: Column[str],
    entry: Callable[[Row[tuple[object, ...]]], E],
    *,
    after: str | None,
    limit: int,
) -> Page[E]:
    """Return up to *limit* entries of *query* whose *name* comes after *after*; the cursor is the last one's name.

    Raises:
        PlaceError: *after* cannot be a name.
        ValueError: *limit* is out of range: the caller's mistake.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"a page has 1 to {MAX_LIMIT} items, not {limit}")
    if after is not None:
        try:
            check_customer_id(after)  # numbers have the same form
        except ValueError as error:
            raise PlaceError("that is not a place in this list") from error
        query = query.where(name > after)
    rows = connection.execute(query.order_by(name).limit(limit + 1)).all()
    more = len(rows) > limit
    return Page(
        items=tuple(entry(row) for row in rows[:limit]),
        next_cursor=str(getattr(rows[limit - 1], name.name)) if more else None,
    )
