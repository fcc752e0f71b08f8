"""Tokens that stand in for a login's password, and tokens of one case, whose login is the case's number.

`mftt_` (a login's) or `mftc_` (a case's), 160 random bits and a CRC-32 of all that, both in lower-case base32 (RFC
4648, section 6): 44 characters that a scanner finds by `mft[tc]_[a-z2-7]{39}` and proves by the checksum. Kept is an
HMAC under a key of the server; no Argon2, for nobody guesses 160 bits.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import ipaddress
import re
import secrets
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, tuple_, update

from casemap.identifier import check_login
from mft.auth.errors import InvalidAccountError, NoSuchTokenError
from mft.catalog.model import ACCOUNTS, TOKENS
from mft.revocation import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from mft.auth.ledger import Ledger

PREFIX = "mftt_"
CASE_PREFIX = "mftc_"
RANDOM_BYTES = 20
MOST_LABEL = 200
CASE_LOGIN = ":"
"""What stands between case and token id in the login of a case's token, and in no login that anybody can have."""
_FORM = re.compile("mft[tc]_[a-z2-7]{39}")
_BY_ID = select(TOKENS).where(TOKENS.c.id == bindparam("of"))
_BY_DIGEST = select(TOKENS).where(TOKENS.c.digest == bindparam("of"))
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much may come by one token in all; None: any amount. `mft.upload` counts it."""

    bytes: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is known here: without itself."""

    id: str
    login: str
    label: str
    created: dt.datetime
    expires: dt.datetime | None
    revoked: dt.datetime | None
    created_by: str = ""
    refreshed: dt.datetime | None = None
    scopes: frozenset[str] | None = None
    """What it is narrowed to: `mft.permissions` for a login's token, `mft.policy.Scope` for a case's. None: nothing."""
    case: str | None = None
    """The number of the one case that it is for."""
    customer: str | None = None
    """Whose case that is."""
    allowance: Allowance = field(default_factory=Allowance)
    """How much may come by it in all."""
    networks: tuple[Network, ...] = ()
    """Where it may be used from; empty: from anywhere."""

    @property
    def shown_login(self) -> str:
        """What its holder logs in as."""
        return self.case or self.login

    def allows_from(self, peer: str) -> bool:
        """Say whether it may be used from the address *peer*."""
        if not self.networks:
            return True
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)

    def is_current(self, now: dt.datetime) -> bool:
        """Say whether it still opens at *now*."""
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    """A new token, shown this once."""

    text: str = field(repr=False)
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTerms:
    """What a token of a case is to be."""

    case: str
    customer: str
    scopes: frozenset[str]
    label: str = ""
    expires: dt.datetime | None = None
    allowance: Allowance = field(default_factory=Allowance)
    networks: tuple[Network, ...] = ()


def is_token(text: str) -> bool:
    """Say whether *text* claims to be a token: it is never tried as a password."""
    return text.startswith((PREFIX, CASE_PREFIX))


def has_token_form(text: str) -> bool:
    """Say whether *text* has a token's form and a checksum that fits."""
    return _FORM.fullmatch(text) is not None and hmac.compare_digest(_checksum(text[:-7]), text[-7:])


def new_token_text(prefix: str = PREFIX) -> str:
    """Make a token out of 160 random bits."""
    body = prefix + _base32(secrets.token_bytes(RANDOM_BYTES))
    return body + _checksum(body)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read CIDR blocks or single addresses.

    Raises:
        InvalidAccountError: one of them is none.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError as error:
            raise InvalidAccountError(
                f"{text!r} is no network: write an address or a CIDR block such as 192.0.2.0/24 ({error})"
            ) from error
    return tuple(found)


class Tokens:
    """The tokens of the catalog."""

    def __init__(self, ledger: Ledger, *, key: bytes) -> None:
        """Keep them under *key*, a secret of the server of at least 32 bytes."""
        self._ledger = ledger
        self._key = hmac.digest(key, b"mft token v1", "sha256")

    def create(
        self,
        login: str,
        *,
        by: str,
        label: str = "",
        expires: dt.datetime | None = None,
        scopes: frozenset[str] | None = None,
    ) -> MintedToken:
        """Make a token for *login*, which need not be a local account; *by* is who did it.

        With *scopes* (`mft.permissions`) it is good for those alone.

        Raises:
            InvalidAccountError: nobody can have that login, it would have expired already, or the label is too long.
        """
        token = Token(
            id=secrets.token_hex(6),
            login=_login(login),
            label=label,
            created=self._now(),
            expires=expires,
            revoked=None,
            created_by=by,
            scopes=scopes,
        )
        return self._mint(token, PREFIX, by=by)

    def create_for_case(self, terms: CaseTerms, *, by: str) -> MintedToken:
        """Make a token of a case, which the caller has looked up.

        Raises:
            InvalidAccountError: it would have expired already, the label is too long, or it would be good for nothing.
        """
        if not terms.scopes:
            raise InvalidAccountError("a token of a case has at least one scope: upload, list or read")
        for amount in (terms.allowance.bytes, terms.allowance.files):
            if amount is not None and amount < 1:
                raise InvalidAccountError("a limit of bytes or files is at least 1; leave it out for none")
        token_id = secrets.token_hex(6)
        token = Token(
            id=token_id,
            login=terms.case + CASE_LOGIN + token_id,
            label=terms.label,
            created=self._now(),
            expires=terms.expires,
            revoked=None,
            created_by=by,
            scopes=terms.scopes,
            case=terms.case,
            customer=terms.customer,
            allowance=terms.allowance,
            networks=terms.networks,
        )
        return self._mint(token, CASE_PREFIX, by=by)

    def _mint(self, token: Token, prefix: str, *, by: str) -> MintedToken:
        self._check_end(token.expires)
        if len(token.label) > MOST_LABEL or not token.label.isprintable():
            raise InvalidAccountError(f"a label has at most {MOST_LABEL} printable characters")
        text = new_token_text(prefix)
        with self._ledger.database.write() as connection:
            connection.execute(insert(TOKENS).values(digest=self._digest(text), **_values(token)))
            self._record(connection, "token.created", token, by=by, **_told(token))
        return MintedToken(text=text, token=token)

    def _check_end(self, expires: dt.datetime | None) -> None:
        if expires is not None and expires <= self._now():
            raise InvalidAccountError("the token would have expired already")

    def refresh(self, token_id: str, *, expires: dt.datetime | None, rotate: bool, by: str) -> tuple[Token, str | None]:
        """Let a token live until *expires*; with *rotate* return a new text too: the old one opens nothing from now on.

        Raises:
            NoSuchTokenError: there is none of that id.
            InvalidAccountError: it is revoked, or would have expired already.
        """
        self._check_end(expires)
        text = None
        with self._ledger.database.write() as connection:
            row = connection.execute(_BY_ID, {"of": token_id}).first()
            if row is None:
                raise NoSuchTokenError(f"no token has the id {token_id!r}")
            if row.revoked_at is not None:
                raise InvalidAccountError("the token is revoked; make a new one")
            values: dict[str, object] = {
                "expires_at": expires.timestamp() if expires else None,
                "refreshed_at": self._now().timestamp(),
            }
            if rotate:
                text = new_token_text(PREFIX if row.case_number is None else CASE_PREFIX)
                values["digest"] = self._digest(text)
            connection.execute(update(TOKENS).where(TOKENS.c.id == token_id).values(**values))
            token = _token(connection.execute(select(TOKENS).where(TOKENS.c.id == token_id)).one())
            until = expires.isoformat() if expires else None
            self._record(connection, "token.refreshed", token, by=by, expires=until, rotated=rotate or None)
        return token, text

    def revoke(self, token_id: str, *, by: str) -> Token:
        """Withdraw a token; sessions that it opened end. One that is withdrawn already stays as it is.

        Raises:
            NoSuchTokenError: there is none of that id.
        """
        with self._ledger.database.write() as connection:
            row = connection.execute(_BY_ID, {"of": token_id}).first()
            if row is None:
                raise NoSuchTokenError(f"no token has the id {token_id!r}")
            if row.revoked_at is None:
                now = self._now().timestamp()
                connection.execute(update(TOKENS).where(TOKENS.c.id == token_id).values(revoked_at=now))
                self._record(connection, "token.revoked", _token(row), by=by)
            return _token(connection.execute(select(TOKENS).where(TOKENS.c.id == token_id)).one())

    def list(
        self,
        login: str | None = None,
        *,
        case: str | None = None,
        customer: str | None = None,
        of_cases: bool = False,
        after: tuple[float, str] | None = None,
        limit: int | None = None,
    ) -> tuple[Token, ...]:
        """Return every token, or those of *login*, of *case*, of *customer*'s cases or of any cases, oldest first.

        At most *limit*, of those *after* a place: when that token was made (POSIX seconds), and its id.
        """
        statement = select(TOKENS).order_by(TOKENS.c.created_at, TOKENS.c.id).limit(limit)
        if login is not None:
            statement = statement.where(TOKENS.c.login == _login(login))
        if case is not None:
            statement = statement.where(TOKENS.c.case_number == case)
        if customer is not None:
            statement = statement.where(TOKENS.c.customer == customer)
        if of_cases:
            statement = statement.where(TOKENS.c.case_number.is_not(None))
        if after is not None:
            statement = statement.where(tuple_(TOKENS.c.created_at, TOKENS.c.id) > after)
        with self._ledger.database.read() as connection:
            return tuple(_token(row) for row in connection.execute(statement))

    def find(self, text: str) -> Token | None:
        """Return the token that *text* is, current or not; None if it is none of ours."""
        if not has_token_form(text):
            return None
        digest = self._digest(text)
        with self._ledger.database.read() as connection:
            row = connection.execute(_BY_DIGEST, {"of": digest}).first()
        # The index was searched by a keyed hash: how long that took tells nothing about the token.
        return _token(row) if row is not None and hmac.compare_digest(row.digest, digest) else None

    def get(self, token_id: str) -> Token | None:
        """Return the token of that id."""
        with self._ledger.database.read() as connection:
            row = connection.execute(_BY_ID, {"of": token_id}).first()
        return None if row is None else _token(row)

    def _record(self, connection: Connection, event: str, token: Token, *, by: str, **details: object) -> None:
        customer = token.customer
        if token.case is None:
            customer = connection.execute(select(ACCOUNTS.c.customer).where(ACCOUNTS.c.login == token.login)).scalar()
        about = {"login": token.login} if token.case is None else {"case": token.case}
        details |= {**about, "token": token.id, "label": token.label or None, "by": by}
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


def _values(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "login": token.login,
        "label": token.label,
        "created_at": token.created.timestamp(),
        "expires_at": token.expires.timestamp() if token.expires else None,
        "created_by": token.created_by,
        "scopes": None if token.scopes is None else ",".join(sorted(token.scopes)),
        "case_number": token.case,
        "customer": token.customer,
        "max_bytes": token.allowance.bytes,
        "max_files": token.allowance.files,
        "networks": ",".join(str(network) for network in token.networks) or None,
    }


def _told(token: Token) -> dict[str, object]:
    """Return what the audit is told of a new token."""
    return {
        "expires": token.expires.isoformat() if token.expires else None,
        "scopes": None if token.scopes is None else sorted(token.scopes),
        "max_bytes": token.allowance.bytes,
        "max_files": token.allowance.files,
        "networks": [str(network) for network in token.networks] or None,
    }


def _token(row: Row[tuple[object, ...]]) -> Token:
    return Token(
        id=row.id,
        login=row.login,
        label=row.label,
        created=dt.datetime.fromtimestamp(row.created_at, dt.UTC),
        expires=_moment(row.expires_at),
        revoked=_moment(row.revoked_at),
        created_by=row.created_by,
        refreshed=_moment(row.refreshed_at),
        scopes=None if row.scopes is None else frozenset(filter(None, row.scopes.split(","))),
        case=row.case_number,
        customer=row.customer,
        allowance=Allowance(bytes=row.max_bytes, files=row.max_files),
        networks=parse_networks(filter(None, (row.networks or "").split(","))),
    )


def _moment(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
