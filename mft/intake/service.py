"""The loop of the intake process: finds what is to be done, and starts the jobs that do it."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select as readiness
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import and_, literal, not_, or_, select

from mft.box import ZONE
from mft.catalog.model import BODIES, CASES, NODES, REPLICAS, UPLOADS
from mft.catalog.states import UploadState
from mft.shortage import shortage_of
from mft.standing import PART_SUFFIXES
from mft.upload.arrival import PLACING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from mft.catalog.database import Database
    from mft.intake.ahead import Ahead
    from mft.intake.carrying import Carrying
    from mft.intake.copying import Copying
    from mft.intake.naming import Naming
    from mft.intake.placing import Placing
    from mft.intake.releasing import Releasing
    from mft.intake.replacing import Replacing
    from mft.intake.rescanning import Rescanning
    from mft.intake.scrubbing import Scrubbing
    from mft.intake.settings import IntakeSettings
    from mft.intake.settling import Settling
    from mft.intake.sweep import Sweep
    from mft.jobs import Jobs

log = logging.getLogger(__name__)

ROUND_SECONDS = 0.05
"""From one look for work to the next, at least."""
LOOK_SECONDS = 1.0
"""How often it looks for work that nobody announced."""
SWEEP_SECONDS = 30.0
REST_SECONDS = 2.0
"""How long work that failed is left alone: what it lacks (keys, the nursery, room) is being brought back."""
ADOPT_SECONDS = 5.0
"""How long after the start jobs from before a crash have to go on by themselves."""
STARTED_PER_WORKER = 4
"""Jobs handed to the engine ahead of the workers, for each of them."""
HISTORY_SECONDS = 24 * 3600.0


class Intake:
    """Finds landed uploads, wanted copies and changed names, and has them worked on."""

    def __init__(
        self,
        *,
        database: Database,
        ahead: Ahead,
        scrubbing: Scrubbing,
        settling: Settling,
        copying: Copying,
        naming: Naming,
        sweep: Sweep,
        releasing: Releasing,
        rescanning: Rescanning,
        replacing: Replacing,
        placing: Placing,
        carrying: Carrying,
        host: str,
        settings: IntakeSettings,
        lacking: Callable[[Mapping[str, int]], None],
    ) -> None:
        """Work with the parts given; `attach` the job engine before anything else is called.

        *lacking* is told how many uploads wait for what the machine lacks, by its word (`mft.shortage`).
        """
        self._database = database
        self._ahead = ahead
        self._scrubbing = scrubbing
        self._settling = settling
        self._copying = copying
        self._naming = naming
        self._sweep = sweep
        self._releasing = releasing
        self._rescanning = rescanning
        self._replacing = replacing
        self.placing = placing
        self._carrying = carrying
        self._host = host
        self._settings = settings
        self._jobs: Jobs | None = None
        self._lock = threading.Lock()
        self._started: set[str] = set()
        self._under_way: set[str] = set()
        self._lacking: dict[str, str] = {}
        """Uploads that wait for what the machine lacks, and what that is."""
        self._tell_lacking = lacking
        self._resting: dict[str, float] = {}
        """Work that failed, and when it may be tried again."""
        self._adopt_at = time.monotonic() + ADOPT_SECONDS
        self._nudge: int | None = None
        """Where one byte tells the loop that a job has ended."""

    @property
    def kinds(self) -> Mapping[str, Callable[[str, str], None]]:
        """The kinds of jobs, for the job engine."""
        return {
            "scrub": self._scrub_job,
            "copy": self._copy_job,
            "release": self._release_job,
            "carry": self._carry_job,
            "rescan": self._rescan_job,
        }

    def attach(self, jobs: Jobs) -> None:
        """Use *jobs*, which may run a job from before at once."""
        self._jobs = jobs

    def run(self, wake: socket.socket, stopped: Callable[[], bool]) -> None:
        """Look for work when *wake* has something to read, when a job has ended, and every second; sweep at times."""
        sweep_due = 0.0
        ended, self._nudge = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        while not stopped():
            began = time.monotonic()
            try:
                self.start_due()
                self.look_ahead()
                if time.monotonic() >= sweep_due:
                    self._sweep.run()
                    self._releasing.expire()
                    self._replacing.clear()
                    self._need_jobs().forget(before=time.time() - HISTORY_SECONDS)
                    sweep_due = time.monotonic() + SWEEP_SECONDS
            except Exception:  # the worker loop: one bad round must not end it
                log.exception("intake.round_failed")
            ready = readiness.select([wake.fileno(), ended], [], [], LOOK_SECONDS)[0]
            # Where one thing follows the other, several are looked at together: a look costs as much as a file.
            time.sleep(max(0.0, began + ROUND_SECONDS - time.monotonic()))
            if wake.fileno() in ready:
                wake.recv(65536)
            if ended in ready:
                os.read(ended, 65536)
        self.close()

    def start_due(self) -> None:
        """Start a job for everything that waits and has none."""
        self._forget_lacking()
        for landing_id in self._carrying.waiting(self._settings.copy_workers):
            self._start("carry", landing_id)
        for upload_id in self._waiting_uploads():
            self._start("scrub", upload_id)
        for object_key, region in self._waiting_copies():
            self._start("copy", object_key, region)
        for upload_id in self._releasing.waiting(self._settings.workers):
            self._start("release", upload_id)
        for rescan_id, upload_id in self._waiting_rescans():
            self._start("rescan", rescan_id, upload_id)
        self._naming.show_renamed()

    def look_ahead(self) -> None:
        """Read on in what is still coming in."""
        self._ahead.look()

    def close(self) -> None:
        """End what it reads ahead."""
        self._ahead.close()

    def idle(self) -> bool:
        """Say whether nothing is under way."""
        with self._lock:
            return not self._started

    def _start(self, kind: str, first: str, second: str = "") -> None:
        work = _work(kind, first, second)
        with self._lock:
            if work in self._started or time.monotonic() < self._resting.get(work, 0.0):
                return
            self._started.add(work)
        try:
            # A name that was never given before: the job engine would leave alone one that has failed.
            self._need_jobs().start(kind, f"{work}:{secrets.token_hex(8)}", first, second)
        except BaseException:
            self._end(work, rest=REST_SECONDS)
            raise

    def _need_jobs(self) -> Jobs:
        if self._jobs is None:
            raise RuntimeError("intake has no job engine yet")
        return self._jobs

    def _scrub_job(self, upload_id: str, _unused: str) -> None:
        jobs = self._need_jobs()
        with self._alone(_work("scrub", upload_id, "")) as alone:
            if alone:
                with self._waiting_for_room(upload_id):
                    outcome = jobs.step("scrub", lambda: self._scrubbing.scrub(upload_id))
                    jobs.step("settle", lambda: self._settling.settle(upload_id, outcome))

    @contextlib.contextmanager
    def _waiting_for_room(self, upload_id: str) -> Iterator[None]:
        """Note what the machine lacked for an upload; that attempt is not counted against it."""
        lacked = None
        try:
            yield
        except Exception as error:
            lacked = shortage_of(error)
            if lacked is not None:
                log.warning("intake.machine_lacks", extra={"upload": upload_id, "what": lacked})
                self._scrubbing.forgive(upload_id)
            raise
        finally:
            with self._lock:
                if lacked is None:
                    self._lacking.pop(upload_id, None)
                else:
                    self._lacking[upload_id] = lacked
                waiting = Counter(self._lacking.values())
            self._tell_lacking(waiting)

    def _forget_lacking(self) -> None:
        """Let go of uploads that wait for nothing any more: they were destroyed, say, or taken back."""
        with self._lock:
            lacking = list(self._lacking)
        if not lacking:
            return
        waits = UPLOADS.c.state.in_([UploadState.LANDED, UploadState.SCRUBBING])
        with self._database.read() as connection:
            left = set(connection.execute(select(UPLOADS.c.id).where(UPLOADS.c.id.in_(lacking), waits)).scalars())
        with self._lock:
            for upload_id in set(lacking) - left:
                self._lacking.pop(upload_id, None)
            waiting = Counter(self._lacking.values())
        self._tell_lacking(waiting)

    def _release_job(self, upload_id: str, _unused: str) -> None:
        jobs = self._need_jobs()
        with self._alone(_work("release", upload_id, "")) as alone:
            if alone:
                outcome = jobs.step("release", lambda: self._releasing.copy(upload_id))
                jobs.step("settle", lambda: self._releasing.settle(upload_id, outcome))

    def _rescan_job(self, rescan_id: str, upload_id: str) -> None:
        jobs = self._need_jobs()
        with self._alone(_work("rescan", rescan_id, upload_id)) as alone:
            if alone:
                told = jobs.step("look", lambda: self._rescanning.look(rescan_id, upload_id))
                jobs.step("settle", lambda: self._replacing.settle(rescan_id, upload_id, told))

    def _copy_job(self, object_key: str, region: str) -> None:
        with self._alone(_work("copy", object_key, region)) as alone:
            if alone:
                self._need_jobs().step("copy", lambda: self._copying.copy(object_key, region))

    def _carry_job(self, landing_id: str, _unused: str) -> None:
        with self._alone(_work("carry", landing_id, "")) as alone:
            if alone:
                self._need_jobs().step("carry", lambda: self._carrying.carry(landing_id))

    @contextlib.contextmanager
    def _alone(self, work: str) -> Iterator[bool]:
        """Give whether nobody else is at this *work*: a job from before a crash may meet one that was started since."""
        with self._lock:
            alone = work not in self._under_way
            self._under_way.add(work)
            self._started.add(work)
        if not alone:
            yield False
            return
        rest = REST_SECONDS
        try:
            yield True
            rest = 0.0
        finally:
            self._end(work, rest=rest)

    def _end(self, work: str, *, rest: float) -> None:
        """Let *work* be started again if it still waits, after *rest* seconds."""
        now = time.monotonic()
        with self._lock:
            self._started.discard(work)
            self._under_way.discard(work)
            self._resting = {each: due for each, due in self._resting.items() if due > now}
            if rest:
                self._resting[work] = now + rest
        if self._nudge is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._nudge, b"1")

    def _busy_with(self, kind: str) -> tuple[list[str], list[str]]:
        """Return the work of a *kind* that is started, and all that is not to be started now."""
        now = time.monotonic()
        with self._lock:
            started = [work for work in self._started if work.startswith(f"{kind}:")]
            resting = [work for work, due in self._resting.items() if due > now and work.startswith(f"{kind}:")]
        return started, [*started, *resting]

    def _waiting_uploads(self) -> list[str]:
        """Return uploads that nobody works on: landed ones, and those that a crash or a failure left half scrubbed."""
        part = or_(*(NODES.c.name.endswith(suffix) for suffix in PART_SUFFIXES))
        patience = UPLOADS.c.landed_at > time.time() - self._settings.resume_grace
        placeholder = and_(UPLOADS.c.protocol == PLACING, UPLOADS.c.size == 0)
        fresh = UPLOADS.c.landed_at > time.time() - self._settings.placeholder
        states = [UploadState.LANDED]
        if time.monotonic() >= self._adopt_at:
            states.append(UploadState.SCRUBBING)
        started, taken = self._busy_with("scrub")
        with self._database.read() as connection:
            rows = connection.execute(
                select(UPLOADS.c.id)
                .join(NODES, NODES.c.id == UPLOADS.c.node_id)
                .where(
                    UPLOADS.c.state.in_(states),
                    UPLOADS.c.host == self._host,
                    UPLOADS.c.zone != ZONE,
                    UPLOADS.c.id.not_in([work.split(":")[1] for work in taken]),
                    not_(and_(part, patience)),
                    not_(and_(placeholder, fresh)),
                )
                .order_by(UPLOADS.c.landed_at)
                .limit(max(0, self._settings.workers * STARTED_PER_WORKER - len(started)))
            )
            return [row.id for row in rows]

    def _waiting_rescans(self) -> list[tuple[str, str]]:
        """Return files of orders that nobody works on: never so many that what comes in would wait for all of them."""
        started, taken = self._busy_with("rescan")
        room = max(1, self._settings.workers // 2) - len(started)
        if room <= 0:
            return []
        found = self._rescanning.waiting(room + len(taken))
        return [each for each in found if _work("rescan", *each) not in taken][:room]

    def _waiting_copies(self) -> list[tuple[str, str]]:
        started, taken = self._busy_with("copy")
        work = literal("copy:") + REPLICAS.c.object_key + ":" + REPLICAS.c.region
        with self._database.read() as connection:
            rows = connection.execute(
                select(REPLICAS.c.object_key, REPLICAS.c.region)
                .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
                .join(CASES, CASES.c.id == BODIES.c.case_id)
                .where(
                    REPLICAS.c.state.in_(["wanted", "leaving"]), REPLICAS.c.due_at <= time.time(), work.not_in(taken)
                )
                .order_by(REPLICAS.c.state, CASES.c.priority, REPLICAS.c.due_at)  # what leaves goes first
                .limit(max(0, self._settings.copy_workers * STARTED_PER_WORKER - len(started)))
            )
            return [(row.object_key, row.region) for row in rows]


def _work(kind: str, first: str, second: str) -> str:
    return f"{kind}:{first}:{second}"
