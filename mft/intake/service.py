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

from sqlalchemy import select

from mft.catalog.model import UPLOADS
from mft.catalog.states import UploadState
from mft.intake.waiting import WaitingWork
from mft.shortage import shortage_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mft.catalog.database import Database
    from mft.intake.ahead import Ahead
    from mft.intake.batching import Batching
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
BURST_ROUND_SECONDS = 0.25
"""The same while many small files come: each look takes a little from those who send."""
LOOK_SECONDS = 1.0
"""How often it looks for work that nobody announced."""
SWEEP_SECONDS = 30.0
REST_SECONDS = 2.0
"""How long work that failed is left alone: what it lacks (keys, the nursery, room) is being brought back."""
ADOPT_SECONDS = 5.0
"""How long after the start jobs from before a crash have to go on by themselves."""
STARTED_PER_WORKER = 4
"""Jobs handed to the engine ahead of the workers, for each of them."""
LOOKED_AT = 512
"""Waiting uploads that are looked at together; small ones of a case become one job."""
COPIED_TOGETHER = 16
"""Copies of one job, at most: where many wait, each would cost a job more than it costs itself."""
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
        batching: Batching,
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
        self._batching = batching
        self._waiting = WaitingWork(database=database, host=host, settings=settings)
        self._copying = copying
        self._naming = naming
        self._sweep = sweep
        self._releasing = releasing
        self._rescanning = rescanning
        self._replacing = replacing
        self.placing = placing
        self._carrying = carrying
        self._settings = settings
        self._jobs: Jobs | None = None
        self._lock = threading.Lock()
        self._started: set[str] = set()
        self._under_way: set[str] = set()
        self._batches = 0
        """Batches started: one for each worker, so that what comes meanwhile makes the next one larger."""
        self._batched: set[str] = set()
        """What of the work is in one of them."""
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
            "batch": self._batch_job,
            "copy": self._copy_job,
            "copies": self._copies_job,
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
                self._sweep.hand_out_heads()
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
            round_seconds = BURST_ROUND_SECONDS if self._waiting.holds_back else ROUND_SECONDS
            time.sleep(max(0.0, began + round_seconds - time.monotonic()))
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
        self._start_uploads()
        self._start_copies()
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
        self._start_all(kind, [_work(kind, first, second)], first, second)

    def _start_all(self, kind: str, works: Sequence[str], first: str, second: str = "") -> bool:
        """Start one job that does all of *works*, and say so, unless some of that is begun already or is to rest."""
        now = time.monotonic()
        with self._lock:
            if any(work in self._started or now < self._resting.get(work, 0.0) for work in works):
                return False
            self._started.update(works)
        try:
            # A name that was never given before: the job engine would leave alone one that has failed.
            self._need_jobs().start(kind, f"{works[0]}:{secrets.token_hex(8)}", first, second)
        except BaseException:
            for work in works:
                self._end(work, rest=REST_SECONDS)
            raise
        return True

    def _need_jobs(self) -> Jobs:
        if self._jobs is None:
            raise RuntimeError("intake has no job engine yet")
        return self._jobs

    def _batch_job(self, upload_ids: str, _unused: str) -> None:
        """Do small files of one case together; nothing of it need be remembered, the uploads' rows say what is left."""
        try:
            with contextlib.ExitStack() as stack:
                works = {
                    each: stack.enter_context(self._alone(_work("scrub", each, ""))) for each in upload_ids.split(",")
                }
                if ids := [each for each, alone in works.items() if alone]:
                    self._batching.run(ids)
        finally:
            with self._lock:
                self._batches = max(0, self._batches - 1)

    def _scrub_job(self, upload_id: str, _unused: str) -> None:
        jobs = self._need_jobs()
        with self._alone(_work("scrub", upload_id, "")) as alone:
            if alone:
                with self._waiting_for_room(upload_id):
                    outcome = jobs.step("scrub", lambda: self._scrubbing.scrub(upload_id))
                    jobs.step("settle", lambda: self._settling.settle(upload_id, outcome))
                    self._batching.apart.discard(upload_id)

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

    def _copies_job(self, wanted: str, _unused: str) -> None:
        """Make several copies, one after the other; each notes itself what became of it."""
        for each in wanted.split(","):
            object_key, _, region = each.partition(":")
            with self._alone(_work("copy", object_key, region)) as alone:
                if alone:
                    self._copying.copy(object_key, region)

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
            self._batched.discard(work)
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

    def _start_uploads(self) -> None:
        """Start what waits to be scrubbed: small files of a case together, the others one by one."""
        started, taken = self._busy_with("scrub")
        waiting = self._waiting.uploads(
            taken=[work.split(":")[1] for work in taken],
            adopting=time.monotonic() >= self._adopt_at,
            most=LOOKED_AT,
        )
        if not waiting:
            return
        together, single = self._batching.groups(waiting)
        with self._lock:
            batches, alone = self._batches, len(set(started) - self._batched)
        for upload_ids in together[: max(0, self._settings.workers - batches)]:
            self._start_batch(upload_ids)
        for upload_id in single[: max(0, self._settings.workers * STARTED_PER_WORKER - alone)]:
            self._start("scrub", upload_id)

    def _waiting_rescans(self) -> list[tuple[str, str]]:
        """Return files of orders that nobody works on: never so many that what comes in would wait for all of them."""
        started, taken = self._busy_with("rescan")
        room = max(1, self._settings.workers // 2) - len(started)
        if room <= 0:
            return []
        found = self._rescanning.waiting(room + len(taken))
        return [each for each in found if _work("rescan", *each) not in taken][:room]

    def _start_batch(self, upload_ids: Sequence[str]) -> None:
        works = [_work("scrub", each, "") for each in upload_ids]
        with self._lock:
            self._batches += 1
            self._batched.update(works)
        begun = False
        try:
            begun = self._start_all("batch", works, ",".join(upload_ids))
        finally:
            if not begun:
                with self._lock:
                    self._batches = max(0, self._batches - 1)

    def _waiting_copies(self) -> list[tuple[str, str]]:
        """Return copies that nobody works on."""
        started, taken = self._busy_with("copy")
        most = self._settings.copy_workers * STARTED_PER_WORKER * COPIED_TOGETHER
        return self._waiting.copies(taken=taken, most=max(0, most - len(started)))

    def _start_copies(self) -> None:
        """Start copies: one by one where few wait, else several of a region in one job."""
        waiting = self._waiting_copies()
        if not waiting:
            return
        portion = max(1, len(waiting) // (self._settings.copy_workers * STARTED_PER_WORKER))
        for begin in range(0, len(waiting), portion):
            wanted = waiting[begin : begin + portion]
            if len(wanted) == 1:
                self._start("copy", *wanted[0])
                continue
            works = [_work("copy", object_key, region) for object_key, region in wanted]
            self._start_all("copies", works, ",".join(f"{object_key}:{region}" for object_key, region in wanted))


def _work(kind: str, first: str, second: str) -> str:
    return f"{kind}:{first}:{second}"
