"""The SSH public keys of local accounts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from mft.auth.account import parse_new_login
from mft.auth.errors import NoSuchAccountError, NoSuchKeyError, PublicKeyError
from mft.auth.sshkeys import parse_public_key
from mft.catalog.model import ACCOUNT_KEYS, ACCOUNTS
from mft.revocation import Subject

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from mft.auth.ledger import Ledger

MOST_KEYS = 100
"""Keys of one account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizedKey:
    """A public key that opens an account."""

    login: str
    fingerprint: str
    line: str
    """Type and base64, without comment."""
    comment: str
    created: dt.datetime


class AuthorizedKeys:
    """Adds, removes and lists them."""

    def __init__(self, ledger: Ledger) -> None:
        """Write through *ledger*."""
        self._ledger = ledger

    def add(self, login: str, line: str, *, by: str) -> AuthorizedKey:
        """Let the key of *line* (one line of a `.pub` file) open the account; one that it has already is kept as it is.

        Raises:
            NoSuchAccountError: there is no such account.
            PublicKeyError: it is no key, a weak one, or one too many.
        """
        key = parse_public_key(line)
        now = self._ledger.clock()
        with self._ledger.database.write() as connection:
            whose, customer = _owner(connection, login)
            held = connection.execute(select(ACCOUNT_KEYS).where(ACCOUNT_KEYS.c.login == whose)).all()
            for row in held:
                if row.fingerprint == key.fingerprint:
                    return _key(row)
            if len(held) >= MOST_KEYS:
                raise PublicKeyError(f"{whose} has {MOST_KEYS} keys, which is the most an account can have")
            connection.execute(
                insert(ACCOUNT_KEYS).values(
                    fingerprint=key.fingerprint, login=whose, public_key=key.line, comment=key.comment, created_at=now
                )
            )
            self._record(connection, "account.key_added", whose, customer, key=key.fingerprint, by=by)
        return AuthorizedKey(
            login=whose,
            fingerprint=key.fingerprint,
            line=key.line,
            comment=key.comment,
            created=dt.datetime.fromtimestamp(now, dt.UTC),
        )

    def remove(self, login: str, fingerprint: str, *, by: str) -> None:
        """Let the key open the account no more; sessions that it opened end.

        Raises:
            NoSuchAccountError: there is no such account.
            NoSuchKeyError: it has no key of that fingerprint (`SHA256:…`, padding left out).
        """
        with self._ledger.database.write() as connection:
            whose, customer = _owner(connection, login)
            named = (ACCOUNT_KEYS.c.login == whose) & (ACCOUNT_KEYS.c.fingerprint == fingerprint.rstrip("="))
            if connection.execute(delete(ACCOUNT_KEYS).where(named)).rowcount == 0:
                raise NoSuchKeyError(f"{whose} has no key {fingerprint}")
            self._record(connection, "account.key_removed", whose, customer, key=fingerprint, by=by)

    def list(self, login: str | None = None) -> tuple[AuthorizedKey, ...]:
        """Return every key, or those of one account, oldest first.

        Raises:
            NoSuchAccountError: there is no such account.
        """
        statement = select(ACCOUNT_KEYS).order_by(ACCOUNT_KEYS.c.login, ACCOUNT_KEYS.c.created_at)
        with self._ledger.database.read() as connection:
            if login is not None:
                statement = statement.where(ACCOUNT_KEYS.c.login == _owner(connection, login)[0])
            return tuple(_key(row) for row in connection.execute(statement))

    def _record(self, connection: Connection, event: str, login: str, customer: str | None, **details: object) -> None:
        self._ledger.record(connection, event, (Subject.PRINCIPAL, login), customer=customer, login=login, **details)


def parse_key_file(text: str) -> tuple[str, ...]:
    """Return the lines of a file of public keys, every one of them good; blank lines and `#` comments are left out.

    Raises:
        PublicKeyError: one is not taken, with its line's number, or there is none.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            parse_public_key(line)
        except PublicKeyError as error:
            raise PublicKeyError(f"line {number}: {error}") from error
        lines.append(line.strip())
    if not lines:
        raise PublicKeyError("there is no public key in it")
    return tuple(lines)


def _owner(connection: Connection, login: str) -> tuple[str, str | None]:
    statement = select(ACCOUNTS.c.login, ACCOUNTS.c.customer).where(ACCOUNTS.c.login == parse_new_login(login))
    row = connection.execute(statement).first()
    if row is None:
        raise NoSuchAccountError(f"there is no account {login!r}")
    return row.login, row.customer


def _key(row: Row[tuple[object, ...]]) -> AuthorizedKey:
    return AuthorizedKey(
        login=row.login,
        fingerprint=row.fingerprint,
        line=row.public_key,
        comment=row.comment,
        created=dt.datetime.fromtimestamp(row.created_at, dt.UTC),
    )
