"""Whose login it is: a local account first, else what the case system says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from casemap.errors import CaseMapError, LookupUnavailableError, PrincipalNotFoundError
from mft.auth.tokens import CASE_LOGIN
from mft.catalog.errors import CatalogError
from protocols.errors import UnavailableError

if TYPE_CHECKING:
    import datetime as dt

    from casemap.lookup import CaseLookup
    from casemap.model import Principal
    from mft.auth.accounts import Accounts
    from mft.auth.casetokens import CaseTokens

LOG = logging.getLogger(__name__)
RETRY_AFTER = 5.0


class Principals:
    """Finds principals."""

    def __init__(self, accounts: Accounts, lookup: CaseLookup, case_tokens: CaseTokens | None = None) -> None:
        """Ask *accounts*, then *lookup*; a local account, active or not, hides one of its login in the case system.

        Who comes by the token of a case is known to *case_tokens*.
        """
        self._accounts = accounts
        self._lookup = lookup
        self._case_tokens = case_tokens

    def find(self, login: str) -> Principal | None:
        """Return who *login* (in NFC) is, active or not; None if nobody.

        Raises:
            UnavailableError: that cannot be said now.
        """
        try:
            principal = self._look_up(login)
        except PrincipalNotFoundError:
            return None
        except LookupUnavailableError as error:
            raise UnavailableError("logins cannot be checked now", retry_after=error.retry_after) from error
        except CaseMapError as error:
            LOG.warning("lookup.nonsense", exc_info=True)
            raise UnavailableError("logins cannot be checked now", retry_after=RETRY_AFTER) from error
        except CatalogError as error:
            raise UnavailableError("logins cannot be checked now", retry_after=RETRY_AFTER) from error
        if principal is not None and principal.login != login:
            LOG.warning("lookup.other_login")
            return None
        return principal

    def _look_up(self, login: str) -> Principal | None:
        if CASE_LOGIN in login:
            return None if self._case_tokens is None else self._case_tokens.principal(login)
        return self._accounts.principal(login) or self._lookup.principal(login)


def entry_fault(principal: Principal, now: dt.datetime) -> str | None:
    """Say why *principal* may not be here at *now*; None if it may. Which regions it may read from, policy says."""
    if not principal.active:
        return "the account is disabled"
    if not principal.is_current(now):
        return "the account has expired"
    return None


def rights_differ(one: Principal, other: Principal) -> bool:
    """Say whether what the two may do differs."""
    return (one.login, one.roles, one.customer, one.regions, one.clearance, one.grants) != (
        other.login,
        other.roles,
        other.customer,
        other.regions,
        other.clearance,
        other.grants,
    )
