"""Who may make tokens of a case, and what they may be: one service behind the API and the command."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mft.auth.errors import InvalidAccountError
from mft.auth.tokens import Allowance, CaseTerms, parse_networks
from mft.policy import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from casemap.model import Case
    from mft.auth.tokens import MintedToken, Token, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants of a new token."""

    label: str = ""
    scopes: frozenset[Scope] = frozenset({Scope.UPLOAD})
    expires: dt.datetime | None = None
    max_bytes: int | None = None
    max_files: int | None = None
    networks: Sequence[str] = field(default_factory=tuple)


class Minting:
    """Makes and refreshes tokens of cases."""

    def __init__(self, tokens: Tokens, *, ttl: float, ttl_max: float) -> None:
        """Let a token live for *ttl* seconds unless another end, at most *ttl_max* seconds away, is asked for."""
        self._tokens = tokens
        self._ttl = ttl
        self._ttl_max = ttl_max

    def mint(self, case: Case, wish: Wish, *, by: str) -> MintedToken:
        """Make a token of *case*.

        Raises:
            InvalidAccountError: the case is closed, or the wish cannot be granted; says why.
        """
        if not case.is_open:
            raise InvalidAccountError(f"the case {case.number} is closed: it takes no more tokens")
        terms = CaseTerms(
            case=case.number,
            customer=case.customer,
            scopes=frozenset(scope.value for scope in wish.scopes),
            label=wish.label,
            expires=self._end(wish.expires),
            allowance=Allowance(bytes=wish.max_bytes, files=wish.max_files),
            networks=parse_networks(wish.networks),
        )
        return self._tokens.create_for_case(terms, by=by)

    def refresh(
        self, token: Token, case: Case, *, expires: dt.datetime | None, rotate: bool, by: str
    ) -> tuple[Token, str | None]:
        """Let *token* of *case* live on; see `Tokens.refresh`.

        Raises:
            InvalidAccountError: the case is closed or another customer's by now, or that end cannot be.
        """
        if not case.is_open or case.customer != token.customer:
            raise InvalidAccountError(f"the case {case.number} is closed: its tokens cannot be refreshed")
        return self._tokens.refresh(token.id, expires=self._end(expires), rotate=rotate, by=by)

    def _end(self, expires: dt.datetime | None) -> dt.datetime:
        now = dt.datetime.now(dt.UTC)
        if expires is None:
            return now + dt.timedelta(seconds=self._ttl)
        if expires > now + dt.timedelta(seconds=self._ttl_max):
            days = self._ttl_max / 86400
            raise InvalidAccountError(f"a token of a case lives for {days:g} days at most (tokens.ttl_max)")
        return expires
