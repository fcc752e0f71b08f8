"""Logging in: credential to grant, grant to session, and the end of sessions whose rights are withdrawn."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from casemap.model import Principal
from mft.audit import customer_chain
from mft.auth.checker import (
    NO_SUCH_CASE,
    Accepted,
    CheckEntrance,
    CredentialChecker,
    MayEnter,
    enter_nothing,
    take_any_entrance,
)
from mft.auth.denials import REFUSED, Denials, Tried
from mft.auth.loginform import spellings
from mft.auth.principals import entry_fault, rights_differ
from mft.auth.proof import PasswordProof, Proof, TokenProof
from mft.auth.registry import LiveSession
from mft.catalog.errors import CatalogError
from mft.policy import Narrowing
from mft.revocation import REVOKED, Subject
from protocols.errors import AuthenticationError, UnavailableError, WrongEntranceError
from protocols.filesystem import WritableFileSystem
from protocols.session import Credential, Grant, Origin, Session

if TYPE_CHECKING:
    from mft.audit import AuditTrail
    from mft.auth.passwords import Passwords
    from mft.auth.principals import Principals
    from mft.auth.registry import SessionRegistry
    from mft.auth.throttle import Throttle
    from mft.auth.tokens import Tokens
    from mft.catalog.database import Database

LOG = logging.getLogger(__name__)
NO_CASE_LEFT = "the case of the session is closed or withdrawn"
_TRIES = 8
_RETRY_AFTER = 2.0

MakeFileSystem = Callable[[Principal, str, Origin, Narrowing], WritableFileSystem]
"""Makes what a session sees, for (principal, session id, origin, what it may do less than the principal)."""


def utc_now() -> dt.datetime:
    """Return the time, in UTC."""
    return dt.datetime.now(dt.UTC)


class Authenticator:
    """What the protocol heads ask; see `protocols.session.Authenticator`."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        principals: Principals,
        tokens: Tokens,
        passwords: Passwords,
        throttle: Throttle,
        registry: SessionRegistry,
        filesystem_for: MakeFileSystem,
        may_enter: MayEnter = enter_nothing,
        check_entrance: CheckEntrance = take_any_entrance,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Put the parts together; *now* gives the time that accounts and tokens expire by.

        *may_enter* is asked where a login names a case; without it every such login is refused.
        """
        self._database = database
        self._audit = audit
        self._principals = principals
        self._tokens = tokens
        self._passwords = passwords
        self._throttle = throttle
        self._registry = registry
        self._filesystem_for = filesystem_for
        self._may_enter = may_enter
        self._now = now
        self._denials = Denials(database, audit, throttle)
        self._checker = CredentialChecker(
            principals=principals,
            tokens=tokens,
            passwords=passwords,
            throttle=throttle,
            denials=self._denials,
            now=now,
            may_enter=may_enter,
            check_entrance=check_entrance,
        )

    def check(self, credential: Credential, origin: Origin) -> Grant:
        """Say whether *credential* is good; see `protocols.session.Authenticator.check`."""
        try:
            accepted = self._checker.check(credential, origin)
        except CatalogError as error:
            raise UnavailableError("logins cannot be checked now", retry_after=_RETRY_AFTER) from error
        return Grant(login=accepted.principal.login, subject=accepted)

    def open(self, grant: Grant, origin: Origin) -> Session:
        """Open a session; see `protocols.session.Authenticator.open`. Everything but the credential is checked again.

        Raises:
            AuthenticationError: rights were withdrawn since the check; `WrongEntranceError` for another entrance's.
            UnavailableError: there are too many sessions, or the rights cannot be asked for.
        """
        accepted = grant.subject
        if not isinstance(accepted, Accepted):
            raise AuthenticationError(REFUSED)
        try:
            live = self._admit(accepted, origin)
            try:
                self._write_opened(live)
            except BaseException:
                self._registry.remove(live.session.id)
                raise
        except CatalogError as error:
            raise UnavailableError("no session can be opened now", retry_after=_RETRY_AFTER) from error
        LOG.info("session.opened", extra=self._logged(live))
        return live.session

    def live(self, session_id: str) -> LiveSession | None:
        """Return whom a session is for; None: it has ended, or access was withdrawn."""
        live = self._registry.get(session_id)
        return None if live is None or live.session.revoked is not None else live

    def revoke_login(self, login: str, reason: str) -> int:
        """End every session of *login* here, whatever its rights, and return how many those were."""
        self._passwords.forget(login)
        return self._registry.revoke(lambda live: live.principal.login == login, reason)

    def revoke_all(self, reason: str) -> int:
        """End every session here."""
        return self._registry.revoke(lambda _: True, reason)

    def apply(self, kind: Subject, subject: str, reason: str) -> None:
        """Do what a row of the revocation watch asks: end the sessions that the changed rights no longer carry.

        The caller drops *subject* from the lookup's cache before.
        """
        match kind:
            case Subject.PRINCIPAL:
                self._passwords.forget(subject)
                if reason.startswith(REVOKED):
                    self.revoke_login(subject, "access was revoked")
                else:
                    self.recheck(subject)
            case Subject.TOKEN:
                proof = TokenProof(token_id=subject)
                self._registry.revoke(lambda live: live.proof == proof and self._is_over(live), reason)
            case Subject.CASE:
                # Sessions stay, and what they see of the case is the filesystem's; but those that are for it alone end.
                self._registry.revoke(lambda live: live.case == subject and self._is_shut(live), reason)
            case Subject.CUSTOMER | Subject.UPLOAD:
                pass

    def recheck(self, login: str | None = None) -> None:
        """Ask for the rights of the live sessions, or of those of *login*, again, and end those that lost them.

        A session whose rights cannot be asked for ends too: the lookup has hidden the outage for as long as it may.
        """
        self._registry.advance()
        found: dict[str, Principal | None] = {}
        for live in self._registry.live():
            whose = live.principal.login
            if login is not None and whose != login:
                continue
            try:
                if whose not in found:
                    found[whose] = self._principals.find(whose)
                fault = self._fault(found[whose], live.principal, live.proof)
                if fault is None and self._is_shut(live):
                    fault = NO_CASE_LEFT
            except UnavailableError:
                fault = "the rights cannot be confirmed"
            if fault is not None:
                live.session.revoke(fault)

    def settle(self, *, everything: bool = False) -> None:
        """Write folded denials whose minute is over, and drop counts of failures that are: call it every minute or so.

        With *everything*, at the end of the process, all denials.
        """
        self._denials.write_due(everything=everything)
        self._throttle.purge()

    def _admit(self, accepted: Accepted, origin: Origin) -> LiveSession:
        tried = Tried(
            login=accepted.principal.login,
            origin=origin,
            method=accepted.proof.method,
            attempt=self._throttle.attempt(origin.peer),
            counts=False,
        )
        for _ in range(_TRIES):
            turn = self._registry.turn
            principal = self._principals.find(accepted.principal.login)
            fault = self._fault(principal, accepted.principal, accepted.proof)
            if principal is None or fault is not None:
                raise self._denials.refuse(tried, principal, fault or "unknown login")
            if not self._checker.may_come_in(principal, accepted.case, tried):
                raise self._denials.refuse(tried, principal, NO_SUCH_CASE)
            live = self._new_session(principal, accepted, origin)
            try:
                if self._registry.add(live, turn):
                    return live
            except UnavailableError:
                self._denials.crowded(tried, principal)
                raise
        raise UnavailableError("rights are being changed; try again", retry_after=_RETRY_AFTER)

    def _new_session(self, principal: Principal, accepted: Accepted, origin: Origin) -> LiveSession:
        session_id = secrets.token_hex(8)
        session = Session(
            session_id=session_id,
            login=principal.login,
            origin=origin,
            started=self._now(),
            filesystem=self._filesystem_for(principal, session_id, origin, accepted.narrowing),
            on_close=functools.partial(self._closed, session_id),
        )
        return LiveSession(
            session=session,
            principal=principal,
            proof=accepted.proof,
            case=accepted.case,
            narrowing=accepted.narrowing,
        )

    def _fault(self, principal: Principal | None, before: Principal, proof: Proof) -> str | None:
        """Say why a session of *before*, accepted on *proof*, may not be for the *principal* of now."""
        if principal is None:
            return "the account was removed"
        fault = entry_fault(principal, self._now())
        if fault is None and rights_differ(principal, before):
            fault = "the account's rights were changed"
        return fault or proof.fault(principal, self._tokens, self._now())

    def _is_shut(self, live: LiveSession) -> bool:
        """Say whether *live* is for one case that is not there for it any more, not by its entrance."""
        try:
            return live.case is not None and not self._may_enter(live.principal, live.case, live.session.origin)
        except WrongEntranceError:
            return True

    def _is_over(self, live: LiveSession) -> bool:
        return live.proof.fault(live.principal, self._tokens, self._now()) is not None

    def _write_opened(self, live: LiveSession) -> None:
        principal, session = live.principal, live.session
        with self._database.write() as connection:
            if isinstance(live.proof, PasswordProof):
                self._throttle.succeeded(connection, *spellings(principal.login, live.case))
            self._audit.append(
                connection,
                customer_chain(principal.customer),
                "session.opened",
                session=session.id,
                login=session.login,
                protocol=session.origin.protocol,
                peer=session.origin.peer,
                region=session.origin.region,
                **({} if live.case is None else {"case": live.case}),
                **live.proof.told(),
            )

    def _closed(self, session_id: str, reason: str) -> None:
        live = self._registry.remove(session_id)
        if live is None:
            return
        seconds = round((self._now() - live.session.started).total_seconds(), 3)
        LOG.info("session.closed", extra={**self._logged(live), "reason": reason, "seconds": seconds})
        try:
            with self._database.write() as connection:
                self._audit.append(
                    connection,
                    customer_chain(live.principal.customer),
                    "session.closed",
                    session=session_id,
                    login=live.session.login,
                    reason=reason,
                    seconds=seconds,
                )
        except (CatalogError, SQLAlchemyError):
            LOG.exception("session.close_unrecorded", extra={"session": session_id})

    def _logged(self, live: LiveSession) -> dict[str, object]:
        origin = live.session.origin
        return {
            "session": live.session.id,
            "login": live.session.login,
            "protocol": origin.protocol,
            "peer": origin.peer,
            "method": live.proof.method,
        }
