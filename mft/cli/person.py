"""Who stands at the terminal: a login and its secret, where the system's user is not proof enough."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemap.model import Principal
    from mft.auth.ledger import Ledger
    from mft.auth.principals import Principals
    from mft.config import Config


@contextlib.contextmanager
def open_principals(config: Config, ledger: Ledger) -> Iterator[Principals]:
    """Yield what finds people: local accounts, then the case system."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.principals import Principals  # noqa: PLC0415
    from mft.lookups import close_adapter, open_lookup  # noqa: PLC0415

    lookup = open_lookup(config, ledger.database)
    try:
        yield Principals(Accounts(ledger), lookup)
    finally:
        close_adapter(lookup._inner)  # noqa: SLF001 - the cache has no end of its own


def sign_in(config: Config, ledger: Ledger, token_key: bytes, who: tuple[str, str]) -> Principal:
    """Return the principal behind a login and its password or token, checked as every login is.

    Raises:
        FileSystemError: they do not fit; the audit says why.
    """
    from mft.auth.checker import CredentialChecker  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.denials import Denials  # noqa: PLC0415
    from mft.auth.passwords import Passwords  # noqa: PLC0415
    from mft.auth.throttle import Throttle  # noqa: PLC0415
    from mft.auth.tokens import Tokens  # noqa: PLC0415
    from protocols.session import Origin, PasswordCredential  # noqa: PLC0415

    throttle = Throttle(ledger.database, config.auth.throttle, key=token_key)
    origin = Origin(protocol="shell", peer="127.0.0.1", region=config.residency.home)
    with open_principals(config, ledger) as principals:
        checker = CredentialChecker(
            principals=principals,
            tokens=Tokens(ledger, key=token_key),
            passwords=Passwords(),
            throttle=throttle,
            denials=Denials(ledger.database, ledger.audit, throttle),
            now=lambda: dt.datetime.now(dt.UTC),
        )
        return checker.check(PasswordCredential(login=who[0], password=who[1]), origin).principal
