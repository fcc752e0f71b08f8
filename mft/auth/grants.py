"""Grants: the cases that an account of staff is limited to.

An account without limits sees every case that clearance and regions let it see. The first grant limits it; from then on
it sees what its grants name and nothing else, also when the last one is taken away. Only `lift` ends that.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from casemap.identifier import check_case_number, check_customer_id
from casemap.model import MAX_CLEARANCE, CaseGrant, Role
from mft.auth.account import account_of, account_values, check_account, parse_new_login
from mft.auth.errors import InvalidAccountError, NoSuchAccountError, NoSuchGrantError
from mft.auth.granted import grant_of
from mft.catalog.model import ACCOUNT_GRANTS, ACCOUNTS
from mft.revocation import Subject

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from mft.auth.account import Account
    from mft.auth.ledger import Ledger

_TABLE = ACCOUNT_GRANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenGrant:
    """A grant, whose it is, and who gave it."""

    login: str
    grant: CaseGrant
    created: dt.datetime
    created_by: str


class Grants:
    """The grants of local accounts. *by* says who makes a change, for the audit; live sessions of the login end."""

    def __init__(self, ledger: Ledger) -> None:
        """Write through *ledger*."""
        self._ledger = ledger

    def add(self, login: str, grant: CaseGrant, *, by: str) -> None:
        """Give *grant* to the account, which is limited from now on; one of the same cases gets its clearance.

        Raises:
            NoSuchAccountError: there is no such account.
            InvalidAccountError: the grant names nothing, or the account is a customer's.
        """
        checked = _checked(grant)
        with self._ledger.database.write() as connection:
            account = self._limit(connection, login, limited=True)
            connection.execute(delete(_TABLE).where(*_these(account.login, checked)))
            connection.execute(
                insert(_TABLE).values(
                    login=account.login,
                    customer=checked.customer or "",
                    case_number=checked.case or "",
                    clearance=checked.clearance,
                    created_at=self._ledger.clock(),
                    created_by=by,
                )
            )
            self._record(connection, "grant.added", account, by=by, grant=checked)

    def remove(self, login: str, grant: CaseGrant, *, by: str) -> None:
        """Take a grant away, whatever its clearance; the account stays limited.

        Raises:
            NoSuchAccountError: there is no such account.
            NoSuchGrantError: it has no grant of just that.
            InvalidAccountError: the grant names nothing.
        """
        checked = _checked(grant)
        with self._ledger.database.write() as connection:
            account = self._account(connection, login)
            gone = connection.execute(delete(_TABLE).where(*_these(account.login, checked))).rowcount
            if not gone:
                raise NoSuchGrantError(f"{account.login} has no such grant; mft grant list {account.login} shows them")
            self._record(connection, "grant.removed", account, by=by, grant=checked)

    def lift(self, login: str, *, by: str) -> None:
        """Take all grants and the limit away: the account sees what clearance and regions let it see.

        Raises:
            NoSuchAccountError: there is no such account.
        """
        with self._ledger.database.write() as connection:
            account = self._limit(connection, login, limited=False)
            connection.execute(delete(_TABLE).where(_TABLE.c.login == account.login))
            self._record(connection, "grant.lifted", account, by=by, grant=CaseGrant())

    def list(self, login: str | None = None) -> tuple[GivenGrant, ...]:
        """Return the grants of every account, or of one.

        Raises:
            NoSuchAccountError: there is no such account.
        """
        order = (_TABLE.c.login, _TABLE.c.customer, _TABLE.c.case_number)
        statement = select(_TABLE).order_by(*order)
        with self._ledger.database.read() as connection:
            if login is not None:
                statement = statement.where(_TABLE.c.login == self._account(connection, login).login)
            return tuple(
                GivenGrant(
                    login=row.login,
                    grant=grant_of(row),
                    created=dt.datetime.fromtimestamp(row.created_at, dt.UTC),
                    created_by=row.created_by,
                )
                for row in connection.execute(statement)
            )

    def limited(self) -> frozenset[str]:
        """Return the logins of the accounts that are limited."""
        with self._ledger.database.read() as connection:
            return frozenset(connection.execute(select(ACCOUNTS.c.login).where(ACCOUNTS.c.limited)).scalars())

    def _account(self, connection: Connection, login: str) -> Account:
        row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.login == parse_new_login(login))).first()
        if row is None:
            raise NoSuchAccountError(f"there is no account {login!r}; grants limit local accounts (mft user add)")
        return account_of(row)

    def _limit(self, connection: Connection, login: str, *, limited: bool) -> Account:
        account = self._account(connection, login)
        if limited and account.roles <= {Role.OPERATOR, Role.AUDITOR, Role.TRIAGE}:
            roles = ", ".join(sorted(role.value for role in account.roles))
            raise InvalidAccountError(f"{account.login} ({roles}) sees no case; grants limit engineers and releasers")
        changed = replace(account, limited=limited, updated=dt.datetime.fromtimestamp(self._ledger.clock(), dt.UTC))
        check_account(changed)
        connection.execute(
            update(ACCOUNTS)
            .where(ACCOUNTS.c.login == account.login)
            .values(updated_at=changed.updated.timestamp(), **account_values(changed))
        )
        return changed

    def _record(self, connection: Connection, event: str, account: Account, *, by: str, grant: CaseGrant) -> None:
        self._ledger.record(
            connection,
            event,
            (Subject.PRINCIPAL, account.login),
            customer=grant.customer,
            login=account.login,
            by=by,
            of=grant.customer,
            case=grant.case,
            clearance=grant.clearance,
        )


def _checked(grant: CaseGrant) -> CaseGrant:
    if grant.customer is None and grant.case is None:
        raise InvalidAccountError("a grant names a customer, a case, or both")
    if grant.clearance is not None and not 0 <= grant.clearance <= MAX_CLEARANCE:
        raise InvalidAccountError(f"a clearance is 0 to {MAX_CLEARANCE}")
    for what, text, check in (("customer", grant.customer, check_customer_id), ("case", grant.case, check_case_number)):
        try:
            if text is not None:
                check(text)
        except ValueError as error:
            raise InvalidAccountError(f"the {what} {error}") from error
    return grant


def _these(login: str, grant: CaseGrant) -> tuple[ColumnElement[bool], ...]:
    return (
        _TABLE.c.login == login,
        _TABLE.c.customer == (grant.customer or ""),
        _TABLE.c.case_number == (grant.case or ""),
    )
