"""How every change of the registry is written: the row, its number for the workers, and its event, together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mft.audit import customer_chain
from mft.revocation import Subject, announce

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Where changes of the registry are written."""

    database: Database
    trail: AuditTrail
    regions: Collection[str]
    """The installation's regions: records may name these alone."""
    clock: Callable[[], float] = time.time
    """POSIX seconds."""

    def record(
        self, connection: Connection, event: str, subject: tuple[Subject, str], *, customer: str, **details: object
    ) -> None:
        """Announce the change of *subject* and write its *event*, in the write transaction of *connection*."""
        announce(connection, *subject, event, at=self.clock())
        self.trail.append(connection, customer_chain(customer), event, **details)
