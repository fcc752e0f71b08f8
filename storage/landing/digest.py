"""SHA-256 of a file while it arrives: it follows the contiguous prefix, on a thread of its own.

Sealed buffers at the frontier are handed over and hashed there, a few at most; a gap that is filled later is read again
from the log. What was hashed and is then rewritten takes the digest back to a checkpoint. Where it lags far behind, the
digest stays pending, and whoever processes the file computes it: re-reading tens of gigabytes must not hold a reply.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import deque
from typing import TYPE_CHECKING

from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKPOINT_BYTES = 64 * 1024 * 1024
CATCH_UP_BYTES = 64 * 1024 * 1024
"""A lag up to this is made up for by reading the log again; a longer one is left pending."""
QUEUED_BUFFERS = 2
"""Sealed buffers that may wait for the thread: of 512 KiB each, 1 MiB an upload."""
_WORTH_WAKING = 2
"""Sealed buffers for which the thread is woken: a hand-over costs the writer as much as sealing one."""
_READ_BYTES = 256 * 1024
_TURN_BUFFERS = 32
"""Buffers that one upload hashes before others get their turn on the thread."""


_AT_ONCE = 256 * 1024
"""Bytes of a file that is hashed by whoever asks for its digest."""


class FrontierDigest:
    """The digest of one upload. Its methods are called by the writer, under the writer's lock."""

    def __init__(
        self, submit: Callable[[Callable[[], None]], object] | None, read: Callable[[int, int], bytes]
    ) -> None:
        """Hash on a thread that *submit* provides; *read* gives the sealed bytes from one offset to another.

        Without *submit* nothing is hashed.
        """
        self._submit = submit
        self._read = read
        self._changed = threading.Condition()
        self._sha = hashlib.sha256()
        self._checkpoints: list[tuple[int, hashlib._Hash]] = [(0, hashlib.sha256())]
        self._done = 0
        """Bytes hashed."""
        self._next = 0
        """Bytes hashed or about to be: where the next buffer must begin."""
        self._prefix = 0
        """Bytes that are contiguous and sealed: how far it may read."""
        self._queue: deque[tuple[memoryview, int]] = deque()
        self._spare: list[memoryview] = []
        self._epoch = 0
        self._running = False
        """Whether a thread works for this upload, or is asked to."""
        self._hashing = False
        """Whether a step is under way: one at a time."""
        self._failed = submit is None
        """Whether the digest cannot be known any more, or was never wanted."""

    def take_buffer(self, size: int) -> memoryview:
        """Return a buffer of *size* bytes: one that has been hashed, or a new one."""
        with self._changed:
            return self._spare.pop() if self._spare else memoryview(bytearray(size))

    def offer(self, offset: int, buffer: memoryview, length: int) -> bool:
        """Take the first *length* bytes of *buffer*, which lie at *offset*, if they are at the frontier.

        Returns whether *buffer* was taken: then the caller needs another one. Where too many wait already, the caller
        waits for one to be hashed, or hashes one itself: memory stays bounded, and the frontier is not lost.
        """
        while True:
            with self._changed:
                if self._failed or offset != self._next:
                    return False
                if len(self._queue) < QUEUED_BUFFERS:
                    self._queue.append((buffer, length))
                    self._next += length
                    self._prefix = max(self._prefix, self._next)
                    self._start()
                    return True
                if self._hashing:
                    self._changed.wait()
                    continue
            self._step()

    def advance(self, prefix: int) -> None:
        """Learn that the first *prefix* bytes are sealed without a hole."""
        with self._changed:
            self._prefix = prefix
            self._start()

    def rewind(self, offset: int) -> None:
        """Learn that bytes from *offset* on have changed, or are gone."""
        with self._changed:
            if offset >= self._next:
                return
            self._epoch += 1
            self._spare.extend(buffer for buffer, _ in self._queue)
            self._queue.clear()
            while self._checkpoints[-1][0] > offset:
                self._checkpoints.pop()
            self._done, checkpoint = self._checkpoints[-1]
            self._sha = checkpoint.copy()
            self._next = self._done
            self._prefix = min(self._prefix, offset)

    def result(self, size: int, patience_seconds: float) -> bytes | None:
        """Return the digest of the first *size* bytes; None where it is not known within *patience_seconds*."""
        while size <= _AT_ONCE and self._step():
            pass  # to wake a thread takes longer than so little
        with self._changed:
            if size - self._done > CATCH_UP_BYTES:
                return None
            self._start(least=1)
            self._changed.wait_for(lambda: self._done >= size or self._failed, patience_seconds)
            return self._sha.copy().digest() if self._done == size else None

    def _start(self, least: int = _WORTH_WAKING) -> None:
        """Have a thread hash, if *least* buffers wait, or a gap in front of them was closed."""
        if self._submit is not None and not self._running and self._work_left() and not 0 < len(self._queue) < least:
            self._running = True
            try:
                self._submit(self._run)
            except RuntimeError:  # the zone is closing, and its threads with it
                self._running, self._failed = False, True

    def _work_left(self) -> bool:
        lag = self._prefix - self._next
        return not self._failed and (bool(self._queue) or 0 < lag <= CATCH_UP_BYTES)

    def _run(self) -> None:
        """Hash one turn's worth; the only one of this upload that runs."""
        # The log cannot be read: it was closed meanwhile, or altered, which its next reader will be told.
        with contextlib.suppress(StorageError, ValueError):
            for _ in range(_TURN_BUFFERS):
                if not self._step():
                    break
        with self._changed:
            self._running = False
            self._start()
            self._changed.notify_all()

    def _step(self) -> bool:
        """Hash one buffer, or as much from the log; return whether there was any."""
        with self._changed:
            self._changed.wait_for(lambda: not self._hashing)
            if not self._work_left():
                return False
            epoch, sha, offset = self._epoch, self._sha, self._done
            if self._queue:
                buffer, length = self._queue.popleft()
            else:
                buffer, length = None, min(_READ_BYTES, self._prefix - self._done)
                self._next = self._done + length
            self._hashing = True
        hashed = False
        try:
            sha.update(self._read(offset, offset + length) if buffer is None else buffer[:length])
            hashed = True
        finally:
            with self._changed:
                self._hashing = False
                self._failed = self._failed or not hashed
                if buffer is not None and len(self._spare) < QUEUED_BUFFERS:
                    self._spare.append(buffer)
                if hashed and epoch == self._epoch:
                    self._done += length
                    if self._done - self._checkpoints[-1][0] >= CHECKPOINT_BYTES:
                        self._checkpoints.append((self._done, sha.copy()))
                self._changed.notify_all()
        return True
