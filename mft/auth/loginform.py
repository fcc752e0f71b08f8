"""What a login text asks for: an account, a case, or an account in one case.

    alice@acme.example              the account
    alice@acme.example@CASE-1001    the account, in that case alone
    CASE-1001@alice@acme.example    the same
    CASE-1001                       the case alone: for tokens, which know whose they are

An account may be called like any of these, so a text can be read in several ways. They stand in one order, whatever
exists: first the whole text as an account, then the case behind, then the case in front, then the case alone. The
first that names an account is meant; nothing is tried on a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from casemap.identifier import check_login
from casemap.names import parsed_number

if TYPE_CHECKING:
    from casemap.identifier import CaseNumber, Login


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One way to read a login."""

    login: Login | None
    """The account; None: whoever the token is for."""
    case: CaseNumber | None = None
    """The one case that the session is for; None: whatever the account may see."""


def parse_login(text: str) -> tuple[Claim, ...]:
    """Return every way to read *text*, the likeliest first; none if nobody can have such a login."""
    whole = _login(text)
    claims = [] if whole is None else [Claim(login=whole)]
    for login, case in (_behind(text), _before(text)):
        account, number = _login(login), parsed_number(case)
        if account is not None and number is not None:
            claims.append(Claim(login=account, case=number))
    alone = parsed_number(text)
    if alone is not None:
        claims.append(Claim(login=None, case=alone))
    return tuple(claims)


def accounts_of(claims: tuple[Claim, ...]) -> tuple[str, ...]:
    """Return the accounts that *claims* speak of, each once: a failure counts for them all, whether they exist or not.

    Else a guesser would have as many tries at one account as there are cases to put behind it.
    """
    return tuple(dict.fromkeys(claim.login for claim in claims if claim.login is not None))


def spellings(login: str, case: str | None) -> tuple[str, ...]:
    """Return every text by which *login*, in *case* or without one, can have come in."""
    return (login,) if case is None else (login, f"{login}@{case}", f"{case}@{login}")


def _behind(text: str) -> tuple[str, str]:
    login, _, case = text.rpartition("@")
    return login, case


def _before(text: str) -> tuple[str, str]:
    case, _, login = text.partition("@")
    return login, case


def _login(text: str) -> Login | None:
    try:
        return check_login(text)
    except ValueError:
        return None
