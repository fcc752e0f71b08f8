"""What the simulated case system knows: records as people entered them, and how it behaves."""

from __future__ import annotations

import base64
import binascii
import threading
from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from casemap.errors import (
    CaseMapError,
    CaseNotFoundError,
    CursorError,
    CustomerNotFoundError,
    InvalidRecordError,
    PrincipalNotFoundError,
)
from casemap.model import parse_case, parse_customer, parse_principal
from casemap.record import Record, kind_of
from mft.casesystem.behaviour import Behaviour

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Row = dict[str, object]
T = TypeVar("T")


class CaseSystem:
    """Customers, principals and cases in memory. Safe to use from many threads; changes are seen at once."""

    def __init__(self, data: Mapping[str, object] | None = None) -> None:
        """Load *data*: lists of the contract's records under `customers`, `principals` and `cases`.

        Raises:
            InvalidRecordError: a record breaks the contract; names its path.
        """
        self.behaviour = Behaviour()
        self.requests: Counter[str] = Counter()
        """Lookups so far, by path."""
        self._lock = threading.RLock()
        self._customers: dict[str, Row] = {}
        self._principals: dict[str, Row] = {}
        self._cases: dict[str, Row] = {}
        record = Record(data or {}, "")
        record.refuse_others(frozenset({"customers", "principals", "cases"}))
        for name, put in (
            ("customers", self.put_customer),
            ("principals", self.put_principal),
            ("cases", self.put_case),
        ):
            _load(name, (data or {}).get(name), put)

    def put_customer(self, row: object) -> Row:
        """Add a customer, or replace it."""
        customer = parse_customer(row, strict=True)
        return self._put(self._customers, customer.id, row)

    def put_principal(self, row: object) -> Row:
        """Add a principal, or replace it."""
        principal = parse_principal(row, strict=True)
        self._check_customer(principal.customer)
        return self._put(self._principals, principal.login, row)

    def put_case(self, row: object) -> Row:
        """Add a case, or replace it; its opening and closing times are kept by the clock if they are not given."""
        case = parse_case(row, strict=True)
        self._check_customer(case.customer)
        full = {**_row(row), "opened": _written(case.opened or datetime.now(UTC))}
        full["closed"] = None if case.is_open else _written(case.closed or datetime.now(UTC))
        return self._put(self._cases, case.number, full)

    def change_principal(self, login: str, changes: object) -> Row:
        """Change some fields of a principal: `{"active": false}` revokes it."""
        with self._lock:
            return self.put_principal({**self.principal(login), **_changes(changes, "login")})

    def change_case(self, number: str, changes: object) -> Row:
        """Change some fields of a case: `{"state": "closed"}` closes it."""
        with self._lock:
            return self.put_case({**self.case(number), **_changes(changes, "number")})

    def remove_principal(self, login: str) -> None:
        """Remove a principal as if it had never been."""
        with self._lock:
            self.principal(login)
            del self._principals[login]

    def remove_case(self, number: str) -> None:
        """Remove a case as if it had never been."""
        with self._lock:
            self.case(number)
            del self._cases[number]

    def principal(self, login: str) -> Row:
        """Return a principal's record."""
        return self._get(self._principals, login, PrincipalNotFoundError("no such principal"))

    def case(self, number: str) -> Row:
        """Return a case's record."""
        return self._get(self._cases, number, CaseNotFoundError("no such case"))

    def customer(self, customer: str) -> Row:
        """Return a customer's record."""
        return self._get(self._customers, customer, CustomerNotFoundError("no such customer"))

    def cases(self, customer: str | None, state: str | None, cursor: str | None, limit: int) -> Row:
        """Return a page of cases by number, as the contract has it."""
        with self._lock:
            if customer is not None:
                self.customer(customer)
            names = [
                number
                for number, row in self._cases.items()
                if customer in {None, row["customer"]} and state in {None, row["state"]}
            ]
            return _page(names, self._cases, cursor, limit)

    def customers(self, cursor: str | None, limit: int) -> Row:
        """Return a page of customers by id, as the contract has it."""
        with self._lock:
            return _page(list(self._customers), self._customers, cursor, limit)

    def _put(self, rows: dict[str, Row], key: str, row: object) -> Row:
        with self._lock:
            rows[key] = _row(row)
            return dict(rows[key])

    def _get(self, rows: dict[str, Row], key: str, missing: CaseMapError) -> Row:
        with self._lock:
            if key not in rows:
                raise missing
            return dict(rows[key])

    def _check_customer(self, customer: str | None) -> None:
        with self._lock:
            if customer is not None and customer not in self._customers:
                raise InvalidRecordError("customer", f"{customer!r} is not one of the customers")


def _load(name: str, rows: object, put: Callable[[object], object]) -> None:
    if not isinstance(rows, (list, type(None))):
        raise InvalidRecordError(name, f"must be a list, is {kind_of(rows)}")
    for index, row in enumerate(rows or ()):
        try:
            put(row)
        except InvalidRecordError as error:
            raise InvalidRecordError(f"{name}[{index}].{error.field}", error.reason) from error


def _row(row: object) -> Row:
    """Return a copy of a checked record as JSON can say it."""
    if not isinstance(row, dict):
        raise InvalidRecordError("(the record)", f"must be an object, is {kind_of(row)}")
    return {name: _written(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _changes(changes: object, key: str) -> Row:
    row = _row(changes)
    if key in row:
        raise InvalidRecordError(key, "cannot be changed")
    return row


def _page(names: list[str], rows: Mapping[str, Row], cursor: str | None, limit: int) -> Row:
    names.sort()
    start = 0 if cursor is None else bisect_right(names, _read_cursor(cursor))
    chosen = names[start : start + limit]
    more = start + limit < len(names)
    return {
        "items": [dict(rows[name]) for name in chosen],
        "next_cursor": base64.urlsafe_b64encode(b"after:" + chosen[-1].encode()).decode() if more else None,
    }


def _read_cursor(cursor: str) -> str:
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise CursorError("not a cursor of this list") from error
    if not text.startswith("after:"):
        raise CursorError("not a cursor of this list")
    return text.removeprefix("after:")
