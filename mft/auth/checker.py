"""Whether a credential is good, and whose it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from casemap.names import parsed_number
from mft.auth.casetokens import narrowing_of
from mft.auth.denials import Tried
from mft.auth.loginform import Claim, accounts_of, parse_login
from mft.auth.principals import entry_fault
from mft.auth.proof import KeyProof, PasswordProof, Proof, TokenProof, opens
from mft.auth.tokens import is_token
from mft.policy import Narrowing
from protocols.errors import ThrottledError, WrongEntranceError
from protocols.session import BearerCredential, Credential, Origin, PasswordCredential, PublicKeyCredential

if TYPE_CHECKING:
    import datetime as dt

    from casemap.identifier import CaseNumber
    from casemap.model import Principal
    from mft.auth.denials import Denials
    from mft.auth.passwords import Passwords
    from mft.auth.principals import Principals
    from mft.auth.throttle import Throttle
    from mft.auth.tokens import Token, Tokens


NO_SUCH_CASE = "the login names a case that is not there for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The subject of a grant: who was accepted, and on what."""

    principal: Principal
    proof: Proof = field(repr=False)
    case: CaseNumber | None = None
    """The one case that the session is for; None: all that the principal may see."""

    @property
    def narrowing(self) -> Narrowing:
        """What the session may do less than the principal could."""
        if isinstance(self.proof, TokenProof):
            return replace(self.proof.narrowing, case=self.case)
        return Narrowing(case=self.case)


MayEnter = Callable[["Principal", "CaseNumber", Origin], bool]
"""Says whether a case is there for (principal, number, origin).

Raises UnavailableError where that cannot be said, WrongEntranceError where it is, by another entrance.
"""


CheckEntrance = Callable[["Principal", Origin], None]
"""Returns if a login may find something by that entrance; raises WrongEntranceError where it is another one."""


def take_any_entrance(_principal: Principal, _origin: Origin) -> None:
    """Let everybody in everywhere."""


def enter_nothing(_principal: Principal, _case: CaseNumber, _origin: Origin) -> bool:
    """Let nobody into a case."""
    return False


class CredentialChecker:
    """Looks at credentials. Each is throttled first and refused last, whatever is wrong with it."""

    def __init__(
        self,
        *,
        principals: Principals,
        tokens: Tokens,
        passwords: Passwords,
        throttle: Throttle,
        denials: Denials,
        now: Callable[[], dt.datetime],
        may_enter: MayEnter = enter_nothing,
        check_entrance: CheckEntrance = take_any_entrance,
    ) -> None:
        """Put the parts together; *now* gives the time that accounts and tokens expire by."""
        self._check_entrance = check_entrance
        self._principals = principals
        self._tokens = tokens
        self._passwords = passwords
        self._throttle = throttle
        self._denials = denials
        self._now = now
        self._may_enter = may_enter

    def check(self, credential: Credential, origin: Origin) -> Accepted:
        """Say whose *credential* is; see `protocols.session.Authenticator.check`."""
        match credential:
            case PasswordCredential(login=login, password=text) if is_token(text):
                return self._check_token(text, parse_login(login), self._tried(origin, login, TokenProof.method))
            case BearerCredential(token=text):
                return self._check_token(text, (), self._tried(origin, None, TokenProof.method))
            case PublicKeyCredential(login=login, key=blob):
                return self._check_key(login, blob, self._tried(origin, login, KeyProof.method))
            case PasswordCredential(login=login, password=password):
                return self._check_password(login, password, self._tried(origin, login, PasswordProof.method))

    def _tried(self, origin: Origin, login: str | None, method: str) -> Tried:
        """Note the try.

        Raises:
            ThrottledError: it will not be looked at.
        """
        # For tokens the network alone is counted: nobody guesses 160 bits, and no stranger shall lock out the owner's
        # machines. A key that is only offered is no guess: every client offers all that its agent holds.
        counted = () if login is None or method != PasswordProof.method else accounts_of(parse_login(login)) or (login,)
        attempt = self._throttle.attempt(origin.peer, *counted)
        tried = Tried(login=login, origin=origin, method=method, attempt=attempt, counts=method != KeyProof.method)
        try:
            self._throttle.refuse_locked(attempt)
        except ThrottledError:
            self._denials.locked_out(tried)
            raise
        return tried

    def _check_password(self, login: str, password: str, tried: Tried) -> Accepted:
        claim, principal = self._find(login)
        name = claim.login or ""
        hashed = None if principal is None else principal.password_hash
        fits = self._passwords.verify(name, password, hashed)
        if principal is None:
            raise self._denials.refuse(tried, None, "unknown login")
        if hashed is None:
            raise self._denials.refuse(tried, principal, "the account has no password")
        if not fits:
            raise self._denials.refuse(tried, principal, "wrong password")
        return self._enter(principal, PasswordProof(hashed=hashed), claim.case, tried)

    def _check_token(self, text: str, claims: tuple[Claim, ...], tried: Tried) -> Accepted:
        token = self._tokens.find(text)
        if token is None:
            raise self._denials.refuse(tried, None, "unknown token")
        fitting = [claim for claim in claims if _fits(claim, token)]
        if tried.login is not None and not fitting:
            whose = "login's" if token.case is None else "case's"
            raise self._denials.refuse(tried, None, f"the token is another {whose}")
        principal = self._principals.find(token.login)
        if principal is None and token.case is None:
            raise self._denials.refuse(tried, None, "the token's login is unknown")
        self._check_current(token, principal, tried)
        narrowing = narrowing_of(token)
        if tried.origin.protocol not in {"https", "webdav"} and narrowing.scopes == frozenset():
            told = "this token is not for transfers: it is good for the API over HTTPS"
            raise self._denials.refuse(tried, None, "the token is not for transfers", told=told)
        if principal is None:
            told = "the case of this token is closed, or is not here any more"
            raise self._denials.refuse(tried, None, "the token's case is closed, gone or another customer's", told=told)
        proof = TokenProof(token_id=token.id, narrowing=narrowing)
        case = fitting[0].case if fitting else None
        return self._enter(principal, proof, parsed_number(token.case) if token.case is not None else case, tried)

    def _check_current(self, token: Token, principal: Principal | None, tried: Tried) -> None:
        """Refuse *token* if it is past its time or in the wrong place, and say which.

        Whoever holds a token has its secret, 160 random bits: this tells no stranger that there is such a one.
        """
        if token.revoked is not None:
            reason, told = "the token was revoked", "this token was revoked; ask for a new one"
        elif not token.is_current(self._now()):
            when = f" on {token.expires:%Y-%m-%d at %H:%M} UTC" if token.expires else ""
            reason, told = "the token has expired", f"this token expired{when}; ask for a new one"
        elif not token.allows_from(tried.origin.peer):
            reason = "the token may not be used from there"
            told = f"this token may not be used from {tried.origin.peer}: it is limited to other networks"
        else:
            return
        raise self._denials.refuse(tried, principal, reason, told=told)

    def _check_key(self, login: str, blob: bytes, tried: Tried) -> Accepted:
        claim, principal = self._find(login)
        if principal is None:
            raise self._denials.refuse(tried, None, "unknown login")
        if not opens(blob, principal.public_keys):
            raise self._denials.refuse(tried, principal, "unknown key")
        return self._enter(principal, KeyProof(blob=blob), claim.case, tried)

    def _enter(self, principal: Principal, proof: Proof, case: CaseNumber | None, tried: Tried) -> Accepted:
        now = self._now()
        fault = proof.fault(principal, self._tokens, now) or entry_fault(principal, now)
        if fault is not None:
            raise self._denials.refuse(tried, principal, fault)
        # Whoever only offers a key has proven nothing, and must not learn which cases its owner has: `open` asks.
        if proof.method != KeyProof.method and not self.may_come_in(principal, case, tried):
            raise self._denials.refuse(tried, principal, NO_SUCH_CASE)
        return Accepted(principal=principal, proof=proof, case=case)

    def may_come_in(self, principal: Principal, case: CaseNumber | None, tried: Tried) -> bool:
        """Say whether what a login is for is there, by this entrance; a proven login that took another is told which.

        Raises:
            WrongEntranceError: it is there by another; that counts as no failure.
        """
        try:
            if case is not None:
                return self._may_enter(principal, case, tried.origin)
            self._check_entrance(principal, tried.origin)
        except WrongEntranceError:
            self._denials.refuse(replace(tried, counts=False), principal, "it is another entrance's")
            raise
        return True

    def _find(self, login: str) -> tuple[Claim, Principal | None]:
        """Return whose *login* is, and how it was read; where it is nobody's, one way to read it."""
        claims = parse_login(login)
        for claim in claims:
            principal = None if claim.login is None else self._principals.find(claim.login)
            if principal is not None:
                return claim, principal
        return (claims[0] if claims else Claim(login=None)), None


def _fits(claim: Claim, token: Token) -> bool:
    """Say whether *token* may come under a login that reads as *claim*."""
    if token.case is not None:
        return claim.login is None and claim.case == token.case
    return claim.login in {None, token.login}
