"""Who the holder of a case's token is: nobody with a name, but of that case's customer as long as the case lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casemap.errors import CaseNotFoundError
from casemap.identifier import CustomerId, Login
from casemap.model import Principal, Role
from mft.auth.tokens import CASE_LOGIN
from mft.permissions import Permission
from mft.policy import Narrowing, Scope

if TYPE_CHECKING:
    from casemap.lookup import CaseLookup
    from mft.auth.tokens import Token, Tokens


class CaseTokens:
    """Finds the principal behind the login of a case's token, as the case stands now."""

    def __init__(self, tokens: Tokens, lookup: CaseLookup) -> None:
        """Ask *lookup* for the case of one of *tokens*."""
        self._tokens = tokens
        self._lookup = lookup

    def principal(self, login: str) -> Principal | None:
        """Return who comes by the token whose login is *login*; None: the case is gone, closed or another customer's.

        Raises:
            LookupUnavailableError: the case system does not answer.
            LookupAnswerError: it answers nonsense.
        """
        token = self._tokens.get(login.rpartition(CASE_LOGIN)[2])
        if token is None or token.login != login or token.case is None or token.customer is None:
            return None
        try:
            case = self._lookup.case(token.case)
        except CaseNotFoundError:
            return None
        if not case.is_open or case.customer != token.customer:
            return None
        return Principal(
            login=Login(token.login),
            roles=frozenset({Role.CUSTOMER}),
            customer=CustomerId(token.customer),
            name=token.label,
        )


def narrowing_of(token: Token) -> Narrowing:
    """Say what a session that *token* opens may do less than its login could."""
    if token.case is not None:
        scopes = frozenset(Scope(word) for word in token.scopes or ())
        return Narrowing(case=token.case, scopes=scopes)
    if token.scopes is not None and Permission.TRANSFER not in token.scopes:
        return Narrowing(scopes=frozenset())
    return Narrowing()
