"""Local accounts in the catalog: for staff, for robots, and for installations without a case system that knows logins.

Every change is one transaction: the row, a numbered revocation (so that every worker looks again), and its event.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, update

from casemap.identifier import CustomerId, RegionName
from casemap.model import Principal, Role
from mft.auth.account import Account, account_of, account_values, check_account, likeness, parse_new_login
from mft.auth.audited import mark_of
from mft.auth.errors import AccountExistsError, InvalidAccountError, NoSuchAccountError
from mft.auth.granted import grants_of
from mft.auth.passwords import check_new_password, hash_password
from mft.catalog.model import ACCOUNT_GRANTS, ACCOUNT_KEYS, ACCOUNTS, TOKENS
from mft.revocation import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from argon2 import PasswordHasher
    from sqlalchemy import Connection

    from mft.auth.ledger import Ledger

_KEPT = frozenset({"login", "created", "updated", "has_password"})
# Asked at each login, twice: to build them anew costs as much as to run them.
_ACCOUNT = select(ACCOUNTS).where(ACCOUNTS.c.login == bindparam("of"))
_KEYS = (
    select(ACCOUNT_KEYS.c.public_key)
    .where(ACCOUNT_KEYS.c.login == bindparam("of"))
    .order_by(ACCOUNT_KEYS.c.created_at, ACCOUNT_KEYS.c.fingerprint)
)


class Accounts:
    """The local accounts. *by* in every method says who makes the change, for the audit."""

    def __init__(self, ledger: Ledger, *, hasher: PasswordHasher | None = None) -> None:
        """Write through *ledger*; new passwords are hashed by *hasher* (Argon2id)."""
        self._ledger = ledger
        self._hasher = hasher

    def create(
        self,
        login: str,
        *,
        roles: Iterable[Role],
        by: str,
        name: str = "",
        customer: str | None = None,
        password: str | None = None,
        regions: Iterable[str] | None = None,
        clearance: int = 0,
        expires: dt.datetime | None = None,
    ) -> Account:
        """Make an account; without *password* it logs in by key or token alone.

        Raises:
            InvalidAccountError: the login, or the account, cannot be like that.
            AccountExistsError: there is one whose login is, or looks like, that one.
            PasswordRuleError: the password is too easily guessed.
        """
        now = self._now()
        account = Account(
            login=parse_new_login(login),
            roles=frozenset(roles),
            name=name,
            customer=customer,
            regions=None if regions is None else frozenset(regions),
            clearance=clearance,
            expires=expires,
            has_password=password is not None,
            created=now,
            updated=now,
        )
        check_account(account)
        hashed = None if password is None else self._hash(account.login, password)
        with self._ledger.database.write() as connection:
            for row in connection.execute(select(ACCOUNTS.c.login)):
                if likeness(row.login) == likeness(account.login):
                    raise AccountExistsError(f"there is an account {row.login!r} already")
            connection.execute(
                insert(ACCOUNTS).values(
                    login=account.login,
                    password_hash=hashed,
                    created_at=now.timestamp(),
                    updated_at=now.timestamp(),
                    **account_values(account),
                )
            )
            rights = {"regions": _regions(account), "clearance": account.clearance, "verifier": mark_of(hashed)}
            self._record(connection, "account.created", account, by=by, roles=_words(account.roles), **rights)
        return account

    def change(self, login: str, edit: Callable[[Account], Account], *, by: str) -> Account:
        """Replace an account by what *edit* makes of it; login, password and times stay.

        Raises:
            NoSuchAccountError: there is none.
            InvalidAccountError: it cannot become like that.
        """
        with self._ledger.database.write() as connection:
            old = self._get(connection, login)
            new = edit(old)
            new = replace(new, **{name: getattr(old, name) for name in _KEPT})
            check_account(new)
            changed = [each.name for each in fields(Account) if getattr(old, each.name) != getattr(new, each.name)]
            if not changed:
                return old
            new = replace(new, updated=self._now())
            self._update(connection, new, account_values(new))
            self._record(connection, "account.changed", new, by=by, **_told(new, changed))
            return new

    def grant(self, login: str, role: Role, *, by: str) -> Account:
        """Give the account *role*; see `change`."""
        return self.change(login, lambda account: replace(account, roles=account.roles | {role}), by=by)

    def revoke(self, login: str, role: Role, *, by: str) -> Account:
        """Take *role* from the account; the last one stays: disable the account instead.

        Raises:
            InvalidAccountError: it has not that role, or no other.
        """

        def edit(account: Account) -> Account:
            if role not in account.roles:
                raise InvalidAccountError(f"{account.login} has not the role {role.value}")
            if account.roles == {role}:
                raise InvalidAccountError(
                    f"{role.value} is the only role of {account.login}: disable the account instead"
                )
            return replace(account, roles=account.roles - {role})

        return self.change(login, edit, by=by)

    def disable(self, login: str, *, by: str) -> Account:
        """Let the account log in no more; its sessions end."""
        return self.change(login, lambda account: replace(account, active=False), by=by)

    def enable(self, login: str, *, by: str) -> Account:
        """Let a disabled account log in again."""
        return self.change(login, lambda account: replace(account, active=True), by=by)

    def set_password(self, login: str, password: str | None, *, by: str) -> None:
        """Give the account a new password, or with None no password at all; sessions opened by the old one end.

        Raises:
            NoSuchAccountError: there is none.
            PasswordRuleError: the password is too easily guessed.
        """
        hashed = None if password is None else self._hash(login, password)
        with self._ledger.database.write() as connection:
            account = self._get(connection, login)
            self._update(connection, replace(account, updated=self._now()), {"password_hash": hashed})
            event = "account.password_removed" if hashed is None else "account.password_set"
            self._record(connection, event, account, by=by, verifier=mark_of(hashed))

    def remove(self, login: str, *, by: str) -> None:
        """Delete the account with its keys, and revoke its tokens; its sessions end.

        Raises:
            NoSuchAccountError: there is none.
        """
        with self._ledger.database.write() as connection:
            account = self._get(connection, login)
            connection.execute(delete(ACCOUNT_KEYS).where(ACCOUNT_KEYS.c.login == account.login))
            connection.execute(delete(ACCOUNT_GRANTS).where(ACCOUNT_GRANTS.c.login == account.login))
            connection.execute(delete(ACCOUNTS).where(ACCOUNTS.c.login == account.login))
            connection.execute(
                update(TOKENS)
                .where(TOKENS.c.login == account.login, TOKENS.c.revoked_at.is_(None))
                .values(revoked_at=self._now().timestamp())
            )
            self._record(connection, "account.removed", account, by=by)

    def get(self, login: str) -> Account:
        """Return the account.

        Raises:
            NoSuchAccountError: there is none.
        """
        with self._ledger.database.read() as connection:
            return self._get(connection, login)

    def list(self) -> tuple[Account, ...]:
        """Return every account, by login."""
        with self._ledger.database.read() as connection:
            return tuple(account_of(row) for row in connection.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.login)))

    def principal(self, login: str) -> Principal | None:
        """Return who the local account *login* is, active or not; None if there is none."""
        with self._ledger.database.read() as connection:
            row = connection.execute(_ACCOUNT, {"of": login}).first()
            if row is None:
                return None
            keys = tuple(connection.execute(_KEYS, {"of": login}).scalars())
            grants = grants_of(connection, login) if row.limited else None
        account = account_of(row)
        return Principal(
            login=account.login,
            roles=account.roles,
            customer=None if account.customer is None else CustomerId(account.customer),
            name=account.name,
            password_hash=row.password_hash,
            public_keys=keys,
            regions=None if account.regions is None else frozenset(RegionName(name) for name in account.regions),
            clearance=account.clearance,
            active=account.active,
            expires=account.expires,
            grants=grants,
        )

    def _get(self, connection: Connection, login: str) -> Account:
        row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.login == parse_new_login(login))).first()
        if row is None:
            raise NoSuchAccountError(f"there is no account {login!r}")
        return account_of(row)

    def _update(self, connection: Connection, account: Account, values: dict[str, object]) -> None:
        statement = update(ACCOUNTS).where(ACCOUNTS.c.login == account.login)
        connection.execute(statement.values(updated_at=account.updated.timestamp(), **values))

    def _record(self, connection: Connection, event: str, account: Account, **details: object) -> None:
        subject = (Subject.PRINCIPAL, account.login)
        self._ledger.record(connection, event, subject, customer=account.customer, login=account.login, **details)

    def _hash(self, login: str, password: str) -> str:
        check_new_password(login, password)
        return hash_password(password, self._hasher)

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._ledger.clock(), dt.UTC)


def _words(roles: frozenset[Role]) -> list[str]:
    return sorted(role.value for role in roles)


def _regions(account: Account) -> list[str] | None:
    return None if account.regions is None else sorted(account.regions)


def _told(account: Account, changed: list[str]) -> dict[str, object]:
    """Return what the audit is told of a change: names of fields, and the values that rights hang on."""
    values: dict[str, object] = {"changed": sorted(changed)}
    if "roles" in changed:
        values["roles"] = _words(account.roles)
    if "active" in changed:
        values["active"] = account.active
    if "regions" in changed:
        values["regions"] = _regions(account)
    if "clearance" in changed:
        values["clearance"] = account.clearance
    return values
