"""What the audit and the receipts say of an upload's case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from mft.audit import customer_chain
from mft.box import case_or_none
from mft.catalog.fixed import Fixed
from mft.catalog.model import CASES

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.upload.deposit import Deposit

_CUSTOMER = Fixed(select(CASES.c.customer).where(CASES.c.id == bindparam("case")))
_CASE = Fixed(select(CASES.c.customer, CASES.c.number).where(CASES.c.id == bindparam("case")))


def write_event(
    trail: AuditTrail, connection: Connection, deposit: Deposit, kind: str, upload_id: str, **details: object
) -> None:
    """Record what became of a deposit, in the transaction of *connection*."""
    chain = customer_chain(deposit.tree.customer)
    trail.append(connection, chain, kind, **details_of(deposit, upload_id, **details))


def details_of(deposit: Deposit, upload_id: str, **details: object) -> dict[str, object]:
    """Return what an event of a deposit says."""
    return {
        "upload": upload_id,
        "case": case_or_none(deposit.tree.number),
        "zone": deposit.zone,
        "login": deposit.login,
        "session": deposit.session_id,
        "protocol": deposit.protocol,
        "peer": deposit.peer,
        "region": deposit.home,
        **details,
    }


def chain_of(connection: Connection, case_id: int) -> str:
    """Name the audit chain of a case's customer."""
    return customer_chain(_CUSTOMER.scalar(connection, {"case": case_id}))


def case_of(connection: Connection, case_id: int) -> tuple[str, str | None]:
    """Return the same, and the case's number; None where it is the box of what names no case."""
    row = _CASE.first(connection, {"case": case_id})
    return customer_chain(row.customer), case_or_none(row.number)
