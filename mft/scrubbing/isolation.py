"""Shut a scrub child in: no network, no new program or process, no file but what it was given and its own scratch."""

from __future__ import annotations

import resource
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from mft.scrubbing import landlock, seccomp

if TYPE_CHECKING:
    from collections.abc import Iterable

_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
"""Where shared libraries lie: a module of Python may be loaded when it is first needed."""


def lacking() -> list[str]:
    """Name what the kernel does not offer of what shuts a child in."""
    lacks = [] if landlock.version() else ["landlock"]
    return lacks if seccomp.available() else [*lacks, "seccomp"]


def shut_in(scratch: Iterable[Path]) -> None:
    """Leave this process code to read and *scratch* to use, and no way to a network, a program or another process.

    What the kernel does not have is left out; `lacking` says so beforehand.
    """
    landlock.restrict(readable=_code(), scratch=scratch)
    if (
        not seccomp.restrict()
    ):  # the next best: it counts all of a user's processes, threads too, and does not bind root
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _code() -> list[Path]:
    """Give where Python, its packages and ours lie; never a directory on the search path that could be anything."""
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    house = Path(__file__).resolve().parents[2]
    ours = [house / name for name in ("mft", "protocols", "casemap", "scrubber", "storage")]
    return [*map(Path, dict.fromkeys((*named, *_SYSTEM))), *ours]
