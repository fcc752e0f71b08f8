"""Refused logins: counted by the throttle, told to the audit with the reason, and to the client without.

Repeats of one minute become one counted record.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from mft.audit import SYSTEM, Folding, customer_chain
from mft.auth.tokens import is_token
from mft.catalog.errors import CatalogError
from protocols.errors import AuthenticationError, EndedTokenError

if TYPE_CHECKING:
    from casemap.model import Principal
    from mft.audit import AuditTrail
    from mft.auth.throttle import Attempt, Throttle
    from mft.catalog.database import Database
    from protocols.session import Origin

LOG = logging.getLogger(__name__)
EVENT = "login.denied"
REFUSED = "the login was not accepted"
_MOST_LOGIN = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A try to log in."""

    login: str | None
    """As it was sent; None for a bearer token."""
    origin: Origin
    method: str
    attempt: Attempt
    counts: bool = True
    """Whether its failure is counted by the throttle."""

    def told(self, reason: str) -> dict[str, object]:
        """Return what the audit is told. The login is what a stranger sent: shortened here, made printable by JSON."""
        shown = self.login
        if shown is not None:
            # People paste a token where the login belongs: it must not come to rest here.
            shown = (
                shown[:5] + "…" if is_token(shown) else shown[:_MOST_LOGIN].encode("utf-8", "backslashreplace").decode()
            )
        return {
            "login": shown,
            "method": self.method,
            "reason": reason,
            "protocol": self.origin.protocol,
            "peer": self.origin.peer,
            "region": self.origin.region,
        }


class Denials:
    """Writes them."""

    def __init__(self, database: Database, audit: AuditTrail, throttle: Throttle) -> None:
        """Write to *audit* in *database*, and count by *throttle*, in one transaction."""
        self._database = database
        self._audit = audit
        self._throttle = throttle
        self._folding = Folding()

    def refuse(
        self, tried: Tried, principal: Principal | None, reason: str, *, told: str | None = None
    ) -> AuthenticationError:
        """Record that *tried* is refused, of *principal* if its login is known, and return the error to raise.

        That says no more than no, but what is *told* to whoever has shown a token of ours.
        """
        # Where failures are not counted, any number of logins could be tried: those fold together.
        login = tried.login if tried.counts else "any"
        subject = f"{tried.attempt.network} {login} {tried.method} {reason}"
        chain = customer_chain(principal.customer if principal else None)
        self._record(tried, chain, subject, reason, counts=tried.counts)
        known = {"login": principal.login, "reason": reason} if principal else {}
        LOG.info(EVENT, extra=_logged(tried) | known)
        return AuthenticationError(REFUSED) if told is None else EndedTokenError(told)

    def locked_out(self, tried: Tried) -> None:
        """Record that *tried* was not looked at."""
        self._record(tried, SYSTEM, f"{tried.attempt.network} locked", "locked out", counts=False)
        LOG.info("login.throttled", extra=_logged(tried))

    def crowded(self, tried: Tried, principal: Principal) -> None:
        """Record that there was no place for one more session."""
        chain = customer_chain(principal.customer)
        self._record(tried, chain, f"crowded {principal.login}", "too many sessions", counts=False)

    def write_due(self, *, everything: bool = False) -> None:
        """Write the counted repeats whose minute is over, or with *everything* all of them."""
        due = list(self._folding.due(everything=everything))
        if not due:
            return
        with self._database.write() as connection:
            for chain, event, details in due:
                self._audit.append(connection, chain, event, **details)

    def _record(self, tried: Tried, chain: str, subject: str, reason: str, *, counts: bool) -> None:
        """Count and write. What cannot be written is said in the log: the answer to the client stays no."""
        details = tried.told(reason)
        first = self._folding.first(chain, EVENT, subject, details)
        if not first and not counts:
            return
        try:
            with self._database.write() as connection:
                if first:
                    self._audit.append(connection, chain, EVENT, **details)
                for what in self._throttle.failed(connection, tried.attempt) if counts else ():
                    told = {name: details[name] for name in ("login", "peer", "protocol")}
                    self._audit.append(connection, SYSTEM, "login.locked", what=what, **told)
        except (CatalogError, SQLAlchemyError):
            LOG.exception("login.unrecorded")


def _logged(tried: Tried) -> dict[str, object]:
    return {"protocol": tried.origin.protocol, "peer": tried.origin.peer, "method": tried.method}
