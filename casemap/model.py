"""Principals, customers and cases: what the case system says, checked.

`parse_*` make them from parsed JSON or YAML and refuse whatever breaks the contract (`docs/integrate.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from casemap.errors import InvalidRecordError
from casemap.identifier import (
    CaseNumber,
    CustomerId,
    Login,
    RegionName,
    check_case_number,
    check_customer_id,
    check_display,
    check_email,
    check_label,
    check_login,
    check_password_hash,
    check_public_key,
    check_region,
)
from casemap.record import Record

if TYPE_CHECKING:
    from datetime import datetime

MAX_CLEARANCE = 100
Member = TypeVar("Member", bound=Enum)


class Role(Enum):
    """What a login is to us. A customer is nothing else; staff may hold several."""

    CUSTOMER = "customer"
    ENGINEER = "engineer"
    RELEASER = "releaser"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    TRIAGE = "triage"
    """Assigns to cases what was sent without one; sees names and senders of that, and no content."""


class CaseState(Enum):
    """What matters to us of a case's state: an open case has folders."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseGrant:
    """Some of the cases: one customer's, one case, or one case while it is that customer's. Never all."""

    customer: CustomerId | None = None
    case: CaseNumber | None = None
    clearance: int | None = None
    """What may be seen there is at or below; None: as everywhere."""

    def fits(self, *, customer: str, case: str) -> bool:
        """Say whether it speaks of *case*, which is *customer*'s."""
        return self.customer in {None, customer} and self.case in {None, case}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The identity behind a login."""

    login: Login
    roles: frozenset[Role]
    """Never empty; `CUSTOMER` stands alone."""
    customer: CustomerId | None
    """Whose login it is; None for staff, and never None for a customer."""
    name: str = ""
    email: str | None = None
    password_hash: str | None = field(default=None, repr=False)
    """Argon2id, PHC string format; None: no password logs in."""
    public_keys: tuple[str, ...] = field(default=(), repr=False)
    """OpenSSH lines without options."""
    regions: frozenset[RegionName] | None = None
    """Where it may read; None: everywhere."""
    clearance: int = 0
    """0 to 100: what it may see is at or below."""
    active: bool = True
    expires: datetime | None = None
    grants: frozenset[CaseGrant] | None = None
    """Of staff, the cases that it is limited to; None: it is not. No part of the contract: `mft grant` sets it."""

    @property
    def is_customer(self) -> bool:
        """Whether it belongs to a customer; else it is staff."""
        return Role.CUSTOMER in self.roles

    @property
    def view(self) -> Role:
        """Whose layout of folders it sees: `CUSTOMER` or `ENGINEER`."""
        return Role.CUSTOMER if self.is_customer else Role.ENGINEER

    def is_current(self, now: datetime) -> bool:
        """Say whether it may log in, or stay, at *now*."""
        return self.active and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A company that has cases."""

    id: CustomerId
    name: str
    home_region: RegionName | None = None
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A support case."""

    number: CaseNumber
    title: str
    """Whatever people typed: not safe as a file name."""
    customer: CustomerId
    state: CaseState
    opened: datetime | None = None
    closed: datetime | None = None
    kind: str | None = None
    classification: str | None = None
    clearance: int = 0
    """0 to 100: what a reader's clearance must reach."""
    home_region: RegionName | None = None
    """None: its customer's."""
    regions: frozenset[RegionName] | None = None
    """Where its files may lie; None: the configuration decides alone."""
    priority: int = 3
    """1 (most urgent) to 5."""
    assignee: Login | None = None
    """The engineer who has it; None: nobody, or the case system does not say."""

    @property
    def is_open(self) -> bool:
        """Whether it has folders."""
        return self.state is CaseState.OPEN


_PRINCIPAL_FIELDS = frozenset(each.name for each in fields(Principal)) - {"grants"}
_CUSTOMER_FIELDS = frozenset(each.name for each in fields(Customer))
_CASE_FIELDS = frozenset(each.name for each in fields(Case))


def parse_principal(data: object, *, at: str = "", strict: bool = False) -> Principal:
    """Make a principal from a parsed record found at path *at*.

    With *strict*, unknown fields are errors (a table that people write); else they are ignored (a contract that grows).

    Raises:
        InvalidRecordError: a field is missing, of another type, too long, or contradicts another.
    """
    record = Record(data, at)
    if strict:
        record.refuse_others(_PRINCIPAL_FIELDS)
    roles = frozenset(
        _enumerated(Role, word, record.path("roles")) for word in record.texts("roles", check_label) or ()
    )
    customer = record.optional_text("customer", check_customer_id)
    _check_roles(record, roles, customer)
    return Principal(
        login=Login(record.text("login", check_login)),
        roles=roles,
        customer=None if customer is None else CustomerId(customer),
        name=record.optional_text("name", check_display) or "",
        email=record.optional_text("email", check_email),
        password_hash=record.optional_text("password_hash", check_password_hash),
        public_keys=record.texts("public_keys", check_public_key) or (),
        regions=_regions(record),
        clearance=record.integer("clearance", default=0, least=0, most=MAX_CLEARANCE),
        active=record.truth("active", default=True),
        expires=record.moment("expires"),
    )


def _check_roles(record: Record, roles: frozenset[Role], customer: str | None) -> None:
    at = record.path("roles")
    if not roles:
        raise InvalidRecordError(at, "is missing or empty")
    if Role.CUSTOMER in roles and len(roles) > 1:
        raise InvalidRecordError(at, "must not join customer with a role of staff")
    if (Role.CUSTOMER in roles) != (customer is not None):
        raise InvalidRecordError(record.path("customer"), "must be given for a customer, and only for one")


def parse_customer(data: object, *, at: str = "", strict: bool = False) -> Customer:
    """Make a customer from a parsed record; see `parse_principal`."""
    record = Record(data, at)
    if strict:
        record.refuse_others(_CUSTOMER_FIELDS)
    return Customer(
        id=CustomerId(record.text("id", check_customer_id)),
        name=record.text("name", check_display),
        home_region=_region(record, "home_region"),
        tags=frozenset(record.texts("tags", check_label) or ()),
    )


def parse_case(data: object, *, at: str = "", strict: bool = False) -> Case:
    """Make a case from a parsed record; see `parse_principal`."""
    record = Record(data, at)
    if strict:
        record.refuse_others(_CASE_FIELDS)
    regions, home = _regions(record), _region(record, "home_region")
    if home is not None and regions is not None and home not in regions:
        raise InvalidRecordError(record.path("home_region"), "must be one of the case's regions")
    return Case(
        number=CaseNumber(record.text("number", check_case_number)),
        title=record.optional_text("title", check_display) or "",
        customer=CustomerId(record.text("customer", check_customer_id)),
        state=_enumerated(CaseState, record.text("state", check_label), record.path("state")),
        opened=record.moment("opened"),
        closed=record.moment("closed"),
        kind=record.optional_text("kind", check_label),
        classification=record.optional_text("classification", check_label),
        clearance=record.integer("clearance", default=0, least=0, most=MAX_CLEARANCE),
        home_region=home,
        regions=regions,
        priority=record.integer("priority", default=3, least=1, most=5),
        assignee=_assignee(record),
    )


def _region(record: Record, field_name: str) -> RegionName | None:
    text = record.optional_text(field_name, check_region)
    return None if text is None else RegionName(text)


def _assignee(record: Record) -> Login | None:
    text = record.optional_text("assignee", check_login)
    return None if text is None else Login(text)


def _regions(record: Record) -> frozenset[RegionName] | None:
    texts = record.texts("regions", check_region)
    return None if texts is None else frozenset(RegionName(text) for text in texts)


def _enumerated(kind: type[Member], word: str, at: str) -> Member:
    try:
        return kind(word)
    except ValueError as error:
        known = ", ".join(str(member.value) for member in kind)
        raise InvalidRecordError(at, f"{word!r} is not one of {known}") from error
