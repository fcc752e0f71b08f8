"""Landing keys: one for each region and day, under which the keys of that day's uploads are wrapped."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert as upsert

from mft.catalog.fixed import Fixed
from mft.catalog.model import LANDING_KEYS
from storage.keys.envelope import Region

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from mft.catalog.database import Database
    from storage.keys.service import KeyService

# Made once: to build it anew costs as much as to run it, and the catalog is locked meanwhile.
_KEY_OF_DAY = Fixed(
    select(LANDING_KEYS.c.wrapped).where(
        LANDING_KEYS.c.region == bindparam("of"), LANDING_KEYS.c.day == bindparam("on")
    )
)


class LandingKeys:
    """Finds today's landing keys, and makes them when they are first needed."""

    def __init__(self, *, database: Database, keys: KeyService, key_holder: Callable[[str, str], str | None]) -> None:
        """Keep them in *database*, made by *keys*; *key_holder* names what holds a customer's own key for a region."""
        self._database = database
        self._keys = keys
        self._key_holder = key_holder

    def today(self, region: str, customer: str) -> tuple[str, bytes]:
        """Return today's landing key of a region: its name below `landing:`, and the key, wrapped.

        A customer with a key of their own has a landing key of their own too. One that was destroyed already, because a
        clock was set back, has a successor.
        """
        today = dt.datetime.now(dt.UTC).date().isoformat()
        holder = self._key_holder(region, customer)
        base = today if holder is None else f"{today}/{holder}"
        for number in itertools.count(1):
            day = base if number == 1 else f"{base}.{number}"
            wrapped = self._of_day(region, day, customer if holder else None)
            if wrapped is not None:
                return day, wrapped
        raise AssertionError("counting has no end")

    def _of_day(self, region: str, day: str, owner: str | None) -> bytes | None:
        with self._database.read() as connection:
            row = _KEY_OF_DAY.first(connection, {"of": region, "on": day})
        if row is None:
            fresh = self._keys.new_scope(Region(region), f"landing:{day}", owner=owner)
            with self._database.write() as connection:
                connection.execute(
                    upsert(LANDING_KEYS)
                    .values(region=region, day=day, wrapped=fresh, created_at=time.time())
                    .on_conflict_do_nothing()
                )
                return key_of_day(connection, region, day)
        return row.wrapped  # type: ignore[no-any-return]  # a column of bytes


def key_of_day(connection: Connection, region: str, day: str) -> bytes | None:
    """Return a landing key, wrapped; None: there is none, or it was destroyed."""
    wrapped: bytes | None = _KEY_OF_DAY.scalar(connection, {"of": region, "on": day})
    return wrapped
