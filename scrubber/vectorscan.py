"""Compile expressions with Vectorscan (the PyPI package `hyperscan`), or take what an earlier run compiled of them."""

from __future__ import annotations

import contextlib
import importlib
import platform
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrubber import cachefolder

if TYPE_CHECKING:
    from collections.abc import Sequence

_CPUINFO = Path("/proc/cpuinfo")
_CPUINFO_BYTES = 8 << 10
"""Enough for all that is said of the first processor."""


def load_module() -> Any:  # noqa: ANN401 - the package has no types
    """Give the package.

    Raises:
        ImportError: it is not installed.
    """
    return importlib.import_module("hyperscan")


def compile_rules(expressions: Sequence[bytes], ids: Sequence[int], flags: Sequence[int]) -> Any:  # noqa: ANN401
    """Compile what comes from the rules alone, or take it from where it was kept.

    Raises:
        ImportError: the package is not installed.
    """
    hyperscan = load_module()
    parts = [b"%d:%d:%s" % each for each in zip(ids, flags, expressions, strict=True)]
    name = cachefolder.name_for("anchors", _surroundings(), *parts)
    kept = cachefolder.fetch(name)
    if kept is not None:
        with contextlib.suppress(hyperscan.error):  # compiled for another processor
            return hyperscan.loadb(kept, hyperscan.HS_MODE_BLOCK)
    database = hyperscan.Database()
    database.compile(expressions=list(expressions), ids=list(ids), elements=len(expressions), flags=list(flags))
    cachefolder.keep(name, hyperscan.dumpb(database))
    return database


@lru_cache(maxsize=1)
def _surroundings() -> bytes:
    """Tell apart what a compiled database depends on: the package's version, the machine, its processor's abilities."""
    hyperscan = load_module()
    abilities = b""
    with contextlib.suppress(OSError), _CPUINFO.open("rb") as file:
        first = file.read(_CPUINFO_BYTES).partition(b"\n\n")[0]
        abilities = b"\n".join(
            line for line in first.split(b"\n") if line.startswith((b"flags", b"Features", b"model"))
        )
    told = f"{hyperscan.__version__} {platform.system()} {platform.machine()} {platform.python_implementation()}"
    return told.encode() + abilities
