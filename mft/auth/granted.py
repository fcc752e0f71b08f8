"""The grants of an account, as the catalog holds them: read by those who say who somebody is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from casemap.identifier import CaseNumber, CustomerId
from casemap.model import CaseGrant
from mft.catalog.model import ACCOUNT_GRANTS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row


def grants_of(connection: Connection, login: str) -> frozenset[CaseGrant]:
    """Return what the account *login* is granted, limited or not."""
    rows = connection.execute(select(ACCOUNT_GRANTS).where(ACCOUNT_GRANTS.c.login == login))
    return frozenset(grant_of(row) for row in rows)


def grant_of(row: Row[tuple[object, ...]]) -> CaseGrant:
    """Return the grant that *row* of `ACCOUNT_GRANTS` holds."""
    return CaseGrant(
        customer=CustomerId(row.customer) if row.customer else None,
        case=CaseNumber(row.case_number) if row.case_number else None,
        clearance=row.clearance,
    )
