"""What a local account is, and what it cannot be."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from casemap.identifier import Login, check_customer_id, check_display, check_login, check_region
from casemap.model import MAX_CLEARANCE, Role
from mft.auth.errors import InvalidAccountError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Row

MOST_LOGIN = 128
"""Longest local login, in characters."""
_LOGIN = re.compile(r"[^\W_][\w.@+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A local account, without its password and keys."""

    login: Login
    roles: frozenset[Role]
    name: str = ""
    customer: str | None = None
    regions: frozenset[str] | None = None
    """Where it may read; None: everywhere."""
    clearance: int = 0
    limited: bool = False
    """Whether it sees no more cases than its grants name (`mft.auth.grants`)."""
    active: bool = True
    expires: dt.datetime | None = None
    has_password: bool = False
    created: dt.datetime
    updated: dt.datetime


def parse_new_login(text: str) -> Login:
    """Return the login that *text* asks for, in NFC.

    Letters, digits and `. _ - @ +`, beginning with a letter or digit, at most `MOST_LOGIN` characters.

    Raises:
        InvalidAccountError: it is none; says why.
    """
    try:
        login = check_login(text)
    except ValueError as error:
        raise InvalidAccountError(f"the login {error}") from error
    if _LOGIN.fullmatch(login) is None:
        raise InvalidAccountError("a login begins with a letter or digit and holds letters, digits and . _ - @ + alone")
    if len(login) > MOST_LOGIN:
        raise InvalidAccountError(f"a login has at most {MOST_LOGIN} characters")
    return login


def likeness(login: str) -> str:
    """Return what two logins have in common that people would take for one (NFKC, case folded)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", login).casefold())


def parse_roles(words: Iterable[str]) -> frozenset[Role]:
    """Return the roles of these names.

    Raises:
        InvalidAccountError: one is unknown; names those that are.
    """
    roles = set()
    for word in words:
        try:
            roles.add(Role(word.strip().lower()))
        except ValueError as error:
            known = ", ".join(role.value for role in Role)
            raise InvalidAccountError(f"there is no role {word!r}; there are {known}") from error
    return frozenset(roles)


def check_account(account: Account) -> None:
    """Refuse an account that contradicts itself.

    Raises:
        InvalidAccountError: says what is wrong.
    """
    if not account.roles:
        raise InvalidAccountError("an account needs at least one role")
    if Role.CUSTOMER in account.roles and len(account.roles) > 1:
        raise InvalidAccountError("the role customer stands alone: it cannot be joined with a role of staff")
    _check_customer(account)
    if not 0 <= account.clearance <= MAX_CLEARANCE:
        raise InvalidAccountError(f"a clearance is 0 to {MAX_CLEARANCE}")
    if account.regions is not None and not account.regions:
        raise InvalidAccountError("an account needs at least one region, or none named: every region")
    try:
        check_display(account.name)
        for region in account.regions or ():
            check_region(region)
        if account.customer is not None:
            check_customer_id(account.customer)
    except ValueError as error:
        raise InvalidAccountError(str(error)) from error


def _check_customer(account: Account) -> None:
    if Role.CUSTOMER in account.roles and account.customer is None:
        raise InvalidAccountError("an account with the role customer needs the id of its customer")
    if Role.CUSTOMER not in account.roles and account.customer is not None:
        raise InvalidAccountError("only an account with the role customer belongs to a customer")
    if Role.CUSTOMER in account.roles and account.limited:
        raise InvalidAccountError("a customer's account sees its customer's cases; grants are for staff")


def account_values(account: Account) -> dict[str, object]:
    """Return the columns of *account*, without its login, password and times."""
    return {
        "name": account.name,
        "roles": ",".join(sorted(role.value for role in account.roles)),
        "customer": account.customer,
        "regions": None if account.regions is None else ",".join(sorted(account.regions)),
        "clearance": account.clearance,
        "limited": account.limited,
        "active": account.active,
        "expires_at": None if account.expires is None else account.expires.timestamp(),
    }


def account_of(row: Row[tuple[object, ...]]) -> Account:
    """Return the account that *row* of `ACCOUNTS` holds."""
    return Account(
        login=Login(row.login),
        roles=frozenset(Role(word) for word in row.roles.split(",")),
        name=row.name,
        customer=row.customer,
        regions=None if row.regions is None else frozenset(row.regions.split(",")),
        clearance=row.clearance,
        limited=row.limited,
        active=row.active,
        expires=None if row.expires_at is None else dt.datetime.fromtimestamp(row.expires_at, dt.UTC),
        has_password=row.password_hash is not None,
        created=dt.datetime.fromtimestamp(row.created_at, dt.UTC),
        updated=dt.datetime.fromtimestamp(row.updated_at, dt.UTC),
    )
