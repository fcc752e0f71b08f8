"""Leave a process the files below a few directories, and no others: Landlock (linux/landlock.h, kernel 5.13 and later).

What is open stays open; nothing else can be opened, made, removed or run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_READ = _READ_FILE | _READ_DIR
_SCRATCH = _READ_FILE | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights to files each version of the interface knows; later ones know as many as the fifth."""
_CONNECT_AND_BIND = 0b11
_SCOPES = 0b11
"""Abstract Unix sockets, and signals, of processes outside."""


def version() -> int:
    """Return the version of the kernel's interface, 0 where it has none."""
    made = ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, 0, _VERSION)
    return max(0, int(made))


def restrict(*, readable: Iterable[Path], scratch: Iterable[Path]) -> bool:
    """Leave this process, for good, files below *readable* to read and below *scratch* to use; say whether it could."""
    abi = version()
    if abi == 0:
        return False
    rights = (1 << _RIGHTS.get(abi, 16)) - 1
    libc = ctypes.CDLL(None, use_errno=True)
    parts = [rights, *([_CONNECT_AND_BIND] if abi >= 4 else []), *([_SCOPES] if abi >= 6 else [])]
    attributes = struct.pack(f"<{len(parts)}Q", *parts)
    ruleset = int(libc.syscall(_CREATE, attributes, len(attributes), 0))
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _add(libc, ruleset, path, _READ & rights)
        for path in scratch:
            _add(libc, ruleset, path, _SCRATCH & rights)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            return False
        return bool(libc.syscall(_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _add(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    """Allow *rights* below *path*; a path that is not there allows nothing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not path.is_dir():
                rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
            libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("<Qi", rights, descriptor), 0)
        finally:
            os.close(descriptor)
