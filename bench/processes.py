"""Processes as Linux shows them below /proc: who is whose child, and how much processor time a tree has used."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 10.0
REST_PATIENCE = 30.0
REST_SHARE = 0.03
"""Seconds of a second that a server at rest uses at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One line of /proc/PID/stat."""

    pid: int
    parent: int
    name: str
    started: int
    """Ticks after the machine's start."""
    seconds: float
    """Processor time, with that of the children that it has waited for."""


def processes() -> dict[int, Process]:
    """Return every process there is."""
    found: dict[int, Process] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            text = (entry / "stat").read_text()
            name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
            # proc(5): fields 4 (parent), 14 to 17 (user, system, children's user, children's system), 22 (start)
            ticks = sum(int(rest[index]) for index in range(11, 15))
            found[int(entry.name)] = Process(
                pid=int(entry.name), parent=int(rest[1]), name=name, started=int(rest[19]), seconds=ticks / TICKS
            )
    return found


def tree(root: int) -> list[Process]:
    """Return the process *root* and all below it."""
    everything = processes()
    children: dict[int, list[int]] = {}
    for each in everything.values():
        children.setdefault(each.parent, []).append(each.pid)

    def walk(pid: int) -> Iterator[Process]:
        if pid in everything:
            yield everything[pid]
        for child in children.get(pid, []):
            yield from walk(child)

    return list(walk(root))


def tree_seconds(root: int) -> float:
    """Return the processor time that a tree has used, those that it has waited for included."""
    return sum(each.seconds for each in tree(root))


def await_size(root: int, count: int) -> None:
    """Wait until a tree has shrunk to *count* processes: what has ended is then in its parent's time."""
    deadline = time.monotonic() + PATIENCE
    while len(tree(root)) > count and time.monotonic() < deadline:
        time.sleep(0.01)


def await_rest(root: int) -> None:
    """Wait until a tree that was just started does nothing more: what it prepares is no part of a transfer."""
    deadline, before = time.monotonic() + REST_PATIENCE, tree_seconds(root)
    while time.monotonic() < deadline:
        time.sleep(1.0)
        now = tree_seconds(root)
        if now - before <= REST_SHARE:
            return
        before = now


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """End a process that this one has started, and wait for it."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(PATIENCE)
        except TimeoutError:
            process.kill()
            process.wait()
