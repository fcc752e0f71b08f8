"""What waits for intake: uploads that have landed, copies that are wanted.

Small files that a login sends one right after the other are left alone while they come: scrubbing them meanwhile takes
processors and the catalog's lock from those who send, and they make larger batches later (`PATIENCE` at most).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, and_, bindparam, exists, func, literal, not_, or_, select

from mft.box import ZONE
from mft.catalog.fixed import Fixed
from mft.catalog.model import ARCHIVE_PASSWORDS, BODIES, CASES, NODES, REPLICAS, UPLOADS
from mft.catalog.states import UploadState
from mft.standing import PART_SUFFIXES
from mft.upload.arrival import PLACING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mft.catalog.database import Database
    from mft.intake.settings import IntakeSettings

SMALL_BYTES = 256 * 1024
"""What is larger is worth a child of its own, and waits for nothing."""
BURST_SECONDS, BURST_FILES = 0.5, 32
"""So many files of one login within so many seconds are a burst: a full batch comes before one could be scrubbed."""
PATIENCE = 30.0
"""Seconds that a file of a burst waits at most."""
_GIVEN = exists().where(ARCHIVE_PASSWORDS.c.upload_id == UPLOADS.c.id).label("has_password")
_PART = or_(*(NODES.c.name.endswith(suffix) for suffix in PART_SUFFIXES))
_PLACEHOLDER = and_(UPLOADS.c.protocol == PLACING, UPLOADS.c.size == 0)
# Made once: to build it anew costs as much as to run it.
_UPLOADS = (
    select(
        UPLOADS.c.id,
        UPLOADS.c.case_id,
        UPLOADS.c.zone,
        UPLOADS.c.region,
        UPLOADS.c.login,
        UPLOADS.c.size,
        UPLOADS.c.attempts,
        UPLOADS.c.state,
        _GIVEN,
    )
    .join(NODES, NODES.c.id == UPLOADS.c.node_id)
    .where(
        UPLOADS.c.state.in_(bindparam("states", expanding=True)),
        UPLOADS.c.host == bindparam("here"),
        UPLOADS.c.zone != ZONE,
        UPLOADS.c.id.not_in(bindparam("taken", expanding=True)),
        not_(
            and_(
                UPLOADS.c.login.in_(bindparam("sending", expanding=True)),
                UPLOADS.c.size <= SMALL_BYTES,
                UPLOADS.c.attempts == 0,
                UPLOADS.c.landed_at > bindparam("patient"),
            )
        ),
        not_(and_(_PART, UPLOADS.c.landed_at > bindparam("patience"))),
        not_(and_(_PLACEHOLDER, UPLOADS.c.landed_at > bindparam("fresh"))),
    )
    .order_by(UPLOADS.c.landed_at)
    .limit(bindparam("most"))
)
_SENDING = Fixed(
    select(UPLOADS.c.login)
    .where(
        UPLOADS.c.state == UploadState.LANDED.value,
        UPLOADS.c.updated_at > bindparam("since"),
        UPLOADS.c.host == bindparam("here"),
    )
    .group_by(UPLOADS.c.login)
    .having(func.count() >= bindparam("burst"))
)
_COPIES = (
    select(REPLICAS.c.object_key, REPLICAS.c.region)
    .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
    .join(CASES, CASES.c.id == BODIES.c.case_id)
    .where(
        REPLICAS.c.state.in_(["wanted", "leaving"]),
        REPLICAS.c.due_at <= bindparam("now"),
        (literal("copy:") + REPLICAS.c.object_key + ":" + REPLICAS.c.region).not_in(bindparam("taken", expanding=True)),
    )
    .order_by(REPLICAS.c.state, CASES.c.priority, REPLICAS.c.due_at)  # what leaves goes first
    .limit(bindparam("most"))
)


class WaitingWork:
    """Finds what nobody works on."""

    def __init__(self, *, database: Database, host: str, settings: IntakeSettings) -> None:
        """Look in *database* for what landed on *host*."""
        self._database = database
        self._host = host
        self._settings = settings
        self.holds_back = False
        """Whether there is a burst that was left alone when uploads were last looked for."""

    def uploads(self, *, taken: Collection[str], adopting: bool, most: int) -> Sequence[Row[Any]]:
        """Return uploads, the oldest first: landed ones, and if *adopting* those that were left half scrubbed.

        *taken* are ids that are left out, as are bursts. For the columns see `Batching.groups`.
        """
        now = time.time()
        burst = {"since": now - BURST_SECONDS, "here": self._host, "burst": BURST_FILES}
        wanted = {
            "states": [UploadState.LANDED, UploadState.SCRUBBING] if adopting else [UploadState.LANDED],
            "here": self._host,
            "taken": list(taken),
            "patience": now - self._settings.resume_grace,
            "fresh": now - self._settings.placeholder,
            "patient": now - PATIENCE,
            "most": most,
        }
        with self._database.read() as connection:
            wanted["sending"] = [row.login for row in _SENDING.all(connection, burst)]
            self.holds_back = bool(wanted["sending"])
            return connection.execute(_UPLOADS, wanted).all()

    def copies(self, *, taken: Collection[str], most: int) -> list[tuple[str, str]]:
        """Return object keys and regions of copies to be made or taken away; *taken* is work that is left out."""
        wanted = {"now": time.time(), "taken": list(taken), "most": most}
        with self._database.read() as connection:
            return [(row.object_key, row.region) for row in connection.execute(_COPIES, wanted)]
