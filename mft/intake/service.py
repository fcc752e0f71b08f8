"""The loop of the intake process: finds what is to be done, and starts the jobs that do it."""

from __future__ import annotations

import logging
import select as readiness
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import and_, not_, or_, select

from mft.catalog.model import NODES, REPLICAS, UPLOADS
from mft.catalog.states import UploadState

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from mft.catalog.database import Database
    from mft.intake.copying import Copying
    from mft.intake.naming import Naming
    from mft.intake.scrubbing import Scrubbing
    from mft.intake.settings import IntakeSettings
    from mft.intake.settling import Settling
    from mft.intake.sweep import Sweep
    from mft.jobs import Jobs

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often it looks for work that nobody announced."""
SWEEP_SECONDS = 30.0
HISTORY_SECONDS = 24 * 3600.0
PART_SUFFIXES = (".part", ".filepart")
"""Endings of files that their client will rename once they are whole; they are scrubbed under their final name."""


class Intake:
    """Finds landed uploads, wanted copies and changed names, and has them worked on."""

    def __init__(
        self,
        *,
        database: Database,
        scrubbing: Scrubbing,
        settling: Settling,
        copying: Copying,
        naming: Naming,
        sweep: Sweep,
        host: str,
        settings: IntakeSettings,
    ) -> None:
        """Work with the parts given; `attach` the job engine before anything else is called."""
        self._database = database
        self._scrubbing = scrubbing
        self._settling = settling
        self._copying = copying
        self._naming = naming
        self._sweep = sweep
        self._host = host
        self._settings = settings
        self._jobs: Jobs | None = None
        self._running: set[str] = set()
        self._running_lock = threading.Lock()

    @property
    def kinds(self) -> Mapping[str, Callable[[str, str], None]]:
        """The kinds of jobs, for the job engine."""
        return {"scrub": self._scrub_job, "copy": self._copy_job}

    def attach(self, jobs: Jobs) -> None:
        """Use *jobs*, which may run a job from before at once."""
        self._jobs = jobs

    def run(self, wake: socket.socket, stopped: Callable[[], bool]) -> None:
        """Look for work when *wake* has something to read, and every second; sweep twice a minute."""
        sweep_due = 0.0
        while not stopped():
            try:
                self.start_due()
                if time.monotonic() >= sweep_due:
                    self._sweep.run()
                    self._need_jobs().forget(before=time.time() - HISTORY_SECONDS)
                    sweep_due = time.monotonic() + SWEEP_SECONDS
            except Exception:  # the worker loop: one bad round must not end it
                log.exception("intake.round_failed")
            if readiness.select([wake], [], [], LOOK_SECONDS)[0]:
                wake.recv(65536)

    def start_due(self) -> None:
        """Start a job for everything that waits and has none."""
        for upload_id, attempts in self._waiting_uploads():
            self._start("scrub", f"scrub:{upload_id}:{attempts}", upload_id)
        for object_key, region, attempts in self._waiting_copies():
            self._start("copy", f"copy:{object_key}:{region}:{attempts}", object_key, region)
        self._naming.show_renamed()

    def idle(self) -> bool:
        """Say whether nothing is under way."""
        with self._running_lock:
            return not self._running

    def _start(self, kind: str, job_id: str, first: str, second: str = "") -> None:
        with self._running_lock:
            if job_id in self._running:
                return
            self._running.add(job_id)
        self._need_jobs().start(kind, job_id, first, second)

    def _need_jobs(self) -> Jobs:
        if self._jobs is None:
            raise RuntimeError("intake has no job engine yet")
        return self._jobs

    def _scrub_job(self, upload_id: str, _unused: str) -> None:
        jobs = self._need_jobs()
        try:
            outcome = jobs.step("scrub", lambda: self._scrubbing.scrub(upload_id))
            jobs.step("settle", lambda: self._settling.settle(upload_id, outcome))
        finally:
            self._ended(f"scrub:{upload_id}:")

    def _copy_job(self, object_key: str, region: str) -> None:
        try:
            self._need_jobs().step("copy", lambda: self._copying.copy(object_key, region))
        finally:
            self._ended(f"copy:{object_key}:{region}:")

    def _ended(self, prefix: str) -> None:
        with self._running_lock:
            self._running = {job_id for job_id in self._running if not job_id.startswith(prefix)}

    def _waiting_uploads(self) -> list[tuple[str, int]]:
        part = or_(*(NODES.c.name.endswith(suffix) for suffix in PART_SUFFIXES))
        patience = UPLOADS.c.landed_at > time.time() - self._settings.resume_grace
        with self._database.read() as connection:
            rows = connection.execute(
                select(UPLOADS.c.id, UPLOADS.c.attempts)
                .join(NODES, NODES.c.id == UPLOADS.c.node_id)
                .where(
                    UPLOADS.c.state == UploadState.LANDED,
                    UPLOADS.c.host == self._host,
                    not_(and_(part, patience)),
                )
                .order_by(UPLOADS.c.landed_at)
                .limit(self._settings.workers * 4)
            )
            return [(row.id, row.attempts) for row in rows]

    def _waiting_copies(self) -> list[tuple[str, str, int]]:
        with self._database.read() as connection:
            rows = connection.execute(
                select(REPLICAS.c.object_key, REPLICAS.c.region, REPLICAS.c.attempts)
                .where(REPLICAS.c.state == "wanted", REPLICAS.c.due_at <= time.time())
                .order_by(REPLICAS.c.due_at)
                .limit(self._settings.copy_workers * 4)
            )
            return [(row.object_key, row.region, row.attempts) for row in rows]
