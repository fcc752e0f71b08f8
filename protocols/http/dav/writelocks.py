"""wsgidav's lock manager over the filesystem's locks: checks and keeping are one transaction there, for all processes.

Its own keeps locks in a dictionary of one process, lets anybody refresh anybody's, and takes a lock below a folder for
a conflict even where its token was submitted.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from wsgidav.dav_error import (
    DAVError,
    DAVErrorCondition,
    PRECONDITION_CODE_LockConflict,
    PRECONDITION_CODE_MissingLockToken,
)

from protocols.errors import LockConflictError
from protocols.filesystem import Lock
from protocols.http.dav.places import blocking, covers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from protocols.filesystem import LockTable

MOST_OWNER = 4096
"""Characters of XML that a client may have shown as a lock's owner."""
SHORTEST = 1.0
"""Seconds that a lock lives at least."""


class WriteLocks:
    """What `wsgidav.request_server` asks of a lock manager, for one request of one login."""

    def __init__(self, table: LockTable, *, login: str, longest: float, href_of: Callable[[str], str]) -> None:
        """Keep locks in *table* for *login*, each for *longest* seconds at most; *href_of* gives a place's address."""
        self._table = table
        self._login = login
        self._longest = longest
        self._href_of = href_of
        self._held: dict[tuple[str, bool], Sequence[Lock]] = {}

    def held(self, place: str, *, below: bool = False) -> Sequence[Lock]:
        """Return the locks on, above and, if that is asked for, below *place*; looked up once a request."""
        key = (place.rstrip("/") or "/", below)
        if key not in self._held:
            self._held[key] = self._table.held(key[0], below=below)
        return self._held[key]

    def get_covering(self, place: str) -> list[Lock]:
        """Return the locks that cover *place*."""
        return [lock for lock in self.held(place) if covers(lock, place)]

    def acquire(
        self,
        *,
        url: str,
        lock_type: str,  # noqa: ARG002 -- there is one
        lock_scope: str,
        lock_depth: str,
        lock_owner: bytes,
        timeout: float | None,
        principal: str,  # noqa: ARG002 -- the login that this was made for
        token_list: Sequence[str],  # noqa: ARG002 -- a lock is in the way of another whoever holds it
    ) -> dict[str, Any]:
        """Take a lock; raises wsgidav's 423 where another stands against it."""
        owner = _owner(lock_owner)
        lock = Lock(
            token=f"urn:uuid:{uuid.uuid4()}",
            place=url.rstrip("/") or "/",
            login=self._login,
            exclusive=lock_scope == "exclusive",
            deep=lock_depth == "infinity",
            owner=owner,
            expires=self._until(timeout),
        )
        try:
            self._table.create(lock)
        except LockConflictError as error:
            raise self._conflict(PRECONDITION_CODE_LockConflict, [error.place]) from error
        self._held.clear()
        return {"token": lock.token, "root": lock.place}

    def refresh(self, token: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Have one's own lock live on; raises wsgidav's 403 or 412."""
        lock = self._table.find(token)
        if lock is not None and lock.login != self._login:
            raise DAVError(HTTPStatus.FORBIDDEN, "somebody else holds this lock")
        lock = None if lock is None else self._table.refresh(token, self._until(timeout))
        if lock is None:
            raise DAVError(HTTPStatus.PRECONDITION_FAILED, "there is no such lock any more")
        self._held.clear()
        return {"token": lock.token, "root": lock.place}

    def release(self, token: str) -> None:
        """Let go of a lock."""
        self._table.release([token])
        self._held.clear()

    def drop_below(self, place: str) -> None:
        """Let go of every lock on *place* and below: what they were on is gone."""
        root = place.rstrip("/")
        gone = [
            lock.token
            for lock in self._table.held(root, below=True)
            if lock.place == root or lock.place.startswith(root + "/")
        ]
        if gone:
            self._table.release(gone)
        self._held.clear()

    def is_url_locked_by_token(self, url: str, lock_token: str) -> bool:
        """Say whether that lock covers *url*."""
        lock = self._table.find(lock_token)
        return lock is not None and covers(lock, url.rstrip("/"))

    def is_token_locked_by_user(self, token: str, principal: str) -> bool:
        """Say whether *principal* holds that lock."""
        lock = self._table.find(token)
        return lock is not None and lock.login == principal

    def get_indirect_url_lock_list(self, url: str, *, principal: str | None = None) -> list[dict[str, Any]]:
        """Return the locks that cover *url*, those of *principal* alone if it is named."""
        place = url.rstrip("/")
        return [
            {"token": lock.token, "root": lock.place}
            for lock in self.held(place)
            if covers(lock, place) and principal in {None, lock.login}
        ]

    def check_write_permission(self, *, url: str, depth: str, token_list: Sequence[str], principal: str) -> None:
        """Raise wsgidav's 423 where a lock stands against a change of *url*."""
        below = depth == "infinity"
        place = url.rstrip("/") or "/"
        found = blocking(place, self.held(place, below=below), login=principal, tokens=token_list, below=below)
        if found:
            raise self._conflict(PRECONDITION_CODE_MissingLockToken, [lock.place for lock in found])

    @contextlib.contextmanager
    def write_transaction(
        self, *, url: str, token_list: Sequence[str], principal: str, depth: str = "0"
    ) -> Iterator[None]:
        """Check; a lock that is taken from now on is taken after the write."""
        self.check_write_permission(url=url, depth=depth, token_list=token_list, principal=principal)
        yield

    def _until(self, timeout: float | None) -> float:
        if timeout is None or timeout < 0:
            return time.time() + self._longest
        return time.time() + min(max(timeout, SHORTEST), self._longest)

    def _conflict(self, code: str, places: Sequence[str]) -> DAVError:
        condition = DAVErrorCondition(code)
        for place in places:
            condition.add_href(self._href_of(place))
        return DAVError(HTTPStatus.LOCKED, "a lock stands against it", err_condition=condition)


def _owner(lock_owner: bytes) -> str:
    """Return the owner element without its declaration.

    Raises:
        DAVError: 400, it is too long.
    """
    text = lock_owner.decode("utf-8")
    if text.startswith("<?xml"):
        text = text.partition("?>")[2].lstrip()
    if len(text) > MOST_OWNER:
        raise DAVError(HTTPStatus.BAD_REQUEST, f"the owner of a lock may have {MOST_OWNER} characters")
    return text
