"""Find swap space on which memory, with keys and customers' data, would lie in clear."""

from __future__ import annotations

import os
from pathlib import Path


def unencrypted_swap(proc: Path = Path("/proc"), system: Path = Path("/sys"), dev: Path = Path("/dev")) -> list[str]:
    """Name the swap areas that are neither on dm-crypt nor in memory (zram).

    /proc/swaps has a line each (proc(5)); a device-mapper target of dm-crypt has a uuid that begins with `CRYPT-`.
    """
    try:
        lines = (proc / "swaps").read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except OSError:
        return []
    found: list[str] = []
    for line in lines:
        fields = line.split()
        if len(fields) < 2:
            continue
        name = fields[0].encode().decode("unicode_escape")  # a blank in a file's name stands as \040
        if not _is_safe(name, fields[1], system, dev):
            found.append(name)
    return found


def _is_safe(name: str, kind: str, system: Path, dev: Path) -> bool:
    path = Path(name)
    if path.name.startswith("zram"):
        return True
    try:
        if kind == "partition":
            block = system / "class" / "block" / (dev / path.relative_to("/dev")).resolve().name
        else:
            number = path.stat().st_dev
            block = system / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
        return (block / "dm" / "uuid").read_text(encoding="ascii", errors="replace").startswith("CRYPT-")
    except (OSError, ValueError):
        return False
