"""Durable jobs: our port of a handful of verbs, and DBOS behind it.

The catalog's rows are the authority on what is to be done; a job is how it gets done once begun. A job is named by
what it works on and its attempt, so that starting it twice starts it once. Steps run at least once and are
idempotent. Arguments are ids only: they lie in clear in the database until the job is forgotten.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from mft.catalog.database import open_job_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

PIPELINE_VERSION = "1"
"""Raised only when the steps of a job change so that one begun before could not go on."""
_EXECUTOR = "local"


class Jobs(Protocol):
    """Begin and finish jobs that outlive this process."""

    def start(self, kind: str, job_id: str, *arguments: str) -> None:
        """Begin a job of a registered kind; one of that id that was begun before is left alone."""

    def step(self, name: str, call: Callable[[], str]) -> str:
        """Within a job: do something once, as far as can be told, and remember its answer."""

    def live(self, kind: str) -> set[str]:
        """Return the ids of jobs of a kind that have begun and not ended."""

    def forget(self, *, before: float) -> int:
        """Drop the history of jobs that ended before a time (POSIX seconds); return how many."""

    def stop(self, *, patience: float) -> None:
        """End: wait up to *patience* seconds for jobs under way. What is not done goes on at the next start."""


def _plain(call: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """Make a function of *call*: the library marks what it registers, and a bound method takes no mark."""

    def work(first: str, second: str) -> None:
        call(first, second)

    return work


class DurableJobs:
    """Jobs on DBOS in the catalog's own database. One in each process, one process for each catalog."""

    def __init__(self, path: Path, kinds: Mapping[str, Callable[[str, str], None]]) -> None:
        """Register *kinds*: a name and what it does."""
        self._engine = open_job_engine(path)
        settings: DBOSConfig = {
            "name": "mft-intake",
            "system_database_url": f"sqlite:///{path}",
            "system_database_engine": self._engine,
            "application_version": PIPELINE_VERSION,
            "executor_id": _EXECUTOR,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "console_log_level": "CRITICAL",
            "max_executor_threads": 32,
            "notification_listener_polling_interval_sec": 1.0,
            "scheduler_polling_interval_sec": 30.0,
        }
        DBOS(config=settings)
        self._kinds = {name: DBOS.workflow(name=name)(_plain(call)) for name, call in kinds.items()}

    def launch(self) -> None:
        """Begin: go on with what an earlier process left unfinished."""
        DBOS.launch()

    def start(self, kind: str, job_id: str, *arguments: str) -> None:
        """Begin a job; one of that id that was begun before is left alone."""
        with SetWorkflowID(job_id):
            DBOS.start_workflow(self._kinds[kind], *arguments)

    def step(self, name: str, call: Callable[[], str]) -> str:
        """Within a job: do something and remember its answer."""
        return DBOS.run_step({"name": name}, call)

    def live(self, kind: str) -> set[str]:
        """Return the ids of jobs of a kind that have begun and not ended."""
        found = DBOS.list_workflows(name=kind, status=["PENDING", "ENQUEUED", "DELAYED"], load_input=False)
        return {status.workflow_id for status in found}

    def forget(self, *, before: float) -> int:
        """Drop the history of jobs that ended before a time."""
        ended = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            load_input=False,
            load_output=False,
            limit=1000,
        )
        old = [each.workflow_id for each in ended if (each.updated_at or 0) / 1000 < before]
        if old:
            DBOS.delete_workflows(old)
        return len(old)

    def stop(self, *, patience: float) -> None:
        """Wait up to *patience* seconds for jobs under way, and end."""
        DBOS.destroy(workflow_completion_timeout_sec=int(patience))
        self._engine.dispose()
