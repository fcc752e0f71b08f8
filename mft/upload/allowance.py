"""How much may still come by the token of a case: asked where room is reserved, in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select

from mft.catalog.fixed import Fixed
from mft.catalog.model import TOKENS, UPLOADS
from mft.catalog.states import PARTIAL, UploadState
from protocols.errors import QuotaExceededError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

_LIMITS = Fixed(
    select(TOKENS.c.max_bytes, TOKENS.c.max_files).where(
        TOKENS.c.login == bindparam("of"), TOKENS.c.case_number.is_not(None)
    )
)
_GIVEN_UP = [UploadState.EXPIRED]
"""What was given up before it was whole counts no more; what was received counts, whatever became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """How much may still come; None: any amount."""

    bytes: int | None = None
    files: int | None = None

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self.bytes is not None or self.files is not None

    def check(self, size: int | None) -> None:
        """Refuse a file of *size* bytes, if it would be too much.

        Raises:
            QuotaExceededError: it would.
        """
        if self.files == 0:
            raise QuotaExceededError("no more files may come by this token; ask for a new one")
        if self.bytes is not None and (self.bytes == 0 or (size or 0) > self.bytes):
            raise QuotaExceededError(f"{self.bytes} bytes may still come by this token; ask for a new one")


def left_of(connection: Connection, login: str) -> Left:
    """Say how much may still come by the token of *login*; without one, any amount."""
    limits = _limits(connection, login)
    if limits is None:
        return Left()
    used = 0 if limits.max_bytes is None else _used(connection, login)
    came = 0 if limits.max_files is None else connection.execute(_files(login)).scalar_one()
    return Left(
        bytes=None if limits.max_bytes is None else max(0, limits.max_bytes - used),
        files=None if limits.max_files is None else max(0, limits.max_files - came),
    )


def is_metered(connection: Connection, login: str) -> bool:
    """Say whether uploads of *login* are counted against a token."""
    return _limits(connection, login) is not None


def check_files(connection: Connection, login: str) -> None:
    """Refuse one more file by the token of *login*, if it has brought as many as it may.

    Raises:
        QuotaExceededError: it has.
    """
    limits = _limits(connection, login)
    if limits is None or limits.max_files is None:
        return
    if connection.execute(_files(login)).scalar_one() >= limits.max_files:
        raise QuotaExceededError(f"{limits.max_files} files may come by this token, and they have; ask for a new one")


def cap_bytes(connection: Connection, login: str, amount: int, *, least: int) -> int:
    """Return how much of *amount* bytes may come by the token of *login*; all of it where there is no such limit.

    Raises:
        QuotaExceededError: not even *least* bytes may.
    """
    limits = _limits(connection, login)
    if limits is None or limits.max_bytes is None:
        return amount
    left: int = max(0, limits.max_bytes - _used(connection, login))
    if left < least:
        raise QuotaExceededError(
            f"{limits.max_bytes} bytes may come by this token, and {left} are left; ask for a new one"
        )
    return min(amount, left)


def _limits(connection: Connection, login: str) -> Row[Any, Any] | None:
    limits: Row[Any, Any] | None = _LIMITS.first(connection, {"of": login})
    return limits


def _files(login: str) -> Select[int]:
    return select(func.count()).where(
        UPLOADS.c.login == login, UPLOADS.c.state.not_in(_GIVEN_UP), UPLOADS.c.part.is_(False)
    )


def _used(connection: Connection, login: str) -> int:
    received = select(func.coalesce(func.sum(UPLOADS.c.size), 0)).where(
        UPLOADS.c.login == login, UPLOADS.c.state.not_in([*PARTIAL, *_GIVEN_UP])
    )
    under_way = select(func.coalesce(func.sum(UPLOADS.c.reserved), 0)).where(
        UPLOADS.c.login == login, UPLOADS.c.state.in_(list(PARTIAL))
    )
    return int(connection.execute(received).scalar_one()) + int(connection.execute(under_way).scalar_one())
