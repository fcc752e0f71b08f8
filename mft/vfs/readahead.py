"""Small objects that are opened before they are asked for, while a session reads a directory file by file.

Whoever fetches a folder (`get -r`, a mount that is searched) opens one file after the other, in the order of the
listing, and waits for each: for its slot and its body, which may lie in a bucket, and for its key. What comes next is
opened beside that, a few objects together. Only the object is: whether the session may read it, which version it is
and that it is on record are seen to when it is opened, as ever. What nobody asks for is closed unread.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mft.vfs.tree import next_objects
from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mft.catalog.database import Database
    from mft.objects import Objects, OpenedObject
    from mft.policy import Residency
    from mft.vfs.tree import Place
    from storage.store import ObjectKey

SMALL_BYTES = 128 * 1024
"""What is not larger lies in one segment, which is fetched when it is opened: what is read of it then is at hand."""
_IN_A_ROW = 3
"""Files of a directory, opened one after the other in its order, after which more are expected."""
_FIRST, _MOST = 4, 16
"""Objects that are opened ahead at first, and at most, for one session."""
_MANY, _FEW = 8, 2
"""Objects that a thread opens, one after the other, with one question for their keys: where that is quick, and where
the store is waited for at each, so that the threads wait beside one another."""
_SLOW = 0.005
"""Seconds for an object from which on a store is waited for."""
_WASTED = 8
"""Objects more than were asked for, after which a session's guesses in a directory count as wrong."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Objects that are opened together."""

    waiting: set[ObjectKey]
    """Those that nobody has taken yet."""
    begun: float
    opened: Future[Mapping[ObjectKey, OpenedObject]] = field(default_factory=Future)


class ReadAhead:
    """What one process has opened ahead, for all of its sessions."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Objects,
        threads: int = 8,
        most: int = 128,
        seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open *objects* on *threads*.

        Args:
            database: the catalog, which knows what stands where.
            objects: what opens.
            threads: batches that are opened at once.
            most: objects that may be open and not taken yet; the oldest go first.
            seconds: how long one may wait to be taken.
            clock: monotonic seconds.
        """
        self.database = database
        self._objects = objects
        self._most = most
        self._seconds = seconds
        self.clock = clock
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
        self._lock = threading.Lock()
        self._batches: dict[_Batch, None] = {}
        """In the order in which they were begun."""
        self._pace = 0.0
        """Seconds that an object has taken of late."""

    @property
    def together(self) -> int:
        """Number of objects that make a batch."""
        return _FEW if self._pace > _SLOW else _MANY

    @property
    def waiting(self) -> int:
        """Number of objects that are open, or being opened, and not taken."""
        with self._lock:
            return sum(len(batch.waiting) for batch in self._batches)

    def begin(self, keys: list[ObjectKey], residency: Residency, listener: str) -> _Batch | None:
        """Begin to open *keys*; None: the process ends."""
        batch = _Batch(waiting=set(keys), begun=self.clock())
        with self._lock:
            self._batches[batch] = None
        self.sweep()
        try:
            self._pool.submit(self._open, batch, keys, residency, listener)
        except RuntimeError:  # the pool is closed
            self._forget(batch)
            return None
        return batch

    def take(self, batch: _Batch, key: ObjectKey) -> OpenedObject | None:
        """Return what *batch* has opened of *key*, waiting for it if that has begun; None: open it yourself."""
        with self._lock:
            if key not in batch.waiting:  # swept
                return None
            batch.waiting.discard(key)
            if not batch.waiting:
                self._batches.pop(batch, None)
        if batch.opened.cancel():  # no thread has come to it: the rest is not worth waiting for either
            self._forget(batch)
            return None
        return batch.opened.result().get(key)

    def drop(self, batch: _Batch, key: ObjectKey) -> None:
        """Close *key*, which was not asked for."""
        with self._lock:
            if key not in batch.waiting:
                return
            batch.waiting.discard(key)
            if not batch.waiting:
                self._batches.pop(batch, None)
        _close(batch, {key})

    def sweep(self) -> None:
        """Close what has waited for too long, and the oldest of what is too much."""
        old = self.clock() - self._seconds
        gone: list[tuple[_Batch, set[ObjectKey]]] = []
        with self._lock:
            over = sum(len(batch.waiting) for batch in self._batches) - self._most
            for batch in list(self._batches):
                if batch.begun > old and over <= 0:
                    break
                over -= len(batch.waiting)
                gone.append((batch, batch.waiting))
                batch.waiting = set()
                del self._batches[batch]
        for batch, keys in gone:
            _close(batch, keys)

    def close(self) -> None:
        """Let go of everything."""
        self._seconds = -1.0
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.sweep()

    def _forget(self, batch: _Batch) -> None:
        with self._lock:
            batch.waiting = set()
            self._batches.pop(batch, None)

    def _open(self, batch: _Batch, keys: list[ObjectKey], residency: Residency, listener: str) -> None:
        if not batch.opened.set_running_or_notify_cancel():
            return
        opened: Mapping[ObjectKey, OpenedObject] = {}
        start = self.clock()
        with contextlib.suppress(Exception):  # whoever asks for one of them opens it himself, and is told
            opened = self._objects.open_together(keys, residency, listener)
            for each in opened.values():
                with contextlib.suppress(StorageError):  # which the first read says
                    each.reader.read(0, 1)
        self._pace = (self._pace + (self.clock() - start) / len(keys)) / 2
        batch.opened.set_result(opened)


def _close(batch: _Batch, keys: set[ObjectKey]) -> None:
    """Close *keys* of a batch, now or once it is open."""

    def close(opened: Future[Mapping[ObjectKey, OpenedObject]]) -> None:
        if not opened.cancelled():
            for key, each in opened.result().items():
                if key in keys:
                    each.reader.close()

    batch.opened.add_done_callback(close)


class Lookahead:
    """The files that one session opens, one after the other, and what was opened ahead for it."""

    def __init__(self, ahead: ReadAhead, *, listener: str) -> None:
        """Have *ahead* open what will come next for who came in by *listener*'s region."""
        self._ahead = ahead
        self._listener = listener
        self._lock = threading.Lock()
        self._here: tuple[Place, Residency] | None = None
        self._last = ""
        self._row = 0
        self._reached: str | None = None
        """Up to which name objects were opened ahead; None: nothing was yet."""
        self._at_end = False
        self._opened: dict[ObjectKey, tuple[str, _Batch]] = {}
        self._used = 0
        self._wasted = 0
        self._depth = _FIRST

    def take(self, key: ObjectKey, residency: Residency) -> OpenedObject | None:
        """Return *key* if it was opened ahead under the same rules; None: it is to be opened."""
        with self._lock:
            if key not in self._opened or self._here is None or self._here[1] != residency:
                return None
            _, batch = self._opened.pop(key)
            self._used += 1
        return self._ahead.take(batch, key)

    def note(self, place: Place, residency: Residency, name: str) -> None:
        """Note that the file *name* of *place* was opened, and begin with the next ones where they are expected."""
        with self._lock:
            in_order = self._here == (place, residency) and name > self._last
            if not in_order:
                self._begin_anew(place, residency)
            self._row += 1
            self._last = name
            self._drop_passed(name)
            if self._row < _IN_A_ROW or self._at_end or self._wasted > self._used + _WASTED:
                return
            if len(self._opened) > self._depth // 2:
                return
            if self._reached is not None:
                self._depth = min(self._depth * 2, _MOST)
            self._go_on(place, residency)

    def _begin_anew(self, place: Place, residency: Residency) -> None:
        for key, (_, batch) in self._opened.items():
            self._ahead.drop(batch, key)
        self._opened = {}
        self._here = (place, residency)
        self._row = self._used = self._wasted = 0
        self._reached, self._at_end, self._depth = None, False, _FIRST

    def _drop_passed(self, name: str) -> None:
        """Let go of what stood before *name*: the session has not asked for it."""
        for key in [key for key, (other, _) in self._opened.items() if other <= name]:
            other, batch = self._opened.pop(key)
            if other < name:
                self._wasted += 1
            self._ahead.drop(batch, key)

    def _go_on(self, place: Place, residency: Residency) -> None:
        after = self._last if self._reached is None else max(self._last, self._reached)
        wanted = self._depth - len(self._opened)
        found = next_objects(self._ahead.database, place, after, wanted)
        self._at_end = len(found) < wanted
        if found:
            self._reached = found[-1].name
        small = [each for each in found if each.key is not None and each.size <= SMALL_BYTES]
        together = self._ahead.together
        for start in range(0, len(small), together):
            some = small[start : start + together]
            batch = self._ahead.begin([each.key for each in some if each.key is not None], residency, self._listener)
            if batch is not None:
                self._opened |= {each.key: (each.name, batch) for each in some if each.key is not None}
