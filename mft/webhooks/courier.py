"""The courier: threads of the intake process that deliver what is due. No wait is slept through: waits are rows."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mft.webhooks.errors import DeliveryError
from mft.webhooks.post import GoneError
from mft.webhooks.signature import signed_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mft.webhooks.outbox import Letter, Outbox
    from mft.webhooks.post import Poster

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.5
PRUNE_SECONDS = 600.0


class Courier:
    """Delivers, as many at once as it has workers."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        poster: Poster,
        configured: Mapping[str, Sequence[bytes]],
        workers: int = 4,
        look: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take from *outbox* and give to *poster*; *configured* are the secrets of the configuration's endpoints."""
        self._outbox = outbox
        self._poster = poster
        self._configured = configured
        self._workers = workers
        self._look = look
        self._clock = clock
        self._busy: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._pool = ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="webhook")
        self._thread.start()

    def stop(self) -> None:
        """End: what is under way is waited for, within its own time-out. What is not delivered stays in the catalog."""
        self._stopped.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def attempt(self, letter: Letter) -> None:
        """Make one attempt, and note how it ended."""
        try:
            headers = signed_headers(
                letter.keys, message_id=letter.message_id, timestamp=int(self._clock()), body=letter.body
            )
            status = self._poster.post(letter.url, headers, letter.body)
        except DeliveryError as error:
            dead = self._outbox.failed(letter, error, gone=isinstance(error, GoneError))
            level = logging.ERROR if dead else logging.WARNING
            facts = {"endpoint": letter.endpoint, "delivery": letter.number, "attempt": letter.attempts + 1}
            log.log(level, "webhook.given_up" if dead else "webhook.failed", extra={**facts, "why": str(error)})
        else:
            self._outbox.delivered(letter, status)

    def _run(self) -> None:
        prune_due = 0.0
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                looked = self._outbox.spread()
                started = self._begin_due()
                if time.monotonic() >= prune_due:
                    self._outbox.prune()
                    prune_due = time.monotonic() + PRUNE_SECONDS
            except Exception:  # the border of this thread: one bad round must not end it
                log.exception("webhook.round_failed")
                looked = started = 0
            if not looked and not started:
                self._wake.wait(self._look)

    def _begin_due(self) -> int:
        if self._pool is None:
            return 0
        with self._lock:
            busy = set(self._busy)
        room = self._workers - len(busy)
        if room <= 0:
            return 0
        letters = self._outbox.due(limit=room, configured=self._configured, busy=busy)
        for letter in letters:
            with self._lock:
                self._busy.add((letter.endpoint, letter.stream))
            self._pool.submit(self._deliver, letter)
        return len(letters)

    def _deliver(self, letter: Letter) -> None:
        try:
            self.attempt(letter)
        except Exception:  # the border of this thread; the row is still due
            log.exception("webhook.attempt_failed")
            self._stopped.wait(self._look)
        finally:
            with self._lock:
                self._busy.discard((letter.endpoint, letter.stream))
            self._wake.set()
