"""Whether a credential is good, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from casemap.identifier import check_login
from mft.auth.denials import Tried
from mft.auth.principals import entry_fault
from mft.auth.proof import KeyProof, PasswordProof, Proof, TokenProof, opens
from mft.auth.tokens import is_token
from protocols.errors import ThrottledError
from protocols.session import BearerCredential, Credential, Origin, PasswordCredential, PublicKeyCredential

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from casemap.model import Principal
    from mft.auth.denials import Denials
    from mft.auth.passwords import Passwords
    from mft.auth.principals import Principals
    from mft.auth.throttle import Throttle
    from mft.auth.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The subject of a grant: who was accepted, and on what."""

    principal: Principal
    proof: Proof = field(repr=False)


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
    ) -> None:
        """Put the parts together; *now* gives the time that accounts and tokens expire by."""
        self._principals = principals
        self._tokens = tokens
        self._passwords = passwords
        self._throttle = throttle
        self._denials = denials
        self._now = now

    def check(self, credential: Credential, origin: Origin) -> Accepted:
        """Say whose *credential* is; see `protocols.session.Authenticator.check`."""
        match credential:
            case PasswordCredential(login=login, password=text) if is_token(text):
                return self._check_token(text, self._tried(origin, login, TokenProof.method))
            case BearerCredential(token=text):
                return self._check_token(text, self._tried(origin, None, TokenProof.method))
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
        counted = login if method == PasswordProof.method else None
        attempt = self._throttle.attempt(origin.peer, counted)
        tried = Tried(login=login, origin=origin, method=method, attempt=attempt, counts=method != KeyProof.method)
        try:
            self._throttle.refuse_locked(attempt)
        except ThrottledError:
            self._denials.locked_out(tried)
            raise
        return tried

    def _check_password(self, login: str, password: str, tried: Tried) -> Accepted:
        name, principal = self._find(login)
        hashed = None if principal is None else principal.password_hash
        fits = self._passwords.verify(name, password, hashed)
        if principal is None:
            raise self._denials.refuse(tried, None, "unknown login")
        if hashed is None:
            raise self._denials.refuse(tried, principal, "the account has no password")
        if not fits:
            raise self._denials.refuse(tried, principal, "wrong password")
        return self._enter(principal, PasswordProof(hashed=hashed), tried)

    def _check_token(self, text: str, tried: Tried) -> Accepted:
        token = self._tokens.find(text)
        if token is None:
            raise self._denials.refuse(tried, None, "unknown token")
        if tried.login is not None and _normal(tried.login) != token.login:
            raise self._denials.refuse(tried, None, "the token is another login's")
        _, principal = self._find(token.login)
        if principal is None:
            raise self._denials.refuse(tried, None, "the token's login is unknown")
        return self._enter(principal, TokenProof(token_id=token.id), tried)

    def _check_key(self, login: str, blob: bytes, tried: Tried) -> Accepted:
        _, principal = self._find(login)
        if principal is None:
            raise self._denials.refuse(tried, None, "unknown login")
        if not opens(blob, principal.public_keys):
            raise self._denials.refuse(tried, principal, "unknown key")
        return self._enter(principal, KeyProof(blob=blob), tried)

    def _enter(self, principal: Principal, proof: Proof, tried: Tried) -> Accepted:
        now = self._now()
        fault = proof.fault(principal, self._tokens, now) or entry_fault(principal, now)
        if fault is not None:
            raise self._denials.refuse(tried, principal, fault)
        return Accepted(principal=principal, proof=proof)

    def _find(self, login: str) -> tuple[str, Principal | None]:
        name = _normal(login)
        return name, self._principals.find(name) if name else None


def _normal(login: str) -> str:
    """Return *login* in its one form, empty if nobody can have it."""
    try:
        return check_login(login)
    except ValueError:
        return ""
