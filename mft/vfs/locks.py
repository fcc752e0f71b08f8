"""The write locks of everybody, in the catalog: every worker sees them, and no two that exclude each other are kept.

What stands against a lock is looked for in the transaction that keeps it: two requests at once would both find nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, or_, select, update

from mft.catalog.model import WRITE_LOCKS
from protocols.errors import LockConflictError, NotFoundError, QuotaExceededError
from protocols.filesystem import Lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection

    from mft.catalog.database import Database

MOST_TOKENS = 500
"""Tokens that one statement names."""


class CatalogLocks:
    """The locks, for one session."""

    def __init__(self, database: Database, *, most: int) -> None:
        """Keep them in *database*; a login may have *most* at once."""
        self._database = database
        self._most = most

    def create(self, lock: Lock) -> None:
        """Keep *lock*.

        Raises:
            LockConflictError: another covers its place or, if it is deep, lies below.
            QuotaExceededError: its login has as many as it may have.
            NotFoundError: its place is none.
        """
        now = time.time()
        with self._database.write() as connection:
            connection.execute(delete(WRITE_LOCKS).where(WRITE_LOCKS.c.expires_at <= now))
            for other in _held(connection, lock.place, now, below=lock.deep):
                meets = other.place == lock.place or other.deep or len(other.place) > len(lock.place)
                if meets and (lock.exclusive or other.exclusive):
                    raise LockConflictError("somebody has locked it", place=other.place)
            own = select(func.count()).where(WRITE_LOCKS.c.login == lock.login)
            if connection.execute(own).scalar_one() >= self._most:
                raise QuotaExceededError(f"a login may have {self._most} locks at once; unlock what is not needed")
            connection.execute(
                insert(WRITE_LOCKS).values(
                    token=lock.token,
                    case_id=_case_of(lock.place),
                    place=lock.place,
                    login=lock.login,
                    exclusive=lock.exclusive,
                    deep=lock.deep,
                    owner=lock.owner,
                    created_at=now,
                    expires_at=lock.expires,
                )
            )

    def find(self, token: str) -> Lock | None:
        """Return the lock of that token."""
        with self._database.read() as connection:
            row = connection.execute(select(WRITE_LOCKS).where(WRITE_LOCKS.c.token == token)).first()
        return None if row is None or row.expires_at <= time.time() else _lock(row)

    def refresh(self, token: str, expires: float) -> Lock | None:
        """Have a lock live until *expires*; None: there is none."""
        living = and_(WRITE_LOCKS.c.token == token, WRITE_LOCKS.c.expires_at > time.time())
        with self._database.write() as connection:
            row = connection.execute(
                update(WRITE_LOCKS).where(living).values(expires_at=expires).returning(*WRITE_LOCKS.c)
            ).first()
        return None if row is None else _lock(row)

    def release(self, tokens: Sequence[str]) -> None:
        """Let go of locks."""
        for start in range(0, len(tokens), MOST_TOKENS):
            with self._database.write() as connection:
                some = tokens[start : start + MOST_TOKENS]
                connection.execute(delete(WRITE_LOCKS).where(WRITE_LOCKS.c.token.in_(some)))

    def held(self, place: str, *, below: bool) -> Sequence[Lock]:
        """Return the locks on *place*, above it, and with *below* on what it holds."""
        if _case_or_none(place) is None:
            return ()
        with self._database.read() as connection:
            return _held(connection, place, time.time(), below=below)


def _held(connection: Connection, place: str, now: float, *, below: bool) -> list[Lock]:
    parts = place.split("/")
    chain = ["/".join(parts[:length]) for length in range(2, len(parts) + 1)]
    wanted: ColumnElement[bool] = WRITE_LOCKS.c.place.in_(chain)
    if below:  # everything that begins with it and a slash: the character behind a slash is 0
        wanted = or_(wanted, and_(WRITE_LOCKS.c.place > f"{place}/", WRITE_LOCKS.c.place < f"{place}0"))
    rows = connection.execute(
        select(WRITE_LOCKS).where(wanted, WRITE_LOCKS.c.expires_at > now).order_by(WRITE_LOCKS.c.place)
    )
    return [_lock(row) for row in rows]


def _lock(row: Any) -> Lock:  # noqa: ANN401 - a row
    return Lock(
        token=row.token,
        place=row.place,
        login=row.login,
        exclusive=row.exclusive,
        deep=row.deep,
        owner=row.owner,
        expires=row.expires_at,
    )


def _case_or_none(place: str) -> int | None:
    number = place.split("/")[1:2]
    return int(number[0]) if number and number[0].isdigit() else None


def _case_of(place: str) -> int:
    case = _case_or_none(place)
    if case is None:
        raise NotFoundError("nothing is locked there")
    return case
