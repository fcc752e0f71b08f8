"""Breaking the glass: what goes past every rule takes as many persons as the configuration says.

Somebody asks with a reason, others agree, each with a login of their own; then it may be done once, within a time, as
long as each of them is a releaser still. Each step is an event of the audit before anything is done, and so is each
attempt that was refused; a webhook can tell it.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select, update

from mft.audit import customer_chain
from mft.catalog.model import GLASS_APPROVALS, GLASS_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database

UNSEAL, SHRED = "unseal", "shred"


class GlassError(Exception):
    """It may not be done, or not yet; says why and what is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request, and who has agreed to it."""

    id: str
    action: str
    subject: str
    customer: str | None
    reason: str
    asked_by: str
    expires_at: float
    is_used: bool
    agreed: tuple[str, ...]
    """Logins, that of who asked among them."""


class BreakGlass:
    """Requests, approvals, and their use."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        approvals: int,
        ttl: float,
        is_releaser: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Want *approvals* persons, who asks among them, for what is then good for *ttl* seconds.

        *is_releaser* says of a login whether it may agree at this moment; what it raises passes through.
        """
        self._database = database
        self._trail = trail
        self.approvals = approvals
        self._ttl = ttl
        self._is_releaser = is_releaser
        self._clock = clock

    def request(self, action: str, subject: str, *, login: str, reason: str, customer: str | None = None) -> Wish:
        """Ask, as *login*, to do something to *subject*.

        Raises:
            GlassError: there is no reason, or *login* is no releaser.
        """
        if not reason.strip():
            raise GlassError("a reason is needed; it stands in the audit")
        with self._noting_refusal(login, reason, action=action, subject=subject, customer=customer):
            self._check_releaser(login)
        request_id, now = secrets.token_hex(8), self._clock()
        with self._database.write() as connection:
            connection.execute(
                insert(GLASS_REQUESTS).values(
                    id=request_id,
                    action=action,
                    subject=subject,
                    customer=customer,
                    reason=reason,
                    asked_by=login,
                    asked_at=now,
                    expires_at=now + self._ttl,
                )
            )
            self._agree(connection, request_id, login, reason, now)
            self._record(connection, "break_glass.requested", self._wish(connection, request_id), by=login, why=reason)
            return self._wish(connection, request_id)

    def approve(self, request_id: str, *, login: str, reason: str) -> Wish:
        """Agree, as *login*, to a request.

        Raises:
            GlassError: there is none, its time is over, it was used, or *login* is no releaser or has agreed already.
        """
        with self._noting_refusal(login, reason, request=request_id):
            self._check_releaser(login)
            with self._database.write() as connection:
                wish = self._wish(connection, request_id)
                self._check_open(wish)
                if login in wish.agreed:
                    raise GlassError(f"{login} has agreed already: another person must")
                self._agree(connection, request_id, login, reason, self._clock())
                self._record(connection, "break_glass.approved", wish, by=login, why=reason)
                return self._wish(connection, request_id)

    def waiting(self) -> tuple[Wish, ...]:
        """Return the requests that are good still, the oldest first."""
        with self._database.read() as connection:
            ids = connection.execute(
                select(GLASS_REQUESTS.c.id)
                .where(GLASS_REQUESTS.c.used_at.is_(None), GLASS_REQUESTS.c.expires_at > self._clock())
                .order_by(GLASS_REQUESTS.c.asked_at)
            ).scalars()
            return tuple(self._wish(connection, each) for each in list(ids))

    def use(
        self,
        action: str,
        subject: str,
        request_id: str | None,
        *,
        by: str,
        reason: str,
        customer: str | None = None,
        case: str | None = None,
    ) -> None:
        """Break the glass: write down that it is done now, once. What is allowed is done after this returns.

        Raises:
            GlassError: more persons must agree, or it was not this that they agreed to; nothing is to be done.
        """
        details = {"action": action, "subject": subject, "customer": customer, "case": case, "request": request_id}
        agreeing = self._still_releasers(request_id)
        with self._noting_refusal(by, reason, **details), self._database.write() as connection:
            agreed: tuple[str, ...] = ()
            if request_id is not None:
                wish = self._wish(connection, request_id)
                self._check_open(wish)
                if (wish.action, wish.subject) != (action, subject):
                    raise GlassError(
                        f"request {request_id} is to {wish.action} {wish.subject}, not to {action} {subject}"
                    )
                agreed = tuple(login for login in wish.agreed if login in agreeing)
                connection.execute(
                    update(GLASS_REQUESTS).where(GLASS_REQUESTS.c.id == request_id).values(used_at=self._clock())
                )
            if len(agreed) < self.approvals and self.approvals > 1:
                raise GlassError(
                    f"{self.approvals} persons must agree before this is done, and {len(agreed)} releasers have: "
                    "`mft break-glass request`, then `mft break-glass approve` by another login"
                )
            self._trail.append(
                connection,
                customer_chain(customer),
                "break_glass.opened",
                action=action,
                subject=subject,
                case=case,
                request=request_id,
                agreed=list(agreed),
                by=by,
                why=reason,
            )

    @contextlib.contextmanager
    def _noting_refusal(
        self, by: str, reason: str, *, customer: str | None = None, request: str | None = None, **details: str | None
    ) -> Iterator[None]:
        """Write down what is refused within the block: the attempt, and why it came to nothing."""
        try:
            yield
        except GlassError as error:
            with self._database.write() as connection:
                if request is not None and customer is None:
                    row = connection.execute(select(GLASS_REQUESTS).where(GLASS_REQUESTS.c.id == request)).first()
                    if row is not None:
                        customer, details = row.customer, {"action": row.action, "subject": row.subject, **details}
                self._trail.append(
                    connection,
                    customer_chain(customer),
                    "break_glass.refused",
                    request=request,
                    by=by,
                    why=reason,
                    refusal=str(error),
                    **details,
                )
            raise

    def _still_releasers(self, request_id: str | None) -> frozenset[str]:
        """Return who agreed to a request and may agree still; asked before the catalog is locked for writing."""
        if request_id is None:
            return frozenset()
        with self._database.read() as connection:
            logins = connection.execute(
                select(GLASS_APPROVALS.c.login).where(GLASS_APPROVALS.c.request_id == request_id)
            ).scalars()
            agreed = tuple(logins)
        return frozenset(login for login in agreed if self._is_releaser(login))

    def _check_releaser(self, login: str) -> None:
        if not self._is_releaser(login):
            raise GlassError(f"{login} does not hold the role releaser")

    def _check_open(self, wish: Wish) -> None:
        if wish.is_used:
            raise GlassError(f"request {wish.id} was used already: it is good for one time")
        if wish.expires_at <= self._clock():
            raise GlassError(f"request {wish.id} is past its time: ask again")

    @staticmethod
    def _agree(connection: Connection, request_id: str, login: str, reason: str, now: float) -> None:
        connection.execute(insert(GLASS_APPROVALS).values(request_id=request_id, login=login, reason=reason, at=now))

    def _record(self, connection: Connection, kind: str, wish: Wish, **details: object) -> None:
        self._trail.append(
            connection,
            customer_chain(wish.customer),
            kind,
            request=wish.id,
            action=wish.action,
            subject=wish.subject,
            **details,
        )

    @staticmethod
    def _wish(connection: Connection, request_id: str) -> Wish:
        row: Row[Any] | None = connection.execute(
            select(GLASS_REQUESTS).where(GLASS_REQUESTS.c.id == request_id)
        ).first()
        if row is None:
            raise GlassError(f"there is no request {request_id}")
        agreed = connection.execute(
            select(GLASS_APPROVALS.c.login)
            .where(GLASS_APPROVALS.c.request_id == request_id)
            .order_by(GLASS_APPROVALS.c.at)
        ).scalars()
        return Wish(
            id=row.id,
            action=row.action,
            subject=row.subject,
            customer=row.customer,
            reason=row.reason,
            asked_by=row.asked_by,
            expires_at=row.expires_at,
            is_used=row.used_at is not None,
            agreed=tuple(agreed),
        )
