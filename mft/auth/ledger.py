"""How every change of who may log in is written: the change, its number and its event in one transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mft.audit import customer_chain
from mft.revocation import Subject, announce

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where changes of accounts, keys and tokens are written."""

    database: Database
    audit: AuditTrail
    clock: Callable[[], float] = time.time
    """POSIX seconds."""

    def record(
        self,
        connection: Connection,
        event: str,
        subject: tuple[Subject, str],
        *,
        customer: str | None,
        **details: object,
    ) -> None:
        """Number the change of *subject* and write its *event*, in the write transaction of *connection*."""
        announce(connection, *subject, event, at=self.clock())
        self.audit.append(connection, customer_chain(customer), event, **details)
