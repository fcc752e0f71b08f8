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
_NUMBER = Fixed(select(CASES.c.number).where(CASES.c.id == bindparam("case")))


def write_event(
    trail: AuditTrail, connection: Connection, deposit: Deposit, kind: str, upload_id: str, **details: object
) -> None:
    """Record what became of a deposit, in the transaction of *connection*."""
    trail.append(
        connection,
        customer_chain(deposit.tree.customer),
        kind,
        upload=upload_id,
        case=case_or_none(deposit.tree.number),
        zone=deposit.zone,
        login=deposit.login,
        session=deposit.session_id,
        protocol=deposit.protocol,
        peer=deposit.peer,
        region=deposit.home,
        **details,
    )


def chain_of(connection: Connection, case_id: int) -> str:
    """Name the audit chain of a case's customer."""
    return customer_chain(_CUSTOMER.scalar(connection, {"case": case_id}))


def number_of(connection: Connection, case_id: int) -> str | None:
    """Return a case's number; None where it is the box of what names no case."""
    number: str = _NUMBER.scalar(connection, {"case": case_id})
    return case_or_none(number)
