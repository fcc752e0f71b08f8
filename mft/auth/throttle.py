"""Failed logins, counted by account and by network in the catalog, so that every worker knows.

A locked network is not listened to. A locked account takes no password, though keys and tokens still, which nobody
guesses: a stranger who locks an account must not stop its owner's machines. Logins that exist and logins that do not
are counted alike.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from mft.catalog.model import FAILURES
from protocols.errors import ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from mft.catalog.database import Database
    from mft.config import ThrottleConfig

_LOCKED_UNTIL = select(func.max(FAILURES.c.locked_until)).where(
    FAILURES.c.subject.in_(bindparam("subjects", expanding=True)),
    FAILURES.c.locked_until.between(bindparam("since"), bindparam("latest")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Who tries, as the throttle counts it."""

    network: str
    accounts: tuple[str, ...]
    """Empty where only the network is counted; more than one where a login can be read in several ways."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """What is counted."""
        return (*self.accounts, self.network)


class Throttle:
    """Locks accounts and networks out for a while after too many failures."""

    def __init__(
        self, database: Database, settings: ThrottleConfig, *, key: bytes, clock: Callable[[], float] = time.time
    ) -> None:
        """Count in *database*; *key* (secret) hides logins there; *clock* gives POSIX seconds, alike in all workers."""
        self._database = database
        self._settings = settings
        self._key = hmac.digest(key, b"mft throttle v1", "sha256")
        self._clock = clock

    def attempt(self, peer: str, *logins: str | None) -> Attempt:
        """Name a try from *peer*; it counts for the accounts *logins* too, whether there are any or not."""
        accounts = tuple(dict.fromkeys(self._account(login) for login in logins if login is not None))
        return Attempt(network=self._network(peer), accounts=accounts)

    def refuse_locked(self, attempt: Attempt) -> None:
        """Do nothing if the try may be looked at.

        Raises:
            ThrottledError: its account or network is locked.
        """
        if not self._settings.enabled:
            return
        now = self._clock()
        with self._database.read() as connection:
            since, latest = self._in_force(now)
            bound = {"subjects": list(attempt.subjects), "since": since, "latest": latest}
            until = connection.execute(_LOCKED_UNTIL, bound).scalar()
        if until is not None and until > now:
            raise ThrottledError("too many failed logins; try again later", retry_after=until - now)

    def failed(self, connection: Connection, attempt: Attempt) -> tuple[str, ...]:
        """Count a failure in the write transaction of *connection*; return what it locked (`account`, `network`)."""
        if not self._settings.enabled:
            return ()
        return tuple(
            subject.partition(":")[0] for subject in attempt.subjects if self._count(connection, subject) is not None
        )

    def succeeded(self, connection: Connection, *logins: str) -> None:
        """Forget the failures of the accounts, not those of the network, in the transaction of *connection*."""
        subjects = [self._account(login) for login in logins]
        connection.execute(delete(FAILURES).where(FAILURES.c.subject.in_(subjects)))

    def forgive(self, login: str) -> None:
        """Forget the failures of an account on an administrator's word, such as a new password."""
        with self._database.write() as connection:
            self.succeeded(connection, login)

    def purge(self) -> None:
        """Delete the counts whose time is over."""
        now = self._clock()
        window = max(self._settings.account_window, self._settings.network_window)
        over = (FAILURES.c.window_started < now - window) & or_(
            FAILURES.c.locked_until.is_(None), FAILURES.c.locked_until < now
        )
        with self._database.read() as connection:
            if connection.execute(select(FAILURES.c.subject).where(over).limit(1)).first() is None:
                return
        with self._database.write() as connection:
            connection.execute(delete(FAILURES).where(over))

    def _count(self, connection: Connection, subject: str) -> float | None:
        """Count one failure; return until when (POSIX seconds) it locks the subject, None if it does not."""
        now = self._clock()
        limit, window = self._limits(subject)
        columns = (FAILURES.c.count.label("failures"), FAILURES.c.window_started, FAILURES.c.locked_until)
        row = connection.execute(select(*columns).where(FAILURES.c.subject == subject)).first()
        if row is None:
            locked = self._lock_at(1, limit, now)
            connection.execute(
                insert(FAILURES).values(subject=subject, count=1, window_started=now, locked_until=locked)
            )
            return locked
        since, latest = self._in_force(now)
        if row.locked_until is not None and since < row.locked_until <= latest:
            return None  # it was under way when another try locked the subject
        fresh = row.locked_until is not None or not 0 <= now - row.window_started < window
        count = 1 if fresh else row.failures + 1
        locked = self._lock_at(count, limit, now)
        connection.execute(
            update(FAILURES)
            .where(FAILURES.c.subject == subject)
            .values(count=count, window_started=now if fresh else row.window_started, locked_until=locked)
        )
        return locked

    def _in_force(self, now: float) -> tuple[float, float]:
        """Return between which times locks end that hold now. One that ends later was set by a clock that was wrong."""
        return now, now + self._settings.lockout

    def _lock_at(self, count: int, limit: int, now: float) -> float | None:
        return now + self._settings.lockout if count >= limit else None

    def _limits(self, subject: str) -> tuple[int, float]:
        settings = self._settings
        if subject.startswith("account:"):
            return settings.account_failures, settings.account_window
        return settings.network_failures, settings.network_window

    def _account(self, login: str) -> str:
        # Spellings that differ in case alone count as one: they are one person's mistakes, or one guesser's tries.
        folded = login.casefold().encode("utf-8", "surrogatepass")
        return "account:" + hmac.digest(self._key, folded, "sha256").hex()[:32]

    def _network(self, peer: str) -> str:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return "network:" + peer[:64].encode("utf-8", "backslashreplace").decode()
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        prefix = self._settings.ipv4_prefix if address.version == 4 else self._settings.ipv6_prefix
        return f"network:{ipaddress.ip_network((address, prefix), strict=False)}"
