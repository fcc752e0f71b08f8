"""Threads that carry tasks out, each with a connection of its own, as many as are worth it; broken ones again."""

from __future__ import annotations

import collections
import random
import threading
import time
from typing import TYPE_CHECKING

from mft.client.connection import Line
from mft.client.errors import UnreachableError
from mft.client.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from mft.client.connection import Server

    Task = Callable[[Line], None]

PATIENCE = 120.0
"""Seconds without a byte of progress after which a transfer is given up; a later run goes on."""
FIRST_PATIENCE = 10.0
"""The same where the server has never answered: it is more likely an address that is wrong than a break."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0


class Meter:
    """Bytes that are through, for whoever shows or judges them. Safe for several threads."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._lock = threading.Lock()
        self._most = 0
        self.done = 0
        self.moved = time.monotonic()
        """When more was through than ever before: bytes that are sent anew are no progress."""

    def add(self, count: int) -> None:
        """Count *count* bytes; less than nothing where they have to be sent again."""
        with self._lock:
            self.done += count
            if self.done > self._most:
                self._most, self.moved = self.done, time.monotonic()

    def prove(self) -> None:
        """Learn that the other side has more than it was known to have: progress, however much had been sent."""
        with self._lock:
            self.moved = time.monotonic()


class Crew:
    """Carries out tasks. A task that raises `UnreachableError` is begun again; any other error ends all."""

    def __init__(self, server: Server, meter: Meter, *, streams: int | None = None) -> None:
        """Connect to *server*; keep to *streams* connections where that is said."""
        self._spare: list[Line] = []
        self._server = server
        self._meter = meter
        self._pace = Pace(fixed=streams)
        self._tasks: collections.deque[Task] = collections.deque()
        self._changed = threading.Condition()
        self._busy = 0
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None
        self._closed = False
        self._met = False
        """Whether any connection has come about."""

    def add(self, task: Task, *, first: bool = False) -> None:
        """Have *task* carried out; before all others where it is to be *first*."""
        with self._changed:
            (self._tasks.appendleft if first else self._tasks.append)(task)
            self._changed.notify()

    @property
    def busy(self) -> int:
        """How many tasks are being carried out."""
        return self._busy

    def meet(self, round_trip: float) -> None:
        """Learn how far the server is, in seconds there and back."""
        self._met = True
        self._pace.meet(round_trip)

    def lend(self, line: Line) -> None:
        """Have *line*, which is open already, be the connection of whoever begins first."""
        self._spare.append(line)

    def run(self, show: Callable[[int, int], None]) -> None:
        """Return once every task is done; *show* is called now and then with bytes and connections.

        Raises:
            ClientError: what ended it.
        """
        try:
            while True:
                streams = self._pace.look(time.monotonic(), self._meter.done)
                with self._changed:
                    self._hire(streams)
                    if self._failure is not None:
                        raise self._failure
                    if not self._tasks and not self._busy:
                        return
                    self._changed.wait(0.1)
                show(self._meter.done, len(self._threads))
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            for thread in self._threads:
                thread.join(0.2 if self._failure is not None else 5.0)

    def _hire(self, streams: int) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        while len(self._threads) < streams and len(self._threads) < self._busy + len(self._tasks):
            thread = threading.Thread(target=self._work, name="stream", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        with self._line() as line:
            while (task := self._next()) is not None:
                try:
                    self._carry_out(task, line)
                except BaseException as error:  # noqa: BLE001 -- the border of a thread: told to who waits
                    with self._changed:
                        self._failure = self._failure or error
                finally:
                    with self._changed:
                        self._busy -= 1
                        self._changed.notify_all()

    def _line(self) -> Line:
        with self._changed:
            return self._spare.pop() if self._spare else Line(self._server, met=self.meet)

    def _next(self) -> Task | None:
        with self._changed:
            while not self._tasks:
                if self._closed or self._failure is not None:
                    return None
                self._changed.wait(0.5)
            if self._closed or self._failure is not None:
                return None
            self._busy += 1
            return self._tasks.popleft()

    def _carry_out(self, task: Task, line: Line) -> None:
        pause = _FIRST_PAUSE
        began = time.monotonic()
        while True:
            before = self._meter.moved
            try:
                return task(line)
            except UnreachableError as error:
                line.close()
                now = time.monotonic()
                patience = PATIENCE if self._met else FIRST_PATIENCE
                if now - max(self._meter.moved, began) > patience:
                    raise UnreachableError(f"{error}; gave up after {patience:.0f} s, run it again to go on") from error
                if self._meter.moved > before:
                    pause = _FIRST_PAUSE
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- no secret: a jitter
                pause = min(pause * 2, _LONGEST_PAUSE)
            if self._closed:
                return None
