"""What the registry holds of a case and of a customer: the contract's record, and when it was changed."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from casemap.errors import InvalidRecordError
from casemap.lookup import traits_of
from casemap.model import Case, Customer, parse_case, parse_customer
from casemap.names import folder_name
from mft.registry.errors import InvalidEntryError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlalchemy import Row

Document = dict[str, object]
"""A record of the lookup contract (docs/integrate.md) as JSON has it; fields that are null are left out."""


class Placed(Protocol):
    """What has a home region."""

    @property
    def home_region(self) -> str | None:
        """Where it is at home."""


R = TypeVar("R", Case, Customer)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """A case of the registry."""

    case: Case
    record: Document
    revision: int
    """Rises by one with every change: who changes may say which one was seen."""
    created: dt.datetime
    updated: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerEntry:
    """A customer of the registry."""

    customer: Customer
    record: Document
    revision: int
    created: dt.datetime
    updated: dt.datetime


def case_entry(row: Row[tuple[object, ...]]) -> CaseEntry:
    """Make the entry that a row holds."""
    record = json.loads(row.document)
    return CaseEntry(
        case=parse_case(record),
        record=record,
        revision=row.revision,
        created=utc(row.created_at),
        updated=utc(row.updated_at),
    )


def customer_entry(row: Row[tuple[object, ...]]) -> CustomerEntry:
    """Make the entry that a row holds."""
    record = json.loads(row.document)
    return CustomerEntry(
        customer=parse_customer(record),
        record=record,
        revision=row.revision,
        created=utc(row.created_at),
        updated=utc(row.updated_at),
    )


def checked_case(record: Mapping[str, object], regions: Collection[str]) -> tuple[Case, Document]:
    """Return the case that *record* says, and the record as it is kept; *regions* are those of the installation.

    Raises:
        InvalidEntryError: it breaks the contract, has an unknown field, or names a region that there is not.
    """
    case, document = _checked(record, parse_case, regions)
    for region in sorted(case.regions or ()):
        _check_region("regions", region, regions)
    return case, document


def checked_customer(record: Mapping[str, object], regions: Collection[str]) -> tuple[Customer, Document]:
    """Return the customer that *record* says; see `checked_case`."""
    return _checked(record, parse_customer, regions)


def _checked(record: Mapping[str, object], parse: Callable[..., R], regions: Collection[str]) -> tuple[R, Document]:
    try:
        parsed = parse(record, strict=True)
    except InvalidRecordError as error:
        raise InvalidEntryError(error.field, error.reason) from error
    if parsed.home_region is not None:
        _check_region("home_region", parsed.home_region, regions)
    return parsed, {name: _plain(value) for name, value in record.items() if value is not None}


def _check_region(field: str, region: str, regions: Collection[str]) -> None:
    if region not in regions:
        raise InvalidEntryError(field, f"{region!r} is no region here; there are {', '.join(sorted(regions))}")


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def merged(old: Document, changes: Mapping[str, object], *, fixed: Collection[str]) -> Document:
    """Return *old* with *changes*; null takes a field away.

    Raises:
        InvalidEntryError: one of the *fixed* fields would become another.
    """
    for field in fixed:
        if field in changes and changes[field] != old.get(field):
            raise InvalidEntryError(field, "cannot be changed")
    return {name: value for name, value in {**old, **changes}.items() if value is not None}


def changed_fields(old: Document, new: Document) -> list[str]:
    """Name the fields in which the two differ."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def written(document: Document) -> str:
    """Return the text that is kept of a record."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def listed(case: Case) -> dict[str, object]:
    """Return the columns that long lists are made of, without a look into each record (`casemap.lookup.FolderPage`)."""
    return {
        "folder": folder_name(case),
        "traits": traits_of(case),
        "opened_at": 0.0 if case.opened is None else case.opened.replace(microsecond=0).timestamp(),
    }


def likeness(name: str) -> str:
    """Return what two ids or numbers have in common that a person or a Windows share would take for one."""
    return name.casefold()


def utc(seconds: float) -> dt.datetime:
    """Return the point in time *seconds* after the epoch."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
