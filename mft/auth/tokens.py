"""Tokens that stand in for a login's password.

`mftt_`, 160 random bits and a CRC-32 of all that, both in lower-case base32 (RFC 4648, section 6): 44 characters that
a scanner finds by `mftt_[a-z2-7]{39}` and proves by the checksum. Kept is an HMAC under a key of the server; no
Argon2, for nobody guesses 160 bits.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from casemap.identifier import check_login
from mft.auth.errors import InvalidAccountError, NoSuchTokenError
from mft.catalog.model import ACCOUNTS, TOKENS
from mft.revocation import Subject

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from mft.auth.ledger import Ledger

PREFIX = "mftt_"
RANDOM_BYTES = 20
MOST_LABEL = 200
_FORM = re.compile(PREFIX + "[a-z2-7]{39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is known here: without itself."""

    id: str
    login: str
    label: str
    created: dt.datetime
    expires: dt.datetime | None
    revoked: dt.datetime | None

    def is_current(self, now: dt.datetime) -> bool:
        """Say whether it still opens at *now*."""
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    """A new token, shown this once."""

    text: str = field(repr=False)
    token: Token


def is_token(text: str) -> bool:
    """Say whether *text* claims to be a token: it is never tried as a password."""
    return text.startswith(PREFIX)


def has_token_form(text: str) -> bool:
    """Say whether *text* has a token's form and a checksum that fits."""
    return _FORM.fullmatch(text) is not None and hmac.compare_digest(_checksum(text[:-7]), text[-7:])


def new_token_text() -> str:
    """Make a token out of 160 random bits."""
    body = PREFIX + _base32(secrets.token_bytes(RANDOM_BYTES))
    return body + _checksum(body)


class Tokens:
    """The tokens of the catalog."""

    def __init__(self, ledger: Ledger, *, key: bytes) -> None:
        """Keep them under *key*, a secret of the server of at least 32 bytes."""
        self._ledger = ledger
        self._key = hmac.digest(key, b"mft token v1", "sha256")

    def create(self, login: str, *, by: str, label: str = "", expires: dt.datetime | None = None) -> MintedToken:
        """Make a token for *login*, which need not be a local account; *by* is who did it.

        Raises:
            InvalidAccountError: nobody can have that login, it would have expired already, or the label is too long.
        """
        whose = _login(login)
        now = self._now()
        if expires is not None and expires <= now:
            raise InvalidAccountError("the token would have expired already")
        if len(label) > MOST_LABEL or not label.isprintable():
            raise InvalidAccountError(f"a label has at most {MOST_LABEL} printable characters")
        text = new_token_text()
        token = Token(id=secrets.token_hex(6), login=whose, label=label, created=now, expires=expires, revoked=None)
        with self._ledger.database.write() as connection:
            connection.execute(
                insert(TOKENS).values(
                    id=token.id,
                    digest=self._digest(text),
                    login=whose,
                    label=label,
                    created_at=now.timestamp(),
                    expires_at=expires.timestamp() if expires else None,
                )
            )
            self._record(connection, "token.created", token, by=by, expires=expires.isoformat() if expires else None)
        return MintedToken(text=text, token=token)

    def revoke(self, token_id: str, *, by: str) -> Token:
        """Withdraw a token; sessions that it opened end. One that is withdrawn already stays as it is.

        Raises:
            NoSuchTokenError: there is none of that id.
        """
        with self._ledger.database.write() as connection:
            row = connection.execute(select(TOKENS).where(TOKENS.c.id == token_id)).first()
            if row is None:
                raise NoSuchTokenError(f"no token has the id {token_id!r}")
            if row.revoked_at is None:
                now = self._now().timestamp()
                connection.execute(update(TOKENS).where(TOKENS.c.id == token_id).values(revoked_at=now))
                self._record(connection, "token.revoked", _token(row), by=by)
            return _token(connection.execute(select(TOKENS).where(TOKENS.c.id == token_id)).one())

    def list(self, login: str | None = None) -> tuple[Token, ...]:
        """Return every token, or those of *login*, oldest first."""
        statement = select(TOKENS).order_by(TOKENS.c.created_at, TOKENS.c.id)
        if login is not None:
            statement = statement.where(TOKENS.c.login == _login(login))
        with self._ledger.database.read() as connection:
            return tuple(_token(row) for row in connection.execute(statement))

    def find(self, text: str) -> Token | None:
        """Return the token that *text* is, current or not; None if it is none of ours."""
        if not has_token_form(text):
            return None
        digest = self._digest(text)
        with self._ledger.database.read() as connection:
            row = connection.execute(select(TOKENS).where(TOKENS.c.digest == digest)).first()
        # The index was searched by a keyed hash: how long that took tells nothing about the token.
        return _token(row) if row is not None and hmac.compare_digest(row.digest, digest) else None

    def get(self, token_id: str) -> Token | None:
        """Return the token of that id."""
        with self._ledger.database.read() as connection:
            row = connection.execute(select(TOKENS).where(TOKENS.c.id == token_id)).first()
        return None if row is None else _token(row)

    def _record(self, connection: Connection, event: str, token: Token, *, by: str, **details: object) -> None:
        customer = connection.execute(select(ACCOUNTS.c.customer).where(ACCOUNTS.c.login == token.login)).scalar()
        details |= {"login": token.login, "token": token.id, "label": token.label or None, "by": by}
        self._ledger.record(connection, event, (Subject.TOKEN, token.id), customer=customer, **details)

    def _digest(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("ascii"), "sha256").hex()

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._ledger.clock(), dt.UTC)


def _login(text: str) -> str:
    try:
        return check_login(text)
    except ValueError as error:
        raise InvalidAccountError(f"the login {error}") from error


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _checksum(body: str) -> str:
    return _base32(zlib.crc32(body.encode("ascii")).to_bytes(4))


def _token(row: Row[tuple[object, ...]]) -> Token:
    return Token(
        id=row.id,
        login=row.login,
        label=row.label,
        created=dt.datetime.fromtimestamp(row.created_at, dt.UTC),
        expires=None if row.expires_at is None else dt.datetime.fromtimestamp(row.expires_at, dt.UTC),
        revoked=None if row.revoked_at is None else dt.datetime.fromtimestamp(row.revoked_at, dt.UTC),
    )
