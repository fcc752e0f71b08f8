"""Reading what lies in memory already, and nothing else: for callers that must not wait for a disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class CachedReads:
    """Reads one open file where that needs no disk: preadv2(2) with RWF_NOWAIT, or any read of a file in memory."""

    def __init__(self) -> None:
        """Find out at the first read what the file system can do."""
        self._flags: int | None = getattr(os, "RWF_NOWAIT", None)

    def read(self, fd: int, into: memoryview, offset: int) -> bool:
        """Fill *into* with the bytes at *offset*; False where they are not all at hand. Never raises `OSError`.

        A file system that cannot tell, as those of a network, always says no.
        """
        if self._flags is None:
            return False
        try:
            return os.preadv(fd, [into], offset, self._flags) == len(into)
        except OSError as error:
            if self._flags and error.errno in _UNSUPPORTED:
                self._flags = 0 if _is_in_memory(fd) else None
                return self.read(fd, into, offset)
            return False


def _is_in_memory(fd: int) -> bool:
    """Say whether an open file lies on a file system in memory, as proc(5) describes mounts."""
    device = os.fstat(fd).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return after.split()[:1] != [] and after.split()[0] in _IN_MEMORY
    return False
