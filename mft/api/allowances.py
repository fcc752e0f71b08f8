"""What every caller of the API has left: one table for all workers of an installation, in memory that they share.

The supervisor makes it before it forks, so a worker that is started again finds it as it was; a server that is started
again begins anew. Callers are told apart by 128 bits of a keyed hash, whose key nobody outside knows: no login can
be chosen to share another's place. A row that is torn by a worker's death is an empty one or holds what it held
before, and the lock on it goes with the process (`fcntl`, record locks): nobody is left waiting.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WAYS = 8
"""Rows of a set: a caller's row is one of these."""
SETS = 8192
"""65,536 rows, 2 MiB; pages that nobody has used take no memory."""
_ROW = struct.Struct("=16sdd")
"""The caller, requests left, and when they were counted (`time.monotonic`, which all processes of a machine share)."""
_EMPTY = bytes(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a request found."""

    granted: bool
    level: float
    """Requests left after it; less than one for a refusal."""
    crowded: float | None = None
    """Refused because every row of its set is another active caller's: seconds until the first of them is free."""


class Allowances:
    """The table. Make it before forking; use it in every process."""

    def __init__(self, *, sets: int = SETS) -> None:
        """Make an empty table of *sets* times `WAYS` rows."""
        self._sets = sets
        self._descriptor = os.memfd_create("mft-allowances", os.MFD_CLOEXEC)
        os.ftruncate(self._descriptor, sets * WAYS * _ROW.size)
        self._memory = mmap.mmap(self._descriptor, sets * WAYS * _ROW.size)
        self._key = os.urandom(32)
        self._lock = threading.Lock()

    def take(self, login: str, now: float, *, most: int, window: float) -> Taken:
        """Take one request of *login* out of what it has, which fills up evenly to *most* within *window* seconds."""
        caller = hashlib.blake2b(login.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()
        number = int.from_bytes(caller[:8], "big") % self._sets
        with self._locked(number):
            offset, level = self._find(number * WAYS * _ROW.size, caller, now, most=most, window=window)
            if offset < 0:
                return Taken(granted=False, level=0.0, crowded=level)
            granted = level >= 1
            left = level - 1 if granted else level
            self._write(offset, caller, left, now)
        return Taken(granted=granted, level=left)

    def close(self) -> None:
        """Let go of the memory in this process."""
        self._memory.close()
        os.close(self._descriptor)

    def _find(self, start: int, caller: bytes, now: float, *, most: int, window: float) -> tuple[int, float]:
        """Return where *caller*'s row is to be and what is left; (-1, seconds) where there is no room for it.

        Of other callers only who has everything left gives up a row: that row says no more than none.
        """
        free, soonest = -1, window
        for offset in range(start, start + WAYS * _ROW.size, _ROW.size):
            found, level, at = _ROW.unpack_from(self._memory, offset)
            level = min(float(most), level + max(0.0, now - at) * most / window)
            if found == caller:
                return offset, level
            if found == _EMPTY or level >= most:
                free = offset
            else:
                soonest = min(soonest, (most - level) * window / most)
        return (free, float(most)) if free >= 0 else (-1, soonest)

    def _write(self, offset: int, caller: bytes, level: float, now: float) -> None:
        """Write a row; if this process dies in between, the row is empty or nearly what it was."""
        if self._memory[offset : offset + 16] != caller:
            self._memory[offset : offset + 16] = _EMPTY
        struct.pack_into("=dd", self._memory, offset + 16, level, now)
        self._memory[offset : offset + 16] = caller

    @contextlib.contextmanager
    def _locked(self, number: int) -> Iterator[None]:
        """Keep other threads out of the table, and other processes out of one set."""
        with self._lock:  # record locks belong to the process: they do not keep its own threads apart
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, number)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)
