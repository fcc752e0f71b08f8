"""What keeps a process from showing its memory, and a scrub child from taking more than its share."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import signal
from dataclasses import dataclass

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME = 1, 4, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Cage:
    """What a scrub child may use."""

    memory: int
    """Bytes of address space."""
    cpu: int
    """Seconds of processor time."""
    file_size: int
    """Bytes of any one file that it writes."""


def forbid_dumps() -> None:
    """Let nobody read this process's memory: no core dump, no debugger, and it ends when its parent does."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def confine(cage: Cage) -> None:
    """Put this process under its limits: none of them can be raised again."""
    forbid_dumps()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, b"mft-scrub", 0, 0, 0)  # what `ps` shows
    resource.setrlimit(resource.RLIMIT_AS, (cage.memory, cage.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cage.cpu, cage.cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (cage.file_size, cage.file_size))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit then fails with EFBIG
