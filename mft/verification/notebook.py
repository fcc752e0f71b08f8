"""What was found wrong, and until when: in the catalog, with an event for each thing when it is found and mended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from mft.audit import customer_chain
from mft.catalog.model import INSTALLATION, OBJECT_FAULTS
from mft.verification.fault import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.verification.fault import Fault

_POSITION, _PASS = "verify.position", "verify.pass"


class Notebook:
    """Writes down what rounds find."""

    def __init__(self, *, database: Database, trail: AuditTrail, clock: Callable[[], float] = time.time) -> None:
        """Keep it in *database*, events in *trail*."""
        self._database = database
        self._trail = trail
        self._clock = clock

    def note(self, fault: Fault, *, by: str) -> None:
        """Write down a fault: an event when it is new, and one when it is mended."""
        if fault.flaw in UNSEEN:
            return
        now = self._clock()
        where = (
            (OBJECT_FAULTS.c.subject == fault.subject)
            & (OBJECT_FAULTS.c.region == fault.region)
            & (OBJECT_FAULTS.c.flaw == str(fault.flaw))
        )
        facts = {
            "object": fault.subject,
            "region": fault.region,
            "flaw": str(fault.flaw),
            "case": fault.case,
            "upload": fault.upload,
            "by": by,
        }
        ended = now if fault.mended else None
        with self._database.write() as connection:
            row = connection.execute(select(OBJECT_FAULTS.c.ended_at).where(where)).first()
            if row is None or row.ended_at is not None:
                told = fault.detail
                self._trail.append(
                    connection, customer_chain(fault.customer), "object.fault_found", **facts, why=told or None
                )
            if fault.mended:
                self._trail.append(
                    connection, customer_chain(fault.customer), "object.mended", **facts, why=fault.note or None
                )
            values = {"detail": fault.detail, "seen_at": now, "ended_at": ended}
            found = now if row is None or row.ended_at is not None else OBJECT_FAULTS.c.found_at
            statement = upsert(OBJECT_FAULTS).values(
                subject=fault.subject, region=fault.region, flaw=str(fault.flaw), found_at=now, **values
            )
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["subject", "region", "flaw"], set_={**values, "found_at": found}
                )
            )

    def since(self, subject: str, region: str) -> float | None:
        """Return when something of *subject* was first found wrong and still is, POSIX seconds."""
        with self._database.read() as connection:
            found: float | None = connection.execute(
                select(func.min(OBJECT_FAULTS.c.found_at)).where(
                    OBJECT_FAULTS.c.subject == subject,
                    OBJECT_FAULTS.c.region == region,
                    OBJECT_FAULTS.c.ended_at.is_(None),
                )
            ).scalar()
        return found

    def open_faults(self) -> set[tuple[str, str, str]]:
        """Return subject, region and flaw of everything that was wrong when it was last looked at."""
        with self._database.read() as connection:
            columns = (OBJECT_FAULTS.c.subject, OBJECT_FAULTS.c.region, OBJECT_FAULTS.c.flaw)
            rows = connection.execute(select(*columns).where(OBJECT_FAULTS.c.ended_at.is_(None)))
            return {(row.subject, row.region, row.flaw) for row in rows}

    def end(self, subject: str, region: str, flaw: str) -> None:
        """Write down that something is not wrong any more: somebody else has put it right, or it is gone."""
        with self._database.write() as connection:
            connection.execute(
                update(OBJECT_FAULTS)
                .where(
                    OBJECT_FAULTS.c.subject == subject, OBJECT_FAULTS.c.region == region, OBJECT_FAULTS.c.flaw == flaw
                )
                .values(ended_at=self._clock())
            )

    # -- where the background is ------------------------------------------------------------------------------------

    def position(self) -> str:
        """Return the object that the background has come to; empty: it is between two passes."""
        return self._value(_POSITION) or ""

    def move(self, position: str) -> None:
        """Keep how far the background has come."""
        self._keep(_POSITION, position)

    def last_pass(self) -> float | None:
        """Return when the background last came to the end of everything, POSIX seconds."""
        value = self._value(_PASS)
        return None if value is None else float(value)

    def end_pass(self) -> None:
        """Keep that the background has come to the end of everything."""
        self._keep(_PASS, repr(self._clock()))
        self._keep(_POSITION, "")

    def _value(self, key: str) -> str | None:
        with self._database.read() as connection:
            found: str | None = connection.execute(
                select(INSTALLATION.c.value).where(INSTALLATION.c.key == key)
            ).scalar()
        return found

    def _keep(self, key: str, value: str) -> None:
        statement = upsert(INSTALLATION).values(key=key, value=value)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def faults_by_flaw(connection: Connection) -> dict[str, int]:
    """Count what is wrong and not mended, by what it is: for metrics."""
    rows = connection.execute(
        select(OBJECT_FAULTS.c.flaw, func.count())
        .where(OBJECT_FAULTS.c.ended_at.is_(None))
        .group_by(OBJECT_FAULTS.c.flaw)
    )
    return {row[0]: row[1] for row in rows}


def last_pass(connection: Connection) -> float | None:
    """Return when the background last came to the end of everything, POSIX seconds: for metrics."""
    value = connection.execute(select(INSTALLATION.c.value).where(INSTALLATION.c.key == _PASS)).scalar()
    return None if value is None else float(value)
